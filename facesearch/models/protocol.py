"""The protocol of a face model: batches in, batches out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from facesearch.models.framing import Framing
from facesearch.models.runtime import Runtime
from facesearch.types import Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["DetectorTraits", "FaceModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTraits:
    """The abilities of a detector, and the meaning of its scores.

    `face_score` is the minimum score of a face; detections with lower scores show where a larger image may reveal more.
    `sure_score` is the score that upright faces reach and wrongly rotated faces do not.

    `finds_faces_of_any_size` is set if the detector finds faces that fill an image; other detectors miss them and need
    a smaller copy of the image.
    """

    face_score: float
    sure_score: float
    finds_faces_of_any_size: bool


class FaceModel(Protocol):
    """A detector and a recogniser that belong together. Batches in, batches out."""

    @property
    def info(self) -> ModelInfo:
        """The model's identity, which decides whether embeddings are comparable."""
        ...

    @property
    def runtime(self) -> Runtime:
        """The runtime of its graphs."""
        ...

    @property
    def detector(self) -> DetectorTraits:
        """How to use its detector."""
        ...

    @property
    def framing(self) -> Framing:
        """How to show it faces."""
        ...

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """Return the upright faces in each image, best score first, in pixels of that image.

        `images` are uint8[height, width, 3] RGB of any size. Finds faces from 20 to about 300 pixels; larger ones need
        a smaller copy of the image, unless `DetectorTraits.finds_faces_of_any_size`. A detection that scores below
        `DetectorTraits.face_score` may not be a face.
        """
        ...

    def detect_in_views(self, views: Pixels) -> list[list[Detection]]:
        """Return the faces in views that each show one upright face in the middle: uint8[n, side, side, 3] RGB.

        The face is half as high as the view or slightly more, so several views may go through the network as one image.
        Called only if `Framing.looks` is not None.
        """
        ...

    def embed(self, crops: Pixels) -> FloatArray:
        """Return embeddings float32[n, dim] of unit length for aligned crops, uint8[n, 112, 112, 3] RGB; n may be 0."""
        ...
