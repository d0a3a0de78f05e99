"""Evaluation on labelled photos: read the labels, rank a model, measure a calibration."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_model_info
from PIL import ImageEnhance, ImageOps
from sample_library import FACES_IN_T1, shipped_photo

from facesearch.calibration.table import read_calibration
from facesearch.errors import InputError
from facesearch.evaluation.compare_models import RATES, standing
from facesearch.evaluation.fit import labelled_faces, measured
from facesearch.events import observing
from facesearch.models.protocol import FaceModel


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six people with four photos each, all made from one; among them, files that are not photos of a person."""
    folder = tmp_path / "people"
    for person, (left, top, width, height) in FACES_IN_T1.items():
        (folder / person).mkdir(parents=True)
        box = (left - width // 2, max(0, top - height // 2), left + width * 3 // 2, top + height * 3 // 2)
        portrait = shipped_photo("t1").crop(box)
        changed = [portrait, ImageOps.mirror(portrait), ImageEnhance.Brightness(portrait).enhance(0.7)]
        for number, picture in enumerate([*changed, ImageOps.autocontrast(portrait)]):
            picture.save(folder / person / f"{number}.png")
    (folder / ".hidden").mkdir()
    shipped_photo("astronaut").save(folder / ".hidden/a.png")
    shipped_photo("astronaut").save(folder / "nobody's.png")
    (folder / "empty").mkdir()
    return folder


def test_labels_are_the_names_of_folders(people: Path, model: FaceModel) -> None:
    (people / "ada/broken.png").write_bytes(b"no picture")
    told: list[tuple[int, int, int, int]] = []
    faces = labelled_faces(people, model, observer=observing(progress=lambda *figures: told.append(figures)))
    assert faces.people == sorted(FACES_IN_T1)
    assert np.bincount(faces.labels).tolist() == [4] * 6
    assert faces.vectors.shape == (24, model.info.dim)
    assert [line.startswith(str(people / "ada/broken.png")) for line in faces.left_out] == [True]
    assert [done for done, *_ in told] == list(range(1, 26))
    assert told[-1] == (25, 25, 24, 1)


def test_in_a_group_photo_the_face_of_the_labelled_person_is_used(people: Path, model: FaceModel) -> None:
    alone = labelled_faces(people, model)
    shipped_photo("t1").save(people / "ada/z group.png")
    faces = labelled_faces(people, model)
    added = faces.vectors[faces.labels == faces.people.index("ada")][-1]
    similar = alone.vectors @ added
    assert alone.people[alone.labels[int(similar.argmax())]] == "ada"


def test_counting_stops_when_asked(people: Path, model: FaceModel) -> None:
    asked = iter([False] * 6 + [True] * 100)
    faces = labelled_faces(people, model, observer=observing(cancelled=lambda: next(asked)))
    assert 0 < len(faces.labels) < 24
    with pytest.raises(InputError, match="no such folder"):
        labelled_faces(people / "none", model)


def test_the_standing_of_a_model_that_tells_all_people_apart(people: Path, model: FaceModel) -> None:
    shutil.copy(people / "ada/0.png", people / sorted(FACES_IN_T1)[-1] / "wrong label.png")
    done = standing("embedded", model, people)
    assert (done.photos, done.found, done.left_out, done.rank1) == (25, 25, 1, 1.0)
    assert done.tmr == (None,) * len(RATES), "240 pairs of strangers are too few"
    assert done.licence == model.info.licence
    assert done.seconds > 0


def test_one_person_alone_cannot_be_compared(people: Path, model: FaceModel, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (people / "ada").rename(tmp_path / "one/ada")
    with pytest.raises(InputError, match="1 person with two or more photos in which toy finds a face"):
        standing("toy", model, tmp_path / "one")


def test_a_calibration_without_similar_strangers() -> None:
    """With few photos no rate can be counted; the lowest measurable rate is used instead."""
    people, photos, dim = 6, 4, 8
    rng = np.random.default_rng(0)
    middles = np.eye(dim)[:people] - 1 / people
    vectors = np.repeat(middles, photos, axis=0) + rng.normal(0, 0.01, (people * photos, dim))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = np.repeat(np.arange(people), photos)
    table = measured(vectors, labels, toy_model_info(dim=dim))
    calibration = read_calibration(table)
    assert calibration.people == people
    for curve in table["curves"]:
        assert curve["log10_fmr"][0] == pytest.approx(curve["measured_to"], abs=0.01)
        assert (np.diff(curve["log10_fmr"]) <= 0).all()
    assert calibration.fmr(0.9) < calibration.fmr(0.1)
