"""`Index.photos`: the photos of an index by their ids, with pictures of them and of their faces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from facesearch.api.pictures import about_photo, picture_of_face, picture_of_photo
from facesearch.arguments import AnyPath, require_whole_number, text_of_path
from facesearch.errors import Hint, InputError

if TYPE_CHECKING:
    from facesearch.api.opening import Stores
    from facesearch.api.pictures import Picture
    from facesearch.types import DateSource, FaceRecord, KnownFile, Precision

__all__ = ["IndexedPhoto", "Photos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedPhoto:
    """A photo of an index: its file, its size in pixels, when it was taken, and its faces, the largest first.

    `path` is absolute, in the system's bytes; `width` and `height` are those of the upright photo, 0 if it could not be
    decoded. `date`, `date_source` and `date_precision` are those of a hit.
    """

    photo_id: int
    path: bytes
    width: int
    height: int
    date: str
    date_source: DateSource | Literal["file"]
    date_precision: Precision
    faces: tuple[FaceRecord, ...]


class Photos:
    """The photos of an index by their ids. Methods raise what those of `Index` raise.

    A photo is read only while it is the file that was indexed, with the same size and content; otherwise `PhotoError`
    is raised. `InputError` is raised for an id that the index does not have, or whose photo is hidden.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def show(self, photo: int) -> IndexedPhoto:
        """Return a photo with its faces."""
        from facesearch.filters import Filter

        file, mtime_ns = self._known(photo)
        store = self._stores.reading()
        facts = store.catalog.photos.facts_of(photo)
        faces = sorted(
            self._stores.gallery().records(Filter(photos=frozenset({photo}))), key=lambda face: -face.detection.box.area
        )
        taken = facts.taken
        return IndexedPhoto(
            photo_id=photo,
            path=file.path,
            width=facts.width,
            height=facts.height,
            date=taken.moment if taken else datetime.fromtimestamp(mtime_ns // 10**9).isoformat(),
            date_source=taken.source if taken else "file",
            date_precision=taken.precision if taken else "second",
            faces=tuple(faces),
        )

    def picture(self, photo: int, side: int = 640) -> Picture:
        """Return a whole photo, upright, its longer side at most `side` pixels: one of `PHOTO_SIDES`."""
        file, mtime_ns = self._known(photo)
        return picture_of_photo(self._stores.previews(), file, mtime_ns, side, partial(self._is_known, photo))

    def face_picture(self, face: int, side: int = 192) -> Picture:
        """Return a square around a face, of `side` pixels: one of `FACE_SIDES`."""
        require_whole_number("face", face, 1)
        record = self._stores.reading().catalog.faces.held([face]).get(face)
        if record is None:
            raise InputError(f"face {face}: not in {self._stores.path}", Hint.FACE_IDS)
        self._known(record.photo_id)  # a hidden photo is not shown
        return picture_of_face(self._stores.previews(), record, side, partial(self._is_known, record.photo_id, face))

    def original(self, photo: int) -> bytes:
        """Return the content of a photo's file, with its metadata."""
        from facesearch.photos.known import read_known

        file, _ = self._known(photo)
        return about_photo(file, lambda: read_known(file))

    def path(self, photo: int) -> bytes:
        """Return the absolute path of a photo, in the system's bytes."""
        return self._known(photo)[0].path

    def with_content(self, content: bytes) -> int | None:
        """Return a photo by the SHA-256 of its file, None if the index has none that is visible."""
        photos = self._stores.reading().catalog.photos
        found = [photo.id for photo, _ in photos.with_content(content) if not (photo.missing or photo.ours)]
        return found[0] if found else None

    def at(self, path: AnyPath) -> int | None:
        """Return the photo at a path, None if the index has none that is visible."""
        found = self._stores.reading().catalog.photos.ids_at(os.fsencode(os.path.abspath(text_of_path("path", path))))
        return found[0] if len(found) == 1 else None

    def _known(self, photo: int) -> tuple[KnownFile, int]:
        """Return the file of a photo, and its time in nanoseconds."""
        from facesearch.types import KnownFile

        require_whole_number("photo", photo, 1)
        photos = self._stores.reading().catalog.photos
        found = photos.find(photo)
        if found is None:
            raise InputError(f"photo {photo}: not in {self._stores.path}, or hidden")
        known, path = found
        return KnownFile(path, known.file.size, photos.content_of(photo)), known.file.mtime_ns

    def _is_known(self, photo: int, face: int | None = None) -> bool:
        catalog = self._stores.reading().catalog
        return catalog.photos.find(photo) is not None and (face is None or face in catalog.faces.held([face]))
