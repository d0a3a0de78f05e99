"""Read when a photo was taken and its orientation from XMP, the XML inside photos.

A packet is untrusted. The event parser keeps nothing of it, refuses document type declarations and so every entity that
could expand, and stops at the first error; the properties before it count.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

from facesearch.photos.dates import parsed_date
from facesearch.types import TakenAt

__all__ = ["Xmp", "read_xmp"]

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DESCRIPTION = [f"{_RDF} RDF", f"{_RDF} Description"]
_EXIF, _PHOTOSHOP, _TIFF = (f"http://ns.adobe.com/{name}/1.0/" for name in ("exif", "photoshop", "tiff"))
_DATES = (f"{_EXIF} DateTimeOriginal", f"{_PHOTOSHOP} DateCreated")
_ORIENTATION = f"{_TIFF} Orientation"
_WANTED = (*_DATES, _ORIENTATION)
_LONGEST_VALUE = 200


class Xmp(NamedTuple):
    """The properties of a photo; `orientation` is EXIF's number from 1 to 8, or None."""

    taken: TakenAt | None
    orientation: int | None


class _RefusedError(Exception):
    """The packet declares a document type."""


def read_xmp(packet: bytes) -> Xmp:
    """Return the properties of the photo in a packet; all None if it is not XMP. Nested parts do not count."""
    values = _values(packet)
    dates = (parsed_date(values[name], "xmp") for name in _DATES if name in values)
    orientation = values.get(_ORIENTATION, "").strip()
    return Xmp(
        next((date for date in dates if date is not None), None),
        int(orientation) if orientation in tuple("12345678") else None,
    )


def _values(packet: bytes) -> dict[str, str]:
    """Return the wanted properties of the photo itself, written as attributes or as elements."""
    found: dict[str, str] = {}
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        if path[-2:] == _DESCRIPTION and path.count(_DESCRIPTION[1]) == 1:
            for wanted in _WANTED:
                if wanted in attributes:
                    found.setdefault(wanted, attributes[wanted][:_LONGEST_VALUE])

    def text(data: str) -> None:
        if path and path[-1] in _WANTED and path[-3:-1] == _DESCRIPTION:
            found[path[-1]] = (found.get(path[-1], "") + data)[:_LONGEST_VALUE]

    def end(_name: str) -> None:
        path.pop()

    def refuse(*_declaration: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(packet.strip(b"\0"), True)
    except (expat.ExpatError, _RefusedError, ValueError):
        pass
    return found
