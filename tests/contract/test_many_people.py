"""What must not read all faces, in an index of any size, and what is read in another order because of that."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grouping import Library, family

from facesearch.api.people_records import details_of, summaries, summary_of
from facesearch.people.census import Census
from facesearch.people.names import names_beginning
from facesearch.people.regroup import regroup
from facesearch.people.saying import say, undo
from facesearch.people.statements import Kind, everything_said

LARGE = ("faces", "photos", "vectors", "assignments")


class _Done(Exception):  # noqa: N818
    """Ends a transaction without its writes."""


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    """Three people, of whom two have names, and ten strangers; one photo is a copy of another."""
    library = Library()
    family(library)
    regroup(library.store)
    one, other, _ = people_in(library)
    with library.store.catalog.transaction():
        say(library.store.catalog, Kind.name, faces=library.store.catalog.people.faces_of(one), person=one, value="Ann")
        say(library.store.catalog, Kind.alias, person=one, value="Mum")
        say(library.store.catalog, Kind.name, person=other, value="anton")
    yield library
    library.store.close()


def people_in(library: Library) -> list[int]:
    return sorted(number for number, *_ in library.store.catalog.people.summary())


def plans(library: Library, call: Callable[[], object]) -> list[str]:
    """Return how SQLite does what a call asks of it; what the call writes is taken back."""
    database = library.store.catalog.database
    asked: list[str] = []
    try:
        with database.transaction():
            database.connection.set_trace_callback(asked.append)
            call()
            database.connection.set_trace_callback(None)
            raise _Done
    except _Done:
        pass
    finally:
        database.connection.set_trace_callback(None)
    select = [sql for sql in dict.fromkeys(asked) if re.match(r"SELECT|INSERT|UPDATE|DELETE", sql)]
    return [step[3] for sql in select for step in database.rows(f"EXPLAIN QUERY PLAN {sql}")]


CALLS: dict[str, Callable[[Library, Sequence[int]], object]] = {
    "name": lambda library, people: say(library.store.catalog, Kind.name, person=people[2], value="Cleo"),
    "is": lambda library, people: say(library.store.catalog, Kind.belongs, faces=[1, 2], person=people[0]),
    "merge": lambda library, people: say(library.store.catalog, Kind.one, person=people[0], other=people[2]),
    "undo": lambda library, people: undo(library.store.catalog, 1),
    "everything said": lambda library, people: everything_said(library.store.catalog),
    "find": lambda library, people: summary_of(library.store.catalog, people[0]),
    "show": lambda library, people: details_of(library.store.catalog, people[0]),
    "complete": lambda library, people: names_beginning(library.store.catalog, "an"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_about_one_person_reads_no_large_table_as_a_whole(
    library: Library, call: Callable[[Library, Sequence[int]], object]
) -> None:
    people = people_in(library)
    steps = plans(library, lambda: call(library, people))
    assert steps
    assert [step for step in steps if re.match(rf"SCAN ({'|'.join(LARGE)})\b", step)] == []


def test_all_people_are_counted_in_the_order_of_faces(library: Library) -> None:
    steps = plans(library, lambda: summaries(library.store.catalog))
    assert "SCAN assignments" in steps, "an index by person would look up faces and photos all over the file"


def test_a_census_reads_no_vector(library: Library) -> None:
    steps = plans(library, lambda: Census.of(library.store))
    assert any(re.match(r"SCAN vectors USING (COVERING )?INDEX vectors_by_face", step) for step in steps)
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_people_are_counted_as_their_faces_say(library: Library, data: st.DataObject) -> None:
    """For any faces in any photos, hidden or not, dated or not; of everybody, and of some people."""
    database, people = library.store.catalog.database, library.store.catalog.people
    photos = [row[0] for row in database.rows("SELECT id FROM photos ORDER BY id")][:6]
    try:
        with database.transaction():
            for (face,) in database.rows("SELECT id FROM faces ORDER BY id"):
                photo = data.draw(st.sampled_from(photos))
                database.run("UPDATE faces SET photo = ? WHERE id = ?", photo, face)
            for photo in photos:
                taken = data.draw(st.sampled_from([None, "2011-02-03T04:05:06", "2019-12-31T23:59:59+01:00"]))
                hidden = data.draw(st.sampled_from([None, None, 1]))
                database.run(
                    "UPDATE photos SET taken_at = ?, missing_since = ?, mtime_ns = ? WHERE id = ?",
                    taken, hidden, photo * 10**17, photo,
                )  # fmt: skip
            expected = counted(library)
            assert people.summary() == expected
            asked = data.draw(st.lists(st.sampled_from([*people_in(library), 999]), unique=True))
            assert people.summary(asked) == [row for row in expected if row[0] in asked]
            assert people.shown(asked) == sorted(row[0] for row in expected if row[0] in asked)
            raise _Done
    except _Done:
        pass


def counted(library: Library) -> list[tuple[int, int, int, str, str]]:
    """Return what `summary` should, one face at a time."""
    shown: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for person, photo, taken, changed in library.store.catalog.database.rows(
        "SELECT person, photo, taken_at, mtime_ns FROM assignments JOIN faces ON faces.id = face"
        " JOIN photos ON photos.id = photo WHERE missing_since IS NULL"
    ):
        shown[person].append((photo, taken[:10] if taken else f"{datetime.fromtimestamp(changed // 10**9):%Y-%m-%d}"))
    rows = [
        (person, len(faces), len({photo for photo, _ in faces}), min(day for _, day in faces), max(d for _, d in faces))
        for person, faces in shown.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))


def test_names_begin_as_typed(library: Library) -> None:
    catalog = library.store.catalog
    assert names_beginning(catalog, "AN") == ["Ann", "anton"]
    assert names_beginning(catalog, "") == ["Ann", "Mum", "anton"]
    assert names_beginning(catalog, "b") == []


def test_names_of_people_without_a_photo_are_not_among_them(library: Library) -> None:
    try:
        with library.store.catalog.transaction():
            library.store.catalog.database.run("UPDATE photos SET missing_since = 1")
            assert names_beginning(library.store.catalog, "") == []
            raise _Done
    except _Done:
        pass
