"""`Index`: build, update, query and maintain an index of photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from facesearch.api import keeping
from facesearch.api.forgetting import Asked, ForgetKeywords, forget_within
from facesearch.api.galleries import Galleries
from facesearch.api.opening import Models, Stores, as_model, as_path, as_paths
from facesearch.api.people import People
from facesearch.api.photos import Photos
from facesearch.arguments import AnyPath, AnyPaths
from facesearch.events import SILENT, Observer, observing
from facesearch.filters import Filter
from facesearch.query_options import QueryKeywords, QueryOptions
from facesearch.settings import DEFAULT_MAX_PIXELS, default_index_path

if TYPE_CHECKING:
    from facesearch.api.compare import ComparedPhotos
    from facesearch.api.keeping import CancelledSwitch, SwitchPreview
    from facesearch.api.run_options import PreviewKeywords, ReadingKeywords, RefreshKeywords
    from facesearch.api.status import IndexStatus
    from facesearch.care.check import Health
    from facesearch.care.forget import Forgetting
    from facesearch.care.restore import Backup
    from facesearch.catalog.sql import Table
    from facesearch.index.store import Store
    from facesearch.index.vector_file import SearchFacts
    from facesearch.indexing.model_switch import Switch
    from facesearch.indexing.report import Report
    from facesearch.models.protocol import FaceModel
    from facesearch.models.runtime import Runtime
    from facesearch.people.exchange.importing import Imported
    from facesearch.search.naming import NamedFace
    from facesearch.search.probes import QueryPhoto
    from facesearch.search.questions import AnyPhoto, AnyPhotos
    from facesearch.search.result import QueryResult
    from facesearch.types import FaceRecord, FloatArray, ModelInfo

    Progress = Callable[[int, int, int, int], object]

__all__ = ["Index"]

_ALL = Filter()


class Index:
    """An index of photos: a folder with every face found in them. Open one with `Index.open`; it is a context manager.

    Files and the model are opened on first use, also after `close`. Each call sees what other processes have committed
    until then. An open `Index` belongs to one thread; another thread may use it after `close`. In every path given as
    text a leading `~` is the home folder.

    Every method may raise `StoreError` if the index cannot be used, and `UsageError` for an invalid argument. Methods
    that write raise `LockedError` if another run is writing.

    A `confirm` callback is called before anything is changed, with a record of the pending change, while the lock is
    held. If it raises, the call ends and nothing is changed.
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
        """Open the index in the folder `path`; None selects the default index of the command line.

        With `create` the index need not exist yet; the first `refresh` creates it. `model` is the model for a new index
        (`embedded`, the name of a pack, or a folder); an existing index must have been made with it. `device` is one of
        `facesearch.models.runtime.DEVICES`; `threads` 0 uses all cores. Methods that write wait up to `wait` seconds
        for another run to finish. `observer` receives progress and messages, and can cancel a run.

        Raises `IndexNotFoundError` if there is no index, `StorageError` if the folder cannot be accessed, `UsageError`
        if there is no default folder.
        """
        folder = default_index_path() if path is None else as_path("path", path)
        stores = Stores(folder, as_model(model), wait, observer)
        if not create:
            stores.require()
        return cls(stores, Models(device, threads, observer), observer)

    def another(self, *, author: str | None = None, wait: float | None = None) -> Self:
        """Return another `Index` on the same folder, for another thread or another author; both share the model.

        `author` is the name that statements about people carry; None for the name of the system's user.
        """
        return type(self)(self._stores.another(author=author, wait=wait), self._models, self._observer)

    def close(self) -> None:
        """Close the files of the index; the next call opens them again."""
        self._stores.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The folder of the index."""
        return self._stores.path

    @property
    def exists(self) -> bool:
        """Whether the index exists. Raises `StorageError` if the folder cannot be accessed."""
        return self._stores.exist()

    def version(self) -> tuple[int, ...]:
        """Return a value that differs whenever something in the index has changed. It costs two looks at files."""
        return self._stores.version()

    @property
    def model(self) -> ModelInfo:
        """The model that made the embeddings."""
        return self._reading().model

    @property
    def runtime(self) -> Runtime:
        """The runtime and device for reading many photos. Raises `UsageError`, `DeviceError`."""
        return self._models.runtime()

    @property
    def photos(self) -> Photos:
        """The photos of the index by their ids, with pictures of them and of their faces."""
        return Photos(self._stores)

    @property
    def people(self) -> People:
        """The people of the index: groups of faces that show one person."""
        return People(self._stores, self._models, self._observer)

    @property
    def galleries(self) -> Galleries:
        """The shared galleries that the index is pushed to."""
        return Galleries(self._reading, self._writing, self._observer)

    # Querying

    def query(
        self,
        photos: AnyPhotos = (),
        options: QueryOptions | None = None,
        *,
        where: Filter = _ALL,
        keep: bool = True,
        observer: Observer | None = None,
        **keywords: Unpack[QueryKeywords],
    ) -> QueryResult:
        """Find photos of the person in `photos`.

        `photos` are files, folders of photos, photos in memory (`PhotoBytes`), or what `look_at` and `indexed_face`
        return; several show one person and make one query, unless `each` is set. By default all photos at or above the
        model's threshold are returned, then the other photos of the same person. The option `person` queries for a
        person by number instead. Options are given as keywords or as a `QueryOptions`, which documents them. `where`
        selects the faces that are searched. With `keep` false nothing is written, not even a rebuilt vector file. The
        photos of the index are not read. The `remarks` of the result are messages for the user.

        Raises `PhotoError` if a single query photo cannot be read, `NoFaceError` if it shows no face, `InputError` if
        none of several query photos can be used or a folder in `where` has no known photos, `UsageError`, `ModelError`,
        `DeviceError`.
        """
        from facesearch.api.asking import query

        asked = QueryOptions.of(keywords, options)
        told = self._observer if observer is None else observer
        return query(self._stores, self._models, photos, asked, where, told, keep=keep)

    def who(
        self,
        photo: AnyPhoto,
        *,
        rotations: bool = True,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        observer: Observer | None = None,
    ) -> list[NamedFace]:
        """Return the faces in any photo, the largest first, with the people of the index whom they show.

        A face without a person is unknown, or it is not sure who that is. For a photo of the index, or a copy, what the
        user said of its faces counts: faces given by hand are among them, and what is no face is not. `rotations` and
        `max_pixels` are those of `refresh`. Raises `PhotoError`, `NoFaceError`, `ModelError`, `DeviceError`.
        """
        from facesearch.api.asking import who

        told = self._observer if observer is None else observer
        return who(self._stores, self._models, photo, told, rotations=rotations, max_pixels=max_pixels)

    def compare(self, one: AnyPhoto, other: AnyPhoto) -> ComparedPhotos:
        """Compare every face of one photo with every face of another, by the model and the calibration of the index.

        Raises what `who` raises.
        """
        from facesearch.api.compare import compare_in_index

        return compare_in_index(self._stores, self._models, one, other, self._observer)

    def look_at(self, photo: AnyPhoto, *, rotations: bool = True, max_pixels: int = DEFAULT_MAX_PIXELS) -> QueryPhoto:
        """Detect the faces in a photo once, for `who` and any number of queries.

        `rotations` and `max_pixels` are those of `refresh`. Raises `PhotoError`, `NoFaceError`, `ModelError`,
        `DeviceError`. Queries raise `ModelSwitchedError` when the index has been switched to another model.
        """
        from facesearch.api.asking import look_at

        return look_at(self._stores, self._models, photo, self._observer, rotations=rotations, max_pixels=max_pixels)

    def indexed_face(self, face: int) -> QueryPhoto:
        """Return a face of the index, by its id, to query with. Raises `InputError` if the index does not have it."""
        from facesearch.api.asking import indexed_face

        return indexed_face(self._stores, face)

    # Updating

    def refresh(
        self,
        paths: AnyPaths = (),
        *,
        progress: Progress | None = None,
        observer: Observer | None = None,
        confirm: Callable[[Report], object] | None = None,
        **options: Unpack[RefreshKeywords],
    ) -> Report:
        """Bring the index up to date with `paths`, or with all known folders; create the index if it does not exist.

        Reads new and changed photos and hides photos that are missing from disk. Work is committed every few seconds:
        if a run is cancelled or killed, the next one continues it.

        `progress(done, total, faces, failed)` is called with the number of photos processed, the number to process, the
        faces found and the photos that could not be read. `observer` replaces the observer of the index for this run.
        `confirm` is called with the report of `preview`. The other options are those of
        `facesearch.api.run_options.RefreshKeywords`, which documents them.

        Raises `InputError` if a path is not found, `UsageError` if no folder is given or known, `ModelError`,
        `DeviceError`.
        """
        told = self._told(progress, observer)
        return keeping.refresh(self._stores, self._models, as_paths(paths), told, confirm=confirm, **options)

    def preview(self, paths: AnyPaths = (), **options: Unpack[PreviewKeywords]) -> Report:
        """Report what `refresh` with the same options would do; no photo is read and nothing is written.

        The report is based on names, sizes and times alone. If there is no index yet, all photos are new. Raises what
        `refresh` raises.
        """
        return keeping.preview(self._stores, as_paths(paths), **options)

    def switch_model(
        self,
        name: AnyPath | None = None,
        *,
        leave_offline: bool = False,
        progress: Progress | None = None,
        observer: Observer | None = None,
        max_memory: int | None = None,
        index_type: str | None = None,
        **reading: Unpack[ReadingKeywords],
    ) -> Switch | None:
        """Read all photos with the model `name`, then switch the index to it in one transaction.

        Without `name`, continue a switch in progress, or read the photos again if this version has a newer embedding
        revision of the model; return None if there is neither. Until the switch is complete, queries are answered with
        the previous embeddings. If a folder with unread photos is missing, the switch waits for
        it, unless `leave_offline` is set. The other arguments are those of `refresh`.

        Raises `UsageError` if the index already has this model or a switch to another one is in progress, `ModelError`,
        `DeviceError`.
        """
        told = self._told(progress, observer)
        return keeping.switch_model(
            self._stores, self._models, as_model(name), told, leave_offline=leave_offline, max_memory=max_memory,
            index_type=index_type, **reading,
        )  # fmt: skip

    def preview_switch(
        self, name: AnyPath | None = None, *, index_type: str | None = None, **reading: Unpack[ReadingKeywords]
    ) -> SwitchPreview | None:
        """Return what `switch_model` would read, with an estimate of its duration; nothing is changed.

        None where `switch_model` returns None. Raises what `switch_model` raises.
        """
        store, told = self._reading(keep=False), self._observer
        return keeping.preview_switch(store, self._models, as_model(name), told, index_type=index_type, **reading)

    def cancel_switch(self) -> CancelledSwitch:
        """Cancel a model switch in progress and delete what was read for it. Raises `UsageError` if there is none."""
        with self._writing() as store:
            return keeping.cancel_switch(store)

    def use_index_type(self, kind: str) -> SearchFacts:
        """Set the index type: `auto`, `flat` (exact) or `ivf` (approximate). Raises `UsageError` for another name."""
        with self._writing() as store:
            return store.use_index_type(kind)

    def kind_for(self, kind: str) -> str:
        """Return the type that `use_index_type(kind)` would choose for this index, `flat` or `ivf`.

        Raises `UsageError` for an unknown type.
        """
        from facesearch.index.store import check_index_type

        check_index_type(kind)
        return self._reading(keep=False).kind_for(kind)

    # Contents

    def status(self) -> IndexStatus:
        """Return the model of the index, its contents, its size and its last run."""
        from facesearch.api.status import status_of

        return status_of(self._reading(), self.path, self.runtime)

    def failed_photos(self) -> list[tuple[Path, str]]:
        """Return the photos that could not be read, each with the reason."""
        return [(Path(os.fsdecode(path)), error) for path, error in self._reading().catalog.photos.failed()]

    def folders(self) -> list[Path]:
        """Return the folders and single photos that the index covers."""
        return [Path(os.fsdecode(root.path)) for root in self._reading().catalog.roots.all()]

    def shards(self) -> dict[Path, str]:
        """Return the shard, such as `3/10`, of each folder that the index does not take as a whole."""
        catalog = self._reading().catalog
        shards = catalog.roots.shards()
        return {Path(os.fsdecode(root.path)): str(shards[root.id]) for root in catalog.roots.all() if root.id in shards}

    def export_faces(self) -> Iterator[tuple[FaceRecord, FloatArray]]:
        """Yield every face that queries can find, with its embedding, float32[dim] of unit length."""
        from facesearch.care.export import every_face

        return every_face(self._reading())

    def sql(self, query: str, *, max_seconds: float = 60.0) -> Table:
        """Answer one SELECT on the views `photos`, `faces`, `people` and `photos_faces` of the catalog.

        Two functions go beyond SQLite's: `photo(path)` is the embedding of the largest face in a photo, and
        `similarity(a, b)` the cosine similarity of two embeddings. The model is opened if `photo` is used.

        Raises `UsageError` for anything else, `InputError` after `max_seconds`.
        """
        from facesearch.api.sql import sql

        return sql(self._stores, self._models, query, max_seconds)

    # Maintenance

    def move_folder(self, old: AnyPath, new: AnyPath, *, anyway: bool = False) -> None:
        """Record that the photos of the folder `old` are now in `new`; nothing is read again.

        A sample of the photos must be in `new`, unless `anyway` is set.

        Raises `InputError` if `old` is not a folder of the index, or if `new` is not found or holds other photos;
        `UsageError` if `new` overlaps another folder of the index.
        """
        from facesearch.care.folders import move_root

        with self._writing() as store:
            move_root(store, as_path("old", old), as_path("new", new), anyway=anyway)

    def remove_folder(self, path: AnyPath, *, confirm: Callable[[Forgetting], object] | None = None) -> Forgetting:
        """Delete a folder with all its photos and faces from the index; see `forget`."""
        return self.forget(folder=path, confirm=confirm)

    def to_forget(self, path: AnyPath | None = None, **asked: Unpack[ForgetKeywords]) -> Forgetting:
        """Return what `forget` would delete; nothing is changed. Raises what `forget` raises."""
        return Asked.of(path, **asked).selected(self._reading(keep=False), self._observer)

    def forget(
        self,
        path: AnyPath | None = None,
        *,
        confirm: Callable[[Forgetting], object] | None = None,
        **asked: Unpack[ForgetKeywords],
    ) -> Forgetting:
        """Delete photos, a face or a person from the index for good, with their embeddings. Image files stay.

        Give one of `path` (a photo, or all photos in a folder), `face`, `folder` and `person`; these and the other
        options are those of `facesearch.api.forgetting.ForgetKeywords`, which documents them. Connected galleries
        delete the faces too; those that cannot be reached do so with the next push. Returns what was deleted.

        Raises `InputError` if the index does not know the photo, face, folder or person, `UsageError` unless exactly
        one is given.
        """
        going = Asked.of(path, **asked)
        with self._writing() as store:
            return forget_within(store, going, confirm, self._observer)

    def check(self, *, repair: bool = False) -> Health:
        """Verify the catalog, every vector, the vector file and the model, and that the photos exist.

        With `repair` what can be repaired is repaired. Raises `IndexDamagedError` if the catalog cannot be read.
        """
        from facesearch.care.check import check

        self._stores.close()
        return check(self.path, repair=repair, wait=self._stores.wait)

    def backup(self, file: AnyPath, *, overwrite: bool = False) -> None:
        """Write a consistent copy of the catalog to `file`, even while another run is writing.

        Raises `UsageError` if `file` is part of the index, or if it exists and `overwrite` is false.
        """
        target = as_path("file", file)
        self.check_output(target, overwrite=overwrite)
        self._reading().catalog.backup(target)

    def check_output(self, file: AnyPath, *, overwrite: bool = False) -> None:
        """Raise `UsageError` if `file` is part of the index or a folder, or if it exists and `overwrite` is false."""
        self._stores.require_writable(as_path("file", file), overwrite=overwrite)

    def restore(
        self, file: AnyPath, *, overwrite: bool = False, confirm: Callable[[Backup], object] | None = None
    ) -> Backup:
        """Create this index from a backup, or replace it with `overwrite`; returns what the backup holds.

        The backup is verified first and is not changed. Open an index that does not exist yet with `create`.

        Raises `InputError` if `file` cannot be read or has faults, `UsageError` if it is part of this index, or if the
        index exists and `overwrite` is false, `IndexDamagedError` if `file` is not a catalog, `IndexVersionError` if a
        newer facesearch made it.
        """
        from facesearch.care.restore import restore

        self._stores.close()
        done = restore(as_path("file", file), self.path, overwrite=overwrite, wait=self._stores.wait, confirm=confirm)
        with self._stores.telling():
            pass  # statements that are newer than the backup are set aside, and that is said
        return done

    def restore_statements(self, file: AnyPath) -> Imported:
        """Say again what a file of statements holds, such as the one beside a lost catalog, with its origins.

        What was taken back in this index alone counts again. Otherwise like `people.import_from(json=file)`.
        """
        from facesearch.api.exchange import import_statements

        return import_statements(self._stores, self._observer, as_path("file", file), restoring=True)

    # Helpers

    def _reading(self, *, keep: bool = True) -> Store:
        """Return the store for reading; without `keep` it writes nothing, not even a rebuilt vector file."""
        return self._stores.reading(keep=keep)

    def _writing(self) -> AbstractContextManager[Store]:
        """Return a context manager with a store for writing, which holds the lock."""
        return self._stores.writing()

    def _face_model(self, *, few: bool = False, at_once: bool = True) -> FaceModel:
        """Return the model of the index, opened on first use; for a `few` photos on the runtime that starts fastest.

        Without `at_once` a single photo uses all cores. Raises `ModelError`, `ModelMismatchError`, `DeviceError`.
        """
        return self._models.open_for(self._reading(), few=few, at_once=at_once)

    def _told(self, progress: Progress | None, observer: Observer | None) -> Observer:
        """Return the observer of a run: its own or the one of the index, with a `progress` of its own if given."""
        told = self._observer if observer is None else observer
        return told if progress is None else observing(progress=progress, otherwise=told)
