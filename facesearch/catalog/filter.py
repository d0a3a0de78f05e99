"""A filter as SQL: a condition on the tables `faces` and `photos`, with the values to bind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from facesearch.filters import Filter
from facesearch.locations import Locations

__all__ = ["FIRST_MOMENT", "Condition", "condition", "places"]

_SEPARATOR = os.fsencode(os.sep)
_FILE_TIME = "strftime('%Y-%m-%dT%H:%M:%S', mtime_ns / 1000000000, 'unixepoch', 'localtime')"
FIRST_MOMENT = f"coalesce(substr(taken_at, 1, 19), {_FILE_TIME})"
"""When a photo was taken, or else its file was changed: the first second, in local time."""

# As text, every moment of a month sorts before the end of a 31st day, even if the month is shorter.
_KNOWN_TO = (
    "CASE date_precision WHEN 'year' THEN substr(taken_at, 1, 4) || '-12-31T23:59:59'"
    " WHEN 'month' THEN substr(taken_at, 1, 7) || '-31T23:59:59'"
    " WHEN 'day' THEN substr(taken_at, 1, 10) || 'T23:59:59'"
    " WHEN 'minute' THEN substr(taken_at, 1, 16) || ':59' ELSE substr(taken_at, 1, 19) END"
)
_LAST = f"coalesce({_KNOWN_TO}, {_FILE_TIME})"


class Condition(NamedTuple):
    """SQL that is true for the wanted rows, and the values for its question marks."""

    sql: str
    values: tuple[object, ...]


def condition(wanted: Filter, roots: Iterable[tuple[int, bytes]]) -> Condition:
    """Return the condition for a filter; `roots` are the ids and absolute paths of all roots."""
    known = list(roots)
    parts = []
    if wanted.folders:
        parts.append(_any(part for path in wanted.folders for part in places(path, known)))
    if wanted.other_folders:
        inside = _any(part for path in wanted.other_folders for part in places(path, known))
        parts.append(Condition(f"NOT {inside.sql}", inside.values))
    if wanted.since is not None:
        parts.append(Condition(f"{_LAST} >= ?", (wanted.since,)))
    if wanted.until is not None:
        parts.append(Condition(f"{FIRST_MOMENT} <= ?", (wanted.until,)))
    if wanted.min_face > 0:
        parts.append(Condition("min(faces.width, faces.height) >= ?", (wanted.min_face,)))
    if wanted.min_quality > 0:
        parts.append(Condition("quality >= ?", (wanted.min_quality,)))
    if wanted.number_of_faces is not None:
        counted = "(SELECT count(*) FROM faces AS shown WHERE shown.photo = photos.id) BETWEEN ? AND ?"
        parts.append(Condition(counted, wanted.number_of_faces))
    if wanted.person is not None:
        parts.append(Condition("faces.id IN (SELECT face FROM assignments WHERE person = ?)", (wanted.person,)))
    if wanted.photos is not None:
        ids = json.dumps(sorted(wanted.photos))
        parts.append(Condition("photos.id IN (SELECT value FROM json_each(?))", (ids,)))
    if wanted.index is not None:
        parts.append(Condition("false", ()))  # an index does not know its name in a gallery
    if not parts:
        return Condition("true", ())
    return Condition(" AND ".join(part.sql for part in parts), tuple(value for part in parts for value in part.values))


def places(path: bytes, roots: Iterable[tuple[int, bytes]]) -> list[Condition]:
    """Return one condition per root that an absolute path lies in or contains; empty if there is none."""
    found = []
    for root, inner in Locations(roots).places(path):
        if not inner:
            found.append(Condition("photos.root = ?", (root,)))
            continue
        # Every path that starts with the folder's name and a separator, as bytes.
        bounds = (inner + _SEPARATOR, inner + bytes([_SEPARATOR[0] + 1]))
        sql = "(photos.root = ? AND (photos.path = ? OR (photos.path >= ? AND photos.path < ?)))"
        found.append(Condition(sql, (root, inner, *bounds)))
    return found


def _any(parts: Iterable[Condition]) -> Condition:
    known = list(parts)
    if not known:
        return Condition("false", ())
    sql = " OR ".join(part.sql for part in known)
    return Condition(f"({sql})", tuple(value for part in known for value in part.values))
