"""Questions to their answers: the photos that show whoever a probe shows, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from facesearch.calibration.table import Calibration, Judge, calibration_of
from facesearch.index.store import Store
from facesearch.models.geometry import unit_length
from facesearch.photos.fingerprint import ALIKE_BITS
from facesearch.photos.scan import is_offline
from facesearch.search.probes import Probe
from facesearch.types import FaceRecord, Filter, Verdict

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["Answer", "Hit", "Want", "find", "find_all"]

_FIRST_PORTION = 64
_LARGER_PORTION = 4
_QUESTIONS_AT_ONCE = 256
_NEAREST_COUNTED = 1024
_SEEDS = 20
_ALIKE_FACES = 0.8
_SURE = (Verdict.strong, Verdict.likely)


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Which hits are wanted.

    `top_k` alone gives that many, however unlike; `threshold` alone all from there on; both the best of those;
    neither cannot be told from all, so a caller passes the model's own threshold. Only faces that `filter` lets
    through are looked at, and only photos that show all of `together` too, each at `together_from` or more.

    `all_faces` gives every face instead of one a photo, `fold` one hit for near-identical shots, and `expand` asks
    again with the mean of the question and its strong hits.
    """

    top_k: int | None = None
    threshold: float | None = None
    filter: Filter = field(default_factory=Filter)
    all_faces: bool = False
    fold: bool = False
    expand: bool = False
    together: tuple[Probe, ...] = ()
    together_from: float = 1.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A face that looks like the probe: `similarity` is the cosine, in [-1, 1]; `rank` counts from 1.

    `fmr` is the share of strangers that reach this similarity, `expected_false_hits` how many that are among the faces
    searched, or among 1,000 if there are fewer; both are None for a model that was never measured. Where too few
    strangers were ever measured so near, they are `extrapolated`. `offline` tells that the
    photo's root is not there at the moment. `is_query` marks the very photo that was asked about, which has the rank 0.
    `folded` are hits whose photos look like this one's, best first.
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
    def distance(self) -> float:
        """1 - similarity: 0 for the same picture of the same face."""
        return 1.0 - self.similarity


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits for one probe, best first, the query photo itself before them.

    `searched` is the number of faces that could be hits, `excess` by what factor more of them come near the probe than
    strangers should (see `facesearch.calibration.table`); `nearest` is the nearest of them that is not in the query
    photo itself, whether or not it reached the threshold. `missed` photos are at least likely, and below the threshold.
    """

    probe: Probe
    hits: list[Hit]
    searched: int = 0
    nearest: Hit | None = None
    excess: float = 1.0
    missed: int = 0


def find(store: Store, probe: Probe, want: Want, calibration: Calibration | None = None) -> Answer:
    """The photos most like the probe; see `find_all`."""
    (answer,) = find_all(store, [probe], want, calibration)
    return answer


def find_all(store: Store, probes: Sequence[Probe], want: Want, calibration: Calibration | None = None) -> list[Answer]:
    """For each probe the photos most like it, best first: one hit a photo, its best face, unless all are wanted.

    All probes are asked in one pass over the vectors, and again for more where an answer is not complete yet. Photos
    that are out of sight are not found. Equal similarities come in the order of their faces' ids. How sure a hit is
    comes from `calibration`, that of the store's model unless another is given.
    """
    search = _Search(store, want, calibration or calibration_of(store.model))
    answers: list[Answer] = []
    for start in range(0, len(probes), _QUESTIONS_AT_ONCE):
        answers += search.answers(probes[start : start + _QUESTIONS_AT_ONCE])
    return answers


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """A probe, and the faces of the index that it was expanded with: their vectors by id, and the sum of all."""

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

    def without_themselves(self, nearest: list[tuple[float, int]]) -> list[tuple[float, int]]:
        """Faces that are part of the question are compared with the rest of it, like all others."""
        if not self.seeds:
            return nearest
        fair = [
            (float(self.seeds[key] @ unit_length(self.total - self.seeds[key])) if key in self.seeds else score, key)
            for score, key in nearest
        ]
        return sorted(fair, key=lambda found: (-found[0], found[1]))


class _Search:
    """One kind of question to one store: which faces are looked at, and what becomes of those that come near."""

    def __init__(self, store: Store, want: Want, calibration: Calibration) -> None:
        self._store = store
        self._want = want
        self._calibration = calibration
        self._offline: dict[int, bool] = {}
        self._companions = _Companions(store, want)
        self._allowed: IdArray | None = None
        if want.together:
            self._allowed = store.catalog.faces.matching(want.filter, photos=self._companions.photos)
        elif not want.filter.lets_all_through:
            self._allowed = store.catalog.faces.matching(want.filter)
        self._in_sight = store.catalog.photos.counts().faces if self._allowed is None else len(self._allowed)
        self._total = len(store) if self._allowed is None else len(self._allowed)

    def answers(self, probes: Sequence[Probe]) -> list[Answer]:
        """An answer each; asked again, with their strong hits, where that is wanted and there are any."""
        questions = [_Question.plain(probe) for probe in probes]
        answers = self._asked(questions)
        if self._want.expand:
            seeds = [self._seeds(answer) for answer in answers]
            again = [number for number, found in enumerate(seeds) if found]
            expanded = self._asked([questions[number].expanded(seeds[number]) for number in again])
            for number, answer in zip(again, expanded, strict=True):
                answers[number] = answer
        return answers

    def _seeds(self, answer: Answer) -> dict[int, FloatArray]:
        """The vectors of the hits that are strong, the best of them, by id."""
        strong = [hit for hit in answer.hits if hit.verdict is Verdict.strong and not hit.is_query][:_SEEDS]
        ids = [hit.face.vector_id for hit in strong]
        return dict(zip(ids, self._store.catalog.vectors.get(ids, self._store.model.dim), strict=True))

    def _asked(self, questions: Sequence[_Question]) -> list[Answer]:
        portion = min(self._total, max(_FIRST_PORTION, 2 * (self._want.top_k or 0)))
        answers = [Answer(question.probe, [], self._in_sight) for question in questions]
        pending = list(range(len(questions)))
        while pending and portion:
            asked = np.stack([questions[number].probe.face.embedding for number in pending])
            scores, ids = self._store.search(asked, portion, self._allowed)
            incomplete = []
            for number, row_scores, row_ids in zip(pending, scores.tolist(), ids.tolist(), strict=True):
                nearest = [(score, key) for score, key in zip(row_scores, row_ids, strict=True) if key >= 0]
                question = questions[number]
                answers[number], complete = self._answer(question.probe, question.without_themselves(nearest))
                if not complete:
                    incomplete.append(number)
            if portion == self._total:
                break
            pending, portion = incomplete, min(self._total, portion * _LARGER_PORTION)
        return answers

    def _answer(self, probe: Probe, nearest: Sequence[tuple[float, int]]) -> tuple[Answer, bool]:
        """The answer that the nearest faces give, and whether those that are less near would change nothing."""
        if not nearest:
            return Answer(probe, [], self._in_sight), True
        least, threshold = nearest[-1][0], self._want.threshold
        reaching = len(nearest) if threshold is None else sum(score >= threshold for score, _ in nearest)
        rows = self._store.catalog.faces.records([key for _, key in nearest[: max(reaching, _FIRST_PORTION)]])
        asked = frozenset(probe.contents)
        others = [score for score, key in nearest if key not in rows or rows[key].content not in asked]
        judge = Judge(self._calibration, probe.photos, self._in_sight, others, probe.quality)
        judged = least < self._calibration.near(probe.photos, self._in_sight) or len(nearest) >= _NEAREST_COUNTED
        if threshold is not None:
            likely = sum(1 for _ in takewhile(lambda found: judge.verdict(found[0]) in _SURE, nearest))
            rows |= self._store.catalog.faces.records([key for _, key in nearest[:likely] if key not in rows])
            judged = judged and likely < len(nearest)
        seen = [
            self._hit(score, rows[key], judge, is_query=rows[key].content in asked)
            for score, key in nearest
            if key in rows and self._companions.fit_beside(rows[key])
        ]
        picked = _Picked(self._want, self._store)
        hits = picked.hits([hit for hit in seen if threshold is None or hit.similarity >= threshold])
        closest = next((hit for hit in seen if not hit.is_query), None)
        complete = picked.full or (threshold is not None and least < threshold)
        missed = 0 if threshold is None else _missed(seen, threshold)
        return Answer(probe, hits, self._in_sight, closest, judge.excess, missed), complete and judged

    def _hit(self, score: float, row: FaceRecord, judge: Judge, *, is_query: bool) -> Hit:
        similarity = min(1.0, score)
        return Hit(
            0, similarity, row, self._is_offline(row), judge.fmr(similarity),
            judge.expected_false_hits(similarity), judge.verdict(similarity, row.quality),
            self._calibration.is_extrapolated(similarity, judge.photos), is_query,
        )  # fmt: skip

    def _is_offline(self, row: FaceRecord) -> bool:
        """Whether the root of a face's photo is missing now; each is looked at once."""
        if row.root_id not in self._offline:
            self._offline[row.root_id] = is_offline(row.root_path)
        return self._offline[row.root_id]


class _Picked:
    """Of the faces that come near, best first, the wanted hits: one a photo, near-identical shots in one."""

    def __init__(self, want: Want, store: Store) -> None:
        self._want = want
        self._store = store
        self.full = False

    def hits(self, faces: Sequence[Hit]) -> list[Hit]:
        """The query photo first, then the others, ranked; `full` is set when more faces would change nothing."""
        found = faces if self._want.all_faces else _one_a_photo(faces)
        query = [hit for hit in found if hit.is_query]
        others = [hit for hit in found if not hit.is_query]
        groups = self._folded(others) if self._want.fold else others
        if self._want.top_k is not None:
            # Of folded hits one more than wanted tells that what is alike to the last has been seen.
            self.full = len(groups) >= self._want.top_k + self._want.fold
            groups = groups[: self._want.top_k]
        return query + [replace(hit, rank=rank) for rank, hit in enumerate(groups, start=1)]

    def _folded(self, hits: Sequence[Hit]) -> list[Hit]:
        """Photos that look alike, with faces that are alike, as one hit each."""
        vectors = self._store.catalog.vectors.get([hit.face.vector_id for hit in hits], self._store.model.dim)
        looks = np.array([hit.face.fingerprint or 0 for hit in hits], dtype=np.int64).view(np.uint64)
        known = np.array([hit.face.fingerprint is not None for hit in hits], dtype=np.bool_)
        first: list[int] = []
        alike: dict[int, list[Hit]] = {}
        for number, hit in enumerate(hits):
            kept = np.array(first, dtype=np.int64)
            same = known[kept] & known[number] & (np.bitwise_count(looks[kept] ^ looks[number]) <= ALIKE_BITS)
            same &= vectors[kept] @ vectors[number] >= _ALIKE_FACES
            if same.any():
                alike[int(kept[same.argmax()])].append(hit)
            else:
                first.append(number)
                alike[number] = []
        return [replace(hits[number], folded=tuple(alike[number])) for number in first]


def _missed(faces: Sequence[Hit], threshold: float) -> int:
    """How many photos a likely face below the threshold would have added."""
    reached = {hit.face.photo_id for hit in faces if hit.similarity >= threshold or hit.is_query}
    return len({hit.face.photo_id for hit in faces if hit.verdict in _SURE} - reached)


def _one_a_photo(faces: Sequence[Hit]) -> list[Hit]:
    best: dict[int, Hit] = {}
    for hit in faces:
        best.setdefault(hit.face.photo_id, hit)
    return list(best.values())


class _Companions:
    """The people who must be in a hit's photo as well, each with a face of their own."""

    def __init__(self, store: Store, want: Want) -> None:
        self._faces: list[dict[int, set[int]]] = []
        for probe in want.together:
            faces: dict[int, set[int]] = {}
            for row in _faces_like(store, probe, want.together_from):
                faces.setdefault(row.photo_id, set()).add(row.face_id)
            self._faces.append(faces)

    @property
    def photos(self) -> list[int]:
        """Photos in which all of them are."""
        common = set.intersection(*(set(faces) for faces in self._faces)) if self._faces else set()
        return sorted(common)

    def fit_beside(self, row: FaceRecord) -> bool:
        """Whether the photo of a face has other faces for all of them."""
        return _each_its_own([faces.get(row.photo_id, set()) - {row.face_id} for faces in self._faces])


def _faces_like(store: Store, probe: Probe, threshold: float) -> Iterable[FaceRecord]:
    """All faces in sight from a similarity on."""
    total, portion = len(store), _FIRST_PORTION
    while True:
        scores, ids = store.search(probe.face.embedding[None], min(portion, total))
        if portion >= total or scores[0, -1] < threshold:
            return store.catalog.faces.records(ids[0][(scores[0] >= threshold) & (ids[0] >= 0)].tolist()).values()
        portion *= _LARGER_PORTION


def _each_its_own(choices: Sequence[set[int]]) -> bool:
    """Whether one can be taken from each set, none twice."""
    if not choices:
        return True
    first, *rest = sorted(choices, key=len)
    return any(_each_its_own([other - {taken} for other in rest]) for taken in first)
