"""Answer the user's own SQL on a catalog: stable views instead of its tables, read only, and for a limited time.

The tables may change from version to version; the views in `VIEWS` only gain columns. They exist for the connection of
one question. SQLite asks an authorizer about everything that a statement would do: only reading the views is allowed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesearch.catalog.database import Database
from facesearch.catalog.filter import FIRST_MOMENT
from facesearch.errors import FacesearchError, InputError, UsageError

__all__ = ["VIEWS", "Function", "Table", "ask"]

Function = Callable[..., Any]

_PATH = "CASE photos.path WHEN x'' THEN roots.path ELSE rtrim(roots.path, '/') || '/' || photos.path END"

VIEWS: Mapping[str, str] = {
    "photos": f"""
        SELECT photos.id AS id, CAST({_PATH} AS TEXT) AS path, CAST(roots.path AS TEXT) AS folder,
            {FIRST_MOMENT} AS date, coalesce(date_source, 'file') AS date_source, date_precision, width, height,
            latitude, longitude, size, status, missing_since IS NOT NULL AS missing,
            (SELECT count(*) FROM main.faces AS shown WHERE shown.photo = photos.id) AS faces
        FROM main.photos JOIN main.roots ON roots.id = photos.root WHERE status != 'unwanted'""",
    "faces": """
        SELECT faces.id AS id, faces.photo AS photo_id, x, y, width, height, score, quality,
            assignments.person AS person, vectors.vector AS vector
        FROM main.faces LEFT JOIN main.vectors ON vectors.face = faces.id
            LEFT JOIN main.assignments ON assignments.face = faces.id""",
    "people": """
        SELECT person AS id, count(*) AS faces, count(DISTINCT photo) AS photos
        FROM main.assignments JOIN main.faces ON faces.id = face GROUP BY person""",
    "photos_faces": """
        SELECT photos.path AS path, photos.date AS date, photos.missing AS missing, photos.faces AS faces_in_photo,
            faces.* FROM temp.faces JOIN temp.photos ON photos.id = faces.photo_id""",
}
"""The views, and what they select."""

_STEPS = 20_000
_READ, _SELECT, _FUNCTION, _RECURSIVE = (
    sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """The result of a question: the names of its columns, and its rows."""

    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def ask(path: Path, sql: str, *, functions: Mapping[str, Function], seconds: float) -> Table:
    """Answer one SELECT on the catalog at `path`, with additional functions of SQL; text that is not UTF-8 is escaped.

    Raises `UsageError` for anything but one SELECT on the views, `InputError` after the given time, what a function
    raises, and what opening the catalog raises.
    """
    with closing(Database.open(path, older=False)) as database:
        connection = database.connection
        for name, view in VIEWS.items():
            connection.execute(f"CREATE TEMP VIEW {name} AS {view}")
        failures: list[FacesearchError] = []
        for name, function in functions.items():
            connection.create_function(name, -1, _noting(function, failures), deterministic=True)
        connection.text_factory = _text
        until = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        connection.set_authorizer(_allowed)
        try:
            cursor = connection.execute(sql)
            return Table([column[0] for column in cursor.description or ()], cursor.fetchall())
        except (sqlite3.Error, sqlite3.Warning) as error:
            if failures:
                raise failures[0] from error
            raise _told(error, seconds) from error


def _noting(function: Function, failures: list[FacesearchError]) -> Function:
    """Note the error of a function, of which SQLite tells only that there was one."""

    def called(*values: Any) -> Any:
        try:
            return function(*values)
        except FacesearchError as error:
            failures.append(error)
            raise
        except (TypeError, ValueError) as error:
            failures.append(UsageError(f"sql: {error}"))
            raise

    return called


def _allowed(action: int, _: str | None, name: str | None, schema: str | None, inside: str | None) -> int:
    """Allow to read the views, and what they read themselves; and to count rows, for which SQLite names no column."""
    if action in (_SELECT, _RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == _FUNCTION:
        return sqlite3.SQLITE_DENY if name == "load_extension" else sqlite3.SQLITE_OK
    if action == _READ and (schema != "main" or inside in VIEWS or not name):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _told(error: Exception, seconds: float) -> FacesearchError:
    if "interrupted" in str(error):
        return InputError(f"sql: stopped after {seconds:g} seconds; allow it more time, or ask for less")
    if any(said in str(error) for said in ("not authorized", "authorization denied", "prohibited", "cannot modify")):
        return UsageError(f"sql: only SELECT is allowed, on the views {', '.join(VIEWS)}")
    return UsageError(f"sql: {error}; the views are {', '.join(VIEWS)}")
