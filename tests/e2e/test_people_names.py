"""Names of people on the command line: given, taken back, asked for; who is in a photo, and who is new."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from old_catalog import as_of_schema

from facesearch import Index
from facesearch.index.store import Store


@pytest.fixture
def index(library: Path, indexed: Path, tmp_path: Path) -> Path:
    """A copy of the index of the sample library, which may be written to."""
    shutil.copy(library / "query.jpg", tmp_path / "me.jpg")
    return Path(shutil.copytree(indexed, tmp_path / "ix"))


@pytest.fixture
def number(index: Path, library: Path) -> dict[str, int]:
    """The number of each person of the sample library who has several photos, by the name of the portrait."""
    with Index.open(index, device="cpu") as opened:
        found = {}
        for portrait in sorted((library / "photos/portraits").iterdir()):
            (face, *_) = opened.who(portrait)
            if face.person is not None:
                found[portrait.stem] = face.person.number
    return found


def people(facesearch: Run, *options: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(
        facesearch("people", "list", *options, "--index", "ix", "-f", "json").stdout
    )
    return listed


def test_a_name_is_given_and_asked_for(facesearch: Run, index: Path, number: dict[str, int], library: Path) -> None:
    ada, bea = number["ada"], number["bea"]
    told = facesearch("people", "name", f"#{ada}", " Ada ", "--alias", "Countess", "--id", "x-7", "--index", "ix")
    assert told.stderr.startswith(f"facesearch: #{ada} is Ada now, also called Countess, id x-7: ")
    assert told.stdout == ""
    by_number = facesearch("query", f"#{ada}", "--index", "ix", "-f", "jsonl").stdout
    for who in ("Ada", "ada", "countess", "x-7", str(ada)):
        assert facesearch("query", who, "--index", "ix", "-f", "jsonl").stdout == by_number
        assert facesearch("query", "--person", who, "--index", "ix", "-f", "jsonl").stdout == by_number
    assert {json.loads(line)["name"] for line in by_number.splitlines()} == {"Ada"}
    assert facesearch("query", "Ada", "--index", "ix").stderr.startswith("facesearch: Ada: ")
    near = facesearch("query", "Adda", "--index", "ix", exit_code=3).stderr
    assert near.startswith("facesearch: Adda: nobody in ix has this name (there is Ada); ")
    photo = facesearch("query", library / "photos/portraits/ada.jpg", "--index", "ix")
    assert "probably Ada: " in photo.stderr
    (line,) = [line for line in facesearch("people", "--index", "ix").stdout.splitlines() if "Ada" in line]
    assert line.split()[:3] == [f"#{ada}", "Ada,", "Countess"]
    assert [one["number"] for one in people(facesearch) if one["name"] == "Ada"] == [ada]
    assert ada not in [one["number"] for one in people(facesearch, "--unnamed")]
    shown = facesearch("people", "show", "Countess", "--index", "ix").stdout
    assert ("also called  Countess" in shown, f"#{ada}" in shown) == (True, True)
    facesearch("people", "unname", "ada", "--index", "ix")
    facesearch("query", "Ada", "--index", "ix", exit_code=3)
    said = f"#{ada} is no longer called Ada or Countess"
    assert said in facesearch("people", "history", "--index", "ix").stdout
    assert f"taken back: {said}; " in facesearch("people", "undo", "--index", "ix").stderr
    assert facesearch("query", "Ada", "--index", "ix", "-f", "jsonl").stdout == by_number
    assert bea in [one["number"] for one in people(facesearch, "--unnamed")]


def test_a_name_without_photos_is_listed(facesearch: Run, index: Path, number: dict[str, int], tmp_path: Path) -> None:
    facesearch("people", "name", str(number["ada"]), "Ada", "--index", "ix")
    with Store.open(index, write=True) as store, store.transaction():
        store.catalog.photos.hide([row[0] for row in store.catalog.database.rows("SELECT id FROM photos")], 1)
    listed = people(facesearch)
    assert [(one["number"], one["name"], one["photos"], one["first"]) for one in listed] == [
        (number["ada"], "Ada", 0, "")
    ]
    assert people(facesearch, "--unnamed") == []
    facesearch("people", "list", "--index", "ix", "--sheet", "people.png", "--html", "people.html")
    assert "Ada" in (tmp_path / "people.html").read_text()


def test_with_and_without_a_name_divide_what_is_found(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    facesearch("people", "name", str(number["ada"]), "Ada", "--index", "ix")
    found = set(facesearch("query", str(number["bea"]), "--index", "ix", "-f", "paths").stdout.splitlines())
    parts = [
        set(facesearch("query", str(number["bea"]), option, "Ada", "--index", "ix", "-f", "paths", exit_code=(0, 1))
            .stdout.splitlines())
        for option in ("--with", "--without")
    ]  # fmt: skip
    assert parts[0] | parts[1] == found
    assert not parts[0] & parts[1]
    assert parts[0]
    missing = facesearch("query", "me.jpg", "--with", "Nobody", "--index", "ix", exit_code=3).stderr
    assert missing.startswith("facesearch: Nobody: no such photo, and nobody in ix has this name")


def test_two_people_of_one_name(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    ada, bea = number["ada"], number["bea"]
    facesearch("people", "name", str(ada), "John Smith", "--index", "ix")
    taken = facesearch("people", "name", str(bea), "john smith", "--index", "ix", exit_code=2).stderr
    assert f"john smith: John Smith (#{ada}) has this name already" in taken
    assert "--same if that is one person, --another if these are two" in taken
    facesearch("people", "name", str(bea), "John Smith", "--another", "--index", "ix")
    both = facesearch("query", "John Smith", "--index", "ix", exit_code=2).stderr
    assert "2 people have this name: " in both
    assert f"#{ada} (" in both
    assert f"#{bea} (" in both
    facesearch("people", "undo", "--index", "ix")
    facesearch("people", "name", str(bea), "John Smith", "--same", "--index", "ix")
    (one,) = [one for one in people(facesearch) if one["name"] == "John Smith"]
    assert one["number"] == ada


def test_merging_and_taking_back(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    before = people(facesearch)
    ada, bea = number["ada"], number["bea"]
    told = facesearch("people", "merge", str(ada), f"#{bea}", "--index", "ix").stderr
    assert told.startswith(f"facesearch: #{bea} is #{ada} now: ")
    assert bea not in [one["number"] for one in people(facesearch)]
    assert (
        facesearch("query", str(bea), "--index", "ix").stdout == facesearch("query", str(ada), "--index", "ix").stdout
    )
    facesearch("index", "--index", "ix", "-q")
    facesearch("people", "group", "--index", "ix")
    assert bea not in [one["number"] for one in people(facesearch)]
    assert "taken back: " in facesearch("people", "undo", "--index", "ix").stderr
    assert people(facesearch) == before
    (undoing, action) = json.loads(facesearch("people", "history", "--index", "ix", "-f", "json").stdout)
    assert (action["undone_by"], undoing["undoes"]) == (undoing["number"], action["number"])
    again = facesearch("people", "undo", str(action["number"]), "--index", "ix", exit_code=2).stderr
    assert "was undone already" in again
    facesearch("people", "undo", str(undoing["number"]), "--index", "ix")
    assert bea not in [one["number"] for one in people(facesearch)]
    facesearch("check", "--index", "ix")


def test_a_face_that_is_somebody_else(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    paths = facesearch("query", str(number["ada"]), "--index", "ix", "-f", "paths").stdout.splitlines()
    facesearch("people", "not", str(number["ada"]), paths[0], "--index", "ix")
    left = facesearch("query", str(number["ada"]), "--index", "ix", "-f", "paths").stdout.splitlines()
    assert sorted([*left, paths[0]]) == sorted(paths)
    facesearch("index", "--index", "ix", "-q")
    facesearch("people", "group", "--again", "--yes", "--index", "ix")
    assert paths[0] not in facesearch("query", str(number["ada"]), "--index", "ix", "-f", "paths").stdout.splitlines()
    none = facesearch("people", "not", str(number["ada"]), paths[0], "--index", "ix", exit_code=3).stderr
    assert "no face in it belongs to" in none
    unknown = facesearch("people", "not", str(number["ada"]), "--face", "9999", "--index", "ix", exit_code=3).stderr
    assert "face 9999: no such face in the index" in unknown


def test_strangers_are_ignored(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    before = people(facesearch)
    facesearch("people", "name", str(before[-1]["number"]), "Anna", "--index", "ix")
    few = before[-1]["photos"] + 1
    facesearch("people", "ignore", "--all-under", str(few), "--index", "ix")
    listed = people(facesearch)
    assert all(one["photos"] >= few or one["name"] for one in listed)
    ignored = [one for one in people(facesearch, "--all") if one["ignored"]]
    assert len(ignored) + len(listed) == len(before)
    facesearch("people", "notice", str(ignored[0]["number"]), "--index", "ix")
    assert ignored[0]["number"] in [one["number"] for one in people(facesearch)]
    nobody = facesearch("people", "ignore", "--all-under", "1", "--index", "ix", exit_code=2).stderr
    assert "nobody without a name is in fewer than 1 photos" in nobody


def test_photos_before_birth_come_last(facesearch: Run, library: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "dated").mkdir()
    for year in (2001, 2010, 2020):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{year}:05:06 07:08:09"
        with Image.open(library / "query.jpg") as photo:
            photo.rotate(year % 7 - 3).save(tmp_path / f"dated/{year}.jpg", exif=exif)
    facesearch("index", "dated", "--index", "ix", "-q")
    (one,) = people(facesearch)
    facesearch("people", "name", str(one["number"]), "Anna", "--born", "2005", "--index", "ix")
    hits = [
        json.loads(line) for line in facesearch("query", "Anna", "--index", "ix", "-f", "jsonl").stdout.splitlines()
    ]
    assert [Path(hit["path"]).stem for hit in hits][-1] == "2001"
    assert [hit.get("before_birth", False) for hit in hits] == [False, False, True]
    assert hits[-1]["verdict"] == "unlikely"
    assert "before birth" in facesearch("query", "Anna", "--index", "ix").stdout
    facesearch("query", "Anna", "--until", "2004", "--index", "ix", exit_code=1)
    for date in ("2005-13", "yesterday", "2005-05-06T07:08"):
        assert "born" in facesearch("people", "name", "Anna", "--born", date, "--index", "ix", exit_code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (("name", "#1", "   "), 2, "the name is empty"),
        (("name", "#1", "a\nb"), 2, r"name 'a\nb': has control characters"),
        (("name", "#1", "x" * 300), 2, "300 characters; use at most 200"),
        (("name", "#1", "12"), 2, "would be taken for the number of a person"),
        (("name", "#1"), 2, "give a name, an alias, a date of birth or an external id"),
        (("name", "#99", "Anna"), 3, "#99: no such person in ix"),
        (("unname", "#1"), 2, "#1: has no name"),
        (("merge", "#1"), 2, "at least two people"),
        (("merge", "#1", "1"), 2, "at least one other person"),
        (("undo",), 2, "nothing was said"),
        (("undo", "7"), 2, "7: no such statement"),
        (("not", "#1"), 2, "give the photos in which it is somebody else, or --face ID"),
        (("ignore",), 2, "give the people to ignore, or --all-under N"),
    ],
)
def test_wrong_input_is_one_line(
    facesearch: Run, index: Path, arguments: tuple[str, ...], exit_code: int, told: str
) -> None:
    result = facesearch("people", *arguments, "--index", "ix", exit_code=exit_code)
    assert told in result.stderr
    assert (result.stderr.count("\n"), result.stdout) == (1, "")
    assert facesearch("people", "history", "--index", "ix").stdout == ""


def test_who_is_in_a_photo(facesearch: Run, index: Path, number: dict[str, int], library: Path, tmp_path: Path) -> None:
    party = library / "photos/party/everybody.jpg"
    facesearch("people", "name", str(number["ada"]), "Ada", "--index", "ix")
    facesearch("people", "name", str(number["bea"]), "Bea", "--index", "ix")
    faces = json.loads(facesearch("who", party, "--index", "ix", "-f", "json").stdout)["faces"]
    names = [face["name"] for face in faces]
    assert (names.count("Ada"), names.count("Bea")) == (1, 1)
    assert all(face["verdict"] in ("strong", "likely") for face in faces if face["name"])
    table = facesearch("who", party, "--index", "ix", "--draw", "drawn.png").stdout
    assert table.splitlines()[0].split()[-3:] == ["person", "similarity", "verdict"]
    (ada,) = [face for face in faces if face["name"] == "Ada"]
    facesearch("people", "not", "Ada", "--face", str(ada["face_id"]), "--index", "ix")
    after = json.loads(facesearch("who", party, "--index", "ix", "-f", "json").stdout)["faces"]
    assert [face["name"] for face in after].count("Ada") == 0
    stranger = json.loads(facesearch("who", "me.jpg", "--index", "ix", "-f", "json").stdout)["faces"][0]
    assert stranger["face_id"] is None
    plain = facesearch("who", party).stdout
    assert "person" not in plain
    both = facesearch("who", party, "--index", "ix", "--model", "embedded", exit_code=2).stderr
    assert "--index and --model contradict each other" in both


def test_who_is_new(facesearch: Run, library: Path, tmp_path: Path) -> None:
    shutil.copytree(library / "photos/portraits", tmp_path / "photos")
    facesearch("index", "photos", "--index", "ix", "-q")
    first = json.loads(facesearch("people", "seen", "--index", "ix", "-f", "json").stdout)
    assert first["unknown_faces"] + sum(one["photos"] for one in first["people"]) > 0
    quiet = facesearch("people", "seen", "--index", "ix")
    assert (quiet.stdout, quiet.stderr) == ("", "facesearch: nothing new\n")
    shutil.copytree(library / "photos/party", tmp_path / "photos/party")
    facesearch("index", "--index", "ix", "-q")
    news = json.loads(facesearch("people", "seen", "--peek", "--index", "ix", "-f", "json").stdout)
    assert news["people"]
    one = news["people"][0]
    assert one["photos"] > 0
    facesearch("people", "name", str(one["person"]), "Anna", "--index", "ix")
    told = facesearch("people", "seen", "--index", "ix").stdout
    assert f"{one['photos']} new photo" in told
    assert "of Anna" in told
    assert facesearch("people", "seen", "--index", "ix").stdout == ""
    assert "of Anna" in facesearch("people", "seen", "--bookmark", "mail", "--index", "ix").stdout
    assert facesearch("people", "seen", "--since", "2099", "--index", "ix").stdout == ""


def test_people_are_named_while_a_run_writes(facesearch: Run, index: Path, environment: dict[str, str]) -> None:
    """Statements need no lock; two at once both count."""
    with Store.open(index, write=True):
        facesearch("people", "name", "#1", "Anna", "--index", "ix")
    command = [sys.executable, "-m", "facesearch", "people", "ignore", "--index", str(index)]
    running = [
        subprocess.Popen([*command, f"#{number}"], env=environment, stderr=subprocess.PIPE) for number in (2, 3, 4)
    ]
    for process in running:
        _, told = process.communicate()
        assert process.returncode == 0, told
    ignored = [one["number"] for one in people(facesearch, "--all") if one["ignored"]]
    assert sorted(ignored) == [2, 3, 4]


def test_an_older_index_is_upgraded_by_the_first_name(facesearch: Run, index: Path) -> None:
    as_of_schema(index / "catalog.sqlite", 8)
    assert people(facesearch)
    facesearch("people", "name", "#1", "Anna", "--index", "ix")
    assert "Anna" in facesearch("people", "--index", "ix").stdout
    facesearch("check", "--index", "ix")


def test_names_are_completed(facesearch: Run, index: Path, environment: dict[str, str]) -> None:
    facesearch("people", "name", "#1", "Anna", "--alias", "Mum", "--index", "ix")
    completion = {
        "_FACESEARCH_COMPLETE": "complete_bash", "COMP_WORDS": "facesearch people show --index ix A", "COMP_CWORD": "5",
    }  # fmt: skip
    done = facesearch(env=completion)
    assert done.stdout.split() == ["Anna"]


def test_two_people_who_were_taken_for_one_are_split(
    facesearch: Run, index: Path, number: dict[str, int], tmp_path: Path
) -> None:
    before = {one["number"]: one["faces"] for one in people(facesearch)}
    ada, bea = number["ada"], number["bea"]
    facesearch("people", "merge", str(ada), str(bea), "--index", "ix")
    parts = json.loads(facesearch("people", "split", str(ada), "--index", "ix", "-f", "json").stdout)
    assert sorted(len(part["faces"]) for part in parts) == sorted([before[ada], before[bea]])
    shown = facesearch("people", "split", str(ada), "--index", "ix")
    assert len(shown.stdout.splitlines()) == 1 + len(parts)
    done = facesearch("people", "split", str(ada), "--parts", "2", "--index", "ix", "-f", "json")
    told = done.stderr
    new = int(told.split("#")[1].split(" ")[0])
    after = {one["number"]: one["faces"] for one in people(facesearch)}
    assert {part["number"]: part["faces"] for part in json.loads(done.stdout)["parts"]} == {
        ada: after[ada], new: after[new]
    }  # fmt: skip
    assert (after[ada], after[new]) == (len(parts[0]["faces"]), len(parts[1]["faces"]))
    for again in ((), ("--again", "--yes")):
        facesearch("people", "group", *again, "--index", "ix")
        assert {one["number"]: one["faces"] for one in people(facesearch)} == after
    facesearch("people", "undo", "--index", "ix")
    facesearch("people", "undo", "--index", "ix")
    assert {one["number"]: one["faces"] for one in people(facesearch)} == before
    for wrong, why in (
        ("9", "part 9: no such part; there are 2"),
        ("x", "give numbers"),
        ("1,2", "nobody would be left"),
    ):
        facesearch("people", "merge", str(ada), str(bea), "--index", "ix")
        assert why in facesearch("people", "split", str(ada), "--parts", wrong, "--index", "ix", exit_code=2).stderr
        facesearch("people", "undo", "--index", "ix")


def test_people_are_drawn(facesearch: Run, index: Path, number: dict[str, int], tmp_path: Path) -> None:
    from PIL import Image

    facesearch("people", "name", str(number["ada"]), "<b>Ada & Co", "--index", "ix")
    facesearch("people", "list", "--sheet", "p.png", "--html", "p.html", "--index", "ix")
    with Image.open(tmp_path / "p.png") as sheet:
        assert sheet.width > 300
    page = (tmp_path / "p.html").read_text()
    assert "&lt;b&gt;Ada &amp; Co" in page
    assert "<b>" not in page
    assert page.count("<img ") == len(people(facesearch))
    assert "default-src 'none'" in page
    facesearch("people", "merge", str(number["ada"]), str(number["bea"]), "--index", "ix")
    facesearch("people", "split", str(number["ada"]), "--sheet", "parts.png", "--index", "ix")
    assert (tmp_path / "parts.png").exists()
    for option, name in (("--sheet", "p.txt"), ("--html", "p.png")):
        wrong = facesearch("people", "list", option, name, "--index", "ix", exit_code=2)
        assert wrong.stderr.count("\n") == 1
        assert not (tmp_path / name).exists() or name == "p.png"


@pytest.mark.parametrize("damage", ["UPDATE profiles SET aliases = 7", "DELETE FROM profiles", "DELETE FROM joined"])
def test_a_repair_brings_back_what_was_said(facesearch: Run, index: Path, number: dict[str, int], damage: str) -> None:
    facesearch("people", "name", str(number["ada"]), "Ada", "--index", "ix")
    facesearch("people", "merge", "Ada", str(number["bea"]), "--index", "ix")
    before = people(facesearch)
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as catalog:
        catalog.execute(damage)
        catalog.execute("UPDATE photos SET latitude = 'north' WHERE id = 1")
    facesearch("check", "--repair", "--index", "ix")
    assert people(facesearch) == before
    assert facesearch("query", str(number["bea"]), "--index", "ix").stderr.startswith("facesearch: Ada: ")


@pytest.mark.parametrize("name", ["\u200b", "\ufeff\u00ad", "\u202e \u2069", "\u3164", "\u0301"])
def test_a_name_must_be_visible(facesearch: Run, index: Path, number: dict[str, int], name: str) -> None:
    for arguments in ([name], ["Ada", "--alias", name], ["Ada", "--id", name]):
        told = facesearch("people", "name", str(number["ada"]), *arguments, "--index", "ix", exit_code=2).stderr
        assert "has no visible character" in told
        assert told.isascii()
    seen = "Zoe\u0301 \N{FAMILY}\u200d\N{GIRL}"  # a joiner inside a name stays
    facesearch("people", "name", str(number["ada"]), seen, "--index", "ix")
    assert "Zo\u00e9 \N{FAMILY}\u200d\N{GIRL}" in [one["name"] for one in people(facesearch)]


def test_nobody_is_born_in_the_future(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    for date in ("2999", "2999-01", "2999-01-01"):
        told = facesearch("people", "name", str(number["ada"]), "--born", date, "--index", "ix", exit_code=2).stderr
        assert f"born {date}: is in the future" in told
    facesearch("people", "name", str(number["ada"]), "--born", "2020", "--index", "ix")


def test_an_alias_or_id_of_somebody_else_is_told(facesearch: Run, index: Path, number: dict[str, int]) -> None:
    ada, bea = number["ada"], str(number["bea"])
    facesearch("people", "name", str(ada), "Ada", "--alias", "Countess", "--id", "p7", "--index", "ix")
    for alias in ("ADA", "countess"):
        told = facesearch("people", "name", bea, "Bea", "--alias", alias, "--index", "ix", exit_code=2).stderr
        assert f"alias {alias}: Ada (#{ada}) has this name already, with " in told
        assert len(told.splitlines()) == 1
    told = facesearch("people", "name", bea, "--id", "p7", "--another", "--index", "ix", exit_code=2).stderr
    assert f"external id p7: Ada (#{ada}) has this id already" in told
    assert "Bea" not in [one["name"] for one in people(facesearch)], "nothing of it was said"
    facesearch("people", "name", bea, "Bea", "--alias", "Countess", "--another", "--index", "ix")
    assert "2 people have this name" in facesearch("query", "Countess", "--index", "ix", exit_code=2).stderr


def test_not_somebody_in_a_folder_tells_how_many(
    facesearch: Run, library: Path, index: Path, number: dict[str, int]
) -> None:
    facesearch("people", "name", str(number["ada"]), "Ada", "--index", "ix")
    (before,) = [one for one in people(facesearch) if one["name"] == "Ada"]
    told = facesearch("people", "not", "Ada", library / "photos", "--index", "ix").stderr
    faces, photos = before["faces"], before["photos"]
    assert f"{faces} faces in {photos} photos taken from Ada, who has 0 photos left; `facesearch people undo" in told
    gone = facesearch("query", "Ada", "--index", "ix", exit_code=3).stderr
    assert f"Ada (#{number['ada']}): no photo of this person can be found now" in gone
    beside = facesearch("query", str(number["bea"]), "--with", "Ada", "--index", "ix", exit_code=3).stderr
    assert f"Ada (#{number['ada']}): no photo of this person can be found now" in beside
    none = facesearch("people", "not", "Ada", library / "photos", "--index", "ix", exit_code=3).stderr
    assert f"no face in it belongs to Ada (#{number['ada']})" in none
    facesearch("people", "undo", "--index", "ix")
    assert before in people(facesearch)
