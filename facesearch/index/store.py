"""An index: a folder with a catalog and the vector file that is derived from it, opened, checked, written to."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
"""Of a run that was killed."""


@dataclass(frozen=True, slots=True)
class StoreSize:
    """Bytes on disk."""

    catalog: int
    vectors: int


def check_index_type(name: str) -> None:
    """Raises `UsageError` for a name that is none of `INDEX_TYPES`."""
    if name not in INDEX_TYPES:
        raise UsageError(f"index_type {name}: choose one of {', '.join(INDEX_TYPES)}", option="index_type")


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
        *,
        keep: bool = True,
    ) -> None:
        """Put together by `open`, `create` and `memory`."""
        self.path = path
        self.catalog = catalog
        self._lock = lock
        self._notify = notify
        self._keep = keep
        self._use_model()

    def _use_model(self) -> None:
        """Have the parts that depend on the model of the catalog."""
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
        """The right to write to the folder, for a moment. Raises `LockedError`, `StorageError`."""
        return nullcontext() if self._lock or self.path is None else WriterLock(self.path / _LOCK_FILE)

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
            for pattern in _LEFTOVERS:  # whoever writes here holds the lock
                for leftover in path.glob(pattern):
                    leftover.unlink(missing_ok=True)
        catalog = Catalog.open(path / CATALOG_FILE, write=lock is not None, trace=keep)
        try:
            store = cls(path, catalog, lock, notify, keep=keep)
            if lock is not None and prepare:
                # Before anything is added: a vector file from another past of this index (the catalog was restored
                # from a backup) is told by its generation, which would be overtaken by new commits.
                store._vectors.load()
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

    @staticmethod
    def identity(path: Path) -> tuple[int, int] | None:
        """What tells the index in this folder from another that takes its place; None where there is none."""
        try:
            found = os.stat(path / CATALOG_FILE)
        except OSError:
            return None
        return found.st_dev, found.st_ino

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
        if model.identity == replace(self.model, revision=model.revision).identity != self.model.identity:
            raise ModelMismatchError(
                f"{self.path}: made by another version of facesearch (embedding revision {self.model.revision}, this "
                f"one has {model.revision}), whose embeddings cannot be compared",
                Hint.SWITCH_TO,
                model=model.call,
            )
        if model.identity != self.model.identity:
            raise ModelMismatchError(
                f"{self.path}: made with model {_described(self.model)}, not with {_described(model)}",
                Hint.USE_ITS_MODEL,
                model=model.call,
            )

    def require_outside(self, file: Path) -> None:
        """Raises `UsageError` for a file that the index itself is made of."""
        if self.path is not None and file.parent.resolve() == self.path.resolve():
            raise UsageError(f"{file}: this is the index itself; name a file outside of {self.path}")

    def take_model(self, model: ModelInfo) -> None:
        """Use this model from now on, by its name and where it is; `require_model` has to hold."""
        self.require_model(model)
        if (model.name, model.source) != (self.model.name, self.model.source):
            with self.catalog.transaction():
                self.catalog.models.rename(model.name, model.source)
            self.model = self.catalog.models.current()

    def promote_next_model(self) -> Promotion:
        """Answer with the embeddings of the next model from now on; see `catalog.promotion`."""
        promotion = promote_next_model(self.catalog)
        self._use_model()
        if self._vectors.file is not None:
            self._vectors.write()
        return promotion

    def drop_staging(self) -> None:
        """Forget what the next model has extracted; nothing of it stays on the disk."""
        left = True
        while left:
            with self.catalog.transaction():
                left = self.catalog.staging.drop_some()

    def size(self) -> StoreSize:
        """Bytes on disk; zeros for an index in memory."""
        if self.path is None:
            return StoreSize(0, 0)
        catalog = sum(size_of(self.path / f"{CATALOG_FILE}{suffix}") for suffix in ("", "-wal"))
        return StoreSize(catalog, size_of(self.path / VECTORS_FILE))

    def follow(self) -> None:
        """For a reader that is kept open: see what others have written since, another model included."""
        self._vectors.follow()
        if self.catalog.models.current().identity != self.model.identity:
            self.catalog.end_view()
            self._use_model()

    # Questions

    def __len__(self) -> int:
        """Vectors that a search looks at."""
        return len(self._vectors)

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """Scores and vector ids of the nearest faces; see `VectorIndex.search`."""
        return self._vectors.search(queries, k, allowed)

    def search_facts(self) -> SearchFacts:
        """How this index answers."""
        return self._vectors.facts()

    def use_index_type(self, name: str) -> SearchFacts:
        """Answer with that kind of vector file from now on; the file is written anew where it is another.

        Raises `UsageError` for a name that is none of `INDEX_TYPES`.
        """
        check_index_type(name)
        with self.catalog.transaction():
            self.catalog.meta.set_index_type(name)
        self._vectors.follow_choice()
        return self._vectors.facts()

    def kind_for(self, chosen: str) -> str:
        """The kind of vector file that an index of this size has for one of `INDEX_TYPES`."""
        return self._vectors.kind_for(chosen)

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written to the catalog while this lasts is durable at its end, or none of it is.

        The vector file follows when vectors came or went and it has fallen far behind. Raises what the catalog raises.
        """
        before = self.catalog.meta.generation
        try:
            with self.catalog.transaction():
                yield
                changed = self.catalog.meta.generation != before
        except BaseException:
            self._vectors.let_go()  # they may have been opened with what is not kept
            raise
        if changed:
            self._vectors.let_go()
            self._vectors.keep_up(in_a_run=True)

    def crash_guard(self) -> CrashGuard:
        """What is in hand, and what was when an earlier run died; for whoever writes to this index."""
        return CrashGuard(None if self.path is None else self.path / _CRASH_GUARD_FILE)

    def keep_report(self, report: dict[str, Any]) -> None:
        """Remember what the last indexing run did, for its status."""
        with self.catalog.transaction():
            self.catalog.meta.set_last_run(report)

    def finish(self) -> None:
        """The end of a run: bring the vector file up to date where that is cheap, fold the log into the catalog."""
        if self._lock is None:
            return
        if self.catalog.models.next() is None and self.catalog.staging.has_any():
            self.drop_staging()  # of a run that was killed just after a model was promoted, or dropped
        self._vectors.keep_up(in_a_run=False)
        self.catalog.checkpoint()
        self._eraser.keep_reserve(only_with_room_to_spare=True)

    def erase(self, deletions: Sequence[Callable[[], object]]) -> None:
        """Delete from the catalog for good and leave nothing of it on the disk; see `Eraser.erase`."""
        self._eraser.erase(deletions)

    def vacuum(self) -> None:
        """Leave nothing of what was deleted: write the catalog and the vector file again; see `Eraser.vacuum`."""
        self._eraser.vacuum()

    def has_vector_file(self) -> bool:
        """Whether the vector file is there, or nothing is to be in it."""
        return self._vectors.is_there()

    def vector_file_fault(self) -> str | None:
        """What is wrong with the vector file, in one line; None when it is what the catalog holds."""
        return self._vectors.fault()


def _described(model: ModelInfo) -> str:
    digest = " ".join(value[:8] for value in sorted(model.digests.values()))
    return f"{model.name} ({model.dim} dimensions, weights {digest}, embedding revision {model.revision})"
