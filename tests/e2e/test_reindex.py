"""`facesearch reindex --model`: switch to another model with the command, as a user does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run, start_process
from own_pack import make_pack


@pytest.fixture
def pack(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A pack in insightface's folder, in an otherwise empty home."""
    return make_pack(tmp_path / "home/.insightface/models/other")


@pytest.fixture
def index(indexed: Path, tmp_path: Path) -> Path:
    shutil.copytree(indexed, tmp_path / "ix")
    return tmp_path / "ix"


def hits(run: Run, photo: Path, index: Path) -> set[str]:
    answer = run("query", photo, "--index", index, "-f", "paths", "-q").stdout
    return {Path(line).name for line in answer.splitlines()}


def test_from_one_model_to_another(facesearch: Run, library: Path, index: Path, pack: Path) -> None:
    query = library / "query.jpg"
    before = hits(facesearch, query, index)
    told = facesearch("reindex", "--model", "other", "--index", index, "--dry-run").stdout
    assert told == f"{index}: from embedded to other: 20 photos to read, 0 already read\n"
    part = facesearch("reindex", "--model", "other", "--index", index, "--max-time", "0s", exit_code=5)
    assert "other reads the photos; until then embedded answers queries" in part.stderr
    assert "not switched yet from embedded to other" in part.stderr
    assert hits(facesearch, query, index) == before
    assert re.search(r"^switch +to other, \d+ of \d+ photos read$", facesearch("status", "--index", index).stdout, re.M)
    done = facesearch("reindex", "--index", index)
    assert re.match(r"switched +from embedded to other\n", done.stdout), "without --model the switch continues"
    assert re.search(r"^faces +3\d found again", done.stdout, re.M)
    status = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    assert (status["model"], status["switch"], status["outdated"]) == ("other", None, 0)
    assert hits(facesearch, query, index) >= {"bea.jpg", "everybody.jpg", "left half.png"}
    facesearch("check", "--index", index)
    assert json.loads(facesearch("index", "--index", index, "-q", "-f", "json").stdout)["unchanged"] == 20
    back = json.loads(facesearch("reindex", "--model", "embedded", "--index", index, "-q", "-f", "json").stdout)
    assert (back["from"], back["to"], back["switched"]) == ("other", "embedded", True)
    assert back["takeover"]["kept"] >= 30
    assert back["refresh"]["faces"] == 32
    assert hits(facesearch, query, index) == before


def test_a_switch_is_cancelled(facesearch: Run, library: Path, index: Path, pack: Path) -> None:
    facesearch("reindex", "--model", "other", "--index", index, "--max-time", "0s", "-q", exit_code=5)
    dropped = facesearch("reindex", "--cancel", "--index", index)
    assert "cancelled the switch to other; the model is still embedded" in dropped.stderr
    assert "\nswitch " not in facesearch("status", "--index", index).stdout
    nothing = facesearch("reindex", "--cancel", "--index", index, exit_code=2)
    assert "nothing to cancel" in nothing.stderr


@pytest.mark.parametrize(
    ("asked", "exit_code", "message"),
    [
        ((), 0, r"no switch is in progress; --model NAME starts one"),
        (("--model", "embedded"), 2, r"already has this model, as embedded; `facesearch index` reads what is left"),
        (("--model", "embedded", "--dry-run"), 2, r"already has this model"),
        (("--cancel", "--dry-run"), 2, r"omit --model, --index-type and --dry-run"),
        (("--model", "nonsense"), 3, r"no model 'nonsense'"),
        (("--model", "broken"), 3, r"broken.*not a model file"),
        (("--model", "other", "--device", "cuda"), 3, r"device cuda is not available here; .*--device cpu"),
        (("--model", "other", "--max-time", "soon"), 2, r"'soon' is not a duration"),
        (("--cancel", "--model", "other"), 2, r"omit --model, --index-type and --dry-run"),
        (("--model", "other", "--index", "none"), 3, r"no index at none"),
    ],
)
def test_invalid_requests_are_one_line_and_change_nothing(
    facesearch: Run, index: Path, pack: Path, asked: tuple[str, ...], exit_code: int, message: str
) -> None:
    broken = pack.parent / "broken"
    broken.mkdir()
    (broken / "det.onnx").write_bytes(bytes(range(256)) * 40)
    shown = facesearch("reindex", *(() if "--index" in asked else ("--index", index)), *asked, exit_code=exit_code)
    assert shown.stdout == ""
    assert len(shown.stderr.splitlines()) == 1
    assert re.search(message, shown.stderr)
    status = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    assert (status["model"], status["faces"], status["switch"]) == ("embedded", 32, None)


def test_index_says_how_to_switch(facesearch: Run, index: Path, pack: Path) -> None:
    refused = facesearch("index", "--index", index, "--model", "other", exit_code=3)
    assert refused.stderr.endswith("facesearch reindex --model other\n"), "named as installed"


# Simulates Ctrl-C when the third photo is read.
STOPPED = """
import signal, threading
from facesearch.indexing import pipeline
count, read = 0, pipeline.read

def reading(photo):
    global count
    count += 1
    if count == 3:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    return read(photo)

pipeline.read = reading
from facesearch.cli import main
main()
"""


def test_ctrl_c_keeps_extracted_photos(index: Path, pack: Path, facesearch: Run, environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", STOPPED, "reindex", "--model", str(pack), "--index", str(index), "--threads", "1"]
    stopped = start_process(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 130, said
    assert "which is kept" in said
    done = json.loads(facesearch("reindex", "--index", index, "-q", "-f", "json").stdout)
    assert done["switched"]
    assert 2 <= done["known"] < 20
    assert done["known"] + done["looked_at"] == 20


@pytest.mark.thorough
def test_queries_while_the_model_is_switched(
    index: Path, pack: Path, library: Path, facesearch: Run, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "facesearch", "reindex", "--model", str(pack), "--index", str(index), "-q"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as run:
        answers = 0
        while run.poll() is None:
            assert "everybody.jpg" in hits(facesearch, library / "query.jpg", index)
            answers += 1
    assert run.returncode == 0
    assert answers > 0
    assert "everybody.jpg" in hits(facesearch, library / "query.jpg", index)
