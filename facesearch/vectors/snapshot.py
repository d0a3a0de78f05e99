"""Write, verify and read the vector file, whose trailer records what it was made from.

The file is derived from the catalog. FAISS opens damaged files without an error, so the trailer has a checksum; FAISS's
reader ignores the trailer.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from facesearch.errors import DiskFullError, StorageError
from facesearch.files import NO_ROOM, replacing
from facesearch.vectors.kinds import KINDS
from facesearch.vectors.layered import LayeredIndex
from facesearch.vectors.protocol import Blocks, Kind

__all__ = ["VERIFIED_BELOW", "Snapshot", "Stamp", "read_kind", "read_snapshot", "read_stamp", "write_snapshot"]

VERIFIED_BELOW = 64 * 2**20
"""Bytes. Smaller files are read whole and their checksum is verified; larger ones are mapped, which takes no time."""

_MAGIC = b"fsvecto4"  # version 3 measured recall by ids, which counted copies of a photo as misses
_TRAILER = struct.Struct("<8s16sQQ8sdQ16s16s")


class Stamp(NamedTuple):
    """What a file was made from: the index's uuid, the catalog's generation, and its highest vector id."""

    uuid: bytes
    generation: int
    last_id: int


class Snapshot(NamedTuple):
    """The content of a vector file."""

    stamp: Stamp
    vectors: LayeredIndex


def read_stamp(path: Path, uuid: bytes) -> Stamp | None:
    """Return the stamp of a vector file without reading its vectors; None if it is missing or of another index."""
    trailer = _trailer_of(path, uuid)
    return trailer.stamp if trailer else None


def read_kind(path: Path, uuid: bytes) -> str | None:
    """Return the kind of a vector file without reading its vectors; None if it is missing or of another index."""
    trailer = _trailer_of(path, uuid)
    return trailer.kind if trailer else None


def read_snapshot(path: Path, dim: int, uuid: bytes, *, verify: bool = False) -> Snapshot | None:
    """Return the content of a vector file; None if it is missing, of another index, truncated or damaged.

    A large file is mapped and not read, unless `verify` is set. Raises `StorageError` if the file is unreadable.
    """
    if path.exists() and not path.is_file():
        return None  # opening a pipe would block
    try:
        with path.open("rb") as stream:
            trailer = _read_trailer(stream, uuid)
            if trailer is None:
                return None
            stream.seek(0)
            small = trailer.length < VERIFIED_BELOW
            whole = stream.read(trailer.length) if small or verify else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); check the disk and its permissions") from error
    if whole is not None and _checksum(whole) != trailer.checksum:
        return None
    kind = KINDS.get(trailer.kind)
    base = None if kind is None else kind.read(path, whole, dim)
    # A large file is mapped by its name: another may have replaced it since the trailer was read.
    if base is None or (whole is None and _trailer_of(path, uuid) != trailer):
        return None
    return Snapshot(trailer.stamp, LayeredIndex(dim, base, recall=trailer.recall, verified=whole is not None))


def write_snapshot(path: Path, dim: int, stamp: Stamp, kind: Kind, blocks: Blocks) -> float:
    """Write a vector file of a kind with all vectors in `blocks`, atomically, and return its recall at 10.

    Raises `DiskFullError` or another `StorageError`; the old file is then unchanged.
    """
    made = kind.make(dim, blocks)
    try:
        with replacing(path) as stream:
            checksum, length = _new_checksum(), 0

            def write(data: bytes) -> None:
                nonlocal length
                stream.write(data)
                checksum.update(data)
                length += len(data)

            made.write_to(write)
            facts = (kind.name.encode(), made.recall, length, checksum.digest())
            trailer = _TRAILER.pack(_MAGIC, *stamp, *facts, bytes(16))[:-16]
            stream.write(trailer + _checksum(trailer))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFullError(f"{path}: the disk is full; free some space, and the next run writes it") from error
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its permissions"
        ) from error
    return made.recall


class _Trailer(NamedTuple):
    stamp: Stamp
    kind: str
    recall: float
    length: int
    checksum: bytes


def _trailer_of(path: Path, uuid: bytes) -> _Trailer | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            return _read_trailer(stream, uuid)
    except OSError:
        return None


def _read_trailer(stream: BinaryIO, uuid: bytes) -> _Trailer | None:
    """Read the trailer of a vector file; None unless it belongs to this index and the file is complete."""
    size = stream.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        return None
    stream.seek(size - _TRAILER.size)
    data = stream.read(_TRAILER.size)
    magic, owner, generation, last_id, kind, recall, length, checksum, own_checksum = _TRAILER.unpack(data)
    if _checksum(data[: -len(own_checksum)]) != own_checksum:
        return None
    if magic != _MAGIC or owner != uuid or length != size - _TRAILER.size:
        return None
    name = kind.rstrip(b"\0").decode("ascii", "replace")
    return _Trailer(Stamp(owner, generation, last_id), name, recall, length, checksum)


def _new_checksum() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _checksum(data: bytes) -> bytes:
    checksum = _new_checksum()
    checksum.update(data)
    return checksum.digest()
