"""Detect the faces in a photo: at which sizes and rotations the detector runs, and when another pass is worth it.

The first pass scales the photo to 640 pixels on its longer side. It finds faces down to a twentieth of the photo's
size, which in most photos is all of them. A detector that misses faces that fill the picture also gets the photo at
160 pixels. Four cases call for another pass:

* a face or a faint candidate smaller than 48 pixels, or no face at all: other faces may be too small to be found, so
  the photo is scaled to 1280 pixels;
* a face smaller than 24 pixels at 1280: the photo is scaled to 2560 pixels;
* no confident face: the photo may be stored on its side, so it is rotated by 90, 180 and 270 degrees;
* no face at all in a query photo: the face may fill the frame, so the photo gets a wide border.

The two large sizes serve small faces only and are cut into tiles that overlap by more than such a face. So a large
photo takes no more memory than a small one, and the input of the network fits into the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facesearch.faces.landmarks import with_refined_landmarks
from facesearch.models.geometry import looks_upright, scaled, shifted, turned_back, with_border, without_duplicates

if TYPE_CHECKING:
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.picture import Photo
    from facesearch.types import Detection, Pixels

__all__ = ["FIRST_SIDE", "detect_faces"]

FIRST_SIDE = 640
"""Pixels on the longer side of a photo in the first pass of the detector."""

_NEAR_SIDE = 160
_LARGE_SHARE = 0.2
_SMALL_AT = {640: 48, 1280: 24}
_LARGER = {640: 1280, 1280: 2560}
_TILE = 736
_TILE_OVERLAP = 112
_MAX_OVERLAP = 0.3


def detect_faces(model: FaceModel, photo: Photo, *, rotations: bool = True, thorough: bool = False) -> list[Detection]:
    """Return the faces in a photo, best score first, in pixels of the upright photo.

    `rotations` tries the other three rotations if no face is confident. `thorough`, for a query, tries them if any face
    is not confident, and a wide border if none is found. Raises `PhotoError` if the photo cannot be decoded.
    """
    found = _detected(model, photo)
    if rotations and not any(_is_sure(model, face) for face in found):
        found = max([found, *_detected_turned(model, photo)], key=_best_score)
    elif rotations and thorough and not all(_is_sure(model, face) for face in found):
        turned = [face for faces in _detected_turned(model, photo, only_sure=True) for face in faces]
        found = _merged(found, turned)
    if thorough and not found:
        found = _detected_in_border(model, photo)
    return with_refined_landmarks(model, photo, found)


def _detected(model: FaceModel, photo: Photo, turns: int = 0) -> list[Detection]:
    """Return the faces in a photo rotated counter-clockwise by `turns` right angles, in pixels of the rotated photo.

    If nothing at all is found, only the unrotated photo is scaled up.
    """
    longer, side = max(photo.size), FIRST_SIDE
    candidates = _detected_whole(model, photo, turns)
    found = candidates
    while side in _LARGER and longer > side:
        small = _SMALL_AT[side] * longer / side
        hidden = side == FIRST_SIDE and not turns and not _faces(model, found)
        if not hidden and not any(candidate.box.shorter < small for candidate in candidates):
            break
        side = _LARGER[side]
        candidates = _detected_in_tiles(model, _turned(photo.pixels(side), turns), longer / min(side, longer))
        found = _merged(found, candidates)
    return _faces(model, found)


def _detected_turned(model: FaceModel, photo: Photo, *, only_sure: bool = False) -> list[list[Detection]]:
    """Return the faces at each other rotation that shows a confident face, in pixels of the unrotated photo.

    At a wrong rotation detectors fire too, with a lower score, and the embeddings of what they find are useless.
    """
    found = []
    for turns in (1, 2, 3):
        faces = _detected(model, photo, turns)
        if any(_is_sure(model, face) for face in faces):
            kept = [face for face in faces if not only_sure or _is_sure(model, face)]
            found.append([turned_back(face, turns, *photo.size) for face in kept])
    return found


def _detected_whole(model: FaceModel, photo: Photo, turns: int) -> list[Detection]:
    """Return the candidates at 640 pixels and the large ones at 160 pixels, in pixels of the rotated photo."""
    longer = max(photo.size)
    near = longer > _NEAR_SIDE and not model.detector.finds_faces_of_any_size
    sides = [FIRST_SIDE, _NEAR_SIDE] if near else [FIRST_SIDE]
    passes = model.detect([_turned(photo.pixels(side), turns) for side in sides])
    whole, *smaller = (
        [scaled(detection, longer / min(side, longer)) for detection in detections]
        for side, detections in zip(sides, passes, strict=True)
    )
    # The smaller picture serves large faces only: the larger one shows small faces better. A faint candidate in it does
    # not call for a larger picture.
    large = [face for found in smaller for face in _faces(model, found) if face.box.shorter >= _LARGE_SHARE * longer]
    return _merged(whole, large)


def _detected_in_tiles(model: FaceModel, picture: Pixels, factor: float) -> list[Detection]:
    """Return the small faces in a large picture, tile by tile, in pixels of a photo `factor` times its size.

    Every face up to the size of the overlap lies entirely in one of the tiles; faces cut by the border of a tile are
    dropped.
    """
    height, width = picture.shape[:2]
    found: list[Detection] = []
    for top, bottom in _tiles(height):
        for left, right in _tiles(width):
            (candidates,) = model.detect([np.ascontiguousarray(picture[top:bottom, left:right])])
            for face in (shifted(candidate, left, top) for candidate in candidates):
                box = face.box
                cut = (left > 0 and box.left < left) or (right < width and box.left + box.width > right)
                cut = cut or (top > 0 and box.top < top) or (bottom < height and box.top + box.height > bottom)
                if not cut:
                    found.append(scaled(face, factor))
    return without_duplicates(found, _MAX_OVERLAP)


def _tiles(length: int) -> list[tuple[int, int]]:
    """Return the fewest overlapping ranges of about equal length that cover `length` pixels."""
    count = max(1, -(-(length - _TILE_OVERLAP) // (_TILE - _TILE_OVERLAP)))
    size = -(-(length + (count - 1) * _TILE_OVERLAP) // count)
    starts = [min(number * (size - _TILE_OVERLAP), length - size) for number in range(count)]
    return [(start, start + size) for start in starts]


def _detected_in_border(model: FaceModel, photo: Photo) -> list[Detection]:
    framed, left, top = with_border(photo.pixels(FIRST_SIDE))
    factor = max(photo.size) / min(FIRST_SIDE, max(photo.size))
    return [scaled(shifted(face, -left, -top), factor) for face in _faces(model, model.detect([framed])[0])]


def _turned(picture: Pixels, turns: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(picture, turns))


def _faces(model: FaceModel, candidates: Sequence[Detection]) -> list[Detection]:
    return [candidate for candidate in candidates if candidate.score >= model.detector.face_score]


def _best_score(detections: Sequence[Detection]) -> float:
    return max((detection.score for detection in detections), default=0.0)


def _is_sure(model: FaceModel, detection: Detection) -> bool:
    return detection.score >= model.detector.sure_score and looks_upright(detection)


def _merged(first: Sequence[Detection], second: Sequence[Detection]) -> list[Detection]:
    return without_duplicates([*first, *second], _MAX_OVERLAP)
