"""`Gallery.photos`: photos of a shared gallery, where their files can be reached from this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from facesearch.api.photos import IndexedPhoto
from facesearch.api.pictures import about_photo, picture_of_face, picture_of_photo
from facesearch.errors import InputError, PhotoError
from facesearch.filters import Filter
from facesearch.types import own_id, whole_id

if TYPE_CHECKING:
    from facesearch.api.pictures import Picture
    from facesearch.galleries.shared import SharedGallery
    from facesearch.photos.previews import Previews
    from facesearch.types import FaceRecord

__all__ = ["GalleryPhotos"]


class GalleryPhotos:
    """Photos of a shared gallery by the name of their index and their ids there.

    `folders` maps folders of the machines that pushed to those under which this machine sees them, in the system's
    bytes. A file is read only if it has the size and the content that was indexed; otherwise `PhotoError` is raised.
    `InputError` is raised for a photo that the gallery does not have; those without faces are not in a gallery.
    """

    def __init__(self, shared: SharedGallery, folders: Mapping[bytes, bytes], previews: Previews) -> None:
        self._shared = shared
        self._folders = folders
        self._previews = previews

    def show(self, photo: int, index: str) -> IndexedPhoto:
        """Return a photo with its faces, by their ids in the index. The size is 0 if the file cannot be read here."""
        faces = self._faces(photo, index)
        faces.sort(key=lambda face: -face.detection.box.area)
        width, height = self._size(faces[0])
        return IndexedPhoto(
            photo_id=photo, path=faces[0].path, width=width, height=height, date=faces[0].date,
            date_source=faces[0].date_source, date_precision=faces[0].date_precision,
            faces=tuple(map(_with_own_ids, faces)),
        )  # fmt: skip

    def picture(self, photo: int, index: str, side: int = 640) -> Picture:
        """Return a whole photo, upright, its longer side at most `side` pixels: one of `PHOTO_SIDES`."""
        face = self._here(self._faces(photo, index)[0])
        return picture_of_photo(self._previews, face.file, face.mtime_ns, side, lambda: True)

    def face_picture(self, face: int, photo: int, index: str, side: int = 192) -> Picture:
        """Return a square around a face of a photo, of `side` pixels: one of `FACE_SIDES`."""
        for one in self._faces(photo, index):
            if own_id(one.face_id)[1] == face:
                return picture_of_face(self._previews, self._here(one), side, lambda: True)
        raise InputError(f"face {face}: not in photo {photo} of {index}")

    def original(self, photo: int, index: str) -> bytes:
        """Return the content of a photo's file, with its metadata."""
        from facesearch.photos.known import read_known

        file = self._here(self._faces(photo, index)[0]).file
        return about_photo(file, lambda: read_known(file))

    def path(self, photo: int, index: str) -> bytes:
        """Return the absolute path of a photo on the machine that pushed it, in the system's bytes."""
        return self._faces(photo, index)[0].path

    def _faces(self, photo: int, index: str) -> list[FaceRecord]:
        number = next((one.number for one in self._shared.indexes() if one.name == index), None)
        if number is None:
            raise InputError(f"{index}: no index of this name in {self._shared.name}")
        found = list(self._shared.records(Filter(photos=frozenset({whole_id(number, photo)}))))
        if not found:
            raise InputError(f"photo {photo}: not in {index}")
        return found

    def _here(self, face: FaceRecord) -> FaceRecord:
        """Return a face with the path of its photo on this machine."""
        for old, new in self._folders.items():
            if face.path == old or face.path.startswith(old.rstrip(b"/") + b"/"):
                return replace(face, path=new.rstrip(b"/") + face.path[len(old.rstrip(b"/")) :])
        return face

    def _size(self, face: FaceRecord) -> tuple[int, int]:
        from facesearch.photos.known import read_known
        from facesearch.photos.picture import Photo

        try:
            return Photo(read_known(self._here(face).file)).size
        except PhotoError:
            return 0, 0


def _with_own_ids(face: FaceRecord) -> FaceRecord:
    person = None if face.person is None else own_id(face.person)[1]
    return replace(face, face_id=own_id(face.face_id)[1], photo_id=own_id(face.photo_id)[1], person=person)
