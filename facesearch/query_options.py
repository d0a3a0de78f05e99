"""What can be asked for besides who: how many hits, from which similarity on, and how they are put together."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final, Literal, TypedDict, cast

from facesearch.errors import UsageError
from facesearch.options import described
from facesearch.settings import DEFAULT_MAX_PIXELS

__all__ = ["BY_MODEL", "ByModel", "QueryKeywords", "QueryOptions"]


class ByModel(Enum):
    """The type of `BY_MODEL`."""

    by_model = "by model"


BY_MODEL: Final = ByModel.by_model
"""The threshold of the model's calibration."""


class QueryKeywords(TypedDict, total=False):
    """The options of a question as keywords; see `QueryOptions`."""

    top_k: int | None
    threshold: float | ByModel | None
    fmr: float | None
    face: int | Literal["all"] | None
    each: bool
    expand: bool
    together: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
    alone: bool
    all_faces: bool
    fold: bool
    rotations: bool
    max_pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """How a question is asked.

    `top_k` alone gives that many photos, however unlike; `threshold` alone all from that similarity on; both the best
    of those; neither all from the model's threshold on, and a threshold of None all there are. `fmr` is the threshold
    that this share of strangers reach.

    `face` is the number of the face in a single query photo that is meant, 1 the largest; "all" asks about each of
    them. Several photos make one question about one person, unless `each` is one of its own. `expand` asks again with
    the mean of the question and its strong hits. `together` are photos of others, or folders of photos of one person
    each, who have to be in a photo as well; `alone` lets nobody but those asked for be there.

    `all_faces` gives every matching face instead of one hit per photo, `fold` near-identical shots as one hit.
    Photos that are asked about are also looked at turned where no face is sure, unless without `rotations`; those with
    more than `max_pixels` are refused.

    Raises `UsageError` for options that contradict each other or make no sense.
    """

    top_k: int | None = described(
        None, "The K most similar photos; those below the threshold are marked.", value="count", short="k", least=1
    )
    threshold: float | ByModel | None = BY_MODEL
    fmr: float | None = None
    face: int | Literal["all"] | None = None
    each: bool = False
    expand: bool = described(False, "Ask again with the mean of the question and its strong hits: finds more.")
    together: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = described(
        (), "Only photos that show this person too; may be repeated.", value="path", metavar="PHOTO", repeated=True
    )
    alone: bool = described(False, "Only photos that show nobody but those who were asked for.")
    all_faces: bool = described(False, "Every matching face, not one hit a photo.")
    fold: bool = described(False, "Near-identical shots (bursts, copies, other sizes) as one hit.")
    rotations: bool = True
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        alone = isinstance(self.together, str | os.PathLike)
        object.__setattr__(self, "together", (self.together,) if alone else tuple(self.together))  # type: ignore[arg-type]
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k {self.top_k}: has to be 1 or more", option="top_k")
        if isinstance(self.threshold, int | float) and not -1 <= self.threshold <= 1:
            raise UsageError(f"threshold {self.threshold:g}: a similarity lies between -1 and 1", option="threshold")
        if self.fmr is not None:
            if self.threshold is not BY_MODEL:
                raise UsageError(
                    "threshold and fmr contradict each other; give one of them", option=("threshold", "fmr")
                )
            if not 0 < self.fmr < 1:
                raise UsageError(f"fmr {self.fmr:g}: a share of strangers lies between 0 and 1, as 1e-5", option="fmr")
        if self.face not in (None, "all") and not (isinstance(self.face, int) and self.face >= 1):
            raise UsageError(f"face {self.face}: give a number from 1, or all", option="face")

    @classmethod
    def of(cls, keywords: QueryKeywords) -> QueryOptions:
        """From keywords. Raises `UsageError` for one that is not known."""
        known = {option.name for option in fields(cls)}
        for name in keywords:
            if name not in known:
                raise UsageError(f"{name}: not an option of a question; those are {', '.join(sorted(known))}")
        return cls(**keywords)

    @property
    def companions(self) -> tuple[str | os.PathLike[str], ...]:
        """`together`, as it is kept."""
        return cast("tuple[str | os.PathLike[str], ...]", self.together)

    @property
    def names_a_limit(self) -> bool:
        """Whether the user has said from which similarity on: then `top_k` stays above it."""
        return self.fmr is not None or isinstance(self.threshold, int | float)
