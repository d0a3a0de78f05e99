"""Real photos of eight people: all are found, without false hits."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import Run

from facesearch.models import bundled

pytestmark = pytest.mark.thorough


def test_everybody_is_found_among_portraits_and_groups(facesearch: Run, real_photos: Path, tmp_path: Path) -> None:
    portraits = sorted((real_photos / "bbt/portraits").glob("*/*"))
    report = json.loads(facesearch("index", real_photos / "bbt", "--index", "ix", "-q", "-f", "json").stdout)
    assert (report["photos"], report["failed"], report["no_face"]) == (45, 0, 0)
    assert report["faces"] >= 40 + 22
    right, found, wrong = 0, 0, 0
    for portrait in portraits:
        person = portrait.parent.name
        answer = facesearch("query", portrait, "--index", "ix", "-k", "45", "-f", "jsonl", "-q").stdout
        hits = [json.loads(line) for line in answer.splitlines()]
        assert hits[0]["path"] == str(portrait)
        assert hits[0]["similarity"] > 0.999
        others = [hit for hit in hits[1:] if "portraits" in hit["path"]]
        right += Path(others[0]["path"]).parent.name == person
        for hit in others:
            if hit["above_threshold"]:
                found += Path(hit["path"]).parent.name == person
                wrong += Path(hit["path"]).parent.name != person
    assert right == 40, "rank-1, without the query photo"
    assert wrong == 0, "at the default threshold"
    assert found >= 150, "of 160 other portraits of the same person"


def test_photos_turned_on_their_side_are_found(facesearch: Run, real_photos: Path, tmp_path: Path) -> None:
    folder = real_photos / "misc/res/bulk"
    for turned in ("r0", "r90", "r180", "r270"):
        answer = facesearch("scan", folder / f"{turned}.jpg", *(folder / f"r{turn}.jpg" for turn in (0, 90, 180, 270)))
        assert len(answer.stdout.splitlines()) == 1 + 4, turned


def test_an_insightface_pack_from_index_to_refusal(facesearch: Run, real_photos: Path, tmp_path: Path) -> None:
    pack = tmp_path / "home/.insightface/models/mixed"
    pack.mkdir(parents=True)
    shutil.copy(real_photos / "models/scrfd_500m_kps.onnx", pack / "det.onnx")
    shutil.copy(Path(bundled.__file__).parent / "weights/sface_2021dec.onnx", pack / "rec.onnx")
    portraits = real_photos / "bbt/portraits"
    made = facesearch("index", portraits / "amy", portraits / "raj", "--index", "ix", "--format", "json")
    assert "using the installed InsightFace pack mixed" in made.stderr
    report = json.loads(made.stdout)
    assert (report["photos"], report["faces"]) == (10, 10)
    for device in ("cpu", "openvino"):
        answer = facesearch(
            "query", portraits / "amy/amy1.png", "--index", "ix", "-k", "4", "-f", "paths", "--device", device
        )
        assert {Path(line).parent.name for line in answer.stdout.splitlines()} == {"amy"}
    status = facesearch("status", "--index", "ix").stdout
    assert "mixed" in status
    refused = facesearch("index", "--index", "ix", "--model", "embedded", exit_code=3)
    assert re.search(r"made with model mixed \(128 .*, not with embedded \(128", refused.stderr)
    (pack / "rec.onnx").write_bytes((pack / "rec.onnx").read_bytes() + b"\0")
    changed = facesearch("query", portraits / "amy/amy1.png", "--index", "ix", exit_code=3)
    assert len(changed.stderr.splitlines()) == 1
    shutil.rmtree(pack)
    gone = facesearch("query", portraits / "amy/amy1.png", "--index", "ix", exit_code=3)
    assert "mixed" in gone.stderr
    assert len(gone.stderr.splitlines()) == 1
