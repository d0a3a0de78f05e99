"""Average-link merging: the two groups that most exceed what strangers reach become one, until none does.

All pairs that are each other's best are merged in the same round, which for a mean is the same as one pair at a time.
Small groups join a much larger one many at a time, since they hardly change its mean. Every step is deterministic: ties
are decided by the order of the rows.

(Reciprocal nearest neighbours: F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from facesearch.people.apart import Apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.people.strangers import Strangers
    from facesearch.types import FloatArray, IdArray

    Score = Callable[["Groups", IdArray, IdArray], NDArray[np.float32]]

__all__ = ["Groups", "by_link", "by_strangers", "merge"]

_AT_ONCE = 200_000
_MUCH_LARGER = 10
_GROWTH = 0.2
_TOLERATED = 0.01
_MOST_ROUNDS = 10_000


class Groups:
    """Groups of vectors: `of` int64[n] is the group of each row, `sizes` float32[g] and `means` float32[g, dim].

    `within` float32[g] is the squared length of each mean: the mean similarity within the group. `pinned` bool[g] marks
    people whom the user knows: two of them are never merged.
    """

    def __init__(self, vectors: FloatArray, of: IdArray, pinned: NDArray[np.bool_]) -> None:
        """Group the rows of `vectors`, float32[n, dim], by the numbers in `of`, int64[n]; `pinned` is bool[n]."""
        _, self.of = np.unique(of, return_inverse=True)
        count = int(self.of.max(initial=-1)) + 1
        self.sizes = np.bincount(self.of, minlength=count).astype(np.float32)
        order = np.argsort(self.of, kind="stable")
        starts = np.searchsorted(self.of[order], np.arange(count))
        self.means: FloatArray = np.zeros((count, vectors.shape[1]), dtype=np.float32)
        if count:
            np.add.reduceat(vectors[order], starts, axis=0, out=self.means)
            self.means /= self.sizes[:, None]
        self.pinned = np.bincount(self.of, pinned, minlength=count) > 0
        self.within: NDArray[np.float32] = np.einsum("gd,gd->g", self.means, self.means)

    def leave(self, strangers: Strangers) -> None:
        """Leave only the rests of the means, without the part that all faces share."""
        self.means = strangers.rests(self.means)
        self.within = np.einsum("gd,gd->g", self.means, self.means)

    def links(self, one: IdArray, other: IdArray) -> NDArray[np.float32]:
        """Return the mean similarity between the rows of two groups, for pairs of groups."""
        found = np.empty(len(one), dtype=np.float32)
        for start in range(0, len(one), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            np.einsum("nd,nd->n", self.means[one[part]], self.means[other[part]], out=found[part])
        return found

    def join(self, group: IdArray, into: IdArray) -> IdArray:
        """Merge groups into others; a group is on one side only. Return the new group of each group."""
        target = np.arange(len(self.sizes))
        target[group] = into
        changed = np.unique(into)
        self.means[changed] *= self.sizes[changed][:, None]
        np.add.at(self.means, into, self.means[group] * self.sizes[group][:, None])
        np.add.at(self.sizes, into, self.sizes[group])
        np.logical_or.at(self.pinned, into, self.pinned[group])
        self.means[changed] /= self.sizes[changed][:, None]
        self.within[changed] = np.einsum("gd,gd->g", self.means[changed], self.means[changed])
        self.of = target[self.of]
        return target


def by_link(least: float) -> Score:
    """Score pairs of groups by their mean similarity."""
    return lambda groups, one, other: groups.links(one, other) - np.float32(least)


def by_strangers(strangers: Strangers) -> Score:
    """Score pairs of groups of rests by how much they exceed strangers."""
    return lambda groups, one, other: strangers.excess(
        groups.links(one, other), groups.within[one], groups.within[other]
    )


def merge(
    groups: Groups,
    ones: IdArray,
    others: IdArray,
    score: Score,
    apart: Apart,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Merge `groups` along pairs of rows, while a pair of groups has a score above zero.

    Groups that show up `apart` are merged only if that is so rare that it must be a mistake: in at most 1 % of the
    smaller group. `check` is called in each round and may raise an error.
    """
    between = apart.mapped(groups.of)
    pairs = _Pairs.among(groups.of[ones], groups.of[others], len(groups.sizes))
    scored = np.arange(len(pairs.one))
    for _ in range(_MOST_ROUNDS):
        check()
        one, other = pairs.one[scored], pairs.other[scored]
        scores = score(groups, one, other)
        scores[_kept_apart(groups, one, other, between)] = 0
        pairs.scores[scored] = scores
        best = pairs.best()
        if not len(best):
            return
        group, into = _chosen(groups, pairs.one[best], pairs.other[best], pairs.scores[best], between)
        target = groups.join(group, into)
        between = between.mapped(target)
        scored = pairs.move(target, np.concatenate([group, into]))


class _Pairs:
    """Pairs of groups, `one` int64[m] below `other` int64[m], with `scores` float32[m]: the higher, the better.

    A round of merging changes few of millions of pairs. Those that became the same pair stay, with a score of 0.
    """

    def __init__(self, one: IdArray, other: IdArray, count: int) -> None:
        self.one, self.other, self._count = one, other, count
        self.scores: NDArray[np.float32] = np.zeros(len(one), dtype=np.float32)

    @classmethod
    def among(cls, one: IdArray, other: IdArray, count: int) -> _Pairs:
        """Take each pair once, of `count` groups."""
        return cls(*_pairs(one, other, count), count)

    def best(self) -> IdArray:
        """Return the places of the pairs with a score above zero that are the best of one of their groups."""
        good = np.flatnonzero(self.scores > 0)
        one, other, scores = self.one[good], self.other[good], self.scores[good]
        most = np.zeros(self._count, dtype=np.float32)
        np.maximum.at(most, one, scores)
        np.maximum.at(most, other, scores)
        best: IdArray = good[(scores == most[one]) | (scores == most[other])]
        return best

    def move(self, target: IdArray, moved: IdArray) -> IdArray:
        """Follow groups into their `target`, int64[count]. Return the places of the pairs to score again."""
        touched = np.zeros(self._count, dtype=np.bool_)
        touched[moved] = True
        places = np.flatnonzero(touched[self.one] | touched[self.other])
        one, other = _pairs(target[self.one[places]], target[self.other[places]], self._count)
        kept, gone = places[: len(one)], places[len(one) :]
        self.one[kept], self.other[kept] = one, other
        self.one[gone] = self.other[gone] = self.scores[gone] = 0
        return kept


def _pairs(one: IdArray, other: IdArray, count: int) -> tuple[IdArray, IdArray]:
    """Return the different pairs, the smaller number first, sorted."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    keys = (low * count + high)[low != high]
    keys.sort()  # four times faster here than the hash table of np.unique
    keys = keys[np.r_[True, keys[1:] != keys[:-1]]] if len(keys) else keys
    return keys // count, keys % count


def _kept_apart(groups: Groups, one: IdArray, other: IdArray, between: Apart) -> NDArray[np.bool_]:
    """Return which pairs of groups the user has named apart, or photos show apart too often to be one person."""
    count = len(groups.sizes)
    keys = between.ones * count + between.others
    named: NDArray[np.bool_] = groups.pinned[one] & groups.pinned[other]
    if not len(keys):
        return named
    wanted = one * count + other
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    weights = np.where(keys[place] == wanted, between.weights[place], 0.0)
    return named | (weights > _TOLERATED * np.minimum(groups.sizes[one], groups.sizes[other]))


def _chosen(
    groups: Groups, one: IdArray, other: IdArray, scores: NDArray[np.float32], between: Apart
) -> tuple[IdArray, IdArray]:
    """Return which groups are merged in this round, and into which.

    Those are the pairs that are each other's best; and for a group without such a partner, the groups for which it is
    the best and that are much smaller, as long as it does not grow by much.
    """
    order = np.lexsort((other, one, -scores))
    one, other = one[order], other[order]  # the best pairs first
    ranks = np.arange(len(one))
    best = np.full(len(groups.sizes), len(one))
    np.minimum.at(best, one, ranks)
    np.minimum.at(best, other, ranks)
    mutual = (best[one] == ranks) & (best[other] == ranks)
    larger = (groups.sizes[other] > groups.sizes[one]) | (groups.pinned[other] & ~groups.pinned[one])
    group, into = np.where(larger, one, other), np.where(larger, other, one)
    joins = ~mutual & (best[group] == ranks) & (groups.sizes[group] * _MUCH_LARGER <= groups.sizes[into])
    joins &= ~groups.pinned[group]
    busy = np.zeros(len(groups.sizes), dtype=np.bool_)
    busy[group[mutual]] = busy[into[mutual]] = True
    joins &= ~busy[into] & ~busy[group]
    small, large = group[joins], into[joins]
    if len(small):
        kept = _within_growth(groups, small, large)
        small, large = small[kept], large[kept]
        kept = _first_of_apart(small, large, between)
        small, large = small[kept], large[kept]
    return np.concatenate([group[mutual], small]), np.concatenate([into[mutual], large])


def _within_growth(groups: Groups, small: IdArray, large: IdArray) -> NDArray[np.bool_]:
    """Return which of the groups, the best first, may join so that no group grows by more than a fifth."""
    order = np.argsort(large, kind="stable")
    sizes = np.cumsum(groups.sizes[small[order]], dtype=np.float64)
    first = np.r_[True, large[order][1:] != large[order][:-1]]
    before = np.r_[0.0, sizes[:-1]]
    grown = sizes - np.repeat(before[first], np.diff(np.r_[np.flatnonzero(first), len(order)]))
    kept = np.zeros(len(small), dtype=np.bool_)
    kept[order] = grown <= _GROWTH * groups.sizes[large[order]]
    return kept


def _first_of_apart(small: IdArray, large: IdArray, between: Apart) -> NDArray[np.bool_]:
    """Return which of the groups, the best first, may join: of two that are apart and join the same, only the first."""
    kept = np.ones(len(small), dtype=np.bool_)
    if not len(between.ones):
        return kept
    place = {int(group): number for number, group in enumerate(small)}
    inside = np.isin(between.ones, small) & np.isin(between.others, small)
    for one, other in zip(between.ones[inside].tolist(), between.others[inside].tolist(), strict=True):
        first, second = sorted((place[one], place[other]))
        if large[first] == large[second]:
            kept[second] = False
    return kept
