"""The package as users get it: built, installed into an empty environment without a network, and used."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "packaging"))
from wheelhouse import fetch_wheels

pytestmark = pytest.mark.thorough

WHEELHOUSE = CHECKOUT / "build" / "wheelhouse"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel built from it; the build downloads its requirements from PyPI."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(CHECKOUT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of all dependencies: fetched by `make wheelhouse`, or else now."""
    if (WHEELHOUSE / ".complete").exists():
        return WHEELHOUSE
    folder = tmp_path_factory.mktemp("wheelhouse")
    fetch_wheels(folder)
    return folder


def without_network() -> list[str]:
    """Return the prefix that runs a command in an empty network namespace; empty if the system allows none."""
    for alone in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        try:
            if not subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
                return alone
        except FileNotFoundError:  # not Linux
            pass
    return []


def test_the_wheel_installs_and_works_without_a_network(
    built: Path, wheels: Path, library: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    alone = without_network()
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "new", with_pip=True)  # empty: the packages of these tests are not visible
    commands = tmp_path / "new" / "bin"
    # If no namespace can be made, a missing proxy blocks pip and facesearch.
    offline = {**environment, "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}

    def run(*command: str | Path, **extra: str) -> str:
        done = subprocess.run(
            [*alone, *command], env={**offline, **extra}, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    of_pip = {"PYTHONWARNINGS": "default", "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run(commands / "python", "-m", "pip", "install", "--no-index", "--find-links", wheels, wheel, **of_pip)
    run(commands / "python", "-m", "pip", "check", **of_pip)
    where = run(commands / "python", "-c", "import facesearch; print(facesearch.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path / "new")

    facesearch = commands / "facesearch"
    report = run(facesearch, "index", library / "photos", "--index", "ix", "--model", "embedded")
    assert dict(line.split(maxsplit=1) for line in report.splitlines())["photos"] == "20"
    found = run(facesearch, "query", library / "query.jpg", "--index", "ix", "--format", "paths")
    assert {Path(line).name for line in found.splitlines()} == {
        "everybody.jpg", "everybody small.webp", "left half.png", "bea.jpg",
    }  # fmt: skip


def files_in(*folders: str) -> set[str]:
    """Return the files of the repository in these folders."""
    found = (path for folder in folders for path in (CHECKOUT / folder).rglob("*") if path.is_file())
    made = {"__pycache__", "weights"}
    return {path.relative_to(CHECKOUT).as_posix() for path in found if made.isdisjoint(path.parts)}


def test_the_wheel_has_the_package_the_models_and_the_licences(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"facesearch"}
    weights = ("manifest.json", "yunet_2023mar.onnx", "sface_2021dec.onnx")
    assert files_in("facesearch") | {f"facesearch/models/weights/{name}" for name in weights} <= names
    licences = {Path(name).name for name in names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "YuNet-MIT.txt", "SFace-Apache-2.0.txt"}


def test_the_sdist_has_what_packagers_need_and_no_index(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", "pyproject.toml"}
    assert files_in("benchmarks", "docs", "facesearch", "packaging", "tests") | pages <= names
    local = ("build", "demo", "dist", "indexes", "facesearch/models/weights", ".venv")
    assert [name for name in names if name.startswith(local)] == ["indexes/.gitkeep"]
