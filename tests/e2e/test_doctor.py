"""`facesearch doctor`: findings and advice, on working and on broken installations."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import Run
from own_pack import make_pack, make_pack_with, random_recogniser

from facesearch.models import bundled


def findings(answer: str) -> dict[str, dict[str, object]]:
    return {finding["about"]: finding for finding in json.loads(answer)["findings"]}


def install(folder: Path, name: str) -> None:
    """Write the metadata that pip keeps for a package, without the package."""
    info = folder / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")


def test_all_is_well(facesearch: Run, indexed: Path) -> None:
    answer = facesearch("doctor", "--index", indexed)
    assert answer.stdout.endswith("\nNothing to do.\n"), answer.stdout
    told = findings(facesearch("doctor", "--index", indexed, "-f", "json").stdout)
    assert {"facesearch", "Python", "onnxruntime", "processors", "memory", "model embedded", "free disk"} <= set(told)
    assert str(told["index"]["found"]).startswith("20 photos, 32 faces, model embedded, in ")
    assert any(name.startswith("ONNX Runtime ") for name in told)
    assert not any(finding["broken"] for finding in told.values())


def test_without_an_index_it_says_how_to_make_one(facesearch: Run, tmp_path: Path) -> None:
    answer = facesearch("doctor", "--index", "none/yet")
    assert "index: make one with `facesearch index FOLDER`" in answer.stdout
    assert not (tmp_path / "none").exists(), "doctor changes nothing"
    assert list((tmp_path / "home").iterdir()) == []


def test_the_model_of_an_index_is_tested_in_any_folder(facesearch: Run, tmp_path: Path) -> None:
    make_pack_with(tmp_path / "pack", random_recogniser(3))
    (tmp_path / "photos").mkdir()
    facesearch("index", "photos", "--index", "ix", "--model", "pack", "-q")
    told = findings(facesearch("doctor", "--index", "ix", "-f", "json").stdout)
    finding = told[f"model {tmp_path / 'pack'}"]
    assert "its recogniser does not tell people apart" in str(finding["found"])
    assert finding["advice"] == "switch to another model with facesearch reindex --model NAME"


@pytest.mark.fresh_python
def test_packages_that_hide_each_other(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("onnxruntime-gpu", "opencv-python", "opencv-python-headless"):
        install(site, name)
    answer = facesearch("doctor", "--index", indexed, env={"PYTHONPATH": str(site)})
    for rivals in (r"onnxruntime 1.", "onnxruntime-gpu 9.9", "opencv-python 9.9 and opencv-python-headless 9.9"):
        assert rivals in answer.stdout
    assert "hide each other: pip uninstall all of them" in answer.stdout
    assert "What to do:" in answer.stdout


@pytest.mark.fresh_python
def test_a_library_that_cannot_be_loaded(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "site/cv2").mkdir(parents=True)
    broken = "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')\n"
    (tmp_path / "site/cv2/__init__.py").write_text(broken)
    (tmp_path / "site/onnxruntime").mkdir()
    (tmp_path / "site/onnxruntime/__init__.py").write_text("")  # as left behind by an uninstalled conflicting package
    install(tmp_path / "site", "opencv-python")
    answer = facesearch("doctor", "--index", indexed, env={"PYTHONPATH": str(tmp_path / "site")}, exit_code=3)
    assert "apt install libgl1" in answer.stdout
    assert "onnxruntime cannot be loaded" in answer.stdout
    assert "pip install --force-reinstall onnxruntime" in answer.stdout


def test_a_damaged_index(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    shutil.copytree(indexed, tmp_path / "ix")
    with (tmp_path / "ix/catalog.sqlite").open("r+b") as stream:
        stream.write(os.urandom(4096))
    damaged = facesearch("doctor", "--index", "ix", exit_code=3)
    assert "index: run `facesearch check`" in damaged.stdout


@pytest.mark.thorough
def test_a_pack_that_changed(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    make_pack(tmp_path / "mine")
    facesearch("models", "add", "mine")
    sound = findings(facesearch("doctor", "--index", indexed, "-f", "json").stdout)["model mine"]
    assert (sound["found"], sound["advice"]) == ("OK", None)
    changed = max((tmp_path / "mine").glob("*.onnx"), key=lambda graph: graph.stat().st_size)
    with changed.open("ab") as stream:
        stream.write(b"more")
    finding = findings(facesearch("doctor", "--index", indexed, "-f", "json").stdout)["model mine"]
    assert finding["found"] == f"{changed}: changed, its checksum is wrong"
    assert finding["advice"] == "run `facesearch models remove mine`, then install it again"
    assert (
        "model mine: run `facesearch models remove mine`, then install it again"
        in facesearch("doctor", "--index", indexed).stdout
    )


def test_settings_with_invalid_paths(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    nobody = facesearch("doctor", "--index", indexed, env={"FACESEARCH_MODEL": "zzz"}, exit_code=3)
    assert "no model 'zzz'" in nobody.stdout
    (tmp_path / "file").write_text("")
    assert "is a file" in facesearch("doctor", "--index", "file", exit_code=3).stdout
    settings = tmp_path / "home/.local/share/facesearch"
    settings.mkdir(parents=True)
    (settings / "models.json").write_text("{")
    damaged = facesearch("doctor", "--index", indexed, exit_code=3)
    assert "models.json" in damaged.stdout
    assert "index  " in damaged.stdout, "the rest is still reported"


def test_modified_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundled.built_faults() == []
    weights = tmp_path / "weights"
    shutil.copytree(Path(bundled.__file__).parent / "weights", weights)
    monkeypatch.setattr(bundled, "_WEIGHTS", weights)
    detector = weights / "yunet_2023mar.onnx"
    data = bytearray(detector.read_bytes())
    data[len(data) // 2] ^= 1
    detector.write_bytes(bytes(data))
    (weights / "sface_2021dec.onnx").unlink()
    assert [fault.removeprefix(f"{weights}/") for fault in bundled.built_faults()] == [
        "yunet_2023mar.onnx: changed since the package was built",
        "sface_2021dec.onnx: cannot be read (No such file or directory)",
    ]
