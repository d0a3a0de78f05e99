"""The options of a query: how many hits, above which similarity, and how they are combined."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import Enum
from numbers import Real
from typing import Final, Literal, TypedDict, cast

from facesearch.arguments import AnyPath, require_whole_number, text_of_path
from facesearch.errors import UsageError
from facesearch.options import described
from facesearch.settings import DEFAULT_MAX_PIXELS

__all__ = [
    "BY_MODEL",
    "AnyPeople",
    "AnyPerson",
    "ByModel",
    "QueryKeywords",
    "QueryOptions",
    "require_share",
    "require_similarity",
]

AnyPerson = AnyPath | int
"""A person: a photo, a folder of photos, a name, or a number; an `int` is always the number of a person."""

AnyPeople = AnyPerson | Iterable[AnyPerson]
"""One person, or several."""


class ByModel(Enum):
    """The type of `BY_MODEL`."""

    by_model = "by model"


BY_MODEL: Final = ByModel.by_model
"""Use the threshold of the model's calibration."""


class QueryKeywords(TypedDict, total=False):
    """The options of a query as keywords; see `QueryOptions`."""

    top_k: int | None
    threshold: float | ByModel | None
    fmr: float | None
    face: int | Literal["all"] | None
    each: bool
    expand: bool
    together: AnyPeople
    without: AnyPeople
    alone: bool
    all_faces: bool
    fold: bool
    direct: bool
    person: int | str | None
    rotations: bool
    max_pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """How an index is queried.

    `top_k` alone returns that many photos, whatever their similarity. `threshold` alone returns all photos at or above
    that similarity. Both together return the best `top_k` of those. Neither returns all photos at or above the model's
    own threshold. A threshold of None returns all photos. `fmr` sets the threshold by its false-match rate.

    `face` selects a face of a single query photo: 1 is the largest, "all" queries each of them. Several query photos
    show one person and make one query, unless `each` is set: then each is a query of its own. `expand` queries again
    with the mean of the probe and its strong hits.

    `together` are other people: names, numbers, photos, or a folder of photos per person; a hit must show them too.
    `without` are people given in the same way; a hit must show none of them. `alone` excludes photos with anybody but
    the people asked for. (People say "with" for `together`; that word is reserved in Python.)

    Without a limit by similarity (`threshold`, `fmr`), photos of the same person are hits too, even if they do not
    resemble the query photo: as far as faces were grouped by person. `direct` omits them. `person` queries for a person
    by name or number, such as "Anna", 12 or "#12", instead of photos.

    `all_faces` returns every matching face instead of one hit per photo. `fold` combines near-identical shots into one
    hit. A query photo without a confident face is searched turned by 90, 180 and 270 degrees too, unless `rotations` is
    false. Query photos with more than `max_pixels` are refused.

    Raises `UsageError` for options that contradict each other or make no sense.
    """

    top_k: int | None = described(
        None,
        "Return the first K photos; those below the threshold come last and are marked.",
        value="count",
        metavar="K",
        short="k",
        least=1,
    )
    threshold: float | ByModel | None = BY_MODEL
    fmr: float | None = None
    face: int | Literal["all"] | None = None
    each: bool = False
    expand: bool = described(
        False, "Query again with the mean of the query face and its strong hits. Finds more photos."
    )
    together: AnyPeople = described(
        (), "Only photos that also show this person. May be repeated.", value="path", metavar="WHO", repeated=True,
        called="with",
    )  # fmt: skip
    without: AnyPeople = described(
        (), "Only photos that do not show this person. May be repeated.", value="path", metavar="WHO", repeated=True
    )
    alone: bool = described(False, "Only photos that show nobody else.")
    all_faces: bool = described(False, "Return every matching face instead of one hit per photo.")
    fold: bool = described(False, "Combine near-identical shots (bursts, copies, resized versions) into one hit.")
    direct: bool = False
    person: int | str | None = None
    rotations: bool = True
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        for name in ("together", "without"):
            object.__setattr__(self, name, _checked_people(name, getattr(self, name)))
        require_whole_number("max_pixels", self.max_pixels, 1)
        if self.top_k is not None:
            require_whole_number("top_k", self.top_k, 1)
        if self.threshold is not None and self.threshold is not BY_MODEL:
            require_similarity(self.threshold)
        if self.fmr is not None:
            if self.threshold is not BY_MODEL:
                raise UsageError(
                    "threshold and fmr contradict each other; give one of them", option=("threshold", "fmr")
                )
            require_share(self.fmr)
        if self.face not in (None, "all") and not (isinstance(self.face, int) and self.face >= 1):
            raise UsageError(f"face {self.face}: give a number from 1, or all", option="face")
        if self.person is not None:
            object.__setattr__(self, "person", _number_or_name(self.person))
            self._require_alone()

    @classmethod
    def of(cls, keywords: QueryKeywords, options: QueryOptions | None = None) -> QueryOptions:
        """Make options from keywords, or return `options`. Raises `UsageError` for an unknown keyword, or for both."""
        if options is not None:
            if keywords or not isinstance(options, cls):
                raise UsageError("give the options of a query either as keywords or as one QueryOptions")
            return options
        known = {option.name for option in fields(cls)}
        for name in keywords:
            if name not in known:
                raise UsageError(f"{name}: unknown option of a query; choose from {', '.join(sorted(known))}")
        return cls(**keywords)

    def _require_alone(self) -> None:
        """Raise `UsageError` if a person is asked for together with what needs a query photo."""
        for name, given in (
            ("threshold", self.threshold is not None and self.threshold is not BY_MODEL),
            ("fmr", self.fmr is not None), ("face", self.face is not None), ("each", self.each),
            ("expand", self.expand), ("direct", self.direct),
        ):  # fmt: skip
            if given:
                raise UsageError(f"person and {name} contradict each other; omit one of them", option=("person", name))

    @property
    def person_number(self) -> int:
        """`person` as a number. Raises `UsageError` if it is a name, which only an index can look up."""
        if not isinstance(self.person, int):
            raise UsageError(f"person {self.person!s:.60}: give the number of a person, such as #12", option="person")
        return self.person

    @property
    def asks_people(self) -> bool:
        """Whether photos of the same person are hits, too."""
        return not self.direct and self.fmr is None and self.threshold is BY_MODEL

    @property
    def companions(self) -> tuple[AnyPerson, ...]:
        """`together` as several people."""
        return cast("tuple[AnyPerson, ...]", self.together)

    @property
    def excluded(self) -> tuple[AnyPerson, ...]:
        """`without` as several people."""
        return cast("tuple[AnyPerson, ...]", self.without)

    @property
    def names_a_limit(self) -> bool:
        """Whether the user set a threshold; `top_k` then returns nothing below it."""
        return self.fmr is not None or (self.threshold is not None and self.threshold is not BY_MODEL)


def _checked_people(name: str, people: AnyPeople) -> tuple[AnyPerson, ...]:
    """Return one person or several unchanged. Raises `UsageError` if one is no `AnyPerson`."""
    try:
        given = (people,) if isinstance(people, str | bytes | os.PathLike | int) else tuple(people)
    except TypeError:
        raise UsageError(f"{name} {people!r:.60}: give a person, or a list of them", option=name) from None
    for person in given:
        if isinstance(person, int):
            require_whole_number(name, person, 1)
        else:
            text_of_path(name, person)
    return given


def _number_or_name(person: object) -> int | str:
    """Return the number of a person given as 12, "12" or "#12", or the name. Raises `UsageError`."""
    text = str(person).strip()
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 19 and int(number):
        return int(number)
    if isinstance(person, bool) or not isinstance(person, str) or not text or text.startswith("#") or number == "0":
        raise UsageError(f"person {person!s:.60}: give a name or a number, such as #12", option="person")
    return text


def require_similarity(threshold: object) -> None:
    """Raise `UsageError` unless the threshold is a cosine similarity."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not -1 <= float(threshold) <= 1:
        raise UsageError(f"threshold {threshold!s:.60}: give a similarity between -1 and 1", option="threshold")


def require_share(fmr: object) -> None:
    """Raise `UsageError` unless the false-match rate lies between 0 and 1."""
    if not isinstance(fmr, Real) or not 0 < float(fmr) < 1:
        raise UsageError(f"fmr {_shown(fmr)}: give a rate between 0 and 1, such as 1e-5", option="fmr")


def _shown(rate: object) -> str:
    return f"{float(rate):g}" if isinstance(rate, Real) else f"{rate!s:.60}"
