"""People as files and folders: exported, imported, kept beside the catalog, and restored from there."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from old_catalog import as_of_schema

from facesearch import FacesearchError, Index, UsageError
from facesearch.care.person_folders import MANIFEST, folder_names
from facesearch.catalog.catalog import Catalog
from facesearch.people.exchange import statement_file

BEFORE_NAMES = 8
"""The last schema without names."""


@pytest.fixture
def ix(indexed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(indexed, tmp_path / "ix"))


@pytest.fixture
def named(ix: Path) -> Path:
    """An index in which everybody has a name."""
    with Index.open(ix) as index:
        for number, name in zip(sorted(one.number for one in index.people.list()), names(), strict=False):
            index.people.name(number, name)
    return ix


def names() -> list[str]:
    return ["Anna", "Ben/Ö", "Carla", "Dan", "Eva", "Finn", "Gus"]


def lines(index: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (index / "statements.jsonl").read_text().splitlines()]


def who(index: Path) -> dict[str | None, int]:
    with Index.open(index) as opened:
        return {one.name: one.photos for one in opened.people.list()}


# The file beside the catalog


def test_what_is_said_is_kept_beside_the_catalog(facesearch: Run, ix: Path) -> None:
    facesearch("people", "name", "1", "Anna", "--index", ix)
    head, named = lines(ix)
    assert head["facesearch"] == "statements"
    assert (named["kind"], named["value"], named["so_far"][0]) == ("name", "Anna", 1)
    assert len(named["faces"]) > 1
    assert "1" not in (named["person"], named.get("other")), "people have ids of their own outside the catalog"
    assert (ix / "statements.jsonl").stat().st_mode & 0o777 == 0o600
    facesearch("people", "undo", "--index", ix)
    facesearch("people", "merge", "1", "2", "3", "--index", ix)
    assert [one["kind"] for one in lines(ix)[1:]] == ["name", "undo", "one", "one"]
    assert "vector" not in (ix / "statements.jsonl").read_text()


def test_what_a_killed_process_left_out_is_added(facesearch: Run, named: Path) -> None:
    whole = (named / "statements.jsonl").read_bytes()
    for left in (whole[:-40], b"".join(whole.splitlines(keepends=True)[:3]), b""):
        (named / "statements.jsonl").write_bytes(left)
        with Index.open(named) as index:
            action = index.people.name("Anna", aliases="Annie")
            index.people.undo(action)
        assert (named / "statements.jsonl").read_bytes().startswith(whole)
        assert "has no faults" in facesearch("check", "--index", named).stdout


def test_check_compares_every_line(facesearch: Run, named: Path) -> None:
    file = named / "statements.jsonl"
    whole = file.read_text()
    file.write_text(whole.replace('"Carla"', '"Clara"'))
    bad = facesearch("check", "--index", named, exit_code=3)
    assert bad.stdout == "fault: statements.jsonl does not match the catalog (line 4)\n"
    assert "wrote statements.jsonl again" in facesearch("check", "--repair", "--index", named).stdout
    assert file.read_text() == whole
    file.write_text("".join(whole.splitlines(keepends=True)[:-2]))
    behind = facesearch("check", "--index", named).stdout
    assert (
        "note: statements.jsonl lacks the last 2 statements; the next statement or run adds what is missing" in behind
    )
    file.unlink()
    assert "statements.jsonl is missing" in facesearch("check", "--index", named).stdout


def test_names_outlive_a_lost_catalog(facesearch: Run, library: Path, named: Path) -> None:
    before = who(named)
    for file in ("catalog.sqlite", "faces.faiss"):
        (named / file).unlink()
    told = facesearch("index", library / "photos", "--index", named).stderr
    assert "has 7 statements that this index lacks, and is statements.1.jsonl now; `facesearch restore FILE`" in told
    assert set(who(named)) == {None}
    done = facesearch("restore", named / "statements.1.jsonl", "--index", named)
    assert "7 statements about 7 people and 31 faces; `facesearch people undo` takes it back" in done.stderr
    assert who(named) == before
    assert "has no faults" in facesearch("check", "--index", named).stdout


def test_statements_after_a_backup_are_not_lost(facesearch: Run, named: Path) -> None:
    facesearch("backup", "b.sqlite", "--index", named)
    facesearch("people", "name", "Anna", "--alias", "Annie", "--index", named)
    told = facesearch("restore", "b.sqlite", "--index", named, "--overwrite", "--yes").stderr
    assert "has 1 statement that this index lacks" in told
    done = facesearch("restore", named / "statements.1.jsonl", "--index", named).stderr
    assert "1 statement about 1 person and 0 faces, 7 known already" in done
    assert "Annie" in facesearch("people", "show", "Anna", "--index", named).stdout


def test_forgetting_takes_from_the_file_too(facesearch: Run, library: Path, named: Path) -> None:
    shutil.copy(named / "statements.jsonl", named / "statements.1.jsonl")
    photo = library / "photos/party/everybody.jpg"
    with Index.open(named) as index:
        content = next(face.content for face, _ in index.export_faces() if face.path == os.fsencode(photo))
    assert content is not None
    assert content.hex() in (named / "statements.jsonl").read_text()
    facesearch("forget", photo, "--index", named, "--yes")
    assert not any(content.hex().encode() in path.read_bytes() for path in named.iterdir())
    assert not (named / "statements.1.jsonl").exists()
    assert "has no faults" in facesearch("check", "--index", named).stdout


def test_a_file_that_cannot_be_written_stops_nobody(facesearch: Run, named: Path) -> None:
    (named / "statements.jsonl").unlink()
    (named / "statements.jsonl").mkdir()
    told = facesearch("people", "name", "Anna", "--alias", "Annie", "--index", named).stderr.splitlines()
    assert len(told) == 2
    assert "statements.jsonl: cannot be written" in told[0]
    (named / "statements.jsonl").rmdir()
    facesearch("people", "name", "Anna", "--alias", "Ann", "--index", named)
    assert [one.get("value") for one in lines(named)[-2:]] == ["Annie", "Ann"]


def test_two_processes_write_one_file(named: Path) -> None:
    with Catalog_at(named) as one, Catalog_at(named) as other:
        for number, catalog in enumerate((one, other, one)):
            with catalog.transaction():
                from facesearch.people.saying import say
                from facesearch.people.statements import Kind

                say(catalog, Kind.alias, person=1, value=f"A{number}")
        statement_file.bring_up_to_date(other, named)
        statement_file.bring_up_to_date(one, named)
        assert statement_file.find_fault(one, named) is None


class Catalog_at:  # noqa: N801
    def __init__(self, index: Path) -> None:
        self._catalog = Catalog.open(index / "catalog.sqlite", write=True)

    def __enter__(self) -> Catalog:
        return self._catalog

    def __exit__(self, *_: object) -> None:
        self._catalog.close()


# Another index


def test_another_index_of_the_same_photos(facesearch: Run, indexed: Path, named: Path, tmp_path: Path) -> None:
    facesearch("people", "merge", "Anna", "Carla", "--index", named)
    wrote = facesearch("people", "export", "--json", "people.jsonl", "--index", named).stderr
    assert "8 statements about 7 people with 31 faces" in wrote
    assert (tmp_path / "people.jsonl").stat().st_mode & 0o777 == 0o600
    shutil.copytree(indexed, tmp_path / "other")
    done = facesearch("people", "import", "--json", "people.jsonl", "--index", "other", "-f", "json")
    told = json.loads(done.stdout)
    assert (told["statements"], told["people"], told["missing"], told["known"]) == (8, 7, 0, 0)
    assert who(tmp_path / "other") == who(named)
    again = facesearch("people", "import", "--json", "people.jsonl", "--index", "other").stderr
    assert again == "facesearch: nothing new, 8 known already\n"
    history = json.loads(facesearch("people", "history", "--index", "other", "-f", "json").stdout)
    assert [one["what"] for one in history] == ["imported people.jsonl (8 statements)"]
    facesearch("people", "undo", "--index", "other")
    assert set(who(tmp_path / "other")) == {None}


def test_what_is_not_here_yet_comes_with_its_photos(facesearch: Run, library: Path, named: Path) -> None:
    with Index.open(named) as index:
        (anna,) = index.people.called("Anna")
        faces = [face.face_id for face, _ in index.export_faces() if face.person == anna.number]
        index.people.is_person("Anna", faces)
        index.people.export_to(json=named.parent / "people.jsonl")
    facesearch("index", library / "query.jpg", "--index", "new", "-q")
    told = facesearch("people", "import", "--json", "people.jsonl", "--index", "new").stderr
    assert "faces not in this index yet" in told
    facesearch("index", library / "photos", "--index", "new", "-q")
    assert who(named.parent / "new")["Anna"] == anna.photos


def test_an_older_index_takes_names(facesearch: Run, ix: Path, named: Path, indexed: Path, tmp_path: Path) -> None:
    facesearch("people", "export", "--json", "people.jsonl", "--index", named)
    old = shutil.copytree(indexed, tmp_path / "old")
    as_of_schema(old / "catalog.sqlite", BEFORE_NAMES)
    wrote = facesearch("people", "export", "--json", "none.jsonl", "--index", old)
    assert "0 people" in wrote.stderr
    facesearch("people", "import", "--json", "people.jsonl", "--index", old)
    assert who(old) == who(named)


# Tables


def test_a_table_of_named_faces(facesearch: Run, indexed: Path, named: Path, tmp_path: Path) -> None:
    facesearch("people", "name", "Anna", "--id", "=7", "--born", "1990", "--index", named)
    facesearch("people", "export", "--csv", "people.csv", "--index", named)
    rows = list(csv.DictReader((tmp_path / "people.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 31
    assert {row["name"] for row in rows} == set(names())
    assert {row["external_id"] for row in rows} == {"", "'=7"}, "nothing that a spreadsheet would run"
    assert float(rows[0]["width"]) > 0
    assert rows[0]["date"][:2] in ("19", "20")
    shutil.copytree(indexed, tmp_path / "other")
    facesearch("people", "import", "--csv", "people.csv", "--index", "other")
    assert who(tmp_path / "other") == who(named)
    shown = json.loads(facesearch("people", "show", "Anna", "--index", "other", "-f", "json").stdout)
    assert (shown["external_id"], shown["born"]) == ("=7", "1990")
    again = facesearch("people", "import", "--csv", "people.csv", "--index", "other").stderr
    assert again == "facesearch: nothing new, 31 known already\n"


# Folders


def test_folders_of_people_name_them_unless_the_user_did(facesearch: Run, ix: Path, people: Path) -> None:
    """The portraits are not in the index; who it is is found by their faces."""
    told = facesearch("people", "import", "--folders", "people", "--index", ix).stderr
    assert "about 6 people" in told
    answer = facesearch("query", "ada", "--index", ix, "-f", "paths").stdout
    assert len(answer.splitlines()) > 1
    with Index.open(ix) as index:
        index.people.name("ada", "Adele")
        index.people.unname("bea")
    told = facesearch("people", "import", "--folders", "people", "--index", ix).stderr
    assert "ada: most of these faces are Adele here, and stay that" in told
    assert {"Adele", "bea"} <= set(who(ix))
    assert "ada" not in who(ix)


def test_photos_with_several_faces_go_by_majority(
    facesearch: Run, library: Path, ix: Path, people: Path, tmp_path: Path
) -> None:
    for person in people.iterdir():
        shutil.copy(library / "photos/party/everybody.jpg", person)
    done = json.loads(facesearch("people", "import", "--folders", "people", "--index", ix, "-f", "json").stdout)
    assert (done["people"], done["faces"], done["doubtful"]) == (6, 6, 0)
    for picture in people.glob("*/*.png"):
        picture.unlink()
    facesearch("people", "undo", "--index", ix)
    unsure = facesearch("people", "import", "--folders", "people", "--index", ix).stderr
    assert "nothing new, 6 photos left out in doubt" in unsure
    assert set(who(ix)) == {None}


def test_folders_are_kept_up_to_date(facesearch: Run, named: Path, tmp_path: Path) -> None:
    def export(*options: str) -> str:
        return facesearch("people", "export", "--folders", "out", *options, "--index", named).stderr

    out = tmp_path / "out"
    assert "7 people: 31 photos added" in export("--sync")
    assert {path.name for path in out.iterdir()} - {MANIFEST} == {*names(), "Ben_Ö"} - {"Ben/Ö"}
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert "0 photos added, 31 already there" in export("--sync")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    gone, edited, *_ = sorted((out / "Anna").iterdir())
    (out / "Anna/mine.txt").write_text("mine")
    (out / "notes.jpg").write_text("mine, too")
    edited.write_text("edited")
    facesearch("people", "name", "Anna", "Anne", "--index", named)
    told = export("--sync")
    assert f"{len(list((out / 'Anne').iterdir()))} photos added" in told
    assert "1 left because changed since" in told
    assert not gone.exists()
    assert sorted(path.name for path in (out / "Anna").iterdir()) == sorted(["mine.txt", edited.name])
    assert (edited.read_text(), (out / "notes.jpg").read_text()) == ("edited", "mine, too")
    again = export("--sync")
    assert "removed" not in again
    assert "0 photos added, 31 already there" in again
    assert edited.exists()


def test_without_sync_nothing_is_removed(facesearch: Run, named: Path, tmp_path: Path) -> None:
    facesearch("people", "export", "--folders", "out", "--hard-links", "--index", named)
    link = next((tmp_path / "out/Anna").iterdir())
    assert link.stat().st_nlink > 1
    facesearch("people", "unname", "Anna", "--index", named)
    facesearch("people", "export", "--folders", "out", "--index", named)
    assert link.exists()
    facesearch("people", "export", "--folders", "out", "--sync", "--index", named)
    assert not (tmp_path / "out/Anna").exists()


def test_a_manifest_leads_to_no_other_folder(facesearch: Run, named: Path, tmp_path: Path) -> None:
    facesearch("people", "export", "--folders", "out", "--index", named)
    manifest = tmp_path / "out" / MANIFEST
    victim = tmp_path / "victim.jpg"
    victim.write_text("mine")
    found = victim.stat()
    values = json.loads(manifest.read_text())
    values["files"]["../victim.jpg"] = [found.st_size, found.st_mtime_ns, "00"]
    manifest.write_text(json.dumps(values))
    told = facesearch("people", "export", "--folders", "out", "--sync", "--index", named, exit_code=3).stderr
    assert "damaged, so it is not known which files are yours" in told
    assert victim.exists()


def test_names_become_names_of_folders() -> None:
    people = {1: "Anna", 2: "anna", 3: "../x", 4: "con", 5: "a" * 300, 6: "Ö: ?", 7: "..."}
    found = folder_names(people)
    assert (found[1], found[2], found[4], found[6], found[7]) == ("Anna #1", "anna #2", "_con", "Ö_ _", "_")
    assert "/" not in found[3]
    assert not found[3].startswith(".")
    assert len(found[5]) == 100
    assert len({name.casefold() for name in found.values()}) == len(people)


# Wrong input


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("export",), 2, "give one of --json FILE, --csv FILE and --folders DIR"),
        (("export", "--csv", "x.csv", "--sync"), 2, "--sync needs --folders DIR"),
        (("export", "--json", "table.csv"), 2, "table.csv: already exists; give another name, or --overwrite"),
        (("import", "--csv", "table.csv"), 3, "has the columns name and path, or name and content; this file has who"),
        (("import", "--csv", "gone.csv"), 5, "gone.csv, line 2: nope.jpg: cannot be read (No such file or directory)"),
    ],
)
def test_wrong_input_is_one_line(
    facesearch: Run, named: Path, tmp_path: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    (tmp_path / "table.csv").write_text("who,photo\nAnna,a.jpg\n")
    (tmp_path / "gone.csv").write_text("name,path\nAnna,nope.jpg\n")
    before = (named / "statements.jsonl").read_bytes()
    told = facesearch("people", *arguments, "--index", named, exit_code=exit_code).stderr
    assert message in told
    assert exit_code == 5 or len(told.splitlines()) == 1
    assert (named / "statements.jsonl").read_bytes() == before


def test_wrong_files_say_what_is_wrong(named: Path, library: Path, tmp_path: Path) -> None:
    def said(**arguments: Any) -> str:
        with Index.open(named) as index, pytest.raises(FacesearchError) as caught:
            index.people.import_from(**arguments)
        return str(caught.value)

    def spoilt(old: str, new: str) -> Path:
        file = tmp_path / "spoilt.jsonl"
        file.write_text(whole.replace(old, new, 1))
        return file

    with Index.open(named) as index:
        index.people.export_to(json=tmp_path / "people.jsonl")
        for outside in (named / "people", library / "photos/people", named.parent):
            with pytest.raises(UsageError, match="name a folder outside"):
                index.people.export_folders(outside)
        with pytest.raises(UsageError, match="part of the index itself"):
            index.people.export_to(json=named / "people.jsonl")
    whole = (tmp_path / "people.jsonl").read_text()
    before = (named / "statements.jsonl").read_bytes()
    assert "nope: cannot be read (No such file or directory); check the path" in said(json="nope")
    assert "a folder; give a file of statements" in said(json=tmp_path)
    (tmp_path / "table.csv").write_text("name,path,left,top,width,height\nAnna,a.jpg,1,2,x,4\n")
    assert "not a file of statements made by facesearch; choose another file" in said(json=tmp_path / "table.csv")
    assert "made by a newer facesearch (format 9, this" in said(json=spoilt('"version":1', '"version":9'))
    assert "cut short: it has 6 of 7 lines of statements; export it again" in said(json=spoilt(whole[-9:], ""))
    assert "line 9: kind 'nome' is not known; a newer facesearch made it" in said(
        json=spoilt('"kind":"name"', '"kind":"nome"')
    )
    assert "line 2: neither a statement nor a person" in said(json=spoilt('{"person"', '{"perso"'))
    assert "line 2: not JSON" in said(json=spoilt('{"person"', "{person"))
    assert "table.csv, line 2: a box has left, top, width and height" in said(csv=tmp_path / "table.csv")
    for folder in ("empty", "bare/anna", "years/2019"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(library / "query.jpg", tmp_path / "years/2019")
    assert "nope: cannot be read" in said(folders="nope")
    assert "no folder of a person in it; put the photos of each person" in said(folders=tmp_path / "empty")
    assert "no photos in 1 folder of people; check the path" in said(folders=tmp_path / "bare")
    assert "'2019': would be taken for the number of a person" in said(folders=tmp_path / "years")
    assert "part of the index itself; give a folder outside" in said(folders=named)
    assert (named / "statements.jsonl").read_bytes() == before


# Two people of one name, and names that cannot be


@pytest.fixture
def twins(named: Path) -> Path:
    """An index in which three people are called Anna, one of them AC/DC too."""
    with Index.open(named) as index:
        for name in ("Carla", "Eva"):
            index.people.name(name, "Anna", if_taken="keep")
        index.people.name("Finn", "AC/DC")
    return named


def table(facesearch: Run, index: Path, name: str) -> list[tuple[str, ...]]:
    """The exported table, with people numbered in the order of their lines."""
    facesearch("people", "export", "--csv", name, "--index", index)
    numbers: dict[str, str] = {}
    rows = list(csv.DictReader((index.parent / name).read_text(encoding="utf-8").splitlines()))
    for row in sorted(rows, key=lambda row: (row["name"], row["path"], float(row["left"]))):
        row["person"] = numbers.setdefault(row["person"], str(len(numbers)))
    return sorted(tuple(row.values()) for row in rows)


def sizes(index: Path) -> list[tuple[str | None, int]]:
    with Index.open(index) as opened:
        return sorted(((one.name, one.photos) for one in opened.people.list()), key=str)


def test_a_table_keeps_people_of_one_name_apart(facesearch: Run, indexed: Path, twins: Path, tmp_path: Path) -> None:
    first = table(facesearch, twins, "one.csv")
    other = Path(shutil.copytree(indexed, tmp_path / "other"))
    facesearch("people", "import", "--csv", "one.csv", "--index", other)
    assert sizes(other) == sizes(twins)
    assert [name for name, _ in sizes(other)].count("Anna") == 3
    assert table(facesearch, other, "two.csv") == first
    again = facesearch("people", "import", "--csv", "two.csv", "--index", other).stderr
    assert again == "facesearch: nothing new, 31 known already\n"
    facesearch("people", "import", "--csv", "two.csv", "--index", twins)
    assert table(facesearch, twins, "three.csv") == first
    lines = (tmp_path / "one.csv").read_text().splitlines()
    place = lines[0].split(",").index("person")
    without = [",".join(cell for at, cell in enumerate(line.split(",")) if at != place) for line in lines]
    (tmp_path / "names.csv").write_text("\n".join(without))
    third = Path(shutil.copytree(indexed, tmp_path / "third"))
    facesearch("people", "import", "--csv", "names.csv", "--index", third)
    assert [name for name, _ in sizes(third)].count("Anna") == 1, "without ids, one name is one person"


def test_folders_keep_names_that_no_folder_can_have(
    facesearch: Run, indexed: Path, twins: Path, tmp_path: Path
) -> None:
    facesearch("people", "export", "--folders", "out", "--sync", "--index", twins)
    assert {"AC_DC", "Anna #1"} <= {path.name for path in (tmp_path / "out").iterdir()}
    other = Path(shutil.copytree(indexed, tmp_path / "other"))
    facesearch("people", "import", "--folders", "out", "--index", other)
    assert sorted(name or "" for name, _ in sizes(other)) == sorted(name or "" for name, _ in sizes(twins))
    (tmp_path / "out/AC_DC").rename(tmp_path / "out/Finn")
    renamed = Path(shutil.copytree(indexed, tmp_path / "renamed"))
    facesearch("people", "import", "--folders", "out", "--index", renamed)
    assert "Finn" in who(renamed), "the name that somebody gave the folder counts"


def test_a_bad_name_stops_nothing_else(facesearch: Run, ix: Path, people: Path, tmp_path: Path) -> None:
    for name in ("2019", "12", "\u200b", "#x", "b\x07d", "3", "4"):
        shutil.copytree(people / "ada", people / name)
    before = who(ix)
    done = facesearch("people", "import", "--folders", "people", "--index", ix, "-f", "json", exit_code=5)
    assert (json.loads(done.stdout)["refused"], json.loads(done.stdout)["people"]) == (7, 6)
    told = done.stderr.splitlines()
    assert sum("; left out" in line for line in told) == 5
    assert "facesearch: 2 more were left out for such reasons" in told
    assert any("people/12: name '12': would be taken for the number of a person; add a letter; left out" in line
               for line in told)  # fmt: skip
    assert {"ada", "bea"} <= set(who(ix))
    facesearch("people", "undo", "--index", ix)
    assert who(ix) == before


def test_a_bad_line_stops_nothing_else(facesearch: Run, indexed: Path, named: Path, tmp_path: Path) -> None:
    facesearch("people", "export", "--csv", "people.csv", "--json", "people.jsonl", "--index", named, exit_code=2)
    facesearch("people", "export", "--csv", "people.csv", "--index", named)
    facesearch("people", "export", "--json", "people.jsonl", "--index", named)
    head, first, *rest = (tmp_path / "people.csv").read_text().splitlines()
    assert first.startswith("Anna,")
    bad = [first.replace("Anna", "12", 1), first.replace("Anna", "", 1), first.replace("Anna", "\u200b", 1)]
    (tmp_path / "bad.csv").write_text("\n".join([head, *bad, first, *rest]))
    other = Path(shutil.copytree(indexed, tmp_path / "other"))
    told = facesearch("people", "import", "--csv", "bad.csv", "--index", other, exit_code=5).stderr
    assert "bad.csv, line 2: name '12': would be taken for the number of a person; add a letter; left out" in told
    assert "bad.csv, line 3: the name is empty; left out" in told
    assert "3 left out as not valid" in told
    assert who(other) == who(named)

    lines = (tmp_path / "people.jsonl").read_text().replace('"Carla"', '"12"')
    (tmp_path / "bad.jsonl").write_text(lines)
    third = Path(shutil.copytree(indexed, tmp_path / "third"))
    for command in (("people", "import", "--json"), ("restore",)):
        told = facesearch(*command, "bad.jsonl", "--index", third, exit_code=5).stderr
        assert "name '12': would be taken for the number of a person; add a letter; left out" in told
        assert set(who(third)) == {*names(), None} - {"Carla"}
