"""Symbolic links: every command treats a link as the folder that it points to."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Run


@pytest.fixture
def photos(tmp_path: Path, library: Path, facesearch: Run) -> Path:
    """An indexed library with a link inside it; `alias` points to the library, `year` to a folder in it."""
    folder = tmp_path / "photos"
    shutil.copytree(library / "photos/portraits", folder / "2019")
    (folder / "inside").symlink_to("2019")
    (tmp_path / "alias").symlink_to("photos")
    (tmp_path / "year").symlink_to("photos/2019")
    facesearch("index", "photos", "--index", "ix", "-q")
    return folder


def report(run: Run, *options: str) -> dict[str, Any]:
    return dict(json.loads(run("index", *options, "--index", "ix", "-q", "-f", "json").stdout))


@pytest.mark.parametrize("name", ["photos", "alias", "year", "photos/inside", "alias/inside", "alias/2019"])
def test_a_link_adds_nothing_and_forgets_everything(facesearch: Run, photos: Path, library: Path, name: str) -> None:
    count = len(list((photos / "2019").iterdir()))
    for paths in ([name], [], [name, "photos"]):
        again = report(facesearch, *paths)
        assert (again["new"], again["missing"], again["unchanged"]) == (0, 0, count)
        assert (again["photos"], again["faces"]) == (count, count)
    assert facesearch("folders", "list", "--index", "ix").stdout == f"{photos}\n"
    me = str(library / "query.jpg")
    under = facesearch("query", me, "--index", "ix", "-f", "paths", "--no-threshold", "--under", name).stdout
    assert under.count("\n") == count
    facesearch("query", me, "--index", "ix", "--no-threshold", "--not-under", name, exit_code=1)
    facesearch("forget", name, "--index", "ix", "--yes")
    assert json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)["photos"] == 0


def test_folders_are_shown_as_they_were_given(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("index", "year", "--index", "other", "-q")
    assert facesearch("folders", "list", "--index", "other").stdout == f"{tmp_path / 'year'}\n"
    facesearch("index", "photos/2019", "--index", "other", "-q")
    assert facesearch("folders", "list", "--index", "other").stdout == f"{tmp_path / 'year'}\n"
    # The outer folder takes over the inner one, with the names of a scan.
    facesearch("index", "photos", "--index", "other", "-q")
    assert facesearch("folders", "list", "--index", "other").stdout == f"{photos}\n"
    done = json.loads(facesearch("index", "--index", "other", "-q", "-f", "json").stdout)
    assert (done["new"], done["moved"], done["missing"]) == (0, 0, 0)
    facesearch("folders", "remove", "alias", "--index", "other", "--yes")
    assert facesearch("folders", "list", "--index", "other").stdout == ""


def test_a_root_moves_only_to_where_its_photos_are(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(photos / "2019", tmp_path / "wrong/2019")
    for number, path in enumerate(sorted((tmp_path / "wrong/2019").iterdir())):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= number + 1
        path.write_bytes(data)  # the same size with other content
    for target in ("empty", "wrong"):
        refused = facesearch("folders", "move", "photos", target, "--index", "ix", exit_code=3)
        assert "known photos" in refused.stderr
        assert "--anyway" in refused.stderr
        assert refused.stderr.count("\n") == 1
    facesearch("folders", "move", "photos", "empty", "--anyway", "--index", "ix")
    hits = facesearch("query", photos / "2019/bea.jpg", "--index", "ix", "-k", "1", "-f", "json", exit_code=1).stdout
    assert json.loads(hits)["queries"][0]["hits"][0]["offline"]
    photos.rename(tmp_path / "mounted")
    facesearch("folders", "move", "empty", "mounted", "--index", "ix")
    assert report(facesearch)["unchanged"] == len(list((tmp_path / "mounted/2019").iterdir()))


def test_two_roots_for_one_folder_are_reported_and_one_can_be_removed(
    facesearch: Run, photos: Path, tmp_path: Path
) -> None:
    """An earlier version added both a folder and a link to it."""
    with closing(sqlite3.connect(tmp_path / "ix/catalog.sqlite", isolation_level=None)) as catalog:
        catalog.execute("INSERT INTO roots (uuid, path) VALUES ('second', ?)", (bytes(tmp_path / "alias"),))
    checked = facesearch("check", "--index", "ix").stdout
    assert f"{tmp_path / 'alias'} is the same folder as {photos}" in checked
    facesearch("folders", "remove", "alias", "--yes", "--index", "ix")
    assert facesearch("folders", "list", "--index", "ix").stdout == f"{photos}\n"
