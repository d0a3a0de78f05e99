"""Exact search with numpy: matrix products over blocks of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facesearch.vectors.protocol import Candidates, Mask

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["EmptyBase", "Nearest", "nearest"]

_ROWS_AT_ONCE = 8192
_FIRST_ROWS = 512


class EmptyBase:
    """A base without vectors, for an index without a file: all vectors are in the tail and are searched exactly."""

    kind = "flat"
    exact = True
    probes = None

    def __init__(self, dim: int) -> None:
        self.ids: IdArray = np.empty(0, dtype=np.int64)
        self._dim = dim

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """See `Base.candidates`."""
        return [Candidates(self.ids, -np.inf) for _ in queries]

    def vectors(self, rows: IdArray) -> FloatArray:
        """See `Base.vectors`."""
        return np.empty((0, self._dim), dtype=np.float32)


def nearest(vectors: FloatArray, queries: FloatArray, wanted: int, mask: Mask | None = None) -> list[Candidates]:
    """Return the `wanted` best rows for each query, in any order, by one pass of matrix products over blocks."""
    best = Nearest(queries, wanted)
    # Vectors in a mapped file are unaligned, which makes products slow: they are copied to an aligned block.
    buffer = None if vectors.flags.aligned else np.empty((_ROWS_AT_ONCE, vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        block = vectors[start : start + _ROWS_AT_ONCE]
        rows = np.arange(start, start + len(block), dtype=np.int64)
        if mask is not None:
            chosen = mask[start : start + _ROWS_AT_ONCE]
            if not chosen.any():
                continue
            if not chosen.all():
                block, rows = block[chosen], rows[chosen]
        if buffer is not None and not block.flags.aligned:
            buffer[: len(block)].view(np.uint8)[...] = block.view(np.uint8)
            block = buffer[: len(block)]
        best.add(block, rows)
    return best.candidates()


class Nearest:
    """Collects the best rows for each query from successive blocks.

    Each block's scores are compared with the current score to beat. Few rows beat it, and they are sorted from time to
    time.
    """

    def __init__(self, queries: FloatArray, wanted: int) -> None:
        self._queries = queries
        self._wanted = wanted
        self._floor = np.full(len(queries), -np.inf, dtype=np.float32)
        self._questions: list[IdArray] = []
        self._rows: list[IdArray] = []
        self._scores: list[FloatArray] = []
        self._seen = self._pending = 0
        self._products = np.empty((len(queries), _ROWS_AT_ONCE), dtype=np.float32)
        self._room = 4 * len(queries) * wanted

    def add(self, vectors: FloatArray, rows: IdArray) -> None:
        """Add vectors float32[n, dim] with their rows int64[n]."""
        start = 0
        while start < len(vectors):
            # Until there is a score to beat, every row must be sorted: the first steps are small.
            part = vectors[start : start + min(_ROWS_AT_ONCE, max(_FIRST_ROWS, self._seen))]
            scores = np.matmul(self._queries, part.T, out=self._products[:, : len(part)])
            # `flatnonzero` finds the few matches five times faster than a search along two axes.
            questions, columns = np.divmod(np.flatnonzero(scores > self._floor[:, None]), len(part))
            self._questions.append(questions)
            self._rows.append(rows[start + columns])
            self._scores.append(scores[questions, columns])
            self._pending += len(questions)
            if self._pending > self._room:
                self._sort_out()
            start += len(part)
            self._seen += len(part)

    def candidates(self) -> list[Candidates]:
        """Return the best rows; no other row scores higher than the last one kept."""
        self._sort_out()
        ends = np.searchsorted(self._questions[0], np.arange(len(self._queries) + 1))
        return [
            Candidates(self._rows[0][start:end], float(floor))
            for start, end, floor in zip(ends[:-1], ends[1:], self._floor, strict=True)
        ]

    def _sort_out(self) -> None:
        """Keep the best `wanted` rows for each query; if there were more, raise its floor to the last one kept."""
        none = np.empty(0, dtype=np.int64)
        questions, rows = np.concatenate([none, *self._questions]), np.concatenate([none, *self._rows])
        scores = np.concatenate([none.astype(np.float32), *self._scores])
        order = np.lexsort((-scores, questions))
        questions, rows, scores = questions[order], rows[order], scores[order]
        starts = np.searchsorted(questions, np.arange(len(self._queries)))
        places = np.arange(len(questions)) - starts[questions]
        last = np.flatnonzero(places == self._wanted - 1)
        more = last[
            (last + 1 < len(questions)) & (questions[np.minimum(last + 1, len(questions) - 1)] == questions[last])
        ]
        self._floor[questions[more]] = scores[more]
        kept = places < self._wanted
        self._questions, self._rows, self._scores = [questions[kept]], [rows[kept]], [scores[kept]]
        self._pending = int(kept.sum())
