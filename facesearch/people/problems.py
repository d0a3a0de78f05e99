"""What looks wrong with the people of an index: groups of two people, one person twice, impossible photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.catalog.people import Profile
from facesearch.filters import Filter
from facesearch.people.census import Census
from facesearch.people.doubts import chance_of_one, doubtful_faces, doubtful_pairs, seen_together, settled
from facesearch.people.statements import everything_said
from facesearch.types import FaceRecord, Somebody

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.index.store import Store

__all__ = ["Problem", "problems"]

_MOST_OWN = 0.3
_LIKELY_ONE = 0.3
_ALIKE_FMR = 1e-7
"""Faces of one photo that are more similar than this share of strangers are one person: a contact sheet, a mirror."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Something that looks wrong with `person`.

    `contaminated`: `faces` of `person` are nearer to `other`. `alike`: `person` and `other` look like one person, with
    one face of each. `twice`: one photo has `faces` that all belong to `person`. `before-birth`: `faces` are in photos
    taken before `person` was born. `similarity` is the highest of the faces to `other`, or between the two.
    """

    kind: Literal["contaminated", "alike", "twice", "before-birth"]
    person: Somebody
    other: Somebody | None = None
    faces: tuple[FaceRecord, ...]
    similarity: float | None = None


def problems(
    store: Store, *, calibration: Calibration | None = None, check: Callable[[], object] = lambda: None
) -> list[Problem]:
    """Return what looks wrong, by kind, and within a kind what concerns most faces first.

    Ignored people are left out, and faces that the user has placed count as right.
    """
    known = calibration or calibration_of(store.model)
    said = everything_said(store.catalog)
    census = Census.of(store, check)
    looking = _Looking(store, census, known, said.profiles, said.apart, set(said.placed))
    alike = list(looking.alike())
    one = {frozenset((problem.person, problem.other)) for problem in alike}  # of course their faces are near both
    mixed = [problem for problem in looking.contaminated() if frozenset((problem.person, problem.other)) not in one]
    found = [*mixed, *alike, *looking.twice(), *looking.before_birth()]
    order = ("contaminated", "alike", "twice", "before-birth")
    return sorted(found, key=lambda one: (order.index(one.kind), -len(one.faces), one.person.number))


class _Looking:
    """Looks for the problems of one index."""

    def __init__(
        self, store: Store, census: Census, calibration: Calibration, profiles: dict[int, Profile],
        apart: set[tuple[int, int]], placed: set[int],
    ) -> None:  # fmt: skip
        self._catalog, self._census, self._calibration = store.catalog, census, calibration
        self._profiles, self._apart, self._placed = profiles, apart, placed
        self._means = census.means(calibration)

    def contaminated(self) -> Iterator[Problem]:
        """Yield people with faces that are nearer to somebody else."""
        census, means = self._census, self._means
        faces = doubtful_faces(census, means, most_own=_MOST_OWN)
        if not len(faces.rows) or not len(means):
            return
        best = faces.excess.argmax(axis=1)
        every = np.arange(len(best))
        nearer = (faces.places >= 0) & (faces.excess[every, best] > faces.own)
        found: dict[tuple[int, int], list[int]] = {}
        for place in np.flatnonzero(nearer).tolist():
            pair = int(faces.places[place]), int(faces.others[place, best[place]])
            found.setdefault(pair, []).append(int(faces.rows[place]))
        for (own, other), rows in found.items():
            if self._counts(own) and self._counts(other):
                records = self._records(rows)
                vectors = self._catalog.vectors.get([record.vector_id for record in records], means.units.shape[1])
                similar = float((vectors @ means.units[other]).max(initial=-1.0))
                yield from self._problem("contaminated", own, other, records, similar)

    def alike(self) -> Iterator[Problem]:
        """Yield people who look like one."""
        means, pairs = self._means, doubtful_pairs(self._means)
        pairs = pairs.where(chance_of_one(pairs.excess, means.known) >= _LIKELY_ONE)
        together = seen_together(self._census, means, pairs)
        covers = settled(self._census, means).covers if len(pairs.ones) else np.zeros(0, dtype=np.int64)
        for one, other in zip(pairs.ones[~together].tolist(), pairs.others[~together].tolist(), strict=True):
            numbers = int(means.numbers[one]), int(means.numbers[other])
            if self._counts(one) and self._counts(other) and not {numbers, numbers[::-1]} & self._apart:
                rows = [int(covers[place]) for place in (one, other) if covers[place] >= 0]
                similar = min(1.0, float(means.units[one] @ means.units[other]))
                yield from self._problem("alike", one, other, self._records(rows), similar)

    def twice(self) -> Iterator[Problem]:
        """Yield people of whom one photo has two faces that do not look like copies of one."""
        places = {number: place for place, number in enumerate(self._means.numbers.tolist())}
        alike = self._calibration.similarity_at(_ALIKE_FMR)
        for (_, person), shown in groupby(self._catalog.review.shown_twice(), key=lambda row: row[:2]):
            records = list(self._catalog.faces.records([vector for _, _, vector in shown]).values())
            if person not in places or not self._counts(places[person]) or len(records) < 2:
                continue
            if all(record.face_id in self._placed for record in records):
                continue
            vectors = self._catalog.vectors.get([record.vector_id for record in records], self._means.units.shape[1])
            similar = float((vectors @ vectors.T)[np.triu_indices(len(records), 1)].min())
            if similar < alike:
                yield from self._problem("twice", places[person], None, records, similar)

    def before_birth(self) -> Iterator[Problem]:
        """Yield people with photos that were taken before they were born."""
        places = {number: place for place, number in enumerate(self._means.numbers.tolist())}
        for person, profile in self._profiles.items():
            if profile.born is None or person not in places or profile.ignored:
                continue
            ids = self._catalog.faces.matching(Filter(person=person)).tolist()
            records = [one for one in self._catalog.faces.records(ids).values() if one.is_before(profile.born)]
            yield from self._problem("before-birth", places[person], None, records, None)

    def _problem(
        self, kind: Literal["contaminated", "alike", "twice", "before-birth"], person: int, other: int | None,
        faces: Sequence[FaceRecord], similarity: float | None,
    ) -> Iterator[Problem]:  # fmt: skip
        if faces:
            beside = None if other is None else self._somebody(other)
            yield Problem(
                kind=kind, person=self._somebody(person), other=beside, faces=tuple(faces), similarity=similarity
            )

    def _records(self, rows: Sequence[int]) -> list[FaceRecord]:
        ids = self._census.vectors[list(rows)].tolist()
        records = self._catalog.faces.records(ids)
        return [records[one] for one in ids if one in records]

    def _counts(self, place: int) -> bool:
        return not self._profiles.get(int(self._means.numbers[place]), Profile()).ignored

    def _somebody(self, place: int) -> Somebody:
        number = int(self._means.numbers[place])
        return Somebody(number, None, self._profiles.get(number, Profile()).name)
