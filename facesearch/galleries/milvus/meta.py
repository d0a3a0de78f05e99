"""The small collection of a gallery in Milvus: JSON by key, about the gallery and its indexes.

Milvus has no transactions. An index is one entity, which is replaced at once; long lists are entities of their own,
each of which can be read alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from facesearch.errors import GalleryError, Hint
from facesearch.galleries.address import Address
from facesearch.galleries.milvus.connection import SECONDS, telling
from facesearch.galleries.milvus.filter import text_of
from facesearch.galleries.milvus.schema import META, create, load_in_process, meta_schema
from facesearch.galleries.shared import Facts, PushedIndex, Token

if TYPE_CHECKING:
    from pymilvus import MilvusClient

__all__ = ["KnownIndex", "Meta"]

_GALLERY = "gallery"
_NUMBERS = 2**22
_PER_ENTITY = 2_000
_ROOTS_PER_ENTITY = 4  # a path may have 4,096 bytes, and each may be written as six


class KnownIndex(NamedTuple):
    """An index, and the number of its faces without a known quality."""

    pushed: PushedIndex
    unmeasured: int
    lists: int


class Meta:
    """What a gallery says about itself, and about the indexes in one of its sets of faces.

    A gallery has one set of faces; while it switches to another model, it has two. `faces_of` names the set.
    """

    def __init__(self, client: MilvusClient, address: Address, faces_of: str = "") -> None:
        self._client = client
        self._address = address
        self.faces_of = faces_of

    def make(self) -> None:
        """Make the collection, unless it exists."""
        with telling(self._address):
            create(self._client, META, meta_schema(self._client), "nothing", "FLAT", {})

    def opened(self, *, now: bool = False) -> dict[str, Any] | None:
        """Make the collection ready for questions, and return what `gallery` returns; None if it does not exist."""
        with telling(self._address):
            if not self._client.has_collection(META, timeout=SECONDS):
                return None
            load_in_process(self._client, self._address, META)
        return self.gallery(now=now)

    def gallery(self, *, now: bool = False) -> dict[str, Any] | None:
        """Return what the gallery says about itself as a whole; None if it is half-made."""
        return self._get(f'key == "{_GALLERY}"', now=now).get(_GALLERY)

    def keep_gallery(self, told: dict[str, Any]) -> None:
        """Store what the gallery says about itself as a whole, for everybody who reads it from now on."""
        self._put({_GALLERY: told})
        self._get(f'key == "{_GALLERY}"', now=True)

    def indexes(self, *, now: bool = False) -> list[KnownIndex]:
        """Return the indexes by number; with `now`, as they are at this moment, instead of some seconds ago."""
        first = self._index_key("")
        found = self._get(f'key >= "{first}" and key < "{first}~"', now=now)
        return sorted(map(_index_of, found.values()), key=lambda known: known.pushed.number)

    def names(self) -> dict[int, str]:
        """Return the names of the indexes, by number."""
        return {known.pushed.number: known.pushed.name for known in self.indexes()}

    def free_number(self, uuid: bytes) -> int:
        """Return a number for an index. It follows from its id: two machines cannot get the same one by chance."""
        taken = {known.pushed.number for known in self.indexes(now=True)}
        first = int.from_bytes(hashlib.blake2b(uuid, digest_size=8).digest(), "big")
        return next(number for step in itertools.count() if (number := 1 + (first + step) % _NUMBERS) not in taken)

    def require_free_name(self, name: str, uuid: bytes) -> None:
        """Raise `GalleryError` if another index has a name."""
        if any(known.pushed.name == name and known.pushed.uuid != uuid for known in self.indexes(now=True)):
            raise GalleryError(f"{self._address}: has an index named {name} already", Hint.GALLERY_NAME)

    def keep_index(self, index: PushedIndex, unmeasured: int, lists: int) -> None:
        """Store an index, and that it was pushed now."""
        told = index._asdict() | {"pushed_at": time.time(), "unmeasured": unmeasured, "lists": lists}
        told["uuid"] = index.uuid.hex()
        told["token"] = [None if index.token.token is None else index.token.token.hex(), index.token.change]
        self._put({self._index_key(index.uuid.hex()): told})

    def forget_index(self, index: PushedIndex) -> None:
        """Delete what is known about an index."""
        self._delete(f'key == "{self._index_key(index.uuid.hex())}"')
        self._delete(self._lists_of(index.uuid, 0))

    def forget_indexes(self) -> None:
        """Delete what is known about all indexes in this set of faces."""
        for known in self.indexes(now=True):
            self.forget_index(known.pushed)

    def keep_lists(self, uuid: bytes, facts: Facts) -> int:
        """Store the long lists of an index, and return the number of entities that they take."""
        roots = tuple(map(text_of, facts.roots))
        lists = [{"roots": part, "merged": ()} for part in _parts(roots, _ROOTS_PER_ENTITY)]
        lists += [{"roots": (), "merged": part} for part in _parts(facts.merged, _PER_ENTITY)]
        self._put({self._list_key(uuid, place): told for place, told in enumerate(lists)})
        return len(lists)

    def drop_lists(self, uuid: bytes, after: int) -> None:
        """Delete the long lists of an index from a place on."""
        self._delete(self._lists_of(uuid, after))

    def roots(self) -> list[bytes]:
        """Return the absolute paths of the folders and single photos of all indexes, sorted."""
        return sorted({root.encode("latin-1") for told in self._lists() for root in told["roots"]})

    def merged(self, number: int) -> dict[int, int]:
        """Return the people of an index that became part of others, and which."""
        uuids = [known.pushed.uuid for known in self.indexes() if known.pushed.number == number]
        return {int(one): int(other) for uuid in uuids for told in self._lists(uuid) for one, other in told["merged"]}

    def _lists(self, uuid: bytes | None = None) -> Iterator[dict[str, Any]]:
        for known in self.indexes():
            if uuid in (None, known.pushed.uuid) and known.lists:
                yield from self._get(self._lists_of(known.pushed.uuid, 0, known.lists)).values()

    def _index_key(self, uuid: str) -> str:
        return f"index:{self.faces_of}:{uuid}"

    def _list_key(self, uuid: bytes, place: int) -> str:
        return f"list:{self.faces_of}:{uuid.hex()}:{place:06}"

    def _lists_of(self, uuid: bytes, first: int, after: int = 999_999) -> str:
        return f'key >= "{self._list_key(uuid, first)}" and key < "{self._list_key(uuid, after)}"'

    def _get(self, condition: str, *, now: bool = False) -> dict[str, Any]:
        with telling(self._address):
            found = self._client.query(
                META,
                filter=condition,
                output_fields=["key", "value"],
                consistency_level="Strong" if now else "Bounded",
                timeout=SECONDS,
            )
        return {entity["key"]: json.loads(entity["value"]) for entity in found}

    def _put(self, told: dict[str, Any]) -> None:
        entities = [
            {"key": key, "value": json.dumps(value, separators=(",", ":")), "nothing": [0.0, 1.0]}
            for key, value in told.items()
        ]
        if entities:
            with telling(self._address):
                self._client.upsert(META, entities, timeout=SECONDS)

    def _delete(self, condition: str) -> None:
        keys = list(self._get(condition, now=True))
        if keys:
            with telling(self._address):
                self._client.delete(META, ids=keys, timeout=SECONDS)


def _index_of(told: dict[str, Any]) -> KnownIndex:
    unmeasured, lists = told.pop("unmeasured"), told.pop("lists")
    token, change = told["token"]
    known = PushedIndex(
        **told | {
            "uuid": bytes.fromhex(told["uuid"]),
            "token": Token(None if token is None else bytes.fromhex(token), change),
        }
    )  # fmt: skip
    return KnownIndex(known if known.token.token is not None else known._replace(pushed_at=None), unmeasured, lists)


def _parts(items: tuple[Any, ...], most: int) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]
