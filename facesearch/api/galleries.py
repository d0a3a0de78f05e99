"""`Index.galleries`, the shared galleries that an index is pushed to; and `Gallery`, one of them to ask."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Self, Unpack

from facesearch.api.opening import Models, as_model
from facesearch.arguments import AnyPath, AnyPaths, require_number, text_of_path
from facesearch.errors import GalleryError, Hint, InputError, UsageError
from facesearch.events import SILENT, CancelledError, Observer
from facesearch.filters import Filter
from facesearch.query_options import QueryKeywords, QueryOptions

if TYPE_CHECKING:
    from facesearch.catalog.changes import Connected
    from facesearch.galleries.address import Address
    from facesearch.galleries.push import Difference, Pushed
    from facesearch.galleries.shared import Method, PushedIndex, Recall, SharedGallery
    from facesearch.index.store import Store
    from facesearch.search.result import QueryResult
    from facesearch.types import ModelInfo

__all__ = [
    "ConnectedGallery",
    "Galleries",
    "Gallery",
    "GalleryStatus",
    "StoredProbe",
    "gallery_names",
    "only_gallery",
    "pay_debts",
    "push_after_run",
]

_ALL = Filter()
_LONGEST_PROBE = 366 * 86_400.0
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedGallery:
    """A gallery that an index is pushed to.

    `known_as` is the name of the index there; `pending` faces changed since the last push. With `after_runs` each
    indexing run ends with a push.
    """

    name: str
    address: str
    known_as: str
    pending: int
    after_runs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryStatus:
    """What a gallery holds: its model, the indexes in it, and the numbers of their photos, faces and people.

    `method` is how it searches, and `recall` the share of the exact results that this found when it was measured.
    `next_model` is the model of a gallery that is filled beside it, and `left_behind` the indexes that this lacks.
    """

    address: str
    model: ModelInfo
    photos: int
    faces: int
    people: int | None
    indexes: tuple[PushedIndex, ...]
    method: Method
    recall: Recall | None
    next_model: ModelInfo | None
    left_behind: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProbe:
    """A face that is stored for SQL under a name until `expires_at`, in seconds since 1970.

    It is the largest of the `faces` in its photo.
    """

    name: str
    expires_at: float
    faces: int


class Gallery:
    """A shared gallery: the faces of many indexes in a database server. It is a context manager.

    Every method may raise `GalleryError` if the server cannot be reached or refuses.
    """

    def __init__(self, shared: SharedGallery, address: Address, models: Models, observer: Observer) -> None:
        self._shared = shared
        self._address = address
        self._models = models
        self._observer = observer

    @classmethod
    def open(cls, gallery: str, *, device: str = "auto", threads: int = 0, observer: Observer = SILENT) -> Self:
        """Open a gallery by its address, such as `postgresql://host/database`, or by the name it was connected under.

        Raises `InputError` for an unknown name, `UsageError` for an invalid address, `GalleryError` if there is no
        gallery at the address.
        """
        from facesearch.galleries.known import address_of, open_gallery

        address = address_of(gallery)
        return cls(open_gallery(address), address, Models(device, threads, observer), observer)

    @staticmethod
    def exists(gallery: str) -> bool:
        """Return whether there is a gallery at an address or under a connected name. Raises what `open` raises."""
        from facesearch.galleries.known import address_of, open_gallery

        try:
            open_gallery(address_of(gallery)).close()
        except GalleryError as error:
            if error.hint is Hint.GALLERY_INIT:
                return False
            raise
        return True

    @staticmethod
    def make(
        gallery: str,
        *,
        model: AnyPath | None = None,
        method: Method = "exact",
        private: bool = False,
        beside: bool = False,
    ) -> None:
        """Make a gallery, once, at an address or under a connected name. `model` made the embeddings of the indexes.

        `method` is how it searches; see `search_by`. In a `private` gallery an index is seen by the role that added it,
        and by those that this role names. With `beside`, the gallery is made beside the one that there is, for another
        model: indexes with this model are pushed to it from now on, and `switch` puts it in the place of the other.

        Raises `GalleryError` if there is one, or if the server refuses.
        """
        from facesearch.galleries.known import address_of, make, open_gallery

        _require_method(method)
        address, info = address_of(gallery), _model_info(model)
        if beside:
            with closing(open_gallery(address)) as current:
                if current.model.identity == info.identity:
                    raise GalleryError(f"{address}: has the model {info.name} already; name another model")
        make(address, info, private=private, beside=beside)
        if method != "exact":
            with closing(open_gallery(address, beside=beside)) as made:
                made.use_method(method)

    @staticmethod
    def switch(gallery: str) -> None:
        """Put the gallery that was made beside the current one in its place, and delete the other.

        Indexes that were not pushed to it are not found any more until they are: see `GalleryStatus.left_behind`.

        Raises `GalleryError` if there is none, or if the server refuses.
        """
        from facesearch.galleries.known import address_of, switch

        switch(address_of(gallery))

    @staticmethod
    def sql(
        *, model: AnyPath | None = None, method: Method = "exact", private: bool = False, beside: bool = False
    ) -> str:
        """Return the SQL that makes a gallery in PostgreSQL, with the rights that users need as comments."""
        from facesearch.galleries.known import creation

        _require_method(method)
        return creation(_model_info(model), method, private=private, beside=beside)

    @staticmethod
    def remember(address: str, *, name: str) -> None:
        """Remember the address of a gallery under a name, to query it. Its password is not stored."""
        from facesearch.galleries.address import Address
        from facesearch.galleries.known import remember

        _require_name(name)
        remember(name, Address.of(address))

    @staticmethod
    def forget_name(name: str) -> None:
        """Forget the address of a gallery. Raises `InputError` if the name is not known."""
        from facesearch.galleries.known import address_of, forget_name

        address_of(name)
        forget_name(name)

    def close(self) -> None:
        """Close the connection."""
        self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def model(self) -> ModelInfo:
        """The model that made the embeddings."""
        return self._shared.model

    def search_by(self, method: Method, *, model: AnyPath | None = None) -> Recall | None:
        """Search by another method from now on, for all users of the gallery, and return its measured recall.

        `exact` compares every face. `hnsw` and `ivf` build an index of all faces, and find nearly all of the most
        similar ones in less time; ivf builds faster and takes less space, and should be chosen again when many faces
        have come. The recall is None for an exact search or without faces. Only the owner of the gallery may do this.
        `model` is the model that the gallery must have.

        Raises `GalleryError` if it has another model, or if the server refuses.
        """
        from facesearch.galleries.recall import measured_recall

        _require_method(method)
        if model is not None and _model_info(model).identity != self.model.identity:
            raise GalleryError(
                f"{self._shared.name}: has the model {self.model.name}, not {model!s}; make another gallery"
            )
        self._shared.use_method(method)
        recall = None if method == "exact" else measured_recall(self._shared)
        if recall is not None:
            self._shared.keep_recall(recall)
        return recall

    def query(
        self,
        photos: AnyPaths = (),
        options: QueryOptions | None = None,
        *,
        where: Filter = _ALL,
        observer: Observer | None = None,
        **keywords: Unpack[QueryKeywords],
    ) -> QueryResult:
        """Find photos of the person in `photos`, in all indexes or in that of `where`; see `Index.query`.

        A person by number is one of an index, so `where` must name it.
        """
        from facesearch.api.asking import query_shared

        asked = QueryOptions.of(keywords, options)
        told = self._observer if observer is None else observer
        return query_shared(self._shared, self._models, photos, asked, where, told)

    def probe(self, photo: AnyPath, *, name: str | None = None, lasting: float = 3600) -> StoredProbe:
        """Store the largest face in a photo in the gallery, for SQL, for so many seconds: `facesearch.probe` has it.

        Without a name it is called like the photo. A probe of the same name is replaced. Only the user who stored it
        sees it.

        Raises `PhotoError`, `NoFaceError`, `UsageError` for an invalid name or time, and `GalleryError` if the gallery
        cannot be queried with SQL.
        """
        from facesearch.search.probes import probe_faces

        path = text_of_path("photo", photo)
        require_number("lasting", lasting, 1, _LONGEST_PROBE)
        called = name if name is not None else _NOT_IN_A_NAME.sub("-", PurePath(path).stem).strip("._-")[:63]
        _require_name(called)
        model = self._models.open_like(self._shared.model, few=True, at_once=False)
        faces = probe_faces(model, path)
        expires = self._shared.keep_probe(called, faces[0].face.embedding, lasting)
        return StoredProbe(name=called, expires_at=expires, faces=len(faces))

    def status(self) -> GalleryStatus:
        """Return what the gallery holds."""
        from facesearch.galleries.switching import left_behind, open_all

        size = self._shared.size()
        with open_all(self._address) as (_, *beside):
            next_model = beside[0].model if beside else None
            left = tuple(left_behind(self._shared, beside[0])) if beside else ()
        return GalleryStatus(
            address=self._shared.name, model=self._shared.model, photos=size.photos, faces=size.faces,
            people=size.people, indexes=tuple(self._shared.indexes()), method=self._shared.method,
            recall=self._shared.recall(), next_model=next_model, left_behind=left,
        )  # fmt: skip


class Galleries:
    """The shared galleries that an index is pushed to.

    Methods raise what those of `Index` raise, and `GalleryError` if a server cannot be reached or refuses.
    """

    def __init__(
        self,
        reading: Callable[..., Store],
        writing: Callable[[], AbstractContextManager[Store]],
        observer: Observer,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._observer = observer

    def list(self) -> list[ConnectedGallery]:
        """Return the connected galleries."""
        from facesearch.galleries.push import pending

        store = self._reading(keep=False)
        return [
            ConnectedGallery(
                name=known.name, address=known.address, known_as=known.known_as, pending=pending(store, known),
                after_runs=known.after_runs,
            )
            for known in store.catalog.changes.galleries()
        ]  # fmt: skip

    def connect(
        self,
        address: str,
        *,
        name: str = "gallery",
        known_as: str | None = None,
        after_runs: bool | None = None,
        tenant: str | None = None,
    ) -> None:
        """Connect a gallery under a name; from now on, changes are listed for it. The gallery need not exist yet.

        `known_as` is the name of this index there, by default that of the machine. With `after_runs` each indexing run
        ends with a push. `tenant` is whom the index belongs to, in the SQL of services whose users share one role;
        "" is nobody. The next push sends it.
        """
        from facesearch.galleries.address import Address
        from facesearch.galleries.known import remember

        where = Address.of(address)
        for text in (name, *([] if known_as is None else [known_as]), *([tenant] if tenant else [])):
            _require_name(text)
        with self._writing() as store:
            before = {known.name: known.known_as for known in store.catalog.changes.galleries()}
            called = known_as or before.get(name) or socket.gethostname()
            _require_name(called)
            remember(name, where)
            with store.catalog.transaction():
                store.catalog.changes.connect(name, where.text, called)
                if after_runs is not None:
                    store.catalog.changes.push_after_runs(name, after_runs)
                if tenant is not None:
                    store.catalog.changes.set_tenant(name, tenant or None)

    def pending(self, name: str | None = None) -> int:
        """Return the number of faces that a push would send. Raises `InputError` for an unknown name."""
        from facesearch.galleries.push import pending

        store = self._reading(keep=False)
        return pending(store, _connected(store, name))

    def push(
        self,
        name: str | None = None,
        *,
        take_over: bool = False,
        observer: Observer | None = None,
    ) -> Pushed | None:
        """Bring a gallery up to date with what changed since the last push; without a name, the only one.

        If another copy of this index was pushed last, `take_over` replaces what it pushed. Returns None if the observer
        cancelled; the next push continues.

        Raises `ConflictError` if another copy was pushed last.
        """
        from facesearch.galleries.switching import opened_for

        told = self._observer if observer is None else observer
        with self._writing() as store:
            known = _connected(store, name)
            with opened_for(store, known) as shared:
                return _push(store, shared, known, told, take_over=take_over)

    def verify(self, name: str | None = None, *, repair: bool = False) -> Difference:
        """Compare every face with what a gallery has of this index; `repair` makes the gallery right."""
        from facesearch.galleries.push import compare, repaired
        from facesearch.galleries.switching import opened_for

        with self._writing() as store:
            known = _connected(store, name)
            with opened_for(store, known) as shared:
                return repaired(store, shared, known) if repair else compare(store, shared)

    def disconnect(self, name: str | None = None, *, forget: bool = False) -> str:
        """Disconnect a gallery, and return its name; with `forget` everything of this index is deleted there first.

        The name stays known for queries; see `Gallery.forget_name`.
        """
        from facesearch.galleries.address import Address
        from facesearch.galleries.push import remove
        from facesearch.galleries.switching import open_all

        with self._writing() as store:
            known = _connected(store, name)
            if forget:
                with open_all(Address.of(known.address)) as galleries:
                    for shared in galleries:
                        remove(store, shared, known)
            with store.catalog.transaction():
                store.catalog.changes.disconnect(known.name)
        return known.name


def _push(
    store: Store, shared: SharedGallery, known: Connected, observer: Observer, *, take_over: bool = False
) -> Pushed | None:
    from facesearch.galleries.push import push

    try:
        return push(store, shared, known, take_over=take_over, check=observer.check)
    except CancelledError:
        return None


def push_after_run(store: Store, observer: Observer) -> list[str]:
    """Push to the galleries that get every run; return the names of those that could not be brought up to date."""
    from facesearch.galleries.switching import opened_for

    failed = []
    for known in store.catalog.changes.galleries():
        if not known.after_runs:
            continue
        try:
            with opened_for(store, known) as shared:
                done = _push(store, shared, known, observer)
        except (GalleryError, UsageError) as error:
            observer.warn(f"{error}; the gallery {known.name} gets these changes with the next push")
            failed.append(known.name)
            continue
        if done is None:
            failed.append(known.name)
        else:
            observer.note(f"pushed to {known.name}: {done.changed:,} faces changed there")
    return failed


def pay_debts(store: Store, observer: Observer) -> list[str]:
    """Delete in every gallery the faces that the index has not any more; return the names of those out of reach."""
    from facesearch.galleries.push import drop_all_forgotten
    from facesearch.galleries.switching import opened_for

    failed = []
    for known in store.catalog.changes.galleries():
        try:
            with opened_for(store, known) as shared:
                drop_all_forgotten(store, shared, known)
        except (GalleryError, UsageError) as error:
            observer.warn(f"{error}; the faces are still in the gallery {known.name}: the next push deletes them first")
            failed.append(known.name)
    return failed


def gallery_names() -> list[str]:
    """Return the names of the galleries that the user has connected."""
    from facesearch.galleries.known import known_galleries

    return sorted(known_galleries())


def only_gallery(name: str | None) -> str:
    """Return a name, or that of the only gallery that the user has connected. Raises `InputError`, `UsageError`."""
    names = gallery_names()
    if name is not None:
        return name
    if not names:
        raise InputError("no gallery is connected", Hint.CONNECT_GALLERY)
    if len(names) > 1:
        raise UsageError(f"several galleries are connected ({', '.join(names)}); name one")
    return names[0]


def _require_method(method: str) -> None:
    from facesearch.galleries.shared import METHODS

    if method not in METHODS:
        raise UsageError(f"method {method}: choose {', '.join(METHODS[:-1])} or {METHODS[-1]}", option="method")


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name}: not a name; use letters, digits, dots, dashes and underscores")


def _connected(store: Store, name: str | None) -> Connected:
    """Return the connected gallery of a name, or the only one."""
    known = store.catalog.changes.galleries()
    if not known:
        raise InputError(f"{store.path}: no gallery is connected", Hint.CONNECT_GALLERY)
    if name is None and len(known) > 1:
        raise UsageError(f"several galleries are connected ({', '.join(one.name for one in known)}); name one")
    found = [one for one in known if name in (None, one.name)]
    if not found:
        raise InputError(f"{name}: no gallery of this name is connected ({', '.join(one.name for one in known)})")
    return found[0]


def _model_info(model: AnyPath | None) -> ModelInfo:
    from facesearch.models.resolve import choose_model, model_info

    return model_info(choose_model(as_model(model)).name)
