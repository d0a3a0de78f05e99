"""Tables as CSV, for programs and for spreadsheets, which run text that looks like a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["csv_lines"]

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")  # also in full width


def csv_lines(fields: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """The names of the columns, then each row; what a row has beside those fields is left out.

    A text that a spreadsheet would take for a formula begins with an apostrophe, as it would have to be typed there. So
    a photo called `=1+2.jpg` is never worked out. Numbers, also several in one cell, stay numbers.
    """
    text = io.StringIO()
    # The writer puts texts with characters of the line's end between quotes: with this one carriage returns, too.
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    yield _taken(text)
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield _taken(text)


def _taken(text: io.StringIO) -> str:
    """The line that was written, which leaves room for the next."""
    line = text.getvalue().removesuffix("\r\n") + "\n"
    text.seek(0)
    text.truncate()
    return line


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_numbers(value):
        return f"'{value}"
    return value


def _is_numbers(text: str) -> bool:
    try:
        return bool([float(part) for part in text.split(" ")])
    except ValueError:
        return False
