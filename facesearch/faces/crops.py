"""Faces cut out of a photo for the networks: aligned crops to embed, and upright views to find landmarks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facesearch.models.align import CROP_SIDE, Similarity, crop_face, similarity_to_template

if TYPE_CHECKING:
    from facesearch.photos.picture import Photo
    from facesearch.types import Detection, Pixels

__all__ = ["aligned_crops", "face_view"]


def aligned_crops(photo: Photo, detections: Sequence[Detection]) -> Pixels:
    """uint8[n, 112, 112, 3]: each face aligned, from a decode that has at least a pixel for each pixel of the crop.

    Where the photo itself has fewer, the whole photo is what there is. Raises `PhotoError`.
    """
    crops = np.empty((len(detections), CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)
    for row, detection in enumerate(detections):
        crops[row] = face_view(photo, similarity_to_template(detection.landmarks), CROP_SIDE)
    return crops


def face_view(photo: Photo, transform: Similarity, side: int, *, rough: bool = False) -> Pixels:
    """uint8[side, side, 3]: the part of a photo that `transform` brings into a square; see `align.crop_face`.

    Raises `PhotoError`.
    """
    image, scale = photo.level(max(photo.size) * min(1.0, abs(transform[0])))
    return crop_face(image, scale, transform, side, rough=rough)
