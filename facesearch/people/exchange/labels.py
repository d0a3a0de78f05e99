"""Photos with the name of a person: which face is meant, which person of the index that is, and what is said of it.

Two people who bear one name are told apart by an id that the labels have, and are found in the index by their faces.

The face in a photo with one face is meant. In a photo with several it is the one that most resembles those; where no
photo has one face, the one that comes back in most photos. What stays in doubt is left out. So is what contradicts the
user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from facesearch.errors import InputError
from facesearch.people.exchange.importing import Imported
from facesearch.people.names import people_called
from facesearch.people.saying import Statement, say_all
from facesearch.people.statements import Kind, Said, everything_said
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import Profile
    from facesearch.types import FloatArray, IdArray

__all__ = ["Label", "Labels", "Shown", "ShownFace", "choose", "say_labels"]

_SINGLE_FMR, _AMONG_FMR = 1e-2, 1e-3
"""The false-match rates from which on a face is meant: the only one of its photo, and one of several."""

_MARGIN = 0.05
"""How much more similar the face must be than any other in its photo."""

_ENOUGH = 3
_MOST = 0.5
_SHOWN_REMARKS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ShownFace:
    """A face in a photo: its embedding, its id if the photo is in the index, else that of the nearest face there."""

    vector: FloatArray
    face: int | None = None
    near: int | None = None


@dataclass(slots=True)
class Shown:
    """A photo of a named person; `meant` is the face that the user pointed out."""

    path: str
    faces: list[ShownFace]
    meant: int | None = None


@dataclass(slots=True)
class Label:
    """What the user says about a person by naming photos; `chosen` are the faces, `doubtful` the photos left out.

    Labels of one name are about different people if their `person` differs. `failed` photos could not be read.
    """

    name: str
    person: str | None = None
    photos: list[Shown] = field(default_factory=list)
    external_id: str | None = None
    born: str | None = None
    chosen: list[ShownFace] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    failed: int = 0


class Labels(NamedTuple):
    """What a table or folders say, and why some of it cannot be said: one line each."""

    labels: list[Label]
    refused: list[str]

    @classmethod
    def of(cls, labels: Sequence[Label], refused: Sequence[str]) -> Labels:
        """Return labels; photos without a `person` belong to the only one of their name and external id.

        Raises `InputError`, the first of the reasons, if nothing is left.
        """
        if refused and not labels:
            raise InputError(refused[0])
        told: list[Label] = []
        for label in labels:
            same = [one for one in labels if (one.name, one.external_id) == (label.name, label.external_id)]
            others = [one for one in same if one.person is not None]
            if label.person is None and len(others) == 1:
                others[0].photos += label.photos
                others[0].failed += label.failed
                others[0].born = others[0].born or label.born
            else:
                told.append(label)
        return cls(told, list(refused))


def choose(label: Label, calibration: Calibration) -> None:
    """Decide which face is meant in each photo."""
    meant = [(shown, shown.meant) for shown in label.photos if shown.meant is not None]
    meant += [(shown, 0) for shown in label.photos if shown.meant is None and len(shown.faces) == 1]
    several = [shown for shown in label.photos if shown.meant is None and len(shown.faces) > 1]
    label.doubtful += [shown.path for shown in label.photos if not shown.faces]
    if not meant and several:
        meant = _recurring(several, calibration)
        several = [shown for shown in several if not any(shown is one for one, _ in meant)]
        if not meant:
            label.doubtful += [shown.path for shown in several]
            return
    if not meant:
        return
    vectors = np.stack([shown.faces[place].vector for shown, place in meant])
    if len(meant) >= _ENOUGH:
        others = vectors.sum(axis=0)[None, :] - vectors
        fits = np.einsum("nd,nd->n", vectors, others / np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-9))
        least = calibration.similarity_at(_SINGLE_FMR, len(meant) - 1)
        kept = [shown.meant is not None or fit >= least for (shown, _), fit in zip(meant, fits, strict=True)]
        label.doubtful += [shown.path for (shown, _), is_kept in zip(meant, kept, strict=True) if not is_kept]
        meant = [one for one, is_kept in zip(meant, kept, strict=True) if is_kept]
        vectors = vectors[kept]
    label.chosen += [shown.faces[place] for shown, place in meant]
    if not meant:
        label.doubtful += [shown.path for shown in several]
        return
    _choose_among(label, several, vectors, calibration)


def _choose_among(label: Label, several: Sequence[Shown], vectors: FloatArray, calibration: Calibration) -> None:
    """Choose in photos with several faces the one that most resembles the others of the person, float32[n, dim]."""
    mean = vectors.mean(axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-9)
    least = calibration.similarity_at(_AMONG_FMR, len(vectors))
    for shown in several:
        fits = np.array([face.vector @ mean for face in shown.faces])
        best, second = np.argsort(-fits)[:2]
        if fits[best] >= least and fits[best] - fits[second] >= _MARGIN:
            label.chosen.append(shown.faces[best])
        else:
            label.doubtful.append(shown.path)


def _recurring(photos: Sequence[Shown], calibration: Calibration) -> list[tuple[Shown, int]]:
    """Return the face that comes back in most photos with several faces; empty if none does."""
    vectors = np.stack([face.vector for shown in photos for face in shown.faces])
    photo: IdArray = np.repeat(np.arange(len(photos)), [len(shown.faces) for shown in photos])
    first = np.flatnonzero(np.r_[True, photo[1:] != photo[:-1]])
    nearest = np.maximum.reduceat(vectors @ vectors.T, first, axis=1)
    least = calibration.similarity_at(_AMONG_FMR)
    often = (nearest >= least).sum(axis=1)
    face = int(np.argmax(often + nearest.clip(0).sum(axis=1) / (2 * len(photos))))
    others = vectors @ vectors[face] < least
    if often[others].max(initial=0) >= often[face]:
        return []  # somebody else comes back as often
    found = []
    for number, shown in enumerate(photos):
        fits = vectors[photo == number] @ vectors[face]
        if fits.max() >= least:
            found.append((shown, int(np.argmax(fits))))
    return found if len(found) > max(1, len(photos) // 2) else []


def say_labels(catalog: Catalog, given: Labels, *, origin: str, source: str) -> Imported:
    """Say what follows from labels that were decided, in the transaction in progress, as one action."""
    labels = given.labels
    told = _Telling(catalog, labels)
    statements = [one for label in labels for one in told.of(label)]
    action = None
    if statements:
        about = counted(len(told.people), "person", "people")
        statements.insert(0, Statement(Kind.imported, value=f"{source} ({about})"))
        action = say_all(catalog, statements, origin=origin)
    doubtful = [path for label in labels for path in label.doubtful]
    return Imported(
        action=action,
        statements=max(len(statements) - 1, 0),
        known=told.known,
        people=len(told.people),
        faces=sum(len(one.faces) for one in statements if one.kind == Kind.belongs),
        contradicted=told.contradicted,
        doubtful=len(doubtful) + told.claimed_twice,
        failed=sum(label.failed for label in labels),
        refused=len(given.refused),
        remarks=(*told.remarks, *(f"{path}: in doubt who is meant" for path in doubtful[:_SHOWN_REMARKS])),
    )


class _Telling:
    """Turns labels into statements."""

    def __init__(self, catalog: Catalog, labels: Sequence[Label]) -> None:
        self._catalog = catalog
        self._said: Said = everything_said(catalog)
        self._profiles: dict[int, Profile] = catalog.people.profiles()
        claims = Counter(
            face for label in labels for face in {one.face or one.near for one in label.chosen} if face is not None
        )  # fmt: skip
        self._twice = {face for face, count in claims.items() if count > 1}
        self._group = catalog.people.grouped(sorted(claims))
        self._claims = Counter(self._person(face) for face in claims)
        ids = {(label.name.casefold(), label.person) for label in labels if label.person is not None}
        names = Counter(name for name, _ in ids)
        self._shared = {name for name, count in names.items() if count > 1}
        self._of_name: dict[str, list[int]] = {}
        self.people: set[int] = set()
        self.known = self.contradicted = self.claimed_twice = 0
        self.remarks: list[str] = []

    def of(self, label: Label) -> Iterator[Statement]:
        """Yield what a label says that was not said before."""
        person = self._who(label)
        if person is None:
            return
        faces = self._faces(label, person)
        profile = self._profiles.get(person)
        if self._is_shared(label):
            others = self._of_name.setdefault(label.name.casefold(), [])
            for other in others:
                if not {(other, person), (person, other)} & self._said.apart:
                    yield Statement(Kind.two, person=other, other=person)
            others.append(person)
        if profile is None or label.name not in profile.names:
            kind = Kind.name if profile is None or profile.name is None else Kind.alias
            shown = self._catalog.people.faces_of(person) if kind is Kind.name else ()
            yield Statement(kind, shown, person, value=label.name)
        if profile is not None and profile.ignored:
            yield Statement(Kind.notice, person=person)
        for kind, value, before in (
            (Kind.external_id, label.external_id, profile and profile.external_id),
            (Kind.born, label.born, profile and profile.born),
        ):
            if value is not None and value != before:
                yield Statement(kind, person=person, value=value)
        for other in self._parts(faces, person):
            yield Statement(Kind.one, person=person, other=other)
        new = [face for face in faces if self._said.placed.get(face, (0, 0))[0] != person]
        self.known += len(faces) - len(new)
        if new:
            yield Statement(Kind.belongs, new, person)

    def _person(self, face: int) -> int:
        return self._said.of(face, self._group.get(face, 0))[0]

    def _who(self, label: Label) -> int | None:
        """Return the person of a label, a new one if there is none; None if the user has said something else."""
        named = people_called(self._profiles, label.external_id) if label.external_id else []
        votes = Counter(
            self._person(face) for one in label.chosen if (face := one.face or one.near) is not None
        )  # fmt: skip
        if not named:
            named = people_called(self._profiles, label.name)
            if len(named) > 1 or self._is_shared(label):
                by_face = [who for who in named if votes[who] > _MOST * votes.total() and who not in self.people]
                named = by_face if by_face or self._is_shared(label) else named
        if len(named) > 1:
            listed = " and ".join(f"#{person}" for person in named)
            self._leave(label, f"{listed} have this name; give the external id of one")
            return None
        if not label.chosen:
            self.remarks.append(f"{label.name}: no photo shows a face that is surely meant")
            return None
        person, count = max(
            ((who, votes[who]) for who in votes if who), key=lambda item: (item[1], -item[0]), default=(0, 0)
        )
        mostly = not named and count > _MOST * votes.total()
        if mostly and (person not in self.people or (self._is_shared(label) and person in self._said.known)):
            profile = self._profiles.get(person)
            if person in self.people:
                self._leave(label, f"two people of this name, but these faces are one person here, #{person}")
                return None
            if profile is not None and profile.name is not None:
                self._leave(label, f"most of these faces are {profile.name} here, and stay that")
                return None
            named = [person]
        if not named:
            if not any(one.face for one in label.chosen) and votes[0] <= _MOST * len(label.chosen):
                self.remarks.append(f"{label.name}: nobody in the index looks like this person")
                return None
            named = [self._catalog.people.add()]
        self.people.add(named[0])
        return named[0]

    def _is_shared(self, label: Label) -> bool:
        return label.person is not None and label.name.casefold() in self._shared

    def _leave(self, label: Label, why: str) -> None:
        self.contradicted += len(label.chosen)
        self.remarks.append(f"{label.name}: {why}")

    def _faces(self, label: Label, person: int) -> list[int]:
        """Return the faces of a label that the user has not placed with somebody else.

        Photos outside the index stand for the faces near them that belong to nobody.
        """
        faces = []
        shown = {one.face for one in label.chosen if one.face is not None}
        shown |= {one.near for one in label.chosen if one.near is not None and not self._person(one.near)}
        for face in sorted(shown):
            placed = self._said.placed.get(face, (0, 0))[0]
            if face in self._twice:
                self.claimed_twice += 1
            elif placed not in (0, person) or (face, person) in self._said.barred:
                self.contradicted += 1
            else:
                faces.append(face)
        return faces

    def _parts(self, faces: Sequence[int], person: int) -> Iterator[int]:
        """Yield groups of which the label shows so many faces that they are this person, too."""
        counts = Counter(who for face in faces if (who := self._person(face)) not in (0, person))
        two = self._said.apart
        for who, count in sorted(counts.items()):
            named = who in self._profiles and self._profiles[who].name is not None
            everybody = len(self._catalog.people.faces_of(who))
            enough = count >= _ENOUGH or count > _MOST * everybody
            if not named and not {(who, person), (person, who)} & two and count > _MOST * self._claims[who] and enough:
                yield who
