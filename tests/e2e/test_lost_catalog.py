"""Names outlive a lost catalog, also for photos that were edited after somebody was named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from facesearch import Index

NAMES = ["Anna", "Ben", "Carla", "Dan", "Eva", "Finn", "Gus"]


@pytest.fixture
def photos(library: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(library / "photos", tmp_path / "photos"))


@pytest.fixture
def named(facesearch: Run, photos: Path, tmp_path: Path) -> Path:
    """An index in which everybody has a name."""
    facesearch("index", photos, "--index", "ix", "-q")
    with Index.open(tmp_path / "ix") as index:
        for number, name in zip(sorted(one.number for one in index.people.list()), NAMES, strict=True):
            index.people.name(number, name)
    return tmp_path / "ix"


def pictures(photos: Path) -> list[Path]:
    return sorted(path for path in photos.rglob("*") if path.suffix == ".jpg")


def add_comments(paths: Iterable[Path], text: str) -> None:
    """Change metadata alone, as a program for keywords does."""
    for path in paths:
        data, comment = path.read_bytes(), text.encode()
        assert data.startswith(b"\xff\xd8")
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])


def change_pixels(paths: Iterable[Path]) -> None:
    for path in paths:
        with Image.open(path) as picture:
            brighter = picture.convert("RGB").point(lambda value: min(255, value * 11 // 10))
        brighter.save(path, quality=88)


def hashes(paths: Iterable[Path]) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def who(index: Path) -> dict[str, Counter[str | None]]:
    """Who is in each photo, by name."""
    found: dict[str, Counter[str | None]] = {}
    with Index.open(index) as opened:
        for face, _ in opened.export_faces():
            found.setdefault(face.path.decode(), Counter())[face.name] += 1
    return found


def lose_and_restore(facesearch: Run, index: Path, photos: Path) -> None:
    for file in ("catalog.sqlite", "faces.faiss"):
        (index / file).unlink()
    facesearch("index", photos, "--index", index, "-q")
    assert {name for names in who(index).values() for name in names} == {None}
    number = max(path.name for path in index.glob("statements.*.jsonl"))
    facesearch("restore", index / number, "--index", index)


def test_names_outlive_edits_and_a_lost_catalog(facesearch: Run, photos: Path, named: Path) -> None:
    before, originals = who(named), hashes(pictures(photos))
    said = (named / "statements.jsonl").read_bytes()
    add_comments(pictures(photos), "first")
    facesearch("index", "--index", named, "-q")
    assert (named / "statements.jsonl").read_bytes().startswith(said), "what was written stays: a run only appends"
    add_comments(pictures(photos), "second")
    change_pixels(pictures(photos)[::3])
    facesearch("index", "--index", named, "-q")
    assert who(named) == before
    assert not originals & hashes(pictures(photos))
    assert "has no faults" in facesearch("check", "--index", named).stdout
    lose_and_restore(facesearch, named, photos)
    assert who(named) == before
    assert "has no faults" in facesearch("check", "--index", named).stdout
    add_comments(pictures(photos), "third")  # what was restored can be lost, too
    facesearch("index", "--index", named, "-q")
    lose_and_restore(facesearch, named, photos)
    assert who(named) == before


def test_what_a_killed_run_left_out_is_added(facesearch: Run, photos: Path, named: Path) -> None:
    said = (named / "statements.jsonl").read_bytes()
    add_comments(pictures(photos), "first")
    facesearch("index", "--index", named, "-q")
    whole = (named / "statements.jsonl").read_bytes()
    assert len(whole) > len(said)
    for left in (said, whole[:-30], whole[: whole.rindex(b"\n", 0, -1) + 1]):
        (named / "statements.jsonl").write_bytes(left)
        assert "note: statements.jsonl lacks" in facesearch("check", "--index", named).stdout
        facesearch("index", "--index", named, "-q")
        assert (named / "statements.jsonl").read_bytes() == whole
    facesearch("people", "name", "Anna", "--alias", "Annie", "--index", named)
    assert (named / "statements.jsonl").read_bytes().startswith(whole)
    assert "has no faults" in facesearch("check", "--index", named).stdout


def test_another_index_learns_of_edits(facesearch: Run, photos: Path, named: Path, tmp_path: Path) -> None:
    before = who(named)
    add_comments(pictures(photos), "first")
    facesearch("index", "--index", named, "-q")
    facesearch("people", "export", "--json", "people.jsonl", "--index", named)
    facesearch("index", photos, "--index", "other", "-q")
    facesearch("people", "import", "--json", "people.jsonl", "--index", "other")
    assert who(tmp_path / "other") == before
    again = facesearch("people", "import", "--json", "people.jsonl", "--index", "other").stderr
    assert "nothing new, 7 known already" in again
    facesearch("people", "export", "--json", "back.jsonl", "--index", "other")
    kept = [
        [
            {key: line[key] for key in ("from", "to")}
            for line in map(json.loads, file.read_text().splitlines())
            if "edit" in line
        ]
        for file in (tmp_path / "people.jsonl", tmp_path / "back.jsonl")
    ]
    assert kept[0] == kept[1] != []


def test_forgetting_takes_edits_along(facesearch: Run, photos: Path, named: Path) -> None:
    party = photos / "party/everybody.jpg"
    originals = hashes([party])
    for text in ("first", "second"):
        add_comments([party], text)
        facesearch("index", "--index", named, "-q")
        originals |= hashes([party])
    written = (named / "statements.jsonl").read_text()
    assert all(content in written for content in originals)
    facesearch("forget", party, "--index", named, "--yes")
    kept = b"".join(path.read_bytes() for path in named.iterdir() if path.is_file())
    for content in originals:
        assert content.encode() not in kept
        assert bytes.fromhex(content) not in kept
    assert "has no faults" in facesearch("check", "--index", named).stdout


def test_forgetting_a_person_takes_edits_along(facesearch: Run, photos: Path, named: Path) -> None:
    add_comments(pictures(photos), "first")
    facesearch("index", "--index", named, "-q")

    def edits() -> int:
        return (named / "statements.jsonl").read_text().count('"edit"')

    before, edited = edits(), {str(path) for path in pictures(photos)}
    of_anna = sum(names["Anna"] for path, names in who(named).items() if path in edited)
    facesearch("forget", "--person", "Anna", "--only-group", "--index", named, "--yes")
    assert edits() == before - of_anna < before
    assert "has no faults" in facesearch("check", "--index", named).stdout


def test_what_was_taken_back_is_restored_again(facesearch: Run, named: Path) -> None:
    """Undoing a restore does not make the next one believe that everything is there."""
    before, file = who(named), named.parent / "people.jsonl"
    shutil.move(named / "statements.jsonl", file)
    for name in ("catalog.sqlite", "faces.faiss"):
        (named / name).unlink()
    facesearch("index", named.parent / "photos", "--index", named, "-q")
    for _ in range(3):
        done = facesearch("restore", file, "--index", named).stderr
        assert "7 statements about 7 people and 31 faces" in done
        assert who(named) == before
        assert "nothing new, 7 known already" in facesearch("restore", file, "--index", named).stderr
        facesearch("people", "undo", "--index", named)
        assert {name for names in who(named).values() for name in names} == {None}
    facesearch("restore", file, "--index", named)
    with Index.open(named) as index:
        index.people.undo(next(one.number for one in index.people.history() if one.undoes is None))
        index.people.name(index.people.list()[0].number, "Zoe")
    assert "7 statements about 7 people" in facesearch("restore", file, "--index", named).stderr
    assert "Zoe" in {name for names in who(named).values() for name in names}, "what was said since counts more"
    assert "has no faults" in facesearch("check", "--index", named).stdout
