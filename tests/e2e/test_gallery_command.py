"""`facesearch gallery`: indexes are pushed to one gallery on a real server, and it is asked like an index."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import CHECKOUT, Run, toy_model_info
from jsonschema import Draft202012Validator
from postgres_server import PostgresServer

from facesearch import Filter, Gallery, GalleryError, Index, InputError, PhotoError, UsageError
from facesearch.api.gallery import gallery_names
from facesearch.galleries.address import Address
from facesearch.galleries.known import make


@pytest.fixture
def home(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, in which the names of galleries are stored; for this process, too."""
    monkeypatch.setenv("HOME", environment["HOME"])
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return Path(environment["HOME"])


@pytest.fixture
def index(home: Path, indexed: Path, tmp_path: Path) -> Path:
    """An index that may be changed."""
    shutil.copytree(indexed, tmp_path / "ix")
    return tmp_path / "ix"


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def lite(tmp_path: Path) -> str:
    """The address of a file of Milvus Lite that is not there yet."""
    return f"milvus-lite://{tmp_path}/shared.db"


@pytest.fixture
def pushed(facesearch: Run, index: Path, address: str) -> str:
    """A gallery with one index, under the name `gallery`."""
    facesearch("gallery", "connect", address, "--as", "laptop", "--index", index)
    facesearch("gallery", "init", "--index", index)
    done = facesearch("gallery", "push", "--index", index)
    assert "pushed 32 faces; 32 changed in the gallery" in done.stderr
    return "gallery"


def hits(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def without(hit: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in hit.items() if key not in keys}


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
def test_the_method_of_searching_can_be_changed(
    facesearch: Run, library: Path, index: Path, pushed: str, method: str
) -> None:
    before = facesearch("query", library / "query.jpg", "--gallery", pushed, "-f", "paths").stdout
    assert "searches compare every face" in facesearch("gallery", "status", "--index", index).stdout
    told = facesearch("gallery", "init", "--search", method, "--index", index).stderr
    assert f"gallery: searches use {method} and found 100.0% of the nearest among 32 faces, measured 2" in told
    assert told.strip().rpartition("gallery: ")[2] in facesearch("gallery", "status", "--index", index).stdout
    (known,) = json.loads(facesearch("gallery", "status", "-f", "json", "--index", index).stdout)
    assert (known["search"], known["recall"]["share"], known["recall"]["faces"]) == (method, 1, 32)
    assert known["recall"]["measured"].endswith("+00:00")
    assert facesearch("query", library / "query.jpg", "--gallery", pushed, "-f", "paths").stdout == before
    facesearch("gallery", "init", "--search", "exact", "--index", index)
    (known,) = json.loads(facesearch("gallery", "status", "-f", "json", "--index", index).stdout)
    assert (known["search"], known["recall"]) == ("exact", None)


def test_a_new_gallery_may_search_by_an_index(
    facesearch: Run, index: Path, address: str, postgres: PostgresServer
) -> None:
    facesearch("gallery", "connect", address, "--index", index)
    told = facesearch("gallery", "init", "--search", "hnsw", "--index", index).stderr
    assert "made the gallery gallery" in told
    status = facesearch("gallery", "--index", index).stdout
    assert "searches use hnsw; how much they find was not measured" in status
    sql = facesearch("gallery", "init", "--search", "hnsw", "--print-sql", "--index", index).stdout
    other = postgres.database()
    postgres.execute(sql, other)
    assert "USING hnsw" in sql
    with Gallery.open(other) as gallery:
        assert (gallery.status().method, gallery.status().recall) == ("hnsw", None)
        with pytest.raises(UsageError):
            gallery.search_by("best")  # type: ignore[arg-type]
    toys = postgres.database()
    make(Address.of(toys), toy_model_info())
    with Gallery.open(toys) as gallery, pytest.raises(GalleryError, match="has the model toy, not embedded"):
        gallery.search_by("ivf", model="embedded")
    wrong = facesearch("gallery", "init", "--search", "best", "--index", index, exit_code=2)
    assert "--search best: choose exact, hnsw or ivf" in wrong.stderr


@pytest.mark.parametrize(
    "options",
    [[], ["--top-k", "5"], ["--direct"], ["--faces", "2.."], ["--min-face", "60", "--no-threshold"], ["--fold"]],
    ids=lambda options: " ".join(options) or "plain",
)
def test_a_gallery_answers_as_its_index(
    facesearch: Run, library: Path, index: Path, pushed: str, options: list[str]
) -> None:
    photo = library / "query.jpg"
    here = hits(facesearch("query", photo, "--index", index, "-f", "jsonl", *options).stdout)
    there = hits(facesearch("query", photo, "--gallery", pushed, "-f", "jsonl", *options).stdout)
    schema = json.loads((files("facesearch") / "render/hit.schema.json").read_text())
    for one, other in zip(here, there, strict=True):
        Draft202012Validator(schema).validate(other)
        assert other["index"] == "laptop"
        rounded = ("similarity", "distance", "similarity_to_person", "fmr", "expected_false_hits", "via_face")
        assert without(other, *rounded, "index") == without(one, *rounded)
        assert other["similarity"] == pytest.approx(one["similarity"], abs=1e-5)


def test_milvus_lite_answers_as_its_index(facesearch: Run, library: Path, index: Path, lite: str) -> None:
    facesearch("gallery", "connect", lite, "--as", "laptop", "--index", index)
    facesearch("gallery", "init", "--index", index)
    assert "pushed 32 faces" in facesearch("gallery", "push", "--index", index).stderr
    assert "pushed 0 faces" in facesearch("gallery", "push", "--index", index).stderr
    assert "32 faces the same" in facesearch("gallery", "verify", "--index", index).stderr
    photo = library / "query.jpg"
    for options in ([], ["--faces", "2..", "--no-threshold"], ["--under", library / "photos", "--top-k", "3"]):
        here = hits(facesearch("query", photo, "--index", index, "-f", "jsonl", *options).stdout)
        there = hits(facesearch("query", photo, "--gallery", lite, "-f", "jsonl", *options).stdout)
        compared = ("path", "face_id", "verdict", "person", "via", "date", "box")
        assert [[hit[key] for key in compared] for hit in there] == [[hit[key] for key in compared] for hit in here]
    facesearch("forget", library / "photos" / "party" / "everybody.jpg", "--yes", "--index", index)
    there = hits(facesearch("query", photo, "--gallery", "gallery", "--no-threshold", "-f", "jsonl").stdout)
    assert "everybody.jpg" not in {Path(hit["path"]).name for hit in there}
    assert (Path(lite.removeprefix("milvus-lite://")).stat().st_mode & 0o77) == 0, "faces are nobody else's business"
    facesearch("gallery", "disconnect", "--forget", "--yes", "--index", index)
    assert hits(facesearch("query", photo, "--gallery", lite, "-f", "jsonl", exit_code=1).stdout) == []


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("milvus-lite:///nowhere/x.db", 3, "there is no gallery yet"),
        ("milvus-lite:///tmp/x", 2, "ends in .db"),
        ("milvus-lite://x.db", 2, "give the full path"),
        ("http://127.0.0.1:99999", 2, "not an address"),
        ("http://[::1", 2, "not an address"),
        ("http://127.0.0.1:1?token=secret", 2, "has a password after the ?"),
        ("http://127.0.0.1:1", 3, "cannot connect; the server is out of reach"),
        ("http://me:secret@127.0.0.1:1/?colour=red", 2, "colour is not a parameter of this address"),
        ("ftp://x", 2, "an address starts with postgresql://, http://"),
    ],
)
def test_addresses_that_are_no_gallery(facesearch: Run, library: Path, address: str, code: int, message: str) -> None:
    done = facesearch("query", library / "query.jpg", "--gallery", address, exit_code=code)
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_switching_needs_a_gallery_of_another_model(facesearch: Run, index: Path, lite: str) -> None:
    facesearch("gallery", "connect", lite, "--index", index)
    assert "there is no gallery yet" in facesearch("gallery", "init", "--beside", "--index", index, exit_code=3).stderr
    facesearch("gallery", "init", "--index", index)
    told = facesearch("gallery", "init", "--beside", "--index", index, exit_code=3).stderr
    assert "has the model embedded already; name another model" in told
    assert "no gallery beside it to switch to" in facesearch("gallery", "switch", "--index", index, exit_code=3).stderr


def test_a_gallery_with_faces_is_not_replaced_under_its_name(
    facesearch: Run, index: Path, pushed: str, lite: str
) -> None:
    told = facesearch("gallery", "connect", lite, "--index", index, exit_code=2).stderr
    assert "which has faces of this index; disconnect it first" in told
    facesearch("gallery", "connect", lite, "--name", "other", "--index", index)


def test_another_process_has_the_file(facesearch: Run, library: Path, index: Path, lite: str) -> None:
    facesearch("gallery", "connect", lite, "--index", index)
    facesearch("gallery", "init", "--index", index)
    with Gallery.open(lite):
        done = facesearch("query", library / "query.jpg", "--gallery", lite, exit_code=3)
    assert "another process uses it" in done.stderr


def test_the_table_names_the_index_and_the_person(facesearch: Run, library: Path, pushed: str) -> None:
    shown = facesearch("query", library / "query.jpg", "--gallery", pushed)
    assert shown.stdout.splitlines()[0].split()[-2:] == ["index", "path"]
    assert " laptop " in shown.stdout
    assert "of laptop: " in shown.stderr
    assert (
        "index"
        not in facesearch("query", library / "query.jpg", "--gallery", pushed, "--of", "nas", exit_code=3).stdout
    )


def test_a_person_by_number_belongs_to_an_index(facesearch: Run, index: Path, pushed: str) -> None:
    here = hits(facesearch("query", "--person", "1", "--index", index, "-f", "jsonl").stdout)
    there = hits(facesearch("query", "--person", "1", "--gallery", pushed, "--of", "laptop", "-f", "jsonl").stdout)
    assert [hit["path"] for hit in there] == [hit["path"] for hit in here]
    assert "--of NAME" in facesearch("query", "--person", "1", "--gallery", pushed, exit_code=2).stderr
    assert "--of laptop" in facesearch("query", "--person", "1", "--index", index, "--of", "laptop", exit_code=2).stderr


def test_a_whole_day_with_two_indexes(facesearch: Run, library: Path, index: Path, pushed: str, tmp_path: Path) -> None:
    shutil.copytree(library / "photos", tmp_path / "archive")
    facesearch("index", "archive", "--index", "second")
    address = json.loads(facesearch("gallery", "status", "-f", "json", "--index", index).stdout)[0]["address"]
    facesearch("gallery", "connect", address, "--as", "nas", "--push-after-index", "--index", "second")
    run = facesearch("index", "--index", "second")
    assert "pushed to gallery: 32 faces changed there" in run.stderr
    both = hits(facesearch("query", library / "query.jpg", "--gallery", pushed, "-f", "jsonl").stdout)
    assert {hit["index"] for hit in both} == {"laptop", "nas"}
    assert {Path(hit["path"]).parts[-2] for hit in both if hit["index"] == "nas"}
    shown = facesearch("gallery", "--index", "second")
    assert "2 indexes" in shown.stdout
    assert "this index is nas there, pushed after each run of facesearch index; 0 faces to push" in shown.stdout
    under = facesearch("query", library / "query.jpg", "--gallery", pushed, "--under", "archive", "-f", "jsonl")
    assert {hit["index"] for hit in hits(under.stdout)} == {"nas"}
    facesearch("gallery", "disconnect", "--forget", "--yes", "--index", "second")
    assert "laptop" in facesearch("query", library / "query.jpg", "--gallery", address).stdout
    with Gallery.open(address) as gallery:
        assert [one.name for one in gallery.status().indexes] == ["laptop"]


def test_a_forgotten_person_is_owed_to_a_gallery_out_of_reach(
    facesearch: Run, index: Path, tmp_path: Path, pushed: str, address: str, postgres: PostgresServer
) -> None:
    with Index.open(index) as opened:
        first, second = (one.number for one in opened.people.list()[:2])
    facesearch("forget", "--person", str(first), "--yes", "--index", index, "--receipt", "one.json")
    left = "SELECT count(*) FROM facesearch.face_rows WHERE face IN ({})"
    receipt = json.loads((tmp_path / "one.json").read_text())
    faces = ", ".join(str(face["face_id"]) for face in receipt["removed"]["list"])
    assert postgres.execute(left.format(faces), address) == [(0,)]
    assert receipt["galleries"] == {"reached": ["gallery"], "not_reached": []}
    postgres.stop()
    try:
        owed = facesearch(
            "forget", "--person", str(second), "--yes", "--index", index, "--receipt", "two.json", exit_code=5
        )
        assert "not yet from gallery" in owed.stderr
    finally:
        postgres.start()
    receipt = json.loads((tmp_path / "two.json").read_text())
    assert receipt["galleries"] == {"reached": [], "not_reached": ["gallery"]}
    facesearch("gallery", "push", "--index", index)
    faces = ", ".join(str(face["face_id"]) for face in receipt["removed"]["list"])
    assert postgres.execute(left.format(faces), address) == [(0,)]


def test_what_is_forgotten_is_deleted_in_the_gallery(
    facesearch: Run, library: Path, index: Path, pushed: str, address: str, postgres: PostgresServer
) -> None:
    photo = hits(facesearch("query", library / "query.jpg", "--gallery", pushed, "-f", "jsonl").stdout)[0]["path"]
    facesearch("forget", photo, "--yes", "--index", index)
    assert photo not in facesearch("query", library / "query.jpg", "--gallery", pushed, "-f", "paths").stdout
    other = hits(facesearch("query", library / "query.jpg", "--gallery", pushed, "-f", "jsonl").stdout)[0]
    postgres.stop()
    try:
        owed = facesearch("forget", "--face", str(other["face_id"]), "--yes", "--index", index, exit_code=5)
        assert "the next push deletes them first" in owed.stderr
        away = facesearch("gallery", "status", "--index", index, exit_code=5)
        assert "cannot be reached now" in away.stdout
        assert " to push" in away.stdout
    finally:
        postgres.start()
    left = "SELECT count(*) FROM facesearch.face_rows WHERE face = {}".format(other["face_id"])
    assert postgres.execute(left, address) == [(1,)]
    facesearch("gallery", "push", "--index", index)
    assert postgres.execute(left, address) == [(0,)]
    assert "the same" in facesearch("gallery", "verify", "--index", index).stderr


def test_verify_finds_and_repairs(
    facesearch: Run, index: Path, pushed: str, address: str, postgres: PostgresServer
) -> None:
    postgres.execute("DELETE FROM facesearch.face_rows WHERE face IN (1, 2)", address)
    assert "30 faces the same, 2 missing" in facesearch("gallery", "verify", "--index", index, exit_code=3).stderr
    facesearch("gallery", "verify", "--repair", "--index", index)
    assert "32 faces the same" in facesearch("gallery", "verify", "--index", index).stderr


def test_a_dry_run_counts(facesearch: Run, index: Path, address: str) -> None:
    facesearch("gallery", "connect", address, "--index", index)
    told = facesearch("gallery", "push", "--dry-run", "--index", index)
    assert "32 changed faces to push; nothing was pushed" in told.stderr


def test_an_asker_needs_no_index(facesearch: Run, library: Path, pushed: str, address: str, tmp_path: Path) -> None:
    facesearch("gallery", "connect", address, "--name", "archive", "--index", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert facesearch("query", library / "query.jpg", "--gallery", "archive").stdout
    facesearch("gallery", "disconnect", "--name", "archive", "--index", tmp_path / "none")
    unknown = facesearch("query", library / "query.jpg", "--gallery", "archive", exit_code=3)
    assert "no gallery of this name" in unknown.stderr


def test_the_least_rights_suffice(
    facesearch: Run, library: Path, index: Path, address: str, postgres: PostgresServer
) -> None:
    """Those that the printed SQL names: a reader may ask and not push, a writer may push and not make tables."""
    sql = facesearch("gallery", "init", "--search", "hnsw", "--print-sql", "--index", index).stdout
    postgres.execute("DROP ROLE IF EXISTS reader; DROP ROLE IF EXISTS writer; CREATE ROLE reader LOGIN;"
                     " CREATE ROLE writer LOGIN IN ROLE reader")  # fmt: skip
    postgres.execute(sql, address)
    rights = [line.removeprefix("--   ") for line in sql.splitlines() if line.startswith("--   GRANT")]
    assert len(rights) == 7
    postgres.execute(" ".join(rights), address)
    for user in ("reader", "writer"):
        facesearch("gallery", "connect", address.replace("postgres@", f"{user}@"), "--name", user, "--index", index)
    refused = facesearch("gallery", "push", "--name", "reader", "--index", index, exit_code=3)
    assert "permission denied" in refused.stderr
    facesearch("gallery", "push", "--name", "writer", "--index", index)
    for user in ("reader", "writer"):
        denied = facesearch("gallery", "init", "--search", "ivf", "--name", user, "--index", index, exit_code=3)
        assert "permission denied" in denied.stderr
        assert "searches use hnsw" in facesearch("gallery", "status", "--name", user, "--index", index).stdout
    assert facesearch("query", library / "query.jpg", "--gallery", "reader").stdout
    facesearch("gallery", "disconnect", "--name", "writer", "--forget", "--yes", "--index", index)
    postgres.execute("DROP OWNED BY reader, writer", address)


def sql_examples(page: str) -> list[str]:
    """Return the indented blocks of a page that are SQL."""
    blocks = re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks if block.startswith("    SELECT")]


def test_a_photo_can_be_asked_for_with_sql(
    facesearch: Run, library: Path, index: Path, pushed: str, address: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """With the examples of the page, as they are there."""
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    page = (CHECKOUT / "docs/sql.md").read_text().split("### A photo in PostgreSQL")[1]
    (command,) = re.findall(r"^    (facesearch .*)", page, re.MULTILINE)
    shown = facesearch(*shlex.split(command)[1:])
    assert "stored me, until 2" in shown.stderr
    hit = hits(facesearch("query", "me.jpg", "--gallery", pushed, "--direct", "-k", "1", "-f", "jsonl").stdout)[0]
    plain, by_index = sql_examples(page)
    for sql in (shown.stdout, plain.replace("date >= '2019'", "true")):
        rows = postgres.execute(sql, address)
        assert len(rows) == 20
        assert rows[0][:2] == ("laptop", hit["path"])
        assert rows[0][2] == pytest.approx(hit["similarity"], abs=1e-5)
    assert postgres.execute(plain, address) is not None
    facesearch("gallery", "init", "--search", "hnsw", "--index", index)
    assert postgres.execute(by_index, address)[0] == ("laptop", hit["path"])
    facesearch("gallery", "probe", "me.jpg", "--name", "other", "--gallery", address)
    assert postgres.execute("SELECT name FROM facesearch.probe ORDER BY 1", address) == [("me",), ("other",)]


def test_expired_probes_are_hidden_and_deleted(
    facesearch: Run, library: Path, index: Path, pushed: str, address: str, postgres: PostgresServer
) -> None:
    later: list[list[str | Path]] = [["push", "--index", index], ["probe", library / "query.jpg", "--name", "later"]]
    for command in later:
        facesearch("gallery", "probe", library / "query.jpg", "--for", "2h")
        postgres.execute("UPDATE facesearch.probes SET expires = now() - interval '1 second', owner = 'else'", address)
        assert postgres.execute("SELECT * FROM facesearch.probe", address) == []
        facesearch("gallery", *command)
        assert ("query",) not in postgres.execute("SELECT name FROM facesearch.probes", address)


def test_a_probe_is_seen_by_its_owner_alone(
    facesearch: Run, library: Path, index: Path, address: str, postgres: PostgresServer
) -> None:
    sql = facesearch("gallery", "init", "--print-sql", "--index", index).stdout
    postgres.execute("DROP ROLE IF EXISTS reader; DROP ROLE IF EXISTS peer; CREATE ROLE reader LOGIN;"
                     " CREATE ROLE peer LOGIN IN ROLE reader")  # fmt: skip
    postgres.execute(sql, address)
    rights = [line.removeprefix("--   ") for line in sql.splitlines() if "TO reader" in line]
    asking = [right for right in rights if "probes" not in right]
    assert len(asking) == len(rights) - 1
    postgres.execute(" ".join(asking), address)
    reader, peer = (address.replace("postgres@", f"{user}@") for user in ("reader", "peer"))
    denied = facesearch("gallery", "probe", library / "query.jpg", "--gallery", reader, exit_code=3)
    assert "permission denied for table probes" in denied.stderr
    assert len(denied.stderr.splitlines()) == 1
    postgres.execute(" ".join(rights), address)
    for user in (reader, peer):
        facesearch("gallery", "probe", library / "query.jpg", "--gallery", user)
        facesearch("gallery", "probe", library / "query.jpg", "--gallery", user)
        for table in ("probe", "probes"):
            found = postgres.execute(f"SELECT name, owner FROM facesearch.{table}", user)
            assert found == [("query", user.partition("://")[2].partition("@")[0])]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        postgres.execute("UPDATE facesearch.probes SET owner = 'reader'", peer)
    postgres.execute("DROP OWNED BY reader, peer", address)


def test_probes_of_the_library(index: Path, library: Path, pushed: str) -> None:
    with Gallery.open(pushed) as gallery:
        stored = gallery.probe(library / "query.jpg", lasting=60)
        assert (stored.name, stored.faces) == ("query", 1)
        assert stored.expires_at == pytest.approx(time.time() + 60, abs=30)
        for wrong in ({"name": "a b"}, {"name": "it's"}, {"lasting": 0}, {"lasting": 1e9}):
            with pytest.raises(UsageError):
                gallery.probe(library / "query.jpg", **wrong)
        with pytest.raises(PhotoError):
            gallery.probe("missing.jpg")


def test_passwords_are_stored_and_shown_nowhere(facesearch: Run, index: Path, home: Path, library: Path) -> None:
    address = "postgresql://me:top%20secret@127.0.0.1:1/faces"
    told = facesearch("gallery", "connect", address, "--index", index)
    asked = facesearch("query", library / "query.jpg", "--gallery", address, exit_code=3)
    for text in (told.stderr, asked.stderr):
        assert "secret" not in text
    assert "postgresql://me@127.0.0.1:1/faces" in asked.stderr
    kept = home / ".local/share/facesearch/galleries.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert "secret" not in kept.read_text()
    assert b"secret" not in (index / "catalog.sqlite").read_bytes()
    query = facesearch("gallery", "connect", "postgresql://me@h/faces?password=secret", "--index", index, exit_code=2)
    assert "secret" not in query.stderr


def test_the_password_may_be_in_a_file_of_the_owner_alone(facesearch: Run, library: Path, tmp_path: Path) -> None:
    secret, address = tmp_path / "password", "postgresql://me@127.0.0.1:1/x"
    secret.write_text("secret\n")

    def ask(exit_code: int) -> str:
        given = {"FACESEARCH_GALLERY_PASSWORD_FILE": str(secret)}
        return facesearch("query", library / "query.jpg", "--gallery", address, exit_code=exit_code, env=given).stderr

    secret.chmod(0o644)
    assert f"chmod 600 {secret}" in ask(2)
    secret.chmod(0o600)
    assert "Connection refused" in ask(3)
    secret.unlink()
    assert "cannot be read" in ask(2)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["query", "me.jpg", "--gallery", "nowhere"], 3, "no gallery of this name is connected"),
        (["query", "me.jpg", "--gallery", "redis://x"], 2, "an address starts with postgresql://"),
        (["query", "me.jpg", "--gallery", "postgresql://a:sec/ret@h/x"], 2, "has an @ after the host"),
        (["query", "me.jpg", "--gallery", "postgresql://h/x?passw%6frd=secret"], 2, "has a password after the ?"),
        (["query", "me.jpg", "--gallery", "postgresql://me@h/\x1b"], 2, "not the address of a gallery"),
        (["gallery", "push", "--dry-run"], 3, "no gallery is connected"),
        (["query", "me.jpg", "--gallery", "x", "--index", "y"], 2, "--index and --gallery contradict"),
        (["query", "me.jpg", "--of", "x"], 2, "give --gallery too"),
        (["gallery", "push"], 3, "no gallery is connected; connect one with `facesearch gallery connect URL`"),
        (["gallery", "init"], 3, "no gallery is connected"),
        (["gallery", "connect", "here"], 2, "not the address of a gallery"),
        (["gallery", "connect", "postgresql://h/x", "--name", "a b"], 2, "not a name"),
        (["gallery", "disconnect", "--name", "x"], 3, "no gallery of this name"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    facesearch: Run, index: Path, arguments: list[str], code: int, told: str
) -> None:
    given = arguments if "--index" in arguments or "--gallery" in arguments else [*arguments, "--index", str(index)]
    done = facesearch(*given, exit_code=code)
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "sec" not in done.stderr


def test_there_must_be_a_gallery_and_only_one(facesearch: Run, index: Path, address: str) -> None:
    told = facesearch("gallery", "connect", address, "--index", index)
    assert "there is no gallery yet; `facesearch gallery init` makes one" in told.stderr
    assert "there is no gallery yet" in facesearch("gallery", "push", "--index", index, exit_code=3).stderr
    facesearch("gallery", "init", "--index", index)
    assert "there is a gallery already" in facesearch("gallery", "init", "--index", index, exit_code=3).stderr


def test_a_private_gallery(facesearch: Run, library: Path, index: Path, address: str, postgres: PostgresServer) -> None:
    """Only roles without special rights are kept apart; the tests of the contract have them."""
    sql = facesearch("gallery", "init", "--private", "--print-sql", "--index", index).stdout
    assert "ALTER TABLE facesearch.face_rows FORCE ROW LEVEL SECURITY" in sql
    assert "face_rows FORCE ROW" not in facesearch("gallery", "init", "--print-sql", "--index", index).stdout
    facesearch("gallery", "connect", address, "--index", index)
    facesearch("gallery", "init", "--private", "--index", index)
    forced = "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'facesearch.face_rows'::regclass"
    assert postgres.execute(forced, address) == [(True,)]
    facesearch("gallery", "push", "--index", index)
    assert facesearch("query", library / "query.jpg", "--gallery", "gallery").stdout
    for more in ([], ["--search", "hnsw"]):
        again = facesearch("gallery", "init", "--private", *more, "--index", index, exit_code=3)
        assert "there is a gallery already" in again.stderr


def test_a_tenant(facesearch: Run, index: Path, address: str) -> None:
    facesearch("gallery", "connect", address, "--tenant", "acme", "--index", index)
    facesearch("gallery", "init", "--index", index)
    for again, expected in ([], "acme"), (["--no-tenant"], None):
        facesearch("gallery", "connect", address, *again, "--index", index)
        facesearch("gallery", "push", "--index", index)
        (known,) = json.loads(facesearch("gallery", "status", "-f", "json", "--index", index).stdout)
        assert known["indexes"][0]["tenant"] == expected
    wrong = facesearch("gallery", "connect", address, "--tenant", "a b", "--index", index, exit_code=2)
    assert "a b: not a name" in wrong.stderr


@pytest.mark.parametrize(("version", "made_by"), [(2, "a newer"), (0, "an older")])
def test_a_gallery_of_another_version_is_refused(
    facesearch: Run, library: Path, index: Path, pushed: str, address: str, postgres: PostgresServer,
    version: int, made_by: str,
) -> None:  # fmt: skip
    postgres.execute(f"UPDATE facesearch.gallery SET version = {version}", address)
    before = postgres.execute("SELECT token, change FROM facesearch.indexes", address)
    for command in (
        ["gallery", "push", "--index", index],
        ["gallery", "verify", "--repair", "--index", index],
        ["gallery", "init", "--search", "hnsw", "--index", index],
        ["gallery", "probe", library / "query.jpg"],
        ["query", library / "query.jpg", "--gallery", pushed],
    ):
        refused = facesearch(*command, exit_code=3).stderr
        assert f"made by {made_by} facesearch (version {version}, this one supports 1)" in refused
        assert len(refused.splitlines()) == 1
    assert postgres.execute("SELECT token, change FROM facesearch.indexes", address) == before


def test_a_client_that_is_missing_is_named(index: Path, home: Path, tmp_path: Path) -> None:
    """Without the extra, one line says how to install it; nothing of it is imported by other commands."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from facesearch.cli import main\n"
        "sys.argv = ['facesearch', 'gallery', 'push', '--index', sys.argv[1]]\n"
        "main()\n"
    )
    with Index.open(index) as opened:
        opened.galleries.connect("postgresql://h/x")
    done = subprocess.run(
        [sys.executable, "-c", program, str(index)], capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 3
    assert "pip install 'facesearch[postgres]'" in done.stderr


def test_the_library(index: Path, library: Path, address: str) -> None:
    assert not Gallery.exists(address)
    Gallery.make(address)
    assert Gallery.exists(address)
    with pytest.raises(GalleryError):
        Gallery.exists("postgresql://127.0.0.1:1/x")
    with Index.open(index) as opened:
        opened.galleries.connect(address, name="archive", known_as="laptop", after_runs=True)
        assert [(one.name, one.pending, one.after_runs) for one in opened.galleries.list()] == [("archive", 32, True)]
        done = opened.galleries.push()
        assert done is not None
        assert done.changed == 32
        assert not opened.galleries.verify("archive")
        with pytest.raises(InputError):
            opened.galleries.push("other")
    assert gallery_names() == ["archive"]
    with Gallery.open("archive") as gallery:
        status = gallery.status()
        assert (status.faces, [one.name for one in status.indexes]) == (32, ["laptop"])
        answer = gallery.query(library / "query.jpg", where=Filter(index="laptop"), top_k=3)
        assert len(answer) == 3
        with pytest.raises(UsageError):
            gallery.query(person=1)
    with pytest.raises(GalleryError):
        Gallery.open("postgresql://127.0.0.1:1/x")
