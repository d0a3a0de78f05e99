"""What every face model promises, on real photos: the embedded one, an InsightFace pack, on every runtime here."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from own_pack import make_pack, make_pack_with_manifest
from PIL import Image, ImageOps
from sample_library import FACES_IN_T1, save_with_orientation, shipped_photo

from facesearch.errors import DeviceError, Hint, ModelError, UsageError
from facesearch.faces.extract import aligned_crops, detect_faces, find_faces
from facesearch.models import bundled
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import choose_model, installed_packs, model_info, open_model
from facesearch.models.runtime import Runtime, choose_runtime, open_session
from facesearch.photos.decode import Photo
from facesearch.types import Box, Face

BUILT = Path(bundled.__file__).parent / "weights"


def photo(image: Image.Image) -> Photo:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Photo(buffer.getvalue())


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory, real_photos: Path) -> Path:
    """A real pack in InsightFace's format: a SCRFD detector and the SFace that the build made."""
    folder = tmp_path_factory.mktemp("packs") / "mixed"
    folder.mkdir()
    shutil.copy(real_photos / "models/scrfd_500m_kps.onnx", folder / "det_500m.onnx")
    shutil.copy(BUILT / "sface_2021dec.onnx", folder / "w_sface.onnx")
    return folder


def openvino_runtime() -> Runtime:
    if find_spec("openvino") is None:
        pytest.skip("openvino is not installed: pip install 'facesearch[openvino]'")
    return choose_runtime("openvino")


@pytest.fixture(scope="session")
def own_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack whose detector takes pictures of any size, made of what the package carries."""
    return make_pack(tmp_path_factory.mktemp("packs") / "own")


@pytest.fixture(
    params=["embedded", "embedded on openvino", "pack", "pack on openvino", "own_pack", "own_pack on openvino"],
    scope="session",
)
def any_model(request: pytest.FixtureRequest) -> FaceModel:
    name, _, device = request.param.partition(" on ")
    runtime = openvino_runtime() if device else choose_runtime("cpu")
    return open_model(name if name == "embedded" else str(request.getfixturevalue(name)), runtime)


def overlaps(box: Box, expected: tuple[int, int, int, int]) -> bool:
    return box.overlap(Box(*map(float, expected))) > 0.4


def test_six_people_are_found_where_they_are(any_model: FaceModel) -> None:
    faces = find_faces(any_model, photo(shipped_photo("t1")))
    assert len(faces) == 6
    for expected in FACES_IN_T1.values():
        assert sum(overlaps(face.detection.box, expected) for face in faces) == 1
    scores = [face.detection.score for face in faces]
    assert scores == sorted(scores, reverse=True)
    for face in faces:
        assert face.embedding.shape == (any_model.info.dim,)
        assert face.embedding.dtype == np.float32
        assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-5)
    similarities = np.array([face.embedding for face in faces]) @ np.array([face.embedding for face in faces]).T
    assert similarities[np.triu_indices(6, 1)].max() < 0.4, "six different people"


def test_batches_of_any_size_give_what_single_pictures_give(any_model: FaceModel) -> None:
    pictures = [np.asarray(shipped_photo(name)) for name in ("t1", "coffee", "astronaut", "cameraman")]
    together = any_model.detect(pictures)
    for picture, found in zip(pictures, together, strict=True):
        (alone,) = any_model.detect([picture])
        assert len(alone) == len(found)
        for one, other in zip(alone, found, strict=True):
            assert one.box.overlap(other.box) > 0.98
            assert one.score == pytest.approx(other.score, abs=0.01)
    assert any_model.detect([]) == []
    crops = np.random.default_rng(0).integers(0, 255, (19, 112, 112, 3), dtype=np.uint8)
    embeddings = any_model.embed(crops)
    assert embeddings.shape == (19, any_model.info.dim)
    singly = np.concatenate([any_model.embed(crop[None]) for crop in crops])
    assert (embeddings * singly).sum(axis=1).min() > 0.999
    assert any_model.embed(crops[:0]).shape == (0, any_model.info.dim)


def test_a_face_is_the_same_at_every_size_and_in_a_mirror(any_model: FaceModel) -> None:
    astronaut = shipped_photo("astronaut")
    (reference,) = find_faces(any_model, photo(astronaut))
    changed = {
        "half": astronaut.resize((256, 256)),
        "four times": astronaut.resize((2048, 2048), Image.Resampling.BICUBIC),
        "mirrored": ImageOps.mirror(astronaut),
        "fills the frame": astronaut.crop((170, 55, 282, 185)),
        "huge and fills the frame": astronaut.crop((170, 55, 282, 185)).resize((1120, 1300)),
    }
    for change, image in changed.items():
        faces = find_faces(any_model, photo(image))
        assert faces, change
        assert faces[0].embedding @ reference.embedding > 0.75, change


def test_small_faces_are_found(model: FaceModel) -> None:
    """Faces of some 20 pixels, in a small photo and in one of twelve megapixels."""
    group = shipped_photo("t1")
    small = group.resize((256, 177), Image.Resampling.LANCZOS)
    found = find_faces(model, photo(small))
    for box in FACES_IN_T1.values():
        left, top, width, height = (side // 5 for side in box)
        assert any(overlaps(face.detection.box, (left, top, width, height)) for face in found)
    assert len(found) <= 7
    large = Image.new("RGB", (4000, 3000), (90, 110, 90))
    for column in range(3):
        large.paste(group.resize((600, 415), Image.Resampling.LANCZOS), (300 + 1200 * column, 1400))
    found = find_faces(model, photo(large))
    assert len(found) == 18


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_changes_neither_box_nor_embedding(model: FaceModel, orientation: int, tmp_path: Path) -> None:
    upright = shipped_photo("astronaut")
    references = find_faces(model, photo(upright))
    path = tmp_path / "turned.jpg"
    save_with_orientation(upright, path, orientation)
    (face,) = find_faces(model, Photo(path.read_bytes()))
    assert face.detection.box.overlap(references[0].detection.box) > 0.95
    assert face.embedding @ references[0].embedding > 0.98


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("person", ["astronaut", "t1"])
def test_a_photo_on_its_side_without_a_tag(any_model: FaceModel, turns: int, person: str) -> None:
    if any_model.info.name == "own":
        pytest.skip("its scores are YuNet's, at a wrong turn as sure as a SCRFD detector is of an upright face")
    upright = shipped_photo(person)
    references = find_faces(any_model, photo(upright))
    turned = upright.rotate(90 * turns, expand=True)
    faces = find_faces(any_model, photo(turned))
    assert len(faces) == len(references)
    for reference in references:
        assert max(float(face.embedding @ reference.embedding) for face in faces) > 0.8
    box = Box(0, 0, float(turned.width), float(turned.height))
    for face in faces:
        assert box.overlap(face.detection.box) > 0, "boxes are those of the photo as it is stored"
    if any_model.max_side is None:  # SCRFD finds some faces on their side by itself
        wrong = find_faces(any_model, photo(turned), rotations=False)
        assert not any(_is(face, references) for face in wrong), "passes without looking at other turns"


def _is(face: Face, references: list[Face]) -> bool:
    return max(float(face.embedding @ reference.embedding) for reference in references) > 0.8


def test_pictures_without_a_face(any_model: FaceModel) -> None:
    for name in ("coffee", "rocket"):
        assert find_faces(any_model, photo(shipped_photo(name))) == []
    tiny = photo(Image.new("RGB", (1, 1)))
    assert find_faces(any_model, tiny, thorough=True) == []
    thin = photo(Image.new("RGB", (3000, 2), (200, 150, 130)))
    assert find_faces(any_model, thin, thorough=True) == []


def test_runtimes_agree_on_real_crops(model: FaceModel) -> None:
    other = open_model("embedded", openvino_runtime())
    picture = photo(shipped_photo("t1"))
    crops = aligned_crops(picture, detect_faces(model, picture))
    agreement = (model.embed(crops) * other.embed(crops)).sum(axis=1)
    assert agreement.min() >= 0.999


def test_small_faces_are_cropped_from_the_full_photo(tmp_path: Path) -> None:
    """A reduced decode that served detection has too few pixels for a small face's crop."""
    path = tmp_path / "large.jpg"
    shipped_photo("t1").resize((3840, 2658), Image.Resampling.BICUBIC).save(path, quality=95)
    reduced = Photo(path.read_bytes())
    assert max(reduced.level(1280).image.size) == 1920
    found = detect_faces(open_model("embedded", choose_runtime("cpu")), reduced)
    crops = aligned_crops(Photo(path.read_bytes()), found)
    whole = Photo(path.read_bytes())
    whole.level(3840)
    again = aligned_crops(whole, found)
    assert np.abs(crops.astype(int) - again.astype(int)).mean() < 3


def test_the_portraits_of_real_people_are_found(any_model: FaceModel, real_photos: Path) -> None:
    portraits = sorted((real_photos / "bbt/portraits").glob("*/*"))
    missed = [path.name for path in portraits if not find_faces(any_model, Photo(path.read_bytes()))]
    assert len(portraits) == 40
    assert missed == []


def test_sessions_have_the_interface_that_packs_need(pack: Path) -> None:
    """insightface takes the outputs of a detector in the order of the graph."""
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


def test_models_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'nonsense'.*have: embedded"):
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
        with pytest.raises(ModelError, match="no such model file"):
            open_session(tmp_path / "missing.onnx", choose_runtime(device))


def test_a_device_that_is_not_there_is_never_replaced() -> None:
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
    one, other = (find_faces(model, photo(picture)) for model in (named, by_shape))
    assert len(one) == len(other) == 6
    for first, second in zip(one, other, strict=True):
        assert first.detection.box.overlap(second.detection.box) > 0.99
        assert first.embedding @ second.embedding > 0.999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "../elsewhere.onnx"}, "its detection head is none of this folder"),
        ({"file": "missing.onnx"}, "missing.onnx: not a model file"),
        ({"sha256": "0" * 64}, "not the file that its manifest names"),
        ({"preprocessing": "guess"}, "names no detection head that can be used"),
        ({"preprocessing": {"mean": 0, "std": 0}}, "or has no scale"),
        ({"file": 7}, "names no detection head that can be used"),
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


def test_a_manifest_of_another_kind_is_none(own_pack: Path, tmp_path: Path) -> None:
    shutil.copytree(own_pack, tmp_path / "own")
    for text in ("no json", "[]", '{"manifest_version": 1}'):
        (tmp_path / "own/manifest.json").write_text(text)
        assert model_info(str(tmp_path / "own")).identity == model_info(str(own_pack)).identity
