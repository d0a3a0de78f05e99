"""A calibration: how often strangers reach a similarity.

It is a table, measured for one model (see `facesearch.evaluation.fit`). For templates of one, two, three, five and ten
photos it has the false-match rate (FMR) of each similarity: the share of comparisons with strangers that reach it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, log10
from typing import Any

from facesearch.models.packs.known import PublishedPoint
from facesearch.types import Verdict

__all__ = ["DEFAULT_FMR", "LEAST_FMR", "LEAST_SEARCHED", "NOT_MEASURED", "Calibration", "Curve", "read_calibration"]

DEFAULT_FMR = 1e-4
"""The FMR at a model's default threshold: one stranger in 10,000 reaches it."""

LEAST_FMR = 1e-9
"""The lowest rate that is reported: a million pairs of faces cannot show that a rate is lower."""

LEAST_SEARCHED = 1000
"""Fewer faces count as this number: a user who searches ten photos today searches ten more tomorrow."""

NOT_MEASURED = "not measured"
"""The text shown instead of rates for a model without a table."""

_ROUNDED, _REACHES = 1e-3, -2.0
_NEAR_FMR, _NEAR_EXPECTED = 1e-3, 10.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One template size: log10 of the FMR over the table's similarities, with its interval, and true-match rates.

    Rates below 10 ** `measured_to` are extrapolated.
    """

    photos: int
    measured_to: float
    log10_fmr: Sequence[float]
    log10_fmr_low: Sequence[float]
    log10_fmr_high: Sequence[float]
    tmr: Sequence[float]


@dataclass(frozen=True)
class Calibration:
    """A table for one model. `people` is the number it was measured on, 0 for a guess; `origin` says how it was made.

    `threshold` is the similarity from which a hit counts by default. `found` is the mean share of a new person's photos
    that templates of each number of photos find at it, as measured on people left out; empty if unknown. `published` is
    the point that a guess goes through. `note` is one line for the user if their own table could not be used.
    """

    similarity: Sequence[float]
    curves: Sequence[Curve]
    threshold: float
    people: int = 0
    origin: str = NOT_MEASURED
    published: PublishedPoint | None = None
    found: Mapping[int, float] = field(default_factory=dict)
    note: str | None = None

    @property
    def measured(self) -> bool:
        """Whether it is more than a guess: only then are rates reported."""
        return self.people > 0

    @property
    def surest(self) -> Verdict:
        """The most confident verdict that may rest on it."""
        if self.measured:
            return Verdict.strong
        return Verdict.possible if self.published is None else Verdict.likely

    def curve(self, photos: int) -> Curve:
        """Return the curve for templates of this number of photos, or of the next smaller size that exists."""
        return max((curve for curve in self.curves if curve.photos <= photos), key=lambda curve: curve.photos)

    def fmr(self, similarity: float, photos: int = 1) -> float:
        """Return the share of strangers that reach this similarity to a template of `photos`, at least `LEAST_FMR`."""
        return max(LEAST_FMR, self.rate(similarity, photos))

    def rate(self, similarity: float, photos: int = 1) -> float:
        """Return the same share without the lower limit, however far extrapolated: for verdicts, not for display."""
        return float(min(1.0, 10 ** self._at(self.curve(photos).log10_fmr, similarity)))

    def interval(self, similarity: float, photos: int = 1) -> tuple[float, float]:
        """Return the 5 to 95 % interval of that share over other people to measure on. Meaningless for a guess."""
        curve = self.curve(photos)
        low, high = (self._at(logs, similarity) for logs in (curve.log10_fmr_low, curve.log10_fmr_high))
        return float(min(1.0, max(LEAST_FMR, 10**low))), float(min(1.0, max(LEAST_FMR, 10**high)))

    def is_extrapolated(self, similarity: float, photos: int = 1) -> bool:
        """Whether too few pairs of strangers reached this similarity, so that the rate comes from a straight line."""
        curve = self.curve(photos)
        return self.measured and self._at(curve.log10_fmr, similarity) < curve.measured_to

    def tmr(self, similarity: float, photos: int = 1) -> float:
        """Return the share of a person's photos that reach this similarity, averaged over people."""
        return self._at(self.curve(photos).tmr, similarity)

    def similarity_at(self, fmr: float, photos: int = 1) -> float:
        """Return the least similarity that no more than this share of strangers reach; 1 if the table ends before."""
        logs = self.curve(photos).log10_fmr
        wanted = log10(fmr)
        after = bisect_left([-value for value in logs], -wanted)
        if after == 0:
            return self.similarity[0]
        if after == len(logs):
            return 1.0
        (one, other), (above, below) = self.similarity[after - 1 : after + 1], logs[after - 1 : after + 1]
        return one + (other - one) * (above - wanted) / (above - below)

    def _at(self, values: Sequence[float], similarity: float) -> float:
        grid = self.similarity
        if similarity <= grid[0]:
            return values[0]
        if similarity >= grid[-1]:
            return values[-1]
        after = bisect_right(grid, similarity)
        share = (similarity - grid[after - 1]) / (grid[after] - grid[after - 1])
        return values[after - 1] + share * (values[after] - values[after - 1])

    def near(self, photos: int, searched: int) -> float:
        """Return the similarity from which a face counts as near the query: few strangers should reach it."""
        return self.similarity_at(min(_NEAR_FMR, _NEAR_EXPECTED / max(searched, LEAST_SEARCHED)), photos)


def read_calibration(table: Mapping[str, Any]) -> Calibration:
    """Read a table made by `facesearch.evaluation.fit.measured`. Raises `KeyError` or `ValueError` if it is invalid."""
    grid = [float(number) for number in table["similarity"]]
    curves = [
        Curve(
            int(curve["photos"]), float(curve["measured_to"]), curve["log10_fmr"], curve["log10_fmr_low"],
            curve["log10_fmr_high"], curve["tmr"],
        )
        for curve in table["curves"]
    ]  # fmt: skip
    lists = [
        values for curve in curves for values in (curve.log10_fmr, curve.log10_fmr_low, curve.log10_fmr_high, curve.tmr)
    ]
    well_formed = len(grid) > 1 and all(
        len(values) == len(grid) and all(isfinite(value) for value in values) and list(values) == sorted(values)[::-1]
        for values in lists
    )
    in_range = all(
        -1000 <= min(curve.log10_fmr_low) <= max(curve.log10_fmr_high) <= _ROUNDED
        and min(curve.log10_fmr) <= _REACHES
        and 0 <= min(curve.tmr) <= max(curve.tmr) <= 1
        for curve in curves
    )
    sizes, people = [curve.photos for curve in curves], int(table["people"])
    rising = sizes[:1] == [1] and sizes == sorted(set(sizes)) and grid == sorted(set(grid))
    if not (well_formed and in_range and rising and people > 1):
        raise ValueError("not a calibration")
    found = {int(told["photos"]): float(told["tmr"]) for told in table.get("people_left_out", ())}
    if not all(0 <= share <= 1 for share in found.values()):
        raise ValueError("not a calibration")
    read = Calibration(grid, curves, threshold=1.0, people=people, origin=f"measured on {people} people", found=found)
    return replace(read, threshold=round(read.similarity_at(DEFAULT_FMR), 3))
