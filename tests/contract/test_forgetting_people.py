"""Forgetting a person: laws that hold for any history of statements, and what stays for others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grouping import Library, family, seen, someone
from test_statements import SAID, numbers, state, taken_back, tell

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import Calibration, Curve
from facesearch.care.forget_person import forget_person, to_forget_person
from facesearch.care.person_report import person_report
from facesearch.errors import InputError, UsageError
from facesearch.indexing.leaving_out import leaves_out, strict_similarity
from facesearch.people.regroup import is_up_to_date, regroup
from facesearch.people.saying import Statement, derive_again, say_all, undo
from facesearch.people.statements import Kind, everything_said
from facesearch.people.sweeping import sweep

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def grouped() -> Iterator[Library]:
    library = Library()
    family(library)
    regroup(library.store)
    yield library
    library.store.close()


@pytest.fixture
def library() -> Iterator[Library]:
    library = Library()
    family(library)
    regroup(library.store)
    yield library
    library.store.close()


def number_of(library: Library, shown: int) -> int:
    (number,) = {library.people[face] for face, person in library.shown.items() if person == shown}
    return number


def forget(library: Library, who: int | str, **how: Any) -> Any:
    going = to_forget_person(library.store, who, **how)
    return going, forget_person(library.store, going)


def mentions(library: Library, person: int) -> list[str]:
    """Return the tables that still have a row about a person."""
    rows = library.store.catalog.database.rows
    return [
        name for name, column in (
            ("assignments", "person"), ("overruled", "person"), ("joined", "person"), ("joined", "whole"),
            ("profiles", "person"), ("identities", "person"), ("statements", "person"), ("statements", "other"),
            ("people", "id"), ("people", "merged_into"),
        )
        if rows(f"SELECT 1 FROM {name} WHERE {column} = ?", person)
    ]  # fmt: skip


def removed(library: Library, person: int, *, reach: Any = "group") -> tuple[list[int], int]:
    """Forget a person within a transaction; return the faces deleted, and the number of statements."""
    catalog = library.store.catalog
    faces = [one.face.face_id for one in sweep(library.store, person, reach=reach).faces]
    people = catalog.forgetting.numbers_of(person)
    catalog.forgetting.forget_what_was_said_of_faces(faces)
    for face in faces:
        catalog.faces.delete(face)
    return faces, catalog.forgetting.forget_people(people)


@SETTINGS
@given(told=st.lists(SAID, max_size=8), undone=st.lists(st.integers(0, 7), max_size=3), who=st.integers(0, 2))
def test_nothing_of_the_person_is_left_and_nothing_of_others_is_lost(
    grouped: Library, told: list[Any], undone: list[int], who: int
) -> None:
    catalog = grouped.store.catalog
    with taken_back(grouped):
        made = [tell(grouped, one) for one in told]
        for number in undone:
            if number < len(made):
                try:
                    undo(catalog, made[number])
                except UsageError:
                    continue
        people = numbers(grouped)
        if not people:
            return
        person = people[who % len(people)]
        others = {face: whose for face, whose in grouped.people.items() if whose != person}
        profiles = {number: said for number, said in catalog.people.profiles().items() if number != person}
        known = catalog.forgetting.numbers_of(person)
        faces, _ = removed(grouped, person)
        assert [mentions(grouped, one) for one in known] == [[]] * len(known)
        assert {face: whose for face, whose in grouped.people.items() if face not in faces} == others
        catalog.people.set_profiles(everything_said(catalog).profiles)
        kept = {number: said._replace(cover=None) for number, said in catalog.people.profiles().items()}
        assert kept == {
            number: said._replace(cover=None) for number, said in profiles.items() if said.names or kept.get(number)
        }
        before = state(grouped)
        derive_again(catalog)
        assert state(grouped) == before, "what is derived follows from what is left"
        assert not catalog.database.rows("PRAGMA foreign_key_check")


def test_what_was_said_of_others_stays_and_can_be_taken_back(library: Library) -> None:
    one, two, three = (number_of(library, person) for person in (1, 2, 3))
    library.say(Kind.name, person=one, value="Anna")
    ben = library.say(Kind.name, person=two, value="Ben")
    said = library.store.catalog
    with said.transaction():
        ignored = say_all(said, [Statement(Kind.ignore, person=one), Statement(Kind.ignore, person=three)])
        undo(said, ignored)
    history = len(said.statements.all())
    going, done = forget(library, "anna")
    assert done.statements == 2 == history - len(said.statements.all())
    assert going.sweep.own == done.faces == done.vectors == done.marks == 10
    assert (done.left, done.unmarked) == ((), ())
    kinds = [(row.kind, row.person) for row in said.statements.all()]
    assert kinds == [(Kind.name, two), (Kind.ignore, three), (Kind.undo, None)]
    assert not said.people.profiles().get(three), "the undoing still counts for what is left of its action"
    with said.transaction():
        undo(said, ben)
    assert said.people.profiles() == {}
    with pytest.raises(UsageError, match=r"1: was forgotten with the person"):
        undo(said, 1)
    with pytest.raises(UsageError, match=r"99: no such statement"):
        undo(said, 99)
    with pytest.raises(InputError, match=f"#{one}: was forgotten"):
        to_forget_person(library.store, one)
    with pytest.raises(InputError, match=r"Anna: nobody in .* has this name"):
        to_forget_person(library.store, "Anna")


def test_a_merged_person_goes_as_a_whole(library: Library) -> None:
    one, two = number_of(library, 1), number_of(library, 2)
    library.say(Kind.name, person=two, value="Anne")
    library.say(Kind.one, person=one, other=two)
    forget(library, one, reach="group")
    assert [mentions(library, person) for person in (one, two)] == [[], []]
    assert set(library.people.values()) == {number_of(library, 3)}


def test_a_sweep_finds_what_grouping_left_and_leaves_others(library: Library) -> None:
    far, vector = seen(1, 500, spread=1.2), seen(1, 501)
    (lone,) = library.add(vectors=[far])
    (barred,) = library.add(vectors=[vector])
    one = number_of(library, 1)
    library.say(Kind.does_not, person=one, faces=[barred])
    (hidden,) = library.add(vectors=[seen(1, 502)])
    with library.store.transaction():
        library.store.catalog.photos.hide([library.photos], 1)
    found = sweep(library.store, one)
    swept = {one.face.face_id: one.own for one in found.faces}
    assert swept[lone] is False
    assert swept[hidden] is False, "a photo that is missing now is swept, too"
    assert found.said_otherwise == (barred,)
    assert [face for face, own in swept.items() if own] == [
        face for face in swept if library.shown.get(face) == 1
    ]  # fmt: skip
    assert sweep(library.store, one, reach="group").own == len(sweep(library.store, one, reach="group").faces) == 10
    spared = to_forget_person(library.store, one, spare=[lone])
    assert lone not in {one.face.face_id for one in spared.going}
    done = forget_person(library.store, spared)
    assert done.left == ()
    left = {row[0] for row in library.store.catalog.database.rows("SELECT id FROM faces")}
    assert {lone, barred} <= left
    assert hidden not in left
    with pytest.raises(UsageError, match=r"spare 7: not among the faces"):
        to_forget_person(library.store, number_of(library, 2), spare=[7])


def test_a_face_that_fits_somebody_else_stays_unless_all_are_wanted(library: Library) -> None:
    between = someone(1) * 0.8 + someone(2)
    (face,) = library.add(vectors=[between + 0.1 * seen(2, 900)])
    regroup(library.store)
    one, two = number_of(library, 1), number_of(library, 2)
    assert library.people[face] == two
    assert face in sweep(library.store, one).fit_others
    assert face in {one.face.face_id for one in sweep(library.store, one, reach="everything").faces}
    _, done = forget(library, one)
    assert library.people[face] == two
    assert (done.left, done.similar) == ((), 1)


def test_a_spared_face_is_grouped_again(library: Library) -> None:
    one = number_of(library, 1)
    faces = [face for face, person in library.shown.items() if person == 1]
    forget(library, one, spare=faces[:3])
    assert not set(faces) & set(library.people)
    assert not is_up_to_date(library.store)
    regroup(library.store)
    (number,) = {library.people[face] for face in faces[:3]}
    assert number > one


def test_copies_of_a_spared_face_are_spared(library: Library) -> None:
    (face,) = library.add(1, content=b"c" * 32)
    (copy,) = library.add(vectors=[seen(1, library.photos)], content=b"c" * 32)
    regroup(library.store)
    going = to_forget_person(library.store, number_of(library, 1), spare=[face])
    assert {one.face.face_id for one in going.spared} == {face, copy}


def test_the_same_content_does_not_bring_faces_back(library: Library) -> None:
    one = number_of(library, 1)
    going, _ = forget(library, one)
    catalog, face = library.store.catalog, going.going[0].face
    box = face.detection.box
    again = toy_face(seen(1, 1), (box.left, box.top, box.width, box.height))
    with library.store.transaction():
        catalog.faces.replace(face.photo_id, [again])
    assert catalog.faces.of_photo(face.photo_id) == []


def test_a_photo_that_is_gone_does_not_bring_the_face_back(library: Library) -> None:
    one = number_of(library, 1)
    catalog = library.store.catalog
    faces = [face for face, person in library.shown.items() if person == 1]
    library.say(Kind.belongs, person=one, faces=faces)
    ((photo, content),) = catalog.database.rows(
        "SELECT photos.id, hash FROM photos JOIN faces ON photo = photos.id WHERE faces.id = ?", faces[0]
    )
    with library.store.transaction():
        catalog.photos.delete(photo)
    forget(library, one)
    library.add(vectors=[seen(1, 1)], content=content)
    assert not catalog.faces.of_photo(library.photos)


def strict(library: Library) -> Calibration:
    """Return a table for the toy model, whose strangers have no similarity."""
    grid = [step / 100 for step in range(101)]
    logs = [-step / 10 for step in range(101)]
    curve = Curve(1, -20, logs, logs, logs, [1 - step / 100 for step in range(101)])
    return Calibration(grid, [curve], threshold=0.4, people=10)


def test_a_template_leaves_new_faces_out_and_known_ones_stay(library: Library) -> None:
    one, table = number_of(library, 1), strict(library)
    spared = next(face for face, person in library.shown.items() if person == 1)
    _, done = forget(library, one, spare=[spared], never_again=True, until=2_000)
    catalog = library.store.catalog
    assert [(kept.id, kept.faces, kept.until) for kept in catalog.kept_out.all()] == [(done.template, 10, 2_000)]
    assert strict_similarity(table, 10) == pytest.approx(0.6)
    out = leaves_out(library.store, 1_000, table)
    assert out(toy_face(someone(1)))
    assert not out(toy_face(someone(2)))
    record = catalog.faces.held([spared])[spared]
    known = catalog.faces.of_photo(record.photo_id)
    with library.store.transaction():
        assert catalog.faces.replace(record.photo_id, known, leave_out=lambda _: True) == 0, "it was spared"
        new = toy_face(someone(1), (300, 0, 50, 60))
        assert catalog.faces.replace(record.photo_id, [*known, new], leave_out=out) == 1
    assert len(catalog.faces.of_photo(record.photo_id)) == len(known)
    assert not leaves_out(library.store, 2_000, table)(toy_face(someone(1)))
    with library.store.transaction():
        assert catalog.kept_out.delete_expired(1_999) == 0
        assert catalog.kept_out.delete_expired(2_000) == 1


def test_a_template_goes_with_its_model(library: Library) -> None:
    forget(library, number_of(library, 1), never_again=True, until=2**31)
    catalog = library.store.catalog
    with library.store.transaction():
        catalog.models.set_next(toy_model_info("other", 16))
    assert len(catalog.kept_out.all()) == 1
    with library.store.transaction():
        catalog.models.promote_next()
    assert catalog.kept_out.all() == []


def test_a_report_has_everything_about_the_person_and_no_names_of_others(library: Library) -> None:
    one, two = number_of(library, 1), number_of(library, 2)
    faces = [face for face, person in library.shown.items() if person == 1]
    library.say(Kind.name, person=one, value="Anna", faces=faces)
    library.say(Kind.name, person=two, value="Ben", faces=faces[:1])
    library.say(Kind.does_not, person=two, faces=faces[:1])
    told = library.say(Kind.belongs, person=one, faces=faces[:2])
    found = person_report(library.store, "anna", calibration_of(library.store.model))
    assert [one.face.face_id for one in found.faces] == faces
    assert [one.statement for one in found.faces[:3]] == [told, told, None]
    assert all(
        sorted(map(str, one.beside)) == sorted(map(str, (two, number_of(library, 3), None))) for one in found.faces
    )
    assert [(one.kind, one.person, one.value, len(one.faces)) for one in found.statements] == [
        ("name", one, "Anna", 10), ("name", two, None, 1), ("is-not", two, None, 1), ("is", one, None, 2),
    ]  # fmt: skip
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1)
    assert found.profile.name == "Anna"
    library.store.catalog.end_view()
