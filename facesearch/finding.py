"""Photos to faces, the same for every model: how closely a photo is looked at, turned pictures, crops, embeddings.

A photo is looked at with its longer side at 1280 pixels. Three things ask for another look:

* small faces: where one is under 24 pixels, or none is found, the photo is looked at with 2560 pixels;
* no sure face: the photo may have been stored on its side, and is looked at turned by 90, 180 and 270 degrees;
* no face at all, in a query: the face may fill the frame, and the photo is looked at with a wide border.

Then each face is looked at again by itself, upright and at one size, to place its landmarks. An embedding is only as
good as its alignment, and a detector's landmarks are coarse: they were placed in passing, on a grid of 8 to 32 pixels,
at whatever size and tilt the face had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from facesearch.faces.align import CROP_SIDE, Similarity, centred, crop_face, similarity_to_template
from facesearch.faces.geometry import looks_upright, scaled, shifted, turned_back, with_border, without_duplicates
from facesearch.types import Detection, Face

if TYPE_CHECKING:
    from facesearch.faces.model import FaceModel
    from facesearch.photos.decode import Photo
    from facesearch.types import FloatArray, Pixels

__all__ = ["aligned_crops", "detect_faces", "find_faces"]

_SIDE = 1280
_CLOSE_SIDE = 2560
_SMALL_FACE = 24
_MAX_OVERLAP = 0.3

_LOOK_SIDE = 160
_LOOK_ZOOMS = (0.7, 0.9)
_LOOK_OFF_CENTRE = 0.2
_LOOK_AGAIN = 2.5
_MIRRORED = [1, 0, 2, 4, 3]


def detect_faces(
    model: FaceModel, photos: Sequence[Photo], *, rotations: bool = True, thorough: bool = False
) -> list[list[Detection]]:
    """The faces in each photo, best score first, in pixels of the upright photo.

    `rotations` tries the other three turns where no face is sure. A `thorough` look, for a query, tries them where any
    face is unsure, and a wide border where none is found. Raises `PhotoError` when a photo cannot be decoded.
    """
    pictures = [photo.pixels(_SIDE) for photo in photos]
    found = [
        _enlarged(photo, picture, detections)
        for photo, picture, detections in zip(photos, pictures, model.detect(pictures), strict=True)
    ]
    for index, photo in enumerate(photos):
        if _wants_closer_look(model, photo, found[index]):
            closer = photo.pixels(_CLOSE_SIDE)
            found[index] = _merged(found[index], _enlarged(photo, closer, model.detect([closer])[0]))
        if rotations and not _any_sure(model, found[index]):
            turns = [_enlarged(photo, pictures[index], turn) for turn in _detect_turned(model, pictures[index])]
            found[index] = max([found[index], *turns], key=_best_score)
        elif rotations and thorough and not _all_sure(model, found[index]):
            turns = [_enlarged(photo, pictures[index], turn) for turn in _detect_turned(model, pictures[index])]
            found[index] = _merged(found[index], [face for turn in turns for face in turn if _is_sure(model, face)])
        if thorough and not found[index]:
            framed = _detect_with_border(model, pictures[index])
            found[index] = _merged(found[index], _enlarged(photo, pictures[index], framed))
        if model.max_side is None:
            found[index] = _with_better_landmarks(model, photo, found[index])
    return found


def aligned_crops(photo: Photo, detections: Sequence[Detection]) -> Pixels:
    """uint8[n, 112, 112, 3]: each face aligned, from a decode that has at least a pixel for each pixel of the crop.

    Where the photo itself has fewer, the whole photo is what there is. Raises `PhotoError`.
    """
    crops = np.empty((len(detections), CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)
    for row, detection in enumerate(detections):
        crops[row] = _view(photo, similarity_to_template(detection.landmarks), CROP_SIDE)
    return crops


def _view(photo: Photo, transform: Similarity, side: int) -> Pixels:
    longer = max(photo.size)
    image = photo.image(longer * min(1.0, abs(transform[0])))
    return crop_face(image, max(image.size) / longer, transform, side)


def find_faces(model: FaceModel, photo: Photo, *, rotations: bool = True, thorough: bool = False) -> list[Face]:
    """`detect_faces`, `aligned_crops` and the model's `embed` for one photo."""
    (detections,) = detect_faces(model, [photo], rotations=rotations, thorough=thorough)
    embeddings = model.embed(aligned_crops(photo, detections))
    return [Face(detection, embedding) for detection, embedding in zip(detections, embeddings, strict=True)]


def _best_score(detections: Sequence[Detection]) -> float:
    return max((detection.score for detection in detections), default=0.0)


def _is_sure(model: FaceModel, detection: Detection) -> bool:
    return detection.score >= model.sure_score and looks_upright(detection)


def _any_sure(model: FaceModel, detections: Sequence[Detection]) -> bool:
    return any(_is_sure(model, detection) for detection in detections)


def _all_sure(model: FaceModel, detections: Sequence[Detection]) -> bool:
    return all(_is_sure(model, detection) for detection in detections)


def _wants_closer_look(model: FaceModel, photo: Photo, detections: Sequence[Detection]) -> bool:
    longer = max(photo.size)
    if longer <= _SIDE or (model.max_side is not None and model.max_side <= _SIDE):
        return False
    return not detections or any(detection.box.shorter * _SIDE / longer < _SMALL_FACE for detection in detections)


def _detect_turned(model: FaceModel, picture: Pixels) -> list[list[Detection]]:
    """What is found at each of the other three turns, in the unturned picture; nothing at turns without a sure face.

    At a wrong turn detectors fire too, less surely, and what they find there embeds to nothing useful.
    """
    height, width = picture.shape[:2]
    turned = [model.detect([np.ascontiguousarray(np.rot90(picture, turns))])[0] for turns in (1, 2, 3)]
    return [
        [turned_back(detection, turns, width, height) for detection in detections]
        for turns, detections in enumerate(turned, start=1)
        if _any_sure(model, detections)
    ]


def _detect_with_border(model: FaceModel, picture: Pixels) -> list[Detection]:
    framed, left, top = with_border(picture)
    return [shifted(detection, -left, -top) for detection in model.detect([framed])[0]]


def _with_better_landmarks(model: FaceModel, photo: Photo, detections: Sequence[Detection]) -> list[Detection]:
    """Landmarks from four looks at each face: upright, at two sizes, as it is and mirrored; their mean counts.

    Where they moved far the face was not upright yet, and is looked at once more. Measured on 22 faces in group
    photos, each asked for with five portraits of its person: found 90 times of 110, and 72 times without this.
    """
    refined = list(detections)
    pending = list(range(len(refined)))
    for _attempt in range(2):
        transforms = [similarity_to_template(refined[index].landmarks) for index in pending]
        placed = _placed_landmarks(model, photo, transforms)
        again = []
        for index, transform, landmarks in zip(pending, transforms, placed, strict=True):
            if landmarks is not None:
                moved = float(np.abs(landmarks - refined[index].landmarks).mean()) * abs(transform[0])
                refined[index] = replace(refined[index], landmarks=landmarks)
                if moved > _LOOK_AGAIN:
                    again.append(index)
        pending = again
    return refined


def _placed_landmarks(model: FaceModel, photo: Photo, transforms: Sequence[Similarity]) -> list[FloatArray | None]:
    """The mean landmarks for each view of a face, in pixels of the photo; None where no look found the face."""
    views = [centred(transform, zoom, _LOOK_SIDE) for transform in transforms for zoom in _LOOK_ZOOMS]
    looks = [_view(photo, view, _LOOK_SIDE) for view in views]
    looks += [np.ascontiguousarray(look[:, ::-1]) for look in looks]
    seen = [_central_landmarks(detections) for detections in model.detect(looks)]
    for row in range(len(views), len(looks)):
        mirrored = seen[row]
        if mirrored is not None:
            flipped = mirrored * np.array([-1, 1], dtype=np.float32) + np.array([_LOOK_SIDE - 1, 0], dtype=np.float32)
            seen[row] = flipped[_MIRRORED]
    placed: list[FloatArray | None] = []
    for face in range(len(transforms)):
        rows = [face * len(_LOOK_ZOOMS) + zoom for zoom in range(len(_LOOK_ZOOMS))]
        points = [
            (landmarks[:, 0] + 1j * landmarks[:, 1] - views[row][1]) / views[row][0]
            for row in rows
            for landmarks in (seen[row], seen[len(views) + row])
            if landmarks is not None
        ]
        mean = np.mean(points, axis=0) if points else None
        placed.append(None if mean is None else np.stack([mean.real, mean.imag], axis=1).astype(np.float32))
    return placed


def _central_landmarks(detections: Sequence[Detection]) -> FloatArray | None:
    """Those of the surest face in the middle of a look: at its edges there may be neighbours."""
    middle, reach = _LOOK_SIDE / 2, _LOOK_SIDE * _LOOK_OFF_CENTRE
    for detection in detections:
        box = detection.box
        if abs(box.left + box.width / 2 - middle) < reach and abs(box.top + box.height / 2 - middle) < reach:
            return detection.landmarks
    return None


def _enlarged(photo: Photo, picture: Pixels, detections: Sequence[Detection]) -> list[Detection]:
    factor = max(photo.size) / max(picture.shape[:2])
    return [scaled(detection, factor) for detection in detections] if factor != 1 else list(detections)


def _merged(first: Sequence[Detection], second: Sequence[Detection]) -> list[Detection]:
    return without_duplicates([*first, *second], _MAX_OVERLAP)
