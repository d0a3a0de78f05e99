"""An index: a folder with a catalog and the vector file that is derived from it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from facesearch.catalog.catalog import Catalog
from facesearch.catalog.promotion import Promotion, promote_next_model
from facesearch.errors import (
    Hint,
    IndexNotFoundError,
    ModelMismatchError,
    StorageError,
    UsageError,
)
from facesearch.files import size_of, unreadable
from facesearch.index.crash_guard import CrashGuard
from facesearch.index.erasing import Eraser
from facesearch.index.lock import WriterLock
from facesearch.index.vector_file import SearchFacts, VectorFile
from facesearch.models.framing import LOOKS
from facesearch.types import ModelInfo
from facesearch.vectors.faiss_tools import preload
from facesearch.vectors.kinds import INDEX_TYPES

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["CATALOG_FILE", "VECTORS_FILE", "Store", "StoreSize", "check_index_type", "preload"]

CATALOG_FILE = "catalog.sqlite"
VECTORS_FILE = "faces.faiss"
_LOCK_FILE = "writer.lock"
_CRASH_GUARD_FILE = "in-hand"
_RESERVE_FILE = "reserve"
_LEFTOVERS = (f".{VECTORS_FILE}.*.tmp", f".{_CRASH_GUARD_FILE}.*tmp", f"{CATALOG_FILE}.*.new*")
"""Temporary files that a killed run leaves behind."""


@dataclass(frozen=True, slots=True)
class StoreSize:
    """The size of an index in bytes on disk."""

    catalog: int
    vectors: int


def check_index_type(name: str) -> None:
    """Raise `UsageError` if a name is not one of `INDEX_TYPES`."""
    if name not in INDEX_TYPES:
        raise UsageError(f"index_type {name}: choose one of {', '.join(INDEX_TYPES)}", option="index_type")


class Store:
    """One index. Readers see what was committed when they started; there is one writer at a time.

    `path` is the index's folder, None for an in-memory index. Use it as a context manager, from one thread.
    """

    def __init__(
        self,
        path: Path | None,
        catalog: Catalog,
        lock: WriterLock | None,
        notify: Callable[[str], None],
        *,
        keep: bool = True,
    ) -> None:
        """Use `open`, `create` or `memory` instead."""
        self.path = path
        self.catalog = catalog
        self._lock = lock
        self._notify = notify
        self._keep = keep
        self._use_model()

    def _use_model(self) -> None:
        """Create the parts that depend on the model of the catalog."""
        path = self.path
        self.model = self.catalog.models.current()
        self._vectors = VectorFile(
            self.catalog,
            self.model,
            None if path is None else path / VECTORS_FILE,
            alone=self._alone if self._keep else None,
            notify=self._notify,
        )
        reserve = None if path is None else path / _RESERVE_FILE
        self._eraser = Eraser(self.catalog, self._vectors, reserve, self._notify)

    def _alone(self) -> AbstractContextManager[object]:
        """Return a lock for a short write to the folder. Raises `LockedError` and `StorageError`."""
        return nullcontext() if self._lock or self.path is None else WriterLock(self.path / _LOCK_FILE)

    @classmethod
    def memory(cls, model: ModelInfo) -> Self:
        """Return an empty in-memory index, which writes nothing to disk."""
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
        """Create an empty index for embeddings of `model` and open it for writing; only its owner can read the folder.

        Raises `StorageError` and `LockedError`.
        """
        lock = cls.lock(path, wait=wait)
        try:
            if not (path / CATALOG_FILE).exists():
                Catalog.create(path / CATALOG_FILE, model)
            return cls._opened(path, lock, notify)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def lock(path: Path, *, wait: float = 0.0) -> WriterLock:
        """Lock the folder `path` for writing; make it first if need be. Raises `StorageError`, `LockedError`."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{path}: cannot be created ({error.strerror})", Hint.ANOTHER_PLACE) from error
        return WriterLock(path / _LOCK_FILE, wait=wait)

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
        """Open an existing index. `notify` gets a line of text if the vector file had to be rebuilt.

        For writing, `wait` is how many seconds to wait for another process that is writing. Without `prepare` the
        vector file is left as it is, for inspection. Without `keep` a reader writes nothing: rebuilt vectors are not
        stored for the next reader.

        Raises `IndexNotFoundError`, `LockedError` (for writing), `StorageError` if the index is unreadable, and what
        the catalog raises.
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
        """Open only the catalog of an index, even if damaged, to inspect or repair it. Raises what `open` raises."""
        cls.require(path)
        lock = WriterLock(path / _LOCK_FILE, wait=wait) if write else None
        try:
            catalog = Catalog.open(path / CATALOG_FILE, write=write, older=False)
            try:
                yield catalog
            finally:
                catalog.close()
        finally:
            if lock is not None:
                lock.release()

    @classmethod
    @contextmanager
    def telling(cls, path: Path) -> Iterator[Catalog]:
        """Open the catalog of an index for statements about people: short transactions, beside a run that writes.

        Raises what `open` raises, and `LockedError` if an older schema must be upgraded while a run is writing.
        """
        cls.require(path)
        with closing(Catalog.open(path / CATALOG_FILE)) as catalog:
            is_current = catalog.database.is_current
        if not is_current:
            with cls.open_catalog(path, write=True):
                pass  # upgraded
        with closing(Catalog.open(path / CATALOG_FILE, write=True)) as catalog:
            yield catalog

    @classmethod
    def require(cls, path: Path) -> None:
        """Raise `IndexNotFoundError` if there is no index."""
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
            for pattern in _LEFTOVERS:  # safe: this process holds the lock
                for leftover in path.glob(pattern):
                    leftover.unlink(missing_ok=True)
        catalog = Catalog.open(path / CATALOG_FILE, write=lock is not None, trace=keep)
        try:
            store = cls(path, catalog, lock, notify, keep=keep)
            if lock is not None and prepare:
                # Before anything is added: if the catalog was restored from a backup, the vector file is recognised as
                # not matching by its generation, which new commits would overtake.
                store._vectors.load()
                catalog.end_view()
                if catalog.forgetting.is_erasing():  # a process was killed after it had deleted something
                    store.vacuum()
        except BaseException:
            catalog.close()
            raise
        return store

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether there is an index in this folder. Raises `StorageError` if the folder or the index is unreadable."""
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

    @staticmethod
    def identity(path: Path) -> tuple[int, int] | None:
        """Return a value that changes when another index takes the place of this one; None if there is no index."""
        try:
            found = os.stat(path / CATALOG_FILE)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Close the files; uncommitted changes are discarded."""
        self.catalog.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require_model(self, model: ModelInfo) -> None:
        """Raise `ModelMismatchError`, naming both models, if their embeddings are not comparable."""
        if model.identity == replace(self.model, revision=model.revision).identity != self.model.identity:
            newer = self.model.revision > model.revision
            maker = f"{'a newer' if newer else 'an earlier'} version of facesearch"
            raise ModelMismatchError(
                f"{self.path}: made by {maker}: its embeddings have revision {self.model.revision}, this version has "
                f"{' and '.join(map(str, LOOKS))}",
                Hint.NEWER_VERSION if newer else Hint.SWITCH_TO,
                model=model.call,
            )
        if model.identity != self.model.identity:
            raise ModelMismatchError(
                f"{self.path}: made with model {_described(self.model)}, not with {_described(model)}",
                Hint.USE_ITS_MODEL,
                model=model.call,
            )

    def require_outside(self, file: Path) -> None:
        """Raise `UsageError` if a file is in the folder of the index, or leads there."""
        if self.path is not None and self.path.resolve() in file.resolve().parents:
            raise UsageError(f"{file}: part of the index itself; name a file outside {self.path}")

    def take_model(self, model: ModelInfo) -> None:
        """Record this model's name and folder as the index's model. Raises what `require_model` raises."""
        self.require_model(model)
        if (model.name, model.source) != (self.model.name, self.model.source):
            with self.catalog.transaction():
                self.catalog.models.rename(model.name, model.source)
            self.model = self.catalog.models.current()

    def promote_next_model(self) -> Promotion:
        """Switch to the embeddings of the next model; see `catalog.promotion`."""
        promotion = promote_next_model(self.catalog)
        self._use_model()
        if self._vectors.file is not None:
            self._vectors.write()
        return promotion

    def drop_staging(self) -> None:
        """Delete what the next model has extracted; nothing of it stays on the disk."""
        left = True
        while left:
            with self.catalog.transaction():
                left = self.catalog.staging.drop_some()

    def size(self) -> StoreSize:
        """Return the size in bytes on disk; zeros for an in-memory index."""
        if self.path is None:
            return StoreSize(0, 0)
        catalog = sum(size_of(self.path / f"{CATALOG_FILE}{suffix}") for suffix in ("", "-wal"))
        return StoreSize(catalog, size_of(self.path / VECTORS_FILE))

    def follow(self) -> None:
        """See what others have written since, including another model; for a reader that is kept open."""
        self._vectors.follow()
        if self.catalog.models.current().identity != self.model.identity:
            self.catalog.end_view()
            self._use_model()

    # Searching

    def __len__(self) -> int:
        """Return the number of vectors that a search covers."""
        return len(self._vectors)

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """Return scores and vector ids of the nearest faces; see `VectorIndex.search`."""
        return self._vectors.search(queries, k, allowed)

    def search_facts(self) -> SearchFacts:
        """Return how this index is searched."""
        return self._vectors.facts()

    def use_index_type(self, name: str) -> SearchFacts:
        """Choose the kind of vector file; a file of another kind is rewritten.

        Raises `UsageError` if the name is not one of `INDEX_TYPES`.
        """
        check_index_type(name)
        with self.catalog.transaction():
            self.catalog.meta.set_index_type(name)
        self._vectors.follow_choice()
        return self._vectors.facts()

    def kind_for(self, chosen: str) -> str:
        """Return the kind of vector file for one of `INDEX_TYPES` in an index of this size."""
        return self._vectors.kind_for(chosen)

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written to the catalog in the block at its end, or none of it.

        If vectors were added or deleted and the vector file has fallen far behind, it is rewritten. Raises what the
        catalog raises.
        """
        before = self.catalog.meta.generation
        try:
            with self.catalog.transaction():
                yield
                changed = self.catalog.meta.generation != before
        except BaseException:
            self._vectors.let_go()  # they may have been loaded with uncommitted data
            raise
        if changed:
            self._vectors.let_go()
            self._vectors.keep_up(in_a_run=True)

    def crash_guard(self) -> CrashGuard:
        """Return the record of photos in progress, now and when an earlier run died. For the writer only."""
        return CrashGuard(None if self.path is None else self.path / _CRASH_GUARD_FILE)

    def keep_report(self, report: dict[str, Any]) -> None:
        """Store the report of an indexing run, for the status of the index."""
        with self.catalog.transaction():
            self.catalog.meta.set_last_run(report)

    def finish(self) -> None:
        """End a run: bring the vector file up to date if that is cheap, and merge the log into the catalog."""
        if self._lock is None:
            return
        if self.catalog.models.next() is None and self.catalog.staging.has_any():
            self.drop_staging()  # a run was killed just after promoting or dropping a model
        self._vectors.keep_up(in_a_run=False)
        self.catalog.checkpoint()
        self._eraser.keep_reserve(only_with_room_to_spare=True)

    def erase(self, deletions: Sequence[Callable[[], object]]) -> None:
        """Delete from the catalog for good and leave nothing of it on the disk; see `Eraser.erase`."""
        self._eraser.erase(deletions)

    def vacuum(self) -> None:
        """Leave nothing of what was deleted: rewrite the catalog and the vector file; see `Eraser.vacuum`."""
        self._eraser.vacuum()

    def has_vector_file(self) -> bool:
        """Whether the vector file exists, or is not needed because there are no vectors."""
        return self._vectors.is_there()

    def vector_file_fault(self) -> str | None:
        """Return what is wrong with the vector file, in one line; None if it matches the catalog."""
        return self._vectors.fault()


def _described(model: ModelInfo) -> str:
    digest = " ".join(value[:8] for value in sorted(model.digests.values()))
    return f"{model.name} ({model.dim} dimensions, weights {digest}, embedding revision {model.revision})"
