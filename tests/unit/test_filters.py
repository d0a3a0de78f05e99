"""Filters as users write them: dates, ranges and places."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facesearch.catalog.filter import places
from facesearch.errors import UsageError
from facesearch.filters import Filter, first_and_last_second, least_and_most

ROOTS = [(1, b"/photos"), (2, b"/scans/one.tif"), (3, b"/photos2")]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2019", "2019-01-01T00:00:00", "2019-12-31T23:59:59"),
        ("2020-02", "2020-02-01T00:00:00", "2020-02-29T23:59:59"),
        ("9999-12", "9999-12-01T00:00:00", "9999-12-31T23:59:59"),
        ("2019-7-4", "2019-07-04T00:00:00", "2019-07-04T23:59:59"),
        ("2019-07-31 18:30", "2019-07-31T18:30:00", "2019-07-31T18:30:59"),
        (" 2019-07-31T18:30:05 ", "2019-07-31T18:30:05", "2019-07-31T18:30:05"),
    ],
)
def test_moments(text: str, first: str, last: str) -> None:
    assert first_and_last_second("since", text) == (first, last)
    where = Filter(since=text, until=text)
    assert (where.since, where.until) == (first, last)
    assert replace(where, min_face=1) == Filter(since=first, until=last, min_face=1), "parsed values are stable"


@pytest.mark.parametrize("text", ["", "19", "2019-13", "2021-02-29", "0000", "2019-07-31T25:00", "31.7.2019", "٢٠١٩"])
def test_invalid_dates(text: str) -> None:
    with pytest.raises(UsageError, match=r"^until .*not a date; write it as 2019"):
        Filter(until=text)


@pytest.mark.parametrize(("text", "found"), [("2", (2, 2)), ("1..3", (1, 3)), ("..3", (0, 3)), ("4..", (4, 10**6))])
def test_ranges(text: str, found: tuple[int, int]) -> None:
    assert least_and_most(text) == found
    assert Filter(faces=text).number_of_faces == Filter(faces=found).number_of_faces == found


@pytest.mark.parametrize("text", ["", "..", "3..1", "a", "-1", "1-3", "1...3"])
def test_invalid_ranges(text: str) -> None:
    with pytest.raises(UsageError, match=r"^faces "):
        Filter(faces=text)


def test_places() -> None:
    assert [place.values for place in places(b"/photos", ROOTS)] == [(1,)]
    assert [place.values for place in places(b"/", ROOTS)] == [(1,), (2,), (3,)]
    assert [place.values for place in places(b"/scans", ROOTS)] == [(2,)]
    assert [place.values[:2] for place in places(b"/photos/a", ROOTS)] == [(1, b"a")]
    assert places(b"/photo", ROOTS) == places(b"/elsewhere", ROOTS) == []


def test_paths_are_kept_absolute_however_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = os.fsencode(tmp_path / "a")
    for given in ("a", b"a", Path("a"), ["a"], (tmp_path / "b/../a",)):
        assert Filter(under=given).folders == (place,)
        assert Filter(not_under=given).other_folders == (place,)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"since": "2020", "until": "2019-12"}, "since 2020 is later than until 2019-12; swap them"),
        ({"min_quality": 1.5}, "min_quality 1.5: must be from 0 to 1"),
        ({"min_face": -1}, "min_face -1: must be 0 or more"),
        ({"min_face": float("nan")}, "min_face nan: must be 0 or more"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}$"):
        Filter(**limits)


def test_a_filter_knows_whether_it_passes_everything() -> None:
    assert Filter().lets_all_through
    assert Filter(under=()).lets_all_through
    limits: list[dict[str, Any]] = [{"photos": frozenset[int]()}, {"faces": 1}, {"min_quality": 0.1}, {"under": "/"}]
    assert not any(Filter(**limit).lets_all_through for limit in limits)
