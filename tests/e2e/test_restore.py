"""Restoring an index from a backup: verified first, complete, and never over another index by accident."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Run
from old_catalog import as_of_schema

from facesearch import Index
from facesearch.catalog.migrations import MIGRATIONS


@pytest.fixture
def backup(facesearch: Run, indexed: Path, tmp_path: Path) -> Path:
    """A backup of an index of the sample library."""
    facesearch("backup", "backup.sqlite", "--index", indexed)
    return tmp_path / "backup.sqlite"


def answer(run: Run, index: Path | str, library: Path) -> str:
    return run("query", library / "query.jpg", "--index", index, "--no-threshold", "-f", "jsonl").stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_restored_index_gives_the_same_answers(
    facesearch: Run, library: Path, indexed: Path, backup: Path, tmp_path: Path
) -> None:
    before = backup.read_bytes()
    done = facesearch("restore", "backup.sqlite", "--index", "new/index")
    assert done.stderr == "facesearch: restored 20 photos and 32 faces to new/index\n"
    assert done.stdout == ""
    assert answer(facesearch, "new/index", library) == answer(facesearch, indexed, library)
    assert "has no faults" in facesearch("check", "--index", "new/index").stdout
    assert backup.read_bytes() == before
    assert (mode(backup), mode(tmp_path / "new/index"), mode(tmp_path / "new/index/catalog.sqlite")) == (
        0o600, 0o700, 0o600,
    )  # fmt: skip
    report = facesearch("index", "--index", "new/index", "-f", "json").stdout
    assert '"unchanged": 20' in report


def test_an_index_is_replaced_only_if_asked(facesearch: Run, library: Path, backup: Path, tmp_path: Path) -> None:
    facesearch("index", library / "photos/portraits", "--index", "ix", "-q")
    mine = answer(facesearch, "ix", library)
    refused = facesearch("restore", backup, "--index", "ix", exit_code=2)
    assert "ix already holds an index; choose another folder with --index, or replace it with --overwrite" in (
        refused.stderr
    )
    unconfirmed = facesearch("restore", backup, "--index", "ix", "--overwrite", exit_code=2, stdin=-3)
    assert "the index ix will be replaced by a backup of 20 photos and 32 faces; cannot ask" in unconfirmed.stderr
    assert answer(facesearch, "ix", library) == mine
    facesearch("restore", backup, "--index", "ix", "--overwrite", "--yes")
    assert len(answer(facesearch, "ix", library).splitlines()) > len(mine.splitlines())
    assert not list((tmp_path / "ix").glob("*.new*"))


def test_vectors_of_the_replaced_index_do_not_return(facesearch: Run, library: Path, tmp_path: Path) -> None:
    """After the backup, the index changes in another way, up to the same generation."""
    shutil.copytree(library / "photos/portraits", tmp_path / "photos")
    facesearch("index", "photos", "--index", "ix", "-q")
    facesearch("backup", "b.sqlite", "--index", "ix")
    shutil.copy(library / "photos/party/everybody.jpg", tmp_path / "photos")
    facesearch("index", "--index", "ix", "-q")
    facesearch("restore", "b.sqlite", "--index", "ix", "--overwrite", "--yes")
    (tmp_path / "photos/everybody.jpg").unlink()
    shutil.copy(library / "photos/party/right half.jpg", tmp_path / "photos")
    facesearch("index", "--index", "ix", "-q")
    assert "has no faults" in facesearch("check", "--index", "ix").stdout
    assert "everybody.jpg" not in answer(facesearch, "ix", library)


def test_a_damaged_catalog_can_be_replaced(facesearch: Run, library: Path, backup: Path, tmp_path: Path) -> None:
    facesearch("restore", backup, "--index", "ix")
    with (tmp_path / "ix/catalog.sqlite").open("r+b") as stream:
        stream.write(b"\0" * 5000)
    facesearch("query", library / "query.jpg", "--index", "ix", exit_code=3)
    facesearch("restore", backup, "--index", "ix", "--overwrite", "--yes")
    assert "has no faults" in facesearch("check", "--index", "ix").stdout


def test_an_open_reader_follows(facesearch: Run, library: Path, backup: Path, tmp_path: Path) -> None:
    facesearch("index", library / "photos/portraits", "--index", "ix", "-q")
    with Index.open(tmp_path / "ix") as index:
        assert index.status().photos == 7
        facesearch("restore", backup, "--index", "ix", "--overwrite", "--yes")
        assert index.status().photos == 20


def test_a_backup_of_an_earlier_version_is_upgraded(facesearch: Run, library: Path, backup: Path) -> None:
    as_of_schema(backup, len(MIGRATIONS) - 1)
    facesearch("restore", backup, "--index", "ix")
    assert answer(facesearch, "ix", library)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_bytes(b"no database" * 999), "damaged, or not a backup made by facesearch"),
        (lambda path: path.unlink(), "no such file; give a backup made by facesearch"),
        (lambda path: path.write_bytes(b""), "damaged, or not a backup made by facesearch"),
        (lambda path: set_version(path, 99), "made by a newer facesearch"),
        (lambda path: execute(path, "UPDATE faces SET x = 'x' WHERE id = 3"), "damaged (faces 3: invalid x"),
    ],
)
def test_an_invalid_backup_changes_nothing(
    facesearch: Run, library: Path, backup: Path, tmp_path: Path, spoil: object, told: str
) -> None:
    facesearch("index", library / "photos/portraits", "--index", "ix", "-q")
    before = answer(facesearch, "ix", library)
    assert callable(spoil)
    spoil(backup)
    for index in ("ix", "new"):
        refused = facesearch("restore", backup, "--index", index, "--overwrite", "--yes", exit_code=3)
        assert told in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()
    assert answer(facesearch, "ix", library) == before
    assert not list((tmp_path / "ix").glob("*.new*"))


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as catalog:
        catalog.execute("PRAGMA ignore_check_constraints = ON")
        catalog.execute(statement)


def set_version(path: Path, version: int) -> None:
    execute(path, f"PRAGMA user_version = {version}")


def test_a_part_of_the_index_is_no_backup_of_it(facesearch: Run, backup: Path, tmp_path: Path) -> None:
    facesearch("restore", backup, "--index", "ix")
    own = tmp_path / "ix/catalog.sqlite"
    refused = facesearch("restore", own, "--index", "ix", "--overwrite", "--yes", exit_code=2)
    assert "part of the index ix" in refused.stderr
    facesearch("restore", own, "--index", "other")  # the catalog of another index is a valid backup


def test_nothing_is_replaced_while_a_run_writes(facesearch: Run, backup: Path, tmp_path: Path) -> None:
    facesearch("restore", backup, "--index", "ix")
    with (tmp_path / "ix/writer.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = facesearch("restore", backup, "--index", "ix", "--overwrite", "--yes", exit_code=4)
    assert "another run is writing" in busy.stderr


def test_backups_are_for_their_owner_whatever_the_umask(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "open.sqlite").write_bytes(b"")
        facesearch("backup", "open.sqlite", "--overwrite", "--index", indexed)
        facesearch("backup", "other.sqlite", "--index", indexed)
    finally:
        os.umask(before)
    assert {mode(tmp_path / name) for name in ("open.sqlite", "other.sqlite")} == {0o600}
