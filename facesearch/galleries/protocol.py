"""What a gallery is: faces that can be searched, wherever they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from facesearch.filters import Filter
from facesearch.types import FaceRecord, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["ALL", "Gallery", "GallerySize", "ScoredFace"]

ALL = Filter()
"""The filter that leaves nothing out."""


class ScoredFace(NamedTuple):
    """A face of the gallery and its cosine similarity to a probe, in [-1, 1]."""

    similarity: float
    face: FaceRecord


class GallerySize(NamedTuple):
    """How many photos and faces can be found; of `unmeasured` faces the quality is not known."""

    photos: int
    faces: int
    unmeasured: int


class Gallery(Protocol):
    """Faces that can be searched. Whoever asks gets whole records, and needs no second look anywhere.

    Only faces that can be found count: none of photos that are out of sight, and none that the gallery's model has not
    embedded. Use from one thread.
    """

    @property
    def name(self) -> str:
        """How the gallery is called in answers: a path, an address, or what was searched."""
        ...

    @property
    def model(self) -> ModelInfo:
        """The model that its embeddings are of."""
        ...

    def size(self) -> GallerySize:
        """How much can be found."""
        ...

    def count(self, where: Filter = ALL) -> int:
        """How many faces a filter lets through."""
        ...

    def search(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """For each of float32[q, dim] probes of unit length the k most similar faces that the filter lets through.

        Best first; of equal similarities the one with the lower vector id. Fewer than k only where there are no more.
        """
        ...

    def vectors(self, faces: Sequence[FaceRecord]) -> FloatArray:
        """float32[n, dim]: the embeddings of faces that this gallery has given, in their order."""
        ...

    def records(self, where: Filter = ALL) -> Iterator[FaceRecord]:
        """Every face that the filter lets through, by vector id."""
        ...

    def folders(self) -> list[bytes]:
        """The absolute paths of the folders and single photos whose faces are here, in the system's bytes."""
        ...

    def covers(self, path: bytes) -> bool:
        """Whether an absolute path is, lies in, or lies around one of `folders`."""
        ...

    def has_photos_at(self, path: bytes) -> bool:
        """Whether a photo is known at an absolute path, or in the folder there; also one without faces."""
        ...
