"""One suite for every `VectorIndex`, with plain numpy as the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.errors import StorageError
from facesearch.vectors import faiss_index as vectors_module
from facesearch.vectors import kinds
from facesearch.vectors.faiss_index import FaissIndex, Stamp, VectorIndex, read_stamp

UUID = bytes(range(16))
Array = np.ndarray[Any, Any]


def unit(vectors: Array) -> Array:
    scaled: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def random_vectors(count: int, dim: int, seed: int = 0) -> Array:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


class Oracle:
    """A dictionary, and all scores computed in double precision."""

    def __init__(self) -> None:
        self.rows: dict[int, Array] = {}

    def search(self, query: Array, k: int, allowed: set[int] | None) -> list[tuple[float, int]]:
        scored = [
            (float(np.float32((vector.astype(np.float64) * query).sum())), row_id)
            for row_id, vector in self.rows.items()
            if allowed is None or row_id in allowed
        ]
        return sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]


def check(index: VectorIndex, oracle: Oracle, queries: Array, k: int, allowed: set[int] | None = None) -> None:
    wanted = None if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    scores, ids = index.search(queries, k, wanted)
    width = min(k, len(oracle.rows))
    assert len(index) == len(oracle.rows)
    assert scores.shape == ids.shape == (len(queries), width)
    assert scores.dtype == np.float32
    assert ids.dtype == np.int64
    for row, query in enumerate(queries):
        expected = oracle.search(query, k, allowed)
        assert ids[row, : len(expected)].tolist() == [row_id for _, row_id in expected]
        assert np.allclose(scores[row, : len(expected)], [score for score, _ in expected], atol=1e-5)
        assert (ids[row, len(expected) :] == -1).all()
        assert np.isneginf(scores[row, len(expected) :]).all()


Reopen = Callable[[FaissIndex], FaissIndex]


def reopened(index: FaissIndex, path: Path) -> FaissIndex:
    """What was saved, read back, and with everything since in the tail."""
    found = FaissIndex.open(path, index.dim, UUID)
    assert found is not None
    return found


@pytest.fixture(params=["read whole", "mapped"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small files are read whole, large ones mapped: a limit of 0 makes every file a large one."""
    if request.param == "mapped":
        monkeypatch.setattr(vectors_module, "VERIFIED_BELOW", 0)
    return str(request.param)


# A few directions only, so that there are exact copies, and equal scores across the base, the tail and the dead.
directions = random_vectors(6, 8, seed=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.integers(0, 5), min_size=1, max_size=12)),
        st.tuples(st.just("remove"), st.lists(st.integers(1, 60), min_size=1, max_size=6)),
        st.tuples(st.just("save"), st.just([0])),
        st.tuples(st.just("search"), st.lists(st.integers(0, 5), min_size=1, max_size=6)),
    ),
    max_size=14,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(steps=steps, k=st.integers(1, 40), allowed=st.none() | st.sets(st.integers(1, 60), max_size=20))
def test_any_history_answers_like_brute_force(
    reading: str, tmp_path: Path, steps: list[tuple[str, list[int]]], k: int, allowed: set[int] | None
) -> None:
    path = tmp_path / "faces.faiss"
    path.unlink(missing_ok=True)
    index, oracle, next_id = FaissIndex(8, path, Stamp(UUID, 0, 0)), Oracle(), 1
    for step, values in steps:
        if step == "add":
            ids = np.arange(next_id, next_id + len(values), dtype=np.int64)
            index.add(ids, directions[values])
            oracle.rows |= dict(zip(ids.tolist(), directions[values], strict=True))
            next_id += len(values)
        elif step == "remove":
            index.remove(np.array(values, dtype=np.int64))
            for row_id in values:
                oracle.rows.pop(row_id, None)
        elif step == "save":
            index.stamp = Stamp(UUID, 7, next_id - 1)
            index.save()
            index = reopened(index, path)
            assert index.stamp == Stamp(UUID, 7, next_id - 1)
            assert index.verified == (reading == "read whole")
        else:
            check(index, oracle, directions[values], k, allowed)
    check(index, oracle, directions, k, allowed)


def filled(tmp_path: Path, count: int = 3000, dim: int = 32) -> tuple[FaissIndex, Oracle]:
    vectors = random_vectors(count, dim)
    index, oracle = FaissIndex(dim, tmp_path / "faces.faiss", Stamp(UUID, 1, count)), Oracle()
    ids = np.arange(1, count + 1, dtype=np.int64)
    index.add(ids, vectors)
    oracle.rows = dict(zip(ids.tolist(), vectors, strict=True))
    index.save()
    return reopened(index, tmp_path / "faces.faiss"), oracle


@pytest.mark.parametrize("questions", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 10, 1500, 5000])
def test_few_and_many_questions_and_answers(reading: str, tmp_path: Path, questions: int, k: int) -> None:
    index, oracle = filled(tmp_path)
    check(index, oracle, random_vectors(questions, 32, seed=9), k)


def test_base_tail_and_dead_together(reading: str, tmp_path: Path) -> None:
    index, oracle = filled(tmp_path)
    more = random_vectors(500, 32, seed=4)
    ids = np.arange(3001, 3501, dtype=np.int64)
    index.add(ids, more)
    oracle.rows |= dict(zip(ids.tolist(), more, strict=True))
    dead = list(range(5, 3400, 7))
    index.remove(np.array(dead, dtype=np.int64))
    for row_id in dead:
        del oracle.rows[row_id]
    queries = random_vectors(3, 32, seed=9)
    check(index, oracle, queries, 25)
    check(index, oracle, queries, 25, allowed=set(range(2000, 3450, 3)))
    check(index, oracle, queries, 25, allowed=set())


def test_more_copies_than_any_slack_are_ordered_by_id(reading: str, tmp_path: Path) -> None:
    index, oracle = FaissIndex(8, tmp_path / "faces.faiss", Stamp(UUID, 1, 400)), Oracle()
    ids = np.arange(1, 401, dtype=np.int64)
    index.add(ids, np.repeat(directions[:1], 400, axis=0))
    oracle.rows = dict.fromkeys(ids.tolist(), directions[0])
    index.save()
    index = reopened(index, tmp_path / "faces.faiss")
    check(index, oracle, directions[:1], 5)
    index.remove(np.arange(1, 200, dtype=np.int64))
    for row_id in range(1, 200):
        del oracle.rows[row_id]
    check(index, oracle, directions[:1], 5)


def test_nothing_to_search(tmp_path: Path) -> None:
    empty = FaissIndex(8)
    scores, ids = empty.search(directions, 5)
    assert scores.shape == ids.shape == (6, 0)
    index, _ = filled(tmp_path, 10)
    assert index.search(np.empty((0, 32), dtype=np.float32), 5)[0].shape == (0, 5)


def test_a_file_that_does_not_fit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "faces.faiss"
    assert FaissIndex.open(path, 32, UUID) is None
    filled(tmp_path)
    assert FaissIndex.open(path, 32, bytes(16)) is None, "another index's"
    assert FaissIndex.open(path, 16, UUID) is None, "another dimension"
    assert read_stamp(path, bytes(16)) is None
    assert read_stamp(path, UUID) == Stamp(UUID, 1, 3000)
    whole = path.read_bytes()
    for cut in (0, 10, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert FaissIndex.open(path, 32, UUID) is None, f"cut to {cut} bytes"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", [0, 3, 9, 17, 24, 40, 1000, 200_000, -1, -20, -60])
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    filled(tmp_path)
    path = tmp_path / "faces.faiss"
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    assert FaissIndex.open(path, 32, UUID) is None


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    index, _ = filled(tmp_path)
    path = tmp_path / "faces.faiss"
    before = path.read_bytes()
    index.path = tmp_path / "no such folder" / "faces.faiss"
    with pytest.raises(StorageError, match="cannot be written"):
        index.save()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces.faiss"]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 3000),
    questions=st.integers(1, 9),
    wanted=st.integers(1, 70),
    share=st.sampled_from([None, 0.0, 0.01, 0.5, 1.0]),
    aligned=st.booleans(),
    copies=st.booleans(),
    seed=st.integers(0, 9),
)
def test_products_over_blocks_find_the_best(
    rows: int, questions: int, wanted: int, share: float | None, aligned: bool, copies: bool, seed: int
) -> None:
    """Every row that is left behind is no better than said, and no better than any that was kept."""
    vectors = directions[np.random.default_rng(seed).integers(0, 6, rows)] if copies else random_vectors(rows, 8, seed)
    if not aligned:  # as in a mapped file
        raw = np.zeros(vectors.nbytes + 1, dtype=np.uint8)
        raw[1:] = vectors.view(np.uint8).ravel()
        vectors = raw[1:].view(np.float32).reshape(-1, 8)
    mask = None if share is None else np.random.default_rng(seed).random(rows) < share
    queries = random_vectors(questions, 8, seed + 100)
    scores = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    allowed = np.ones(rows, dtype=np.bool_) if mask is None else mask
    for row, candidates in enumerate(kinds.nearest(vectors, queries, wanted, mask)):
        kept = np.zeros(rows, dtype=np.bool_)
        kept[candidates.rows] = True
        left = allowed & ~kept
        assert kept.sum() == len(candidates.rows) == min(wanted, allowed.sum())
        assert not (kept & ~allowed).any()
        if left.any():
            assert scores[row, left].max() <= candidates.left_behind + 1e-6
            assert scores[row, left].max() <= scores[row, kept].min() + 1e-6


def people(count: int, dim: int, seed: int = 0) -> Array:
    """Vectors as faces have them: many of each of some hundred people."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(150, dim)))
    return unit(centres[rng.integers(0, 150, count)] + 0.8 * rng.normal(size=(count, dim)) / np.sqrt(dim))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array]:
    """20,000 faces of which an approximate index was made."""
    path = tmp_path_factory.mktemp("crowd") / "faces.faiss"
    vectors = people(20_300, 32)[:20_000]
    index = FaissIndex(32, path, Stamp(UUID, 1, 20_000))
    index.add(np.arange(1, 20_001, dtype=np.int64), vectors)
    index.save("ivf")
    return path, vectors


def test_an_approximate_index_is_as_good_as_it_says(reading: str, crowd: tuple[Path, Array]) -> None:
    path, vectors = crowd
    index = FaissIndex.open(path, 32, UUID)
    assert index is not None
    assert (index.kind, len(index)) == ("ivf", 20_000)
    assert index.recall >= kinds.LEAST_RECALL
    assert index.probes is not None
    queries = people(20_300, 32)[20_000:]
    scores, ids = index.search(queries, 10)
    exact = queries @ vectors.T
    truth = np.argsort(-exact, axis=1)[:, :10] + 1
    found = np.mean([len(set(row) & set(best)) / 10 for row, best in zip(ids.tolist(), truth.tolist(), strict=True)])
    assert found > 0.97, "of questions that it has not seen"
    assert (np.diff(scores, axis=1) <= 0).all()
    assert np.allclose(scores, np.take_along_axis(exact, ids - 1, axis=1), atol=2e-3), "within 16-bit rounding"
    own = np.arange(1, 20_001, 97)
    assert (index.search(vectors[own - 1], 1)[1][:, 0] == own).all(), "a face finds itself"
    assert np.allclose(index.vectors(own), vectors[own - 1], atol=1e-3)


def test_a_file_whose_recall_was_counted_by_ids_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release before wrote such files; of a library with copies they say 85 to 90 %, for ever."""
    index = FaissIndex(32, tmp_path / "faces.faiss", Stamp(UUID, 1, 10))
    index.add(np.arange(1, 11, dtype=np.int64), people(10, 32))
    with monkeypatch.context() as earlier:
        earlier.setattr("facesearch.vectors.faiss_index._MAGIC", b"fsvecto3")
        index.save()
    assert FaissIndex.open(tmp_path / "faces.faiss", 32, UUID) is None


@pytest.mark.parametrize("copies", [3, 30])
def test_copies_of_a_photo_are_as_good_as_one_another(tmp_path: Path, copies: int) -> None:
    """Which three of a photo's copies are among the ten nearest is chance; that it is found is not."""
    vectors = np.tile(people(60_000 // copies, 32), (copies, 1))
    index = FaissIndex(32, tmp_path / "faces.faiss", Stamp(UUID, 1, len(vectors)))
    index.add(np.arange(1, len(vectors) + 1, dtype=np.int64), vectors)
    index.save("ivf")
    index = reopened(index, tmp_path / "faces.faiss")
    assert index.recall >= kinds.LEAST_RECALL
    assert index.probes is not None
    assert index.probes <= 64, "no more than without copies"
    queries = people(20_300, 32)[-100:]
    scores, _ = index.search(queries, 10)
    exact = -np.sort(-(queries @ vectors.T), axis=1)[:, :10]
    assert (scores >= exact[:, -1:] - 2e-3).mean() > 0.97


@pytest.mark.parametrize("k", [1, 10, 300, 3000])
@pytest.mark.parametrize("share", [0.0005, 0.03, 0.3])
def test_a_filter_makes_no_answer_shorter(crowd: tuple[Path, Array], share: float, k: int) -> None:
    path, vectors = crowd
    index = FaissIndex.open(path, 32, UUID)
    assert index is not None
    allowed = np.flatnonzero(np.random.default_rng(3).random(20_000) < share) + 1
    queries = people(20_300, 32)[-5:]
    _, ids = index.search(queries, k, allowed)
    for query, row in zip(queries, ids, strict=True):
        found = row[row >= 0]
        assert len(found) == min(k, len(allowed))
        assert len(set(found.tolist())) == len(found)
        assert np.isin(found, allowed).all()
        best = allowed[np.argsort(-(vectors[allowed - 1] @ query))[:k]]
        assert len(set(found.tolist()) & set(best.tolist())) >= 0.9 * len(best)


def test_an_approximate_index_has_a_tail_and_dead_like_any_other(crowd: tuple[Path, Array]) -> None:
    path, vectors = crowd
    index = FaissIndex.open(path, 32, UUID)
    assert index is not None
    more = people(20_300, 32)[-50:]
    index.add(np.arange(20_001, 20_051, dtype=np.int64), more)
    index.remove(np.array([5, 20_007], dtype=np.int64))
    assert len(index) == 20_048
    assert index.search(more[3:4], 1)[1].tolist() == [[20_004]]
    for gone, vector in ((5, vectors[4]), (20_007, more[6])):
        assert gone not in index.search(vector[None, :], 200)[1]
    everything = index.search(more[:1], 30_000)[1][0]
    assert sorted(everything.tolist()) == sorted({*range(1, 20_051)} - {5, 20_007})


def test_few_faces_are_always_searched_exactly(tmp_path: Path) -> None:
    index, oracle = FaissIndex(8, tmp_path / "faces.faiss", Stamp(UUID, 1, 400)), Oracle()
    vectors = random_vectors(999, 8)
    index.add(np.arange(1, 1000, dtype=np.int64), vectors)
    oracle.rows = dict(zip(range(1, 1000), vectors, strict=True))
    index.save("ivf")
    index = reopened(index, tmp_path / "faces.faiss")
    assert (index.kind, index.recall, index.probes) == ("flat", 1.0, None)
    check(index, oracle, random_vectors(3, 8, seed=2), 20)
