"""Approximate vector files, for large indexes.

Vectors are grouped in clusters and a query visits some of them (inverted file). It compares 4-bit product codes in
registers (fast scan; André et al., "Quicker ADC", 2019), and the best of them again as 16-bit floats. A query reads a
thousand times less and misses about one hit in a hundred. The recall is measured when the file is made, by score: any
copy of a photo counts as found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.vectors.exact import Nearest
from facesearch.vectors.faiss_tools import found, read_index, selecting, selector, write_index
from facesearch.vectors.protocol import Base, Blocks, Candidates, Made, Mask

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["LEAST_RECALL", "Ivf", "IvfBase"]

LEAST_RECALL = 0.99
"""The minimum recall at 10 of an approximate index: probes are added until it is reached or there are no more."""

_FROM = 1000
_CODES_PER_BYTE = 2
_TRAINED_ON = 40
_FIRST_PROBES = 16
_ANSWERS_PER_PROBE = 128
_REFINED = 256
_REFINED_SHARE = 4
_SCANNED_FROM = 2048
_SAME_SCORE = 1e-6
_SAMPLE = 500
_NEIGHBOURS = 10


class Ivf:
    """The kind of `IvfBase`."""

    name = "ivf"
    exact = False

    def takes(self, count: int, dim: int) -> bool:
        """See `Kind.takes`."""
        return count >= _FROM and dim % _CODES_PER_BYTE == 0

    def make(self, dim: int, blocks: Blocks) -> Made:
        """See `Kind.make`. Measures recall against exact search, with a sample of its own vectors as queries."""
        import faiss

        count = sum(len(ids) for ids, _ in blocks())
        refined = _trained(dim, count, blocks)
        index = faiss.IndexIDMap(refined)
        for ids, vectors in blocks():
            index.add_with_ids(vectors, ids)
        return Made(_measured_recall(IvfBase(index, refined), blocks), partial(write_index, index))

    def read(self, path: Path, whole: bytes | None, dim: int) -> IvfBase | None:
        """See `Kind.read`."""
        import faiss

        index = read_index(path, whole, dim)
        return IvfBase(*index) if index is not None and isinstance(index[1], faiss.IndexRefine) else None


class IvfBase:
    """A FAISS `IndexRefine` of `IndexIVFPQFastScan` and 16-bit floats, under an id map."""

    kind = Ivf.name
    exact = False

    def __init__(self, mapped_ids: Any, refined: Any) -> None:
        import faiss

        self._owner = mapped_ids
        self._refined = refined
        self._clusters = faiss.downcast_index(refined.base_index)
        self._floats = faiss.downcast_index(refined.refine_index)
        self.ids: IdArray = faiss.vector_to_array(mapped_ids.id_map)

    @property
    def probes(self) -> int:
        """The number of clusters that a query visits."""
        return int(self._clusters.nprobe)

    @probes.setter
    def probes(self, number: int) -> None:
        self._clusters.nprobe = number

    @property
    def clusters(self) -> int:
        """The total number of clusters."""
        return int(self._clusters.nlist)

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """See `Base.candidates`.

        Visits more clusters if many answers are wanted or only some rows are allowed. Compares all vectors if that
        would be most of them, or if the clusters hold too few: a filter never shortens an answer.
        """
        allowed = len(self.ids) if mask is None else int(mask.sum())
        wanted = min(wanted, len(self.ids))
        # With a mask, the answers lie among this number of best rows of all.
        depth = wanted * len(self.ids) / max(allowed, 1)
        if depth > _SCANNED_FROM:
            return self._scanned(queries, wanted, mask)
        import faiss

        probes = self.probes * math.ceil(depth / _ANSWERS_PER_PROBE)
        inner = faiss.SearchParametersIVF(nprobe=min(probes, self._clusters.nlist), sel=selector(mask))
        options = faiss.IndexRefineSearchParameters(
            k_factor=max(_REFINED_SHARE, _REFINED / wanted), base_index_params=inner
        )
        _, rows = self._refined.search(queries, wanted, params=options)
        answers = [Candidates(row[row >= 0], -np.inf) for row in rows]
        for number, candidates in enumerate(answers):
            if len(candidates.rows) < min(wanted, allowed):
                (answers[number],) = self._scanned(queries[number : number + 1], wanted, mask)
        return answers

    def vectors(self, rows: IdArray) -> FloatArray:
        """See `Base.vectors`."""
        rounded: FloatArray = self._floats.reconstruct_batch(np.ascontiguousarray(rows))
        return rounded

    def _scanned(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        scores, rows = self._floats.search(queries, wanted, params=selecting(mask))
        return [found(row, row_scores, len(self.ids)) for row, row_scores in zip(rows, scores, strict=True)]


def _trained(dim: int, count: int, blocks: Blocks) -> Any:
    import faiss

    # About 4 * sqrt(n) clusters balance the search for clusters with the search in them (FAISS's own guideline).
    clusters = 2 ** round(np.log2(4 * count**0.5))
    while clusters > 1 and clusters * _TRAINED_ON > count:
        clusters //= 2
    coarse = faiss.IndexFlatIP(dim)
    inverted = faiss.IndexIVFPQFastScan(coarse, dim, clusters, dim // _CODES_PER_BYTE, 4, faiss.METRIC_INNER_PRODUCT)
    inverted.cp.niter = inverted.pq.cp.niter = 10
    inverted.cp.min_points_per_centroid = inverted.pq.cp.min_points_per_centroid = 1  # avoids a printed warning
    floats = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    refined = faiss.IndexRefine(inverted, floats)
    refined.train(_sampled(blocks, count, max(clusters * _TRAINED_ON, _FROM)))
    inverted.nprobe = _FIRST_PROBES
    return refined


def _measured_recall(base: IvfBase, blocks: Blocks) -> float:
    """Add probes until the recall at 10 is high enough; return it. The index keeps the number of probes."""
    count = len(base.ids)
    queries = _sampled(blocks, count, _SAMPLE)
    best = Nearest(queries, min(_NEIGHBOURS, count))
    start = 0
    for ids, vectors in blocks():
        best.add(vectors, np.arange(start, start + len(ids)))
        start += len(ids)
    truth = [candidates.rows for candidates in best.candidates()]
    while True:
        recall = _recall(base, queries, truth)
        if recall >= LEAST_RECALL or base.probes >= base.clusters:
            return recall
        base.probes = min(2 * base.probes, base.clusters)


def _recall(base: Base, queries: FloatArray, truth: Sequence[IdArray]) -> float:
    """Return the mean share of the rows nearest to each query that are found; rows that score no less count too."""
    answers = base.candidates(queries, 2 * _NEIGHBOURS, None)
    shares = []
    for query, rows, candidates in zip(queries, truth, answers, strict=True):
        # All scores use the rounded vectors of the base: a copy scores the same up to the last bits.
        least = (base.vectors(rows) @ query).min() - _SAME_SCORE
        reaching = int((base.vectors(candidates.rows) @ query >= least).sum())
        shares.append(min(reaching, len(rows)) / len(rows))
    return float(np.mean(shares))


def _sampled(blocks: Blocks, count: int, size: int) -> FloatArray:
    """Return a uniform random sample of up to `size` vectors, always the same ones."""
    chosen = np.sort(np.random.default_rng(0).choice(count, min(size, count), replace=False))
    parts = []
    start = 0
    for ids, vectors in blocks():
        inside = chosen[(chosen >= start) & (chosen < start + len(ids))] - start
        parts.append(vectors[inside])
        start += len(ids)
    return np.concatenate(parts)
