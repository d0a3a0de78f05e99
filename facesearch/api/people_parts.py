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

_SAMPLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPart:
    """A part of a person: its number, from 1 for the largest, its faces by id, and the best of them."""

    number: int
    faces: tuple[int, ...]
    photos: int
    first: str
    last: str
    samples: tuple[FaceRecord, ...]

    @property
    def cover(self) -> FaceRecord:
        """The face that stands for the part."""
        return self.samples[0]

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
        best = sorted(records, key=lambda face: (-(face.quality or 0.0), -face.detection.box.shorter, face.face_id))
        photos = len({record.photo_id for record in records})
        found.append(
            PersonPart(
                number=number, faces=faces, photos=photos, first=days[0], last=days[-1], samples=tuple(best[:_SAMPLES])
            )
        )  # fmt: skip
    return found
