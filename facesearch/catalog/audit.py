"""Check every row of a catalog, and repair invalid values.

The audit is stricter than the readers (see `columns`), so an index that passes it works. A repair keeps as much as
possible. A photo with a damaged size, time or content hash is read again by the next run. A photo whose path leads out
of its root gets a path that no scan returns, until the next run finds its content. A damaged face is deleted, and its
photo is read again.
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

__all__ = ["Audit", "audit", "recorded_model_name", "repair_faults"]

_KEYS = {"looks": "content"}
_OF_CONTENT = {"size", "mtime_ns", "hash", "status"}
_COUNTED = ("roots", "photos", "faces", "vectors", "people", "statements", "galleries", "changes", "carried")
_OF_PEOPLE = (
    "people", "assignments", "statements", "statement_faces", "overruled", "joined", "profiles", "identities",
)  # fmt: skip
_PHOTO_OF = {
    "faces": "SELECT photo FROM faces WHERE id = ?",
    "vectors": "SELECT photo FROM faces JOIN vectors ON face = faces.id WHERE vectors.id = ?",
}
_WITHOUT_VECTORS = (
    "SELECT DISTINCT photo FROM faces JOIN photos ON photos.id = photo WHERE NOT outdated AND size >= 0"
    " AND NOT EXISTS (SELECT 1 FROM vectors WHERE face = faces.id)"
)
_LEADING_NOWHERE = (
    "SELECT id FROM people WHERE merged_into IS NOT NULL"
    " AND (EXISTS (SELECT 1 FROM assignments WHERE person = people.id) OR merged_into IN"
    " (SELECT id FROM people AS whole WHERE whole.merged_into IS NOT NULL))"
)
_MOST_REPORTED = 20
_ROW_LINES = ("NULL value in ", "CHECK constraint failed in ")
"""How SQLite's own check begins lines about values: the audit reports those itself, with the value."""


@dataclass(slots=True)
class Audit:
    """The result of an audit. `faults` are one line each; `beyond_repair` is set if some of them cannot be repaired."""

    faults: list[str] = field(default_factory=list)
    more: int = 0
    beyond_repair: bool = False
    rows: list[tuple[str, Any]] = field(default_factory=list)
    meta: list[str] = field(default_factory=list)
    people: list[Any] = field(default_factory=list)
    schema: list[tuple[str, str]] = field(default_factory=list)
    indexes_differ: bool = False

    def add(self, fault: str) -> None:
        """Add a fault. After the first few, faults are only counted."""
        if len(self.faults) < _MOST_REPORTED:
            self.faults.append(fault)
        else:
            self.more += 1


def audit(database: Database) -> Audit:
    """Check the schema, every row, and the references between tables."""
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
                found.add(f"{table} {key!r:.70}: invalid {', '.join(columns)}")
        _check_people(database, found)
        _check_model(database, found)
        if lacking := len(database.rows(_WITHOUT_VECTORS)):
            found.add(f"photos with faces that have no vector: {lacking:,}")
        for table, key, parent, _ in database.rows("PRAGMA foreign_key_check"):
            found.add(f"{table} {key}: refers to a missing row of {parent}")
        for table in _COUNTED:
            if _last_id(database, table) is not None:
                found.add(f"{table}: invalid last id")
    except IndexDamagedError as error:
        found.beyond_repair = True
        found.add(str(error))
    if found.more:
        found.faults.append(f"and {found.more:,} more")
    return found


def recorded_model_name(database: Database) -> str | None:
    """Return the name of the catalog's model, unchecked; None if no model is recorded."""
    rows = database.rows("SELECT name FROM models ORDER BY id LIMIT 1")
    return str(rows[0][0]) if rows else None


def repair_faults(database: Database, found: Audit, known_model: ModelInfo | None) -> list[str]:
    """Repair the faults that were found, in one transaction, and return what was done, one line each.

    `known_model` is the installed model that the catalog may belong to. If the catalog's own record of its model is
    damaged, it is restored from `known_model`, provided that the weights are the same. Raises `IndexDamagedError` if
    the catalog cannot be repaired from its own content; then nothing is changed.
    """
    if found.beyond_repair:
        return []
    database.rows("PRAGMA ignore_check_constraints = ON")  # columns are repaired one after the other
    try:
        with database.transaction():
            _repair_schema(database, found)
            _repair_meta(database, found)
            _repair_model(database, known_model)
            if any(table in _OF_PEOPLE for table, _ in found.rows):
                database.rows("DELETE FROM meta WHERE key = 'grouped'")  # the next run groups what has nobody now
            database.many("UPDATE people SET merged_into = NULL WHERE id = ?", ((person,) for person in found.people))
            repaired = len(found.people) + sum(_repair_row(database, table, key) for table, key in found.rows)
            dropped = len(found.rows) - repaired + _drop_dangling(database)
            _repair_last_ids(database)
            repaired += len(
                database.rows(f"UPDATE photos SET size = -1, hash = NULL WHERE id IN ({_WITHOUT_VECTORS}) RETURNING 1")
            )
            database.rows("UPDATE galleries SET token = NULL, pending = NULL")  # the next push compares everything
            # No existing vector file was made from this content.
            database.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    finally:
        database.rows("PRAGMA ignore_check_constraints = OFF")
    done = []
    if found.schema or found.meta or found.indexes_differ:
        done.append("rewrote the catalog's own records")
    if repaired:
        done.append(f"rows repaired: {repaired:,}; {Hint.READ_PHOTOS_AGAIN}")
    if dropped:
        done.append(f"rows deleted: {dropped:,}; {Hint.FIND_AGAIN}")
    return done


def _repair_schema(database: Database, found: Audit) -> None:
    for kind, name in found.schema:
        quoted = name.replace('"', '""')
        database.rows(f'DROP {kind.upper()} IF EXISTS "{quoted}"')
    for kind, name, _, sql in database.expected_schema():
        if (kind, name) in found.schema:
            database.rows(sql)
    if found.indexes_differ:
        database.rows("REINDEX")


def _repair_meta(database: Database, found: Audit) -> None:
    for key in found.meta:
        database.rows("DELETE FROM meta WHERE key = ?", key)
        if META[key].repaired is not None:
            database.rows(f"INSERT INTO meta (key, value) VALUES (?, {META[key].repaired})", key)


def _repair_last_ids(database: Database) -> None:
    for table in _COUNTED:
        last = _last_id(database, table)
        if last is not None:
            database.rows("DELETE FROM sqlite_sequence WHERE name = ?", table)
            database.rows("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, last)


def _check_schema(database: Database, found: Audit) -> None:
    """Compare tables, indexes and triggers with those of this version; additional views and tables do no harm."""
    expected = {(kind, name): sql for kind, name, _, sql in database.expected_schema()}
    there = {
        (kind, name): sql
        for kind, name, sql in database.rows("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    }
    for (kind, name), sql in expected.items():
        if there.get((kind, name)) != sql:
            found.add(f"{kind} {name}: {'not as expected' if (kind, name) in there else 'missing'}")
            found.beyond_repair = found.beyond_repair or kind == "table"
            found.schema.append((kind, name))
    for kind, name in there:
        if kind in ("trigger", "index") and (kind, name) not in expected:
            found.add(f"{kind} {name}: not part of facesearch")
            found.schema.append((kind, name))


def _check_pages(database: Database, found: Audit) -> None:
    for line in database.integrity():
        if line.startswith(_ROW_LINES):
            continue
        found.add(line)
        if " index " in f" {line} ":  # derived from the tables, so it can be rebuilt
            found.indexes_differ = True
        else:
            found.beyond_repair = True


def _check_meta(database: Database, found: Audit) -> None:
    kept = {key: _value(kind, value) for key, kind, value in database.rows(f"SELECT key, {_read('value')} FROM meta")}
    for key, column in META.items():
        if not column.takes(kept.get(key), exact=True):
            found.meta.append(key)
            found.add(f"{key}: {'missing' if kept.get(key) is None else 'invalid'}")


def _check_people(database: Database, found: Audit) -> None:
    """Check that a person who became part of another has no faces, and is part of nobody who is part of another."""
    for (person,) in database.rows(_LEADING_NOWHERE):
        found.people.append(person)
        found.add(f"people {person!r:.70}: part of another, but not as it should be")


def _check_model(database: Database, found: Audit) -> None:
    if not database.rows("SELECT 1 FROM models"):
        found.add("the record of the model is missing")
        found.beyond_repair = True
        return
    dim = _dim_of_vectors(database)
    if dim is not None and database.rows("SELECT dim FROM models ORDER BY id LIMIT 1") != [(dim,)]:
        found.add(f"the record of the model does not match the vectors, which have {dim} dimensions")


def _repair_model(database: Database, known: ModelInfo | None) -> None:
    """Repair the record of the model. Raises `IndexDamagedError` if what is left does not identify the model."""
    ((key, digests),) = database.rows("SELECT id, digests FROM models ORDER BY id LIMIT 1")
    dim = _dim_of_vectors(database)
    if dim is not None:
        database.rows("UPDATE models SET dim = ? WHERE id = ?", dim, key)
    if list(_faulty(database, "models", key)):
        legible = TABLES["models"]["digests"].takes(digests)
        if known is None or not legible or set(_json_values(digests)) != set(known.digests.values()):
            raise IndexDamagedError(
                "the record of the model is damaged, and no matching model is installed; restore a backup, or index "
                "again into a new folder"
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
    """Return the number of dimensions that most vectors have; None if nothing looks like a vector."""
    rows = database.rows(
        "SELECT length(vector) / 4 FROM vectors WHERE typeof(vector) = 'blob' AND length(vector) % 4 = 0"
        " AND length(vector) > 0 GROUP BY length(vector) ORDER BY count(*) DESC LIMIT 1"
    )
    return rows[0][0] if rows else None


def _repair_row(database: Database, table: str, key: Any) -> bool:
    """Replace the invalid values of a row; return False if the row had to be deleted."""
    at = _KEYS.get(table, "rowid")
    for _attempt in range(2):  # a path of the wrong type is converted, then checked again
        (row,) = list(_faulty(database, table, key)) or [(key, [])]
        ways = [(column, TABLES[table][column].repaired) for column in row[1]]
        if not ways:
            return True
        if any(way is None for _, way in ways):
            break
        changes = {column: way for column, way in ways if way is not None}
        if table == "photos" and changes.keys() & _OF_CONTENT:
            changes |= {"size": "-1", "hash": "NULL"}  # the next run reads it again
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
    """Return the last id that SQLite should record for a table; None if the recorded one is valid."""
    ((highest,),) = database.rows(f"SELECT coalesce(max(id), 0) FROM {table}")
    kept = database.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", table)
    fits = len(kept) == 1 and type(kept[0][0]) is int and highest <= kept[0][0] <= MOST_COUNTED
    return None if fits or (not kept and not highest) else int(highest)


def _faulty(database: Database, table: str, key: Any = None) -> Iterator[tuple[Any, list[str]]]:
    """Yield the rows of a table that have invalid columns, with those columns; with `key`, check only that row."""
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
    """Return SQL for a value and its type; text as bytes, because it may not be valid UTF-8."""
    return f"typeof({column}), CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"


class _NoText:
    """Stands for a text value that is not UTF-8."""


def _value(kind: str, value: Any) -> Any:
    if kind != "text":
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _NoText()
