"""A person's rights on the command line: the report, forgetting, and staying left out."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
import zipfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from old_catalog import as_of_schema
from PIL import Image

from facesearch import Index, UsageError
from facesearch.index.store import Store

NAME = "Anneliese Unforgettable"


@pytest.fixture
def index(indexed: Path, library: Path, tmp_path: Path) -> Path:
    """An index that may be changed, of photos that may be changed, with one named person."""
    shutil.copytree(library / "photos", tmp_path / "photos")
    shutil.copytree(indexed, tmp_path / "ix")
    with Index.open(tmp_path / "ix") as opened:
        opened.move_folder(library / "photos", tmp_path / "photos")
        opened.people.name(1, NAME, aliases=["Liesl"])
        opened.people.name(2, "Ben")
    return tmp_path / "ix"


def vectors_of(index: Path, person: int) -> list[bytes]:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as catalog:
        rows = catalog.execute(
            "SELECT vector FROM vectors JOIN assignments ON assignments.face = vectors.face WHERE person = ?", (person,)
        )
        return [vector for (vector,) in rows]


def anywhere(folder: Path, *texts: bytes) -> list[str]:
    """Return the files of a folder that have one of these bytes; of a vector a part is enough."""
    return [
        file.name
        for file in folder.rglob("*")
        if file.is_file() and any(text[:64] in file.read_bytes() for text in texts)
    ]


def test_nothing_of_a_forgotten_person_is_left(facesearch: Run, index: Path, tmp_path: Path) -> None:
    vectors = vectors_of(index, 1)
    (index / "statements.jsonl").write_text(f'{{"value": "{NAME}"}}\n')
    assert "catalog.sqlite" in anywhere(index, NAME.encode())
    assert {"catalog.sqlite", "faces.faiss"} <= set(anywhere(index, *vectors))
    shown = facesearch("forget", "--person", "liesl", "--index", index, "--dry-run", "--sheet", "s.png").stderr
    assert f"{NAME} (#1): {len(vectors)} faces in" in shown
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.size[0] > 1000
    assert "cannot ask" in facesearch("forget", "--person", "1", "--index", index, exit_code=2, stdin=-3).stderr
    said = facesearch("forget", "--person", "1", "--index", index, "--yes", "--receipt", "r.json").stderr
    assert f"deleted: {len(vectors)} faces and 2 statements" in said
    assert anywhere(index, NAME.encode(), b"Liesl", *vectors) == []
    receipt = json.loads((tmp_path / "r.json").read_text())
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == 0o600
    assert (receipt["removed"]["faces"], receipt["removed"]["embeddings"]) == (len(vectors), len(vectors))
    assert receipt["person"] == {"number": 1, "names": [NAME, "Liesl"]}
    assert receipt["searched_again"]["undecided_faces_left"] == []
    assert receipt["searched_again"]["nearest_left"] < 0.36
    assert {Path(one["path"]).exists() for one in receipt["removed"]["list"]} == {True}
    assert len(receipt["out_of_reach"]) > 4
    facesearch("check", "--index", index)
    facesearch("index", "--again", "--index", index)
    assert "nobody in" in facesearch("query", NAME, "--index", index, exit_code=3).stderr
    listed = json.loads(facesearch("people", "list", "--index", index, "-f", "json").stdout)
    assert 1 not in [one["number"] for one in listed]
    assert [one["name"] for one in listed].count("Ben") == 1
    shutil.copy(receipt["removed"]["list"][0]["path"], tmp_path / "photos" / "a copy.jpg")
    before = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)["faces"]
    report = json.loads(facesearch("index", "--index", index, "-f", "json").stdout)
    assert report["new"] == 1
    assert report["faces"] - before <= len({one["path"] for one in receipt["removed"]["list"]})
    again = facesearch("forget", "--person", NAME, "--index", index, "--yes", exit_code=3).stderr
    assert re.fullmatch(r"facesearch: .*: nobody in .* has this name; .*\n", again)


KILLED = """
    import os, signal, sys
    from facesearch.index.erasing import Eraser
    from facesearch.cli import _run

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    {where}
    sys.argv = ["facesearch", "forget", "--person", "1", "--index", sys.argv[1], "--yes"]
    _run()
"""


@pytest.mark.parametrize("where", ["deleting", "deleted"])
def test_a_kill_leaves_all_or_is_finished_by_the_next_writer(facesearch: Run, index: Path, where: str) -> None:
    vectors = vectors_of(index, 1)
    (index / "statements.jsonl").write_text(NAME)
    patch = {
        "deleting": "from facesearch.catalog.forgetting import Forgetting; Forgetting.forget_people = die",
        "deleted": "Eraser.vacuum = die",
    }[where]
    script = textwrap.dedent(KILLED).format(where=patch)
    done = subprocess.run([sys.executable, "-c", script, index], capture_output=True, check=False)
    assert done.returncode == -9
    if where == "deleting":
        assert vectors_of(index, 1) == vectors
        assert json.loads(facesearch("people", "show", NAME, "--index", index, "-f", "json").stdout)["number"] == 1
        return
    assert "faces.faiss" in anywhere(index, *vectors), "the kill came before the files were rewritten"
    assert vectors_of(index, 1) == []
    facesearch("forget", "--face", "1", "--index", index, "--yes", exit_code=(0, 3))
    assert anywhere(index, NAME.encode(), *vectors) == []


def test_never_again_leaves_a_person_out(facesearch: Run, index: Path, library: Path, tmp_path: Path) -> None:
    with Store.open(index) as store:
        faces = store.catalog.forgetting.faces_of([1])
        record = store.catalog.faces.held(faces[:1])[faces[0]]
    done = facesearch("forget", "--person", "1", "--index", index, "-y", "--never-again", "--for", "90d").stderr
    assert "one embedding is kept for that" in done
    (kept,) = json.loads(facesearch("people", "left-out", "--index", index, "-f", "json").stdout)
    since, until = (datetime.fromisoformat(kept[name]) for name in ("since", "until"))
    assert 89 <= (until - since).days <= 91
    status = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    assert status["left_out"] == [kept["until"]]
    assert re.search(r"left out +1 person, until", facesearch("status", "--index", index).stdout)
    with Image.open(os.fsdecode(record.path)) as photo:
        (tmp_path / "photos" / "new").mkdir()
        photo.convert("RGB").save(tmp_path / "photos/new/edited.jpg", quality=70)
    report = json.loads(facesearch("index", "--index", index, "-f", "json").stdout)
    assert (report["new"], report["left_out"]) == (1, 1)
    told = facesearch("people", "left-out", "--index", index).stdout
    assert told.splitlines()[0].split() == ["number", "made", "from", "since", "until"]
    facesearch("people", "left-out", "--end", "1", "--index", index, "--yes")
    report = json.loads(facesearch("index", "--again", "--index", index, "-f", "json").stdout)
    assert report["left_out"] == 0
    assert "90d" not in facesearch("people", "left-out", "--index", index).stdout
    with Store.open(index, write=True) as store, store.catalog.transaction():
        store.catalog.kept_out.add(np.eye(1, 128, dtype=np.float32)[0], 3, 1, 2)
    report = json.loads(facesearch("index", "--index", index, "-f", "json").stdout)
    assert report["expired"] == 1
    with Store.open(index) as store:
        assert store.catalog.kept_out.all() == []


def test_a_report_of_all_that_is_held(facesearch: Run, index: Path, tmp_path: Path) -> None:
    held = json.loads(facesearch("people", "show", NAME, "--index", index, "-f", "json").stdout)
    told = facesearch("people", "report", NAME, "r.zip", "--index", index).stderr
    assert f"wrote r.zip: {held['faces']} faces in {held['photos']} photos, 2 statements" in told
    assert stat.S_IMODE((tmp_path / "r.zip").stat().st_mode) == 0o600
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        record = json.loads(archive.read("report.json"))
        page = archive.read("report.html").decode()
        crops = [name for name in archive.namelist() if name.startswith("crops/")]
        with Image.open(io.BytesIO(archive.read(crops[0]))) as crop:
            assert crop.format == "JPEG"
    assert record["person"]["name"] == NAME
    assert [one["value"] for one in record["statements"]] == [NAME, "Liesl"]
    assert {face["picture"] for face in record["faces"]} == set(crops)
    assert NAME in page
    assert "Ben" not in page + json.dumps(record)
    assert "vectors" not in record
    assert "already exists" in facesearch("people", "report", NAME, "r.zip", "--index", index, exit_code=2).stderr
    os.unlink(record["faces"][0]["path"])
    more = facesearch(
        "people", "report", "1", "r.zip", "--index", index, "--overwrite", "--vectors", exit_code=5
    )  # fmt: skip
    assert "not found; no picture of this face" in more.stderr
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        vectors = np.load(io.BytesIO(archive.read("vectors.npy")))
    assert {row.astype("<f4").tobytes() for row in vectors} == set(vectors_of(index, 1))


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("people", "report", "Zoe", "z.zip"), 3, r"Zoe: nobody in"),
        (("people", "report", "1", "z.txt"), 2, r"z.txt: the report is a \.zip file"),
        (("people", "report", "1", "ix/sub.zip"), 2, r"part of the index itself"),
        (("people", "report", "1", "no/z.zip"), 3, r"no/z.zip: cannot be written \(No such file"),
        (("forget", "--person", "Zoe", "-y"), 3, r"Zoe: nobody in"),
        (("forget", "--person", "99", "-y"), 3, r"#99: no such person"),
        (("forget", "--person", "1", "--face", "2", "-y"), 2, r"one of PATH, --face ID, --person WHO and --folder"),
        (("forget", "--person", "1", "--spare", "9999", "-y"), 2, r"--spare 9999: not among the faces"),
        (("forget", "--person", "1", "--only-group", "--wide"), 2, r"contradict"),
        (("forget", "--person", "1", "--until", "2999", "-y"), 2, r"--until needs --never-again"),
        (("forget", "--person", "1", "--never-again", "--until", "2020"), 2, r"until 2020: in the past"),
        (("forget", "--person", "1", "--never-again", "--until", "2999"), 2, r"within 10 years"),
        (("forget", "--person", "1", "--never-again", "--for", "soon"), 2, r"--for soon: write it as"),
        (("forget", "--person", "1", "--receipt", "ix/r.json", "-y"), 2, r"part of the index itself"),
        (("forget", "--person", "1", "--sheet", "s.txt"), 2, r"a contact sheet is a picture"),
        (("forget", "photos", "--spare", "1"), 2, r"--spare is about a person"),
        (("people", "left-out", "--end", "7", "-y"), 2, r"7: nobody who is left out"),
    ],
)
def test_errors_are_one_line_and_nothing_is_deleted(
    facesearch: Run, index: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    before = len(vectors_of(index, 1))
    result = facesearch(*arguments, "--index", "ix", exit_code=exit_code)
    assert re.search(message, result.stderr), result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")
    assert len(vectors_of(index, 1)) == before > 0


def test_an_older_or_read_only_index_can_be_reported_on(facesearch: Run, index: Path, tmp_path: Path) -> None:
    as_of_schema(index / "catalog.sqlite", 9)
    facesearch("people", "report", NAME, "old.zip", "--index", index)
    facesearch("forget", "--person", NAME, "--index", index, "--dry-run")
    facesearch("forget", "--person", NAME, "--index", index, "--yes")
    facesearch("check", "--index", index)


def test_the_library_says_what_it_did(index: Path) -> None:
    with Index.open(index) as opened:
        preview = opened.to_forget(person="Ben")
        assert preview.sweep is not None
        assert preview.receipt == {}
        kept = preview.going[0].face.face_id
        gone = opened.forget(person="Ben", spare=[kept], reach="group", never_again=True, until="2030")
        assert [one.face.face_id for one in gone.spared] == [kept]
        assert gone.receipt["stays"]["template"]["until"].startswith("20")
        assert [one.faces for one in opened.people.left_out()] == [preview.sweep.own]
        with pytest.raises(UsageError, match="about a person"):
            opened.to_forget("photos", spare=[1])
        with pytest.raises(UsageError, match="reach far"):
            opened.to_forget(person=1, reach="far")  # type: ignore[arg-type]
