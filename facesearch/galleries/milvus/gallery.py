"""A shared gallery in Milvus, or in a folder of Milvus Lite."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.errors import ConflictError, GalleryError, Hint
from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.milvus.connection import closed, connected, telling
from facesearch.galleries.milvus.faces import Faces
from facesearch.galleries.milvus.filter import EVERYTHING, expression, inside
from facesearch.galleries.milvus.meta import KnownIndex, Meta
from facesearch.galleries.milvus.nearest import KINDS, Scored, all_compared, nearest
from facesearch.galleries.milvus.schema import (
    RECORD_FIELDS,
    SCHEMA,
    create,
    entity_of,
    faces_name,
    faces_schema,
    load_in_process,
    replace_index,
    values_of,
)
from facesearch.galleries.protocol import ALL, GallerySize, Part, ScoredFace
from facesearch.galleries.rows import Row, record_of
from facesearch.galleries.shared import METHODS, Facts, Method, PushedIndex, Recall, Token
from facesearch.galleries.version import as_told, require_version, told_model
from facesearch.locations import is_inside
from facesearch.types import FaceRecord, ModelInfo, whole_id

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from facesearch.types import FloatArray

__all__ = ["MilvusGallery", "make", "switch"]

_SETS = ("1", "2")
"""The names of the sets of faces: the current one, and one for another model while that is being filled."""

_FEW = 4_096
"""So many faces are compared here, one by one, instead of by the server's approximate index."""


def make(address: Address, model: ModelInfo, *, beside: bool = False) -> None:
    """Make a gallery for embeddings of a model; with `beside`, a set of faces beside the existing one.

    Raises `GalleryError` if there is one, or the server refuses.
    """
    client = connected(address, make=True)
    try:
        meta = Meta(client, address)
        told = meta.opened(now=True)
        if told is None:
            told = {"id": str(uuids.uuid4()), "version": SCHEMA, "sets": {}, "current": _SETS[0]}
            meta.make()
        elif not beside:
            raise GalleryError(f"{address}: there is a gallery already")
        require_version(address, told["version"], SCHEMA)
        _drop_old(client, address, meta, told)
        free = [name for name in _SETS if name not in told["sets"]]
        if not free:
            raise GalleryError(f"{address}: there is a gallery for another model beside it already")
        kind, name = KINDS["exact"], faces_name(free[0])
        with telling(address):
            client.drop_collection(name)  # half-made, by a run that was killed
            create(client, name, faces_schema(client, model.dim), "embedding", kind.name, kind.built_with)
        told["sets"][free[0]] = {"model": as_told(model), "method": "exact", "recall": None}
        meta.keep_gallery(told)
    finally:
        closed(client, address)


def switch(address: Address) -> None:
    """Make the set of faces beside the current one the current, and delete the other. Raises `GalleryError`."""
    client = connected(address)
    try:
        meta = Meta(client, address)
        told = meta.opened(now=True) or {"sets": {}, "current": ""}
        _drop_old(client, address, meta, told)
        old = told["current"]
        others = [name for name in told["sets"] if name != old]
        if not others:
            raise GalleryError(f"{address}: there is no gallery beside it to switch to")
        told.update(current=others[0], dropping=old)
        meta.keep_gallery(told)
        _drop_old(client, address, meta, told)
    finally:
        closed(client, address)


def _drop_old(client: MilvusClient, address: Address, meta: Meta, told: dict[str, Any]) -> None:
    """Delete the set of faces that another took the place of; a killed switch is finished by the next."""
    old = told.pop("dropping", None)
    if old is not None:
        Meta(client, address, old).forget_indexes()
        with telling(address):
            client.drop_collection(faces_name(old))
        del told["sets"][old]
        meta.keep_gallery(told)


class MilvusGallery:
    """A `SharedGallery` in Milvus; see `facesearch.galleries.shared`."""

    def __init__(self, address: Address, *, beside: bool = False, few: int = _FEW) -> None:
        """Open a gallery, or the set of faces beside the current one; at most `few` faces are compared here.

        Raises `GalleryError` if there is none, or if it has another version.
        """
        self._address = address
        self._few = few
        self._client = connected(address)
        try:
            self._meta, self.model = self._opened(beside=beside)
            self._collection = faces_name(self._meta.faces_of)
            self._faces = Faces(self._client, address, self._collection)
            with telling(address):
                load_in_process(self._client, address, self._collection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See `SharedGallery.close`."""
        closed(self._client, self._address)

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
        known = self._meta.indexes()
        people = [one.pushed.people for one in known if one.pushed.people is not None]
        return GallerySize(
            sum(one.pushed.photos for one in known),
            sum(one.pushed.faces for one in known),
            sum(one.unmeasured for one in known),
            sum(people) if people or not known else None,
        )

    def parts(self) -> list[Part]:
        """See `Gallery.parts`."""
        return [
            Part(Filter(index=known.pushed.name), known.pushed.people or 0)
            for known in self._meta.indexes()
            if known.pushed.faces > 0
        ]

    def count(self, where: Filter = ALL) -> int:
        """See `Gallery.count`."""
        if where.lets_all_through:
            return self.size().faces
        return self._faces.count(expression(where), list(self._names(where)))

    def search(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """See `Gallery.search`."""
        names, condition, kind = self._names(where), expression(where), KINDS[self.method]
        return [
            self._scored(nearest(self._faces, kind, self._few, probe, k, condition, list(names)), names)
            for probe in probes
        ]

    def search_exactly(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """See `SharedGallery.search_exactly`. With an approximate index, every embedding that passes is read."""
        if self.method == "exact":
            return self.search(probes, k, where)
        names = self._names(where)
        found = all_compared(self._faces, probes, k, expression(where), list(names))
        return [self._scored(scored, names) for scored in found]

    def vectors(self, faces: Sequence[FaceRecord]) -> FloatArray:
        """See `Gallery.vectors`."""
        if not faces:
            return np.zeros((0, self.model.dim), dtype=np.float32)
        found = self._faces.some([face.face_id for face in faces], ["embedding"])
        if any(face.face_id not in found for face in faces):
            raise GalleryError(f"{self._address}: faces were deleted during the search; ask again")
        return np.array([found[face.face_id]["embedding"] for face in faces], dtype=np.float32)

    def records(self, where: Filter = ALL) -> Iterator[FaceRecord]:
        """See `Gallery.records`."""
        names = self._names(where)
        for index in names:
            batches = self._faces.all(expression(where), RECORD_FIELDS, [index])
            found = [entity for batch in batches for entity in batch]
            yield from (self._record(entity, names) for entity in sorted(found, key=lambda entity: entity["vector"]))

    def sample(self, where: Filter, most: int) -> list[FaceRecord]:
        """See `Gallery.sample`."""
        names = self._names(where)
        keys: list[int] = []
        for index in names:
            batches = self._faces.all(expression(where), ["key", "vector"], [index])
            found = [entity for batch in batches for entity in batch]
            keys += [int(entity["key"]) for entity in sorted(found, key=lambda entity: entity["vector"])]
        keys = keys[:: max(1, -(-len(keys) // most))]
        known = self._faces.some(keys, RECORD_FIELDS)
        return [self._record(known[key], names) for key in keys if key in known]

    def current_person(self, number: int, index: str | None = None) -> int | None:
        """See `Gallery.current_person`."""
        (known,) = [key for key, name in self._meta.names().items() if name == index] or [0]
        merged = self._meta.merged(known).get(number)
        if merged is not None:
            return whole_id(known, merged)
        whole = whole_id(known, number)
        return whole if self.count(Filter(person=whole, index=index)) else None

    def folders(self) -> list[bytes]:
        """See `Gallery.folders`."""
        return self._meta.roots()

    def covers(self, path: bytes) -> bool:
        """See `Gallery.covers`."""
        return any(is_inside(path, root) or is_inside(root, path) for root in self.folders())

    def has_photos_at(self, path: bytes) -> bool:
        """See `Gallery.has_photos_at`; a photo without faces is not known here."""
        return self._faces.count(inside([path]), list(self._names(ALL))) > 0

    # How it searches

    @property
    def method(self) -> Method:
        """See `SharedGallery.method`."""
        told = self._told().get("method")
        return next((method for method in METHODS if method == told), "exact")

    def use_method(self, method: Method) -> None:
        """See `SharedGallery.use_method`. While the index is built, the gallery cannot be queried."""
        kind = KINDS[method]
        with telling(self._address):
            replace_index(self._client, self._collection, "embedding", kind.name, kind.built_with)
        self._keep(method=method, recall=None)

    def recall(self) -> Recall | None:
        """See `SharedGallery.recall`."""
        told = self._told().get("recall")
        return Recall(*told) if told else None

    def keep_recall(self, recall: Recall) -> None:
        """See `SharedGallery.keep_recall`."""
        self._keep(recall=list(recall))

    def _told(self) -> dict[str, Any]:
        """Return what the gallery says about this set of faces."""
        told: dict[str, Any] = (self._meta.gallery() or {}).get("sets", {}).get(self._meta.faces_of)
        if told is None:
            raise GalleryError(f"{self._address}: was switched to another model at this moment; ask again")
        return told

    def _keep(self, **values: object) -> None:
        told = self._meta.gallery() or {}
        told["sets"][self._meta.faces_of].update(values)
        self._meta.keep_gallery(told)

    def keep_probe(self, name: str, embedding: FloatArray, lasting: float) -> float:
        """See `SharedGallery.keep_probe`."""
        raise GalleryError(f"{self._address}: Milvus cannot be queried with SQL; query it with a photo")

    # Pushing

    def indexes(self) -> list[PushedIndex]:
        """See `SharedGallery.indexes`."""
        return [known.pushed for known in self._meta.indexes(now=True)]

    def add_index(self, uuid: bytes, name: str, place: str) -> PushedIndex:
        """See `SharedGallery.add_index`."""
        self._meta.require_free_name(name, uuid)
        index = PushedIndex(self._meta.free_number(uuid), uuid, name, place, Token(None, 0), 0, 0, None, None)
        self._faces.add_index(index.number)
        self._meta.keep_index(index, 0, 0)
        return index

    def put(self, index: PushedIndex, rows: Sequence[Row], gone: Sequence[int], token: Token) -> int:
        """See `SharedGallery.put`. If it is interrupted, the next push sends the same again."""
        known = self._known(index)
        if known.pushed.token != index.token:
            raise ConflictError(f"{self._address}: another run pushes this index at this moment", Hint.WAIT)
        wanted = {whole_id(index.number, row.face): row for row in rows}
        keys = [whole_id(index.number, face) for face in gone]
        there = self._faces.some([*wanted, *keys], ["digest"], now=True)
        changed = [row for key, row in wanted.items() if key not in there or int(there[key]["digest"]) != row.digest]
        dropped = [key for key in keys if key in there]
        self._faces.drop(index.number, dropped)
        self._faces.put(index.number, [entity_of(index.number, row) for row in changed])
        self._meta.keep_index(known.pushed._replace(token=token), known.unmeasured, known.lists)
        if dropped:
            self._make_visible(index)
        return len(changed) + len(dropped)

    def describe(self, index: PushedIndex, facts: Facts) -> None:
        """See `SharedGallery.describe`."""
        self._meta.require_free_name(index.name, index.uuid)
        known = self._known(index)
        lists = self._meta.keep_lists(index.uuid, facts)
        told = known.pushed._replace(
            name=index.name,
            place=index.place,
            tenant=index.tenant,
            photos=facts.photos,
            faces=facts.faces,
            people=facts.people,
        )
        self._meta.keep_index(told, facts.unmeasured, lists)
        self._meta.drop_lists(index.uuid, lists)
        self._make_visible(index)

    def digests(self, index: PushedIndex) -> Iterator[tuple[int, int]]:
        """See `SharedGallery.digests`."""
        for batch in self._faces.all(EVERYTHING, ["key", "digest"], [index.number], now=True):
            for entity in sorted(batch, key=lambda entity: entity["key"]):
                yield int(entity["key"]) - whole_id(index.number, 0), int(entity["digest"])

    def remove_index(self, index: PushedIndex) -> None:
        """See `SharedGallery.remove_index`."""
        known = self._known(index)
        emptied = known.pushed._replace(token=Token(None, 0), photos=0, faces=0, people=None)
        self._meta.keep_index(emptied, 0, known.lists)  # nobody reads a partition that is on its way out
        self._faces.drop_index(index.number)
        self._meta.forget_index(index)

    # The server

    def _opened(self, *, beside: bool) -> tuple[Meta, ModelInfo]:
        told = Meta(self._client, self._address).opened()
        if told is None:
            raise GalleryError(f"{self._address}: there is no gallery yet", Hint.GALLERY_INIT)
        require_version(self._address, told.get("version"), SCHEMA)
        current = told.get("current")
        dropping = told.get("dropping")
        names = [name for name in told.get("sets", ()) if (name != current) == beside and name != dropping]
        if not names:
            what = "beside it" if beside else "yet"
            raise GalleryError(f"{self._address}: there is no gallery {what}", Hint.GALLERY_INIT)
        model = told_model(self._address, told["sets"][names[0]].get("model"))
        return Meta(self._client, self._address, names[0]), model

    def _make_visible(self, index: PushedIndex) -> None:
        """Wait until the server answers with what was written; from then on, every reader gets it."""
        self._faces.count(EVERYTHING, [index.number], now=True)

    def _known(self, index: PushedIndex) -> KnownIndex:
        found = [known for known in self._meta.indexes(now=True) if known.pushed.uuid == index.uuid]
        if not found:
            raise ConflictError(f"{self._address}: this index was removed at this moment", Hint.WAIT)
        return found[0]

    def _names(self, where: Filter) -> dict[int, str]:
        """Return the names of the indexes that a filter lets through and that have faces, by number."""
        return {
            known.pushed.number: known.pushed.name
            for known in self._meta.indexes()
            if known.pushed.faces > 0 and where.index in (None, known.pushed.name)
        }

    def _scored(self, found: list[Scored], names: dict[int, str]) -> list[ScoredFace]:
        return [
            ScoredFace(max(-1.0, min(1.0, scored.similarity)), self._record(scored.entity, names)) for scored in found
        ]

    def _record(self, entity: dict[str, Any], names: dict[int, str]) -> FaceRecord:
        index, values = values_of(entity)
        return record_of(index, names[index], values)
