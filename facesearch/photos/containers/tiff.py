"""TIFF: the file has the structure of EXIF, directories of tags; and the memory that one strip or tile needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image

    from facesearch.photos.parts import Parts

__all__ = ["read_tiff", "unpacked_at_once"]

_SAMPLES, _BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 277, 258, 278, 322, 323
_COMPRESSION, _PLANES = 259, 284


def read_tiff(_stream: BinaryIO, _size: int, parts: Parts) -> None:
    """Mark the file as TIFF; its metadata are read from the tags of the file."""
    parts.is_tiff = True


def unpacked_at_once(image: Image) -> float:
    """Return the size in bytes of a strip or tile, which the decoder unpacks as a whole, whatever size it claims.

    Returns 0 for uncompressed data with interleaved colours: the decoder reads it line by line.
    """
    tags: Any = getattr(image, "tag_v2", {})

    def number(tag: int, otherwise: int) -> int:
        value = tags.get(tag, otherwise)
        value = value[0] if isinstance(value, tuple) and value else value
        return value if isinstance(value, int) else otherwise

    if number(_COMPRESSION, 1) == 1 and number(_PLANES, 1) == 1:
        return 0.0
    pixels = image.width * min(image.height, number(_ROWS_PER_STRIP, image.height))
    if _TILE_WIDTH in tags and _TILE_LENGTH in tags:
        pixels = number(_TILE_WIDTH, image.width) * number(_TILE_LENGTH, image.height)
    return pixels * max(1.0, number(_SAMPLES, 1) * number(_BITS, 8) / 8)
