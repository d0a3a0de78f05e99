"""`facesearch index --shard`: one tree on several machines, with the real command."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from old_catalog import as_of_schema
from postgres_server import PostgresServer

from facesearch.shards import Shard


@pytest.fixture
def photos(tmp_path: Path, library: Path) -> Path:
    """The sample library, which may be changed: 20 photos."""
    shutil.copytree(library / "photos", tmp_path / "photos")
    return tmp_path / "photos"


def report(run: Run, index: str, *options: str, exit_code: int = 0) -> dict[str, Any]:
    done = run("index", "--index", index, "-q", "-f", "json", *options, exit_code=exit_code)
    return dict(json.loads(done.stdout))


def status(run: Run, index: str) -> dict[str, Any]:
    return dict(json.loads(run("status", "--index", index, "-f", "json").stdout))


def files_in(folder: Path, shard: Shard) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*.*") if path.is_file())
    return {str(folder / path) for path in found if shard.has(os.fsencode(path))}


def test_four_machines_index_every_photo_once(facesearch: Run, photos: Path) -> None:
    told, indexed = [], []
    for number in range(1, 5):
        told.append(report(facesearch, f"ix{number}", "photos", "--shard", f"{number}/4"))
        found = facesearch("sql", "SELECT path FROM photos", "--index", f"ix{number}", "-f", "json").stdout
        indexed.append({row["path"] for row in json.loads(found)})
        assert indexed[-1] == files_in(photos, Shard(number, 4))
    assert sum(len(paths) for paths in indexed) == len(set().union(*indexed)) == 20
    assert sum(one["new"] for one in told) == 20
    assert {one["new"] + one["other_shards"] for one in told} == {20}
    assert sum(one["faces"] for one in told) == 32
    assert told[2]["shards"] == {str(photos): "3/4"}


def test_the_shard_is_kept_and_shown(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    mine = len(files_in(photos, Shard(2, 3)))
    planned = facesearch("index", "photos", "--index", "ix", "--shard", "2/3", "--dry-run")
    assert f"would read       {mine} photos ({mine} new)\n" in planned.stdout
    assert f"in other shards  {20 - mine}\nshard            2/3 of {photos}\n" in planned.stdout
    assert not (tmp_path / "ix").exists()
    first = facesearch("index", "photos", "--index", "ix", "--shard", "2/3")
    later = facesearch("index", "--index", "ix")
    for shown in (first.stdout, later.stdout):
        assert f"in other shards  {20 - mine}\n" in shown
        assert f"shard            2/3 of {photos}\n" in shown
    assert f"{mine} unchanged, {20 - mine} in other shards" in later.stderr
    assert f"folders      {photos} (shard 2/3)\n" in facesearch("status", "--index", "ix").stdout
    assert (status(facesearch, "ix")["shards"], status(facesearch, "ix")["roots"]) == (
        {str(photos): "2/3"},
        [str(photos)],
    )
    listed = facesearch("folders", "--index", "ix")
    assert (listed.stdout, listed.stderr) == (f"{photos}\n", f"facesearch: {photos}: only shard 2/3\n")
    lines = facesearch("folders", "list", "--index", "ix", "-f", "jsonl").stdout
    assert json.loads(lines) == {"path": str(photos), "shard": "2/3"}
    assert json.loads(facesearch("folders", "list", "--index", "ix", "-f", "json").stdout) == [str(photos)]
    found = json.loads(facesearch("doctor", "--index", "ix", "-f", "json").stdout)["findings"]
    assert [finding["found"] for finding in found if finding["about"] == "shard"] == [f"2/3 of {photos}"]
    facesearch("backup", "copy.sqlite", "--index", "ix")
    facesearch("restore", "copy.sqlite", "--index", "restored")
    assert status(facesearch, "restored")["shards"] == {str(photos): "2/3"}
    assert "has no faults" in facesearch("check", "--index", "ix").stdout


def test_another_shard_hides_and_all_brings_back(facesearch: Run, photos: Path) -> None:
    first, second = (len(files_in(photos, Shard(number, 2))) for number in (1, 2))
    report(facesearch, "ix", "photos", "--shard", "1/2")
    planned = facesearch("index", "--index", "ix", "--shard", "2/2", "--dry-run")
    assert f"would hide by the shard  {first}\n" in planned.stdout
    assert f"would read {second} photos, hide by the shard {first}" in planned.stderr
    switched = report(facesearch, "ix", "--shard", "2/2", "--prune", "--yes")
    assert (switched["new"], switched["handed_over"], switched["missing"], switched["removed"]) == (second, first, 0, 0)
    assert status(facesearch, "ix")["handed_over"] == first
    assert f"hidden       {first}, {first} of them in other shards\n" in facesearch("status", "--index", "ix").stdout
    pruned = facesearch("index", "--index", "ix", "--prune", "-q", stdin=-3)
    assert pruned.stderr == "", "there is nothing to delete, so no question"
    other = sorted(files_in(photos, Shard(1, 2)))[0]
    facesearch("forget", other, "--index", "ix", "--yes")
    assert status(facesearch, "ix")["handed_over"] == first - 1
    whole = report(facesearch, "ix", "--shard", "all")
    assert (whole["photos"], whole["unchanged"], whole["new"], whole["shards"]) == (20, 19, 1, {})
    assert status(facesearch, "ix")["hidden"] == 0


@pytest.mark.parametrize(
    ("shard", "why"),
    [
        ("0/10", "there is no number 0 of 10; write 1/10 to 10/10"),
        ("11/10", "there is no number 11 of 10; write 1/10 to 10/10"),
        ("a/b", "not a shard; write the third of ten as 3/10, or all for the whole folder"),
        ("3", "not a shard; write the third of ten as 3/10, or all for the whole folder"),
    ],
)
def test_an_invalid_shard_is_one_line(facesearch: Run, photos: Path, tmp_path: Path, shard: str, why: str) -> None:
    refused = facesearch("index", photos, "--index", "ix", "--shard", shard, exit_code=2)
    assert refused.stderr == f"facesearch: --shard {shard}: {why}\n"
    assert not (tmp_path / "ix").exists()


def test_shards_of_an_index_of_the_version_before(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    report(facesearch, "ix", "photos")
    as_of_schema(tmp_path / "ix/catalog.sqlite", 6)
    before = (tmp_path / "ix/catalog.sqlite").read_bytes()
    first, second = (len(files_in(photos, Shard(number, 2))) for number in (1, 2))
    planned = report(facesearch, "ix", "--shard", "1/2", "--dry-run")
    assert (planned["handed_over"], planned["unchanged"], planned["missing"]) == (second, first, 0)
    assert status(facesearch, "ix")["shards"] == {}
    assert (tmp_path / "ix/catalog.sqlite").read_bytes() == before
    assert report(facesearch, "ix", "--shard", "1/2")["handed_over"] == second


def test_a_gallery_has_every_photo_once(facesearch: Run, photos: Path, postgres: PostgresServer) -> None:
    address = postgres.database()
    for number, index in ((1, "one"), (2, "two")):
        report(facesearch, index, "photos", "--shard", f"{number}/2")
        facesearch("gallery", "connect", address, "--as", index, "--push-after-index", "--index", index)
    facesearch("gallery", "init", "--index", "one")
    report(facesearch, "one")
    report(facesearch, "two")

    def pushed() -> dict[str, set[str]]:
        found = facesearch("query", "--gallery", "gallery", "query.jpg", "--no-threshold", "-f", "jsonl").stdout
        hits = [json.loads(line) for line in found.splitlines()]
        return {index: {hit["path"] for hit in hits if hit["index"] == index} for index in ("one", "two")}

    shutil.copy(photos / "portraits/ada.jpg", photos.parent / "query.jpg")
    with_faces = pushed()
    assert with_faces["one"] <= files_in(photos, Shard(1, 2))
    assert with_faces["two"] <= files_in(photos, Shard(2, 2))
    everything = with_faces["one"] | with_faces["two"]
    report(facesearch, "one", "--shard", "1/3")  # a third machine joins
    report(facesearch, "two", "--shard", "2/3")
    assert pushed()["one"] | pushed()["two"] == everything - files_in(photos, Shard(3, 3))
    assert not pushed()["one"] & pushed()["two"]
