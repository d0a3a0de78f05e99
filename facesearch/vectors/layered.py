"""A vector index in layers: a file that never changes, and the vectors added and the ids removed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facesearch.vectors.exact import EmptyBase, nearest
from facesearch.vectors.protocol import Base, Mask

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["LayeredIndex"]

_SLACK = 16
_ROUNDING = 1e-5


class LayeredIndex:
    """A `VectorIndex` of a base, a tail of vectors added since and a mask of those removed; the base is optional.

    A file that is mapped into memory cannot change, so changes are kept separately. `verified` is set if the checksum
    of the base was verified.
    """

    def __init__(self, dim: int, base: Base | None = None, *, recall: float = 1.0, verified: bool = True) -> None:
        self.dim = dim
        self.recall = recall
        self.verified = verified
        self._base: Base = EmptyBase(dim) if base is None else base
        self._base_alive: Mask = np.ones(len(self._base.ids), dtype=np.bool_)
        self._tail_ids: IdArray = np.empty(0, dtype=np.int64)
        self._tail_vectors: FloatArray = np.empty((0, dim), dtype=np.float32)

    @property
    def kind(self) -> str:
        """See `VectorIndex.kind`."""
        return self._base.kind

    @property
    def probes(self) -> int | None:
        """See `VectorIndex.probes`."""
        return self._base.probes

    @property
    def exact(self) -> bool:
        """See `VectorIndex.exact`."""
        return self.verified and self._base.exact

    def __len__(self) -> int:
        return int(self._base_alive.sum()) + len(self._tail_ids)

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """See `VectorIndex.add`."""
        self._tail_ids = np.concatenate([self._tail_ids, ids.astype(np.int64)])
        self._tail_vectors = np.concatenate([self._tail_vectors, vectors.astype(np.float32)])

    def remove(self, ids: IdArray) -> None:
        """See `VectorIndex.remove`."""
        if len(self._base.ids) and len(ids):
            self._base_alive &= ~np.isin(self._base.ids, ids)
        kept = ~np.isin(self._tail_ids, ids)
        self._tail_ids, self._tail_vectors = self._tail_ids[kept], self._tail_vectors[kept]

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """See `VectorIndex.search`.

        Each part proposes candidates, fast and up to rounding. Their scores are then computed again in double precision
        and sorted here, so that copies of a vector score exactly alike in either part. The scores of an approximate
        base still have 16-bit rounding: `Store.search` scores its answers once more.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        width = min(k, len(self))
        scores = np.full((len(queries), width), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), width), -1, dtype=np.int64)
        if width == 0 or not len(queries):
            return scores, ids
        base_mask = self._base_mask(allowed)
        tail_mask = None if allowed is None else np.isin(self._tail_ids, allowed)
        pending = np.arange(len(queries))
        wanted = width + _SLACK
        while len(pending):
            base = self._base.candidates(queries[pending], wanted, base_mask)
            tail = nearest(self._tail_vectors, queries[pending], wanted, tail_mask)
            unsettled = []
            for row, query, base_part, tail_part in zip(pending.tolist(), queries[pending], base, tail, strict=True):
                found_ids = np.concatenate([self._base.ids[base_part.rows], self._tail_ids[tail_part.rows]])
                vectors = np.concatenate([self._base.vectors(base_part.rows), self._tail_vectors[tail_part.rows]])
                exact = (vectors.astype(np.float64) * query).sum(axis=1).astype(np.float32)
                order = np.lexsort((found_ids, -exact))[:width]
                last = exact[order[-1]] if len(order) == width else -np.inf
                behind = max(base_part.left_behind, tail_part.left_behind)
                if behind > -np.inf and behind >= last - _ROUNDING:
                    unsettled.append(row)  # a row that was not proposed may equal the last one
                    continue
                scores[row, : len(order)], ids[row, : len(order)] = exact[order], found_ids[order]
            pending = np.array(unsettled, dtype=np.int64)
            wanted *= 4
        return scores, ids

    def vectors(self, ids: IdArray) -> FloatArray:
        """See `VectorIndex.vectors`."""
        found = np.zeros((len(ids), self.dim), dtype=np.float32)
        rows, present = _places(self._base.ids, ids)
        found[present] = self._base.vectors(rows[present])
        rows, present = _places(self._tail_ids, ids)
        found[present] = self._tail_vectors[rows[present]]
        return found

    def _base_mask(self, allowed: IdArray | None) -> Mask | None:
        if allowed is not None:
            return self._base_alive & np.isin(self._base.ids, allowed)
        return None if self._base_alive.all() else self._base_alive


def _places(held: IdArray, ids: IdArray) -> tuple[IdArray, Mask]:
    """Return the position of each id in the ascending `held`, and whether it is present."""
    rows = np.searchsorted(held, ids)
    present = rows < len(held)
    present[present] = held[rows[present]] == ids[present]
    return rows, present
