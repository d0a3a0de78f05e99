"""The result of a query: answers and hits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from facesearch.events import Remark
from facesearch.search.probes import Probe
from facesearch.types import FaceRecord, Somebody, Verdict, own_id

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.galleries.protocol import GallerySize

__all__ = ["Answer", "Hit", "QueryResult"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A face that is similar to the probe.

    `similarity` is the cosine, in [-1, 1]; `rank` starts at 1. `fmr` is the share of strangers that reach this
    similarity, `expected_false_hits` their number among the faces searched, or among 1,000 if there are fewer; both are
    None for a model that was never calibrated. They are `extrapolated` if too few strangers of this similarity were
    measured. `offline` is true if the folder of the photo is missing now. `is_query` marks the query photo itself or a
    copy of it, which has rank 0. `folded` has the hits in near-identical photos, best first.

    `via` says how it was found: "face", because it is similar to the probe, or "person", because it belongs to the
    person of the probe. `similarity_to_person` is its similarity to the mean of that person's faces, None if it does
    not belong to that person. `via_face` is, for a hit through the person, the face of that person to which it is most
    similar among those that are similar to the probe. `somebody_else` marks a hit that is similar to the probe but
    shows somebody else than its person. `before_birth` marks a photo taken before the person of the probe was born.
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
    via: Literal["face", "person"] = "face"
    similarity_to_person: float | None = None
    via_face: FaceRecord | None = None
    somebody_else: bool = False
    before_birth: bool = False

    @property
    def person(self) -> int | None:
        """The number of the person that the face belongs to, in its index; None if it is alone."""
        return None if self.face.person is None else own_id(self.face.person)[1]

    @property
    def path(self) -> str:
        """The absolute path of the photo."""
        return os.fsdecode(self.face.path)

    @property
    def distance(self) -> float:
        """1 - similarity; 0 for the same picture of the same face."""
        return 1.0 - self.similarity

    def reaches(self, threshold: float | None) -> bool:
        """Return True if the similarity reaches a threshold; every hit reaches None."""
        return threshold is None or self.similarity >= threshold

    def counts(self, threshold: float | None) -> bool:
        """Return True if it is found: it reaches the threshold or belongs to the person, and can be that person."""
        possible = not self.somebody_else and not self.before_birth
        return possible and (self.via == "person" or self.reaches(threshold))


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits for one probe: the query photo itself, if it is in the index, then the others, best first.

    `searched` is the number of faces searched. `nearest` is the nearest of them that is not in the query photo itself,
    even if it is below the threshold. `excess` is the factor by which more faces are similar to the probe than expected
    of strangers (see `facesearch.calibration`). `missed_photos` are the ids of photos below the threshold with a
    verdict of likely or strong. `people` is the person of the probe, one in each index of a gallery that knows it, the
    most similar first; empty if that is not clear or was not asked.
    """

    probe: Probe
    hits: list[Hit]
    searched: int = 0
    nearest: Hit | None = None
    excess: float = 1.0
    missed_photos: frozenset[int] = frozenset()
    people: tuple[Somebody, ...] = ()

    @property
    def person(self) -> int | None:
        """The number of the person of the probe, the most similar one; None if that is not clear or was not asked."""
        return self.people[0].number if self.people else None

    @property
    def missed(self) -> int:
        """The number of photos below the threshold with a verdict of likely or strong."""
        return len(self.missed_photos)

    def found(self, threshold: float | None) -> bool:
        """Return True if a hit other than the query photo itself is found."""
        return any(hit.counts(threshold) and not hit.is_query for hit in self.hits)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answers to one or several queries. Iterating yields all hits, answer by answer; `len` counts them.

    A hit counts as found at a similarity of `threshold` or more, or through the person of the probe; with a threshold
    of None every hit does. `gallery` is the name of what was searched, `size` the number of photos and faces in it,
    `model` the name of its model. `folders` are the folders of the index, in the system's bytes. `remarks` are messages
    for the user.
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
        """The hits that are found (see `Hit.counts`), including the query photos themselves."""
        return [hit for hit in self if hit.counts(self.threshold)]

    @property
    def nothing_found(self) -> bool:
        """Whether no answer has a hit other than the query photo itself that is found."""
        return not any(answer.found(self.threshold) for answer in self.answers)
