"""The two kinds of vector file: exact (flat), and for large galleries approximate (ivf).

A base never changes once it is made. It proposes candidates, fast and to within rounding; `vectors.FaissIndex` scores
them again, and puts them together with what has come and gone since.

* flat: every vector as it is. A question reads all of them, at the speed of memory.
* ivf: vectors in clusters, of which a question visits some (inverted file), compared by 4-bit product codes in
  registers (fast scan; André et al., "Quicker ADC", 2019), the best of them again as 16-bit floats. A thousand times
  less to read, at the price of a hit in a hundred that is missed; how many is measured when it is made, by score: of
  the copies of a photo one is as good as another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.types import FloatArray, IdArray

    Mask = NDArray[np.bool_]

__all__ = [
    "IVF_FROM",
    "KINDS",
    "LEAST_RECALL",
    "Base",
    "Blocks",
    "Candidates",
    "EmptyBase",
    "FlatBase",
    "IvfBase",
    "load",
    "make",
    "nearest",
]

KINDS = ("flat", "ivf")

LEAST_RECALL = 0.99
"""Of the true ten nearest, how many an approximate index finds: it takes more probes until it does, or has them all."""

Blocks = Callable[[], Iterable[tuple["IdArray", "FloatArray"]]]
"""All vectors, from the beginning each time: ascending ids, int64[n], with float32[n, dim], block by block."""

IVF_FROM = 1000
"""Vectors; with fewer there is nothing to gain."""

_FEW_QUESTIONS = 4
_FEW_ANSWERS = 1024
_ROWS_AT_ONCE = 8192
_FIRST_ROWS = 512

_CODES_A_BYTE = 2
_TRAINED_ON = 40
_FIRST_PROBES = 16
_ANSWERS_A_PROBE = 128
_REFINED = 256
_REFINED_SHARE = 4
_SCANNED_FROM = 2048
_SAME_SCORE = 1e-6
_SAMPLE = 500
_NEIGHBOURS = 10


class Candidates(NamedTuple):
    """Rows that may be among the best, and the best score, about, that a row left behind may have."""

    rows: IdArray
    left_behind: float


class Base(Protocol):
    """Vectors in rows, as they were when the file was written."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    @property
    def ids(self) -> IdArray:
        """int64[n]: the id of each row, ascending."""
        ...

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """About the `wanted` best rows for each of float32[q, dim], in no order, of those that `mask` allows."""
        ...

    def vectors(self, rows: IdArray) -> FloatArray:
        """float32[n, dim]; of an approximate base to within 16-bit rounding."""
        ...


class EmptyBase:
    """No file yet."""

    kind = "flat"

    def __init__(self, dim: int) -> None:
        self.ids: IdArray = np.empty(0, dtype=np.int64)
        self._dim = dim

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """See `Base.candidates`."""
        return [Candidates(self.ids, -np.inf) for _ in queries]

    def vectors(self, rows: IdArray) -> FloatArray:
        """See `Base.vectors`."""
        return np.empty((0, self._dim), dtype=np.float32)


class FlatBase:
    """A FAISS `IndexFlatIP` under an id map, in memory or mapped."""

    kind = "flat"

    def __init__(self, mapped_ids: Any, flat: Any) -> None:
        import faiss

        self._owner = mapped_ids
        self._flat = flat
        self.ids: IdArray = faiss.vector_to_array(mapped_ids.id_map)
        self._vectors: FloatArray = np.empty((0, flat.d), dtype=np.float32)
        if flat.ntotal:
            self._vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """See `Base.candidates`. Few questions run in FAISS, many, or many answers, as matrix products."""
        if len(queries) >= _FEW_QUESTIONS or wanted > _FEW_ANSWERS or not len(self.ids):
            return nearest(self._vectors, queries, wanted, mask)
        scores, rows = self._flat.search(queries, min(wanted, self._flat.ntotal), params=_selecting(mask))
        return [_found(row, row_scores, len(self.ids)) for row, row_scores in zip(rows, scores, strict=True)]

    def vectors(self, rows: IdArray) -> FloatArray:
        """See `Base.vectors`."""
        return self._vectors[rows]


class IvfBase:
    """A FAISS `IndexRefine` of `IndexIVFPQFastScan` and 16-bit floats, under an id map."""

    kind = "ivf"

    def __init__(self, mapped_ids: Any, refined: Any) -> None:
        import faiss

        self._owner = mapped_ids
        self._refined = refined
        self._clusters = faiss.downcast_index(refined.base_index)
        self._floats = faiss.downcast_index(refined.refine_index)
        self.ids: IdArray = faiss.vector_to_array(mapped_ids.id_map)

    @property
    def probes(self) -> int:
        """How many clusters a question visits."""
        return int(self._clusters.nprobe)

    def candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        """See `Base.candidates`.

        More clusters are visited where many answers are wanted or only some rows are allowed. All vectors are compared
        where that would be most of them, and where the clusters hold too few: a filter makes no answer shorter.
        """
        allowed = len(self.ids) if mask is None else int(mask.sum())
        wanted = min(wanted, len(self.ids))
        # The answers lie among the best of all rows, of which a mask lets some through: as far as that is looked.
        depth = wanted * len(self.ids) / max(allowed, 1)
        if depth > _SCANNED_FROM:
            return self._scanned(queries, wanted, mask)
        import faiss

        probes = self.probes * math.ceil(depth / _ANSWERS_A_PROBE)
        inner = faiss.SearchParametersIVF(nprobe=min(probes, self._clusters.nlist), sel=_selector(mask))
        options = faiss.IndexRefineSearchParameters(
            k_factor=max(_REFINED_SHARE, _REFINED / wanted), base_index_params=inner
        )
        _, rows = self._refined.search(queries, wanted, params=options)
        found = [Candidates(row[row >= 0], -np.inf) for row in rows]
        for number, candidates in enumerate(found):
            if len(candidates.rows) < min(wanted, allowed):
                (found[number],) = self._scanned(queries[number : number + 1], wanted, mask)
        return found

    def vectors(self, rows: IdArray) -> FloatArray:
        """See `Base.vectors`."""
        found: FloatArray = self._floats.reconstruct_batch(np.ascontiguousarray(rows))
        return found

    def _scanned(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[Candidates]:
        scores, rows = self._floats.search(queries, wanted, params=_selecting(mask))
        return [_found(row, row_scores, len(self.ids)) for row, row_scores in zip(rows, scores, strict=True)]


def load(index: Any, dim: int) -> FlatBase | IvfBase | None:
    """What FAISS has read, or None when it is none of the two kinds."""
    import faiss

    try:
        inner = faiss.downcast_index(index.index)
        if inner.d != dim or inner.ntotal != index.id_map.size():
            return None
        if isinstance(inner, faiss.IndexFlatIP):
            return FlatBase(index, inner)
        if isinstance(inner, faiss.IndexRefine):
            return IvfBase(index, inner)
    except AttributeError:  # another type of index lacks the attributes
        return None
    return None


def make(kind: str, dim: int, blocks: Blocks) -> tuple[Any, str, float]:
    """A FAISS index of that kind over all vectors, the kind that it is, and its recall at 10 (1 for an exact one).

    The recall is that of questions with a sample of its own vectors, against exact search. Under 1,000 vectors there
    is nothing to gain, and every kind is flat.
    """
    import faiss

    count = sum(len(ids) for ids, _ in blocks()) if kind == "ivf" else 0
    approximate = count >= IVF_FROM and dim % _CODES_A_BYTE == 0
    index = faiss.IndexIDMap(_trained(dim, count, blocks) if approximate else faiss.IndexFlatIP(dim))
    for ids, vectors in blocks():
        index.add_with_ids(vectors, ids)
    return (index, "ivf", _measured_recall(index, dim, blocks)) if approximate else (index, "flat", 1.0)


def _trained(dim: int, count: int, blocks: Blocks) -> Any:
    import faiss

    # Some 4 * sqrt(n) clusters balance the search for the clusters with that in them (FAISS's own guideline).
    clusters = 2 ** round(np.log2(4 * count**0.5))
    while clusters > 1 and clusters * _TRAINED_ON > count:
        clusters //= 2
    coarse = faiss.IndexFlatIP(dim)
    inverted = faiss.IndexIVFPQFastScan(coarse, dim, clusters, dim // _CODES_A_BYTE, 4, faiss.METRIC_INNER_PRODUCT)
    inverted.cp.niter = inverted.pq.cp.niter = 10
    inverted.cp.min_points_per_centroid = inverted.pq.cp.min_points_per_centroid = 1  # it would print a warning
    floats = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    refined = faiss.IndexRefine(inverted, floats)
    refined.train(_sampled(blocks, count, max(clusters * _TRAINED_ON, IVF_FROM)))
    inverted.nprobe = _FIRST_PROBES
    return refined


def _measured_recall(index: Any, dim: int, blocks: Blocks) -> float:
    """Recall at 10 with as many probes as it takes; the index keeps their number."""
    import faiss

    base = load(index, dim)
    assert isinstance(base, IvfBase)
    count = len(base.ids)
    queries = _sampled(blocks, count, _SAMPLE)
    best = _Nearest(queries, min(_NEIGHBOURS, count))
    start = 0
    for ids, vectors in blocks():
        best.look_at(vectors, np.arange(start, start + len(ids)))
        start += len(ids)
    truth = [candidates.rows for candidates in best.candidates()]
    clusters = faiss.extract_index_ivf(index)
    while True:
        recall = _recall(base, queries, truth)
        if recall >= LEAST_RECALL or clusters.nprobe >= clusters.nlist:
            return recall
        clusters.nprobe = min(2 * clusters.nprobe, clusters.nlist)


def _recall(base: Base, queries: FloatArray, truth: Sequence[IdArray]) -> float:
    """How many of the rows nearest to each question, or rows that score no less, are found; a share of them."""
    found = base.candidates(queries, 2 * _NEIGHBOURS, None)
    shares = []
    for query, rows, candidates in zip(queries, truth, found, strict=True):
        # All scores are those of the base, whose vectors are rounded: a copy scores the same to the last bits.
        least = (base.vectors(rows) @ query).min() - _SAME_SCORE
        reaching = int((base.vectors(candidates.rows) @ query >= least).sum())
        shares.append(min(reaching, len(rows)) / len(rows))
    return float(np.mean(shares))


def _sampled(blocks: Blocks, count: int, size: int) -> FloatArray:
    """Up to `size` of all vectors, drawn evenly, always the same ones."""
    chosen = np.sort(np.random.default_rng(0).choice(count, min(size, count), replace=False))
    parts = []
    start = 0
    for ids, vectors in blocks():
        inside = chosen[(chosen >= start) & (chosen < start + len(ids))] - start
        parts.append(vectors[inside])
        start += len(ids)
    return np.concatenate(parts)


def nearest(vectors: FloatArray, queries: FloatArray, wanted: int, mask: Mask | None = None) -> list[Candidates]:
    """The `wanted` best rows for each question, by matrix products over blocks of rows, in one pass; in no order."""
    best = _Nearest(queries, wanted)
    # A mapped file's vectors lie at odd addresses, where products are slow: they go through a block that does not.
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
        best.look_at(block, rows)
    return best.candidates()


class _Nearest:
    """The best rows for each question among blocks that come one after another.

    A block's scores are compared with the score that a row must beat by now; few do, and they are sorted now and then.
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

    def look_at(self, vectors: FloatArray, rows: IdArray) -> None:
        """Vectors float32[n, dim] with their rows int64[n]."""
        start = 0
        while start < len(vectors):
            # Until there is a score to beat, every row is one to sort: the first steps are small.
            part = vectors[start : start + min(_ROWS_AT_ONCE, max(_FIRST_ROWS, self._seen))]
            scores = np.matmul(self._queries, part.T, out=self._products[:, : len(part)])
            # Of a flat array the few places that hold are found five times as fast as of one with two axes.
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
        """What is best; where rows were left behind, none of them is better than the last that was kept."""
        self._sort_out()
        ends = np.searchsorted(self._questions[0], np.arange(len(self._queries) + 1))
        return [
            Candidates(self._rows[0][start:end], float(floor))
            for start, end, floor in zip(ends[:-1], ends[1:], self._floor, strict=True)
        ]

    def _sort_out(self) -> None:
        """Keep the best `wanted` for each question, and raise its floor to the last of them where there are more."""
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


def _found(rows: IdArray, scores: FloatArray, total: int) -> Candidates:
    """FAISS's answer to one question; it fills up with -1."""
    found = rows >= 0
    complete = len(rows) >= total or not found.all()
    return Candidates(rows[found], -np.inf if complete or not len(rows) else float(scores[-1]))


def _selector(mask: Mask | None) -> Any:
    import faiss

    if mask is None:
        return None
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits))
    selector.bits_alive = bits  # it only points to them
    return selector


def _selecting(mask: Mask | None) -> Any:
    import faiss

    return None if mask is None else faiss.SearchParameters(sel=_selector(mask))
