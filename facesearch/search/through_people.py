"""From a question to the person whom it shows, and from that person to more photos.

A single photo finds those that resemble it. Grouping knows more: which faces are one person although no two of them
resemble each other enough. So a question is compared with people: with the mean of each person's faces, for the people
of the faces nearest to it. Whoever is more similar than strangers can be expected to be is the person of the question.

That decides three things. The person's other photos are hits, too. Hits that belong to somebody else, or that resemble
the question but not its person, are most likely wrong, and come last. If nobody fits, the question stays as it is,
except that hits of people whom it clearly does not show come last.

Measured with one photo, for people the calibration does not know: `benchmarks/people.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facesearch.calibration.table import Calibration
from facesearch.calibration.verdict import Judge
from facesearch.filters import Filter
from facesearch.galleries.protocol import Gallery, Part, ScoredFace
from facesearch.models.geometry import unit_length
from facesearch.search.probes import Probe
from facesearch.types import Face, FaceRecord, Somebody, Verdict, own_id

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["NEAREST", "Link", "PeopleOf", "Person"]

NEAREST = 20
"""The number of nearest faces whose people a question is compared with."""

_MOST_LINKS, _MOST_CANDIDATES = 5, 64
_SAMPLED = 200
_LARGEST = 10
_LEAST_LENGTH = 1e-3
_WRONG_PEOPLE, _MOST_FMR, _WITH_A_FACE = 0.03, 1e-4, 10
_STRANGERS_FMR = 1e-3
_SAME_FACE = 0.9
_FROM_SURE = tuple(Verdict)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A person of a gallery: its id there, and the sum of the embeddings of its `faces`, float32[dim].

    `index` is the name of its index in a shared gallery; `called` and `born` are what the user said. Of more than 200
    faces only a sample counts. Faces of the query photo itself do not count.
    """

    number: int
    total: FloatArray
    faces: frozenset[int]
    index: str | None = None
    called: str | None = None
    born: str | None = None

    @property
    def name(self) -> Somebody:
        """The person by number and name."""
        return Somebody(own_id(self.number)[1], self.index, self.called)

    @property
    def mean(self) -> FloatArray:
        """The mean of the faces, float32[dim] of unit length."""
        return unit_length(self.total)

    def similarities(self, faces: Sequence[FaceRecord], vectors: FloatArray) -> list[float]:
        """Return how similar faces, with float32[n, dim], are to the mean of the others."""
        counted = np.array([face.face_id in self.faces for face in faces], dtype=np.float32)
        others = self.total - counted[:, None] * vectors
        lengths = np.linalg.norm(others, axis=1)
        others = np.where(lengths[:, None] > _LEAST_LENGTH, others, self.total)
        similar = np.einsum("nd,nd->n", vectors, others) / np.maximum(np.linalg.norm(others, axis=1), _LEAST_LENGTH)
        found: list[float] = np.minimum(similar, 1.0).tolist()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """The person of a question: its similarity to the mean of the person's faces, and how sure that is."""

    person: Person
    similarity: float
    verdict: Verdict


class PeopleOf:
    """The people of one index in a gallery. Means are kept, so use it for the questions of one call."""

    def __init__(self, gallery: Gallery, part: Part, calibration: Calibration, searched: int) -> None:
        self.part = part
        self._gallery = gallery
        self._calibration = calibration
        self._searched = searched
        self._known: dict[tuple[int, frozenset[bytes]], Person | None] = {}

    def link(self, probe: Probe, nearest: Sequence[ScoredFace]) -> Link | None:
        """Return the person of a question, from the faces nearest to it, best first; None if nobody fits."""
        contents = frozenset(probe.contents)
        own = self.itself(probe, nearest)
        if own is not None and own.person is not None:  # grouping has compared the query photo with everybody
            person = self.person(own.person, contents)
            return None if person is None else self._linked(probe, person)
        links = []
        near = [scored for scored in nearest[:NEAREST] if scored.face.content not in contents]
        for number in _people_of(scored.face for scored in near)[:_MOST_LINKS]:
            person = self.person(number, contents)
            if person is None:
                continue
            similarity = float(probe.face.embedding @ person.mean)
            is_nearest = near[0].face.person == number
            if not is_nearest and near[0].similarity > similarity:
                continue  # somebody else resembles the question more
            excess = similarity - self._least(probe, person, near[0].similarity if is_nearest else -1.0)
            links.append((excess, -number, person))
        excess, _, best = max(links, default=(0.0, 0, None), key=lambda found: found[:2])
        return None if best is None or excess <= 0 else self._linked(probe, best)

    def membership(self, probe: Probe, number: int) -> Link | None:
        """Return how well a face fits its person, known by number; None if the person has no other photo."""
        person = self.person(number, frozenset(probe.contents))
        if person is None:
            return None
        similarity = float(probe.face.embedding @ person.mean)
        known = Link(person, 1.0, Verdict.strong)
        return Link(person, similarity, self.verdict(known, similarity, probe.face.quality))

    def are_somebody_else(self, probe: Probe, faces: Sequence[FaceRecord], link: Link | None) -> list[bool]:
        """Return for faces similar to a question whether they show somebody else than its person."""
        contents = frozenset(probe.contents)
        alone = [face for face in faces if face.person is None]
        unlike: set[int] = set()
        if link is not None and alone:
            least = self._strangers_reach(probe, link.person)
            similar = self._gallery.vectors(alone) @ link.person.mean
            unlike = {face.face_id for face, value in zip(alone, similar.tolist(), strict=True) if value < least}
        others: dict[int, bool] = {}
        for number in _people_of(faces)[:_MOST_CANDIDATES]:
            person = None if link is not None and number == link.person.number else self.person(number, contents)
            if person is not None:
                similarity = float(probe.face.embedding @ person.mean)
                least = self._strangers_reach(probe, person) if link is None else self._least(probe, person, -1.0)
                others[number] = similarity < least
        return [face.face_id in unlike if face.person is None else others.get(face.person, False) for face in faces]

    def person(self, number: int, without: frozenset[bytes] = frozenset()) -> Person | None:
        """Return a person, without faces of some contents; None if nothing is left."""
        key = number, without
        if key not in self._known:
            faces = self._gallery.sample(Filter(person=number), _SAMPLED)
            kept = [face for face in faces if face.content not in without]
            self._known[key] = None
            if kept:
                total = self._gallery.vectors(kept).sum(axis=0)
                ids, first = frozenset(face.face_id for face in kept), kept[0]
                self._known[key] = Person(number, total, ids, first.index, first.name, first.born)
        return self._known[key]

    def cover(self, person: Person) -> Probe:
        """Return a probe that stands for a person: its most typical face, with the mean of all as embedding."""
        faces = self._gallery.sample(Filter(person=person.number), _SAMPLED)
        vectors = self._gallery.vectors(faces)
        quality = np.array([1.0 if face.quality is None else face.quality for face in faces])
        best = int(np.argmax((vectors @ person.mean) * np.sqrt(np.maximum(quality, _LEAST_LENGTH))))
        face = faces[best]
        shown = Face(face.detection, person.mean, face.quality)
        return Probe(os.fsdecode(face.path), 1, 1, shown, person=person.number, name=str(person.name))

    def nearest_of(
        self,
        number: int,
        probe: Probe,
        direct: Sequence[FaceRecord],
        faces: Sequence[FaceRecord],
        vectors: FloatArray,
    ) -> list[FaceRecord | None]:
        """Return for each face of a person the face that links it to a question.

        That is the nearest one among the hits that show the person; without such hits, the face of the person that is
        most similar to the question.
        """
        if probe.person is not None:
            return [None] * len(faces)
        own = [face for face in direct if face.person == number]
        if own:
            linking = self._gallery.vectors(own)
        else:
            best = int(np.argmax(vectors @ probe.face.embedding))
            own, linking = [faces[best]], vectors[best : best + 1]
        nearest = np.argmax(vectors @ linking.T, axis=1).tolist()
        found = (own[place] for place in nearest)
        return [None if link.face_id == face.face_id else link for link, face in zip(found, faces, strict=True)]

    def verdict(self, link: Link, similarity: float, quality: float | None) -> Verdict:
        """Return the verdict for a face of the person, from its similarity to the person and from the link.

        Grouping is right more often than a single similarity shows: whoever belongs to a person is at least likely.
        """
        judge = Judge(self._calibration, min(len(link.person.faces), _LARGEST), self._searched, (), None)
        member = judge.verdict(similarity, quality)
        sure = member if member is Verdict.strong else Verdict.likely
        return max(link.verdict, sure, self._calibration.surest, key=_FROM_SURE.index)

    def _linked(self, probe: Probe, person: Person) -> Link:
        similarity = float(probe.face.embedding @ person.mean)
        judge = Judge(self._calibration, _photos(probe, person), self.part.people, (), probe.quality)
        return Link(person, similarity, judge.verdict(similarity, None))

    def itself(self, probe: Probe, nearest: Sequence[ScoredFace]) -> FaceRecord | None:
        """Return the face of the query photo itself, if it is in the gallery, from the faces nearest to it."""
        for similarity, face in nearest[:NEAREST]:
            if face.content in probe.contents and similarity >= _SAME_FACE:
                return face
        return None

    def _least(self, probe: Probe, person: Person, closest: float) -> float:
        """Return the least similarity of a question to its person, whose most similar face has `closest`.

        It is lower if a single face is as similar as that, too.
        """
        if not self._calibration.measured:
            return self._calibration.threshold
        fmr = min(_MOST_FMR, _WRONG_PEOPLE / max(self.part.people, 1))
        if closest >= self._calibration.similarity_at(fmr, probe.photos):
            fmr *= _WITH_A_FACE
        return self._calibration.similarity_at(fmr, _photos(probe, person))

    def _strangers_reach(self, probe: Probe, person: Person) -> float:
        """Return the similarity to a person that some strangers reach."""
        return self._calibration.similarity_at(_STRANGERS_FMR, _photos(probe, person))


def _photos(probe: Probe, person: Person) -> int:
    """Return the number of photos in the larger of two templates, as far as calibrations distinguish them."""
    return min(max(probe.photos, len(person.faces)), _LARGEST)


def _people_of(faces: Iterable[FaceRecord]) -> list[int]:
    """Return the people of faces, each once, in their order."""
    return list(dict.fromkeys(face.person for face in faces if face.person is not None))
