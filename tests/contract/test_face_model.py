"""The contract of face models, on real photos: the embedded one and InsightFace packs, on every available runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import MODELS, openvino_runtime
from PIL import Image, ImageOps
from sample_library import FACES_IN_T1, as_photo, save_with_orientation, shipped_photo

from facesearch.faces.crops import aligned_crops
from facesearch.faces.detect import detect_faces
from facesearch.faces.extract import extract_faces
from facesearch.models import bundled
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo
from facesearch.types import Box, Face

BUILT = Path(bundled.__file__).parent / "weights"


def overlaps(box: Box, expected: tuple[int, int, int, int]) -> bool:
    return box.overlap(Box(*map(float, expected))) > 0.4


def test_six_people_are_found_where_they_are(any_model: FaceModel) -> None:
    faces = extract_faces(any_model, as_photo(shipped_photo("t1")))
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
    (reference,) = extract_faces(any_model, as_photo(astronaut))
    changed = {
        "half": astronaut.resize((256, 256)),
        "four times": astronaut.resize((2048, 2048), Image.Resampling.BICUBIC),
        "mirrored": ImageOps.mirror(astronaut),
        "fills the frame": astronaut.crop((170, 55, 282, 185)),
        "huge and fills the frame": astronaut.crop((170, 55, 282, 185)).resize((1120, 1300)),
    }
    for change, image in changed.items():
        faces = extract_faces(any_model, as_photo(image))
        assert faces, change
        assert faces[0].embedding @ reference.embedding > 0.75, change


def test_small_faces_are_found(model: FaceModel) -> None:
    """Faces of about 20 pixels are found in a small photo and in one of twelve megapixels."""
    group = shipped_photo("t1")
    small = group.resize((256, 177), Image.Resampling.LANCZOS)
    found = extract_faces(model, as_photo(small))
    for box in FACES_IN_T1.values():
        left, top, width, height = (side // 5 for side in box)
        assert any(overlaps(face.detection.box, (left, top, width, height)) for face in found)
    assert len(found) <= 7
    large = Image.new("RGB", (4000, 3000), (90, 110, 90))
    for column in range(3):
        large.paste(group.resize((600, 415), Image.Resampling.LANCZOS), (300 + 1200 * column, 1400))
    found = extract_faces(model, as_photo(large))
    assert len(found) == 18


# A JPEG file loses other details when it is compressed on its side.
@pytest.mark.parametrize(("kind", "least"), [("png", 0.9999), ("jpg", 0.98)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_changes_neither_box_nor_embedding(
    model: FaceModel, orientation: int, kind: str, least: float, tmp_path: Path
) -> None:
    seen = []
    for number in (1, orientation):
        path = tmp_path / f"turned {number}.{kind}"
        save_with_orientation(shipped_photo("astronaut"), path, number)
        seen += extract_faces(model, Photo(path.read_bytes()))
    upright, turned = seen
    assert turned.detection.box.overlap(upright.detection.box) > 0.95
    assert turned.embedding @ upright.embedding > least


# Except the own pack: it has YuNet's scores, which at a wrong rotation are as high as SCRFD's for an upright face.
@pytest.mark.parametrize(
    "any_model",
    [
        pytest.param(name, marks=pytest.mark.thorough if " on " in name else ())
        for name in MODELS
        if not name.startswith("own_pack")
    ],
    indirect=True,
)
@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("person", ["astronaut", "t1"])
def test_a_photo_on_its_side_without_a_tag(any_model: FaceModel, turns: int, person: str) -> None:
    upright = shipped_photo(person)
    references = extract_faces(any_model, as_photo(upright))
    turned = upright.rotate(90 * turns, expand=True)
    faces = extract_faces(any_model, as_photo(turned))
    assert len(faces) == len(references)
    for reference in references:
        assert max(float(face.embedding @ reference.embedding) for face in faces) > 0.8
    box = Box(0, 0, float(turned.width), float(turned.height))
    for face in faces:
        assert box.overlap(face.detection.box) > 0, "boxes are in pixels of the photo as stored"
    if not any_model.detector.finds_faces_of_any_size:  # SCRFD finds some rotated faces without it
        wrong = extract_faces(any_model, as_photo(turned), rotations=False)
        assert not any(_is(face, references) for face in wrong), "the test would pass without other rotations"


def _is(face: Face, references: list[Face]) -> bool:
    return max(float(face.embedding @ reference.embedding) for reference in references) > 0.8


def test_pictures_without_a_face(any_model: FaceModel) -> None:
    for name in ("coffee", "rocket"):
        assert extract_faces(any_model, as_photo(shipped_photo(name))) == []
    tiny = as_photo(Image.new("RGB", (1, 1)))
    assert extract_faces(any_model, tiny, thorough=True) == []
    thin = as_photo(Image.new("RGB", (3000, 2), (200, 150, 130)))
    assert extract_faces(any_model, thin, thorough=True) == []


def test_runtimes_agree_on_real_crops(model: FaceModel) -> None:
    other = open_model("embedded", openvino_runtime())
    picture = as_photo(shipped_photo("t1"))
    crops = aligned_crops(picture, detect_faces(model, picture))
    agreement = (model.embed(crops) * other.embed(crops)).sum(axis=1)
    assert agreement.min() >= 0.999


def test_small_faces_are_cropped_from_the_full_photo(tmp_path: Path) -> None:
    """The reduced decode used for detection has too few pixels to crop a small face."""
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
    missed = [path.name for path in portraits if not extract_faces(any_model, Photo(path.read_bytes()))]
    assert len(portraits) == 40
    assert missed == []
