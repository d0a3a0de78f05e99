"""Read selected tags from the directories of TIFF, which EXIF uses too, within limits.

A tag may claim any size and any place in the file, and many tags may claim the same place. So only the wanted tags are
read, each up to a limit.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import BinaryIO, NamedTuple

__all__ = ["Tag", "Tags"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONALS = {5: "I", 10: "i"}
_MOST_TAGS = 4096
_LONGEST = 1 << 20


class Tag(NamedTuple):
    """The bytes of a value and their type; the properties decode them."""

    order: str
    kind: int
    data: bytes

    @property
    def text(self) -> str:
        """The text up to the first NUL."""
        return self.data.split(b"\0", 1)[0].decode("utf-8", "replace")

    @property
    def number(self) -> int | None:
        """The first of its integers; None if there is none."""
        code = _INTEGERS.get(self.kind)
        size = _SIZES.get(self.kind, 0)
        if code is None or len(self.data) < size:
            return None
        return int(struct.unpack(self.order + code, self.data[:size])[0])

    @property
    def fractions(self) -> list[float]:
        """Its rational numbers. Raises `ZeroDivisionError` if a denominator is 0."""
        code = _RATIONALS.get(self.kind)
        if code is None:
            return []
        numbers = struct.unpack(f"{self.order}{len(self.data) // 8 * 2}{code}", self.data[: len(self.data) // 8 * 8])
        return [above / below for above, below in zip(numbers[::2], numbers[1::2], strict=True)]


class Tags:
    """The directories in a TIFF or BigTIFF file or a block of EXIF. Raises `ValueError` for anything else."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.seek(0)
        head = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        magic = None if order is None or len(head) < 8 else struct.unpack(order + "H", head[2:4])[0]
        if order is None or magic not in (42, 43) or (magic == 43 and len(head) < 16):
            raise ValueError("no TIFF header")
        self._order = order
        self._big = magic == 43
        self.first: int = (
            struct.unpack(order + "Q", head[8:])[0] if self._big else struct.unpack(order + "I", head[4:8])[0]
        )
        """The offset of the first directory."""

    def read(self, offset: int, wanted: Collection[int]) -> dict[int, Tag]:
        """Return the wanted tags of the directory at an offset, by number; omits values that lie outside the file."""
        count_code, entry = ("Q", "HHQ8s") if self._big else ("H", "HHI4s")
        size = struct.calcsize(self._order + entry)
        length = struct.calcsize(self._order + count_code)
        head = self._at(offset, length)
        if len(head) < length:
            return {}
        count = min(struct.unpack(self._order + count_code, head)[0], _MOST_TAGS)
        entries = self._at(offset + length, count * size)
        found: dict[int, Tag] = {}
        for start in range(0, len(entries) - size + 1, size):
            number, kind, values, place = struct.unpack(self._order + entry, entries[start : start + size])
            if number in wanted and kind in _SIZES and number not in found:
                whole = values * _SIZES[kind]
                if whole <= len(place):
                    found[number] = Tag(self._order, kind, place[:whole])
                else:
                    at = struct.unpack(self._order + ("Q" if self._big else "I"), place)[0]
                    data = self._at(at, min(whole, _LONGEST))
                    if len(data) == min(whole, _LONGEST):
                        found[number] = Tag(self._order, kind, data)
        return found

    def _at(self, offset: int, length: int) -> bytes:
        if offset >= 1 << 62:
            return b""
        self._stream.seek(offset)
        return self._stream.read(length)
