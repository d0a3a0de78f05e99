"""Which faces could be a person: those of the group, and others that are similar to it down to *possible*.

A face that somebody else's faces fit better is not swept up, unless everything similar is wanted; nor is one of which
the user has said whom it shows. Every vector is compared, also those of hidden photos and whatever the kind of vector
file, because a person who is forgotten must not stay in a corner that an approximate search does not visit.

Measured in `benchmarks/forgetting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import LEAST_FMR, LEAST_SEARCHED
from facesearch.calibration.verdict import Judge
from facesearch.models.geometry import unit_length
from facesearch.people.statements import Said, everything_said

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.index.store import Store
    from facesearch.types import FaceRecord, FloatArray, IdArray, Verdict

__all__ = ["Likeness", "Reach", "Sweep", "SweptFace", "still_like", "sweep"]

Reach = Literal["group", "similar", "everything"]
"""How wide a sweep is: the group alone, also similar faces that fit nobody else better, or everything similar."""

_POSSIBLE = 10.0
"""The false hits to expect among all faces, as for the verdict *possible*."""

_LARGEST = 10
_MOST_COMPARED = 500
_LEAST_LENGTH = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweptFace:
    """A face that could be the person. `own` is set if it belongs to the person; else it is only similar.

    `similarity` is the cosine similarity to the mean of the person's other faces, None for a face without an embedding.
    `similarity_to_other` is that to the person whom it belongs to now, if that is another one.
    """

    face: FaceRecord
    own: bool
    similarity: float | None
    verdict: Verdict | None
    similarity_to_other: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """The faces that could be a person, best first: those of the person, then others.

    `names` are the person's names. `fit_others` are the ids of similar faces that fit somebody else better, and
    `said_otherwise` of those that are somebody else by the user's word; neither are in `faces`. `least` is the
    similarity from which a face counts, None without an embedding of the person. `reach` says how wide the sweep was.
    """

    person: int
    names: tuple[str, ...]
    faces: tuple[SweptFace, ...]
    reach: Reach = "similar"
    least: float | None = None
    fit_others: tuple[int, ...] = ()
    said_otherwise: tuple[int, ...] = ()
    likeness: Likeness | None = field(default=None, repr=False)

    @property
    def own(self) -> int:
        """The number of faces that belong to the person."""
        return sum(one.own for one in self.faces)

    @property
    def photos(self) -> int:
        """The number of photos."""
        return len({one.face.photo_id for one in self.faces})


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What a person looks like: the mean of `faces` faces, float32[dim] of unit length; `some` are some of the faces.

    From `least` on a similarity to the mean is *possible*, from `least_to_one` on that to the nearest face.
    """

    mean: FloatArray
    faces: int
    some: FloatArray
    least: float
    least_to_one: float

    @classmethod
    def of(cls, vectors: FloatArray, searched: int, calibration: Calibration) -> Likeness:
        """Return the likeness of a person with these embeddings, float32[n, dim], for that many faces to search."""
        some = vectors[:: max(1, -(-len(vectors) // _MOST_COMPARED))]
        fmr = _POSSIBLE / max(searched, LEAST_SEARCHED)
        return cls(
            unit_length(vectors.sum(axis=0)), len(vectors), some,
            calibration.similarity_at(fmr, min(len(vectors), _LARGEST)),
            calibration.similarity_at(max(LEAST_FMR, fmr / len(some))),
        )  # fmt: skip

    def like(self, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return for float32[n, dim] the similarities to the mean and to the nearest face, float32[n] each."""
        return vectors @ self.mean, (vectors @ self.some.T).max(axis=1)

    def possible(self, to_mean: FloatArray, to_one: FloatArray) -> IdArray:
        """Return the places of similarities that could be the person's."""
        return np.flatnonzero((to_mean >= self.least) | (to_one >= self.least_to_one))


def sweep(
    store: Store,
    person: int,
    *,
    reach: Reach = "similar",
    calibration: Calibration | None = None,
    check: Callable[[], object] = lambda: None,
) -> Sweep:
    """Return the faces that could be a person; nothing is changed. `check` may raise an error, to cancel."""
    catalog, known = store.catalog, calibration or calibration_of(store.model)
    said = everything_said(catalog)
    own = [face for face in catalog.forgetting.faces_of([person]) if (face, person) not in said.barred]
    records = catalog.faces.held(own)
    vectors = catalog.vectors.get([record.vector_id for record in records.values()], store.model.dim)
    embedded = np.array([record.vector_id > 0 for record in records.values()], dtype=np.bool_)
    profile = catalog.people.profiles().get(person)
    names = () if profile is None else profile.names
    if not embedded.any():
        faces = [SweptFace(face=record, own=True, similarity=None, verdict=None) for record in records.values()]
        return Sweep(person=person, names=names, faces=tuple(faces), reach=reach)
    likeness = Likeness.of(vectors[embedded], catalog.vectors.count(), known)
    judge = Judge(known, min(likeness.faces, _LARGEST), catalog.vectors.count(), (), None)
    found = _own_faces(list(records.values()), vectors, judge)
    others: list[SweptFace] = []
    fit_others: list[int] = []
    placed: list[int] = []
    if reach != "group":
        near = _near(store, likeness, set(own), check)
        others, fit_others, placed = _others(store, person, said, near, judge, everything=reach == "everything")
    return Sweep(
        person=person, names=names, faces=(*found, *others), reach=reach, least=likeness.least,
        fit_others=tuple(fit_others), said_otherwise=tuple(placed), likeness=likeness,
    )  # fmt: skip


def _own_faces(records: Sequence[FaceRecord], vectors: FloatArray, judge: Judge) -> list[SweptFace]:
    """Return the person's own faces, each with its similarity to the others, the least similar last."""
    rest = vectors.sum(axis=0) - vectors
    lengths = np.linalg.norm(rest, axis=1)
    similar = np.einsum("nd,nd->n", vectors, rest) / np.maximum(lengths, _LEAST_LENGTH)
    similar = np.where(lengths > _LEAST_LENGTH, similar, 1.0)  # a person with one face
    found = []
    for record, value in zip(records, np.minimum(similar, 1.0).tolist(), strict=True):
        known = value if record.vector_id else None
        verdict = None if known is None else judge.verdict(known, record.quality)
        found.append(SweptFace(face=record, own=True, similarity=known, verdict=verdict))
    return sorted(found, key=lambda one: (-2.0 if one.similarity is None else -one.similarity, one.face.face_id))


class _Near(NamedTuple):
    """A face that could be a person, with its embedding and its similarities to the mean and to the nearest face."""

    face: FaceRecord
    vector: FloatArray
    to_mean: float
    to_one: float


def still_like(store: Store, likeness: Likeness) -> list[FaceRecord]:
    """Return all faces that could still be a person, whoever they belong to."""
    return [near.face for near in _near(store, likeness, set(), lambda: None)]


def _near(store: Store, likeness: Likeness, own: set[int], check: Callable[[], object]) -> list[_Near]:
    """Return all faces that could be the person and do not belong to it."""
    found = []
    for ids, vectors in store.catalog.vectors.after(0, store.model.dim):
        check()
        to_mean, to_one = likeness.like(vectors)
        places = likeness.possible(to_mean, to_one)
        rows = store.catalog.people.face_rows_of(ids[places].tolist())
        faces = {row.vector: row.face for row in rows}
        records = store.catalog.faces.held([row.face for row in rows if row.face not in own])
        for place in places.tolist():
            record = records.get(faces.get(int(ids[place]), 0))
            if record is not None:
                found.append(_Near(record, vectors[place], float(to_mean[place]), float(to_one[place])))
    return found


def _others(
    store: Store, person: int, said: Said, near: Sequence[_Near], judge: Judge, *, everything: bool
) -> tuple[list[SweptFace], list[int], list[int]]:
    """Return the faces near a person that could be it, those that fit somebody else, and those the user has placed."""
    sums = {
        number: store.catalog.vectors.get(store.catalog.people.vectors_of([number]), store.model.dim).sum(axis=0)
        for number in sorted({one.face.person for one in near if one.face.person})
    }
    found, fit_others, placed = [], [], []
    for record, vector, to_mean, to_one in near:
        if (record.face_id, person) in said.barred or record.face_id in said.placed:
            placed.append(record.face_id)
            continue
        other = None
        if record.person in sums:
            rest = sums[record.person] - vector
            length = float(np.linalg.norm(rest))
            other = float(vector @ rest) / length if length > _LEAST_LENGTH else None
        if not everything and other is not None and other >= max(to_mean, to_one):
            fit_others.append(record.face_id)
            continue
        verdict = judge.verdict(to_mean, record.quality)
        swept = SweptFace(
            face=record, own=False, similarity=min(to_mean, 1.0), verdict=verdict, similarity_to_other=other
        )
        found.append(swept)
    found.sort(key=lambda one: (-(one.similarity or 0.0), one.face.face_id))
    return found, fit_others, placed
