"""Approximate search in PostgreSQL: the true nearest faces under any filter, however few faces pass it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from postgres_server import PostgresServer

from facesearch.errors import GalleryError
from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.known import make
from facesearch.galleries.postgres.approximate import Limits
from facesearch.galleries.postgres.gallery import PostgresGallery
from facesearch.galleries.recall import measured_recall
from facesearch.galleries.rows import Row, row_of
from facesearch.galleries.shared import Facts, Method
from facesearch.types import FaceRecord, own_id

DIM = 32
FACES = 20_000
IN_FIRST = 15_000
SAME = 100
"""The last faces all have one embedding."""
LIMITS = Limits(few=500, spare=20)
RNG = np.random.default_rng(3)


def embeddings() -> np.ndarray[Any, Any]:
    people = RNG.normal(size=(FACES // 20, DIM))
    vectors = people[RNG.integers(0, len(people), FACES)] + 0.6 * RNG.normal(size=(FACES, DIM))
    vectors[-SAME:] = np.eye(DIM)[0] + np.eye(DIM)[1]
    unit: np.ndarray[Any, Any] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


VECTORS = embeddings()
SIDES = 1.0 + RNG.permutation(FACES)
"""The shorter sides of the boxes: so many faces pass a filter as its limit says."""


def row(number: int) -> Row:
    face = toy_face(VECTORS[number], (0, 0, SIDES[number], SIDES[number] + 5), quality=0.5)
    folder = b"/photos/few" if number % 4000 == 7 else b"/photos"
    record = FaceRecord(
        number + 1, number + 1, number + 1, 1, folder + b"/%d.jpg" % number, face.detection, None, 0, 0.5, None, None,
        None, 10, b"0" * 32, b"/photos", None, "",
    )  # fmt: skip
    return row_of(record, 1, VECTORS[number])


@pytest.fixture(scope="module")
def address(postgres: PostgresServer) -> str:
    """A gallery of two indexes."""
    address = postgres.database()
    make(Address.of(address), toy_model_info(dim=DIM))
    order = np.random.default_rng(4).permutation(FACES).tolist()
    with closing(PostgresGallery(Address.of(address))) as gallery:
        for name, first, last in (("first", 0, IN_FIRST), ("second", IN_FIRST, FACES)):
            index = gallery.add_index(name.encode() * 2, name, "here")
            gallery.put(index, [row(number) for number in order if first <= number < last], [], index.token)
            gallery.describe(index, Facts(last - first, last - first, 0, None, (b"/photos",), ()))
    return address


@pytest.fixture(scope="module", params=["hnsw", "ivf"])
def gallery(request: pytest.FixtureRequest, address: str) -> Iterator[PostgresGallery]:
    with closing(PostgresGallery(Address.of(address), LIMITS)) as gallery:
        gallery.use_method(request.param)
        yield gallery


def numbers(found: Any) -> list[int]:
    return [own_id(scored.face.face_id)[1] - 1 for scored in found]


def nearest(probe: np.ndarray[Any, Any], passing: np.ndarray[Any, Any], k: int) -> list[int]:
    """Return the numbers of the nearest faces, compared one by one; the order is that of whole ids."""
    wanted = np.flatnonzero(passing)
    return [int(wanted[place]) for place in np.argsort(-(VECTORS[wanted] @ probe), kind="stable")[:k]]


PROBES = VECTORS[::1999] + np.float32(0.05) * RNG.normal(size=(len(VECTORS[::1999]), DIM)).astype(np.float32)
PROBES /= np.linalg.norm(PROBES, axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("share", [0.0002, 0.01, 0.25, 1.0])
def test_the_nearest_are_found_under_any_filter(gallery: PostgresGallery, share: float, k: int) -> None:
    passing = FACES * (1 - share) < SIDES
    where = Filter() if share == 1 else Filter(min_face=float(SIDES[passing].min()))
    count = int(passing.sum())
    assert gallery.count(where) == count == round(share * FACES)
    found_there = wanted = 0
    for probe, found in zip(PROBES, gallery.search(PROBES, k, where), strict=True):
        expected, got = nearest(probe, passing, k), numbers(found)
        assert len(found) == min(k, count)
        assert passing[got].all()
        assert [scored.similarity for scored in found] == pytest.approx(VECTORS[got] @ probe, abs=1e-5)
        assert [(-scored.similarity, scored.face.vector_id) for scored in found] == sorted(
            (-scored.similarity, scored.face.vector_id) for scored in found
        )
        if count <= LIMITS.few:
            assert got == expected
        found_there += len(set(got) & set(expected))
        wanted += len(expected)
    assert found_there / wanted > 0.9


def test_a_folder_of_few_photos(gallery: PostgresGallery) -> None:
    passing = np.arange(FACES) % 4000 == 7
    for probe, found in zip(PROBES, gallery.search(PROBES, 10, Filter(under="/photos/few")), strict=True):
        assert numbers(found) == nearest(probe, passing, 10)
        assert len(found) == 5


@pytest.mark.parametrize("k", [10, SAME, SAME + 1])
def test_ties_over_the_last_place_are_ordered_by_id(gallery: PostgresGallery, k: int) -> None:
    (found,) = gallery.search(VECTORS[-1:], k)
    assert numbers(found)[:SAME] == list(range(FACES - SAME, FACES))[:k]
    assert [scored.similarity for scored in found[:SAME]] == pytest.approx([1.0] * min(k, SAME), abs=1e-6)


@pytest.mark.parametrize("k", [LIMITS.most + 1, FACES + 5])
def test_many_results_are_exact(gallery: PostgresGallery, k: int) -> None:
    (found,) = gallery.search(PROBES[:1], k)
    (exact,) = gallery.search_exactly(PROBES[:1], k)
    assert numbers(found) == numbers(exact)
    assert len(found) == min(k, FACES)


def test_the_index_is_used(gallery: PostgresGallery, address: str, postgres: PostgresServer) -> None:
    """As counted by the server: when a connection ends, for all of its searches."""
    counted = (
        "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes JOIN pg_class ON oid = indexrelid"
        " JOIN pg_am ON pg_am.oid = relam WHERE amname IN ('hnsw', 'ivfflat')"
    )
    ((before,),) = postgres.execute(counted, address)
    with closing(PostgresGallery(Address.of(address), LIMITS)) as another:
        assert another.method == gallery.method
        another.search(PROBES, 5)
        another.search(PROBES, 5, Filter(min_face=FACES / 2))
    end = time.monotonic() + 30
    while int(str(postgres.execute(counted, address)[0][0])) < int(str(before)) + 4 * len(PROBES):
        assert time.monotonic() < end, "two tables per search"
        time.sleep(0.05)


def test_the_recall_is_measured_and_stored(gallery: PostgresGallery) -> None:
    assert gallery.recall() is None
    recall = measured_recall(gallery)
    assert recall is not None
    assert 0.9 < recall.share <= 1
    assert recall.faces == FACES
    gallery.keep_recall(recall)
    kept = gallery.recall()
    assert kept is not None
    assert kept[:2] == recall[:2]
    assert kept.measured_at == pytest.approx(recall.measured_at, abs=1e-3)
    gallery.use_method(gallery.method)
    assert gallery.recall() is None, "that of the index before"


def test_what_a_poor_index_misses_is_told(address: str, postgres: PostgresServer) -> None:
    with closing(PostgresGallery(Address.of(address), Limits(few=0, spare=0))) as gallery:
        gallery.use_method("hnsw")
        postgres.execute(
            "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX facesearch.' || relname FROM pg_class"
            " WHERE relname ~ '^nearest' AND relkind = 'I'); END $$;"
            f" CREATE INDEX nearest ON facesearch.face_rows USING hnsw ((embedding::halfvec({DIM})) halfvec_ip_ops)"
            " WITH (m = 2, ef_construction = 4)",
            address,
        )
        recall = measured_recall(gallery)
        assert recall is not None
        assert 0 < recall.share < 0.98
        gallery.use_method("exact")
        measured = measured_recall(gallery)
        assert measured is not None
        assert measured.share == 1


def test_no_index_is_left(address: str, postgres: PostgresServer) -> None:
    kinds: list[tuple[Method, list[Any]]] = [("hnsw", ["hnsw"]), ("ivf", ["ivfflat"]), ("ivf", ["ivfflat"])]
    with closing(PostgresGallery(Address.of(address), LIMITS)) as gallery:
        for method, expected in [*kinds, ("exact", [])]:
            gallery.use_method(method)
            found = postgres.execute(
                "SELECT DISTINCT amname FROM pg_class JOIN pg_am ON pg_am.oid = relam"
                " WHERE amname IN ('hnsw', 'ivfflat')", address,
            )  # fmt: skip
            assert [name for (name,) in found] == expected


def test_new_indexes_are_found_whatever_the_method_is(gallery: PostgresGallery) -> None:
    index = gallery.add_index(b"third", "third", "here")
    gallery.put(index, [row(number) for number in range(50)], [], index.token)
    try:
        (found,) = gallery.search(VECTORS[:1], 10)
        assert {own_id(scored.face.face_id) for scored in found[:2]} == {(1, 1), (index.number, 1)}
    finally:
        gallery.remove_index(index)


def test_an_empty_gallery_has_no_recall(postgres: PostgresServer) -> None:
    address = Address.of(postgres.database())
    make(address, toy_model_info(dim=DIM))
    with closing(PostgresGallery(address)) as gallery:
        for method in ("hnsw", "ivf"):
            gallery.use_method(method)
            assert measured_recall(gallery) is None
            assert gallery.search(PROBES[:1], 5) == [[]]


def test_the_least_rights_suffice_for_all_but_the_method(address: str, postgres: PostgresServer) -> None:
    postgres.execute(
        "DROP ROLE IF EXISTS asking; CREATE ROLE asking LOGIN; GRANT USAGE ON SCHEMA facesearch TO asking;"
        " GRANT SELECT ON ALL TABLES IN SCHEMA facesearch TO asking", address,
    )  # fmt: skip
    asking = Address.of(address.replace("postgres@", "asking@"))
    for method in ("hnsw", "ivf"):
        with closing(PostgresGallery(Address.of(address), LIMITS)) as gallery:
            gallery.use_method(method)
            recall = measured_recall(gallery)
            assert recall is not None
            gallery.keep_recall(recall)
            expected = [numbers(found) for found in gallery.search(PROBES, 5)]
        with closing(PostgresGallery(asking, LIMITS)) as gallery:
            assert [numbers(found) for found in gallery.search(PROBES, 5)] == expected
            assert gallery.method == method
            with pytest.raises(GalleryError, match="permission denied"):
                gallery.use_method("exact")
            with pytest.raises(GalleryError, match="permission denied"):
                gallery.keep_recall(recall)
            assert gallery.method == method
            assert gallery.recall() is not None
    postgres.execute("DROP OWNED BY asking; DROP ROLE asking", address)
