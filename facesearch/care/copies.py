"""Put found photos into a folder: as copies, as links, or as crops of the faces. Nothing is ever overwritten.

If a name is taken by another file, a number is appended. A file that already exists is left as it is, so that the same
export can be run again.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError, StorageError
from facesearch.photos.crop import face_picture, mark
from facesearch.photos.known import is_known, open_known, pieces_of, read_known
from facesearch.photos.picture import Photo
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.types import KnownFile
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.types import Box

__all__ = ["Export", "copy_photos", "link_photos", "make_copy", "make_hard_link", "names_for", "save_crops"]

_MOST_NAMES = 10_000
_LONGEST_NAME = 255
_LEAST_CROP, _MOST_CROP = 32, 1024
_AROUND = 1.5


@dataclass(slots=True)
class Export:
    """The result of an export: files `made`, files that already existed (`kept`), and failures with the reason.

    `planned` are the targets that a dry run would have created, each with its source.
    """

    made: int = 0
    kept: int = 0
    planned: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def copy_photos(files: Iterable[KnownFile], folder: Path, *, dry_run: bool = False) -> Export:
    """Copy photos and keep their times. Raises `StorageError` if the folder is not writable."""

    def is_same(file: KnownFile, target: str) -> bool:
        return is_known(KnownFile(os.fsencode(target), file.size, file.content))

    return _exported(files, folder, is_same, make_copy, dry_run=dry_run)


def link_photos(files: Iterable[KnownFile], folder: Path, *, hard: bool = False, dry_run: bool = False) -> Export:
    """Create symbolic or hard links to photos. Raises `StorageError`, also if the folder does not support links."""

    def is_same(file: KnownFile, target: str) -> bool:
        if hard:
            return os.path.isfile(target) and os.path.samefile(file.path, target)
        return os.path.exists(target) and os.path.realpath(target) == os.path.realpath(os.fsdecode(file.path))

    def link(file: KnownFile, target: str) -> None:
        if hard:
            make_hard_link(file, target)
        else:
            os.symlink(os.fsdecode(file.path), target)

    return _exported(files, folder, is_same, link, dry_run=dry_run)


def save_crops(
    faces: Iterable[tuple[str, int, Box, Callable[[], bytes]]],
    folder: Path,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    dry_run: bool = False,
) -> Export:
    """Save faces as square JPEGs of their own size, 32 to 1024 pixels.

    Each is given as its photo's path, its number, its box, and a function that reads the photo (which may raise
    `PhotoError`). Its file is named after the photo and the number. Raises `StorageError`.
    """
    done = Export()
    _prepare(folder, dry_run=dry_run)
    for source, number, box, read in faces:
        stem = os.path.splitext(os.path.basename(source))[0]
        name = f"{stem} face {number}.jpg"
        try:
            encoded = _crop(read(), box, max_pixels)
        except PhotoError as error:
            done.failed.append(f"{source}: {_reason(error)}")
            continue
        _place(
            done, source, folder, name, dry_run=dry_run,
            is_same=partial(_holds, encoded),
            make=partial(_write, encoded),
        )  # fmt: skip
    return done


def _exported(
    files: Iterable[KnownFile],
    folder: Path,
    is_same: Callable[[KnownFile, str], bool],
    make: Callable[[KnownFile, str], None],
    *,
    dry_run: bool,
) -> Export:
    done = Export()
    _prepare(folder, dry_run=dry_run)
    for file in {file.path: file for file in files}.values():
        source = os.fsdecode(file.path)
        try:
            open_known(file).close()
        except PhotoError as error:
            done.failed.append(f"{source}: {_reason(error)}")
            continue
        _place(
            done, source, folder, os.path.basename(source), dry_run=dry_run,
            is_same=partial(is_same, file),
            make=partial(make, file),
        )  # fmt: skip
    return done


def _reason(error: PhotoError) -> str:
    """Return why a photo cannot be exported."""
    if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
        return "not found"
    return f"cannot be read: {error}" if isinstance(error.__cause__, OSError) else str(error)


def _prepare(folder: Path, *, dry_run: bool) -> None:
    if dry_run:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be created ({error.strerror}); choose another folder") from error


def _place(
    done: Export,
    source: str,
    folder: Path,
    name: str,
    *,
    is_same: Callable[[str], bool],
    make: Callable[[str], None],
    dry_run: bool = False,
) -> None:
    """Create one file under the first free name, unless it already exists under one of the taken names."""
    try:
        for target in names_for(folder, name):
            if os.path.lexists(target):
                if is_same(target):
                    done.kept += 1
                    return
            elif dry_run:
                if target not in done.planned:
                    done.planned[target] = source
                    return
                if done.planned[target] != source and is_same(done.planned[target]):  # as it would be by then
                    done.kept += 1
                    return
            else:
                try:
                    make(target)
                except FileExistsError:  # another program was faster
                    continue
                done.made += 1
                return
    except PhotoError as error:  # this photo fails, the others do not
        done.failed.append(f"{source}: {_reason(error)}")
    except OSError as error:
        raise StorageError(
            f"{folder}: {name} cannot be created ({error.strerror}); choose another folder, nothing was overwritten"
        ) from error
    else:
        raise StorageError(f"{folder}: already has {counted(_MOST_NAMES, 'file')} named {name}; choose another folder")


def names_for(folder: Path, name: str) -> Iterator[str]:
    """Yield the paths that a file may get: its own name, then with a number."""
    stem, suffix = os.path.splitext(name)
    for number in range(1, _MOST_NAMES):
        ending = suffix if number == 1 else f"-{number}{suffix}"
        yield os.path.join(folder, _shortened(stem, _LONGEST_NAME - len(os.fsencode(ending))) + ending)


def _shortened(name: str, size: int) -> str:
    """Return the longest prefix of a name that fits into `size` bytes, cut between characters."""
    while len(os.fsencode(name)) > size:
        name = name[:-1]
    return name


def make_copy(file: KnownFile, target: str) -> None:
    """Copy a photo. Raises `PhotoError` if the photo is the problem, `OSError` if the target is."""
    with open_known(file) as reading:

        def fill(unfinished: str) -> None:
            with open(unfinished, "xb") as writing:
                for piece in pieces_of(reading, file):
                    writing.write(piece)
            found = os.fstat(reading.fileno())
            os.utime(unfinished, ns=(found.st_atime_ns, found.st_mtime_ns))

        _new_file(target, fill)


def make_hard_link(file: KnownFile, target: str) -> None:
    """Make a hard link to a photo. Raises `PhotoError` if the photo is the problem, `OSError` if the target is."""
    read_known(file)
    os.link(os.fsdecode(file.path), target)


def _write(data: bytes, target: str) -> None:
    def fill(unfinished: str) -> None:
        with open(unfinished, "xb") as stream:
            stream.write(data)

    _new_file(target, fill)


def _new_file(target: str, fill: Callable[[str], None]) -> None:
    """Create a file in full or not at all. Raises `FileExistsError` if the name is taken."""
    folder = os.path.dirname(target)
    unfinished = os.path.join(folder, f".facesearch-{os.getpid()}.tmp")
    try:
        fill(unfinished)
        try:
            os.link(unfinished, target)  # unlike renaming, this never replaces a file
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                raise FileExistsError(target) from None
            os.rename(unfinished, target)
    finally:
        if os.path.lexists(unfinished):
            os.unlink(unfinished)


def _holds(data: bytes, path: str) -> bool:
    try:
        return os.path.getsize(path) == len(data) and Path(path).read_bytes() == data
    except OSError:
        return False


def _crop(data: bytes, box: Box, max_pixels: int) -> bytes:
    """Return the face as a JPEG file. Raises `PhotoError`."""
    photo = Photo(data, max_pixels=max_pixels)
    side = round(max(box.width, box.height) * _AROUND)
    encoded = io.BytesIO()
    picture = face_picture(photo, box, min(_MOST_CROP, max(_LEAST_CROP, side)))
    picture.save(encoded, "JPEG", quality=92, exif=mark())
    return encoded.getvalue()
