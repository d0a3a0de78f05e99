"""Group faces by person: which faces belong together, and which of the known people they are.

Nearest neighbours give the pairs that may be one person. Groups grow from them by average-link merging (see `merging`),
first of very similar faces, then of all that exceed what strangers in this library reach (see `strangers`). Known
groups take part as they are: their faces stay together, and a face that the user has placed stays where it is. Poor
faces come last: they join a group and link nothing.

Measured, with the embedded model, on 7,208 faces of 17 people and on libraries made from some of them: see
`benchmarks/people.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facesearch.people.apart import COPY, Apart, of_one_photo, without_sheets
from facesearch.people.merging import Groups, by_link, by_strangers, merge
from facesearch.people.strangers import Strangers
from facesearch.vectors.neighbours import nearest_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.calibration.table import Calibration
    from facesearch.types import FloatArray, IdArray

__all__ = ["EDGE_FMR", "NEIGHBOURS", "FaceSet", "group_faces"]

NEIGHBOURS = 50
"""The number of neighbours of a face that it may be joined with."""

EDGE_FMR = 0.03
"""The false-match rate of the least similarity between such neighbours."""

_CANDIDATES = 8
_PASSES = 4
_FIRST_FMR, _ALIKE_FMR = 1e-6, 1e-7
_LEAST_GROUP = 2


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """Faces to group, one row each.

    `vectors` float32[n, dim] of unit length; `photos` int64[n], equal for faces of one photo and of its copies;
    `people` int64[n], the person or group of a known face, 0 for none; `placed` bool[n], whether the user said so;
    `pinned` bool[n], whether the user knows the person, so that no other such person is the same;
    `poor` bool[n], whether the face is too poor to link others; `new` bool[n], whether it was not grouped before.
    """

    vectors: FloatArray
    photos: IdArray
    people: IdArray
    placed: NDArray[np.bool_]
    pinned: NDArray[np.bool_]
    poor: NDArray[np.bool_]
    new: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.vectors)


def group_faces(
    faces: FaceSet,
    calibration: Calibration,
    *,
    strangers: Strangers | None = None,
    said: Apart | None = None,
    check: Callable[[], object] = lambda: None,
) -> IdArray:
    """Return the group of each face, int64[n]; -1 for a face that is alone.

    The faces of a known person or group get the same number. `strangers` is how similar strangers are in the library;
    None measures it among `faces`. `said` are pairs of rows that the user has said to be two people. `check` is called
    again and again and may raise an error.
    """
    first, nodes = _same_vectors(faces.vectors)
    apart = of_one_photo(faces.photos, nodes, faces.vectors[first], calibration.similarity_at(_ALIKE_FMR))
    if said is not None:
        apart = apart.joined(Apart(nodes[said.ones], nodes[said.others], said.weights))
    run = _Run(faces, first, nodes, apart, calibration, strangers, check)
    run.merge()
    run.separate()
    run.add_poor()
    alone = (np.bincount(run.of)[run.of[nodes]] < _LEAST_GROUP) & (faces.people == 0)
    return np.where(alone, -1, run.of[nodes])


class _Run:
    """One grouping: `of` int64[n] is the group of each different vector."""

    def __init__(
        self,
        faces: FaceSet,
        first: IdArray,
        nodes: IdArray,
        apart: Apart,
        calibration: Calibration,
        strangers: Strangers | None,
        check: Callable[[], object],
    ) -> None:
        count = len(first)
        self._vectors, self._photos = faces.vectors[first], faces.photos[first]
        self._calibration = calibration
        self._strangers = strangers
        self._check = check
        known = np.zeros(count, dtype=np.int64)
        order = np.lexsort((-faces.people, faces.placed))  # what the user said is written last, then the lowest number
        order = order[faces.people[order] > 0]
        known[nodes[order]] = faces.people[order]
        # Faces of one photo that are known as one person: the user has said so.
        said_one = (known[apart.ones] > 0) & (known[apart.ones] == known[apart.others])
        self._apart = apart.where(~said_one)
        self._placed, self._pinned, self._solid, self._new = (
            np.bincount(nodes, marks, minlength=count) > 0
            for marks in (faces.placed, faces.pinned, ~faces.poor, faces.new)
        )
        self._unknown = known == 0
        self._new &= self._unknown
        _, first_of, number = np.unique(known, return_index=True, return_inverse=True)
        self.of: IdArray = np.where(known > 0, first_of[number], np.arange(count))

    def merge(self) -> None:
        """Merge the new faces with one another and with known groups."""
        rows = np.flatnonzero(self._solid)
        new = np.flatnonzero(self._new[rows])
        if not len(new):
            return
        vectors = self._vectors[rows]
        groups = Groups(vectors, self.of[rows], self._pinned[rows])
        near = nearest_pairs(vectors[new], vectors, NEIGHBOURS, self._calibration.similarity_at(EDGE_FMR), own=new)
        ones, others = new[near.queries], near.rows
        copies = near.similarity >= COPY
        self._apart = without_sheets(self._apart, self._photos, rows[ones[copies]], rows[others[copies]])
        apart = self._between(rows)
        merge(groups, ones, others, by_link(self._calibration.similarity_at(_FIRST_FMR)), apart, self._check)
        for _ in range(_PASSES):
            before = len(np.unique(groups.of))
            groups = Groups(vectors, groups.of, self._pinned[rows])
            strangers = self._measured(vectors, groups)
            groups.leave(strangers)
            merge(groups, ones, others, by_strangers(strangers), apart, self._check)
            near_ones, near_others = _near_groups(groups, np.unique(groups.of[new]))
            first = _first_rows(groups)
            merge(groups, first[near_ones], first[near_others], by_strangers(strangers), apart, self._check)
            if len(np.unique(groups.of)) == before:
                break
        self.of[rows] = rows[_first_rows(groups)[groups.of]]

    def separate(self) -> None:
        """Take a face out of a group that has another face of its photo: the one that fits it less."""
        inside = self.of[self._apart.ones] == self.of[self._apart.others]
        if not inside.any():
            return
        groups = Groups(self._vectors, self.of, self._pinned)
        fits = np.einsum("nd,nd->n", self._vectors, groups.means[groups.of])
        fits[self._placed] = np.inf
        pairs = zip(self._apart.ones[inside].tolist(), self._apart.others[inside].tolist(), strict=True)
        for one, other in sorted(pairs, key=lambda pair: (min(fits[pair[0]], fits[pair[1]]), pair)):
            if self.of[one] == self.of[other]:
                leaves = one if fits[one] < fits[other] else other
                self.of[leaves] = len(self.of) + leaves

    def add_poor(self) -> None:
        """Let poor faces join the groups that they fit, the best first. They change no group's mean."""
        rows, poor = np.flatnonzero(self._solid), self._poor_to_place()
        if not len(rows) or not len(poor):
            return
        vectors = self._vectors[rows]
        groups = Groups(vectors, self.of[rows], self._pinned[rows])
        strangers = self._measured(vectors, groups)
        groups.leave(strangers)
        rests = strangers.rests(self._vectors[poor])
        near = nearest_pairs(self._vectors[poor], vectors, NEIGHBOURS, self._calibration.similarity_at(EDGE_FMR))
        keys = np.unique(near.queries * len(rows) + groups.of[near.rows])
        which, group = keys // len(rows), keys % len(rows)
        link = np.einsum("nd,nd->n", rests[which], groups.means[group])
        excess = strangers.excess(link, np.einsum("nd,nd->n", rests, rests)[which], groups.within[group])
        first = rows[_first_rows(groups)]
        beside = _beside(self._apart, poor)
        joined: set[int] = set()
        for pair in np.lexsort((group, which, -excess)):
            face, into = int(poor[which[pair]]), int(self.of[first[group[pair]]])
            if excess[pair] <= 0:
                break
            if face not in joined and all(self.of[other] != into for other in beside.get(face, ())):
                self.of[face] = into
                joined.add(face)

    def _poor_to_place(self) -> IdArray:
        """Return the poor faces that are new, and those that were alone so far and have a new face near them."""
        new, fresh = np.flatnonzero(self._new & ~self._solid), np.flatnonzero(self._new & self._solid)
        waiting = np.flatnonzero(self._unknown & ~self._new & ~self._solid)
        least = self._calibration.similarity_at(EDGE_FMR)
        near = nearest_pairs(self._vectors[fresh], self._vectors[waiting], NEIGHBOURS, least)
        return np.union1d(new, waiting[near.rows])

    def _measured(self, vectors: FloatArray, groups: Groups) -> Strangers:
        if self._strangers is not None:
            return self._strangers
        return Strangers.among(vectors, groups.of, len(groups.sizes), self._calibration)

    def _between(self, rows: IdArray) -> Apart:
        """Return the pairs that are apart among `rows`, as places in it."""
        place = np.full(len(self._vectors), -1)
        place[rows] = np.arange(len(rows))
        ones, others = place[self._apart.ones], place[self._apart.others]
        kept = (ones >= 0) & (others >= 0)
        return Apart(ones[kept], others[kept], self._apart.weights[kept])


def _near_groups(groups: Groups, moving: IdArray) -> tuple[IdArray, IdArray]:
    """Return pairs of groups: those in `moving`, each with the groups of several faces whose means are nearest."""
    large = np.unique(groups.of[groups.sizes[groups.of] >= _LEAST_GROUP])
    units = (groups.means / np.maximum(np.sqrt(groups.within), 1e-6)[:, None]).astype(np.float32)
    place = np.full(len(groups.sizes), -1)
    place[large] = np.arange(len(large))
    near = nearest_pairs(units[moving], units[large], _CANDIDATES, 0.0, own=place[moving])
    return moving[near.queries], large[near.rows]


def _first_rows(groups: Groups) -> IdArray:
    """Return the first row of each group; meaningless for groups that were merged into others."""
    first = np.zeros(len(groups.sizes), dtype=np.int64)
    first[groups.of[::-1]] = np.arange(len(groups.of))[::-1]
    return first


def _beside(apart: Apart, rows: IdArray) -> dict[int, list[int]]:
    """Return for each of some rows the rows that are apart from it."""
    found: dict[int, list[int]] = {}
    concerned = np.isin(apart.ones, rows) | np.isin(apart.others, rows)
    for one, other in zip(apart.ones[concerned].tolist(), apart.others[concerned].tolist(), strict=True):
        found.setdefault(one, []).append(other)
        found.setdefault(other, []).append(one)
    return found


def _same_vectors(vectors: FloatArray) -> tuple[IdArray, IdArray]:
    """Return the first row of each different vector, int64[m] ascending, and for each row its number among them.

    Copies of a photo have the same vectors. They count once: sixty copies would be all neighbours of one another.
    """
    whole = np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors.shape[1] * vectors.itemsize))).ravel()
    _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(first), dtype=np.int64)
    rank[order] = np.arange(len(first))
    return first[order], rank[number]
