"""Model packs: valid and invalid ones, heads by manifest or by shape, sessions, and the model of a new index."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import openvino_runtime
from own_pack import make_pack_with_manifest
from sample_library import as_photo, shipped_photo

from facesearch.errors import DeviceError, Hint, ModelError, UsageError
from facesearch.faces.extract import extract_faces
from facesearch.models import bundled
from facesearch.models.resolve import choose_model, installed_packs, model_info, open_model
from facesearch.models.runtime import choose_runtime
from facesearch.models.sessions import open_session

BUILT = Path(bundled.__file__).parent / "weights"


def test_sessions_have_the_interface_that_packs_need(pack: Path) -> None:
    """insightface reads the outputs of a detector in the order of the graph."""
    reference = open_session(pack / "det_500m.onnx", choose_runtime("cpu"))
    other = open_session(pack / "det_500m.onnx", replace(openvino_runtime(), precision="f32"))
    image = np.random.default_rng(0).normal(size=(1, 3, 640, 640)).astype(np.float32)
    for session in (reference, other):
        (taken,) = session.get_inputs()
        assert (taken.name, taken.shape, taken.type) == ("images", [1, 3, 640, 640], "tensor(float)")
        assert session.get_providers()
    names = [[output.name for output in session.get_outputs()] for session in (reference, other)]
    outputs = [reference.run(names[0], {"images": image}), other.run(names[1], {"images": image})]
    for one, two in zip(*outputs, strict=True):
        assert one.shape == two.shape
        assert np.allclose(one, two, atol=1e-2)


def test_which_model_a_new_index_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path))
    monkeypatch.delenv("FACESEARCH_MODEL", raising=False)
    assert choose_model(None).name == "embedded"
    assert choose_model("antelopev2") == ("antelopev2", None)
    monkeypatch.setenv("FACESEARCH_MODEL", "buffalo_s")
    assert choose_model(None) == ("buffalo_s", None)
    assert choose_model("embedded").name == "embedded"
    monkeypatch.delenv("FACESEARCH_MODEL")
    (tmp_path / "models/incomplete").mkdir(parents=True)
    shutil.copy(BUILT / "sface_2021dec.onnx", tmp_path / "models/incomplete")
    assert installed_packs() == []
    shutil.copytree(request.getfixturevalue("pack"), tmp_path / "models/zebra")
    assert choose_model(None).name == "zebra"
    shutil.copytree(tmp_path / "models/zebra", tmp_path / "models/buffalo_l")
    choice = choose_model(None)
    assert choice.name == "buffalo_l"
    assert str(Hint.EMBEDDED) in str(choice.note)
    assert model_info("buffalo_l").identity == model_info(str(tmp_path / "models/zebra")).identity
    assert model_info("buffalo_l").identity != model_info("embedded").identity


def test_invalid_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'nonsense'.*available: embedded"):
        model_info("nonsense")
    with pytest.raises(ModelError, match=r"no detection head among its 0"):
        model_info(str(tmp_path))
    (tmp_path / "broken.onnx").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(ModelError, match=r"broken\.onnx: not a model file"):
        model_info(str(tmp_path))
    for device in ("cpu", "openvino"):
        if device == "openvino" and find_spec("openvino") is None:
            continue
        with pytest.raises(ModelError, match=r"broken\.onnx: not a model that .* can load") as caught:
            open_session(tmp_path / "broken.onnx", choose_runtime(device))
        assert "\n" not in str(caught.value)
        with pytest.raises(ModelError, match="model file not found"):
            open_session(tmp_path / "missing.onnx", choose_runtime(device))


def test_a_missing_device_is_never_replaced() -> None:
    with pytest.raises(UsageError, match="device tpu: choose one of"):
        choose_runtime("tpu")
    with pytest.raises(DeviceError, match=r"device cuda is not available.*onnxruntime-gpu"):
        choose_runtime("cuda")
    assert choose_runtime("auto").device == "cpu"
    assert choose_runtime("cpu", threads=3).threads == 3
    assert str(choose_runtime("cpu", threads=1)) == "ONNX Runtime on cpu, f32, 1 thread"


def test_a_manifest_names_the_heads_and_how_pixels_are_scaled(own_pack: Path, tmp_path: Path) -> None:
    named = open_model(str(make_pack_with_manifest(tmp_path / "raccoon")), choose_runtime("cpu"))
    by_shape = open_model(str(own_pack), choose_runtime("cpu"))
    assert sorted(named.info.digests) == ["faces.onnx", "recognition.onnx"]
    picture = shipped_photo("t1")
    one, other = (extract_faces(model, as_photo(picture)) for model in (named, by_shape))
    assert len(one) == len(other) == 6
    for first, second in zip(one, other, strict=True):
        assert first.detection.box.overlap(second.detection.box) > 0.99
        assert first.embedding @ second.embedding > 0.999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "../elsewhere.onnx"}, "its detection head is outside the folder"),
        ({"file": "missing.onnx"}, "missing.onnx: not a model file"),
        ({"sha256": "0" * 64}, "not the file that its manifest names"),
        ({"preprocessing": "guess"}, "names no usable detection head"),
        ({"preprocessing": {"mean": 0, "std": 0}}, "or has no valid scale"),
        ({"file": 7}, "names no usable detection head"),
    ],
)
def test_manifests_that_cannot_be_used(tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder = make_pack_with_manifest(tmp_path / "raccoon")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tasks"]["detection"].update(change)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=message) as caught:
        model_info(str(folder))
    assert "\n" not in str(caught.value)


def test_a_manifest_of_another_kind_is_ignored(own_pack: Path, tmp_path: Path) -> None:
    shutil.copytree(own_pack, tmp_path / "own")
    for text in ("no json", "[]", '{"manifest_version": 1}'):
        (tmp_path / "own/manifest.json").write_text(text)
        assert model_info(str(tmp_path / "own")).identity == model_info(str(own_pack)).identity
