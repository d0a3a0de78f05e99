"""Open an index: a store for reading that stays open, a store for writing per call, and the model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, get_ident
from typing import TYPE_CHECKING

from facesearch.arguments import (
    AnyPath,
    AnyPaths,
    require_number,
    require_whole_number,
    several_paths,
    text_of_path,
)
from facesearch.errors import Hint, LockedError, ModelMismatchError, StoreError, UsageError
from facesearch.events import Observer

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.galleries.local import LocalGallery
    from facesearch.index.store import Store
    from facesearch.models.protocol import FaceModel
    from facesearch.models.runtime import Runtime
    from facesearch.photos.previews import Previews
    from facesearch.types import ModelInfo

__all__ = ["Models", "Stores", "as_model", "as_path", "as_paths"]


def as_path(name: str, path: AnyPath) -> Path:
    """Return the path of the argument `name`; see `text_of_path`. Raises `UsageError` if it is not a path."""
    return Path(text_of_path(name, path))


def as_paths(paths: AnyPaths) -> list[Path]:
    """Return one or several paths as a list. Raises `UsageError` if one is not a path."""
    return [Path(path) for path in several_paths("path", paths)]


def as_model(model: AnyPath | None) -> str | None:
    """Return the name or folder of a model as text, or None. Raises `UsageError` if it is not a path."""
    return text_of_path("model", model) if model else None


class Stores:
    """The stores of one index. `asked` is the model that the index must have, or that a new one gets; None for any.

    `author` is the author of what is said of people; None for the system's user.
    """

    def __init__(
        self, path: Path, asked: str | None, wait: float, observer: Observer, author: str | None = None
    ) -> None:
        require_number("wait", wait, 0)
        self.author = author
        self.path = path
        self.asked = asked
        self.wait = wait
        self._observer = observer
        self._reader: Store | None = None
        self._reader_keeps = True
        self._reader_of: tuple[int, int] | None = None
        self._thread = 0
        self._previews: Previews | None = None
        self._gallery: tuple[Store, LocalGallery] | None = None

    def exist(self) -> bool:
        """Return True if the index exists. Raises `StorageError` if the folder cannot be accessed."""
        from facesearch.index.store import Store

        return Store.exists(self.path)

    def version(self) -> tuple[int, ...]:
        """Return the times and sizes of the catalog's files; 0 for one that is missing."""
        from facesearch.index.store import CATALOG_FILE

        found: list[int] = []
        for name in (CATALOG_FILE, f"{CATALOG_FILE}-wal"):
            try:
                facts = os.stat(self.path / name)
            except OSError:
                found += [0, 0]
            else:
                found += [facts.st_mtime_ns, facts.st_size]
        return tuple(found)

    def require(self) -> None:
        """Raise `IndexNotFoundError` if there is no index, `StorageError` if the folder cannot be accessed."""
        from facesearch.index.store import Store

        Store.require(self.path)

    def reading(self, *, keep: bool = True) -> Store:
        """Return the store for reading, opened on first use; without `keep` it writes nothing, not even a rebuilt file.

        It shows what is committed now, until the next call of this method. Raises what `Store.open` raises, and
        `ModelMismatchError` if the index was made with another model than `asked`.
        """
        from facesearch.index.store import Store

        if self._reader is not None and (self._reader_keeps != keep or self._reader_of != Store.identity(self.path)):
            self.close()  # also if another index has replaced it
        if self._reader is not None:
            self._require_thread()
            self._reader.follow()
        if self._reader is None:
            identity = Store.identity(self.path)
            store = Store.open(self.path, keep=keep, notify=self._observer.note)
            self._reader, self._reader_keeps, self._reader_of = store, keep, identity
            self._thread = get_ident()
            if self.asked is not None:
                from facesearch.models.resolve import model_info

                try:
                    store.require_model(model_info(self.asked, store.model.revision))
                except BaseException:
                    self.close()
                    raise
        return self._reader

    def gallery(self, *, keep: bool = True) -> LocalGallery:
        """Return the store for reading as a gallery. What it has looked up is kept while nothing is committed."""
        from facesearch.galleries.local import LocalGallery

        store = self.reading(keep=keep)
        if self._gallery is None or self._gallery[0] is not store:
            self._gallery = store, LocalGallery(store, str(self.path))
        return self._gallery[1]

    @contextmanager
    def writing(self) -> Iterator[Store]:
        """Open a store for writing, with the lock. Raises what `Store.open` raises, and `ModelMismatchError`."""
        from facesearch.index.store import Store

        self.close()
        with Store.open(self.path, write=True, wait=self.wait, notify=self._observer.note) as store:
            if self.asked is not None:
                from facesearch.models.resolve import model_info

                store.take_model(model_info(self.asked, store.model.revision))
            store.catalog.statements.author = self.author
            yield store
            self.keep_statements(store.catalog)

    @contextmanager
    def telling(self) -> Iterator[Catalog]:
        """Open the catalog for statements about people, in one transaction and without the lock of a writer.

        A run that is writing delays it briefly only. Raises what `Store.telling` raises.
        """
        from facesearch.index.store import Store

        self.close()
        with Store.telling(self.path) as catalog:
            catalog.statements.author = self.author
            with catalog.transaction():
                yield catalog
            self.keep_statements(catalog)

    def keep_statements(self, catalog: Catalog) -> None:
        """Bring the statement file beside the catalog up to date; after a failure, the next call makes up for it."""
        from facesearch.people.exchange.statement_file import STATEMENT_FILE, bring_up_to_date

        try:
            told = bring_up_to_date(catalog, self.path)
        except (OSError, StoreError, LockedError) as error:
            why = error.strerror if isinstance(error, OSError) else error.problem
            told = f"{self.path / STATEMENT_FILE}: cannot be written ({why}); what is missing is added later"
        if told is not None:
            self._observer.warn(told)

    @contextmanager
    def made(self) -> Iterator[Store]:
        """Create an empty index and open it for writing. Raises what `Store.create` and `choose_model` raise."""
        from facesearch.index.store import Store
        from facesearch.models.resolve import choose_model, model_info

        choice = choose_model(self.asked)
        info = model_info(choice.name)
        with Store.create(self.path, info, wait=self.wait, notify=self._observer.note) as store:
            self._observer.note(f"new index in {self.path}")
            if choice.note:
                self._observer.note(choice.note)
            yield store
            self.keep_statements(store.catalog)

    @contextmanager
    def empty(self) -> Iterator[Store]:
        """Create an empty index in memory, with the model of a new index."""
        from facesearch.index.store import Store
        from facesearch.models.resolve import choose_model, model_info

        with Store.memory(model_info(choose_model(self.asked).name)) as store:
            yield store

    def previews(self) -> Previews:
        """Return the pictures that are kept in the folder of the index."""
        from facesearch.index.erasing import PREVIEWS_FOLDER
        from facesearch.photos.previews import Previews

        if self._previews is None:
            self._previews = Previews(self.path / PREVIEWS_FOLDER)
        return self._previews

    def another(self, *, author: str | None, wait: float | None) -> Stores:
        """Return other stores of the same index."""
        other = Stores(self.path, self.asked, self.wait if wait is None else wait, self._observer, author)
        other._previews = self.previews()
        return other

    def require_paths(self, paths: Sequence[Path]) -> None:
        """Raise `UsageError` if no paths are given for a new index, `InputError` if one is not found."""
        from facesearch.indexing.scopes import require_paths

        if not paths:
            raise UsageError(f"no index at {self.path} yet", Hint.NAME_A_FOLDER)
        require_paths(paths)

    def require_writable(self, file: Path, *, overwrite: bool) -> None:
        """Raise `UsageError` if a file is part of the index or a folder, or if it exists and may not be replaced."""
        if file.is_dir():
            raise UsageError(f"{file}: a folder; give a file")
        if file.is_file() and not overwrite:
            raise UsageError(f"{file}: already exists", Hint.ANOTHER_FILE)
        self.reading().require_outside(file)

    def close(self) -> None:
        """Close the store for reading; it is opened again when needed. Raises `UsageError` in another thread."""
        if self._reader is not None:
            self._require_thread()
            self._reader.close()
            self._reader = self._gallery = None

    def _require_thread(self) -> None:
        if self._thread != get_ident():
            raise UsageError(f"{self.path}: open in another thread; open one Index per thread")


class Models:
    """Opens a model once, on the runtime that suits the work; several threads may share it."""

    def __init__(self, device: str, threads: int, observer: Observer) -> None:
        require_whole_number("threads", threads, 0)
        self._device = device
        self._threads = threads
        self._observer = observer
        self._opened: FaceModel | None = None
        self._key: tuple[str, int] | None = None
        self._few = False
        self._opening = Lock()

    def runtime(self, *, few: bool = False) -> Runtime:
        """Return the runtime for a `few` photos or for many. Raises `UsageError`, `DeviceError`."""
        from facesearch.models.runtime import choose_runtime

        return choose_runtime(self._device, self._threads, few=few, notify=self._observer.note)

    def open_for(self, store: Store, *, few: bool = False, at_once: bool = True) -> FaceModel:
        """Open the model of an index, with the embedding revision of the index; see `open`.

        Also raises `ModelMismatchError` if the embeddings are not comparable.
        """
        name, revision = store.model.source or store.model.name, store.model.revision
        model = self.open(name, revision, few=few, at_once=at_once)
        store.require_model(model.info)
        return model

    def open_like(self, info: ModelInfo, *, few: bool = True, at_once: bool = True) -> FaceModel:
        """Open the model of a shared gallery, by its name; see `open`. Raises `ModelMismatchError` if it is another."""
        model = self.open(info.name, info.revision, few=few, at_once=at_once)
        if model.info.identity != info.identity:
            raise ModelMismatchError(
                f"the gallery has embeddings of {info.beside(model.info)}, not of the model of this name here",
                Hint.NEWER_VERSION,
            )
        return model

    def open(self, name: str, revision: int | None = None, *, few: bool = False, at_once: bool = True) -> FaceModel:
        """Open the model of this name, or in this folder; by default with the latest embedding revision.

        For a `few` photos the runtime is the one that starts fastest, otherwise the fastest. `at_once` processes one
        photo per core; without it one photo uses all cores. A suitable model that is already open is used again.
        Raises `ModelError`, `DeviceError`, `UsageError`.
        """
        from facesearch.models.framing import LATEST_REVISION
        from facesearch.models.resolve import open_model

        key = name, revision if revision is not None else LATEST_REVISION
        with self._opening:
            if self._opened is not None and self._key == key and (few or not self._few):
                return self._opened
            runtime = self.runtime(few=few)
            if at_once:
                runtime = runtime.shared_by(runtime.threads)
            self._opened, self._key, self._few = open_model(key[0], runtime, key[1]), key, few or not at_once
            return self._opened
