"""From similar faces to hits: one per photo, near-identical shots combined, ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from facesearch.photos.fingerprint import ALIKE_BITS
from facesearch.search.result import Hit
from facesearch.types import FaceRecord

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["one_per_photo", "ranked", "without_near_copies"]

_ALIKE_FACES = 0.8


def one_per_photo(faces: Sequence[Hit]) -> list[Hit]:
    """Return the first face of each photo, which is its best."""
    best: dict[int, Hit] = {}
    for hit in faces:
        best.setdefault(hit.face.photo_id, hit)
    return list(best.values())


def without_near_copies(hits: Sequence[Hit], vectors_of: Callable[[Sequence[FaceRecord]], FloatArray]) -> list[Hit]:
    """Combine near-identical photos with similar faces into one hit; `vectors_of` returns float32[n, dim]."""
    vectors = vectors_of([hit.face for hit in hits])
    fingerprints = np.array([hit.face.fingerprint or 0 for hit in hits], dtype=np.int64).view(np.uint64)
    known = np.array([hit.face.fingerprint is not None for hit in hits], dtype=np.bool_)
    first: list[int] = []
    alike: dict[int, list[Hit]] = {}
    for number, hit in enumerate(hits):
        kept = np.array(first, dtype=np.int64)
        same = known[kept] & known[number]
        same &= np.bitwise_count(fingerprints[kept] ^ fingerprints[number]) <= ALIKE_BITS
        same &= vectors[kept] @ vectors[number] >= _ALIKE_FACES
        if same.any():
            alike[int(kept[same.argmax()])].append(hit)
        else:
            first.append(number)
            alike[number] = []
    return [replace(hits[number], folded=tuple(alike[number])) for number in first]


def ranked(hits: Sequence[Hit]) -> list[Hit]:
    """Return the same hits, ranked from 1."""
    return [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
