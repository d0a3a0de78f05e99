"""Unpack a pack from its archive: only regular files, inside its folder and within limits."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NoReturn

from facesearch.errors import ModelError
from facesearch.models.packs.download import Limits, require_free
from facesearch.models.packs.record import RECORD_NAME, file_digest

__all__ = ["unpack"]

_PIECE = 256 * 1024
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LITTER = ("__MACOSX", ".DS_Store")


def unpack(archive: Path, source: str, folder: Path, limits: Limits) -> dict[str, str]:
    """Unpack an archive into a new folder and return the SHA-256 of each file by path.

    Raises `ModelError` if the archive is damaged, unsafe or too large, `StorageError` if the disk has too little space.
    """
    digests: dict[str, str] = {}
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _members(zipped, source, limits)
            require_free(folder.parent, sum(info.file_size for info in members.values()), "the pack")
            folder.mkdir()
            left = limits.unpacked
            for path, info in members.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(info) as packed, target.open("xb") as stream:
                    while piece := packed.read(_PIECE):
                        left -= len(piece)
                        if left < 0:
                            _refuse(source, "unpacks to more than it declares")
                        stream.write(piece)
                    stream.flush()
                    os.fsync(stream.fileno())
                digests[str(path)] = file_digest(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ModelError(f"{source}: not a valid .zip archive ({error}); fetch it again") from error
    return digests


def _members(zipped: zipfile.ZipFile, source: str, limits: Limits) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files to unpack by their paths in the pack, without a single top-level folder around everything."""
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in zipped.infolist():
        path = PurePosixPath(info.filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename or ":" in info.filename:
            _refuse(source, f"{info.filename} leads outside the folder")
        if info.is_dir():
            continue
        if kind not in (0, stat.S_IFREG) or not path.parts or info.compress_type not in _PACKED:
            _refuse(source, f"{info.filename!r} is not a regular file, or uses an unsupported compression")
        if not set(_LITTER).isdisjoint(path.parts):
            continue
        if path in files:
            _refuse(source, f"{info.filename} occurs twice")
        files[path] = info
    if any(parent in files for path in files for parent in path.parents):
        _refuse(source, "uses one path for a file and a folder")
    if len(files) > limits.files or sum(info.file_size for info in files.values()) > limits.unpacked:
        _refuse(source, f"unpacks to more than {limits.files} files, or {limits.unpacked:,} bytes")
    tops = {path.parts[0] for path in files if len(path.parts) > 1}
    if len(tops) == 1 and all(len(path.parts) > 1 for path in files):
        files = {PurePosixPath(*path.parts[1:]): info for path, info in files.items()}
    files.pop(PurePosixPath(RECORD_NAME), None)  # from the machine that made the archive
    return files


def _refuse(source: str, why: str) -> NoReturn:
    raise ModelError(f"{source}: {why}; nothing was installed: get it from another source")
