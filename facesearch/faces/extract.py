"""Extract faces from photos, in the same way for every model: detect, align, measure the quality, embed.

There are two steps, so that the faces of several photos can be embedded in one batch: `detect_and_align` per photo (or
per moment of a video), then `embed_faces` for many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from facesearch.faces.crops import aligned_crops
from facesearch.faces.detect import FIRST_SIDE, detect_faces
from facesearch.faces.given import closer_look, corrected
from facesearch.faces.quality import face_quality
from facesearch.models.align import CROP_SIDE
from facesearch.photos.sources import Moment
from facesearch.types import Face

if TYPE_CHECKING:
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.picture import Photo
    from facesearch.types import Corrections, Detection, GivenFace, Pixels

__all__ = ["AlignedFaces", "detect_and_align", "embed_faces", "embed_given", "extract_faces", "ignore_step"]


class AlignedFaces(NamedTuple):
    """The faces of one source before embedding: n detections, crops as uint8[n, 112, 112, 3], and n qualities.

    `at_ms` is the time of each face in a video, in milliseconds; None in a still photo.
    """

    detections: list[Detection]
    crops: Pixels
    qualities: list[float]
    at_ms: list[int | None]


def ignore_step(step: str) -> None:
    """The default `mark`: steps are not timed."""


def detect_and_align(
    model: FaceModel,
    moments: Iterable[Moment],
    *,
    rotations: bool = True,
    thorough: bool = False,
    corrections: Corrections | None = None,
    mark: Callable[[str], None] = ignore_step,
) -> AlignedFaces:
    """Detect and align the faces of a source, moment by moment; see `detect_faces` for the options.

    `corrections` are of a still photo: faces in it that a detector misses, and places without a face. `mark` is called
    with `decode` and `detect` after these steps of each moment. Raises `PhotoError`.
    """
    detections: list[Detection] = []
    crops: list[Pixels] = [np.empty((0, CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)]
    qualities: list[float] = []
    times: list[int | None] = []
    for photo, at_ms in moments:
        photo.level(FIRST_SIDE)
        mark("decode")
        found = detect_faces(model, photo, rotations=rotations, thorough=thorough)
        given: list[Detection] = []
        if at_ms is None and corrections is not None:
            found, given = corrected(model, photo, found, corrections)
        aligned, measured = _aligned(model, photo, [*found, *given])
        found = [*found, *map(_as_given, given)]
        detections += found
        crops.append(aligned)
        qualities += measured
        times += [at_ms] * len(found)
        mark("detect")
    return AlignedFaces(detections, np.concatenate(crops), qualities, times)


def embed_given(model: FaceModel, photo: Photo, given: GivenFace) -> Face:
    """Embed one face that was given by hand, as a run does with `corrections`. Raises `PhotoError`."""
    seen = closer_look(model, photo, given)
    crops, (quality,) = _aligned(model, photo, [seen])
    return Face(_as_given(seen), model.embed(crops)[0], quality)


def _aligned(model: FaceModel, photo: Photo, detections: Sequence[Detection]) -> tuple[Pixels, list[float]]:
    """Return the crops and the qualities of faces in a picture."""
    crops = aligned_crops(photo, detections, scale=model.framing.crop_scale)
    return crops, [
        face_quality(crop, detection, face_score=model.detector.face_score)
        for crop, detection in zip(crops, detections, strict=True)
    ]


def _as_given(seen: Detection) -> Detection:
    """Return a face that a closer look has found as one that was given by hand."""
    return replace(seen, score=0.0)


def embed_faces(model: FaceModel, sources: Sequence[AlignedFaces]) -> list[list[Face]]:
    """Embed the faces of all sources in one batch; return the faces per source."""
    if not sources:
        return []
    embeddings = iter(model.embed(np.concatenate([source.crops for source in sources])))
    return [
        [
            Face(detection, next(embeddings), quality, at_ms)
            for detection, quality, at_ms in zip(source.detections, source.qualities, source.at_ms, strict=True)
        ]
        for source in sources
    ]


def extract_faces(
    model: FaceModel,
    photo: Photo,
    *,
    rotations: bool = True,
    thorough: bool = False,
    corrections: Corrections | None = None,
    mark: Callable[[str], None] = ignore_step,
) -> list[Face]:
    """Detect, align and embed the faces of one photo; see `detect_and_align` for the options.

    `mark` is called with `decode`, `detect` and `embed` after these steps. Raises `PhotoError`.
    """
    aligned = detect_and_align(
        model, [Moment(photo)], rotations=rotations, thorough=thorough, corrections=corrections, mark=mark
    )
    (faces,) = embed_faces(model, [aligned])
    mark("embed")
    return faces
