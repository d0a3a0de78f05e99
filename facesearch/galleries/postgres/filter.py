"""A filter as a condition on the table `face_rows` of a gallery in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from facesearch.filters import Filter
from facesearch.types import own_id

__all__ = ["Condition", "condition", "inside"]

_SEPARATOR = os.fsencode(os.sep)


class Condition(NamedTuple):
    """SQL that is true for the wanted rows, and the values for its placeholders."""

    sql: str
    values: tuple[object, ...]


def condition(wanted: Filter, numbers: Mapping[str, int]) -> Condition:
    """Return the condition for a filter; `numbers` are those of the indexes, by name."""
    parts = []
    if wanted.index is not None:
        parts.append(Condition("index = %s", (numbers.get(wanted.index, 0),)))
    if wanted.folders:
        parts.append(inside(wanted.folders))
    if wanted.other_folders:
        excluded = inside(wanted.other_folders)
        parts.append(Condition(f"NOT {excluded.sql}", excluded.values))
    if wanted.since is not None:
        parts.append(Condition("last_moment >= %s", (wanted.since,)))
    if wanted.until is not None:
        parts.append(Condition("first_moment <= %s", (wanted.until,)))
    if wanted.min_face > 0:
        parts.append(Condition("least(width, height) >= %s", (wanted.min_face,)))
    if wanted.min_quality > 0:
        parts.append(Condition("quality >= %s", (wanted.min_quality,)))
    if wanted.number_of_faces is not None:
        parts.append(Condition("faces_in_photo BETWEEN %s AND %s", wanted.number_of_faces))
    if wanted.person is not None:
        parts.append(Condition("index = %s AND person = %s", own_id(wanted.person)))
    if wanted.photos is not None:
        of, photos = zip(*(own_id(photo) for photo in wanted.photos), strict=True) if wanted.photos else ((), ())
        parts.append(
            Condition("(index, photo) IN (SELECT * FROM unnest(%s::integer[], %s::bigint[]))", (list(of), list(photos)))
        )
    if not parts:
        return Condition("true", ())
    return Condition(" AND ".join(part.sql for part in parts), tuple(value for part in parts for value in part.values))


def inside(paths: Iterable[bytes]) -> Condition:
    """Return the condition that a photo is one of some absolute paths, or in one of these folders."""
    parts, values = [], []
    for path in paths:
        folder = path.rstrip(_SEPARATOR) + _SEPARATOR
        parts.append("path = %s OR (path >= %s AND path < %s)")
        values += [path, folder, folder[:-1] + bytes([_SEPARATOR[0] + 1])]
    return Condition(f"({' OR '.join(parts)})", tuple(values))
