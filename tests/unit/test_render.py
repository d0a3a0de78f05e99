"""The text formats, character by character."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from conftest import toy_face, toy_model_info
from jsonschema import Draft202012Validator

from facesearch.calibration.storage import calibration_of
from facesearch.errors import UsageError
from facesearch.galleries.protocol import GallerySize
from facesearch.index.vector_file import SearchFacts
from facesearch.render.answers import FORMATS, render_answers, require_format, shown_expectation
from facesearch.render.comparisons import comparison_text, comparisons_record
from facesearch.render.text import render_report, search_line
from facesearch.search.compare import compare
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit, QueryResult
from facesearch.types import FaceRecord, Verdict

INDEX = {"path": "/index", "model": "embedded", "faces": 12, "photos": 7}


def hit(rank: int, similarity: float, path: bytes, **more: Any) -> Hit:
    face = toy_face([1.0, 0.0], (10.26, 20.0, 90.0, 100.0)).detection
    row = FaceRecord(rank, rank + 100, rank + 200, 1, path, face, "2020-05-06T07:08:09+02:00", quality=0.8769)
    values = {"fmr": 1.2345e-9, "expected_false_hits": 1.4814e-8, "verdict": Verdict.strong, **more}
    return Hit(rank, similarity, row, **values)


@pytest.fixture
def answer() -> Answer:
    probe = Probe("me.jpg", 1, 2, toy_face([1.0, 0.0]))
    alike = (hit(0, 0.8, b"/photos/a copy.jpg"), hit(0, 0.7, b"/photos/\xfe.jpg"))
    unlike = hit(2, 0.25, b"/photos/\xff\n.jpg", offline=True, verdict=Verdict.unlikely, expected_false_hits=340.4)
    undated = replace(unlike, face=replace(unlike.face, taken_at=None, mtime_ns=1_699_963_200 * 10**9, quality=None))
    found = [hit(0, 1.0, b"/me.jpg", is_query=True), hit(1, 0.8125, b"/photos/a b.jpg", folded=alike), undated]
    return Answer(probe, found, searched=12)


def text(answer: Answer, name: str, threshold: float | None = 0.47) -> str:
    size, calibration = GallerySize(photos=7, faces=12, unmeasured=0), calibration_of(toy_model_info())
    return "".join(render_answers(QueryResult([answer], threshold, "/index", size, "embedded", calibration), name))


def test_table(answer: Answer) -> None:
    head, *rows = text(answer, "table").split("\n", 3)
    paths = ["/me.jpg", "/photos/a b.jpg", "/photos/\udcff\n.jpg\n"]
    columns = "rank  similarity  verdict   false hits  face px  quality  date"
    assert head == f"{columns:<103}path"
    assert rows == [
        "   0      1.0000  strong        <0.001       90     0.88  2020-05-06         query photo               "
        + paths[0],
        "   1      0.8125  strong        <0.001       90     0.88  2020-05-06         +2 near-identical         "
        + paths[1],
        "   2      0.2500  unlikely         340       90           2023-11-14 (file)  below threshold, offline  "
        + paths[2],
    ]


def test_a_table_without_remarks_has_no_column_for_them(answer: Answer) -> None:
    answer.hits[:] = [hit(1, 0.8125, b"/photos/a.jpg")]
    assert text(answer, "table").splitlines()[0].split() == [
        "rank", "similarity", "verdict", "false", "hits", "face", "px", "quality", "date", "path",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "<0.001"),
        (0.00099, "<0.001"),
        (0.0123, "0.012"),
        (1.25, "1.2"),
        (9.96, "10"),
        (45.4, "45"),
        (12345, "12,345"),
    ],
)
def test_expectations_are_shown_to_two_digits(number: float, shown: str) -> None:
    assert shown_expectation(number) == shown


def test_json_lines_are_the_contract(answer: Answer) -> None:
    itself, first, second = (json.loads(line) for line in text(answer, "jsonl").splitlines())
    assert first == {
        "query": "me.jpg", "query_face": 1, "rank": 1, "path": "/photos/a b.jpg", "similarity": 0.8125,
        "distance": 0.1875, "above_threshold": True, "via": "face", "box": [10.3, 20.0, 90.0, 100.0], "face_px": 90.0,
        "det_score": 0.9, "photo_id": 201, "face_id": 101, "date": "2020-05-06T07:08:09", "date_source": "exif",
        "date_precision": "second",
        "taken_at": "2020-05-06T07:08:09+02:00", "fmr": 1.23e-9, "expected_false_hits": 1.48e-8, "verdict": "strong",
        "quality": 0.877, "folded": [
            {"path": "/photos/a copy.jpg", "similarity": 0.8},
            {"path": "/photos/\ufffd.jpg", "path_b64": "L3Bob3Rvcy/+LmpwZw==", "similarity": 0.7},
        ],
    }  # fmt: skip
    assert second["path"] == "/photos/�\n.jpg"
    assert second["path_b64"] == "L3Bob3Rvcy//Ci5qcGc="
    assert second["above_threshold"] is False
    assert second["offline"] is True
    assert (second["date_source"], second["date"][:10]) == ("file", "2023-11-14")
    assert "quality" not in second
    assert "taken_at" not in second
    assert (itself["is_query"], itself["rank"]) == (True, 0)


def test_unmeasured_rates_are_reported_and_null_in_json(answer: Answer) -> None:
    answer.hits[:] = [hit(1, 0.8, b"/photos/a.jpg", fmr=None, expected_false_hits=None, verdict=Verdict.possible)]
    (line,) = text(answer, "table").splitlines()[1:]
    assert line.split()[:5] == ["1", "0.8000", "possible", "not", "measured"]
    (record,) = (json.loads(line) for line in text(answer, "jsonl").splitlines())
    assert (record["fmr"], record["expected_false_hits"], record["verdict"]) == (None, None, "possible")
    Draft202012Validator(json.loads((files("facesearch.render") / "hit.schema.json").read_text())).validate(record)
    (row,) = csv.DictReader(io.StringIO(text(answer, "csv")))
    assert (row["fmr"], row["expected_false_hits"]) == ("", "")


def test_a_comparison_without_a_calibration_has_no_rates() -> None:
    face = Probe("me.jpg", 1, 1, toy_face([1.0, 0.0]))
    table = compare([face], [face], calibration_of(toy_model_info()))
    assert comparison_text(table[0][0]) == "similarity  1.0000\nverdict     possible\nfmr         not measured\n"
    best = comparisons_record(table[0][0], None, 0.4, "ours")["best"]
    assert (best["fmr"], best["fmr_interval"], best["expected_false_hits"]) == (None, None, None)


@pytest.mark.parametrize(
    "key", ["query", "query_face", "similarity", "distance", "det_score", "fmr", "expected_false_hits"]
)
def test_optional_values_may_be_null(answer: Answer, key: str) -> None:
    """The schema allows null now for future hits (people, hand-drawn faces, unmeasured models) to keep the contract."""
    record = json.loads(text(answer, "jsonl").splitlines()[0])
    contract = Draft202012Validator(json.loads((files("facesearch.render") / "hit.schema.json").read_text()))
    contract.validate({**record, key: None})
    assert not contract.is_valid({**record, "path": None})


def test_json_is_one_object(answer: Answer) -> None:
    whole = json.loads(text(answer, "json", threshold=None))
    assert whole["contract"] == 2
    assert whole["threshold"] is None
    assert whole["index"] == INDEX
    assert whole["contract"] == 2
    (query,) = whole["queries"]
    assert (query["path"], query["face"], query["faces"], query["searched"]) == ("me.jpg", 1, 2, 12)
    assert [found["above_threshold"] for found in query["hits"]] == [None, None, None]


def test_csv_quotes_what_it_must(answer: Answer) -> None:
    rows = list(csv.DictReader(io.StringIO(text(answer, "csv"), newline="")))
    assert [row["path"] for row in rows] == ["/me.jpg", "/photos/a b.jpg", "/photos/\udcff\n.jpg"]
    assert (rows[1]["left"], rows[1]["verdict"], rows[1]["fmr"], rows[2]["offline"]) == (
        "10.3", "strong", "1.23e-09", "True",
    )  # fmt: skip


def test_paths(answer: Answer) -> None:
    assert text(answer, "paths") == "/me.jpg\n/photos/a b.jpg\n/photos/\udcff\n.jpg\n"
    assert text(answer, "paths0") == "/me.jpg\0/photos/a b.jpg\0/photos/\udcff\n.jpg\0"


def test_a_report_omits_zero_counts() -> None:
    report = dict.fromkeys(
        ("photos", "faces", "new", "changed", "unchanged", "moved", "missing", "removed", "no_face", "failed"), 0
    )
    shown = render_report({**report, "photos": 1200, "new": 10, "seconds": 2.0, "index": "/i"})
    assert shown.splitlines() == [
        "photos     1,200", "faces      0", "new        10", "unchanged  0", "seconds    2.0 (5.0 photos/s)",
        "index      /i",
    ]  # fmt: skip


def test_an_approximate_index_that_misses_too_much_says_so() -> None:
    told = search_line(SearchFacts("ivf", "ivf", recall=0.993, probes=64))
    assert told == "ivf, approximate, as chosen: finds 99.3% of the true ten nearest (64 probes)"
    told = search_line(SearchFacts("ivf", "auto", recall=0.9, probes=1024))
    assert told.endswith(
        "finds 90.0% of the true ten nearest (1024 probes), and no more with all probes; facesearch "
        "reindex --index-type flat finds all"
    )


def test_an_unknown_format_is_reported_with_the_valid_ones() -> None:
    for name in FORMATS:
        require_format(name)
    with pytest.raises(UsageError, match=r"^format xml: choose one of table, json, jsonl, csv, paths"):
        require_format("xml")
