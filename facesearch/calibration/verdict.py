"""How sure a match is: similarities to one question, judged among all that come near it.

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
        return max(self.searched, LEAST_SEARCHED)

    @cached_property
    def _ascending(self) -> list[float]:
        return [-similarity for similarity in self.nearest]


def _doubt(one: float | None, other: float | None) -> float:
    """How many times more false matches there are between two faces of these qualities."""
    better = max(1.0 if one is None else one, 1.0 if other is None else other)
    return float(10 ** min(_MOST_DOUBT, max(0.0, (_POOR_QUALITY - better) * _DECADES_OF_DOUBT)))
