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
from facesearch.store import vectors as vectors_module
from facesearch.store.vectors import FaissIndex, Stamp, VectorIndex, read_stamp

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
