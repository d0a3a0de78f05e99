"""What a question is answered with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facesearch.events import Remark
from facesearch.search.probes import Probe
from facesearch.types import FaceRecord, Verdict

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.galleries.protocol import GallerySize

__all__ = ["Answer", "Hit", "QueryResult"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A face that looks like the probe: `similarity` is the cosine, in [-1, 1]; `rank` counts from 1.

    `fmr` is the share of strangers that reach this similarity, `expected_false_hits` how many that is among the faces
    searched, or among 1,000 if there are fewer; both are None for a model that was never measured. Where too few
    strangers were ever measured so near, they are `extrapolated`. `offline` tells that the photo's root is missing now.
    `is_query` marks the very photo that was asked about, which has the rank 0. `folded` are hits whose photos look like
    this one's, best first.
    """

    rank: int
    similarity: float
    face: FaceRecord
    offline: bool = False
    fmr: float | None = None
    expected_false_hits: float | None = None
    verdict: Verdict | None = None
    extrapolated: bool = False
    is_query: bool = False
    folded: tuple[Hit, ...] = ()

    @property
    def path(self) -> str:
        """The photo's absolute path."""
        return os.fsdecode(self.face.path)

    @property
    def distance(self) -> float:
        """1 - similarity: 0 for the same picture of the same face."""
        return 1.0 - self.similarity

    def reaches(self, threshold: float | None) -> bool:
        """Whether it is as similar as a threshold asks; None asks for nothing."""
        return threshold is None or self.similarity >= threshold


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits for one probe, best first, the query photo itself before them.

    `searched` is the number of faces that could be hits, `excess` by what factor more of them come near the probe than
    strangers should (see `facesearch.calibration`); `nearest` is the nearest of them that is not in the query
    photo itself, whether or not it reached the threshold. `missed` photos are at least likely, and below the threshold.
    """

    probe: Probe
    hits: list[Hit]
    searched: int = 0
    nearest: Hit | None = None
    excess: float = 1.0
    missed: int = 0

    def found(self, threshold: float | None) -> bool:
        """Whether anything but the query photo itself reaches the threshold."""
        return any(hit.reaches(threshold) and not hit.is_query for hit in self.hits)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """One answer per question, and what they were asked with; iterating gives all hits, answer by answer.

    A hit counts as found from `threshold` on; None: however unlike. `gallery` names what was searched, `size` tells
    how much is there, `model` is the name of its model. `folders` are those that an index keeps current, in the
    system's bytes. `remarks` are what a person should know about the answers.
    """

    answers: list[Answer]
    threshold: float | None
    gallery: str
    size: GallerySize
    model: str
    calibration: Calibration = field(repr=False)
    folders: tuple[bytes, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        for answer in self.answers:
            yield from answer.hits

    def __len__(self) -> int:
        return sum(len(answer.hits) for answer in self.answers)

    @property
    def found(self) -> list[Hit]:
        """The hits that reach the threshold, the query photos themselves among them."""
        return [hit for hit in self if hit.reaches(self.threshold)]

    @property
    def nothing_found(self) -> bool:
        """Whether no answer has a hit that reaches the threshold, other than the query photo itself."""
        return not any(answer.found(self.threshold) for answer in self.answers)
