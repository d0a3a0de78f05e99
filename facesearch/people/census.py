"""All faces of an index, and the mean of each person's faces, in bounded memory: what questions and problems come from.

A face takes some 40 bytes here, a person two vectors. The embeddings of few faces are kept, those of many are read from
the catalog again for each pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from facesearch.people.regroup import POOR
from facesearch.people.strangers import Strangers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.calibration.table import Calibration
    from facesearch.index.store import Store
    from facesearch.types import FloatArray, IdArray

__all__ = ["Census", "Means"]

_KEPT = 512 << 20
"""The bytes of embeddings that are kept between passes: those of a million faces of the embedded model."""

_AT_ONCE = 50_000

_SAMPLE = 20_000
_LEAST_LENGTH = 1e-6


@dataclass(frozen=True, eq=False)
class Census:
    """Faces with embeddings, one row each, ascending by vector id.

    `vectors`, `faces`, `photos` and `contents` are int64[n]: the ids of the vector, the face and the photo, and what is
    equal for copies of a photo (below zero if its content is unknown). `people` int64[n] is the person, 0 for none.
    `placed` bool[n] is whether the user said so, `counted` bool[n] whether the face takes part in the person's mean,
    `visible` bool[n] whether its photo is. `quality` is float32[n], 1 if not measured.
    """

    store: Store
    vectors: IdArray
    faces: IdArray
    photos: IdArray
    contents: IdArray
    people: IdArray
    placed: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    visible: NDArray[np.bool_]
    quality: FloatArray
    check: Callable[[], object]
    _blocks: list[tuple[IdArray, FloatArray]] = field(default_factory=list)

    @classmethod
    def of(cls, store: Store, check: Callable[[], object] = lambda: None) -> Census:
        """Read all faces of an index. `check` is called again and again and may raise an error."""
        parts = [(np.zeros((7, 0), dtype=np.int64), np.zeros(0, dtype=np.float32))]
        rows = store.catalog.review.faces()
        while block := list(islice(rows, _AT_ONCE)):
            check()
            vectors, faces, photos, hashes, measured, people, statements, visible = zip(*block, strict=True)
            contents = [
                -photo if content is None else int.from_bytes(content[:7], "big")
                for photo, content in zip(photos, hashes, strict=True)
            ]
            columns = vectors, faces, photos, contents, people, statements, visible
            numbers = np.stack([np.array(column, dtype=np.int64) for column in columns])
            clear = np.array([1.0 if one is None else one for one in measured], dtype=np.float32)
            parts.append((numbers, clear))
        table = np.concatenate([numbers for numbers, _ in parts], axis=1)
        order = np.argsort(table[0], kind="stable")
        quality = np.concatenate([part for _, part in parts])[order]
        return cls._of(store, table[:, order], quality, check)

    @classmethod
    def _of(cls, store: Store, table: IdArray, quality: FloatArray, check: Callable[[], object]) -> Census:
        """Return the faces of a table: int64[7, n], one row per field."""
        vectors, faces, photos, contents, people, statements, visible = table
        solid = (quality >= POOR) & (people > 0)
        known = np.unique(people[solid])
        counted = solid | ((people > 0) & ~np.isin(people, known))
        return cls(
            store, vectors, faces, photos, contents, people, statements > 0, counted, visible > 0, quality, check
        )

    def __len__(self) -> int:
        return len(self.vectors)

    def blocks(self) -> Iterator[tuple[IdArray, FloatArray]]:
        """Yield all rows, int64[m], with their embeddings, float32[m, dim]."""
        if self._blocks:
            yield from self._blocks
            return
        dim = self.store.model.dim
        keeps = len(self) * dim * 4 <= _KEPT
        found = []
        for ids, vectors in self.store.catalog.vectors.after(0, dim):
            self.check()
            rows = np.searchsorted(self.vectors, ids)
            known = self.vectors[np.minimum(rows, len(self) - 1)] == ids if len(self) else np.zeros(len(ids), np.bool_)
            block = rows[known], vectors[known]
            found += [block] * keeps
            yield block
        self._blocks.extend(found)

    def means(self, calibration: Calibration) -> Means:
        """Return the mean of each person's faces, and how similar strangers are in this library."""
        numbers, of = np.unique(self.people, return_inverse=True)
        known = numbers > 0
        of = np.where(self.people > 0, of - (len(numbers) - int(known.sum())), -1)
        numbers = numbers[known]
        dim = self.store.model.dim
        sums: FloatArray = np.zeros((len(numbers), dim), dtype=np.float32)
        sampled = self._sampled()
        taken = []
        for rows, vectors in self.blocks():
            counted = self.counted[rows]
            _add_up(sums, of[rows][counted], vectors[counted])
            taken.append(vectors[sampled[rows]])
        sizes = np.bincount(of[self.counted], minlength=len(numbers)).astype(np.float32)
        sums /= np.maximum(sizes, 1)[:, None]
        sample = np.concatenate([np.zeros((0, dim), dtype=np.float32), *taken])
        groups = np.where(of >= 0, of, -1 - np.arange(len(self)))[sampled]
        alone = int((of < 0).sum())
        if len(sample):
            strangers = Strangers.among(sample, groups, len(numbers) + alone, calibration)
        else:
            strangers = Strangers(np.zeros(dim, dtype=np.float32), 0.0, 1.0)
        return Means(numbers, of, sizes, sums, strangers, len(numbers) + alone)

    def _sampled(self) -> NDArray[np.bool_]:
        """Mark the faces, always the same ones, among which strangers are measured."""
        marked = np.ones(len(self), dtype=np.bool_)
        if len(self) > _SAMPLE:
            marked[:] = False
            marked[np.random.default_rng(0).choice(len(self), _SAMPLE, replace=False)] = True
        return marked


class Means:
    """People by place: their numbers, int64[p] ascending, and the place of each face, int64[n], -1 for nobody.

    `sizes` float32[p] is the number of faces in a mean, `units` float32[p, dim] are the means at unit length. `rests`
    and `within` are the means without the part that all faces share, and their squared lengths (see `strangers`).
    `known` is the number of people and of lone faces.
    """

    def __init__(
        self,
        numbers: IdArray,
        of: IdArray,
        sizes: NDArray[np.float32],
        means: FloatArray,
        strangers: Strangers,
        known: int,
    ) -> None:
        self.numbers, self.of, self.sizes, self.strangers, self.known = numbers, of, sizes, strangers, known
        self.units: FloatArray = _unit(means)
        self.rests: FloatArray = strangers.rests(means)
        self.within: NDArray[np.float32] = np.einsum("pd,pd->p", self.rests, self.rests)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def directions(self) -> FloatArray:
        """The rests at unit length, float32[p, dim]."""
        return _unit(self.rests)

    def excess(self, rests: FloatArray, places: IdArray) -> NDArray[np.float32]:
        """Return by how much faces, as rests float32[m, dim], exceed strangers of the people at `places`, int64[m]."""
        own = np.einsum("md,md->m", rests, rests)
        return self.strangers.excess(np.einsum("md,md->m", rests, self.rests[places]), own, self.within[places])

    def excess_of_own(self, rests: FloatArray, places: IdArray, counted: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the same for faces of these people, compared with the other faces only."""
        sizes = self.sizes[places]
        left = counted & (sizes > 1)
        others = self.rests[places]
        others[left] = (others[left] * sizes[left, None] - rests[left]) / (sizes[left, None] - 1)
        own, within = np.einsum("md,md->m", rests, rests), np.einsum("md,md->m", others, others)
        return self.strangers.excess(np.einsum("md,md->m", rests, others), own, within)

    def excess_of_pairs(self, ones: IdArray, others: IdArray) -> NDArray[np.float32]:
        """Return by how much pairs of people exceed strangers."""
        links = np.zeros(len(ones), dtype=np.float32)
        for start in range(0, len(ones), _AT_ONCE):  # a million pairs of people have a gigabyte of means
            part = slice(start, start + _AT_ONCE)
            links[part] = np.einsum("md,md->m", self.rests[ones[part]], self.rests[others[part]])
        return self.strangers.excess(links, self.within[ones], self.within[others])


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST_LENGTH)).astype(
        np.float32
    )
    return unit


def _add_up(sums: FloatArray, places: IdArray, vectors: FloatArray) -> None:
    """Add vectors to the sums at their places."""
    if len(places):
        order = np.argsort(places, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(places[order]) > 0])
        sums[places[order][starts]] += np.add.reduceat(vectors[order], starts, axis=0)
