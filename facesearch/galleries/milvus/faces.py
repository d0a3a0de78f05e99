"""The collection of faces of a gallery in Milvus: counting, reading, searching and writing entities.

A query returns at most 16,384 entities, in no order that all versions agree on. So longer answers are read in ranges of
keys that cannot have more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from facesearch.galleries.address import Address
from facesearch.galleries.milvus.connection import SECONDS, telling
from facesearch.galleries.milvus.filter import both
from facesearch.galleries.milvus.schema import partition_of
from facesearch.types import whole_id

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from facesearch.types import FloatArray

__all__ = ["MOST", "Faces"]

MOST = 16_384
"""The greatest number of entities in an answer of the server."""


class Faces:
    """The collection of faces; `indexes` are numbers of indexes."""

    def __init__(self, client: MilvusClient, address: Address, name: str) -> None:
        self._client = client
        self._address = address
        self._name = name

    def count(self, condition: str, indexes: Sequence[int], *, now: bool = False) -> int:
        """Count the faces of indexes that meet a condition."""
        if not indexes:
            return 0
        found = self._query(condition, ["count(*)"], indexes, now=now)
        return int(found[0]["count(*)"])

    def all(
        self, condition: str, fields: Sequence[str], indexes: Sequence[int], *, now: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the faces of indexes that meet a condition, in batches, each index by itself."""
        for index in indexes:
            left, start = self.count(condition, [index], now=now), whole_id(index, 0)
            if 0 < left <= MOST:
                yield self._query(condition, fields, [index], now=now)
                continue
            while left > 0:
                found = self._query(
                    both(condition, f"key >= {start} and key < {start + MOST}"), fields, [index], now=now
                )
                start += MOST
                left -= len(found)
                if found:
                    yield found
                else:
                    left = self.count(both(condition, f"key >= {start}"), [index], now=now)

    def some(self, keys: Sequence[int], fields: Sequence[str], *, now: bool = False) -> dict[int, dict[str, Any]]:
        """Return faces by key; those that do not exist are absent."""
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(keys), MOST):
            wanted = list(keys[start : start + MOST])
            entities = self._query(f"key in {wanted}", ["key", *fields], now=now)
            found |= {int(entity["key"]): entity for entity in entities}
        return found

    def nearest(
        self,
        probe: FloatArray,
        limit: int,
        condition: str,
        indexes: Sequence[int],
        fields: Sequence[str],
        settings: Mapping[str, int],
    ) -> list[tuple[float, dict[str, Any]]]:
        """Return at most `limit` <= `MOST` faces and their similarities to a probe, float32[dim]."""
        with telling(self._address):
            (found,) = self._client.search(
                self._name,
                [probe],
                filter=condition,
                limit=limit,
                output_fields=list(fields),
                search_params={"metric_type": "IP", "params": dict(settings)},
                partition_names=[partition_of(index) for index in indexes],
                consistency_level="Bounded",
                timeout=SECONDS,
            )
            return [(float(hit["distance"]), hit["entity"]) for hit in found]

    def add_index(self, index: int) -> None:
        """Make the partition of an index, unless it exists."""
        with telling(self._address):
            if not self._client.has_partition(self._name, partition_of(index), timeout=SECONDS):
                self._client.create_partition(self._name, partition_of(index), timeout=SECONDS)

    def put(self, index: int, entities: list[dict[str, Any]]) -> None:
        """Store faces of an index; those with the same keys are replaced."""
        if entities:
            with telling(self._address):
                self._client.upsert(self._name, entities, partition_name=partition_of(index), timeout=SECONDS)

    def drop(self, index: int, keys: Sequence[int]) -> None:
        """Delete faces of an index."""
        if keys:
            with telling(self._address):
                self._client.delete(self._name, ids=list(keys), partition_name=partition_of(index), timeout=SECONDS)

    def drop_index(self, index: int) -> None:
        """Delete all faces of an index."""
        partition = partition_of(index)
        with telling(self._address):
            if not self._client.has_partition(self._name, partition, timeout=SECONDS):
                return
            if self._address.scheme != "milvus-lite":  # which has nothing like it, and needs nothing
                self._client.release_partitions(self._name, [partition], timeout=SECONDS)
            self._client.drop_partition(self._name, partition, timeout=SECONDS)

    def _query(
        self, condition: str, fields: Sequence[str], indexes: Sequence[int] = (), *, now: bool = False
    ) -> list[dict[str, Any]]:
        with telling(self._address):
            return list(
                self._client.query(
                    self._name,
                    filter=condition,
                    output_fields=list(fields),
                    partition_names=[partition_of(index) for index in indexes],
                    consistency_level="Strong" if now else "Bounded",
                    timeout=SECONDS,
                )
            )
