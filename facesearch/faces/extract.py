"""Extract faces from photos, in the same way for every model: detect, align, measure the quality, embed.

There are two steps, so that the faces of several photos can be embedded in one batch: `detect_and_align` per photo (or
per moment of a video), then `embed_faces` for many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from facesearch.faces.crops import aligned_crops
from facesearch.faces.detect import FIRST_SIDE, detect_faces
from facesearch.faces.quality import face_quality
from facesearch.models.align import CROP_SIDE
from facesearch.photos.sources import Moment
from facesearch.types import Face

if TYPE_CHECKING:
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.picture import Photo
    from facesearch.types import Detection, Pixels

__all__ = ["AlignedFaces", "detect_and_align", "embed_faces", "extract_faces", "ignore_step"]


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
    mark: Callable[[str], None] = ignore_step,
) -> AlignedFaces:
    """Detect and align the faces of a source, moment by moment; see `detect_faces` for the options.

    `mark` is called with `decode` and `detect` after these steps of each moment. Raises `PhotoError`.
    """
    detections: list[Detection] = []
    crops: list[Pixels] = [np.empty((0, CROP_SIDE, CROP_SIDE, 3), dtype=np.uint8)]
    qualities: list[float] = []
    times: list[int | None] = []
    for photo, at_ms in moments:
        photo.level(FIRST_SIDE)
        mark("decode")
        found = detect_faces(model, photo, rotations=rotations, thorough=thorough)
        aligned = aligned_crops(photo, found, scale=model.framing.crop_scale)
        for crop, detection in zip(aligned, found, strict=True):
            qualities.append(face_quality(crop, detection, face_score=model.detector.face_score))
        detections += found
        crops.append(aligned)
        times += [at_ms] * len(found)
        mark("detect")
    return AlignedFaces(detections, np.concatenate(crops), qualities, times)


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
    mark: Callable[[str], None] = ignore_step,
) -> list[Face]:
    """Detect, align and embed the faces of one photo; see `detect_faces` for the options.

    `mark` is called with `decode`, `detect` and `embed` after these steps. Raises `PhotoError`.
    """
    aligned = detect_and_align(model, [Moment(photo)], rotations=rotations, thorough=thorough, mark=mark)
    (faces,) = embed_faces(model, [aligned])
    mark("embed")
    return faces
