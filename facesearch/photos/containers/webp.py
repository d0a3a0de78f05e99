"""WebP: chunks of a RIFF file."""

from __future__ import annotations

import struct
from typing import BinaryIO

from facesearch.photos.parts import EXIF, LARGEST_METADATA, MOST_PARTS, Parts, keep

__all__ = ["read_webp"]


def read_webp(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Read all chunks. The file header holds their total length, so it is rewritten for a file without metadata."""
    at = 12
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF" and length <= LARGEST_METADATA and not parts.exif:
            parts.exif = stream.read(length).removeprefix(EXIF)
        elif kind == b"XMP " and length <= LARGEST_METADATA and not parts.xmp:
            parts.xmp = stream.read(length)
        after = at + 8 + length + length % 2
        if kind not in (b"EXIF", b"XMP ", b"ICCP"):
            keep(parts.picture, at, min(after, size))
        at = after
        if at >= size:
            break
    else:
        parts.endless = True
    if at > size + 1:  # truncated: the decoder gets the whole file, to report it
        parts.picture = []
    elif parts.picture:
        length = 4 + sum(end - start for start, end in parts.picture)
        parts.head = b"RIFF" + struct.pack("<I", length) + b"WEBP"
