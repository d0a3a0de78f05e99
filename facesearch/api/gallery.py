"""`Gallery`: a shared gallery, to make it and to query it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Self, Unpack

from facesearch.api.opening import Models, as_model
from facesearch.arguments import AnyPath, text_of_path
from facesearch.errors import GalleryError, Hint, InputError, UsageError
from facesearch.events import SILENT, Observer
from facesearch.filters import Filter
from facesearch.query_options import QueryKeywords, QueryOptions
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from facesearch.api.gallery_photos import GalleryPhotos
    from facesearch.galleries.address import Address
    from facesearch.galleries.shared import Method, PushedIndex, Recall, SharedGallery
    from facesearch.search.probes import QueryPhoto
    from facesearch.search.questions import AnyPhoto, AnyPhotos
    from facesearch.search.result import QueryResult
    from facesearch.types import ModelInfo

__all__ = ["Gallery", "GalleryStatus", "StoredProbe", "gallery_names", "only_gallery", "require_name"]

_ALL = Filter()
_LONGEST_PROBE = 366 * 86_400.0
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


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

    def __init__(
        self,
        shared: SharedGallery,
        address: Address,
        models: Models,
        observer: Observer,
        folders: Mapping[bytes, bytes],
    ) -> None:
        self._shared = shared
        self._address = address
        self._models = models
        self._observer = observer
        self._folders = folders

    @classmethod
    def open(
        cls,
        gallery: str,
        *,
        device: str = "auto",
        threads: int = 0,
        observer: Observer = SILENT,
        folders: Mapping[str, str] | None = None,
    ) -> Self:
        """Open a gallery by its address, such as `postgresql://host/database`, or by the name it was connected under.

        `folders` maps folders of the machines that pushed to those under which this machine sees them; see `photos`.

        Raises `InputError` for an unknown name, `UsageError` for an invalid address, `GalleryError` if there is no
        gallery at the address.
        """
        from facesearch.galleries.known import address_of, open_gallery

        address = address_of(gallery)
        here = {_absolute(old): _absolute(new) for old, new in (folders or {}).items()}
        return cls(open_gallery(address), address, Models(device, threads, observer), observer, here)

    def another(self) -> Self:
        """Return another connection to the same gallery, for another thread; both share the opened model."""
        from facesearch.galleries.known import open_gallery

        return type(self)(open_gallery(self._address), self._address, self._models, self._observer, self._folders)

    def photos(self, pictures: Path) -> GalleryPhotos:
        """Return the photos of the gallery, where their files can be reached; small pictures are kept in a folder."""
        from facesearch.api.gallery_photos import GalleryPhotos
        from facesearch.photos.previews import Previews

        return GalleryPhotos(self._shared, self._folders, Previews(pictures))

    def look_at(self, photo: AnyPhoto, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> QueryPhoto:
        """Detect the faces in a photo once, for any number of queries; see `Index.look_at`."""
        from facesearch.search.probes import QueryPhoto, probe_faces
        from facesearch.search.questions import given_photos

        model = self._models.open_like(self._shared.model, few=True, at_once=False)
        (source,) = given_photos(photo)
        return QueryPhoto(tuple(probe_faces(model, source, max_pixels=max_pixels)), model.info)

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

        require_name(name)
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
        photos: AnyPhotos = (),
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
        if not 1 <= lasting <= _LONGEST_PROBE:
            raise UsageError(f"{lasting:g} seconds: a probe lasts from 1 second to 366 days")
        called = name if name is not None else _NOT_IN_A_NAME.sub("-", PurePath(path).stem).strip("._-")[:63]
        require_name(called)
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


def _absolute(folder: str) -> bytes:
    return os.fsencode(os.path.abspath(text_of_path("folder", folder)))


def require_name(name: str) -> None:
    """Raise `UsageError` if a text cannot be the name of a gallery or of an index in one."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name}: not a name; use letters, digits, dots, dashes and underscores")


def _require_method(method: str) -> None:
    from facesearch.galleries.shared import METHODS

    if method not in METHODS:
        raise UsageError(f"method {method}: choose {', '.join(METHODS[:-1])} or {METHODS[-1]}", option="method")


def _model_info(model: AnyPath | None) -> ModelInfo:
    from facesearch.models.resolve import choose_model, model_info

    return model_info(choose_model(as_model(model)).name)
