"""The faces of named people that the user has confirmed: labels to measure a model with.

Confirmed are faces that the user has placed, and those that belonged to a person when it was named: whoever names a
group has looked at it. The second kind were found by their likeness, so what is measured with them says more about
strangers than about how many photos of a person are missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facesearch.people.statements import Kind, everything_said, undone_by

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.types import FloatArray, IdArray

__all__ = ["ConfirmedFaces", "confirmed_faces"]


@dataclass(frozen=True, slots=True, eq=False)
class ConfirmedFaces:
    """Faces: vectors, float32[n, dim] of unit length, and labels, int64[n], indices into the numbers in `people`."""

    vectors: FloatArray
    labels: IdArray
    people: list[int]


def confirmed_faces(store: Store, least: int) -> ConfirmedFaces:
    """Return the confirmed faces of everybody who has a name and at least this number of them. Copies count once."""
    catalog = store.catalog
    statements, said = catalog.statements.all(), everything_said(catalog)
    undone = undone_by(statements)
    seen = {told.face for told in catalog.statements.faces((Kind.name,)) if told.statement not in undone} | set(
        said.placed
    )
    named = {person for person, profile in said.profiles.items() if profile.name is not None and not profile.ignored}
    rows = [
        row
        for row in catalog.people.face_rows_of(catalog.people.vectors_of(sorted(named)))
        if row.face in seen and row.person in named
    ]
    once = {(row.person, row.content or row.photo): row for row in rows}
    found: dict[int, list[int]] = {}
    for row in once.values():
        found.setdefault(row.person, []).append(row.vector)
    people = [person for person, vectors in sorted(found.items()) if len(vectors) >= least]
    ids = [vector for person in people for vector in found[person]]
    labels = [number for number, person in enumerate(people) for _ in found[person]]
    return ConfirmedFaces(catalog.vectors.get(ids, store.model.dim), np.array(labels, dtype=np.int64), people)
