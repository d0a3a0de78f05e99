"""Similarities leave the server with three digits, and rates with one; JSON answers are JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from facesearch.web.problems import problem
from facesearch.web.records import _ONE_DIGIT, _THREE_DIGITS, coarse

NAMED = [*_THREE_DIGITS, *_ONE_DIGIT]
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=5)
KEYS = st.sampled_from([*NAMED, "hits", "box", "path"])
RECORDS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


def numbers(record: Any, key: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(record, dict):
        for name, value in record.items():
            yield from numbers(value, name)
    elif isinstance(record, list):
        for value in record:
            yield from numbers(value, key)
    elif isinstance(record, float):
        yield key, record


@given(RECORDS)
def test_no_named_number_has_more_digits_than_may_leave(record: Any) -> None:
    for key, number in numbers(coarse(record)):
        if key in _THREE_DIGITS:
            assert number == round(number, 3)
        if key in _ONE_DIGIT:
            assert number == float(f"{number:.0e}")


@given(RECORDS)
def test_nothing_else_changes(record: Any) -> None:
    answered = coarse(record)
    assert coarse(answered) == answered
    before, after = list(numbers(record)), list(numbers(answered))
    assert [key for key, _ in before] == [key for key, _ in after]
    for (key, exact), (_, number) in zip(before, after, strict=True):
        if key not in NAMED:
            assert number == exact
        elif key in _THREE_DIGITS:
            assert abs(number - exact) <= 0.0005000001 or math.isclose(number, exact)
        else:
            assert math.isclose(number, exact, rel_tol=0.5) or abs(exact) < 1e-300


@given(st.text(max_size=50))
def test_what_is_wrong_is_one_line_of_text(text: str) -> None:
    """Errors name files, and names of files may be any bytes."""
    told = json.loads(bytes(problem(HTTPStatus.NOT_FOUND, text).body))["detail"]
    assert told.isprintable()
    assert told == text or not text.isprintable()


def test_bytes_in_names_of_files_are_shown() -> None:
    told = json.loads(bytes(problem(HTTPStatus.NOT_FOUND, "eli \udcff\n.jpg: gone").body))
    assert told["detail"] == r"eli \xff\n.jpg: gone"
