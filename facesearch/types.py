"""The frozen records that every part passes around. Nothing here computes more than they need to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Pixels = NDArray[np.uint8]
    IdArray = NDArray[np.int64]

__all__ = [
    "Box",
    "DateSource",
    "Detection",
    "Face",
    "FaceRecord",
    "Filter",
    "KnownFile",
    "ModelInfo",
    "PhotoFacts",
    "PhotoFile",
    "Precision",
    "TakenAt",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels of the upright photo; (0, 0) is the top left corner of the first pixel."""

    left: float
    top: float
    width: float
    height: float

    @property
    def shorter(self) -> float:
        """The shorter side in pixels: the size that `min_face` and `face_px` speak of."""
        return min(self.width, self.height)

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def overlap(self, other: Box) -> float:
        """Intersection over union, in [0, 1]."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face as a detector sees it.

    `landmarks` is float32[5, 2]: eye, eye, nose, mouth corner, mouth corner as x, y in pixels of the upright photo,
    the eye and the corner on the picture's left (of an upright face) first. `score` lies in [0, 1].
    """

    box: Box
    landmarks: FloatArray
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detection with its embedding, float32[dim] of unit length.

    `quality` tells how much the embedding can be relied on, in [0, 1] (see `facesearch.faces.quality`); None where it
    was not measured.
    """

    detection: Detection
    embedding: FloatArray
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What makes the embeddings of an index comparable: two indexes match when `identity` does.

    `digests` maps the source weight files to their SHA-256. `pipeline` is raised when detection, alignment or cropping
    changes what an embedding is. `source` is the folder of a pack, None for the embedded model. `threshold` is the
    default cosine similarity from which a hit counts. It is `named` when it is installed or registered by its name.
    """

    name: str
    dim: int
    digests: Mapping[str, str]
    pipeline: int
    threshold: float
    licence: str
    source: str | None = None
    named: bool = field(default=False, compare=False)

    @property
    def call(self) -> str:
        """What it can be asked for by: its name where it is installed or registered, else its folder."""
        return self.name if self.named or self.source is None else self.source

    @property
    def identity(self) -> tuple[tuple[str, ...], int, int]:
        """Equal for two models whose embeddings can be compared; the name may differ."""
        return tuple(sorted(self.digests.values())), self.dim, self.pipeline


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A file that a scan has found: `path` is relative to its root, as the bytes the file system uses."""

    path: bytes
    size: int
    mtime_ns: int


DateSource = Literal["exif", "xmp", "iptc", "name"]
"""Who says when a photo was taken: its metadata, or the name of its file or of a folder it is in."""

Precision = Literal["year", "month", "day", "minute", "second"]
"""How exactly a moment is known."""


@dataclass(frozen=True, slots=True)
class TakenAt:
    """When a photo was taken, as far as it is known: some moment of a year, a month, a day, a minute or a second.

    `moment` is the first second of it in local time, as `YYYY-MM-DDTHH:MM:SS`; `offset` is local time's distance from
    UTC as `+02:00`, empty where it is not known.
    """

    moment: str
    source: DateSource
    precision: Precision = "second"
    offset: str = ""

    def __str__(self) -> str:
        return self.moment + self.offset


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as an index knows it: its absolute path in the system's bytes, its size in bytes, its content's SHA-256.

    Without a `content` nobody can say that a file is still this one.
    """

    path: bytes
    size: int
    content: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class FaceRecord:
    """A face that can be a hit: `path` is absolute, in the system's bytes.

    `quality` and `fingerprint` (of the photo) are None where they were not measured, `content` (its SHA-256) where the
    photo was not read since it changed. `size` is the file's in bytes. `taken_at` is the first moment of when the photo
    was taken, with its offset where there is one, `dated_by` who says so, and `dated_to` how exactly; without it nobody
    does.
    """

    vector_id: int
    face_id: int
    photo_id: int
    root_id: int
    path: bytes
    detection: Detection
    taken_at: str | None
    mtime_ns: int = 0
    quality: float | None = None
    fingerprint: int | None = None
    dated_by: DateSource | None = "exif"
    dated_to: Precision | None = "second"
    size: int = 0
    content: bytes | None = None
    root_path: bytes = b""

    @property
    def file(self) -> KnownFile:
        """The photo's file, as it was when its faces were found."""
        return KnownFile(self.path, self.size, self.content)

    @property
    def date(self) -> str:
        """When the photo was taken, or else its file changed, in local time as `YYYY-MM-DDTHH:MM:SS`.

        Of a year, month, day or minute its first second; see `date_precision`.
        """
        if self.taken_at:
            return self.taken_at[:19]
        try:
            return datetime.fromtimestamp(self.mtime_ns // 10**9).isoformat()
        except (OverflowError, ValueError, OSError):  # a file from the year 300,000
            return "1970-01-01T00:00:00"

    @property
    def date_source(self) -> DateSource | Literal["file"]:
        """Who says so: the photo's metadata, a name, or the file's time."""
        return (self.dated_by or "exif") if self.taken_at else "file"

    @property
    def date_precision(self) -> Precision:
        """How exactly it is known."""
        return (self.dated_to or "second") if self.taken_at else "second"

    @property
    def day(self) -> str:
        """The date as far as it is known, to the day: `1962`, `1962-07` or `1962-07-03`."""
        return self.date[: {"year": 4, "month": 7}.get(self.date_precision, 10)]


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What is known of a photo beside its faces: its upright size in pixels, and when and where it was taken.

    `position` is latitude and longitude in degrees, north and east positive. `ours` tells a picture that facesearch
    made. `header` is the version of the reader that all this comes from; 0 is one before these were told apart.
    """

    width: int
    height: int
    taken: TakenAt | None = None
    position: tuple[float, float] | None = None
    ours: bool = False
    header: int = 0


class Verdict(StrEnum):
    """How sure it is that a face is whoever was asked for, the surest first; see `facesearch.calibration`."""

    strong = "strong"
    likely = "likely"
    possible = "possible"
    unlikely = "unlikely"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which faces are looked at at all, as data: any store can turn it into its own kind of condition.

    `under` and `not_under` are absolute paths of folders or photos, in the system's bytes; without `under` all are
    meant. `since` and `until` bound the moment a photo was taken, in local time as `YYYY-MM-DDTHH:MM:SS`, both
    included; a photo of which only the day, month or year is known matches when any of it lies between them, and one
    of which nothing is known counts by its file's time. `min_face` is the shorter side of a face's box
    in pixels. `faces` bounds how many faces its photo shows.
    """

    under: tuple[bytes, ...] = ()
    not_under: tuple[bytes, ...] = ()
    since: str | None = None
    until: str | None = None
    min_face: float = 0.0
    min_quality: float = 0.0
    faces: tuple[int, int] | None = None

    @property
    def lets_all_through(self) -> bool:
        """Whether it leaves nothing out."""
        return self == Filter()
