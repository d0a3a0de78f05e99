"""The parts of a photo's file: its metadata, and its image data without them. Nothing is decoded.

Decoders read all metadata to reach the image: Pillow takes 46 seconds for a JPEG with 100 MB of EXIF, and refuses a PNG
that contains a long text. So `facesearch.photos.containers` reads each kind of metadata up to a limit, and a decoder is
given only the image data.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["EXIF", "LARGEST_METADATA", "MOST_PARTS", "Parts", "Pieces", "keep"]

LARGEST_METADATA = 1 << 20
"""The limit in bytes for each kind of metadata."""

MOST_PARTS = 100_000
"""The limit of parts per file; files of a gigabyte have fewer."""

EXIF = b"Exif\0\0"
"""The prefix of EXIF in many formats; in some it is written by mistake."""


@dataclass(slots=True)
class Parts:
    """The parts of one file: `exif` (it starts with a TIFF header), `xmp` and `photoshop` resources; empty if missing.

    `picture` lists the ranges of the file that a decoder needs, as start and end; empty for the whole file. `head` is
    put before them and is not in the file. `coefficients` is the number of bytes per pixel of the whole image that a
    JPEG decoder keeps at any decoded size; 0 if it keeps none. `endless` is set if the file has more parts than any
    program writes. `is_tiff` is set if the whole file has the structure of `exif`.
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
    """A read-only stream of some ranges of a file, with `head` before them."""

    def __init__(self, stream: BinaryIO, stretches: list[tuple[int, int]], head: bytes = b"") -> None:
        super().__init__()
        self._stretches = [(stream, start, end) for start, end in stretches]
        if head:
            self._stretches.insert(0, (io.BytesIO(head), 0, len(head)))
        self._length = len(head) + sum(end - start for start, end in stretches)
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """See `io.IOBase.tell`."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """See `io.RawIOBase.read`."""
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
    """Add a range of a file, and join it to the last one if they are adjacent."""
    if stretches and stretches[-1][1] == start:
        stretches[-1] = (stretches[-1][0], end)
    elif end > start:
        stretches.append((start, end))
