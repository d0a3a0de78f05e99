"""Many copies of one photo: linear cost, regular commits, and runs that can be stopped."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sample_library import shipped_photo
from test_any_history import ColourModel

from facesearch.catalog.database import Database
from facesearch.catalog.photos import Photos
from facesearch.events import observing
from facesearch.index.store import Store
from facesearch.indexing import moves, writer
from facesearch.indexing.contents import Content, read
from facesearch.indexing.diff import Task
from facesearch.indexing.refresh import refresh
from facesearch.models.protocol import FaceModel

ALLOWED = 1.3
"""Twice as many copies may take twice the work times this factor; part of it is the fixed cost of a run."""


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the work of a run: rows read from the catalog, files checked, and files read to detect moves."""
    done: Counter[str] = Counter()
    rows, stat = Database.rows, os.stat

    def counted_rows(self: Database, sql: str, *values: object) -> list[Any]:
        found = rows(self, sql, *values)
        done["rows"] += len(found) + 1
        return found

    def counted_stat(*arguments: Any, **options: Any) -> os.stat_result:
        done["checks"] += 1
        return stat(*arguments, **options)

    def counted_read(task: Task) -> Content[Task]:
        done["reads"] += 1
        return read(task)

    monkeypatch.setattr(Database, "rows", counted_rows)
    monkeypatch.setattr(os, "stat", counted_stat)
    monkeypatch.setattr(moves, "read", counted_read)
    return done


def copies(folder: Path, count: int) -> Path:
    folder.mkdir()
    shipped_photo("astronaut").resize((200, 200)).save(folder / "000000.jpg")
    for number in range(1, count):
        os.link(folder / "000000.jpg", folder / f"{number:06}.jpg")
    return folder


Scene = Callable[[Store, FaceModel, Path, int], list[Path]]


def new(_store: Store, _model: FaceModel, folder: Path, count: int) -> list[Path]:
    return [copies(folder, count)]


def as_roots(_store: Store, _model: FaceModel, folder: Path, count: int) -> list[Path]:
    return sorted(copies(folder, count).iterdir())


def renamed(store: Store, model: FaceModel, folder: Path, count: int) -> list[Path]:
    refresh(store, model, [copies(folder, count)])
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"renamed {path.name}")
    return [folder]


def known(store: Store, model: FaceModel, folder: Path, count: int) -> list[Path]:
    """Copies that are all known, but touched."""
    refresh(store, model, [copies(folder, count)])
    os.utime(folder / "000000.jpg", (0, 0))
    return [folder]


def edited(store: Store, model: FaceModel, folder: Path, count: int) -> list[Path]:
    """Photos of one size in bytes, such as bitmaps; all are edited and none is moved."""
    folder.mkdir()
    picture = shipped_photo("astronaut").crop((120, 0, 330, 250)).resize((105, 125))
    for run in range(2):
        for number in range(count):
            picture.putpixel((0, 0), (number % 256, number // 256, run))
            picture.save(folder / f"{number:06}.bmp")
            os.utime(folder / f"{number:06}.bmp", (run * 1000, run * 1000))
        if not run:
            refresh(store, model, [folder])
    return [folder]


@pytest.mark.parametrize("scene", [new, as_roots, renamed, known, edited])
def test_twice_as_many_copies_are_twice_the_work(tmp_path: Path, work: Counter[str], scene: Scene) -> None:
    model = ColourModel("toy", 8, 5)  # the counts are the same, and detection takes no time
    spent = []
    for count in (150, 300):
        with Store.create(tmp_path / f"ix {count}", model.info) as store:
            paths = scene(store, model, tmp_path / f"photos {count}", count)
            work.clear()
            report = refresh(store, model, paths)
            assert work.pop("reads", 0) <= count, "each file is read at most once to tell an edit from a move"
            spent.append(dict(work))
            assert (report.photos, report.faces, report.failed) == (count, count, 0)
    for kind in spent[0]:
        assert spent[1][kind] <= 2 * ALLOWED * spent[0][kind], (kind, spent)


def test_a_run_that_is_stopped_among_copies_keeps_what_it_has_and_leaves_the_rest(
    model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copies(tmp_path / "photos", 120)
    adopted = 0
    copy = Photos.copy

    def counted(self: Photos, *arguments: Any) -> int:
        nonlocal adopted
        adopted += 1
        return copy(self, *arguments)

    monkeypatch.setattr(Photos, "copy", counted)
    with Store.create(tmp_path / "ix", model.info) as store:
        report = refresh(store, model, [photos], observer=observing(cancelled=lambda: adopted >= 50))
        assert report.stopped
        assert 50 <= report.photos < 120
        assert report.photos == report.faces
        rest = refresh(store, model)
        assert (rest.photos, rest.faces, rest.stopped) == (120, 120, False)
        assert rest.new == 120 - report.photos


def test_copies_are_committed_as_they_come(model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader sees more and more copies while the run goes on."""
    photos = copies(tmp_path / "photos", 80)
    monkeypatch.setattr(writer, "COMMIT_SECONDS", 0.0)
    seen: set[int] = set()
    with Store.create(tmp_path / "ix", model.info) as store:

        def look() -> bool:
            with Store.open(tmp_path / "ix") as reader:
                seen.add(reader.catalog.photos.counts().photos)
            return False

        refresh(store, model, [photos], observer=observing(cancelled=look))
    assert len(seen) > 10
