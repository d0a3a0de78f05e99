"""Checks every row of a catalog, and repairs what cannot be.

`check` asks for more than readers do (see `columns`), so that whatever it calls sound works. As much as possible is
kept: a photo whose size, time or content is damaged is read again by the next run; one whose path leads out of its root
stays under a path that no scan gives, until the next run finds its content; a damaged face goes, and its photo is read
again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from facesearch.catalog.columns import META, MOST_COUNTED, TABLES
from facesearch.errors import Hint, IndexDamagedError

if TYPE_CHECKING:
    from facesearch.catalog.database import Database
    from facesearch.types import ModelInfo

__all__ = ["Audit", "audit", "mend", "recorded_model_name"]

_KEYS = {"looks": "content"}
_OF_CONTENT = {"size", "mtime_ns", "hash", "status"}
_COUNTED = ("roots", "photos", "faces", "vectors")
_PHOTO_OF = {
    "faces": "SELECT photo FROM faces WHERE id = ?",
    "vectors": "SELECT photo FROM faces JOIN vectors ON face = faces.id WHERE vectors.id = ?",
}
_WITHOUT_VECTORS = (
    "SELECT DISTINCT photo FROM faces JOIN photos ON photos.id = photo WHERE NOT outdated AND size >= 0"
    " AND NOT EXISTS (SELECT 1 FROM vectors WHERE face = faces.id)"
)
_MOST_TOLD = 20
_ROW_LINES = ("NULL value in ", "CHECK constraint failed in ")
"""How SQLite's own check begins lines about values: those are told here, with the value."""


@dataclass(slots=True)
class Audit:
    """What was found. `faults` are one line each; `beyond_repair` tells that some of them cannot be mended."""

    faults: list[str] = field(default_factory=list)
    more: int = 0
    beyond_repair: bool = False
    rows: list[tuple[str, Any]] = field(default_factory=list)
    meta: list[str] = field(default_factory=list)
    schema: list[tuple[str, str]] = field(default_factory=list)
    indexes_differ: bool = False

    def tell(self, fault: str) -> None:
        """Note a fault; many of them are counted only."""
        if len(self.faults) < _MOST_TOLD:
            self.faults.append(fault)
        else:
            self.more += 1


def audit(database: Database) -> Audit:
    """Check the schema, every row, and what belongs to what."""
    found = Audit()
    try:
        _check_schema(database, found)
        if found.beyond_repair:
            return found
        _check_pages(database, found)
        _check_meta(database, found)
        for table in TABLES:
            for key, columns in _faulty(database, table):
                found.rows.append((table, key))
                found.tell(f"{table} {key!r:.70}: {', '.join(columns)} cannot be")
        _check_model(database, found)
        if lacking := len(database.rows(_WITHOUT_VECTORS)):
            found.tell(f"photos with faces that have no vector: {lacking:,}")
        for table, key, parent, _ in database.rows("PRAGMA foreign_key_check"):
            found.tell(f"{table} {key}: belongs to nothing in {parent}")
        for table in _COUNTED:
            if _last_id(database, table) is not None:
                found.tell(f"the last id of {table} cannot be")
    except IndexDamagedError as error:
        found.beyond_repair = True
        found.tell(str(error))
    if found.more:
        found.faults.append(f"and {found.more:,} more")
    return found


def recorded_model_name(database: Database) -> str | None:
    """What the catalog calls its model, whatever that is; None without a record of it."""
    rows = database.rows("SELECT name FROM models ORDER BY id LIMIT 1")
    return str(rows[0][0]) if rows else None


def mend(database: Database, found: Audit, known_model: ModelInfo | None) -> list[str]:
    """Mend what was found, in one transaction; says what was done, one line each.

    `known_model` is the model on this machine that the catalog may be of. Where the catalog's own record of
    its model is damaged it is restored from there, if the weights are the same. Raises `IndexDamagedError` where the
    catalog cannot be mended from itself; then nothing is changed.
    """
    if found.beyond_repair:
        return []
    database.rows("PRAGMA ignore_check_constraints = ON")  # one column after the other becomes what it should be
    try:
        with database.transaction():
            _mend_schema(database, found)
            _mend_meta(database, found)
            _mend_model(database, known_model)
            mended = sum(_mend_row(database, table, key) for table, key in found.rows)
            dropped = len(found.rows) - mended + _drop_dangling(database)
            _mend_last_ids(database)
            mended += len(
                database.rows(f"UPDATE photos SET size = -1, hash = NULL WHERE id IN ({_WITHOUT_VECTORS}) RETURNING 1")
            )
            # Whatever the vector file was made from, it was not this.
            database.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    finally:
        database.rows("PRAGMA ignore_check_constraints = OFF")
    done = []
    if found.schema or found.meta or found.indexes_differ:
        done.append("the catalog's own records were written again")
    if mended:
        done.append(f"rows mended: {mended:,}; {Hint.READ_PHOTOS_AGAIN}")
    if dropped:
        done.append(f"rows dropped: {dropped:,}; {Hint.FIND_AGAIN}")
    return done


def _mend_schema(database: Database, found: Audit) -> None:
    for kind, name in found.schema:
        quoted = name.replace('"', '""')
        database.rows(f'DROP {kind.upper()} IF EXISTS "{quoted}"')
    for kind, name, _, sql in database.expected_schema():
        if (kind, name) in found.schema:
            database.rows(sql)
    if found.indexes_differ:
        database.rows("REINDEX")


def _mend_meta(database: Database, found: Audit) -> None:
    for key in found.meta:
        database.rows("DELETE FROM meta WHERE key = ?", key)
        if META[key].mended is not None:
            database.rows(f"INSERT INTO meta (key, value) VALUES (?, {META[key].mended})", key)


def _mend_last_ids(database: Database) -> None:
    for table in _COUNTED:
        last = _last_id(database, table)
        if last is not None:
            database.rows("DELETE FROM sqlite_sequence WHERE name = ?", table)
            database.rows("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, last)


def _check_schema(database: Database, found: Audit) -> None:
    """Tables, indexes and triggers are those of this version; views and tables of others harm nothing."""
    expected = {(kind, name): sql for kind, name, _, sql in database.expected_schema()}
    there = {
        (kind, name): sql
        for kind, name, sql in database.rows("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    }
    for (kind, name), sql in expected.items():
        if there.get((kind, name)) != sql:
            found.tell(f"{kind} {name}: {'another than it should be' if (kind, name) in there else 'missing'}")
            found.beyond_repair = found.beyond_repair or kind == "table"
            found.schema.append((kind, name))
    for kind, name in there:
        if kind in ("trigger", "index") and (kind, name) not in expected:
            found.tell(f"{kind} {name}: not facesearch's")
            found.schema.append((kind, name))


def _check_pages(database: Database, found: Audit) -> None:
    for line in database.integrity():
        if line.startswith(_ROW_LINES):
            continue
        found.tell(line)
        if " index " in f" {line} ":  # derived from the tables: it can be made from them
            found.indexes_differ = True
        else:
            found.beyond_repair = True


def _check_meta(database: Database, found: Audit) -> None:
    kept = {key: _value(kind, value) for key, kind, value in database.rows(f"SELECT key, {_read('value')} FROM meta")}
    for key, column in META.items():
        if not column.takes(kept.get(key), exact=True):
            found.meta.append(key)
            found.tell(f"{key}: {'missing' if kept.get(key) is None else 'cannot be'}")


def _check_model(database: Database, found: Audit) -> None:
    if not database.rows("SELECT 1 FROM models"):
        found.tell("the record of the model is missing")
        found.beyond_repair = True
        return
    dim = _dim_of_vectors(database)
    if dim is not None and database.rows("SELECT dim FROM models ORDER BY id LIMIT 1") != [(dim,)]:
        found.tell(f"the model's record and the vectors, of {dim} dimensions, do not fit each other")


def _mend_model(database: Database, known: ModelInfo | None) -> None:
    """Raises `IndexDamagedError` where what is left does not say which model it was."""
    ((key, digests),) = database.rows("SELECT id, digests FROM models ORDER BY id LIMIT 1")
    dim = _dim_of_vectors(database)
    if dim is not None:
        database.rows("UPDATE models SET dim = ? WHERE id = ?", dim, key)
    if list(_faulty(database, "models", key)):
        legible = TABLES["models"]["digests"].takes(digests)
        if known is None or not legible or set(_json_values(digests)) != set(known.digests.values()):
            raise IndexDamagedError(
                "the record of the model is damaged, and no such model is here to take it from; restore a backup, or "
                "index again into a new folder"
            )
        database.rows(
            "UPDATE models SET name = ?, dim = ?, threshold = ?, licence = ?, source = ?,"
            " pipeline = CASE WHEN typeof(pipeline) = 'integer' THEN pipeline ELSE ? END WHERE id = ?",
            known.name, known.dim, known.threshold, known.licence, known.source, known.revision, key,
        )  # fmt: skip
    if len(database.rows("SELECT 1 FROM models")) == 1:
        database.rows("UPDATE vectors SET model = ? WHERE model IS NOT ?", key, key)


def _json_values(text: str) -> list[str]:
    return [str(value) for value in json.loads(text).values()]


def _dim_of_vectors(database: Database) -> int | None:
    """How many dimensions most vectors have; None where there are none, or nothing like a vector."""
    rows = database.rows(
        "SELECT length(vector) / 4 FROM vectors WHERE typeof(vector) = 'blob' AND length(vector) % 4 = 0"
        " AND length(vector) > 0 GROUP BY length(vector) ORDER BY count(*) DESC LIMIT 1"
    )
    return rows[0][0] if rows else None


def _mend_row(database: Database, table: str, key: Any) -> bool:
    """Put what can be in the place of what cannot; False where the row had to go."""
    at = _KEYS.get(table, "rowid")
    for _attempt in range(2):  # a path of the wrong type is checked once more, as what it says
        (row,) = list(_faulty(database, table, key)) or [(key, [])]
        ways = [(column, TABLES[table][column].mended) for column in row[1]]
        if not ways:
            return True
        if any(way is None for _, way in ways):
            break
        changes = {column: way for column, way in ways if way is not None}
        if table == "photos" and changes.keys() & _OF_CONTENT:
            changes |= {"size": "-1", "hash": "NULL"}  # the next run reads it
        sets = ", ".join(f"{column} = {way}" for column, way in changes.items())
        database.rows(f"UPDATE OR IGNORE {table} SET {sets} WHERE {at} = ?", key)
    if not list(_faulty(database, table, key)):
        return True
    if table in _PHOTO_OF:
        database.rows(f"UPDATE photos SET size = -1, hash = NULL WHERE id = ({_PHOTO_OF[table]})", key)
    database.rows(f"DELETE FROM {table} WHERE {at} = ?", key)
    return False


def _drop_dangling(database: Database) -> int:
    dropped = 0
    while rows := database.rows("PRAGMA foreign_key_check"):
        for table, key, _, _ in rows:
            database.rows(f"DELETE FROM {table} WHERE rowid = ?", key)
        dropped += len(rows)
    return dropped


def _last_id(database: Database, table: str) -> int | None:
    """The number that SQLite should have as the last id of a table; None where it has a fitting one."""
    ((highest,),) = database.rows(f"SELECT coalesce(max(id), 0) FROM {table}")
    kept = database.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", table)
    fits = len(kept) == 1 and type(kept[0][0]) is int and highest <= kept[0][0] <= MOST_COUNTED
    return None if fits or (not kept and not highest) else int(highest)


def _faulty(database: Database, table: str, key: Any = None) -> Iterator[tuple[Any, list[str]]]:
    """Rows of a table with the columns that cannot be; of one row alone where its key is given."""
    columns, at = TABLES[table], _KEYS.get(table, "rowid")
    where = "" if key is None else f" WHERE {at} = ?"
    read = ", ".join(_read(name) for name in columns)
    for row_key, *values in database.each(f"SELECT {at}, {read} FROM {table}{where}", *([] if key is None else [key])):
        bad = [
            name
            for number, (name, column) in enumerate(columns.items())
            if not column.takes(_value(*values[2 * number : 2 * number + 2]), exact=True)
        ]
        if bad:
            yield row_key, bad


def _read(column: str) -> str:
    """SQL for a value with its type; text as bytes, because it may be none."""
    return f"typeof({column}), CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"


class _NoText:
    """What is kept as text and is not UTF-8."""


def _value(kind: str, value: Any) -> Any:
    if kind != "text":
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _NoText()
