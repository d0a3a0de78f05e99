"""The `Index` class: everything it can do, on real photos with the real model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_pack import make_pack
from sample_library import shipped_photo

from facesearch import (
    Filter,
    Hint,
    Index,
    IndexNotFoundError,
    InputError,
    LockedError,
    ModelMismatchError,
    Remark,
    UsageError,
    compare,
    detect,
    observing,
)
from facesearch.api.results import Forgetting, Report
from facesearch.events import Observer
from facesearch.index.store import Store
from facesearch.query_options import QueryOptions


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return some_photos(tmp_path / "photos")


def some_photos(folder: Path) -> Path:
    """A group of six, a portrait twice, one photo without a face, and an unreadable one."""
    (folder / "trip").mkdir(parents=True)
    shipped_photo("t1").resize((640, 443)).save(folder / "group.jpg")
    shipped_photo("astronaut").save(folder / "trip/astronaut.png")
    shutil.copy(folder / "trip/astronaut.png", folder / "copy.png")
    shipped_photo("coffee").save(folder / "coffee.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def opened(path: Path, *, observer: Observer | None = None) -> Index:
    """Open an index with the embedded model, on the CPU."""
    return Index.open(path, create=True, model="embedded", device="cpu", observer=observer or Observer())


@pytest.fixture
def index(tmp_path: Path, photos: Path) -> Index:
    index = opened(tmp_path / "index")
    index.refresh([photos])
    return index


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """An index like that, for what changes nothing."""
    index = opened(tmp_path_factory.mktemp("unchanged") / "index")
    index.refresh([some_photos(tmp_path_factory.mktemp("unchanged") / "photos")])
    return index


def test_an_index_is_made_and_kept_current(tmp_path: Path, photos: Path) -> None:
    told: list[tuple[int, int, int, int]] = []
    with opened(tmp_path / "index") as index:
        there: bool = index.exists
        assert not there
        report = index.refresh([photos], progress=lambda *figures: told.append(figures))
        assert (report.new, report.failed, report.no_face, report.faces) == (5, 1, 1, 8)
        assert told[-1] == (5, 5, 7, 1), "the copy is known by its content"
        assert (tmp_path / "index").is_dir()
        assert index.refresh().unchanged == 5
        assert index.model.name == "embedded"
    with Index.open(tmp_path / "index") as again:
        status = again.status()
    assert (status.photos, status.faces, status.no_face, status.failed) == (5, 8, 1, 1)
    assert (status.path, status.folders) == (tmp_path / "index", (str(photos),))
    assert status.last_run is not None
    assert status.last_run["unchanged"] == 5
    assert status.switch is None
    assert (status.calibrated_people or 0) > 10


def test_a_missing_index(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IndexNotFoundError):
        Index.open(tmp_path / "index")
    index = opened(tmp_path / "index")
    with pytest.raises(UsageError, match=r"no index at .*; name photos") as nothing:
        index.refresh()
    assert nothing.value.hint is Hint.NAME_A_FOLDER
    with pytest.raises(InputError, match="no such file or folder"):
        index.refresh([tmp_path / "none"])
    with pytest.raises(UsageError, match="hnsw"):
        index.refresh([photos], index_type="hnsw")
    expected = index.preview([photos])
    assert (expected.new, expected.photos) == (5, 0)
    assert not (tmp_path / "index").exists(), "no folder without photos to index"
    monkeypatch.setenv("FACESEARCH_INDEX", str(tmp_path / "elsewhere"))
    assert Index.open(create=True).path == tmp_path / "elsewhere"


def test_a_tilde_in_text_is_the_home_folder(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with opened(tmp_path / "index") as index:
        assert index.preview(["~/photos"]).new == 5
        with pytest.raises(InputError, match="~/photos: no such"):
            index.refresh([Path("~/photos")])


def test_writes_are_visible_immediately(index: Index, photos: Path) -> None:
    assert index.status().faces == 8
    assert index.failed_photos() == [(photos / "broken.jpg", index.failed_photos()[0][1])]
    index.forget(photos / "group.jpg")
    assert index.status().faces == 2
    (photos / "broken.jpg").unlink()
    assert index.refresh().missing == 1
    assert index.failed_photos() == []


def test_a_deletion_is_confirmed_first(index: Index, photos: Path) -> None:
    def refuse(going: Forgetting | Report) -> None:
        raise UsageError(f"no: {going}")

    going = index.to_forget(photos / "copy.png", never_again=True)
    assert going.copies == (str(photos / "trip/astronaut.png"),)
    with pytest.raises(UsageError, match=r"no: .*copy\.png"):
        index.forget(photos / "copy.png", never_again=True, confirm=refuse)
    with pytest.raises(UsageError, match="no: Report"):
        index.refresh(keep_missing_days=0, confirm=refuse)
    assert index.status().faces == 8
    assert index.forget(photos / "copy.png", never_again=True, confirm=lambda told: None).takes_copies
    assert index.refresh().faces == 6, "they stay forgotten"


def test_one_thing_is_forgotten_at_a_time(index: Index, photos: Path) -> None:
    for named in ({}, {"path": photos, "face": 1}):
        with pytest.raises(UsageError) as error:
            index.to_forget(**named)  # type: ignore[arg-type]
        assert error.value.hint is Hint.ONE_THING_TO_FORGET
    with pytest.raises(UsageError) as error:
        index.forget(folder=photos, never_again=True)
    assert error.value.hint is Hint.KEEP_OUT_PHOTOS
    face = next(record.face_id for record, _ in index.export_faces())
    index.forget(face=face)
    assert face not in [record.face_id for record, _ in index.export_faces()]
    index.remove_folder(photos)
    assert (index.folders(), index.status().photos) == ([], 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda index: index.forget("photos", never_agian=True),
        lambda index: index.to_forget("photos", never_agian=True),
        lambda index: index.refresh(retry_fialed=True),
        lambda index: index.preview(retry_fialed=True),
        lambda index: index.preview_switch(rotation=False),
        lambda index: index.switch_model(rotation=False),
    ],
)
def test_a_misspelt_option_is_refused(unchanged: Index, call: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        call(unchanged)


def test_a_folder_that_moves_keeps_its_faces(index: Index, photos: Path, tmp_path: Path) -> None:
    before = {record.face_id for record, _ in index.export_faces()}
    photos.rename(tmp_path / "elsewhere")
    index.move_folder(photos, tmp_path / "elsewhere")
    assert index.folders() == [tmp_path / "elsewhere"]
    assert index.refresh().unchanged == 5
    assert {record.face_id for record, _ in index.export_faces()} == before


def test_faces_come_with_their_vectors(index: Index) -> None:
    exported = list(index.export_faces())
    assert len(exported) == 8
    for record, vector in exported:
        assert vector.shape == (index.model.dim,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert record.detection.box.width > 20


def test_check_and_backup(index: Index, tmp_path: Path) -> None:
    assert index.check().faults == []
    index.backup(tmp_path / "copy.sqlite")
    with pytest.raises(UsageError, match="exists") as error:
        index.backup(tmp_path / "copy.sqlite")
    assert error.value.hint is Hint.ANOTHER_FILE
    index.forget(next(iter(index.folders())))
    index.backup(tmp_path / "copy.sqlite", overwrite=True)
    (tmp_path / "restored").mkdir()
    (tmp_path / "copy.sqlite").rename(tmp_path / "restored/catalog.sqlite")
    assert Index.open(tmp_path / "restored").status().faces == 0
    (index.path / "faces.faiss").write_bytes(b"nothing that is true")
    assert index.check(repair=True).faults == []


def test_another_model(index: Index, tmp_path: Path) -> None:
    pack = str(make_pack(tmp_path / "pack"))
    other = Index.open(index.path, model=pack)
    for use in (other.status, other.refresh, other.preview):
        with pytest.raises(ModelMismatchError, match="made with model embedded"):
            use()
    assert index.switch_model() is None
    assert index.preview_switch() is None
    with pytest.raises(UsageError, match="nothing to cancel"):
        index.cancel_switch()
    ahead = index.preview_switch(pack)
    assert ahead is not None
    assert (ahead.origin, ahead.left, ahead.done) == ("embedded", 3, 0)
    stopped = index.switch_model(pack, observer=observing(cancelled=lambda: True))
    assert stopped is not None
    assert not stopped.complete
    assert index.status().switch is not None
    assert index.model.name == "embedded", "until it has read all photos"
    assert index.cancel_switch().dropped.source == pack
    done = index.switch_model(pack)
    assert done is not None
    assert done.refresh is not None
    assert index.model.source == pack
    assert other.status().faces == done.refresh.faces


def test_the_type_of_the_index(index: Index) -> None:
    assert index.kind_for("ivf") == "flat", "eight faces are too few for ivf"
    facts = index.use_index_type("flat")
    assert (facts.kind, facts.chosen) == ("flat", "flat")
    assert index.status().search == facts
    with pytest.raises(UsageError, match="hnsw"):
        index.kind_for("hnsw")


def test_one_writes_at_a_time(index: Index, photos: Path) -> None:
    with Store.open(index.path, write=True):
        assert index.status().faces == 8, "readers are never blocked"
        with pytest.raises(LockedError):
            index.forget(photos)
    index.forget(photos)


def test_a_run_that_is_stopped(tmp_path: Path, photos: Path) -> None:
    notes: list[str] = []
    watching = observing(notes=notes.append, cancelled=lambda: True)
    with opened(tmp_path / "index", observer=watching) as index:
        assert index.refresh([photos]).stopped
        assert any(note.startswith("new index in ") for note in notes)
        assert not index.refresh(observer=Observer()).stopped, "this run has another observer"


def test_progress_of_a_run_leaves_the_rest_to_the_index(tmp_path: Path, photos: Path) -> None:
    told: list[int] = []
    with opened(tmp_path / "index", observer=observing(cancelled=lambda: len(told) > 0)) as index:
        report = index.refresh([photos], progress=lambda done, *_: told.append(done))
    assert report.stopped
    assert told


def test_the_model_is_opened_once_for_the_same_work(index: Index) -> None:
    many = index._face_model()
    assert index._face_model(few=True) is many, "the fastest model is reused for a few photos"
    assert index._face_model() is many
    fresh = Index.open(index.path, device="cpu")
    few = fresh._face_model(few=True, at_once=False)
    assert few.runtime.streams == 1
    assert fresh._face_model().runtime.streams == fresh.runtime.threads


def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name = os.fsdecode(os.fsencode(str(folder)) + b"/\xff.png")
    shipped_photo("astronaut").save(folder / "a.png")
    os.rename(folder / "a.png", name)
    with opened(tmp_path / "index") as index:
        index.refresh([folder])
        ((record, _vector),) = index.export_faces()
    assert os.fsdecode(record.path) == name


def test_paths_are_given_in_any_form(index: Index, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portrait = photos / "trip/astronaut.png"
    monkeypatch.setenv("HOME", str(photos))
    monkeypatch.chdir(photos)
    expected = len(index.query([portrait]))
    for form in (portrait, str(portrait), os.fsencode(portrait), "trip/astronaut.png", "~/trip/astronaut.png"):
        assert len(index.query(form)) == len(index.query([form])) == expected
        assert len(index.query(portrait, where=Filter(under=form))) == 1
        assert index.to_forget(form).photos
    assert index.refresh(str(photos)).unchanged == index.refresh(os.fsencode(photos)).unchanged == 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda index: index.refresh([""]),
        lambda index: index.refresh([3]),
        lambda index: index.refresh(max_pixels="many"),
        lambda index: index.refresh(keep_missing_days=-1),
        lambda index: index.refresh(keep_missing_days=float("nan")),
        lambda index: index.refresh(max_memory="much"),
        lambda index: index.forget(""),
        lambda index: index.forget(face="1"),
        lambda index: index.query(3),
        lambda index: index.query("me.jpg", top_k="5"),
        lambda index: index.query("me.jpg", top_k=1.5),
        lambda index: index.query("me.jpg", threshold="high"),
        lambda index: index.query("me.jpg", QueryOptions(top_k=1), top_k=2),
        lambda index: index.query("me.jpg", where=None),
        lambda index: index.backup(index.path / "catalog.sqlite", overwrite=True),
        lambda index: Index.open(index.path, threads=-1),
        lambda index: Index.open(index.path, wait="long"),  # type: ignore[arg-type]
        lambda index: compare("me.jpg", "me.jpg", threshold=5),
        lambda index: detect(None),  # type: ignore[arg-type]
        lambda index: Filter(since=b"2019", min_face=10),  # type: ignore[arg-type]
        lambda index: Filter(min_face="large"),  # type: ignore[arg-type]
        lambda index: Filter(faces=(1,)),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(unchanged: Index, ask: Callable[[Any], object]) -> None:
    with pytest.raises(UsageError) as error:
        ask(unchanged)
    assert "\n" not in str(error.value)
    assert unchanged.status().failed == 1, "nothing was done"


def test_an_index_that_takes_the_place_of_another_is_seen(index: Index, photos: Path) -> None:
    with Index.open(index.path) as reader:
        assert reader.status().faces == 8
        shutil.rmtree(index.path)
        with pytest.raises(IndexNotFoundError):
            reader.status()
        with opened(index.path) as again:
            again.refresh(photos / "trip")
        assert reader.status().faces == len(reader.query(photos / "trip/astronaut.png")) == 1


def test_an_open_index_stays_in_its_thread(index: Index) -> None:
    index.status()
    with ThreadPoolExecutor(1) as pool:
        for ask in (index.status, index.close):
            with pytest.raises(UsageError, match="open in another thread"):
                pool.submit(ask).result()
        index.close()
        assert pool.submit(index.status).result().faces == 8
        pool.submit(index.close).result()


def test_remarks_reach_the_observer_behind_a_progress() -> None:
    class Listening(Observer):
        def remark(self, remark: Remark) -> None:
            heard.append(remark)

    heard: list[Remark] = []
    remark = Remark()
    observing(progress=print, otherwise=Listening()).remark(remark)
    assert heard == [remark]
