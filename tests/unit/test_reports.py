"""The small renderers, as text and as data: calibrations, comparisons, findings and exported faces."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import toy_face

from facesearch.care.doctor import Finding
from facesearch.errors import StorageError
from facesearch.evaluation.compare_models import RATES, Standing
from facesearch.models.resolve import ListedModel
from facesearch.render.calibrations import render_calibration
from facesearch.render.dump import dump_text, save_npz
from facesearch.render.faces import render_faces
from facesearch.render.findings import render_findings
from facesearch.render.models import models_record, models_table
from facesearch.render.standings import standings_record, standings_table
from facesearch.search.naming import NamedFace
from facesearch.search.probes import Probe
from facesearch.types import FaceRecord

if TYPE_CHECKING:
    from facesearch.types import FloatArray

GOOD = Standing("good", "MIT", 40, 39, 1, 0.975, (0.99, 0.95, 0.9), 0.0123)
QUICK = Standing("quick", "MIT", 40, 40, 0, 0.9, (0.98, 0.91, None), 0.004)


def columns(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_a_calibration_shows_the_first_similarity_of_each_rate() -> None:
    curve = {
        "photos": 1, "log10_fmr": [-1.0, -2.0, -3.5, -4.2], "tmr": [1.0, 0.9, 0.8, 0.7],
        "tmr_worst_person": [0.9, 0.8, 0.5, 0.25], "measured_to": -3.6,
    }  # fmt: skip
    table = {"faces": 1200, "people": 12, "left_out": 3, "similarity": [0.1, 0.2, 0.3, 0.4], "curves": [curve]}
    line, head, *rows = render_calibration(table).splitlines()
    assert line == "1,200 faces of 12 people, 3 skipped"
    assert head.split() == ["photos", "fmr", "similarity", "found", "worst", "person"]
    assert [row.split() for row in rows] == [
        ["1", "1e-2", "0.20", "90.0%", "80.0%"],
        ["1", "1e-3", "0.30", "80.0%", "50.0%"],
        ["1", "1e-4", "0.40", "70.0%", "25.0%", "extrapolated"],
    ]


def test_models_are_ranked_by_the_hardest_rate_that_all_were_measured_at() -> None:
    head, *rows = columns(standings_table([QUICK, GOOD]))
    assert [row[0] for row in rows] == ["good", "quick"], "ranked at one rate; quick is better at an easier one"
    assert "too few" in standings_table([QUICK])
    assert head[:2] == ["model", "faces"]
    record = standings_record([GOOD, QUICK])["models"]
    assert [one["model"] for one in record] == ["good", "quick"]
    assert record[1]["tmr"] == {f"{rate:g}": share for rate, share in zip(RATES, QUICK.tmr, strict=True)}
    assert (record[0]["found"], record[0]["left_out"], record[0]["seconds_a_photo"]) == (39, 1, 0.0123)


def test_a_checkup_ends_with_what_to_do() -> None:
    findings = [
        Finding("Python", "3.11"),
        Finding("memory", "512 MB", "close other programs"),
        Finding("onnx", "not installed", "pip install onnx", broken=True),
    ]
    text = render_findings(findings)
    assert text == (
        "Python  3.11\nmemory  ! 512 MB\nonnx    !! not installed\n\n"
        "What to do:\nmemory: close other programs\nonnx: pip install onnx\n"
    )
    assert render_findings(findings[:1]).endswith("\n\nNothing to do.\n")


def test_the_list_of_models_marks_the_default_and_names_its_sources() -> None:
    models = [
        ListedModel("embedded", "in the package", "MIT", dim=128),
        ListedModel("mine", "added", "see its maker's terms", Path("/packs/mine"), 512),
        ListedModel("lost", "gone", "see its maker's terms", Path("/packs/lost")),
    ]
    lines = models_table(models, "mine").splitlines()
    assert [line.split()[0] for line in lines if line][:4] == ["model", "embedded", "mine", "lost"]
    assert "default" in lines[2]
    assert "default" not in lines[1]
    assert lines[-1].startswith("[1] accuracy in per cent, from https://")
    record = models_record(models, "mine", "/models")
    assert (record["default"], record["folder"]) == ("mine", "/models")
    assert [(one["name"], one["installed"], one["default"], one["path"]) for one in record["models"]] == [
        ("embedded", True, False, None), ("mine", True, True, "/packs/mine"), ("lost", False, False, "/packs/lost"),
    ]  # fmt: skip


@pytest.fixture
def faces() -> list[tuple[FaceRecord, FloatArray]]:
    detection = toy_face([1.0, 0.0], (10.26, 20.0, 90.0, 100.0)).detection
    one = FaceRecord(1, 11, 21, 1, b"/photos/a.jpg", detection, "2020-05-06T07:08:09", quality=0.8769)
    other = replace(one, vector_id=2, face_id=12, path=b"/photos/\xff,b.jpg", taken_at=None, quality=None)
    vectors = np.eye(2, dtype=np.float32)
    return [(one, vectors[0]), (other, vectors[1])]


def test_every_face_as_lines_of_json(faces: list[tuple[FaceRecord, FloatArray]]) -> None:
    one, other = (json.loads(line) for line in "".join(dump_text(faces, "jsonl", vectors=True)).splitlines())
    assert (one["path"], one["face_id"], one["vector"]) == ("/photos/a.jpg", 11, [1.0, 0.0])
    assert (other["path"], other["path_b64"], other["quality"]) == ("/photos/�,b.jpg", "L3Bob3Rvcy//LGIuanBn", None)
    assert "vector" not in json.loads(next(dump_text(faces, "jsonl", vectors=False)))


def test_every_face_as_csv(faces: list[tuple[FaceRecord, FloatArray]]) -> None:
    text = "".join(dump_text(faces, "csv", vectors=True))
    one, other = csv.DictReader(io.StringIO(text, newline=""))
    assert (one["left"], one["width"], one["vector"], one["taken_at"]) == ("10.3", "90.0", "1 0", "2020-05-06T07:08:09")
    assert (other["path"], other["quality"]) == ("/photos/\udcff,b.jpg", "")
    assert len(one["landmarks"].split()) == 10


def test_every_face_as_arrays(faces: list[tuple[FaceRecord, FloatArray]], tmp_path: Path) -> None:
    save_npz(faces, tmp_path / "faces.npz", vectors=True, dim=2)
    with np.load(tmp_path / "faces.npz") as arrays:
        kept: dict[str, Any] = dict(arrays)
    assert kept["paths"].tolist() == [b"/photos/a.jpg", b"/photos/\xff,b.jpg"]
    assert kept["boxes"][0] == pytest.approx([10.26, 20, 90, 100])
    assert kept["landmarks"].shape == (2, 5, 2)
    assert kept["qualities"][0] == pytest.approx(0.8769)
    assert np.isnan(kept["qualities"][1])
    assert (kept["vectors"] == np.eye(2)).all()
    assert kept["face_ids"].tolist() == [11, 12]
    save_npz([], tmp_path / "none.npz", vectors=False, dim=2)
    with np.load(tmp_path / "none.npz") as arrays:
        assert arrays["boxes"].shape == (0, 4)
        assert "vectors" not in arrays
    with pytest.raises(StorageError, match="cannot be written"):
        save_npz(faces, tmp_path / "no/faces.npz", vectors=False, dim=2)


def test_the_faces_of_a_photo() -> None:
    large = Probe("a.jpg", 1, 2, toy_face([1.0, 0.0], (10.26, 20.0, 90.0, 100.0), quality=0.8769))
    small = Probe("a.jpg", 2, 2, toy_face([0.0, 1.0], (200.0, 20.0, 30.0, 40.0)))
    both = [NamedFace(large), NamedFace(small)]
    _head, *rows = columns(render_faces(both, "table"))
    assert rows == [["1", "10,20", "90x100", "90", "0.88", "0.90"], ["2", "200,20", "30x40", "30", "0.90"]]
    record = json.loads(render_faces(both, "json"))
    assert record["path"] == "a.jpg"
    assert [(face["face"], face["face_px"], face["quality"]) for face in record["faces"]] == [
        (1, 90.0, 0.877), (2, 30.0, None),
    ]  # fmt: skip
    assert [row["left"] for row in csv.DictReader(io.StringIO(render_faces(both, "csv")))] == [
        "10.3",
        "200.0",
    ]
