"""Exact vector files: they store every vector unchanged. A query reads all of them, at the speed of memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.vectors.exact import nearest
from facesearch.vectors.faiss_tools import found, read_index, selecting, write_index
from facesearch.vectors.protocol import Blocks, Candidates, Made, Mask

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["Flat", "FlatBase"]

_FEW_QUESTIONS = 4
_FEW_ANSWERS = 1024


class Flat:
    """The kind of `FlatBase`."""

    name = "flat"
    exact = True

    def takes(self, count: int, dim: int) -> bool:
        """See `Kind.takes`."""
        return True

    def make(self, dim: int, blocks: Blocks) -> Made:
        """See `Kind.make`."""
        import faiss

        index = faiss.IndexIDMap(faiss.IndexFlatIP(dim))
        for ids, vectors in blocks():
            index.add_with_ids(vectors, ids)
        return Made(1.0, partial(write_index, index))

    def read(self, path: Path, whole: bytes | None, dim: int) -> FlatBase | None:
        """See `Kind.read`."""
        import faiss

        index = read_index(path, whole, dim)
        return FlatBase(*index) if index is not None and isinstance(index[1], faiss.IndexFlatIP) else None


class FlatBase:
    """A FAISS `IndexFlatIP` under an id map, in memory or mapped."""

    kind = Flat.name
    exact = True
    probes = None

    def __init__(self, mapped_ids: Any, flat: Any) -> None:
        import faiss

        self._owner = mapped_ids
        self._flat = flat
        self.ids: IdArray = faiss.vector_to_array(mapped_ids.id_map)
        self._vectors: FloatArray = np.empty((0, flat.d), dtype=np.float32)
        if flat.ntotal:
            self._vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """See `Base.candidates`. FAISS searches for few queries; many queries or answers use matrix products."""
        if len(queries) >= _FEW_QUESTIONS or wanted > _FEW_ANSWERS or not len(self.ids):
            return nearest(self._vectors, queries, wanted, mask)
        scores, rows = self._flat.search(queries, min(wanted, self._flat.ntotal), params=selecting(mask))
        return [found(row, row_scores, len(self.ids)) for row, row_scores in zip(rows, scores, strict=True)]

    def vectors(self, rows: IdArray) -> FloatArray:
        """See `Base.vectors`."""
        return self._vectors[rows]
