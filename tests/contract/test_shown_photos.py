"""Photos by their ids, pictures of them, and query photos that are in memory or in the index."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from sample_library import shipped_photo

from facesearch import Index, InputError, ModelSwitchedError, PhotoError, UsageError
from facesearch.api.pictures import FACE_SIDES, PHOTO_SIDES
from facesearch.api.results import PhotoBytes, QueryPhoto
from facesearch.photos.previews import Previews
from facesearch.types import KnownFile


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index and its photos; not to be changed."""
    place = tmp_path_factory.mktemp("shown")
    made(place).close()
    return place


@pytest.fixture
def index(place: Path) -> Iterator[Index]:
    with Index.open(place / "index", device="cpu") as opened:
        yield opened


@pytest.fixture
def own_index(tmp_path: Path) -> Iterator[Index]:
    with made(tmp_path) as opened:
        yield opened


def made(place: Path) -> Index:
    """A group of six people, turned by its EXIF orientation and with a GPS position, and a portrait."""
    folder = place / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    turned = shipped_photo("t1").transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "group.jpg", exif=exif)
    shipped_photo("astronaut").save(folder / "portrait.png")
    opened = Index.open(place / "index", create=True, model="embedded", device="cpu")
    opened.refresh([folder])
    return opened


def ids(index: Index) -> dict[str, tuple[int, int]]:
    """The id of each photo by the name of its file, and that of its largest face."""
    rows = sorted((face for face, _ in index.export_faces()), key=lambda face: face.detection.box.area)
    return {os.path.basename(os.fsdecode(face.path)): (face.photo_id, face.face_id) for face in rows}


def test_a_photo_is_shown_with_its_faces(index: Index) -> None:
    (photo, face), width = ids(index)["group.jpg"], shipped_photo("t1").width
    shown = index.photos.show(photo)
    assert (shown.width, len(shown.faces)) == (width, 6), "the size is that of the upright photo"
    assert shown.faces[0].face_id == face, "the largest face is first"
    assert os.path.basename(shown.path) == b"group.jpg"
    assert shown.date_source == "file"


def test_pictures_are_upright_small_and_without_metadata(index: Index) -> None:
    photo, face = ids(index)["group.jpg"]
    for picture, size in (
        (index.photos.picture(photo, 320), (320, 222)),
        (index.photos.face_picture(face, 96), (96, 96)),
    ):
        with Image.open(io.BytesIO(picture.data)) as image:
            assert (image.format, *image.size) == ("JPEG", *size)
            assert 0x8825 not in image.getexif(), "GPS"
            assert 0x0112 not in image.getexif(), "orientation"
    assert b"Exif" in index.photos.original(photo)


def test_pictures_are_kept_and_made_once(own_index: Index, tmp_path: Path) -> None:
    photo, _ = ids(own_index)["portrait.png"]
    first = own_index.photos.picture(photo, 320)
    (kept,) = (tmp_path / "index/previews").rglob("*.jpg")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    kept.write_bytes(b"what is kept is given out")
    assert own_index.photos.picture(photo, 320).data == b"what is kept is given out"
    assert own_index.photos.picture(photo, 320).tag == first.tag != own_index.photos.picture(photo, 640).tag


@pytest.mark.parametrize("kept", [False, True], ids=["read anew", "kept before"])
@pytest.mark.parametrize("same_size", [False, True])
def test_a_photo_that_was_replaced_is_not_shown(own_index: Index, tmp_path: Path, kept: bool, same_size: bool) -> None:
    photo, face = ids(own_index)["portrait.png"]
    file = tmp_path / "photos/portrait.png"
    if kept:
        own_index.photos.picture(photo, 320)
    secret = b"secret" if not same_size else b"s" * file.stat().st_size
    (tmp_path / "secret").write_bytes(secret)
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    for read in (
        lambda: own_index.photos.picture(photo, 320),
        lambda: own_index.photos.face_picture(face),
        lambda: own_index.photos.original(photo),
    ):
        with pytest.raises(PhotoError, match=r"portrait\.png: changed since it was indexed"):
            read()


def test_a_link_to_the_same_photo_is_shown(own_index: Index, tmp_path: Path) -> None:
    photo, _ = ids(own_index)["portrait.png"]
    shutil.move(tmp_path / "photos/portrait.png", tmp_path / "elsewhere.png")
    (tmp_path / "photos/portrait.png").symlink_to(tmp_path / "elsewhere.png")
    assert own_index.photos.original(photo) == (tmp_path / "elsewhere.png").read_bytes()


def test_hidden_and_unknown_photos_are_not_shown(own_index: Index, tmp_path: Path) -> None:
    (photo, face), (other, other_face) = (ids(own_index)[name] for name in ("portrait.png", "group.jpg"))
    (tmp_path / "photos/portrait.png").unlink()
    own_index.refresh()
    for read in (own_index.photos.show, own_index.photos.picture, own_index.photos.original, own_index.photos.path):
        for one in (photo, 999):
            with pytest.raises(InputError, match=f"photo {one}: not in"):
                read(one)
    with pytest.raises(InputError, match=f"photo {photo}: not in"):
        own_index.photos.face_picture(face)
    with pytest.raises(UsageError, match="side 321: choose one of 320"):
        own_index.photos.picture(other, 321)
    with pytest.raises(UsageError, match="side 1: choose one of 96"):
        own_index.photos.face_picture(other_face, 1)


def test_forgetting_deletes_the_pictures(own_index: Index, tmp_path: Path) -> None:
    (photo, face), (other, _) = ids(own_index)["portrait.png"], ids(own_index)["group.jpg"]
    own_index.photos.picture(photo)
    own_index.photos.face_picture(face)
    own_index.forget(tmp_path / "photos/portrait.png")
    assert not list((tmp_path / "index").rglob("*.jpg"))
    own_index.photos.picture(other)
    assert len(list((tmp_path / "index").rglob("*.jpg"))) == 1


def test_a_picture_that_is_made_while_its_photo_is_forgotten_does_not_stay(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    shipped_photo("astronaut").save(file)
    content = hashlib.sha256(file.read_bytes()).digest()
    previews = Previews(tmp_path / "previews")
    assert previews.photo(KnownFile(os.fsencode(file), file.stat().st_size, content), 0, 320, lambda: False)
    assert not list((tmp_path / "previews").rglob("*.jpg"))


def test_pictures_stay_within_their_bound(index: Index, tmp_path: Path) -> None:
    record = next(face for face, _ in index.export_faces())
    previews = Previews(tmp_path / "few", most_bytes=20_000)
    for side in range(40, 140):
        previews.face(record.file, record.mtime_ns, record.detection.box, side, lambda: True)
        assert sum(file.stat().st_size for file in (tmp_path / "few").rglob("*.jpg")) <= 20_000
    assert (tmp_path / "few").rglob(f"*{side}-*.jpg"), "the newest stay"


def test_every_size_can_be_asked_for(index: Index) -> None:
    photo, face = ids(index)["group.jpg"]
    assert len({index.photos.picture(photo, side).tag for side in PHOTO_SIDES}) == len(PHOTO_SIDES)
    assert len({index.photos.face_picture(face, side).tag for side in FACE_SIDES}) == len(FACE_SIDES)


def test_photos_in_memory_are_query_photos(index: Index, place: Path) -> None:
    data = (place / "photos/portrait.png").read_bytes()
    photo = PhotoBytes("upload.png", data)
    answer = index.query(photo)
    assert [(hit.is_query, os.path.basename(hit.path)) for hit in answer] == [(True, "portrait.png")]
    assert answer.answers[0].probe.path == "upload.png"
    assert len(index.who(PhotoBytes("", (place / "photos/group.jpg").read_bytes()))) == 6
    with pytest.raises(PhotoError, match=r"upload\.png: not a photo"):
        index.query(PhotoBytes("upload.png", b"text"))
    assert "secret" not in repr(PhotoBytes("upload.png", b"secret"))


def test_a_photo_is_looked_at_once_for_many_questions(index: Index, place: Path) -> None:
    path = place / "photos/group.jpg"
    seen = index.look_at(path)
    assert [index.query(seen, face=number).answers[0].probe.number for number in (1, 6)] == [1, 6]
    by_path = [(hit.path, hit.similarity) for hit in index.query(path, face=2, top_k=9)]
    assert [(hit.path, hit.similarity) for hit in index.query([seen], face=2, top_k=9)] == by_path
    assert [one.probe for one in index.who(seen)] == list(seen.faces)


def test_a_face_of_the_index_is_a_query_photo(index: Index) -> None:
    _, face = ids(index)["group.jpg"]
    answer = index.query(index.indexed_face(face), top_k=9)
    assert [hit.face.face_id for hit in answer if hit.is_query] == [face]
    with pytest.raises(InputError, match="face 999: not in"):
        index.indexed_face(999)


def test_faces_of_another_model_are_refused(index: Index) -> None:
    seen = index.indexed_face(1)
    with pytest.raises(ModelSwitchedError):
        index.query(QueryPhoto(seen.faces, replace(seen.model, revision=1)))


def test_each_thread_has_an_index_of_its_own_with_the_same_model(index: Index, place: Path) -> None:
    photo = PhotoBytes("", (place / "photos/portrait.png").read_bytes())

    def ask(_: int) -> int:
        with index.another() as own:
            return len(own.query(photo)) + len(own.photos.picture(1).data)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
