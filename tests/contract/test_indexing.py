"""Refreshing an index with the real model: what is read, what is skipped, and what is kept."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from sample_library import shipped_photo

from facesearch.errors import InputError, UsageError
from facesearch.events import observing
from facesearch.filters import Filter
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.indexing import contents, extraction, moves, writer
from facesearch.indexing.diff import Task
from facesearch.indexing.options import Options
from facesearch.indexing.pipeline import Ahead
from facesearch.indexing.refresh import refresh
from facesearch.indexing.report import Report
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import memory_needed
from facesearch.search.engine import Want, find
from facesearch.search.probes import probe_faces
from facesearch.search.result import Hit


class CountingModel:
    """The real model; counts the faces that it embeds."""

    def __init__(self, model: FaceModel) -> None:
        self._model = model
        self.info, self.runtime = model.info, model.runtime
        self.detector, self.framing = model.detector, model.framing
        self.detect, self.detect_in_views = model.detect, model.detect_in_views
        self.embedded = 0

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.embedded += len(crops)
        return self._model.embed(crops)


@pytest.fixture
def counting(model: FaceModel) -> CountingModel:
    return CountingModel(model)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos of one face each in two folders, one without a face, and a broken one."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    astronaut = shipped_photo("astronaut")
    astronaut.save(folder / "astronaut.jpg", quality=92)
    shipped_photo("cameraman").save(folder / "trip/cameraman.png")
    shipped_photo("hanks").save(folder / "trip/hanks.png")
    shipped_photo("coffee").save(folder / "trip/coffee.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not much")
    return folder


@pytest.fixture
def store(model: FaceModel) -> Iterator[Store]:
    with Store.memory(model.info) as store:
        yield store


def ids(hits: list[Hit]) -> list[tuple[int, int]]:
    return [(hit.rank, hit.face.face_id) for hit in hits]


def summary(report: Report) -> dict[str, int]:
    keys = ("new", "changed", "unchanged", "moved", "missing", "no_face", "failed")
    return {key: getattr(report, key) for key in keys if getattr(report, key)}


def face_ids(store: Store) -> dict[str, list[int]]:
    rows = store.catalog.faces.records(range(1, 100)).values()
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(Path(os.fsdecode(row.path)).name, []).append(row.face_id)
    return found


def test_only_what_changed_is_read(store: Store, photos: Path, counting: CountingModel) -> None:
    report = refresh(store, counting, [photos])
    assert summary(report) == {"new": 5, "no_face": 1, "failed": 1}
    assert (report.photos, report.faces, report.complete) == (5, 3, True)
    assert counting.embedded == 3
    for again in (refresh(store, counting, [photos]), refresh(store, counting)):
        assert summary(again) == {"unchanged": 5}
    assert counting.embedded == 3
    os.utime(photos / "astronaut.jpg", (1e9, 1e9))
    assert summary(refresh(store, counting)) == {"unchanged": 5}, "touched, but with the same content"
    assert counting.embedded == 3
    assert summary(refresh(store, counting, options=Options(retry_failed=True))) == {
        "changed": 1, "unchanged": 4, "failed": 1,
    }  # fmt: skip


def test_moved_and_copied_photos_call_no_model(store: Store, photos: Path, counting: CountingModel) -> None:
    refresh(store, counting, [photos])
    before = face_ids(store)
    (photos / "trip").rename(photos / "2019")
    (photos / "astronaut.jpg").rename(photos / "2019/eileen.jpg")
    report = refresh(store, counting)
    assert summary(report) == {"moved": 4, "unchanged": 1}
    after = face_ids(store)
    assert after == {"cameraman.png": before["cameraman.png"], "hanks.png": before["hanks.png"],
                     "eileen.jpg": before["astronaut.jpg"]}  # fmt: skip
    shutil.copy(photos / "2019/eileen.jpg", photos / "copy.jpg")
    assert summary(refresh(store, counting)) == {"new": 1, "unchanged": 5}
    assert len(face_ids(store)["copy.jpg"]) == 1
    assert counting.embedded == 3


def test_names_that_change_hands_call_no_model_and_lose_nothing(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    trip = photos / "trip"
    refresh(store, counting, [photos])
    before = face_ids(store)
    (photos / "astronaut.jpg").rename(photos / "spare.jpg")  # a -> b -> c
    (trip / "cameraman.png").rename(photos / "astronaut.jpg")
    assert summary(refresh(store, counting)) == {"moved": 2, "unchanged": 3}
    assert face_ids(store) == {"spare.jpg": before["astronaut.jpg"], "astronaut.jpg": before["cameraman.png"],
                               "hanks.png": before["hanks.png"]}  # fmt: skip
    (photos / "spare.jpg").rename(photos / "swap.jpg")  # two names are swapped
    (trip / "hanks.png").rename(photos / "spare.jpg")
    (photos / "swap.jpg").rename(trip / "hanks.png")
    assert summary(refresh(store, counting)) == {"moved": 2, "unchanged": 3}
    assert face_ids(store) == {"spare.jpg": before["hanks.png"], "hanks.png": before["astronaut.jpg"],
                               "astronaut.jpg": before["cameraman.png"]}  # fmt: skip
    assert counting.embedded == 3
    (trip / "hanks.png").rename(photos / "spare.jpg")  # one photo overwrites another, which is then missing
    assert summary(refresh(store, counting)) == {"moved": 1, "missing": 1, "unchanged": 3}
    shutil.copy(photos / "astronaut.jpg", photos / "spare.jpg")  # a copy overwrites a known photo
    report = refresh(store, counting)
    assert summary(report) == {"changed": 1, "unchanged": 3}
    assert counting.embedded == 3
    assert report.photos == 4


def test_a_move_is_attributed_to_the_visible_photo_not_to_a_hidden_copy(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    shutil.copy(photos / "astronaut.jpg", photos / "b.jpg")
    refresh(store, counting, [photos])
    before = face_ids(store)
    (photos / "astronaut.jpg").unlink()
    refresh(store, counting)
    (photos / "b.jpg").rename(photos / "c.jpg")
    assert summary(refresh(store, counting)) == {"moved": 1, "unchanged": 4}
    assert face_ids(store)["c.jpg"] == before["b.jpg"], "not the hidden one"


def test_a_copy_of_the_earlier_content_of_a_photo(store: Store, photos: Path, counting: CountingModel) -> None:
    """A known photo gets the content of another one that is edited in the same run."""
    between = [photos / f"between {number}.png" for number in range(12)]
    for number, path in enumerate(between):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(path)
    refresh(store, counting, [photos])
    shutil.copy2(photos / "astronaut.jpg", photos / "trip/hanks.png")
    with Image.open(photos / "astronaut.jpg") as image:
        ImageEnhance.Brightness(image).enhance(0.6).save(photos / "astronaut.jpg", quality=70)
    for number, path in enumerate(between):
        Image.new("RGB", (50, 50), (number, 9, 9)).save(path)
    report = refresh(store, counting)
    assert (report.changed + report.moved, report.failed, report.faces) == (14, 0, 3)
    (astronaut,) = face_ids(store)["astronaut.jpg"]
    (copy,) = face_ids(store)["hanks.png"]
    assert astronaut != copy
    assert summary(refresh(store, counting)) == {"unchanged": 17}


def test_twins_in_one_run_are_embedded_once(store: Store, tmp_path: Path, counting: CountingModel) -> None:
    folder = tmp_path / "twins"
    folder.mkdir()
    for number in range(6):
        shipped_photo("astronaut").save(folder / f"{number}.png")
    report = refresh(store, counting, [folder], options=Options(workers=3))
    assert (report.new, report.faces, counting.embedded) == (6, 6, 1)


def test_an_edited_photo_keeps_the_ids_of_faces_at_the_same_place(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    refresh(store, counting, [photos])
    before = face_ids(store)
    with Image.open(photos / "astronaut.jpg") as image:
        ImageEnhance.Brightness(image).enhance(0.6).save(photos / "astronaut.jpg", quality=70)
    assert summary(refresh(store, counting)) == {"changed": 1, "unchanged": 4}
    assert face_ids(store) == before
    assert counting.embedded == 4


def test_a_photo_that_breaks_keeps_its_faces(store: Store, photos: Path, counting: CountingModel) -> None:
    refresh(store, counting, [photos])
    whole = (photos / "astronaut.jpg").read_bytes()
    (photos / "astronaut.jpg").write_bytes(whole[: len(whole) // 2])
    assert summary(refresh(store, counting)) == {"changed": 1, "unchanged": 4, "failed": 1}
    assert "astronaut.jpg" in face_ids(store)
    (photos / "astronaut.jpg").write_bytes(whole)
    assert summary(refresh(store, counting)) == {"changed": 1, "unchanged": 4}


def test_missing_photos_are_hidden_and_come_back(
    store: Store, photos: Path, counting: CountingModel, tmp_path: Path
) -> None:
    refresh(store, counting, [photos])
    before = face_ids(store)
    (photos / "trip").rename(tmp_path / "elsewhere")
    report = refresh(store, counting)
    assert summary(report) == {"missing": 3, "unchanged": 2}
    assert (report.photos, report.faces) == (2, 1)
    assert set(face_ids(store)) == {"astronaut.jpg"}
    assert summary(refresh(store, counting)) == {"unchanged": 2}
    (tmp_path / "elsewhere").rename(photos / "trip")
    assert summary(refresh(store, counting)) == {"unchanged": 5}
    assert face_ids(store) == before
    assert counting.embedded == 3


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_an_unmounted_disk_hides_nothing(
    store: Store, photos: Path, counting: CountingModel, tmp_path: Path, how: str
) -> None:
    refresh(store, counting, [photos])
    photos.rename(tmp_path / "unplugged")
    if how == "empty":
        photos.mkdir()
    report = refresh(store, counting)
    assert report.offline == [str(photos)]
    assert not report.complete
    assert summary(report) == {"unchanged": 5}
    assert set(face_ids(store)) == {"astronaut.jpg", "cameraman.png", "hanks.png"}
    probe = probe_faces(counting, str(tmp_path / "unplugged/astronaut.jpg"))[0]
    answer = find(LocalGallery(store), probe, Want(threshold=0.9))
    assert [hit.offline for hit in answer.hits] == [True]


def test_a_copy_from_an_unplugged_disk_is_a_copy(
    store: Store, photos: Path, counting: CountingModel, tmp_path: Path
) -> None:
    refresh(store, counting, [photos])
    photos.rename(tmp_path / "unplugged")
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "unplugged/astronaut.jpg", tmp_path / "new")
    assert summary(refresh(store, counting, [tmp_path / "new"])) == {"new": 1}
    assert len(face_ids(store)["astronaut.jpg"]) == 2


def test_parts_of_a_root_single_files_and_roots_around_roots(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    assert summary(refresh(store, counting, [photos / "astronaut.jpg"])) == {"new": 1}
    assert summary(refresh(store, counting, [photos / "trip"])) == {"new": 3, "no_face": 1}
    assert summary(refresh(store, counting)) == {"unchanged": 4}
    assert summary(refresh(store, counting, [photos, photos / "trip"])) == {"new": 1, "unchanged": 4, "failed": 1}
    assert [root.path for root in store.catalog.roots.all()] == [os.fsencode(photos)]
    shipped_photo("astronaut").save(photos / "trip/more.png")
    (photos / "astronaut.jpg").unlink()
    assert summary(refresh(store, counting, [photos / "trip"])) == {"new": 1, "unchanged": 3}
    assert summary(refresh(store, counting, [photos / "astronaut.jpg"])) == {"missing": 1}
    shutil.rmtree(photos / "trip")
    gone = refresh(store, counting, [photos / "trip"])
    assert summary(gone) == {"missing": 4}
    assert gone.complete


def test_an_empty_folder_is_no_trouble(store: Store, counting: CountingModel, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = refresh(store, counting, [tmp_path / "empty"])
    assert report.complete
    assert summary(report) == {}


def test_overlapping_paths_are_one(store: Store, photos: Path, counting: CountingModel) -> None:
    refresh(store, counting, [photos / "trip", photos])
    shipped_photo("astronaut").rotate(3).save(photos / "trip/deep.png")
    report = refresh(store, counting, [photos, photos / "trip", photos / "trip/deep.png"])
    assert (report.new, report.unchanged, report.photos) == (1, 5, 6)
    (photos / "trip/deep.png").rename(photos / "trip/deeper.png")
    report = refresh(store, counting, [photos / "trip/deeper.png", photos / "trip"])
    assert (report.moved, report.photos) == (1, 6)


def test_temporary_failures_are_retried(
    store: Store, tmp_path: Path, counting: CountingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "limits"
    folder.mkdir()
    shipped_photo("astronaut").save(folder / "one.png")
    with (folder / "huge.jpg").open("wb") as stream:
        stream.truncate(8 << 40)
    first = refresh(store, counting, [folder], options=Options(max_pixels=1000))
    assert summary(first) == {"new": 2, "failed": 2}
    reasons = dict(store.catalog.photos.failed())
    assert "8,796,093 MB are over the limit" in reasons[os.fsencode(folder / "huge.jpg")]
    assert "raise max_pixels" in reasons[os.fsencode(folder / "one.png")]
    again = refresh(store, counting)
    assert summary(again) == {"changed": 2, "failed": 1}
    assert again.faces == 1


def test_missing_paths(store: Store, counting: CountingModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to index yet"):
        refresh(store, counting)
    with pytest.raises(InputError, match="no such file or folder"):
        refresh(store, counting, [tmp_path / "nothing"])
    assert store.catalog.roots.all() == []


def test_a_run_that_is_stopped_keeps_what_it_did_and_hides_nothing(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    refresh(store, counting, [photos / "trip"])
    (photos / "trip/hanks.png").unlink()
    asked = iter([False, True])
    report = refresh(store, counting, [photos], observer=observing(cancelled=lambda: next(asked)))
    assert report.stopped
    assert not report.complete
    assert summary(report) == {"new": 1, "unchanged": 2}
    assert summary(refresh(store, counting)) == {"new": 1, "missing": 1, "unchanged": 3, "failed": 1}


def test_progress_counts_up_to_the_total(store: Store, photos: Path, counting: CountingModel) -> None:
    told: list[tuple[int, int, int, int]] = []
    refresh(store, counting, [photos], observer=observing(progress=lambda *figures: told.append(figures)))
    assert [done for done, *_ in told] == [1, 2, 3, 4, 5]
    assert {total for _, total, *_ in told} == {5}
    assert told[-1] == (5, 5, 3, 1)


def test_one_hit_per_photo_filters_and_thresholds(store: Store, library: Path, counting: CountingModel) -> None:
    refresh(store, counting, [library / "photos"], options=Options(workers=2))
    probe = probe_faces(counting, str(library / "query.jpg"))[0]
    every = find(LocalGallery(store), probe, Want())
    paths = [hit.face.path for hit in every.hits]
    assert len(paths) == len(set(paths)) == 18, "each photo with a face once"
    assert [hit.rank for hit in every.hits] == list(range(1, 19))
    similarities = [hit.similarity for hit in every.hits]
    assert similarities == sorted(similarities, reverse=True)
    faces = find(LocalGallery(store), probe, Want(all_faces=True)).hits
    assert len(faces) == len(store) > 18
    assert ids(find(LocalGallery(store), probe, Want(top_k=3)).hits) == ids(every.hits)[:3]
    assert ids(find(LocalGallery(store), probe, Want(top_k=500)).hits) == ids(every.hits)
    above = find(LocalGallery(store), probe, Want(threshold=0.47)).hits
    assert {Path(os.fsdecode(hit.face.path)).name for hit in above} == {
        "everybody.jpg", "everybody small.webp", "left half.png", "bea.jpg",
    }  # fmt: skip
    assert ids(find(LocalGallery(store), probe, Want(threshold=0.47, top_k=2)).hits) == ids(above)[:2]
    assert find(LocalGallery(store), probe, Want(threshold=1.0)).hits == []
    large = find(LocalGallery(store), probe, Want(filter=Filter(min_face=80))).hits
    assert large
    assert all(hit.face.detection.box.shorter >= 80 for hit in large)


@settings(max_examples=40, deadline=None)
@given(costs=st.lists(st.integers(0, 12), max_size=40), depth=st.integers(1, 6), limit=st.integers(0, 20))
def test_work_goes_ahead_in_order_and_within_bounds(costs: list[int], depth: int, limit: int) -> None:
    """Items are begun in order; those in progress stay within the limits of number and cost, but one may always run."""
    begun: list[int] = []
    given_out: list[int] = []

    class Bounded(ThreadPoolExecutor):
        def submit(self, work: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
            begun.append(arguments[0][1])
            in_progress = begun[len(given_out) :]
            assert len(in_progress) <= depth
            assert sum(in_progress) <= limit or len(in_progress) == 1
            return super().submit(work, *arguments, **options)

    with Bounded(3) as pool:
        ahead = Ahead(pool, depth=depth)
        for given in ahead(lambda item: item, enumerate(costs), cost=lambda item: item[1], limit=limit):
            assert given is not None
            number, cost = given
            assert number == len(given_out)
            given_out.append(cost)
    assert given_out == begun == costs


def test_memory_is_estimated_before_a_photo_is_decoded(photos: Path) -> None:
    data = (photos / "astronaut.jpg").read_bytes()
    assert 4 * 512 * 512 < memory_needed(io.BytesIO(data)) < 8 * 512 * 512
    assert memory_needed(io.BytesIO((photos / "trip/cameraman.png").read_bytes())) > 4 * 512 * 512
    for nothing in (b"", b"no photo", data[:1]):
        assert memory_needed(io.BytesIO(nothing)) == 0


def test_large_files_are_read_again_when_their_turn_comes(
    photos: Path, store: Store, counting: CountingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "KEPT_BYTES", 0)
    assert summary(refresh(store, counting, [photos])) == {"new": 5, "no_face": 1, "failed": 1}
    assert summary(refresh(store, counting, [photos])) == {"unchanged": 5}


def test_photos_that_would_fill_the_memory_are_processed_one_by_one(
    photos: Path, store: Store, counting: CountingModel
) -> None:
    report = refresh(store, counting, [photos], options=Options(workers=4, memory=1))
    assert summary(report) == {"new": 5, "no_face": 1, "failed": 1}


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_a_large_file_that_disappears_does_not_affect_its_copy(
    photos: Path, store: Store, counting: CountingModel, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Of two files with the same content, the first is changed or deleted before it is read."""
    monkeypatch.setattr(contents, "KEPT_BYTES", 0)
    first, twin = photos / "a first.jpg", photos / "z twin.jpg"
    for path in (first, twin):
        shutil.copy(photos / "astronaut.jpg", path)
    (photos / "astronaut.jpg").unlink()
    reopened = contents.reopened

    def reading(content: contents.Content[Task]) -> AbstractContextManager[BinaryIO]:
        if content.item.file.path == b"a first.jpg" and first.exists():
            if what == "gone":
                first.unlink()
            else:
                first.write_bytes(b"another")
        return reopened(content)

    monkeypatch.setattr(extraction, "reopened", reading)
    report = refresh(store, counting, [photos])
    known = {photo.file.path: photo.status for photo in store.catalog.photos.within(1)}
    assert known[b"z twin.jpg"] == "faces"
    assert known.get(b"a first.jpg") == (None if what == "gone" else "failed")
    assert report.faces == 3


def test_again_processes_known_photos_and_keeps_their_ids(model: FaceModel, library: Path) -> None:
    """As after an upgrade from a version without quality and fingerprints."""
    with Store.memory(model.info) as store:
        refresh(store, model, [library / "photos/party"])
        before = {row.face_id: row for row in store.catalog.faces.all()}
        with store.transaction():
            store.catalog.database.run("UPDATE faces SET quality = NULL")
            store.catalog.database.run("UPDATE photos SET fingerprint = NULL")
        assert store.catalog.faces.count_unmeasured() == len(before)
        assert refresh(store, model).unchanged == 4
        assert store.catalog.faces.count_unmeasured() == len(before)
        report = refresh(store, model, options=Options(again=True))
        assert (report.changed, report.unchanged, report.new) == (4, 0, 0)
        after = {row.face_id: row for row in store.catalog.faces.all()}
        assert after.keys() == before.keys()
        for face_id, row in after.items():
            assert row.quality == pytest.approx(before[face_id].quality, abs=1e-3)
            assert row.fingerprint == before[face_id].fingerprint


def test_again_with_a_time_limit_makes_progress_and_omits_forgotten_faces(model: FaceModel, library: Path) -> None:
    with Store.memory(model.info) as store:
        refresh(store, model, [library / "photos/party"])
        with store.transaction():
            store.catalog.database.run("UPDATE faces SET quality = NULL")
            store.catalog.database.run("UPDATE photos SET fingerprint = NULL")
            gone = next(iter(store.catalog.faces.all()))
            assert store.catalog.faces.delete(gone.face_id)
        left = []
        for _run in range(4):
            asked = iter([False, True])
            refresh(store, model, options=Options(again=True), observer=observing(cancelled=partial(next, asked, True)))
            left.append(store.catalog.faces.count_unmeasured())
        assert left == sorted(left, reverse=True)
        assert left[-1] == 0, "one photo per run, unmeasured ones first"
        assert all(
            row.path != gone.path or row.detection.box.overlap(gone.detection.box) < 0.5
            for row in store.catalog.faces.all()
        ), "forgotten faces do not return"


def test_never_again_content_stays_out_in_the_place_of_a_known_photo(
    model: FaceModel, library: Path, tmp_path: Path
) -> None:
    party = Path(shutil.copytree(library / "photos/party", tmp_path / "party"))
    first, second, *_ = sorted(party.iterdir())
    with Store.memory(model.info) as store:
        refresh(store, model, [party])
        with store.transaction():
            known = {
                os.path.join(os.fsencode(party), photo.file.path): photo.id for photo in store.catalog.photos.within(1)
            }
            store.catalog.photos.keep_out(known[os.fsencode(first)])
        shutil.copyfile(first, second)
        refresh(store, model, options=Options(again=True))
        assert not {row.path for row in store.catalog.faces.all()} & {os.fsencode(first), os.fsencode(second)}


@pytest.mark.parametrize("again", [True, False])
def test_copies_that_an_earlier_version_did_not_forget_are_removed_when_read(
    model: FaceModel, library: Path, tmp_path: Path, again: bool
) -> None:
    party = Path(shutil.copytree(library / "photos/party", tmp_path / "party"))
    first, *_ = sorted(party.iterdir())
    shutil.copyfile(first, party / "copy.png")
    with Store.memory(model.info) as store:
        refresh(store, model, [party])
        with store.transaction():
            store.catalog.database.run("UPDATE photos SET status = 'unwanted' WHERE path = ?", os.fsencode(first.name))
        os.utime(party / "copy.png", (0, 0))
        refresh(store, model, options=Options(again=again))
        assert os.fsencode(party / "copy.png") not in {row.path for row in store.catalog.faces.all()}


def test_a_cancelled_run_does_not_go_on_reading_to_tell_an_edit_from_a_move(
    store: Store, tmp_path: Path, counting: CountingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bitmaps").mkdir()
    for run in range(2):
        for number in range(90):
            path = tmp_path / f"bitmaps/{number:02}.bmp"
            Image.new("RGB", (40, 40), (number, run, 0)).save(path)
            os.utime(path, (run * 1000, run * 1000))
        if not run:
            refresh(store, counting, [tmp_path / "bitmaps"])
    read: list[bytes] = []

    def counted(task: Task) -> contents.Content[Task]:
        read.append(task.path)
        return contents.read(task)

    monkeypatch.setattr(moves, "read", counted)
    monkeypatch.setattr(writer, "COMMIT_SECONDS", 0.0)
    report = refresh(store, counting, observer=observing(cancelled=lambda: len(read) >= 3))
    assert report.stopped
    assert len(read) == 3
    rest = refresh(store, counting)
    assert rest.changed == 90 - report.changed
    assert not rest.stopped
