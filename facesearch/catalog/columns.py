"""What a row of the catalog may hold: one table of columns, for readers and for `check`.

SQLite keeps any type in any column, and a catalog may come from somebody else or from a failing disk. So every value
that is read is data: a reader gets a row whose types and values it can work with, or `IndexDamagedError`. Readers test
what would break them; `check` (see `audit`) tests the exact form as well, so whatever it calls sound works.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facesearch.errors import Hint, IndexDamagedError
from facesearch.types import Box, Detection, Face

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["META", "MOST_COUNTED", "TABLES", "Column", "Shape", "detection_of", "is_inner_path", "row_of"]

_MOST_DIM = 65_536
_MOST_SIDE = 1e7
MOST_COUNTED = 2**62
"""What counts up, ids and generations, is at most this: SQLite cannot add to 2**63 - 1."""

_MENDED_PATH = "CAST(CASE typeof(path) WHEN 'text' THEN path ELSE '{}' || id END AS BLOB)"
_LATEST = 253_402_300_800
"""Seconds since 1970, where the year 10,000 begins: later moments cannot be written as a date."""

_LANDMARKS = struct.Struct("<10f")


def is_inner_path(path: bytes) -> bool:
    """Whether a path stays inside the root that it is relative to, whoever wrote it."""
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
    """The report of an indexing run, with what `status` tells of it."""
    try:
        kept = json.loads(text)
        figures = [kept[key] for key in ("finished", "new", "changed", "moved", "seconds")]
        return isinstance(kept["stopped"], bool) and all(
            isinstance(figure, int | float) and math.isfinite(figure) and abs(figure) < _LATEST for figure in figures
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):  # a number of 400 digits is no float
        return False


def _no_nul(text: str) -> bool:
    return "\0" not in text


def _of(*words: str) -> Callable[[str], bool]:
    return frozenset(words).__contains__


def _length(size: int) -> Callable[[bytes], bool]:
    return lambda data: len(data) == size


@dataclass(frozen=True, slots=True)
class Column:
    """What one column may hold: a type (or NULL, where it is `optional`), and values that are `valid` for a reader.

    `exact` is what `check` asks for besides. `mended` is the value that takes the place of one that cannot be, in SQL;
    without it the whole row has to go.
    """

    type: type
    optional: bool = False
    valid: Callable[[Any], bool] | None = None
    exact: Callable[[Any], bool] | None = None
    mended: str | None = None

    def takes(self, value: object, *, exact: bool = False) -> bool:
        """Whether a value can stand here."""
        if value is None:
            return self.optional
        if type(value) is not self.type:
            return False
        if self.valid is not None and not self.valid(value):
            return False
        return not exact or self.exact is None or self.exact(value)


def _integer(
    valid: Callable[[int], bool] | None = None, *, mended: str | None = None, exact: Callable[[int], bool] | None = None
) -> Column:
    return Column(int, valid=valid, exact=exact, mended=mended)


def _or_null(
    kind: type, valid: Callable[[Any], bool] | None = None, exact: Callable[[Any], bool] | None = None
) -> Column:
    return Column(kind, optional=True, valid=valid, exact=exact, mended="NULL")


_FACE: Mapping[str, Column] = {
    "id": _integer(_id),
    "x": Column(float, valid=_corner),
    "y": Column(float, valid=_corner),
    "width": Column(float, valid=_side),
    "height": Column(float, valid=_side),
    "landmarks": Column(bytes, valid=_length(_LANDMARKS.size), exact=_landmarks),
    "score": Column(float, valid=_share),
    "quality": _or_null(float, _share),
}

TABLES: Mapping[str, Mapping[str, Column]] = {
    "models": {
        "id": _integer(_id),
        "name": Column(str, valid=_no_nul),
        "source": _or_null(str, _no_nul),
        "dim": _integer(lambda number: 0 < number <= _MOST_DIM),
        "digests": Column(str, valid=_digests),
        "pipeline": _integer(_not_negative),
        "threshold": Column(float, valid=lambda number: -1 <= number <= 1),
        "licence": Column(str, mended="''"),
    },
    "roots": {
        "id": _integer(_id),
        "uuid": Column(str, mended="lower(hex(randomblob(16)))"),
        "path": Column(bytes, valid=_is_root_path, mended=_MENDED_PATH.format("/damaged-folder-")),
    },
    "photos": {
        "id": _integer(_id),
        "root": _integer(_id),
        "path": Column(bytes, valid=is_inner_path, mended=_MENDED_PATH.format("damaged//")),
        "size": _integer(lambda number: number >= -1, mended="-1"),
        "mtime_ns": _integer(mended="0"),
        "hash": _or_null(bytes, exact=_length(32)),
        "width": _or_null(int, _positive),
        "height": _or_null(int, _positive),
        "taken_at": _or_null(str, _moment),
        "latitude": _or_null(float, lambda degrees: abs(degrees) <= 90),
        "longitude": _or_null(float, lambda degrees: abs(degrees) <= 180),
        "status": Column(str, valid=_of("faces", "no_face", "failed", "unwanted"), mended="'failed'"),
        "error": _or_null(str),
        "missing_since": _or_null(int),
        "fingerprint": _or_null(int),
        "outdated": _integer(lambda flag: flag in (0, 1), mended="0"),
        "deaths": _integer(_counted, mended="0"),
        "ours": _integer(lambda flag: flag in (0, 1), mended="0"),
        "header": _integer(_counted, mended="0"),
        "date_source": _or_null(str, _of("exif", "xmp", "iptc", "name")),
        "date_precision": _or_null(str, _of("year", "month", "day", "minute", "second")),
    },
    "faces": {**_FACE, "photo": _integer(_id)},
    "vectors": {
        "id": _integer(_id),
        "face": _integer(_id),
        "model": _integer(_id),
        "vector": Column(bytes),  # its length and its norm are another check: they depend on the model
    },
    "dead_vectors": {"id": _integer()},
    "forgotten_faces": {
        "content": Column(bytes),
        "x": Column(float, valid=_corner),
        "y": Column(float, valid=_corner),
        "width": Column(float, valid=_side),
        "height": Column(float, valid=_side),
    },
    "looks": {"content": Column(bytes), "fingerprint": _or_null(int)},
    "seen_faces": {**_FACE, "content": Column(bytes), "vector": Column(bytes)},
}
"""Every table but `meta`, whose values have a type for each key."""

META: Mapping[str, Column] = {
    "uuid": Column(bytes, valid=_length(16), mended="randomblob(16)"),
    "generation": _integer(_counted, mended="1"),
    "dead_since": _integer(_counted, mended="1"),
    "last_run": Column(str, optional=True, valid=_report),
    "index_type": Column(str, optional=True, valid=_of("auto", "flat", "ivf")),
}
"""What `meta` holds, by key; those that are `optional` may be missing."""

_COMPUTED = Column(int)


class Shape:
    """The columns that a query gives, in words as `photos.path`; `-` is a number that SQLite has computed."""

    __slots__ = ("_accepted", "_columns", "_tested", "_what")

    def __init__(self, columns: str) -> None:
        self._what = columns.split()
        self._columns = [_column(name) for name in self._what]
        self._tested = [(place, column.valid) for place, column in enumerate(self._columns) if column.valid is not None]
        self._accepted: set[tuple[type, ...]] = set()

    def checked(self, rows: Iterable[Sequence[Any]], name: str) -> Iterator[Sequence[Any]]:
        """The rows, each once it is known to be what it should. Raises `IndexDamagedError` for the first that is not.

        Rows of one query mostly have the same types: these are compared as a whole, which costs a set look-up.
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
            "a row",
        )
        return IndexDamagedError(f"{name}: the catalog is damaged ({wrong} cannot be)", Hint.REPAIR)


def _column(name: str) -> Column:
    if name == "-":
        return _COMPUTED
    table, _, column = name.partition(".")
    return TABLES[table][column]


def row_of(face: Face) -> tuple[Any, ...]:
    """x, y, width, height, landmarks, score and quality, as the catalog keeps them."""
    box, landmarks = face.detection.box, face.detection.landmarks.astype("<f4").tobytes()
    return box.left, box.top, box.width, box.height, landmarks, face.detection.score, face.quality


def detection_of(*row: Any) -> Detection:
    """From x, y, width, height, landmarks and score, as the catalog keeps them."""
    import numpy as np

    x, y, width, height, landmarks, score = row
    points: FloatArray = np.frombuffer(landmarks, dtype="<f4").reshape(5, 2).astype(np.float32)
    return Detection(Box(x, y, width, height), points, score)
