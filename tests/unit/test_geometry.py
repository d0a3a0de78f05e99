"""Rotations, borders and overlaps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facesearch.models.geometry import looks_upright, scaled, shifted, turned_back, with_border, without_duplicates
from facesearch.types import Box, Detection

UPRIGHT = np.array([[30, 30], [60, 30], [45, 45], [33, 62], [57, 62]], dtype=np.float32)


def detection(left: float, top: float, width: float, height: float, score: float = 0.9) -> Detection:
    return Detection(Box(left, top, width, height), UPRIGHT + np.array([left, top], dtype=np.float32), score)


boxes = st.builds(Box, st.floats(0, 50), st.floats(0, 50), st.floats(1, 50), st.floats(1, 50))


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 30), st.data())
def test_turning_back_finds_the_same_pixel(turns: int, width: int, height: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    picture = np.zeros((height, width, 1), dtype=np.uint8)
    picture[y, x] = 1
    turned = np.rot90(picture, turns)
    (row,), (column,) = np.nonzero(turned[:, :, 0])
    found = Detection(Box(float(column), float(row), 1, 1), np.full((5, 2), [column, row], dtype=np.float32), 0.9)
    back = turned_back(found, turns, width, height)
    assert back.box == Box(x, y, 1, 1)
    assert (back.landmarks == [x, y]).all()


@given(boxes, boxes)
def test_overlap_is_symmetric_and_bounded(a: Box, b: Box) -> None:
    assert a.overlap(b) == b.overlap(a)
    assert 0 <= a.overlap(b) <= 1 + 1e-9
    assert abs(a.overlap(a) - 1) < 1e-6


@given(st.lists(st.tuples(boxes, st.floats(0, 1)), max_size=12), st.floats(0.1, 0.9))
def test_what_is_kept_does_not_overlap_and_covers_the_rest(found: list[tuple[Box, float]], limit: float) -> None:
    detections = [Detection(box, UPRIGHT, score) for box, score in found]
    kept = without_duplicates(detections, limit)
    assert [d.score for d in kept] == sorted((d.score for d in kept), reverse=True)
    for index, one in enumerate(kept):
        assert all(one.box.overlap(other.box) <= limit for other in kept[:index])
    for one in detections:
        assert any(one is k or (k.score >= one.score and k.box.overlap(one.box) > limit) for k in kept)


def test_scaling_keeps_pixel_centres_and_edges() -> None:
    doubled = scaled(detection(10, 20, 30, 40), 2)
    assert doubled.box == Box(20, 40, 60, 80)
    assert np.allclose(doubled.landmarks, (UPRIGHT + [10, 20] + 0.5) * 2 - 0.5)


def test_a_border_and_its_undoing() -> None:
    picture = np.full((31, 40, 3), 7, dtype=np.uint8)
    framed, left, top = with_border(picture)
    assert framed.shape == (62, 80, 3)
    assert (framed[top : top + 31, left : left + 40] == 7).all()
    assert framed.sum() == picture.sum()
    assert shifted(detection(left, top, 5, 6), -left, -top).box == Box(0, 0, 5, 6)


def test_faces_that_stand_on_their_heads_do_not_look_upright() -> None:
    def with_landmarks(landmarks: np.ndarray) -> Detection:
        return Detection(Box(20, 15, 50, 60), landmarks.astype(np.float32), 0.9)

    profile = np.array([[50, 30], [56, 30], [62, 45], [50, 60], [54, 61]])
    tilted = np.array([[30, 40], [55, 25], [50, 45], [42, 63], [62, 52]])
    for upright in (UPRIGHT, profile, tilted):
        assert looks_upright(with_landmarks(upright))
    assert not looks_upright(with_landmarks(UPRIGHT[[1, 0, 2, 4, 3]]))
    assert not looks_upright(with_landmarks(UPRIGHT * [1, -1] + [0, 90]))
    assert not looks_upright(with_landmarks(np.full((5, 2), 40)))
