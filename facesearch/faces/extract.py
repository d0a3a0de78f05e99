"""Photos to faces, the same for every model: how closely a photo is looked at, turned pictures, crops, embeddings.

A photo is first looked at with its longer side at 640 pixels, and at 160 for faces that fill the frame: there a face
of a twentieth of the photo's size is found, which in most photos is all there are. Four things ask for another look:

* a small face, or a faint hint of one, or no face at all: where it is smaller than 48 pixels, others may be smaller
  than can be seen, and the photo is looked at with 1280 pixels;
* the same again: where a face is smaller than 24 pixels at 1280, with 2560;
* no sure face: the photo may have been stored on its side, and is looked at turned by 90, 180 and 270 degrees;
* no face at all, in a query: the face may fill the frame, and the photo is looked at with a wide border.

The two closer looks are for small faces only and are made in tiles that overlap by more than such a face: so a large
photo takes no more memory than a small one, and what a network works on stays in the processor's cache.

Then each face is looked at again by itself, upright and at one size, to place its landmarks. An embedding is only as
good as its alignment, and a detector's landmarks are coarse: they were placed in passing, on a grid of 8 to 32 pixels,
at whatever size and tilt the face had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from facesearch.faces.quality import face_quality
from facesearch.models.align import CROP_SIDE, Similarity, centred, crop_face, similarity_to_template
from facesearch.models.geometry import looks_upright, scaled, shifted, turned_back, with_border, without_duplicates
from facesearch.types import Detection, Face

if TYPE_CHECKING:
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.decode import Photo
    from facesearch.types import FloatArray, Pixels

__all__ = ["Look", "aligned_crops", "detect_faces", "faces_of", "find_faces", "look_at", "unmarked"]

_NEAR_SIDE, _FIRST_SIDE = 160, 640
_LARGE_SHARE = 0.2
_SMALL_AT = {640: 48, 1280: 24}
_CLOSER = {640: 1280, 1280: 2560}
_TILE = 736
_TILE_OVERLAP = 112
_MAX_OVERLAP = 0.3

_LOOK_SIDE = 160
_LOOK_ZOOMS = (0.7, 0.9)
_LOOK_OFF_CENTRE = 0.2
_LOOK_AGAIN = 2.5
_MIRRORED = [1, 0, 2, 4, 3]


def detect_faces(model: FaceModel, photo: Photo, *, rotations: bool = True, thorough: bool = False) -> list[Detection]:
    """The faces in a photo, best score first, in pixels of the upright photo.

    `rotations` tries the other three turns where no face is sure. A `thorough` look, for a query, tries them where any
    face is unsure, and a wide border where none is found. Raises `PhotoError` when the photo cannot be decoded.
    """
    found = _seen(model, photo)
    if rotations and not _any_sure(model, found):
        found = max([found, *_seen_turned(model, photo)], key=_best_score)
    elif rotations and thorough and not _all_sure(model, found):
        turned = [face for faces in _seen_turned(model, photo, only_sure=True) for face in faces]
        found = _merged(found, turned)
    if thorough and not found:
        found = _seen_with_border(model, photo)
    return found if model.max_side is not None else _with_better_landmarks(model, photo, found)


def aligned_crops(photo: Photo, detections: Sequence[Detection]) -> Pixels:
    """uint8[n, 112, 112, 3]: each face aligned, from a decode that has at least a pixel for each pixel of the crop.

    Where the photo itself has fewer, the whole photo is what there is. Raises `PhotoError`.
    """
    crops = np.empty((len(detections), CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)
    for row, detection in enumerate(detections):
        crops[row] = _view(photo, similarity_to_template(detection.landmarks), CROP_SIDE)
    return crops


def _view(photo: Photo, transform: Similarity, side: int, *, rough: bool = False) -> Pixels:
    image, scale = photo.level(max(photo.size) * min(1.0, abs(transform[0])))
    return crop_face(image, scale, transform, side, rough=rough)


def unmarked(step: str) -> None:
    """Who is told what was done and does not care."""


class Look(NamedTuple):
    """What is seen in one photo, not embedded yet: uint8[n, 112, 112, 3] crops for n detections, and their quality."""

    detections: list[Detection]
    crops: Pixels
    qualities: list[float]


def look_at(
    model: FaceModel,
    photo: Photo,
    *,
    rotations: bool = True,
    thorough: bool = False,
    mark: Callable[[str], None] = unmarked,
) -> Look:
    """`detect_faces` and `aligned_crops` for one photo; `mark` is told after each step. Raises `PhotoError`."""
    photo.level(_FIRST_SIDE)
    mark("decode")
    detections = detect_faces(model, photo, rotations=rotations, thorough=thorough)
    crops = aligned_crops(photo, detections)
    qualities = [
        face_quality(crop, detection, face_score=model.face_score)
        for detection, crop in zip(detections, crops, strict=True)
    ]
    mark("detect")
    return Look(detections, crops, qualities)


def faces_of(model: FaceModel, looks: Sequence[Look]) -> list[list[Face]]:
    """The faces of each look; all are embedded together."""
    if not looks:
        return []
    embeddings = iter(model.embed(np.concatenate([look.crops for look in looks])))
    return [
        [
            Face(detection, next(embeddings), quality)
            for detection, quality in zip(look.detections, look.qualities, strict=True)
        ]
        for look in looks
    ]


def find_faces(
    model: FaceModel,
    photo: Photo,
    *,
    rotations: bool = True,
    thorough: bool = False,
    mark: Callable[[str], None] = unmarked,
) -> list[Face]:
    """`look_at` and `faces_of` for one photo; `mark` is told after each step. Raises `PhotoError`."""
    (faces,) = faces_of(model, [look_at(model, photo, rotations=rotations, thorough=thorough, mark=mark)])
    mark("embed")
    return faces


def _faces(model: FaceModel, candidates: Sequence[Detection]) -> list[Detection]:
    return [candidate for candidate in candidates if candidate.score >= model.face_score]


def _best_score(detections: Sequence[Detection]) -> float:
    return max((detection.score for detection in detections), default=0.0)


def _is_sure(model: FaceModel, detection: Detection) -> bool:
    return detection.score >= model.sure_score and looks_upright(detection)


def _any_sure(model: FaceModel, detections: Sequence[Detection]) -> bool:
    return any(_is_sure(model, detection) for detection in detections)


def _all_sure(model: FaceModel, detections: Sequence[Detection]) -> bool:
    return all(_is_sure(model, detection) for detection in detections)


def _seen(model: FaceModel, photo: Photo, turns: int = 0) -> list[Detection]:
    """The faces in a photo turned counter-clockwise by so many right angles, in pixels of the turned photo.

    Only the unturned photo is looked at closer when nothing at all was seen.
    """
    longer, side = max(photo.size), _FIRST_SIDE
    candidates = _first_look(model, photo, turns)
    found = candidates
    while side in _CLOSER and longer > side:
        small = _SMALL_AT[side] * longer / side
        hidden = side == _FIRST_SIDE and not turns and not _faces(model, found)
        if not hidden and not any(candidate.box.shorter < small for candidate in candidates):
            break
        side = _CLOSER[side]
        candidates = _closer_look(model, _turned(photo.pixels(side), turns), longer / min(side, longer))
        found = _merged(found, candidates)
    return _faces(model, found)


def _seen_turned(model: FaceModel, photo: Photo, *, only_sure: bool = False) -> list[list[Detection]]:
    """What is found at each of the other three turns, in the unturned photo; nothing at turns without a sure face.

    At a wrong turn detectors fire too, less surely, and what they find there embeds to nothing useful.
    """
    seen = []
    for turns in (1, 2, 3):
        faces = _seen(model, photo, turns)
        if _any_sure(model, faces):
            kept = [face for face in faces if not only_sure or _is_sure(model, face)]
            seen.append([turned_back(face, turns, *photo.size) for face in kept])
    return seen


def _first_look(model: FaceModel, photo: Photo, turns: int) -> list[Detection]:
    longer = max(photo.size)
    sides = [
        side for side in (_FIRST_SIDE, _NEAR_SIDE) if side == _FIRST_SIDE or (side < longer and not model.max_side)
    ]
    looks = model.detect([_turned(photo.pixels(side), turns) for side in sides])
    whole, *near = (
        [scaled(detection, longer / min(side, longer)) for detection in look]
        for side, look in zip(sides, looks, strict=True)
    )
    # The smaller picture is there for large faces: what is small in it the larger one shows better. A faint hint asks
    # for no closer look.
    large = [face for look in near for face in _faces(model, look) if face.box.shorter >= _LARGE_SHARE * longer]
    return _merged(whole, large)


def _closer_look(model: FaceModel, picture: Pixels, factor: float) -> list[Detection]:
    """Small faces in a large picture, tile by tile, in pixels of a photo `factor` times its size.

    A face up to as large as the overlap lies in one of the tiles as a whole; what the border of a tile cuts is left
    out.
    """
    height, width = picture.shape[:2]
    found: list[Detection] = []
    for top, bottom in _tiles(height):
        for left, right in _tiles(width):
            (seen,) = model.detect([np.ascontiguousarray(picture[top:bottom, left:right])])
            for face in (shifted(face, left, top) for face in seen):
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


def _seen_with_border(model: FaceModel, photo: Photo) -> list[Detection]:
    framed, left, top = with_border(photo.pixels(_FIRST_SIDE))
    factor = max(photo.size) / min(_FIRST_SIDE, max(photo.size))
    return [scaled(shifted(face, -left, -top), factor) for face in _faces(model, model.detect([framed])[0])]


def _turned(picture: Pixels, turns: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(picture, turns))


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
    looks = [_view(photo, view, _LOOK_SIDE, rough=True) for view in views]
    looks += [np.ascontiguousarray(look[:, ::-1]) for look in looks]
    seen = [_central_landmarks(_faces(model, candidates)) for candidates in model.detect(looks)]
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


def _merged(first: Sequence[Detection], second: Sequence[Detection]) -> list[Detection]:
    return without_duplicates([*first, *second], _MAX_OVERLAP)
