"""Numbers with singular and plural nouns."""

from __future__ import annotations

from facesearch.wording import are, counted


def test_one_and_many() -> None:
    assert [counted(number, "photo") for number in (0, 1, 2, 1234)] == [
        "0 photos",
        "1 photo",
        "2 photos",
        "1,234 photos",
    ]
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]
    assert [are(number, "photo") for number in (1, 2)] == ["1 photo is", "2 photos are"]
