"""Faces that a detector missed and of which the user spoke: look closer at the box, for landmarks to align it by.

The user drew such a face, or said whom it shows after another model, or the same one with other options, had found it.
The box is shown to the detector on its own, at a size that suits it and at eight rotations: so faces are found that are
too small, too large, tilted or hidden in the whole photo. If none is found there, the landmarks of an earlier model are
used, or else the places where a frontal face that fills the box has them. Such a face has a quality of 0: no detector
confirms it.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facesearch.faces.crops import face_view
from facesearch.faces.landmarks import with_refined_landmarks
from facesearch.models.geometry import looks_upright
from facesearch.types import SAME_FACE, Box, Detection, GivenFace

if TYPE_CHECKING:
    from facesearch.models.align import Similarity
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.picture import Photo
    from facesearch.types import Corrections, FloatArray

__all__ = ["closer_look", "corrected", "tight_box"]

_SIDE = 192
_SHARE = 0.5
_ANGLES = tuple(math.radians(angle) for angle in (0, 45, -45, 90, -90, 135, -135, 180))
_LEAST_OVERLAP = 0.2
_USUAL = np.array([[0.27, 0.39], [0.72, 0.39], [0.50, 0.60], [0.30, 0.74], [0.69, 0.74]], dtype=np.float64)
"""The landmarks of a frontal face as shares of its box: the medians of YuNet over faces that look at the camera."""


def corrected(
    model: FaceModel, photo: Photo, found: Sequence[Detection], corrections: Corrections
) -> tuple[list[Detection], list[Detection]]:
    """Return the faces that a detector found without those that are none, and those that it missed and that stay.

    The latter have the boxes that they had, and the scores of a closer look; see `closer_look`.
    """
    kept = [detection for detection in found if not detection.covered_by(corrections.not_faces)]
    boxes = [detection.box for detection in kept]
    missed = [given for given in corrections.faces if all(given.box.overlap(box) < SAME_FACE for box in boxes)]
    return kept, [closer_look(model, photo, given) for given in missed]


def tight_box(model: FaceModel, photo: Photo, box: Box) -> Box:
    """Return the box of the face that a closer look finds in a box drawn by hand; the same box if it finds none."""
    seen = _best_seen(model, photo, box)
    if seen is None or seen.score < model.detector.face_score:
        return box
    width, height = photo.size
    left, top = max(0.0, seen.box.left), max(0.0, seen.box.top)
    right, bottom = min(width, seen.box.left + seen.box.width), min(height, seen.box.top + seen.box.height)
    return Box(left, top, right - left, bottom - top)


def closer_look(model: FaceModel, photo: Photo, given: GivenFace) -> Detection:
    """Return the face in a box, with the landmarks and the score that a closer look finds; the score is 0 for none.

    Raises `PhotoError`.
    """
    seen = _best_seen(model, photo, given.box)
    if seen is not None:
        (seen,) = with_refined_landmarks(model, photo, [seen])
        return Detection(given.box, seen.landmarks, seen.score)
    landmarks = _usual_landmarks(given.box) if given.landmarks is None else given.landmarks
    return Detection(given.box, landmarks, 0.0)


def _best_seen(model: FaceModel, photo: Photo, box: Box) -> Detection | None:
    """Return the best face in the middle of a box, in pixels of the photo; None if there is none.

    A faint one counts only if it is upright and fills the box: at a wrong rotation, detectors fire too.
    """
    placements = [_placement(box, angle) for angle in _ANGLES]
    views = [face_view(photo, placement, _SIDE, rough=True) for placement in placements]
    sure: list[Detection] = []
    faint: list[Detection] = []
    for angle, placement, candidates in zip(_ANGLES, placements, model.detect(views), strict=True):
        for candidate in candidates:
            if not _is_inside(placed := _in_photo(candidate, placement), box):
                continue
            if candidate.score >= model.detector.face_score:
                sure.append(placed)
            elif angle == 0 and looks_upright(candidate) and placed.box.overlap(box) >= SAME_FACE:
                faint.append(placed)
    return max(sure or faint, key=lambda detection: detection.score, default=None)


def _placement(box: Box, angle: float) -> Similarity:
    """Return the transform that shows a box in the middle of a view, turned by an angle."""
    a = cmath.rect(_SHARE * _SIDE / max(box.width, box.height), angle)
    middle = complex(box.left + box.width / 2 - 0.5, box.top + box.height / 2 - 0.5)
    return a, complex((_SIDE - 1) / 2, (_SIDE - 1) / 2) - a * middle


def _in_photo(seen: Detection, placement: Similarity) -> Detection:
    """Map a detection in a view back to the photo. The box of a tilted face is upright and about as large."""
    a, b = placement
    points = (seen.landmarks[:, 0] + 1j * seen.landmarks[:, 1] - b) / a
    box, across = seen.box, (a.imag / abs(a)) ** 2
    width = (box.width * (1 - across) + box.height * across) / abs(a)
    height = (box.height * (1 - across) + box.width * across) / abs(a)
    middle = (complex(box.left + box.width / 2 - 0.5, box.top + box.height / 2 - 0.5) - b) / a + (0.5 + 0.5j)
    return Detection(
        Box(middle.real - width / 2, middle.imag - height / 2, width, height),
        np.stack([points.real, points.imag], axis=1).astype(np.float32),
        seen.score,
    )


def _is_inside(seen: Detection, box: Box) -> bool:
    """Whether a face is what a box was drawn around, tightly or loosely, and not its neighbour."""
    x, y = seen.box.left + seen.box.width / 2, seen.box.top + seen.box.height / 2
    middle = box.left < x < box.left + box.width and box.top < y < box.top + box.height
    return middle and seen.box.overlap(box) >= _LEAST_OVERLAP


def _usual_landmarks(box: Box) -> FloatArray:
    corner, sides = np.array([box.left, box.top]), np.array([box.width, box.height])
    landmarks: FloatArray = (corner + _USUAL * sides - 0.5).astype(np.float32)
    return landmarks
