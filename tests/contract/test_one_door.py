"""The library and the command line return the same answers, because both use the same API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sample_library import FACES_IN_T1, shipped_photo

from facesearch import Filter, Index, QueryResult, UsageError, scan
from facesearch.calibration.storage import calibration_of
from facesearch.render.records import report_record, result_record

Question = tuple[list[str], dict[str, Any], dict[str, Any], list[str]]
"""Query photos, options and filter of the library, and the same query on the command line."""

QUESTIONS: dict[str, Question] = {
    "plain": (["me.jpg"], {}, {}, []),
    "the nearest": (["me.jpg"], {"top_k": 3}, {}, ["--top-k", "3"]),
    "a threshold": (["me.jpg"], {"threshold": 0.2}, {}, ["--threshold", "0.2"]),
    "a rate": (["me.jpg"], {"fmr": 1e-2, "top_k": 9}, {}, ["--fmr", "1e-2", "--top-k", "9"]),
    "everyone": (["me.jpg"], {"threshold": None, "all_faces": True}, {}, ["--no-threshold", "--all-faces"]),
    "each of two": (["me.jpg", "you.jpg"], {"each": True, "top_k": 2}, {}, ["--each", "--top-k", "2"]),
    "one of several faces": (["party.jpg"], {"face": 2}, {}, ["--face", "2"]),
    "all faces in turn": (["party.jpg"], {"face": "all"}, {}, ["--face", "all"]),
    "two of one person": (["me.jpg", "me too.jpg"], {"fold": True}, {}, ["--fold"]),
    "together": (["me.jpg"], {"together": ["me too.jpg"]}, {}, ["--with", "me too.jpg"]),
    "alone, again": (["me.jpg"], {"alone": True, "expand": True}, {}, ["--alone", "--expand"]),
    "filtered": (
        ["me.jpg"], {"threshold": None},
        {"under": "photos", "since": "1990", "min_face": 30, "min_quality": 0.1, "faces": "1.."},
        [
            "--no-threshold", "--under", "photos", "--since", "1990", "--min-face", "30", "--min-quality", "0.1",
            "--faces", "1..",
        ],
    ),
    "nothing": (["you.jpg"], {}, {"until": "1950"}, ["--until", "1950"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Path]:
    """Query photos, a folder of photos, and its index."""
    folder = tmp_path_factory.mktemp("door")
    os.symlink(library / "photos/portraits", folder / "photos")
    shutil.copy(library / "query.jpg", folder / "me.jpg")
    shipped_photo("t1").save(folder / "party.jpg")
    shipped_photo("astronaut").save(folder / "me too.jpg")
    left, top, width, height = FACES_IN_T1["bea"]
    around = (left - width // 2, top - height // 2, left + width * 3 // 2, top + height * 3 // 2)
    shipped_photo("t1").crop(around).save(folder / "you.jpg")
    before = Path.cwd()
    os.chdir(folder)
    with Index.open("ix", create=True, device="cpu", model="embedded") as index:
        index.refresh(["photos"])
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with Index.open(folder / "ix", device="cpu") as index:
        yield index


def command(folder: Path, *arguments: str) -> tuple[dict[str, Any], int]:
    result = subprocess.run(
        [sys.executable, "-m", "facesearch", *arguments, "--device", "cpu", "--format", "json"],
        capture_output=True, cwd=folder, check=False,
    )  # fmt: skip
    record: dict[str, Any] = json.loads(result.stdout)
    return record, result.returncode


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_query_has_one_answer(folder: Path, index: Index, name: str) -> None:
    photos, options, limits, arguments = QUESTIONS[name]
    result = index.query(photos, where=Filter(**limits), **options)
    record, code = command(folder, "query", *photos, *arguments, "--index", str(folder / "ix"))
    assert record == json.loads(json.dumps(result_record(result)))
    assert code == int(result.nothing_found)


def test_the_models_own_threshold_holds_unless_another_is_given(index: Index) -> None:
    own = calibration_of(index.model).threshold
    assert index.query("me.jpg").threshold == own
    assert all(hit.similarity >= own for hit in index.query("me.jpg"))
    assert index.query("me.jpg", threshold=0.3).threshold == 0.3
    assert index.query("me.jpg", threshold=None).threshold is None
    nearest = index.query("me.jpg", top_k=5)
    assert nearest.threshold == own
    assert len([hit for hit in nearest if not hit.is_query]) == 5


def test_a_scan_has_the_same_answer_as_an_index(folder: Path, index: Index) -> None:
    scanned = scan("me.jpg", ["photos"], model="embedded", device="cpu")
    assert scanned.result is not None
    hits = [(hit.path, round(hit.similarity, 6), hit.verdict) for hit in scanned.result]
    assert hits == [(hit.path, round(hit.similarity, 6), hit.verdict) for hit in index.query("me.jpg")]
    record, code = command(folder, "scan", "me.jpg", "photos", "--model", "embedded")
    alike = ("path", "similarity", "verdict", "fmr", "rank")
    ours = result_record(scanned.result)
    assert [{key: hit.get(key) for key in alike} for query in record["queries"] for hit in query["hits"]] == [
        {key: hit.get(key) for key in alike} for query in ours["queries"] for hit in query["hits"]
    ]
    assert (record["index"], code) == (ours["index"], 0)
    assert scanned.report.photos == ours["index"]["photos"]


def test_status_and_reports_are_the_same(folder: Path, index: Index) -> None:
    status = index.status()
    record, _ = command(folder, "status", "--index", str(folder / "ix"))
    assert (record["photos"], record["faces"], record["model"]) == (status.photos, status.faces, status.model)
    assert record["threshold"] == status.threshold
    expected = index.preview()
    told, code = command(folder, "index", "--dry-run", "--index", str(folder / "ix"))
    ours = report_record(expected, str(folder / "ix"))
    assert {key: told[key] for key in ours if key != "seconds"} == {key: ours[key] for key in ours if key != "seconds"}
    assert code == 0


def test_an_index_that_is_written_to_elsewhere_is_seen_as_it_is_now(folder: Path, tmp_path: Path) -> None:
    """A long-lived reader must not return outdated answers."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shipped_photo("astronaut").save(photos / "one.jpg")
    with Index.open(tmp_path / "ix", create=True, device="cpu", model="embedded") as writer:
        writer.refresh([photos])
        with Index.open(tmp_path / "ix", device="cpu") as reader:

            def names() -> list[str]:
                return sorted(Path(hit.path).name for hit in reader.query(folder / "me too.jpg"))

            assert names() == ["one.jpg"]
            shipped_photo("astronaut").resize((300, 300)).save(photos / "two.jpg")
            writer.refresh()
            assert names() == ["one.jpg", "two.jpg"]
            assert reader.status().faces == 2
            (photos / "one.jpg").unlink()
            writer.refresh()
            assert names() == ["two.jpg"]


def test_remarks_are_there_to_be_read(index: Index, folder: Path) -> None:
    (remark,) = index.query("you.jpg", where=Filter(until="1950")).remarks
    assert str(remark).startswith("none of the ")
    nobody = index.query("you.jpg", threshold=0.99)
    assert any("no face reaches a similarity of 0.99" in str(one) for one in nobody.remarks)


def test_an_invalid_query_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with Index.open(tmp_path / "nothing", create=True) as index:
        for wrong in ({"topk": 3}, {"top_k": 0}, {"threshold": 2.0}):
            with pytest.raises(UsageError):
                index.query("me.jpg", **wrong)
        with pytest.raises(UsageError, match="alone and faces contradict each other"):
            index.query("me.jpg", alone=True, where=Filter(faces=2))
    assert list(tmp_path.iterdir()) == []


def test_results_iterate_over_all_hits(index: Index) -> None:
    result: QueryResult = index.query(["me.jpg", "me too.jpg"], each=True, top_k=2)
    assert [hit.path for hit in result] == [hit.path for answer in result.answers for hit in answer.hits]
    assert len(result) == len(list(result))


def test_threads_query_with_an_index_each_while_one_writes(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "ix", tmp_path / "ix")
    more = tmp_path / "more"
    more.mkdir()
    shutil.copy(folder / "me too.jpg", more / "new.jpg")
    with Index.open(tmp_path / "ix", device="cpu") as index:
        before = [hit.path for hit in index.query(["me.jpg"], threshold=None)]

    def write() -> list[list[str]]:
        with Index.open(tmp_path / "ix", device="cpu") as index:
            index.refresh([more])
        return []

    def ask() -> list[list[str]]:
        with Index.open(tmp_path / "ix", device="cpu") as index:
            return [[hit.path for hit in index.query(["me.jpg"], threshold=None)] for _ in range(5)]

    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(ask), threads.submit(write), threads.submit(ask)]
        answers = [answer for work in asked for answer in work.result()]

    assert len(answers) == 10
    for answer in answers:
        assert [path for path in answer if not path.endswith("new.jpg")] == before
    with Index.open(tmp_path / "ix", device="cpu") as index:
        assert len(index.query(["me.jpg"], threshold=None)) == len(before) + 1
