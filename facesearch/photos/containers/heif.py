"""HEIF and AVIF: boxes, and items stored anywhere in the file."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from facesearch.photos.parts import EXIF, LARGEST_METADATA, MOST_PARTS, Parts

__all__ = ["read_heif"]

_LARGEST_META = 4 << 20


def read_heif(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Read the metadata items of HEIF and AVIF. The `meta` box lists them; they may be stored anywhere in the file."""
    meta = b""
    for kind, start, end in _boxes_in(stream, 0, size):
        if kind == b"meta" and end - start <= _LARGEST_META:
            stream.seek(start)
            meta = stream.read(end - start)
            break
    inside = {kind: meta[start:end] for kind, start, end in _boxes_in(io.BytesIO(meta), 4, len(meta))}
    kinds = _item_kinds(inside.get(b"iinf", b""))
    wanted = {"exif", "xmp"}
    for item, method, pieces in _item_places(inside.get(b"iloc", b"")):
        if kinds.get(item) not in wanted or sum(length for _, length in pieces) > LARGEST_METADATA:
            continue
        wanted.remove(kinds[item])  # only the first of each kind: a list may repeat one item endlessly
        source = {0: stream, 1: io.BytesIO(inside.get(b"idat", b""))}.get(method)
        data = b""
        for offset, length in pieces if source is not None else ():
            assert source is not None
            source.seek(min(offset, size))
            data += source.read(length)
        if kinds[item] == "xmp":
            parts.xmp = data
        elif len(data) > 4:
            parts.exif = data[4 + struct.unpack(">I", data[:4])[0] :].removeprefix(EXIF)


def _boxes_in(stream: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box and the start and end of its content."""
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head[:8])
        start = at + 8
        if length == 1:
            length, start = struct.unpack(">Q", head[8:16])[0], at + 16
        after = end if length == 0 else at + length
        if after < start or after > end:
            return
        yield kind, start, after
        at = after


def _item_kinds(iinf: bytes) -> dict[int, str]:
    """Map item numbers to "exif" or "xmp"; other items are ignored."""
    kinds = {}
    start = 6 if iinf[:1] == b"\0" else 8
    for kind, begin, end in _boxes_in(io.BytesIO(iinf), start, len(iinf)):
        entry = iinf[begin:end]
        if kind != b"infe" or entry[:1] not in (b"\2", b"\3"):
            continue
        wide = entry[0] == 3
        number = struct.unpack_from(">I" if wide else ">H", entry, 4)[0]
        name, rest = entry[10:14] if wide else entry[8:12], entry[14:] if wide else entry[12:]
        if name == b"Exif":
            kinds[number] = "exif"
        elif name == b"mime" and b"application/rdf+xml" in rest.split(b"\0")[1:2]:
            kinds[number] = "xmp"
    return kinds


def _item_places(iloc: bytes) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield each item's number, construction method (0: in the file, 1: in `idat`), and its pieces' starts and sizes.

    Stops after `MOST_PARTS` pieces: a piece may take no bytes in the list, so a small list can claim billions of them.
    """
    if len(iloc) < 8:
        return
    left = MOST_PARTS
    version = iloc[0]
    offset_size, length_size, base_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
    index_size = iloc[5] & 15 if version in (1, 2) else 0
    at = 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(iloc):
            raise IndexError
        at += size
        return int.from_bytes(iloc[at - size : at], "big")

    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base = number(base_size)
        pieces = []
        count = number(2)
        left -= count
        if left < 0:
            return
        for _ in range(count):
            number(index_size)
            offset = number(offset_size)
            pieces.append((base + offset, number(length_size)))
        yield item, method, pieces
