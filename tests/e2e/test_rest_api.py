"""The REST API of the real server: what is asked, and what is answered."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from filelock import FileLock
from jsonschema import Draft202012Validator
from PIL import Image
from sample_library import shipped_photo
from web_server import TOKENS, Answer, Events, Server, form, largest_faces, serving

from facesearch import Index
from facesearch.index.store import Store

HIT = Draft202012Validator(json.loads((files("facesearch.render") / "hit.schema.json").read_text()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hostile: Path) -> Iterator[Server]:
    """A server that the tests here share; what they say they take back."""
    folder = tmp_path_factory.mktemp("rest")
    (folder / "uploads").mkdir()
    with serving(folder, hostile / "index", "--uploads", folder / "uploads") as server:
        yield server


@contextmanager
def with_photos(folder: Path, hostile: Path) -> Iterator[Server]:
    """A server with photos of its own, which may be changed."""
    shutil.copytree(hostile / "photos", folder / "photos")
    shutil.copytree(hostile / "index", folder / "index")
    with Index.open(folder / "index") as index:
        index.move_folder(hostile / "photos", folder / "photos")
    (folder / "uploads").mkdir()
    with serving(folder, folder / "index", "--uploads", folder / "uploads", copy=False) as server:
        yield server


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory, hostile: Path) -> Iterator[Server]:
    """A server whose photos several tests add to."""
    with with_photos(tmp_path_factory.mktemp("changing"), hostile) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path, hostile: Path) -> Iterator[Server]:
    """A server of one test alone."""
    with with_photos(tmp_path, hostile) as server:
        yield server


@pytest.fixture(scope="module")
def query(library: Path) -> Path:
    return library / "query.jpg"


def ids(server: Server) -> dict[str, tuple[int, int]]:
    """The photo and the largest face of each photo, by the first word of the file's name."""
    return largest_faces(server.folder / "index")


def people(server: Server) -> dict[str, int]:
    """The person of the largest face of each photo."""
    found = {}
    for name, (photo, face) in ids(server).items():
        faces = server.get(f"/api/v1/photos/{photo}")["faces"]
        found[name] = next(one["person"] for one in faces if one["face_id"] == face)
    return found


def without_query(record: Any) -> Any:
    """An answer without what the photo asked with is called, and without what the server adds."""
    for one in record["queries"]:
        for key in ("path", "summary"):
            one.pop(key, None)
        for hit in one["hits"]:
            del hit["query"]
    record.pop("remarks", None)
    return record


def coarser(value: Any, key: str = "") -> Any:
    """A record of the command line, rounded as the schema of the server says."""
    if isinstance(value, dict):
        return {name: coarser(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [coarser(one, key) for one in value]
    if isinstance(value, float) and key in ("similarity", "distance", "similarity_to_person", "threshold"):
        return round(value, 3)
    if isinstance(value, float) and key in ("fmr", "expected_false_hits", "excess"):
        return float(f"{value:.0e}")
    return value


QUESTIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"top_k": 9}, ("-k", "9")),
    ({"threshold": 0.2}, ("-t", "0.2")),
    ({"threshold": 0.2, "top_k": 3}, ("-t", "0.2", "-k", "3")),
    ({"fmr": 1e-3}, ("--fmr", "1e-3")),
    ({"top_k": 30, "all_faces": True}, ("-k", "30", "--all-faces")),
    ({"direct": True}, ("--direct",)),
    ({"alone": True, "top_k": 5}, ("--alone", "-k", "5")),
    ({"where": {"faces": "2..", "min_face": 20}}, ("--faces", "2..", "--min-face", "20")),
    ({"where": {"since": "1990", "until": "2100-12"}}, ("--since", "1990", "--until", "2100-12")),
    ({"expand": True, "fold": True}, ("--expand", "--fold")),
]


@pytest.mark.parametrize(("question", "options"), QUESTIONS, ids=json.dumps)
def test_an_answer_is_that_of_the_command_line(
    server: Server, facesearch: Run, query: Path, question: dict[str, Any], options: tuple[str, ...]
) -> None:
    told = facesearch("query", query, "--index", server.folder / "index", "-f", "json", *options, exit_code={0, 1})
    answer = server.search(query, **question)
    assert answer["queries"][0]["hits"]
    for hit in answer["queries"][0]["hits"]:
        HIT.validate(hit)
    assert without_query(answer) == without_query(coarser(json.loads(told.stdout)))


def test_a_photo_as_a_file_and_in_json_are_one_question(server: Server, query: Path) -> None:
    photos = [{"name": "query.jpg", "data": base64.b64encode(query.read_bytes()).decode()}]
    answer = server.ask("POST", "/api/v1/search", json={"photos": photos, "top_k": 3})
    assert answer.status == 200
    assert answer.json == server.search(query, top_k=3)
    assert answer.json["queries"][0]["path"] == "query.jpg"


def test_several_photos_make_one_question_unless_asked_for_each(server: Server, query: Path, library: Path) -> None:
    other = library / "photos/portraits/bea.jpg"
    assert len(server.search(query, other)["queries"]) == 1
    assert server.search(query, other)["queries"][0]["paths"] == ["query.jpg", "bea.jpg"]
    assert len(server.search(query, other, each=True)["queries"]) == 2


def test_faces_of_the_index_and_people_can_be_asked_for(server: Server) -> None:
    photo, face = ids(server)["bea"]
    person = people(server)["bea"]
    by_face = server.search(face_ids=[face])["queries"][0]
    assert by_face["person"] == person
    assert by_face["hits"][0]["photo_id"] == photo
    assert by_face["hits"][0]["similarity"] == 1
    by_number = server.search(person=person)
    assert {hit["photo_id"] for hit in by_number["queries"][0]["hits"]} == {
        hit["photo_id"] for hit in by_face["hits"] if hit["person"] == person
    }
    action = server.say(say="name", person=person, name="Bea")
    assert server.search(person="bea")["queries"][0]["name"] == "Bea"
    assert server.get(f"/api/v1/people/{person}/photos")["queries"][0]["name"] == "Bea"
    server.say(say="undo", action=action)
    assert server.ask("POST", "/api/v1/search", json={"person": "Bea"}).status == 404


def test_one_face_of_a_group_is_chosen(server: Server, library: Path) -> None:
    group = library / "photos/party/everybody.jpg"
    first, third = (server.search(group, face=face)["queries"][0] for face in (1, 3))
    assert (first["face"], first["faces"], third["face"]) == (1, 6, 3)
    assert first["person"] != third["person"]
    assert len(server.search(group, face="all")["queries"]) == 6
    assert any("6 faces" in remark for remark in server.search(group)["remarks"])


def test_company_is_given_by_number_or_name(server: Server, query: Path) -> None:
    who = people(server)
    name = server.say(say="name", person=who["ada"], name="Ada")
    together = server.search(query, with_=["Ada"])["queries"][0]["hits"]
    assert [os.path.basename(hit["path"]) for hit in together] == ["group.jpg"]
    assert server.search(query, with_=[who["ada"]])["queries"][0]["hits"] == together
    apart = {os.path.basename(hit["path"]) for hit in server.search(query, without=["Ada"])["queries"][0]["hits"]}
    assert apart == {"bea.jpg", "bea darker.jpg"}
    server.say(say="undo", action=name)


def test_folders_limit_a_search(server: Server, query: Path, hostile: Path) -> None:
    photos = str(hostile / "photos")
    assert server.search(query, where={"under": [photos]})["queries"][0]["hits"]
    assert not server.search(query, where={"not_under": [photos]})["queries"][0]["hits"]
    elsewhere = server.ask("POST", "/api/v1/search", **form(query, where={"under": ["/etc/passwd"]}))
    assert elsewhere.status == 404


def test_two_photos_or_faces_are_compared(server: Server, query: Path, library: Path) -> None:
    def compared(other: str) -> Any:
        answer = server.ask("POST", "/api/v1/compare", **form(query, library / f"photos/portraits/{other}.jpg"))
        assert answer.status == 200
        return answer.json

    assert compared("bea")["same"]
    assert not compared("ada")["same"]
    known = ids(server)
    faces = {"face_ids": [known["bea"][1], known["bea darker"][1]]}
    assert server.ask("POST", "/api/v1/compare", json=faces).json["same"]
    alone = server.ask("POST", "/api/v1/compare", **form(query))
    assert (alone.status, alone.detail) == (422, "give two photos, or the ids of two faces")


def test_the_faces_of_a_photo_have_names(server: Server, library: Path) -> None:
    who = people(server)
    action = server.say(say="name", person=who["ada"], name="Ada")
    answer = server.ask("POST", "/api/v1/faces", **form(library / "photos/party/everybody.jpg"))
    assert answer.status == 200
    assert len(answer.json["faces"]) == 6
    assert [face["person"] for face in answer.json["faces"] if face["name"] == "Ada"] == [who["ada"]]
    server.say(say="undo", action=action)
    assert server.ask("POST", "/api/v1/faces", json={}).status == 422


def test_people_are_listed_and_found(server: Server) -> None:
    whole = server.get("/api/v1/people")
    assert whole["total"] == len(whole["people"])
    assert all(one["cover"] for one in whole["people"])
    number = people(server)["bea"]
    assert [one["number"] for one in server.get(f"/api/v1/people?search=%23{number}&limit=1")["people"]] == [number]
    assert server.get("/api/v1/people?offset=1&limit=1")["people"] == whole["people"][1:2]
    action = server.say(say="name", person=number, name="Bea", aliases=["Bee"], born="1950-02")
    assert [one["number"] for one in server.get("/api/v1/people?search=BEE")["people"]] == [number]
    assert number not in [one["number"] for one in server.get("/api/v1/people?unnamed=true")["people"]]
    shown = server.get(f"/api/v1/people/{number}")
    assert (shown["name"], shown["aliases"], shown["born"]) == ("Bea", ["Bee"], "1950-02")
    assert sum(shown["years"].values()) == shown["photos"] == 3
    server.say(say="undo", action=action)
    assert server.ask("GET", "/api/v1/people/999999").status == 404


def test_every_kind_of_statement_and_its_undoing(server: Server) -> None:
    known, who = ids(server), people(server)
    bea, ada, eli = who["bea"], who["ada"], who["eli"]
    parts = server.get(f"/api/v1/people/{bea}/parts")["parts"]
    assert sum(len(part["faces"]) for part in parts) == 3
    assert set(parts[0]["samples"]) <= set(parts[0]["faces"])
    statements: list[dict[str, Any]] = [
        {"say": "name", "person": bea, "name": "Bea", "external_id": "b-1"},
        {"say": "merge", "people": [bea, ada]},
        {"say": "split", "person": bea, "faces": [known["bea"][1]]},
        {"say": "is", "person": bea, "faces": [known["eli"][1]]},
        {"say": "call", "name": "Somebody new", "faces": [known["eli"][1]]},
        {"say": "not", "person": bea, "faces": [known["bea"][1]]},
        {"say": "ignore", "people": [ada, eli]},
        {"say": "cover", "person": bea, "face": known["bea darker"][1]},
    ]
    before = [people(server), server.get("/api/v1/people")]
    for statement in statements:
        action = server.say(**statement)
        told = server.get("/api/v1/statements?limit=1")["actions"][0]
        assert (told["number"], told["author"]) == (action, "Nora")
        assert [people(server), server.get("/api/v1/people")] != before, statement
        server.say(say="undo", action=action)
        assert [people(server), server.get("/api/v1/people")] == before, statement
    action = server.say(say="ignore", people=[ada])
    server.say(say="notice", people=[ada])
    assert server.get("/api/v1/people") == before[1]
    server.say(say="name", person=ada, name="Ada")
    server.say(say="unname", person=ada)
    assert server.get("/api/v1/people") == before[1]


def test_what_is_no_face_comes_back_when_that_is_taken_back(changing: Server) -> None:
    photo, face = ids(changing)["bea"]
    action = changing.say(say="not_a_face", face=face)
    assert changing.get(f"/api/v1/photos/{photo}")["faces"] == []
    changing.say(say="undo", action=action)
    with Events(changing) as events:
        assert changing.ask("POST", "/api/v1/refresh").status == 202
        events.until("run", "done")
    assert len(changing.get(f"/api/v1/photos/{photo}")["faces"]) == 1


def test_a_statement_has_an_author_in_the_history_of_the_command_line(server: Server, facesearch: Run) -> None:
    action = server.say(right="owner", say="name", person=people(server)["ada"], name="Ada")
    history = facesearch("people", "history", "--index", server.folder / "index").stdout
    assert re.search(rf"^ *{action} .*Olga", history, re.MULTILINE)
    server.say(say="undo")
    assert server.get("/api/v1/statements?limit=2")["actions"][1]["undone_by"] is not None


@pytest.mark.parametrize(
    "statement",
    [
        {"say": "shout", "person": 1},
        {"say": "name", "person": 999_999, "name": "X"},
        {"say": "name", "person": 1, "name": "two\nlines"},
        {"say": "name", "person": 1, "name": "x", "colour": "red"},
        {"say": "merge", "people": [1]},
        {"say": "is", "person": 1, "faces": [2**60]},
        {"say": "is", "person": 1, "faces": [123_456_789]},
        {"say": "undo", "action": 123_456_789},
        {"say": "split", "person": 1, "parts": [10**30]},
        {"say": "name", "person": "9" * 30, "name": "x"},
        {"say": "name", "person": "#" + "9" * 18, "name": "x"},
        {"say": "name", "person": 1.5, "name": "x"},
        {"say": "name", "person": True, "name": "x"},
        {"say": "name", "person": 1, "name": "x", "born": "0000"},
    ],
    ids=json.dumps,
)
def test_wrong_statements_say_why_not(server: Server, statement: dict[str, Any]) -> None:
    answer = server.ask("POST", "/api/v1/statements", json=statement)
    assert answer.status in (404, 422), answer
    assert answer.detail


def test_a_missed_face_is_given_by_hand(server: Server) -> None:
    known = ids(server)
    with Index.open(server.folder / "index") as index:
        photo = next(row[0] for row in index.sql("SELECT id FROM photos WHERE path LIKE '%no face.png'").rows)
    answer = server.ask("POST", f"/api/v1/photos/{photo}/faces", json={"box": [20, 20, 80, 90], "name": "Hand"})
    assert answer.status == 201, answer
    assert answer.json["person"] not in [None, *known.values()]
    assert [face["name"] for face in server.get(f"/api/v1/photos/{photo}")["faces"]] == ["Hand"]
    server.say(say="undo", action=answer.json["action"])
    assert server.get(f"/api/v1/photos/{photo}")["faces"] == []
    for box in ([20, 20, 0, 0], [1e300, 0, 5, 5], [-500, -500, 10, 10], [1, 2, 3], ["1", 2, 3, 4]):
        wrong = server.ask("POST", f"/api/v1/photos/{photo}/faces", json={"box": box})
        assert wrong.status == 422, (box, wrong)
    for text in (b'{"box": [NaN, 0, 9, 9]}', b'{"box": [Infinity, 0, 9, 9]}', b'{"box": [0, 0, 9, 1e999]}'):
        wrong = server.ask("POST", f"/api/v1/photos/{photo}/faces", text, headers={"Content-Type": "application/json"})
        assert wrong.status == 422, (text, wrong)


def test_questions_are_reviewed(own: Server) -> None:
    with Store.open(own.folder / "index", write=True) as store, store.transaction():
        groups = store.catalog.people  # as if grouping had not seen that two groups are one person
        number = groups.add()
        groups.assign((face, number, None) for face in groups.faces_of(people(own)["bea"])[::2])
    asked = own.get("/api/v1/review?limit=50")["questions"]
    assert asked
    first = asked[0]
    assert own.ask("POST", f"/api/v1/review/{first['id']}", json={"answer": "skip"}).json == {"action": None}
    again = own.get("/api/v1/review?limit=50")["questions"]
    assert again[-1]["id"] == first["id"]
    assert again[-1]["skipped"]
    answer = own.ask("POST", f"/api/v1/review/{first['id']}", json={"answer": "no"}, right="name")
    assert answer.status == 200
    assert first["id"] not in [one["id"] for one in own.get("/api/v1/review?limit=50")["questions"]]
    own.say(say="undo", action=answer.json["action"])
    assert first["id"] in [one["id"] for one in own.get("/api/v1/review?limit=50")["questions"]]
    for wrong in ("people-1-999999", "nonsense", "face-0-0", "%00", "people-99999999999999999999-1"):
        assert own.ask("POST", f"/api/v1/review/{wrong}", json={"answer": "yes"}).status in (404, 422), wrong
    assert [one["kind"] for one in own.get("/api/v1/problems")["problems"]] == ["alike"]


def test_everybody_has_a_bookmark_of_their_own(server: Server) -> None:
    unseen = server.get("/api/v1/news", right="look")["people"]
    assert unseen
    assert server.get("/api/v1/news", right="look")["people"] == unseen, "looking moves nothing"
    moved = server.ask("POST", "/api/v1/news", right="look")
    assert moved.status == 201
    assert moved.json["people"] == unseen
    assert server.get("/api/v1/news", right="look")["people"] == []
    assert server.get("/api/v1/news", right="name")["people"] == unseen


def test_photos_are_shown_with_pictures(server: Server) -> None:
    photo, face = ids(server)["group"]
    shown = server.get(f"/api/v1/photos/{photo}")
    assert (shown["width"], shown["height"]) == shipped_photo("t1").size
    assert len(shown["faces"]) == 6
    for path, size in (
        (f"/api/v1/photos/{photo}/picture?side=320", (320, 222)),
        (f"/api/v1/faces/{face}/picture?side=96", (96, 96)),
    ):
        first = server.ask("GET", path)
        assert (first.status, first.headers["content-type"]) == (200, "image/jpeg")
        with Image.open(io.BytesIO(first.body)) as image:
            assert image.size == size
        tag = first.headers["etag"]
        again = server.ask("GET", path, headers={"If-None-Match": tag})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert server.ask("GET", path, headers={"If-None-Match": '"other"'}).body == first.body
    for path in (f"photos/{photo}/picture?side=123", f"faces/{face}/picture?side=9999", "photos/x", "photos/0"):
        assert server.ask("GET", f"/api/v1/{path}").status == 422
    for path in ("photos/999999", "photos/999999/picture", "photos/999999/original", "faces/999999/picture"):
        assert server.ask("GET", f"/api/v1/{path}").status == 404


def test_originals_are_given_alone_and_together(server: Server, hostile: Path) -> None:
    known = ids(server)
    (group, _), (eli, _), (fay, _) = known["group"], known["eli"], known["fay"]
    alone = server.ask("GET", f"/api/v1/photos/{group}/original")
    assert alone.body == (hostile / "photos/group.jpg").read_bytes()
    assert alone.headers["content-type"] == "application/octet-stream"
    assert alone.headers["content-disposition"] == "attachment; filename*=UTF-8''group.jpg"
    assert server.ask("GET", f"/api/v1/photos/{eli}/original").headers["content-disposition"].endswith("%FF%FE.jpg")
    together = server.ask("POST", "/api/v1/photos/zip", json={"photos": [group, eli, group, fay]}, right="look")
    assert together.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(together.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "group.jpg"
        assert len(archive.namelist()) == 3
        assert not [name for name in archive.namelist() if re.search(r"[/\\\x00-\x1f]", name)]
        assert archive.read("group.jpg") == alone.body
    assert server.ask("POST", "/api/v1/photos/zip", json={"photos": [group, 999_999]}).status == 404
    for photos in ([], [group] * 501, ["1"], None):
        assert server.ask("POST", "/api/v1/photos/zip", json={"photos": photos}).status == 422


def test_the_state_of_the_library(server: Server, facesearch: Run) -> None:
    status = server.get("/api/v1/status", right="look")
    told = json.loads(facesearch("status", "--index", server.folder / "index", "-f", "json").stdout)
    for volatile in ("catalog_bytes", "vectors_bytes"):
        del told[volatile], status[volatile]
    assert status.pop("run")["state"] in ("idle", "done")
    assert status.pop("uploads") is True
    assert status == coarser(told)
    failures = server.get("/api/v1/failures")
    assert failures["total"] == 1
    assert os.path.basename(failures["failures"][0]["path"]) == "broken \ufffd.jpg"
    assert failures["failures"][0]["reason"]


def test_health_needs_no_token(server: Server) -> None:
    assert server.get("/healthz", right=None) == {"status": "ok"}


def test_a_run_is_followed_and_what_it_finds_is_there(changing: Server, library: Path) -> None:
    with Events(changing, right="look") as events:
        assert events.answer.headers["content-type"].startswith("text/event-stream")
        assert events.until("run")["state"] in ("idle", "done", "cancelled"), "the last state comes first"
        shutil.copy(library / "photos/portraits/tight crop.png", changing.folder / "photos/new.png")
        assert changing.ask("POST", "/api/v1/refresh", json={"retry_failed": True}).status == 202
        again = changing.ask("POST", "/api/v1/refresh")
        assert (again.status, again.detail) == (409, "an indexing run is going on already")
        assert "retry-after" in again.headers
        told = []
        for kind, state in events:
            told.append(kind)
            if state.get("state") == "done":
                break
        assert (state["report"]["new"], state["report"]["failed"]) == (1, 1)
        assert "changed" in told or events.until("changed") == {}
    assert "new" in ids(changing)
    assert changing.get("/api/v1/status")["run"]["state"] == "done"
    assert changing.ask("DELETE", "/api/v1/refresh").status == 202, "there is none to cancel"


def test_a_run_is_cancelled_and_keeps_what_it_did(changing: Server) -> None:
    photo = shipped_photo("t1").reduce(2)
    for number in range(60):
        photo.putpixel((number, 0), (number, 1, 2))
        photo.save(changing.folder / f"photos/many {number}.jpg", quality=80)
    before = changing.get("/api/v1/status")["photos"]
    with Events(changing) as events:
        changing.ask("POST", "/api/v1/refresh")
        for kind, state in events:
            if kind == "run" and state.get("done", 0) >= 1:
                break
        assert changing.ask("DELETE", "/api/v1/refresh", right="name").status == 403
        assert changing.ask("DELETE", "/api/v1/refresh").status == 202
        report = events.until("run", "cancelled")["report"]
    assert before < changing.get("/api/v1/status")["photos"] < before + 60
    assert report["stopped"]
    for file in (changing.folder / "photos").glob("many *"):
        file.unlink()


def uploaded(server: Server, *photos: tuple[str, bytes]) -> Any:
    answer = server.ask("POST", "/api/v1/uploads", **form(*photos))
    assert answer.status == 201, answer
    return answer.json


def jpeg(name: str = "t1", *, dot: int = 0) -> bytes:
    picture = shipped_photo(name).crop((160, 50, 480, 450))
    picture.putpixel((0, 0), (dot, dot, dot))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def test_uploads_are_kept_known_or_refused(changing: Server, hostile: Path) -> None:
    photo, known = jpeg(), (hostile / "photos/bea.jpg").read_bytes()
    told = uploaded(
        changing,
        ("../../up.jpg", photo),
        ("twice.jpg", photo),
        ("old.jpg", known),
        ("bad.jpg", b"\xff\xd8\xff nothing"),
    )
    assert told["indexed"]
    first, twice, old, bad = told["photos"]
    assert (first["result"], first["file"]) == ("kept", "up.jpg")
    assert (twice["result"], twice["photo_id"]) == ("known", first["photo_id"])
    assert (old["result"], old["photo_id"]) == ("known", ids(changing)["bea"][0])
    assert (bad["result"], bool(bad["reason"])) == ("refused", True)
    assert not list((changing.folder / "uploads").glob("[tob]*"))
    assert (changing.folder / "uploads/up.jpg").read_bytes() == photo
    assert (changing.folder / "uploads/up.jpg").stat().st_mode & 0o777 == 0o600
    assert not (changing.folder.parent / "up.jpg").exists()
    assert changing.get(f"/api/v1/photos/{first['photo_id']}")["faces"]
    assert uploaded(changing, ("again.jpg", photo))["photos"][0]["photo_id"] == first["photo_id"]
    other = jpeg(dot=9)
    assert uploaded(changing, ("up.jpg", other))["photos"][0]["file"] == "up (2).jpg"
    nothing = changing.ask("POST", "/api/v1/uploads", **form())
    assert (nothing.status, nothing.detail) == (422, "no photo in the request")


@pytest.mark.parametrize(
    "name",
    ["..", ".hidden.jpg", "a\x00b.jpg", "two\nlines\x1b.jpg", b"\xff\xfe.jpg", "\u202egpj", "x" * 300, "/", "a\\b"],
)
def test_hostile_names_of_uploads_stay_in_the_folder(server: Server, name: str | bytes) -> None:
    dot = hashlib.sha256(repr(name).encode()).digest()[0]
    (told,) = uploaded(server, (os.fsdecode(name), jpeg(dot=dot)))["photos"]
    assert told["result"] == "kept", told
    kept = server.folder / "uploads" / told["file"]
    assert kept.is_file()
    assert kept.resolve().parent == (server.folder / "uploads").resolve()
    assert kept.name.isprintable()
    assert not kept.name.startswith(".")
    assert "\\" not in kept.name


def test_uploads_wait_while_another_run_writes(changing: Server) -> None:
    with FileLock(changing.folder / "index/writer.lock"):
        told = uploaded(changing, ("late.jpg", jpeg(dot=200)))
        assert not told["indexed"]
        assert [one["result"] for one in told["photos"]] == ["kept"]
    assert uploaded(changing, ("late.jpg", jpeg(dot=200)))["indexed"]
    assert len(list((changing.folder / "uploads").glob("late*"))) == 1


def test_what_is_forgotten_is_gone_at_once(own: Server) -> None:
    known, who = ids(own), people(own)
    (photo, face), (group, _) = known["bea"], known["group"]
    pictures = [f"/api/v1/photos/{photo}/picture", f"/api/v1/faces/{face}/picture"]
    assert [own.ask("GET", picture).status for picture in pictures] == [200, 200]
    dry = own.ask("POST", "/api/v1/forget?dry_run=true", json={"photo": photo})
    assert dry.status == 200
    assert [own.ask("GET", picture).status for picture in pictures] == [200, 200]
    assert own.ask("POST", "/api/v1/forget", json={"photo": photo}).status == 200
    assert [own.ask("GET", picture).status for picture in pictures] == [404, 404]
    assert own.ask("GET", f"/api/v1/photos/{photo}/original").status == 404
    assert not list((own.folder / "index/previews").rglob("*.jpg")), "no preview is left on disk"
    one = own.get(f"/api/v1/photos/{group}")["faces"][0]["face_id"]
    assert own.ask("POST", "/api/v1/forget", json={"face": one}).status == 200
    assert len(own.get(f"/api/v1/photos/{group}")["faces"]) == 5
    going = own.ask("POST", "/api/v1/forget?dry_run=true", json={"person": who["ada"], "reach": "group"}).json["going"]
    assert len(going) == 2
    spared = {"person": who["ada"], "reach": "group", "spare": [known["ada"][1]], "never_again": True}
    assert own.ask("POST", "/api/v1/forget", json=spared).status == 200
    assert own.get(f"/api/v1/photos/{known['ada'][0]}")["faces"]
    for wrong in ({}, {"photo": photo, "face": face}, {"photo": -1}, {"person": 2**53, "reach": "group"}):
        assert own.ask("POST", "/api/v1/forget", json=wrong).status in (404, 422)


def test_commits_of_other_processes_are_seen(changing: Server, facesearch: Run, query: Path) -> None:
    person = people(changing)["bea"]
    assert changing.search(query)["queries"][0]["person"] == person
    with Events(changing) as events:
        facesearch("people", "name", str(person), "Bea", "--index", changing.folder / "index")
        events.until("changed")
    assert changing.search(query)["queries"][0]["name"] == "Bea"
    shutil.copy(query, changing.folder / "photos/found later.jpg")
    facesearch("index", "--index", changing.folder / "index", "--device", "cpu", exit_code={0, 5})
    found = {os.path.basename(hit["path"]) for hit in changing.search(query)["queries"][0]["hits"]}
    assert "found later.jpg" in found


@pytest.mark.thorough
def test_a_switch_of_model_is_taken_up_by_the_running_server(
    own: Server, facesearch: Run, query: Path, own_pack: Path
) -> None:
    before = own.search(query)
    with asking(own, query) as answers:
        facesearch("reindex", "--model", own_pack, "--index", own.folder / "index", "--device", "cpu")
    assert {answer.status for answer in answers} == {200}, [
        answer.body[:200] for answer in answers if answer.status != 200
    ]
    after = own.search(query)
    assert before["index"]["model"] == "embedded" != after["index"]["model"]
    assert after["queries"][0]["hits"]


@contextmanager
def asking(server: Server, photo: Path) -> Iterator[list[Answer]]:
    """Ask again and again while the block runs; yield the list that gets the answers."""
    answers: list[Answer] = []
    ended = threading.Event()
    body = {"photos": [{"name": "me", "data": base64.b64encode(photo.read_bytes()).decode()}]}

    def ask() -> None:
        while not ended.is_set():
            answers.append(server.ask("POST", "/api/v1/search", json=body))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


def test_a_killed_server_loses_no_acknowledged_statement(tmp_path: Path, hostile: Path) -> None:
    said: list[tuple[int, str]] = []
    with serving(tmp_path, hostile / "index") as server:
        person = people(server)["bea"]

        def speak() -> None:
            for number in range(10_000):
                try:
                    said.append((server.say(say="name", person=person, name=f"Bea {number}"), f"Bea {number}"))
                except OSError:
                    return

        speaking = threading.Thread(target=speak)
        speaking.start()
        while len(said) < 5:
            time.sleep(0.01)
        server.process.kill()
        server.process.wait()
        speaking.join()
    with serving(tmp_path, tmp_path / "index", copy=False) as server:
        kept = {action["number"]: action["what"] for action in server.get("/api/v1/statements?limit=10000")["actions"]}
        for number, name in said:
            assert kept[number].endswith(f"is called {name}")
        assert server.get(f"/api/v1/people/{person}")["name"] in (said[-1][1], f"Bea {len(said)}")


def test_a_small_client_in_python(server: Server, query: Path) -> None:
    """As in any language: no library of facesearch is needed."""
    code = (
        "import base64, json, sys, urllib.request as u\n"
        "data = base64.b64encode(open(sys.argv[2], 'rb').read()).decode()\n"
        "asked = u.Request(sys.argv[1], json.dumps({'photos': [{'data': data}]}).encode(),"
        " {'Authorization': 'Bearer ' + sys.argv[3], 'Content-Type': 'application/json'})\n"
        "print(json.load(u.urlopen(asked))['queries'][0]['summary'])\n"
    )
    address = f"http://127.0.0.1:{server.port}/api/v1/search"
    told = subprocess.run(
        [sys.executable, "-c", code, address, query, TOKENS["look"]], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"probably #\d+: \d+ by face, \d+ through other photos\n", told.stdout)


def test_json_that_is_none(server: Server) -> None:
    for body in (
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"null",
        b"[]",
        b'"x"',
        b"1e999",
        b"\xff",
        b'{"person": "\\ud800"}',
    ):
        for path in ("search", "statements", "forget", "photos/zip", "keys", "review/people-1-2"):
            answer = server.ask("POST", f"/api/v1/{path}", body, headers={"Content-Type": "application/json"})
            assert answer.status in (400, 422), (path, body[:30], answer)
            assert answer.detail
