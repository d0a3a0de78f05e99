"""Statements that are exported and imported: laws that hold for any history."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grouping import Library, family
from test_statements import PEOPLE, SAID, numbers, take_back, taken_back, tell

from facesearch.people.exchange.document import read_document
from facesearch.people.exchange.exporting import save_lines
from facesearch.people.exchange.importing import Imported, say_document
from facesearch.people.regroup import regroup
from facesearch.people.saying import derive_again
from facesearch.people.statements import Kind

PHOTOS = 10
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
THOROUGH = settings(SETTINGS, max_examples=300)
BORN = st.tuples(st.just(Kind.born), PEOPLE, st.sampled_from(["1990", "2018-05", None]))
HISTORY = st.lists(
    st.one_of(
        SAID.filter(lambda told: told[0] != Kind.born),
        BORN,
        st.tuples(st.just("undo"), st.integers(0, 9)),
        st.just("regroup"),
    ),
    max_size=9,
)


@pytest.fixture(scope="module")
def there() -> Iterator[Library]:
    library = Library()
    family(library, PHOTOS)
    regroup(library.store)
    yield library
    library.store.close()


@pytest.fixture(scope="module")
def here() -> Iterator[Library]:
    """The same photos in another order, with a copy of one of them, and grouped."""
    library = Library()
    order = list(range(PHOTOS))
    random.Random(1).shuffle(order)
    for number in order:
        library.photos = number
        library.add(1, 2, 3, 100 + number)
    regroup(library.store)
    yield library
    library.store.close()


def live(library: Library, history: list[Any]) -> None:
    """Say all of this."""
    made: list[int] = []
    for one in history:
        if one == "regroup":
            regroup(library.store)
        elif one[0] == "undo":
            if one[1] < len(made):
                made.append(take_back_if_possible(library, made[one[1]]))
        else:
            made.append(tell(library, one))


def take_back_if_possible(library: Library, statement: int) -> int:
    from facesearch.errors import UsageError

    try:
        return take_back(library, statement)
    except UsageError:
        return statement


def exported(library: Library, path: Path) -> Path:
    save_lines(library.store.catalog, path)
    return path


def imported(library: Library, path: Path) -> Imported:
    with library.store.catalog.transaction():
        return say_document(library.store.catalog, read_document(path), name=path.name)


def people(library: Library) -> tuple[Any, ...]:
    """Who is who, whatever the numbers of faces, people and statements are."""
    catalog = library.store.catalog
    places = catalog.exchange.places(list(library.shown))
    groups = defaultdict(set)
    for face, person in library.people.items():
        groups[person].add(places[face])
    uids = {number: uid for uid, number in catalog.statements.identities().items()}
    profiles = {
        uids[person]: said._replace(cover=None) for person, said in catalog.people.profiles().items()
    }  # fmt: skip
    ids = {uids[person]: frozenset(faces) for person, faces in groups.items() if person in uids}
    joined = {(uids[one], uids[other]) for one, other in catalog.people.joined().items()}
    return set(map(frozenset, groups.values())), ids, profiles, joined


def laws(there: Library, here: Library, history: list[Any], path: Path) -> None:
    with taken_back(there), taken_back(here):
        live(there, history)
        file = exported(there, path)
        done = imported(here, file)
        was, there_was = people(here), people(there)
        assert was[1:] == there_was[1:], "whoever was spoken of, at once"
        with here.store.catalog.transaction():
            derive_again(here.store.catalog)
        assert people(here) == was
        count = here.store.catalog.statements.last_id()
        again = imported(here, file)
        assert (again.action, again.statements) == (None, 0), "nothing is said twice"
        assert again.known == done.statements
        assert here.store.catalog.statements.last_id() == count
        back = imported(there, exported(here, path))
        assert (back.action, back.statements) == (None, 0), "and back again"
        assert people(there) == there_was
        regroup(here.store)
        regroup(there.store)
        assert people(here) == people(there), "everybody, once those are grouped whom nobody spoke of"


@SETTINGS
@given(history=HISTORY)
def test_the_same_photos_elsewhere_have_the_same_people(
    there: Library, here: Library, tmp_path_factory: pytest.TempPathFactory, history: list[Any]
) -> None:
    laws(there, here, history, tmp_path_factory.getbasetemp() / "people.jsonl")


@pytest.mark.slow
@THOROUGH
@given(history=HISTORY)
def test_after_any_history(
    there: Library, here: Library, tmp_path_factory: pytest.TempPathFactory, history: list[Any]
) -> None:
    laws(there, here, history, tmp_path_factory.getbasetemp() / "people.jsonl")


def test_merged_and_parted_again(there: Library, here: Library, tmp_path: Path) -> None:
    with taken_back(there), taken_back(here):
        before = people(here)[0]
        one, other, _ = numbers(there)
        take_back(there, there.say(Kind.one, person=one, other=other))
        imported(here, exported(there, tmp_path / "people.jsonl"))
        assert people(here)[0] == before
        assert people(here)[2:] == ({}, set())


def test_an_import_is_taken_back_as_a_whole(there: Library, here: Library, tmp_path: Path) -> None:
    with taken_back(there), taken_back(here):
        before = people(here)[0]
        one, other, _ = numbers(there)
        there.say(Kind.name, person=one, value="Anna")
        there.say(Kind.one, person=one, other=other)
        done = imported(here, exported(there, tmp_path / "people.jsonl"))
        assert len(people(here)[0]) == 2
        assert done.action is not None
        take_back(here, done.action)
        assert people(here)[0] == before
        assert people(here)[2] == {}
        assert imported(here, tmp_path / "people.jsonl").statements == 0, "what was taken back stays so"
        assert people(here)[2] == {}


def test_a_group_keeps_its_number(there: Library, here: Library, tmp_path: Path) -> None:
    with taken_back(there), taken_back(here):
        before = here.people
        for number, name in zip(numbers(there), ("Anna", "Ben", "Carla"), strict=True):
            there.say(Kind.name, person=number, value=name)
        imported(here, exported(there, tmp_path / "people.jsonl"))
        assert here.people == before


def test_a_file_that_leaves_people_out(there: Library, here: Library, tmp_path: Path) -> None:
    """Somebody edited it: people who are only spoken of, or part of somebody who is part of them."""
    with taken_back(there), taken_back(here):
        one, other, third = numbers(there)
        for person in (one, other, third):
            there.say(Kind.name, person=person, value=f"Anna {person}")
        file = exported(there, tmp_path / "people.jsonl")
        head, first, second, _, *rest = file.read_text().splitlines(keepends=True)
        uids = [json.loads(line)["person"] for line in (first, second)]
        people = [json.dumps({"person": uids[place], "into": uids[1 - place]}) + "\n" for place in (0, 1)]
        file.write_text("".join([head.replace('"people":3', '"people":2'), *people, *rest]))
        assert imported(here, file).statements == 3
        named = {said.name for said in here.store.catalog.people.profiles().values()}
        assert named == {f"Anna {person}" for person in (one, other, third)}
        regroup(here.store)
