"""Shards of a folder: several indexes divide it, and each keeps its own part current."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import toy_model_info
from sample_library import shipped_photo
from test_indexing import CountingModel, summary

from facesearch import Index, UsageError
from facesearch.catalog.audit import audit, repair_faults
from facesearch.errors import IndexDamagedError
from facesearch.events import observing
from facesearch.index.store import Store
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import preview, refresh
from facesearch.models.protocol import FaceModel
from facesearch.shards import Shard

FIRST, SECOND = Shard(1, 2), Shard(2, 2)


def name_in(shard: Shard, stem: str = "photo", ending: str = ".png") -> str:
    """Return a file name that is in a shard."""
    return next(name for number in range(100) if shard.has((name := f"{stem} {number}{ending}").encode()))


@pytest.fixture
def counting(model: FaceModel) -> CountingModel:
    return CountingModel(model)


@pytest.fixture
def store(model: FaceModel) -> Iterator[Store]:
    with Store.memory(model.info) as store:
        yield store


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of one face each in the first of two shards, and one in the second."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shipped_photo("astronaut").save(folder / name_in(FIRST, "astronaut"))
    shipped_photo("hanks").save(folder / name_in(FIRST, "hanks"))
    shipped_photo("cameraman").save(folder / name_in(SECOND, "cameraman"))
    return folder


def visible(store: Store) -> set[str]:
    return {os.fsdecode(photo.file.path) for photo in store.catalog.photos.within(1) if not photo.missing}


def counts(store: Store) -> tuple[int, int, int]:
    """Photos, hidden ones, and those that were handed over."""
    photos = store.catalog.photos
    return photos.counts().photos, photos.counts().missing, photos.count_handed_over()


def test_shards_together_index_every_photo_once(library: Path, model: FaceModel) -> None:
    with ExitStack() as stack:
        parts = [stack.enter_context(Store.memory(model.info)) for _ in range(3)]
        whole = stack.enter_context(Store.memory(model.info))
        for number, store in enumerate(parts, start=1):
            report = refresh(store, model, [library / "photos"], options=Options(shard=Shard(number, 3)))
            assert report.shards == {str(library / "photos"): f"{number}/3"}
            assert report.new + report.other_shards == 20
        refresh(whole, model, [library / "photos"])
        found = [visible(store) for store in parts]
        assert set().union(*found) == visible(whole)
        assert sum(map(len, found)) == len(visible(whole)) == 20
        assert all(found)
        faces = [{(row.path, row.detection.box) for row in store.catalog.faces.all()} for store in [*parts, whole]]
        assert set().union(*faces[:3]) == faces[3]


def test_the_index_keeps_its_shard(store: Store, photos: Path, counting: CountingModel) -> None:
    planned = preview(store, [photos], options=Options(shard=FIRST))
    assert (planned.new, planned.other_shards, store.catalog.roots.shards()) == (2, 1, {})
    assert summary(refresh(store, counting, [photos], options=Options(shard=FIRST))) == {"new": 2}
    for paths in ([], [photos], [photos / name_in(SECOND, "cameraman")]):
        report = refresh(store, counting, paths)
        assert (report.photos, report.new, report.shards) == (2, 0, {str(photos): "1/2"})
    assert counting.embedded == 2
    assert summary(refresh(store, counting, options=Options(shard=Shard()))) == {"new": 1, "unchanged": 2}
    assert store.catalog.roots.shards() == {}


def test_the_same_tree_elsewhere_is_divided_alike(store: Store, photos: Path, model: FaceModel) -> None:
    refresh(store, model, [photos], options=Options(shard=FIRST))
    mounted = photos.rename(photos.with_name("mounted elsewhere"))
    with Store.memory(model.info) as other:
        refresh(other, model, [mounted], options=Options(shard=FIRST))
        assert visible(other) == visible(store)


def test_photos_of_other_shards_are_hidden_and_never_deleted(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    refresh(store, counting, [photos])
    before = store.catalog.faces.all()
    planned = preview(store, options=Options(shard=SECOND, keep_missing=0))
    assert (summary(planned), planned.handed_over, planned.removed) == ({"unchanged": 1}, 2, 0)
    report = refresh(store, counting, options=Options(shard=SECOND, keep_missing=0))
    assert (summary(report), report.handed_over, report.removed) == ({"unchanged": 1}, 2, 0)
    assert counts(store) == (1, 2, 2)
    again = refresh(store, counting, options=Options(keep_missing=0))
    assert (summary(again), again.handed_over, again.other_shards) == ({"unchanged": 1}, 0, 2)
    assert counts(store) == (1, 2, 2)
    assert summary(refresh(store, counting, options=Options(shard=Shard.of("all")))) == {"unchanged": 3}
    assert counts(store) == (3, 0, 0)
    assert counting.embedded == 3, "nothing is read again"
    assert [row.face_id for row in store.catalog.faces.all()] == [row.face_id for row in before]


def test_a_photo_of_another_shard_that_is_deleted_is_missing(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    refresh(store, counting, [photos])
    refresh(store, counting, options=Options(shard=SECOND))
    (photos / name_in(FIRST, "hanks")).unlink()
    assert summary(refresh(store, counting)) == {"missing": 1, "unchanged": 1}
    assert counts(store) == (1, 2, 1)
    assert refresh(store, counting, options=Options(keep_missing=0)).removed == 1
    assert counts(store) == (1, 1, 1)


def test_a_missing_photo_that_returns_in_another_shard(store: Store, photos: Path, counting: CountingModel) -> None:
    hanks = photos / name_in(FIRST, "hanks")
    refresh(store, counting, [photos])
    hanks.rename(photos.parent / "away.png")
    refresh(store, counting)
    refresh(store, counting, options=Options(shard=SECOND))
    assert counts(store) == (1, 2, 1)
    (photos.parent / "away.png").rename(hanks)
    assert refresh(store, counting).handed_over == 1
    assert counts(store) == (1, 2, 2)


def test_moves_within_and_between_shards(store: Store, photos: Path, counting: CountingModel) -> None:
    with Store.memory(counting.info) as other:
        refresh(store, counting, [photos], options=Options(shard=FIRST))
        refresh(other, counting, [photos], options=Options(shard=SECOND))
        hanks = photos / name_in(FIRST, "hanks")
        hanks = hanks.rename(photos / name_in(FIRST, "tom"))
        assert summary(refresh(store, counting)) == {"moved": 1, "unchanged": 1}
        assert summary(refresh(other, counting)) == {"unchanged": 1}
        assert counting.embedded == 3
        hanks.rename(photos / name_in(SECOND, "tom"))
        assert summary(refresh(store, counting)) == {"missing": 1, "unchanged": 1}
        assert summary(refresh(other, counting)) == {"new": 1, "unchanged": 1}
        assert refresh(store, counting, options=Options(keep_missing=0)).removed == 1, "as always"


def test_a_photo_of_another_shard_moves_only_if_its_file_does(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    refresh(store, counting, [photos])
    refresh(store, counting, options=Options(shard=SECOND))
    hanks, copy = photos / name_in(FIRST, "hanks"), photos / name_in(SECOND, "copy")
    shutil.copy(hanks, copy)
    assert summary(refresh(store, counting)) == {"new": 1, "unchanged": 1}
    assert counts(store) == (2, 2, 2)
    (photos / name_in(FIRST, "astronaut")).rename(photos / name_in(SECOND, "astronaut"))
    assert summary(refresh(store, counting)) == {"moved": 1, "unchanged": 2}
    assert counts(store) == (3, 1, 1)
    assert counting.embedded == 3


def test_a_run_that_is_stopped_keeps_the_shard(store: Store, photos: Path, model: FaceModel) -> None:
    stopped = refresh(store, model, [photos], options=Options(shard=FIRST), observer=observing(cancelled=lambda: True))
    assert stopped.stopped
    refresh(store, model)
    assert len(visible(store)) == 2


def test_a_missing_folder_keeps_everything(store: Store, photos: Path, model: FaceModel) -> None:
    refresh(store, model, [photos])
    photos.rename(photos.with_name("unplugged"))
    report = refresh(store, model, options=Options(shard=SECOND, keep_missing=0))
    assert (report.offline, report.handed_over, counts(store)) == ([str(photos)], 0, (3, 0, 0))
    photos.with_name("unplugged").rename(photos)
    assert refresh(store, model).handed_over == 2, "the shard was kept"


def test_what_is_not_read_is_counted_in_its_shard(photos: Path, model: FaceModel) -> None:
    for number in range(20):
        (photos / f"IMG_{number}.CR2").touch()
    seen = []
    for shard in (FIRST, SECOND):
        with Store.memory(model.info) as store:
            seen.append(refresh(store, model, [photos], options=Options(shard=shard)).not_looked_at[".cr2"])
    assert sum(seen) == 20
    assert all(seen)


def test_a_larger_folder_needs_a_shard_of_its_own(store: Store, photos: Path, model: FaceModel) -> None:
    refresh(store, model, [photos], options=Options(shard=FIRST))
    with pytest.raises(UsageError, match=rf"shard: .* has the folder {photos} in it, of which the index takes 1/2;"):
        refresh(store, model, [photos.parent])
    assert len(visible(store)) == 2, "nothing was changed"
    report = refresh(store, model, [photos.parent], options=Options(shard=Shard()))
    assert (report.photos, report.shards, store.catalog.roots.shards()) == (3, {}, {})


def test_only_a_whole_folder_has_a_shard(store: Store, photos: Path, model: FaceModel) -> None:
    (photos / "trip").mkdir()
    shutil.copy(photos / name_in(FIRST, "hanks"), photos / "trip/one.png")
    single = photos.parent / "single.png"
    shutil.copy(photos / name_in(FIRST, "hanks"), single)
    refresh(store, model, [photos, single])
    for path, why in [
        (photos / "trip", f"{photos}/trip is a part of {photos}, a folder of this index; name that"),
        (single, f"{single} is a single photo; name a folder"),
    ]:
        with pytest.raises(UsageError) as caught:
            refresh(store, model, [path], options=Options(shard=FIRST))
        assert str(caught.value) == f"shard 1/2: {why}"
    report = refresh(store, model, options=Options(shard=FIRST))
    assert report.shards == {str(photos): "1/2"}, "a single photo stays as it is"
    assert refresh(store, model, [photos / "trip"], options=Options(shard=FIRST)).complete, "it is that already"


def test_the_public_class(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", create=True, model="embedded", device="cpu") as index:
        with pytest.raises(UsageError, match="shard 3/2: there is no number 3 of 2"):
            index.refresh([photos], shard="3/2")
        with pytest.raises(UsageError, match="is a single photo"):
            index.refresh([photos / name_in(FIRST, "hanks")], shard="1/2")
        assert not index.exists
        assert index.preview([photos], shard="1/2").new == 2
        assert index.refresh([photos], shard="1/2").new == 2
        assert index.shards() == {photos: "1/2"}
        index.refresh(shard="2/2")
        status = index.status()
        assert (status.shards, status.hidden, status.handed_over) == ({str(photos): "2/2"}, 2, 2)
        moved = photos.rename(tmp_path / "moved")
        index.move_folder(photos, moved)
        assert index.shards() == {moved: "2/2"}
        index.remove_folder(moved)
        assert index.shards() == {}


@pytest.mark.parametrize("value", ["3", "3/2", "02/3", "1/1", 7, b"1/2"])
def test_a_damaged_shard_is_a_fault(value: object) -> None:
    with Store.memory(toy_model_info()) as store:
        database = store.catalog.database
        with store.transaction():
            root = store.catalog.roots.add(b"/photos")
            store.catalog.roots.take_shard(root.id, FIRST)
            database.run("UPDATE shards SET shard = ?", value)
        with pytest.raises(IndexDamagedError, match="the catalog is damaged"):
            store.catalog.roots.shards()
        found = audit(database)
        assert found.faults == ["shards 1: invalid shard"]
        assert repair_faults(database, found, None)
        assert not audit(database).faults
        assert store.catalog.roots.shards() == {}
