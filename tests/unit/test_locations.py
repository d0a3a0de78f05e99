"""Folders with several paths, on a real file system with symbolic links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facesearch.locations import Locations, Place, absolute, is_inside, resolved


@pytest.fixture
def top(tmp_path: Path) -> bytes:
    """A library, a folder next to it, links into and out of it, and a link to the library itself."""
    (tmp_path / "library/2019/june").mkdir(parents=True)
    (tmp_path / "other/deep").mkdir(parents=True)
    (tmp_path / "library/2019/a.jpg").write_bytes(b"a")
    (tmp_path / "library/inward").symlink_to("2019")
    (tmp_path / "library/outward").symlink_to("../other")
    (tmp_path / "library/2019/out").symlink_to("../../other")
    (tmp_path / "library/link.jpg").symlink_to("2019/a.jpg")
    (tmp_path / "other/back").symlink_to("../library/2019")
    (tmp_path / "alias").symlink_to("library")
    return bytes(tmp_path.resolve())


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("library", b""),
        ("alias", b""),
        ("library/2019", b"2019"),
        ("alias/2019/june", b"2019/june"),
        ("library/inward/june", b"2019/june"),
        ("library/outward/deep", b"outward/deep"),
        ("alias/outward/deep", b"outward/deep"),
        ("library/inward/out/deep", b"2019/out/deep"),
        ("alias/inward/out", b"2019/out"),
        ("library/outward/back", b"2019"),
        ("library/link.jpg", b"link.jpg"),
        ("alias/link.jpg", b"link.jpg"),
        ("library/inward/a.jpg", b"2019/a.jpg"),
        ("library/2019/gone.jpg", b"2019/gone.jpg"),
        ("other", None),
        ("librar", None),
    ],
)
@pytest.mark.parametrize("root", ["library", "alias"])
def test_a_place_in_a_root_has_one_name(top: bytes, root: str, path: str, inner: bytes | None) -> None:
    """The name is the same for every path of the root and of the place."""
    locations = Locations([(7, os.path.join(top, root.encode()))])
    found = locations.places(os.path.join(top, path.encode()))
    assert found == ([] if inner is None else [Place(7, inner)])


def test_roots_in_a_folder_and_their_names_in_it(top: bytes) -> None:
    roots = [
        (1, top + b"/library/2019/june"),
        (2, top + b"/other"),
        (3, top + b"/library/inward"),
        (4, top + b"/alias"),
    ]
    locations = Locations(roots)
    assert locations.inside(top) == [1, 2, 3, 4]
    assert locations.inside(top + b"/library") == [1, 3]
    assert locations.inner_path(3, top + b"/library") == b"2019", "the name that a scan finds"
    assert locations.at(top + b"/library") == 4
    assert locations.at(top + b"/library/2019") == 3
    assert locations.at(top + b"/nowhere") is None
    locations.remove(3)
    locations.add(9, top + b"/library/2019")
    assert locations.at(top + b"/library/inward") == 9
    twice = Locations([(1, top + b"/alias"), (2, top + b"/library")])
    assert (twice.at(top + b"/alias"), twice.at(top + b"/library")) == (1, 2)
    assert Locations([(1, b"/")]).places(b"/a/b") == [Place(1, b"a/b")]


def test_names() -> None:
    assert absolute("/a/../b/") == b"/b"
    assert is_inside(b"/a/b", b"/a")
    assert is_inside(b"/a", b"/a")
    assert is_inside(b"/a", b"/")
    assert not is_inside(b"/ab", b"/a")
    assert resolved(b"/nowhere/at/all.jpg") == b"/nowhere/at/all.jpg"
