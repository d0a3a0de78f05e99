"""Refreshing an index with the real model: what is read, what is not, and what is kept."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from sample_library import shipped_photo

from facesearch.errors import InputError, UsageError
from facesearch.events import observing
from facesearch.index.store import Store
from facesearch.indexing import extraction
from facesearch.indexing import refresh as refresh_module
from facesearch.indexing.diff import Options, Report, Task
from facesearch.indexing.extraction import _Ahead
from facesearch.indexing.refresh import refresh
from facesearch.models.protocol import FaceModel
from facesearch.photos.decode import memory_needed
from facesearch.search.engine import Hit, Want, find
from facesearch.search.probes import probe_faces
from facesearch.types import Filter


class CountingModel:
    """The real model, and how many faces it was asked to embed."""

    def __init__(self, model: FaceModel) -> None:
        self._model = model
        self.info, self.runtime = model.info, model.runtime
        self.max_side, self.detect = model.max_side, model.detect
        self.face_score, self.sure_score = model.face_score, model.sure_score
        self.embedded = 0

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.embedded += len(crops)
        return self._model.embed(crops)


@pytest.fixture
def counting(model: FaceModel) -> CountingModel:
    return CountingModel(model)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos of one face each in two folders, one of none, and a broken one."""
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
    rows = store.catalog.face_rows(range(1, 100)).values()
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
    assert summary(refresh(store, counting)) == {"unchanged": 5}, "touched, but of the same content"
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
    (photos / "spare.jpg").rename(photos / "swap.jpg")  # two names swapped
    (trip / "hanks.png").rename(photos / "spare.jpg")
    (photos / "swap.jpg").rename(trip / "hanks.png")
    assert summary(refresh(store, counting)) == {"moved": 2, "unchanged": 3}
    assert face_ids(store) == {"spare.jpg": before["hanks.png"], "hanks.png": before["astronaut.jpg"],
                               "astronaut.jpg": before["cameraman.png"]}  # fmt: skip
    assert counting.embedded == 3
    (trip / "hanks.png").rename(photos / "spare.jpg")  # one overwrites another, which is then out of sight
    assert summary(refresh(store, counting)) == {"moved": 1, "missing": 1, "unchanged": 3}
    shutil.copy(photos / "astronaut.jpg", photos / "spare.jpg")  # a copy over a known photo
    report = refresh(store, counting)
    assert summary(report) == {"changed": 1, "unchanged": 3}
    assert counting.embedded == 3
    assert report.photos == 4


def test_of_two_that_left_the_one_in_sight_is_the_one_that_moved(
    store: Store, photos: Path, counting: CountingModel
) -> None:
    shutil.copy(photos / "astronaut.jpg", photos / "b.jpg")
    refresh(store, counting, [photos])
    before = face_ids(store)
    (photos / "astronaut.jpg").unlink()
    refresh(store, counting)
    (photos / "b.jpg").rename(photos / "c.jpg")
    assert summary(refresh(store, counting)) == {"moved": 1, "unchanged": 4}
    assert face_ids(store)["c.jpg"] == before["b.jpg"], "not the one that has been out of sight"


def test_a_copy_of_what_its_original_no_longer_is(store: Store, photos: Path, counting: CountingModel) -> None:
    """A known photo gets the content that another known one had until it was edited in the same run."""
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


def test_what_is_out_of_sight_is_hidden_and_comes_back(
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
    answer = find(store, probe, Want(threshold=0.9))
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
    assert [root.path for root in store.catalog.roots()] == [os.fsencode(photos)]
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


def test_what_may_pass_is_tried_again(
    store: Store, tmp_path: Path, counting: CountingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "limits"
    folder.mkdir()
    shipped_photo("astronaut").save(folder / "one.png")
    with (folder / "huge.jpg").open("wb") as stream:
        stream.truncate(8 << 40)
    first = refresh(store, counting, [folder], options=Options(max_pixels=1000))
    assert summary(first) == {"new": 2, "failed": 2}
    reasons = dict(store.catalog.failed_photos())
    assert "8,796,093 MB are over the limit" in reasons[os.fsencode(folder / "huge.jpg")]
    assert "raise max_pixels" in reasons[os.fsencode(folder / "one.png")]
    again = refresh(store, counting)
    assert summary(again) == {"changed": 2, "failed": 1}
    assert again.faces == 1


def test_paths_that_are_not_there(store: Store, counting: CountingModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to index yet"):
        refresh(store, counting)
    with pytest.raises(InputError, match="no such file or folder"):
        refresh(store, counting, [tmp_path / "nothing"])
    assert store.catalog.roots() == []


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


def test_one_hit_a_photo_filters_and_thresholds(store: Store, library: Path, counting: CountingModel) -> None:
    refresh(store, counting, [library / "photos"], options=Options(workers=2))
    probe = probe_faces(counting, str(library / "query.jpg"))[0]
    every = find(store, probe, Want())
    paths = [hit.face.path for hit in every.hits]
    assert len(paths) == len(set(paths)) == 18, "every photo with a face, once"
    assert [hit.rank for hit in every.hits] == list(range(1, 19))
    similarities = [hit.similarity for hit in every.hits]
    assert similarities == sorted(similarities, reverse=True)
    faces = find(store, probe, Want(all_faces=True)).hits
    assert len(faces) == len(store) > 18
    assert ids(find(store, probe, Want(top_k=3)).hits) == ids(every.hits)[:3]
    assert ids(find(store, probe, Want(top_k=500)).hits) == ids(every.hits)
    above = find(store, probe, Want(threshold=0.47)).hits
    assert {Path(os.fsdecode(hit.face.path)).name for hit in above} == {
        "everybody.jpg", "everybody small.webp", "left half.png", "bea.jpg",
    }  # fmt: skip
    assert ids(find(store, probe, Want(threshold=0.47, top_k=2)).hits) == ids(above)[:2]
    assert find(store, probe, Want(threshold=1.0)).hits == []
    large = find(store, probe, Want(filter=Filter(min_face=80))).hits
    assert large
    assert all(hit.face.detection.box.shorter >= 80 for hit in large)


@settings(max_examples=40, deadline=None)
@given(costs=st.lists(st.integers(0, 12), max_size=40), depth=st.integers(1, 6), limit=st.integers(0, 20))
def test_work_goes_ahead_in_order_and_within_bounds(costs: list[int], depth: int, limit: int) -> None:
    """What is under way is what was taken and not yet asked for: in order, never too many nor too much, always one."""
    taken: list[int] = []
    given_back: list[int] = []
    worst = 0

    def items() -> Iterator[tuple[int, int]]:
        yield from enumerate(costs)

    def work(item: tuple[int, int]) -> tuple[int, int]:
        taken.append(item[1])
        return item

    with ThreadPoolExecutor(3) as pool:
        ahead = _Ahead(pool, depth=depth)
        for given in ahead(work, items(), cost=lambda item: item[1], limit=limit):
            assert given is not None
            number, cost = given
            assert number == len(given_back)
            under_way = len(taken) - len(given_back)
            worst = max(worst, sum(taken) - sum(given_back) - cost)
            assert under_way <= depth
            given_back.append(cost)
    assert given_back == costs
    assert worst <= max(limit, 0)


def test_memory_is_told_before_a_photo_is_decoded(photos: Path) -> None:
    data = (photos / "astronaut.jpg").read_bytes()
    assert 4 * 512 * 512 < memory_needed(io.BytesIO(data)) < 8 * 512 * 512
    assert memory_needed(io.BytesIO((photos / "trip/cameraman.png").read_bytes())) > 4 * 512 * 512
    for nothing in (b"", b"no photo", data[:1]):
        assert memory_needed(io.BytesIO(nothing)) == 0


def test_large_files_are_read_again_when_their_turn_comes(
    photos: Path, store: Store, counting: CountingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "KEPT_BYTES", 0)
    assert summary(refresh(store, counting, [photos])) == {"new": 5, "no_face": 1, "failed": 1}
    assert summary(refresh(store, counting, [photos])) == {"unchanged": 5}


def test_photos_that_would_fill_the_memory_are_looked_at_one_by_one(
    photos: Path, store: Store, counting: CountingModel
) -> None:
    report = refresh(store, counting, [photos], options=Options(workers=4, memory=1))
    assert summary(report) == {"new": 5, "no_face": 1, "failed": 1}


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_a_large_file_that_goes_does_not_take_its_twin_along(
    photos: Path, store: Store, counting: CountingModel, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Two files of one content; the first is another, or none, when its turn comes."""
    monkeypatch.setattr(extraction, "KEPT_BYTES", 0)
    first, twin = photos / "a first.jpg", photos / "z twin.jpg"
    for path in (first, twin):
        shutil.copy(photos / "astronaut.jpg", path)
    (photos / "astronaut.jpg").unlink()
    read_again = extraction._read_again

    def reading(content: extraction.Content[Task]) -> AbstractContextManager[BinaryIO]:
        if content.item.file.path == b"a first.jpg" and first.exists():
            if what == "gone":
                first.unlink()
            else:
                first.write_bytes(b"another")
        return read_again(content)

    monkeypatch.setattr(extraction, "_read_again", reading)
    report = refresh(store, counting, [photos])
    known = {photo.file.path: photo.status for photo in store.catalog.photos(1)}
    assert known[b"z twin.jpg"] == "faces"
    assert known.get(b"a first.jpg") == (None if what == "gone" else "failed")
    assert report.faces == 3


def test_again_looks_at_what_is_known_and_keeps_its_ids(model: FaceModel, library: Path) -> None:
    """As after an upgrade: an earlier version measured no quality and took no fingerprints."""
    with Store.memory(model.info) as store:
        refresh(store, model, [library / "photos/party"])
        before = {row.face_id: row for row in store.catalog.all_faces()}
        with store.transaction():
            store.catalog._run("UPDATE faces SET quality = NULL")
            store.catalog._run("UPDATE photos SET fingerprint = NULL")
        assert store.catalog.count_unmeasured() == len(before)
        assert refresh(store, model).unchanged == 4
        assert store.catalog.count_unmeasured() == len(before)
        report = refresh(store, model, options=Options(again=True))
        assert (report.changed, report.unchanged, report.new) == (4, 0, 0)
        after = {row.face_id: row for row in store.catalog.all_faces()}
        assert after.keys() == before.keys()
        for face_id, row in after.items():
            assert row.quality == pytest.approx(before[face_id].quality, abs=1e-3)
            assert row.fingerprint == before[face_id].fingerprint


def test_again_under_a_deadline_gets_on_and_leaves_the_forgotten_out(model: FaceModel, library: Path) -> None:
    with Store.memory(model.info) as store:
        refresh(store, model, [library / "photos/party"])
        with store.transaction():
            store.catalog._run("UPDATE faces SET quality = NULL")
            store.catalog._run("UPDATE photos SET fingerprint = NULL")
            gone = next(iter(store.catalog.all_faces()))
            assert store.catalog.delete_face(gone.face_id)
        left = []
        for _run in range(4):
            asked = iter([False, True])
            refresh(store, model, options=Options(again=True), observer=observing(cancelled=partial(next, asked, True)))
            left.append(store.catalog.count_unmeasured())
        assert left == sorted(left, reverse=True)
        assert left[-1] == 0, "one photo a run, those first that were not measured"
        assert all(
            row.path != gone.path or row.detection.box.overlap(gone.detection.box) < 0.5
            for row in store.catalog.all_faces()
        ), "forgotten for good"


def test_what_was_forgotten_for_ever_stays_so_in_the_place_of_a_known_photo(
    model: FaceModel, library: Path, tmp_path: Path
) -> None:
    party = Path(shutil.copytree(library / "photos/party", tmp_path / "party"))
    first, second, *_ = sorted(party.iterdir())
    with Store.memory(model.info) as store:
        refresh(store, model, [party])
        with store.transaction():
            known = {os.path.join(os.fsencode(party), photo.file.path): photo.id for photo in store.catalog.photos(1)}
            store.catalog.keep_out(known[os.fsencode(first)])
        shutil.copyfile(first, second)
        refresh(store, model, options=Options(again=True))
        assert not {row.path for row in store.catalog.all_faces()} & {os.fsencode(first), os.fsencode(second)}


@pytest.mark.parametrize("again", [True, False])
def test_copies_that_an_earlier_version_did_not_forget_go_when_they_are_read(
    model: FaceModel, library: Path, tmp_path: Path, again: bool
) -> None:
    party = Path(shutil.copytree(library / "photos/party", tmp_path / "party"))
    first, *_ = sorted(party.iterdir())
    shutil.copyfile(first, party / "copy.png")
    with Store.memory(model.info) as store:
        refresh(store, model, [party])
        with store.transaction():
            store.catalog._run("UPDATE photos SET status = 'unwanted' WHERE path = ?", os.fsencode(first.name))
        os.utime(party / "copy.png", (0, 0))
        refresh(store, model, options=Options(again=again))
        assert os.fsencode(party / "copy.png") not in {row.path for row in store.catalog.all_faces()}


def test_a_run_that_is_to_stop_does_not_read_on_to_tell_an_edit_from_a_move(
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

    def counted(task: Task) -> extraction.Content[Task]:
        read.append(task.path)
        return extraction.read(task)

    monkeypatch.setattr(refresh_module, "read", counted)
    monkeypatch.setattr(refresh_module, "COMMIT_SECONDS", 0.0)
    report = refresh(store, counting, observer=observing(cancelled=lambda: len(read) >= 3))
    assert report.stopped
    assert len(read) == 3
    rest = refresh(store, counting)
    assert rest.changed == 90 - report.changed
    assert not rest.stopped
