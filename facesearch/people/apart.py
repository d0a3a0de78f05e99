"""Which faces cannot be one person: two faces of one photo, unless they are too much alike to be two people.

A contact sheet or a page of an album may show one person several times. Its faces are told by their likeness to one
another, or by the portraits that they are copies of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.types import FloatArray, IdArray

__all__ = ["COPY", "NEVER", "Apart", "of_one_photo", "without_sheets"]

NEVER = 1e9
"""The weight of a pair that the user has said to be two people."""

COPY = 0.8
"""The similarity of a face to itself in a smaller copy of the picture. 120 portraits, pasted into sheets at 70 to 200
pixels, were similar to themselves by 0.83 or more; of two photos of one person about 1 in 100 pairs is that similar.
"""


class Apart(NamedTuple):
    """Pairs that cannot be one person, as rows int64[m] and int64[m], each with a weight, float64[m].

    A weight counts the photos that show both; `NEVER` forbids the pair whatever its size.
    """

    ones: IdArray
    others: IdArray
    weights: NDArray[np.float64]

    @classmethod
    def none(cls) -> Apart:
        """Return no pairs."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))

    def joined(self, other: Apart) -> Apart:
        """Return the pairs of both."""
        return Apart(*(np.concatenate(both) for both in zip(self, other, strict=True)))

    def where(self, kept: NDArray[np.bool_]) -> Apart:
        """Return some of the pairs."""
        return Apart(self.ones[kept], self.others[kept], self.weights[kept])

    def mapped(self, groups: IdArray) -> Apart:
        """Return the pairs between the groups of the rows, the smaller first, sorted; pairs within one are dropped."""
        one, other = groups[self.ones], groups[self.others]
        low, high = np.minimum(one, other), np.maximum(one, other)
        between = low != high
        size = int(groups.max(initial=0)) + 1
        keys, place = np.unique(low[between] * size + high[between], return_inverse=True)
        weights = np.bincount(place, self.weights[between], minlength=len(keys)).astype(np.float64)
        return Apart(keys // size, keys % size, weights)


def of_one_photo(photos: IdArray, rows: IdArray, vectors: FloatArray, alike: float) -> Apart:
    """Return the pairs of rows that one photo shows; `photos` and `rows` are int64[m], one entry per face.

    Faces of one photo with a similarity of at least `alike` are one person, and so are faces that such pairs link: a
    contact sheet, a collage, a mirror.
    """
    order = np.lexsort((rows, photos))
    known = np.stack([photos[order], rows[order]], axis=1)
    known = known[np.r_[True, (known[1:] != known[:-1]).any(axis=1)]] if len(known) else known
    _, starts, counts = np.unique(known[:, 0], return_index=True, return_counts=True)
    found = [Apart.none()]
    for count in np.unique(counts[counts > 1]):
        shown = known[:, 1][starts[counts == count][:, None] + np.arange(count)]
        one, other = np.triu_indices(count, 1)
        for start in range(0, len(shown), max(1, 200_000 // len(one))):
            part = shown[start : start + max(1, 200_000 // len(one))]
            ones, others = part[:, one], part[:, other]
            similarity = np.einsum("pnd,pnd->pn", vectors[ones], vectors[others])
            separate = similarity < alike
            for photo in np.flatnonzero(~separate.all(axis=1) & separate.any(axis=1)):
                linked = _linked(int(count), one, other, ~separate[photo])
                separate[photo] = linked[one] != linked[other]
            kept = ones[separate], others[separate]
            found.append(Apart(*kept, np.ones(len(kept[0]))))
    return Apart(*(np.concatenate(column) for column in zip(*found, strict=True)))


def without_sheets(apart: Apart, photos: IdArray, ones: IdArray, others: IdArray) -> Apart:
    """Return the pairs without those that were not taken together: of a contact sheet, or a page of an album.

    `ones` and `others` are int64[m], pairs of rows whose similarity is at least `COPY`; `photos` int64[n] is the photo
    of each row. Both faces of such a pair have a copy that is the only face of its photo, and no other photo shows
    copies of both, as another shot of the same moment does.
    """
    elsewhere = photos[ones] != photos[others]
    ones, others = np.r_[ones[elsewhere], others[elsewhere]], np.r_[others[elsewhere], ones[elsewhere]]
    _, number, count = np.unique(photos, return_inverse=True, return_counts=True)
    copied = np.zeros(len(photos), dtype=np.bool_)
    copied[ones[count[number[others]] == 1]] = True
    doubtful = np.flatnonzero(copied[apart.ones] & copied[apart.others] & (apart.weights < NEVER))
    asked = np.zeros(len(photos), dtype=np.bool_)
    asked[apart.ones[doubtful]] = asked[apart.others[doubtful]] = True
    shown: dict[int, set[int]] = {}
    for row, photo in zip(ones[asked[ones]].tolist(), number[others[asked[ones]]].tolist(), strict=True):
        shown.setdefault(row, set()).add(photo)
    kept = np.ones(len(apart.ones), dtype=np.bool_)
    for pair in doubtful.tolist():
        kept[pair] = not shown[int(apart.ones[pair])].isdisjoint(shown[int(apart.others[pair])])
    return apart.where(kept)


def _linked(count: int, ones: IdArray, others: IdArray, alike: NDArray[np.bool_]) -> IdArray:
    """Return for each of `count` faces the first one that it is linked to by pairs that are `alike`."""
    group = np.arange(count)
    for one, other in zip(ones[alike], others[alike], strict=True):
        low, high = sorted((group[one], group[other]))
        group[group == high] = low
    return group
