"""Dates from headers and names, for new, known and moved photos; and pictures made by facesearch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sample_library import shipped_photo

from facesearch.events import observing
from facesearch.filters import Filter
from facesearch.index.store import Store
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.indexing.report import Report
from facesearch.models.protocol import FaceModel
from facesearch.photos.crop import mark
from facesearch.photos.header import HEADER_VERSION
from facesearch.render.pictures import save_picture

TAKEN = "2001:02:03 04:05:06"


class Blind:
    """A model that must not be called."""

    def __init__(self, model: FaceModel) -> None:
        self.info, self.runtime = model.info, model.runtime
        self.detector, self.framing = model.detector, model.framing

    def detect(self, *_pictures: Any) -> Any:
        """Must not be called."""
        raise AssertionError("faces were detected")

    def detect_in_views(self, *_views: Any) -> Any:
        """Must not be called."""
        raise AssertionError("landmarks were detected")

    def embed(self, *_crops: Any) -> Any:
        """Must not be called."""
        raise AssertionError("a face was embedded")


@pytest.fixture
def store(model: FaceModel) -> Iterator[Store]:
    with Store.memory(model.info) as store:
        yield store


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def save(path: Path, *, original: str | None = None, changed: str | None = None, picture: str = "astronaut") -> Path:
    """Save a photo of one person with a file time before 1980; `picture` names the source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if changed:
        exif[0x0132] = changed
    if original:
        exif.get_ifd(0x8769)[0x9003] = original
    shipped_photo(picture).save(path, exif=exif, quality=92)
    os.utime(path, (86400, 86400))
    return path


def dates(store: Store) -> dict[str, str]:
    """Return the date, as far as known, and its source, per photo with a face."""
    return {Path(os.fsdecode(row.path)).name: f"{row.day} {row.date_source}" for row in store.catalog.faces.all()}


def found(store: Store, since: str | None = None, until: str | None = None) -> set[str]:
    ids = store.catalog.faces.matching(Filter(since=since, until=until)).tolist()
    return {Path(os.fsdecode(row.path)).name for row in store.catalog.faces.records(ids).values()}


def as_before(store: Store) -> None:
    """Make the catalog one of an earlier version, with dates from EXIF alone, including its change date."""
    with store.transaction():
        store.catalog.database.run(
            "UPDATE photos SET header = 0, ours = 0, taken_at = '2015-06-07T08:09:10', date_source = 'exif',"
            " date_precision = 'second'"
        )


def test_dates_come_from_the_best_source(store: Store, photos: Path, model: FaceModel) -> None:
    save(photos / "1962-07 Italy/scan.jpg", changed="2015:06:07 08:09:10")
    save(photos / "1962-07 Italy/dated.jpg", original=TAKEN)
    save(photos / "IMG-20190703-WA0001.jpg")
    save(photos / "plain.jpg", changed="2015:06:07 08:09:10", picture="hanks")
    report = refresh(store, model, [photos])
    assert (report.new, report.headers) == (4, 0), "the headers of new photos are read only once"
    assert dates(store) == {
        "scan.jpg": "1962-07 name", "dated.jpg": "2001-02-03 exif", "IMG-20190703-WA0001.jpg": "2019-07-03 name",
        "plain.jpg": "1970-01-02 file",
    }  # fmt: skip
    assert refresh(store, Blind(model)).headers == 0


def test_a_range_matches_where_it_overlaps(store: Store, photos: Path, model: FaceModel) -> None:
    for folder in ("1962", "1962-07 Italy", "1962-07-03 Pisa"):
        save(photos / folder / f"{folder}.jpg")
    save(photos / "1962-07-03 10.11.jpg")
    refresh(store, model, [photos])
    everything = {"1962.jpg", "1962-07 Italy.jpg", "1962-07-03 Pisa.jpg", "1962-07-03 10.11.jpg"}
    moment = "1962-07-03T10:11:30"
    assert found(store) == found(store, moment, moment) == found(store, until="1970-01-01T00:00:00") == everything
    assert found(store, "1962-06-01T00:00:00", "1962-07-02T23:59:59") == {"1962.jpg", "1962-07 Italy.jpg"}
    assert found(store, "1962-07-03T10:12:00", "1962-07-03T11:00:00") == everything - {"1962-07-03 10.11.jpg"}
    assert found(store, "1962-07-31T23:59:59", "1962-08-31T23:59:59") == {"1962.jpg", "1962-07 Italy.jpg"}
    assert found(store, "1962-12-31T23:59:59") == {"1962.jpg"}
    assert found(store, "1963-01-01T00:00:00") == found(store, until="1961-12-31T23:59:59") == set()


def test_known_photos_get_the_better_date_from_their_headers_alone(
    store: Store, photos: Path, model: FaceModel
) -> None:
    save(photos / "1962/scan.jpg", changed="2015:06:07 08:09:10")
    save(photos / "dated.jpg", original=TAKEN)
    (photos / "gone.jpg").write_bytes(save(photos / "other.jpg", picture="hanks").read_bytes())
    refresh(store, model, [photos])
    as_before(store)
    (photos / "gone.jpg").unlink()
    stopped = refresh(store, Blind(model), observer=observing(cancelled=lambda: True))
    assert (stopped.headers, stopped.stopped) == (0, True)
    report = refresh(store, Blind(model))
    assert (report.headers, report.unchanged, report.changed, report.new) == (3, 3, 0, 0)
    assert dates(store) == {
        "scan.jpg": "1962 name", "dated.jpg": "2001-02-03 exif", "other.jpg": "1970-01-02 file",
    }  # fmt: skip
    assert refresh(store, Blind(model)).headers == 0
    assert store.catalog.database.value("SELECT min(header) FROM photos WHERE missing_since IS NULL") == HEADER_VERSION


def test_only_headers_in_the_given_folders_are_read(store: Store, photos: Path, model: FaceModel) -> None:
    for name in ("1962/a.jpg", "1962-1963/b.jpg", "1963/c.jpg"):
        save(photos / name)
    refresh(store, model, [photos])
    as_before(store)
    assert refresh(store, Blind(model), [photos / "1962"]).headers == 1
    assert refresh(store, Blind(model), [photos / "1963/c.jpg"]).headers == 1
    assert dates(store) == {"a.jpg": "1962 name", "b.jpg": "2015-06-07 exif", "c.jpg": "1963 name"}


def test_headers_are_committed_as_they_come(store: Store, photos: Path, model: FaceModel) -> None:
    from facesearch.indexing.headers import _AT_ONCE

    for number in range(_AT_ONCE + 50):
        path = photos / f"{number}.png"
        Image.new("RGB", (2, 1)).save(path)
    refresh(store, model, [photos])
    as_before(store)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 1

    report = refresh(store, Blind(model), observer=observing(cancelled=stop))
    assert (report.headers, report.stopped) == (_AT_ONCE, True)
    assert refresh(store, Blind(model)).headers == 50


def test_another_name_is_another_date(store: Store, photos: Path, model: FaceModel) -> None:
    save(photos / "1962/scan.jpg")
    save(photos / "dated.jpg", original=TAKEN)
    refresh(store, model, [photos])
    (photos / "1962").rename(photos / "1963")
    (photos / "dated.jpg").rename(photos / "1999-01-01.jpg")
    assert refresh(store, Blind(model)).moved == 2
    assert dates(store) == {"scan.jpg": "1963 name", "1999-01-01.jpg": "2001-02-03 exif"}
    (photos / "1963/scan.jpg").rename(photos / "scan.jpg")
    refresh(store, Blind(model))
    assert dates(store)["scan.jpg"] == "1970-01-02 file"
    (photos / "scan.jpg").rename(photos / "20190703_142205.jpg")
    refresh(store, Blind(model))
    assert dates(store)["20190703_142205.jpg"] == "2019-07-03 name"


def test_a_copy_has_the_date_of_its_own_name(store: Store, photos: Path, model: FaceModel) -> None:
    for name in ("1962/a.jpg", "1962/b.jpg"):
        save(photos / name, original=TAKEN if name.endswith("b.jpg") else None)
    refresh(store, model, [photos])
    shutil.copytree(photos / "1962", photos / "copies of 1970")
    for name in ("a.jpg", "b.jpg"):
        (photos / "copies of 1970" / name).rename(photos / f"copies of 1970/copy of {name}")
    assert refresh(store, Blind(model)).new == 2
    assert dates(store) == {
        "a.jpg": "1962 name", "b.jpg": "2001-02-03 exif", "copy of a.jpg": "1970 name",
        "copy of b.jpg": "2001-02-03 exif",
    }  # fmt: skip


def test_the_last_name_of_the_given_folder_counts(store: Store, tmp_path: Path, model: FaceModel) -> None:
    save(tmp_path / "2001 disk/1962/a.jpg")
    save(tmp_path / "2001 disk/pictures/b.jpg")
    refresh(store, model, [tmp_path / "2001 disk/1962", tmp_path / "2001 disk/pictures/b.jpg"])
    assert dates(store) == {"a.jpg": "1962 name", "b.jpg": "1970-01-02 file"}
    refresh(store, Blind(model), [tmp_path / "2001 disk"])
    assert dates(store) == {"a.jpg": "1962 name", "b.jpg": "2001 name"}, "the name of the outer root counts too"


def counts(report: Report) -> dict[str, int]:
    keys = ("photos", "faces", "new", "changed", "unchanged", "moved", "no_face", "ours", "headers")
    return {key: getattr(report, key) for key in keys if getattr(report, key)}


def ours(path: Path) -> Path:
    """Save a picture of a face that facesearch made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(shipped_photo("hanks"), path)
    return path


def test_pictures_made_by_facesearch_are_not_photos(store: Store, photos: Path, model: FaceModel) -> None:
    save(photos / "photo.jpg")
    for name in ("sheet.jpg", "sheet-2.png", "drawn.webp"):
        ours(photos / "hits" / name)
    assert counts(refresh(store, model, [photos])) == {"photos": 1, "faces": 1, "new": 1, "ours": 3}
    assert counts(refresh(store, Blind(model))) == {"photos": 1, "faces": 1, "unchanged": 1, "ours": 3}
    assert store.catalog.photos.count_ours() == 3
    assert store.catalog.photos.counts()[:3] == (1, 1, 0)
    shutil.copy(photos / "hits/sheet.jpg", photos / "copy.jpg")
    (photos / "hits/drawn.webp").rename(photos / "drawn.webp")
    report = refresh(store, Blind(model))
    assert counts(report) == {"photos": 1, "faces": 1, "unchanged": 1, "moved": 1, "ours": 3}
    assert store.catalog.photos.count_ours() == 4
    assert counts(refresh(store, model, options=Options(again=True)))["ours"] == 4


def test_a_photo_that_replaces_a_picture_of_facesearch_is_read(store: Store, photos: Path, model: FaceModel) -> None:
    path = ours(photos / "a.jpg")
    assert counts(refresh(store, model, [photos])) == {"ours": 1}
    save(path)
    assert counts(refresh(store, model)) == {"photos": 1, "faces": 1, "changed": 1}
    path.unlink()
    ours(path)
    assert counts(refresh(store, Blind(model))) == {"ours": 1}
    assert store.catalog.faces.count() == 0


def test_pictures_that_an_earlier_version_took_for_photos_lose_their_faces(
    store: Store, photos: Path, model: FaceModel
) -> None:
    save(photos / "photo.jpg")
    hidden = shipped_photo("hanks")
    hidden.save(photos / "sheet.jpg", quality=92)
    refresh(store, model, [photos])
    assert store.catalog.faces.count() == 2
    hidden.save(photos / "sheet.jpg", quality=92, exif=mark())
    found = os.stat(photos / "sheet.jpg")
    as_before(store)
    with store.transaction():
        store.catalog.database.run(
            "UPDATE photos SET size = ?, mtime_ns = ? WHERE path = ?", found.st_size, found.st_mtime_ns, b"sheet.jpg"
        )
    report = refresh(store, Blind(model))
    assert counts(report) == {"photos": 1, "faces": 1, "unchanged": 2, "ours": 1, "headers": 2}
    assert len(store) == store.catalog.vectors.count() == 1
    assert counts(refresh(store, Blind(model))) == {"photos": 1, "faces": 1, "unchanged": 1, "ours": 1}
