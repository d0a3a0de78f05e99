"""Divide a person into two: the parts of its faces, and a new person for some of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import FaceRow
    from facesearch.people.saying import Statement
    from facesearch.types import FaceRecord

__all__ = ["PersonPart", "divided", "part_records"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPart:
    """A part of a person: its number, from 1 for the largest, its faces by id, and a face that stands for it."""

    number: int
    faces: tuple[int, ...]
    photos: int
    first: str
    last: str
    cover: FaceRecord

    @property
    def path(self) -> str:
        """The photo of the face that stands for the part."""
        return os.fsdecode(self.cover.path)


def part_records(catalog: Catalog, parts: Sequence[Sequence[FaceRow]]) -> list[PersonPart]:
    """Return the parts with what is shown of them; faces of hidden photos are not shown, but belong to their part."""
    found = []
    for number, rows in enumerate(parts, start=1):
        records = list(catalog.faces.records([row.vector for row in rows]).values())
        faces = tuple(row.face for row in rows)
        if not records:
            continue
        days = sorted(record.day for record in records)
        cover = max(records, key=lambda record: (record.quality or 0.0, record.detection.box.shorter))
        photos = len({record.photo_id for record in records})
        found.append(
            PersonPart(
                number=number, faces=faces, photos=photos, first=days[0], last=days[-1], cover=cover
            )
        )  # fmt: skip
    return found


def divided(
    catalog: Catalog, person: int, parts: Sequence[Sequence[FaceRow]], chosen: Sequence[int], faces: Sequence[int]
) -> Iterator[Statement]:
    """Yield what is said: the chosen parts, by number, and faces, by id, are a new person, and the two are not one.

    Raises `UsageError` for a part that is not there, for faces of somebody else, or if nobody would be left.
    """
    from facesearch.people.saying import Statement
    from facesearch.people.statements import Kind

    for number in chosen:
        if not 1 <= number <= len(parts):
            raise UsageError(f"part {number}: no such part; there are {len(parts)}, numbered from 1")
    everybody = {row.face for part in parts for row in part}
    for face in faces:
        if face not in everybody:
            raise UsageError(f"face {face}: does not belong to #{person}")
    moving = sorted({*faces, *(row.face for number in chosen for row in parts[number - 1])})
    if not moving:
        raise UsageError("give the parts, or the faces, that are somebody else")
    if len(moving) == len(everybody):
        raise UsageError("nobody would be left; leave out the part that shows the person")
    new = catalog.people.add()
    yield Statement(Kind.belongs, moving, new)
    yield Statement(Kind.two, person=person, other=new)
