"""Dates, ranges and places as they are written on the command line."""

from __future__ import annotations

import pytest

from facesearch.catalog.filter import places
from facesearch.cli.options import parse_count_range, parse_moment
from facesearch.errors import UsageError

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
    assert parse_moment("--since", text) == (first, last)


@pytest.mark.parametrize("text", ["", "19", "2019-13", "2021-02-29", "0000", "2019-07-31T25:00", "31.7.2019", "٢٠١٩"])
def test_what_is_no_date_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=r"--until.*no date; write it as 2019"):
        parse_moment("--until", text)


@pytest.mark.parametrize(("text", "found"), [("2", (2, 2)), ("1..3", (1, 3)), ("..3", (0, 3)), ("4..", (4, 10**6))])
def test_ranges(text: str, found: tuple[int, int]) -> None:
    assert parse_count_range(text) == found


@pytest.mark.parametrize("text", ["", "..", "3..1", "a", "-1", "1-3", "1...3"])
def test_what_is_no_range_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="--faces"):
        parse_count_range(text)


def test_places() -> None:
    assert [place.values for place in places(b"/photos", ROOTS)] == [(1,)]
    assert [place.values for place in places(b"/", ROOTS)] == [(1,), (2,), (3,)]
    assert [place.values for place in places(b"/scans", ROOTS)] == [(2,)]
    assert [place.values[:2] for place in places(b"/photos/a", ROOTS)] == [(1, b"a")]
    assert places(b"/photo", ROOTS) == places(b"/elsewhere", ROOTS) == []
