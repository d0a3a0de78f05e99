"""Tables as CSV, for programs and for spreadsheets, which evaluate text that looks like a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["csv_lines", "plain_cell"]

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")  # also in full width


def csv_lines(fields: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield the header, then one line per row; keys that are not in `fields` are omitted.

    Text that a spreadsheet would take for a formula gets a leading apostrophe, as a user would type it there: a photo
    called `=1+2.jpg` is never evaluated. Numbers, also several in one cell, stay numbers.
    """
    text = io.StringIO()
    # The writer quotes text that contains a character of the line terminator: with this one, carriage returns too.
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    yield _taken(text)
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield _taken(text)


def plain_cell(text: str) -> str:
    """Return the text of a cell as it was before `csv_lines` wrote it."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _taken(text: io.StringIO) -> str:
    """Return the line that was written, and clear the buffer for the next."""
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
