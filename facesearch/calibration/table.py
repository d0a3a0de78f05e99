"""What a similarity means: how often strangers reach it, and from that how sure a match is.

A calibration is a table, measured for one model (see `facesearch.evaluation.fit`): for templates of one, two, three,
five and ten photos, the false-match rate (FMR) of each similarity, the share of comparisons with strangers that reach
it. The embedded model's is part of the package; one that the user has measured counts before it. A model without any is
not measured: no rates are told for it. Its verdicts rest on a guess, similarities of strangers as a normal distribution
around 0. Where its maker has published a point (see `facesearch.models.packs.registry`), the guess goes through it and
may say *likely*. Else it goes through an FMR of 1e-4 at the model's threshold, which nobody has measured either, and
says *possible* at most. The normal law is what was measured for the embedded model: from 1e-2 to 1e-7 its points lie
within 0.02 of a mean of 0.1 and a deviation of 0.1; the mean is lower where embeddings are longer.

A verdict rests on the false hits to expect: FMR times the faces searched, where fewer than 1,000 faces count as 1,000
(whoever asks about ten photos asks about ten more tomorrow). That number is the one that is shown. Two things raise it
for the verdict that the mean over all people does not know:

* The question's own impostors. Some people have sixty to a hundred times the mean FMR with one another. The *excess* is
  by what factor more faces come near the question than strangers should. The person's own photos come near too: how
  many is told from those that are too much alike for any stranger, and the table's true-match rates; they do not count.
* Poor pictures. A blurred face looks like other blurred faces: where the better of the two has a quality under 0.55,
  expectations are raised, by half a decade for each 0.1. (Measured at a similarity of 0.47: 19 times the false matches
  between 0.3 and 0.4, 43 times between 0.1 and 0.2. Between a sharp face and a blurred one there are no more than
  between two sharp ones.)

*strong*: 0.001 false hits or fewer, times the cube of the excess. *likely*: 0.1 or fewer, times its square; among many
hits a false one weighs less, and the limit with the square grows by a tenth for each. *possible*: 10 or fewer.
*unlikely*: more.

Measured on people that the table does not know, with two photos of theirs among 2,500 of five others: in five draws
98.8 to 99.7 % of the strong hits were right for the worst person, 99.9 % in the mean; where the excess is left out 80
to 90 % for the worst. On the people of the table, and on photos of eight others, all were right.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import erfc, isfinite, log10, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from facesearch.errors import Hint, StorageError
from facesearch.models.packs.registry import PublishedPoint, published_point
from facesearch.settings import user_data, write_json
from facesearch.types import ModelInfo, Verdict

__all__ = [
    "DEFAULT_FMR",
    "LEAST_FMR",
    "NOT_MEASURED",
    "Calibration",
    "Curve",
    "Judge",
    "calibration_of",
    "keep_calibration",
    "own_calibration_path",
    "read_calibration",
    "shipped_calibration",
]

DEFAULT_FMR = 1e-4
"""What a model's default threshold stands for: one stranger in 10,000 reaches it."""

LEAST_FMR = 1e-9
"""Nobody can say from a million pairs of faces that fewer strangers are so much alike."""

NOT_MEASURED = "not measured"
"""What stands for the rates of a model without a table, wherever they are shown."""

_SHIPPED = Path(__file__).parent / "tables"
_ROUNDED, _REACHES = 1e-3, -2.0
_GUESSED_TMR = 0.5
_FROM_SURE = tuple(Verdict)
_STRONG, _LIKELY, _POSSIBLE = 0.001, 0.1, 10.0
_HITS_TO_DOUBLE = 10.0
_LEAST_SEARCHED = 1000
_NEAR_FMR, _NEAR_EXPECTED = 1e-3, 10.0
_SURE_FMR, _SURE_EXPECTED = 1e-7, 0.01
_LEAST_SHARE = 0.05
_POOR_QUALITY, _DECADES_OF_DOUBT, _MOST_DOUBT = 0.55, 5.0, 3.0


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
    """A table for one model. `people` is how many it was measured on, 0 for a guess; `origin` tells where it is from.

    `threshold` is the similarity from which a hit counts by default. `published` is the point that a guess goes
    through. `note` is one line for the user where a table of their own could not be used.
    """

    similarity: Sequence[float]
    curves: Sequence[Curve]
    threshold: float
    people: int = 0
    origin: str = NOT_MEASURED
    published: PublishedPoint | None = None
    note: str | None = None

    @property
    def measured(self) -> bool:
        """Whether it is more than a guess: only then are rates told."""
        return self.people > 0

    @property
    def surest(self) -> Verdict:
        """The surest verdict that may rest on it."""
        if self.measured:
            return Verdict.strong
        return Verdict.possible if self.published is None else Verdict.likely

    def curve(self, photos: int) -> Curve:
        """The one for templates of so many photos, or of the next smaller size there is."""
        return max((curve for curve in self.curves if curve.photos <= photos), key=lambda curve: curve.photos)

    def fmr(self, similarity: float, photos: int = 1) -> float:
        """The share of strangers that reach this similarity to a template of so many photos, `LEAST_FMR` or more."""
        return max(LEAST_FMR, self.rate(similarity, photos))

    def rate(self, similarity: float, photos: int = 1) -> float:
        """The same as the curve has it, however far it is extrapolated: to weigh with, not to be told."""
        return float(min(1.0, 10 ** self._at(self.curve(photos).log10_fmr, similarity)))

    def interval(self, similarity: float, photos: int = 1) -> tuple[float, float]:
        """Where that share lies, 5 to 95 %, had other people been measured. Of a guess it says nothing."""
        curve = self.curve(photos)
        low, high = (self._at(logs, similarity) for logs in (curve.log10_fmr_low, curve.log10_fmr_high))
        return float(min(1.0, max(LEAST_FMR, 10**low))), float(min(1.0, max(LEAST_FMR, 10**high)))

    def is_extrapolated(self, similarity: float, photos: int = 1) -> bool:
        """Whether fewer pairs of strangers than can be relied on came so near: the rate is that of a straight line."""
        curve = self.curve(photos)
        return self.measured and self._at(curve.log10_fmr, similarity) < curve.measured_to

    def tmr(self, similarity: float, photos: int = 1) -> float:
        """The share of a person's photos that reach this similarity, in the mean over people."""
        return self._at(self.curve(photos).tmr, similarity)

    def similarity_at(self, fmr: float, photos: int = 1) -> float:
        """The least similarity that no more than this share of strangers reach; 1 where the table ends before."""
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
        """The similarity from which faces count as near the question: few strangers should come so near."""
        return self.similarity_at(min(_NEAR_FMR, _NEAR_EXPECTED / max(searched, _LEAST_SEARCHED)), photos)


@dataclass(frozen=True)
class Judge:
    """Judges similarities to one question: a template of `photos` photos, asked among `searched` faces.

    `nearest` are the similarities of the faces nearest to it, best first, at least as far as `Calibration.near` goes
    (or a thousand of them). `quality` is that of the best photo in the question, None where it is not known.
    """

    calibration: Calibration
    photos: int
    searched: int
    nearest: Sequence[float] = ()
    quality: float | None = None

    def fmr(self, similarity: float) -> float | None:
        """See `Calibration.fmr`; None where nothing was measured."""
        return self.calibration.fmr(similarity, self.photos) if self.calibration.measured else None

    def interval(self, similarity: float) -> tuple[float, float] | None:
        """See `Calibration.interval`; None where nothing was measured."""
        return self.calibration.interval(similarity, self.photos) if self.calibration.measured else None

    def expected_false_hits(self, similarity: float) -> float | None:
        """How many strangers, in the mean, reach this similarity among the faces searched, or among 1,000 if fewer.

        None where nothing was measured.
        """
        fmr = self.fmr(similarity)
        return None if fmr is None else fmr * self._counted

    @cached_property
    def excess(self) -> float:
        """How many times more faces come near the question than strangers and the person's own photos; at least 1."""
        table, size = self.calibration, self.photos
        near = table.near(size, self.searched)
        sure = table.similarity_at(min(_SURE_FMR, _SURE_EXPECTED / self._counted), size)
        own = self._from(sure) * table.tmr(near, size) / max(table.tmr(sure, size), _LEAST_SHARE)
        return max(1.0, (self._from(near) - own) / (self._expected(near) + 1))

    def verdict(self, similarity: float, quality: float | None = None) -> Verdict:
        """How sure a face of this similarity and quality is; see the module for what is weighed."""
        return max(self._weighed(similarity, quality), self.calibration.surest, key=_FROM_SURE.index)

    def _weighed(self, similarity: float, quality: float | None) -> Verdict:
        expected = self._expected(similarity) * _doubt(self.quality, quality)
        if expected * self.excess**3 <= _STRONG:
            return Verdict.strong
        if expected * self.excess**2 <= _LIKELY or (similarity >= self._likely_from and expected <= _LIKELY):
            return Verdict.likely
        return Verdict.possible if expected <= _POSSIBLE else Verdict.unlikely

    def _expected(self, similarity: float) -> float:
        return self.calibration.rate(similarity, self.photos) * self._counted

    @cached_property
    def _likely_from(self) -> float:
        """The least similarity at which look-alikes are outweighed by the hits there are from there on."""
        good = [
            similarity
            for number, similarity in enumerate(self.nearest, start=1)
            if self._expected(similarity) * self.excess**2 <= _LIKELY * (1 + number / _HITS_TO_DOUBLE)
        ]
        return min(good, default=2.0)

    def _from(self, similarity: float) -> int:
        """How many of the nearest reach a similarity."""
        return bisect_right(self._ascending, -similarity)

    @property
    def _counted(self) -> int:
        return max(self.searched, _LEAST_SEARCHED)

    @cached_property
    def _ascending(self) -> list[float]:
        return [-similarity for similarity in self.nearest]


def _doubt(one: float | None, other: float | None) -> float:
    """How many times more false matches there are between two faces of these qualities."""
    better = max(1.0 if one is None else one, 1.0 if other is None else other)
    return float(10 ** min(_MOST_DOUBT, max(0.0, (_POOR_QUALITY - better) * _DECADES_OF_DOUBT)))


def calibration_of(model: ModelInfo) -> Calibration:
    """The table that the user has measured for this model, else the package's own, else a guess.

    The guess rests on the point that its maker has published where there is one, else on the model's threshold.
    """
    note = None
    own = own_calibration_path(model)
    if own is not None and os.path.isfile(own):
        try:
            table = json.loads(own.read_text())
            if _fits(table, model):
                return read_calibration(table)
            note = f"{own}: of another model; it is not used"
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            note = f"{own}: cannot be read; it is not used: delete it, or {Hint.CALIBRATE}"
    shipped = shipped_calibration(model)
    return replace(_guessed(model) if shipped is None else shipped, note=note)


def shipped_calibration(model: ModelInfo) -> Calibration | None:
    """The table for a model that is part of the package, if there is one."""
    path = _SHIPPED / f"{model.name}.json"
    if model.source is not None or not os.path.isfile(path):
        return None
    table = json.loads(path.read_text())
    return replace(read_calibration(table), threshold=model.threshold) if _fits(table, model) else None


def keep_calibration(model: ModelInfo, table: Mapping[str, Any]) -> Path:
    """Keep a table that was measured for this model among the user's data. Raises `StorageError`."""
    path = own_calibration_path(model)
    if path is None:
        raise StorageError("there is no home folder to keep a calibration in; set XDG_DATA_HOME to a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, table)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    return path


def own_calibration_path(model: ModelInfo) -> Path | None:
    """Where the user's table for a model is kept, whether or not there is one; None without a home.

    A model is known by its identity: a table that was kept under another name of it is its table as well.
    """
    folder = user_data()
    if folder is None:
        return None
    identity = hashlib.sha256(repr(model.identity).encode()).hexdigest()[:16]
    kept = folder / "calibrations"
    named = kept / f"{model.name}-{identity}.json"
    return named if os.path.isfile(named) else next(iter(sorted(kept.glob(f"*-{identity}.json"))), named)


def _fits(table: Mapping[str, Any], model: ModelInfo) -> bool:
    digests, dim, pipeline = model.identity
    return (tuple(table["digests"]), table["dim"], table["pipeline"]) == (digests, dim, pipeline)


def read_calibration(table: Mapping[str, Any]) -> Calibration:
    """A table as `facesearch.evaluation.fit.measured` gives it. Raises `KeyError`, `ValueError` when it is none."""
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
    sound = len(grid) > 1 and all(
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
    if not (sound and in_range and rising and people > 1):
        raise ValueError("not a calibration")
    read = Calibration(grid, curves, threshold=1.0, people=people, origin=f"measured on {people} people")
    return replace(read, threshold=round(read.similarity_at(DEFAULT_FMR), 3))


def _guessed(model: ModelInfo) -> Calibration:
    point = published_point(model.digests.values())
    if point is None:
        return replace(_normal(model.threshold, DEFAULT_FMR, _GUESSED_TMR), threshold=model.threshold)
    guess = _normal(point.similarity, point.fmr, point.tmr)
    rate = f"1e{round(log10(point.fmr))}"
    origin = f"{NOT_MEASURED}; its maker has published one point, similarity {point.similarity} at FMR {rate}"
    return replace(guess, origin=origin, published=point)


def _normal(similarity: float, fmr: float, tmr: float) -> Calibration:
    """Similarities of strangers normally distributed around 0, so that a share `fmr` of them reaches `similarity`."""
    deviation = similarity / NormalDist().inv_cdf(1 - fmr)
    grid = [number / 100 for number in range(101)]
    logs = [log10(erfc(value / deviation / sqrt(2)) / 2) for value in grid]
    curve = Curve(1, 0.0, logs, logs, logs, [1.0 if value < similarity else tmr for value in grid])
    guess = Calibration(grid, [curve], threshold=1.0)
    return replace(guess, threshold=round(guess.similarity_at(DEFAULT_FMR), 2))
