"""A face cut out of its photo, as a small picture; and the mark that tells facesearch's own pictures from photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facesearch.photos.decode import Photo
from facesearch.photos.header import MADE_BY

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

    from facesearch.types import Box

__all__ = ["SOFTWARE", "face_picture", "mark"]

SOFTWARE = 0x0131
"""The EXIF tag of the program that made a picture."""

_AROUND = 1.5


def face_picture(photo: Photo, box: Box, side: int) -> Image:
    """A square of `side` pixels around a face, a half larger than its box where the photo has that much around it.

    Raises `PhotoError`.
    """
    edge = min(max(box.width, box.height, 1.0) * _AROUND, *photo.size)
    left = min(max(box.left + box.width / 2 - edge / 2, 0), photo.size[0] - edge)
    top = min(max(box.top + box.height / 2 - edge / 2, 0), photo.size[1] - edge)
    image, scale = photo.level(max(photo.size) * min(1.0, side / edge))
    right, bottom = min((left + edge) * scale, image.width), min((top + edge) * scale, image.height)
    return image.resize((side, side), box=(left * scale, top * scale, right, bottom))


def mark() -> Exif:
    """What tells a picture that facesearch made: it is no photo, an index leaves it out."""
    from PIL import Image

    exif = Image.Exif()
    exif[SOFTWARE] = MADE_BY
    return exif
