"""Photos to folders: nothing overwritten, nothing half done, the same export again changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from conftest import known_file
from PIL import Image
from sample_library import FACES_IN_T1, shipped_photo

from facesearch.care.copies import Export, copy_photos, link_photos, save_crops
from facesearch.errors import StorageError
from facesearch.photos.known import read_known
from facesearch.types import Box, KnownFile


@pytest.fixture
def photos(tmp_path: Path) -> list[KnownFile]:
    """Two files of one name and other content, and one whose name is not UTF-8."""
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


def test_what_is_there_is_never_overwritten(photos: list[KnownFile], tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"mine")
    (tmp_path / "x-2.jpg").symlink_to("nowhere")
    (tmp_path / "x-3.jpg").mkdir()
    copy_photos(photos[:1], tmp_path)
    assert (tmp_path / "x.jpg").read_bytes() == b"mine"
    assert (tmp_path / "x-4.jpg").read_bytes() == b"photo 0"
    assert not (tmp_path / "nowhere").exists()
    assert copy_photos(photos[:1], Path(os.fsdecode(os.path.dirname(photos[0].path)))).kept == 1, "onto itself"


def test_links(photos: list[KnownFile], tmp_path: Path) -> None:
    for hard in (False, True):
        out = tmp_path / f"links {hard}"
        assert link_photos(photos, out, hard=hard).made == 3
        assert link_photos(photos, out, hard=hard).kept == 3
        assert (out / "x.jpg").is_symlink() is not hard
        assert (out / "x.jpg").samefile(os.fsdecode(photos[0].path))
        assert (out / "x-2.jpg").read_bytes() == b"photo 1"


def test_a_dry_run_tells_and_does_nothing(photos: list[KnownFile], tmp_path: Path) -> None:
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
        assert (len(dry.planned), dry.kept) == (real.made, real.kept), "as it is then done"


def test_a_photo_that_is_gone_is_told_and_the_rest_done(photos: list[KnownFile], tmp_path: Path) -> None:
    os.unlink(photos[0].path)
    done = copy_photos(photos, tmp_path / "out")
    assert done.made == 2
    assert done.failed == [f"{os.fsdecode(photos[0].path)}: not there now"]


def test_a_folder_that_cannot_be_written_is_said(photos: list[KnownFile], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot be made .*choose another folder"):
        copy_photos(photos, tmp_path / "file/out")


def test_a_full_disk_leaves_nothing_half_done(photos: list[KnownFile], tmp_path: Path) -> None:
    """/dev/full is no folder: what stands in for a full disk is a limit on the size of files."""
    import resource
    import signal

    Path(os.fsdecode(photos[0].path)).write_bytes(b"x" * 100_000)
    photos = [known_file(photo.path) for photo in photos]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be put there"):
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


def test_a_photo_that_has_changed_is_not_handed_out(photos: list[KnownFile], tmp_path: Path) -> None:
    Path(os.fsdecode(photos[0].path)).write_bytes(b"photo X")  # of the same size
    Path(os.fsdecode(photos[1].path)).write_bytes(b"longer than it was")
    exports: list[Callable[..., Export]] = [copy_photos, partial(link_photos, hard=True)]
    for number, export in enumerate(exports):
        done = export(photos, tmp_path / f"out {number}")
        assert done.made == 1
        assert len(done.failed) == 2
        assert all("changed since it was indexed" in told for told in done.failed)
        assert len(list((tmp_path / f"out {number}").iterdir())) == 1
