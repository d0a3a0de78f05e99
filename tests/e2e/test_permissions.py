"""Missing permissions, in a process that has to respect them: as root, the capability to ignore them is dropped."""

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
from conftest import NOT_PERMITTED

pytestmark = pytest.mark.thorough

BOUND = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.fixture
def bound(environment: dict[str, str], tmp_path: Path) -> Any:
    """Run the command in a process that respects file permissions."""
    prefix = BOUND if os.geteuid() == 0 else []
    if prefix and (shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode):
        pytest.skip(f"{NOT_PERMITTED}: give up root's own")

    def run(*arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [*prefix, sys.executable, "-m", "facesearch", *arguments]
        options: dict[str, Any] = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True}
        result = subprocess.run(command, check=False, timeout=120, **options)
        assert "Traceback" not in result.stderr
        assert result.returncode == exit_code, result.stderr
        return result

    return run


@pytest.fixture
def photos(tmp_path: Path, library: Path) -> Path:
    folder = tmp_path / "photos"
    shutil.copytree(library / "photos/portraits", folder / "open")
    shutil.copytree(library / "photos/party", folder / "shut")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    return folder


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o300])
def test_an_unreadable_folder_hides_nothing(bound: Any, photos: Path, mode: int) -> None:
    bound("index", "photos", "--index", "ix", "-q")
    before = bound("query", "me.jpg", "--index", "ix", "-f", "paths").stdout
    (photos / "shut").chmod(mode)
    try:
        report = bound("index", "--index", "ix", "-f", "json", exit_code=5)
        assert "shut: Permission denied; its photos are kept" in report.stderr
        assert (json.loads(report.stdout)["missing"], json.loads(report.stdout)["unchanged"]) == (0, 11)
        assert bound("query", "me.jpg", "--index", "ix", "-f", "paths").stdout == before
    finally:
        (photos / "shut").chmod(0o700)


def test_an_unreadable_file_is_retried(bound: Any, photos: Path) -> None:
    shy = photos / "open/bea.jpg"
    shy.chmod(0)
    bound("index", "photos", "--index", "ix", "-q")
    assert "Permission denied" in bound("status", "--failed", "--index", "ix").stdout
    shy.chmod(0o600)
    assert json.loads(bound("index", "--index", "ix", "-q", "-f", "json").stdout)["changed"] == 1
    assert "bea.jpg" in bound("query", "me.jpg", "--index", "ix", "-f", "paths").stdout


def test_a_read_only_index(bound: Any, photos: Path, tmp_path: Path) -> None:
    bound("index", "photos", "--index", "ix", "-q")
    before = bound("query", "me.jpg", "--index", "ix", "-f", "paths").stdout
    for path in (tmp_path / "ix").glob("*-*"):
        path.unlink()
    for path in (tmp_path / "ix").iterdir():
        path.chmod(0o400)
    (tmp_path / "ix").chmod(0o500)
    try:
        assert bound("query", "me.jpg", "--index", "ix", "-f", "paths").stdout == before
        assert "embedded" in bound("status", "--index", "ix").stdout
        refused = bound("index", "--index", "ix", exit_code=3)
        assert "cannot be opened for writing (Permission denied)" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        listed = bound("people", "list", "--index", "ix", "-f", "json").stdout
        number = str(json.loads(listed)[0]["number"])
        for command in (["name", number, "Anna"], ["ignore", number], ["seen"]):
            unsaid = bound("people", *command, "--index", "ix", exit_code=3).stderr
            assert unsaid.endswith("the index can only be read here; ask its owner for the right to write\n")
            assert unsaid.count("\n") == 1
        assert bound("people", "list", "--index", "ix", "-f", "json").stdout == listed
        bound("people", "review", "--index", "ix", "-f", "json")
    finally:
        (tmp_path / "ix").chmod(0o700)


def test_a_pending_log_of_a_read_only_index_is_read(bound: Any, photos: Path, tmp_path: Path) -> None:
    """As after a power cut: the last commit is only in the write-ahead log."""
    bound("index", "photos", "--index", "ix", "-q")
    catalog = tmp_path / "ix/catalog.sqlite"
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE photos SET taken_at = '2001-02-03T04:05:06'")
        kept = {name: Path(f"{catalog}{name}").read_bytes() for name in ("", "-wal")}
    for name, data in kept.items():
        Path(f"{catalog}{name}").write_bytes(data)
    (tmp_path / "ix").chmod(0o500)
    try:
        answer = bound("query", "me.jpg", "--index", "ix", "-f", "jsonl").stdout
        assert {json.loads(line)["taken_at"] for line in answer.splitlines()} == {"2001-02-03T04:05:06"}
        assert Path(f"{catalog}-wal").read_bytes() == kept["-wal"]
    finally:
        (tmp_path / "ix").chmod(0o700)


@pytest.mark.parametrize("shut", ["ix", "above", "catalog.sqlite"])
def test_an_unreadable_index_is_not_reported_as_missing(bound: Any, photos: Path, tmp_path: Path, shut: str) -> None:
    (tmp_path / "above").mkdir()
    bound("index", "photos/open", "--index", "above/ix", "-q")
    barrier = {"ix": tmp_path / "above/ix", "above": tmp_path / "above"}.get(shut, tmp_path / "above/ix/catalog.sqlite")
    mode = barrier.stat().st_mode
    barrier.chmod(0)
    shown = "----------" if shut == "catalog.sqlite" else "d---------"
    try:
        commands = [
            ("query", "me.jpg"),
            ("index",),
            ("index", "photos"),
            ("index", "photos", "--dry-run"),
            ("status",),
            ("check",),
            ("forget", "photos", "--yes"),
            ("folders", "list"),
            ("backup", "copy"),
            ("export",),
        ]
        for command in commands:
            refused = bound(*command, "--index", "above/ix", exit_code=3).stderr
            assert "the index cannot be read (Permission denied;" in refused, command
            assert shown in refused
            assert len(refused.splitlines()) == 1
        assert "the index cannot be read" in bound("doctor", "--index", "above/ix", exit_code=3).stdout
    finally:
        barrier.chmod(mode)
    assert "no index at" in bound("query", "me.jpg", "--index", "above/none", exit_code=3).stderr


@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_check_distinguishes_missing_photos_from_unreadable_folders(
    bound: Any, photos: Path, tmp_path: Path, mode: int
) -> None:
    bound("index", "photos", "--index", "ix", "-q")
    (photos / "open/ada.jpg").unlink()
    (photos / "shut").chmod(mode)
    try:
        told = bound("check", "--index", "ix").stdout
        assert "1 photo is no longer in" in told
        assert f"note: 4 photos are unreadable in {photos} (Permission denied); nothing is hidden" in told
        photos.chmod(mode)
        assert f"note: 11 photos are unreadable in {photos}" in bound("check", "--index", "ix").stdout
    finally:
        photos.chmod(0o700)
        (photos / "shut").chmod(0o700)


def test_a_photo_that_cannot_be_copied_says_why(bound: Any, photos: Path, tmp_path: Path) -> None:
    bound("index", "photos", "--index", "ix", "-q")
    asked = ("query", "me.jpg", "--index", "ix", "-q", "-f", "paths", "--copy-to", "to")
    bound(*asked)
    (photos / "open/bea.jpg").chmod(0)
    (photos / "shut").chmod(0)
    try:
        for _folder in ("a copy is there", "none is"):
            told = bound(*asked, exit_code=5).stderr
            assert f"{photos / 'open/bea.jpg'}: cannot be read: Permission denied; skipped" in told
            assert f"{photos / 'shut/everybody.jpg'}: cannot be read: Permission denied; skipped" in told
            assert "not found" not in told
            shutil.rmtree(tmp_path / "to")
    finally:
        (photos / "shut").chmod(0o700)
    (photos / "open/bea.jpg").unlink()
    assert f"{photos / 'open/bea.jpg'}: not found; skipped" in bound(*asked, exit_code=5).stderr


def test_no_room_for_a_new_index(bound: Any, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused = bound("index", "photos", "--index", "locked/ix", exit_code=3)
    assert "cannot be created (Permission denied)" in refused.stderr
    somebody = tmp_path / "somebody"
    somebody.mkdir()
    (somebody / "catalog.sqlite").write_bytes(b"")
    somebody.chmod(0)
    other = bound("query", "me.jpg", "--index", "somebody", exit_code=3)
    assert len(other.stderr.splitlines()) == 1
    somebody.chmod(0o700)
