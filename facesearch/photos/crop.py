"""Crop faces from photos, and mark the images that facesearch makes so that they are not taken for photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facesearch.photos.header import MADE_BY
from facesearch.photos.picture import Photo

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

    from facesearch.types import Box

__all__ = ["SOFTWARE", "face_picture", "mark"]

SOFTWARE = 0x0131
"""The EXIF tag for the program that made an image."""

_AROUND = 1.5


def face_picture(photo: Photo, box: Box, side: int) -> Image:
    """Return a square of `side` pixels around a face, 1.5 times the size of its box if the photo is large enough.

    Raises `PhotoError` if the photo cannot be decoded.
    """
    edge = min(max(box.width, box.height, 1.0) * _AROUND, *photo.size)
    left = min(max(box.left + box.width / 2 - edge / 2, 0), photo.size[0] - edge)
    top = min(max(box.top + box.height / 2 - edge / 2, 0), photo.size[1] - edge)
    image, scale = photo.level(max(photo.size) * min(1.0, side / edge))
    right, bottom = min((left + edge) * scale, image.width), min((top + edge) * scale, image.height)
    return image.resize((side, side), box=(left * scale, top * scale, right, bottom))


def mark() -> Exif:
    """Return EXIF data that marks an image as made by facesearch; an index skips such images."""
    from PIL import Image

    exif = Image.Exif()
    exif[SOFTWARE] = MADE_BY
    return exif
