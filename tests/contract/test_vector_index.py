"""Tests for every kind of vector index, with plain numpy as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.errors import StorageError
from facesearch.vectors import exact
from facesearch.vectors import snapshot as vectors_module
from facesearch.vectors.ivf import LEAST_RECALL
from facesearch.vectors.kinds import INDEX_TYPES, KINDS, kind_for
from facesearch.vectors.layered import LayeredIndex
from facesearch.vectors.protocol import VectorIndex
from facesearch.vectors.snapshot import Stamp, read_kind, read_snapshot, read_stamp, write_snapshot

UUID = bytes(range(16))
Array = np.ndarray[Any, Any]


def unit(vectors: Array) -> Array:
    scaled: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def random_vectors(count: int, dim: int, seed: int = 0) -> Array:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


class Oracle:
    """A dictionary of vectors; computes all scores in double precision."""

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


def write(path: Path, rows: dict[int, Array], dim: int, kind: str = "flat") -> float:
    """Write a vector file and return its recall."""
    ids = np.array(sorted(rows), dtype=np.int64)
    vectors = np.array([rows[row_id] for row_id in sorted(rows)], dtype=np.float32).reshape(-1, dim)
    half = len(ids) // 2
    stamp = Stamp(UUID, 7, int(ids[-1]) if len(ids) else 0)
    return write_snapshot(
        path, dim, stamp, KINDS[kind], lambda: [(ids[:half], vectors[:half]), (ids[half:], vectors[half:])]
    )


def opened(path: Path, dim: int) -> LayeredIndex:
    """Open a written vector file."""
    found = read_snapshot(path, dim, UUID)
    assert found is not None
    return found.vectors


@pytest.fixture(params=["read whole", "mapped"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with files read whole, and with mapped files: a limit of 0 makes every file a large one."""
    if request.param == "mapped":
        monkeypatch.setattr(vectors_module, "VERIFIED_BELOW", 0)
    return str(request.param)


# Only a few directions, so that there are exact copies and equal scores across base, tail and deleted rows.
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
    index, oracle, next_id = LayeredIndex(8), Oracle(), 1
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
            write(path, oracle.rows, 8)
            index = opened(path, 8)
            assert index.verified == (reading == "read whole")
        else:
            check(index, oracle, directions[values], k, allowed)
    check(index, oracle, directions, k, allowed)


def filled(tmp_path: Path, count: int = 3000, dim: int = 32) -> tuple[LayeredIndex, Oracle]:
    oracle = Oracle()
    oracle.rows = dict(enumerate(random_vectors(count, dim), start=1))
    write(tmp_path / "faces.faiss", oracle.rows, dim)
    return opened(tmp_path / "faces.faiss", dim), oracle


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 10, 1500, 5000])
def test_few_and_many_queries_and_answers(reading: str, tmp_path: Path, count: int, k: int) -> None:
    index, oracle = filled(tmp_path)
    check(index, oracle, random_vectors(count, 32, seed=9), k)


def test_base_tail_and_deleted_rows_together(reading: str, tmp_path: Path) -> None:
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
    oracle = Oracle()
    oracle.rows = dict.fromkeys(range(1, 401), directions[0])
    write(tmp_path / "faces.faiss", oracle.rows, 8)
    index = opened(tmp_path / "faces.faiss", 8)
    check(index, oracle, directions[:1], 5)
    index.remove(np.arange(1, 200, dtype=np.int64))
    for row_id in range(1, 200):
        del oracle.rows[row_id]
    check(index, oracle, directions[:1], 5)


def test_nothing_to_search(tmp_path: Path) -> None:
    empty = LayeredIndex(8)
    scores, ids = empty.search(directions, 5)
    assert scores.shape == ids.shape == (6, 0)
    index, _ = filled(tmp_path, 10)
    assert index.search(np.empty((0, 32), dtype=np.float32), 5)[0].shape == (0, 5)


def test_a_file_that_does_not_fit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "faces.faiss"
    assert read_snapshot(path, 32, UUID) is None
    filled(tmp_path)
    assert read_snapshot(path, 32, bytes(16)) is None, "belongs to another index"
    assert read_snapshot(path, 16, UUID) is None, "another dimension"
    assert read_stamp(path, bytes(16)) is None
    assert read_stamp(path, UUID) == Stamp(UUID, 7, 3000)
    whole = path.read_bytes()
    for cut in (0, 10, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert read_snapshot(path, 32, UUID) is None, f"cut to {cut} bytes"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", [0, 3, 9, 17, 24, 40, 1000, 200_000, -1, -20, -60])
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    filled(tmp_path)
    path = tmp_path / "faces.faiss"
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    assert read_snapshot(path, 32, UUID) is None


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    _, oracle = filled(tmp_path)
    path = tmp_path / "faces.faiss"
    before = path.read_bytes()
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "no such folder" / "faces.faiss", oracle.rows, 32)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces.faiss"]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 3000),
    count=st.integers(1, 9),
    wanted=st.integers(1, 70),
    share=st.sampled_from([None, 0.0, 0.01, 0.5, 1.0]),
    aligned=st.booleans(),
    copies=st.booleans(),
    seed=st.integers(0, 9),
)
def test_products_over_blocks_find_the_best(
    rows: int, count: int, wanted: int, share: float | None, aligned: bool, copies: bool, seed: int
) -> None:
    """No omitted row is better than the stated bound, or than any row that was kept."""
    vectors = directions[np.random.default_rng(seed).integers(0, 6, rows)] if copies else random_vectors(rows, 8, seed)
    if not aligned:  # as vectors in a mapped file may be
        raw = np.zeros(vectors.nbytes + 1, dtype=np.uint8)
        raw[1:] = vectors.view(np.uint8).ravel()
        vectors = raw[1:].view(np.float32).reshape(-1, 8)
    mask = None if share is None else np.random.default_rng(seed).random(rows) < share
    queries = random_vectors(count, 8, seed + 100)
    scores = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    allowed = np.ones(rows, dtype=np.bool_) if mask is None else mask
    for row, candidates in enumerate(exact.nearest(vectors, queries, wanted, mask)):
        kept = np.zeros(rows, dtype=np.bool_)
        kept[candidates.rows] = True
        left = allowed & ~kept
        assert kept.sum() == len(candidates.rows) == min(wanted, allowed.sum())
        assert not (kept & ~allowed).any()
        if left.any():
            assert scores[row, left].max() <= candidates.left_behind + 1e-6
            assert scores[row, left].max() <= scores[row, kept].min() + 1e-6


def people(count: int, dim: int, seed: int = 0) -> Array:
    """Return vectors distributed like those of faces: many for each of some hundred people."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(150, dim)))
    return unit(centres[rng.integers(0, 150, count)] + 0.8 * rng.normal(size=(count, dim)) / np.sqrt(dim))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array]:
    """An approximate index of 20,000 faces, and their vectors."""
    path = tmp_path_factory.mktemp("crowd") / "faces.faiss"
    vectors = people(20_300, 32)[:20_000]
    write(path, dict(enumerate(vectors, start=1)), 32, "ivf")
    return path, vectors


def test_an_approximate_index_is_as_good_as_it_says(reading: str, crowd: tuple[Path, Array]) -> None:
    path, vectors = crowd
    index = opened(path, 32)
    assert (index.kind, len(index)) == ("ivf", 20_000)
    assert index.recall >= LEAST_RECALL
    assert index.probes is not None
    queries = people(20_300, 32)[20_000:]
    scores, ids = index.search(queries, 10)
    exact = queries @ vectors.T
    truth = np.argsort(-exact, axis=1)[:, :10] + 1
    found = np.mean([len(set(row) & set(best)) / 10 for row, best in zip(ids.tolist(), truth.tolist(), strict=True)])
    assert found > 0.97, "for queries that are not in the index"
    assert (np.diff(scores, axis=1) <= 0).all()
    assert np.allclose(scores, np.take_along_axis(exact, ids - 1, axis=1), atol=2e-3), "within 16-bit rounding"
    own = np.arange(1, 20_001, 97)
    assert (index.search(vectors[own - 1], 1)[1][:, 0] == own).all(), "a face finds itself"
    assert np.allclose(index.vectors(own), vectors[own - 1], atol=1e-3)


def test_a_file_whose_recall_was_counted_by_ids_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier release wrote such files; for a library with copies they state 85 to 90 % forever."""
    path = tmp_path / "faces.faiss"
    rows = dict(enumerate(people(10, 32), start=1))
    write(path, rows, 32)
    assert read_snapshot(path, 32, UUID) is not None
    with monkeypatch.context() as earlier:
        earlier.setattr("facesearch.vectors.snapshot._MAGIC", b"fsvecto3")
        write(path, rows, 32)
    assert read_snapshot(path, 32, UUID) is None


@pytest.mark.parametrize("copies", [pytest.param(3, marks=pytest.mark.thorough), 30])
def test_copies_of_a_photo_are_as_good_as_one_another(tmp_path: Path, copies: int) -> None:
    """Which of a photo's copies are among the ten nearest is chance, so recall counts any of them."""
    vectors = np.tile(people(60_000 // copies, 32), (copies, 1))
    write(tmp_path / "faces.faiss", dict(enumerate(vectors, start=1)), 32, "ivf")
    index = opened(tmp_path / "faces.faiss", 32)
    assert index.recall >= LEAST_RECALL
    assert index.probes is not None
    assert index.probes <= 64, "not more than without copies"
    queries = people(20_300, 32)[-100:]
    scores, _ = index.search(queries, 10)
    exact = -np.sort(-(queries @ vectors.T), axis=1)[:, :10]
    assert (scores >= exact[:, -1:] - 2e-3).mean() > 0.97


@pytest.mark.parametrize("k", [1, 10, 300, 3000])
@pytest.mark.parametrize("share", [0.0005, 0.03, 0.3])
def test_a_filter_makes_no_answer_shorter(crowd: tuple[Path, Array], share: float, k: int) -> None:
    path, vectors = crowd
    index = opened(path, 32)
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


def test_an_approximate_index_supports_additions_and_deletions(crowd: tuple[Path, Array]) -> None:
    path, vectors = crowd
    index = opened(path, 32)
    more = people(20_300, 32)[-50:]
    index.add(np.arange(20_001, 20_051, dtype=np.int64), more)
    index.remove(np.array([5, 20_007], dtype=np.int64))
    assert len(index) == 20_048
    assert index.search(more[3:4], 1)[1].tolist() == [[20_004]]
    for gone, vector in ((5, vectors[4]), (20_007, more[6])):
        assert gone not in index.search(vector[None, :], 200)[1]
    everything = index.search(more[:1], 30_000)[1][0]
    assert sorted(everything.tolist()) == sorted({*range(1, 20_051)} - {5, 20_007})


def test_few_faces_are_always_searched_exactly() -> None:
    assert [kind_for("ivf", count, 8).name for count in (0, 999, 1000)] == ["flat", "flat", "ivf"]
    assert kind_for("ivf", 5000, 7).name == "flat", "product codes need an even number of dimensions"
    assert [kind_for("auto", count, 128).name for count in (0, 1_000_000, 1_000_001)] == ["flat", "flat", "ivf"]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    """The contract of vector files, exact and approximate; a new kind is tested once it is registered."""

    @pytest.fixture
    def path(self, kind: str, tmp_path: Path, reading: str) -> Path:
        write(tmp_path / "faces.faiss", dict(enumerate(people(2000, 32), start=1)), 32, kind)
        return tmp_path / "faces.faiss"

    def test_it_is_chosen_by_name_and_reports_its_kind(self, kind: str, path: Path) -> None:
        index = opened(path, 32)
        assert kind in INDEX_TYPES
        assert kind_for(kind, 2000, 32) is KINDS[kind]
        assert read_kind(path, UUID) == index.kind == kind
        assert len(kind.encode("ascii")) <= 8
        assert index.recall == 1 if KINDS[kind].exact else LEAST_RECALL <= index.recall <= 1
        assert index.probes is None or not KINDS[kind].exact, "an exact one has no probes"

    def test_it_finds_nearly_all_that_exact_search_finds(self, kind: str, path: Path) -> None:
        index, vectors = opened(path, 32), people(2000, 32)
        scores, ids = index.search(vectors[::40], 10)
        best = -np.sort(-(vectors[::40] @ vectors.T), axis=1)[:, :10]
        assert (ids[:, 0] == np.arange(1, 2001, 40)).all(), "a face finds itself"
        assert (scores >= best[:, -1:] - 2e-3).mean() >= (1 if KINDS[kind].exact else 0.97)
        assert (np.diff(scores, axis=1) <= 0).all()

    def test_its_vectors_are_those_that_were_added(self, kind: str, path: Path) -> None:
        index, vectors = opened(path, 32), people(2000, 32)
        found = index.vectors(np.array([1, 2, 1999, 2001], dtype=np.int64))
        assert np.allclose(found[:3], vectors[[0, 1, 1998]], atol=0 if KINDS[kind].exact else 1e-3)
        assert not found[3].any()

    def test_filters_additions_and_removals_count(self, kind: str, path: Path) -> None:
        index, vectors = opened(path, 32), people(2000, 32)
        index.add(np.array([2001, 2002], dtype=np.int64), vectors[:2])
        index.remove(np.array([1, 2002, 5000], dtype=np.int64))
        assert len(index) == 2000
        assert index.search(vectors[:1], 1)[1].tolist() == [[2001]]
        everything = index.search(vectors[1:2], 3000)[1][0]
        assert sorted(everything.tolist()) == list(range(2, 2002))
        allowed = np.array([3, 700, 2001, 9000], dtype=np.int64)
        _, ids = index.search(vectors[:3], 5, allowed)
        assert [sorted(row[row >= 0].tolist()) for row in ids] == [[3, 700, 2001]] * 3

    def test_a_damaged_file_is_not_opened(self, kind: str, path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        assert read_snapshot(path, 32, UUID, verify=True) is None
        path.write_bytes(data[:-1])
        assert read_snapshot(path, 32, UUID) is None
