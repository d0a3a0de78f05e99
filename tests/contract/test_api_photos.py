"""Single photos through the API: detect the faces in one, compare two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_pack import make_pack
from PIL import Image
from sample_library import shipped_photo

from facesearch import Hint, NoFaceError, PhotoError, PhotoTooLargeError, UsageError, compare, detect
from facesearch.api.detect import save_faces
from facesearch.calibration.storage import calibration_of
from facesearch.models.resolve import model_info


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A group of six, half of it, and another person."""
    folder = tmp_path_factory.mktemp("photos")
    group = shipped_photo("t1")
    group.save(folder / "group.png")
    group.crop((0, 0, 640, 886)).save(folder / "half.png")
    shipped_photo("astronaut").save(folder / "astronaut.png")
    shipped_photo("coffee").save(folder / "coffee.png")
    return folder


def test_faces_are_the_largest_first(photos: Path) -> None:
    faces = detect(photos / "group.png", model="embedded")
    areas = [face.face.detection.box.area for face in faces]
    assert len(faces) == 6
    assert areas == sorted(areas, reverse=True)
    assert [face.number for face in faces] == [1, 2, 3, 4, 5, 6]
    for face in faces:
        assert np.linalg.norm(face.face.embedding) == pytest.approx(1, abs=1e-5)
        assert face.face.detection.landmarks.shape == (5, 2)


def test_photos_without_faces_and_files_that_are_none(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(NoFaceError, match=r"coffee\.png: no face found"):
        detect(photos / "coffee.png", model="embedded")
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(PhotoError, match=r"text\.jpg"):
        detect(str(tmp_path / "text.jpg"), model="embedded")
    with pytest.raises(PhotoTooLargeError, match=r"group\.png: 1280 x 886 pixels are over the limit"):
        detect(photos / "group.png", model="embedded", max_pixels=100_000)


def test_faces_are_saved_and_nothing_is_overwritten(photos: Path, tmp_path: Path) -> None:
    faces = detect(photos / "half.png", model="embedded")
    done = save_faces(faces, tmp_path / "faces")
    assert (done.made, done.failed) == (len(faces), [])
    for crop in (tmp_path / "faces").iterdir():
        with Image.open(crop) as picture:
            assert picture.width == picture.height >= 32
    assert save_faces(faces, tmp_path / "faces").kept == len(faces)


def test_the_nearest_pair_says_whether_it_is_one_person(photos: Path) -> None:
    same = compare(photos / "group.png", photos / "half.png", model="embedded")
    assert same.same
    assert (len(same.pairs), same.best.verdict) == (6, "strong")
    assert same.best.similarity == max(pair.similarity for row in same.pairs for pair in row)
    assert same.threshold == calibration_of(model_info("embedded")).threshold
    other = compare(photos / "half.png", photos / "astronaut.png", model="embedded")
    assert not other.same
    assert other.measured
    assert other.note is None


def test_a_limit_of_ones_own(photos: Path) -> None:
    pair = photos / "half.png", photos / "astronaut.png"
    assert compare(*pair, model="embedded", threshold=-1.0).same, "0 and below are valid thresholds"
    assert compare(*pair, model="embedded", threshold=0.0).threshold == 0.0
    strict, lenient = (compare(*pair, model="embedded", fmr=rate).threshold for rate in (1e-5, 1e-2))
    assert strict > lenient
    with pytest.raises(UsageError, match="contradict") as both:
        compare(*pair, model="embedded", threshold=0.4, fmr=1e-4)
    assert both.value.hint is Hint.ONE_LIMIT
    with pytest.raises(UsageError, match="between 0 and 1"):
        compare(*pair, model="embedded", fmr=2)


def test_rates_of_a_model_that_was_never_measured(photos: Path, tmp_path: Path) -> None:
    pack = str(make_pack(tmp_path / "mine"))
    done = compare(photos / "half.png", photos / "group.png", model=pack)
    assert (done.measured, done.best.fmr) == (False, None)
    with pytest.raises(UsageError, match="never measured") as error:
        compare(photos / "half.png", photos / "group.png", model=pack, fmr=1e-4)
    assert error.value.hint is Hint.MEASURE_OR_THRESHOLD
