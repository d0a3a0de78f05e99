"""The vector index: cosine search over a FAISS file, with what has changed since it was written.

A FAISS file that is mapped into memory cannot be changed, so the index is three parts: the file as it was written
(the base, exact or approximate), vectors added since (the tail), and ids removed since (the dead). `search` looks at
all three as one. The file is derived from the catalog; it ends in a stamp that says what it was derived from, which
FAISS's reader ignores.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from facesearch.errors import DiskFullError, StorageError
from facesearch.files import NO_ROOM
from facesearch.vectors.kinds import Base, Blocks, EmptyBase, FlatBase, IvfBase, load, make, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.types import FloatArray, IdArray

    Mask = NDArray[np.bool_]

__all__ = ["VERIFIED_BELOW", "FaissIndex", "Stamp", "VectorIndex", "preload", "read_kind", "read_stamp", "write_file"]

VERIFIED_BELOW = 64 * 2**20
"""Bytes. Smaller files are read whole and their checksum verified; larger ones are mapped, which takes no time."""

_MAGIC = b"fsvecto4"  # of 3 the recall was counted by ids, to which copies of a photo are misses
_TRAILER = struct.Struct("<8s16sQQ8sdQ16s16s")
_SLACK = 16
_ROUNDING = 1e-5
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


def preload() -> None:
    """Load FAISS, which takes a while, ahead of its first use: on another thread, say, while a photo is decoded."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        pass  # whoever uses it is told


def read_stamp(path: Path, uuid: bytes) -> Stamp | None:
    """The stamp of a vector file, without its vectors; None when there is none or it is not this index's."""
    trailer = _trailer_of(path, uuid)
    return trailer.stamp if trailer else None


def read_kind(path: Path, uuid: bytes) -> str | None:
    """The kind of a vector file, without its vectors; None when there is none or it is not this index's."""
    trailer = _trailer_of(path, uuid)
    return trailer.kind if trailer else None


class FaissIndex:
    """`VectorIndex` over a FAISS index of one of two kinds, in a file at `path` (None: in memory only).

    `recall` is the share of the true ten nearest that it finds, measured when the file was written; 1 when exact.
    """

    def __init__(self, dim: int, path: Path | None = None, stamp: Stamp | None = None) -> None:
        self.dim = dim
        self.path = path
        self.stamp = stamp
        self.recall = 1.0
        self.verified = True
        self._base: Base = EmptyBase(dim)
        self._base_alive: Mask = np.empty(0, dtype=np.bool_)
        self._tail_ids: IdArray = np.empty(0, dtype=np.int64)
        self._tail_vectors: FloatArray = np.empty((0, dim), dtype=np.float32)

    @classmethod
    def open(cls, path: Path, dim: int, uuid: bytes, *, verify: bool = False) -> FaissIndex | None:
        """The index in a file, or None when there is none, or it is not this index's, cut short or damaged.

        A large file is mapped and not read, unless `verify` asks for its checksum.
        """
        if path.exists() and not path.is_file():
            return None  # a pipe would be waited for
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
        index.recall = trailer.recall
        index.verified = whole is not None
        base = _loaded(path, whole, dim)
        if base is None:
            return None
        index._base, index._base_alive = base, np.ones(len(base.ids), dtype=np.bool_)
        # FAISS maps a large file by its name: another may have been put there since the stamp was read.
        return index if whole is not None or read_stamp(path, uuid) == index.stamp else None

    @property
    def kind(self) -> str:
        """That of the file: one of `bases.KINDS`."""
        return self._base.kind

    @property
    def probes(self) -> int | None:
        """How many clusters a question visits; None for an exact index, which has none."""
        return self._base.probes if isinstance(self._base, IvfBase) else None

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

        Each part proposes candidates, fast and to within rounding; their scores are then computed again in double
        precision, so that copies of a vector score exactly alike whichever part they are in, and sorted here. Of an
        approximate base only to within 16-bit rounding: `Store.search` scores its answers once more.
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
                    unsettled.append(row)  # an equal of the last one may be among those not proposed
                    continue
                scores[row, : len(order)], ids[row, : len(order)] = exact[order], found_ids[order]
            pending = np.array(unsettled, dtype=np.int64)
            wanted *= 4
        return scores, ids

    def vectors(self, ids: IdArray) -> FloatArray:
        """float32[n, dim] for ids that are ascending; those that are not there give zeros."""
        found = np.zeros((len(ids), self.dim), dtype=np.float32)
        rows, present = _places(self._base.ids, ids)
        found[present] = self._base.vectors(rows[present])
        rows, present = _places(self._tail_ids, ids)
        found[present] = self._tail_vectors[rows[present]]
        return found

    def save(self, kind: str = "flat") -> None:
        """See `VectorIndex.save`; as an index of that kind."""
        if self.path is not None and self.stamp is not None:
            self.recall = write_file(self.path, self.dim, self.stamp, kind, self._blocks)

    def _blocks(self) -> Iterator[tuple[IdArray, FloatArray]]:
        for start in range(0, len(self._base.ids), _BLOCK):
            alive = start + np.flatnonzero(self._base_alive[start : start + _BLOCK])
            yield self._base.ids[alive], self._base.vectors(alive)
        yield self._tail_ids, self._tail_vectors

    def _base_mask(self, allowed: IdArray | None) -> Mask | None:
        if allowed is not None:
            return self._base_alive & np.isin(self._base.ids, allowed)
        return None if self._base_alive.all() else self._base_alive


def write_file(path: Path, dim: int, stamp: Stamp, kind: str, blocks: Blocks) -> float:
    """A vector file of that kind with all vectors in `blocks`, all or nothing; its recall at 10.

    Written beside `path`, flushed, then renamed over it. Raises `StorageError`.
    """
    index, made, recall = make(kind, dim, blocks)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as stream:
            writer = _HashingWriter(stream)
            writer.write_index(index)
            facts = (made.encode(), recall, writer.length, writer.checksum())
            trailer = _TRAILER.pack(_MAGIC, *stamp, *facts, bytes(16))[:-16]
            stream.write(trailer + _checksum(trailer))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise (DiskFullError if error.errno in NO_ROOM else StorageError)(
            f"{path}: cannot be written ({error.strerror}); it is made again from the catalog when there is room"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return recall


def _loaded(path: Path, whole: bytes | None, dim: int) -> FlatBase | IvfBase | None:
    """The base from the file's bytes, or from the mapped file; None when FAISS cannot make sense of it."""
    import faiss

    try:
        if whole is not None:
            return load(faiss.deserialize_index(np.frombuffer(whole, dtype=np.uint8)), dim)
        return load(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), dim)
    except RuntimeError:  # all its exceptions
        return None


def _places(held: IdArray, ids: IdArray) -> tuple[IdArray, Mask]:
    """Where in `held`, which is ascending, each id is, and whether it is there."""
    rows = np.searchsorted(held, ids)
    present = rows < len(held)
    present[present] = held[rows[present]] == ids[present]
    return rows, present


class _Trailer(NamedTuple):
    stamp: Stamp
    kind: str
    recall: float
    length: int
    checksum: bytes


def _trailer_of(path: Path, uuid: bytes) -> _Trailer | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            return _read_trailer(stream, uuid)
    except OSError:
        return None


def _read_trailer(stream: BinaryIO, uuid: bytes) -> _Trailer | None:
    """The last bytes of a vector file; None unless they are a trailer of this index and the file is whole."""
    size = stream.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        return None
    stream.seek(size - _TRAILER.size)
    data = stream.read(_TRAILER.size)
    magic, owner, generation, last_id, kind, recall, length, checksum, own_checksum = _TRAILER.unpack(data)
    if _checksum(data[: -len(own_checksum)]) != own_checksum:
        return None
    if magic != _MAGIC or owner != uuid or length != size - _TRAILER.size:
        return None
    name = kind.rstrip(b"\0").decode("ascii", "replace")
    return _Trailer(Stamp(owner, generation, last_id), name, recall, length, checksum)


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
