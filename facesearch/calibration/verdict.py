"""Verdicts: how confident a match is, judged from its similarity and from all faces near the query.

A verdict rests on the number of false hits to expect: FMR times the faces searched. Fewer than 1,000 faces count as
1,000 (a user who searches ten photos today searches ten more tomorrow). This number is the one that is shown. For the
verdict, two things raise it that the average over all people does not include:

* The query's own impostors. Some people have sixty to a hundred times the mean FMR with one another. The *excess* is
  the factor by which more faces come near the query than strangers should. The person's own photos come near too. Their
  number is estimated from the faces too similar to be strangers and from the table's true-match rates, and subtracted.
* Poor pictures. A blurred face looks like other blurred faces: if the better of the two has a quality under 0.55, the
  expected false hits are raised by half a decade per 0.1. (Measured at a similarity of 0.47: 22 times the false matches
  between 0.3 and 0.4, 44 times between 0.1 and 0.2. Between a sharp face and a blurred one there are no more than
  between two sharp ones.)

*strong*: 0.001 false hits or fewer, multiplied by the cube of the excess. *likely*: 0.1 or fewer, multiplied by its
square; among many hits a false one weighs less, so the limit with the square grows by a tenth per hit. *possible*: 10
or fewer. *unlikely*: more.

Measured on 17 people, each with a table of the other 16 and two photos among the 7,000 of the others: all strong hits
were right, for every person, asked with one photo and with three; without the excess, 98.1 % for the worst person asked
with three. With the embeddings of revision 2, it was 96.0 and 100 %, and 91.2 and 74.6 % without the excess. On photos
of eight others, all were right. See `benchmarks/answers.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from facesearch.calibration.table import LEAST_SEARCHED, Calibration
from facesearch.types import Verdict

__all__ = ["Judge"]

_FROM_SURE = tuple(Verdict)
_STRONG, _LIKELY, _POSSIBLE = 0.001, 0.1, 10.0
_HITS_TO_DOUBLE = 10.0
_SURE_FMR, _SURE_EXPECTED = 1e-7, 0.01
_LEAST_SHARE = 0.05
_POOR_QUALITY, _DECADES_OF_DOUBT, _MOST_DOUBT = 0.55, 5.0, 3.0


@dataclass(frozen=True)
class Judge:
    """Judges similarities to one query: a template of `photos` photos, compared with `searched` faces.

    `nearest` are the similarities of the nearest faces, best first, at least down to `Calibration.near` (or a thousand
    of them). `quality` is the quality of the best query photo, None if it is not known.
    """

    calibration: Calibration
    photos: int
    searched: int
    nearest: Sequence[float] = ()
    quality: float | None = None

    def fmr(self, similarity: float) -> float | None:
        """See `Calibration.fmr`; None if the model is not measured."""
        return self.calibration.fmr(similarity, self.photos) if self.calibration.measured else None

    def interval(self, similarity: float) -> tuple[float, float] | None:
        """See `Calibration.interval`; None if the model is not measured."""
        return self.calibration.interval(similarity, self.photos) if self.calibration.measured else None

    def expected_false_hits(self, similarity: float) -> float | None:
        """Return the mean number of strangers that reach this similarity among the faces searched, or 1,000 if fewer.

        None if the model is not measured.
        """
        fmr = self.fmr(similarity)
        return None if fmr is None else fmr * self._counted

    @cached_property
    def excess(self) -> float:
        """The faces near the query relative to the strangers to expect, own photos subtracted; at least 1."""
        table, size = self.calibration, self.photos
        near = table.near(size, self.searched)
        sure = table.similarity_at(min(_SURE_FMR, _SURE_EXPECTED / self._counted), size)
        own = self._from(sure) * table.tmr(near, size) / max(table.tmr(sure, size), _LEAST_SHARE)
        return max(1.0, (self._from(near) - own) / (self._expected(near) + 1))

    def verdict(self, similarity: float, quality: float | None = None) -> Verdict:
        """Return the verdict for a face of this similarity and quality; see the top of this module."""
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
        """The least similarity at which the number of hits outweighs the look-alikes."""
        good = [
            similarity
            for number, similarity in enumerate(self.nearest, start=1)
            if self._expected(similarity) * self.excess**2 <= _LIKELY * (1 + number / _HITS_TO_DOUBLE)
        ]
        return min(good, default=2.0)

    def _from(self, similarity: float) -> int:
        """Return the number of nearest faces that reach a similarity."""
        return bisect_right(self._ascending, -similarity)

    @property
    def _counted(self) -> int:
        return max(self.searched, LEAST_SEARCHED)

    @cached_property
    def _ascending(self) -> list[float]:
        return [-similarity for similarity in self.nearest]


def _doubt(one: float | None, other: float | None) -> float:
    """Return the factor by which false matches are more frequent between faces of these qualities."""
    better = max(1.0 if one is None else one, 1.0 if other is None else other)
    return float(10 ** min(_MOST_DOUBT, max(0.0, (_POOR_QUALITY - better) * _DECADES_OF_DOUBT)))
