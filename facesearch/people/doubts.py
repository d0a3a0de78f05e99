"""Where grouping may be wrong: two people who may be one, and faces that may belong to somebody else, or to somebody.

Each doubt has a chance that grouping is wrong there. It follows from how much the similarity exceeds what strangers in
the library reach, and was fitted to libraries made from nine people; see `benchmarks/review.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from facesearch.vectors.neighbours import nearest_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.people.census import Census, Means
    from facesearch.types import FloatArray, IdArray

__all__ = [
    "Faces",
    "Pairs",
    "Settled",
    "chance_of_one",
    "chance_of_outsider",
    "chance_of_stranger",
    "chance_to_belong",
    "doubtful_faces",
    "doubtful_pairs",
    "seen_together",
    "settled",
    "shown_with",
]

_NEAR_PEOPLE, _NEAR_FACES = 20, 5
_FARTHEST = 0.25
"""By how much the similarity may stay below what strangers reach."""

_LEAST_SIMILARITY = 0.1
_PAIRS_AT_ONCE = 200_000
_DEVIATION = 0.085
"""The deviation of similarities of strangers, as far as it matters here."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of people by place, int64[m] each, and by how much they exceed strangers, float32[m]."""

    ones: IdArray
    others: IdArray
    excess: NDArray[np.float32]

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.ones[kept], self.others[kept], self.excess[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces in doubt: the row of each and the place of its person, -1 for nobody, int64[m] each.

    `own` float32[m] is by how much it exceeds strangers of its person. `others` int64[m, k] are the people who are
    nearest, -1 for none, and `excess` float32[m, k] says the same for them.
    """

    rows: IdArray
    places: IdArray
    own: NDArray[np.float32]
    others: IdArray
    excess: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """What people have: `photos` int64[p] that can be found, `covers` int64[p] the row of a typical face, or -1."""

    photos: IdArray
    covers: IdArray


def doubtful_pairs(means: Means, least: float = -_FARTHEST) -> Pairs:
    """Return pairs of similar people, each once."""
    if len(means) < 2:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, np.zeros(0, dtype=np.float32))
    units = means.directions
    near = nearest_pairs(units, units, _NEAR_PEOPLE, _LEAST_SIMILARITY, own=np.arange(len(units)))
    low, high = np.minimum(near.queries, near.rows), np.maximum(near.queries, near.rows)
    keys = np.unique(low * len(means) + high)
    ones, others = keys // len(means), keys % len(means)
    excess = means.excess_of_pairs(ones, others)
    return Pairs(ones, others, excess).where(excess > least)


def doubtful_faces(census: Census, means: Means, *, most_own: float, least: float = -_FARTHEST) -> Faces:
    """Return the faces of people that exceed strangers by at most `most_own`, and lone faces that are near somebody.

    What the user has placed is not in doubt, and hidden faces are not asked about.
    """
    units = means.directions
    found = []
    for block, vectors in census.blocks():
        asked = census.visible[block] & ~census.placed[block]
        rows, rests = block[asked], means.strangers.rests(vectors[asked])
        places = means.of[rows]
        known = np.flatnonzero(places >= 0)
        own = np.full(len(rows), np.inf, dtype=np.float32)
        own[known] = means.excess_of_own(rests[known], places[known], census.counted[rows[known]])
        chosen = np.flatnonzero((places < 0) | (own <= most_own))
        rows, rests, places, own = rows[chosen], rests[chosen], places[chosen], own[chosen]
        others, excess = _nearest_people(means, units, rests, places)
        kept = (places >= 0) | (excess.max(axis=1, initial=-np.inf) > least)
        found.append((rows[kept], places[kept], own[kept], others[kept], excess[kept]))
    none = np.zeros(0, dtype=np.int64)
    wide = np.zeros((0, _NEAR_FACES), dtype=np.int64)
    empty = (none, none, none.astype(np.float32), wide, wide.astype(np.float32))
    return Faces(*(np.concatenate(column) for column in zip(empty, *found, strict=True)))


def _nearest_people(
    means: Means, units: FloatArray, rests: FloatArray, places: IdArray
) -> tuple[IdArray, NDArray[np.float32]]:
    """Return the people nearest to faces but their own, int64[m, k], and by how much these exceed strangers."""
    others = np.full((len(rests), _NEAR_FACES), -1, dtype=np.int64)
    excess = np.full((len(rests), _NEAR_FACES), -np.inf, dtype=np.float32)
    near = nearest_pairs(rests, units, _NEAR_FACES, _LEAST_SIMILARITY, own=places)
    first = np.r_[True, near.queries[1:] != near.queries[:-1]]
    starts = np.flatnonzero(first) if len(near.queries) else np.zeros(0, dtype=np.int64)
    column = np.arange(len(near.queries)) - np.repeat(starts, np.diff(np.r_[starts, len(near.queries)]))
    others[near.queries, column] = near.rows
    excess[near.queries, column] = means.excess(rests[near.queries], near.rows)
    return others, excess


def settled(census: Census, means: Means) -> Settled:
    """Return how many photos people have, and the row of a face that stands for each of them."""
    visible = np.flatnonzero(census.visible & (means.of >= 0))
    people, _ = _distinct(means.of[visible], census.photos[visible])
    photos = np.bincount(people, minlength=len(means))
    fits = np.full(len(means), -np.inf)
    covers = np.full(len(means), -1, dtype=np.int64)
    for block, vectors in census.blocks():
        shown = census.visible[block] & (means.of[block] >= 0)
        rows, places = block[shown], means.of[block[shown]]
        fit = np.einsum("md,md->m", vectors[shown], means.units[places]) * np.sqrt(np.maximum(census.quality[rows], 0))
        order = np.lexsort((-rows, fit, places))
        last = order[np.r_[places[order][1:] != places[order][:-1], True]] if len(order) else order
        better = last[fit[last] > fits[places[last]]]
        fits[places[better]], covers[places[better]] = fit[better], rows[better]
    return Settled(photos, covers)


def seen_together(census: Census, means: Means, pairs: Pairs) -> NDArray[np.bool_]:
    """Return which pairs of people one photo shows, bool[m]."""
    wanted = pairs.ones * len(means) + pairs.others
    order = np.argsort(wanted)
    found = np.zeros(len(wanted), dtype=np.bool_)
    known = np.flatnonzero(means.of >= 0)
    contents, shown = _distinct(census.contents[known], means.of[known])
    _, starts, counts = np.unique(contents, return_index=True, return_counts=True)
    for count in np.unique(counts[counts > 1]) if len(wanted) else ():
        one, other = np.triu_indices(count, 1)
        people = shown[starts[counts == count][:, None] + np.arange(count)]
        for start in range(0, len(people), max(1, _PAIRS_AT_ONCE // len(one))):
            part = people[start : start + max(1, _PAIRS_AT_ONCE // len(one))]
            keys = np.unique(part[:, one] * len(means) + part[:, other])
            place = np.minimum(np.searchsorted(wanted[order], keys), len(wanted) - 1)
            found[order[place[wanted[order[place]] == keys]]] = True
    return found


def shown_with(census: Census, means: Means, rows: IdArray, places: IdArray) -> NDArray[np.bool_]:
    """Return for faces, by row int64[m], and people, by place int64[m, k], whether their photo shows them: bool[m, k].

    -1 stands for nobody.
    """
    _, numbers = np.unique(census.contents, return_inverse=True)
    known = means.of >= 0
    keys = np.unique(numbers[known] * len(means) + means.of[known])
    if not len(keys):
        return np.zeros(places.shape, dtype=np.bool_)
    wanted = numbers[rows][:, None] * len(means) + np.maximum(places, 0)
    found: NDArray[np.bool_] = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found & (places >= 0)


def _distinct(ones: IdArray, others: IdArray) -> tuple[IdArray, IdArray]:
    """Return pairs of numbers, int64[m] each, in ascending order without repetitions."""
    order = np.lexsort((others, ones))  # `np.unique` of rows takes ten times as long
    ones, others = ones[order], others[order]
    first = np.r_[True, (ones[1:] != ones[:-1]) | (others[1:] != others[:-1])][: len(ones)]
    return ones[first], others[first]


def chance_of_one(excess: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Return the chance that two people are one, from the excess of their means; see `_below` for `number`."""
    return _chance((excess - 0.033 + _below(number)) / 0.015)


def chance_to_belong(excess: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Return the chance that a face that belongs to nobody belongs to somebody; see `_below` for `number`."""
    return _chance((excess + _below(number)) / 0.02)


def chance_of_stranger(own: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the chance that a face does not belong to its person."""
    return _chance(-(own + 0.15) / 0.05)


def chance_of_outsider(nearer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the chance that a face belongs to somebody to whom it is `nearer` than to its own person."""
    return _chance((nearer - 0.05) / 0.04)


def _below(number: int) -> float:
    """Return by how much a lone face falls short of what strangers reach if it is as likely to be somebody's as not.

    Grouping asks for a similarity that strangers reach once in 250 libraries of `number` people and lone faces, or of
    50 if there are fewer; that is one which they reach in every 25th, and less in a library of few.
    """
    normal = NormalDist()
    return _DEVIATION * (normal.inv_cdf(1 - 0.004 / max(number, 50)) - normal.inv_cdf(1 - 0.04 / max(number, 1)))


def _chance(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-np.clip(value, -30, 30)))).astype(np.float32)
