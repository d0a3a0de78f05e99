"""What a photo's file is made of: where its metadata lies, and its picture without it, told without decoding anything.

Decoders read all metadata to get at the picture: Pillow takes 46 seconds for a JPEG with 100 MB of EXIF, and refuses
a PNG for a long text beside its picture. So metadata is read by `facesearch.photos.containers`, each kind up to a
limit, and a decoder is given the parts that make the picture.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["EXIF", "LARGEST_METADATA", "MOST_PARTS", "Parts", "Pieces", "keep"]

LARGEST_METADATA = 1 << 20
"""Bytes of each kind of metadata that are read."""

MOST_PARTS = 100_000
"""Of a file that is read; those of a gigabyte have fewer."""

EXIF = b"Exif\0\0"
"""What stands before EXIF in many formats, and in some by mistake."""


@dataclass(slots=True)
class Parts:
    """What was found: `exif` (which begins as TIFF does), `xmp`, and `photoshop`'s resources, empty where missing.

    `picture` are the stretches of the file that a decoder needs, as start and end, after a `head` that is not in it;
    empty for the whole file.
    `coefficients` is how many bytes for each pixel a JPEG's decoder keeps of the whole picture, however small it is
    decoded; 0 where it need not. `endless` tells that there are more parts than any program writes. `is_tiff`: the
    whole file is what `exif` is elsewhere.
    """

    exif: bytes = b""
    xmp: bytes = b""
    photoshop: bytes = b""
    picture: list[tuple[int, int]] = field(default_factory=list)
    head: bytes = b""
    coefficients: float = 0.0
    endless: bool = False
    is_tiff: bool = False


class Pieces(io.RawIOBase):
    """A file of which only some stretches are left, with a `head` before them, to be read as one."""

    def __init__(self, stream: BinaryIO, stretches: list[tuple[int, int]], head: bytes = b"") -> None:
        super().__init__()
        self._stretches = [(stream, start, end) for start, end in stretches]
        if head:
            self._stretches.insert(0, (io.BytesIO(head), 0, len(head)))
        self._length = len(head) + sum(end - start for start, end in stretches)
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As files do."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """As files do."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """As files do."""
        left = self._length - self._position
        left = max(0, left if size is None or size < 0 else min(size, left))
        pieces = []
        before = 0
        for stream, start, end in self._stretches:
            inside = self._position - before
            if left and 0 <= inside < end - start:
                stream.seek(start + inside)
                piece = stream.read(min(left, end - start - inside))
                pieces.append(piece)
                self._position += len(piece)
                left -= len(piece)
            before += end - start
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def keep(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    """One more stretch of a file, joined to the last where it goes on from there."""
    if stretches and stretches[-1][1] == start:
        stretches[-1] = (stretches[-1][0], end)
    elif end > start:
        stretches.append((start, end))
