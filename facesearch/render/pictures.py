"""A photo with its faces framed, and pictures to files."""

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
    """The whole photo, as large as fits into `size` and never enlarged, with a frame of its colour around each box.

    A box that would be hard to see gets a larger frame. Raises `PhotoError`.
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
    """Left, top, right and bottom of a box in a picture of `size`, which shows its photo at `scale`; all inside it."""
    left, top = box.left * scale - around, box.top * scale - around
    right, bottom = (box.left + box.width) * scale + around, (box.top + box.height) * scale + around
    left, top = min(max(0.0, left), size[0] - 1.0), min(max(0.0, top), size[1] - 1.0)
    return left, top, min(max(left, right), size[0] - 1.0), min(max(top, bottom), size[1] - 1.0)


def check_picture_name(path: Path, why: str) -> None:
    """Raises `UsageError`, with the reason, for a file name that is no picture's."""
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"{path}: {why}; end its name in one of {', '.join(_FORMATS)}")


def check_may_be_written(path: Path) -> None:
    """Raises `StorageError` where a file cannot be made, or there is one that facesearch did not: somebody's photo."""
    folder = path.parent
    if not folder.is_dir():
        raise StorageError(f"{path}: cannot be written (No such file or directory); check the folder")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise StorageError(f"{path}: a link that leads nowhere; give another name") from None
        return
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path}: cannot be written (not a file); check the folder")
    if not _is_ours(path):
        raise StorageError(f"{path}: is there already, and not made by facesearch; give another name, or move it away")


def _is_ours(path: Path) -> bool:
    """Whether a picture or a page carries the mark that facesearch puts into its own."""
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
    """Write a picture in the format of its file's name: whole, or not at all.

    A file that facesearch made is replaced, any other never. Raises `StorageError`.
    """
    check_may_be_written(path)
    path = path.resolve()  # a link stays, and leads to the new picture
    encoded = io.BytesIO()
    # Colours at full size: text and frames would have coloured shadows otherwise.
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
        except OSError:  # it has its name now, or could not be made
            pass
