"""The text formats, letter by letter."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import toy_face
from PIL import Image
from sample_library import shipped_photo

from facesearch.errors import StorageError, UsageError
from facesearch.probing import Probe
from facesearch.render.sheet import save_sheet
from facesearch.render.text import Format, render_answers, render_report
from facesearch.searching import Answer, Hit
from facesearch.store.catalog import FaceRow
from facesearch.types import Verdict

INDEX = {"path": "/index", "model": "embedded", "faces": 12, "photos": 7}


def hit(rank: int, similarity: float, path: bytes, **more: Any) -> Hit:
    face = toy_face([1.0, 0.0], (10.26, 20.0, 90.0, 100.0)).detection
    row = FaceRow(rank, rank + 100, rank + 200, 1, path, face, "2020-05-06T07:08:09+02:00", quality=0.8765)
    values = {"fmr": 1.2345e-9, "expected_false_hits": 1.4814e-8, "verdict": Verdict.certain, **more}
    return Hit(rank, similarity, row, **values)


@pytest.fixture
def answer() -> Answer:
    probe = Probe("me.jpg", 1, 2, toy_face([1.0, 0.0]))
    return Answer(probe, [hit(1, 0.8125, b"/photos/a b.jpg"), hit(2, 0.25, b"/photos/\xff\n.jpg", offline=True)])


def text(answer: Answer, layout: Format, threshold: float | None = 0.47, *, nul: bool = False) -> str:
    return "".join(render_answers([answer], threshold, INDEX, layout, nul=nul))


def test_table(answer: Answer) -> None:
    assert text(answer, Format.table) == (
        "rank  similarity  distance  box           face px  detected                            path\n"
        "   1      0.8125    0.1875  10,20 90x100       90      0.90                            /photos/a b.jpg\n"
        "   2      0.2500    0.7500  10,20 90x100       90      0.90  below threshold, offline  /photos/\udcff\n.jpg\n"
    )


def test_table_without_remarks_has_no_column_for_them(answer: Answer) -> None:
    answer.hits.pop()
    assert text(answer, Format.table).splitlines()[0].split()[-2:] == ["detected", "path"]


def test_json_lines_are_the_contract(answer: Answer) -> None:
    first, second = (json.loads(line) for line in text(answer, Format.jsonl).splitlines())
    assert first == {
        "query": "me.jpg", "query_face": 1, "rank": 1, "path": "/photos/a b.jpg", "similarity": 0.8125,
        "distance": 0.1875, "above_threshold": True, "box": [10.3, 20.0, 90.0, 100.0], "face_px": 90.0,
        "det_score": 0.9, "photo_id": 201, "face_id": 101, "date": "2020-05-06T07:08:09", "date_source": "exif",
        "taken_at": "2020-05-06T07:08:09+02:00", "fmr": 1.23e-9, "expected_false_hits": 1.48e-8, "verdict": "certain",
        "quality": 0.877,
    }  # fmt: skip
    assert second["path"] == "/photos/�\n.jpg"
    assert second["path_b64"] == "L3Bob3Rvcy//Ci5qcGc="
    assert second["above_threshold"] is False
    assert second["offline"] is True


def test_json_is_one_object(answer: Answer) -> None:
    whole = json.loads(text(answer, Format.json, threshold=None))
    assert whole["threshold"] is None
    assert whole["index"] == INDEX
    (query,) = whole["queries"]
    assert (query["path"], query["face"], query["faces"]) == ("me.jpg", 1, 2)
    assert [found["above_threshold"] for found in query["hits"]] == [None, None]


def test_csv_quotes_what_it_must(answer: Answer) -> None:
    rows = list(csv.DictReader(io.StringIO(text(answer, Format.csv), newline="")))
    assert [row["path"] for row in rows] == ["/photos/a b.jpg", "/photos/\udcff\n.jpg"]
    assert rows[0]["left"] == "10.3"


def test_paths(answer: Answer) -> None:
    assert text(answer, Format.paths) == "/photos/a b.jpg\n/photos/\udcff\n.jpg\n"
    assert text(answer, Format.paths, nul=True) == "/photos/a b.jpg\0/photos/\udcff\n.jpg\0"


def test_report_leaves_out_what_did_not_happen() -> None:
    report = dict.fromkeys(
        ("photos", "faces", "new", "changed", "unchanged", "moved", "missing", "removed", "no_face", "failed"), 0
    )
    shown = render_report({**report, "photos": 1200, "new": 10, "seconds": 2.0, "index": "/i"})
    assert shown.splitlines() == [
        "photos     1,200", "faces      0", "new        10", "unchanged  0", "seconds    2.0 (5.0 photos/s)",
        "index      /i",
    ]  # fmt: skip


def test_sheet_shows_every_hit_and_a_frame_for_a_lost_photo(tmp_path: Path) -> None:
    photo = tmp_path / "astronaut.png"
    shipped_photo("astronaut").save(photo)
    face = toy_face([1.0, 0.0], (179, 63, 90, 112))
    found = [hit(1, 0.9, bytes(photo)), hit(2, 0.5, b"/gone.jpg"), hit(3, 0.1, bytes(photo))]
    save_sheet(Answer(Probe(str(photo), 1, 1, face), found), 0.47, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    green = (abs(pixels - (88, 214, 141)).sum(axis=2) < 30).any(axis=0)
    assert np.count_nonzero(np.diff(green.astype(int)) == 1) >= 2, "a frame around the face in each photo that is there"
    assert sheet.size[0] > 3 * 300


def test_sheet_names_what_is_wrong(tmp_path: Path, answer: Answer) -> None:
    with pytest.raises(UsageError, match=r"hits\.txt.*\.png"):
        save_sheet(answer, None, tmp_path / "hits.txt")
    with pytest.raises(StorageError, match="cannot be written"):
        save_sheet(answer, None, tmp_path / "no/such/folder.png")
    (tmp_path / "album.png").mkdir()
    (tmp_path / "album.png/kept.jpg").write_bytes(b"x")
    with pytest.raises(StorageError, match="cannot be written"):
        save_sheet(answer, None, tmp_path / "album.png")
    assert [path.name for path in tmp_path.rglob("*")] == ["album.png", "kept.jpg"], "nothing lost, nothing left"
