"""Crop faces from a photo for the networks: aligned crops to embed, and upright views to detect landmarks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facesearch.models.align import CROP_SIDE, Similarity, centred, crop_face, similarity_to_template

if TYPE_CHECKING:
    from facesearch.photos.picture import Photo
    from facesearch.types import Detection, Pixels

__all__ = ["aligned_crops", "face_view"]


def aligned_crops(photo: Photo, detections: Sequence[Detection], *, scale: float = 1.0) -> Pixels:
    """Return the aligned faces at `scale` times the size of the template, uint8[n, 112, 112, 3].

    Each comes from a decode with at least one pixel per pixel of the crop, or from the full-size photo if that has
    fewer. Raises `PhotoError`.
    """
    crops = np.empty((len(detections), CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)
    for row, detection in enumerate(detections):
        crops[row] = face_view(photo, centred(similarity_to_template(detection.landmarks), scale, CROP_SIDE), CROP_SIDE)
    return crops


def face_view(photo: Photo, transform: Similarity, side: int, *, rough: bool = False) -> Pixels:
    """Return the part of a photo that `transform` maps to a square, uint8[side, side, 3]; see `align.crop_face`.

    Raises `PhotoError`.
    """
    image, scale = photo.level(max(photo.size) * min(1.0, abs(transform[0])))
    return crop_face(image, scale, transform, side, rough=rough)
