"""`facesearch reindex --model`: switch to another model with the command, as a user does."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CHECKOUT, Run, start_process
from old_index import make_old_index
from own_pack import make_pack
from sample_library import shipped_photo

from facesearch.models.resolve import model_info
from facesearch.settings import EMBEDDED_THRESHOLD


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
    assert told == f"{index}: from embedded to other: 20 photos to read\n"
    part = facesearch("reindex", "--model", "other", "--index", index, "--max-time", "0s", exit_code=5)
    assert "other reads 20 photos; until then embedded answers queries" in part.stderr
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
        ((), 0, r"no switch is in progress, and its embeddings are the newest of its model; --model NAME "),
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


def test_an_index_of_an_earlier_revision(facesearch: Run, tmp_path: Path) -> None:
    """After an upgrade it works as before, says what is new, and is brought up to date with one command."""
    index, photos = make_old_index(tmp_path)
    query = [photos / "astronaut.png", "--index", index, "-f", "jsonl", "--device", "cpu"]
    before = json.loads(facesearch("query", *query, exit_code=1).stdout)
    assert (before["similarity"], before["verdict"]) == (pytest.approx(1, abs=0.001), "strong")
    told = facesearch("index", "--index", index, "--device", "cpu")
    assert "facesearch: this index has embeddings of revision 2; revision 3 finds more photos; " in told.stderr
    assert "`facesearch reindex` reads all photos again, while the index answers as before\n" in told.stderr
    status = facesearch("status", "--index", index).stdout
    assert re.search(
        r"^model +embedded, embeddings of revision 2; revision 3 is out: `facesearch reindex` reads ",
        status,
        re.MULTILINE,
    )
    assert re.search(r"^threshold +0\.47$", status, re.MULTILINE)
    catalog = (index / "catalog.sqlite").read_bytes()
    ahead = json.loads(facesearch("reindex", "--index", index, "--dry-run", "-f", "json").stdout)
    assert {key: ahead[key] for key in ("from", "to", "from_revision", "to_revision", "left", "known", "seconds")} == {
        "from": "embedded", "to": "embedded", "from_revision": 2, "to_revision": 3, "left": 2, "known": 0,
        "seconds": None,
    }  # fmt: skip
    assert facesearch("reindex", "--index", index, "--dry-run").stdout == (
        f"{index}: embedded from revision 2 to 3: 2 photos to read\n"
    )
    assert (index / "catalog.sqlite").read_bytes() == catalog
    part = facesearch("reindex", "--index", index, "--max-time", "0s", exit_code=5)
    assert "embedded (revision 3) reads 2 photos; until then embedded (revision 2) answers queries" in part.stderr
    assert json.loads(facesearch("query", *query, exit_code=1).stdout)["face_id"] == before["face_id"]
    done = facesearch("reindex", "--index", index, "--device", "cpu")
    assert re.match(r"switched +embedded from revision 2 to 3\n", done.stdout)
    assert re.search(r"^faces +11 found again, 0 new$", done.stdout, re.MULTILINE)
    after = json.loads(facesearch("query", *query, exit_code=1).stdout)
    assert (after["face_id"], after["similarity"]) == (before["face_id"], pytest.approx(1, abs=0.001))
    status = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    assert (status["revision"], status["latest_revision"], status["threshold"]) == (3, 3, EMBEDDED_THRESHOLD)
    assert "revision" not in facesearch("index", "--index", index).stderr
    nothing = facesearch("reindex", "--index", index)
    assert "no switch is in progress, and its embeddings are the newest of its model" in nothing.stderr
    facesearch("check", "--index", index)


def test_the_time_that_a_switch_takes_is_estimated(facesearch: Run, tmp_path: Path) -> None:
    """A dry run reads a few photos and stores nothing; a real run tells it after the first photos."""
    index, photos = make_old_index(tmp_path)
    hanks = shipped_photo("hanks")
    for number in range(210):
        hanks.crop((0, 0, 150 + number % 15, 160 + number // 15)).save(photos / f"{number}.png")
    facesearch("index", "--index", index, "-q")
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    ahead = json.loads(facesearch("reindex", "--index", index, "--dry-run", "--format", "json").stdout)
    assert ahead["left"] == 212
    assert ahead["seconds"] > 0
    assert "212 photos to read, about " in facesearch("reindex", "--index", index, "--dry-run").stdout
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before
    done = facesearch("reindex", "--index", index)
    assert re.search(r"facesearch: this takes about [\w.]+ \w+; it may be stopped at any time", done.stderr)
    assert re.search(r"^read +212 in ", done.stdout, re.MULTILINE)


def test_photos_in_a_missing_folder_are_not_counted(facesearch: Run, tmp_path: Path) -> None:
    index, photos = make_old_index(tmp_path)
    photos.rename(tmp_path / "elsewhere")
    assert json.loads(facesearch("reindex", "--index", index, "--dry-run", "-f", "json").stdout)["left"] == 0
    waiting = facesearch("reindex", "--index", index, exit_code=5)
    assert "embedded (revision 3) reads 0 photos" in waiting.stderr
    assert f"{photos}: missing or empty, so the model was not switched" in waiting.stderr


def test_a_switch_that_an_earlier_version_began_continues(facesearch: Run, tmp_path: Path, pack: Path) -> None:
    """It keeps its own embedding revision; the next one brings that up to date."""
    index, _photos = make_old_index(tmp_path)
    facesearch("reindex", "--model", "other", "--index", index, "--max-time", "0s", exit_code=5)
    with closing(sqlite3.connect(index / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE models SET pipeline = 2 WHERE name = 'other'")
    status = facesearch("status", "--index", index).stdout
    assert re.search(r"^switch +to other, \d of 2 photos read$", status, re.MULTILINE)
    ahead = json.loads(facesearch("reindex", "--index", index, "--dry-run", "-f", "json").stdout)
    assert (ahead["to"], ahead["from_revision"], ahead["to_revision"]) == ("other", 2, 2)
    named = facesearch("reindex", "--model", "embedded", "--index", index, exit_code=2)
    assert "a switch to other is in progress" in named.stderr
    done = json.loads(facesearch("reindex", "--model", "other", "--index", index, "-f", "json").stdout)
    assert (done["switched"], done["to_revision"]) == (True, 2)
    newest = facesearch("reindex", "--index", index)
    assert re.match(r"switched +other from revision 2 to 3\n", newest.stdout)


def test_an_index_of_a_revision_that_this_version_does_not_have(facesearch: Run, tmp_path: Path) -> None:
    index, photos = make_old_index(tmp_path)

    def refused(revision: int, *command: str | Path, exit_code: int = 3) -> str:
        with closing(sqlite3.connect(index / "catalog.sqlite")) as catalog, catalog:
            catalog.execute("UPDATE models SET pipeline = ?", (revision,))
        return facesearch(*command, "--index", index, exit_code=exit_code).stderr

    for command in (("index",), ("query", photos / "astronaut.png"), ("reindex",)):
        told = refused(4, *command)
        assert "made by a newer version of facesearch: its embeddings have revision 4, this version has " in told
        assert told.endswith("; install a newer version of facesearch\n")
    for command in (("index",), ("query", photos / "astronaut.png")):
        told = refused(1, *command)
        assert "made by an earlier version of facesearch: its embeddings have revision 1, this version " in told
        assert told.endswith("bring it up to date with facesearch reindex --model embedded\n")
    assert "which this version of facesearch cannot use" in facesearch("status", "--index", index).stdout
    assert "its embeddings have revision 1" in facesearch("check", "--index", index, exit_code=3).stdout
    done = facesearch("reindex", "--index", index)
    assert "embedded (revision 3) reads 2 photos; " in done.stderr
    assert "until then" not in done.stderr, "revision 1 cannot answer"
    assert re.match(r"switched +embedded from revision 1 to 3\n", done.stdout)


def test_a_calibration_of_ones_own_that_no_longer_applies_is_named(facesearch: Run, tmp_path: Path) -> None:
    index, _photos = make_old_index(tmp_path)
    table = json.loads((CHECKOUT / "facesearch/calibration/tables/embedded-2.json").read_text())
    table["similarity"] = [round(0.9 * similarity, 4) for similarity in table["similarity"]]
    own = tmp_path / "home/.local/share/facesearch/calibrations"
    own.mkdir(parents=True)
    identity = hashlib.sha256(repr(model_info("embedded", 2).identity).encode()).hexdigest()[:16]
    (own / f"embedded-{identity}.json").write_text(json.dumps(table))
    assert re.search(r"^threshold +0\.41\d$", facesearch("status", "--index", index).stdout, re.MULTILINE)
    done = facesearch("reindex", "--index", index)
    assert re.search(
        r"your calibration of embedded \(revision 2\) does not apply to embedded \(revision 3\): the default threshold "
        r"changes from 0\.41\d to 0\.41; measure it again with facesearch models calibrate\n",
        done.stderr,
    )
