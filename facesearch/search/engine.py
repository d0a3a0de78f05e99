"""From probes to answers: the photos that show the person of a probe, each with a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import Calibration
from facesearch.calibration.verdict import Judge
from facesearch.errors import Hint, InputError
from facesearch.filters import Filter
from facesearch.galleries.protocol import Gallery, Part, ScoredFace
from facesearch.models.geometry import unit_length
from facesearch.photos.scan import is_offline
from facesearch.query_options import QueryOptions
from facesearch.search.company import Companions, Excluded
from facesearch.search.grouping import one_per_photo, ranked, without_near_copies
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.search.through_people import NEAREST, Link, PeopleOf
from facesearch.types import FaceRecord, Verdict

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["Want", "find", "find_all", "find_person", "probe_of_person"]

_FIRST_PORTION = 64
_LARGER_PORTION = 4
_QUESTIONS_AT_ONCE = 256
_NEAREST_COUNTED = 1024
_SEEDS = 20
_SURE = (Verdict.strong, Verdict.likely)


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Which hits are wanted: `QueryOptions` with its thresholds resolved by a calibration.

    `top_k` alone returns that many hits, whatever their similarity; `threshold` alone all at or above it; both the best
    of those; neither all hits. Only faces that pass `filter` are searched. A hit's photo must show everybody in
    `together` too and nobody in `without`; a face is one of them at a similarity of `company_threshold` or more.

    With `people`, photos of the probe's person are hits, too: after the faces that reach `counted`, and before those of
    somebody else and those below it. See `facesearch.search.through_people`.
    """

    top_k: int | None = None
    threshold: float | None = None
    filter: Filter = field(default_factory=Filter)
    all_faces: bool = False
    fold: bool = False
    expand: bool = False
    together: tuple[Probe, ...] = ()
    without: tuple[Probe, ...] = ()
    company_threshold: float = 1.0
    people: bool = False
    counted: float = 1.0

    @classmethod
    def of(cls, options: QueryOptions, **decided: Any) -> Want:
        """Take the fields from the options of a query, except those that are `decided` already."""
        said = {wish.name: getattr(options, wish.name) for wish in fields(cls) if hasattr(options, wish.name)}
        return cls(**{**said, **decided})


def find(gallery: Gallery, probe: Probe, want: Want, calibration: Calibration | None = None) -> Answer:
    """Return the photos most similar to the probe; see `find_all`."""
    (answer,) = find_all(gallery, [probe], want, calibration)
    return answer


def find_all(
    gallery: Gallery, probes: Sequence[Probe], want: Want, calibration: Calibration | None = None
) -> list[Answer]:
    """Return for each probe the most similar photos, best first: one hit per photo, its best face, or all faces.

    All probes are searched in one pass over the gallery, and in further passes while an answer is incomplete. Equal
    similarities come in the gallery's order. Verdicts are based on `calibration`, by default that of the gallery's
    model.
    """
    search = _Search(gallery, want, calibration or _calibration(gallery))
    answers: list[Answer] = []
    for start in range(0, len(probes), _QUESTIONS_AT_ONCE):
        answers += search.answers(probes[start : start + _QUESTIONS_AT_ONCE])
    return answers


def find_person(gallery: Gallery, number: int, want: Want, calibration: Calibration | None = None) -> Answer:
    """Return the photos of the person with this number, who has a face that can be found."""
    return _Search(gallery, want, calibration or _calibration(gallery)).of_person(number)


def _calibration(gallery: Gallery) -> Calibration:
    """Return what similarities mean in a gallery."""
    return calibration_of(gallery.model, gallery.own_calibration())


def probe_of_person(gallery: Gallery, number: int, called: str) -> Probe:
    """Return a probe that stands for a person of a gallery, who is `called` so in messages.

    Raises `InputError` if no photo can be found.
    """
    people = PeopleOf(gallery, gallery.parts()[0], _calibration(gallery), gallery.count())
    person = people.person(number) if gallery.count(Filter(person=number)) else None
    if person is None:
        raise InputError(f"{called}: no photo of this person can be found now", Hint.LIST_PEOPLE)
    return people.cover(person)


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """A probe and the faces that it was expanded with: `seeds` has their vectors by id, `total` the sum of all."""

    probe: Probe
    total: FloatArray
    seeds: Mapping[int, FloatArray] = field(default_factory=dict)

    @classmethod
    def plain(cls, probe: Probe) -> _Question:
        return cls(probe, probe.face.embedding * probe.photos)

    def expanded(self, seeds: Mapping[int, FloatArray]) -> _Question:
        total = self.total + sum(seeds.values())
        face = replace(self.probe.face, embedding=unit_length(total))
        return _Question(replace(self.probe, face=face, found=len(seeds)), total, seeds)

    def without_themselves(self, nearest: list[ScoredFace]) -> list[ScoredFace]:
        """Compare the faces that are part of the query with the rest of it, as all others are."""
        if not self.seeds:
            return nearest
        fair = []
        for scored in nearest:
            own = self.seeds.get(scored.face.vector_id)
            similarity = scored.similarity if own is None else float(own @ unit_length(self.total - own))
            fair.append(ScoredFace(similarity, scored.face))
        return sorted(fair, key=lambda scored: (-scored.similarity, scored.face.vector_id))


class _Search:
    """Answers queries with the same options to one gallery."""

    def __init__(self, gallery: Gallery, want: Want, calibration: Calibration) -> None:
        self._gallery = gallery
        self._want = want
        self._calibration = calibration
        self._offline: dict[int, bool] = {}
        self._nearest: dict[int, Sequence[ScoredFace]] = {}
        """The nearest faces, by the identity of the probe, as far as a search of the whole gallery found them."""
        self._people: list[PeopleOf] = []
        if want.people and gallery.size().people:
            self._people = [PeopleOf(gallery, part, calibration, gallery.count()) for part in gallery.parts()]
        self._companions = Companions(gallery, want.together, want.company_threshold, self._people)
        self._excluded = Excluded(gallery, want.without, want.company_threshold, self._people)
        self._where = want.filter
        if want.together:
            self._where = replace(want.filter, photos=self._companions.photos)
        self._searched = gallery.count(self._where)

    def answers(self, probes: Sequence[Probe]) -> list[Answer]:
        """Return one answer per probe."""
        if not self._people:
            return self._direct(probes, self._want)
        want = replace(self._want, fold=False)  # photos through the person may be near-identical, too
        if want.top_k is not None and self._want.fold:
            want = replace(want, top_k=_LARGER_PORTION * want.top_k + _FIRST_PORTION)
        answers = self._direct(probes, want)
        cut = [
            number
            for number, answer in enumerate(answers)
            if want.top_k is not None and answer.hits and answer.hits[-1].similarity >= want.counted
        ]
        if cut:  # more hits count than were asked for: which come first is known when all are
            whole = replace(want, top_k=None, threshold=want.counted)
            for number, answer in zip(cut, self._direct([probes[number] for number in cut], whole), strict=True):
                answers[number] = answer
        return [self._through(answer) for answer in answers]

    def of_person(self, number: int) -> Answer:
        """Return the photos of a person; the most typical face stands for the person."""
        people = PeopleOf(self._gallery, self._gallery.parts()[0], self._calibration, self._gallery.count())
        person = people.person(number)
        assert person is not None
        link = Link(person, 1.0, Verdict.strong)
        answer = Answer(people.cover(person), [], self._searched, people=(person.name,))
        hits, early = _by_birth(self._members(answer, link, [], people), person.born)
        return replace(answer, hits=self._cut([], self._each_once([*hits, *early], [])))

    def _nearest_to(self, probe: Probe, part: Part) -> Sequence[ScoredFace]:
        """Return the faces of an index that are nearest to a probe, whatever the filter."""
        if not part.where.lets_all_through:
            return self._gallery.search(probe.face.embedding[None], NEAREST, part.where)[0]
        if id(probe) not in self._nearest:
            (self._nearest[id(probe)],) = self._gallery.search(probe.face.embedding[None], NEAREST)
        return self._nearest[id(probe)]

    def _through(self, answer: Answer) -> Answer:
        """Return an answer with the photos of the probe's person, and with hits of somebody else last."""
        counted = self._want.counted
        query = [hit for hit in answer.hits if hit.is_query]
        reaching = [hit for hit in answer.hits if not hit.is_query and hit.reaches(counted)]
        below = [hit for hit in answer.hits if not hit.is_query and not hit.reaches(counted)]
        found = [self._through_one(answer, query, reaching, people) for people in self._people]
        direct, through, elsewhere = (_by_similarity(hits) for hits in zip(*(hits for _, *hits in found), strict=True))
        links = sorted((link for link, *_ in found if link is not None), key=lambda link: -link.similarity)
        if not links:
            return replace(answer, hits=self._cut(query, [*direct, *elsewhere, *below]))
        through.sort(key=lambda hit: (-(hit.similarity_to_person or 0.0), hit.face.face_id))
        born = links[0].person.born
        (direct, early), (through, earlier) = _by_birth(direct, born), _by_birth(through, born)
        hits = self._cut(query, self._each_once([*direct, *through, *early, *earlier, *elsewhere, *below], query))
        missed = answer.missed_photos - {hit.face.photo_id for hit in through}
        return replace(answer, hits=hits, people=tuple(link.person.name for link in links), missed_photos=missed)

    def _through_one(
        self, answer: Answer, query: Sequence[Hit], reaching: Sequence[Hit], people: PeopleOf
    ) -> tuple[Link | None, list[Hit], list[Hit], list[Hit]]:
        """Return whom one index takes the probe for; and the hits: direct, through that person, of somebody else."""
        probe = answer.probe
        inside = [hit for hit in reaching if people.part.has(hit.face)]
        link = people.link(probe, self._nearest_to(probe, people.part))
        others = people.are_somebody_else(probe, [hit.face for hit in inside], link)
        marked = list(zip(inside, others, strict=True))
        elsewhere = [replace(hit, somebody_else=True, verdict=Verdict.unlikely) for hit, other in marked if other]
        direct = [hit for hit, other in marked if not other]
        if link is None:
            return link, direct, [], elsewhere
        members = self._members(answer, link, [*query, *direct], people)
        numbers = {hit.face.face_id: hit.similarity_to_person for hit in members}
        direct = [replace(hit, similarity_to_person=numbers.get(hit.face.face_id)) for hit in direct]
        direct += [hit for hit in members if hit.via == "face"]
        return link, direct, [hit for hit in members if hit.via == "person"], elsewhere

    def _members(self, answer: Answer, link: Link, known: Sequence[Hit], people: PeopleOf) -> list[Hit]:
        """Return the faces of a person that pass the filter, most similar to the person first."""
        probe, number = answer.probe, link.person.number
        if self._where.person not in (None, number):
            return []
        faces = list(self._gallery.records(replace(self._where, person=number)))
        if not faces:
            return []
        vectors = self._gallery.vectors(faces)
        similarity = np.minimum(vectors @ probe.face.embedding, 1.0).tolist()
        to_person = link.person.similarities(faces, vectors)
        links = people.nearest_of(number, probe, [hit.face for hit in known], faces, vectors)
        judge = Judge(self._calibration, probe.photos, self._searched, (), probe.quality)
        hits = []
        for face, value, like, near in zip(faces, similarity, to_person, links, strict=True):
            hit = replace(self._hit(ScoredFace(value, face), judge, is_query=False), similarity_to_person=like)
            if probe.person is not None or value < self._want.counted:
                verdict = people.verdict(link, like, face.quality)
                hit = replace(hit, via="person", via_face=near, verdict=verdict)
            if probe.person is not None:
                hit = replace(hit, similarity=like, fmr=None, expected_false_hits=None, extrapolated=False)
            hits.append(hit)
        hits.sort(key=lambda hit: (-(hit.similarity_to_person or 0.0), hit.face.face_id))
        return [
            hit
            for hit in hits
            if hit.face.content not in probe.contents
            and self._companions.fit_beside(hit.face)
            and not self._excluded.are_beside(ScoredFace(hit.similarity, hit.face))
        ]

    def _each_once(self, hits: Sequence[Hit], query: Sequence[Hit]) -> list[Hit]:
        """Return hits without repetition, the first of each photo, or of each face if all faces are wanted."""
        if self._want.all_faces:
            first: dict[int, Hit] = {}
            for hit in hits:
                first.setdefault(hit.face.face_id, hit)
            return list(first.values())
        shown = {hit.face.photo_id for hit in query}
        return [hit for hit in one_per_photo(hits) if hit.face.photo_id not in shown]

    def _cut(self, query: Sequence[Hit], hits: Sequence[Hit]) -> list[Hit]:
        """Return the query photo and the hits: combined if they are near-identical, and as many as wanted."""
        found = list(hits)
        if self._want.fold:
            found = without_near_copies(found, self._gallery.vectors)
        return [*query, *ranked(found[: self._want.top_k])]

    def _direct(self, probes: Sequence[Probe], want: Want) -> list[Answer]:
        """Return one answer per probe. With `expand` a probe with strong hits is searched again, together with them."""
        questions = [_Question.plain(probe) for probe in probes]
        answers = self._asked(questions, want)
        if want.expand:
            seeds = [self._seeds(answer) for answer in answers]
            again = [number for number, found in enumerate(seeds) if found]
            expanded = self._asked([questions[number].expanded(seeds[number]) for number in again], want)
            for number, answer in zip(again, expanded, strict=True):
                answers[number] = answer
        return answers

    def _seeds(self, answer: Answer) -> dict[int, FloatArray]:
        """Return the vectors of the best strong hits, by id."""
        strong = [hit for hit in answer.hits if hit.verdict is Verdict.strong and not hit.is_query][:_SEEDS]
        faces = [hit.face for hit in strong]
        return dict(zip((face.vector_id for face in faces), self._gallery.vectors(faces), strict=True))

    def _asked(self, questions: Sequence[_Question], want: Want) -> list[Answer]:
        portion = max(_FIRST_PORTION, 2 * (want.top_k or 0))
        answers = [Answer(question.probe, [], self._searched) for question in questions]
        pending = list(range(len(questions))) if self._searched else []
        while pending:
            asked = np.stack([questions[number].probe.face.embedding for number in pending])
            incomplete = []
            for number, nearest in zip(pending, self._gallery.search(asked, portion, self._where), strict=True):
                question = questions[number]
                if self._where.lets_all_through:
                    self._nearest.setdefault(id(question.probe), nearest[:NEAREST])
                answers[number], complete = self._answer(question.probe, question.without_themselves(nearest), want)
                if not complete and len(nearest) == portion:
                    incomplete.append(number)
            pending, portion = incomplete, portion * _LARGER_PORTION
        return answers

    def _answer(self, probe: Probe, nearest: Sequence[ScoredFace], want: Want) -> tuple[Answer, bool]:
        """Return the answer from the nearest faces, and True if further faces would not change it."""
        if not nearest:
            return Answer(probe, [], self._searched), True
        least, threshold, contents = nearest[-1].similarity, want.threshold, frozenset(probe.contents)
        others = [scored.similarity for scored in nearest if scored.face.content not in contents]
        judge = Judge(self._calibration, probe.photos, self._searched, others, probe.quality)
        judged = least < self._calibration.near(probe.photos, self._searched) or len(nearest) >= _NEAREST_COUNTED
        told = len(nearest)
        if threshold is not None:
            reaching = sum(scored.similarity >= threshold for scored in nearest)
            likely = sum(1 for _ in takewhile(lambda scored: judge.verdict(scored.similarity) in _SURE, nearest))
            judged = judged and likely < len(nearest)
            told = max(reaching, likely, _FIRST_PORTION)
        seen = [
            self._hit(scored, judge, is_query=scored.face.content in contents)
            for scored in nearest[:told]
            if self._companions.fit_beside(scored.face) and not self._excluded.are_beside(scored)
        ]
        hits, full = self._picked([hit for hit in seen if hit.reaches(threshold)], want)
        closest = next((hit for hit in seen if not hit.is_query), None)
        complete = full or (threshold is not None and least < threshold)
        missed = frozenset[int]() if threshold is None else _missed(seen, threshold)
        return Answer(probe, hits, self._searched, closest, judge.excess, missed), complete and judged

    def _picked(self, faces: Sequence[Hit], want: Want) -> tuple[list[Hit], bool]:
        """Return the query photo and then the other hits, ranked; and True if further faces would change nothing."""
        found = faces if want.all_faces else one_per_photo(faces)
        query = [hit for hit in found if hit.is_query]
        others = [hit for hit in found if not hit.is_query]
        if want.fold:
            others = without_near_copies(others, self._gallery.vectors)
        full = False
        if want.top_k is not None:
            # One hit more than wanted shows that all near-identical shots of the last folded hit have been seen.
            full = len(others) >= want.top_k + want.fold
            others = others[: want.top_k]
        return query + ranked(others), full

    def _hit(self, scored: ScoredFace, judge: Judge, *, is_query: bool) -> Hit:
        similarity, face = scored
        return Hit(
            0, similarity, face, self._is_offline(face), judge.fmr(similarity),
            judge.expected_false_hits(similarity), judge.verdict(similarity, face.quality),
            self._calibration.is_extrapolated(similarity, judge.photos), is_query,
        )  # fmt: skip

    def _is_offline(self, face: FaceRecord) -> bool:
        """Return True if the root of a face's photo is missing now. Each root is checked once."""
        if face.root_id not in self._offline:
            self._offline[face.root_id] = is_offline(face.root_path)
        return self._offline[face.root_id]


def _by_similarity(found: Iterable[Sequence[Hit]]) -> list[Hit]:
    """Return the hits of several indexes, the most similar first."""
    return sorted((hit for hits in found for hit in hits), key=lambda hit: -hit.similarity)


def _missed(faces: Sequence[Hit], threshold: float) -> frozenset[int]:
    """Return the photos that have a likely face, but only below the threshold."""
    reached = {hit.face.photo_id for hit in faces if hit.reaches(threshold) or hit.is_query}
    return frozenset({hit.face.photo_id for hit in faces if hit.verdict in _SURE} - reached)


def _by_birth(hits: Sequence[Hit], born: str | None) -> tuple[list[Hit], list[Hit]]:
    """Return the hits that may show somebody born on a date, and those taken before, which are marked."""
    early = [hit.face.is_before(born) for hit in hits]
    marked = [
        replace(hit, before_birth=True, verdict=Verdict.unlikely)
        for hit, is_early in zip(hits, early, strict=True)
        if is_early
    ]
    return [hit for hit, is_early in zip(hits, early, strict=True) if not is_early], marked
