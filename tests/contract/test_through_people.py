"""Answers through people: which photos come in which order, and why, checked on invented people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import toy_face, toy_model_info

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import Calibration
from facesearch.filters import Filter
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.search.engine import Want, find, find_person
from facesearch.search.probes import Probe
from facesearch.search.result import Answer, Hit
from facesearch.types import Face, PhotoFacts, PhotoFile, Verdict

DIM = 32
THRESHOLD = 0.5
GUESS = calibration_of(toy_model_info(threshold=THRESHOLD))
Vector = np.ndarray[Any, Any]


def mixed(**shares: float) -> Vector:
    """Return a vector along some axes: `ann`, `bob`, and numbers such as `n5` for what makes a photo differ."""
    axes = {"ann": 0, "bob": 1, "cat": 2}
    vector = np.zeros(DIM, dtype=np.float32)
    for name, share in shares.items():
        vector[axes.get(name) if name in axes else 3 + int(name[1:])] = share
    unit: Vector = vector / np.linalg.norm(vector)
    return unit


class Library:
    """A store whose photos are known by name, and whose people are given."""

    def __init__(self) -> None:
        self.store = Store.memory(toy_model_info(dim=DIM, threshold=THRESHOLD))
        self.gallery = LocalGallery(self.store)
        self.root = self.store.catalog.roots.add(b"/photos")

    def add(
        self, name: str, *faces: tuple[Vector, int | None], quality: float = 0.9, looks: int | None = None
    ) -> list[int]:
        catalog = self.store.catalog
        with self.store.transaction():
            content = hashlib.sha256(name.encode()).digest()
            file = PhotoFile(name.encode(), 1, 0)
            photo = catalog.photos.put(
                self.root.id, file, content, "faces", facts=PhotoFacts(640, 480), fingerprint=looks
            )
            found = [toy_face(vector, (100.0 * place, 0, 50, 60), quality) for place, (vector, _) in enumerate(faces)]
            catalog.faces.replace(photo, found)
            ids = [row[0] for row in catalog.database.rows("SELECT id FROM faces WHERE photo = ? ORDER BY id", photo)]
            for face, (_, person) in zip(ids, faces, strict=True):
                while person is not None and catalog.people.current(person) is None:
                    catalog.people.add()
                if person is not None:
                    catalog.people.assign([(face, person, None)])
            catalog.database.run(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('grouped', ?)",
                f'{{"vectors": 1, "statements": 0, "people": {catalog.people.count()}}}',
            )
        return ids

    def ask(self, vector: Vector, path: str = "me.jpg", **want: Any) -> Answer:
        options = {"threshold": THRESHOLD, "people": True, "counted": THRESHOLD, **want}
        return find(self.gallery, probe(vector, path), Want(**options), GUESS)


def probe(vector: Vector, path: str = "me.jpg") -> Probe:
    face = replace(toy_face(vector), quality=0.9)
    return Probe(path, 1, 1, Face(face.detection, face.embedding, 0.9), content=hashlib.sha256(path.encode()).digest())


def names(answer: Answer) -> list[str]:
    return [Path(hit.path).name for hit in answer.hits]


@pytest.fixture
def library() -> Iterator[Library]:
    """Ann is #1, three times like the question and twice not; Bob, #2, is like it once; a stranger is like it."""
    library = Library()
    for number, share in enumerate((0.9, 0.8, 0.7)):
        library.add(f"near {number}.jpg", (mixed(ann=share, **{f"n{number}": (1 - share**2) ** 0.5}), 1))
    library.add("old.jpg", (mixed(ann=0.4, n0=0.6, n1=0.5, n5=0.4), 1))
    library.add("older.jpg", (mixed(ann=0.3, n0=0.5, n1=0.5, n6=0.6), 1))
    library.add("bob like ann.jpg", (mixed(ann=0.7, bob=0.7), 2))
    for number in range(4):
        library.add(f"bob {number}.jpg", (mixed(bob=0.9, **{f"n1{number}": 0.4}), 2))
    library.add("stranger like ann.jpg", (mixed(ann=0.3, n2=0.55, n20=0.78), None))
    library.add("nobody.jpg", (mixed(n21=1), None))
    yield library
    library.store.close()


@pytest.fixture
def measured() -> Calibration:
    """A calibration that was measured: the guess, as if of 17 people."""
    return replace(GUESS, people=17)


QUESTION = mixed(ann=0.8, n2=0.55, n0=0.1, n1=0.1)


def test_direct_hits_then_the_person_then_somebody_else(library: Library) -> None:
    answer = library.ask(QUESTION)
    assert answer.person == 1
    assert names(answer) == [
        "near 2.jpg", "near 0.jpg", "near 1.jpg", "old.jpg", "older.jpg", "bob like ann.jpg", "stranger like ann.jpg",
    ]  # fmt: skip
    assert [hit.rank for hit in answer.hits] == [1, 2, 3, 4, 5, 6, 7]
    assert [hit.via for hit in answer.hits] == ["face"] * 3 + ["person"] * 2 + ["face"] * 2
    assert [hit.somebody_else for hit in answer.hits] == [False] * 5 + [True] * 2
    assert [hit.counts(THRESHOLD) for hit in answer.hits] == [True] * 5 + [False] * 2
    assert {hit.verdict for hit in answer.hits[5:]} == {Verdict.unlikely}
    through = answer.hits[3:5]
    assert all(hit.similarity < THRESHOLD for hit in through)
    assert through[0].similarity_to_person is not None
    assert through[1].similarity_to_person is not None
    assert through[0].similarity_to_person >= through[1].similarity_to_person


def test_similarities_are_the_plain_ones(library: Library) -> None:
    direct = library.ask(QUESTION, people=False)
    plain = {hit.face.face_id: (hit.similarity, hit.fmr) for hit in direct.hits}
    through = {hit.face.face_id: hit for hit in library.ask(QUESTION).hits}
    assert set(plain) <= set(through)
    for face, (similarity, fmr) in plain.items():
        assert through[face].similarity == pytest.approx(similarity, abs=1e-5)
        assert through[face].fmr == fmr


def test_each_hit_through_the_person_names_the_direct_hit_nearest_to_it(library: Library) -> None:
    answer = library.ask(QUESTION)
    direct = {hit.face.face_id: hit for hit in answer.hits[:3]}
    vectors = {row.face_id: library.gallery.vectors([row])[0] for row in library.gallery.records()}
    for hit in answer.hits[3:5]:
        assert hit.via_face is not None
        nearest = max(direct, key=lambda face: float(vectors[face] @ vectors[hit.face.face_id]))
        assert hit.via_face.face_id == nearest


def test_the_similarity_to_the_person_leaves_the_face_itself_out(library: Library) -> None:
    answer = library.ask(QUESTION)
    vectors = {row.face_id: library.gallery.vectors([row])[0] for row in library.gallery.records(Filter(person=1))}
    for hit in answer.hits[:5]:
        others = sum(vector for face, vector in vectors.items() if face != hit.face.face_id)
        expected = float(vectors[hit.face.face_id] @ (others / np.linalg.norm(others)))
        assert hit.similarity_to_person == pytest.approx(expected, abs=1e-5)


def test_top_k_cuts_the_list_and_never_reorders_it(library: Library) -> None:
    whole = names(library.ask(QUESTION))
    for k in range(1, 12):
        cut = library.ask(QUESTION, threshold=None, top_k=k)
        assert names(cut)[: len(whole)] == whole[:k]
        assert len(cut.hits) == min(k, 12)
    everything = library.ask(QUESTION, threshold=None, top_k=12)
    assert [hit.reaches(THRESHOLD) for hit in everything.hits[7:]] == [False] * 5


def test_filters_choose_among_the_answers_and_not_who_it_is(library: Library) -> None:
    """The photos by which the person is recognised need not pass."""
    old = library.ask(QUESTION, filter=Filter(under=("/photos/old.jpg", "/photos/bob like ann.jpg")))
    assert (old.person, names(old)) == (1, ["old.jpg", "bob like ann.jpg"])
    (hit, _) = old.hits
    assert hit.via_face is None, "no photo of the person that passes is like the question, and it is the nearest"


def test_a_question_whose_person_is_unclear_stays_direct(library: Library) -> None:
    answer = library.ask(mixed(n21=1))
    assert (answer.person, names(answer)) == (None, ["nobody.jpg"])
    between = library.ask(mixed(ann=0.2, n20=0.9))
    assert (between.person, names(between)) == (None, ["stranger like ann.jpg"])


def test_hits_of_people_whom_an_unclear_question_does_not_show_come_last(library: Library) -> None:
    library.add("cat like it.jpg", (mixed(n25=0.7, cat=0.7), 3))
    for number in range(9):
        library.add(f"cat {number}.jpg", (mixed(cat=0.9, **{f"n1{number}": 0.4}), 3))
    library.add("friend.jpg", (mixed(n25=0.6, n26=0.8), None))
    answer = library.ask(mixed(n25=1))
    assert answer.person is None
    assert names(answer) == ["friend.jpg", "cat like it.jpg"]
    assert [hit.somebody_else for hit in answer.hits] == [False, True]


def test_the_query_photo_itself_says_who_it_is(library: Library) -> None:
    """A photo of the person that resembles nobody but a stranger, in the index: grouping knows."""
    vector = mixed(n6=0.9, n5=0.4)
    library.add("me.jpg", (vector, 1))
    library.add("like me.jpg", (mixed(n6=0.9, n27=0.5), None))
    answer = library.ask(vector)
    assert answer.person == 1
    assert names(answer)[0] == "me.jpg"
    assert answer.hits[0].is_query
    assert {"near 0.jpg", "old.jpg"} <= set(names(answer))
    assert [hit.somebody_else for hit in answer.hits if hit.path.endswith("/like me.jpg")] == [True]
    assert library.ask(vector, "elsewhere.jpg").person is None


def test_photos_are_listed_once_and_all_faces_on_request(library: Library) -> None:
    """A photo with two faces of the person, and one where somebody else resembles the question more."""
    library.add("collage.jpg", (mixed(ann=0.85, n7=0.5), 1), (mixed(ann=0.3, n0=0.7, n1=0.6), 1))
    library.add("both.jpg", (mixed(ann=0.3, n0=0.6, n1=0.6), 1), (mixed(ann=0.62, bob=0.75), 2))
    answer = library.ask(QUESTION)
    assert sorted(names(answer)) == sorted(set(names(answer)))
    both = next(hit for hit in answer.hits if hit.path.endswith("both.jpg"))
    assert (both.via, both.person) == ("person", 1)
    every = library.ask(QUESTION, all_faces=True)
    assert names(every).count("collage.jpg") == 2
    assert names(every).count("both.jpg") == 2
    assert len({hit.face.face_id for hit in every.hits}) == len(every.hits)


def test_top_k_of_all_faces_is_the_beginning_of_the_list(library: Library) -> None:
    library.add("collage.jpg", (mixed(ann=0.85, n7=0.5), 1), (mixed(ann=0.3, n0=0.7, n1=0.6), 1))
    whole = [hit.face.face_id for hit in library.ask(QUESTION, all_faces=True).hits]
    for k in range(1, len(whole) + 3):
        cut = library.ask(QUESTION, all_faces=True, threshold=None, top_k=k)
        assert [hit.face.face_id for hit in cut.hits][: len(whole)] == whole[:k]


def test_a_filter_by_another_person_leaves_nothing(library: Library) -> None:
    assert [hit.person for hit in library.ask(QUESTION, filter=Filter(person=2)).hits] == [2]


def test_companions_and_excluded_people_go_through_people(library: Library) -> None:
    """Photos where the other one resembles their query photo too little."""
    library.add("together.jpg", (mixed(ann=0.9, n8=0.3), 1), (mixed(bob=0.3, n9=0.9), 2))
    bob = probe(mixed(bob=1), "bob.jpg")
    options: dict[str, Any] = {"company_threshold": THRESHOLD}
    together = library.ask(QUESTION, together=(bob,), **options)
    assert names(together) == ["together.jpg"]
    assert "together.jpg" not in names(library.ask(QUESTION, without=(bob,), **options))
    assert names(library.ask(QUESTION, together=(bob,), people=False, **options)) == []


def test_near_identical_photos_are_folded_across_both_ways(library: Library) -> None:
    """A direct hit with a copy that is found through the person alone, and two of those that are alike."""
    library.add("shot.jpg", (mixed(ann=0.52, n0=0.5, n1=0.5, n8=0.5), 1), looks=7)
    library.add("same shot.jpg", (mixed(ann=0.4, n0=0.5, n1=0.5, n8=0.55), 1), looks=7)
    whole, folded = library.ask(QUESTION), library.ask(QUESTION, fold=True)
    assert {hit.via for hit in whole.hits if "shot.jpg" in hit.path} == {"face", "person"}
    assert names(folded) == [name for name in names(whole) if name != "same shot.jpg"]
    (shot,) = [hit for hit in folded.hits if hit.path.endswith("/shot.jpg")]
    assert [Path(also.path).name for also in shot.folded] == ["same shot.jpg"]
    for k in range(1, 14):
        cut = library.ask(QUESTION, fold=True, threshold=None, top_k=k)
        assert names(cut)[: len(folded.hits)] == names(folded)[:k]


def test_a_person_by_number(library: Library) -> None:
    want = Want(people=True, counted=THRESHOLD)
    answer = find_person(library.gallery, 1, want, GUESS)
    assert answer.probe.person == 1
    assert sorted(names(answer)) == ["near 0.jpg", "near 1.jpg", "near 2.jpg", "old.jpg", "older.jpg"]
    assert all(hit.via == "person" and hit.fmr is None for hit in answer.hits)
    similar = [hit.similarity_to_person or 0.0 for hit in answer.hits]
    assert similar == sorted(similar, reverse=True)
    assert [hit.similarity for hit in answer.hits] == similar
    assert len(find_person(library.gallery, 1, replace(want, top_k=2), GUESS).hits) == 2
    library.add("sheet.jpg", *((mixed(ann=0.9, **{f"n{number}": 0.4}), 1) for number in range(4)))
    assert names(find_person(library.gallery, 1, want, GUESS)).count("sheet.jpg") == 1
    assert names(find_person(library.gallery, 1, replace(want, all_faces=True), GUESS)).count("sheet.jpg") == 4


def test_verdicts_come_from_the_weaker_link(library: Library, measured: Calibration) -> None:
    def through(calibration: Calibration, vector: Vector) -> list[Hit]:
        want = Want(threshold=THRESHOLD, people=True, counted=THRESHOLD)
        answer = find(library.gallery, probe(vector), want, calibration)
        return [hit for hit in answer.hits if hit.via == "person"]

    assert {hit.verdict for hit in through(GUESS, QUESTION)} == {Verdict.possible}, "a guess says no more"
    sure = through(measured, QUESTION)
    assert {hit.verdict for hit in sure} <= {Verdict.strong, Verdict.likely}


def test_a_gallery_without_people_answers_as_before(library: Library) -> None:
    with library.store.catalog.transaction():
        library.store.catalog.database.run("DELETE FROM assignments")
        library.store.catalog.database.run("DELETE FROM meta WHERE key = 'grouped'")
    assert library.gallery.size().people is None
    answer = library.ask(QUESTION)
    assert answer.person is None
    assert names(answer) == names(library.ask(QUESTION, people=False))
