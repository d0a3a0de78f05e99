"""The parts of a person as records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import FaceRow
    from facesearch.types import FaceRecord

__all__ = ["PersonPart", "part_records"]


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
