"""Which faces are searched at all, as data that every gallery turns into its own kind of condition."""

from __future__ import annotations

import os
import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from facesearch.errors import UsageError
from facesearch.options import described

Paths = str | bytes | os.PathLike[str] | Iterable[str | bytes | os.PathLike[str]]
"""One path, or several."""

__all__ = ["Filter", "Paths", "first_and_last_second", "least_and_most"]

_MOMENT = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which faces are searched; what is not given leaves nothing out.

    `under` and `not_under` are folders or photos; they are kept as absolute paths in the system's bytes, and a single
    path may be given by itself. `since` and `until` bound when a photo was taken, in local time, both included: a year,
    a month, a day, a minute or a second, as `2019`, `2019-07`, `2019-07-31` or `2019-07-31T18:30`. They are kept as
    the first and the last second of it. A photo of which only the day, month or year is known matches when any of it
    lies between them, and one of which nothing is known counts by its file's time. `min_face` is the shorter side of a
    face's box in pixels, `min_quality` lies in [0, 1]. `faces` bounds how many faces a photo shows: a number, a pair,
    or text as `2`, `1..3`, `..3` or `4..`. `photos` are ids of photos, None for all.

    Raises `UsageError` for what is none of these.
    """

    under: Paths = described(
        (), "Only photos in this folder; may be repeated.", value="path", metavar="PATH", repeated=True
    )
    not_under: Paths = described(
        (), "No photos in this folder; may be repeated.", value="path", metavar="PATH", repeated=True
    )
    since: str | None = described(
        None, "Taken then or later: 2019, 2019-07 or 2019-07-31; else by the file's time.", value="text", metavar="DATE"
    )
    until: str | None = described(
        None, "Taken then or earlier, that day or year included.", value="text", metavar="DATE"
    )
    min_face: float = described(0.0, "Only faces whose shorter side has this many pixels.", value="number", least=0)
    min_quality: float = described(
        0.0, "Only faces of this quality: 0.2 is poor, 0.8 good.", value="number", least=0, most=1
    )
    faces: int | str | tuple[int, int] | None = described(
        None, "Only photos with so many faces: 2, 1..3 or 4.. for four and more.", value="text", metavar="N..M"
    )
    photos: frozenset[int] | None = None

    def __post_init__(self) -> None:
        for name in ("under", "not_under"):
            object.__setattr__(self, name, _absolute(getattr(self, name)))
        if self.since is not None and self.until is not None:
            since, until = first_and_last_second("since", self.since)[0], first_and_last_second("until", self.until)[1]
            if since > until:
                raise UsageError(
                    f"since {self.since} lies after until {self.until}; no photo is both", option="since", other="until"
                )
        if self.since is not None:
            object.__setattr__(self, "since", first_and_last_second("since", self.since)[0])
        if self.until is not None:
            object.__setattr__(self, "until", first_and_last_second("until", self.until)[1])
        for name, most in (("min_face", None), ("min_quality", 1)):
            value = getattr(self, name)
            if not value >= 0 or (most is not None and value > most):
                between = "0 or more" if most is None else f"from 0 to {most}"
                raise UsageError(f"{name} {value}: has to be {between}", option=name)
        if self.faces is not None:
            object.__setattr__(self, "faces", least_and_most(self.faces))

    @property
    def folders(self) -> tuple[bytes, ...]:
        """`under`, as it is kept."""
        return cast("tuple[bytes, ...]", self.under)

    @property
    def other_folders(self) -> tuple[bytes, ...]:
        """`not_under`, as it is kept."""
        return cast("tuple[bytes, ...]", self.not_under)

    @property
    def number_of_faces(self) -> tuple[int, int] | None:
        """`faces`, as it is kept: the least and the most."""
        return cast("tuple[int, int] | None", self.faces)

    @property
    def lets_all_through(self) -> bool:
        """Whether it leaves nothing out."""
        return self == Filter()


def first_and_last_second(name: str, text: str) -> tuple[str, str]:
    """The first and the last second of a year, month, day, minute or second, as `YYYY-MM-DDTHH:MM:SS`.

    Raises `UsageError`, naming what it is for.
    """
    match = _MOMENT.fullmatch(text.strip())
    given = [int(part) for part in match.groups() if part is not None] if match else []
    try:
        first = datetime(*[*given, *(1, 1, 0, 0, 0)[len(given) - 1 :]])  # type: ignore[arg-type]
        days = monthrange(first.year, given[1] if len(given) > 1 else 12)[1]
        last = datetime(*[*given, *(12, days, 23, 59, 59)[len(given) - 1 :]])  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{name} {text}: no date; write it as 2019, 2019-07, 2019-07-31 or 2019-07-31T18:30", option=name
        ) from error
    return first.isoformat(), last.isoformat()


def least_and_most(faces: int | str | tuple[int, int]) -> tuple[int, int]:
    """The least and the most in a number, a pair, `2`, `1..3`, `..3` or `4..`. Raises `UsageError`."""
    if isinstance(faces, tuple):
        least, most = faces
    else:
        match = re.fullmatch(r"(\d{0,6})(\.\.)?(\d{0,6})", str(faces).strip(), re.ASCII)
        if match is None or not (match[1] or match[3]) or (match[3] and not match[2]):
            raise UsageError(f"faces {faces}: write a number as 2, or a range as 1..3, ..3 or 4..", option="faces")
        least = int(match[1] or 0)
        most = int(match[3]) if match[3] else 10**6 if match[2] else least
    if least > most:
        raise UsageError(f"faces {faces}: the range ends before it begins; write {most}..{least}", option="faces")
    return least, most


def _absolute(paths: Paths) -> tuple[bytes, ...]:
    several = [paths] if isinstance(paths, str | bytes | os.PathLike) else paths
    return tuple(os.path.abspath(os.fsencode(path)) for path in several)
