"""A private gallery in PostgreSQL: nobody sees or changes the faces of an index but those who may, by any way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
import psycopg
import pytest
from conftest import toy_face, toy_model_info
from postgres_server import PostgresServer

from facesearch.errors import ConflictError, GalleryError
from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.known import creation
from facesearch.galleries.postgres.approximate import DEFAULT_LIMITS, Limits
from facesearch.galleries.postgres.gallery import PostgresGallery
from facesearch.galleries.push import push, remove
from facesearch.index.store import Store
from facesearch.people.regroup import regroup
from facesearch.types import PhotoFacts, PhotoFile

DIM = 16
MODEL = toy_model_info(dim=DIM, threshold=0.5)
PHOTOS = {"anna": 6, "ben": 9}
ROLES = ("keeper", "anna", "ben", "carol", "dora", "gone")
VIEWS = ("faces", "photos", "people", "photos_faces", "face_rows", "merged_people", "indexes")
PROBE = np.eye(DIM, dtype=np.float32)[:1]


def filled(name: str, address: str) -> Store:
    """Return an index of photos of one person, connected to a gallery."""
    store = Store.memory(MODEL)
    with store.transaction():
        root = store.catalog.roots.add(b"/" + name.encode())
        for number in range(PHOTOS[name]):
            content = hashlib.sha256(b"%d of %s" % (number, name.encode())).digest()
            photo = store.catalog.photos.put(
                root.id, PhotoFile(b"%d.jpg" % number, 10, 0), content, "faces", facts=PhotoFacts(640, 480)
            )
            vector = np.eye(DIM)[0] + 0.2 * np.random.default_rng(number).normal(size=DIM)
            store.catalog.faces.replace(photo, [toy_face(vector, quality=0.9)])
        store.catalog.changes.connect("gallery", address, name)
    regroup(store)
    return store


class Users:
    """A private gallery that `keeper` owns, with an index of anna and one of ben. Dora is a member of anna."""

    def __init__(self, postgres: PostgresServer, stack: ExitStack) -> None:
        self.postgres, self.database, self._stack = postgres, postgres.database(), stack
        sql = creation(MODEL, private=True)
        rights = [line.removeprefix("--   ") for line in sql.splitlines() if line.startswith("--   GRANT")]
        name = self.database.partition("@/")[2].partition("?")[0]
        postgres.execute(
            f"DROP ROLE IF EXISTS {', '.join([*ROLES, 'reader', 'writer'])};"
            "CREATE ROLE reader; CREATE ROLE writer;"
            + "".join(f"CREATE ROLE {role} LOGIN;" for role in ROLES)
            + f"GRANT reader, writer TO anna, ben, carol, dora, gone; GRANT anna TO dora;"
            f"CREATE EXTENSION vector; GRANT CREATE ON DATABASE {name} TO keeper",
            self.database,
        )
        stack.callback(postgres.execute, self._undo(), self.database)
        postgres.execute(sql, self.address("keeper"))
        postgres.execute(" ".join(rights), self.address("keeper"))
        self.stores = {name: stack.enter_context(filled(name, self.database)) for name in PHOTOS}
        for one, store in self.stores.items():
            push(store, self.opened(one), store.catalog.changes.galleries()[0])
        postgres.execute(" ".join(rights), self.address("keeper"))  # again: now there are partitions, too

    def _undo(self) -> str:
        roles = ", ".join([*ROLES, "reader", "writer"])
        return f"DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}"

    def address(self, role: str) -> str:
        return self.database.replace("postgres@", f"{role}@")

    def opened(self, role: str, limits: Limits = DEFAULT_LIMITS) -> PostgresGallery:
        return self._stack.enter_context(closing(PostgresGallery(Address.of(self.address(role)), limits)))

    def sql(self, role: str, statement: str) -> list[tuple[object, ...]]:
        return self.postgres.execute(statement, self.address(role))


@pytest.fixture
def users(postgres: PostgresServer) -> Iterator[Users]:
    with ExitStack() as stack:
        yield Users(postgres, stack)


def seen(gallery: PostgresGallery) -> set[str | None]:
    """Return the names of the indexes of all that a gallery shows in any way."""
    records = list(gallery.records())
    found = [scored.face for where in (Filter(), Filter(min_face=1)) for scored in gallery.search(PROBE, 99, where)[0]]
    names = {face.index for face in [*records, *found, *gallery.sample(Filter(), 99)]}
    names |= {index.name for index in gallery.indexes()} | {part.where.index for part in gallery.parts()}
    names |= {folder.decode().strip("/") for folder in gallery.folders()}
    names |= {name for name in PHOTOS if gallery.has_photos_at(f"/{name}".encode())}
    names |= {name for name in PHOTOS if gallery.current_person(1, name) is not None}
    photos = sum(PHOTOS[str(name)] for name in names)
    assert gallery.count() == gallery.count(Filter(min_face=1)) == gallery.size().faces == len(records) == photos
    assert gallery.size().photos == photos
    return names


@pytest.mark.parametrize(
    ("role", "names"),
    [("anna", {"anna"}), ("ben", {"ben"}), ("dora", {"anna"}), ("carol", set()), ("keeper", set()),
     ("postgres", {"anna", "ben"})],
)  # fmt: skip
def test_each_role_sees_its_own(users: Users, role: str, names: set[str]) -> None:
    """The gallery's owner owns the tables and sees no faces; a superuser sees all, as everywhere."""
    assert seen(users.opened(role)) == names
    if role == "keeper":
        users.sql("keeper", "GRANT SELECT ON ALL TABLES IN SCHEMA facesearch TO keeper")
    for view in VIEWS:
        column = {"face_rows": "index", "merged_people": "index", "indexes": "name"}.get(view, "index")
        found = {str(name) for (name,) in users.sql(role, f"SELECT DISTINCT {column} FROM facesearch.{view}")}
        assert found <= (names | {str(1 + list(PHOTOS).index(name)) for name in names})
    expected = sum(PHOTOS[name] for name in names)
    assert users.sql(role, "SELECT count(*) FROM facesearch.photos_faces") == [(expected,)]


def test_nobody_borrows_the_rights_of_the_owner(users: Users) -> None:
    """The functions of triggers run as the owner: who could attach one to a table of their own could do anything."""
    for function, event in (("make_partition", "AFTER INSERT"), ("drop_partition", "BEFORE DELETE")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"function facesearch.{function}"):
            users.sql(
                "carol",
                "CREATE TEMPORARY TABLE indexes (number text); CREATE TEMPORARY TABLE face_rows (x integer);"
                f"CREATE TRIGGER borrowed {event} ON indexes FOR EACH ROW EXECUTE FUNCTION facesearch.{function}()",
            )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        users.sql(
            "carol",
            "INSERT INTO facesearch.indexes (number, uuid, name, place) OVERRIDING SYSTEM VALUE"
            " VALUES (7, 'x', 'x', 'x')",
        )


def test_a_partition_shows_nothing(users: Users) -> None:
    for role in ("anna", "ben", "keeper"):
        for table in ("face_rows_1", "face_rows_2"):
            assert users.sql(role, f"SELECT * FROM facesearch.{table}") == []


def test_nobody_changes_the_faces_of_others(users: Users) -> None:
    ben, (index,) = users.opened("ben"), users.opened("anna").indexes()
    before = users.sql("anna", "SELECT * FROM facesearch.face_rows ORDER BY face")
    with pytest.raises(GalleryError, match="belongs to another role"):
        ben.remove_index(index)
    with pytest.raises(ConflictError):
        ben.put(index, [], [1], index.token)
    for statement in (
        "DELETE FROM facesearch.face_rows WHERE index = 1 RETURNING face",
        "UPDATE facesearch.face_rows SET score = 0 WHERE index = 1 RETURNING face",
        "DELETE FROM facesearch.indexes WHERE number = 1 RETURNING number",
        "UPDATE facesearch.indexes SET readers = '{ben}' WHERE number = 1 RETURNING number",
    ):
        assert users.sql("ben", statement) == []
    for statement in (
        "UPDATE facesearch.face_rows SET index = 1 WHERE index = 2 AND face = 1",
        "INSERT INTO facesearch.merged_people VALUES (1, 7, 8)",
        "INSERT INTO facesearch.indexes (uuid, name, place, owner) VALUES ('x', 'x', 'x', 'anna')",
        "UPDATE facesearch.indexes SET owner = 'ben' WHERE number = 1",
        "UPDATE facesearch.indexes SET owner = 'anna'",
        "TRUNCATE facesearch.face_rows",
        "DELETE FROM facesearch.face_rows_1",
        "DROP TABLE facesearch.face_rows_1",
        "ALTER TABLE facesearch.face_rows DISABLE ROW LEVEL SECURITY",
        "SET row_security = off; SELECT * FROM facesearch.face_rows",
        "SELECT facesearch.drop_partition()",
    ):
        with pytest.raises(psycopg.Error):
            users.sql("ben", statement)
    assert users.sql("anna", "SELECT * FROM facesearch.face_rows ORDER BY face") == before


def test_a_search_path_opens_nothing(users: Users) -> None:
    users.sql("postgres", "CREATE SCHEMA evil AUTHORIZATION ben")
    users.sql("ben", "CREATE FUNCTION evil.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
                     "CREATE FUNCTION evil.same(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
                     "CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.same)")  # fmt: skip
    with psycopg.connect(users.address("ben"), autocommit=True) as connection:
        connection.execute("SET search_path = evil, pg_catalog")
        assert connection.execute("SELECT DISTINCT index FROM facesearch.faces").fetchall() == [("ben",)]
        assert connection.execute("DELETE FROM facesearch.indexes WHERE name <> 'ben'").rowcount == 0


def test_readers_see_and_change_nothing(users: Users) -> None:
    users.sql("anna", "UPDATE facesearch.indexes SET readers = '{carol,gone}' WHERE name = 'anna'")
    assert seen(users.opened("carol")) == {"anna"}
    for statement in (
        "DELETE FROM facesearch.face_rows RETURNING face",
        "DELETE FROM facesearch.indexes RETURNING number",
        "UPDATE facesearch.indexes SET readers = '{}' RETURNING number",
    ):
        assert users.sql("carol", statement) == []
    users.sql("postgres", "DROP OWNED BY gone; DROP ROLE gone; CREATE ROLE other")
    users.sql("postgres", "ALTER ROLE other RENAME TO gone")
    assert seen(users.opened("carol")) == {"anna"}, "a role that was dropped is no obstacle"
    users.sql("anna", "UPDATE facesearch.indexes SET readers = '{}'")
    assert seen(users.opened("carol")) == set()


def test_a_member_may_push_for_the_owner(users: Users) -> None:
    store = users.stores["anna"]
    with store.transaction():
        store.catalog.photos.hide([1], 1)
    push(store, users.opened("dora"), store.catalog.changes.galleries()[0])
    assert users.opened("anna").size().faces == PHOTOS["anna"] - 1
    assert users.opened("anna").count(Filter(min_face=1)) == PHOTOS["anna"] - 1
    with pytest.raises(GalleryError, match="another role pushed this index"):
        push(store, users.opened("ben"), store.catalog.changes.galleries()[0])
    remove(store, users.opened("dora"), store.catalog.changes.galleries()[0])
    assert seen(users.opened("postgres")) == {"ben"}


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
def test_approximate_searches_keep_to_it(users: Users, method: Any) -> None:
    limits = Limits(few=0, spare=0, listed=1)
    users.opened("keeper", limits).use_method(method)
    for role in PHOTOS:
        found = users.opened(role, limits).search(PROBE, 3)[0]
        exact = users.opened(role).search_exactly(PROBE, 3)[0]
        assert [scored.face.face_id for scored in found] == [scored.face.face_id for scored in exact]
        assert {scored.face.index for scored in found} == {role}


def test_who_may_see_is_found_once_per_query(users: Users) -> None:
    """Not once per face: in the plan as it ran, the table of indexes is read once."""
    ((plan,),) = users.sql("anna", "EXPLAIN (ANALYZE, FORMAT JSON) SELECT embedding FROM facesearch.face_rows")

    def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for inner in node.get("Plans", []):
            yield from nodes(inner)

    found = list(nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))  # type: ignore[index]
    assert [node["Actual Loops"] for node in found if node.get("Relation Name") == "indexes"] == [1]
    assert any(node.get("Parent Relationship") == "InitPlan" for node in found)
