"""Small pictures of a photo: a face of it, or all of it with its faces framed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from facesearch.photos.decode import Photo

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.types import Box

__all__ = ["face_picture", "whole_picture"]

_AROUND = 1.5


def face_picture(photo: Photo, box: Box, side: int) -> Image:
    """A square of `side` pixels around a face, a half larger than its box where the photo has that much around it.

    Raises `PhotoError`.
    """
    edge = min(max(box.width, box.height) * _AROUND, *photo.size)
    left = min(max(box.left + box.width / 2 - edge / 2, 0), photo.size[0] - edge)
    top = min(max(box.top + box.height / 2 - edge / 2, 0), photo.size[1] - edge)
    image, scale = photo.level(max(photo.size) * min(1.0, side / edge))
    right, bottom = min((left + edge) * scale, image.width), min((top + edge) * scale, image.height)
    return image.resize((side, side), box=(left * scale, top * scale, right, bottom))


def whole_picture(photo: Photo, size: tuple[int, int], frames: Mapping[Box, tuple[int, int, int]]) -> Image:
    """The whole photo, as large as fits into `size` and never enlarged, with a frame of its colour around each box.

    Raises `PhotoError`.
    """
    from PIL import ImageDraw

    scale = min(1.0, size[0] / photo.size[0], size[1] / photo.size[1])
    fitted = (max(1, round(photo.size[0] * scale)), max(1, round(photo.size[1] * scale)))
    picture = photo.level(max(fitted)).image.resize(fitted)
    draw = ImageDraw.Draw(picture)
    width = max(2, round(max(fitted) / 300))
    for box, colour in frames.items():
        corners = [edge * scale for edge in (box.left, box.top, box.left + box.width, box.top + box.height)]
        draw.rectangle(corners, outline=colour, width=width)
    return picture
