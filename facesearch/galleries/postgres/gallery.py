"""A shared gallery in PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.errors import ConflictError, GalleryError, Hint
from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.postgres.approximate import DEFAULT_LIMITS, Limits, build, nearest
from facesearch.galleries.postgres.connection import connected, telling
from facesearch.galleries.postgres.filter import Condition, condition, inside
from facesearch.galleries.postgres.probes import drop_expired, keep
from facesearch.galleries.postgres.schema import SCHEMA, creation, schema_name
from facesearch.galleries.protocol import ALL, GallerySize, Part, ScoredFace
from facesearch.galleries.rows import COLUMNS, Row, record_of
from facesearch.galleries.shared import METHODS, Facts, Method, PushedIndex, Recall, Token
from facesearch.galleries.version import require_version, told_model
from facesearch.locations import is_inside
from facesearch.types import FaceRecord, ModelInfo, own_id, whole_id

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["PostgresGallery", "make", "switch"]

_VALUES = ", ".join(COLUMNS)
_ROW = f"index, {_VALUES}"
_TYPES = ["int4", *({"bigint": "int8", "integer": "int4", "double precision": "float8"}.get(kind, kind)
                    for kind in COLUMNS.values()), "vector"]  # fmt: skip
_CHANGED = ", ".join(f"{name} = excluded.{name}" for name in [*list(COLUMNS)[1:], "embedding"])
_INDEX = (
    "number, uuid, name, place, token, change, photos, faces, people, extract(epoch FROM pushed_at)::double precision,"
    " tenant"
)
_FETCHED = 2000


def make(address: Address, model: ModelInfo, *, private: bool = False, beside: bool = False) -> None:
    """Make a gallery for embeddings of a model; see `creation`. With `beside`, make it beside the one that there is.

    Raises `GalleryError` if there is one, or the server refuses.
    """
    name = schema_name(beside=beside)
    with closing(connected(address, name)) as connection, telling(address):
        if connection.execute("SELECT to_regnamespace(%s)", (name,)).fetchone() != (None,):
            what = "a gallery beside it already" if beside else f"a gallery already, or another schema named {name}"
            raise GalleryError(f"{address}: there is {what}")
        with connection.transaction():
            connection.execute(creation(model, private=private, beside=beside))


def switch(address: Address) -> None:
    """Put the gallery beside the current one in its place, and delete the other, at once. Raises `GalleryError`."""
    current, beside = schema_name(), schema_name(beside=True)
    with closing(connected(address, current)) as connection, telling(address):
        if connection.execute("SELECT to_regnamespace(%s)", (beside,)).fetchone() == (None,):
            raise GalleryError(f"{address}: there is no gallery beside it to switch to")
        with connection.transaction():
            connection.execute(f"DROP SCHEMA {current} CASCADE")
            connection.execute(f"ALTER SCHEMA {beside} RENAME TO {current}")


class PostgresGallery:
    """A `SharedGallery` in PostgreSQL; see `facesearch.galleries.shared`."""

    def __init__(self, address: Address, limits: Limits = DEFAULT_LIMITS, *, beside: bool = False) -> None:
        """Open a gallery, or the one beside it; the limits are those of approximate search.

        Raises `GalleryError` if it does not exist or has another version.
        """
        self._address = address
        self._limits = limits
        self._schema = schema_name(beside=beside)
        self._id: object = None
        self._connection = connected(address, self._schema)
        try:
            self.model = self._opened()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See `SharedGallery.close`."""
        self._connection.close()

    @property
    def name(self) -> str:
        """See `Gallery.name`."""
        return str(self._address)

    # Asking

    def own_calibration(self) -> str | None:
        """See `Gallery.own_calibration`."""
        return None

    def size(self) -> GallerySize:
        """See `Gallery.size`."""
        ((photos, faces, unmeasured, people, grouped, count),) = self._rows(
            "SELECT coalesce(sum(photos), 0)::bigint, coalesce(sum(faces), 0)::bigint,"
            " coalesce(sum(unmeasured), 0)::bigint, coalesce(sum(people), 0)::bigint, count(people), count(*)"
            " FROM indexes"
        )
        return GallerySize(photos, faces, unmeasured, people if grouped or not count else None)

    def parts(self) -> list[Part]:
        """See `Gallery.parts`."""
        return [
            Part(Filter(index=name), people)
            for name, people in self._rows(
                "SELECT name, coalesce(people, 0) FROM indexes WHERE faces > 0 ORDER BY number"
            )
        ]

    def count(self, where: Filter = ALL) -> int:
        """See `Gallery.count`."""
        if where.lets_all_through:
            return self.size().faces
        sql, values = self._condition(where)
        return int(self._rows(f"SELECT count(*) FROM face_rows WHERE {sql}", *values)[0][0])

    def search(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """See `Gallery.search`. By an index only if it pays; see `Limits`."""
        method, passing = self.method, self._condition(where)
        if method == "exact" or not 0 < k <= self._limits.most or not self._many_pass(where, passing, k):
            return self.search_exactly(probes, k, where)
        indexes = self.indexes()
        names, largest = {index.number: index.name for index in indexes}, max(index.faces for index in indexes)
        found = []
        for probe in probes:
            with telling(self._address):
                rows = nearest(self._connection, method, probe, k, passing, _ROW, self._limits, largest)
            found.append(_scored(rows, names) if rows is not None else self._compared(probe, k, passing, names))
        return found

    def search_exactly(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """See `SharedGallery.search_exactly`."""
        passing, names = self._condition(where), self._names()
        return [self._compared(probe, k, passing, names) for probe in probes]

    def vectors(self, faces: Sequence[FaceRecord]) -> FloatArray:
        """See `Gallery.vectors`."""
        if not faces:
            return np.zeros((0, self.model.dim), dtype=np.float32)
        self._require_unswitched()
        ids = [own_id(face.face_id) for face in faces]
        rows = self._rows(
            "SELECT place, embedding FROM unnest(%s::integer[], %s::bigint[]) WITH ORDINALITY AS wanted (i, f, place)"
            " JOIN face_rows ON index = i AND face = f ORDER BY place",
            [index for index, _ in ids], [face for _, face in ids],
        )  # fmt: skip
        if len(rows) != len(faces):
            raise GalleryError(f"{self._address}: faces were deleted during the search; ask again")
        return np.stack([vector.to_numpy() for _, vector in rows]).astype(np.float32)

    def records(self, where: Filter = ALL) -> Iterator[FaceRecord]:
        """See `Gallery.records`."""
        sql, values = self._condition(where)
        names = self._names()
        last = (0, 0)
        while True:
            rows = self._rows(
                f"SELECT {_ROW} FROM face_rows WHERE (index, vector) > (%s, %s) AND {sql}"
                " ORDER BY index, vector LIMIT %s",
                *last, *values, _FETCHED,
            )  # fmt: skip
            yield from (record_of(index, names[index], row) for index, *row in rows if index in names)
            if len(rows) < _FETCHED:
                return
            last = rows[-1][0], rows[-1][2]

    def sample(self, where: Filter, most: int) -> list[FaceRecord]:
        """See `Gallery.sample`."""
        sql, values = self._condition(where)
        names = self._names()
        rows = self._rows(
            f"SELECT {_ROW} FROM (SELECT *, row_number() OVER (ORDER BY index, vector) - 1 AS place,"
            f" count(*) OVER () AS passing FROM face_rows WHERE {sql}) AS numbered"
            " WHERE place %% greatest(1, (passing + %s - 1) / %s) = 0 ORDER BY place",
            *values, most, most,
        )  # fmt: skip
        return [record_of(index, names[index], row) for index, *row in rows if index in names]

    def current_person(self, number: int, index: str | None = None) -> int | None:
        """See `Gallery.current_person`."""
        (known,) = [key for key, name in self._names().items() if name == index] or [0]
        rows = self._rows(
            "SELECT merged_into FROM merged_people WHERE index = %s AND person = %s UNION ALL"
            " (SELECT person FROM face_rows WHERE index = %s AND person = %s LIMIT 1)",
            known, number, known, number,
        )  # fmt: skip
        return whole_id(known, rows[0][0]) if rows else None

    def folders(self) -> list[bytes]:
        """See `Gallery.folders`."""
        rows = self._rows("SELECT DISTINCT unnest(roots) FROM indexes ORDER BY 1")
        return [root for (root,) in rows]

    def covers(self, path: bytes) -> bool:
        """See `Gallery.covers`."""
        roots = self.folders()
        return any(is_inside(path, root) or is_inside(root, path) for root in roots)

    def has_photos_at(self, path: bytes) -> bool:
        """See `Gallery.has_photos_at`; a photo without faces is not known here."""
        sql, values = inside([path])
        return bool(self._rows(f"SELECT 1 FROM face_rows WHERE {sql} LIMIT 1", *values))

    # How it searches

    @property
    def method(self) -> Method:
        """See `SharedGallery.method`."""
        ((told,),) = self._rows("SELECT method FROM gallery")
        return next((method for method in METHODS if method == told), "exact")

    def use_method(self, method: Method) -> None:
        """See `SharedGallery.use_method`. An index for approximate search needs pgvector 0.8."""
        if method != "exact":
            self._require_iterative_scans()
        with telling(self._address), self._connection.transaction():
            self._connection.execute(
                "UPDATE gallery SET method = %s, recall = NULL, recall_faces = NULL, recall_at = NULL",
                (method,),
            )
            build(self._connection, method, self.model.dim, self._limits)

    def recall(self) -> Recall | None:
        """See `SharedGallery.recall`."""
        rows = self._rows(
            "SELECT recall, recall_faces, extract(epoch FROM recall_at)::double precision FROM gallery"
            " WHERE recall IS NOT NULL"
        )
        return Recall(*rows[0]) if rows else None

    def keep_recall(self, recall: Recall) -> None:
        """See `SharedGallery.keep_recall`."""
        with telling(self._address):
            self._connection.execute(
                "UPDATE gallery SET recall = %s, recall_faces = %s, recall_at = to_timestamp(%s)", recall
            )

    def keep_probe(self, name: str, embedding: FloatArray, lasting: float) -> float:
        """See `SharedGallery.keep_probe`."""
        with telling(self._address):
            return keep(self._connection, name, embedding, lasting)

    # Pushing

    def indexes(self) -> list[PushedIndex]:
        """See `SharedGallery.indexes`."""
        return [_pushed(row) for row in self._rows(f"SELECT {_INDEX} FROM indexes ORDER BY number")]

    def add_index(self, uuid: bytes, name: str, place: str) -> PushedIndex:
        """See `SharedGallery.add_index`."""
        with self._naming(name):
            self._connection.execute("INSERT INTO indexes (uuid, name, place) VALUES (%s, %s, %s)", (uuid, name, place))
        return next(index for index in self.indexes() if index.uuid == uuid)

    def put(self, index: PushedIndex, rows: Sequence[Row], gone: Sequence[int], token: Token) -> int:
        """See `SharedGallery.put`."""
        changed = 0
        with telling(self._address), self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(
                "UPDATE indexes SET token = %s, change = %s, pushed_at = now()"
                " WHERE number = %s AND token IS NOT DISTINCT FROM %s AND change = %s",
                (*token, index.number, *index.token),
            )
            if cursor.rowcount != 1:
                raise ConflictError(f"{self._address}: another run pushes this index at this moment", Hint.WAIT)
            if gone:
                changed += self._delete(cursor, index, gone)
            if rows:
                cursor.execute(
                    "CREATE TEMPORARY TABLE IF NOT EXISTS facesearch_pushed (LIKE face_rows) ON COMMIT DELETE ROWS"
                )
                with cursor.copy(f"COPY facesearch_pushed ({_ROW}, embedding) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(_TYPES)
                    for row in rows:
                        copy.write_row((index.number, *row.values, row.embedding))
                cursor.execute(
                    f"INSERT INTO face_rows AS known ({_ROW}, embedding)"
                    f" SELECT {_ROW}, embedding FROM facesearch_pushed"
                    f" ON CONFLICT (index, face) DO UPDATE SET {_CHANGED}"
                    " WHERE known.digest IS DISTINCT FROM excluded.digest"
                )
                changed += cursor.rowcount
        return changed

    def describe(self, index: PushedIndex, facts: Facts) -> None:
        """See `SharedGallery.describe`. Also deletes expired probes."""
        with self._naming(index.name), self._connection.transaction():
            drop_expired(self._connection)
            self._connection.execute(
                "UPDATE indexes SET photos = %s, faces = %s, unmeasured = %s, people = %s, roots = %s,"
                " name = %s, place = %s, tenant = %s, pushed_at = now() WHERE number = %s",
                (*facts[:4], list(facts.roots), index.name, index.place, index.tenant, index.number),
            )
            self._connection.execute("DELETE FROM merged_people WHERE index = %s", (index.number,))
            with self._connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO merged_people (index, person, merged_into) VALUES (%s, %s, %s)",
                    [(index.number, *pair) for pair in facts.merged],
                )

    def digests(self, index: PushedIndex) -> Iterator[tuple[int, int]]:
        """See `SharedGallery.digests`."""
        last = 0
        while True:
            rows = self._rows(
                "SELECT face, digest FROM face_rows WHERE index = %s AND face > %s ORDER BY face LIMIT %s",
                index.number, last, 10 * _FETCHED,
            )  # fmt: skip
            yield from rows
            if not rows:
                return
            last = rows[-1][0]

    def remove_index(self, index: PushedIndex) -> None:
        """See `SharedGallery.remove_index`."""
        with telling(self._address):
            done = self._connection.execute("DELETE FROM indexes WHERE number = %s", (index.number,))
        if done.rowcount != 1:
            raise GalleryError(f"{self._address}: the index {index.name} belongs to another role", Hint.GALLERY_RIGHTS)

    # The server

    def _opened(self) -> ModelInfo:
        if self._rows("SELECT to_regclass(%s)", f"{self._schema}.gallery") == [(None,)]:
            what = "yet" if self._schema == schema_name() else "beside it"
            raise GalleryError(f"{self._address}: there is no gallery {what}", Hint.GALLERY_INIT)
        rows = self._rows("SELECT version, model, id FROM gallery")
        version, told, self._id = rows[0] if len(rows) == 1 else (None, None, None)
        require_version(self._address, version, SCHEMA)
        return told_model(self._address, told)

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Raise `GalleryError` with a remedy if another index has a name."""
        import psycopg

        try:
            with telling(self._address):
                yield
        except GalleryError as error:
            if isinstance(error.__cause__, psycopg.errors.UniqueViolation):
                if error.__cause__.diag.constraint_name != "indexes_name_key":
                    raise GalleryError(
                        f"{self._address}: another role pushed this index, or a copy of it", Hint.GALLERY_RIGHTS
                    ) from error
                raise GalleryError(f"{self._address}: has an index named {name} already", Hint.GALLERY_NAME) from error
            raise

    def _require_iterative_scans(self) -> None:
        ((version,),) = self._rows("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        if [int(part) for part in version.split(".")[:2]] < [0, 8]:
            raise GalleryError(
                f"{self._address}: has pgvector {version}, approximate search needs 0.8; upgrade the extension"
            )

    def _many_pass(self, where: Filter, passing: Condition, k: int) -> bool:
        """Whether more faces pass than are worth comparing one by one, by a sample.

        Counting all takes as long as comparing them, and the server's own estimates are wrong by much for a filter that
        computes something. A wrong answer costs time, and changes neither similarities nor how many faces are found.
        """
        faces = self.size().faces
        if where.lets_all_through or faces <= self._limits.enough(k):
            return faces > self._limits.enough(k)
        share = min(1.0, self._limits.sampled / faces)
        rows = self._rows(
            f"SELECT count(*) FROM face_rows TABLESAMPLE SYSTEM (%s) WHERE {passing.sql}",
            100 * share, *passing.values,
        )  # fmt: skip
        return bool(rows[0][0] / share > self._limits.enough(k))

    def _compared(self, probe: FloatArray, k: int, passing: Condition, names: dict[int, str]) -> list[ScoredFace]:
        """Return the k nearest faces, found by comparing every face that passes."""
        rows = self._rows(
            "WITH nearest AS (SELECT index, face, embedding <#> %s AS away FROM face_rows"
            f" WHERE {passing.sql} ORDER BY 3, index, vector LIMIT %s) SELECT -away, {_ROW} FROM nearest"
            " JOIN face_rows USING (index, face) ORDER BY away, index, vector",
            probe, *passing.values, k,
        )  # fmt: skip
        return _scored(rows, names)

    def _names(self) -> dict[int, str]:
        return dict(self._rows("SELECT number, name FROM indexes"))

    def _require_unswitched(self) -> None:
        """Raise `GalleryError` if a gallery for another model has taken the place of this one."""
        if self._rows("SELECT id FROM gallery") != [(self._id,)]:
            raise GalleryError(f"{self._address}: was switched to another model at this moment; ask again")

    def _condition(self, where: Filter) -> Condition:
        self._require_unswitched()
        numbers = {name: number for number, name in self._names().items()} if where.index is not None else {}
        return condition(where, numbers)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with telling(self._address):
            return self._connection.execute(sql, values or None, binary=True).fetchall()

    def _delete(self, cursor: Any, index: PushedIndex, faces: Sequence[int]) -> int:
        cursor.execute("DELETE FROM face_rows WHERE index = %s AND face = ANY(%s)", (index.number, list(faces)))
        return int(cursor.rowcount)


def _scored(rows: Sequence[Any], names: dict[int, str]) -> list[ScoredFace]:
    return [
        ScoredFace(max(-1.0, min(1.0, score)), record_of(index, names[index], row))
        for score, index, *row in rows
        if index in names
    ]


def _pushed(row: Sequence[Any]) -> PushedIndex:
    number, uuid, name, place, token, change, photos, faces, people, pushed_at, tenant = row
    moment = None if pushed_at is None or not math.isfinite(pushed_at) else float(pushed_at)
    return PushedIndex(number, uuid, name, place, Token(token, change), photos, faces, people, moment, tenant)
