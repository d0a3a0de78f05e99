"""What can be asked for besides who: how many hits, from which similarity on, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from numbers import Real
from typing import Final, Literal, TypedDict, cast

from facesearch.arguments import AnyPath, AnyPaths, checked_paths, require_whole_number
from facesearch.errors import UsageError
from facesearch.options import described
from facesearch.settings import DEFAULT_MAX_PIXELS

__all__ = ["BY_MODEL", "ByModel", "QueryKeywords", "QueryOptions", "require_share", "require_similarity"]


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
    together: AnyPaths
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
    together: AnyPaths = described(
        (), "Only photos that show this person too; may be repeated.", value="path", metavar="PHOTO", repeated=True
    )
    alone: bool = described(False, "Only photos that show nobody but those who were asked for.")
    all_faces: bool = described(False, "Every matching face, not one hit a photo.")
    fold: bool = described(False, "Near-identical shots (bursts, copies, other sizes) as one hit.")
    rotations: bool = True
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "together", checked_paths("together", self.together))
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

    @classmethod
    def of(cls, keywords: QueryKeywords, options: QueryOptions | None = None) -> QueryOptions:
        """From keywords, or an object of this class. Raises `UsageError` for a keyword that is not known, and both."""
        if options is not None:
            if keywords or not isinstance(options, cls):
                raise UsageError("options of a question are given as keywords, or as one QueryOptions")
            return options
        known = {option.name for option in fields(cls)}
        for name in keywords:
            if name not in known:
                raise UsageError(f"{name}: not an option of a question; those are {', '.join(sorted(known))}")
        return cls(**keywords)

    @property
    def companions(self) -> tuple[AnyPath, ...]:
        """`together`, as it is kept."""
        return cast("tuple[AnyPath, ...]", self.together)

    @property
    def names_a_limit(self) -> bool:
        """Whether the user has said from which similarity on: then `top_k` stays above it."""
        return self.fmr is not None or (self.threshold is not None and self.threshold is not BY_MODEL)


def require_similarity(threshold: object) -> None:
    """Raises `UsageError` for a threshold that is no cosine similarity."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not -1 <= float(threshold) <= 1:
        raise UsageError(f"threshold {threshold!s:.60}: a similarity lies between -1 and 1", option="threshold")


def require_share(fmr: object) -> None:
    """Raises `UsageError` for a false-match rate that is none."""
    if not isinstance(fmr, Real) or not 0 < float(fmr) < 1:
        raise UsageError(f"fmr {_shown(fmr)}: a share of strangers lies between 0 and 1, as 1e-5", option="fmr")


def _shown(rate: object) -> str:
    return f"{float(rate):g}" if isinstance(rate, Real) else f"{rate!s:.60}"
