"""Which values a row of the catalog may hold: the one definition of all columns.

SQLite accepts any type in any column, and a catalog may come from another person or from a failing disk. So every value
that is read is untrusted: a reader gets a row whose types and values it can work with, or `IndexDamagedError`. Readers
test what would break them; `audit` also tests the exact form, so an index that passes it works.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facesearch.errors import Hint, IndexDamagedError, UsageError
from facesearch.shards import Shard
from facesearch.vectors.kinds import INDEX_TYPES

__all__ = [
    "FACE",
    "MEASURES",
    "META",
    "MOST_COUNTED",
    "TABLES",
    "Column",
    "Shape",
    "box_columns",
    "damaged",
    "face_columns",
    "is_inner_path",
]

_MOST_DIM = 65_536
_MOST_SIDE = 1e7
MOST_COUNTED = 2**62
"""The maximum of ids and generations, which count up: SQLite cannot add to 2**63 - 1."""

_REPAIRED_PATH = "CAST(CASE typeof(path) WHEN 'text' THEN path ELSE '{}' || id END AS BLOB)"
_LATEST = 253_402_300_800
"""The start of the year 10,000 in seconds since 1970: later moments cannot be written as a date."""

_LANDMARKS = struct.Struct("<10f")
_UID = re.compile("[0-9a-f]{32}")


def is_inner_path(path: bytes) -> bool:
    """Whether a path, from any source, stays inside the root that it is relative to."""
    if path.startswith(b"/") or b"\0" in path:
        return False
    return b".." not in path or b".." not in path.split(os.fsencode(os.sep))


def _is_root_path(path: bytes) -> bool:
    return os.path.isabs(path) and b"\0" not in path and os.path.normpath(path) == path


def _positive(number: float) -> bool:
    return number > 0


def _counted(number: int) -> bool:
    return 0 <= number <= MOST_COUNTED


def _id(number: int) -> bool:
    return 0 < number <= MOST_COUNTED


def _moment_number(number: int) -> bool:
    return abs(number) < _LATEST


def _not_negative(number: float) -> bool:
    return number >= 0


def _share(number: float) -> bool:
    return 0 <= number <= 1


def _corner(number: float) -> bool:
    return abs(number) <= _MOST_SIDE  # also false for infinity


def _side(number: float) -> bool:
    return 0 < number <= _MOST_SIDE


def _landmarks(data: bytes) -> bool:
    return all(map(math.isfinite, _LANDMARKS.unpack(data)))


def _moment(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d\d:\d\d)?", text, re.ASCII) is not None


def _digests(text: str) -> bool:
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(kept, dict) and all(isinstance(value, str) for value in kept.values())


def _report(text: str) -> bool:
    """Whether this is the report of an indexing run, with every figure that `status` shows."""
    try:
        kept = json.loads(text)
        figures = [kept[key] for key in ("finished", "new", "changed", "moved", "seconds")]
        return isinstance(kept["stopped"], bool) and all(
            isinstance(figure, int | float) and math.isfinite(figure) and abs(figure) < _LATEST for figure in figures
        )
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
    ):  # a 400-digit number overflows
        return False


def _grouped(text: str) -> bool:
    """Whether this says what was grouped last, with every figure."""
    try:
        kept = json.loads(text)
        return isinstance(kept, dict) and all(
            type(kept[key]) is int and _counted(kept[key]) for key in ("vectors", "statements", "people")
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _shard(text: str) -> bool:
    try:
        shard = Shard.of(text)
        return str(shard) == text and not shard.is_all
    except UsageError:
        return False


def _no_nul(text: str) -> bool:
    return "\0" not in text


def _texts(text: str) -> bool:
    """Whether this is a list of texts as JSON; most are empty."""
    if text == "[]":
        return True
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(listed, list) and all(isinstance(one, str) for one in listed)


def _uid(text: str) -> bool:
    return _UID.fullmatch(text) is not None


def _of(*words: str) -> Callable[[str], bool]:
    return frozenset(words).__contains__


def _length(size: int) -> Callable[[bytes], bool]:
    return lambda data: len(data) == size


@dataclass(frozen=True, slots=True)
class Column:
    """What one column may hold: a type (or NULL, if it is `optional`), and values that are `valid` for a reader.

    `exact` is an additional test of `audit`. `repaired` is the SQL of the value that replaces an invalid one; without
    it the whole row is deleted.
    """

    type: type
    optional: bool = False
    valid: Callable[[Any], bool] | None = None
    exact: Callable[[Any], bool] | None = None
    repaired: str | None = None

    def takes(self, value: object, *, exact: bool = False) -> bool:
        """Whether the column accepts a value."""
        if value is None:
            return self.optional
        if type(value) is not self.type:
            return False
        if self.valid is not None and not self.valid(value):
            return False
        return not exact or self.exact is None or self.exact(value)


def _integer(
    valid: Callable[[int], bool] | None = None,
    *,
    repaired: str | None = None,
    exact: Callable[[int], bool] | None = None,
) -> Column:
    return Column(int, valid=valid, exact=exact, repaired=repaired)


def _or_null(
    kind: type, valid: Callable[[Any], bool] | None = None, exact: Callable[[Any], bool] | None = None
) -> Column:
    return Column(kind, optional=True, valid=valid, exact=exact, repaired="NULL")


_BOX: Mapping[str, Column] = {
    "x": Column(float, valid=_corner),
    "y": Column(float, valid=_corner),
    "width": Column(float, valid=_side),
    "height": Column(float, valid=_side),
}

_DETECTED: Mapping[str, Column] = {
    **_BOX,
    "landmarks": Column(bytes, valid=_length(_LANDMARKS.size), exact=_landmarks),
    "score": Column(float, valid=_share),
}

_MEASURED: Mapping[str, Column] = {
    "quality": _or_null(float, _share),
}
"""Additional measurements of a face: each is a column of `faces` and `seen_faces`, and a field of the same name of
`types.Face` and `types.FaceRecord`. A new one needs a line here, a migration and the two fields."""

MEASURES: tuple[str, ...] = tuple(_MEASURED)
FACE: tuple[str, ...] = (*_MEASURED, *_DETECTED)
"""The columns of a face, in the order of `encode_face` and `decode_face`: first `MEASURES`, then the detection."""

TABLES: Mapping[str, Mapping[str, Column]] = {
    "models": {
        "id": _integer(_id),
        "name": Column(str, valid=_no_nul),
        "source": _or_null(str, _no_nul),
        "dim": _integer(lambda number: 0 < number <= _MOST_DIM),
        "digests": Column(str, valid=_digests),
        "pipeline": _integer(_not_negative),
        "threshold": Column(float, valid=lambda number: -1 <= number <= 1),
        "licence": Column(str, repaired="''"),
    },
    "roots": {
        "id": _integer(_id),
        "uuid": Column(str, repaired="lower(hex(randomblob(16)))"),
        "path": Column(bytes, valid=_is_root_path, repaired=_REPAIRED_PATH.format("/damaged-folder-")),
    },
    "photos": {
        "id": _integer(_id),
        "root": _integer(_id),
        "path": Column(bytes, valid=is_inner_path, repaired=_REPAIRED_PATH.format("damaged//")),
        "size": _integer(lambda number: number >= -1, repaired="-1"),
        "mtime_ns": _integer(repaired="0"),
        "hash": _or_null(bytes, exact=_length(32)),
        "width": _or_null(int, _positive),
        "height": _or_null(int, _positive),
        "taken_at": _or_null(str, _moment),
        "latitude": _or_null(float, lambda degrees: abs(degrees) <= 90),
        "longitude": _or_null(float, lambda degrees: abs(degrees) <= 180),
        "status": Column(str, valid=_of("faces", "no_face", "failed", "unwanted"), repaired="'failed'"),
        "error": _or_null(str),
        "missing_since": _or_null(int),
        "fingerprint": _or_null(int),
        "outdated": _integer(lambda flag: flag in (0, 1), repaired="0"),
        "deaths": _integer(_counted, repaired="0"),
        "ours": _integer(lambda flag: flag in (0, 1), repaired="0"),
        "header": _integer(_counted, repaired="0"),
        "date_source": _or_null(str, _of("exif", "xmp", "iptc", "name")),
        "date_precision": _or_null(str, _of("year", "month", "day", "minute", "second")),
    },
    "faces": {"id": _integer(_id), "photo": _integer(_id), **_DETECTED, **_MEASURED},
    "vectors": {
        "id": _integer(_id),
        "face": _integer(_id),
        "model": _integer(_id),
        "vector": Column(bytes),  # its length and norm depend on the model and are checked elsewhere
    },
    "dead_vectors": {"id": _integer()},
    "forgotten_faces": {
        "content": Column(bytes),
        **_BOX,
    },
    "looks": {"content": Column(bytes), "fingerprint": _or_null(int)},
    "seen_faces": {
        "id": _integer(_id),
        "content": Column(bytes),
        **_DETECTED,
        **_MEASURED,
        "vector": Column(bytes),
    },
    "people": {"id": _integer(_id), "merged_into": _or_null(int, _id)},
    "statements": {
        "id": _integer(_id),
        "said_at": _integer(_moment_number, repaired="0"),
        "author": Column(str, valid=_no_nul, repaired="''"),
        "origin": Column(str, valid=_no_nul, repaired="''"),
        "kind": Column(str, valid=_no_nul),
        "person": _or_null(int, _id),
        "other": _or_null(int, _id),
        "value": _or_null(str),
        "batch": _or_null(int, _id),
        "undoes": _or_null(int, _id),
    },
    "statement_faces": {"statement": _integer(_id), "face": _integer(_id), "content": _or_null(bytes), **_BOX},
    "assignments": {"face": _integer(_id), "person": _integer(_id), "statement": _or_null(int, _id)},
    "overruled": {"face": _integer(_id), "person": _or_null(int, _id)},
    "joined": {"person": _integer(_id), "whole": _integer(_id)},
    "profiles": {
        "person": _integer(_id),
        "name": _or_null(str, _no_nul),
        "aliases": Column(str, valid=_texts),
        "external_id": _or_null(str, _no_nul),
        "born": _or_null(str, _no_nul),
        "ignored": _integer(lambda flag: flag in (0, 1), repaired="0"),
        "cover": _or_null(int, _id),
    },
    "identities": {"person": _integer(_id), "uid": Column(str, valid=_uid, repaired="lower(hex(randomblob(16)))")},
    "given_faces": {"face": _integer(_id)},
    "bookmarks": {
        "name": Column(str, valid=_no_nul),
        "face": _integer(_counted),
        "read_at": _integer(_moment_number, repaired="0"),
    },
    "skipped": {
        "question": Column(str, valid=_no_nul),
        "skipped_at": _integer(_moment_number, repaired="0"),
    },
    "kept_out": {
        "id": _integer(_id),
        "model": _integer(_id),
        "vector": Column(bytes),
        "faces": _integer(_id),
        "made_at": _integer(_moment_number),
        "until": _integer(_moment_number),
    },
    "erasing": {"begun_at": _integer(_moment_number, repaired="0")},
    "carried": {
        "id": _integer(_id),
        "after": _integer(_counted),
        "until": _integer(_counted),
        "content": Column(bytes),
        **_BOX,
        "to_content": Column(bytes),
        **{f"to_{name}": column for name, column in _BOX.items()},
    },
    "earlier_contents": {"photo": _integer(_id), "content": Column(bytes)},
    "galleries": {
        "id": _integer(_id),
        "name": Column(str, valid=_no_nul),
        "address": Column(str, valid=_no_nul),
        "known_as": Column(str, valid=_no_nul),
        "token": _or_null(bytes),
        "pending": _or_null(bytes),
        "pushed": _integer(_counted, repaired="0"),
        "after_runs": _integer(lambda flag: flag in (0, 1), repaired="0"),
    },
    "changes": {"id": _integer(_id), "face": _integer(_id)},
    "shards": {"root": _integer(_id), "shard": Column(str, valid=_shard)},
    "handed_over": {"photo": _integer(_id)},
    "tenants": {"gallery": _integer(_id), "tenant": Column(str, valid=_no_nul)},
}
"""Every table except `meta`, whose values have one type per key."""

META: Mapping[str, Column] = {
    "uuid": Column(bytes, valid=_length(16), repaired="randomblob(16)"),
    "generation": _integer(_counted, repaired="1"),
    "dead_since": _integer(_counted, repaired="1"),
    "last_run": Column(str, optional=True, valid=_report),
    "index_type": Column(str, optional=True, valid=_of(*INDEX_TYPES)),
    "grouping": Column(str, optional=True, valid=_of("on", "off")),
    "grouped": Column(str, optional=True, valid=_grouped),
    "calibration": Column(str, optional=True, valid=_no_nul),
}
"""The values of `meta`, by key; `optional` ones may be missing."""


class Shape:
    """The columns of a query: one list for both its SELECT (`sql`) and the check of its rows.

    A column is given as `photos.path`; anything else is an expression whose value has the type `computed`.
    """

    __slots__ = ("_accepted", "_columns", "_tested", "_what", "sql")

    def __init__(self, *columns: str, computed: type = int) -> None:
        self.sql = ", ".join(columns)
        self._what = columns
        self._columns = [_column(name) or Column(computed) for name in columns]
        self._tested = [(place, column.valid) for place, column in enumerate(self._columns) if column.valid is not None]
        self._accepted: set[tuple[type, ...]] = set()

    def checked(self, rows: Iterable[Sequence[Any]], name: str) -> Iterator[Sequence[Any]]:
        """Yield the rows that pass the check. Raises `IndexDamagedError` for the first row that does not.

        Most rows of a query have the same types: these are compared as a whole, which costs one set look-up.
        """
        for row in rows:
            types = tuple(map(type, row))
            if types not in self._accepted:
                if not all(column.takes(value) for column, value in zip(self._columns, row, strict=True)):
                    raise self._damaged(row, name)
                self._accepted.add(types)
            for place, valid in self._tested:
                value = row[place]
                if value is not None and not valid(value):
                    raise self._damaged(row, name)
            yield row

    def _damaged(self, row: Sequence[Any], name: str) -> IndexDamagedError:
        wrong = next(
            (
                f"{what} {value!r:.60}"
                for what, column, value in zip(self._what, self._columns, row, strict=False)
                if not column.takes(value)
            ),
            "row",
        )
        return damaged(name, f"invalid {wrong}")


def damaged(name: str, what: str) -> IndexDamagedError:
    """Return the error for a damaged value, `what`, in the catalog `name`; a repair fixes it."""
    return IndexDamagedError(f"{name}: the catalog is damaged ({what})", Hint.REPAIR)


def _column(name: str) -> Column | None:
    table, _, column = name.partition(".")
    return TABLES.get(table, {}).get(column)


def face_columns(table: str) -> tuple[str, ...]:
    """Return the columns of `FACE` in a table, for `Shape`."""
    return tuple(f"{table}.{name}" for name in FACE)


def box_columns(table: str, prefix: str = "") -> tuple[str, ...]:
    """Return the columns of a `Box` in a table, in the order of its fields."""
    return tuple(f"{table}.{prefix}{name}" for name in _BOX)
