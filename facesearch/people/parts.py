"""The parts of a person: groups of faces within it that are more similar among themselves than to the others.

If two people were taken for one, they are two of the parts. Parts are found by average-link merging, as people are,
with the least mean similarity at which there is more than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.people.apart import Apart
from facesearch.people.merging import Groups, by_link, merge
from facesearch.vectors.neighbours import nearest_pairs

if TYPE_CHECKING:
    from facesearch.catalog.people import FaceRow
    from facesearch.index.store import Store
    from facesearch.types import FloatArray, IdArray

__all__ = ["group_parts", "parts_of"]

_NEIGHBOURS = 50
_FIRST_FMR = 0.03
_STEP, _HIGHEST = 0.03, 0.9
_MOST = 6
_LEAST_SHARE = 0.03
_LEAST = 2


def parts_of(store: Store, person: int) -> list[list[FaceRow]]:
    """Return a person's faces in parts, the largest first; a single part if there are no two."""
    people = store.catalog.people
    rows = people.face_rows_of(people.vectors_of([person]))
    if not rows:
        return []
    vectors = store.catalog.vectors.get([row.vector for row in rows], store.model.dim)
    labels = group_parts(vectors, calibration_of(store.model).similarity_at(_FIRST_FMR))
    parts: dict[int, list[FaceRow]] = {}
    for row, label in zip(rows, labels.tolist(), strict=True):
        parts.setdefault(label, []).append(row)
    return sorted(parts.values(), key=lambda faces: (-len(faces), faces[0].face))


def group_parts(vectors: FloatArray, lowest: float) -> IdArray:
    """Return the part of each row of float32[n, dim], int64[n]; `lowest` is the least similarity that is tried."""
    count = len(vectors)
    near = nearest_pairs(vectors, vectors, _NEIGHBOURS, -1.0, own=np.arange(count))
    least = max(_LEAST, round(_LEAST_SHARE * count))
    similarity = lowest
    while similarity < _HIGHEST:
        groups = Groups(vectors, np.arange(count), np.zeros(count, dtype=np.bool_))
        merge(groups, near.queries, near.rows, by_link(similarity), Apart.none())
        large = np.flatnonzero(np.bincount(groups.of, minlength=count) >= least)
        if len(large) > 1:
            return _nearest_large(vectors, groups, large)
        similarity += _STEP
    return np.zeros(count, dtype=np.int64)


def _nearest_large(vectors: FloatArray, groups: Groups, large: IdArray) -> IdArray:
    """Return the largest groups, and for every other row the one of them whose mean is nearest."""
    large = large[np.argsort(-groups.sizes[large], kind="stable")][:_MOST]
    means = groups.means[large] / np.maximum(np.sqrt(groups.within[large]), 1e-6)[:, None]
    nearest = np.argmax(vectors @ means.T, axis=1)
    place = np.full(len(groups.sizes), -1)
    place[large] = np.arange(len(large))
    own = place[groups.of]
    return np.where(own >= 0, own, nearest).astype(np.int64)
