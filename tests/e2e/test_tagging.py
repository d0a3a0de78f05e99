"""Faces given by hand, and faces that are none, with the real model and the real command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from jsonschema import Draft202012Validator
from PIL import Image
from sample_library import FACES_IN_T1, as_photo, save_with_orientation, shipped_photo

from facesearch import Index, LockedError
from facesearch.faces.detect import detect_faces
from facesearch.faces.extract import embed_given, extract_faces
from facesearch.faces.given import tight_box
from facesearch.index.store import Store
from facesearch.indexing.refresh import refresh
from facesearch.models.protocol import FaceModel
from facesearch.types import SAME_FACE, Box, GivenFace

SCHEMA = Path(__file__).parents[2] / "facesearch/render/hit.schema.json"
FACES = {name: tuple(side // 2 for side in box) for name, box in FACES_IN_T1.items()}
LEFT, TOP, WIDTH, HEIGHT = FACES["cal"]
LOOSE = (LEFT - 10, TOP + 5, WIDTH + 20, HEIGHT - 10)
"""A box around the face of Cal, drawn by hand."""


def group() -> Image.Image:
    return shipped_photo("t1").reduce(2)


def around(name: str, share: int) -> tuple[int, int, int, int]:
    left, top, width, height = FACES[name]
    return (left - width // share, top - height // share, left + width + width // share, top + height + height // share)


def party(name: str = "cal") -> Image.Image:
    """Six people, one of whom lies on his side: the detector misses him, since the others are upright."""
    photo, box = group(), around(name, 3)
    photo.paste(photo.crop(box).rotate(90), box[:2])
    return photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The party, a copy of it, the same stored on its side, a portrait of whom the detector misses, and no face."""
    folder = tmp_path / "photos"
    folder.mkdir()
    party().save(folder / "party.png")
    shutil.copy(folder / "party.png", folder / "copy.png")
    save_with_orientation(party(), folder / "turned.jpg", 6)
    group().crop(around("cal", 2)).save(folder / "cal.jpg", quality=92)
    shipped_photo("coffee").save(folder / "coffee.png")
    return folder


@pytest.fixture(scope="module")
def indexed_party(tmp_path_factory: pytest.TempPathFactory, model: FaceModel) -> Path:
    """A folder with the party and an index of it; not to be written to."""
    folder = tmp_path_factory.mktemp("party")
    (folder / "photos").mkdir()
    party().save(folder / "photos/party.png")
    with Store.create(folder / "ix", model.info) as store:
        refresh(store, model, [folder / "photos"])
    return folder


def found(facesearch: Run, *question: str) -> list[dict[str, Any]]:
    answer = facesearch("query", *question, "--index", "ix", "-f", "jsonl", exit_code=(0, 1))
    hits = [json.loads(line) for line in answer.stdout.splitlines()]
    for hit in hits:
        Draft202012Validator(json.loads(SCHEMA.read_text())).validate(hit)
    return [hit for hit in hits if not hit.get("is_query")]


def names(hits: list[dict[str, Any]]) -> list[str]:
    return sorted(Path(hit["path"]).name for hit in hits)


@pytest.mark.parametrize("name", ["cal", "fay"])
def test_a_closer_look_finds_a_face_that_the_detector_misses(model: FaceModel, name: str) -> None:
    drawn, photo = Box(*map(float, FACES[name])), as_photo(party(name))
    (upright,) = (
        face for face in extract_faces(model, as_photo(group())) if face.detection.box.overlap(drawn) >= SAME_FACE
    )
    assert all(face.box.overlap(drawn) < SAME_FACE for face in detect_faces(model, photo)), "the detector misses it"
    given = embed_given(model, photo, GivenFace(tight_box(model, photo, drawn)))
    assert float(given.embedding @ upright.embedding) > 0.75
    assert given.detection.is_given
    assert given.quality is not None
    assert given.quality > 0.2


def test_where_nothing_is_found_the_box_stays_and_the_face_is_poor(model: FaceModel) -> None:
    photo, box = as_photo(shipped_photo("coffee")), Box(300.0, 100.0, 80.0, 90.0)
    assert tight_box(model, photo, box) == box
    given = embed_given(model, photo, GivenFace(box))
    assert given.quality == 0
    assert np.linalg.norm(given.embedding) == pytest.approx(1, abs=1e-5)
    landmarks = given.detection.landmarks
    assert (landmarks.min(axis=0) > (300, 100)).all()
    assert (landmarks.max(axis=0) < (380, 190)).all()


def test_a_face_is_given_by_hand(facesearch: Run, photos: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    assert names(found(facesearch, "photos/cal.jpg", "--threshold", "0.5")) == []
    box = ",".join(map(str, LOOSE))
    done = facesearch(
        "people", "tag", "photos/party.png", "--box", box, "--name", "Cal", "--index", "ix", "-f", "json"
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["known"], told["quality"] > 0.2) == (False, True)
    assert f"face {told['face_id']} added, which is Cal; `facesearch people undo` takes it back" in done.stderr
    hits = found(facesearch, "photos/cal.jpg", "--threshold", "0.5")
    assert names(hits) == ["copy.png", "party.png"], "copies have the face, too"
    assert {hit["det_score"] for hit in hits} == {None}
    assert names(found(facesearch, "Cal")) == ["copy.png", "party.png"]
    refused = facesearch("people", "tag", "photos/copy.png", "--box", box, "--index", "ix", exit_code=2)
    assert "is known in this place already; give a name to say whose it is" in refused.stderr
    facesearch("people", "tag", "photos/turned.jpg", "--box", box, "--name", "cal", "--index", "ix")
    (photos / "party.png").rename(photos / "moved.png")
    facesearch("index", "--index", "ix", "--again", "-q")
    assert "no faults" in facesearch("check", "--index", "ix").stdout
    everybody = ["cal.jpg", "copy.png", "moved.png", "turned.jpg"]
    assert names(found(facesearch, "Cal")) == everybody, "grouping has found the portrait"
    assert told["face_id"] in [hit["face_id"] for hit in found(facesearch, "Cal")]
    history = json.loads(facesearch("people", "history", "--index", "ix", "-f", "json").stdout)
    assert history[-1]["what"] == "a face given by hand, of Cal and 2 more"
    facesearch("people", "undo", str(told["action"]), "--index", "ix")
    assert names(found(facesearch, "photos/cal.jpg", "--threshold", "0.5", "--direct")) == ["turned.jpg"]


def test_what_is_no_face_goes_and_comes_back(facesearch: Run, photos: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    with Store.open(photos.parent / "ix") as store:
        face = next(row.face_id for row in store.catalog.faces.all() if row.path.endswith(b"party.png"))
    gone = facesearch("people", "tag", "--not-a-face", str(face), "--index", "ix").stderr
    assert gone == (
        f"facesearch: face {face} is no face; it is gone and stays away; `facesearch people undo` takes it back\n"
    )
    with Index.open(photos.parent / "ix") as index:
        before = index.status().faces
        index.refresh(again=True)
        assert index.status().faces == before
    undone = facesearch("people", "undo", "--index", "ix").stderr
    assert "to bring a face back, 2 photos must be read again; `facesearch index` does that" in undone
    assert re.search(r"outdated +2\n", facesearch("status", "--index", "ix").stdout)
    facesearch("index", "--index", "ix", "-q")
    with Index.open(photos.parent / "ix") as index:
        assert (index.status().faces, index.status().outdated) == (before + 2, 0)


def shown(facesearch: Run, photo: str) -> dict[str, dict[str, Any]]:
    """The faces that `who` lists in the party or a copy of it, by the invented name of each place."""
    listed = json.loads(facesearch("who", photo, "--index", "ix", "-f", "json").stdout)["faces"]
    places = {name: Box(*map(float, box)) for name, box in FACES.items()}
    found = {}
    for face in listed:
        overlaps = {name: Box(*face["box"]).overlap(place) for name, place in places.items()}
        found[max(overlaps, key=lambda name: overlaps[name])] = face
    assert len(found) == len(listed)
    return found


def test_who_is_in_a_photo_is_what_the_user_said(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    shutil.copy(photos / "party.png", tmp_path / "elsewhere.png")
    before = shown(facesearch, "photos/party.png")
    assert sorted(before) == ["ada", "bea", "dan", "eli", "fay"], "the detector misses Cal"
    ada, bea, dan = before["ada"], before["bea"], before["dan"]
    assert None not in (ada["person"], bea["person"])
    for name in ("party.png", "turned.jpg"):
        box = ",".join(map(str, LOOSE))
        facesearch("people", "tag", f"photos/{name}", "--box", box, "--name", "Cal", "--index", "ix")
    facesearch("people", "not", f"#{ada['person']}", "--face", str(ada["face_id"]), "--index", "ix")
    box = ",".join(str(round(side)) for side in bea["box"])
    facesearch("people", "tag", "photos/party.png", "--box", box, "--name", "Zoe", "--index", "ix")
    facesearch("people", "tag", "--not-a-face", str(dan["face_id"]), "--index", "ix")
    for photo in ("photos/party.png", "photos/copy.png", "elsewhere.png"):
        said = shown(facesearch, photo)
        assert sorted(said) == ["ada", "bea", "cal", "eli", "fay"]
        cal = said["cal"]
        assert (cal["name"], cal["det_score"], cal["face_id"] is not None) == ("Cal", None, True)
        assert cal["verdict"] in ("strong", "likely"), "as in the photos of Cal"
        assert (said["ada"]["person"], said["ada"]["verdict"]) == (None, None)
        assert (said["bea"]["name"], said["bea"]["similarity"]) == ("Zoe", None), "the only photo of Zoe, with its copy"
        assert said["eli"]["person"] == before["eli"]["person"]
    lines = facesearch("who", "photos/party.png", "--index", "ix").stdout.splitlines()
    assert sum(" Cal " in line for line in lines) == 1
    assert f" {cal['face']} " in next(line for line in lines if " Cal " in line)
    asked = facesearch("query", "photos/party.png", "--face", str(cal["face"]), "--index", "ix", "-f", "paths").stdout
    assert "turned.jpg" in asked, "`query --face` counts in the same way"


def test_a_named_face_stays_when_a_run_misses_it(facesearch: Run, photos: Path) -> None:
    for name in ("copy.png", "party.png", "cal.jpg", "turned.jpg", "coffee.png"):
        (photos / name).unlink()
    group().crop(around("bea", 2)).rotate(90).save(photos / "bea.png")
    facesearch("index", "photos", "--index", "ix", "-q")
    (face,) = json.loads(facesearch("who", "photos/bea.png", "--index", "ix", "-f", "json").stdout)["faces"]
    box = ",".join(str(round(side)) for side in face["box"])
    facesearch("people", "tag", "photos/bea.png", "--box", box, "--name", "Bea", "--index", "ix")
    for _ in range(2):
        facesearch("index", "--again", "--no-rotations", "--index", "ix", "-q")
        (hit,) = found(facesearch, "Bea")
        assert (hit["face_id"], hit["det_score"], hit["quality"] > 0.2) == (face["face_id"], None, True)
    assert "no faults" in facesearch("check", "--index", "ix").stdout
    facesearch("people", "undo", "--index", "ix")
    facesearch("index", "--again", "--no-rotations", "--index", "ix", "-q", exit_code=(0, 1))
    assert json.loads(facesearch("status", "--index", "ix", "-f", "json").stdout)["faces"] == 0, "the run misses it"


def test_unclear_faces_are_grouped_with_nobody(photos: Path) -> None:
    with Index.open(photos.parent / "ix", create=True) as index:
        index.refresh([photos])
        faces = [index.people.tag(photos / "coffee.png", (left, 100, 80, 80)).face for left in (100, 200, 300)]
        index.people.group(again=True)
        assert not set(faces) & set(Store.open(index.path).catalog.people.assigned())


@pytest.mark.thorough
def test_given_faces_survive_another_model(facesearch: Run, photos: Path, own_pack: Path) -> None:
    facesearch("index", "photos", "--index", "ix", "-q")
    with Index.open(photos.parent / "ix") as index:
        given = index.people.tag(photos / "party.png", LOOSE, name="Cal")
        poor = index.people.tag(photos / "coffee.png", (300, 100, 80, 90), name="Mug")
    facesearch("reindex", "--model", own_pack, "--index", "ix")
    assert given.face in [hit["face_id"] for hit in found(facesearch, "Cal")]
    assert [hit["face_id"] for hit in found(facesearch, "Mug")] == [poor.face]
    assert "no faults" in facesearch("check", "--index", "ix").stdout


def test_a_run_that_writes_is_waited_for(photos: Path) -> None:
    with Index.open(photos.parent / "ix", create=True) as index:
        index.refresh([photos])
        with Store.open(index.path, write=True), pytest.raises(LockedError):
            index.people.tag(photos / "party.png", LOOSE)
        index.people.tag(photos / "party.png", LOOSE)
        with Store.open(index.path, write=True), pytest.raises(LockedError):
            index.people.undo()
        assert len(index.people.history()) == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["photos/party.png", "--box", "1200,10,200,90"], 2, "not inside the photo, which has 640 x 443 pixels"),
        (["photos/party.png", "--box", "10,10,4,4"], 2, "--box 10,10,4,4: too small to show a face; give at least"),
        (["photos/party.png", "--box", "10,10"], 2, "--box '10,10': give left, top, width and height in pixels"),
        (["photos/party.png"], 2, "give a PHOTO and the --box of a face, or --not-a-face ID"),
        (["other.png", "--box", "10,10,40,40"], 3, "other.png: no photo of the index; check the path"),
        (["photos", "--box", "10,10,40,40"], 3, "photos: no photo of the index; check the path"),
        (["photos/party.png", "--box", "10,10,40,40", "--name", "#7"], 3, "#7: no such person in"),
        (["photos/party.png", "--box", "10,10,40,40", "--name", "a\tb"], 2, "has control characters"),
        (["--not-a-face", "999"], 3, "face 999: no such face in the index"),
        (["--not-a-face", "1", "--name", "Anna"], 2, "--not-a-face stands alone"),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    facesearch: Run, indexed_party: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    result = facesearch("people", "tag", *arguments, "--index", "ix", cwd=indexed_party, exit_code=exit_code)
    assert message in result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")
