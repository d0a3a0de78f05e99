"""What a person should know about a question and its answer, as data; each says itself in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from facesearch.errors import FacesearchError
from facesearch.events import Remark
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.types import Verdict
from facesearch.wording import counted

__all__ = [
    "AskedAgain",
    "LeftOut",
    "LookAlikes",
    "MaybeTwoPeople",
    "Missed",
    "NotMeasured",
    "NothingFor",
    "NothingFound",
    "NothingToExpand",
    "PickedByOthers",
    "SeveralFaces",
    "SeveralFindMore",
    "SomebodyElse",
    "TableNotUsed",
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
        return f"{self.error}; left out"


@dataclass(frozen=True, slots=True)
class TableNotUsed(Remark):
    """The calibration that the user has made cannot be used; `reason` says why, and what to do."""

    is_warning: ClassVar[bool] = True
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class NotMeasured(Remark):
    """How sure a match is was never measured for this model."""

    model: str
    surest: Verdict

    def __str__(self) -> str:
        return f"how sure a match is was never measured for {self.model}: no verdict is surer than {self.surest}"


@dataclass(frozen=True, slots=True)
class SeveralFaces(Remark):
    """A query photo shows several faces, and the largest is used; `others` are the rest."""

    used: Probe
    others: Sequence[Probe]

    def __str__(self) -> str:
        number = 1 + len(self.others)
        return f"{self.used.path} shows {number} faces: using the largest, at {place_of(self.used)}"


@dataclass(frozen=True, slots=True)
class PickedByOthers(Remark):
    """Of a photo with several faces the one is used that is most like those in the other photos."""

    used: Probe
    faces: int

    def __str__(self) -> str:
        return (
            f"{self.used.path} shows {self.faces} faces: using the one most like the other photos', at "
            f"{place_of(self.used)}"
        )


@dataclass(frozen=True, slots=True)
class SomebodyElse(Remark):
    """A query photo shows somebody else than most of the others, and is left out."""

    is_warning: ClassVar[bool] = True
    probe: Probe
    similarity: float

    def __str__(self) -> str:
        return f"{self.probe.path}: somebody else than in the other photos (similarity {self.similarity:.2f}); left out"


@dataclass(frozen=True, slots=True)
class MaybeTwoPeople(Remark):
    """Two query photos are so unlike that they may show two people; nobody can say which is wrong."""

    is_warning: ClassVar[bool] = True
    one: Probe
    other: Probe
    similarity: float

    def __str__(self) -> str:
        return (
            f"{self.one.path} and {self.other.path} may show two people (similarity {self.similarity:.2f}); both are "
            "used"
        )


@dataclass(frozen=True, slots=True)
class UnmeasuredLeftOut(Remark):
    """Faces whose quality is not known cannot pass a filter by quality."""

    is_warning: ClassVar[bool] = True
    faces: int

    def __str__(self) -> str:
        return f"faces whose quality was never measured are left out by min_quality: {self.faces:,}"


@dataclass(frozen=True, slots=True)
class NothingFound(Remark):
    """No answer has a hit other than the query photo itself.

    `faces` are in the gallery, and those are searched that pass `filters`, which are named as in `Filter` and
    `QueryOptions`. `top_k` tells whether a number of hits was asked for.
    """

    answers: Sequence[Answer]
    threshold: float | None
    gallery: str
    faces: int
    filters: Sequence[str] = ()
    top_k: bool = False

    @property
    def all_left_out(self) -> bool:
        """Whether there are faces, and the filters let none of them through."""
        return not self.answers[0].searched and self.faces > 0

    @property
    def nearest(self) -> Hit | None:
        """The nearest face, of a single question."""
        return self.answers[0].nearest if len(self.answers) == 1 else None

    def __str__(self) -> str:
        return self.told(self.filters)

    def told(self, filters: Sequence[str]) -> str:
        """The same with these names for the filters."""
        number, named = self.answers[0].searched, " and ".join(filters)
        if self.all_left_out:
            none = f"none of the {self.faces:,} faces" if self.faces > 1 else "the only face"
            passes = "passes" if self.faces > 1 else "does not pass"
            return f"{none} in {self.gallery} {passes} {named}"
        searched = f"among {counted(number, 'face')} in {self.gallery}"
        searched += f" that pass{'es' * (number == 1)} {named}" * bool(filters)
        if self.threshold is None or not self.faces:
            alone = any(answer.hits for answer in self.answers)
            return f"{'nobody but the query photo itself, or a copy of it,' if alone else 'no face'} {searched}"
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
    """Some of several questions have no answer."""

    without: Sequence[Probe]
    questions: int

    def __str__(self) -> str:
        names = [probe.path if probe.of == 1 else f"{probe.path}, face {probe.number}" for probe in self.without]
        more = f" and {len(names) - _FEW_QUESTIONS:,} more" if len(names) > _FEW_QUESTIONS else ""
        listed = ", ".join(names[:_FEW_QUESTIONS])
        return f"nothing for {len(names):,} of {self.questions:,} questions: {listed}{more}"


@dataclass(frozen=True, slots=True)
class LookAlikes(Remark):
    """Many more faces come near the probe than strangers should."""

    excess: float

    def __str__(self) -> str:
        return (
            f"{self.excess:.0f} times more faces come near this one than strangers should; look-alikes may be among "
            "them: verdicts are less sure"
        )


@dataclass(frozen=True, slots=True)
class NothingToExpand(Remark):
    """A question that was to be asked again had no strong hit."""

    def __str__(self) -> str:
        return "expand had no hit to ask again with: none is strong"


@dataclass(frozen=True, slots=True)
class AskedAgain(Remark):
    """A question was asked again with its strong hits."""

    hits: int

    def __str__(self) -> str:
        return f"asked again with {counted(self.hits, 'strong hit')}; similarities are to the mean of all"


@dataclass(frozen=True, slots=True)
class Missed(Remark):
    """Photos just below the threshold are likely all the same; `limit` names the option that the threshold is from."""

    photos: int
    limit: Literal["threshold", "fmr"] | None = None

    def __str__(self) -> str:
        return f"{self.photos:,} more likely photo{'s' * (self.photos != 1)} below the threshold"


@dataclass(frozen=True, slots=True)
class SeveralFindMore(Remark):
    """Few hits for a single photo: several photos of a person find more.

    How many more was `measured` for the package's own model at its own threshold.
    """

    measured: bool

    def __str__(self) -> str:
        found = "several photos of a person find more than one"
        if self.measured:
            found = "one photo finds about two thirds of a person's photos, three about nine in ten"
        return f"{found}: give several, if you have them"


def place_of(probe: Probe) -> str:
    """Where a face is in its photo, and how large, in pixels."""
    box = probe.face.detection.box
    return f"{box.left:.0f},{box.top:.0f} ({box.shorter:.0f} px)"


def _nearest(hit: Hit) -> str:
    return f"; the nearest is {hit.path} ({hit.similarity:.2f}, {hit.verdict})"
