"""Write statements for another index of the same photos: what was said, and whom grouping takes faces for.

The latter is derived data. With it, the other index gets the same people even if it grouped the faces in another way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import StorageError
from facesearch.files import output_file
from facesearch.people.exchange.document import Spoken, header_line, person_line
from facesearch.people.exchange.log_lines import log_lines

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog

__all__ = ["Exported", "export_lines", "save_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: the number of people, of their faces, and of statements or 0 where there are none."""

    people: int
    faces: int
    statements: int = 0


def save_lines(catalog: Catalog, path: Path) -> Exported:
    """Write all statements to a file that only its owner can read, completely or not at all. Raises `StorageError`."""
    people = _spoken_of(catalog)
    statements = catalog.statements.all()
    try:
        with output_file(path, private=True) as stream:
            stream.writelines(export_lines(catalog, people))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    faces = {place for one in people for place in one.members}
    return Exported(people=sum(one.into is None for one in people), faces=len(faces), statements=len(statements))


def export_lines(catalog: Catalog, people: list[Spoken] | None = None) -> Iterator[bytes]:
    """Yield the lines of the file."""
    people = _spoken_of(catalog) if people is None else people
    statements, uids = catalog.statements.all(), _uids(catalog)
    counts = {"people": len(people), "statements": len(statements)}
    yield header_line(catalog.meta.uuid, catalog.models.current(), counts)
    yield from map(person_line, people)
    yield from log_lines(catalog, uids)


def _uids(catalog: Catalog) -> dict[int, str]:
    """Return the id outside the catalog of everybody spoken of."""
    known = {person: uid for uid, person in catalog.statements.identities().items()}
    spoken = {person for row in catalog.statements.all() for person in (row.person, row.other) if person is not None}
    for person in sorted(spoken - set(known)):  # an earlier version made the statement
        known[person] = hashlib.sha256(catalog.meta.uuid + str(person).encode()).hexdigest()[:32]
    return known


def _spoken_of(catalog: Catalog) -> list[Spoken]:
    """Return everybody spoken of, in the order of their numbers, with the faces that grouping takes for them."""
    merged, uids = dict(catalog.people.merged()), _uids(catalog)
    first: dict[int, int] = {}
    for person in sorted(uids, key=lambda person: (person in merged, person)):
        first.setdefault(merged.get(person, person), person)
    members: dict[int, list[int]] = {}
    for face, group in catalog.people.grouped(catalog.people.faces_grouped_as(sorted(first))).items():
        if group in first:
            members.setdefault(group, []).append(face)
    places = catalog.exchange.places([face for faces in members.values() for face in faces])
    found = []
    for person in sorted(uids):
        group = merged.get(person, person)
        if first[group] == person:
            shown = dict.fromkeys(places[face] for face in sorted(members.get(group, ())) if face in places)
            found.append(Spoken(uids[person], tuple(shown)))
        else:
            found.append(Spoken(uids[person], into=uids[first[group]]))
    return found
