"""Find the photo files in folders: walk in a fixed order, skip folders without photos of their own, report errors.

File name endings separate photos from other media, which contain images but are not read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from facesearch.photos.formats import SUFFIXES
from facesearch.photos.mounts import KernelFiles
from facesearch.types import PhotoFile

__all__ = ["OTHER_MEDIA", "SKIPPED_FOLDERS", "is_offline", "photos_in", "scan"]

_MEDIA = frozenset(
    b".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .rw2"
    b" .rwl .sr2 .srf .srw .x3f"  # RAW photos
    b" .3g2 .3gp .avi .flv .insv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .vob .webm .wmv"
    b" .insp .jp2 .jxl .psd .tga .xcf".split()
)
OTHER_MEDIA = _MEDIA - SUFFIXES
"""File name endings, in lower case, of RAW photos, videos and pictures that are not read."""

SKIPPED_FOLDERS = frozenset([b"@eaDir", b"#recycle", b"$RECYCLE.BIN", b"System Volume Information", b"__MACOSX"])
"""Folders of thumbnails and deleted files; folders whose names begin with a dot are skipped too."""

_SEPARATOR = os.fsencode(os.sep)


def scan(
    root: bytes,
    within: bytes = b"",
    *,
    unreadable: Callable[[bytes, str], None],
    other: Callable[[bytes], None] = lambda _path: None,
    wanted: Callable[[bytes], bool] = lambda _path: True,
) -> Iterator[PhotoFile]:
    """Yield every photo file under `root` (a folder or a single file), or under its folder `within`.

    The order is that of the paths, relative to the root, as bytes. Photos are recognised by their file name endings.
    Symbolic links are followed, except to a folder inside the root, which is reached anyway, or in a cycle. Unreadable
    entries are skipped and reported to `unreadable` with their relative path and the reason. `other` gets the relative
    paths of media that are not read. `wanted` gets the relative path of each photo and returns False for those to skip,
    which are not looked at. Kernel file systems such as `/proc` hold no photos and are not entered from outside.
    """
    start = os.path.join(root, within) if within else root
    try:
        found = os.stat(start)
    except OSError as error:
        _report(unreadable, within, error)
        return
    if stat.S_ISDIR(found.st_mode):
        walk = _Walk(os.path.realpath(root), unreadable, other, wanted)
        yield from walk.folder(start, within, frozenset([(found.st_dev, found.st_ino)]), found.st_dev)
    elif stat.S_ISREG(found.st_mode) and wanted(within):
        yield PhotoFile(within, found.st_size, found.st_mtime_ns)


def is_offline(root: bytes) -> bool:
    """Return True if a root is missing or is an empty folder, such as the mount point of an unmounted disk."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except NotADirectoryError:
        return False
    except OSError:
        return True


class _Walk:
    """One walk through the folders of a root."""

    def __init__(
        self,
        real_root: bytes,
        unreadable: Callable[[bytes, str], None],
        other: Callable[[bytes], None],
        wanted: Callable[[bytes], bool],
    ) -> None:
        self._real_root = real_root
        self._unreadable = unreadable
        self._other = other
        self._wanted = wanted
        self._kernel = KernelFiles()

    def folder(
        self, folder: bytes, relative: bytes, above: frozenset[tuple[int, int]], device: int
    ) -> Iterator[PhotoFile]:
        """Walk one folder. `above` are the folders from the root to this one, by device and inode, to detect cycles."""
        try:
            with os.scandir(folder) as entries:
                # Folders sort by their name with the separator, so that whole paths are in the order of their bytes.
                children = sorted(
                    (entry.name + _SEPARATOR if _is_folder(entry) else entry.name, entry) for entry in entries
                )
        except OSError as error:
            _report(self._unreadable, relative, error)
            return
        for key, entry in children:
            path = os.path.join(relative, entry.name) if relative else entry.name
            if not key.endswith(_SEPARATOR):
                is_photo = _is_photo(entry.name)
                if is_photo and not self._wanted(path):
                    continue
                try:
                    found = entry.stat() if is_photo else None
                except FileNotFoundError:
                    continue  # deleted since it was listed, or a dangling link
                except OSError as error:  # a folder that can be listed but not entered: its contents are unknown
                    self._unreadable(relative, error.strerror or type(error).__name__)
                    return
                if found is None:
                    if _has_ending(entry.name, OTHER_MEDIA):
                        self._other(path)
                elif stat.S_ISREG(found.st_mode):
                    yield PhotoFile(path, found.st_size, _within_64_bits(found.st_mtime_ns))
            elif not _is_skipped(entry, self._real_root):
                try:
                    found = os.stat(entry.path)
                except OSError as error:
                    _report(self._unreadable, path, error)
                    continue
                identity = (found.st_dev, found.st_ino)
                if identity not in above and (found.st_dev == device or found.st_dev not in self._kernel):
                    yield from self.folder(entry.path, path, above | {identity}, found.st_dev)


def photos_in(folder: Path, *, unreadable: Callable[[bytes, str], None] = lambda _path, _reason: None) -> list[Path]:
    """Return the paths of all photos in a folder, in the order of `scan`."""
    top = os.fsencode(folder)
    return [Path(os.fsdecode(os.path.join(top, file.path))) for file in scan(top, unreadable=unreadable)]


def _within_64_bits(nanoseconds: int) -> int:
    """Clamp a time to 64 bits: file systems can hold times that databases cannot, such as the year 300,000."""
    return min(max(nanoseconds, -(2**63)), 2**63 - 1)


def _is_skipped(entry: os.DirEntry[bytes], real_root: bytes) -> bool:
    if entry.name.startswith(b".") or entry.name in SKIPPED_FOLDERS:
        return True
    return entry.is_symlink() and _is_within(os.path.realpath(entry.path), real_root)


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_photo(name: bytes) -> bool:
    return _has_ending(name, SUFFIXES)


def _has_ending(name: bytes, endings: frozenset[bytes]) -> bool:
    return os.path.splitext(name)[1].lower() in endings and not name.startswith(b".")


def _is_within(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(_SEPARATOR) + _SEPARATOR)


def _report(unreadable: Callable[[bytes, str], None], path: bytes, error: OSError) -> None:
    """Report an error, unless an entry inside the root was deleted meanwhile: it is missing, not unreadable."""
    if not path or not isinstance(error, FileNotFoundError | NotADirectoryError):
        unreadable(path, error.strerror or type(error).__name__)
