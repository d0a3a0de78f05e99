"""`facesearch models compare`: compare models on labelled photos."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import Run
from own_pack import make_pack

from facesearch.models import bundled


def test_the_embedded_model_alone(facesearch: Run, people: Path) -> None:
    (people / "ada/broken.jpg").write_bytes(b"\xff\xd8")
    table = facesearch("models", "compare", people)
    (head, line) = table.stdout.splitlines()
    assert head.split()[:3] == ["model", "faces", "rank-1"]
    assert re.match(r"embedded +24 of 25 +100\.0% +too few ", line), line
    assert "not enough pairs of different people" in table.stderr
    (told,) = json.loads(facesearch("models", "compare", people, "-f", "json", "-q").stdout)["models"]
    assert (told["model"], told["found"], told["photos"], told["rank1"]) == ("embedded", 24, 25, 1.0)
    assert told["tmr"] == {"0.01": None, "0.001": None, "0.0001": None}, "240 pairs of strangers are too few"
    assert told["seconds_a_photo"] > 0


def test_the_embedded_model_and_a_pack(facesearch: Run, people: Path, real_photos: Path, tmp_path: Path) -> None:
    pack = tmp_path / "home/.insightface/models/mixed"
    pack.mkdir(parents=True)
    shutil.copy(real_photos / "models/scrfd_500m_kps.onnx", pack / "det.onnx")
    shutil.copy(Path(bundled.__file__).parent / "weights/sface_2021dec.onnx", pack / "rec.onnx")
    both = json.loads(facesearch("models", "compare", people, "-f", "json", "-q").stdout)["models"]
    assert {one["model"] for one in both} == {"embedded", "mixed"}
    assert all(one["rank1"] > 0.9 for one in both)
    (pack / "rec.onnx").write_bytes(b"no graph")
    broken = facesearch("models", "compare", people, "--model", "mixed", exit_code=3)
    assert len(broken.stderr.splitlines()) == 1


@pytest.mark.thorough
def test_a_registered_pack_has_its_name(facesearch: Run, people: Path, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "v2")
    facesearch("models", "add", pack, "--name", "ours")
    (told,) = json.loads(facesearch("models", "compare", people, "--model", pack, "-f", "json", "-q").stdout)["models"]
    assert told["model"] == "ours"


def test_what_cannot_be_compared(facesearch: Run, people: Path, tmp_path: Path) -> None:
    for person in people.iterdir():
        if person.name != "ada":
            shutil.rmtree(person)
    alone = facesearch("models", "compare", people, exit_code=3)
    assert "1 person with two or more photos" in alone.stderr
    assert "no such folder" in facesearch("models", "compare", "nowhere", exit_code=3).stderr
    assert "choose table or json" in facesearch("models", "compare", people, "-f", "csv", exit_code=2).stderr
    assert "no model 'nonsense'" in facesearch("models", "compare", people, "--model", "nonsense", exit_code=3).stderr
