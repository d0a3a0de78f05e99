"""An index: a folder with a catalog and the vector index derived from it, opened, checked, kept in step.

The catalog is the truth. The vector file is brought up to date when it is opened, and made anew when it is missing,
damaged or another index's; it is written again only when what came since has grown to a tenth of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from facesearch.catalog.catalog import Catalog
from facesearch.errors import (
    DiskFullError,
    Hint,
    IndexNotFoundError,
    LockedError,
    ModelMismatchError,
    ModelSwitchedError,
    StorageError,
    UsageError,
)
from facesearch.files import unreadable, write_reserve
from facesearch.index.crash_guard import Journal
from facesearch.index.lock import WriterLock
from facesearch.types import ModelInfo
from facesearch.vectors.faiss_index import FaissIndex, Stamp, preload, read_kind, read_stamp, write_file
from facesearch.vectors.kinds import IVF_FROM, KINDS

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = [
    "CATALOG_FILE",
    "INDEX_TYPES",
    "VECTORS_FILE",
    "SearchFacts",
    "Store",
    "StoreSize",
    "Takeover",
    "check_index_type",
    "preload",
]

CATALOG_FILE = "catalog.sqlite"
VECTORS_FILE = "faces.faiss"
_LOCK_FILE = "writer.lock"
_JOURNAL_FILE = "in-hand"
_RESERVE_FILE = "reserve"

_RESERVE = 256 * 1024
"""Bytes set aside on the disk. Deleting a photo writes some dozen pages of 4 KiB first: where a disk is full to its
last byte nothing could be deleted, and the vector file of a small index is no larger than that."""

INDEX_TYPES = ("auto", *KINDS)
"""How vectors can be searched; `auto` is exact while that takes a moment, and approximate in larger galleries."""

_EXACT_UP_TO = 512_000_000
"""Bytes of vectors, a million of 128 numbers: two cores read them in some 20 to 50 ms."""

_TAIL_SHARE = 10
_TAIL_IN_A_RUN = 10_000
_TAIL_AT_REST = 0


@dataclass(frozen=True, slots=True)
class StoreSize:
    """Bytes on disk."""

    catalog: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Takeover:
    """What became of faces when a model took over: known ones that it found too, new ones, and those it did not find.

    `outdated` faces are in `outdated_photos`, which it could not look at.
    """

    kept: int
    new: int
    lost: int
    outdated: int
    outdated_photos: int


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """How questions are answered: the kind of the vector file, and the type that was chosen, `auto` without one.

    `recall` is the share of the true ten nearest that is found, 1 when exact; `probes` is None then.
    """

    kind: str
    chosen: str
    recall: float
    probes: int | None


def check_index_type(name: str) -> None:
    """Raises `UsageError` for a name that is none of `INDEX_TYPES`."""
    if name not in INDEX_TYPES:
        raise UsageError(f"index type {name}: choose one of {', '.join(INDEX_TYPES)}")


class Store:
    """One index. Readers see what was committed when they began; there is one writer at a time.

    `path` is the index's folder, None for one in memory. Use as a context manager, from one thread.
    """

    def __init__(
        self,
        path: Path | None,
        catalog: Catalog,
        lock: WriterLock | None,
        notify: Callable[[str], None],
    ) -> None:
        """Put together by `open`, `create` and `memory`."""
        self.path = path
        self.catalog = catalog
        self.model = catalog.model()
        self._lock = lock
        self._notify = notify
        self._keep = True
        self._vectors: FaissIndex | None = None

    @classmethod
    def memory(cls, model: ModelInfo) -> Self:
        """An index that is gone when it is closed, and writes nothing anywhere."""
        return cls(None, Catalog.memory(model), None, lambda _message: None)

    @classmethod
    def create(
        cls,
        path: Path,
        model: ModelInfo,
        *,
        wait: float = 0.0,
        notify: Callable[[str], None] = lambda _message: None,
    ) -> Self:
        """A new, empty index for embeddings of `model`, opened for writing; its folder is for its owner alone.

        Raises `StorageError`, `LockedError`.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{path}: cannot be created ({error.strerror})", Hint.ANOTHER_PLACE) from error
        lock = WriterLock(path / _LOCK_FILE, wait=wait)
        try:
            if not (path / CATALOG_FILE).exists():
                Catalog.create(path / CATALOG_FILE, model)
            return cls._opened(path, lock, notify)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        write: bool = False,
        wait: float = 0.0,
        prepare: bool = True,
        keep: bool = True,
        notify: Callable[[str], None] = lambda _message: None,
    ) -> Self:
        """An index that exists. `notify` is told, in one line, when the vectors had to be made again.

        One that is being written to by another process can be waited for, for `wait` seconds, to write to it next.
        Without `prepare` the vector file is left as it is, to be looked at. Without `keep` a reader writes nothing:
        vectors that had to be made again are not kept for the next one.

        Raises `IndexNotFoundError`, `LockedError` (for writing), `StorageError` for an index that may not be read, and
        what the catalog raises.
        """
        cls.require(path)
        lock = WriterLock(path / _LOCK_FILE, wait=wait) if write else None
        try:
            return cls._opened(path, lock, notify, prepare=prepare, keep=keep)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @classmethod
    @contextmanager
    def open_catalog(cls, path: Path, *, write: bool = False, wait: float = 0.0) -> Iterator[Catalog]:
        """The catalog of an index alone, whatever is in it, to be looked at or mended. Raises what `open` raises."""
        cls.require(path)
        lock = WriterLock(path / _LOCK_FILE, wait=wait) if write else None
        try:
            catalog = Catalog.open(path / CATALOG_FILE, write=write)
            try:
                yield catalog
            finally:
                catalog.close()
        finally:
            if lock is not None:
                lock.release()

    @classmethod
    def require(cls, path: Path) -> None:
        """Raises `IndexNotFoundError` where there is no index."""
        if not cls.exists(path):
            raise IndexNotFoundError(f"no index at {path}", Hint.MAKE_INDEX)

    @classmethod
    def _opened(
        cls,
        path: Path,
        lock: WriterLock | None,
        notify: Callable[[str], None],
        *,
        prepare: bool = True,
        keep: bool = True,
    ) -> Self:
        if lock is not None:
            for leftover in (*path.glob(f".{VECTORS_FILE}.*.tmp"), *path.glob(f"{CATALOG_FILE}.*.new*")):
                leftover.unlink(missing_ok=True)  # of a run that was killed: whoever writes here holds the lock
        catalog = Catalog.open(path / CATALOG_FILE, write=lock is not None, trace=keep)
        try:
            store = cls(path, catalog, lock, notify)
            store._keep = keep
            if lock is not None and prepare:
                # Before anything is added: a vector file from another past of this index (the catalog was restored
                # from a backup) is told by its generation, which would be overtaken by new commits.
                store._loaded_vectors()
                catalog.end_view()
        except BaseException:
            catalog.close()
            raise
        return store

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether there is an index in this folder. Raises `StorageError` where that cannot be seen, or not be read."""
        catalog = path / CATALOG_FILE
        try:
            found = os.stat(catalog)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StorageError(unreadable(path, error.strerror or str(error)), Hint.ASK_OWNER) from error
        if stat.S_ISREG(found.st_mode) and not os.access(catalog, os.R_OK):
            raise StorageError(unreadable(catalog, os.strerror(errno.EACCES)), Hint.ASK_OWNER)
        return stat.S_ISREG(found.st_mode)

    def close(self) -> None:
        """Let go of the files; what was not committed is dropped."""
        self.catalog.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require_model(self, model: ModelInfo) -> None:
        """Raises `ModelMismatchError`, naming both, when embeddings of `model` cannot be compared with those here."""
        if model.identity == replace(self.model, pipeline=model.pipeline).identity != self.model.identity:
            raise ModelMismatchError(
                f"{self.path}: made by another version of facesearch (pipeline {self.model.pipeline}, this one has "
                f"{model.pipeline}), whose embeddings cannot be compared",
                Hint.SWITCH_TO,
                model=model.call,
            )
        if model.identity != self.model.identity:
            raise ModelMismatchError(
                f"{self.path}: made with model {_described(self.model)}, not with {_described(model)}",
                Hint.USE_ITS_MODEL,
                model=model.call,
            )

    def take_model(self, model: ModelInfo) -> None:
        """Use this model from now on, by its name and where it is; `require_model` has to hold."""
        self.require_model(model)
        if (model.name, model.source) != (self.model.name, self.model.source):
            with self.catalog.transaction():
                self.catalog.rename_model(model.name, model.source)
            self.model = self.catalog.model()

    def take_over(self) -> Takeover:
        """Answer with the embeddings of the next model from now on, all in one transaction.

        A face that it has seen where an earlier one is known keeps that one's id, and with it all that was said about
        it; faces that were forgotten stay so. Photos that it could not look at keep their faces, out of sight of
        questions, until a later run looks at them.
        """
        catalog = self.catalog
        with catalog.transaction():
            before, last_face = catalog.count_faces(), catalog.last_face_id()
            catalog.install_successor()
            dim = catalog.model().dim
            for photo, content in catalog.seen_by_successor():
                faces, fingerprint = catalog.look_of(content, dim)
                catalog.mark_seen(photo, faces=bool(faces), fingerprint=fingerprint)
                catalog.replace_faces(photo, faces)
            catalog.mark_unseen()
            new, outdated = catalog.count_faces(after=last_face), catalog.count_faces(outdated=True)
            kept = catalog.count_faces() - new - outdated
            catalog.forget_dead_vectors(catalog.generation)  # every vector file until now is another model's
        self.model = catalog.model()
        if self._file is not None:
            self._write_snapshot()
        return Takeover(kept, new, before - kept - outdated, outdated, catalog.count_outdated())

    def drop_looks(self) -> None:
        """Forget what the next model has seen; nothing of it stays on the disk."""
        left = True
        while left:
            with self.catalog.transaction():
                left = self.catalog.drop_looks()

    def size(self) -> StoreSize:
        """Bytes on disk; zeros for an index in memory."""
        if self.path is None:
            return StoreSize(0, 0)
        catalog = sum(_size(self.path / f"{CATALOG_FILE}{suffix}") for suffix in ("", "-wal"))
        return StoreSize(catalog, _size(self.path / VECTORS_FILE))

    def __len__(self) -> int:
        """Vectors that a search looks at."""
        return len(self._loaded_vectors())

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """Scores and vector ids of the nearest faces; see `VectorIndex.search`."""
        vectors = self._loaded_vectors()
        scores, ids = vectors.search(queries, k, allowed)
        exact = vectors.verified and vectors.kind == "flat"
        return (scores, ids) if exact else self._scored_again(queries, ids)

    def search_facts(self) -> SearchFacts:
        """How this index answers."""
        vectors = self._loaded_vectors()
        return SearchFacts(vectors.kind, self.catalog.index_type(), vectors.recall, vectors.probes)

    def use_index_type(self, name: str) -> SearchFacts:
        """Answer with that kind of vector file from now on; the file is written anew where it is another.

        Raises `UsageError` for a name that is none of `INDEX_TYPES`.
        """
        check_index_type(name)
        with self.catalog.transaction():
            self.catalog.set_index_type(name)
        if self._file is not None and read_kind(self._file, self.catalog.uuid) != self._kind():
            self._write_snapshot()
        return self.search_facts()

    def kind_for(self, chosen: str) -> str:
        """The kind of vector file that an index of this size has for one of `INDEX_TYPES`."""
        count = self.catalog.count_vectors()
        if chosen == "auto":
            return "flat" if count * self.model.dim * 4 <= _EXACT_UP_TO else "ivf"
        return chosen if count >= IVF_FROM else "flat"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written to the catalog while this lasts is durable at its end, or none of it is.

        The vector file follows when vectors came or went and it has fallen far behind. Raises what the catalog raises.
        """
        before = self.catalog.generation
        with self.catalog.transaction():
            yield
            changed = self.catalog.generation != before
        if changed:
            self._vectors = None
            if self._file is not None:
                self._keep_up(self._file, _TAIL_IN_A_RUN)

    def journal(self) -> Journal:
        """What is in hand, and what was when an earlier run died; for whoever writes to this index."""
        return Journal(None if self.path is None else self.path / _JOURNAL_FILE)

    def keep_report(self, report: dict[str, Any]) -> None:
        """Remember what the last indexing run did, for its status."""
        with self.catalog.transaction():
            self.catalog.set_last_run(report)

    def finish(self) -> None:
        """The end of a run: bring the vector file up to date where that is cheap, fold the log into the catalog."""
        if self._lock is not None and self.catalog.successor() is None and self.catalog.has_looks():
            self.drop_looks()  # of a run that was killed just after a model took over, or was dismissed
        if self._lock is not None and self._file is not None:
            self._keep_up(self._file, _TAIL_AT_REST)
            self.catalog.checkpoint()
            self._keep_reserve(spare=3 * _RESERVE)

    def erase(self, deletions: Sequence[Callable[[], object]]) -> None:
        """Delete from the catalog for good, all at once, and leave nothing of it on the disk; see `vacuum`.

        Deleting takes room, too. On a full disk the vector file goes first, which can be made again at any time, then
        the reserve; after that the deletions are made in ever smaller parts, each in the room of the one before.
        Raises `DiskFullError` where even a single one is too much.
        """
        done, at_once = 0, max(len(deletions), 1)
        while done < len(deletions):
            self._vectors = None
            try:
                with self.catalog.transaction():
                    for deletion in deletions[done : done + at_once]:
                        deletion()
                done += at_once
            except DiskFullError:
                if not self._make_room():
                    if at_once == 1:
                        raise
                    at_once = -(-at_once // 2)
            self.catalog.checkpoint()
        self.vacuum()

    def _make_room(self) -> bool:
        """Give up one file that is not needed; False when nothing is left to be given up."""
        self._vectors = None
        for file in () if self.path is None else (self.path / VECTORS_FILE, self.path / _RESERVE_FILE):
            if file.exists():
                file.unlink()
                return True
        return False

    def _keep_reserve(self, *, spare: int = 0) -> None:
        """Have some room set aside, where so many bytes are left beside it."""
        if self.path is None or (self.path / _RESERVE_FILE).exists():
            return
        try:
            if shutil.disk_usage(self.path).free >= _RESERVE + spare:
                write_reserve(self.path / _RESERVE_FILE, _RESERVE)
        except OSError:
            pass

    def vacuum(self) -> None:
        """Leave nothing of what was deleted: write the catalog and the vector file again.

        Where a full disk has no room for that the catalog keeps its size: what was deleted is overwritten in it. And
        there is no vector file then, so that nothing is left in it, either.
        """
        self._vectors = None
        try:
            self.catalog.vacuum()
        except DiskFullError:
            self._notify(
                "no room to make the catalog smaller: what was deleted is overwritten in it, and its room is used again"
            )
        if self._file is None:
            return
        try:
            self._write_snapshot()
            self._keep_reserve()
        except DiskFullError:
            self._file.unlink(missing_ok=True)
            self._notify(f"no room for {self._file}: questions make it from the catalog, each time, until there is")

    def has_vector_file(self) -> bool:
        """Whether the vector file is there, or nothing is to be in it."""
        return self._file is None or self._file.exists() or not self.catalog.last_vector_id()

    def vector_file_fault(self) -> str | None:
        """What is wrong with the vector file, in one line; None when it is, with the tail, what the catalog holds."""
        import numpy as np

        if self._file is None or not self.catalog.last_vector_id():
            return None
        vectors = FaissIndex.open(self._file, self.model.dim, self.catalog.uuid, verify=True)
        if vectors is None or vectors.stamp is None:
            return f"{self._file} is damaged"
        if not self.catalog.dead_since <= vectors.stamp.generation <= self.catalog.generation:
            return f"{self._file} is from another time of this index"
        self._bring_up_to_date(vectors, vectors.stamp)
        for ids, expected in self.catalog.vectors_after(0, self.model.dim):
            if not np.allclose(vectors.vectors(ids), expected, rtol=0, atol=0 if vectors.kind == "flat" else 1e-3):
                return f"{self._file} holds other vectors than the catalog"
        if len(vectors) != self.catalog.count_vectors():
            return f"{self._file} holds vectors that the catalog does not"
        return None

    @property
    def _file(self) -> Path | None:
        return None if self.path is None else self.path / VECTORS_FILE

    def _kind(self) -> str:
        """Of the vector file, when it is written next."""
        return self.kind_for(self.catalog.index_type())

    def _keep_up(self, file: Path, tail: int) -> None:
        """Write the vector file anew when it lacks, or has too much, by more than `tail` vectors and a tenth of it.

        So a few new faces in a large index cost little, and the cost of writing stays in proportion while it grows.
        """
        stamp = read_stamp(file, self.catalog.uuid)
        last_id = stamp.last_id if stamp else 0
        behind = self.catalog.count_changed_vectors(last_id)
        # A run may have died between the choice of another type and the file of that type.
        wrong = stamp is not None and self.catalog.index_type() != "auto"
        wrong = wrong and read_kind(file, self.catalog.uuid) != self._kind()
        if wrong or behind > max(tail, last_id // _TAIL_SHARE):
            self._write_snapshot()

    def _write_snapshot(self) -> None:
        assert self._file is not None
        self._vectors = None
        dim = self.model.dim
        write_file(self._file, dim, self._stamp(), self._kind(), lambda: self.catalog.vectors_after(0, dim))
        with self.catalog.transaction():
            self.catalog.forget_dead_vectors(self.catalog.generation)

    def _bring_up_to_date(self, vectors: FaissIndex, stamp: Stamp) -> None:
        """Add what the catalog has got since the file was written, and take out what it has lost."""
        for ids, added in self.catalog.vectors_after(stamp.last_id, self.model.dim):
            vectors.add(ids, added)
        vectors.remove(self.catalog.dead_vectors())

    def _loaded_vectors(self) -> FaissIndex:
        if self._vectors is None:
            self._vectors = self._rebuilt() if self._file is None else self._read_vectors(self._file)
        return self._vectors

    def _read_vectors(self, file: Path) -> FaissIndex:
        """The vector file as the catalog now has it; begins the transaction that keeps the two in step.

        The file is opened before the transaction begins: so it is never newer than what the transaction sees, and
        whatever it lacks is in the catalog.
        """
        for _attempt in range(2):  # a writer may have put a new file in its place since: then it fits the second time
            self.catalog.end_view()
            vectors = FaissIndex.open(file, self.model.dim, self.catalog.uuid)
            self.catalog.view()
            self._require_same_model()
            stamp = None if vectors is None else vectors.stamp
            if (
                vectors is not None
                and stamp is not None
                and self.catalog.dead_since <= stamp.generation <= self.catalog.generation
            ):
                self._bring_up_to_date(vectors, stamp)
                return vectors
        if self.catalog.last_vector_id():
            self._notify(
                f"{file} is {'damaged or out of date' if file.exists() else 'missing'}: made anew from the catalog"
            )
        vectors = self._rebuilt()
        self._save_if_possible(vectors)
        return vectors

    def _require_same_model(self) -> None:
        """Raises `ModelSwitchedError` when another model has taken over since this index was opened."""
        now = self.catalog.model()
        if now.identity != self.model.identity:
            raise ModelSwitchedError(
                f"{self.path}: switched from model {self.model.name} to {now.name} at this moment; ask again"
            )

    def _rebuilt(self) -> FaissIndex:
        """The vectors as the catalog has them, none taken from a file."""
        import numpy as np

        vectors = FaissIndex(self.model.dim, self._file, self._stamp())
        parts = list(self.catalog.vectors_after(0, self.model.dim))
        if parts:
            vectors.add(np.concatenate([ids for ids, _ in parts]), np.concatenate([added for _, added in parts]))
        return vectors

    def _stamp(self) -> Stamp:
        return Stamp(self.catalog.uuid, self.catalog.generation, self.catalog.last_vector_id())

    def _save_if_possible(self, vectors: FaissIndex) -> None:
        """So that the next reader need not make them again; a read-only or busy index is left as it is."""
        assert self.path is not None
        if not self._keep:
            return
        try:
            if self._lock is not None:
                vectors.save(self._kind())
            else:
                with WriterLock(self.path / _LOCK_FILE):
                    vectors.save(self._kind())
        except (LockedError, StorageError):
            pass

    def _scored_again(self, queries: FloatArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
        """Scores from the catalog's own vectors: a large file may have changed, an approximate one rounds."""
        import numpy as np

        scores = np.full(ids.shape, -np.inf, dtype=np.float32)
        for row, query in enumerate(queries):
            found = ids[row] >= 0
            vectors = self.catalog.vectors(ids[row][found].tolist(), self.model.dim)
            exact = (vectors.astype(np.float64) * query).sum(axis=1).astype(np.float32)
            order = np.lexsort((ids[row][found], -exact))
            scores[row, : len(order)], ids[row, : len(order)] = exact[order], ids[row][found][order]
        return scores, ids


def _described(model: ModelInfo) -> str:
    digest = " ".join(value[:8] for value in sorted(model.digests.values()))
    return f"{model.name} ({model.dim} numbers, weights {digest}, pipeline {model.pipeline})"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
