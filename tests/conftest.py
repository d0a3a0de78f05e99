"""What the tests share: real photos, the real model, the real command."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from milvus_server import MilvusServer, running_milvus
from PIL import ImageEnhance, ImageOps
from postgres_server import PostgresServer, running_server
from sample_library import FACES_IN_T1, build, shipped_photo
from served import Served, Visits, open_chromium, serving

from facesearch.models import bundled
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import Runtime, choose_runtime
from facesearch.types import Box, Detection, Face, KnownFile, ModelInfo

if TYPE_CHECKING:
    from forks import Forks
    from playwright.sync_api import Browser

CHECKOUT = Path(__file__).parents[1]
REAL_PHOTOS = Path(os.environ.get("FACESEARCH_TEST_PHOTOS", CHECKOUT.parent / "shared" / "data"))

NOT_PERMITTED = "needs rights that this process does not have"
"""The start of a reason to skip: containers may forbid mounts and namespaces, and no package changes that."""

NO_REAL_PHOTOS = f"no labelled photos at {REAL_PHOTOS}; name a folder of them with FACESEARCH_TEST_PHOTOS"

hypothesis.settings.register_profile("facesearch", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("facesearch")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, fail a test that skips, unless the labelled photos or rights of a container are missing."""
    report = yield
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        if NO_REAL_PHOTOS not in reason and NOT_PERMITTED not in reason:
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: a test must not skip in CI. {reason}"
    return report


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """Labelled photos of real people, which are not part of the project."""
    if not REAL_PHOTOS.is_dir():
        pytest.skip(NO_REAL_PHOTOS)
    return REAL_PHOTOS


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process alone."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def milvus() -> Iterator[MilvusServer]:
    """A Milvus server of this test process alone."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_milvus())
        except PermissionError as error:
            pytest.skip(f"{NOT_PERMITTED}: {error}")
        yield server


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


def environment_in(folder: Path) -> dict[str, str]:
    """A user's environment with an empty home, on a machine where facesearch was never used."""
    home = folder / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(folder), "PYTHONWARNINGS": "error"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user's environment with an empty home, on a machine where facesearch was never used."""
    return environment_in(tmp_path)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """A Python that has loaded the libraries and forks for each command."""
    from forks import Forks

    forks = Forks(environment_in(tmp_path_factory.mktemp("forks")))
    yield forks
    forks.close()


@pytest.fixture
def facesearch(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Run:
    """The real command, in a process of its own, in an empty folder; `exit_code` is what it may end with.

    In tests marked `fresh_python`, in every sixteenth test in CI, and with options besides `env`, the process is a new
    Python. Otherwise it is a fork of one that has loaded the libraries.
    """
    one_in_sixteen = zlib.crc32(request.node.nodeid.encode()) % 16 == 0
    marked = request.node.get_closest_marker("fresh_python") is not None
    fresh = marked or (bool(os.environ.get("CI")) and one_in_sixteen)

    def start(arguments: Sequence[str | Path | bytes], options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        extra: Mapping[str, str] = options.pop("env", {})
        if not (fresh or options):
            forks: Forks = request.getfixturevalue("forks")
            return forks.run(arguments, {**environment, **extra}, tmp_path)
        return subprocess.run(
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

    def run(
        *arguments: str | Path | bytes, exit_code: int | Collection[int] = 0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        result = start(arguments, options)
        assert "Traceback" not in result.stderr, result.stderr
        expected = [exit_code] if isinstance(exit_code, int) else exit_code
        assert result.returncode in expected, f"exit {result.returncode}: {result.stderr}{result.stdout}"
        return result

    return run


def start_process(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
    """Start a process that signals can end, no matter how the tests themselves were started.

    A script's background job ignores SIGINT, one under `nohup` ignores SIGHUP, and children inherit that. They do not
    inherit handlers: a signal that has one while a child starts is back at its default in the child.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        return subprocess.Popen(command, **options)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def one_in(step: int, cases: Sequence[Any]) -> list[Any]:
    """Cases for `parametrize`: the first and every `step`-th after it by default, as many more in CI, the rest slow."""

    def marks(number: int) -> Any:
        return (() if number % step == 0 else pytest.mark.thorough) if number % step < 2 else pytest.mark.slow

    values = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*value, marks=marks(number)) for number, value in enumerate(values)]


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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, indexed: Path) -> Iterator[Served]:
    """The server of an index of the sample library, which tests may write to."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(indexed, folder / "index")
    with serving(folder / "index", folder) as server:
        yield server


@pytest.fixture
def visit(chromium: Browser, served: Served) -> Iterator[Visits]:
    """Opens pages of the server; at the end all that was said is taken back, and nothing may have gone wrong."""
    visits = Visits(chromium, served)
    yield visits
    try:
        visits.end()
    finally:
        served.take_all_back()


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Path:
    """Photos with hostile names in `photos`, and their index in `index`; to be left as it was."""
    from web_server import hostile_library

    return hostile_library(tmp_path_factory.mktemp("hostile"), library)


MODELS = ("embedded", "embedded on openvino", "pack", "pack on openvino", "own_pack", "own_pack on openvino")
"""What `any_model` takes: every kind of model on every runtime here."""


def _marks_of(name: str) -> Any:
    """In CI the embedded model stands for OpenVINO; the packs on it are slow."""
    if " on " not in name:
        return ()
    return pytest.mark.thorough if name.startswith("embedded") else pytest.mark.slow


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


@pytest.fixture(
    params=[pytest.param(name, marks=_marks_of(name)) for name in MODELS],
    scope="session",
)
def any_model(request: pytest.FixtureRequest) -> FaceModel:
    """Every kind of model on every runtime here."""
    name, _, device = request.param.partition(" on ")
    runtime = openvino_runtime() if device else choose_runtime("cpu")
    return open_model(name if name == "embedded" else str(request.getfixturevalue(name)), runtime)
