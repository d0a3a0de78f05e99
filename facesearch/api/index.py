"""`Index`: the one door to an index of photos, for the command line, the page and other people's programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from facesearch.api import keeping
from facesearch.api.forgetting import forgetting
from facesearch.api.opening import Models, Stores, as_model, as_path, as_paths
from facesearch.arguments import AnyPath, AnyPaths
from facesearch.errors import Hint, UsageError
from facesearch.events import SILENT, Observer, observing
from facesearch.filters import Filter
from facesearch.query_options import QueryKeywords, QueryOptions
from facesearch.settings import DEFAULT_MAX_PIXELS, default_index_path

if TYPE_CHECKING:
    from facesearch.api.keeping import CancelledSwitch, SwitchPreview
    from facesearch.api.status import IndexStatus
    from facesearch.care.check import Health
    from facesearch.care.forget import Forgetting
    from facesearch.care.restore import Backup
    from facesearch.index.store import Store
    from facesearch.index.vector_file import SearchFacts
    from facesearch.indexing.model_switch import Switch
    from facesearch.indexing.report import Report
    from facesearch.models.protocol import FaceModel
    from facesearch.models.runtime import Runtime
    from facesearch.search.result import QueryResult
    from facesearch.types import FaceRecord, FloatArray, ModelInfo

    Progress = Callable[[int, int, int, int], object]

__all__ = ["Index"]

_ALL = Filter()


class Index:
    """An index of photos: a folder that keeps every face found in them. Made by `Index.open`; a context manager.

    Files and the model are opened on first use, after `close` as well. Each call sees the index as it is then, whoever
    writes to it. To be used from one thread; another may go on with it once it is closed. A `~` that begins a path
    given as text is the home folder, everywhere. Every method may raise `StoreError` where the index cannot be used,
    and `UsageError` for an argument that makes no sense; those that write raise `LockedError` while another run is
    writing.

    Where a method takes a `confirm`, that is told what is about to happen, under the lock, before it does; what it
    raises ends the call, and nothing is done.
    """

    def __init__(self, stores: Stores, models: Models, observer: Observer) -> None:
        self._stores = stores
        self._models = models
        self._observer = observer

    @classmethod
    def open(
        cls,
        path: AnyPath | None = None,
        *,
        create: bool = False,
        model: AnyPath | None = None,
        device: str = "auto",
        threads: int = 0,
        wait: float = 0.0,
        observer: Observer = SILENT,
    ) -> Self:
        """The index in the folder `path`; None: the one that the environment names, as the command line takes it.

        With `create` there may be no index yet: `refresh` makes it, of the photos that it is given. `model` is the one
        for a new index (`embedded`, a pack's name, or a folder); an index that exists has to have it. `device` is one
        of `facesearch.models.runtime.DEVICES`; `threads` 0 takes all cores. Another run that is writing is waited for,
        for `wait` seconds. `observer` is told what happens and asked whether to go on.

        Raises `IndexNotFoundError` where there is none, `StorageError` where that cannot be seen, `UsageError` where
        no folder can be told.
        """
        folder = default_index_path() if path is None else as_path("path", path)
        stores = Stores(folder, as_model(model), wait, observer)
        if not create:
            stores.require()
        return cls(stores, Models(device, threads, observer), observer)

    def close(self) -> None:
        """Let go of the files; whoever goes on using it opens them again."""
        self._stores.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._stores.path

    @property
    def exists(self) -> bool:
        """Whether it has been made. Raises `StorageError` where that cannot be seen."""
        return self._stores.exist()

    @property
    def model(self) -> ModelInfo:
        """The model whose embeddings it keeps."""
        return self._reading().model

    @property
    def runtime(self) -> Runtime:
        """What the model runs on when many photos are read. Raises `UsageError`, `DeviceError`."""
        return self._models.runtime()

    # Asking

    def query(
        self,
        photos: AnyPaths,
        options: QueryOptions | None = None,
        *,
        where: Filter = _ALL,
        keep: bool = True,
        observer: Observer | None = None,
        **keywords: Unpack[QueryKeywords],
    ) -> QueryResult:
        """Find the photos of whoever is in `photos`, without touching the photos of the index.

        Photos are files or folders of them; several make one question about one person, unless `each` is a question of
        its own. Without options all photos from the model's threshold on are found; see `QueryOptions` for the
        keywords, or hand over such an object. `where` says which faces are searched. Without `keep` nothing is written,
        not even a vector file that had to be made again. The remarks in the result are for a person to read.

        Raises `PhotoError`, `NoFaceError` where a single photo shows none, `InputError` where none of several can be
        used, or a folder in `where` has no known photos, `UsageError`, `ModelError`, `DeviceError`.
        """
        from facesearch.api.asking import query

        asked = QueryOptions.of(keywords, options)
        told = self._observer if observer is None else observer
        return query(self._stores, self._models, photos, asked, where, told, keep=keep)

    # Keeping it current

    def refresh(
        self,
        paths: AnyPaths = (),
        *,
        progress: Progress | None = None,
        observer: Observer | None = None,
        rotations: bool = True,
        retry_failed: bool = False,
        again: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        keep_missing_days: float = 30.0,
        max_memory: int | None = None,
        index_type: str | None = None,
        confirm: Callable[[Report], object] | None = None,
    ) -> Report:
        """Find the faces in new and changed photos of `paths`, or of every known folder; make the index if need be.

        `progress` is told how many of how many photos are done, the faces found, and the photos that could not be read;
        an `observer` of this run is told more. Photos are also looked at turned on their sides, unless `rotations` is
        false. `retry_failed` tries photos again that could not be read, `again` reads all. Photos of more than
        `max_pixels` are refused. Photos out of sight for `keep_missing_days` are deleted for good; 0 deletes at once.
        `max_memory` is in bytes, for the whole process. `index_type` is `auto`, `flat` or `ivf`.

        Work is committed every few seconds; a run that is stopped, or dies, is taken up by the next. Raises
        `InputError` where a path is not there, `UsageError` where there is nothing to do, `ModelError`, `DeviceError`.
        """
        options = keeping.reading_options(
            rotations=rotations, retry_failed=retry_failed, again=again, max_pixels=max_pixels,
            keep_missing_days=keep_missing_days,
        )  # fmt: skip
        return keeping.refresh(
            self._stores, self._models, as_paths(paths),
            options=options, observer=self._told(progress, observer), max_memory=max_memory, index_type=index_type,
            confirm=confirm,
        )  # fmt: skip

    def preview(
        self,
        paths: AnyPaths = (),
        *,
        rotations: bool = True,
        retry_failed: bool = False,
        again: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        keep_missing_days: float = 30.0,
        max_memory: int | None = None,
        index_type: str | None = None,
    ) -> Report:
        """What `refresh` with the same options would do, by names, sizes and times alone; nothing is read or written.

        Of an index that is still to be made all photos are new. Raises what `refresh` raises.
        """
        options = keeping.reading_options(
            rotations=rotations, retry_failed=retry_failed, again=again, max_pixels=max_pixels,
            keep_missing_days=keep_missing_days,
        )  # fmt: skip
        return keeping.preview(self._stores, as_paths(paths), options, index_type)

    def switch_model(
        self,
        name: AnyPath | None = None,
        *,
        leave_offline: bool = False,
        progress: Progress | None = None,
        observer: Observer | None = None,
        rotations: bool = True,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        max_memory: int | None = None,
        index_type: str | None = None,
    ) -> Switch | None:
        """Read all photos with the model `name`, then switch to it in one step; without a name, go on with a switch
        that was begun: None where there is none.

        Until then questions are answered with the model before. It does not switch while a folder with photos that it
        has not read is not there, unless it is to `leave_offline` those. Raises `UsageError` where there is no such
        switch to make, `ModelError`, `DeviceError`.
        """
        options = keeping.reading_options(rotations=rotations, max_pixels=max_pixels)
        return keeping.switch_model(
            self._stores, self._models, as_model(name), options=options,
            observer=self._told(progress, observer), leave_offline=leave_offline, max_memory=max_memory,
            index_type=index_type,
        )  # fmt: skip

    def preview_switch(self, name: AnyPath | None = None, *, index_type: str | None = None) -> SwitchPreview | None:
        """What `switch_model` would read; nothing is done. Raises what that raises."""
        return keeping.preview_switch(self._reading(keep=False), as_model(name), index_type)

    def cancel_switch(self) -> CancelledSwitch:
        """Drop a switch that is under way, with all that was read for it. Raises `UsageError` where there is none."""
        from facesearch.indexing.model_switch import cancel_switch

        with self._writing() as store:
            dropped = cancel_switch(store)
            store.vacuum()
            return keeping.CancelledSwitch(kept=store.model, dropped=dropped)

    def use_index_type(self, kind: str) -> SearchFacts:
        """Search it in another way from now on: `auto`, `flat` (exact) or `ivf` (approximate). Raises `UsageError`."""
        with self._writing() as store:
            return store.use_index_type(kind)

    def kind_for(self, kind: str) -> str:
        """How an index of this size would be searched with `use_index_type`: `flat` or `ivf`. Raises `UsageError`."""
        from facesearch.index.store import check_index_type

        check_index_type(kind)
        return self._reading(keep=False).kind_for(kind)

    # What is in it

    def status(self) -> IndexStatus:
        """Its model, what is in it, its size and its last run."""
        from facesearch.api.status import status_of

        return status_of(self._reading(), self.path, self.runtime)

    def failed_photos(self) -> list[tuple[Path, str]]:
        """Photos that could not be read, and why."""
        return [(Path(os.fsdecode(path)), error) for path, error in self._reading().catalog.photos.failed()]

    def folders(self) -> list[Path]:
        """The folders and single photos that it was given."""
        return [Path(os.fsdecode(root.path)) for root in self._reading().catalog.roots.all()]

    def export_faces(self) -> Iterator[tuple[FaceRecord, FloatArray]]:
        """Each face that can be found, with its embedding, float32[dim] of unit length."""
        from facesearch.care.export import every_face

        return every_face(self._reading())

    # Taking care of it

    def move_folder(self, old: AnyPath, new: AnyPath, *, anyway: bool = False) -> None:
        """The photos of the folder `old` are in `new` from now on; all that is known about them stays.

        Raises `InputError` where `old` is none of its folders, or where `new` is not there or holds other photos unless
        it is to be moved `anyway`; `UsageError` where `new` overlaps another folder.
        """
        from facesearch.care.folders import move_root

        with self._writing() as store:
            move_root(store, as_path("old", old), as_path("new", new), anyway=anyway)

    def remove_folder(self, path: AnyPath, *, confirm: Callable[[Forgetting], object] | None = None) -> Forgetting:
        """Forget a folder with all its photos and faces for good; see `forget`."""
        return self.forget(folder=path, confirm=confirm)

    def to_forget(
        self,
        path: AnyPath | None = None,
        *,
        face: int | None = None,
        folder: AnyPath | None = None,
        never_again: bool = False,
    ) -> Forgetting:
        """What `forget` would remove; nothing is done. Raises what `forget` raises."""
        return forgetting(self._reading(keep=False), path, face, folder, never_again=never_again)

    def forget(
        self,
        path: AnyPath | None = None,
        *,
        face: int | None = None,
        folder: AnyPath | None = None,
        never_again: bool = False,
        confirm: Callable[[Forgetting], object] | None = None,
    ) -> Forgetting:
        """Remove for good, vectors and all: a photo or a folder of photos, one face by its id, or a `folder` it knows.

        Files are not touched. With `never_again` identical copies go too, and later runs leave these photos out. Tells
        what was removed. Raises `InputError` where nothing is known there, `UsageError` unless one thing is named.
        """
        from facesearch.care.forget import forget

        with self._writing() as store:
            going = forgetting(store, path, face, folder, never_again=never_again)
            if confirm is not None:
                confirm(going)
            forget(store, going)
        return going

    def check(self, *, repair: bool = False) -> Health:
        """Look at everything: the database, every vector, the vector file, the model, and whether the photos are there.

        With `repair` what can be mended is mended. Raises `IndexDamagedError` where nothing can be read.
        """
        from facesearch.care.check import check

        self._stores.close()
        return check(self.path, repair=repair, wait=self._stores.wait)

    def backup(self, file: AnyPath, *, overwrite: bool = False) -> None:
        """A consistent copy of the catalog, also while others write.

        Raises `UsageError` where `file` exists, or lies in the index.
        """
        target = as_path("file", file)
        if target.exists() and not overwrite:
            raise UsageError(f"{target} exists", Hint.ANOTHER_FILE)
        store = self._reading()
        store.require_outside(target)
        store.catalog.backup(target)

    def restore(
        self, file: AnyPath, *, overwrite: bool = False, confirm: Callable[[Backup], object] | None = None
    ) -> Backup:
        """Make this index from a backup, which is verified first and not changed; open it with `create`.

        Returns what the backup holds. Raises `InputError` if `file` cannot be read or has faults, `UsageError` if it is
        part of this index, or if there is an index and `overwrite` is false, `IndexDamagedError` if `file` is no
        catalog, `IndexVersionError` if a newer facesearch made it.
        """
        from facesearch.care.restore import restore

        self._stores.close()
        return restore(as_path("file", file), self.path, overwrite=overwrite, wait=self._stores.wait, confirm=confirm)

    # What the methods use

    def _reading(self, *, keep: bool = True) -> Store:
        """The store for reading; without `keep` it writes nothing, not even a vector file that had to be made again."""
        return self._stores.reading(keep=keep)

    def _writing(self) -> AbstractContextManager[Store]:
        """A store to write to, with the lock, for the time of one call."""
        return self._stores.writing()

    def _face_model(self, *, few: bool = False, at_once: bool = True) -> FaceModel:
        """The index's model, opened on first use; for a `few` photos on the runtime that starts fastest.

        Without `at_once` a single photo has all cores. Raises `ModelError`, `ModelMismatchError`, `DeviceError`.
        """
        store = self._reading()
        model = self._models.open(store.model.source or store.model.name, few=few, at_once=at_once)
        store.require_model(model.info)
        return model

    def _told(self, progress: Progress | None, observer: Observer | None) -> Observer:
        """Who is told about a run: its own observer, or the index's with a `progress` of its own."""
        told = self._observer if observer is None else observer
        return told if progress is None else observing(progress=progress, otherwise=told)
