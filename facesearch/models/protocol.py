"""What a face model is: batches in, batches out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from facesearch.models.runtime import Runtime
from facesearch.types import Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["FaceModel"]


class FaceModel(Protocol):
    """A detector and a recogniser that belong together. Batches in, batches out."""

    @property
    def info(self) -> ModelInfo:
        """What its embeddings can be compared with."""
        ...

    @property
    def runtime(self) -> Runtime:
        """What its graphs run on."""
        ...

    @property
    def max_side(self) -> int | None:
        """The longer side in pixels to which the detector brings every picture; None: it takes pictures as they are.

        A detector with one looks for faces that fill the frame by itself.
        """
        ...

    @property
    def face_score(self) -> float:
        """The detector score from which a detection counts as a face; fainter ones tell where to look closer."""
        ...

    @property
    def sure_score(self) -> float:
        """The detector score that upright faces reach and faces seen at a wrong turn do not."""
        ...

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """The upright faces in each picture, best score first, in pixels of that picture.

        `images` are uint8[height, width, 3] RGB of any sizes. Faces from 20 to some 300 pixels are found; larger ones
        in a smaller picture of the same. What scores less than `face_score` may be no face.
        """
        ...

    def embed(self, crops: Pixels) -> FloatArray:
        """float32[n, dim] of unit length for aligned crops, uint8[n, 112, 112, 3] RGB; n may be 0."""
        ...
