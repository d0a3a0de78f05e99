"""What a face model is: batches in, batches out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from facesearch.models.runtime import Runtime
from facesearch.types import Detection, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, Pixels

__all__ = ["DetectorTraits", "FaceModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTraits:
    """What a detector does by itself, and what its scores mean.

    `face_score` is the score from which a detection counts as a face; fainter ones tell where a larger picture may show
    more. `sure_score` is the one that upright faces reach and faces at a wrong turn do not.

    `finds_faces_of_any_size`: faces that fill a picture are found, too; other detectors miss them, and are given a
    smaller picture of the same. `refines_landmarks`: landmarks get better when each face is detected again, upright and
    at one size; see `facesearch.faces.landmarks`.
    """

    face_score: float
    sure_score: float
    finds_faces_of_any_size: bool
    refines_landmarks: bool


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
    def detector(self) -> DetectorTraits:
        """How its detector is to be used."""
        ...

    def detect(self, images: Sequence[Pixels]) -> list[list[Detection]]:
        """The upright faces in each picture, best score first, in pixels of that picture.

        `images` are uint8[height, width, 3] RGB of any sizes. Faces from 20 to some 300 pixels are found; larger ones
        in a smaller picture of the same, unless `DetectorTraits.finds_faces_of_any_size`. What scores less than
        `DetectorTraits.face_score` may be no face.
        """
        ...

    def detect_in_views(self, views: Pixels) -> list[list[Detection]]:
        """As `detect`, in views that each show one upright face in the middle: uint8[n, side, side, 3] RGB.

        The face is about half as high as the view or a little more, so several views may go through the network as one
        picture. Asked only where `DetectorTraits.refines_landmarks`.
        """
        ...

    def embed(self, crops: Pixels) -> FloatArray:
        """float32[n, dim] of unit length for aligned crops, uint8[n, 112, 112, 3] RGB; n may be 0."""
        ...
