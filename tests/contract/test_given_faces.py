"""Faces given by hand, and places without a face: the same after any history of statements and runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from conftest import toy_model_info
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from facesearch.care.forget import forget, to_forget_face
from facesearch.catalog.audit import audit
from facesearch.errors import InputError, PhotoError, UsageError
from facesearch.index.store import Store
from facesearch.indexing.model_switch import begin_switch, stage, switch
from facesearch.indexing.options import Options
from facesearch.indexing.refresh import refresh
from facesearch.models.framing import Framing
from facesearch.models.protocol import DetectorTraits
from facesearch.models.runtime import Runtime
from facesearch.people import saying
from facesearch.people.given import changes_faces, corrections
from facesearch.people.regroup import regroup
from facesearch.people.tagging import TaggedFace, not_a_face, tag
from facesearch.types import Box, Detection

Array = np.ndarray[Any, Any]
PHASES = [phase for phase in Phase if phase is not Phase.shrink or "HYPOTHESIS_SHRINK" in os.environ]
SETTINGS = settings(phases=PHASES, deadline=None, suppress_health_check=list(HealthCheck))

SIDE = 24
PLACES = {"red": (10, 10), "green": (62, 10), "grey": (10, 62), "nothing": (62, 62)}
COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "grey": (120, 120, 120)}
"""Squares in each photo: the detector finds the red and the green one, and misses the grey one."""
BOXES = {name: Box(float(left), float(top), float(SIDE), float(SIDE)) for name, (left, top) in PLACES.items()}


class SquareModel:
    """A model whose faces are squares of some colours; it embeds the colour in the middle of a crop."""

    runtime = Runtime("none", "cpu", 1)
    detector = DetectorTraits(face_score=0.5, sure_score=0.5, finds_faces_of_any_size=True)
    framing = Framing(looks=None)

    def __init__(self, name: str = "squares", dim: int = 4, finds: Sequence[str] = ("red", "green")) -> None:
        self.info = toy_model_info(name, dim)
        self.finds = finds

    def detect(self, images: Sequence[Array]) -> list[list[Detection]]:
        return [[face for colour in self.finds for face in self._squares(image, COLOURS[colour])] for image in images]

    def _squares(self, image: Array, colour: tuple[int, int, int]) -> Iterator[Detection]:
        rows, columns = np.nonzero((np.abs(image.astype(np.int16) - np.array(colour, dtype=np.int16)) < 30).all(axis=2))
        if len(rows):
            left, top = float(columns.min()), float(rows.min())
            width, height = float(columns.max()) + 1 - left, float(rows.max()) + 1 - top
            shares = np.array([[0.27, 0.39], [0.72, 0.39], [0.5, 0.6], [0.3, 0.74], [0.69, 0.74]])
            landmarks = (shares * (width, height) + (left, top)).astype(np.float32)
            yield Detection(Box(left, top, width, height), landmarks, 0.9)

    def detect_in_views(self, views: Array) -> list[list[Detection]]:
        return self.detect(list(views))

    def embed(self, crops: Array) -> Array:
        vectors = np.full((len(crops), self.info.dim), 20, dtype=np.float32)
        vectors[:, :3] = crops[:, 56, 56]
        unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


@dataclass
class Library:
    """A folder of copies of one photo, its index, and what was said."""

    folder: Path
    model: SquareModel = field(default_factory=SquareModel)
    said: list[tuple[int, str, str, int | None]] = field(default_factory=list)
    """Each action: its number, what was said (face, none, name, undo), of which place or action, and of whom."""

    def __post_init__(self) -> None:
        self.store = Store.memory(self.model.info)
        self.photo = self.folder / "photos/a.png"
        self.photo.parent.mkdir()
        self.draw(self.photo)
        refresh(self.store, self.model, [self.photo.parent])

    def draw(self, path: Path, shade: int = 0) -> None:
        picture = Image.new("RGB", (96, 96), (shade, shade, shade))
        for name, colour in COLOURS.items():
            picture.paste(colour, (*PLACES[name], PLACES[name][0] + SIDE, PLACES[name][1] + SIDE))
        picture.save(path)

    def run(self, **options: Any) -> None:
        refresh(self.store, self.model, options=Options(corrections=corrections(self.store.catalog), **options))
        regroup(self.store)

    def tag(self, place: str, name: str | None = None) -> TaggedFace:
        box = BOXES[place]
        sides = (box.left, box.top, box.width, box.height)
        done = tag(self.store, lambda: self.model, str(self.photo), sides, name=name)
        self.said.append((done.action, "name" if done.known else "face", place, done.person))
        return done

    def not_a_face(self, place: str) -> None:
        face = self.face(place)
        self.said.append((not_a_face(self.store, face), "none", place, None))

    def undo(self, action: int) -> None:
        with self.store.transaction():
            undoing = saying.undo(self.store.catalog, action)
        self.said.append((undoing, "undo", str(action), None))

    def face(self, place: str) -> int:
        return next(face for face, _, where, _ in self.faces() if where == place)

    def faces(self) -> list[tuple[int, str, str, bool]]:
        """The id, the file, the place and whether it was given by hand, of all faces."""
        rows = self.store.catalog.database.rows(
            "SELECT faces.id, photos.path, x, y, faces.width, faces.height, score,"
            " faces.id IN (SELECT face FROM given_faces) FROM faces JOIN photos ON photos.id = photo ORDER BY 1"
        )
        found = []
        for face, path, *sides, score, is_given in rows:
            assert (score == 0) == bool(is_given)
            place = next(name for name, box in BOXES.items() if box.overlap(Box(*sides)) >= 0.4)
            found.append((face, path.decode(), place, bool(is_given)))
        return found

    def expected(self) -> tuple[set[tuple[str, bool]], dict[str, int]]:
        """The places that should have a face, with whether it is given, and the person of those that have one."""
        undone = set()
        for action, kind, about, _ in reversed(self.said):
            if kind == "undo" and action not in undone:
                undone.add(int(about))
        is_face = {"red": True, "green": True, "grey": False, "nothing": False}
        said, people = {}, {}
        for action, kind, place, person in self.said:
            if action not in undone and kind != "undo":
                if kind in ("face", "none"):
                    said[place] = kind == "face"
                if person is not None:
                    people[place] = person
        places = {place for place in PLACES if said.get(place, is_face[place])}
        return {(place, not is_face[place]) for place in places}, {
            place: person for place, person in people.items() if place in places
        }

    def people(self) -> dict[tuple[str, str], int]:
        """The person of each face that was placed by hand, by file and place."""
        where = {face: (path, place) for face, path, place, _ in self.faces()}
        placed = self.store.catalog.database.rows("SELECT face, person FROM assignments WHERE statement IS NOT NULL")
        return {where[face]: person for face, person in placed}

    def check(self) -> None:
        """The index has what was said and what the detector finds, in every copy."""
        faces, people = self.expected()
        files = {path.name for path in self.photo.parent.iterdir()}
        assert {(path, place, hand) for _, path, place, hand in self.faces()} == {
            (path, *face) for path in files for face in faces
        }
        assert self.people() == {(path, place): person for path in files for place, person in people.items()}
        assert not audit(self.store.catalog.database).faults
        assert self.store.catalog.photos.counts().faces == len(self.faces())


@contextmanager
def library() -> Iterator[Library]:
    with TemporaryDirectory(prefix="given-") as folder:
        made = Library(Path(folder))
        try:
            yield made
        finally:
            made.store.close()


STEPS = st.one_of(
    st.tuples(st.just("tag"), st.sampled_from(sorted(PLACES)), st.sampled_from([None, "Anna", "Ben"])),
    st.tuples(st.just("none"), st.sampled_from(sorted(PLACES)), st.none()),
    st.tuples(st.just("undo"), st.integers(0, 9), st.none()),
    st.tuples(st.sampled_from(["run", "again", "copy", "move"]), st.none(), st.none()),
)


def take(made: Library, step: str, about: Any, name: str | None) -> None:
    if step == "tag":
        is_known = any(path == made.photo.name and place == about for _, path, place, _ in made.faces())
        if is_known and name is None:
            with pytest.raises(UsageError, match="is known in this place already; give a name"):
                made.tag(about)
        else:
            with suppress(UsageError) if name else nullcontext():  # two people have this name
                made.tag(about, name)
    elif step == "none":
        if any(place == about for _, _, place, _ in made.faces()):
            made.not_a_face(about)
    elif step == "undo":
        if about < len(made.said):
            with suppress(UsageError):  # it was undone already
                made.undo(made.said[about][0])
    elif step == "copy":
        shutil.copy(made.photo, made.photo.parent / f"copy {len(made.said)}.png")
        made.run()
    elif step == "move":
        made.photo = made.photo.rename(made.photo.parent / f"moved {len(made.said)} {made.photo.name[-9:]}")
        made.run()
    else:
        made.run(again=step == "again")


@settings(SETTINGS, max_examples=12)
@given(steps=st.lists(STEPS, min_size=3, max_size=9))
def test_any_history_ends_in_what_was_said(steps: list[Any]) -> None:
    history(steps)


@pytest.mark.slow
@settings(SETTINGS, max_examples=120)
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_many_histories_end_in_what_was_said(steps: list[Any]) -> None:
    history(steps)


def history(steps: list[Any]) -> None:
    with library() as made:
        for step in steps:
            take(made, *step)
        made.run()
        made.check()
        before = made.faces()
        made.run(again=True)
        assert made.faces() == before, "all faces keep their ids"
        made.run(retry_failed=True)
        made.check()


def test_a_given_face_is_there_at_once_and_stays() -> None:
    with library() as made:
        shutil.copy(made.photo, made.photo.parent / "copy.png")
        made.run()
        done = made.tag("grey", "Anna")
        assert (done.known, done.quality) == (False, 0.0), "nothing was found in the box"
        made.check()
        made.draw(made.photo, shade=200)  # another picture, of which nothing was said
        made.run()
        assert {place for _, path, place, _ in made.faces() if path == "a.png"} == {"red", "green"}
        assert made.people() == {("copy.png", "grey"): 1}
        made.draw(made.photo)
        made.run()
        made.check()


def test_a_face_that_is_none_takes_effect_at_once_and_comes_back_with_a_run() -> None:
    with library() as made:
        shutil.copy(made.photo, made.photo.parent / "copy.png")
        made.run()
        made.not_a_face("red")
        made.check()
        made.undo(made.said[-1][0])
        assert made.store.catalog.photos.count_outdated() == 2
        assert made.store.catalog.photos.counts().faces == 2, "the others can be found meanwhile"
        made.run()
        made.check()
        assert made.store.catalog.photos.count_outdated() == 0


def test_another_model_keeps_given_faces_and_their_ids() -> None:
    with library() as made:
        made.tag("grey", "Anna")
        made.tag("nothing")
        made.not_a_face("green")
        before = made.faces()
        for finds, expected in ((("red", "grey"), {"nothing"}), (("red", "green"), {"grey", "nothing"})):
            made.model = SquareModel("-".join(finds), 5 + len(expected), finds)
            begin_switch(made.store, made.model.info)
            switch(made.store, made.model, options=Options(corrections=corrections(made.store.catalog)))
            assert [face[:3] for face in made.faces()] == [face[:3] for face in before]
            assert {place for _, _, place, hand in made.faces() if hand} == expected
            assert made.people() == {("a.png", "grey"): 1}
            assert not audit(made.store.catalog.database).faults


def test_what_is_said_while_another_model_is_staged_counts() -> None:
    with library() as made:
        made.model = SquareModel("other", 6)
        begin_switch(made.store, made.model.info)
        stage(made.store, made.model, options=Options())
        made.model = SquareModel()
        made.tag("grey")
        made.not_a_face("red")
        made.model = SquareModel("other", 6)
        switch(made.store, made.model, options=Options(corrections=corrections(made.store.catalog)))
        made.check()


def test_a_face_that_the_detector_finds_later_is_no_longer_given() -> None:
    with library() as made:
        face = made.tag("grey").face
        made.model.finds = ("red", "green", "grey")
        made.run(again=True)
        assert (face, "a.png", "grey", False) in made.faces()
        made.undo(made.said[-1][0])
        made.run()
        assert (face, "a.png", "grey", False) in made.faces(), "it is there without the user's word, too"


def test_a_forgotten_face_cannot_be_given_again() -> None:
    with library() as made:
        face = made.tag("grey").face
        forget(made.store, to_forget_face(made.store, face))
        made.run(again=True)
        assert "grey" not in {place for _, _, place, _ in made.faces()}
        with pytest.raises(InputError, match=r"a.png: the face in this place was forgotten for good"):
            made.tag("grey")


def test_only_what_changes_faces_needs_the_lock() -> None:
    with library() as made:
        named = made.tag("red", "Anna").action
        given_face = made.tag("grey").action
        made.undo(given_face)
        made.undo(named)
        redo = made.said[-2][0]
        catalog = made.store.catalog
        assert [changes_faces(catalog, action) for action in (named, given_face, redo)] == [False, True, True]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((80, 10, 24, 24), "box 80,10,24,24: not inside the photo, which has 96 x 96 pixels"),
        ((-1, 10, 24, 24), "box -1,10,24,24: not inside the photo"),
        ((10, 10, 3, 24), "box 10,10,3,24: too small to show a face; give at least 8 x 8 pixels of the photo, which"),
        ((10, 10, -30, -30), "too small"),
        ((10, 10, float("nan"), 24), "give left, top, width and height in pixels"),
        ((10, 10, 24), "give left, top, width and height in pixels"),
        (("a", 10, 24, 24), "give left, top, width and height in pixels"),
    ],
)
def test_a_box_must_be_in_the_photo(box: Any, message: str) -> None:
    with library() as made, pytest.raises(UsageError, match=message):
        tag(made.store, lambda: made.model, str(made.photo), box)


def test_the_photo_must_be_the_one_that_was_indexed() -> None:
    with library() as made:
        other = made.folder / "other.png"
        made.draw(other)
        shutil.copy(made.photo, made.photo.parent / "the only one but for this.png")
        with pytest.raises(InputError, match=r"other.png: no photo of the index; check the path"):
            tag(made.store, lambda: made.model, str(other), (10, 62, 24, 24))
        made.draw(made.photo, shade=40)
        with pytest.raises(PhotoError, match=r"a.png: changed since it was indexed"):
            made.tag("grey")
        made.photo.unlink()
        with pytest.raises(PhotoError, match=r"a.png: No such file"):
            made.tag("grey")
        made.run()
        with pytest.raises(InputError, match=r"a.png: no photo of the index"):
            made.tag("grey")
        assert made.said == []
