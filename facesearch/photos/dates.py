"""Parse full or partial dates in the spellings of EXIF, XMP and IPTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from facesearch.types import DateSource, Precision, TakenAt

__all__ = ["EARLIEST_YEAR", "parsed_date", "taken_at"]

EARLIEST_YEAR = 1826
"""The year of the oldest surviving photograph. Earlier dates are ignored."""

_PRECISIONS: tuple[Precision, ...] = ("year", "month", "day", "minute", "minute", "second")
# EXIF has colons in dates and spaces for unknown parts, XMP follows ISO 8601; some programs write single digits.
_PART = r"(\d\d?|  )"
_CLOCK = rf"[T ]+{_PART}:{_PART}(?::{_PART}(?:[.,]\d+)?)?"
_WRITTEN = re.compile(
    rf"(\d{{4}})(?:[-:/.]{_PART}(?:[-:/.]{_PART}(?:{_CLOCK})?)?)?\s*(Z|[+-]\d\d:?\d\d)?(?!\d)", re.ASCII
)


def taken_at(numbers: Sequence[int], source: DateSource, offset: str = "") -> TakenAt | None:
    """Return the moment for year, month, day, hour, minute and second, or for the first few of them.

    A month or day of 0 is unknown, and so is everything after it. An invalid time is ignored. Returns None for an
    invalid date.
    """
    year, *rest = numbers
    known = [year]
    for number in rest[:2]:
        if number == 0:
            break
        known.append(number)
    else:
        if len(rest) >= 4 and rest[2] < 24 and rest[3] < 60:
            known += [number for number in rest[2:5] if number < 60]
    try:
        moment = datetime(*[*known, *(1, 1, 0, 0, 0)[len(known) - 1 :]])  # type: ignore[arg-type]
    except ValueError:
        return None
    if year < EARLIEST_YEAR:
        return None
    return TakenAt(moment.isoformat(), source, _PRECISIONS[len(known) - 1], offset if len(known) > 3 else "")


def parsed_date(text: str, source: DateSource, offset: str = "") -> TakenAt | None:
    """Parse a date in EXIF's or XMP's spelling; `offset` is used if the text has none. Returns None if it is no date.

    Other text may follow a date. Four digits are a year only if nothing follows: other texts begin with them, too.
    """
    text = text.strip("\0 \t\r\n")[:40]
    match = _WRITTEN.match(text)
    if match is None or (match[2] is None and match.end() < len(text)):
        return None
    *parts, zone = match.groups()
    numbers = []
    for part in parts:
        if part is None or part.isspace():
            break
        numbers.append(int(part))
    return taken_at(numbers, source, _offset(zone) or _offset(offset))


def _offset(text: str | None) -> str:
    """Return an offset from UTC as `+02:00`, from any of its spellings; empty if it is not an offset."""
    text = (text or "").strip("\0 ")
    if text == "Z":
        return "+00:00"
    match = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text, re.ASCII)
    return f"{match[1]}{match[2]}:{match[3]}" if match and int(match[2]) < 24 and int(match[3]) < 60 else ""
