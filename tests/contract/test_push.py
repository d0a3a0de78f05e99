"""Pushing indexes to a shared gallery: it has what the indexes have, whatever happened to them and to the push."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pytest
from conftest import CHECKOUT, toy_face, toy_model_info
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import PostgresServer

from facesearch.calibration.storage import calibration_of
from facesearch.catalog.changes import Connected
from facesearch.catalog.sql import VIEWS, ask
from facesearch.errors import ConflictError, GalleryError
from facesearch.filters import Filter
from facesearch.galleries import push as push_module
from facesearch.galleries.address import Address
from facesearch.galleries.known import make, open_gallery, switch
from facesearch.galleries.local import LocalGallery
from facesearch.galleries.push import compare, drop_all_forgotten, pending, push, remove, repaired
from facesearch.galleries.rows import Row, row_of
from facesearch.galleries.shared import SharedGallery, Token
from facesearch.galleries.switching import left_behind, open_all, opened_for
from facesearch.index.store import Store
from facesearch.people.regroup import regroup
from facesearch.search.engine import Want, find
from facesearch.search.probes import Probe
from facesearch.types import PhotoFacts, PhotoFile, own_id

DIM = 16
MODEL = toy_model_info(dim=DIM, threshold=0.5)


def person(number: int, photo: int) -> np.ndarray[Any, Any]:
    """Return a face of a person in a photo: photos of one person have a similarity of about 0.8."""
    vector = 2 * np.random.default_rng(number).normal(size=DIM)
    return vector + np.random.default_rng([number, photo]).normal(size=DIM)


def add_photo(store: Store, name: str, people: Sequence[int] = (1,), folder: bytes = b"/photos") -> int:
    catalog = store.catalog
    with store.transaction():
        roots = {root.path: root for root in catalog.roots.all()}
        root = roots.get(folder) or catalog.roots.add(folder)
        content = hashlib.sha256(name.encode()).digest()
        file = PhotoFile(name.encode(), 10, 0)
        photo = catalog.photos.put(root.id, file, content, "faces", facts=PhotoFacts(640, 480))
        seed = int.from_bytes(content[:4], "big")
        faces = [toy_face(person(one, seed), (90.0 * place, 0, 50, 60), 0.9) for place, one in enumerate(people)]
        catalog.faces.replace(photo, faces)
    return photo


def connected(store: Store, name: str = "gallery") -> Connected:
    return next(one for one in store.catalog.changes.galleries() if one.name == name)


def connect(store: Store, address: str, known_as: str = "machine") -> None:
    with store.transaction():
        store.catalog.changes.connect("gallery", address, known_as)


def is_same(store: Store, shared: SharedGallery) -> bool:
    return not compare(store, shared)


ON_MILVUS = pytest.param("milvus", marks=pytest.mark.slow)
only_postgres = pytest.mark.parametrize("engine", ["postgres"], indirect=True)
many_rounds = pytest.mark.parametrize(
    "engine", ["postgres", pytest.param("lite", marks=pytest.mark.slow), ON_MILVUS], indirect=True
)


class Engine(Protocol):
    """Something that has empty databases for galleries."""

    def database(self) -> str: ...


class Server(Engine, Protocol):
    """An engine that runs as a server of its own."""

    def crash(self) -> None: ...
    def start(self) -> None: ...


@dataclass
class Lite:
    """Files of Milvus Lite in a folder."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def database(self) -> str:
        return f"milvus-lite://{self.folder}/faces{next(self.numbers)}.db"


@pytest.fixture(params=["postgres", "lite", ON_MILVUS])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return Lite(tmp_path) if request.param == "lite" else cast("Engine", request.getfixturevalue(request.param))


@pytest.fixture
def address(engine: Engine) -> str:
    address = engine.database()
    make(Address.of(address), MODEL)
    return address


@pytest.fixture
def shared(address: str) -> Iterator[SharedGallery]:
    with closing(open_gallery(Address.of(address))) as shared:
        yield shared


@pytest.fixture
def store(tmp_path: Path, address: str) -> Iterator[Store]:
    """An index of six photos of three people that is connected but was not pushed."""
    with filled(tmp_path / "ix", address) as store:
        yield store


@contextmanager
def filled(path: Path, address: str) -> Iterator[Store]:
    with Store.create(path, MODEL) as store:
        for number in range(6):
            add_photo(store, f"{number}.jpg", [number % 3, (number + 1) % 3])
        regroup(store)
        connect(store, address)
        yield store


def test_a_second_push_changes_nothing(store: Store, shared: SharedGallery) -> None:
    first = push(store, shared, connected(store))
    assert (first.faces, first.changed, first.compared) == (12, 12, False)
    assert is_same(store, shared)
    assert store.catalog.database.value("SELECT count(*) FROM changes") == 0
    again = push(store, shared, connected(store))
    assert (again.faces, again.changed) == (0, 0)
    with store.transaction():
        store.catalog.changes.list_all()
    assert push(store, shared, connected(store)).changed == 0, "the same rows"


def test_only_what_changed_is_pushed(store: Store, shared: SharedGallery) -> None:
    push(store, shared, connected(store))
    add_photo(store, "new.jpg")
    assert pending(store, connected(store)) == 1
    done = push(store, shared, connected(store))
    assert (done.faces, done.changed) == (1, 1)
    assert is_same(store, shared)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "hide", "return", "move", "delete", "edit", "root", "group", "unassign", "push"]),
              st.integers(0, 9)), min_size=1, max_size=12,
)  # fmt: skip


@pytest.mark.parametrize("engine", ["postgres", pytest.param("lite", marks=pytest.mark.slow)], indirect=True)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_every_change_is_listed(engine: Engine, actions: list[tuple[str, int]]) -> None:
    """A gallery has exactly what the index has after a push, whatever happened before."""
    address = engine.database()
    make(Address.of(address), MODEL)
    with Store.memory(MODEL) as store, closing(open_gallery(Address.of(address))) as shared:
        for number in range(3):
            add_photo(store, f"start{number}.jpg", [1, 2])
        connect(store, address)
        push(store, shared, connected(store))
        for step, (action, number) in enumerate(actions):
            act(store, shared, action, number, step)
        push(store, shared, connected(store))
        assert is_same(store, shared)
        assert shared.size().faces == LocalGallery(store).size().faces
        assert shared.folders() == LocalGallery(store).folders()


def act(store: Store, shared: SharedGallery, action: str, number: int, step: int) -> None:
    catalog = store.catalog
    photos = [row[0] for row in catalog.database.rows("SELECT id FROM photos ORDER BY id")]
    one = photos[number % len(photos)] if photos else 0
    if action == "push":
        push(store, shared, connected(store))
    elif action == "add":
        add_photo(store, f"{step}.jpg", range(number % 4))
    elif action == "group":
        regroup(store, again=number % 2 == 0)
    elif one:
        with store.transaction():
            if action == "hide":
                catalog.photos.hide([one], 1)
            elif action == "return":
                catalog.database.run("UPDATE photos SET missing_since = NULL WHERE id = ?", one)
            elif action == "move":
                catalog.database.run("UPDATE photos SET path = ? WHERE id = ?", b"moved%d.jpg" % step, one)
            elif action == "delete":
                catalog.photos.delete(one)
            elif action == "edit":
                catalog.faces.replace(one, [toy_face(person(number, step), quality=0.5)])
            elif action == "root":
                catalog.database.run("UPDATE roots SET path = CAST(? || id AS BLOB)", b"/moved/%d/" % step)
            else:
                catalog.people.unassign([number])


def test_nothing_is_listed_without_a_gallery(tmp_path: Path) -> None:
    with Store.create(tmp_path / "ix", MODEL) as store:
        photo = add_photo(store, "a.jpg")
        with store.transaction():
            store.catalog.photos.hide([photo], 1)
        assert store.catalog.database.value("SELECT count(*) FROM changes") == 0
        connect(store, "postgresql://nowhere/x")
        assert store.catalog.database.value("SELECT count(*) FROM changes") == 1
        with store.transaction():
            store.catalog.changes.disconnect("gallery")
        assert store.catalog.database.value("SELECT count(*) FROM changes") == 0


class KilledError(BaseException):
    """Stands for the end of the process."""


@many_rounds
@pytest.mark.parametrize("kill_at", range(20))
def test_a_push_that_is_killed_continues(
    store: Store, shared: SharedGallery, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    """Between any two steps: the gallery has a batch that the catalog does not know of, or the other way round."""
    monkeypatch.setattr(push_module, "_BATCH", 2)
    for _ in range(2):
        push_killed_at(kill_at, store, shared, monkeypatch)
    done = push(store, shared, connected(store))
    assert not done.compared, "a killed push is not taken for a restored catalog"
    assert is_same(store, shared)
    assert pending(store, connected(store)) == 0


@many_rounds
@pytest.mark.parametrize("kill_at", range(12))
def test_a_comparison_that_is_killed_begins_again(
    store: Store, shared: SharedGallery, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    push(store, shared, connected(store))
    (index,) = shared.indexes()
    shared.put(index, [], [2, 4, 6, 8, 10, 12], Token(b"other", 3))
    push_killed_at(kill_at, store, shared, monkeypatch)
    push(store, shared, connected(store))
    assert is_same(store, shared)


def push_killed_at(kill_at: int, store: Store, shared: SharedGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Push, and end before or after a step; every second number is before one. A later step may not come."""
    steps = iter(range(100))

    def step(call: Any) -> Any:
        def run(*values: Any) -> Any:
            if kill_at % 2 and next(steps) == kill_at // 2:
                raise KilledError
            done = call(*values)
            if not kill_at % 2 and next(steps) == kill_at // 2:
                raise KilledError
            return done

        return run

    changes = store.catalog.changes
    with monkeypatch.context() as patched:
        for owner, name in ((changes, "begin"), (shared, "put"), (changes, "acknowledge"), (shared, "describe")):
            patched.setattr(owner, name, step(getattr(owner, name)))
        with suppress(KilledError):
            push(store, shared, connected(store))


def copy_of(store: Store, target: Path) -> None:
    target.mkdir(parents=True)
    store.catalog.backup(target / "catalog.sqlite")


def test_a_restored_catalog_is_noticed_and_compared(tmp_path: Path, address: str, shared: SharedGallery) -> None:
    with filled(tmp_path / "ix", address) as store:
        push(store, shared, connected(store))
        copy_of(store, tmp_path / "backup")
        add_photo(store, "after the backup.jpg")
        push(store, shared, connected(store))
    shutil.copy(tmp_path / "backup" / "catalog.sqlite", tmp_path / "ix" / "catalog.sqlite")
    with Store.open(tmp_path / "ix", write=True) as restored:
        for number in range(5):
            add_photo(restored, f"other {number}.jpg", [4])
        assert push(restored, shared, connected(restored)).compared
        assert is_same(restored, shared)
        assert not push(restored, shared, connected(restored)).compared


@only_postgres
def test_a_server_restored_from_a_backup_is_noticed(
    store: Store, shared: SharedGallery, address: str, postgres: PostgresServer
) -> None:
    """A dump that was made during a push has its token, but not all of its faces."""
    push(store, shared, connected(store))
    postgres.execute("UPDATE facesearch.indexes SET change = change - 3", address)
    postgres.execute("DELETE FROM facesearch.face_rows WHERE face > 9", address)
    assert push(store, shared, connected(store)).compared
    assert is_same(store, shared)


def test_another_copy_of_an_index_is_not_overwritten(tmp_path: Path, store: Store, shared: SharedGallery) -> None:
    push(store, shared, connected(store))
    copy_of(store, tmp_path / "copy")
    with Store.open(tmp_path / "copy", write=True) as copy:
        add_photo(copy, "only in the copy.jpg")
        push(copy, shared, connected(copy))
    add_photo(store, "only in the original.jpg")
    with pytest.raises(ConflictError, match=r"was pushed from .*copy last"):
        push(store, shared, connected(store))
    with Store.open(tmp_path / "copy", write=True) as copy:
        assert is_same(copy, shared)
    store.erase([lambda: store.catalog.photos.delete(1)])
    for refused in (drop_all_forgotten, remove):
        with pytest.raises(ConflictError):
            refused(store, shared, connected(store))
    with pytest.raises(ConflictError, match="was pushed from"):
        repaired(store, shared, connected(store))
    assert push(store, shared, connected(store), take_over=True).compared
    assert is_same(store, shared)


def test_what_is_forgotten_goes_first(store: Store, shared: SharedGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    push(store, shared, connected(store))
    first = next(iter(store.catalog.faces.all()))
    add_photo(store, "new.jpg")
    store.erase([lambda: store.catalog.photos.delete(first.photo_id)])
    with monkeypatch.context() as patched:
        put, calls = shared.put, iter(range(9))

        def second_fails(*values: Any) -> int:
            if next(calls) == 1:
                raise KilledError
            return put(*values)

        patched.setattr(shared, "put", second_fails)
        with pytest.raises(KilledError):
            push(store, shared, connected(store))
    assert first.path not in {record.path for record in shared.records()}
    drop_all_forgotten(store, shared, connected(store))
    push(store, shared, connected(store))
    assert is_same(store, shared)


def test_a_gallery_refuses_another_model(tmp_path: Path, address: str, shared: SharedGallery) -> None:
    with Store.create(tmp_path / "other", toy_model_info("other", dim=DIM)) as store:
        add_photo(store, "a.jpg")
        connect(store, address)
        with pytest.raises(GalleryError, match="switch the index, or make another gallery"):
            push(store, shared, connected(store))
    assert shared.indexes() == []


def test_a_gallery_switches_to_another_model(tmp_path: Path, store: Store, address: str) -> None:
    """Both galleries are kept right until the second takes the place of the first."""
    where, other = Address.of(address), toy_model_info("other", dim=DIM)
    with opened_for(store, connected(store)) as shared:
        push(store, shared, connected(store))
    with Store.create(tmp_path / "second", MODEL) as second, closing(open_gallery(where)) as shared:
        add_photo(second, "there.jpg", [1])
        connect(second, address, "archive")
        push(second, shared, connected(second))
    make(where, other, beside=True)
    with pytest.raises(GalleryError, match="beside it"):
        make(where, other, beside=True)
    store.model = other  # as after its photos were read again
    with opened_for(store, connected(store)) as shared:
        assert shared.model.identity == other.identity
        assert push(store, shared, connected(store)).changed == 12
    store.erase([lambda: store.catalog.photos.delete(1)])
    with opened_for(store, connected(store)) as shared:
        drop_all_forgotten(store, shared, connected(store))
    with open_all(where) as (current, beside):
        assert (current.model.identity, current.size().faces) == (MODEL.identity, 11)
        assert b"/photos/0.jpg" not in {record.path for one in (current, beside) for record in one.records()}
        assert left_behind(current, beside) == ["archive"]
        assert is_same(store, beside)
    with closing(open_gallery(where)) as earlier:
        switch(where)
        with pytest.raises(GalleryError, match=r"switched to another model|faces_1"):
            earlier.search(np.eye(DIM, dtype=np.float32)[:1], 3)
    with open_all(where) as (current, *others):
        assert (current.model.identity, others) == (other.identity, [])
        assert is_same(store, current)
        assert [index.name for index in current.indexes()] == ["machine"]
        push(store, current, connected(store))
        remove(store, current, connected(store))
        push(store, current, connected(store))
    with pytest.raises(GalleryError, match="to switch to"):
        switch(where)
    make(where, MODEL, beside=True)
    switch(where)
    with closing(open_gallery(where)) as emptied:
        assert (emptied.model.identity, emptied.indexes()) == (MODEL.identity, [])


def test_damage_is_found_and_repaired(store: Store, shared: SharedGallery) -> None:
    push(store, shared, connected(store))
    (index,) = shared.indexes()
    record = next(iter(shared.records()))
    row = row_of(record, 2, shared.vectors([record])[0])
    other = [Row((4, *row.values[1:-1], 5), row.embedding), Row((999, *row.values[1:]), row.embedding)]
    shared.put(index, other, [3, 5], index.token)
    found = compare(store, shared)
    assert (sorted(found.missing), found.different, found.extra, found.same) == ([3, 5], [4], [999], 9)
    assert repaired(store, shared, connected(store))
    assert is_same(store, shared)


def opened_again(address: Address, seconds: float = 180) -> SharedGallery:
    """Open a gallery as soon as its server has started; Milvus takes about a minute after a power cut."""
    end = time.monotonic() + seconds
    while True:
        try:
            return open_gallery(address)
        except GalleryError as error:
            if "still starting" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(1)


@pytest.mark.parametrize("engine", ["postgres", ON_MILVUS], indirect=True)
def test_a_server_that_goes_away_and_comes_back(
    store: Store, address: str, engine: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_module, "_BATCH", 3)
    with closing(open_gallery(Address.of(address))) as shared:
        put, batches = shared.put, iter(range(10))

        def failing(*values: Any) -> int:
            if next(batches) == 2:
                engine.crash()
            return put(*values)

        monkeypatch.setattr(shared, "put", failing)
        with pytest.raises(GalleryError, match=r"check the address|closed|cannot connect"):
            push(store, shared, connected(store))
    engine.start()
    with closing(opened_again(Address.of(address))) as shared:
        assert pending(store, connected(store)) == 6
        push(store, shared, connected(store))
        assert is_same(store, shared)


def test_an_index_is_removed_with_its_faces(store: Store, shared: SharedGallery) -> None:
    push(store, shared, connected(store))
    remove(store, shared, connected(store))
    assert (shared.indexes(), shared.size().faces, shared.count(Filter(min_face=1))) == ([], 0, 0)


def probe(vector: np.ndarray[Any, Any]) -> Probe:
    return Probe("me.jpg", 1, 1, toy_face(vector, quality=0.9), content=b"0" * 32)


def test_a_gallery_answers_as_its_index(store: Store, shared: SharedGallery) -> None:
    for number in range(30):
        add_photo(store, f"more{number}.jpg", [number % 5])
    regroup(store)
    push(store, shared, connected(store))
    local, table = LocalGallery(store), calibration_of(MODEL)
    for asked in (person(1, 77), person(3, 78), np.eye(DIM)[0]):
        for where in (Filter(), Filter(faces="2..", min_face=10)):
            want = Want(threshold=0.5, filter=where, people=True, counted=0.5)
            here, there = find(local, probe(asked), want, table), find(shared, probe(asked), want, table)
            assert [hit.path for hit in there.hits] == [hit.path for hit in here.hits]
            assert [(hit.via, hit.person, hit.verdict) for hit in there.hits] == [
                (hit.via, hit.person, hit.verdict) for hit in here.hits
            ]
            assert [hit.similarity for hit in there.hits] == pytest.approx(
                [hit.similarity for hit in here.hits], abs=1e-5
            )
            assert (there.person, there.searched) == (here.person, here.searched)


def test_two_indexes_are_searched_as_one(tmp_path: Path, store: Store, shared: SharedGallery, address: str) -> None:
    """Hits are merged by similarity, and the person is found in each index that knows it."""
    push(store, shared, connected(store))
    with Store.create(tmp_path / "second", MODEL) as other:
        for number in range(8):
            add_photo(other, f"there{number}.jpg", [9 if number < 4 else 1], b"/archive")
        regroup(other)
        connect(other, address, "archive")
        push(other, shared, connected(other))
        want = Want(threshold=0.5, people=True, counted=0.5)
        both = find(shared, probe(person(1, 99)), want, calibration_of(MODEL))
        each = [find(LocalGallery(one), probe(person(1, 99)), want, calibration_of(MODEL)) for one in (store, other)]
    assert {str(one) for one in both.people} == {f"#{each[0].person} of machine", f"#{each[1].person} of archive"}
    assert sorted(hit.path for hit in both.hits) == sorted(hit.path for one in each for hit in one.hits)
    direct = [hit.similarity for hit in both.hits if hit.via == "face" and not hit.somebody_else]
    assert direct == sorted(direct, reverse=True)
    assert {hit.face.index for hit in both.hits} == {"machine", "archive"}
    only = find(
        shared, probe(person(1, 99)), Want(threshold=0.5, filter=Filter(index="archive")), calibration_of(MODEL)
    )
    assert {hit.face.index for hit in only.hits} == {"archive"}
    assert (
        own_id(only.hits[0].face.face_id)[0]
        == shared.indexes()[0 if shared.indexes()[0].name == "archive" else 1].number
    )


def test_two_machines_push_at_once(tmp_path: Path, store: Store, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "_BATCH", 1)
    with (
        Store.create(tmp_path / "second", MODEL) as other,
        closing(open_gallery(Address.of(address))) as one,
        closing(open_gallery(Address.of(address))) as two,
    ):
        for number in range(8):
            add_photo(other, f"there{number}.jpg")
        connect(other, address, "archive")
        put = one.put

        def meanwhile(*values: Any) -> int:
            monkeypatch.setattr(one, "put", put)
            push(other, two, connected(other))
            return put(*values)

        monkeypatch.setattr(one, "put", meanwhile)
        push(store, one, connected(store))
        assert is_same(store, one)
        assert is_same(other, two)


def test_a_gallery_that_was_made_again_is_filled_again(store: Store, shared: SharedGallery, engine: Engine) -> None:
    push(store, shared, connected(store))
    remove(store, shared, connected(store))
    assert push(store, shared, connected(store)).compared
    assert is_same(store, shared)
    remove(store, shared, connected(store))
    assert len(repaired(store, shared, connected(store)).missing) == 12
    assert is_same(store, shared)
    other = engine.database()
    make(Address.of(other), MODEL)
    connect(store, other)
    with closing(open_gallery(Address.of(other))) as second:
        assert push(store, second, connected(store)).faces == 12
        assert is_same(store, second)


def test_a_catalog_from_before_something_was_forgotten_is_noticed(
    tmp_path: Path, address: str, shared: SharedGallery
) -> None:
    with filled(tmp_path / "ix", address) as store:
        push(store, shared, connected(store))
        copy_of(store, tmp_path / "backup")
        store.erase([lambda: store.catalog.photos.delete(2)])
        drop_all_forgotten(store, shared, connected(store))
        assert shared.size().faces == 10
    shutil.copy(tmp_path / "backup" / "catalog.sqlite", tmp_path / "ix" / "catalog.sqlite")
    with Store.open(tmp_path / "ix", write=True) as restored:
        assert push(restored, shared, connected(restored)).compared
        assert is_same(restored, shared)


def test_an_index_can_be_renamed_there(store: Store, shared: SharedGallery, address: str) -> None:
    push(store, shared, connected(store))
    connect(store, address, "other")
    push(store, shared, connected(store))
    assert [index.name for index in shared.indexes()] == ["other"]


@only_postgres
def test_a_tenant_is_sent_with_the_next_push(
    store: Store, shared: SharedGallery, address: str, postgres: PostgresServer
) -> None:
    push(store, shared, connected(store))
    views = ("faces", "photos", "people", "photos_faces")
    for tenant in ("acme", "other", None):
        with store.transaction():
            store.catalog.changes.set_tenant("gallery", tenant)
        push(store, shared, connected(store))
        assert [index.tenant for index in shared.indexes()] == [tenant]
        for view in views:
            assert postgres.execute(f"SELECT DISTINCT tenant FROM facesearch.{view}", address) == [(tenant,)]


def test_the_time_zone_makes_no_difference(
    store: Store, shared: SharedGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, shared, connected(store))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert is_same(store, shared)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_two_pushes_of_one_index_do_not_mix(store: Store, shared: SharedGallery) -> None:
    push(store, shared, connected(store))
    (index,) = shared.indexes()
    stale = index._replace(token=index.token._replace(change=index.token.change - 1))
    with pytest.raises(ConflictError, match="another run"):
        shared.put(stale, [], [1], index.token)
    assert is_same(store, shared)


def test_two_indexes_cannot_have_one_name(tmp_path: Path, store: Store, shared: SharedGallery, address: str) -> None:
    push(store, shared, connected(store))
    with Store.create(tmp_path / "second", MODEL) as other:
        connect(other, address, "machine")
        with pytest.raises(GalleryError, match="has an index named machine already"):
            push(other, shared, connected(other))


@only_postgres
def test_the_views_for_sql(store: Store, shared: SharedGallery, address: str, postgres: PostgresServer) -> None:
    """They say what the local ones say, and have the same columns as far as a gallery knows them."""
    push(store, shared, connected(store))
    local = Path(str(store.path)) / "catalog.sqlite"
    for view in VIEWS:
        columns = postgres.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'facesearch'"
            f" AND table_name = '{view}'", address,
        )  # fmt: skip
        known = {str(name) for (name,) in columns}
        here = set(ask(local, f"SELECT * FROM {view} LIMIT 0", functions={}, seconds=9).columns)
        assert known - here <= {"index", "embedding", "tenant"}
        shared_columns = sorted(known & here)
        assert shared_columns
        listed = ", ".join(shared_columns)
        there = postgres.execute(f"SELECT {listed} FROM facesearch.{view} ORDER BY {listed}", address)
        assert there == sorted(ask(local, f"SELECT {listed} FROM {view}", functions={}, seconds=9).rows)
    page = (CHECKOUT / "docs" / "sql.md").read_text().split("## In PostgreSQL")[1].split("\n### ")[0]
    example = "\n".join(line for line in page.splitlines() if line.startswith("    "))
    rows = postgres.execute(example.replace("'nas'", "'machine'"), address)
    assert rows[0][2] == pytest.approx(1, abs=1e-6)
    assert len(rows) == 12
