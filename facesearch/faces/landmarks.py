"""Refine landmarks: each detected face is detected again on its own, upright and at a fixed size.

An embedding is only as good as its alignment, and a detector places landmarks coarsely, on a grid of 8 to 32 pixels, at
whatever size and tilt the face has.

Between a view and its mirror image, the errors of a detector partly cancel out. A face that was tilted in its view, or
had another size than expected, was not seen as the detector sees it best, and gets another pass; a face that was only
off the middle does not. YuNet shows this: it reports a third to a half of a tilt. Measured with YuNet and SFace on 380
pictures of 13 people, tilted by up to 25 degrees and shrunk to as little as 36 pixels: the true-match rate at a
false-match rate of 1e-3 is 0.994 with another pass for faces tilted by more than 3 degrees or 10 % off in size, 0.978
with one for landmarks that moved by more than 2.5 pixels of the crop, and 0.860 with the detector's own landmarks. See
`benchmarks/crop_scales.py`.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from facesearch.faces.crops import face_view
from facesearch.models.align import Similarity, centred, similarity_to_template

if TYPE_CHECKING:
    from facesearch.models.framing import Looks
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.picture import Photo
    from facesearch.types import Detection, FloatArray

__all__ = ["with_refined_landmarks"]

_OFF_CENTRE = 0.2
_NO_SIZE = 1e-9
_MIRRORED = [1, 0, 2, 4, 3]


def with_refined_landmarks(model: FaceModel, photo: Photo, detections: Sequence[Detection]) -> list[Detection]:
    """Return the same faces, their landmarks averaged over upright views, each plain and mirrored.

    The looks of the model's framing say how large the views are, and when a face gets another pass; without looks, the
    faces are returned as they are. A face that is detected in no view keeps its landmarks. Raises `PhotoError`.
    """
    refined = list(detections)
    looks = model.framing.looks
    if looks is None:
        return refined
    pending = list(range(len(refined)))
    for _pass in range(looks.passes):
        if not pending:
            break
        transforms = [similarity_to_template(refined[index].landmarks) for index in pending]
        unsettled = []
        for index, transform, landmarks in zip(
            pending, transforms, _mean_landmarks(model, photo, looks, transforms), strict=True
        ):
            if landmarks is not None:
                before = refined[index].landmarks
                refined[index] = replace(refined[index], landmarks=landmarks)
                if _unsettled(looks, transform, before, landmarks):
                    unsettled.append(index)
        pending = unsettled
    return refined


def _unsettled(looks: Looks, shown: Similarity, before: FloatArray, landmarks: FloatArray) -> bool:
    """Whether a face that was shown with `shown` was not in its place, or not upright, or not at the expected size."""
    moved = float(np.abs(landmarks - before).mean()) * abs(shown[0])
    change = similarity_to_template(landmarks)[0] / shown[0]
    turned, scaled = abs(math.degrees(cmath.phase(change))), abs(math.log(max(abs(change), _NO_SIZE)))
    return moved > looks.moved or turned > looks.turned or scaled > looks.scaled


def _mean_landmarks(
    model: FaceModel, photo: Photo, looks: Looks, transforms: Sequence[Similarity]
) -> list[FloatArray | None]:
    """Return the mean landmarks of each face over its views, in pixels of the photo; None if no view shows it."""
    side, zooms = looks.side, looks.zooms
    placements = [centred(transform, zoom, side) for transform in transforms for zoom in zooms]
    views = [face_view(photo, placement, side, rough=True) for placement in placements]
    views += [np.ascontiguousarray(view[:, ::-1]) for view in views]
    found = [_central_landmarks(model, candidates, side) for candidates in model.detect_in_views(np.stack(views))]
    plain = found[: len(placements)]
    mirrored = [_unmirrored(landmarks, side) for landmarks in found[len(placements) :]]
    placed: list[FloatArray | None] = []
    for first in range(0, len(placements), len(zooms)):
        points = [
            (landmarks[:, 0] + 1j * landmarks[:, 1] - placements[row][1]) / placements[row][0]
            for row in range(first, first + len(zooms))
            for landmarks in (plain[row], mirrored[row])
            if landmarks is not None
        ]
        mean = np.mean(points, axis=0) if points else None
        placed.append(None if mean is None else np.stack([mean.real, mean.imag], axis=1).astype(np.float32))
    return placed


def _central_landmarks(model: FaceModel, candidates: Sequence[Detection], side: int) -> FloatArray | None:
    """Return the landmarks of the best face in the middle of a view: the edges may show neighbours."""
    middle, reach = side / 2, side * _OFF_CENTRE
    for candidate in candidates:
        box = candidate.box
        near = abs(box.left + box.width / 2 - middle) < reach and abs(box.top + box.height / 2 - middle) < reach
        if near and candidate.score >= model.detector.face_score:
            return candidate.landmarks
    return None


def _unmirrored(landmarks: FloatArray | None, side: int) -> FloatArray | None:
    """Map landmarks from a mirrored view back to the view; left and right are swapped."""
    if landmarks is None:
        return None
    width = np.array([side - 1, 0], dtype=np.float32)
    flipped: FloatArray = landmarks * np.array([-1, 1], dtype=np.float32) + width
    return flipped[_MIRRORED]
