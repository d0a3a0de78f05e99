"""The filter of a query as data; each gallery translates it into its own conditions."""

from __future__ import annotations

import os
import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from facesearch.arguments import AnyPaths, require_number, require_whole_number, several_paths
from facesearch.errors import UsageError
from facesearch.options import described

__all__ = ["Filter", "first_and_last_second", "least_and_most"]

_MOMENT = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which faces are searched. A field that is omitted excludes nothing.

    `under` and `not_under` are folders or photos: one path or several. They are stored as absolute paths in the
    system's bytes; a leading `~` in text is the home folder. `since` and `until` limit when a photo was taken, in local
    time, both ends included: a year, month, day, minute or second, such as `2019`, `2019-07`, `2019-07-31` or
    `2019-07-31T18:30`. They are stored as the first and the last second. A photo with only a day, month or year matches
    if any part of it lies between them; a photo without a date counts by its file's time. `min_face` is the shorter
    side of a face's box in pixels. `min_quality` lies in [0, 1]. `faces` limits the number of faces in a photo: a
    number, a pair, or text such as `2`, `1..3`, `..3` or `4..`. `photos` holds ids of photos; None means all. `person`
    is the number of a person whose faces pass. `index` is the name of one index in a shared gallery.

    Raises `UsageError` for an invalid value.
    """

    under: AnyPaths = described(
        (), "Only photos in this folder. May be repeated.", value="path", metavar="PATH", repeated=True
    )
    not_under: AnyPaths = described(
        (), "No photos in this folder. May be repeated.", value="path", metavar="PATH", repeated=True
    )
    since: str | None = described(
        None, "Only photos taken on this date or later: 2019, 2019-07 or 2019-07-31.", value="text", metavar="DATE"
    )
    until: str | None = described(None, "Only photos taken on this date or earlier.", value="text", metavar="DATE")
    min_face: float = described(
        0, "Only faces with a shorter side of at least this many pixels.", value="number", metavar="PX", least=0
    )
    min_quality: float = described(
        0,
        "Only faces of at least this quality: 0.2 is poor, 0.8 is good.",
        value="number",
        metavar="Q",
        least=0,
        most=1,
    )
    faces: int | str | tuple[int, int] | None = described(
        None, "Only photos with this number of faces: 2, 1..3, or 4.. for four or more.", value="text", metavar="N..M"
    )
    photos: frozenset[int] | None = None
    person: int | None = None
    index: str | None = None

    def __post_init__(self) -> None:
        for name in ("under", "not_under"):
            object.__setattr__(self, name, _absolute(name, getattr(self, name)))
        if self.since is not None and self.until is not None:
            since, until = first_and_last_second("since", self.since)[0], first_and_last_second("until", self.until)[1]
            if since > until:
                raise UsageError(
                    f"since {self.since} is later than until {self.until}; swap them",
                    option=("since", "until"),
                )
        if self.since is not None:
            object.__setattr__(self, "since", first_and_last_second("since", self.since)[0])
        if self.until is not None:
            object.__setattr__(self, "until", first_and_last_second("until", self.until)[1])
        require_number("min_face", self.min_face, 0)
        require_number("min_quality", self.min_quality, 0, 1)
        if self.faces is not None:
            object.__setattr__(self, "faces", least_and_most(self.faces))
        if self.photos is not None:
            object.__setattr__(self, "photos", frozenset(self.photos))
        if self.person is not None:
            require_whole_number("person", self.person, 1)

    @property
    def folders(self) -> tuple[bytes, ...]:
        """`under` as absolute paths."""
        return cast("tuple[bytes, ...]", self.under)

    @property
    def other_folders(self) -> tuple[bytes, ...]:
        """`not_under` as absolute paths."""
        return cast("tuple[bytes, ...]", self.not_under)

    @property
    def number_of_faces(self) -> tuple[int, int] | None:
        """`faces` as the least and the greatest number."""
        return cast("tuple[int, int] | None", self.faces)

    @property
    def lets_all_through(self) -> bool:
        """Whether all faces pass."""
        return self == Filter()


def first_and_last_second(name: str, text: str) -> tuple[str, str]:
    """Return the first and the last second of a year, month, day, minute or second as `YYYY-MM-DDTHH:MM:SS`.

    Raises `UsageError` with the option `name`.
    """
    match = _MOMENT.fullmatch(str(text).strip())
    given = [int(part) for part in match.groups() if part is not None] if match else []
    try:
        first = datetime(*[*given, *(1, 1, 0, 0, 0)[len(given) - 1 :]])  # type: ignore[arg-type]
        days = monthrange(first.year, given[1] if len(given) > 1 else 12)[1]
        last = datetime(*[*given, *(12, days, 23, 59, 59)[len(given) - 1 :]])  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{name} {text}: not a date; write it as 2019, 2019-07, 2019-07-31 or 2019-07-31T18:30", option=name
        ) from error
    return first.isoformat(), last.isoformat()


def least_and_most(faces: int | str | tuple[int, int]) -> tuple[int, int]:
    """Return the least and the greatest of a number, a pair, `2`, `1..3`, `..3` or `4..`. Raises `UsageError`."""
    if isinstance(faces, tuple) and len(faces) == 2 and all(isinstance(end, int) for end in faces):
        least, most = faces
    else:
        match = re.fullmatch(r"(\d{0,6})(\.\.)?(\d{0,6})", str(faces).strip(), re.ASCII)
        if match is None or not (match[1] or match[3]) or (match[3] and not match[2]):
            raise UsageError(f"faces {faces}: give a number such as 2, or a range: 1..3, ..3 or 4..", option="faces")
        least = int(match[1] or 0)
        most = int(match[3]) if match[3] else 10**6 if match[2] else least
    if least > most:
        raise UsageError(f"faces {faces}: the range is reversed; write {most}..{least}", option="faces")
    return least, most


def _absolute(name: str, paths: AnyPaths) -> tuple[bytes, ...]:
    return tuple(os.fsencode(os.path.abspath(path)) for path in several_paths(name, paths))
