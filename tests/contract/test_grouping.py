"""Grouping faces by person: laws that hold for any library, and what happens to groups from night to night."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.catalog.records import Grouped
from facesearch.errors import UsageError
from facesearch.index.store import Store
from facesearch.people import regroup as regroup_module
from facesearch.people.regroup import Grouping, is_up_to_date, regroup
from facesearch.people.saying import say
from facesearch.people.statements import Kind, everything_said
from facesearch.types import Face, PhotoFacts, PhotoFile

DIM = 128
Vector = np.ndarray[Any, Any]
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def someone(number: int) -> Vector:
    """Return the mean of a person's faces; two people are as similar as strangers are."""
    vector = np.random.default_rng([1, number]).normal(size=DIM)
    unit: Vector = vector / np.linalg.norm(vector)
    return unit


def seen(person: int, photo: int, spread: float = 0.7) -> Vector:
    """Return a face of a person; two of them have a similarity of about 1 / (1 + spread ** 2)."""
    noise = np.random.default_rng([2, person, photo]).normal(size=DIM)
    return someone(person) + spread * noise / np.linalg.norm(noise)


@dataclass
class Library:
    """A store that is filled photo by photo, and who is in which photo."""

    store: Store = field(default_factory=lambda: Store.memory(toy_model_info(dim=DIM)))
    shown: dict[int, int] = field(default_factory=dict)
    photos: int = 0

    def add(
        self, *people: int, vectors: Sequence[Vector] = (), quality: float = 0.9, content: bytes = b""
    ) -> list[int]:
        """Add a photo of some people, or of faces with these vectors; return the ids of its faces."""
        self.photos += 1
        faces = [
            Face(one.detection, one.embedding, quality)
            for one in (
                toy_face(vector, (100.0 * place, 0, 50, 60))
                for place, vector in enumerate([*vectors, *(seen(person, self.photos) for person in people)])
            )
        ]
        with self.store.transaction():
            roots = self.store.catalog.roots.all()
            root = roots[0] if roots else self.store.catalog.roots.add(b"/photos")
            file = PhotoFile(b"%d.jpg" % self.photos, 1, 0)
            content = content or hashlib.sha256(file.path).digest()
            photo = self.store.catalog.photos.put(root.id, file, content, "faces", facts=PhotoFacts(640, 480))
            self.store.catalog.faces.replace(photo, faces)
        ids = [row[0] for row in self.store.catalog.database.rows("SELECT id FROM faces WHERE photo = ?", photo)]
        self.shown |= dict(zip(ids[len(vectors) :], people, strict=True))
        return ids

    def say(self, kind: Kind, **about: Any) -> int:
        with self.store.catalog.transaction():
            return say(self.store.catalog, kind, **about)

    @property
    def people(self) -> dict[int, int]:
        """The person of each face that has one."""
        return self.store.catalog.people.assigned()

    def groups(self) -> list[set[int]]:
        found = defaultdict(set)
        for face, person in self.people.items():
            found[person].add(face)
        return sorted(found.values(), key=min)

    def true_groups(self) -> list[set[int]]:
        found = defaultdict(set)
        for face, person in self.shown.items():
            found[person].add(face)
        return sorted((group for group in found.values() if len(group) > 1), key=min)


@pytest.fixture
def library() -> Iterator[Library]:
    library = Library()
    yield library
    library.store.close()


def family(library: Library, photos: int = 10) -> None:
    """Add photos of three people together, and one of a stranger each time."""
    for number in range(photos):
        library.add(1, 2, 3, 100 + number)


def test_people_are_found_and_strangers_stay_alone(library: Library) -> None:
    family(library)
    done = regroup(library.store)
    assert library.groups() == library.true_groups()
    assert done == Grouping(people=3, faces=40, grouped=30, new=3, joined=30)


def test_grouping_twice_changes_nothing(library: Library) -> None:
    family(library)
    assert not is_up_to_date(library.store)
    regroup(library.store)
    before = library.people
    assert is_up_to_date(library.store)
    assert not regroup(library.store).changed
    assert not regroup(library.store, again=True).changed
    assert library.people == before


def test_new_faces_join_and_known_ones_stay(library: Library) -> None:
    family(library)
    regroup(library.store)
    before = library.people
    (known,) = library.add(2)
    stranger, friend = library.add(50, 51)
    done = regroup(library.store)
    (number,) = {before[face] for face, person in library.shown.items() if person == 2 and face in before}
    assert library.people == {**before, known: number}
    assert (done.joined, done.new) == (1, 0)
    library.add(51)
    done = regroup(library.store)
    assert library.people[friend] not in before.values()
    assert (done.joined, done.new) == (2, 1)
    assert stranger not in library.people


def test_a_number_is_never_used_again(library: Library) -> None:
    family(library)
    regroup(library.store)
    used = set(library.people.values())
    with library.store.catalog.transaction():
        library.store.catalog.database.run("DELETE FROM photos")
    assert library.people == {}
    for _ in range(3):
        library.add(7, 8)
    regroup(library.store)
    assert len(set(library.people.values())) == 2
    assert not set(library.people.values()) & used


def test_a_dry_run_writes_nothing(library: Library) -> None:
    family(library)
    told = regroup(library.store, dry_run=True)
    assert library.people == {}
    assert library.store.catalog.meta.grouped() is None
    assert regroup(library.store) == told


def test_a_cancelled_or_killed_run_changes_nothing(library: Library) -> None:
    family(library)
    asked = iter(range(1000))

    class StopError(Exception):
        pass

    def stop() -> None:
        if next(asked) == 2:
            raise StopError

    with pytest.raises(StopError):
        regroup(library.store, check=stop)
    assert library.people == {}
    assert library.store.catalog.meta.grouped() is None


def test_a_statement_made_meanwhile_is_not_lost(library: Library) -> None:
    family(library)
    regroup(library.store)
    (face,) = library.add(1)
    (person,) = {library.people[other] for other, who in library.shown.items() if who == 2 and other != face}
    said: list[int] = []

    def speak() -> None:
        if not said:
            said.append(library.say(Kind.belongs, faces=[face], person=person))

    regroup(library.store, check=speak)
    assert library.people[face] == person


def test_two_faces_of_one_photo_are_two_people(library: Library) -> None:
    twins = [someone(1) + 0.5 * someone(2), someone(1) - 0.5 * someone(2)]  # a similarity of 0.6
    for number in range(6):
        library.add(vectors=[twin + 0.3 * someone(20 + number) for twin in twins])
    regroup(library.store)
    assert sorted(map(len, library.groups())) == [6, 6]


def test_portraits_of_one_person_on_one_sheet_are_one_person(library: Library) -> None:
    sheet = library.add(vectors=[seen(1, number, 0.35) for number in range(5)])
    library.add(1)
    library.add(1)
    regroup(library.store)
    (group,) = library.groups()
    assert set(sheet) <= group


def unlike(person: int, number: int) -> Vector:
    """Return a portrait that is hardly like other portraits of the person: a similarity of about 0.6."""
    return someone(person) + 0.8 * someone(200 + number)


def test_a_sheet_of_portraits_that_are_in_the_library_too_shows_one_person(library: Library) -> None:
    for number in range(5):
        library.add(vectors=[unlike(1, number)])
    library.add(vectors=[unlike(1, number) + 0.5 * someone(300 + number) for number in range(5)])
    regroup(library.store)
    assert list(map(len, library.groups())) == [10]


def test_two_people_who_are_often_photographed_together_are_two_whatever_portraits_there_are(library: Library) -> None:
    twins = [someone(1) + 0.5 * someone(2), someone(1) - 0.5 * someone(2)]
    for number in range(3):
        library.add(vectors=[twin + 0.3 * someone(20 + number) for twin in twins])
    for twin in twins:
        library.add(vectors=[twin + 0.3 * someone(30)])
    regroup(library.store)
    assert sorted(map(len, library.groups())) == [4, 4]


def test_poor_faces_join_and_link_nothing(library: Library) -> None:
    family(library)
    halfway = [someone(1) + someone(2) + 0.2 * someone(40 + number) for number in range(5)]
    poor = [library.add(vectors=[vector], quality=0.1)[0] for vector in halfway]
    (clear,) = library.add(3, quality=0.1)
    regroup(library.store)
    groups = library.groups()
    assert [group - set(poor) for group in groups] == library.true_groups()
    assert clear in groups[2]
    alone = [library.add(vectors=[vector], quality=0.1)[0] for vector in (seen(60, 1), seen(60, 2))]
    regroup(library.store)
    assert not set(alone) & set(library.people)
    for _ in range(4):
        library.add(60)
    regroup(library.store)
    assert set(alone) <= set(library.people), "their person came a night later"


def test_copies_share_a_person_and_count_once(library: Library) -> None:
    family(library)
    content = hashlib.sha256(b"copied").digest()
    copies = [library.add(vectors=[seen(1, 900), seen(2, 900)], content=content) for _ in range(60)]
    regroup(library.store)
    first, second = ({library.people.get(copy[place]) for copy in copies} for place in (0, 1))
    assert first == {library.people[1]}
    assert second == {library.people[2]}
    alone = [library.add(60, content=hashlib.sha256(b"alone").digest())[0]]
    alone += library.add(vectors=[seen(60, library.photos)], content=hashlib.sha256(b"alone").digest())
    regroup(library.store)
    assert not set(alone) & set(library.people), "a photo and its copy are no group"


def test_two_groups_that_turn_out_to_be_one_are_merged(library: Library) -> None:
    """The larger keeps its number, and the other number still leads to it."""
    young, old = someone(1) + 0.9 * someone(2), someone(1) - 0.9 * someone(2)
    early = [library.add(vectors=[young + 0.3 * someone(20 + number)])[0] for number in range(6)]
    late = [library.add(vectors=[old + 0.3 * someone(30 + number)])[0] for number in range(4)]
    regroup(library.store)
    number, other = library.people[early[0]], library.people[late[0]]
    assert number != other
    for step in range(40):
        library.add(vectors=[someone(1) + (step / 20 - 1) * 0.5 * someone(2) + 0.3 * someone(200 + step)])
    done = regroup(library.store)
    assert done.merged >= 1
    assert set(library.people.values()) == {library.people[early[0]]}
    current = library.store.catalog.people.current
    assert {current(number), current(other)} == {library.people[early[0]]}
    assert current(10**6) is None


# What the user said.


def test_a_placed_face_stays_whatever_it_resembles(library: Library) -> None:
    family(library)
    regroup(library.store)
    person = library.people[1]
    (face,) = library.add(2)
    statement = library.say(Kind.belongs, faces=[face], person=person)
    for again in (False, True, False):
        regroup(library.store, again=again)
        assert library.people[face] == person
    library.say(Kind.undo, undoes=statement)
    regroup(library.store)
    assert library.people[face] == library.people[2]


def test_a_barred_face_leaves_and_does_not_come_back(library: Library) -> None:
    family(library)
    regroup(library.store)
    person = library.people[1]
    statement = library.say(Kind.does_not, faces=[1], person=person)
    assert 1 not in library.people, "at once"
    for again in (False, True):
        library.add(1)
        regroup(library.store, again=again)
        assert library.people.get(1) != person
    library.say(Kind.undo, undoes=statement)
    regroup(library.store, again=True)
    assert library.people[1] == person


def test_what_is_said_of_a_photo_counts_for_its_copies(library: Library) -> None:
    family(library)
    regroup(library.store)
    content = hashlib.sha256(b"copied").digest()
    (one,) = library.add(2, content=content)
    library.say(Kind.belongs, faces=[one], person=library.people[1])
    (other,) = library.add(vectors=[seen(2, library.photos)], content=content)
    regroup(library.store)
    assert library.people[other] == library.people[one] == library.people[1]


def test_two_people_are_joined_and_parted_by_the_user_alone(library: Library) -> None:
    family(library)
    regroup(library.store)
    one, other = library.people[1], library.people[2]
    statement = library.say(Kind.one, person=one, other=other)
    regroup(library.store)
    assert library.people[1] == library.people[2] == one
    assert everything_said(library.store.catalog).current(other) == one
    library.say(Kind.undo, undoes=statement)
    regroup(library.store, again=True)
    assert library.people[1] != library.people[2]


def test_people_joined_by_the_user_stay_joined_from_scratch(library: Library) -> None:
    family(library)
    regroup(library.store)
    one, other = library.people[1], library.people[2]
    library.say(Kind.one, person=one, other=other)
    for again in (False, True, False):
        library.add(1, 2)
        regroup(library.store, again=again)
        assert library.people[1] == library.people[2] == one
        assert library.store.catalog.people.current(other) == one
    library.add(99)
    assert regroup(library.store).merged == 0, "what was said is done once"


def test_a_photo_of_both_loses_one_when_two_large_groups_turn_out_to_be_one(library: Library) -> None:
    """Once in two hundred is a mistake; the face that fits less leaves."""
    young, old = someone(1) + 0.55 * someone(2), someone(1) - 0.55 * someone(2)
    for number in range(200):
        library.add(vectors=[young + 0.3 * someone(1000 + number)])
    for number in range(150):
        library.add(vectors=[old + 0.3 * someone(2000 + number)])
    both = library.add(vectors=[young + 0.3 * someone(3000), old + 0.3 * someone(3001)])
    with library.store.catalog.transaction():
        people = library.store.catalog.people
        one, other = people.add(), people.add()
        people.assign((face, one if face <= 200 else other, None) for face in range(1, 351))
        people.assign([(both[0], one, None), (both[1], other, None)])
        library.store.catalog.meta.set_grouped(Grouped(both[1], 0, 2))
    for number in range(30):
        library.add(vectors=[someone(1) + (number / 15 - 1) * 0.5 * someone(2) + 0.3 * someone(4000 + number)])
    regroup(library.store)
    assert library.people[1] == library.people[201], "they are one person now"
    assert len({library.people.get(face) for face in both}) == 2


def test_people_whom_the_user_named_are_never_merged(library: Library) -> None:
    """Two people with placed faces stay two, however similar they are."""
    faces = [library.add(1)[0] for _ in range(12)]
    regroup(library.store)
    person = library.people[faces[0]]
    with library.store.catalog.transaction():
        other = library.store.catalog.people.add()
    library.say(Kind.belongs, faces=faces[:2], person=person)
    library.say(Kind.belongs, faces=faces[6:8], person=other)
    for again in (False, True):
        library.add(1)
        regroup(library.store, again=again)
        assert {library.people[face] for face in faces[:2]} == {person}
        assert {library.people[face] for face in faces[6:8]} == {other}


def test_a_statement_about_nobody_is_refused(library: Library) -> None:
    with pytest.raises(UsageError, match="person #7"):
        library.say(Kind.belongs, faces=[], person=7)


# From scratch.


def test_groups_found_again_keep_their_numbers(library: Library) -> None:
    family(library)
    regroup(library.store)
    before = library.people
    with library.store.catalog.transaction():
        library.store.catalog.people.unassign([1, 2])
        library.store.catalog.people.assign([(3, before[1], None)])
    told = regroup(library.store, again=True, dry_run=True)
    assert (told.joined, told.moved, told.left, told.new) == (2, 1, 0, 0)
    done = regroup(library.store, again=True)
    assert library.people == before
    assert told == done


# Large libraries.


def test_a_few_new_faces_in_a_large_index_are_grouped_as_in_a_small_one(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        library.add(1 + number % 10, 20 + number % 7)
    regroup(library.store)
    monkeypatch.setattr(regroup_module, "_LARGE", 10)
    monkeypatch.setattr(regroup_module, "_FEW", 1)
    before = library.people
    joining, (stranger,) = [library.add(person)[0] for person in (3, 5, 22)], library.add(98)
    regroup(library.store)
    expected = [library.people[face] for face in before if library.shown[face] in (3, 5, 22)]
    assert {library.people[face] for face in joining} == set(expected)
    assert stranger not in library.people
    assert {face: library.people[face] for face in before} == before


# Laws.

photos = st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=4, unique=True), min_size=1, max_size=12)


@SETTINGS
@given(nights=st.lists(photos, min_size=1, max_size=4), again=st.booleans())
def test_groups_are_pure_and_stay_the_same_from_night_to_night(nights: list[list[list[int]]], again: bool) -> None:
    library = Library()
    with library.store:
        for night in nights:
            before = library.people
            for shown in night:
                library.add(*shown)
            done = regroup(library.store)
            now = library.people
            kept = {face: now[face] for face in before}
            moved = {person for face, person in kept.items() if person != before[face]}
            assert moved == set() or done.merged
            pictured: dict[tuple[int, int], set[int]] = defaultdict(set)
            for face, person in now.items():
                photo = library.store.catalog.database.value("SELECT photo FROM faces WHERE id = ?", face)
                pictured[photo, person].add(face)
            assert all(len(faces) == 1 for faces in pictured.values()), "two faces of one photo are two people"
            for group in library.groups():
                assert len({library.shown[face] for face in group}) == 1
            assert not regroup(library.store).changed
            grouped = library.store.catalog.meta.grouped()
            assert grouped == Grouped(library.store.catalog.vectors.last_id(), 0, len(set(now.values())))
        if again:
            regroup(library.store, again=True)
            assert not regroup(library.store, again=True).changed


@SETTINGS
@given(photos)
def test_the_result_does_not_depend_on_chance(shown: list[list[int]]) -> None:
    results = []
    for _ in range(2):
        library = Library()
        with library.store:
            for people in shown:
                library.add(*people)
            regroup(library.store)
            results.append(library.people)
    assert results[0] == results[1]
