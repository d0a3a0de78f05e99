"""Face quality: a worse face never has a better quality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from sample_library import shipped_photo

from facesearch.faces.crops import aligned_crops
from facesearch.faces.extract import extract_faces
from facesearch.faces.quality import face_quality
from facesearch.models.align import TEMPLATE
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo
from facesearch.types import Box, Detection

FRONTAL = TEMPLATE.astype(np.float32)
CROP = np.random.default_rng(3).integers(0, 255, (112, 112, 3), dtype=np.uint8)


def detection(size: float = 100, score: float = 0.93, landmarks: np.ndarray = FRONTAL) -> Detection:
    return Detection(Box(0, 0, size, size * 1.2), landmarks, score)


def quality(crop: np.ndarray = CROP, *, size: float = 100, score: float = 0.93) -> float:
    return face_quality(crop, detection(size, score), face_score=0.6)


def encoded(image: Image.Image) -> Photo:
    import io

    data = io.BytesIO()
    image.save(data, "PNG")
    return Photo(data.getvalue())


def test_a_sharp_large_frontal_confident_face_has_the_best_quality() -> None:
    assert quality() == 1.0


@given(st.floats(1, 500), st.floats(1, 500))
def test_smaller_is_never_better(one: float, other: float) -> None:
    assert quality(size=min(one, other)) <= quality(size=max(one, other))


@given(st.floats(0, 1), st.floats(0, 1))
def test_less_sure_is_never_better(one: float, other: float) -> None:
    assert quality(score=min(one, other)) <= quality(score=max(one, other))


@given(st.floats(0.1, 10), st.floats(0, 6.3), st.floats(-500, 500))
def test_size_turn_and_place_of_the_landmarks_do_not_count(scale: float, angle: float, shift: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (FRONTAL @ turn.T * scale + shift).astype(np.float32)
    assert face_quality(CROP, detection(landmarks=moved), face_score=0.6) == pytest.approx(1.0, abs=0.01)


def test_a_head_turned_away_is_worse_the_further_it_is() -> None:
    found = []
    for yaw in (0.0, 0.2, 0.4, 0.6, 0.8):
        turned = FRONTAL.copy()
        turned[:, 0] = 56 + (turned[:, 0] - 56) * (1 - yaw)
        turned[2, 0] += 25 * yaw
        found.append(face_quality(CROP, detection(landmarks=turned), face_score=0.6))
    assert found == sorted(found, reverse=True)
    assert found[-1] == 0


def test_blur_makes_a_real_face_worse(model: FaceModel) -> None:
    photo = encoded(shipped_photo("astronaut"))
    (face,) = extract_faces(model, photo)
    assert face.quality is not None
    (crop,) = aligned_crops(photo, [face.detection])
    found = [face.quality]
    for radius in (1.0, 2.0, 4.0):
        blurred = np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(radius)))
        found.append(face_quality(blurred, face.detection, face_score=model.detector.face_score))
    assert found[0] > 0.85
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0] / 2


@pytest.mark.parametrize("crop", [np.zeros((112, 112, 3), np.uint8), np.full((112, 112, 3), 255, np.uint8)])
def test_a_crop_that_shows_nothing_has_no_quality(crop: np.ndarray) -> None:
    assert quality(crop) == 0


def test_landmarks_in_one_point_are_no_face() -> None:
    point = replace(detection(), landmarks=np.full((5, 2), 7, np.float32))
    assert face_quality(CROP, point, face_score=0.6) == 0
