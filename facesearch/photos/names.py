"""Dates in the names of files and folders: what people, phones and messengers write there.

The year comes first, as everybody who sorts by name writes it: `1962-07-03`, `2019_07_03`, `20190703`. Eight digits
are a date only where they stand alone, name a day of the calendar, and belong to a year of photographs: counters and
serial numbers do not become dates. Which of day and month comes first in `03.07.2019` nobody can tell, so it says
nothing.
"""

from __future__ import annotations

import os
import re
from datetime import date, timedelta

from facesearch.photos.dates import taken_at
from facesearch.types import TakenAt

__all__ = ["date_in_path"]

_FIRST_DIGITAL_YEAR = 1990
"""What a camera names by itself, as `DSC_19620703`, has no date from before there were digital cameras."""

_TIME = r"(?:(?:[T _-]|_-_|, | at |_at_)([01]\d|2[0-3])[-:._h]?([0-5]\d)(?:[-:._m]?([0-5]\d))?(?!\d))?"
_SPACED = re.compile(rf"(?<![\d.])(\d{{4}})([-_. ])(\d\d)\2(\d\d)(?!\d){_TIME}", re.ASCII)
_PACKED = re.compile(
    r"(?:^|(?<=[^0-9A-Za-z])|(?<=^IMG)|(?<=^VID)|(?<=^DSC)|(?<=^PANO))(\d{4})(\d\d)(\d\d)"
    r"(?:[T _-]?([01]\d|2[0-3])[-_.:]?([0-5]\d)[-_.:]?([0-5]\d)(?=\D|\d{3}(?:\D|$)|$)|(?![0-9A-Za-z]))",
    re.ASCII,
)
_MONTH = re.compile(r"(\d{4})[-_.](\d\d)(?![\d]|[-_.]\d{1,2}(?!\d))", re.ASCII)
_FOLDER_MONTH = re.compile(r"(\d{4})(\d\d)(?:__)?", re.ASCII)  # as iPhones name them: 201907__
_YEAR_FIRST = re.compile(r"(\d{4})(?=$|[\s,_]|[-.](?!\d))", re.ASCII)
_YEAR_LAST = re.compile(r"[^\W\d].*[ _](\d{4})", re.ASCII)
_YEAR_AND_WORDS = re.compile(r"(\d{4}) (?!copy\b|kopie\b)(?=[^\W\d_]{2})", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\d{5}")
_CAMERAS = re.compile(r"(?:IMG|DSC[A-Z]?|VID|PANO|MVIMG|PXL|P|DSCN|DSCF|SAM|GOPR|WP|CAM)[-_ ]?$", re.IGNORECASE)
_IN_UTC = "PXL_"


def date_in_path(path: bytes) -> TakenAt | None:
    """The date in a photo's name, else in that of the folder nearest to it; None where none has one.

    Where a folder further out is more exact, and does not disagree, it counts: `1962-07 Italy/1962/tower.jpg`.
    Folders of numbers alone add up: `2019/07/03`.
    """
    *folders, name = map(os.fsdecode, path.split(os.fsencode(os.sep)))
    found = [_in_file_name(os.path.splitext(name)[0])]
    while folders:
        found.append(_in_numbers(folders) or _in_folder_name(folders[-1]))
        folders.pop()
    dates = [date for date in found if date is not None]
    best = dates[0] if dates else None
    for other in dates[1:]:
        if best is not None and _is_within(other, best):
            best = other
    return best


def _is_within(inner: TakenAt, outer: TakenAt) -> bool:
    known = {"year": 4, "month": 7, "day": 10, "minute": 16, "second": 19}
    length = known[outer.precision]
    return known[inner.precision] > length and inner.moment[:length] == outer.moment[:length]


def _in_file_name(stem: str) -> TakenAt | None:
    if _UUID.search(stem):
        return None
    for pattern in (_SPACED, _PACKED):
        for match in pattern.finditer(stem):
            before = stem[: match.start()]
            numbers = _numbers(match)
            by_camera = pattern is _PACKED and _CAMERAS.search(before)
            if (by_camera and numbers[0] < _FIRST_DIGITAL_YEAR) or _LONG_NUMBER.search(before):
                continue
            if stem.startswith(_IN_UTC):  # the time of day is not that of the place
                numbers = numbers[:3]
            if found := _plausible(*numbers):
                return found
    month_or_year = _MONTH.match(stem) or _YEAR_AND_WORDS.match(stem)
    return None if month_or_year is None else _plausible(*_numbers(month_or_year))


def _in_folder_name(name: str) -> TakenAt | None:
    matches = (
        _SPACED.search(name), _PACKED.match(name), _MONTH.match(name), _FOLDER_MONTH.fullmatch(name),
        _YEAR_FIRST.match(name), _YEAR_LAST.fullmatch(name),
    )  # fmt: skip
    for match in matches:
        if match and (found := _plausible(*_numbers(match)[:3])):
            return found
    return None


def _in_numbers(folders: list[str]) -> TakenAt | None:
    """`2019/07`, `2019/07/03`: folders of numbers, each inside the last."""
    for length in (3, 2):
        parts = folders[-length:]
        if len(parts) == length and re.fullmatch(r"\d{4}(/\d{1,2})+", "/".join(parts), re.ASCII):
            return _plausible(*map(int, parts))
    return None


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(part) for part in match.groups() if part is not None and part.isdigit()]


def _plausible(*numbers: int) -> TakenAt | None:
    """The moment, unless a part of it is 0 or it is still to come."""
    if 0 in numbers[:3]:
        return None
    found = taken_at(numbers, "name")
    tomorrow = (date.today() + timedelta(days=1)).isoformat()
    return found if found is not None and found.moment[:10] <= tomorrow else None
