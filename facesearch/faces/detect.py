"""Which faces a photo shows: how large it is given to the detector, which way up, and when a larger one is worth it.

The detector is first given the photo with its longer side at 640 pixels: there a face of a twentieth of the photo's
size is found, which in most photos is all there are. A detector that misses faces that fill the picture is given it at
160 pixels too. Four things ask for another pass:

* a small face, or a faint hint of one, or no face at all: where one is smaller than 48 pixels, others may be too small
  to be found, and the photo is taken at 1280 pixels;
* the same again: where a face is smaller than 24 pixels at 1280, at 2560;
* no sure face: the photo may have been stored on its side, and is turned by 90, 180 and 270 degrees;
* no face at all, in a query: the face may fill the frame, and the photo gets a wide border.

The two large sizes are for small faces only and are cut into tiles that overlap by more than such a face: so a large
photo takes no more memory than a small one, and what a network works on stays in the processor's cache.
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
"""Pixels along the longer side of a photo when it is first given to the detector."""

_NEAR_SIDE = 160
_LARGE_SHARE = 0.2
_SMALL_AT = {640: 48, 1280: 24}
_LARGER = {640: 1280, 1280: 2560}
_TILE = 736
_TILE_OVERLAP = 112
_MAX_OVERLAP = 0.3


def detect_faces(model: FaceModel, photo: Photo, *, rotations: bool = True, thorough: bool = False) -> list[Detection]:
    """The faces in a photo, best score first, in pixels of the upright photo.

    `rotations` tries the other three turns where no face is sure. `thorough`, for a query, tries them where any face is
    unsure, and a wide border where none is found. Raises `PhotoError` when the photo cannot be decoded.
    """
    found = _detected(model, photo)
    if rotations and not any(_is_sure(model, face) for face in found):
        found = max([found, *_detected_turned(model, photo)], key=_best_score)
    elif rotations and thorough and not all(_is_sure(model, face) for face in found):
        turned = [face for faces in _detected_turned(model, photo, only_sure=True) for face in faces]
        found = _merged(found, turned)
    if thorough and not found:
        found = _detected_in_border(model, photo)
    return with_refined_landmarks(model, photo, found) if model.detector.refines_landmarks else found


def _detected(model: FaceModel, photo: Photo, turns: int = 0) -> list[Detection]:
    """The faces in a photo turned counter-clockwise by so many right angles, in pixels of the turned photo.

    Only the unturned photo is taken larger when nothing at all was found.
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
    """What is found at each of the other three turns, in the unturned photo; nothing at turns without a sure face.

    At a wrong turn detectors fire too, less surely, and what they find there embeds to nothing useful.
    """
    found = []
    for turns in (1, 2, 3):
        faces = _detected(model, photo, turns)
        if any(_is_sure(model, face) for face in faces):
            kept = [face for face in faces if not only_sure or _is_sure(model, face)]
            found.append([turned_back(face, turns, *photo.size) for face in kept])
    return found


def _detected_whole(model: FaceModel, photo: Photo, turns: int) -> list[Detection]:
    """Candidates in the photo at 640 pixels, and at 160 those that are large in it, in pixels of the turned photo."""
    longer = max(photo.size)
    near = longer > _NEAR_SIDE and not model.detector.finds_faces_of_any_size
    sides = [FIRST_SIDE, _NEAR_SIDE] if near else [FIRST_SIDE]
    passes = model.detect([_turned(photo.pixels(side), turns) for side in sides])
    whole, *smaller = (
        [scaled(detection, longer / min(side, longer)) for detection in detections]
        for side, detections in zip(sides, passes, strict=True)
    )
    # The smaller picture is there for large faces: what is small in it the larger one shows better. A faint hint in it
    # asks for no larger picture.
    large = [face for found in smaller for face in _faces(model, found) if face.box.shorter >= _LARGE_SHARE * longer]
    return _merged(whole, large)


def _detected_in_tiles(model: FaceModel, picture: Pixels, factor: float) -> list[Detection]:
    """Small faces in a large picture, tile by tile, in pixels of a photo `factor` times its size.

    A face up to as large as the overlap lies in one of the tiles as a whole; what the border of a tile cuts is left
    out.
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
    """As few overlapping stretches of about one length as cover `length` pixels."""
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
