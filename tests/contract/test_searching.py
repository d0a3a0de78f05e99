"""Queries to a real store with invented faces, checked against a plain search through all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.calibration.storage import calibration_of
from facesearch.calibration.table import Calibration
from facesearch.filters import Filter
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.search.engine import Want, find, find_all
from facesearch.search.probes import Probe
from facesearch.search.result import Hit
from facesearch.types import Face, PhotoFacts, PhotoFile, TakenAt, Verdict

DIM = 8
DAY = 86400 * 10**9
GUESS = calibration_of(toy_model_info(threshold=0.5))


def direction(*numbers: float) -> np.ndarray:
    """Return a vector that begins with the given numbers."""
    vector = np.zeros(DIM, dtype=np.float32)
    vector[: len(numbers)] = numbers
    return vector


def face(vector: np.ndarray, left: float = 0, size: float = 50, quality: float | None = 0.9) -> Face:
    return replace(toy_face(vector, (left, 0, size, size * 1.2)), quality=quality)


class Library:
    """A store that is filled photo by photo."""

    def __init__(self) -> None:
        self.store = Store.memory(toy_model_info(dim=DIM))
        self.gallery = LocalGallery(self.store)
        self.root = self.store.catalog.roots.add(b"/photos")

    def add(
        self, path: str, *faces: Face, looks: int | None = None, day: int = 20_000, taken: str | None = None
    ) -> None:
        facts = PhotoFacts(640, 480, None if taken is None else TakenAt(taken[:19], "exif", "second", taken[19:]))
        content = hashlib.sha256(path.encode()).digest()
        file = PhotoFile(path.encode(), 10, day * DAY + DAY // 2)
        with self.store.transaction():
            photo = self.store.catalog.photos.put(
                self.root.id, file, content, "faces" if faces else "no_face", facts=facts, fingerprint=looks
            )
            self.store.catalog.faces.replace(photo, faces)

    def ask(self, vector: np.ndarray, path: str = "me.jpg", **want: Any) -> list[Hit]:
        return find(self.gallery, probe(vector, path), Want(**want), GUESS).hits


def probe(vector: np.ndarray, path: str = "me.jpg") -> Probe:
    return Probe(path, 1, 1, face(vector), content=hashlib.sha256(path.encode()).digest())


def names(hits: list[Hit]) -> list[str]:
    return [Path(hit.face.path.decode()).name for hit in hits]


@pytest.fixture
def library() -> Iterator[Library]:
    library = Library()
    yield library
    library.store.close()


ME, YOU = direction(1), direction(0, 1)


def test_the_query_photo_itself_is_marked_and_not_counted(library: Library) -> None:
    library.add("me.jpg", face(ME), face(YOU, 100))
    library.add("near.jpg", face(direction(1, 0.3)))
    library.add("far.jpg", face(direction(1, 2)))
    hits = library.ask(ME, top_k=2)
    assert [(hit.rank, hit.is_query) for hit in hits] == [(0, True), (1, False), (2, False)]
    assert names(hits) == ["me.jpg", "near.jpg", "far.jpg"]
    assert names(library.ask(ME, "elsewhere.jpg", top_k=2)) == ["me.jpg", "near.jpg"]
    alone = library.ask(ME, top_k=1, filter=Filter(not_under=(b"/photos/me.jpg",)))
    assert names(alone) == ["near.jpg"]


def test_the_nearest_is_named_if_nothing_passes(library: Library) -> None:
    library.add("me.jpg", face(ME))
    library.add("like me.jpg", face(direction(1, 4)))
    answer = find(library.gallery, probe(ME), Want(threshold=0.9), GUESS)
    assert names(answer.hits) == ["me.jpg"]
    assert answer.nearest is not None
    assert (answer.nearest.face.path, answer.nearest.verdict) == (b"/photos/like me.jpg", Verdict.unlikely)
    assert find(library.gallery, probe(ME), Want(filter=Filter(min_face=500)), GUESS).nearest is None


@pytest.mark.parametrize("others", [0, 70])
def test_what_is_likely_and_below_the_threshold_is_counted(
    measured: Calibration, library: Library, others: int
) -> None:
    """Likely faces below the threshold are counted for any number of hits."""
    for number in range(others):
        library.add(f"hit {number}.jpg", face(direction(1, number / 1000)))
    library.add("hit.jpg", face(ME), face(direction(1, 0.45), 100))  # a second face of a photo that is found
    library.add("likely.jpg", face(direction(1, 0.44)), face(direction(1, 0.46), 100))
    library.add("poor.jpg", face(direction(1, 1.3), quality=0.01))
    library.add("me.jpg", face(direction(1, 0.44)))
    for number in range(200):
        library.add(f"nobody {number}.jpg", face(direction(1, 9 + number)))

    def missed(**want: Any) -> int:
        dim = replace(probe(ME), face=face(ME, quality=0.1))
        return find(library.gallery, dim, Want(**want), measured).missed

    assert missed(threshold=0.95) == 1
    assert missed(threshold=0.85) == 0, "it is a hit"
    assert missed(top_k=3) == 0, "without a threshold nothing is below it"


def test_filters(library: Library) -> None:
    library.add("a/old.jpg", face(ME), taken="2019-07-31T23:59:59+02:00")
    library.add("a/new.jpg", face(direction(1, 0.1)), taken="2024-06-01T00:00:00")
    library.add("ab/undated.jpg", face(direction(1, 0.2), size=20), day=19_000)  # 2022-01-08
    library.add("b/two.jpg", face(direction(1, 0.3), quality=0.1), face(YOU, 100))
    library.add("b/unmeasured.jpg", face(direction(1, 0.4), quality=None), *(face(YOU, 100 * n) for n in (1, 2, 3)))

    def found(**limits: Any) -> list[str]:
        return names(library.ask(ME, threshold=0.5, filter=Filter(**limits)))

    every = ["old.jpg", "new.jpg", "undated.jpg", "two.jpg", "unmeasured.jpg"]
    assert found() == every
    assert found(under=(b"/photos",)) == found(under=(b"/",)) == every
    assert found(under=(b"/photos/a",)) == ["old.jpg", "new.jpg"], "not the folder ab"
    assert found(under=(b"/photos/a", b"/photos/b/two.jpg")) == ["old.jpg", "new.jpg", "two.jpg"]
    assert found(under=(b"/photo",)) == []
    assert found(not_under=(b"/photos/a", b"/photos/b")) == ["undated.jpg"]
    assert found(under=(b"/photos/b",), not_under=(b"/photos/b/two.jpg",)) == ["unmeasured.jpg"]
    assert found(since="2022-01-01T00:00:00", until="2022-12-31T23:59:59") == ["undated.jpg"]
    assert found(until="2019-07-31T23:59:59") == ["old.jpg"]
    assert found(until="2019-07-31T23:59:58") == []
    assert found(since="2024-06-01T00:00:00", until="2024-06-01T00:00:00") == ["new.jpg"]
    assert found(min_face=21) == ["old.jpg", "new.jpg", "two.jpg", "unmeasured.jpg"]
    assert found(min_quality=0.5) == ["old.jpg", "new.jpg", "undated.jpg"]
    assert found(faces=(1, 1)) == ["old.jpg", "new.jpg", "undated.jpg"]
    assert found(faces=(2, 4)) == ["two.jpg", "unmeasured.jpg"]
    assert found(faces=(2, 4), min_quality=0.05) == ["two.jpg"]


def test_filtered_answers_count_what_they_searched(measured: Calibration, library: Library) -> None:
    for number in range(40):
        library.add(f"{'a' if number % 4 else 'b'}/{number}.jpg", face(direction(1, number / 10)))
    answer = find(library.gallery, probe(ME), Want(top_k=5, filter=Filter(under=(b"/photos/b",))), measured)
    assert answer.searched == 10
    assert names(answer.hits) == [f"{number}.jpg" for number in (0, 4, 8, 12, 16)]
    for hit in answer.hits:
        assert hit.fmr == pytest.approx(measured.fmr(hit.similarity))
        assert hit.expected_false_hits == pytest.approx(1000 * measured.fmr(hit.similarity)), "at least 1,000 faces"
    for hit in library.ask(ME, top_k=5):
        assert (hit.fmr, hit.expected_false_hits, hit.extrapolated) == (None, None, False), "not measured"


def test_together_means_each_with_a_face_of_their_own(library: Library) -> None:
    library.add("both.jpg", face(direction(1, 0.1)), face(direction(0.1, 1), 100))
    library.add("me.jpg", face(ME))
    library.add("you.jpg", face(YOU))
    library.add("between.jpg", face(direction(1, 1)))  # one face that is similar to both people
    library.add("three.jpg", face(direction(1, 0.2)), face(YOU, 100), face(direction(0, 0, 1), 200))
    you, she = probe(YOU, "you2.jpg"), probe(direction(0, 0, 1), "she.jpg")
    asked = {"threshold": 0.5, "company_threshold": 0.5}
    assert names(library.ask(ME, "q.jpg", together=(you,), **asked)) == ["both.jpg", "three.jpg"]
    assert names(library.ask(ME, "q.jpg", together=(you, she), **asked)) == ["three.jpg"]
    assert names(library.ask(ME, "q.jpg", together=(you, you), **asked)) == [], "needs two such faces"
    only = Filter(faces=(2, 2))
    assert names(library.ask(ME, "q.jpg", together=(you,), filter=only, **asked)) == ["both.jpg"]


def test_without_excludes_photos_of_a_person(library: Library) -> None:
    library.add("both.jpg", face(direction(1, 0.1)), face(direction(0.1, 1), 100))
    library.add("me.jpg", face(ME))
    library.add("you.jpg", face(YOU))
    library.add("like both, rather me.jpg", face(direction(1, 0.9)))
    library.add("like both, rather you.jpg", face(direction(0.9, 1)))
    library.add("me and she.jpg", face(direction(1, 0.2)), face(direction(0, 0, 1), 100))
    you, she = probe(YOU, "you2.jpg"), probe(direction(0, 0, 1), "she.jpg")
    asked = {"threshold": 0.5, "company_threshold": 0.5}
    rather_me = "like both, rather me.jpg"
    assert names(library.ask(ME, "q.jpg", without=(you,), **asked)) == ["me.jpg", "me and she.jpg", rather_me]
    assert names(library.ask(ME, "q.jpg", without=(you, she), **asked)) == ["me.jpg", rather_me]
    assert names(library.ask(ME, "q.jpg", without=(you,), together=(she,), **asked)) == ["me and she.jpg"]
    assert names(library.ask(ME, "q.jpg", without=(you,), top_k=9, company_threshold=0.5)) == [
        "me.jpg", "me and she.jpg", rather_me,
    ], "photos of the excluded person do not fill up the list"  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), max_size=8), st.sampled_from([1, 2]))
def test_with_and_without_divide_what_is_found(photos: list[list[int]], other: int) -> None:
    people = [ME, YOU, direction(0, 0, 1)]
    library = Library()
    try:
        for number, shown in enumerate(photos):
            library.add(f"{number}.jpg", *(face(people[who], 100 * place) for place, who in enumerate(shown)))
        them = (probe(people[other], "them.jpg"),)
        found, having, lacking = (
            set(names(library.ask(ME, "q.jpg", threshold=0.5, company_threshold=0.5, **company)))
            for company in ({}, {"together": them}, {"without": them})
        )
        assert having | lacking == found
        assert not having & lacking
        assert lacking == {f"{n}.jpg" for n, shown in enumerate(photos) if 0 in shown and other not in shown}
    finally:
        library.store.close()


def test_near_identical_shots_are_one_hit(library: Library) -> None:
    library.add("burst 1.jpg", face(direction(1, 0.10)), looks=0b1111)
    library.add("burst 2.jpg", face(direction(1, 0.12)), looks=0b0111)
    library.add("same look, other face.jpg", face(direction(1, 1.5)), looks=0b1111)
    library.add("other look.jpg", face(direction(1, 0.11)), looks=-1)
    library.add("unmeasured.jpg", face(direction(1, 0.13)))
    library.add("burst 3.jpg", face(direction(1, 0.2)), looks=0b1110)
    hits = library.ask(ME, "q.jpg", top_k=4, fold=True)
    assert names(hits) == ["burst 1.jpg", "other look.jpg", "unmeasured.jpg", "same look, other face.jpg"]
    assert [names(list(hit.folded)) for hit in hits] == [["burst 2.jpg", "burst 3.jpg"], [], [], []]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert len(library.ask(ME, "q.jpg", top_k=9)) == 6


def test_expansion_finds_what_is_like_the_strong_hits(measured: Calibration, library: Library) -> None:
    for number in range(4):
        library.add(f"sure {number}.jpg", face(direction(1, 0.5, number / 20)))
    library.add("like those.jpg", face(direction(0.2, 1)))
    library.add("nobody.jpg", face(direction(0, 0, 0, 1)))
    plain, expanded = (
        find(library.gallery, probe(ME), Want(threshold=0.4, expand=expand), measured) for expand in (False, True)
    )
    assert "like those.jpg" not in names(plain.hits)
    assert "like those.jpg" in names(expanded.hits)
    assert "nobody.jpg" not in names(expanded.hits)
    assert (plain.probe.found, expanded.probe.found) == (0, 4)
    seeds = [direction(1, 0.5, number / 20) for number in range(4)]
    units = [seed / np.linalg.norm(seed) for seed in seeds]
    total = ME + sum(units)
    for hit in expanded.hits:
        if names([hit])[0].startswith("sure"):
            own = units[int(names([hit])[0][5])]
            rest = total - own
            assert hit.similarity == pytest.approx(float(own @ rest / np.linalg.norm(rest)), abs=1e-5)
    nobody = probe(direction(0, 0, 0, 0, 1))
    same = [find(library.gallery, nobody, Want(top_k=3, expand=expand), measured) for expand in (False, True)]
    assert [hit.similarity for hit in same[0].hits] == [hit.similarity for hit in same[1].hits]


@pytest.fixture
def measured() -> Calibration:
    return replace(GUESS, people=12)


def test_expanding_without_a_strong_hit_changes_nothing(measured: Calibration, library: Library) -> None:
    library.add("unlike.jpg", face(direction(1, 1.8)))
    plain, expanded = (
        find(library.gallery, probe(ME), Want(top_k=1, expand=expand), measured) for expand in (False, True)
    )
    assert plain.hits[0].similarity == expanded.hits[0].similarity
    assert expanded.probe.found == 0


numbers = st.one_of(st.floats(-1, -0.0078125, width=32), st.floats(0.0078125, 1, width=32))


@settings(deadline=None)
@given(st.data())
def test_any_query_is_answered_as_by_brute_force(data: st.DataObject) -> None:
    library = Library()
    try:
        shown: dict[str, list[np.ndarray]] = {}
        for number in range(data.draw(st.integers(0, 12), label="photos")):
            drawn = data.draw(st.lists(st.lists(numbers, min_size=DIM, max_size=DIM), max_size=3), label="faces")
            shown[f"{number % 3}/{number}.jpg"] = [np.array(vector, dtype=np.float32) for vector in drawn]
        for path, vectors in shown.items():
            library.add(path, *(face(vector, 100 * place) for place, vector in enumerate(vectors)))
        query = np.array(data.draw(st.lists(numbers, min_size=DIM, max_size=DIM), label="query"), np.float32)
        query /= np.linalg.norm(query)
        top_k = data.draw(st.one_of(st.none(), st.integers(1, 5)), label="top k")
        threshold = data.draw(st.sampled_from([None, -1.0, 0.0, 0.4]), label="threshold")
        folder, most = data.draw(st.sampled_from([None, "0", "1"])), data.draw(st.sampled_from([None, 1, 2]))
        wanted = Filter(
            under=() if folder is None else (f"/photos/{folder}".encode(),), faces=None if most is None else (0, most)
        )
        hits = library.ask(query, "q.jpg", top_k=top_k, threshold=threshold, filter=wanted)
        expected = [
            max(float(vector @ query / np.linalg.norm(vector)) for vector in vectors)
            for path, vectors in shown.items()
            if vectors and (folder is None or path.startswith(folder)) and (most is None or len(vectors) <= most)
        ]
        expected = sorted((s for s in expected if threshold is None or s >= threshold), reverse=True)[:top_k]
        assert [hit.similarity for hit in hits] == pytest.approx(expected, abs=1e-5)
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    finally:
        library.store.close()


def test_many_queries_at_once_are_answered_like_one_by_one(library: Library) -> None:
    rng = np.random.default_rng(7)
    for number in range(300):
        library.add(f"{number}.jpg", face(rng.normal(size=DIM).astype(np.float32)))
    probes = [probe(row / np.linalg.norm(row), f"q{n}.jpg") for n, row in enumerate(rng.normal(size=(9, DIM)))]
    want = Want(threshold=0.3, filter=Filter(min_quality=0.5))
    together = find_all(library.gallery, probes, want, GUESS)
    for one, answer in zip(probes, together, strict=True):
        alone = find(library.gallery, one, want, GUESS)
        assert names(answer.hits) == names(alone.hits)
        assert [hit.verdict for hit in answer.hits] == [hit.verdict for hit in alone.hits]
