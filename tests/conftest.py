"""What the tests share: real photos, the real model, the real command."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageEnhance, ImageOps
from sample_library import FACES_IN_T1, build, shipped_photo

from facesearch.models import bundled
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import Runtime, choose_runtime
from facesearch.types import Box, Detection, Face, KnownFile, ModelInfo

CHECKOUT = Path(__file__).parents[1]
REAL_PHOTOS = Path(os.environ.get("FACESEARCH_TEST_PHOTOS", CHECKOUT.parent / "shared" / "data"))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """Labelled photos of real people, which are not part of the project."""
    if not REAL_PHOTOS.is_dir():
        pytest.skip(f"no labelled photos at {REAL_PHOTOS}; name a folder of them with FACESEARCH_TEST_PHOTOS")
    return REAL_PHOTOS


@pytest.fixture(scope="session")
def model() -> FaceModel:
    """The embedded model, loaded once."""
    return open_model("embedded", choose_runtime("cpu"))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample library: `photos/` and `query.jpg`; not to be written to."""
    folder = tmp_path_factory.mktemp("library")
    build(folder)
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six people, four photos each, made from one of each."""
    for person, (left, top, width, height) in FACES_IN_T1.items():
        folder = tmp_path / "people" / person
        folder.mkdir(parents=True)
        box = (left - width // 2, max(0, top - height // 2), left + width * 3 // 2, top + height * 3 // 2)
        portrait = shipped_photo("t1").crop(box)
        changed = [portrait, ImageOps.mirror(portrait), ImageEnhance.Brightness(portrait).enhance(0.7)]
        changed.append(ImageOps.autocontrast(portrait))
        for number, picture in enumerate(changed):
            picture.save(folder / f"{number}.png")
    return tmp_path / "people"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user's environment with an empty home, on a machine where facesearch was never used."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "error"}


@pytest.fixture
def facesearch(environment: dict[str, str], tmp_path: Path) -> Run:
    """The real command, in a process of its own, in an empty folder; `exit_code` is what it has to end with."""

    def run(*arguments: str | Path | bytes, exit_code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        extra: Mapping[str, str] = options.pop("env", {})
        result = subprocess.run(
            [sys.executable, "-m", "facesearch", *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            env={**environment, **extra},
            cwd=options.pop("cwd", tmp_path),
            timeout=120,
            check=False,
            **options,
        )
        assert "Traceback" not in result.stderr, result.stderr
        assert result.returncode == exit_code, f"exit {result.returncode}: {result.stderr}{result.stdout}"
        return result

    return run


def toy_model_info(name: str = "toy", dim: int = 8, **changes: Any) -> ModelInfo:
    """A model that exists on paper only, for parts that keep embeddings without making them."""
    values: dict[str, Any] = {
        "name": name, "dim": dim, "digests": {"weights": name * 8}, "revision": 1, "threshold": 0.5, "licence": "none",
    }  # fmt: skip
    return ModelInfo(**{**values, **changes})


def toy_face(
    embedding: np.ndarray[Any, Any] | list[float],
    box: tuple[float, float, float, float] = (0, 0, 50, 60),
    quality: float | None = None,
) -> Face:
    """A face with a given embedding, brought to unit length."""
    vector = np.asarray(embedding, dtype=np.float32)
    landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
    return Face(Detection(Box(*box), landmarks, 0.9), vector / np.linalg.norm(vector), quality)


def known_file(path: str | bytes | Path) -> KnownFile:
    """A file as an index would know it; one that is missing as it might have been."""
    name = os.fsencode(path)
    if not os.path.isfile(name):
        return KnownFile(name, 0, bytes(32))
    data = Path(os.fsdecode(name)).read_bytes()
    return KnownFile(name, len(data), hashlib.sha256(data).digest())


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Path:
    """An index of the sample library; not to be written to."""
    path = tmp_path_factory.mktemp("indexed") / "index"
    command: list[str | Path] = [sys.executable, "-m", "facesearch", "index", library / "photos", "--index", path]
    subprocess.run([*command, "--model", "embedded", "--device", "cpu"], check=True, capture_output=True)
    return path


MODELS = ("embedded", "embedded on openvino", "pack", "pack on openvino", "own_pack", "own_pack on openvino")
"""What `any_model` takes: every kind of model on every runtime here."""


def openvino_runtime() -> Runtime:
    """OpenVINO, or a skipped test where it is not installed."""
    if find_spec("openvino") is None:
        pytest.skip("openvino is not installed: pip install 'facesearch[openvino]'")
    return choose_runtime("openvino")


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory, real_photos: Path) -> Path:
    """A real pack in InsightFace's format: a SCRFD detector and the SFace that the build made."""
    folder = tmp_path_factory.mktemp("packs") / "mixed"
    folder.mkdir()
    shutil.copy(real_photos / "models/scrfd_500m_kps.onnx", folder / "det_500m.onnx")
    shutil.copy(Path(bundled.__file__).parent / "weights/sface_2021dec.onnx", folder / "w_sface.onnx")
    return folder


@pytest.fixture(scope="session")
def own_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack whose detector takes pictures of any size, made of what the package carries."""
    from own_pack import make_pack

    return make_pack(tmp_path_factory.mktemp("packs") / "own")


@pytest.fixture(params=MODELS, scope="session")
def any_model(request: pytest.FixtureRequest) -> FaceModel:
    """Every kind of model on every runtime here."""
    name, _, device = request.param.partition(" on ")
    runtime = openvino_runtime() if device else choose_runtime("cpu")
    return open_model(name if name == "embedded" else str(request.getfixturevalue(name)), runtime)
