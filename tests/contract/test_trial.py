"""The trial of a model on faces: real models pass, networks that do not recognise faces fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from own_pack import (
    BUILT,
    constant_recogniser,
    make_pack,
    make_pack_with,
    make_pack_with_manifest,
    random_recogniser,
    unknown_recogniser,
)

from facesearch.faces import trial
from facesearch.faces.extract import detect_and_align
from facesearch.faces.trial import LEAST_GAP, Trial, gap, sample_photo, tried
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo
from facesearch.photos.sources import Moment

SOUND = Trial()


def test_the_sample_photo_is_installed_with_insightface() -> None:
    photo = sample_photo()
    assert photo is not None
    assert photo.name == "t1.jpg"


def test_real_models_pass(tmp_path: Path) -> None:
    assert tried("embedded") == SOUND
    assert tried(str(make_pack(tmp_path / "own"))) == SOUND
    assert tried(str(make_pack_with_manifest(tmp_path / "raccoon"))) == SOUND


def test_a_real_detector_before_a_real_recogniser_passes(tmp_path: Path, real_photos: Path) -> None:
    shutil.copy(real_photos / "models/scrfd_500m_kps.onnx", tmp_path / "det.onnx")
    shutil.copy(BUILT / "sface_2021dec.onnx", tmp_path / "rec.onnx")
    assert tried(str(tmp_path)) == SOUND


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in (1, 2))])
@pytest.mark.parametrize("layers", [2, 4, 6])
@pytest.mark.parametrize("pooled", [False, True])
def test_networks_with_random_weights_fail(tmp_path: Path, seed: int, layers: int, pooled: bool) -> None:
    found = tried(str(make_pack_with(tmp_path / "random", random_recogniser(seed, layers, pooled=pooled))))
    assert found.fault is not None
    assert "its recogniser does not tell people apart" in found.fault


@pytest.mark.parametrize("number", [0.0, 1.0, float("nan"), float("inf")])
def test_a_network_with_a_constant_output_fails(tmp_path: Path, number: float) -> None:
    found = tried(str(make_pack_with(tmp_path / "constant", constant_recogniser(number))))
    assert "does not tell people apart" in (found.fault or "")


def test_the_gap_has_a_margin_on_both_sides(model: FaceModel) -> None:
    path = sample_photo()
    assert path is not None
    crops = detect_and_align(model, [Moment(Photo(path.read_bytes()))]).crops
    assert gap(model, crops, crops) > LEAST_GAP + 0.1
    assert gap(model, crops, crops[::-1]) < LEAST_GAP - 0.5, "two people are mixed up"


def test_a_recogniser_that_cannot_be_loaded_or_run(tmp_path: Path) -> None:
    unknown = tried(str(make_pack_with(tmp_path / "unknown", unknown_recogniser())))
    assert "w_other.onnx: not a model that ONNX Runtime can load" in (unknown.fault or "")
    wrong = random_recogniser(0)
    wrong.graph.node[-1].input[1] = "kernel0"  # a product of matrices with incompatible shapes
    broken = tried(str(make_pack_with(tmp_path / "broken", wrong)))
    assert broken.fault is not None
    assert "\n" not in broken.fault


def test_a_detector_that_finds_nothing(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "blind")
    blind = onnx.load(pack / "det_yunet.onnx")
    for node in blind.graph.node:
        if node.op_type == "Sqrt":
            node.op_type = "Neg"
    onnx.save(blind, pack / "det_yunet.onnx")
    assert "its detector finds 0 of the 6 faces" in (tried(str(pack)).fault or "")


def test_without_the_sample_photo_the_networks_are_still_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_SAMPLE", "data/images/not there.jpg")
    note = "not tested on faces: the installed insightface package lacks its sample photo"
    assert tried(str(make_pack(tmp_path / "own"))) == Trial(note=note)
    assert "can load" in (tried(str(make_pack_with(tmp_path / "unknown", unknown_recogniser()))).fault or "")


def test_invalid_models(tmp_path: Path) -> None:
    assert "no model 'nonsense'" in (tried("nonsense").fault or "")
    (tmp_path / "rec.onnx").write_bytes(np.random.default_rng(0).bytes(1000))
    assert "rec.onnx: not a model file" in (tried(str(tmp_path)).fault or "")
    pack = make_pack(tmp_path / "plain")
    graph = onnx.load(pack / "det_yunet.onnx")
    del graph.graph.output[5:]  # five outputs of nine: boxes without matching landmarks
    onnx.save(graph, pack / "det_yunet.onnx")
    assert tried(str(pack)).fault is not None
