"""Questions about people whose answers help most: who may be one person, and whose faces some may be.

A question has a yes and a no, and each answer is a statement, so an answered question is not asked again. The order is
by the number of photos that an answer settles times the chance that it changes something (see `doubts`); skipped
questions come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.catalog.people import Profile
from facesearch.errors import UsageError
from facesearch.people.census import Census, Means
from facesearch.people.doubts import (
    chance_of_one,
    chance_of_outsider,
    chance_of_stranger,
    chance_to_belong,
    doubtful_faces,
    doubtful_pairs,
    seen_together,
    settled,
    shown_with,
)
from facesearch.people.saying import say
from facesearch.people.statements import Kind, Said, everything_said
from facesearch.types import FaceRecord, Somebody

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.calibration.table import Calibration
    from facesearch.catalog.catalog import Catalog
    from facesearch.index.store import Store
    from facesearch.people.doubts import Settled
    from facesearch.types import IdArray

__all__ = ["ORIGIN", "Question", "Whom", "answer", "is_open", "questions", "skip"]

ORIGIN = "review"
"""The origin of statements that answer a question."""

_LEAST_CHANCE = 0.02
_LEAST_OWN = 0.05
_ID = re.compile(r"(people|face)-([1-9]\d{0,17})-([1-9]\d{0,17})", re.ASCII)

QuestionKind = Literal["merge", "member", "outsider", "lone"]


class Whom(NamedTuple):
    """Somebody, and the number of photos of them that can be found."""

    person: Somebody
    photos: int

    def __str__(self) -> str:
        return str(self.person)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A question that has a yes and a no.

    `merge`: are `person` and `other` one person? `member`: is a face that belongs to `person` really theirs?
    `outsider`: does a face show `person`, and not `other`, to whom it belongs now? `lone`: does a face that belongs to
    nobody show `person`?

    `faces` are the two faces to compare: of a merge one of each person, `person` first; else the face in question and
    one of `person`. `similarity` is that of the two means, or of the face to the mean of `person`. An answer settles
    `photos` photos; `chance` is how likely it is to change something. `skipped` is set if it was skipped before.
    """

    id: str
    kind: QuestionKind
    person: Whom
    other: Whom | None
    faces: tuple[FaceRecord, FaceRecord]
    similarity: float
    photos: int
    chance: float
    skipped: bool = False


class _Draft(NamedTuple):
    """A question before its faces are read: `asked` and `beside` are places of people, `rows` those of two faces."""

    kind: QuestionKind
    id: str
    asked: int
    beside: int
    rows: tuple[int, int]
    photos: int
    chance: float


def questions(
    store: Store,
    limit: int | None = None,
    *,
    calibration: Calibration | None = None,
    rank: Callable[[float, int], float] = lambda chance, photos: chance * photos,
    check: Callable[[], object] = lambda: None,
) -> list[Question]:
    """Return the questions to ask, the best first, at most `limit`.

    `calibration` is by default that of the index's model. `rank` gives the value of a question from its chance and its
    photos. `check` is called again and again and may raise an error.
    """
    catalog = store.catalog
    census = Census.of(store, check)
    means = census.means(calibration or calibration_of(store.model))
    have = settled(census, means)
    check()
    asking = _Asking(census, means, have, everything_said(catalog))
    skipped = catalog.review.skipped()
    drafts = [*asking.about_pairs(), *asking.about_faces()]
    drafts.sort(key=lambda draft: (draft.id in skipped, *asking.order(draft, rank)))
    return asking.finished(catalog, drafts if limit is None else drafts[:limit], skipped)


def answer(catalog: Catalog, question: str, *, yes: bool) -> int:
    """Say what answers a question, by its id, in the transaction in progress; return the number of the action.

    Raises `UsageError` for an id that is none, and for a question that was answered.
    """
    about, one, other = _parsed(catalog, question)
    if not _is_open(everything_said(catalog), about, one, other):
        raise UsageError(f"{question}: was answered already")
    catalog.review.ask_again(question)
    if about == "people":
        return say(catalog, Kind.one if yes else Kind.two, person=one, other=other, origin=ORIGIN)
    return say(catalog, Kind.belongs if yes else Kind.does_not, faces=[one], person=other, origin=ORIGIN)


def skip(catalog: Catalog, question: str, *, skipped: bool = True) -> None:
    """Remember, in the transaction in progress, that a question was skipped, or that it was not.

    Raises `UsageError` if there is no such question.
    """
    _parsed(catalog, question)
    if skipped:
        catalog.review.skip(question)
    else:
        catalog.review.ask_again(question)


def is_open(catalog: Catalog, question: str) -> bool:
    """Whether a question still waits for its answer. Raises `UsageError` for an id that is none."""
    return _is_open(everything_said(catalog), *_parsed(catalog, question))


def _parsed(catalog: Catalog, question: str) -> tuple[str, int, int]:
    """Return what a question is about, and two numbers: of two people, or of a face and a person."""
    found = _ID.fullmatch(question)
    if found is None:
        raise UsageError(f"{question:.60}: not the id of a question; the list of questions has them")
    about, first, second = found[1], int(found[2]), int(found[3])
    person, other = catalog.people.current(second), catalog.people.current(first) if about == "people" else first
    known = catalog.people.grouped([first]) if about == "face" else {first: 0}
    if person is None or other is None or first not in known:
        raise UsageError(f"{question}: no such question; the list of questions has those there are now")
    return about, other, person


def _is_open(said: Said, about: str, one: int, other: int) -> bool:
    if about == "people":
        return one != other and not {(one, other), (other, one)} & said.apart
    return one not in said.placed and (one, other) not in said.barred


class _Asking:
    """Makes the questions of one index."""

    def __init__(self, census: Census, means: Means, have: Settled, said: Said) -> None:
        self._census, self._means, self._have, self._said = census, means, have, said
        profiles = [said.profiles.get(number, Profile()) for number in means.numbers.tolist()]
        self._names = [profile.name for profile in profiles]
        self._named = np.array([name is not None for name in self._names], dtype=np.bool_)
        ignored = np.array([profile.ignored for profile in profiles], dtype=np.bool_)
        self._askable = ~ignored & (have.covers >= 0)

    def about_pairs(self) -> Iterator[_Draft]:
        """Yield the questions whether two people are one."""
        have, named, apart = self._have, self._named, self._said.apart
        pairs = doubtful_pairs(self._means)
        chance = chance_of_one(pairs.excess, self._means.known)
        kept = (chance >= _LEAST_CHANCE) & self._askable[pairs.ones] & self._askable[pairs.others]
        pairs, chance = pairs.where(kept), chance[kept]
        apart_now = seen_together(self._census, self._means, pairs)
        numbers = self._means.numbers.tolist()
        for low, high, together, likely in zip(
            pairs.ones.tolist(), pairs.others.tolist(), apart_now.tolist(), chance.tolist(), strict=True
        ):
            first, second = numbers[low], numbers[high]
            if together or (first, second) in apart or (second, first) in apart or self._two_names(low, high):
                continue
            swapped = (named[high], have.photos[high]) > (named[low], have.photos[low])
            one, other = (high, low) if swapped else (low, high)
            photos = have.photos[other] if named[one] else min(have.photos[one], have.photos[other])
            yield _Draft(
                "merge", f"people-{first}-{second}", one, other, (int(have.covers[one]), int(have.covers[other])),
                int(photos), likely,
            )  # fmt: skip

    def about_faces(self) -> Iterator[_Draft]:
        """Yield the questions whose face one is. Copies of a photo are asked about once."""
        census, means = self._census, self._means
        faces = doubtful_faces(census, means, most_own=_LEAST_OWN)
        possible = (faces.others >= 0) & self._askable[faces.others]
        possible &= ~shown_with(census, means, faces.rows, faces.others)
        nearer = faces.excess - faces.own[:, None]
        to_belong, outsider = chance_to_belong(faces.excess, means.known), chance_of_outsider(nearer)
        stranger = chance_of_stranger(faces.own)
        found: dict[tuple[int, int, float], _Draft] = {}
        kind: QuestionKind
        for place in range(len(faces.rows)):
            row, own = int(faces.rows[place]), int(faces.places[place])
            nearest = self._nearest(row, faces.others[place], faces.excess[place], possible[place])
            if own < 0:
                kind, asked = "lone", -1 if nearest is None else int(faces.others[place, nearest])
                chance = 0.0 if nearest is None else float(to_belong[place, nearest])
            elif nearest is not None and nearer[place, nearest] > 0:
                kind, asked = "outsider", int(faces.others[place, nearest])
                chance = float(outsider[place, nearest])
            else:
                kind, asked, chance = "member", own, float(stranger[place])
            if chance < _LEAST_CHANCE or (own >= 0 and not self._askable[own]):
                continue
            question = f"face-{census.faces[row]}-{means.numbers[asked]}"
            draft = _Draft(kind, question, asked, own, (row, int(self._have.covers[asked])), 1, chance)
            content = int(census.contents[row])
            key = content if content >= 0 else -1 - row, asked, round(chance, 6)
            found[key] = draft if key not in found else found[key]._replace(photos=found[key].photos + 1)
        yield from found.values()

    def _nearest(
        self, row: int, others: IdArray, excess: NDArray[np.float32], possible: NDArray[np.bool_]
    ) -> int | None:
        """Return the column of the nearest person whom a face may show as far as the user has said."""
        face, numbers = int(self._census.faces[row]), self._means.numbers
        order = [one for one in np.argsort(-excess, kind="stable").tolist() if possible[one]]
        return next((one for one in order if (face, int(numbers[others[one]])) not in self._said.barred), None)

    def _two_names(self, one: int, other: int) -> bool:
        """Whether the user gave two people different names, and so knows them apart."""
        first, second = self._names[one], self._names[other]
        return first is not None and second is not None and first.casefold() != second.casefold()

    def order(self, draft: _Draft, rank: Callable[[float, int], float]) -> tuple[float, bool, str]:
        """Return what questions are sorted by: the value of the answer, then people with names."""
        return -rank(draft.chance, draft.photos), not self._named[draft.asked], draft.id

    def finished(self, catalog: Catalog, drafts: list[_Draft], skipped: dict[str, int]) -> list[Question]:
        """Return the questions with their faces."""
        census, means = self._census, self._means
        rows = sorted({row for draft in drafts for row in draft.rows})
        vectors = dict(zip(rows, catalog.vectors.get(census.vectors[rows].tolist(), means.units.shape[1]), strict=True))
        records = catalog.faces.records(census.vectors[rows].tolist())
        found = []
        for draft in drafts:
            shown = [records.get(int(census.vectors[row])) for row in draft.rows]
            first, second = shown
            if first is None or second is None:  # hidden since
                continue
            mean = means.units[draft.asked]
            compared = means.units[draft.beside] if draft.kind == "merge" else vectors[draft.rows[0]]
            found.append(
                Question(
                    id=draft.id, kind=draft.kind, person=self._whom(draft.asked),
                    other=None if draft.kind in ("member", "lone") else self._whom(draft.beside),
                    faces=(first, second), similarity=min(1.0, float(mean @ compared)), photos=draft.photos,
                    chance=draft.chance, skipped=draft.id in skipped,
                )
            )  # fmt: skip
        return found

    def _whom(self, place: int) -> Whom:
        return Whom(Somebody(int(self._means.numbers[place]), None, self._names[place]), int(self._have.photos[place]))
