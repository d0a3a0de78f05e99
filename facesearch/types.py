"""The frozen records that all parts share, with only the computation needed to compare them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    "SAME_FACE",
    "Box",
    "Corrections",
    "DateSource",
    "Detection",
    "Face",
    "FaceRecord",
    "GivenFace",
    "KnownFile",
    "ModelInfo",
    "PhotoBytes",
    "PhotoFacts",
    "PhotoFile",
    "Precision",
    "Somebody",
    "TakenAt",
    "Verdict",
    "own_id",
    "whole_id",
]

SAME_FACE = 0.4
"""The least overlap, as intersection over union, of the boxes of two models for the same face.

For 93 faces that both YuNet and SCRFD found in 71 photos, the boxes overlapped by 0.58 (a face cut by the border) to
0.96, half of them by 0.90 or more. Two faces of one model never overlap by more than 0.4.
"""

_OWN_IDS = 2**40
"""More ids than an index has. With up to 8,000 indexes, whole ids are below 2**53, which JSON can hold."""


def whole_id(index: int, own: int) -> int:
    """Return an id of the index with this number as an id in a shared gallery, where every index has its own ids."""
    return index * _OWN_IDS + own


def own_id(whole: int) -> tuple[int, int]:
    """Return the number of an index in a shared gallery, 0 for a single index, and the id in that index."""
    return divmod(whole, _OWN_IDS)


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels of the upright photo; (0, 0) is the top left corner of the first pixel."""

    left: float
    top: float
    width: float
    height: float

    @property
    def shorter(self) -> float:
        """The shorter side in pixels: the face size for `min_face` and `face_px`."""
        return min(self.width, self.height)

    @property
    def area(self) -> float:
        """The area in square pixels."""
        return self.width * self.height

    def overlap(self, other: Box) -> float:
        """Return the intersection over union, in [0, 1]."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One detected face.

    `landmarks` is float32[5, 2]: eye, eye, nose, mouth corner, mouth corner as x, y in pixels of the upright photo. The
    eye and the mouth corner on the image's left (of an upright face) come first. `score` is in [0, 1]; it is 0 for a
    face that the detector missed and that is there because of what the user said: see `GivenFace`.
    """

    box: Box
    landmarks: FloatArray
    score: float

    @property
    def is_given(self) -> bool:
        """Whether the face is there because of what the user said: the detector missed it."""
        return self.score == 0

    def covered_by(self, boxes: Iterable[Box]) -> bool:
        """Whether one of these boxes is in the place of this face."""
        return any(self.box.overlap(box) >= SAME_FACE for box in boxes)


@dataclass(frozen=True, slots=True, eq=False)
class GivenFace:
    """A face that is in a place because of what the user said, whether or not a detector finds it.

    The user drew its box, or said whom it shows when it had been found. `landmarks` are float32[5, 2], from when the
    photo was read last; None if it is new.
    """

    box: Box
    landmarks: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """What the user said about the faces in one content.

    The user drew `given` faces, and said of `kept` ones whom they show, or do not show. Both stay if a detector misses
    them. In the places `not_faces` there is no face.
    """

    given: tuple[GivenFace, ...] = ()
    not_faces: tuple[Box, ...] = ()
    kept: tuple[GivenFace, ...] = ()

    @property
    def faces(self) -> tuple[GivenFace, ...]:
        """All faces that stay if a detector misses them."""
        return self.given + self.kept


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detection with its embedding, float32[dim] of unit length.

    `quality` is the reliability of the embedding, in [0, 1] (see `facesearch.faces.quality`); None if not measured.
    `at_ms` is the time in a video in milliseconds; None for a still photo.
    """

    detection: Detection
    embedding: FloatArray
    quality: float | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The identity of a model: the embeddings of two indexes are comparable if their `identity` is equal.

    `digests` maps the source weight files to their SHA-256. `revision` is the embedding revision, which increases when
    a change in detection, alignment or cropping changes embeddings. `source` is the folder of a pack, None for the
    embedded model. `threshold` is the default minimum cosine similarity of a hit. `named` is set if the model is
    installed or registered under its name.
    """

    name: str
    dim: int
    digests: Mapping[str, str]
    revision: int
    threshold: float
    licence: str
    source: str | None = None
    named: bool = field(default=False, compare=False)

    @property
    def call(self) -> str:
        """How to refer to it: by its name if it is installed or registered, else by its folder."""
        return self.name if self.named or self.source is None else self.source

    def beside(self, other: ModelInfo) -> str:
        """How to name it beside another model: its name, with the embedding revision if both have the same name."""
        return self.name if self.name != other.name else f"{self.name} (revision {self.revision})"

    @property
    def identity(self) -> tuple[tuple[str, ...], int, int]:
        """Equal for two models with comparable embeddings; their names may differ."""
        return tuple(sorted(self.digests.values())), self.dim, self.revision


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A file that a scan found; `path` is relative to its root, as bytes in the system's encoding."""

    path: bytes
    size: int
    mtime_ns: int


DateSource = Literal["exif", "xmp", "iptc", "name"]
"""The source of a photo's date: its metadata, or the name of its file or of one of its folders."""

Precision = Literal["year", "month", "day", "minute", "second"]
"""The precision of a moment."""


@dataclass(frozen=True, slots=True)
class TakenAt:
    """When a photo was taken, to the precision of a year, a month, a day, a minute or a second.

    `moment` is its first second in local time, as `YYYY-MM-DDTHH:MM:SS`; `offset` is the offset of local time from UTC
    as `+02:00`, empty if unknown.
    """

    moment: str
    source: DateSource
    precision: Precision = "second"
    offset: str = ""

    def __str__(self) -> str:
        return self.moment + self.offset


@dataclass(frozen=True, slots=True)
class KnownFile:
    """An indexed file: its absolute path as bytes in the system's encoding, its size in bytes, its content's SHA-256.

    If `content` is None, a file cannot be verified to be unchanged.
    """

    path: bytes
    size: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class PhotoBytes:
    """A photo in memory: the content of its file, and what it is called in messages."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class FaceRecord:
    """A face that can be a hit; `path` is absolute, as bytes in the system's encoding.

    `quality` and `fingerprint` (of the photo) are None if not measured. `content` (the photo's SHA-256) is None if the
    photo has not been read since it changed. `size` is the file size in bytes. `taken_at` is the first moment at which
    the photo may have been taken, with its offset if known. `dated_by` is its source and `dated_to` its precision; both
    are ignored if `taken_at` is None. `person` is the number of the person that the face belongs to, None if it is
    alone; `name` and `born` are what the user said of that person, None if nothing. `index` is the name of its index in
    a shared gallery; None for a face of a single index.
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
    person: int | None = None
    index: str | None = None
    name: str | None = None
    born: str | None = None

    @property
    def file(self) -> KnownFile:
        """The photo's file as it was when its faces were detected."""
        return KnownFile(self.path, self.size, self.content)

    @property
    def date(self) -> str:
        """When the photo was taken, or else its file was changed, in local time as `YYYY-MM-DDTHH:MM:SS`.

        It is the first second of a year, month, day or minute; see `date_precision`.
        """
        if self.taken_at:
            return self.taken_at[:19]
        try:
            return datetime.fromtimestamp(self.mtime_ns // 10**9).isoformat()
        except (OverflowError, ValueError, OSError):  # a file from the year 300,000
            return "1970-01-01T00:00:00"

    @property
    def date_source(self) -> DateSource | Literal["file"]:
        """The source of the date: the photo's metadata, a name, or the file's timestamp."""
        return (self.dated_by or "exif") if self.taken_at else "file"

    @property
    def date_precision(self) -> Precision:
        """The precision of the date."""
        return (self.dated_to or "second") if self.taken_at else "second"

    @property
    def day(self) -> str:
        """The date to its precision, at most to the day: `1962`, `1962-07` or `1962-07-03`."""
        return self.date[: {"year": 4, "month": 7}.get(self.date_precision, 10)]

    def is_before(self, born: str | None) -> bool:
        """Whether the photo was certainly taken before a year, month or day; the file's time does not count."""
        if born is None or not self.taken_at:
            return False
        known = min(len(self.day), len(born))
        return self.day[:known] < born[:known]


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """The facts about a photo other than its faces: its upright size in pixels, and when and where it was taken.

    `position` is latitude and longitude in degrees, north and east positive. `ours` is set for an image that facesearch
    made. `header` is the version of the reader that read the metadata; 0 for readers without a version.
    """

    width: int
    height: int
    taken: TakenAt | None = None
    position: tuple[float, float] | None = None
    ours: bool = False
    header: int = 0


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person by number; `index` is the name of the index that knows the number, None for a single index.

    `name` is the person's own name, if the user gave one.
    """

    number: int
    index: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        who = f"#{self.number}" if self.name is None else self.name
        return who if self.index is None else f"{who} of {self.index}"


class Verdict(StrEnum):
    """The confidence that a face shows the person of the query, highest first; see `facesearch.calibration`."""

    strong = "strong"
    likely = "likely"
    possible = "possible"
    unlikely = "unlikely"
