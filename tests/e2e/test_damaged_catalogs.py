"""Catalogs from a failing disk, or from somebody who means harm: one line for each fault, and what is sound works."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, one_in

from facesearch.catalog.columns import is_inner_path

FUZZER = Path(__file__).parents[1] / "catalog_fuzzer.py"
SEED = 20261127


@pytest.fixture
def index(indexed: Path, tmp_path: Path) -> Path:
    """An index of the sample library that may be damaged."""
    return Path(shutil.copytree(indexed, tmp_path / "ix"))


def change(index: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as catalog:
        catalog.execute("PRAGMA ignore_check_constraints = ON")
        catalog.execute(sql, values)


def fuzzed(count: int, seed: int, environment: dict[str, str], folder: Path) -> None:
    """Every command ends with a code that it may end with; what is sound, or is after a repair, works."""
    command = [sys.executable, str(FUZZER), str(count), str(seed), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{(folder / 'log').read_text(errors='replace')[-2000:]}"
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == count
    told = (folder / "log").read_text(errors="replace").split("\n--- ")[1:]
    for result, said in zip(results, told, strict=True):
        codes = {*result["before"].values(), *result["after"].values(), result["repair"]}
        assert codes <= {0, 1, 3, 5}, f"{result}\n{said}"
        for answers in (result["before"], result["after"]):
            if answers.get("check") == 0:
                assert set(answers.values()) <= {0, 1, 5}, result
        if result["after"]:
            assert result["after"]["check"] == 0, result
    assert sum(result["before"]["check"] == 3 for result in results) > count // 4
    assert sum(bool(result["after"]) for result in results) > count // 8


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (24, SEED + 2),
        pytest.param(60, SEED, marks=pytest.mark.slow),
        pytest.param(200, SEED, marks=pytest.mark.slow),
        pytest.param(2000, SEED + 1, marks=pytest.mark.slow),
    ],
)
def test_catalogs_damaged_at_random(count: int, seed: int, environment: dict[str, str], tmp_path: Path) -> None:
    fuzzed(count, seed, environment, tmp_path)


@pytest.mark.parametrize(
    ("sql", "told"),
    one_in(
        3,
        [
            ("DELETE FROM meta", "uuid: missing"),
            ("UPDATE faces SET landmarks = 'text' WHERE id = 1", "faces 1: invalid landmarks"),
            ("UPDATE photos SET mtime_ns = 'text' WHERE id = 1", "photos 1: invalid mtime_ns"),
            ("UPDATE photos SET taken_at = 7 WHERE id = 2", "photos 2: invalid taken_at"),
            ("UPDATE models SET threshold = 'text'", "models 1: invalid threshold"),
            ("UPDATE models SET dim = -1", "models 1: invalid dim"),
            ("UPDATE models SET name = 'nobody'", "names 'nobody'"),
            ("UPDATE models SET name = printf('%.5000d', 0)", "names '000"),
            ("UPDATE models SET source = printf('%.5000d', 0)", "names '000"),
            ("UPDATE models SET name = 'a' || char(0) || 'b'", "models 1: invalid name"),
            (
                "UPDATE meta SET value = replace(value, 'new\": ', 'new\": 1' || printf('%.400d', 0))",
                "last_run: invalid",
            ),
            ("UPDATE meta SET value = 9223372036854775807 WHERE key = 'generation'", "generation: invalid"),
            (
                "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'faces'",
                "faces: invalid last id",
            ),
            ("UPDATE photos SET taken_at = CAST(x'ff80' AS TEXT) WHERE id = 2", "photos 2: invalid taken_at"),
            ("UPDATE roots SET path = CAST(path AS TEXT)", "roots 1: invalid path"),
            ("UPDATE photos SET path = CAST('a' || x'00' || 'b' AS BLOB) WHERE id = 1", "photos 1: invalid path"),
            ("DELETE FROM vectors WHERE id = 1", "photos with faces that have no vector: 1"),
            ("DROP TRIGGER vector_dies", "trigger vector_dies: missing"),
        ],
    ),
)
def test_check_finds_what_others_stumble_over_and_mends_it(
    facesearch: Run, index: Path, library: Path, sql: str, told: str
) -> None:
    before = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    change(index, sql)
    assert told in facesearch("check", "--index", index, exit_code=3).stdout
    for command in (["query", str(library / "query.jpg")], ["index"]):
        done = facesearch(*command, "--index", index, exit_code=(0, 1, 3, 5))
        if done.returncode == 3:
            assert done.stderr.count("\n") == 1, done.stderr
    facesearch("check", "--repair", "--index", index)
    facesearch("check", "--index", index)
    facesearch("index", "--index", index)
    after = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    assert (after["photos"], after["faces"]) == (before["photos"], before["faces"]), "nothing is lost"
    facesearch("query", library / "query.jpg", "--index", index)


def test_a_plan_for_a_catalog_without_a_table_is_one_line(facesearch: Run, index: Path) -> None:
    change(index, "ALTER TABLE photos RENAME TO others")
    change(index, "CREATE VIEW photos AS SELECT * FROM others")
    told = facesearch("index", "--dry-run", "--index", index, exit_code=3).stderr
    assert "the catalog is damaged (no table photos)" in told


def test_a_face_of_no_photo_goes_and_is_found_again(facesearch: Run, index: Path) -> None:
    before = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    change(index, "UPDATE faces SET photo = 99 WHERE id = 1")
    assert "faces 1: refers to a missing row of photos" in facesearch("check", "--index", index, exit_code=3).stdout
    assert "index --again" in facesearch("check", "--repair", "--index", index).stdout
    again = json.loads(facesearch("index", "--again", "-q", "-f", "json", "--index", index).stdout)
    assert again["faces"] == before["faces"]


@pytest.mark.parametrize("path", [b"../../../etc/hostname", b"/etc/hostname", b"a/../../x", b"a\0b"])
def test_a_path_that_leads_out_of_its_root_is_a_fault(facesearch: Run, index: Path, library: Path, path: bytes) -> None:
    assert not is_inner_path(path)
    change(index, "UPDATE photos SET path = ?, size = (SELECT max(size) FROM photos) WHERE id = 1", path)
    answer = facesearch(
        "query", library / "query.jpg", "--index", index, "--no-threshold", "--copy-to", "out", exit_code=3
    )
    assert "check --repair" in answer.stderr
    assert "photos 1: invalid path" in facesearch("check", "--index", index, exit_code=3).stdout


@pytest.mark.parametrize("path", [b"a.jpg", b"a..b/c", b"...", b"a/..b", b"\xff"])
def test_paths_inside(path: bytes) -> None:
    assert is_inner_path(path)


def test_only_what_the_catalog_knows_is_handed_out(facesearch: Run, tmp_path: Path, library: Path) -> None:
    """A catalog that names other files, with the right size even, gets nothing of them out."""
    photos = Path(shutil.copytree(library / "photos", tmp_path / "photos"))
    facesearch("index", "photos", "--index", "ix", "-q")
    secret = tmp_path / "secret.jpg"
    shutil.copy(library / "query.jpg", secret)
    change(
        tmp_path / "ix",
        "UPDATE roots SET path = ? WHERE id = 1",
        bytes(tmp_path),
    )
    change(
        tmp_path / "ix",
        "UPDATE photos SET path = CAST('secret.jpg' AS BLOB), size = ? WHERE id = 1",
        secret.stat().st_size,
    )
    options: list[Any] = ["--index", "ix", "--no-threshold", "--under", secret]
    for kind in (["--copy-to", "out"], ["--crops-to", "out"], ["--link-to", "out", "--hard-links"]):
        answer = facesearch("query", library / "query.jpg", *options, *kind, exit_code=5)
        assert "changed since it was indexed" in answer.stderr
        assert list((tmp_path / "out").iterdir()) == []
    facesearch("query", library / "query.jpg", *options, "--html", "page.html")
    assert "changed since it was indexed" in (tmp_path / "page.html").read_text()
    facesearch("query", library / "query.jpg", *options, "--sheet", "with.png")
    assert photos.is_dir()


def test_a_pipe_in_the_place_of_a_photo_is_not_waited_for(facesearch: Run, tmp_path: Path, library: Path) -> None:
    import os

    shutil.copytree(library / "photos", tmp_path / "photos")
    facesearch("index", "photos", "--index", "ix", "-q")
    (hit, *_) = facesearch("query", library / "query.jpg", "--index", "ix", "-f", "paths").stdout.splitlines()
    os.unlink(hit)
    os.mkfifo(hit)
    answer = facesearch(
        "query", library / "query.jpg", "--index", "ix", "--copy-to", "out", "--sheet", "s.png", exit_code=5
    )
    assert f"{hit}: not a file" in answer.stderr


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_vector_file_is_not_waited_for(facesearch: Run, index: Path, library: Path, kind: str) -> None:
    (index / "faces.faiss").unlink()
    if kind == "pipe":
        os.mkfifo(index / "faces.faiss")
    else:
        (index / "faces.faiss").mkdir()
    assert "faces.faiss is damaged" in facesearch("check", "--index", index, exit_code=3).stdout
    facesearch("query", library / "query.jpg", "--index", index)


def test_a_lock_that_leads_elsewhere_is_not_followed(facesearch: Run, index: Path, tmp_path: Path) -> None:
    (index / "writer.lock").unlink()
    (index / "writer.lock").symlink_to(tmp_path / "victim")
    assert "writer.lock" in facesearch("index", "--index", index, exit_code=3).stderr
    assert not (tmp_path / "victim").exists()


def test_a_schema_that_is_not_what_it_says_is_damage(facesearch: Run, index: Path) -> None:
    change(index, "PRAGMA user_version = 3")
    told = facesearch("index", "--index", index, exit_code=3).stderr
    assert "not of schema 3" in told
    assert told.count("\n") == 1
