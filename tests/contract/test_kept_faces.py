"""Faces of which the user said whom they show: they stay where a detector misses them, after any history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_given_faces import PLACES, SETTINGS, SIDE, Library, SquareModel, library, take

from facesearch.catalog.audit import audit
from facesearch.indexing.model_switch import begin_switch, stage, switch
from facesearch.indexing.options import Options
from facesearch.people.given import corrections
from facesearch.people.regroup import regroup
from facesearch.people.saying import say
from facesearch.people.statements import Kind

FOUND = ("green", "red")
"""The squares that a detector may find, or miss."""

STEPS = st.one_of(
    st.tuples(st.just("sees"), st.sets(st.sampled_from(FOUND)), st.none()),
    st.tuples(st.sampled_from(["tag", "not"]), st.sampled_from(FOUND), st.sampled_from(["Anna", "Ben"])),
    st.tuples(st.just("undo"), st.integers(0, 5), st.none()),
    st.tuples(st.sampled_from(["run", "again", "switch", "copy", "move"]), st.none(), st.none()),
)


@dataclass
class History:
    """A library, and the places in which there should be a face after each step."""

    made: Library
    present: set[str] = field(default_factory=lambda: set(FOUND))
    switched: int = 0

    def take(self, step: str, about: Any, name: str | None) -> None:
        made = self.made
        if step == "sees":
            made.model.finds = tuple(sorted(about))
        elif step == "not":
            if about in self.present:
                self.deny(about)
        elif step == "switch":
            self.switched += 1
            made.model = SquareModel(f"other {self.switched}", 4 + self.switched, made.model.finds)
            self.switch()
        elif step != "tag" or about in self.present:
            take(made, step, about, name)
        if step in ("again", "switch"):  # all photos were read
            self.present = {place for place in self.present if place in self.spoken()} | set(made.model.finds)

    def switch(self) -> None:
        begin_switch(self.made.store, self.made.model.info)
        switch(self.made.store, self.made.model, options=Options(corrections=corrections(self.made.store.catalog)))
        regroup(self.made.store)

    def deny(self, place: str) -> None:
        catalog = self.made.store.catalog
        with self.made.store.transaction():
            action = say(catalog, Kind.does_not, faces=[self.made.face(place)], person=catalog.people.add())
        self.made.said.append((action, "not", place, None))

    def spoken(self) -> set[str]:
        undone: set[int] = set()
        for action, kind, about, _ in reversed(self.made.said):
            if kind == "undo" and action not in undone:
                undone.add(int(about))
        return {place for action, kind, place, _ in self.made.said if kind != "undo" and action not in undone}

    def check(self) -> None:
        made = self.made
        files = {path.name for path in made.photo.parent.iterdir()}
        assert {face[1:3] for face in made.faces()} == {(path, place) for path in files for place in self.present}
        said = made.expected()[1]
        assert made.people() == {
            (path, place): said[place] for path in files for place in self.present if place in said
        }
        assert not audit(made.store.catalog.database).faults


@settings(SETTINGS, max_examples=15)
@given(steps=st.lists(STEPS, min_size=4, max_size=10))
def test_what_was_spoken_of_stays_after_any_history(steps: list[Any]) -> None:
    history(steps)


@pytest.mark.slow
@settings(SETTINGS, max_examples=150)
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_what_was_spoken_of_stays_after_many_histories(steps: list[Any]) -> None:
    history(steps)


def history(steps: list[Any]) -> None:
    with library() as made:
        told = History(made)
        for step in steps:
            before = {face[1:3]: face[0] for face in made.faces()}
            told.take(*step)
            after = {face[1:3]: face[0] for face in made.faces()}
            if step[0] != "move":
                assert all(after[place] == face for place, face in before.items() if place in after), "ids stay"
        made.run()
        told.check()


def seen_by_none(made: Library) -> None:
    made.model.finds = ()
    made.run(again=True)


@pytest.mark.parametrize("how", ["tag", "not"])
def test_a_face_that_is_missed_has_its_place_and_an_honest_quality(how: str) -> None:
    with library() as made:
        told = History(made)
        told.take(how, "red", "Anna")
        (before,) = (face for face in made.store.catalog.faces.of_photo(1) if face.detection.box.left < 50)
        seen_by_none(made)
        (after,) = made.store.catalog.faces.of_photo(1)
        assert after.detection.box == before.detection.box
        assert (after.detection.landmarks == before.detection.landmarks).all()
        assert after.embedding == pytest.approx(before.embedding, abs=1e-6)
        assert (after.detection.is_given, after.quality) == (True, 0.0)
        made.undo(made.said[-1][0])
        assert len(made.faces()) == 1, "it stays until the photo is read again"
        made.run(again=True)
        assert made.faces() == []


def test_what_is_said_of_other_places_does_not_take_a_kept_face_away() -> None:
    with library() as made:
        made.tag("red", "Anna")
        made.model.finds = ("green",)
        made.run(again=True)
        made.not_a_face("green")
        made.undo(made.tag("grey").action)
        assert [face[2] for face in made.faces()] == ["red"]
        made.not_a_face("red")
        made.run(again=True)
        assert made.faces() == [], "the later word counts"


def test_what_is_said_while_another_model_is_staged_counts() -> None:
    with library() as made:
        (red,) = (face for face in made.faces() if face[2] == "red")
        made.model = SquareModel("other", 6, ("green",))
        begin_switch(made.store, made.model.info)
        stage(made.store, made.model, options=Options())
        made.tag("red", "Anna")
        switch(made.store, made.model, options=Options(corrections=corrections(made.store.catalog)))
        assert (*red[:3], True) in made.faces()
        assert made.people() == {("a.png", "red"): 1}


def test_an_edit_that_keeps_the_picture_keeps_the_face() -> None:
    with library() as made:
        face, before = made.tag("red", "Anna").face, made.photo.read_bytes()
        made.model.finds = ("green",)
        with Image.open(made.photo) as picture:
            picture.save(made.photo, compress_level=0)
        assert made.photo.read_bytes() != before
        for again in (False, True, True):
            made.run(again=again)
            assert (face, "a.png", "red", True) in made.faces()
            assert made.people() == {("a.png", "red"): 1}


@pytest.mark.parametrize("what", ["face", "picture", "size"])
def test_another_picture_under_the_same_name_does_not_keep_the_face(what: str) -> None:
    with library() as made:
        made.tag("red", "Anna")
        made.model.finds = ("green",)
        if what == "picture":
            made.draw(made.photo, shade=200)
        else:
            with Image.open(made.photo) as picture:
                changed = picture.resize((97, 96)) if what == "size" else picture.copy()
            if what == "face":
                changed.paste((0, 0, 200), (*PLACES["red"], PLACES["red"][0] + SIDE, PLACES["red"][1] + SIDE))
            changed.save(made.photo)
        made.run()
        assert {face[2] for face in made.faces()} == {"green"}
