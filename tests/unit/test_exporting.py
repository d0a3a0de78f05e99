"""Exporting photos and faces: files are complete, never overwrite others, and have the right modes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import known_file, toy_face
from PIL import Image
from sample_library import FACES_IN_T1, shipped_photo

from facesearch import files
from facesearch.care.copies import Export, copy_photos, link_photos, save_crops
from facesearch.errors import FacesearchError, StorageError
from facesearch.photos.known import read_known
from facesearch.photos.picture import Photo
from facesearch.render.drawn import save_drawn
from facesearch.render.dump import save_npz, save_text
from facesearch.render.gallery import save_gallery
from facesearch.render.sheet import save_sheet
from facesearch.search.probes import Probe
from facesearch.search.result import Answer
from facesearch.types import Box, FaceRecord, KnownFile

if TYPE_CHECKING:
    from facesearch.types import FloatArray

    Faces = Iterator[tuple[FaceRecord, FloatArray]]
    Save = Callable[..., None]


def save_jsonl(faces: Faces, path: Path, *, vectors: bool) -> None:
    save_text(faces, "jsonl", path, vectors=vectors)


def save_csv(faces: Faces, path: Path, *, vectors: bool) -> None:
    save_text(faces, "csv", path, vectors=vectors)


every_layout = pytest.mark.parametrize("save", [save_jsonl, save_csv, partial(save_npz, dim=2)])


def some_faces(*, fails: bool = False) -> Faces:
    """Yield three faces, one with a photo name that is not UTF-8, or raise a disk error after the first."""
    detection = toy_face([1.0, 0.0], (10.0, 20.0, 90.0, 100.0)).detection
    for number, path in enumerate((b"/a.jpg", b"/\xff.jpg", b"/c.jpg")):
        if fails and number == 1:
            raise OSError(5, "Input/output error")
        yield FaceRecord(number, number, number, 1, path, detection, None), np.eye(2, dtype=np.float32)[0]


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def photos(tmp_path: Path) -> list[KnownFile]:
    """Two files with the same name and different content, and one whose name is not UTF-8."""
    made = []
    for number, name in enumerate([b"a/x.jpg", b"b/x.jpg", b"a/\xff y.jpg"]):
        path = os.path.join(os.fsencode(tmp_path), b"photos", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(b"photo %d" % number)
        os.utime(path, (number, number))
        made.append(known_file(path))
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {os.fsdecode(path.name): path.read_bytes() for path in folder.iterdir()}


def test_copies_keep_content_and_times_and_clashes_get_numbers(photos: list[KnownFile], tmp_path: Path) -> None:
    out = tmp_path / "out/deep"
    done = copy_photos([*photos, photos[0]], out)
    assert (done.made, done.kept, done.failed) == (3, 0, [])
    assert contents(out) == {"x.jpg": b"photo 0", "x-2.jpg": b"photo 1", "\udcff y.jpg": b"photo 2"}
    assert [(out / name).stat().st_mtime for name in ("x.jpg", "x-2.jpg")] == [0, 1]
    again = copy_photos(photos, out)
    assert (again.made, again.kept) == (0, 3)
    assert len(contents(out)) == 3


def test_existing_files_are_never_overwritten(photos: list[KnownFile], tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"mine")
    (tmp_path / "x-2.jpg").symlink_to("nowhere")
    (tmp_path / "x-3.jpg").mkdir()
    copy_photos(photos[:1], tmp_path)
    assert (tmp_path / "x.jpg").read_bytes() == b"mine"
    assert (tmp_path / "x-4.jpg").read_bytes() == b"photo 0"
    assert not (tmp_path / "nowhere").exists()
    assert copy_photos(photos[:1], Path(os.fsdecode(os.path.dirname(photos[0].path)))).kept == 1, "copied onto itself"


def test_links(photos: list[KnownFile], tmp_path: Path) -> None:
    for hard in (False, True):
        out = tmp_path / f"links {hard}"
        assert link_photos(photos, out, hard=hard).made == 3
        assert link_photos(photos, out, hard=hard).kept == 3
        assert (out / "x.jpg").is_symlink() is not hard
        assert (out / "x.jpg").samefile(os.fsdecode(photos[0].path))
        assert (out / "x-2.jpg").read_bytes() == b"photo 1"


def test_a_dry_run_reports_and_does_nothing(photos: list[KnownFile], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for export in (copy_photos, link_photos):
        done = export(photos, out, dry_run=True)
        assert [Path(target).name for target in done.planned] == ["x.jpg", "x-2.jpg", "\udcff y.jpg"]
        assert list(done.planned.values()) == [os.fsdecode(photo.path) for photo in photos]
    assert not out.exists()
    os.link(photos[0].path, photos[0].path + b".jpg")
    twin = Path(os.fsdecode(photos[0].path + b".jpg")).rename(Path(os.fsdecode(photos[1].path)).with_name("twin.jpg"))
    (twin.parent / "c").mkdir()
    twin = twin.rename(twin.parent / "c/x.jpg")
    both = [photos[0], known_file(twin)]
    for export in (copy_photos, link_photos):
        dry, real = export(both, out / export.__name__, dry_run=True), export(both, out / export.__name__)
        assert (len(dry.planned), dry.kept) == (real.made, real.kept), "as the real run does it"


def test_a_missing_photo_is_reported_and_the_rest_is_exported(photos: list[KnownFile], tmp_path: Path) -> None:
    os.unlink(photos[0].path)
    done = copy_photos(photos, tmp_path / "out")
    assert done.made == 2
    assert done.failed == [f"{os.fsdecode(photos[0].path)}: not found"]


def test_a_folder_that_cannot_be_written(photos: list[KnownFile], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot be created .*choose another folder"):
        copy_photos(photos, tmp_path / "file/out")


def test_a_full_disk_leaves_nothing_half_done(photos: list[KnownFile], tmp_path: Path) -> None:
    """A limit on file sizes simulates a full disk, because /dev/full is not a folder."""
    import resource
    import signal

    Path(os.fsdecode(photos[0].path)).write_bytes(b"x" * 100_000)
    photos = [known_file(photo.path) for photo in photos]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be created"):
            copy_photos(photos, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list((tmp_path / "out").iterdir()) == []


def test_crops_are_the_faces(tmp_path: Path) -> None:
    photo = tmp_path / "t1.jpg"
    shipped_photo("t1").save(photo, quality=95)
    read = partial(read_known, known_file(photo))
    gone = ("/gone.jpg", 9, Box(0, 0, 5, 5), partial(read_known, known_file("/gone.jpg")))
    faces = [(str(photo), number, Box(*box), read) for number, box in enumerate(FACES_IN_T1.values(), start=1)]
    done = save_crops([*faces, gone], tmp_path / "faces")
    assert (done.made, len(done.failed)) == (6, 1)
    assert "/gone.jpg" in done.failed[0]
    for number, (left, top, width, height) in enumerate(FACES_IN_T1.values(), start=1):
        with Image.open(tmp_path / f"faces/t1 face {number}.jpg") as crop:
            assert crop.size == (round(height * 1.5),) * 2
            middle = crop.resize((1, 1), box=(crop.width / 3, crop.height / 3, crop.width * 2 / 3, crop.height * 2 / 3))
            face = shipped_photo("t1").crop((left, top, left + width, top + height)).resize((1, 1))
            pairs = zip(middle.convert("RGB").getpixel((0, 0)), face.getpixel((0, 0)), strict=True)  # type: ignore[arg-type]
            assert max(abs(one - other) for one, other in pairs) < 60
    assert save_crops(faces, tmp_path / "faces").kept == 6
    dry = save_crops([*faces, gone], tmp_path / "other", dry_run=True)
    assert (len(dry.planned), len(dry.failed)) == (6, 1)
    assert save_crops(faces, tmp_path / "faces", dry_run=True).kept == 6
    assert not (tmp_path / "other").exists()


def test_a_photo_that_has_changed_is_not_exported(photos: list[KnownFile], tmp_path: Path) -> None:
    Path(os.fsdecode(photos[0].path)).write_bytes(b"photo X")  # the same size
    Path(os.fsdecode(photos[1].path)).write_bytes(b"longer than it was")
    exports: list[Callable[..., Export]] = [copy_photos, partial(link_photos, hard=True)]
    for number, export in enumerate(exports):
        done = export(photos, tmp_path / f"out {number}")
        assert done.made == 1
        assert len(done.failed) == 2
        assert all("changed since it was indexed" in told for told in done.failed)
        assert len(list((tmp_path / f"out {number}").iterdir())) == 1


@every_layout
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o277], indirect=True)
@pytest.mark.parametrize("existing", [None, 0o644, 0o400])
def test_faces_with_vectors_are_for_their_owner_alone(
    save: Save, umask: int, existing: int | None, tmp_path: Path
) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    if existing is not None:
        for path in (private, public):
            path.write_bytes(b"old")
            path.chmod(existing)
    save(some_faces(), private, vectors=True)
    save(some_faces(), public, vectors=False)
    assert (mode(private), mode(public)) == (0o600, 0o666 & ~umask)
    assert private.stat().st_size > public.stat().st_size > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["private", "public"]


@every_layout
def test_a_readable_file_left_by_a_killed_process_becomes_private(save: Save, tmp_path: Path) -> None:
    left = tmp_path / f".faces.{os.getpid()}.tmp"
    left.write_bytes(b"left")
    left.chmod(0o666)
    save(some_faces(), tmp_path / "faces", vectors=True)
    assert mode(tmp_path / "faces") == 0o600
    assert not left.exists()


@every_layout
def test_an_error_leaves_the_old_file(save: Save, tmp_path: Path) -> None:
    path = tmp_path / "faces"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with pytest.raises((FacesearchError, OSError), match="Input/output error"):
        save(some_faces(fails=True), path, vectors=True)
    with pytest.raises(FacesearchError, match="cannot be written"):
        save(some_faces(), tmp_path / "no/faces", vectors=True)
    with pytest.raises(FacesearchError, match="cannot be written"):
        save(some_faces(), tmp_path, vectors=True)
    assert (path.read_bytes(), mode(path)) == (b"old", 0o640)
    assert list(tmp_path.iterdir()) == [path]


@every_layout
def test_a_link_to_a_file_of_faces_stays_a_link(save: Save, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "folder/link"
    link.parent.mkdir()
    link.symlink_to("../real")
    for _ in range(2):  # at first the link is dangling
        save(some_faces(), link, vectors=True)
        assert os.readlink(link) == "../real"
        assert mode(real) == 0o600
        real.chmod(0o644)


@every_layout
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_stays(save: Save, linked: bool, tmp_path: Path) -> None:
    save(some_faces(), tmp_path / "faces", vectors=False)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o640)
    (tmp_path / "link").symlink_to(pipe)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    save(some_faces(), tmp_path / "link" if linked else pipe, vectors=False)
    reader.join(10)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert mode(pipe) == 0o640
    if save is save_jsonl:
        assert read == [(tmp_path / "faces").read_bytes()]
        assert len([json.loads(line) for line in read[0].splitlines()]) == 3
    else:
        assert len(read[0]) > 100


@every_layout
def test_devices_and_open_files_are_never_replaced(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "replacing", None)  # must not be used: a test must not replace /dev/null
    before = os.stat("/dev/null")
    save(some_faces(), Path("/dev/null"), vectors=True)
    assert (os.stat("/dev/null").st_ino, os.stat("/dev/null").st_mode) == (before.st_ino, before.st_mode)
    with (tmp_path / "stdout").open("wb") as stream:
        (tmp_path / "link").symlink_to(f"/dev/fd/{stream.fileno()}")
        for path in (Path(f"/dev/fd/{stream.fileno()}"), tmp_path / "link"):
            save(some_faces(), path, vectors=True)
            assert os.fstat(stream.fileno()).st_ino == (tmp_path / "stdout").stat().st_ino
            assert (tmp_path / "stdout").stat().st_size > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "stdout"]


@pytest.mark.parametrize("umask", [0o022, 0o077], indirect=True)
def test_pictures_pages_copies_and_crops_follow_the_umask(umask: int, photos: list[KnownFile], tmp_path: Path) -> None:
    photo, out = tmp_path / "t1.jpg", tmp_path / "out"
    shipped_photo("t1").save(photo)
    box = Box(*FACES_IN_T1["bea"])
    answer = Answer(Probe(str(photo), 1, 1, toy_face([1.0, 0.0], FACES_IN_T1["bea"])), [])
    index = {"path": "/index", "model": "embedded", "faces": 1, "photos": 1}
    os.chmod(photos[0].path, 0o600)
    copy_photos(photos, out)
    for name in ("drawn.png", "sheet.jpg", "gallery.html"):  # the second time, they replace a file with another mode
        for _ in range(2):
            if name == "drawn.png":
                save_drawn(Photo(photo.read_bytes()), [], out / name)
            elif name == "sheet.jpg":
                save_sheet(answer, None, out / name)
            else:
                save_gallery([answer], None, index, out / name)
            assert mode(out / name) == 0o666 & ~umask
            (out / name).chmod(0o640)
        (out / name).unlink()
    save_crops([(str(photo), 1, box, photo.read_bytes)], out)
    assert len(contents(out)) == 4
    assert {mode(path) for path in out.iterdir()} == {0o666 & ~umask}
