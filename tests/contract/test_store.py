"""The index as a whole: catalog and vector file stay consistent, whatever happens to the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_face, toy_model_info

from facesearch.errors import IndexNotFoundError, LockedError, ModelMismatchError, StorageError, UsageError
from facesearch.index import store as store_module
from facesearch.index import vector_file as vector_file_module
from facesearch.index.lock import WriterLock
from facesearch.index.store import CATALOG_FILE, VECTORS_FILE, Store
from facesearch.index.vector_file import SearchFacts
from facesearch.settings import default_index_path
from facesearch.types import PhotoFile
from facesearch.vectors import kinds
from facesearch.vectors import snapshot as vectors_module
from facesearch.vectors.snapshot import read_stamp

DIM = 8


def vector(seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=DIM)
    return (values / np.linalg.norm(values)).astype(np.float32)


def add_photos(store: Store, seeds: range, *, finish: bool = True, name: bytes = b"%d.jpg") -> None:
    with store.transaction():
        roots = store.catalog.roots.all()
        root = roots[0] if roots else store.catalog.roots.add(b"/photos")
        for seed in seeds:
            photo = store.catalog.photos.put(root.id, PhotoFile(name % seed, 1, 1), None, "faces")
            store.catalog.faces.replace(photo, [toy_face(vector(seed))])
    if finish:
        store.finish()


def remove_photo(store: Store, seed: int) -> None:
    with store.transaction():
        known = store.catalog.photos.at(1, b"%d.jpg" % seed)
        assert known is not None
        store.catalog.faces.replace(known.id, [])


def nearest(store: Store, seed: int, k: int = 3) -> list[bytes]:
    _, ids = store.search(vector(seed)[None, :], k)
    rows = store.catalog.faces.records(ids[0].tolist())
    return [rows[vector_id].path for vector_id in ids[0].tolist()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An index of twenty photos."""
    path = tmp_path / "index"
    with Store.create(path, toy_model_info()) as store:
        add_photos(store, range(20))
    return path


def check(path: Path, present: range, absent: range = range(0)) -> list[str]:
    """Check that the index finds what its catalog has; return its messages."""
    said: list[str] = []
    with Store.open(path, notify=said.append) as store:
        assert len(store) == len(present)
        for seed in present:
            assert nearest(store, seed, 1) == [b"/photos/%d.jpg" % seed]
        for seed in absent:
            assert nearest(store, seed, 1) != [b"/photos/%d.jpg" % seed]
    return said


def test_an_index_is_for_its_owner_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o700
    assert {entry.name: entry.stat().st_mode & 0o777 for entry in path.iterdir()} == {
        CATALOG_FILE: 0o600, VECTORS_FILE: 0o600, "writer.lock": 0o600, "reserve": 0o600,
    }  # fmt: skip
    assert check(path, range(20)) == []


def test_a_missing_vector_file_is_rebuilt_once(path: Path) -> None:
    (path / VECTORS_FILE).unlink()
    (said,) = check(path, range(20))
    assert "missing: rebuilt from the catalog" in said
    assert check(path, range(20)) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "another's", "text"])
def test_a_damaged_vector_file_is_rebuilt(path: Path, tmp_path: Path, damage: str) -> None:
    file = path / VECTORS_FILE
    data = bytearray(file.read_bytes())
    if damage == "another's":
        with Store.create(tmp_path / "other", toy_model_info()) as other:
            add_photos(other, range(100, 120))
        data = bytearray((tmp_path / "other" / VECTORS_FILE).read_bytes())
    elif damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    else:
        data = bytearray(b"" if damage == "emptied" else b"not an index")
    file.write_bytes(data)
    (said,) = check(path, range(20))
    assert "damaged or out of date" in said
    assert check(path, range(20)) == []


def test_faces_missing_from_an_older_vector_file_are_added(path: Path) -> None:
    old = (path / VECTORS_FILE).read_bytes()
    with Store.open(path, write=True) as store:
        add_photos(store, range(20, 25), finish=False)
        remove_photo(store, 3)
    assert (path / VECTORS_FILE).read_bytes() == old, "a few new faces are no reason to write the file"
    said: list[str] = []
    with Store.open(path, notify=said.append) as store:
        assert len(store) == 24
        assert nearest(store, 22, 1) == [b"/photos/22.jpg"]
        assert nearest(store, 3, 1) != [b"/photos/3.jpg"]
    assert said == []


def test_a_vector_file_older_than_the_list_of_deleted_ids_is_not_trusted(path: Path) -> None:
    old = (path / VECTORS_FILE).read_bytes()
    with Store.open(path, write=True) as store:
        for seed in (3, 4, 5, 6):
            remove_photo(store, seed)
        store.finish()
    assert (path / VECTORS_FILE).read_bytes() != old
    (path / VECTORS_FILE).write_bytes(old)
    said: list[str] = []
    with Store.open(path, notify=said.append) as store:
        assert nearest(store, 3, 1) != [b"/photos/3.jpg"]
    assert len(said) == 1


def test_a_catalog_from_a_backup_is_not_answered_from_a_newer_vector_file(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path / CATALOG_FILE)) as now, closing(sqlite3.connect(tmp_path / "backup")) as backup:
        now.backup(backup)
    with Store.open(path, write=True) as store:
        for seed in range(20, 24):
            add_photos(store, range(seed, seed + 1))
    (path / CATALOG_FILE).write_bytes((tmp_path / "backup").read_bytes())
    with Store.open(path, write=True) as store:  # the generation becomes that of the file
        for seed in range(30, 36):
            add_photos(store, range(seed, seed + 1), finish=False)
    with Store.open(path) as store:
        assert len(store) == 26
        assert nearest(store, 33, 1) == [b"/photos/33.jpg"]
        assert nearest(store, 22, 1) != [b"/photos/22.jpg"]


def test_the_file_is_written_when_the_tail_has_grown_to_a_tenth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_file_module, "_TAIL_IN_A_RUN", 5)
    path = tmp_path / "index"
    written = []
    with Store.create(path, toy_model_info()) as store:
        for seed in range(120):
            add_photos(store, range(seed, seed + 1), finish=False)
            stamp = read_stamp(path / VECTORS_FILE, store.catalog.meta.uuid)
            written.append(stamp.last_id if stamp else 0)
    assert written == sorted(written)
    assert all(count + 1 - last <= max(5, last // 10) for count, last in enumerate(written)), "never far behind"
    assert len(set(written)) < 25, "the file is not written for every photo"
    assert check(path, range(120)) == []


def test_a_file_too_large_to_verify_is_scored_from_the_catalog(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "VERIFIED_BELOW", 0)
    file = path / VECTORS_FILE
    data = bytearray(file.read_bytes())
    place = data.find(vector(7).tobytes())
    data[place : place + 4 * DIM] = (vector(7) * np.float32(0.9)).tobytes()  # as on a faulty disk
    file.write_bytes(data)
    with Store.open(path) as store:
        scores, _ = store.search(vector(7)[None, :], 3)
        assert scores[0, 0] == pytest.approx(1, abs=1e-6)
        assert nearest(store, 7, 1) == [b"/photos/7.jpg"]


def test_a_reader_is_not_disturbed_by_a_writer(path: Path) -> None:
    with Store.open(path) as reader:
        assert len(reader) == 20
        with Store.open(path, write=True) as writer:
            add_photos(writer, range(20, 60))
            remove_photo(writer, 4)
            assert nearest(reader, 4, 1) == [b"/photos/4.jpg"]
        assert len(reader) == 20
        assert nearest(reader, 4, 20)[0] == b"/photos/4.jpg"
    with Store.open(path) as reader:
        assert len(reader) == 59


def test_one_writer_at_a_time_and_no_stale_lock(path: Path) -> None:
    with (
        Store.open(path, write=True),
        pytest.raises(LockedError, match=r"another run is writing.*process \d+, since 20"),
    ):
        Store.open(path, write=True)
    (path / "writer.lock").write_text("12345 1700000000\n")  # the process has ended
    Store.open(path, write=True).close()


def test_another_model_is_refused_naming_both(path: Path) -> None:
    other = toy_model_info("other", 16)
    with Store.open(path) as store:
        store.require_model(toy_model_info())
        store.require_model(toy_model_info("toy", source="/elsewhere"))
        with pytest.raises(ModelMismatchError, match=r"made with model toy .*not with other \(16 dimensions"):
            store.require_model(other)
        with pytest.raises(
            ModelMismatchError, match=r"embeddings have revision 1, .*; switch the index to the model toy"
        ):
            store.require_model(toy_model_info(revision=2))


def test_in_memory_is_the_same_index(tmp_path: Path) -> None:
    with Store.memory(toy_model_info()) as store:
        assert len(store) == 0
        add_photos(store, range(30))
        remove_photo(store, 3)
        assert len(store) == 29
        assert nearest(store, 7, 1) == [b"/photos/7.jpg"]
        assert store.size() == (store_module.StoreSize(0, 0))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_index_is_quiet(tmp_path: Path) -> None:
    Store.create(tmp_path / "index", toy_model_info()).close()
    assert check(tmp_path / "index", range(0)) == []


def test_the_default_path_of_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESEARCH_INDEX", "/named")
    assert default_index_path() == Path("/named")
    monkeypatch.delenv("FACESEARCH_INDEX")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_index_path().name == "default"
    assert default_index_path().is_absolute()
    (tmp_path / "indexes").mkdir()
    assert default_index_path() == Path("indexes/default")


def test_a_missing_index(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match="make one from a folder of photos"):
        Store.open(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be created"):
        Store.create(tmp_path / "file", toy_model_info())


def test_another_type_of_index_answers_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index"
    with Store.create(path, toy_model_info()) as store:
        add_photos(store, range(1200))
    with Store.open(path, write=True) as store:
        assert store.search_facts() == SearchFacts("flat", chosen="auto", recall=1.0, probes=None)
        facts = store.use_index_type("ivf")
        assert (facts.kind, facts.chosen) == ("ivf", "ivf")
        assert facts.recall >= 0.99
    with Store.open(path, write=True) as store:
        assert store.search_facts() == facts, "read from the file"
        assert store.vector_file_fault() is None
        for seed in range(0, 1200, 50):
            assert nearest(store, seed, 1) == [b"/photos/%d.jpg" % seed]
        add_photos(store, range(1200, 1500))
        assert store.search_facts().kind == "ivf", "a rewritten file keeps the chosen type"
        store.use_index_type("auto")
        assert store.search_facts().kind == "flat"
    monkeypatch.setattr(kinds, "_EXACT_UP_TO", 1400 * DIM * 4)
    with Store.open(path, write=True) as store:
        add_photos(store, range(1500, 1900))
        facts = store.search_facts()
        assert (facts.kind, facts.chosen) == ("ivf", "auto"), "chosen by size"
        with pytest.raises(UsageError, match="index_type hnsw: choose one of auto, flat, ivf"):
            store.use_index_type("hnsw")


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """An approximate index that has lost its vector file."""
    path = tmp_path / "index"
    with Store.create(path, toy_model_info()) as store:
        add_photos(store, range(1100))
        assert store.use_index_type("ivf").kind == "ivf"
    (path / VECTORS_FILE).unlink()
    return path


@pytest.mark.parametrize("write", [False, True])
def test_a_lost_approximate_file_is_rebuilt_as_one(lost: Path, write: bool) -> None:
    said: list[str] = []
    with Store.open(lost, write=write, notify=said.append) as store:
        facts = store.search_facts()
        assert (facts.kind, facts.chosen) == ("ivf", "ivf"), "the rebuilt file is used"
        assert facts.probes is not None
        assert nearest(store, 77, 1) == [b"/photos/77.jpg"]
    assert len(said) == 1
    with Store.open(lost) as store:
        assert store.search_facts() == facts


@pytest.mark.parametrize("why", ["nothing may be written", "another is writing"])
def test_without_its_file_an_approximate_index_answers_exactly_and_says_so(lost: Path, why: str) -> None:
    busy = WriterLock(lost / "writer.lock") if why == "another is writing" else nullcontext()
    with busy, Store.open(lost, keep=why == "another is writing") as store:
        assert store.search_facts() == SearchFacts("flat", chosen="ivf", recall=1.0, probes=None)
        assert nearest(store, 77, 1) == [b"/photos/77.jpg"]
        assert not (lost / VECTORS_FILE).exists()


def test_the_next_run_builds_the_chosen_type_if_the_last_one_died(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with Store.create(path, toy_model_info()) as store:
        add_photos(store, range(1100))
        store.use_index_type("ivf")
        with store.catalog.transaction():  # only the first step of `use_index_type`
            store.catalog.meta.set_index_type("flat")
    with Store.open(path) as store:
        facts = store.search_facts()
        assert (facts.kind, facts.chosen) == ("ivf", "flat"), "the current type and the chosen one"
    with Store.open(path, write=True) as store:
        store.finish()
        assert store.search_facts().kind == "flat"


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_copies_score_alike_whatever_the_type_and_the_part(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "index"
    with Store.create(path, toy_model_info()) as store:
        add_photos(store, range(1100))
        store.use_index_type(kind)
        add_photos(store, range(50), finish=False, name=b"again %d.jpg")
        for seed in range(50):
            scores, ids = store.search(vector(seed)[None, :], 2)
            assert scores[0, 0] == scores[0, 1] == pytest.approx(1, abs=1e-6)
            assert ids[0, 0] < ids[0, 1]
