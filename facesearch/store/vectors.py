"""The vector index: exact cosine search over a FAISS file, with what has changed since it was written.

A FAISS file that is mapped into memory cannot be changed, so the index is three parts: the file as it was written
(the base), vectors added since (the tail), and ids removed since (the dead). `search` looks at all three as one. The
file is derived from the catalog; it ends in a stamp that says what it was derived from, which FAISS's reader ignores.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from facesearch.errors import StorageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.types import FloatArray, IdArray

    Mask = NDArray[np.bool_]

__all__ = ["VERIFIED_BELOW", "FaissIndex", "Stamp", "VectorIndex", "read_stamp"]

VERIFIED_BELOW = 64 * 2**20
"""Bytes. Smaller files are read whole and their checksum verified; larger ones are mapped, which takes no time."""

_MAGIC = b"fsvector"
_TRAILER = struct.Struct("<8s16sQQQ16s16s")
_SLACK = 16
_ROUNDING = 1e-5
_MANY_QUESTIONS = 4
_MANY_ANSWERS = 1024
_BLOCK = 65536


class VectorIndex(Protocol):
    """Finds the vectors nearest to a question by inner product, which for unit vectors is the cosine similarity."""

    def __len__(self) -> int:
        """Vectors that can be found."""
        ...

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """int64[n] ids, larger than any added before and ascending, for float32[n, dim] vectors."""
        ...

    def remove(self, ids: IdArray) -> None:
        """Ids never to be found again; those that are not there are ignored."""
        ...

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """The k best for each of float32[q, dim]: scores float32[q, m] and ids int64[q, m], m = min(k, len(self)).

        Best first; equal scores by id. `allowed` limits the answer to those ids. Where fewer than m are left, the
        rows end in id -1 with score -inf.
        """
        ...

    def save(self) -> None:
        """Write what can be found to where the index lives, all or nothing. Raises `StorageError`."""
        ...


class Stamp(NamedTuple):
    """What a file was derived from: the index's uuid, the catalog's generation, and the highest vector id there."""

    uuid: bytes
    generation: int
    last_id: int


def read_stamp(path: Path, uuid: bytes) -> Stamp | None:
    """The stamp of a vector file, without its vectors; None when there is none or it is not this index's."""
    try:
        with path.open("rb") as stream:
            trailer = _read_trailer(stream, uuid)
    except OSError:
        return None
    return trailer.stamp if trailer else None


class FaissIndex:
    """`VectorIndex` over an `IndexFlatIP` under an id map, in a file at `path` (None: in memory only)."""

    def __init__(self, dim: int, path: Path | None = None, stamp: Stamp | None = None) -> None:
        self.dim = dim
        self.path = path
        self.stamp = stamp
        self.verified = True
        self._base: Any = None
        self._keep_alive: Any = None
        self._base_ids: IdArray = np.empty(0, dtype=np.int64)
        self._base_vectors: FloatArray = np.empty((0, dim), dtype=np.float32)
        self._owned = True
        self._base_alive: Mask = np.empty(0, dtype=np.bool_)
        self._tail_ids: IdArray = np.empty(0, dtype=np.int64)
        self._tail_vectors: FloatArray = np.empty((0, dim), dtype=np.float32)

    @classmethod
    def open(cls, path: Path, dim: int, uuid: bytes, *, verify: bool = False) -> FaissIndex | None:
        """The index in a file, or None when there is none, or it is not this index's, cut short or damaged.

        A large file is mapped and not read, unless `verify` asks for its checksum.
        """
        try:
            with path.open("rb") as stream:
                trailer = _read_trailer(stream, uuid)
                if trailer is None:
                    return None
                stream.seek(0)
                small = trailer.length < VERIFIED_BELOW
                whole = stream.read(trailer.length) if small or verify else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be read ({error.strerror}); check the disk and its permissions"
            ) from error
        if whole is not None and _checksum(whole) != trailer.checksum:
            return None
        index = cls(dim, path, trailer.stamp)
        index.verified = whole is not None
        if not index._load(whole):
            return None
        # FAISS maps a large file by its name: another may have been put there since the stamp was read.
        return index if whole is not None or read_stamp(path, uuid) == index.stamp else None

    def __len__(self) -> int:
        return int(self._base_alive.sum()) + len(self._tail_ids)

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """See `VectorIndex.add`."""
        self._tail_ids = np.concatenate([self._tail_ids, ids.astype(np.int64)])
        self._tail_vectors = np.concatenate([self._tail_vectors, vectors.astype(np.float32)])

    def remove(self, ids: IdArray) -> None:
        """See `VectorIndex.remove`."""
        if len(self._base_ids):
            self._base_alive &= ~np.isin(self._base_ids, ids)
        kept = ~np.isin(self._tail_ids, ids)
        self._tail_ids, self._tail_vectors = self._tail_ids[kept], self._tail_vectors[kept]

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """See `VectorIndex.search`.

        Each part proposes candidates, fast and to within rounding; their scores are then computed again in double
        precision, so that copies of a vector score exactly alike whichever part they are in, and sorted here.
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
            base = self._base_candidates(queries[pending], wanted, base_mask)
            tail = _candidates(self._tail_vectors, queries[pending], wanted, tail_mask)
            unsettled = []
            for row, query, base_part, tail_part in zip(pending.tolist(), queries[pending], base, tail, strict=True):
                found_ids = np.concatenate([self._base_ids[base_part.rows], self._tail_ids[tail_part.rows]])
                vectors = np.concatenate([self._base_vectors[base_part.rows], self._tail_vectors[tail_part.rows]])
                exact = (vectors.astype(np.float64) * query).sum(axis=1).astype(np.float32)
                order = np.lexsort((found_ids, -exact))[:width]
                last = exact[order[-1]] if len(order) == width else -np.inf
                behind = max(base_part.left_behind, tail_part.left_behind)
                if behind > -np.inf and behind >= last - _ROUNDING:
                    unsettled.append(row)  # an equal of the last one may be among those not proposed
                    continue
                scores[row, : len(order)], ids[row, : len(order)] = exact[order], found_ids[order]
            pending = np.array(unsettled, dtype=np.int64)
            wanted *= 4
        return scores, ids

    def vectors(self, ids: IdArray) -> FloatArray:
        """float32[n, dim] for ids that are ascending; those that are not there give zeros."""
        found = np.zeros((len(ids), self.dim), dtype=np.float32)
        for held, vectors in ((self._base_ids, self._base_vectors), (self._tail_ids, self._tail_vectors)):
            rows = np.searchsorted(held, ids)
            present = rows < len(held)
            present[present] = held[rows[present]] == ids[present]
            found[present] = vectors[rows[present]]
        return found

    def save(self) -> None:
        """See `VectorIndex.save`. Written beside the file, flushed, then renamed over it."""
        if self.path is None or self.stamp is None:
            return
        import faiss

        flat = faiss.IndexIDMap(faiss.IndexFlatIP(self.dim))
        if self._base_alive.all():
            flat.add_with_ids(self._base_vectors, self._base_ids)
        else:
            flat.add_with_ids(self._base_vectors[self._base_alive], self._base_ids[self._base_alive])
        flat.add_with_ids(self._tail_vectors, self._tail_ids)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as stream:
                writer = _HashingWriter(stream)
                writer.write_index(flat)
                trailer = _TRAILER.pack(_MAGIC, *self.stamp, writer.length, writer.checksum(), bytes(16))[:-16]
                stream.write(trailer + _checksum(trailer))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be written ({error.strerror}); it is rebuilt from the catalog when there is room"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _load(self, whole: bytes | None) -> bool:
        """Take the base from the file's bytes, or from the mapped file. False when FAISS cannot make sense of it."""
        import faiss

        try:
            if whole is not None:
                loaded = faiss.deserialize_index(np.frombuffer(whole, dtype=np.uint8))
            else:
                loaded = faiss.read_index(str(self.path), faiss.IO_FLAG_MMAP_IFC)
            flat = faiss.downcast_index(loaded.index)
            ids = faiss.vector_to_array(loaded.id_map)
        except (RuntimeError, AttributeError):  # its exceptions are RuntimeError; a wrong type lacks the attributes
            return False
        if not isinstance(flat, faiss.IndexFlatIP) or flat.d != self.dim or flat.ntotal != len(ids):
            return False
        self._base, self._keep_alive = flat, loaded
        self._base_ids = ids
        if flat.ntotal:
            self._base_vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * self.dim).reshape(-1, self.dim)
        self._owned = whole is not None
        self._base_alive = np.ones(len(ids), dtype=np.bool_)
        return True

    def _base_mask(self, allowed: IdArray | None) -> Mask | None:
        if allowed is not None:
            return self._base_alive & np.isin(self._base_ids, allowed)
        return None if self._base_alive.all() else self._base_alive

    def _base_candidates(self, queries: FloatArray, wanted: int, mask: Mask | None) -> list[_Candidates]:
        """One question runs on the map; many, or many answers, run as matrix products on memory of our own."""
        if len(queries) < _MANY_QUESTIONS and wanted <= _MANY_ANSWERS and len(self._base_ids):
            return [_faiss_candidates(self._base, query, wanted, mask) for query in queries]
        if not self._owned:
            self._base_vectors, self._owned = self._base_vectors.copy(), True
        return _candidates(self._base_vectors, queries, wanted, mask)


class _Trailer(NamedTuple):
    stamp: Stamp
    length: int
    checksum: bytes


def _read_trailer(stream: BinaryIO, uuid: bytes) -> _Trailer | None:
    """The last bytes of a vector file; None unless they are a trailer of this index and the file is whole."""
    size = stream.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        return None
    stream.seek(size - _TRAILER.size)
    data = stream.read(_TRAILER.size)
    magic, owner, generation, last_id, length, checksum, own_checksum = _TRAILER.unpack(data)
    if _checksum(data[: -len(own_checksum)]) != own_checksum:
        return None
    if magic != _MAGIC or owner != uuid or length != size - _TRAILER.size:
        return None
    return _Trailer(Stamp(owner, generation, last_id), length, checksum)


class _Candidates(NamedTuple):
    """Rows of one part that may be among the best, and the best score, about, of a row that was left behind."""

    rows: IdArray
    left_behind: float


def _faiss_candidates(flat: Any, query: FloatArray, wanted: int, mask: Mask | None) -> _Candidates:
    import faiss

    options = None
    if mask is not None:
        bits = np.packbits(mask, bitorder="little")
        options = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(len(mask), faiss.swig_ptr(bits)))
    scores, rows = flat.search(query[None, :], min(wanted, flat.ntotal), params=options)
    found = rows[0] >= 0
    complete = wanted >= flat.ntotal or not found.all()
    return _Candidates(rows[0][found], -np.inf if complete else float(scores[0][-1]))


def _candidates(vectors: FloatArray, queries: FloatArray, wanted: int, mask: Mask | None) -> list[_Candidates]:
    """The `wanted` best rows for each question, by matrix products over blocks of rows; in no order."""
    best_scores = np.empty((len(queries), 0), dtype=np.float32)
    best_rows = np.empty((len(queries), 0), dtype=np.int64)
    left_behind = np.full(len(queries), -np.inf, dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        rows = np.arange(start, start + len(block), dtype=np.int64)
        if mask is not None:
            chosen = mask[start : start + _BLOCK]
            if not chosen.any():
                continue
            block, rows = block[chosen], rows[chosen]
        best_scores = np.concatenate([best_scores, queries @ block.T], axis=1)
        best_rows = np.concatenate([best_rows, np.broadcast_to(rows, (len(queries), len(rows)))], axis=1)
        if best_scores.shape[1] > wanted:
            order = np.argpartition(-best_scores, wanted - 1, axis=1)
            behind = np.take_along_axis(best_scores, order[:, wanted:], axis=1).max(axis=1)
            left_behind = np.maximum(left_behind, behind)
            best_scores = np.take_along_axis(best_scores, order[:, :wanted], axis=1)
            best_rows = np.take_along_axis(best_rows, order[:, :wanted], axis=1)
    return [_Candidates(rows, float(behind)) for rows, behind in zip(best_rows, left_behind, strict=True)]


class _HashingWriter:
    """Takes FAISS's bytes to a file, and their checksum on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self.length = 0
        self._stream = stream
        self._hash = _new_checksum()
        self._failure: OSError | None = None

    def write_index(self, index: Any) -> None:
        import faiss

        try:
            faiss.write_index(index, faiss.PyCallbackIOWriter(self._write))
        except RuntimeError:
            if self._failure is not None:  # FAISS reports a callback's failure as one of its own
                raise self._failure from None
            raise

    def checksum(self) -> bytes:
        return self._hash.digest()

    def _write(self, data: bytes) -> int:
        try:
            self._stream.write(data)
        except OSError as error:
            self._failure = error
            raise
        self._hash.update(data)
        self.length += len(data)
        return len(data)


def _new_checksum() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _checksum(data: bytes) -> bytes:
    checksum = _new_checksum()
    checksum.update(data)
    return checksum.digest()


def _sync_folder(folder: Path) -> None:
    """Flush a folder: a rename in it survives a power cut once that is done."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
