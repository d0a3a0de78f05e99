"""Small pictures of photos and faces, without the photos' metadata, kept on disk within a bound.

They are made from a file only while it is the one that was indexed, and given out only while it is still there. What is
on the disk can be deleted at any time.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from facesearch.files import replacing
from facesearch.photos.crop import face_picture, mark
from facesearch.photos.known import open_known, read_known
from facesearch.photos.picture import Photo
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.types import Box, KnownFile

__all__ = ["MOST_BYTES", "Previews"]

MOST_BYTES = 512 * 2**20
"""The default bound: about 10,000 photos at 640 pixels, or 60,000 faces."""

_QUALITY = 82
_KEPT_OF_FULL = 0.8
"""The share that stays when the bound is exceeded; what was made first is deleted first."""


class Previews:
    """Pictures in a folder, of `most_bytes` in all; several threads may use it."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._max_pixels = max_pixels
        self._counting = Lock()
        self._bytes: int | None = None

    def photo(self, file: KnownFile, mtime_ns: int, side: int, is_known: Callable[[], bool]) -> bytes:
        """Return a photo as JPEG, its longer side at most `side` pixels, upright and never enlarged.

        `mtime_ns` is the time of the file when it was indexed: a file with this time and the known size is not read
        again. `is_known` is called after the picture was written: if it returns False, because the photo was forgotten
        meanwhile, the picture is deleted. Raises `PhotoError`, without the path, if the file cannot be read or is not
        the one that was indexed.
        """
        return self._kept(file, mtime_ns, f"{side}", lambda photo: _fitted(photo, side), is_known)

    def face(self, file: KnownFile, mtime_ns: int, box: Box, side: int, is_known: Callable[[], bool]) -> bytes:
        """Return a square around a face as JPEG; otherwise like `photo`."""
        place = "_".join(f"{value:.0f}" for value in (box.left, box.top, box.width, box.height))
        return self._kept(file, mtime_ns, f"{side}-{place}", lambda photo: face_picture(photo, box, side), is_known)

    def _kept(
        self,
        file: KnownFile,
        mtime_ns: int,
        kind: str,
        make: Callable[[Photo], Image],
        is_known: Callable[[], bool],
    ) -> bytes:
        name = "" if file.content is None else file.content.hex()
        path = self._folder / name[:2] / f"{name}-{kind}.jpg"
        kept = _read(path)
        if kept is not None:
            _require_unchanged(file, mtime_ns)
            return kept
        picture = _encoded(make(Photo(read_known(file), max_pixels=self._max_pixels)))
        self._keep(path, picture)
        if not is_known():
            path.unlink(missing_ok=True)
        return picture

    def _keep(self, path: Path, picture: bytes) -> None:
        """Write a picture; where that is not possible, it is made again next time."""
        try:
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            with replacing(path, flush=False) as stream:
                stream.write(picture)
        except OSError:
            return
        with self._counting:
            kept = self._count() if self._bytes is None else self._bytes + len(picture)
            self._bytes = kept if kept <= self._most_bytes else self._make_room()

    def _count(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _make_room(self) -> int:
        """Delete the oldest pictures; return the bytes of those that stay."""
        kept = 0
        for _, size, path in sorted(self._files(), reverse=True):
            kept += size
            if kept > _KEPT_OF_FULL * self._most_bytes:
                kept -= size
                Path(path).unlink(missing_ok=True)
        return kept

    def _files(self) -> list[tuple[float, int, str]]:
        """Return the time, the size and the path of each picture."""
        found = []
        for folder in os.scandir(self._folder):
            for entry in os.scandir(folder.path) if folder.is_dir(follow_symlinks=False) else ():
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # another process has just deleted it
                    continue
                found.append((facts.st_mtime, facts.st_size, entry.path))
        return found

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete all pictures in a folder. Raises `OSError`."""
        if folder.exists():
            shutil.rmtree(folder)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _require_unchanged(file: KnownFile, mtime_ns: int) -> None:
    """Raise `PhotoError` unless a file has the size and the time that it had when it was indexed, or its content."""
    with open_known(file) as stream:
        if os.fstat(stream.fileno()).st_mtime_ns == mtime_ns:
            return
    read_known(file)


def _fitted(photo: Photo, side: int) -> Image:
    from PIL import Image

    return Image.fromarray(photo.pixels(side))


def _encoded(picture: Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, exif=mark())
    return stream.getvalue()
