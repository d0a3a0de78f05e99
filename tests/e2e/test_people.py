"""People on the command line: found by an indexing run, listed, asked for, and grouped again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, toy_face
from jsonschema import Draft202012Validator
from old_catalog import as_of_schema

from facesearch import Filter, Index, InputError, LockedError, UsageError
from facesearch.index.store import Store
from facesearch.models.resolve import model_info
from facesearch.people.saying import say
from facesearch.people.statements import Kind
from facesearch.types import PhotoFile

OLD = 5
"""The last schema without people."""


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def photos(library: Path, tmp_path: Path) -> Path:
    shutil.copytree(library / "photos", tmp_path / "photos")
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    return tmp_path / "photos"


def test_a_run_ends_with_people(facesearch: Run, photos: Path) -> None:
    first = json.loads(facesearch("index", "photos", "--index", "ix", "-f", "json").stdout)
    assert (first["people"], first["new_people"], first["grouped"]) == (7, 7, 31)
    again = json.loads(facesearch("index", "--index", "ix", "-f", "json").stdout)
    assert (again["people"], again["new_people"], again["grouped"]) == (7, 0, 31)
    table = facesearch("people", "--index", "ix").stdout.splitlines()
    assert table[0].split() == ["person", "photos", "faces", "first", "last"]
    assert len(table) == 8
    listed = json.loads(facesearch("people", "list", "--index", "ix", "-f", "json").stdout)
    assert [one["photos"] for one in listed] == sorted((one["photos"] for one in listed), reverse=True)
    assert f"#{listed[0]['number']}" == table[1].split()[0]
    assert "7 with 31 faces" in facesearch("status", "--index", "ix").stdout


def test_a_question_through_a_person(facesearch: Run, library: Path, indexed: Path, tmp_path: Path) -> None:
    group = library / "photos/party/everybody.jpg"
    answer = facesearch("query", group, "--index", indexed, "-f", "jsonl", "--sheet", "s.png", "--html", "s.html")
    assert re.search(r"probably #\d+: 4 photos, 3 by face, 1 through other photos; --direct omits", answer.stderr)
    hits = lines(answer.stdout)
    schema = Draft202012Validator(json.loads((files("facesearch.render") / "hit.schema.json").read_text()))
    for hit in hits:
        schema.validate(hit)
    (through,) = [hit for hit in hits if hit["via"] == "person"]
    assert not through["above_threshold"]
    assert through["via_face"]["face_id"] in [hit["face_id"] for hit in hits if hit["via"] == "face"]
    assert {hit["person"] for hit in hits} == {through["person"]}
    page = (tmp_path / "s.html").read_text()
    assert page.count('class="linking"') == 1
    direct = facesearch("query", group, "--index", indexed, "-f", "jsonl", "--direct")
    assert [hit["face_id"] for hit in lines(direct.stdout)] == [
        hit["face_id"] for hit in hits if hit["via"] == "face"
    ]  # fmt: skip
    limited = facesearch("query", group, "--index", indexed, "-f", "jsonl", "--threshold", "0.41")
    assert len(lines(limited.stdout)) == len(lines(direct.stdout)), "a threshold of one's own is about similarity"
    facesearch("query", group, "--index", indexed, "--copy-to", "found")
    assert len(list((tmp_path / "found").iterdir())) == 5, "the query photo, three by face, one through the person"
    table = facesearch("query", group, "--index", indexed).stdout
    assert "through other photos" in table


def test_a_person_by_number(facesearch: Run, indexed: Path, tmp_path: Path) -> None:
    listed = json.loads(facesearch("people", "list", "--index", indexed, "-f", "json").stdout)
    for one in listed:
        answer = facesearch("query", "--person", f"#{one['number']}", "--index", indexed, "-f", "jsonl")
        hits = lines(answer.stdout)
        assert len(hits) == one["photos"]
        assert {(hit["query"], hit["similarity"], hit["person"]) for hit in hits} == {(None, None, one["number"])}
        assert answer.stderr == f"facesearch: #{one['number']}: {one['photos']} photos\n"
    facesearch("query", "--person", "1", "--index", indexed, "--sheet", "p.png", "--html", "p.html", "--top-k", "1")
    assert (tmp_path / "p.png").exists()
    later = facesearch("query", "--person", "1", "--since", "2099", "--index", indexed, exit_code=1)
    assert later.stderr == "facesearch: #1: no photo of this person passes the filters\n"
    assert ">#1</h2>" in (tmp_path / "p.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("query", "--person", "#99"), 3, r"#99: no such person in .*, which has 7 people; `facesearch people` lists"),
        (("query", "--person", "Anna"), 3, r"Anna: nobody in .* has this name; `facesearch people` lists"),
        (("query", "Anna"), 3, r"Anna: nobody in .* has this name; `facesearch people` lists"),
        (("query", "--person", "0"), 2, r"--person 0: give a name or a number"),
        (("query", "--person", "1", "me.jpg"), 2, r"by name or by photos"),
        (("query", "--person", "1", "--expand"), 2, r"--person and --expand contradict each other"),
        (("query", "--person", "1", "--fmr", "1e-4"), 2, r"--person and --fmr contradict"),
        (("query", "--person", "1", "--person", "#2"), 2, r"--person was given 2 times; give it once, and --with #2 "),
        (("query", "#1", "--direct"), 2, r"#1: a person is searched for without a query photo, which --direct needs"),
        (("query", "#1", "--face", "2"), 2, r"without a query photo, which --face needs; omit --face"),
        (("query",), 2, r"give a photo or the name of the person"),
        (("people", "--index", "{ix}", "list"), 2, r"give --index after the command"),
    ],
)
def test_errors_are_one_line(
    facesearch: Run, library: Path, indexed: Path, tmp_path: Path,
    arguments: tuple[str, ...], exit_code: int, message: str,
) -> None:  # fmt: skip
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    given = [part.format(ix=indexed) for part in arguments]
    given += ["--index", str(indexed)] * (arguments[0] == "query")
    result = facesearch(*given, exit_code=exit_code)
    assert re.search(message, result.stderr), result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")


def test_without_grouping(facesearch: Run, photos: Path) -> None:
    report = json.loads(facesearch("index", "photos", "--index", "ix", "--no-grouping", "-f", "json").stdout)
    assert report["people"] is None
    assert "people" not in facesearch("index", "--index", "ix").stdout, "the index remembers it"
    assert "not grouped yet; indexing runs do not group" in facesearch("status", "--index", "ix").stdout
    assert facesearch("query", "me.jpg", "--index", "ix").stderr == "", "that is what the user wanted"
    assert "no people in ix yet" in facesearch("people", "--index", "ix").stderr
    assert "7 people with 31 of 32 faces" in facesearch("people", "group", "--index", "ix").stdout
    assert "probably #" in facesearch("query", "me.jpg", "--index", "ix").stderr
    assert "people" not in facesearch("index", "--index", "ix").stdout
    assert re.search(r"people +7; 31 faces", facesearch("index", "--index", "ix", "--grouping").stdout)


def test_grouping_again_shows_what_would_change_and_asks(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    before = facesearch("people", "--index", "ix").stdout
    unchanged = facesearch("people", "group", "--again", "--index", "ix").stdout
    assert unchanged == "7 people with 31 of 32 faces; nothing changed\n"
    with Store.open(tmp_path / "ix", write=True) as store, store.catalog.transaction():
        store.catalog.people.unassign([face for face, person in store.catalog.people.assigned().items() if person == 1])
    told = facesearch("people", "group", "--again", "--dry-run", "--index", "ix").stdout
    assert re.fullmatch(r"dry run: 7 people with .*; 1 new person, \d+ faces joined\n", told)
    refused = facesearch("people", "group", "--again", "--index", "ix", exit_code=2).stderr
    assert re.search(r"grouping from scratch: 1 new person, \d+ faces joined; cannot ask.*--yes", refused)
    facesearch("people", "group", "--again", "--yes", "--index", "ix")
    after = facesearch("people", "--index", "ix").stdout
    assert after.count("\n") == before.count("\n")
    assert "#8" in after, "a number is never used again"


def test_an_index_of_an_older_schema_is_asked_as_it_is(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    as_of_schema(tmp_path / "ix/catalog.sqlite", OLD)
    for path in (tmp_path / "ix").glob("*-*"):
        path.unlink()
    before = (tmp_path / "ix/catalog.sqlite").read_bytes()
    answer = facesearch("query", "me.jpg", "--index", "ix", "-f", "paths")
    assert len(answer.stdout.splitlines()) == 4
    assert answer.stderr == (
        "facesearch: faces are not grouped by person yet, so only similar photos are found; `facesearch people group` "
        "groups them\n"
    )
    assert "not grouped yet" in facesearch("status", "--index", "ix").stdout
    assert "not grouped by person yet" in facesearch("query", "--person", "1", "--index", "ix", exit_code=3).stderr
    assert (tmp_path / "ix/catalog.sqlite").read_bytes() == before
    report = json.loads(facesearch("index", "--index", "ix", "-f", "json").stdout)
    assert (report["unchanged"], report["people"]) == (20, 7)
    facesearch("check", "--index", "ix")


def test_two_runs(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    with Store.open(tmp_path / "ix", write=True):
        busy = facesearch("people", "group", "--index", "ix", exit_code=4)
        assert len(busy.stderr.splitlines()) == 1
        assert "7 people" in facesearch("people", "group", "--dry-run", "--index", "ix").stdout


def test_people_from_python(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "ix", create=True, device="cpu") as index:
        assert index.refresh(photos, group=False).people is None
        with pytest.raises(InputError, match=r"Index\.people\.group\(\)"):
            index.query(person=1)
        assert index.people.list() == []
        preview = index.people.preview()
        assert preview is not None
        assert preview.people == 7
        assert index.people.group() == preview
        (first, *others) = index.people.list()
        assert len(others) == 6
        answer = index.query(person=f"#{first.number}")
        assert {hit.person for hit in answer} == {first.number}
        assert len(answer) == first.photos
        (hit, *_) = answer
        assert [one.path for one in index.query(person=first.number, where=Filter(under=hit.path))] == [hit.path]
        with pytest.raises(UsageError, match="by name or by photos"):
            index.query(tmp_path / "me.jpg", person=1)
        assert index.refresh().people is None
        assert index.status().groups_after_runs is False


@pytest.mark.thorough
def test_a_killed_run_groups_all_or_nothing(environment: dict[str, str], facesearch: Run, tmp_path: Path) -> None:
    index, rng = tmp_path / "ix", np.random.default_rng(1)
    means = rng.normal(size=(300, 128))
    with Store.create(index, model_info("embedded")) as store, store.transaction():
        root = store.catalog.roots.add(os.fsencode(tmp_path / "gone"))
        for number in range(6000):
            vector = means[number % 300] + 0.6 * rng.normal(size=128)
            photo = store.catalog.photos.put(root.id, PhotoFile(b"%d" % number, 1, 0), None, "faces")
            store.catalog.faces.replace(photo, [toy_face(vector, quality=0.9)])
    command = [sys.executable, "-m", "facesearch", "people", "group", "--index", str(index)]
    start = time.monotonic()
    told = subprocess.run([*command, "--dry-run", "-f", "json"], env=environment, check=True, capture_output=True)
    whole = json.loads(told.stdout)
    usual = time.monotonic() - start
    for share in (0.3, 0.5, 0.7, 0.8, 0.9, 1.0):
        run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(usual * share)
        run.send_signal(signal.SIGKILL)
        run.wait()
        with Store.open(index) as store:
            grouped, people = store.catalog.people.count_faces(), store.catalog.people.count()
        assert (grouped, people) in ((0, 0), (whole["grouped"], whole["people"]))
    done = json.loads(facesearch("people", "group", "--index", index, "-f", "json").stdout)
    assert (done["grouped"], done["people"]) == (whole["grouped"], whole["people"])
    assert whole["grouped"] > 5900


def test_check_finds_and_repairs_people_that_lead_nowhere(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    with Store.open(tmp_path / "ix", write=True) as store, store.catalog.transaction():
        store.catalog.database.run("UPDATE people SET merged_into = 3 WHERE id = 2")
        store.catalog.people.unassign(face for face, person in store.catalog.people.assigned().items() if person > 5)
        store.catalog.database.run("UPDATE people SET merged_into = 7 WHERE id = 6")
        store.catalog.database.run("UPDATE people SET merged_into = 6 WHERE id = 7")
    faults = facesearch("check", "--index", "ix", exit_code=3)
    assert (faults.stdout + faults.stderr).count("part of another, but not as it should be") == 3
    facesearch("check", "--repair", "--index", "ix")
    facesearch("check", "--index", "ix")
    assert "#2" in facesearch("people", "--index", "ix").stdout


def test_forgetting_takes_what_was_said_too(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    """A photo, a photo of which a copy stays, and one face."""
    shutil.copy(photos / "portraits/bea.jpg", photos / "copy of bea.jpg")
    facesearch("index", "photos", "--index", "ix", "-q")

    def held() -> list[tuple[int, bytes]]:
        with Store.open(tmp_path / "ix") as store:
            return [tuple(row) for row in store.catalog.database.rows("SELECT face, content FROM statement_faces")]

    with Store.open(tmp_path / "ix", write=True) as store, store.catalog.transaction():
        faces = {os.path.basename(os.fsdecode(face.path)): face.face_id for face in store.catalog.faces.all()}
        said = [faces[name] for name in ("ada.jpg", "bea.jpg", "dan.jpg")]
        say(store.catalog, Kind.belongs, faces=said, person=1)
    assert [face for face, _ in held()] == sorted(said)
    facesearch("forget", photos / "portraits/ada.jpg", "--index", "ix", "--yes")
    facesearch("forget", photos / "portraits/bea.jpg", "--index", "ix", "--yes")
    assert [face for face, _ in held()] == sorted(said[1:]), "the copy of bea stays, and what was said of it"
    facesearch("forget", photos / "copy of bea.jpg", "--index", "ix", "--yes")
    facesearch("forget", "--face", str(said[2]), "--index", "ix", "--yes")
    assert held() == []


def test_the_lock_is_named(tmp_path: Path, photos: Path) -> None:
    with Index.open(tmp_path / "ix", create=True, device="cpu") as index:
        index.refresh(photos / "portraits")
        with Store.open(tmp_path / "ix", write=True), pytest.raises(LockedError):
            index.people.group()
