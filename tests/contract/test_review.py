"""Questions about people: what is asked, in which order, what an answer does, and what looks wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_grouping import Library, family, seen
from test_statements import SETTINGS, taken_back

from facesearch.errors import UsageError
from facesearch.people.problems import Problem, problems
from facesearch.people.regroup import regroup
from facesearch.people.review import Question, answer, is_open, questions, skip
from facesearch.people.saying import undo
from facesearch.people.statements import Kind


@pytest.fixture(scope="module")
def doubtful() -> Iterator[Library]:
    """Three people in one photo each time; half of a fourth and of a fifth person is somebody else."""
    library = Library()
    family(library)
    for _ in range(8):
        library.add(4)
        library.add(5)
    regroup(library.store)
    split(library, 4)
    split(library, 5)
    yield library
    library.store.close()


@pytest.fixture
def library(doubtful: Library) -> Iterator[Library]:
    with taken_back(doubtful):
        yield doubtful


def split(library: Library, person: int) -> int:
    """Make half of a person's faces somebody else, as grouping may."""
    people = library.store.catalog.people
    faces = sorted(face for face, shown in library.shown.items() if shown == person)
    with library.store.transaction():
        number = people.add()
        people.assign((face, number, None) for face in faces[: len(faces) // 2])
    return number


def assign(library: Library, faces: list[int], person: int) -> None:
    with library.store.transaction():
        library.store.catalog.people.assign((face, person, None) for face in faces)


def unassign(library: Library, faces: list[int]) -> None:
    with library.store.transaction():
        library.store.catalog.people.unassign(faces)


def number_of(library: Library, person: int) -> int:
    """The number of most faces of a person."""
    found = [
        library.people[face] for face, shown in library.shown.items() if shown == person and face in library.people
    ]
    return max(set(found), key=found.count)


def faces_of(library: Library, person: int) -> list[int]:
    return sorted(face for face, shown in library.shown.items() if shown == person)


def say_yes(library: Library, question: Question | str, yes: bool = True) -> int:
    with library.store.catalog.transaction():
        return answer(library.store.catalog, question if isinstance(question, str) else question.id, yes=yes)


def say_skip(library: Library, question: Question) -> None:
    with library.store.catalog.transaction():
        skip(library.store.catalog, question.id)


def asked(library: Library) -> dict[str, Question]:
    return {question.id: question for question in questions(library.store)}


def merges(library: Library) -> list[Question]:
    return [question for question in questions(library.store) if question.kind == "merge"]


def found(library: Library, kind: str) -> list[Problem]:
    return [problem for problem in problems(library.store) if problem.kind == kind]


def test_halves_of_a_person_are_asked_about_and_nobody_else(library: Library) -> None:
    first, second = questions(library.store)
    assert {(one.kind, one.photos) for one in (first, second)} == {("merge", 4)}
    for question in (first, second):
        shown = {library.shown[face.face_id] for face in question.faces}
        assert len(shown) == 1
        assert shown <= {4, 5}
        assert question.other is not None
        assert [face.person for face in question.faces] == [
            question.person.person.number, question.other.person.number
        ]  # fmt: skip


def test_yes_makes_them_one_and_is_not_asked_again(library: Library) -> None:
    first, second = questions(library.store)
    assert is_open(library.store.catalog, first.id)
    say_yes(library, first)
    assert not is_open(library.store.catalog, first.id)
    assert list(asked(library)) == [second.id]
    (shown,) = {library.shown[face.face_id] for face in first.faces}
    assert len({library.people[face] for face in faces_of(library, shown)}) == 1
    with pytest.raises(UsageError, match="answered already"):
        say_yes(library, first)


def test_no_keeps_them_apart_also_when_everything_is_grouped_again(library: Library) -> None:
    first, second = questions(library.store)
    say_yes(library, first, yes=False)
    assert list(asked(library)) == [second.id]
    regroup(library.store, again=True)
    assert first.id not in asked(library)
    (shown,) = {library.shown[face.face_id] for face in first.faces}
    assert len({library.people.get(face) for face in faces_of(library, shown)}) == 2


def test_an_answer_taken_back_is_asked_again(library: Library) -> None:
    before = list(asked(library))
    action = say_yes(library, before[0])
    with library.store.catalog.transaction():
        undo(library.store.catalog, action)
    assert list(asked(library)) == before


def test_skipped_questions_come_last_until_they_are_answered(library: Library) -> None:
    first, second = questions(library.store)
    say_skip(library, first)
    later = questions(library.store)
    assert [(one.id, one.skipped) for one in later] == [(second.id, False), (first.id, True)]
    say_yes(library, first)
    assert library.store.catalog.review.skipped() == {}


def test_limit_and_order(library: Library) -> None:
    everything = questions(library.store)
    assert [one.id for one in questions(library.store, 1)] == [everything[0].id]
    library.say(Kind.name, person=number_of(library, 4), value="Dora")
    first, _ = questions(library.store)
    assert str(first.person) == "Dora", "people with names come first in equal cases"
    assert library.shown[first.faces[0].face_id] == 4


def test_two_people_in_one_photo_are_never_asked_about(library: Library) -> None:
    halves = sorted({library.people[face] for face in faces_of(library, 4)})
    library.add(vectors=[seen(4, 900), seen(4, 901, 0.9)])
    last = max(row[0] for row in library.store.catalog.database.rows("SELECT max(id) FROM faces"))
    assign(library, [last - 1], halves[0])
    assign(library, [last], halves[1])
    assert {library.shown[one.faces[0].face_id] for one in merges(library)} == {5}


def test_strangers_are_not_asked_about(library: Library) -> None:
    library.say(Kind.ignore, person=number_of(library, 4))
    assert {library.shown[one.faces[0].face_id] for one in merges(library)} == {5}


def test_people_with_two_names_are_a_problem_and_no_question(library: Library) -> None:
    one, other = sorted({library.people[face] for face in faces_of(library, 4)})
    library.say(Kind.name, person=one, value="Dora")
    library.say(Kind.name, person=other, value="Dorothy")
    assert len(merges(library)) == 1
    assert {str(who) for problem in found(library, "alike") for who in (problem.person, problem.other)} >= {
        "Dora",
        "Dorothy",
    }


def test_a_lone_face_and_its_copy_are_one_question(library: Library) -> None:
    vector, content = seen(1, 950), b"c" * 32
    faces = [face for _ in range(2) for face in library.add(vectors=[vector], content=content)]
    faces = [row[0] for row in library.store.catalog.database.rows("SELECT id FROM faces ORDER BY id DESC LIMIT 2")]
    lone = [one for one in questions(library.store) if one.kind == "lone" and one.faces[0].face_id in faces]
    assert [(one.photos, one.person.person.number) for one in lone] == [(2, number_of(library, 1))]
    say_yes(library, lone[0])
    assert {library.people[face] for face in faces} == {number_of(library, 1)}
    assert not {one.faces[0].face_id for one in questions(library.store) if one.kind == "lone"} & set(faces)


def test_an_outsider_moves_and_a_no_leaves_it(library: Library) -> None:
    (wrong, other) = faces_of(library, 1)[:2]
    unassign(library, faces_of(library, 2)[:2])
    assign(library, [wrong, other], number_of(library, 2))
    outsiders = {one.faces[0].face_id: one for one in questions(library.store) if one.kind == "outsider"}
    assert set(outsiders) == {wrong, other}
    assert {str(one.other) for one in outsiders.values()} == {f"#{number_of(library, 2)}"}
    say_yes(library, outsiders[wrong])
    say_yes(library, outsiders[other], yes=False)
    assert library.people[wrong] == number_of(library, 1)
    assert library.people[other] == number_of(library, 2)
    assert not {outsiders[wrong].id, outsiders[other].id} & asked(library).keys()


def test_an_unsure_member_leaves_after_a_no(library: Library) -> None:
    library.add(vectors=[seen(77, 1)])
    (face,) = (row[0] for row in library.store.catalog.database.rows("SELECT max(id) FROM faces"))
    assign(library, [face], number_of(library, 1))
    (question,) = (one for one in questions(library.store) if one.kind == "member")
    assert question.id == f"face-{face}-{number_of(library, 1)}"
    say_yes(library, question, yes=False)
    assert face not in library.people
    assert question.id not in asked(library)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "not the id of a question"),
        ("people-1", "not the id of a question"),
        ("people-1-2; DROP TABLE faces", "not the id of a question"),
        ("people-1-999", "no such question"),
        ("face-99999-1", "no such question"),
        ("people-1-1", "answered already"),
    ],
)
def test_what_is_no_question(library: Library, question: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        say_yes(library, question)


def test_an_empty_index_asks_nothing() -> None:
    library = Library()
    assert (questions(library.store), problems(library.store)) == ([], [])
    library.add(1)
    assert (questions(library.store), problems(library.store)) == ([], [])
    library.store.close()


@settings(SETTINGS, max_examples=6)
@given(keys=st.lists(st.sampled_from("ynsu"), max_size=6))
def test_no_answered_question_returns_and_all_undone_is_as_before(doubtful: Library, keys: list[str]) -> None:
    with taken_back(doubtful):
        unassign(doubtful, faces_of(doubtful, 3)[:2])
        before = list(asked(doubtful))
        done: list[tuple[str, int | None]] = []
        for key in keys:
            now = questions(doubtful.store)
            answered = {question for question, action in done if action is not None}
            assert not answered & {one.id for one in now}
            assert [one.skipped for one in now] == sorted(one.skipped for one in now)
            if key == "u" or not now:
                if done:
                    take_back(doubtful, *done.pop())
            elif key == "s":
                say_skip(doubtful, now[0])
                done.append((now[0].id, None))
            else:
                done.append((now[0].id, say_yes(doubtful, now[0], key == "y")))
        for question, action in reversed(done):
            take_back(doubtful, question, action)
        assert list(asked(doubtful)) == before


def take_back(library: Library, question: str, action: int | None) -> None:
    with library.store.catalog.transaction():
        if action is None:
            skip(library.store.catalog, question, skipped=False)
        else:
            undo(library.store.catalog, action)


def test_a_contaminated_group_and_people_who_look_like_one(library: Library) -> None:
    assert [len(problem.faces) for problem in found(library, "alike")] == [2, 2]
    assert not found(library, "contaminated"), "the halves of a person are near each other"
    moved = faces_of(library, 1)[:2]
    unassign(library, faces_of(library, 2)[:2])
    assign(library, moved, number_of(library, 2))
    (problem,) = found(library, "contaminated")
    assert sorted(face.face_id for face in problem.faces) == moved
    assert problem.person.number == number_of(library, 2)
    assert problem.other is not None
    assert problem.other.number == number_of(library, 1)


def test_a_photo_that_shows_somebody_twice(library: Library) -> None:
    library.add(vectors=[seen(1, 960), seen(2, 961)])
    faces = [row[0] for row in library.store.catalog.database.rows("SELECT id FROM faces ORDER BY id DESC LIMIT 2")]
    assign(library, faces, number_of(library, 1))
    (problem,) = found(library, "twice")
    assert {face.face_id for face in problem.faces} == set(faces)
    library.say(Kind.belongs, faces=faces, person=number_of(library, 1))
    assert not found(library, "twice"), "the user has said so"


def test_photos_older_than_a_person(library: Library) -> None:
    person = number_of(library, 1)
    library.say(Kind.born, person=person, value="2018-05")
    assert not found(library, "before-birth"), "dates of files do not count"
    with library.store.transaction():
        library.store.catalog.database.run(
            "UPDATE photos SET taken_at = '2015-01-01T00:00:00', date_source = 'exif', date_precision = 'second'"
            " WHERE id IN (SELECT photo FROM faces WHERE id IN (?, ?))",
            *faces_of(library, 1)[:2],
        )
    (problem,) = found(library, "before-birth")
    assert sorted(face.face_id for face in problem.faces) == faces_of(library, 1)[:2]


def test_similarities_are_those_of_the_means(library: Library) -> None:
    store = library.store
    vectors = {face.face_id: face for face in store.catalog.faces.all()}
    for question in merges(library):
        assert question.other is not None
        means: list[Any] = []
        for number in (question.person.person.number, question.other.person.number):
            ids = [face.vector_id for face in vectors.values() if face.person == number]
            total = store.catalog.vectors.get(ids, store.model.dim).sum(axis=0)
            means.append(total / np.linalg.norm(total))
        assert question.similarity == pytest.approx(float(means[0] @ means[1]), abs=1e-5)
