"""Two photos, one question: do they show the same person, and how sure is that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facesearch.calibration.table import Calibration
from facesearch.calibration.verdict import Judge
from facesearch.search.probes import Probe
from facesearch.types import Verdict

__all__ = ["Comparison", "compare", "nearest"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A face of one photo beside a face of another.

    `expected_false_hits` counts all pairs that were looked at, or 1,000 if there are fewer. `interval` is where the
    rate lies, 5 to 95 %, had other people been measured; where too few strangers came so near it is `extrapolated`.
    All three are None for a model that was never measured.
    """

    one: Probe
    other: Probe
    similarity: float
    fmr: float | None
    interval: tuple[float, float] | None
    extrapolated: bool
    expected_false_hits: float | None
    verdict: Verdict


def compare(ones: Sequence[Probe], others: Sequence[Probe], calibration: Calibration) -> list[list[Comparison]]:
    """Every face of one photo with every face of the other, a row for each of the first."""
    return [[_compared(one, other, len(ones) * len(others), calibration) for other in others] for one in ones]


def nearest(table: Sequence[Sequence[Comparison]]) -> Comparison:
    """The pair that is most alike."""
    return max((pair for row in table for pair in row), key=lambda pair: pair.similarity)


def _compared(one: Probe, other: Probe, pairs: int, calibration: Calibration) -> Comparison:
    similarity = min(1.0, float(one.face.embedding @ other.face.embedding))
    judge = Judge(calibration, photos=1, searched=pairs, quality=one.quality)
    return Comparison(
        one, other, similarity, judge.fmr(similarity), judge.interval(similarity),
        calibration.is_extrapolated(similarity), judge.expected_false_hits(similarity),
        judge.verdict(similarity, other.quality),
    )  # fmt: skip
