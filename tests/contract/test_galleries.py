"""The contract of galleries, checked against a plain computation over all visible faces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from conftest import toy_face, toy_model_info
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.known import make
from facesearch.galleries.local import LocalGallery
from facesearch.galleries.milvus.gallery import MilvusGallery
from facesearch.galleries.postgres.approximate import Limits
from facesearch.galleries.postgres.gallery import PostgresGallery
from facesearch.galleries.protocol import Gallery
from facesearch.galleries.push import push
from facesearch.index.store import Store
from facesearch.types import Face, PhotoFacts, PhotoFile, TakenAt, own_id, whole_id

if TYPE_CHECKING:
    from facesearch.galleries.shared import Method, SharedGallery

DIM = 8
PHOTOS = 60
ALL_THROUGH_THE_INDEX = Limits(few=0, spare=2, listed=1)
PLACES = [
    "memory", "disk", "postgres exact", "postgres hnsw", "postgres ivf", "lite exact", "lite hnsw", "milvus exact",
    pytest.param("milvus hnsw", marks=pytest.mark.slow), pytest.param("milvus ivf", marks=pytest.mark.slow),
]  # fmt: skip
"""An index in memory or on disk, or the engine of a shared gallery and how that searches."""

DAY = 86_400_000_000_000


@dataclass
class Known:
    """A face of the library, as a gallery should return it."""

    path: bytes
    face: Face
    photo: int
    faces: int
    taken: str | None
    hidden: bool


@dataclass
class Library:
    store: Store
    known: list[Known] = field(default_factory=list)

    def passing(self, where: Filter) -> list[Known]:
        return [one for one in self.known if not one.hidden and passes(one, where)]


def passes(one: Known, where: Filter) -> bool:
    under = [one.path.startswith(folder + b"/") for folder in where.folders]
    outside = not any(one.path.startswith(folder + b"/") for folder in where.other_folders)
    taken = one.taken or "1970-01-01T12:00:00"
    number = where.number_of_faces or (0, 10**6)
    return (
        (not under or any(under))
        and outside
        and (where.since or "") <= taken <= (where.until or "9999")
        and one.face.detection.box.shorter >= where.min_face
        and (one.face.quality or 0.0) >= where.min_quality
        and number[0] <= one.faces <= number[1]
        and (where.photos is None or one.photo in where.photos)
    )


def fill(store: Store) -> Library:
    """Add photos with zero to three faces in two folders; some are copies, hidden, undated or unmeasured."""
    library, rng = Library(store), np.random.default_rng(5)
    with store.transaction():
        root = store.catalog.roots.add(b"/library")
        hidden = []
        for number in range(PHOTOS):
            name = b"%s/%03d.jpg" % (b"a" if number % 3 else b"b", number)
            taken = f"20{number % 20:02}-06-15T12:00:00" if number % 4 else None
            faces = [
                toy_face(
                    rng.normal(size=DIM) if number % 7 else np.ones(DIM),  # every seventh photo shows the same face
                    (200.0 * place, 0, 20.0 + number, 30.0 + number),
                    quality=None if number % 11 == 0 else (number % 10) / 10,
                )
                for place in range(number % 4)
            ]
            facts = PhotoFacts(800, 600, None if taken is None else TakenAt(taken, "exif"))
            photo = store.catalog.photos.put(
                root.id, PhotoFile(name, 10, DAY // 2), hashlib.sha256(name).digest(),
                "faces" if faces else "no_face", facts=facts,
            )  # fmt: skip
            store.catalog.faces.replace(photo, faces)
            if number % 13 == 12:
                hidden.append(photo)
            library.known += [
                Known(b"/library/" + name, face, photo, len(faces), taken, number % 13 == 12) for face in faces
            ]
        store.catalog.photos.hide(hidden, 1)
    return library


def pushed(store: Store, address: str, method: Method) -> Gallery:
    """Make a gallery in a database, push a store to it, and open it; a method uses its index whenever it can."""
    make(Address.of(address), store.model)
    if address.startswith("postgresql"):
        shared: SharedGallery = PostgresGallery(Address.of(address), ALL_THROUGH_THE_INDEX)
    else:
        shared = MilvusGallery(Address.of(address), few=0)
    with store.transaction():
        store.catalog.changes.connect("gallery", address, "machine")
    push(store, shared, store.catalog.changes.galleries()[0])
    shared.use_method(method)
    assert shared.method == method
    return shared


def as_known_there(gallery: Gallery, where: Filter) -> Filter:
    """Return a filter with the ids of photos in a shared gallery, which has one index."""
    if isinstance(gallery, LocalGallery) or where.photos is None:
        return where
    (index,) = cast("SharedGallery", gallery).indexes()
    return replace(where, photos=frozenset(whole_id(index.number, photo) for photo in where.photos))


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Where the gallery is: an index in memory or on disk, or a shared gallery."""
    return str(request.param)


@pytest.fixture(scope="module")
def library(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    model = toy_model_info(dim=DIM)
    path = tmp_path_factory.mktemp("gallery") / "ix"
    with Store.memory(model) if place == "memory" else Store.create(path, model) as store:
        yield fill(store)


@pytest.fixture(scope="module")
def gallery(
    place: str, library: Library, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    if place in {"memory", "disk"}:
        yield LocalGallery(library.store)
        return
    engine, _, method = place.partition(" ")
    if engine == "lite":
        address = f"milvus-lite://{tmp_path_factory.mktemp('lite')}/faces.db"
    else:
        address = request.getfixturevalue(engine).database()
    shared = pushed(library.store, address, cast("Method", method))
    yield shared
    with library.store.transaction():
        library.store.catalog.changes.disconnect("gallery")
    cast("SharedGallery", shared).close()


def in_order(limits: dict[str, object]) -> bool:
    return str(limits.get("since", "0")) <= str(limits.get("until", "9"))


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "under": st.sampled_from(["/library/a", "/library/b", "/library"]),
        "not_under": st.sampled_from(["/library/a", "/library/b"]),
        "since": st.sampled_from(["1969", "2005-06", "2010"]),
        "until": st.sampled_from(["2012-06-15", "2030", "2004"]),
        "min_face": st.sampled_from([0.0, 40.0, 500.0]),
        "min_quality": st.sampled_from([0.0, 0.5]),
        "faces": st.sampled_from(["1", "2..", "..1"]),
        "photos": st.frozensets(st.integers(1, PHOTOS)),
    },
).filter(in_order)

SAME_GALLERY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@SAME_GALLERY
@given(limits=FILTERS, k=st.integers(1, 200), seed=st.integers(0, 50))
def test_the_most_similar_faces_that_pass_are_found(
    gallery: Gallery, library: Library, limits: Any, k: int, seed: int
) -> None:
    where = Filter(**limits)
    expected = library.passing(where)
    where = as_known_there(gallery, where)
    probes = np.random.default_rng(seed).normal(size=(3, DIM)).astype(np.float32)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    assert gallery.count(where) == len(expected)
    for probe, found in zip(probes, gallery.search(probes, k, where), strict=True):
        similar = sorted((float(one.face.embedding @ probe) for one in expected), reverse=True)[:k]
        assert [scored.similarity for scored in found] == pytest.approx(similar, abs=1e-6)
        keys = [(-scored.similarity, scored.face.vector_id) for scored in found]
        assert keys == sorted(keys), "the lower id comes first if similarities are equal"
        assert len({scored.face.face_id for scored in found}) == len(found)
        assert all(-1 <= scored.similarity <= 1 for scored in found)


def test_a_record_has_all_fields_of_a_hit(gallery: Gallery, library: Library) -> None:
    by_place = {(one.path, one.face.detection.box): one for one in library.passing(Filter())}
    records = list(gallery.records())
    assert len(records) == len(by_place)
    assert [record.vector_id for record in records] == sorted(record.vector_id for record in records)
    for record, vector in zip(records, gallery.vectors(records), strict=True):
        one = by_place[record.path, record.detection.box]
        assert vector == pytest.approx(one.face.embedding, abs=1e-6)
        assert record.detection.landmarks == pytest.approx(one.face.detection.landmarks)
        assert (record.detection.score, record.quality) == (one.face.detection.score, one.face.quality)
        assert (own_id(record.photo_id)[1], record.root_path) == (one.photo, b"/library")
        assert record.content == hashlib.sha256(one.path.removeprefix(b"/library/")).digest()
        assert (record.taken_at, record.size) == (one.taken, 10)
        assert record.date_source == ("file" if one.taken is None else "exif")


def test_vectors_come_in_the_requested_order(gallery: Gallery) -> None:
    records = list(gallery.records())[:9]
    forwards, backwards = gallery.vectors(records), gallery.vectors(records[::-1])
    assert (forwards[::-1] == backwards).all()
    assert gallery.vectors([]).shape == (0, DIM)


def test_counts_exclude_hidden_faces(gallery: Gallery, library: Library) -> None:
    in_sight = [one for one in library.known if not one.hidden]
    size = gallery.size()
    hidden = sum(1 for number in range(PHOTOS) if number % 13 == 12)
    assert (size.faces, size.photos) == (len(in_sight), PHOTOS - hidden)
    assert gallery.count() == len(in_sight)
    assert size.unmeasured == sum(one.face.quality is None for one in library.known)


def test_folders_are_known(gallery: Gallery) -> None:
    assert gallery.folders() == [b"/library"]
    assert [gallery.covers(path) for path in (b"/", b"/library", b"/library/x", b"/lib")] == [True, True, True, False]
    places = (b"/library/a", b"/library/b/003.jpg", b"/library/x", b"/lib")
    assert [gallery.has_photos_at(path) for path in places] == [True, True, False, False]


def test_nothing_is_found_if_nothing_passes(gallery: Gallery) -> None:
    probe = np.eye(DIM, dtype=np.float32)[:2]
    nobody = Filter(min_face=10_000)
    assert gallery.count(nobody) == 0
    assert gallery.search(probe, 5, nobody) == [[], []]
    assert list(gallery.records(nobody)) == []
    assert gallery.search(probe[:0], 5) == []


def test_a_local_gallery_follows_its_index(tmp_path: Path) -> None:
    with Store.create(tmp_path / "ix", toy_model_info(dim=DIM)) as store:
        gallery, where = LocalGallery(store), Filter(min_face=1)
        assert (gallery.size().faces, gallery.count(where)) == (0, 0)
        library = fill(store)
        assert (gallery.size().faces, gallery.count(where)) == (len(library.passing(Filter())),) * 2
        with store.transaction():
            store.catalog.photos.hide([one.photo for one in library.known], 1)
        assert (gallery.size().faces, gallery.count(where)) == (0, 0)
        assert gallery.search(np.eye(DIM, dtype=np.float32)[:1], 5) == [[]]
