"""Remarks on a query and its answer, as data; `str` returns each as one line for the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from facesearch.errors import FacesearchError, Hint
from facesearch.events import Remark
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.types import Somebody, Verdict
from facesearch.wording import counted

__all__ = [
    "AskedAgain",
    "CompanyIsThem",
    "LeftOut",
    "LookAlikes",
    "MaybeTwoPeople",
    "Missed",
    "NeverGrouped",
    "NotMeasured",
    "NothingFor",
    "NothingFound",
    "NothingToExpand",
    "PersonUnclear",
    "PickedByOthers",
    "SeveralFaces",
    "SeveralFindMore",
    "SomebodyElse",
    "TableNotUsed",
    "ThroughPerson",
    "UnmeasuredLeftOut",
    "place_of",
]

_FEW_QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class LeftOut(Remark):
    """A query photo cannot be used; the error names it."""

    is_warning: ClassVar[bool] = True
    error: FacesearchError

    def __str__(self) -> str:
        return f"{self.error}; skipped"


@dataclass(frozen=True, slots=True)
class TableNotUsed(Remark):
    """The calibration made by the user cannot be used; `reason` says why, and what to do."""

    is_warning: ClassVar[bool] = True
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class NotMeasured(Remark):
    """The error rates of the model were never measured."""

    model: str
    surest: Verdict

    def __str__(self) -> str:
        return f"the error rates of {self.model} were never measured, so no verdict is better than {self.surest}"


@dataclass(frozen=True, slots=True)
class SeveralFaces(Remark):
    """A query photo shows several faces, and the largest is used; `others` has the rest."""

    used: Probe
    others: Sequence[Probe]
    of_company: bool = False
    """Whether the photo shows somebody who must, or must not, be in a hit's photo too."""

    def __str__(self) -> str:
        number = 1 + len(self.others)
        return f"{self.used.path} shows {number} faces: using the largest, at {place_of(self.used)}"


@dataclass(frozen=True, slots=True)
class PickedByOthers(Remark):
    """A query photo shows several faces, and the one most similar to the other photos is used."""

    used: Probe
    faces: int

    def __str__(self) -> str:
        return (
            f"{self.used.path} shows {self.faces} faces: using the one most similar to the other photos, at "
            f"{place_of(self.used)}"
        )


@dataclass(frozen=True, slots=True)
class SomebodyElse(Remark):
    """A query photo shows somebody else than most of the others, and is skipped."""

    is_warning: ClassVar[bool] = True
    probe: Probe
    similarity: float

    def __str__(self) -> str:
        return f"{self.probe.path}: not the person of the other photos (similarity {self.similarity:.2f}); skipped"


@dataclass(frozen=True, slots=True)
class MaybeTwoPeople(Remark):
    """Two query photos are so different that they may show two people; which one is wrong is unknown."""

    is_warning: ClassVar[bool] = True
    one: Probe
    other: Probe
    similarity: float
    of_company: bool = False
    """As for `SeveralFaces`."""

    def __str__(self) -> str:
        return (
            f"{self.one.path} and {self.other.path} may show two people (similarity {self.similarity:.2f}); both are "
            "used"
        )


@dataclass(frozen=True, slots=True)
class CompanyIsThem(Remark):
    """A photo given as `option`, `together` or `without`, may show the person searched for."""

    is_warning: ClassVar[bool] = True
    probe: Probe
    similarity: float
    option: Literal["together", "without"]

    def __str__(self) -> str:
        return (
            f"{self.option} {self.probe.path}: may show the person searched for, not somebody else (similarity "
            f"{self.similarity:.2f})"
        )


@dataclass(frozen=True, slots=True)
class UnmeasuredLeftOut(Remark):
    """Faces of unknown quality do not pass a filter by quality."""

    is_warning: ClassVar[bool] = True
    faces: int

    def __str__(self) -> str:
        return f"faces of unknown quality, excluded by min_quality: {self.faces:,}"


@dataclass(frozen=True, slots=True)
class NothingFound(Remark):
    """No answer has a hit other than the query photo itself.

    `faces` is the number of faces in the gallery. `filters` are the names of the fields of `Filter` and `QueryOptions`
    that limit which are searched. `top_k` is true if a number of hits was requested, `without` if people were excluded.
    """

    answers: Sequence[Answer]
    threshold: float | None
    gallery: str
    faces: int
    filters: Sequence[str] = ()
    top_k: bool = False
    without: bool = False

    @property
    def all_left_out(self) -> bool:
        """Whether there are faces but none of them passes the filters."""
        return not self.answers[0].searched and self.faces > 0

    @property
    def nearest(self) -> Hit | None:
        """The nearest face to a single query; None for several."""
        return self.answers[0].nearest if len(self.answers) == 1 else None

    def __str__(self) -> str:
        return self.told(self.filters)

    def told(self, filters: Sequence[str]) -> str:
        """Return the remark with these names for the filters."""
        number, named = self.answers[0].searched, " and ".join(filters)
        if self.all_left_out:
            none = f"none of the {self.faces:,} faces" if self.faces > 1 else "the only face"
            passes = "passes" if self.faces > 1 else "does not pass"
            return f"{none} in {self.gallery} {passes} {named}"
        searched = f"among {counted(number, 'face')} in {self.gallery}"
        searched += f" that pass{'es' * (number == 1)} {named}" * bool(filters)
        searched += ", with some people excluded" * self.without
        if self.threshold is None or not self.faces:
            alone = any(answer.hits for answer in self.answers)
            return f"{'only the query photo itself, or a copy of it,' if alone else 'no face'} was found {searched}"
        only_itself = any(
            hit.is_query and hit.reaches(self.threshold) for answer in self.answers for hit in answer.hits
        )
        reaches = (
            f"only the query photo itself, or a copy of it, reaches a similarity of {self.threshold:.3g}"
            if only_itself
            else f"no face reaches a similarity of {self.threshold:.3g}"
        )
        near = "" if self.nearest is None else _nearest(self.nearest)
        return f"{reaches} {searched}{near}"


@dataclass(frozen=True, slots=True)
class NothingFor(Remark):
    """Some of several queries have no hit."""

    without: Sequence[Probe]
    questions: int

    def __str__(self) -> str:
        names = [probe.path if probe.of == 1 else f"{probe.path}, face {probe.number}" for probe in self.without]
        more = f" and {len(names) - _FEW_QUESTIONS:,} more" if len(names) > _FEW_QUESTIONS else ""
        listed = ", ".join(names[:_FEW_QUESTIONS])
        return f"nothing found for {len(names):,} of {self.questions:,} queries: {listed}{more}"


@dataclass(frozen=True, slots=True)
class LookAlikes(Remark):
    """Many more faces are similar to the probe than expected of strangers."""

    excess: float

    def __str__(self) -> str:
        return (
            f"{self.excess:.0f} times more faces than expected are similar to this one; some may be look-alikes, so "
            "verdicts are less certain"
        )


@dataclass(frozen=True, slots=True)
class NothingToExpand(Remark):
    """A query that was to be expanded had no strong hit."""

    def __str__(self) -> str:
        return "expand had no effect: no hit is strong"


@dataclass(frozen=True, slots=True)
class AskedAgain(Remark):
    """A query was expanded with its strong hits."""

    hits: int

    def __str__(self) -> str:
        return f"expanded with {counted(self.hits, 'strong hit')}; similarities are to the mean of all"


@dataclass(frozen=True, slots=True)
class ThroughPerson(Remark):
    """The person of a query: how many photos are hits, by the face and through other photos of that person.

    `elsewhere` photos are similar to the query but show somebody else. `people` is the person, one in each index of a
    gallery. `wanted` is set if it was asked for.
    """

    people: Sequence[Somebody]
    by_face: int
    through: int
    elsewhere: int
    wanted: bool = False

    def __str__(self) -> str:
        photos, who = counted(self.by_face + self.through, "photo"), ", ".join(map(str, self.people))
        if self.wanted:
            return f"{who}: {photos if self.through else 'no photo of this person passes the filters'}"
        ways = f"{self.by_face:,} by face, {self.through:,} through other photos" if self.through else "all by face"
        line = f"probably {who}: {photos}, {ways}"
        others = counted(self.elsewhere, "similar photo")
        return f"{line}; {others} of somebody else last" if self.elsewhere else line


@dataclass(frozen=True, slots=True)
class PersonUnclear(Remark):
    """No person of the gallery is similar enough to a query that has hits."""

    elsewhere: int

    def __str__(self) -> str:
        others = f"; {counted(self.elsewhere, 'photo')} of other people last" if self.elsewhere else ""
        return f"it is unclear which person this is: only photos similar to the query photo are listed{others}"


@dataclass(frozen=True, slots=True)
class NeverGrouped(Remark):
    """The faces of the gallery were never grouped by person."""

    def __str__(self) -> str:
        return f"faces are not grouped by person yet, so only similar photos are found; {Hint.GROUP}"


@dataclass(frozen=True, slots=True)
class Missed(Remark):
    """Some photos below the threshold are likely hits; `limit` is the option that set the threshold."""

    photos: int
    limit: Literal["threshold", "fmr"] | None = None

    def __str__(self) -> str:
        return f"{self.photos:,} more likely photo{'s' * (self.photos != 1)} below the threshold"


@dataclass(frozen=True, slots=True)
class SeveralFindMore(Remark):
    """A single query photo has few hits; several photos of the person find more.

    `one` and `three` are the mean shares of a new person's photos that one and three photos find at the model's own
    threshold; None if they are unknown.
    """

    one: float | None = None
    three: float | None = None

    def __str__(self) -> str:
        found = "several photos of a person find more than one"
        if self.one is not None and self.three is not None:
            found = f"one photo finds about {self.one:.0%} of a person's photos, three about {self.three:.0%}"
        return f"{found}; give several if you have them"


def place_of(probe: Probe) -> str:
    """Return the position and size of a face in its photo, in pixels."""
    box = probe.face.detection.box
    return f"{box.left:.0f},{box.top:.0f} ({box.shorter:.0f} px)"


def _nearest(hit: Hit) -> str:
    return f"; the nearest is {hit.path} ({hit.similarity:.2f}, {hit.verdict})"
