"""`facesearch sql`: stable views, read only, for a limited time."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from conftest import CHECKOUT, Run

from facesearch import Index, InputError, UsageError
from facesearch.catalog.sql import VIEWS


@pytest.fixture
def ask(facesearch: Run, indexed: Path) -> Any:
    def asked(sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(facesearch("sql", sql, "--index", indexed, "-f", "json").stdout)
        return found

    return asked


COLUMNS = {
    "photos": "id path folder date date_source date_precision width height latitude longitude size status missing"
    " faces",
    "faces": "id photo_id x y width height score quality person vector",
    "people": "id faces photos name born ignored",
    "photos_faces": "path date missing faces_in_photo id photo_id x y width height score quality person vector",
}
"""The columns that scripts may rely on; views may only gain some."""


def test_the_views_are_stable(indexed: Path) -> None:
    assert set(COLUMNS) == set(VIEWS)
    with Index.open(indexed) as index:
        for view, columns in COLUMNS.items():
            assert " ".join(index.sql(f"SELECT * FROM {view} LIMIT 1").columns) == columns


def test_the_views_say_what_the_index_has(ask: Any, facesearch: Run, indexed: Path) -> None:
    status = json.loads(facesearch("status", "--index", indexed, "-f", "json").stdout)
    assert ask("SELECT count(*) AS n FROM photos") == [{"n": status["photos"]}]
    assert ask("SELECT count(*) AS n, sum(person IS NOT NULL) AS known FROM faces") == [
        {"n": status["faces"], "known": status["grouped"]}
    ]
    assert ask("SELECT count(*) AS n FROM people") == [{"n": status["people"]}]
    paths = {one["path"] for one in ask("SELECT path FROM photos")}
    assert all(Path(path).is_file() for path in paths)
    assert ask("SELECT sum(faces) AS n FROM photos") == [{"n": status["faces"]}]


def test_similarities_are_those_of_a_query(ask: Any, facesearch: Run, library: Path, indexed: Path) -> None:
    photo = library / "query.jpg"
    hits = facesearch("query", photo, "--index", indexed, "--direct", "--all-faces", "-k", "9", "-f", "jsonl").stdout
    expected = {hit["face_id"]: hit["similarity"] for hit in map(json.loads, hits.splitlines())}
    found = ask(
        f"SELECT id, similarity(vector, photo('{photo}')) AS s FROM faces ORDER BY s DESC LIMIT {len(expected)}"
    )
    assert {one["id"]: one["s"] for one in found} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM photos", "UPDATE faces SET x = 1", "INSERT INTO people VALUES (1, 2, 3)", "DROP VIEW photos",
        "CREATE TABLE mine (x)", "PRAGMA user_version = 9", "PRAGMA table_list", "ATTACH 'other.db' AS other",
        "SELECT * FROM meta", "SELECT * FROM main.photos", "SELECT vector FROM vectors", "SELECT * FROM sqlite_schema",
        "WITH faces AS (SELECT * FROM main.meta) SELECT * FROM faces", "SELECT count(*) FROM statements",
        "WITH photos AS (SELECT * FROM main.sqlite_master) SELECT * FROM photos", "SELECT * FROM sqlite_temp_master",
        "EXPLAIN SELECT * FROM photos", "SELECT load_extension('x')", "VACUUM INTO 'copy.db'", "BEGIN",
    ],
)  # fmt: skip
def test_only_the_views_can_be_read(facesearch: Run, indexed: Path, sql: str, tmp_path: Path) -> None:
    before = (indexed / "catalog.sqlite").read_bytes()
    told = facesearch("sql", sql, "--index", indexed, exit_code=2).stderr
    assert "only SELECT is allowed, on the views photos, faces, people, photos_faces" in told
    assert (indexed / "catalog.sqlite").read_bytes() == before
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELEC", "syntax error"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT colour FROM photos", "no such column: colour"),
        ("SELECT similarity(1, 2)", "similarity takes two embeddings"),
        ("SELECT similarity(x'00', x'00')", "similarity takes two embeddings"),
        ("SELECT photo()", "photo takes the path of a photo"),
        (";", "give one SELECT"),
        ("SELECT '\udcff'", "give one SELECT"),
        ("SELECT photo('missing.jpg')", "missing.jpg: cannot be read"),
    ],
)
def test_mistakes_are_told_in_one_line(facesearch: Run, indexed: Path, sql: str, told: str) -> None:
    done = facesearch("sql", sql, "--index", indexed, exit_code=(2, 3))
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_question_without_end_is_stopped(facesearch: Run, indexed: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    done = facesearch("sql", endless, "--index", indexed, "--max-time", "1s", exit_code=3)
    assert "stopped after 1 seconds" in done.stderr
    with Index.open(indexed) as index, pytest.raises(InputError, match="stopped"):
        index.sql(endless, max_seconds=0.2)


@pytest.mark.parametrize("layout", ["table", "csv", "jsonl"])
def test_formats(facesearch: Run, indexed: Path, layout: str) -> None:
    sql = "SELECT id, x > 0 AS inside, NULL AS absent, vector FROM faces ORDER BY id LIMIT 2"
    lines = facesearch("sql", sql, "--index", indexed, "-f", layout).stdout.splitlines()
    if layout == "jsonl":
        assert list(json.loads(lines[0])) == ["id", "inside", "absent", "vector"]
        return
    assert len(lines) == 3
    assert "(512 bytes)" in lines[1]


def test_values_come_out_as_they_are(facesearch: Run, indexed: Path) -> None:
    sql = "SELECT 1 AS a, 48.123456789 AS b, 2 AS a, 9e999 AS far"
    assert facesearch("sql", sql, "--index", indexed, "-f", "csv").stdout.splitlines() == [
        "a,b,a_2,far", "1,48.123456789,2,inf",
    ]  # fmt: skip
    shown = facesearch("sql", sql, "--index", indexed, "-f", "jsonl").stdout
    assert json.loads(shown, parse_constant=pytest.fail) == {"a": 1, "b": 48.123456789, "a_2": 2, "far": None}


def test_names_that_are_not_text(facesearch: Run, indexed: Path) -> None:
    """A path of any bytes comes out as it is."""
    with sqlite3.connect(indexed / "catalog.sqlite") as catalog:
        ((photo, path),) = catalog.execute("SELECT id, path FROM photos LIMIT 1").fetchall()
        catalog.execute("UPDATE photos SET path = ? WHERE id = ?", (b"caf\xe9.jpg", photo))
        catalog.commit()
    try:
        shown = facesearch("sql", f"SELECT path FROM photos WHERE id = {photo}", "--index", indexed, "-f", "csv").stdout
        assert shown.encode("utf-8", "surrogateescape").splitlines()[1].endswith(b"/caf\xe9.jpg")
    finally:
        with sqlite3.connect(indexed / "catalog.sqlite") as catalog:
            catalog.execute("UPDATE photos SET path = ? WHERE id = ?", (path, photo))


def test_an_index_that_is_missing(facesearch: Run, tmp_path: Path) -> None:
    assert "no index at" in facesearch("sql", "SELECT 1", "--index", tmp_path / "none", exit_code=3).stderr
    with Index.open(tmp_path / "none", create=True) as index, pytest.raises(UsageError):
        index.sql("SELECT 1", max_seconds=-1)


def examples() -> list[str]:
    page = (CHECKOUT / "docs" / "sql.md").read_text()
    return [line.strip() for line in page.splitlines() if line.startswith("    facesearch sql ")]


@pytest.mark.parametrize("line", examples())
def test_the_examples_of_the_page(facesearch: Run, library: Path, indexed: Path, tmp_path: Path, line: str) -> None:
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    shown = facesearch(*shlex.split(line)[1:], "--index", indexed)
    assert shown.stdout
    assert not shown.stderr
