"""The results of SQL, as text and as data. Embeddings are shown by their size, except in JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from facesearch.cells import csv_lines
from facesearch.render.text import table

if TYPE_CHECKING:
    from facesearch.api.results import Table

__all__ = ["render_table"]


def render_table(found: Table, layout: str, show: Callable[[str], str] = str) -> Iterator[str]:
    """Yield the text of a result: `table`, `json`, `jsonl` or `csv`. In JSON, bytes are in base64."""
    if layout == "table":
        rows = [[_cell(value, show) for value in row] for row in found.rows]
        numbers = {
            column for place, column in enumerate(found.columns)
            if any(isinstance(row[place], int | float) for row in found.rows)
        }  # fmt: skip
        yield table(found.columns, rows, [column for column in found.columns if column not in numbers])
    elif layout == "csv":
        shown = ([_cell(value, show, exact=True) for value in row] for row in found.rows)
        yield from csv_lines(found.columns, (dict(zip(found.columns, row, strict=True)) for row in shown))
    else:
        records = (dict(zip(found.columns, map(_plain, row), strict=True)) for row in found.rows)
        if layout == "json":
            yield json.dumps(list(records), indent=1) + "\n"
        else:
            yield from (json.dumps(record) + "\n" for record in records)


def _cell(value: Any, show: Callable[[str], str], *, exact: bool = False) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    return f"{value:.6g}" if isinstance(value, float) and not exact else show(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value
