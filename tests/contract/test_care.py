"""Maintenance of an index: refused operations change nothing and leave no transaction or view open."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_face, toy_model_info

from facesearch.care.export import every_face
from facesearch.care.folders import find_root, move_root
from facesearch.care.forget import forget, photos_at, to_forget_face, to_forget_photos, to_forget_root
from facesearch.errors import FacesearchError, InputError, ModelMismatchError, ModelSwitchedError, UsageError
from facesearch.index.store import Store
from facesearch.types import PhotoFile

DIM = 8


def vector(seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=DIM)
    return (values / np.linalg.norm(values)).astype(np.float32)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of ten files, and another folder next to it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(b"%d" % number)
    (tmp_path / "others").mkdir()
    return folder


@pytest.fixture
def index(tmp_path: Path, photos: Path) -> Path:
    """An index of both folders."""
    with Store.create(tmp_path / "ix", toy_model_info()) as store:
        with store.transaction():
            root = store.catalog.roots.add(os.fsencode(photos))
            store.catalog.roots.add(os.fsencode(tmp_path / "others"))
            for number in range(10):
                file = PhotoFile(b"%d.jpg" % number, 1, 1)
                photo = store.catalog.photos.put(root.id, file, b"%032d" % number, "faces")
                store.catalog.faces.replace(photo, [toy_face(vector(number))])
        store.finish()
    return tmp_path / "ix"


def state(store: Store) -> object:
    return store.catalog.roots.all(), store.catalog.photos.counts(), store.catalog.meta.generation


Refused = tuple[Callable[[Store, Path], object], type[FacesearchError], str]
REFUSED: dict[str, Refused] = {
    "a root that is none": (lambda store, at: find_root(store, at / "none"), InputError, "not a folder of this index"),
    "a move of what is no root": (lambda store, at: move_root(store, at / "none", at), InputError, "not a folder of"),
    "a move to nowhere": (
        lambda store, at: move_root(store, at / "photos", at / "gone"), InputError, "no such file or folder",
    ),
    "a move into another root": (
        lambda store, at: move_root(store, at / "photos", at / "others"), UsageError, "overlaps the folder",
    ),
    "a move of a folder to a file": (
        lambda store, at: move_root(store, at / "others", at / "file"), InputError, "a photo, but .* was a folder",
    ),
    "a move to other photos": (
        lambda store, at: move_root(store, at / "photos", at / "empty"), InputError, "has 0 of 10 known photos",
    ),
    "photos that are not known": (
        lambda store, at: to_forget_photos(store, at / "no.jpg", never_again=True), InputError, "no known photo",
    ),
    "a face that is not known": (lambda store, at: to_forget_face(store, 99), InputError, "no face has this id"),
    "a root to forget that is none": (to_forget_root, InputError, "not a folder of"),
    "an unknown type of index": (lambda store, at: store.use_index_type("hnsw"), UsageError, "choose one of"),
    "another model": (
        lambda store, at: store.take_model(toy_model_info("other", 16)), ModelMismatchError, "made with model toy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing_and_leaves_nothing_open(index: Path, tmp_path: Path, case: str) -> None:
    run, error, told = REFUSED[case]
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with Store.open(index, write=True) as store:
        before = state(store)
        with pytest.raises(error, match=told):
            run(store, tmp_path)
        assert not store.catalog.database.is_viewing
        assert state(store) == before
        with store.transaction():  # the next transaction is not nested
            store.catalog.roots.remove(2)
        assert not store.catalog.database.is_viewing
    with Store.open(index) as store:
        assert len(store.catalog.roots.all()) == 1


def fail_after_adding_a_face(store: Store) -> None:
    """Add a face, run a query that sees it, and raise `ZeroDivisionError`."""
    with store.transaction():
        photo = store.catalog.photos.put(1, PhotoFile(b"new.jpg", 1, 1), None, "faces")
        store.catalog.faces.replace(photo, [toy_face(vector(50))])
        assert len(store) == 10, "the writer sees its own writes"
        _ = 1 // 0


def test_a_change_that_fails_is_undone_and_does_not_answer(index: Path) -> None:
    with Store.open(index, write=True) as store:
        with store.transaction():
            store.catalog.faces.delete(4)
        before = state(store)
        with pytest.raises(ZeroDivisionError):
            fail_after_adding_a_face(store)
        assert not store.catalog.database.is_viewing
        assert state(store) == before
        assert len(store) == 9
        assert store.search(vector(50)[None, :], 1)[0][0, 0] < 0.99


def test_a_reader_that_another_model_has_overtaken_is_told_and_sees_the_present(index: Path) -> None:
    with Store.open(index) as reader:
        with Store.open(index, write=True) as writer:
            with writer.transaction():
                writer.catalog.models.set_next(toy_model_info("next", 16))
            writer.promote_next_model()
        with pytest.raises(ModelSwitchedError, match="switched from model toy to next"):
            reader.search(vector(1)[None, :], 1)
        assert not reader.catalog.database.is_viewing
        with Store.open(index, write=True) as writer, writer.transaction():
            writer.catalog.roots.remove(2)
        assert len(reader.catalog.roots.all()) == 1, "it does not keep the old view forever"


def test_roots_move_and_photos_are_forgotten(index: Path, photos: Path, tmp_path: Path) -> None:
    with Store.open(index, write=True) as store:
        assert len(list(every_face(store))) == 10
        assert len(photos_at(store, photos / "3.jpg")) == 1
        forget(store, to_forget_photos(store, photos / "3.jpg", never_again=False))
        assert photos_at(store, photos / "3.jpg") == []
        faces = list(every_face(store))
        assert [face.vector_id for face, _ in faces] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
        assert all(np.allclose(kept, vector(face.vector_id - 1)) for face, kept in faces)
        photos.rename(tmp_path / "moved")
        move_root(store, photos, tmp_path / "moved", anyway=True)
        assert find_root(store, tmp_path / "moved").id == 1
        forget(store, to_forget_root(store, tmp_path / "moved"))
        assert list(every_face(store)) == []
        assert len(store) == 0
