"""Read when a photo was taken from IPTC-IIM, the oldest format for captions inside photos."""

from __future__ import annotations

import re
from collections.abc import Iterator

from facesearch.photos.dates import parsed_date, taken_at
from facesearch.types import TakenAt

__all__ = ["iptc_date", "iptc_in_photoshop"]

_BLOCK, _IPTC = b"8BIM", 0x0404
_APPLICATION_RECORD, _DATE_CREATED, _TIME_CREATED = 2, 55, 60
_MOST_BLOCKS = 1000


def iptc_in_photoshop(resources: bytes) -> bytes:
    """Return the IPTC records in Photoshop's image resources; empty if there are none."""
    at = 0
    for _ in range(_MOST_BLOCKS):
        if resources[at : at + 4] != _BLOCK or at + 7 > len(resources):
            break
        kind = int.from_bytes(resources[at + 4 : at + 6], "big")
        at += 6 + (1 + resources[at + 6] + 1) // 2 * 2  # the name: a length byte and the text, padded to an even length
        size = int.from_bytes(resources[at : at + 4], "big")
        if kind == _IPTC:
            return resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""


def iptc_date(records: bytes) -> TakenAt | None:
    """Return the creation date and time. A month or day of 0 is unknown. None if there is no date."""
    values: dict[int, str] = {}
    for record, number, value in _datasets(records):
        if record == _APPLICATION_RECORD and number in (_DATE_CREATED, _TIME_CREATED):
            values.setdefault(number, value.decode("latin-1").strip("\0 "))
    date, time = values.get(_DATE_CREATED, ""), values.get(_TIME_CREATED, "")
    day = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", date, re.ASCII)
    if day is None:
        return parsed_date(date, "iptc")
    clock = re.match(r"(\d\d):?(\d\d):?(\d\d)(?:([+-]\d\d):?(\d\d))?", time, re.ASCII)
    numbers = [int(part) for part in (*day.groups(), *(clock.groups()[:3] if clock else ()))]
    return taken_at(numbers, "iptc", f"{clock[4]}:{clock[5]}" if clock and clock[4] else "")


def _datasets(records: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the record, number and value of each dataset; stop at the first invalid one."""
    at = 0
    while at + 5 <= len(records) and records[at] == 0x1C:
        size = int.from_bytes(records[at + 3 : at + 5], "big")
        if size & 0x8000:  # an extended length follows: larger than anything needed here
            return
        yield records[at + 1], records[at + 2], records[at + 5 : at + 5 + size]
        at += 5 + size
