"""CSV cells that spreadsheets do not evaluate as formulas."""

from __future__ import annotations

import csv
import io

from facesearch.cells import csv_lines


def rows(*values: object) -> list[str]:
    text = "".join(csv_lines(["value"], ({"value": value, "other": "=1"} for value in values)))
    return [row["value"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_formulas_are_text() -> None:
    formulas = [
        "=1+2.jpg",
        "+x.jpg",
        "-k.jpg",
        "@SUM(A1).jpg",
        "\tx.jpg",
        "\rx.jpg",
        "\n=x.jpg",
        "\uff1d1+2.jpg",
        "\uff0bx.jpg",
        "\uff0dk.jpg",
        "\uff20SUM(A1).jpg",
        '=HYPERLINK("http://x","y")',
        "-1+1",
    ]
    assert rows(*formulas) == [f"'{formula}" for formula in formulas]


def test_other_text_is_unchanged() -> None:
    values = ["/photos/=1.jpg", "a,b", 'say "hi"', "two\nlines", "", "'=1"]
    assert rows(*values) == values


def test_numbers_stay_numbers() -> None:
    assert rows(-0.25, 3, -7, None, "-0.5 1e-05 2", "-3.5") == ["-0.25", "3", "-7", "", "-0.5 1e-05 2", "-3.5"]
    assert rows(True) == ["True"]
