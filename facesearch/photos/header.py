"""Read when and where a photo was taken, its orientation and its origin from the metadata of its file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from facesearch.photos.dates import parsed_date
from facesearch.photos.formats import read_parts
from facesearch.photos.iptc import iptc_date, iptc_in_photoshop
from facesearch.photos.parts import Parts
from facesearch.photos.tags import Tag, Tags
from facesearch.photos.xmp import Xmp, read_xmp
from facesearch.types import TakenAt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEADER_VERSION", "MADE_BY", "Header", "header_of", "read_header"]

HEADER_VERSION = 1
"""Increase this when headers are read differently; the headers of known photos are then read again."""

MADE_BY = "made by facesearch"
"""The mark in every file that facesearch makes, in images as EXIF Software: it may be replaced, and is not a photo."""

_ORIENTATION, _SOFTWARE, _EXIF_IFD, _GPS_IFD = 0x0112, 0x0131, 0x8769, 0x8825
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_ORIGINAL, _DIGITIZED, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED = 0x9003, 0x9004, 0x9011, 0x9012


class Header(NamedTuple):
    """The metadata of a photo: `position` is latitude and longitude in degrees, `orientation` EXIF's number, 1 to 8.

    `ours` is set if facesearch made the image.
    """

    taken: TakenAt | None = None
    position: tuple[float, float] | None = None
    orientation: int = 1
    ours: bool = False


def read_header(stream: BinaryIO) -> Header:
    """Read the header of a photo's file; empty if the format is unknown.

    Raises `OSError` if the file cannot be read.
    """
    found = read_parts(stream)
    return Header() if found is None else header_of(stream, found[1])


def header_of(stream: BinaryIO, parts: Parts) -> Header:
    """Return the header from the parts of a file.

    Dates written by the camera come first, with the exposure before digitisation, then dates written into the file
    later. EXIF's `DateTime` is ignored: it is when the file was last changed and says nothing about the photo.
    """
    try:
        directories = Tags(stream if parts.is_tiff else io.BytesIO(parts.exif))
        tags = directories.read(
            directories.first, (_ORIENTATION, _SOFTWARE, _EXIF_IFD, _GPS_IFD, _XMP, _IPTC, _PHOTOSHOP)
        )
        exif = _directory(directories, tags, _EXIF_IFD, (_ORIGINAL, _DIGITIZED, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED))
        gps = _directory(directories, tags, _GPS_IFD, (1, 2, 3, 4))
    except ValueError:
        tags, exif, gps = {}, {}, {}
    packet = parts.xmp or (tags[_XMP].data if _XMP in tags else b"")
    xmp = read_xmp(packet) if packet else Xmp(None, None)
    orientation = tags[_ORIENTATION].number if _ORIENTATION in tags else xmp.orientation
    return Header(
        _exposed(exif) or xmp.taken or _captioned(parts, tags),
        _position(gps),
        orientation if orientation is not None and 1 <= orientation <= 8 else 1,
        _SOFTWARE in tags and tags[_SOFTWARE].text == MADE_BY,
    )


def _directory(directories: Tags, tags: Mapping[int, Tag], pointer: int, wanted: tuple[int, ...]) -> dict[int, Tag]:
    offset = tags[pointer].number if pointer in tags else None
    return directories.read(offset, wanted) if offset is not None and offset > 0 else {}


def _exposed(exif: Mapping[int, Tag]) -> TakenAt | None:
    for when, offset in ((_ORIGINAL, _OFFSET_ORIGINAL), (_DIGITIZED, _OFFSET_DIGITIZED)):
        if when in exif:
            found = parsed_date(exif[when].text, "exif", exif[offset].text if offset in exif else "")
            if found is not None:
                return found
    return None


def _captioned(parts: Parts, tags: Mapping[int, Tag]) -> TakenAt | None:
    of_tiff = tags[_PHOTOSHOP].data if _PHOTOSHOP in tags else b""
    for records in (tags[_IPTC].data if _IPTC in tags else b"", iptc_in_photoshop(parts.photoshop or of_tiff)):
        if records and (found := iptc_date(records)):
            return found
    return None


def _position(gps: Mapping[int, Tag]) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees; None if EXIF has none or they are invalid."""
    try:
        latitude = _degrees(gps[2].fractions, negative=gps[1].text == "S")
        longitude = _degrees(gps[4].fractions, negative=gps[3].text == "W")
    except (KeyError, ValueError, ZeroDivisionError):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return latitude, longitude


def _degrees(parts: list[float], *, negative: bool) -> float:
    degrees, minutes, seconds = parts
    value = degrees + minutes / 60 + seconds / 3600
    return -value if negative else value
