"""Find dates in the names of files and folders, as people, phones and messengers write them.

The year comes first, so that names sort by date: `1962-07-03`, `2019_07_03`, `20190703`. Eight digits are a date only
if they stand alone and form a valid date in the age of photography: counters and serial numbers do not become dates.
`03.07.2019` is ignored, because it does not show whether the day or the month comes first.
"""

from __future__ import annotations

import os
import re
from datetime import date, timedelta

from facesearch.photos.dates import taken_at
from facesearch.types import TakenAt

__all__ = ["date_in_path"]

_FIRST_DIGITAL_YEAR = 1990
"""Names that a camera chose, such as `DSC_19620703`, cannot hold a date from before digital cameras."""

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
    """Return the date in a photo's name, or else in the name of its nearest dated folder; None if there is no date.

    A folder further out counts if it agrees and is more precise: `1962-07 Italy/1962/tower.jpg`. Folders whose names
    are only numbers are combined: `2019/07/03`.
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
            if stem.startswith(_IN_UTC):  # the time of day is UTC, not local time
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
    """Return the date of nested folders whose names are only numbers: `2019/07`, `2019/07/03`."""
    for length in (3, 2):
        parts = folders[-length:]
        if len(parts) == length and re.fullmatch(r"\d{4}(/\d{1,2})+", "/".join(parts), re.ASCII):
            return _plausible(*map(int, parts))
    return None


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(part) for part in match.groups() if part is not None and part.isdigit()]


def _plausible(*numbers: int) -> TakenAt | None:
    """Return the moment; None if a part of its date is 0 or it lies in the future."""
    if 0 in numbers[:3]:
        return None
    found = taken_at(numbers, "name")
    tomorrow = (date.today() + timedelta(days=1)).isoformat()
    return found if found is not None and found.moment[:10] <= tomorrow else None
