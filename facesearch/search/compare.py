"""Compare the faces of two photos: whether they show the same person, and with what confidence."""

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
    """A face of one photo compared with a face of another.

    `fmr` is the false-match rate at this similarity, `interval` its range from 5 to 95 % had other people been
    measured. `extrapolated` is true if too few strangers were this similar to measure it. `expected_false_hits` is the
    rate times the number of pairs compared, or times 1,000 if there are fewer. `fmr`, `interval` and
    `expected_false_hits` are None for a model that was never calibrated.
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
    """Compare every face of one photo with every face of the other; one row per face of the first."""
    return [[_compared(one, other, len(ones) * len(others), calibration) for other in others] for one in ones]


def nearest(table: Sequence[Sequence[Comparison]]) -> Comparison:
    """Return the most similar pair."""
    return max((pair for row in table for pair in row), key=lambda pair: pair.similarity)


def _compared(one: Probe, other: Probe, pairs: int, calibration: Calibration) -> Comparison:
    similarity = min(1.0, float(one.face.embedding @ other.face.embedding))
    judge = Judge(calibration, photos=1, searched=pairs, quality=one.quality)
    return Comparison(
        one, other, similarity, judge.fmr(similarity), judge.interval(similarity),
        calibration.is_extrapolated(similarity), judge.expected_false_hits(similarity),
        judge.verdict(similarity, other.quality),
    )  # fmt: skip
