"""Photos with framed faces, and pictures written to files."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import StorageError, UsageError
from facesearch.photos.crop import SOFTWARE, mark
from facesearch.photos.header import MADE_BY
from facesearch.photos.picture import Photo
from facesearch.render.drawing import draw_frame

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.types import Box

__all__ = [
    "MADE_BY",
    "check_may_be_written",
    "check_picture_name",
    "save_picture",
    "scaled_corners",
    "whole_picture",
]

_LEAST_FRAME = 10
_HEAD = 1024
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def whole_picture(photo: Photo, size: tuple[int, int], frames: Mapping[Box, tuple[int, int, int]]) -> Image:
    """Return the whole photo, reduced to fit `size` and never enlarged, with a coloured frame around each box.

    A box that would be hard to see gets a larger frame. Raises `PhotoError` if the photo cannot be decoded.
    """
    from PIL import ImageDraw

    scale = min(1.0, size[0] / photo.size[0], size[1] / photo.size[1])
    fitted = (max(1, round(photo.size[0] * scale)), max(1, round(photo.size[1] * scale)))
    picture = photo.level(max(fitted)).image.resize(fitted)
    draw = ImageDraw.Draw(picture)
    width = max(2, round(max(fitted) / 300))
    for box, colour in frames.items():
        around = max(0.0, (_LEAST_FRAME - box.shorter * scale) / 2)
        draw_frame(draw, scaled_corners(box, scale, fitted, around), colour, width)
    return picture


def scaled_corners(
    box: Box, scale: float, size: tuple[int, int], around: float = 0.0
) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a box in a picture of `size` that shows its photo at `scale`, clipped."""
    left, top = box.left * scale - around, box.top * scale - around
    right, bottom = (box.left + box.width) * scale + around, (box.top + box.height) * scale + around
    left, top = min(max(0.0, left), size[0] - 1.0), min(max(0.0, top), size[1] - 1.0)
    return left, top, min(max(left, right), size[0] - 1.0), min(max(top, bottom), size[1] - 1.0)


def check_picture_name(path: Path, why: str) -> None:
    """Raise `UsageError`, with the reason `why`, unless the file name is that of a picture."""
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"{path}: {why}; end its name in one of {', '.join(_FORMATS)}")


def check_may_be_written(path: Path) -> None:
    """Raise `StorageError` if a file cannot be written, or exists and was not made by facesearch: it may be a photo."""
    folder = path.parent
    if not folder.is_dir():
        raise StorageError(f"{path}: cannot be written (No such file or directory); check the folder")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise StorageError(f"{path}: a broken symbolic link; choose another name") from None
        return
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path}: cannot be written (not a regular file); choose another name")
    if not _is_ours(path):
        raise StorageError(
            f"{path}: already exists and was not made by facesearch; choose another name or move that file"
        )


def _is_ours(path: Path) -> bool:
    """Return True if a picture or a page has the mark that facesearch puts into its own files."""
    try:
        if path.suffix.lower() in _FORMATS:
            from PIL import Image

            with Image.open(path, formats=list(_FORMATS.values())) as image:
                return bool(image.getexif().get(SOFTWARE) == MADE_BY)
        with path.open("rb") as stream:
            return f'<meta name="generator" content="{MADE_BY}">'.encode() in stream.read(_HEAD)
    except (OSError, ValueError, SyntaxError):
        return False


def save_picture(picture: Image, path: Path) -> None:
    """Write a picture in the format of its file name, completely or not at all.

    Only a file that facesearch made is replaced. Raises `StorageError` if the file cannot be written.
    """
    check_may_be_written(path)
    path = path.resolve()  # a symbolic link stays, and leads to the new picture
    encoded = io.BytesIO()
    # No chroma subsampling: text and frames would have coloured shadows.
    picture.save(encoded, _FORMATS[path.suffix.lower()], quality=90, subsampling=0, exif=mark())
    unfinished = path.with_name(f".facesearch-{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(encoded.getvalue())
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); check the folder") from error
    finally:
        try:
            unfinished.unlink()
        except OSError:  # it was renamed, or could not be created
            pass
