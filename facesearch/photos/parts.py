"""What a photo's file is made of: where its metadata lies, and its picture without it, told without decoding anything.

Decoders read all metadata to get at the picture: Pillow takes 46 seconds for a JPEG with 100 MB of EXIF, and refuses
a PNG for a long text beside its picture. So metadata is read here, each kind up to a limit, and a decoder is given the
parts that make the picture. Nothing here raises anything but `OSError` from the file itself: where a file stops making
sense, the reading stops.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["MOST_PARTS", "Parts", "Pieces", "format_of", "read_parts", "scans_of"]

_LIMIT = 1 << 20
MOST_PARTS = 100_000
"""Of a file that is read; those of a gigabyte have fewer."""

_EXIF, _XMP, _PHOTOSHOP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_PNG_XMP, _PNG_EXIF = b"XML:com.adobe.xmp", (b"Raw profile type exif", b"Raw profile type APP1")
_PNG_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_LARGEST_META = 4 << 20
_HEAD = 16


@dataclass(slots=True)
class Parts:
    """What was found: `exif` (which begins as TIFF does), `xmp`, and `photoshop`'s resources, empty where missing.

    `picture` are the stretches of the file that a decoder needs, as start and end, after a `head` that is not in it;
    empty for the whole file.
    `coefficients` is how many bytes for each pixel a JPEG's decoder keeps of the whole picture, however small it is
    decoded; 0 where it need not. `endless` tells that there are more parts than any program writes.
    """

    format: str
    exif: bytes = b""
    xmp: bytes = b""
    photoshop: bytes = b""
    picture: list[tuple[int, int]] = field(default_factory=list)
    head: bytes = b""
    coefficients: float = 0.0
    endless: bool = False


def format_of(head: bytes) -> str | None:
    """The format that the first 16 bytes announce: names lie, a PNG may be called .jpg."""
    if head.startswith(b"\xff\xd8"):
        return "JPEG"
    if head.startswith(b"\x89PNG"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return "AVIF" if head[8:12] in (b"avif", b"avis") else "HEIF"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head.startswith(b"GIF8"):
        return "GIF"
    if head.startswith(b"BM"):
        return "BMP"
    return None


def read_parts(stream: BinaryIO) -> Parts | None:
    """The parts of a file, read from its beginning; None where its format is not known."""
    stream.seek(0)
    format_name = format_of(stream.read(_HEAD))
    if format_name is None:
        return None
    parts = Parts(format_name)
    reader = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "WEBP": _webp, "AVIF": _boxes, "HEIF": _boxes}.get(format_name)
    if reader is not None:
        size = stream.seek(0, io.SEEK_END)
        try:
            reader(stream, size, parts)
        except (struct.error, IndexError, zlib.error, OverflowError):
            pass  # cut short: what was found until there counts
    return parts


def scans_of(stream: BinaryIO, parts: Parts) -> int:
    """How often a JPEG's decoder goes over the whole picture; for a picture of several scans the file is read."""
    if not parts.coefficients:
        return 1
    source, scans, last = Pieces(stream, parts.picture), 0, b""
    source.seek(0)
    while piece := source.read(_LIMIT):
        scans += (last + piece).count(b"\xff\xda")
        last = piece[-1:]
    return scans


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


def _jpeg(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Segments up to the first scan. Colour profiles and the tables of further pictures count as metadata."""
    parts.picture, at = [(0, 2)], 2
    frame = b""
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker, length = head[1], 2 + struct.unpack(">H", head[2:])[0]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xDA:
            parts.coefficients = _coefficients(frame, stream.read(1)[0])
            break
        if marker in (0xE1, 0xED):
            _metadata(stream, length - 4, parts)
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = bytes([marker]) + stream.read(length - 4)
        if marker in (0xE0, 0xEE) or not 0xE0 <= marker <= 0xFE:
            _append(parts.picture, at, at + length)
        at += length
    else:
        parts.endless = True
    _append(parts.picture, at, size)


def _metadata(stream: BinaryIO, length: int, parts: Parts) -> None:
    """A segment's content. EXIF and Photoshop's resources may go on in further segments."""
    name = stream.read(min(length, len(_XMP)))
    for kind, field_name in ((_EXIF, "exif"), (_PHOTOSHOP, "photoshop"), (_XMP, "xmp")):
        known = getattr(parts, field_name)
        if name.startswith(kind) and len(known) < (1 if kind == _XMP else _LIMIT):
            setattr(parts, field_name, known + name[len(kind) :] + stream.read(length - len(name)))


def _coefficients(frame: bytes, components: int) -> float:
    """Bytes for each pixel of a picture that comes in several scans: all of it is kept until the last. Else 0.

    `frame` is the marker of the frame with its header, `components` how many of them are in the first scan.
    """
    sampling = [frame[at] for at in range(8, 8 + 3 * frame[6], 3)]
    if frame[0] not in (0xC2, 0xC6, 0xCA, 0xCE) and components == len(sampling):
        return 0.0
    areas = [(both >> 4) * (both & 15) for both in sampling]
    largest = max(both >> 4 for both in sampling) * max(both & 15 for both in sampling)
    return 2.0 * sum(areas) / max(1, largest)


def _append(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    if stretches and stretches[-1][1] == start:
        stretches[-1] = (stretches[-1][0], end)
    elif end > start:
        stretches.append((start, end))


def _png(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Chunks up to the end. Of an animation the picture is what programs show that know nothing of animations."""
    parts.picture, at = [(0, 8)], 8
    keys = {_PNG_XMP, *_PNG_EXIF}
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf" and length <= _LIMIT and not parts.exif:
            parts.exif = stream.read(length)
        elif kind in (b"iTXt", b"zTXt", b"tEXt") and length <= _LIMIT:
            key, _, text = stream.read(length).partition(b"\0")
            if key in keys:  # the first of each: a text may unpack to a thousand times its size
                keys.remove(key)
                _png_text(kind, key, text, parts)
        if kind in _PNG_PICTURE:
            _append(parts.picture, at, min(at + 12 + length, size))
        at += 12 + length
        if kind == b"IEND" or at >= size:
            break
    else:
        parts.endless = True


def _png_text(kind: bytes, key: bytes, rest: bytes, parts: Parts) -> None:
    """XMP, and EXIF as ImageMagick writes it: hexadecimal, after a name and a length."""
    if kind == b"iTXt" and key == _PNG_XMP:
        packed, text = rest[0], rest[2:].split(b"\0", 2)[2]
        parts.xmp = _unpacked(text) if packed else text
    elif key in _PNG_EXIF and not parts.exif:
        text = _unpacked(rest[1:]) if kind == b"zTXt" else rest
        try:
            data = bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
        except ValueError:
            return
        parts.exif = data.removeprefix(_EXIF)


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _LIMIT)


def _gif(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Extensions up to the first picture. Only the one that says how to show it is kept: comments may be endless."""
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
                    _append(parts.picture, start, at)
            continue
        head = stream.read(2)
        if head[:1] != b"\x21":
            break
        start, kept, inside = at, head[1] == 0xF9, True
        at += 2
    else:
        parts.endless = True
    _append(parts.picture, at, size)


def _webp(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Chunks up to the end; the file's head tells how long they are together, so it is another without the metadata."""
    at = 12
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF" and length <= _LIMIT and not parts.exif:
            parts.exif = stream.read(length).removeprefix(_EXIF)
        elif kind == b"XMP " and length <= _LIMIT and not parts.xmp:
            parts.xmp = stream.read(length)
        after = at + 8 + length + length % 2
        if kind not in (b"EXIF", b"XMP ", b"ICCP"):
            _append(parts.picture, at, min(after, size))
        at = after
        if at >= size:
            break
    else:
        parts.endless = True
    if at > size + 1:  # cut short, as its decoder has to see
        parts.picture = []
    elif parts.picture:
        length = 4 + sum(end - start for start, end in parts.picture)
        parts.head = b"RIFF" + struct.pack("<I", length) + b"WEBP"


def _boxes(stream: BinaryIO, size: int, parts: Parts) -> None:
    """HEIF and AVIF: items with metadata, listed in the box `meta` and lying anywhere in the file."""
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
        if kinds.get(item) not in wanted or sum(length for _, length in pieces) > _LIMIT:
            continue
        wanted.remove(kinds[item])  # the first of each: a list may name one item without end
        source = {0: stream, 1: io.BytesIO(inside.get(b"idat", b""))}.get(method)
        data = b""
        for offset, length in pieces if source is not None else ():
            assert source is not None
            source.seek(min(offset, size))
            data += source.read(length)
        if kinds[item] == "xmp":
            parts.xmp = data
        elif len(data) > 4:
            parts.exif = data[4 + struct.unpack(">I", data[:4])[0] :].removeprefix(_EXIF)


def _boxes_in(stream: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box, and where its content begins and ends."""
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
    """The items that are EXIF or XMP, by number."""
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
    """Each item's number, how its place is told (0: in the file, 1: in `idat`), its pieces' starts and sizes.

    Ends after `MOST_PARTS` pieces: one may take no bytes in the list, which then has thousands of millions of them.
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
