"""Control characters are made visible; JSON stays valid, and column widths match the display."""

from __future__ import annotations

import json
import os
import sys

import pytest

from facesearch.visible import visible, visible_in_json, width

SHOWN = [
    ("/photos/Zürich 2019/Ελλάδα/東京/😀.jpg", "/photos/Zürich 2019/Ελλάδα/東京/😀.jpg"),
    ("a\nb\tc\rd.jpg", r"a\nb\tc\rd.jpg"),
    ("\x1b[31mred\x1b]0;title\x07.jpg", r"\x1b[31mred\x1b]0;title\x07.jpg"),
    ("c1 \x9b31m \x7f.jpg", r"c1 \x9b31m \x7f.jpg"),
    ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
    ("\u2066iso\u2069 \u200bzero\ufeff \U000e0041.jpg", r"\u2066iso\u2069 \u200bzero\ufeff \U000e0041.jpg"),
    (os.fsdecode(b"\xff\xfe.jpg"), r"\xff\xfe.jpg"),
]


@pytest.mark.parametrize(("name", "shown"), SHOWN)
def test_names_are_shown(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert visible(shown) == shown


@pytest.mark.parametrize("name", [name for name, _ in SHOWN[:-1]])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_stays_what_it_is(name: str, indent: int | None) -> None:
    text = json.dumps({"path": name, "more": [name, 1]}, ensure_ascii=False, indent=indent) + "\n"
    shown = visible_in_json(text)
    assert json.loads(shown) == json.loads(text)
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_no_invisible_character_is_printed() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert visible(every).isprintable()
    assert visible_in_json(every).replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("東京", 4), ("e\u0301", 1), ("Zürich", 6), ("😀", 2), ("", 0)]
)
def test_columns(text: str, columns: int) -> None:
    assert width(text) == columns
