"""Templates of several query photos: weights, the face used from a group photo, and outliers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import toy_face
from hypothesis import given
from hypothesis import strategies as st

from facesearch.search.probes import Probe
from facesearch.search.template import odd_ones, pick_by_others, template


def probe(path: str, *numbers: float, quality: float | None = None, number: int = 1, of: int = 1) -> Probe:
    vector = np.zeros(6, dtype=np.float32)
    vector[: len(numbers)] = numbers
    return Probe(path, number, of, replace(toy_face(vector), quality=quality))


def similar_from(_photos: int) -> float:
    return 0.35


def test_a_template_is_the_mean_by_quality() -> None:
    good, poor = probe("good", 1, quality=1.0), probe("poor", 0, 1, quality=0.25)
    made = template([good, poor])
    assert made.face.embedding == pytest.approx(np.array([4, 1, 0, 0, 0, 0]) / np.sqrt(17), abs=1e-6)
    assert (made.paths, made.photos, made.quality) == (["good", "poor"], 2, 1.0)
    unknown = template([probe("a", 1), probe("b", 0, 1)])
    assert unknown.face.embedding[:2] == pytest.approx([np.sqrt(0.5)] * 2, abs=1e-6)
    assert unknown.quality is None
    hopeless = template([probe("a", 1, quality=0.0), probe("b", 0, 1, quality=0.0)])
    assert np.linalg.norm(hopeless.face.embedding) == pytest.approx(1)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_a_template_has_unit_length_and_no_order(parts: list[tuple[float, float, float]]) -> None:
    probes = [probe(str(n), 1, x, y, quality=quality) for n, (x, y, quality) in enumerate(parts)]
    made = template(probes)
    assert np.linalg.norm(made.face.embedding) == pytest.approx(1, abs=1e-5)
    assert template(probes[::-1]).face.embedding == pytest.approx(made.face.embedding, abs=1e-5)


def test_an_odd_one_is_found_among_three_and_two_among_five() -> None:
    me = [probe(f"me{n}", 1, n / 5) for n in range(3)]
    stranger, other = probe("stranger", 0, 0, 1), probe("other", 0, 0, 0, 1)
    assert odd_ones(me, similar_from=similar_from) == []
    ((found, similarity),) = odd_ones([me[0], stranger, me[1]], similar_from=similar_from)
    assert found.path == "stranger"
    assert similarity == pytest.approx(0, abs=1e-6)
    several = odd_ones([stranger, *me, other], similar_from=similar_from)
    assert {odd.path for odd, _ in several} == {"stranger", "other"}


def test_two_photos_have_no_outlier() -> None:
    assert odd_ones([probe("a", 1), probe("b", 0, 1)], similar_from=similar_from) == []


def test_in_a_group_photo_the_face_like_the_others_is_meant() -> None:
    alone = [probe("a", 1, 0.1)]
    group = [probe("g", 0, 0, 1, number=1, of=2), probe("g", 1, 0.3, number=2, of=2)]
    assert [(picked.path, picked.number) for picked in pick_by_others([group, alone])] == [("g", 2), ("a", 1)]
    assert [picked.number for picked in pick_by_others([group])] == [1], "one photo: its largest face"
    other = [probe("h", 0, 0, 1, number=1, of=2), probe("h", 0, 1, number=2, of=2)]
    assert [picked.number for picked in pick_by_others([group, other])] == [1, 1], "the largest faces are used"
