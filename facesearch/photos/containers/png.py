"""PNG: read all chunks; text chunks hold XMP, and EXIF in two spellings."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from facesearch.photos.parts import EXIF, LARGEST_METADATA, MOST_PARTS, Parts, keep

__all__ = ["read_png"]

_XMP, _EXIF = b"XML:com.adobe.xmp", (b"Raw profile type exif", b"Raw profile type APP1")
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def read_png(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Read all chunks. The image of an animation is the one that programs without animation support show."""
    parts.picture, at = [(0, 8)], 8
    keys = {_XMP, *_EXIF}
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf" and length <= LARGEST_METADATA and not parts.exif:
            parts.exif = stream.read(length)
        elif kind in (b"iTXt", b"zTXt", b"tEXt") and length <= LARGEST_METADATA:
            key, _, text = stream.read(length).partition(b"\0")
            if key in keys:  # only the first of each: text may unpack to a thousand times its size
                keys.remove(key)
                _read_text(kind, key, text, parts)
        if kind in _PICTURE:
            keep(parts.picture, at, min(at + 12 + length, size))
        at += 12 + length
        if kind == b"IEND" or at >= size:
            break
    else:
        parts.endless = True


def _read_text(kind: bytes, key: bytes, rest: bytes, parts: Parts) -> None:
    """Read XMP, and EXIF as ImageMagick writes it: hexadecimal, after a name and a length."""
    if kind == b"iTXt" and key == _XMP:
        packed, text = rest[0], rest[2:].split(b"\0", 2)[2]
        parts.xmp = _unpacked(text) if packed else text
    elif key in _EXIF and not parts.exif:
        text = _unpacked(rest[1:]) if kind == b"zTXt" else rest
        try:
            data = bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
        except ValueError:
            return
        parts.exif = data.removeprefix(EXIF)


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, LARGEST_METADATA)
