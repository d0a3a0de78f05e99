"""JPEG: read the segments before the first scan, and estimate what decoding the scans costs."""

from __future__ import annotations

import struct
from typing import BinaryIO

from facesearch.photos.parts import EXIF, LARGEST_METADATA, MOST_PARTS, Parts, Pieces, keep

__all__ = ["read_jpeg", "scans_of"]

_XMP, _PHOTOSHOP = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"


def read_jpeg(stream: BinaryIO, size: int, parts: Parts) -> None:
    """Read the segments before the first scan. Colour profiles and tables of further images count as metadata."""
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
            keep(parts.picture, at, at + length)
        at += length
    else:
        parts.endless = True
    keep(parts.picture, at, size)


def scans_of(stream: BinaryIO, parts: Parts) -> int:
    """Return the number of passes that the decoder makes over the image. Reads the file if there are several scans."""
    if not parts.coefficients:
        return 1
    source, scans, last = Pieces(stream, parts.picture), 0, b""
    source.seek(0)
    while piece := source.read(LARGEST_METADATA):
        scans += (last + piece).count(b"\xff\xda")
        last = piece[-1:]
    return scans


def _metadata(stream: BinaryIO, length: int, parts: Parts) -> None:
    """Read the content of a segment. EXIF and Photoshop resources may continue in later segments."""
    name = stream.read(min(length, len(_XMP)))
    for kind, field_name in ((EXIF, "exif"), (_PHOTOSHOP, "photoshop"), (_XMP, "xmp")):
        known = getattr(parts, field_name)
        if name.startswith(kind) and len(known) < (1 if kind == _XMP else LARGEST_METADATA):
            setattr(parts, field_name, known + name[len(kind) :] + stream.read(length - len(name)))


def _coefficients(frame: bytes, components: int) -> float:
    """Return the bytes per pixel that the decoder keeps until the last of several scans; 0 for a single scan.

    `frame` is the marker of the frame and its header; `components` is the number of components in the first scan.
    """
    sampling = [frame[at] for at in range(8, 8 + 3 * frame[6], 3)]
    if frame[0] not in (0xC2, 0xC6, 0xCA, 0xCE) and components == len(sampling):
        return 0.0
    areas = [(both >> 4) * (both & 15) for both in sampling]
    largest = max(both >> 4 for both in sampling) * max(both & 15 for both in sampling)
    return 2.0 * sum(areas) / max(1, largest)
