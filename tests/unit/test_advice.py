"""Hints of lower layers are shown with the options of the command line."""

from __future__ import annotations

import string

import pytest

from facesearch.cli.advice import _WORDS, in_options, with_options
from facesearch.errors import FacesearchError, Hint, UsageError


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("hint", Hint)
def test_every_hint_has_words_for_the_same_values(hint: Hint) -> None:
    assert fields(_WORDS[hint]) == fields(hint)
    assert "--" not in hint
    assert "facesearch" not in hint, "library callers do not use commands"
    values = {name: f"{name}-1" for name in fields(hint)}
    error = FacesearchError("a.jpg: wrong", hint, **values)
    assert str(error) == f"a.jpg: wrong; {hint.format(**values)}"
    assert in_options(error) == f"a.jpg: wrong; {_WORDS[hint].format(**values)}"
    assert with_options(in_options(error)) == in_options(error), "a hint is not added twice"
    assert with_options(f"left out: {error} (1)") == f"left out: a.jpg: wrong; {_WORDS[hint].format(**values)} (1)"


def test_an_error_keeps_its_hint_when_its_subject_is_added() -> None:
    inner = UsageError("300 megapixels are too many", Hint.MORE_PIXELS_TO, megapixels=300)
    outer = inner.about("a {b}.jpg")
    assert isinstance(outer, UsageError)
    assert in_options(outer) == "a {b}.jpg: 300 megapixels are too many; raise the limit with --max-megapixels 300"


def test_text_without_a_hint_stays_as_it_is() -> None:
    assert with_options("use nothing; it is all right") == "use nothing; it is all right"
    assert in_options(FacesearchError("{x}: no hint")) == "{x}: no hint"


def test_an_option_is_named_as_it_is_typed() -> None:
    error = UsageError("min_quality 7: must be from 0 to 1", option="min_quality")
    assert str(error) == "min_quality 7: must be from 0 to 1"
    assert in_options(error) == "--min-quality 7: must be from 0 to 1"
    both = UsageError("since 2020 is later than until 2019", option=("since", "until"))
    assert in_options(both) == "--since 2020 is later than --until 2019"
    with_someone = UsageError("together 7: give a path", option="together")
    assert in_options(with_someone) == "--with 7: give a path"
    assert in_options(UsageError("face 2: faces.jpg shows 1 face", option="face")) == "--face 2: faces.jpg shows 1 face"
