"""Alignment: the similarity transform is optimal, crops agree with insightface's, and large faces do not alias."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sample_library import shipped_photo

from facesearch.models.align import CROP_SIDE, TEMPLATE, centred, crop_face, similarity_to_template

finite = st.floats(-500, 500, allow_nan=False)
points = st.lists(st.tuples(finite, finite), min_size=5, max_size=5)


@given(st.floats(0.05, 20), st.floats(-np.pi, np.pi), finite, finite)
def test_a_similarity_is_recovered_exactly(scale: float, angle: float, x: float, y: float) -> None:
    a, b = scale * np.exp(1j * angle), complex(x, y)
    template = TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]
    source = (template - b) / a
    found = similarity_to_template(np.stack([source.real, source.imag], axis=1).astype(np.float64))
    assert found[0] == pytest.approx(a, rel=1e-6)
    assert found[1] == pytest.approx(b, rel=1e-5, abs=1e-4)


@given(points, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-5, 5), st.floats(-5, 5))
def test_no_other_similarity_comes_closer(
    landmarks: list[tuple[float, float]], da: float, db: float, dx: float, dy: float
) -> None:
    values = np.array(landmarks)
    source, target = values[:, 0] + 1j * values[:, 1], TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]
    a, b = similarity_to_template(values)
    best = (np.abs(a * source + b - target) ** 2).sum()
    other = (np.abs((a + complex(da, db)) * source + b + complex(dx, dy) - target) ** 2).sum()
    if np.abs(source - source.mean()).sum() > 1e-6:
        assert best <= other * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("apart", [0.0, 4e-158, 1e-9])
def test_five_points_in_one_place_give_something_finite(apart: float) -> None:
    landmarks = np.array([(0.0, 0.0)] * 4 + [(0.0, apart)])
    a, b = similarity_to_template(landmarks)
    assert np.isfinite([a, b]).all()


@pytest.mark.filterwarnings("ignore")  # insightface's own use of scikit-image is deprecated
def test_crops_agree_with_insightface() -> None:
    from insightface.utils.face_align import norm_crop

    photo = shipped_photo("astronaut")
    for turn in (0.0, 0.3, -0.8):  # radians; the face is 90 pixels wide, about the size of the crop
        a = 0.9 * np.exp(1j * turn)
        source = (TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1] - (56 + 56j)) / a + complex(224, 119)
        landmarks = np.stack([source.real, source.imag], axis=1).astype(np.float32)
        ours = crop_face(photo, 1.0, similarity_to_template(landmarks)).astype(int)
        theirs = norm_crop(np.asarray(photo), landmarks).astype(int)
        assert np.abs(ours - theirs).mean() < 2.5, "of 255; the filters differ"
        shifted = np.roll(theirs, 1, axis=1)
        assert np.abs(ours - theirs).mean() < 0.5 * np.abs(ours - shifted).mean(), "not shifted by a pixel"


def test_a_large_face_is_filtered_before_it_is_sampled() -> None:
    """Stripes finer than a crop's pixel must become grey; point sampling would alias them to other stripes."""
    stripes = np.zeros((1200, 1200, 3), dtype=np.uint8)
    stripes[:, ::7] = stripes[:, 1::7] = stripes[:, 2::7] = 255
    source = (TEMPLATE - 56) * 8 + 600
    crop = crop_face(Image.fromarray(stripes), 1.0, similarity_to_template(source.astype(np.float32)))
    assert crop[20:90, 20:90].std() < 12
    assert crop[20:90, 20:90].mean() == pytest.approx(255 * 3 / 7, abs=6)


@given(st.floats(0.5, 1.5))
def test_a_scaled_crop_shows_the_face_around_the_same_middle(scale: float) -> None:
    landmarks = (TEMPLATE * 3 + [40, -20]).astype(np.float32)
    a, b = centred(similarity_to_template(landmarks), scale, CROP_SIDE)
    shown = a * (landmarks[:, 0] + 1j * landmarks[:, 1]) + b
    expected = (TEMPLATE - CROP_SIDE / 2) * scale + CROP_SIDE / 2
    assert shown == pytest.approx(expected[:, 0] + 1j * expected[:, 1], abs=1e-3)


def test_a_smaller_decode_gives_the_same_crop() -> None:
    photo = shipped_photo("astronaut").resize((2048, 2048), Image.Resampling.BICUBIC)
    half = photo.resize((1024, 1024), Image.Resampling.BOX)
    landmarks = ((TEMPLATE - 56) * 3.2 + [896, 476]).astype(np.float32)
    transform = similarity_to_template(landmarks)
    whole, reduced = crop_face(photo, 1.0, transform), crop_face(half, 0.5, transform)
    assert np.abs(whole.astype(int) - reduced.astype(int)).mean() < 2.5


def test_outside_the_photo_is_black() -> None:
    white = Image.new("RGB", (300, 300), (255, 255, 255))
    crop = crop_face(white, 1.0, similarity_to_template((TEMPLATE - 56).astype(np.float32)))
    assert (crop[:50, :50] == 0).all()
    assert (crop[62:, 62:] == 255).all()
    assert (crop_face(white, 1.0, (0.1 + 0j, 5000 + 5000j)) == 0).all()


def test_a_zoomed_view_keeps_the_middle() -> None:
    a, b = centred((2 + 1j, 3 - 4j), 0.5, 200)
    middle = (complex(CROP_SIDE / 2, CROP_SIDE / 2) - (3 - 4j)) / (2 + 1j)
    assert a * middle + b == pytest.approx(100 + 100j)
