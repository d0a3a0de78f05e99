"""Switching the model of an index: what is extracted, what queries see meanwhile, and the result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from own_pack import make_pack
from sample_library import shipped_photo

from facesearch.care.check import check
from facesearch.care.forget import forget, to_forget_face, to_forget_photos
from facesearch.errors import IndexDamagedError, ModelSwitchedError, UsageError
from facesearch.events import observing
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.indexing.model_switch import begin_switch, cancel_switch, left_to_extract, stage, switch
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.search.engine import Want, find
from facesearch.search.probes import probe_faces


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    """A second real model, with another detector."""
    return open_model(str(make_pack(tmp_path_factory.mktemp("second") / "other")), choose_runtime("cpu"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two group photos and portraits in two folders, one portrait twice, and a photo without a face."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    group = shipped_photo("t1")
    group.resize((640, 443)).save(folder / "group.jpg")
    group.crop((0, 0, 640, 886)).save(folder / "trip/left half.jpg")
    shipped_photo("astronaut").save(folder / "trip/astronaut.png")
    shutil.copy(folder / "trip/astronaut.png", folder / "copy of astronaut.png")
    shipped_photo("cameraman").save(folder / "cameraman.png")
    shipped_photo("coffee").save(folder / "coffee.png")
    return folder


@pytest.fixture
def index(tmp_path: Path, model: FaceModel, photos: Path) -> Path:
    path = tmp_path / "index"
    with Store.create(path, model.info) as store:
        refresh(store, model, [photos])
    return path


@pytest.fixture
def store(index: Path) -> Iterator[Store]:
    with Store.open(index, write=True) as store:
        yield store


def faces(store: Store) -> dict[int, tuple[str, float]]:
    """Return the photo and the left edge of each face, by face id."""
    return {
        row.face_id: (os.path.basename(os.fsdecode(row.path)), row.detection.box.left)
        for row in store.catalog.faces.all()
    }


def found(store: Store, model: FaceModel, path: Path) -> list[str]:
    (probe, *_) = probe_faces(model, str(path))
    hits = find(LocalGallery(store), probe, Want(threshold=0.5)).hits
    return sorted(os.path.basename(os.fsdecode(hit.face.path)) for hit in hits)


ASTRONAUTS = ["astronaut.png", "copy of astronaut.png"]


def test_every_face_keeps_its_id_and_gets_a_vector_of_the_other_model(
    store: Store, model: FaceModel, other: FaceModel, photos: Path
) -> None:
    before = faces(store)
    begin_switch(store, other.info)
    done = switch(store, other)
    assert done.complete
    assert (done.staging.extracted, done.staging.elsewhere) == (5, 0), "each content is extracted once"
    after = faces(store)
    assert after.keys() >= before.keys()
    for face_id, (name, left) in before.items():
        assert after[face_id][0] == name
        assert after[face_id][1] == pytest.approx(left, abs=15)
    assert done.takeover is not None
    assert (done.takeover.kept, done.takeover.lost) == (len(before), 0)
    assert store.model.identity == other.info.identity
    assert found(store, other, photos / "trip/astronaut.png") == ASTRONAUTS
    (fresh, *_) = probe_faces(other, str(photos / "cameraman.png"))
    hit = find(LocalGallery(store), fresh, Want(top_k=1)).hits[0]
    assert hit.similarity == pytest.approx(1, abs=0.02), "probes are extracted more thoroughly, but with the same model"
    assert refresh(store, other).unchanged == 6
    assert store.path is not None
    assert check(store.path).faults == []
    assert not store.catalog.staging.has_any()
    assert store.catalog.models.next() is None


def test_a_new_index_is_the_same(store: Store, other: FaceModel, photos: Path, tmp_path: Path) -> None:
    begin_switch(store, other.info)
    switch(store, other)
    with Store.create(tmp_path / "fresh", other.info) as fresh:
        refresh(fresh, other, [photos])
        assert sorted(faces(store).values()) == sorted(faces(fresh).values())
        vectors = [
            {
                faces(one)[row.face_id]: one.catalog.vectors.get([row.vector_id], 128)[0]
                for row in one.catalog.faces.all()
            }
            for one in (store, fresh)
        ]
    for face, vector in vectors[0].items():
        assert vector @ vectors[1][face] > 0.9999


def test_queries_use_the_first_model_during_the_switch(
    store: Store, index: Path, model: FaceModel, other: FaceModel, photos: Path
) -> None:
    begin_switch(store, other.info)
    assert left_to_extract(store, other.info) == (5, 0)
    asked = iter([False, False, True])
    part = stage(store, other, observer=observing(cancelled=partial(next, asked, True)))
    assert part.stopped
    assert part.extracted == 2
    assert left_to_extract(store, other.info) == (3, 2)
    with Store.open(index) as reader:
        assert reader.model.identity == model.info.identity
        assert found(reader, model, photos / "trip/astronaut.png") == ASTRONAUTS
    shipped_photo("hanks").save(photos / "new.png")
    (photos / "group.jpg").rename(photos / "trip/renamed.jpg")
    assert refresh(store, model).new == 1, "scheduled runs still use the first model"
    rest = stage(store, other)
    assert (rest.known, rest.extracted) == (2, 4)
    assert found(store, model, photos / "trip/astronaut.png") == ASTRONAUTS
    assert switch(store, other).staging.extracted == 0
    assert found(store, other, photos / "new.png") == ["new.png"]
    assert "renamed.jpg" in {name for name, _ in faces(store).values()}


def test_photos_that_changed_or_disappeared(store: Store, model: FaceModel, other: FaceModel, photos: Path) -> None:
    before = faces(store)
    (photos / "trip/astronaut.png").unlink()
    shipped_photo("hanks").save(photos / "cameraman.png")
    (photos / "group.jpg").unlink()
    begin_switch(store, other.info)
    done = switch(store, other)
    assert done.staging.elsewhere == 2, "the astronaut has a copy"
    assert done.complete
    assert done.refresh is not None
    assert (done.refresh.changed, done.refresh.missing) == (1, 2)
    assert found(store, other, photos / "copy of astronaut.png") == ["copy of astronaut.png"]
    assert found(store, other, photos / "cameraman.png") == ["cameraman.png"]
    assert store.catalog.photos.count_outdated() == 1, "the missing group photo"
    shipped_photo("t1").resize((640, 443)).save(photos / "back.jpg")
    assert refresh(store, other).moved == 1
    after = faces(store)
    assert {face for face, (name, _) in after.items() if name == "back.jpg"} >= {
        face for face, (name, _) in before.items() if name == "group.jpg"
    }, "the photo comes back under another name with its faces"
    assert store.catalog.photos.count_outdated() == 0


def test_what_was_forgotten_stays_so(store: Store, other: FaceModel, photos: Path) -> None:
    before = {row.face_id: row for row in store.catalog.faces.all()}
    early, late = [row for row in before.values() if row.path.endswith(b"group.jpg")][:2]
    forget(store, to_forget_face(store, early.face_id))
    begin_switch(store, other.info)
    stage(store, other)
    forget(store, to_forget_face(store, late.face_id))
    forget(store, to_forget_photos(store, photos / "cameraman.png", never_again=True))
    forget(store, to_forget_photos(store, photos / "trip/left half.jpg", never_again=False))
    assert store.catalog.staging.count() == 3, "nothing staged for forgotten photos is kept"
    (photos / "trip/left half.jpg").unlink()
    switch(store, other)
    left = list(store.catalog.faces.all())
    assert len([row for row in left if row.face_id in before]) == len(before) - 2 - 1 - 3
    for gone in (early, late):
        assert not any(row.path == gone.path and row.detection.box.overlap(gone.detection.box) >= 0.4 for row in left)
    assert not any(row.path.endswith((b"cameraman.png", b"left half.jpg")) for row in left)


def test_a_missing_disk(store: Store, model: FaceModel, other: FaceModel, photos: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    shipped_photo("hanks").save(stick / "hanks.png")
    refresh(store, model, [stick])
    before = faces(store)
    stick.rename(tmp_path / "unplugged")
    begin_switch(store, other.info)
    waiting = switch(store, other)
    assert waiting.staging.offline == [str(stick)]
    assert waiting.takeover is None
    assert store.model.identity == model.info.identity
    assert found(store, model, tmp_path / "unplugged/hanks.png") == ["hanks.png"]
    left = switch(store, other, leave_offline=True)
    assert left.takeover is not None
    assert left.takeover.outdated == 1
    assert found(store, other, tmp_path / "unplugged/hanks.png") == []
    (tmp_path / "unplugged").rename(stick)
    assert refresh(store, other).changed == 1
    assert faces(store).keys() >= before.keys()
    assert found(store, other, stick / "hanks.png") == ["hanks.png"]


def test_one_switch_at_a_time(store: Store, model: FaceModel, other: FaceModel) -> None:
    with pytest.raises(UsageError, match=r"already has this model, as embedded; .* with again"):
        begin_switch(store, model.info)
    begin_switch(store, other.info)
    begin_switch(store, other.info)
    stage(store, other)
    third = replace(other.info, name="third", revision=9)
    with pytest.raises(UsageError, match=r"a switch to other is in progress, 5 photos done; continue it, or"):
        begin_switch(store, third)
    assert cancel_switch(store).name == "other"
    assert not store.catalog.staging.has_any()
    with pytest.raises(UsageError, match="nothing to cancel"):
        cancel_switch(store)
    begin_switch(store, third)
    successor = store.catalog.models.next()
    assert successor is not None
    assert successor.name == "third"


def test_a_model_of_an_older_revision_is_brought_up_to_date(tmp_path: Path, model: FaceModel, photos: Path) -> None:
    """The model that made the index need not be available: an upgrade has changed the embeddings."""

    class Earlier:
        info = replace(model.info, revision=model.info.revision - 1)
        runtime, detector, framing = model.runtime, model.detector, model.framing
        detect, detect_in_views = staticmethod(model.detect), staticmethod(model.detect_in_views)

        @staticmethod
        def embed(crops: np.ndarray) -> np.ndarray:
            return model.embed(crops[:, :, ::-1])

    with Store.create(tmp_path / "old", Earlier.info) as store:
        refresh(store, Earlier, [photos])
        before = faces(store)
        begin_switch(store, model.info)
        assert switch(store, model).complete
        assert faces(store) == before
        assert found(store, model, photos / "trip/astronaut.png") == ASTRONAUTS


def test_a_reader_that_opened_before_the_switch_is_told(
    index: Path, model: FaceModel, other: FaceModel, photos: Path
) -> None:
    with Store.open(index) as early, Store.open(index) as late:
        assert found(early, model, photos / "trip/astronaut.png") == ASTRONAUTS
        with Store.open(index, write=True) as store:
            begin_switch(store, other.info)
            switch(store, other)
        assert found(early, model, photos / "trip/astronaut.png") == ASTRONAUTS, "it still sees the state at its start"
        with pytest.raises(ModelSwitchedError, match="just switched from model embedded to other; run the query"):
            len(late)


def test_a_photo_over_the_limit_is_left_to_a_later_run(store: Store, model: FaceModel, other: FaceModel) -> None:
    begin_switch(store, other.info)
    done = switch(store, other, options=Options(max_pixels=300_000))
    assert done.staging.failed == 1, "left half.jpg has more pixels"
    assert not done.complete
    assert (store.catalog.photos.count_outdated(), store.catalog.photos.counts().faces) == (1, len(faces(store)))
    assert done.refresh is not None
    assert done.refresh.failed == 1
    assert not any(name == "left half.jpg" for name, _ in faces(store).values())
    again = refresh(store, other)
    assert again.changed == 1, "with the usual limit"
    assert sum(name == "left half.jpg" for name, _ in faces(store).values()) == 3


def test_the_folder_of_the_next_model_may_move(store: Store, other: FaceModel, tmp_path: Path) -> None:
    begin_switch(store, replace(other.info, source="/was/here"))
    stage(store, other)
    begin_switch(store, other.info)
    assert left_to_extract(store, other.info) == (0, 5), "staged photos are kept"
    switch(store, other)
    assert store.model.source == other.info.source


def test_a_face_is_forgotten_in_all_copies_of_a_photo(store: Store, other: FaceModel) -> None:
    face = next(face for face, (name, _) in faces(store).items() if name == "astronaut.png")
    forget(store, to_forget_face(store, face))
    assert not any(name in ASTRONAUTS for name, _ in faces(store).values())
    begin_switch(store, other.info)
    switch(store, other)
    assert not any(name in ASTRONAUTS for name, _ in faces(store).values())


def test_a_photo_that_broke_keeps_its_faces_and_is_not_read_in_every_run(
    store: Store, model: FaceModel, other: FaceModel, photos: Path
) -> None:
    good = (photos / "cameraman.png").read_bytes()
    (photos / "cameraman.png").write_bytes(good[:500])
    assert refresh(store, model).failed == 1
    begin_switch(store, other.info)
    assert switch(store, other).complete
    assert refresh(store, other).unchanged == 6
    (photos / "cameraman.png").write_bytes(good)
    assert refresh(store, other).changed == 1
    assert found(store, other, photos / "cameraman.png") == ["cameraman.png"]


@pytest.mark.parametrize("vector", [b"\0", b"\0" * 4, bytes(512)])
def test_damaged_staged_faces_are_found_by_check_and_extracted_again(
    index: Path, other: FaceModel, vector: bytes
) -> None:
    with Store.open(index, write=True) as store:
        begin_switch(store, other.info)
        stage(store, other)
        with store.transaction():
            store.catalog.database.run("UPDATE seen_faces SET vector = ? WHERE id = 1", vector)
        assert check(index).faults == ["1 photo with invalid vectors of the next model"]
        if len(vector) < 512:
            with pytest.raises(IndexDamagedError):
                store.promote_next_model()
    assert check(index, repair=True).faults == []
    with Store.open(index, write=True) as mended:
        assert switch(mended, other).staging.extracted == 1
    assert check(index).faults == []
