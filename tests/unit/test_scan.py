"""Walking folders: order, rules for skipping, and obstacles."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.photos.scan import SKIPPED_FOLDERS, scan
from facesearch.types import PhotoFile


def walk(root: Path | bytes, within: bytes = b"") -> tuple[list[bytes], list[bytes]]:
    unreadable: list[bytes] = []
    found = scan(os.fsencode(root), within, unreadable=lambda path, _reason: unreadable.append(path))
    return [file.path for file in found], unreadable


def put(root: Path, *names: str | bytes) -> None:
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(b"x")


def test_photos_by_their_endings_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a/z.jpeg", "a.jpg", "a-b.png", "notes.txt", "noending", "a/b/c.heic", "movie.mp4", "é.webp")
    found, unreadable = walk(tmp_path)
    assert found == sorted(found)
    assert set(found) == {b"b.JPG", b"a/z.jpeg", b"a.jpg", b"a-b.png", b"a/b/c.heic", "é.webp".encode()}
    assert not unreadable


def test_other_media_are_reported(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.jpg",
        "raw/b.CR2",
        "raw/c.dng",
        "d.MP4",
        "._d.MP4",
        "notes.txt",
        "song.mp3",
        ".hidden/e.mov",
        "x.zip",
    )
    told: list[bytes] = []
    found = scan(os.fsencode(tmp_path), unreadable=lambda _path, _reason: None, other=told.append)
    assert [file.path for file in found] == [b"a.jpg"]
    assert told == [b"d.MP4", b"raw/b.CR2", b"raw/c.dng"]


names = st.binary(min_size=1, max_size=6).filter(
    lambda name: not set(name) & {0, 47} and not name.startswith(b".") and name not in SKIPPED_FOLDERS
)


@given(st.sets(st.lists(names, min_size=1, max_size=3).map(b"/".join), max_size=12))
def test_any_bytes_in_names_come_back_in_order(tmp_path_factory: pytest.TempPathFactory, paths: set[bytes]) -> None:
    root = tmp_path_factory.mktemp("any")
    wanted = set()
    for path in paths:
        if not any(part.endswith(b".jpg") for part in path.split(b"/")):
            put(root, path + b".jpg")
            wanted.add(path + b".jpg")
    found, _ = walk(root)
    assert found == sorted(wanted)


def test_names_with_spaces_newlines_emoji_and_broken_utf8(tmp_path: Path) -> None:
    odd = [b"with space.jpg", b"new\nline.jpg", "\U0001f600.jpg".encode(), b"\xff\xfe.jpg", b"-rf.jpg", b"'\".jpg"]
    put(tmp_path, *odd)
    assert walk(tmp_path)[0] == sorted(odd)


def test_hidden_and_thumbnail_folders_are_skipped(tmp_path: Path) -> None:
    put(tmp_path, ".thumbnails/a.jpg", "@eaDir/a.jpg", ".hidden/b.jpg", "#recycle/c.jpg", ".dot.jpg", "kept/a.jpg")
    assert walk(tmp_path)[0] == [b"kept/a.jpg"]


def test_links_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    library, elsewhere = tmp_path / "library", tmp_path / "elsewhere"
    put(library, "a/one.jpg")
    put(elsewhere, "two.jpg")
    (library / "loop").symlink_to(library)
    (library / "a/up").symlink_to(library)
    (library / "other").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(elsewhere)
    (library / "again").symlink_to(library / "a")
    (library / "dangling.jpg").symlink_to(tmp_path / "nothing")
    (library / "file.jpg").symlink_to(elsewhere / "two.jpg")
    assert walk(library)[0] == [b"a/one.jpg", b"file.jpg", b"other/two.jpg"]


def test_a_root_that_is_a_link_is_walked(tmp_path: Path) -> None:
    put(tmp_path / "real", "one.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert walk(tmp_path / "link")[0] == [b"one.jpg"]


def test_sockets_and_pipes_are_no_photos(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    here = Path.cwd()
    os.chdir(tmp_path)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.jpg")
    finally:
        os.chdir(here)
    put(tmp_path, "one.jpg")
    assert walk(tmp_path)[0] == [b"one.jpg"]


def test_a_missing_root_is_reported(tmp_path: Path) -> None:
    assert walk(tmp_path / "nothing") == ([], [b""])


def test_a_single_file_and_a_part_of_a_root(tmp_path: Path) -> None:
    put(tmp_path, "a/one.jpg", "a/b/two.jpg", "c/three.jpg")
    assert walk(tmp_path / "a/one.jpg")[0] == [b""]
    assert walk(tmp_path, b"a")[0] == [b"a/b/two.jpg", b"a/one.jpg"]
    (file,) = scan(os.fsencode(tmp_path), b"c/three.jpg", unreadable=lambda *_: None)
    assert file == PhotoFile(b"c/three.jpg", 1, (tmp_path / "c/three.jpg").stat().st_mtime_ns)
