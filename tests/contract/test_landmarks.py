"""Landmarks: a second pass places them better, for every model and for any size and tilt of a face."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from sample_library import as_photo, shipped_photo

from facesearch.faces.crops import face_view
from facesearch.faces.detect import detect_faces
from facesearch.faces.landmarks import with_refined_landmarks
from facesearch.models.align import centred, similarity_to_template
from facesearch.models.batching import BatchingModel
from facesearch.models.bundled import BundledModel
from facesearch.models.protocol import FaceModel
from facesearch.models.runtime import choose_runtime
from facesearch.types import Detection

VIEWS = [(-18, 0.5), (-8, 0.9), (0, 0.7), (11, 1.0), (19, 0.6)]
"""The rotations, in degrees, and scales of the photo."""


def seen_as(picture: Image.Image, degrees: float, scale: float) -> tuple[Image.Image, complex, complex]:
    """Rotate and shrink a picture about its centre; return it and the a and b of the map z -> a*z + b of its pixels."""
    width, height = picture.size
    a = cmath.rect(scale, math.radians(degrees))
    size = (round(width * scale * 1.2), round(height * scale * 1.6))
    b = complex(*size) / 2 - a * complex(width, height) / 2
    back, offset = 1 / a, -b / a
    matrix = (back.real, -back.imag, offset.real, back.imag, back.real, offset.imag)
    return picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC), a, b


def scatter(model: FaceModel, picture: Image.Image) -> float:
    """Return the mean distance of landmarks from their mean over the views, in distances between the eyes."""
    places = []
    for degrees, scale in VIEWS:
        view, a, b = seen_as(picture, degrees, scale)
        face = max(detect_faces(model, as_photo(view), rotations=False), key=lambda found: found.box.area)
        places.append((face.landmarks[:, 0] + 1j * face.landmarks[:, 1] + 0.5 + 0.5j - b) / a)
    mean = np.mean(places, axis=0)
    return float(np.abs(np.array(places) - mean).mean() / abs(mean[0] - mean[1]))


def test_landmarks_stay_where_they_are_when_a_photo_is_tilted_and_shrunk(
    any_model: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second pass reduces the scatter to a sixth with SCRFD, and to two thirds with YuNet."""
    astronaut = shipped_photo("astronaut")
    refined = scatter(any_model, astronaut)
    monkeypatch.setattr(any_model, "framing", replace(any_model.framing, looks=None))
    once = scatter(any_model, astronaut)
    assert refined < 0.75 * once


def test_the_second_pass_places_landmarks_better_on_real_people(
    any_model: FaceModel, real_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [sorted(folder.iterdir())[0] for folder in sorted((real_photos / "bbt/portraits").iterdir())]
    portraits = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in people]
    refined = np.mean([scatter(any_model, portrait) for portrait in portraits])
    monkeypatch.setattr(any_model, "framing", replace(any_model.framing, looks=None))
    once = np.mean([scatter(any_model, portrait) for portrait in portraits])
    assert len(portraits) == 8
    assert refined < 0.75 * once


class CountingModel(BundledModel):
    """The embedded model; counts the views."""

    views = 0

    def detect_in_views(self, views: np.ndarray) -> list[list[Detection]]:
        self.views += len(views)
        return super().detect_in_views(views)


@pytest.mark.parametrize(
    ("moved", "turned", "scaled", "again"),
    [(0, 0, 1, False), (6, 0, 1, False), (-5, 2, 1, False), (0, 20, 1, True), (0, 0, 1.3, True), (4, -20, 0.8, True)],
)
def test_a_tilted_face_gets_another_pass(moved: float, turned: float, scaled: float, again: bool) -> None:
    """A face that is upright and has the expected size is looked at once, even off the middle."""
    model = CountingModel(choose_runtime("cpu"))
    assert model.framing.looks is not None
    photo = as_photo(shipped_photo("astronaut"))
    (settled,) = detect_faces(model, photo)
    model.views = 0
    middle = settled.landmarks.mean(axis=0)
    around = settled.landmarks - middle
    points = (around[:, 0] + 1j * around[:, 1]) * cmath.rect(scaled, math.radians(turned))
    placed = (np.stack([points.real, points.imag], axis=1) + middle + moved).astype(np.float32)
    (found,) = with_refined_landmarks(model, photo, [replace(settled, landmarks=placed)])
    assert (model.views > 2 * len(model.framing.looks.zooms)) == again
    error, before = (np.abs(landmarks - settled.landmarks).mean() for landmarks in (found.landmarks, placed))
    assert error < max(0.5 * before, 0.02 * settled.box.width)


@pytest.mark.parametrize("count", [0, 1, 5, 17])
def test_a_view_is_seen_alike_alone_and_among_others(any_model: FaceModel, count: int) -> None:
    photo = as_photo(shipped_photo("t1"))
    transforms = [similarity_to_template(face.landmarks) for face in detect_faces(any_model, photo)]
    places = [centred(transforms[number % 6], 0.7 + 0.02 * (number // 6), 160) for number in range(count)]
    views = np.array([face_view(photo, place, 160) for place in places], dtype=np.uint8).reshape(-1, 160, 160, 3)
    for model in (any_model, BatchingModel(any_model)):
        together = model.detect_in_views(views)
        assert len(together) == count
        for view, found in zip(views, together, strict=True):
            ((alone, *_),) = any_model.detect_in_views(view[None])
            assert found[0].box.overlap(alone.box) > 0.7
            assert np.abs(found[0].landmarks - alone.landmarks).mean() < 4
            assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
