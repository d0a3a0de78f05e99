"""Maintenance of an index: time limits, waiting, hidden photos, check, backup, forget, export, moved folders."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from sample_library import shipped_photo


@pytest.fixture
def photos(tmp_path: Path, library: Path, facesearch: Run) -> Path:
    """A folder of eight photos of one face each and its index in `ix`."""
    folder = tmp_path / "photos"
    shutil.copytree(library / "photos/portraits", folder)
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    shipped_photo("astronaut").save(folder / "astronaut.png")
    facesearch("index", "photos", "--index", "ix", "-q")
    return folder


def report(run: Run, *options: str, exit_code: int = 0) -> dict[str, Any]:
    result = run("index", "--index", "ix", "-q", "-f", "json", *options, exit_code=exit_code)
    return dict(json.loads(result.stdout))


def found(run: Run, *options: str, exit_code: int = 0) -> set[str]:
    answer = run("query", "me.jpg", "--index", "ix", "-q", "-f", "paths", *options, exit_code=exit_code)
    return {Path(line).name for line in answer.stdout.splitlines()}


def contents(index: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(index.iterdir()) if path.is_file())


def test_a_quiet_run_says_nothing_and_a_log_is_json(facesearch: Run, photos: Path) -> None:
    quiet = facesearch("index", "--index", "ix", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    logged = facesearch("index", "--index", "ix", "--log-format", "json")
    (line,) = logged.stderr.splitlines()
    assert re.fullmatch(r"done in \d+\.\d s: 8 unchanged; 8 photos, 8 faces, 0 people", json.loads(line)["message"])
    assert json.loads(line)["time"].endswith("+00:00")


@pytest.mark.thorough
def test_a_window_ends_a_run_cleanly(facesearch: Run, photos: Path) -> None:
    for number in range(30):
        shipped_photo("t1").save(photos / f"{number}.webp", quality=50 + number)
    stopped = report(facesearch, "--max-time", "1s", exit_code=5)
    assert stopped["stopped"]
    assert 0 < stopped["new"] < 30
    rest = report(facesearch, "--max-time", "1h")
    assert stopped["new"] + rest["new"] == 30
    assert "90s, 30m, 2h" in facesearch("index", "--index", "ix", "--max-time", "soon", exit_code=2).stderr


def test_hidden_photos_are_deleted_after_a_time_or_on_request(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    before = contents(tmp_path / "ix")
    (photos / "bea.jpg").unlink()
    assert report(facesearch, "--dry-run")["missing"] == 1
    assert contents(tmp_path / "ix") == before, "a dry run writes nothing"
    assert report(facesearch)["missing"] == 1
    assert found(facesearch, exit_code=1) == set()
    assert report(facesearch)["removed"] == 0
    assert report(facesearch, "--keep-missing", "1")["removed"] == 0
    with closing(sqlite3.connect(tmp_path / "ix/catalog.sqlite")) as catalog:
        catalog.execute("UPDATE photos SET missing_since = missing_since - 86400 * 31 WHERE missing_since NOT NULL")
        catalog.commit()
    assert report(facesearch, "--keep-missing", "40")["removed"] == 0
    assert report(facesearch, "--dry-run")["removed"] == 1
    assert report(facesearch)["removed"] == 1
    assert report(facesearch)["removed"] == 0

    (photos / "ada.jpg").unlink()
    refused = facesearch("index", "--index", "ix", "--prune", exit_code=2, stdin=-3)
    assert re.search(r"deleted from the index for good.*--yes", refused.stderr)
    assert report(facesearch, "--prune", "--yes")["removed"] == 1
    facesearch("index", "--index", "ix", "--prune", "-q", stdin=-3)  # nothing to delete, so there is no question
    facts = json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)
    assert (facts["photos"], facts["faces"], facts["hidden"]) == (6, 6, 0)


def test_nothing_is_deleted_on_a_missing_disk(facesearch: Run, photos: Path) -> None:
    (photos / "bea.jpg").unlink()
    report(facesearch)
    photos.rename(photos.with_name("unplugged"))
    assert report(facesearch, "--prune", "--yes", exit_code=5)["removed"] == 0
    photos.with_name("unplugged").rename(photos)
    assert report(facesearch, "--prune", "--yes")["removed"] == 1


def test_a_library_that_is_mounted_elsewhere_keeps_everything(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    before = found(facesearch)
    photos.rename(tmp_path / "mnt")
    (tmp_path / "other").mkdir()
    assert (
        "not a folder of this index"
        in facesearch("folders", "move", "other", "mnt", "--index", "ix", exit_code=3).stderr
    )
    assert "no such file" in facesearch("folders", "move", "photos", "nowhere", "--index", "ix", exit_code=3).stderr
    facesearch("folders", "move", "photos", "mnt", "--index", "ix")
    assert facesearch("folders", "list", "--index", "ix").stdout == f"{tmp_path / 'mnt'}\n"
    assert json.loads(facesearch("folders", "list", "--index", "ix", "-f", "json").stdout) == [str(tmp_path / "mnt")]
    again = report(facesearch)
    assert (again["unchanged"], again["photos"]) == (8, 8)
    assert found(facesearch) == before
    facesearch("index", "other", "--index", "ix", "-q")
    assert "overlaps" in facesearch("folders", "move", "mnt", "other", "--index", "ix", exit_code=2).stderr
    facesearch("folders", "remove", "mnt", "--index", "ix", exit_code=2, stdin=-3)
    facesearch("folders", "remove", "mnt", "--index", "ix", "--yes")
    assert found(facesearch, exit_code=1) == set()


def test_check_finds_and_repair_fixes(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    assert facesearch("check", "--index", "ix").stdout == "ix has no faults\n"
    (photos / "ada.jpg").unlink()
    assert "1 photo is no longer in" in facesearch("check", "--index", "ix").stdout
    vectors = tmp_path / "ix/faces.faiss"
    data = bytearray(vectors.read_bytes())
    for damage in (data[:-5], data[: len(data) // 2], data[:500] + b"\x55" + data[501:], b""):
        vectors.write_bytes(damage)
        broken = facesearch("check", "--index", "ix", exit_code=3)
        assert "faces.faiss is damaged" in broken.stdout
        assert "--repair" in broken.stderr
        facesearch("check", "--index", "ix", "--repair")
        facesearch("check", "--index", "ix")
    vectors.unlink()
    missing = "note: the vector file is missing; the next query or `facesearch index` rebuilds it\n"
    assert missing in facesearch("check", "--index", "ix").stdout
    assert found(facesearch) == {"bea.jpg"}, "a query rebuilds it too"
    facesearch("check", "--index", "ix")
    with closing(sqlite3.connect(tmp_path / "ix/catalog.sqlite")) as catalog:
        catalog.execute("UPDATE vectors SET vector = zeroblob(512) WHERE id = 3")
        catalog.commit()
    assert "1 vector is not of unit length" in facesearch("check", "--index", "ix", exit_code=3).stdout
    facesearch("check", "--index", "ix", "--repair")
    assert report(facesearch)["changed"] == 1
    facts = json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)
    assert facts["faces"] == 7
    facesearch("check", "--index", "ix")


def test_a_catalog_that_is_garbage_is_an_error_and_a_backup_restores_it(
    facesearch: Run, photos: Path, tmp_path: Path
) -> None:
    facesearch("backup", "copy.sqlite", "--index", "ix")
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o777 == 0o600
    assert "exists" in facesearch("backup", "copy.sqlite", "--index", "ix", exit_code=2).stderr
    facesearch("backup", "copy.sqlite", "--index", "ix", "--overwrite")
    shipped_photo("t1").save(photos / "later.png")
    report(facesearch)
    catalog = tmp_path / "ix/catalog.sqlite"
    catalog.write_bytes(os.urandom(20_000))
    for command in (["query", "me.jpg"], ["index"], ["status"], ["check"], ["check", "--repair"]):
        broken = facesearch(*command, "--index", "ix", exit_code=3)
        assert "damaged" in broken.stderr
        assert len(broken.stderr.splitlines()) == 1
    shutil.copy(tmp_path / "copy.sqlite", catalog)
    assert found(facesearch) == {"bea.jpg"}
    assert report(facesearch)["new"] == 1
    facesearch("check", "--index", "ix")


def test_forgotten_data_is_erased_from_disk_and_may_come_back(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ix/catalog.sqlite")) as catalog:
        vectors = dict(
            catalog.execute(
                "SELECT CAST(photos.path AS TEXT), vector FROM vectors JOIN faces ON face = faces.id"
                " JOIN photos ON photo = photos.id"
            )
        )
    assert vectors["bea.jpg"] in contents(tmp_path / "ix")
    facesearch("forget", "photos/bea.jpg", "--index", "ix", "--dry-run")
    assert "--yes" in facesearch("forget", "photos/bea.jpg", "--index", "ix", exit_code=2, stdin=-3).stderr
    facesearch("forget", "photos/bea.jpg", "--index", "ix", "--yes")
    assert vectors["bea.jpg"] not in contents(tmp_path / "ix"), "not in the catalog or the vector file"
    assert vectors["ada.jpg"] in contents(tmp_path / "ix")
    assert found(facesearch, exit_code=1) == set()
    assert report(facesearch)["new"] == 1
    assert found(facesearch) == {"bea.jpg"}

    facesearch("forget", "photos/bea.jpg", "--index", "ix", "--yes", "--never-again")
    shutil.copy(photos / "bea.jpg", photos / "copy.jpg")
    (photos / "bea.jpg").rename(photos / "renamed.jpg")
    report(facesearch)
    assert found(facesearch, exit_code=1) == set(), "not under another name or as a copy"
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in ("renamed.jpg", "copy.jpg"):
        (photos / name).rename(aside / name)
    report(facesearch, "--prune", "--yes")
    assert report(facesearch, "--keep-missing", "0")["removed"] == 0
    for name in ("renamed.jpg", "copy.jpg"):
        (aside / name).rename(photos / name)
    assert report(facesearch)["missing"] == 0
    assert found(facesearch, exit_code=1) == set(), "also not when it returns after it was missing"

    # The photo finds only itself.
    asked = facesearch("query", photos / "astronaut.png", "--index", "ix", "-f", "jsonl", exit_code=1)
    line = asked.stdout.splitlines()[0]
    face = str(json.loads(line)["face_id"])
    facesearch("forget", "--face", face, "--index", "ix", "--yes")
    facesearch("query", photos / "astronaut.png", "--index", "ix", exit_code=1)
    again = facesearch("forget", "--face", face, "--index", "ix", "-y", exit_code=3).stderr
    assert f"--face {face}: no face has this id" in again
    assert "no known photo" in facesearch("forget", "elsewhere", "--index", "ix", "-y", exit_code=3).stderr
    facesearch("forget", "--index", "ix", exit_code=2)
    facesearch("forget", "--folder", "photos", "--index", "ix", "--yes")
    assert not any(vector in contents(tmp_path / "ix") for vector in vectors.values())
    facesearch("check", "--index", "ix")


def test_everything_can_be_exported(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in facesearch("export", "--vectors", "--index", "ix").stdout.splitlines()]
    assert {Path(line["path"]).name for line in lines} == {path.name for path in photos.iterdir()}
    vectors = np.array([line["vector"] for line in lines])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    rows = list(csv.DictReader(io.StringIO(facesearch("export", "--vectors", "--index", "ix", "-f", "csv").stdout)))
    assert [row["path"] for row in rows] == [line["path"] for line in lines]
    assert np.allclose([[float(x) for x in row["vector"].split()] for row in rows], vectors, atol=1e-5)
    bare = facesearch("export", "--index", "ix", "-f", "csv").stdout
    assert "vector" not in bare.splitlines()[0]
    assert "vector" not in facesearch("export", "--index", "ix").stdout
    facesearch("export", "--index", "ix", "-f", "npz", "-o", "bare.npz")
    with np.load(tmp_path / "bare.npz") as arrays:
        assert "vectors" not in arrays
        assert len(arrays["paths"]) == 8
    facesearch("export", "--vectors", "--index", "ix", "-f", "npz", "-o", "all.npz")
    with np.load(tmp_path / "all.npz") as arrays:
        assert np.allclose(arrays["vectors"], vectors, atol=1e-6)
        assert [os.fsdecode(path) for path in arrays["paths"]] == [line["path"] for line in lines]
        assert arrays["landmarks"].shape == (8, 5, 2)
        assert arrays["qualities"].tolist() == pytest.approx([line["quality"] for line in lines], abs=1e-4)
        assert 0 < arrays["qualities"].min() <= arrays["qualities"].max() <= 1
    assert "name a file" in facesearch("export", "--index", "ix", "-f", "npz", exit_code=2).stderr
    assert "choose jsonl" in facesearch("export", "--index", "ix", "-f", "parquet", exit_code=2).stderr


def test_waiting_for_another_run(facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path) -> None:
    from test_command import start, wait_for

    for number in range(12):
        shipped_photo("t1").save(photos / f"{number}.webp", quality=50 + number)
    first = start(environment, tmp_path, "index", "--index", "ix", "-q")
    wait_for(tmp_path / "ix/writer.lock")
    started = time.monotonic()
    facesearch("index", "--index", "ix", "-q", exit_code=4)
    assert time.monotonic() - started < 60
    waited = report(facesearch, "--wait", "100")
    first.communicate(timeout=10)
    assert first.returncode == 0
    assert waited["unchanged"] == 20


def test_never_again_removes_all_copies(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "copies").mkdir()
    for number in range(7):
        shutil.copy(photos / "bea.jpg", photos / f"copies/{number}.jpg")
    facesearch("index", "--index", "ix", "-q")
    assert len(found(facesearch, "--no-threshold")) == 15
    plain = facesearch("forget", "photos/copies/0.jpg", "--index", "ix", "--yes").stderr
    assert "identical copies remain in the index" in plain
    assert "--never-again" in plain
    dry = facesearch("forget", "photos/bea.jpg", "--never-again", "--dry-run", "--index", "ix").stderr
    assert "6 identical copies" in dry
    assert dry.count("identical: ") == 6
    said = facesearch("forget", "photos/bea.jpg", "--never-again", "--yes", "--index", "ix").stderr
    assert f"{photos / 'copies/1.jpg'}" in said
    other = next(path.name for path in sorted(photos.glob("*.*")) if path.name != "bea.jpg")
    alone = facesearch("forget", f"photos/{other}", "--never-again", "--yes", "--index", "ix").stderr
    assert "later runs skip these photos" in alone
    assert "adds the photos again" not in alone
    assert "and 1 more" in said
    shutil.copy(photos / "bea.jpg", photos / "later.jpg")
    report(facesearch)
    names = found(facesearch, "--no-threshold")
    assert len(names) == 6
    assert not any(name[0].isdigit() or name in ("bea.jpg", "later.jpg", other) for name in names)


def test_a_face_is_forgotten_in_all_copies_of_its_photo_and_they_are_listed(facesearch: Run, photos: Path) -> None:
    shutil.copy(photos / "bea.jpg", photos / "copy.jpg")
    report(facesearch)
    hits = json.loads(
        facesearch("query", photos / "bea.jpg", "--index", "ix", "-f", "json", "-k", "1", exit_code=1).stdout
    )["queries"][0]["hits"]
    face = next(hit["face_id"] for hit in hits if Path(hit["path"]).name == "bea.jpg")
    told = facesearch("forget", "--face", str(face), "--dry-run", "--index", "ix").stderr
    assert str(photos / "bea.jpg") in told
    assert f"identical: {photos / 'copy.jpg'}" in told
    assert str(photos / "copy.jpg") in facesearch("forget", "--face", str(face), "--yes", "--index", "ix").stderr
    assert found(facesearch, "--no-threshold").isdisjoint({"bea.jpg", "copy.jpg"})


def test_files_that_are_not_read_are_reported(facesearch: Run, library: Path, tmp_path: Path) -> None:
    camera = tmp_path / "camera"
    camera.mkdir()
    for name in [*(f"{number}.CR2" for number in range(12)), "a.MP4", "b.mp4", "c.Mp4", "._a.MP4", "notes.txt"]:
        (camera / name).write_bytes(b"x")
    told = facesearch("index", "camera", "--index", "ix", "-f", "json")
    assert json.loads(told.stdout)["not_looked_at"] == {".cr2": 12, ".mp4": 3}
    line = "skipped: 12 .CR2, 3 .MP4 (RAW photos, videos and some other formats are not supported)"
    assert line in told.stderr
    assert line in facesearch("index", "--index", "ix", "--dry-run").stderr
    assert line in facesearch("scan", library / "query.jpg", "camera", exit_code=1).stderr
    assert "skipped" not in facesearch("index", "--index", "ix", "-q").stderr


def test_messages_use_the_singular_for_one(facesearch: Run, library: Path, tmp_path: Path) -> None:
    """Every message with a count, when every count is one."""
    (tmp_path / "one").mkdir()
    shutil.copy(library / "photos/portraits/bea.jpg", tmp_path / "one")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    said = [facesearch("index", "one", "--index", "ix", "--dry-run")]
    said.append(facesearch("index", "one", "--index", "ix"))
    said.append(facesearch("status", "--index", "ix"))
    for option in ("--copy-to", "--link-to", "--crops-to"):
        asked = ("query", "me.jpg", "--index", "ix", option, option.strip("-"))
        said += [facesearch(*asked, "--dry-run"), facesearch(*asked), facesearch(*asked)]
    said.append(facesearch("query", "me.jpg", "--index", "ix", "-t", "0.99", exit_code=1))
    said.append(facesearch("who", "me.jpg", "--crops-to", "faces"))
    said.append(facesearch("doctor", "--index", "ix"))
    said.append(facesearch("forget", "one", "--index", "ix", "--dry-run"))
    (tmp_path / "one/bea.jpg").unlink()
    said.append(facesearch("check", "--index", "ix"))
    (tmp_path / "one/other.CR2").write_bytes(b"x")
    said.append(facesearch("index", "--index", "ix", "--prune", "--yes"))
    text = "".join(one.stdout + one.stderr for one in said)
    assert not re.findall(r"(?<![\d.])1 (?:photos|faces|copies|files|people|were|are|hits)\b.*", text)
    for expected in ("would read 1 photo", "1 photo, 1 face", "1 photo copied to copy-to", "1 photo linked in link-to",
                     "1 face saved in crops-to", "0 photos copied to copy-to, 1 already existed",
                     "nothing was written; 1 photo would be copied", "among 1 face in ix"):  # fmt: skip
        assert expected in text, expected


def test_a_photo_that_was_never_read_is_kept_out_by_its_content(facesearch: Run, photos: Path) -> None:
    """The photo was over a limit, so its faces are unknown."""
    facesearch("index", "photos", "--index", "small", "-q", "--max-megapixels", "0.01")
    facesearch("forget", "photos/bea.jpg", "--never-again", "--yes", "--index", "small")
    shutil.copy(photos / "bea.jpg", photos / "under another name.jpg")
    facesearch("index", "--index", "small", "-q")
    names = facesearch("query", "me.jpg", "--index", "small", "-q", "-f", "paths", "--no-threshold").stdout
    assert "ada.jpg" in names
    assert "bea.jpg" not in names
    assert "under another name.jpg" not in names


def test_a_folder_does_not_become_a_photo(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "bea.jpg", tmp_path / "elsewhere.jpg")
    refused = facesearch("folders", "move", "photos", "elsewhere.jpg", "--anyway", "--index", "ix", exit_code=3)
    assert "a photo, but" in refused.stderr
    facesearch("index", "elsewhere.jpg", "--index", "one", "-q")
    refused = facesearch("folders", "move", "elsewhere.jpg", "photos", "--anyway", "--index", "one", exit_code=3)
    assert "a folder, but" in refused.stderr


def test_a_library_with_only_hidden_photos_can_be_moved(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    photos.rename(tmp_path / "moved")
    photos.mkdir()
    (photos / "notes.txt").write_text("no photo")
    assert report(facesearch)["missing"] == 8
    assert "known photos" in facesearch("folders", "move", "photos", "empty", "--index", "ix", exit_code=3).stderr
    facesearch("folders", "move", "photos", "moved", "--index", "ix")
    assert len(found(facesearch, "--no-threshold", exit_code=1)) == 0
    report(facesearch)
    assert len(found(facesearch, "--no-threshold")) == 8


def test_binary_output_does_not_go_to_stdout(environment: dict[str, str], indexed: Path, tmp_path: Path) -> None:
    """The shell has emptied the file after `>` by then, so the message names that file."""
    command = [sys.executable, "-m", "facesearch", "export", "--format", "npz", "--index", str(indexed)]
    with (tmp_path / "faces.npz").open("wb") as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"name a file with --output instead of >: {tmp_path / 'faces.npz'} is empty now")
    assert (tmp_path / "faces.npz").stat().st_size == 0
    piped = subprocess.run(command, capture_output=True, env=environment, text=True, check=False)
    assert (piped.returncode, piped.stdout) == (2, "")
    assert piped.stderr.endswith("name a file with --output\n")
