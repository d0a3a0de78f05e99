"""Answer the user's own SQL on a catalog: stable views instead of its tables, read only, and for a limited time.

The tables may change from version to version; the views in `VIEWS` only gain columns. They exist for the connection of
one question. SQLite asks an authorizer about everything that a statement would do: only reading the views is allowed.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesearch.catalog.columns import TABLES
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
        SELECT assignments.person AS id, count(*) AS faces, count(DISTINCT photo) AS photos, profiles.name AS name,
            profiles.born AS born, coalesce(profiles.ignored, 0) AS ignored
        FROM main.assignments JOIN main.faces ON faces.id = face
            LEFT JOIN main.profiles ON profiles.person = assignments.person GROUP BY assignments.person""",
    "photos_faces": """
        SELECT photos.path AS path, photos.date AS date, photos.missing AS missing, photos.faces AS faces_in_photo,
            faces.* FROM temp.faces AS faces JOIN temp.photos AS photos ON photos.id = faces.photo_id""",
}
"""The views, and what they select."""

_STEPS = 20_000
_NOT_COUNTED = {*TABLES, "meta"} - {"photos", "roots", "faces", "vectors", "assignments", "profiles"} - VIEWS.keys()
_ONLY_VIEWS = f"only SELECT is allowed, on the views {', '.join(VIEWS)}"
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
    if "\0" in sql or not _is_text(sql) or not sql.strip(" \n\t;"):
        raise UsageError("sql: give one SELECT")
    if sql.split(maxsplit=1)[0].upper() == "EXPLAIN":
        raise UsageError(f"sql: {_ONLY_VIEWS}")
    with closing(Database.open(path, older=False)) as database:
        connection = database.connection
        # What reads the tables has a name that nobody can guess: SQLite gives the authorizer names of a question, too.
        secret = f"_{secrets.token_hex(8)}_"
        for name, view in VIEWS.items():
            connection.execute(f"CREATE TEMP VIEW {secret}{name} AS {view.replace('temp.', f'temp.{secret}')}")
            connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM temp.{secret}{name}")
        failures: list[FacesearchError] = []
        for name, function in functions.items():
            connection.create_function(name, -1, _noting(function, failures), deterministic=True)
        connection.text_factory = _text
        until = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        connection.set_authorizer(_authorizer(secret))
        try:
            cursor = connection.execute(sql)
            return Table(_different([column[0] for column in cursor.description or ()]), cursor.fetchall())
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if failures:
                raise failures[0] from error
            raise _told(error, seconds) from error


def _is_text(sql: str) -> bool:
    try:
        sql.encode()
    except UnicodeEncodeError:
        return False
    return True


def _different(names: Sequence[str]) -> list[str]:
    """Return the names of columns with a number added to those that come again."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


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


def _authorizer(secret: str) -> Callable[..., int]:
    """Return what allows to read the views, and them to read tables; and to count rows, which names no column."""

    def decide(action: int, table: str | None, name: str | None, schema: str | None, inside: str | None) -> int:
        if action in (_SELECT, _RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == _FUNCTION:
            return sqlite3.SQLITE_DENY if name == "load_extension" else sqlite3.SQLITE_OK
        if action != _READ or (table or "").startswith("sqlite_"):
            return sqlite3.SQLITE_DENY
        if not name:  # rows are counted; the schema is not named either
            return sqlite3.SQLITE_DENY if table in _NOT_COUNTED else sqlite3.SQLITE_OK
        allowed = schema != "main" or (inside or "").startswith(secret)
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    return decide


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _told(error: Exception, seconds: float) -> FacesearchError:
    if "interrupted" in str(error):
        return InputError(f"sql: stopped after {seconds:g} seconds; allow it more time, or ask for less")
    if any(said in str(error) for said in ("not authorized", "authorization denied", "prohibited", "cannot modify")):
        return UsageError(f"sql: {_ONLY_VIEWS}")
    return UsageError(f"sql: {error}; the views are {', '.join(VIEWS)}")
