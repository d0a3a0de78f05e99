"""How similar strangers are in a library: the yardstick of grouping.

All embeddings share a part that has nothing to do with a person, their mean. It is estimated from the library itself
and removed; what is left of two strangers has a similarity close to normally distributed around zero. With few people
in a library, their mean tells more about them than about faces: then only a part of it is removed, so that strangers
are as similar as they are on average (the median of pairs from different groups, but no more than the calibration of
the model says).

The more people there are, the more similar are the most similar strangers. So the least similarity of one person is
the one that strangers reach with a probability of `_FALSE` among all groups. Fewer than 50 groups count as 50: in a
small library people are more often related.

Measured while choosing, on libraries made from nine people with plain mean links: removing the mean raised the F of
pairs among 3,000 people from 0.952 to 0.964, and at an F of 0.98 among 1,000 people it lowered the share of strangers
in groups from 44 to 9 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.calibration.table import Calibration
    from facesearch.types import FloatArray, IdArray

__all__ = ["Strangers"]

_FALSE, _LEAST_NUMBER = 0.004, 50
_COMPARED = 200_000
_LEAST_COMPARED = 50
_MEDIAN, _DEVIATION_ABOVE = 0.5, 0.1587
_HIGHER_MEAN = 0.05
_LEAST_DEVIATION, _MOST_DEVIATION = 0.4, 1.1
_EXPONENT = 0.45
_LEAST_UNITY = 0.02


@dataclass(frozen=True, eq=False)
class Strangers:
    """The shared part of all embeddings, `mean` float32[dim] of unit length, and the least similarity of one person.

    `share` is the part of each embedding along the mean that is removed, in [0, 1].
    """

    mean: FloatArray
    share: float
    least: float

    @classmethod
    def among(cls, vectors: FloatArray, groups: IdArray, number: int, known: Calibration) -> Strangers:
        """Measure faces, float32[n, dim], of groups, int64[n]; the whole library has `number` groups and lone faces.

        `known` says how similar strangers are on average. Pairs of different groups may be of one person: with few
        people in a library many are, so what it says limits what is measured.
        """
        _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        means = np.zeros((len(sizes), vectors.shape[1]), dtype=np.float64)
        np.add.at(means, groups, vectors)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        mean = means.mean(axis=0)
        length = float(np.linalg.norm(mean))
        direction = (mean / max(length, 1e-9)).astype(np.float32)
        usual = known.similarity_at(_MEDIAN)
        usual_deviation = known.similarity_at(_DEVIATION_ABOVE) - usual
        certainty = 1 - _FALSE / max(number, _LEAST_NUMBER)
        chosen = np.random.default_rng(0).integers(len(vectors), size=(2, _COMPARED))
        one, other = chosen[:, groups[chosen[0]] != groups[chosen[1]]]
        if len(one) < _LEAST_COMPARED:
            return cls(direction, 0.0, NormalDist(usual, usual_deviation).inv_cdf(certainty))
        similarity = _similarity(vectors, one, other)
        shared = min(float(np.median(similarity)), usual + _HIGHER_MEAN)
        share = min(1.0, max(0.0, shared) / max(length**2, 1e-9))
        along = vectors @ direction
        rest = similarity - share * (2 - share) * along[one] * along[other]
        middle, below = (float(value) for value in np.quantile(rest, [_MEDIAN, _DEVIATION_ABOVE]))
        middle = min(middle, usual + _HIGHER_MEAN - share * usual)
        deviation = min(max(middle - below, _LEAST_DEVIATION * usual_deviation), _MOST_DEVIATION * usual_deviation)
        return cls(direction, share, NormalDist(middle, deviation).inv_cdf(certainty))

    def rests(self, vectors: FloatArray) -> FloatArray:
        """Return what is left of vectors, float32[n, dim], without the shared part."""
        along = (vectors @ self.mean)[:, None] * self.mean
        rest: FloatArray = (vectors - np.float32(self.share) * along).astype(np.float32)
        return rest

    def excess(
        self, link: NDArray[np.float32], one: NDArray[np.float32], other: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return by how much two groups exceed what strangers reach; above zero they are one person.

        `link` is the mean similarity between the rests of two groups, `one` and `other` those within each (1 for a
        single face). Divided by the root of both it is the correlation of the two groups' means; the exponent is a
        little smaller, so that large groups must be a little more similar than that.
        """
        within = np.maximum(one, _LEAST_UNITY) * np.maximum(other, _LEAST_UNITY)
        exceeds: NDArray[np.float32] = (link / within**_EXPONENT - self.least).astype(np.float32)
        return exceeds


def _similarity(vectors: FloatArray, one: IdArray, other: IdArray) -> FloatArray:
    return np.concatenate(
        [
            np.einsum("nd,nd->n", vectors[one[start : start + 50_000]], vectors[other[start : start + 50_000]])
            for start in range(0, len(one), 50_000)
        ]
    )
