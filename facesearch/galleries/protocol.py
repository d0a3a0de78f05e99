"""The protocol of a gallery: faces that can be searched, wherever they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from facesearch.filters import Filter
from facesearch.types import FaceRecord, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["ALL", "Gallery", "GallerySize", "Part", "ScoredFace"]

ALL = Filter()
"""The filter that every face passes."""


class ScoredFace(NamedTuple):
    """A face of the gallery and its cosine similarity to a probe, in [-1, 1]."""

    similarity: float
    face: FaceRecord


class GallerySize(NamedTuple):
    """The numbers of photos and faces that can be found, and of faces whose quality is not known (`unmeasured`).

    `people` is the number of people whose faces were grouped; None if faces were never grouped by person, although
    they should be.
    """

    photos: int
    faces: int
    unmeasured: int
    people: int | None = None


class Part(NamedTuple):
    """One index of a gallery: the filter that its faces pass, and the number of its people.

    Faces were grouped by person within an index. What is one person in two of them is not known.
    """

    where: Filter
    people: int

    def has(self, face: FaceRecord) -> bool:
        """Whether a face of the gallery is in this index."""
        return self.where.index is None or face.index == self.where.index


class Gallery(Protocol):
    """Faces that can be searched. Results are complete records, so the caller needs no further look-up.

    Only faces that can be found count: none of hidden photos, and none that the gallery's model has not embedded. Use
    from one thread.
    """

    @property
    def name(self) -> str:
        """The name of the gallery in answers: a path, an address, or what was searched."""
        ...

    @property
    def model(self) -> ModelInfo:
        """The model of its embeddings."""
        ...

    def own_calibration(self) -> str | None:
        """Return the calibration that was measured on the people of this gallery, as JSON; None if there is none."""
        ...

    def size(self) -> GallerySize:
        """Return the numbers of photos and faces that can be found."""
        ...

    def parts(self) -> list[Part]:
        """Return the indexes in the gallery that have faces."""
        ...

    def count(self, where: Filter = ALL) -> int:
        """Return the number of faces that pass a filter."""
        ...

    def search(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """Return the k most similar faces that pass the filter, per probe; probes are float32[q, dim] of unit length.

        The best come first; at equal similarity, the lower vector id. Fewer than k only if there are no more.
        """
        ...

    def vectors(self, faces: Sequence[FaceRecord]) -> FloatArray:
        """Return the embeddings, float32[n, dim], of faces that this gallery has returned, in their order."""
        ...

    def records(self, where: Filter = ALL) -> Iterator[FaceRecord]:
        """Yield every face that passes the filter, by vector id."""
        ...

    def sample(self, where: Filter, most: int) -> list[FaceRecord]:
        """Return at most this number of faces that pass the filter, evenly spread, by vector id."""
        ...

    def current_person(self, number: int, index: str | None = None) -> int | None:
        """Return the id of the person that a number stands for now, in the index of this name; None for nobody."""
        ...

    def folders(self) -> list[bytes]:
        """Return the absolute paths of the folders and single photos in the gallery, in the system's bytes."""
        ...

    def covers(self, path: bytes) -> bool:
        """Whether an absolute path is one of `folders`, lies in one, or contains one."""
        ...

    def has_photos_at(self, path: bytes) -> bool:
        """Whether there is a known photo, with or without faces, at an absolute path or in the folder at that path."""
        ...
