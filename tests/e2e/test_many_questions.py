"""Several photos as one query or as many, timing, and types of index: the real command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, start_process

from facesearch.models.runtime import choose_runtime


def hits(answer: str) -> list[tuple[str, float]]:
    return [(Path(hit["path"]).name, hit["similarity"]) for hit in map(json.loads, answer.splitlines())]


def test_each_photo_of_a_folder_is_a_query(facesearch: Run, library: Path, indexed: Path) -> None:
    portraits = library / "photos/portraits"
    whole = json.loads(facesearch("query", "--each", portraits, "--index", indexed, "-f", "json").stdout)
    asked = [Path(query["path"]).name for query in whole["queries"]]
    assert asked == sorted(path.name for path in portraits.iterdir())
    for query in whole["queries"]:
        others = any(not hit.get("is_query") for hit in query["hits"])
        alone = facesearch("query", query["path"], "--index", indexed, "-f", "json", exit_code=0 if others else 1)
        (expected,) = json.loads(alone.stdout)["queries"]
        assert [hit["path"] for hit in query["hits"]] == [hit["path"] for hit in expected["hits"]]
        for one, other in zip(query["hits"], expected["hits"], strict=True):
            assert one["similarity"] == pytest.approx(other["similarity"], abs=1e-3)


def test_unusable_query_photos_are_reported_and_the_rest_is_answered(
    facesearch: Run, library: Path, indexed: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    photos = [tmp_path / "broken.jpg", library / "photos/scans/coffee.png", library / "query.jpg", "missing.jpg"]
    answer = facesearch("query", "--each", *photos, "--index", indexed, "-f", "jsonl")
    assert {hit["query"] for hit in map(json.loads, answer.stdout.splitlines())} == {str(library / "query.jpg")}
    said = answer.stderr.splitlines()
    assert len(said) == 4
    assert all(line.endswith("; skipped") for line in said[:3])
    assert re.fullmatch(r"facesearch: probably #\d+: 4 photos, all by face", said[3])
    none = facesearch("query", "--each", *photos[:2], "--index", indexed, exit_code=3)
    assert "none of the 2 query photos can be used" in none.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no photos in this folder" in facesearch("query", empty, "--index", indexed, exit_code=3).stderr


def test_several_photos_make_one_query(facesearch: Run, library: Path, indexed: Path) -> None:
    bea = [library / "query.jpg", library / "photos/portraits/bea.jpg"]

    def answer(*photos: Path) -> dict[str, Any]:
        found = facesearch("query", *photos, "--index", indexed, "-f", "json", "--no-threshold")
        whole: dict[str, Any] = json.loads(found.stdout)
        return whole

    together = answer(*bea)
    (query,) = together["queries"]
    assert query["paths"] == [str(path) for path in bea]
    assert "path" not in query
    assert query["hits"][0]["query_paths"] == query["paths"]
    assert query["hits"][0]["query"] == str(bea[0])
    alone = {photo: {hit["path"]: hit["similarity"] for hit in answer(photo)["queries"][0]["hits"]} for photo in bea}
    between = sum(next(iter(scores.values())) > 0.99 for scores in alone.values())
    assert between == 1, "one of the two is in the index"
    for hit in query["hits"]:
        if not hit["path"].endswith(("bea.jpg", "large.jpg")):  # other detections in the same photo may be nearer
            mean = sum(scores[hit["path"]] for scores in alone.values()) / 2
            assert abs(hit["similarity"] - mean) < 0.1
    error = facesearch("query", *bea, "--face", "1", "--index", indexed, exit_code=2)
    assert "--face 1 selects a face of a single photo" in error.stderr


def test_options_that_contradict_each_other(facesearch: Run, library: Path, indexed: Path) -> None:
    query: list[str | Path] = ["query", library / "query.jpg", "--index", indexed]
    assert "--sheet draws the hits of one query" in facesearch(*query, "--each", "--sheet", "a.png", exit_code=2).stderr


def test_timing_shows_the_time_per_step(facesearch: Run, library: Path, indexed: Path) -> None:
    plain = facesearch("query", library / "query.jpg", "--index", indexed)
    timed = facesearch("query", library / "query.jpg", "--index", indexed, "--timing")
    assert timed.stdout == plain.stdout
    told = re.findall(r"([\d.]+) ms  (.+)", timed.stderr)
    steps = {step: float(milliseconds) for milliseconds, step in told}
    assert list(steps) == [
        "start Python, parse the command line", "imports", "open the catalog", "load the model", "decode", "detect",
        "embed", "open the vectors", "search", "write the answer", "total",
    ]  # fmt: skip
    total = steps.pop("total")
    assert total == pytest.approx(sum(steps.values()), abs=1)
    many = facesearch("query", "--each", library / "photos/portraits", "--index", indexed, "--timing", "-f", "paths")
    assert "ms  faces of 7 photos" in many.stderr


def test_the_index_type_can_be_chosen_and_is_shown(facesearch: Run, library: Path, tmp_path: Path) -> None:
    facesearch("index", library / "photos", "--index", "ix", "--index-type", "flat", "-q")
    assert "search       flat, exact, as chosen" in facesearch("status", "--index", "ix").stdout
    again = facesearch("reindex", "--index-type", "auto", "--index", "ix")
    assert again.stdout == "ix: flat, exact, chosen by size\n"
    told = json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)
    assert told["search"] == {"kind": "flat", "chosen": "auto", "recall": 1.0, "probes": None}
    few = facesearch("reindex", "--index-type", "ivf", "--index", "ix")
    assert few.stdout == "ix: flat, exact, ivf chosen but not in use yet\n"
    assert "too few faces for ivf: it needs 1,000 or more" in few.stderr
    for command in (["index"], ["reindex"]):
        error = facesearch(*command, "--index", "ix", "--index-type", "hnsw", exit_code=2)
        assert "--index-type hnsw: choose one of auto, flat, ivf" in error.stderr
    assert "no index at" in facesearch("reindex", "--index-type", "flat", "--index", "none", exit_code=3).stderr


@pytest.mark.parametrize("size", ["3", "many", "-1G", "1.5.2G", ""])
def test_invalid_sizes(facesearch: Run, library: Path, tmp_path: Path, size: str) -> None:
    error = facesearch("index", library / "photos", "--index", "ix", f"--max-memory={size}", exit_code=2)
    assert "is not a size; write it as 800M, 2G or 1.5G" in error.stderr
    assert not (tmp_path / "ix").exists()


def test_with_little_memory_and_one_thread_the_same_is_found(facesearch: Run, library: Path) -> None:
    report = facesearch(
        "index", library / "photos", "--index", "ix", "--max-memory", "1M", "--threads", "1", "-f", "json"
    )
    assert json.loads(report.stdout)["faces"] == 32


def test_every_runtime_finds_the_same(facesearch: Run, library: Path, indexed: Path) -> None:
    pytest.importorskip("openvino", reason="pip install 'facesearch[openvino]'")
    question: list[str | Path] = ["query", library / "query.jpg", "--index", indexed, "-f", "jsonl", "-k", "8"]
    one, other = (hits(facesearch(*question, "--device", device).stdout) for device in ("cpu", "openvino"))
    assert [name for name, _ in one] == [name for name, _ in other]
    # In f32 only the order of additions differs. bf16 has 8 bits of precision: measured 0.002 at a similarity of 0.3.
    apart = 1e-4 if choose_runtime("openvino").precision == "f32" else 5e-3
    for (_, first), (_, second) in zip(one, other, strict=True):
        assert first == pytest.approx(second, abs=apart)


def test_a_query_photo_without_the_requested_face_is_skipped(facesearch: Run, library: Path, indexed: Path) -> None:
    photos = [library / "photos/party/everybody.jpg", library / "query.jpg"]
    answer = facesearch("query", "--each", *photos, "--face", "2", "--index", indexed, "-f", "json")
    assert [query["path"] for query in json.loads(answer.stdout)["queries"]] == [str(photos[0])]
    assert re.search(r"--face 2: .*query.jpg shows 1 face; .*; skipped\n", answer.stderr)


def test_a_reader_that_closes_the_pipe_early(library: Path, indexed: Path, environment: dict[str, str]) -> None:
    """`head` ends after one line, while there is more output than a pipe holds."""
    question: list[str | Path] = ["--each", *([library / "query.jpg"] * 60)]
    options = ["--index", indexed, "--no-threshold", "--all-faces", "-f", "json", "-q"]
    command = [sys.executable, "-m", "facesearch", "query", *map(str, [*question, *options])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_ctrl_c_during_a_query(library: Path, indexed: Path, environment: dict[str, str]) -> None:
    many = [str(library / "photos")] * 20
    command = [sys.executable, "-m", "facesearch", "query", "--each", *many, "--index", str(indexed), "--quiet"]
    with start_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"Traceback" not in said
        assert said.splitlines()[-1] == b"facesearch: interrupted"
