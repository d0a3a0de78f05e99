"""What users say: laws that hold for any history of statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grouping import Library, family

from facesearch.catalog.people import Profile
from facesearch.errors import UsageError
from facesearch.people.regroup import is_up_to_date, regroup
from facesearch.people.saying import Statement, derive_again, say_all, undo
from facesearch.people.statements import Kind

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def grouped() -> Iterator[Library]:
    library = Library()
    family(library)
    regroup(library.store)
    yield library
    library.store.close()


@pytest.fixture
def library(grouped: Library) -> Iterator[Library]:
    """Three people and ten strangers, as they were: what a test does is taken back."""
    with taken_back(grouped):
        yield grouped


@contextmanager
def taken_back(library: Library) -> Iterator[None]:
    shown, photos = dict(library.shown), library.photos
    try:
        with library.store.catalog.transaction():
            yield
            raise _Done
    except _Done:
        library.shown, library.photos = shown, photos


class _Done(Exception):  # noqa: N818
    """Ends a transaction without its writes."""


def state(library: Library) -> tuple[Any, ...]:
    """Everything that follows from statements."""
    people, rows = library.store.catalog.people, library.store.catalog.database.rows
    return (
        rows("SELECT face, person, statement FROM assignments ORDER BY face"),
        people.joined(),
        people.profiles(),
    )


def numbers(library: Library) -> list[int]:
    return sorted(set(library.people.values()))


def take_back(library: Library, statement: int) -> int:
    with library.store.catalog.transaction():
        return undo(library.store.catalog, statement)


PEOPLE = st.integers(0, 2)
FACES = st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True)
SAID = st.one_of(
    st.tuples(st.sampled_from([Kind.belongs, Kind.does_not, Kind.cover]), PEOPLE, FACES),
    st.tuples(st.sampled_from([Kind.one, Kind.two]), PEOPLE, PEOPLE),
    st.tuples(
        st.sampled_from([Kind.name, Kind.alias, Kind.no_alias, Kind.born, Kind.ignore, Kind.notice]),
        PEOPLE,
        st.sampled_from(["Anna", "Ben", None]),
    ),
)


def tell(library: Library, told: Any) -> int:
    kind, person, about = told
    people = numbers(library) or [1, 2, 3]
    people += [1, 2, 3]
    if kind in (Kind.one, Kind.two):
        return library.say(kind, person=people[person], other=people[about])
    if isinstance(about, list):
        return library.say(kind, person=people[person], faces=about)
    return library.say(kind, person=people[person], value=about)


@SETTINGS
@given(before=st.lists(SAID, max_size=6), told=SAID)
def test_a_statement_that_is_undone_at_once_changes_nothing(grouped: Library, before: list[Any], told: Any) -> None:
    with taken_back(grouped):
        for one in before:
            tell(grouped, one)
        was = state(grouped)
        statement = tell(grouped, told)
        now = state(grouped)
        undoing = take_back(grouped, statement)
        assert state(grouped) == was
        take_back(grouped, undoing)
        assert state(grouped) == now, "an undoing can be undone, too"


@SETTINGS
@given(told=st.lists(SAID, min_size=1, max_size=8), order=st.randoms())
def test_statements_can_be_taken_back_in_any_order(grouped: Library, told: list[Any], order: Any) -> None:
    with taken_back(grouped):
        was = state(grouped)
        made = [tell(grouped, one) for one in told]
        order.shuffle(made)
        for statement in made:
            take_back(grouped, statement)
        assert state(grouped) == was


@SETTINGS
@given(told=st.lists(SAID, max_size=8), undone=st.lists(st.integers(0, 7), max_size=3, unique=True))
def test_what_is_derived_step_by_step_is_what_is_derived_at_once(
    grouped: Library, told: list[Any], undone: list[int]
) -> None:
    with taken_back(grouped):
        made = [tell(grouped, one) for one in told]
        for number in undone:
            if number < len(made):
                take_back(grouped, made[number])
        was = state(grouped)
        with grouped.store.catalog.transaction():
            derive_again(grouped.store.catalog)
        assert state(grouped) == was


@SETTINGS
@given(told=st.lists(SAID, max_size=8), again=st.booleans())
def test_grouping_never_contradicts_a_statement(grouped: Library, told: list[Any], again: bool) -> None:
    with taken_back(grouped):
        for one in told:
            tell(grouped, one)
        was = state(grouped)
        regroup(grouped.store, again=again)
        placed = [row for row in was[0] if row[2]]
        now = state(grouped)
        assert set(placed) <= set(now[0])
        assert now[1:] == was[1:]
        with grouped.store.catalog.transaction():
            derive_again(grouped.store.catalog)
        assert state(grouped) == now


def test_names(library: Library) -> None:
    one, other, _ = numbers(library)
    library.say(Kind.name, person=one, value="Anna")
    assert is_up_to_date(library.store), "a name changes no group"
    library.say(Kind.name, person=other, value="Annie")
    library.say(Kind.born, person=other, value="1990")
    profiles = library.store.catalog.people.profiles
    assert profiles() == {one: Profile("Anna"), other: Profile("Annie", born="1990")}
    joined = library.say(Kind.one, person=one, other=other)
    assert profiles() == {one: Profile("Anna", ("Annie",), born="1990")}
    assert library.store.catalog.people.current(other) == one
    take_back(library, joined)
    assert profiles() == {one: Profile("Anna"), other: Profile("Annie", born="1990")}
    assert library.store.catalog.people.current(other) == other
    library.say(Kind.name, person=one, value=None)
    assert profiles() == {other: Profile("Annie", born="1990")}


def test_an_action_is_undone_as_a_whole(library: Library) -> None:
    one, other, third = numbers(library)
    was = state(library)
    with library.store.catalog.transaction():
        action = say_all(
            library.store.catalog,
            [Statement(Kind.one, person=one, other=other), Statement(Kind.one, person=one, other=third)],
        )
    assert numbers(library) == [one]
    undoing = take_back(library, action + 1)
    assert state(library) == was
    with pytest.raises(
        UsageError, match=f"{action}: was undone already, by {undoing}; undo {undoing} to bring it back"
    ):
        take_back(library, action)
    with pytest.raises(UsageError, match="99: no such statement"):
        take_back(library, 99)


def test_named_people_stay_two_however_similar(library: Library) -> None:
    faces = [library.add(1)[0] for _ in range(8)]
    with library.store.catalog.transaction():
        other = library.store.catalog.people.add()
    person = library.people[1]
    library.say(Kind.belongs, faces=faces[:4], person=other)
    library.say(Kind.name, person=person, value="Anna")
    for again in (False, True):
        library.add(1)
        regroup(library.store, again=again)
        assert library.people[1] == person
        assert {library.people[face] for face in faces[:4]} == {other}


def test_a_named_person_keeps_number_and_faces_from_scratch(library: Library) -> None:
    person = library.people[1]
    (stray,) = library.add(2)
    with library.store.catalog.transaction():
        library.store.catalog.people.assign([(stray, person, None)])
    library.say(Kind.name, person=person, value="Anna")
    was = {face for face, whose in library.people.items() if whose == person}
    regroup(library.store, again=True)
    assert {face for face, whose in library.people.items() if whose == person} == was


def test_a_named_person_comes_back_with_photos_that_were_deleted(library: Library) -> None:
    one, other, _ = numbers(library)
    faces = {person: library.store.catalog.people.faces_of(person) for person in (one, other)}
    library.say(Kind.name, person=one, value="Anna", faces=faces[one])
    library.say(Kind.name, person=other, value="Annie", faces=faces[other])
    library.say(Kind.one, person=one, other=other)
    rows = library.store.catalog.database.rows
    photos = rows("SELECT id, hash FROM photos ORDER BY id")
    shown = dict(library.shown)
    people = [
        [shown[face] for (face,) in rows("SELECT id FROM faces WHERE photo = ? ORDER BY id", photo)]
        for photo, _ in photos
    ]
    for photo, _ in photos:
        library.store.catalog.photos.delete(photo)
    regroup(library.store)
    assert library.people == {}
    for (_, content), whom in zip(photos, people, strict=True):
        library.add(*whom, content=content)
    regroup(library.store)
    known = [face for face, person in library.people.items() if person == one]
    assert len(known) == len(faces[one]) + len(faces[other])
    assert library.store.catalog.people.profiles()[one] == Profile("Anna", ("Annie",))
