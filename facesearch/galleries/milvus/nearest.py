"""The most similar faces of a gallery in Milvus: exactly k of them, whatever the filter and the kind of index.

An approximate index returns too few faces under a filter, and its scores may be rounded. So few faces are compared here
one by one; among many, the server is asked for more than k, with more and more effort, and the faces that it returns
are scored again. If that is not enough, all are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from facesearch.galleries.milvus.faces import MOST, Faces
from facesearch.galleries.milvus.filter import EVERYTHING
from facesearch.galleries.milvus.schema import RECORD_FIELDS
from facesearch.galleries.shared import Method
from facesearch.types import own_id

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["KINDS", "Kind", "Scored", "all_compared", "nearest"]

_MARGIN = 64
_WIDER = 4
_TIE = 1e-6
"""Similarities that differ by less may be of equal faces."""


class Kind(NamedTuple):
    """A kind of index: its name in Milvus, whether it is `exact`, and how to build it and to search in it."""

    name: str
    exact: bool
    built_with: dict[str, int]

    def settings(self, limit: int, effort: int, *, filtered: bool) -> dict[str, int]:
        """Return the settings of a search for `limit` faces; more `effort` finds more of them."""
        effort *= 1 + filtered
        if self.name == "HNSW":
            return {"ef": min(max(4 * limit, 256) * effort, 32_768)}
        if self.name.startswith("IVF"):
            return {"nprobe": min(self.built_with["nlist"] // 6 * effort, self.built_with["nlist"])}
        return {}


KINDS: dict[Method, Kind] = {
    "exact": Kind("FLAT", True, {}),
    "hnsw": Kind("HNSW", False, {"M": 16, "efConstruction": 200}),
    "ivf": Kind("IVF_SQ8", False, {"nlist": 1024}),
}
"""The kind of index of each method. The compressed lists hold a quarter of the bytes of an embedding."""


class Scored(NamedTuple):
    """The similarity of a face to a probe, and the face, with `RECORD_FIELDS`."""

    similarity: float
    entity: dict[str, Any]


def nearest(
    faces: Faces, kind: Kind, few: int, probe: FloatArray, k: int, condition: str, indexes: Sequence[int]
) -> list[Scored]:
    """Return the k most similar faces to a probe, float32[dim]; fewer only if there are no more.

    At most `few` faces are compared one by one, unless the index is exact.
    """
    if not indexes or k < 1:
        return []
    passing = 0
    if not kind.exact:
        passing = faces.count(condition, indexes)
        if passing <= few:
            return all_compared(faces, probe[None], k, condition, indexes)[0]
    fields = RECORD_FIELDS if kind.exact else [*RECORD_FIELDS, "embedding"]
    limit, effort, filtered = k + _MARGIN, 1, condition != EVERYTHING
    while limit <= MOST:
        settings = kind.settings(limit, effort, filtered=filtered)
        found = [
            Scored(score if kind.exact else _similarity(probe, entity), entity)
            for score, entity in faces.nearest(probe, limit, condition, indexes, fields, settings)
        ]
        found.sort(key=_order)
        if len(found) < limit and (kind.exact or len(found) >= passing):
            return found[:k]
        if len(found) > k and found[k - 1].similarity - found[-1].similarity > _TIE:
            return found[:k]
        limit, effort = limit * _WIDER, effort * _WIDER
    return all_compared(faces, probe[None], k, condition, indexes)[0]


def all_compared(
    faces: Faces, probes: FloatArray, k: int, condition: str, indexes: Sequence[int]
) -> list[list[Scored]]:
    """Return the k most similar faces per probe, float32[q, dim]; every face that passes is compared here."""
    best: list[list[Scored]] = [[] for _ in probes]
    for batch in faces.all(condition, ["key", "vector", "embedding"], indexes):
        embeddings = np.array([entity.pop("embedding") for entity in batch], dtype=np.float32)
        for place, probe in enumerate(probes):
            scores = np.einsum("nd,d->n", embeddings, probe)  # adds each row in one order: equal faces score equally
            most = np.flatnonzero(scores >= np.partition(scores, -k)[-k]) if k < len(scores) else range(len(scores))
            found = [*best[place], *(Scored(float(scores[one]), batch[one]) for one in most)]
            best[place] = sorted(found, key=_order)[:k]
    known = faces.some(sorted({int(scored.entity["key"]) for found in best for scored in found}), RECORD_FIELDS)
    return [
        [Scored(scored.similarity, known[scored.entity["key"]]) for scored in found if scored.entity["key"] in known]
        for found in best
    ]


def _similarity(probe: FloatArray, entity: dict[str, Any]) -> float:
    return float(np.asarray(entity["embedding"], dtype=np.float32) @ probe)


def _order(scored: Scored) -> tuple[float, int, int]:
    index, _ = own_id(int(scored.entity["key"]))
    return -scored.similarity, index, int(scored.entity["vector"])
