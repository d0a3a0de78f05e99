"""A disk that is full to the last byte: questions are answered, and what makes room works."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import NOT_PERMITTED, Run, toy_face, toy_model_info

from facesearch.care.forget import forget, to_forget_photos, to_forget_root
from facesearch.errors import DiskFullError
from facesearch.index.store import Store
from facesearch.types import PhotoFile

pytestmark = pytest.mark.thorough

Fill = Callable[[], None]


@contextmanager
def small_disk(beside: Path, size: str) -> Iterator[Path]:
    folder = beside / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip(f"{NOT_PERMITTED}: mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    with small_disk(tmp_path, "2300k") as folder:
        yield folder


@pytest.mark.parametrize("size", [100, 300, 500])
def test_a_new_index_that_has_no_room_says_so(facesearch: Run, photos: Path, tmp_path: Path, size: int) -> None:
    with small_disk(tmp_path, f"{size}k") as disk:
        full = facesearch("index", photos, "--index", disk / "ix", "-q", exit_code=3)
        message = f"facesearch: {disk / 'ix/catalog.sqlite'}: the disk is full; free some space there"
        assert full.stderr.startswith(message)
        assert (len(full.stderr.splitlines()), full.stdout) == (1, "")
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        facesearch("index", photos / "portraits", "--index", disk / "ix", "-q")
        assert "has no faults" in facesearch("check", "--index", disk / "ix").stdout


@pytest.fixture
def photos(library: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    shutil.copytree(library / "photos/portraits", folder / "portraits")
    shutil.copytree(library / "photos/party", folder / "party")
    return folder


def fill(disk: Path) -> None:
    with open(disk / "filler", "ab", buffering=0) as stream:
        for piece in (65536, 4096, 1):
            try:
                while True:
                    stream.write(bytes(piece))
            except OSError:
                continue
    assert shutil.disk_usage(disk).free == 0


def contents(index: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(index.iterdir()) if path.is_file())


def vectors_of(index: Path, name: str) -> list[bytes]:
    with closing(sqlite3.connect(f"file:{index / 'catalog.sqlite'}?immutable=1", uri=True)) as catalog:
        rows = catalog.execute(
            "SELECT vector FROM vectors JOIN faces ON face = faces.id JOIN photos ON photo = photos.id"
            " WHERE CAST(path AS TEXT) LIKE ?",
            (f"%{name}%",),
        )
        return [bytes(row[0]) for row in rows]


def leave_a_log(index: Path) -> None:
    """As after a power cut: the last commit is in the write-ahead log alone."""
    catalog = index / "catalog.sqlite"
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE photos SET taken_at = '2001-02-03T04:05:06'")
        kept = {name: Path(f"{catalog}{name}").read_bytes() for name in ("", "-wal")}
    for name, data in kept.items():
        Path(f"{catalog}{name}").write_bytes(data)


@pytest.mark.parametrize("log", [False, True], ids=["no log", "a log that is pending"])
def test_a_full_disk_answers(facesearch: Run, library: Path, photos: Path, disk: Path, *, log: bool) -> None:
    facesearch("index", photos, "--index", disk / "ix", "-q")
    if log:
        leave_a_log(disk / "ix")
    fill(disk)
    assert not (disk / "ix/catalog.sqlite-shm").exists()
    for _again in range(2):  # the first leaves an index of the log that is cut short
        answer = facesearch("query", library / "query.jpg", "--index", disk / "ix", "-f", "jsonl")
        dates = {json.loads(line).get("taken_at") for line in answer.stdout.splitlines()}
        assert dates == ({"2001-02-03T04:05:06"} if log else {None}), "what is committed counts"
    assert json.loads(facesearch("status", "--index", disk / "ix", "-f", "json").stdout)["photos"] == 11
    assert "has no faults" in facesearch("check", "--index", disk / "ix").stdout
    assert len(facesearch("export", "--index", disk / "ix").stdout.splitlines()) > 10
    full = facesearch("index", "--again", "--index", disk / "ix", exit_code=3).stderr
    assert "the disk is full; free some space" in full


def test_grouping_on_a_full_disk_changes_nothing(facesearch: Run, photos: Path, disk: Path) -> None:
    facesearch("index", photos, "--index", disk / "ix", "-q", "--no-grouping")
    fill(disk)
    full = facesearch("people", "group", "--index", disk / "ix", exit_code=3)
    assert "the disk is full; free some space" in full.stderr
    assert len(full.stderr.splitlines()) == 1
    assert "not grouped yet" in facesearch("status", "--index", disk / "ix").stdout
    (disk / "filler").unlink()
    assert "people with" in facesearch("people", "group", "--index", disk / "ix").stdout
    assert "has no faults" in facesearch("check", "--index", disk / "ix").stdout


def test_forgetting_makes_room(facesearch: Run, library: Path, photos: Path, disk: Path) -> None:
    index = disk / "ix"
    facesearch("index", photos, "--index", index, "-q")
    gone, kept = vectors_of(index, "party"), vectors_of(index, "portraits")
    fill(disk)
    facesearch("forget", photos / "party", "--index", index, "--yes")
    assert gone
    assert not any(vector in contents(index) for vector in gone), "neither in the catalog nor in its log"
    assert all(vector in contents(index) for vector in kept)
    answer = facesearch("query", library / "query.jpg", "--index", index, "-f", "paths")
    assert [os.path.basename(path) for path in answer.stdout.splitlines()] == ["bea.jpg"]
    fill(disk)
    facesearch("folders", "remove", photos, "--index", index, "--yes")
    assert not any(vector in contents(index) for vector in kept)
    (disk / "filler").unlink()
    assert json.loads(facesearch("index", photos, "--index", index, "-f", "json").stdout)["new"] == 11
    assert facesearch("check", "--index", index).stdout.endswith("has no faults\n")


def test_little_room_is_enough_for_much(disk: Path) -> None:
    """What is deleted takes many times the room that is left, and that the vector file leaves."""
    rng = np.random.default_rng(5)
    with Store.create(disk / "ix", toy_model_info()) as store:
        with store.transaction():
            root = store.catalog.roots.add(b"/photos")
            for number in range(3000):
                file = PhotoFile(b"%05d.jpg" % number, number, number)
                photo = store.catalog.photos.put(root.id, file, b"%032d" % number, "faces")
                store.catalog.faces.replace(photo, [toy_face(rng.normal(size=8))])
        store.finish()
    fill(disk)
    told: list[str] = []
    with Store.open(disk / "ix", write=True, notify=told.append) as store:
        forget(store, to_forget_photos(store, Path("/photos/00007.jpg"), never_again=True))
        assert store.catalog.photos.counts().photos == 3000
        forget(store, to_forget_root(store, Path("/photos")))
        assert store.catalog.photos.counts().photos == store.catalog.vectors.count() == 0
    assert "not enough disk space" in told[0]


def test_without_anything_to_give_way_it_is_said(disk: Path) -> None:
    with Store.create(disk / "ix", toy_model_info()) as store:
        with store.transaction():
            root = store.catalog.roots.add(b"/photos")
            photo = store.catalog.photos.put(root.id, PhotoFile(b"a.jpg", 1, 1), b"a" * 32, "faces")
            store.catalog.faces.replace(photo, [toy_face([1.0] * 8)])
        store.finish()
    (disk / "ix/faces.faiss").unlink()
    (disk / "ix/reserve").unlink()
    fill(disk)
    with (
        Store.open(disk / "ix", write=True) as store,
        pytest.raises(DiskFullError, match=r"catalog\.sqlite: the disk is full; free some space"),
    ):
        forget(store, to_forget_photos(store, Path("/photos/a.jpg"), never_again=False))
    with Store.open(disk / "ix") as store:
        assert store.catalog.photos.counts().photos == 1


def test_a_backup_to_a_full_disk_names_that_disk(facesearch: Run, photos: Path, disk: Path) -> None:
    facesearch("index", photos, "--index", "ix", "-q")
    fill(disk)
    before = sorted(path.name for path in disk.iterdir())
    refused = facesearch("backup", disk / "copy.sqlite", "--index", "ix", exit_code=3).stderr
    assert f"{disk / 'copy.sqlite'}: the disk is full; free some space there, or choose another place" in refused
    assert sorted(path.name for path in disk.iterdir()) == before
