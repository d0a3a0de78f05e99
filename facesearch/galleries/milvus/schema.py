"""The two collections of a gallery in Milvus: one of faces, and a small one that says what the gallery has.

The faces of each index are a partition of their own, so that a search in one index reads no other, and an index is
removed at once. (Version 2.3.5 of the server finds only some of the rows by a partition key if they were upserted.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from facesearch.galleries.milvus.connection import BUILD_SECONDS, SECONDS
from facesearch.galleries.milvus.filter import text_of
from facesearch.galleries.rows import COLUMNS, Row
from facesearch.types import own_id, whole_id

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient
    from pymilvus.milvus_client.index import IndexParams

    from facesearch.galleries.address import Address

__all__ = [
    "META", "RECORD_FIELDS", "SCHEMA", "VALUE_LENGTH", "create", "entity_of", "faces_name", "faces_schema",
    "load_in_process", "meta_schema", "partition_of", "replace_index", "values_of",
]  # fmt: skip

SCHEMA = 1
"""The version of the collections. A gallery of another version is refused."""

META = "facesearch"
RECORD_FIELDS = ["key", "vector", "path", "record"]
"""The fields from which a complete record is made."""

VALUE_LENGTH = 65_535
"""The greatest length of a text in Milvus, in bytes."""

_PATH_LENGTH = 16_384
_UNKNOWN_QUALITY, _NOBODY = -1.0, 0
_APART = {"face", "vector", "path"}
_BYTES = {name for name, kind in COLUMNS.items() if kind == "bytea"}


def partition_of(number: int) -> str:
    """Return the name of the partition with the faces of an index."""
    return f"index_{number}"


def faces_name(faces_of: str) -> str:
    """Return the name of the collection of a set of faces."""
    return f"{META}_faces_{faces_of}"


def faces_schema(client: MilvusClient, dim: int) -> CollectionSchema:
    """Return the schema of the collection of faces; `key` is the whole id of a face."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.INT64, is_primary=True)
    for name in ("vector", "photo", "person", "faces_in_photo", "digest"):
        schema.add_field(name, DataType.INT64)
    for name in ("shorter", "quality"):
        schema.add_field(name, DataType.DOUBLE)
    for name in ("first_moment", "last_moment"):
        schema.add_field(name, DataType.VARCHAR, max_length=32)
    schema.add_field("path", DataType.VARCHAR, max_length=_PATH_LENGTH)
    schema.add_field("record", DataType.VARCHAR, max_length=VALUE_LENGTH)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dim)
    return schema


def meta_schema(client: MilvusClient) -> CollectionSchema:
    """Return the schema of the small collection: JSON by key. Every collection must have a vector."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=256)
    schema.add_field("value", DataType.VARCHAR, max_length=VALUE_LENGTH)
    schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
    return schema


def entity_of(index: int, row: Row) -> dict[str, Any]:
    """Return a row as an entity of the collection of faces."""
    values = dict(zip(COLUMNS, row.values, strict=True))
    kept = [_plain(values[name]) for name in COLUMNS if name not in _APART]
    return {
        "key": whole_id(index, values["face"]),
        "vector": values["vector"],
        "photo": whole_id(index, values["photo"]),
        "person": _NOBODY if values["person"] is None else whole_id(index, values["person"]),
        "faces_in_photo": values["faces_in_photo"],
        "digest": values["digest"],
        "shorter": float(min(values["width"], values["height"])),
        "quality": _UNKNOWN_QUALITY if values["quality"] is None else float(values["quality"]),
        "first_moment": values["first_moment"],
        "last_moment": values["last_moment"],
        "path": text_of(values["path"]),
        "record": json.dumps(kept, separators=(",", ":")),
        "embedding": row.embedding,
    }


def values_of(entity: Mapping[str, Any]) -> tuple[int, Sequence[Any]]:
    """Return the number of the index of an entity with `RECORD_FIELDS`, and the values of its row."""
    index, face = own_id(int(entity["key"]))
    kept = iter(json.loads(entity["record"]))
    apart = {"face": face, "vector": int(entity["vector"]), "path": entity["path"].encode("latin-1")}
    values = [apart[name] if name in apart else _bytes_again(name, next(kept)) for name in COLUMNS]
    return index, values


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _bytes_again(name: str, value: Any) -> Any:
    return bytes.fromhex(value) if name in _BYTES and value is not None else value


def create(
    client: MilvusClient, name: str, schema: CollectionSchema, vector: str, kind: str, settings: Mapping[str, int]
) -> None:
    """Create a collection, unless it exists, and load it."""
    if not client.has_collection(name, timeout=SECONDS):
        index = _index_of(client, vector, kind, settings)
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Bounded", timeout=SECONDS)


def replace_index(client: MilvusClient, name: str, vector: str, kind: str, settings: Mapping[str, int]) -> None:
    """Replace the index of a collection. What is in memory is written first: it would have none."""
    client.flush(name, timeout=BUILD_SECONDS)
    client.release_collection(name, timeout=SECONDS)
    client.drop_index(name, vector, timeout=SECONDS)
    client.create_index(name, _index_of(client, vector, kind, settings), timeout=BUILD_SECONDS)
    client.load_collection(name, timeout=BUILD_SECONDS)


def load_in_process(client: MilvusClient, address: Address, name: str) -> None:
    """Make a collection of Milvus Lite ready for questions. A server does so by itself, and few may tell it to."""
    if address.scheme == "milvus-lite":
        client.load_collection(name, timeout=SECONDS)


def _index_of(client: MilvusClient, vector: str, kind: str, settings: Mapping[str, int]) -> IndexParams:
    index = client.prepare_index_params()
    index.add_index(vector, index_name=vector, index_type=kind, metric_type="IP", params=dict(settings))
    return index
