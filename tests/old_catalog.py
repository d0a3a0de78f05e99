"""Make catalogs like those of earlier versions of facesearch."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from facesearch.catalog.migrations import APPLICATION_ID, MIGRATIONS

__all__ = ["as_of_schema"]

_GROUPED_FROM = 6
"""The schema from which faces are grouped by person."""


def as_of_schema(catalog: Path, schema: int) -> None:
    """Replace a catalog with one of an earlier schema that has the same rows."""
    earlier = catalog.with_name("earlier.sqlite")
    with closing(sqlite3.connect(earlier, isolation_level=None)) as old:
        old.executescript("".join(MIGRATIONS[:schema]))
        old.execute("ATTACH ? AS now", (str(catalog),))
        tables = [name for (name,) in old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in sorted(tables, key="sqlite_sequence".__eq__):  # sqlite_sequence last: inserting rows changes it
            old.execute(f"DELETE FROM main.{table}")
            columns = ", ".join(column for _, column, *_ in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        if schema < _GROUPED_FROM:
            old.execute("DELETE FROM main.meta WHERE key IN ('grouping', 'grouped')")
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute(f"PRAGMA user_version = {schema}")
    earlier.replace(catalog)
