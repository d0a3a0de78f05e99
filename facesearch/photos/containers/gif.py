"""GIF: read the extensions before the first image."""

from __future__ import annotations

from typing import BinaryIO

from facesearch.photos.parts import MOST_PARTS, Parts, keep

__all__ = ["read_gif"]


def read_gif(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Read the extensions before the first image and keep only the graphic control: comments may be endless."""
    stream.seek(0)
    flags = stream.read(11)[10]
    colours = 3 << (flags & 7) + 1 if flags & 0x80 else 0
    at = 13 + colours
    parts.picture = [(0, at)]
    start, kept, inside = at, False, False
    for _ in range(MOST_PARTS):
        stream.seek(at)
        if inside:
            length = stream.read(1)[0]
            at += 1 + length
            if not length:
                inside = False
                if kept:
                    keep(parts.picture, start, at)
            continue
        head = stream.read(2)
        if head[:1] != b"\x21":
            break
        start, kept, inside = at, head[1] == 0xF9, True
        at += 2
    else:
        parts.endless = True
    keep(parts.picture, at, size)
