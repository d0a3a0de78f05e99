"""The catalog: rows in, rows out, and what persists."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from hypothesis import given
from hypothesis import strategies as st

from facesearch.catalog import database as database_module
from facesearch.catalog.catalog import Catalog
from facesearch.catalog.columns import Shape
from facesearch.catalog.migrations import MIGRATIONS
from facesearch.errors import IndexDamagedError, IndexVersionError, LockedError, StorageError
from facesearch.filters import Filter
from facesearch.types import PhotoFacts, PhotoFile, TakenAt

LAST_RUN = {"finished": 1_700_000_000, "new": 3, "changed": 0, "moved": 0, "seconds": 1.5, "stopped": False}
TAKEN = TakenAt("2020-01-02T03:04:05", "exif", "second", "+01:00")
FACTS = PhotoFacts(640, 480, TAKEN, (48.1, 11.5))


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    with closing(Catalog.memory(toy_model_info())) as catalog:
        yield catalog


def file(path: bytes, size: int = 10, mtime_ns: int = 1) -> PhotoFile:
    return PhotoFile(path, size, mtime_ns)


def test_a_photo_comes_back_as_it_was_put(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    path = b"a \xff\n/b.jpg"
    photo = catalog.photos.put(root.id, file(path), b"h" * 32, "faces", facts=FACTS)
    known = catalog.photos.at(root.id, path)
    assert known is not None
    assert (known.id, known.file, known.status, known.missing) == (photo, file(path), "faces", False)
    assert catalog.photos.at(root.id, b"other") is None
    assert catalog.photos.with_content(b"h" * 32) == [(known, b"/photos/" + path)]
    again = catalog.photos.put(root.id, file(path, 11, 2), None, "failed", error="broken")
    assert again == photo
    assert list(catalog.photos.failed()) == [(b"/photos/" + path, "broken")]
    assert catalog.photos.with_content(b"h" * 32) == []


def test_photos_of_a_folder_are_found_by_bytes(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    paths = [b"a", b"a/1", b"a/\xff", b"a/b/2", b"a-b", b"a.jpg", b"b/a/1", b"aa/1"]
    for path in paths:
        catalog.photos.put(root.id, file(path), None, "no_face")
    assert [photo.file.path for photo in catalog.photos.within(root.id)] == sorted(paths)
    assert [photo.file.path for photo in catalog.photos.within(root.id, b"a")] == [b"a/1", b"a/b/2", b"a/\xff"]


def test_a_damaged_photo_among_many_is_told(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    for number in range(3):
        catalog.photos.put(root.id, file(b"%d" % number), None, "no_face")
    catalog.database.run("UPDATE photos SET mtime_ns = 'text' WHERE id = 2")
    photos = catalog.photos.within(root.id)
    assert next(photos).file.path == b"0"
    with pytest.raises(IndexDamagedError, match=r"invalid photos\.mtime_ns 'text'"):
        next(photos)


@pytest.mark.parametrize("typed", [False, True])
def test_an_unfinished_iteration_does_not_keep_the_catalog_open(catalog: Catalog, typed: bool) -> None:
    catalog.roots.add(b"/a")
    catalog.roots.add(b"/b")
    shape, sql = Shape("roots.id"), "SELECT id FROM roots ORDER BY id"
    rows = catalog.database.typed_each(shape, sql) if typed else catalog.database.each(sql)
    assert next(rows) == (1,)
    catalog.close()
    del rows
    gc.collect()


def test_a_root_around_others_takes_their_photos(catalog: Catalog) -> None:
    inner, beside, single = catalog.roots.add(b"/p/a"), catalog.roots.add(b"/pa"), catalog.roots.add(b"/p/one.jpg")
    photos = [catalog.photos.put(root.id, file(path), None, "no_face") for root, path in
              ((inner, b"x.jpg"), (beside, b"y.jpg"), (single, b""))]  # fmt: skip
    outer = catalog.roots.add(b"/p")
    assert [root.path for root in catalog.roots.all()] == [b"/pa", b"/p"]
    assert {photo.id: photo.file.path for photo in catalog.photos.within(outer.id)} == {
        photos[0]: b"a/x.jpg", photos[2]: b"one.jpg",
    }  # fmt: skip
    assert catalog.roots.all()[1].id not in (inner.id, single.id)


def test_faces_at_the_same_place_keep_their_ids_and_get_new_vectors(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    photo = catalog.photos.put(root.id, file(b"a.jpg"), None, "faces", facts=FACTS)
    here, there = (0, 0, 50, 60), (200, 0, 50, 60)
    catalog.faces.replace(photo, [toy_face(np.eye(8)[0], here), toy_face(np.eye(8)[1], there)])
    edited = toy_face(np.eye(8)[1] + np.eye(8)[2], (203, 2, 50, 60))
    before = {row.face_id: row for row in catalog.faces.records([1, 2]).values()}
    catalog.faces.replace(photo, [edited, toy_face(np.eye(8)[3], (400, 0, 50, 60))])
    after = catalog.faces.records(range(1, 9))
    assert set(after) == {3, 4}, "vector ids are never reused"
    assert after[3].face_id == 2
    assert after[4].face_id not in before
    assert sorted(catalog.vectors.dead().tolist()) == [1, 2]
    assert np.allclose(catalog.vectors.get([4, 3, 77], 8), [np.eye(8)[3], edited.embedding, np.zeros(8)])
    catalog.faces.replace(photo, [toy_face(np.eye(8)[7], (203, 2, 50, 60))])
    assert catalog.faces.records([5])[5].face_id not in (2, 3), "another person at the same place"
    ((ids, vectors),) = catalog.vectors.after(4, 8)
    assert ids.tolist() == [5]
    assert vectors.dtype == np.float32


def test_hidden_photos_are_not_found_and_come_back(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    photo = catalog.photos.put(root.id, file(b"a.jpg"), None, "faces", facts=FACTS)
    catalog.faces.replace(photo, [toy_face(np.eye(8)[0])])
    catalog.photos.hide([photo], 1000)
    catalog.photos.hide([photo], 2000)
    assert catalog.faces.records([1]) == {}
    assert catalog.photos.counts() == (0, 0, 0, 0, 1)
    catalog.photos.show([photo])
    row = catalog.faces.records([1])[1]
    assert (row.path, row.photo_id, row.taken_at) == (b"/photos/a.jpg", photo, str(TAKEN))
    assert catalog.photos.counts() == (1, 1, 0, 0, 0)


def test_a_copy_has_faces_and_vectors_of_its_own(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    twin = catalog.photos.put(root.id, file(b"a.jpg"), b"h", "faces", facts=FACTS)
    catalog.faces.replace(twin, [toy_face(np.eye(8)[5])])
    copy = catalog.photos.copy(twin, root.id, file(b"b.jpg", 12))
    rows = catalog.faces.records([1, 2])
    assert {row.photo_id for row in rows.values()} == {twin, copy}
    assert (catalog.vectors.get([1], 8) == catalog.vectors.get([2], 8)).all()
    catalog.faces.replace(twin, [])
    assert set(catalog.faces.records([1, 2])) == {2}


def test_more_ids_than_a_statement_takes(catalog: Catalog) -> None:
    root = catalog.roots.add(b"/photos")
    photo = catalog.photos.put(root.id, file(b"a.jpg"), None, "faces", facts=FACTS)
    catalog.faces.replace(photo, [toy_face(np.eye(8)[n % 8], (n * 100, 0, 50, 60)) for n in range(1234)])
    assert len(catalog.faces.records(range(1, 2000))) == 1234
    assert catalog.vectors.last_id() == 1234
    assert catalog.vectors.count_changed(1000) == 234


def test_the_generation_rises_with_whatever_changes_vectors(catalog: Catalog) -> None:
    """Triggers in the database raise it, not the code."""
    root = catalog.roots.add(b"/photos")
    photo = catalog.photos.put(root.id, file(b"a.jpg"), None, "faces", facts=FACTS)
    generations = [catalog.meta.generation]
    changes: list[Callable[[], object]] = [
        lambda: catalog.faces.replace(photo, [toy_face(np.eye(8)[0])]),
        lambda: catalog.photos.copy(photo, root.id, file(b"copy.jpg")),
        lambda: catalog.photos.delete(photo),
        lambda: catalog.roots.remove(root.id),  # and the copy with it
    ]
    for change in changes:
        with catalog.transaction():
            change()
        generations.append(catalog.meta.generation)
    assert generations == sorted(set(generations)), "each is higher than the last"
    with catalog.transaction():
        catalog.roots.add(b"/others")
    assert catalog.meta.generation == generations[-1]


def test_an_error_rolls_a_transaction_back(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), catalog.transaction():
        _ = catalog.roots.add(b"/photos").id / 0
    assert catalog.roots.all() == []
    with catalog.transaction():
        with catalog.transaction():
            catalog.roots.add(b"/photos")
        assert catalog.is_writing, "a nested transaction is part of the outer one"
    assert [len(catalog.roots.all()), catalog.is_writing] == [1, False]


class FailedOnPurposeError(Exception):
    """Raised on purpose in a transaction."""


Nested = tuple[bool, list["Nested"]]
"""A transaction: whether it fails at its end, and the nested ones, whose errors are caught."""

NESTED: st.SearchStrategy[Nested] = st.recursive(
    st.tuples(st.booleans(), st.just([])),
    lambda inner: st.tuples(st.booleans(), st.lists(inner, max_size=3)),
    max_leaves=8,
)


@given(NESTED)
def test_a_transaction_that_fails_takes_back_its_own_writes_and_no_others(outer: Nested) -> None:
    names = count()

    def write(catalog: Catalog, transaction: Nested) -> list[bytes]:
        fails, inner = transaction
        try:
            with catalog.transaction():
                kept = [b"/%d" % next(names)]
                catalog.roots.add(kept[0])
                for each in inner:
                    kept += write(catalog, each)
                if fails:
                    raise FailedOnPurposeError
        except FailedOnPurposeError:
            return []
        return kept

    with closing(Catalog.memory(toy_model_info())) as opened:
        kept = write(opened, outer)
        assert sorted(root.path for root in opened.roots.all()) == sorted(kept)
        assert not opened.is_writing


def on_disk(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, toy_model_info())
    return path


def test_the_model_and_last_run_are_kept(tmp_path: Path) -> None:
    path = on_disk(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["catalog.sqlite"]
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(Catalog.open(path, write=True)) as catalog:
        assert catalog.meta.last_run() is None
        with catalog.transaction():
            catalog.meta.set_last_run(LAST_RUN)
    with closing(Catalog.open(path)) as read:
        assert read.models.current() == toy_model_info()
        assert read.meta.last_run() == LAST_RUN
        assert len(read.meta.uuid) == 16
        with pytest.raises(StorageError):
            read.roots.add(b"/x")


def test_older_catalogs_are_brought_up_to_date_by_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every older version is migrated to the newest, and to a future one."""
    coming = (*MIGRATIONS, "ALTER TABLE faces ADD COLUMN later REAL; CREATE TABLE later (id INTEGER PRIMARY KEY)")
    schemas = []
    for version in range(1, len(coming) + 1):
        monkeypatch.setattr(database_module, "MIGRATIONS", coming[:version])
        path = tmp_path / f"{version}.sqlite"
        Catalog.create(path, toy_model_info())
        with closing(Catalog.open(path, write=True)) as old:
            old.roots.add(b"/photos")
        monkeypatch.setattr(database_module, "MIGRATIONS", coming)
        if version < len(coming):
            with pytest.raises(IndexVersionError, match="older facesearch"):
                Catalog.open(path)
        with closing(Catalog.open(path, write=True)) as upgraded:
            assert [root.path for root in upgraded.roots.all()] == [b"/photos"]
            schemas.append(upgraded.database.rows("SELECT sql FROM sqlite_schema ORDER BY name"))
        Catalog.open(path).close()
    assert all(schema == schemas[-1] for schema in schemas)


def test_faces_from_before_quality_was_measured_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.sqlite"
    monkeypatch.setattr(database_module, "MIGRATIONS", MIGRATIONS[:1])
    Catalog.create(path, toy_model_info())
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            INSERT INTO roots (id, uuid, path) VALUES (1, 'u', x'2f70');
            INSERT INTO photos (id, root, path, size, mtime_ns, status)
                VALUES (1, 1, x'61', 1, 86400000000000, 'faces');
            INSERT INTO faces (id, photo, x, y, width, height, landmarks, score)
                VALUES (1, 1, 0, 0, 50, 60, zeroblob(40), 0.9);
            INSERT INTO vectors (face, model, vector) VALUES (1, 1, zeroblob(32));
            """
        )
    with closing(Catalog.open(path, write=True)) as upgraded:
        (row,) = upgraded.faces.all()
        assert (row.quality, row.fingerprint, row.date_source, row.date[:4]) == (None, None, "file", "1970")
        assert upgraded.faces.count_unmeasured() == 1
        assert upgraded.faces.matching(Filter(min_face=10)).tolist() == [1]
        assert upgraded.faces.matching(Filter(min_quality=0.1)).tolist() == []


def test_catalogs_that_cannot_be_used(tmp_path: Path) -> None:
    path = on_disk(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(IndexVersionError, match=r"newer facesearch.*upgrade"):
        Catalog.open(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA application_id = 7")
    with pytest.raises(IndexDamagedError, match="not a facesearch catalog"):
        Catalog.open(path)
    path.write_bytes(b"no database at all, but long enough to have a header" * 99)
    with pytest.raises(IndexDamagedError, match="damaged"):
        Catalog.open(path)
    with pytest.raises(StorageError):
        Catalog.open(tmp_path / "missing.sqlite")
    with pytest.raises(StorageError, match="cannot be created"):
        Catalog.create(tmp_path / "no/folder/catalog.sqlite", toy_model_info())


def test_a_second_writer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = on_disk(tmp_path)
    with closing(Catalog.open(path, write=True)) as first, closing(Catalog.open(path, write=True)) as second:
        second.database.rows("PRAGMA busy_timeout = 10")
        told = pytest.raises(LockedError, match="another process is writing")
        with first.transaction(), told, second.transaction():
            pass
        with second.transaction():
            pass


def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    path = on_disk(tmp_path)
    with closing(Catalog.open(path, write=True)) as writer, closing(Catalog.open(path)) as reader:
        reader.view()
        with writer.transaction():
            writer.roots.add(b"/photos")
        assert reader.roots.all() == []
        reader.end_view()
        assert len(reader.roots.all()) == 1


def test_a_view_gives_way_to_writing_and_a_begun_write_is_kept(catalog: Catalog) -> None:
    catalog.view()
    with catalog.transaction():
        assert catalog.is_writing
        catalog.roots.add(b"/photos")
        catalog.view()
    assert [catalog.is_writing, len(catalog.roots.all())] == [False, 1]


def test_a_log_of_a_removed_catalog_is_not_replayed(tmp_path: Path) -> None:
    path = on_disk(tmp_path)
    old = Catalog.open(path, write=True)
    with old.transaction():
        for number in range(50):
            old.roots.add(b"/old/%d" % number)
    assert path.with_name("catalog.sqlite-wal").stat().st_size
    path.rename(tmp_path / "taken away")  # as after a crash: the log is left behind
    new = on_disk(tmp_path)
    with closing(Catalog.open(new)) as catalog:
        assert catalog.roots.all() == []
        assert catalog.database.integrity() == []
    old.close()


def test_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    path = on_disk(tmp_path)
    # Root may write everywhere, so switch to another user once Python has found its modules.
    script = (
        "import os; from pathlib import Path; from facesearch.catalog.catalog import Catalog\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        f"print(Catalog.open(Path({str(path)!r})).meta.generation)"
    )
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    for folder in tmp_path.parents:
        if folder.name.startswith(("pytest", "popen")):  # pytest-xdist adds one for each worker
            folder.chmod(0o755)
    try:
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert result.stdout == "0\n", result.stderr
        assert [entry.name for entry in tmp_path.iterdir()] == ["catalog.sqlite"]
    finally:
        tmp_path.chmod(0o700)
