"""Options of a query: valid values, and agreement of their two declarations."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from facesearch.errors import UsageError
from facesearch.options import described_fields
from facesearch.query_options import BY_MODEL, QueryKeywords, QueryOptions


def test_keywords_are_the_fields() -> None:
    assert list(QueryKeywords.__annotations__) == [option.name for option in fields(QueryOptions)]


def test_every_option_has_a_description_and_a_default() -> None:
    for option, about in described_fields(QueryOptions):
        assert about.help.endswith("."), option.name
    assert QueryOptions() == QueryOptions.of({})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"top_k": 0}, "top_k 0: must be 1 or more"),
        ({"threshold": 1.2}, "threshold 1.2: give a similarity between -1 and 1"),
        ({"threshold": 0.3, "fmr": 1e-5}, "threshold and fmr contradict each other; give one of them"),
        ({"threshold": None, "fmr": 1e-5}, "threshold and fmr contradict each other; give one of them"),
        ({"fmr": 1.0}, "fmr 1: give a rate between 0 and 1, such as 1e-5"),
        ({"face": 0}, "face 0: give a number from 1, or all"),
        ({"face": "first"}, "face first: give a number from 1, or all"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as error:
        QueryOptions(**options)
    assert str(error.value) == told


def test_an_unknown_keyword_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"^topk: unknown option of a query; choose from .*top_k"):
        QueryOptions.of({"topk": 3})  # type: ignore[typeddict-unknown-key]


def test_a_single_companion_needs_no_list() -> None:
    assert QueryOptions.of({"together": "you.jpg"}).together == ("you.jpg",)
    assert QueryOptions.of({"without": "ex.jpg"}).without == ("ex.jpg",)
    assert QueryOptions(together=iter([Path("a"), Path("b")])).together == (Path("a"), Path("b"))


def test_only_a_named_similarity_is_a_limit() -> None:
    limits = {None: False, BY_MODEL: False, 0.4: True, -1: True}
    assert {value: QueryOptions(threshold=value).names_a_limit for value in limits} == limits
    assert QueryOptions(fmr=1e-4).names_a_limit
