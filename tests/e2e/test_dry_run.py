"""Dry runs only read: they take no lock and write nothing, and work on read-only disks and during other runs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import NOT_PERMITTED, Run, one_in
from own_pack import make_pack
from test_permissions import bound  # noqa: F401 - a fixture

from facesearch.catalog.migrations import MIGRATIONS
from facesearch.index.lock import WriterLock


@pytest.fixture
def photos(tmp_path: Path, library: Path, facesearch: Run) -> Path:
    """A library of two folders with work to do in both; one is indexed in `ix`."""
    folder = tmp_path / "photos"
    shutil.copytree(library / "photos/portraits", folder / "portraits")
    facesearch("index", folder / "portraits", "--index", "ix", "-q")
    shutil.copytree(library / "photos/party", folder / "party")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    (folder / "portraits/ada.jpg").unlink()
    make_pack(tmp_path / "own")
    return folder


@pytest.fixture
def held(tmp_path: Path, photos: Path) -> Iterator[None]:
    """Another run that is writing."""
    with WriterLock(tmp_path / "ix/writer.lock"):
        yield


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


DRY = [
    ("index",),
    ("index", "photos"),
    ("index", "photos/party", "-f", "json"),
    ("index", "--prune"),
    ("index", "--again", "--model", "embedded"),
    ("forget", "photos/portraits"),
    ("forget", "--folder", "photos/portraits"),
    ("forget", "--face", "1"),
    ("reindex", "--model", "own"),
    ("reindex", "--index-type", "ivf"),
    ("query", "me.jpg", "--copy-to", "to", "--crops-to", "crops", "--sheet", "hits.png", "--html", "hits.html"),
]


@pytest.mark.parametrize("command", one_in(5, [(command,) for command in DRY]), ids=" ".join)
@pytest.mark.usefixtures("held")
def test_a_dry_run_needs_no_lock_and_writes_nothing(facesearch: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "ix/faces.faiss").unlink()  # the next query rebuilds it, but a dry run must not
    before = state(tmp_path)
    facesearch(*command, "--index", "ix", "--dry-run")
    assert state(tmp_path) == before


@pytest.mark.thorough
@pytest.mark.parametrize("command", DRY, ids=" ".join)
def test_a_dry_run_on_a_disk_that_is_read_only(
    facesearch: Run, photos: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    def mount(*options: str) -> None:
        subprocess.run(["mount", *options, str(tmp_path / "ix")], check=True)

    mounted = subprocess.run(["mount", "--bind", tmp_path / "ix", tmp_path / "ix"], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"{NOT_PERMITTED}: mount a disk")
    try:
        mount("-o", "remount,bind,ro")
        facesearch(*command, "--index", "ix", "--dry-run")
        assert "read-only" in facesearch("index", "--index", "ix", exit_code=3).stderr.lower()
    finally:
        subprocess.run(["umount", str(tmp_path / "ix")], check=True)


def plan(run: Run, *arguments: Any) -> dict[str, Any]:
    return dict(json.loads(run("index", *arguments, "--index", "ix", "--dry-run", "-f", "json").stdout))


def test_the_report_of_a_dry_run_is_a_plan(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    told = facesearch("index", "photos", "--index", "ix", "--dry-run")
    lines = [line.split(maxsplit=2) for line in told.stdout.splitlines()]
    assert lines == [
        ["would", "read", "4 photos (4 new)"], ["would", "hide", "1"], ["unchanged", "6"], ["index", "ix"],
    ]  # fmt: skip
    assert "nothing was changed; would read 4 photos, hide 1" in told.stderr
    inner = plan(facesearch, "photos/party")
    assert (inner["new"], inner["unchanged"], inner["missing"], inner["dry_run"], inner["new_index"]) == (
        4,
        0,
        0,
        True,
        False,
    )
    assert plan(facesearch, "photos", "--again")["changed"] == 6
    pruned = facesearch("index", "--index", "ix", "--prune", "--dry-run").stdout
    assert "would delete  1" in pruned
    done = json.loads(facesearch("index", "photos", "--index", "ix", "-f", "json").stdout)
    assert (done["new"], done["missing"], done["unchanged"]) == (4, 1, 6), "as planned"


def test_no_index_is_named_that_does_not_exist(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    told = facesearch("index", "photos/party", "--index", "other", "--dry-run")
    assert told.stdout.splitlines()[-1] == "would make  a new index in other"
    assert not (tmp_path / "other").exists()
    assert json.loads(facesearch("index", photos, "--index", "other", "--dry-run", "-f", "json").stdout)["new_index"]
    other = facesearch("index", "--model", "own", "--index", "ix", "--dry-run", exit_code=3)
    assert "made with model embedded" in other.stderr, "like the real run"


def test_an_older_index_is_left_as_it_is(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "old/catalog.sqlite"
    catalog.parent.mkdir()
    with closing(sqlite3.connect(tmp_path / "ix/catalog.sqlite")) as now, closing(sqlite3.connect(catalog)) as old:
        (application_id,) = now.execute("PRAGMA application_id").fetchone()
        old.executescript(f"PRAGMA journal_mode = WAL; {'; '.join(MIGRATIONS[:2])}")
        old.executescript(f"PRAGMA application_id = {application_id}; PRAGMA user_version = 2")
    before = state(tmp_path / "old")
    refused = facesearch("index", photos, "--index", "old", "--dry-run", exit_code=3).stderr
    assert "made by an older facesearch" in refused
    assert "brings it up to date" in refused
    assert len(refused.splitlines()) == 1
    assert state(tmp_path / "old") == before


def test_a_dry_run_with_read_permission_only(bound: Any, photos: Path, tmp_path: Path) -> None:  # noqa: F811
    for path in (tmp_path / "ix").iterdir():
        path.chmod(0o400)
    (tmp_path / "ix").chmod(0o500)
    try:
        for command in DRY:
            bound(*command, "--index", "ix", "--dry-run")
        assert sorted(os.listdir(tmp_path / "ix")) == ["catalog.sqlite", "faces.faiss", "reserve", "writer.lock"]
    finally:
        (tmp_path / "ix").chmod(0o700)


def test_a_dry_run_of_removing_a_model(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("models", "add", "own", "--name", "mine")
    before = state(tmp_path / "home")
    told = facesearch("models", "remove", "mine", "--dry-run").stderr
    assert "nothing was changed" in told
    assert state(tmp_path / "home") == before
