"""The faces in a photo that the user names: known ones if the index has the photo, else embedded now."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from facesearch.errors import PhotoError
from facesearch.people.exchange.labels import Shown, ShownFace
from facesearch.photos.known import digest_of
from facesearch.types import SAME_FACE

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.models.protocol import FaceModel
    from facesearch.types import Box, Detection, Face

__all__ = ["PhotoReader"]

_COPY = 0.9
_NEAR_FMR = 1e-6
"""The false-match rate from which on a face outside the index is somebody in it."""


class PhotoReader:
    """Finds the faces of named photos. `model` opens the model when a photo must be embedded."""

    def __init__(self, store: Store, model: Callable[[], FaceModel], max_pixels: int) -> None:
        from facesearch.calibration.storage import calibration_of

        self._store = store
        self._model = model
        self._max_pixels = max_pixels
        self.calibration = calibration_of(store.model)
        self.embedded = 0

    def at(self, path: str, box: Box | None = None) -> Shown:
        """Return the faces of the photo at a path. Raises `PhotoError` if it is not in the index and unreadable."""
        content = self._content(path)
        found = None if content is None else self.of(content, path, box)
        return found or self._embed(path, box)

    def of(self, content: bytes, path: str, box: Box | None = None) -> Shown | None:
        """Return the faces of photos with this content; None if the index has none."""
        exchange = self._store.catalog.exchange
        if not exchange.known_contents([content]):
            return None
        known: list[tuple[int, Box]] = []
        for face, place in exchange.faces_in([content]).get(content, ()):
            if all(place.overlap(other) < _COPY for _, other in known):
                known.append((face, place))
        ids = exchange.vectors_of([face for face, _ in known])
        known = [(face, place) for face, place in known if face in ids]
        vectors = self._store.catalog.vectors.get([ids[face] for face, _ in known], self._store.model.dim)
        faces = [ShownFace(vector, face=face) for (face, _), vector in zip(known, vectors, strict=True)]
        return Shown(path, faces, _meant([place for _, place in known], box))

    def _content(self, path: str) -> bytes | None:
        """Return the content of a file, from the index if its size and time are the same."""
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            found = None
        for photo in self._store.catalog.photos.ids_at(os.fsencode(os.path.abspath(path))):
            known = self._store.catalog.photos.content_of(photo)
            if found is None or stat.S_ISDIR(found.st_mode):
                return known  # of a disk that is not there now
            content = self._store.catalog.exchange.content_at(photo, found.st_size, found.st_mtime_ns)
            if content is not None:
                return content
        return digest_of(os.fsencode(path))

    def _embed(self, path: str, box: Box | None) -> Shown:
        from facesearch.faces.extract import extract_faces
        from facesearch.photos.picture import Photo

        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise PhotoError("not a regular file")
            with open(path, "rb") as stream:
                photo = Photo(stream.read(), max_pixels=self._max_pixels)
            found: Sequence[Face] = extract_faces(self._model(), photo)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a valid file name"
            raise PhotoError(f"cannot be read ({reason})") from error
        self.embedded += 1
        detections: list[Detection] = [face.detection for face in found]
        faces = [ShownFace(face.embedding, near=self._nearest(face)) for face in found]
        return Shown(path, faces, _meant([detection.box for detection in detections], box))

    def _nearest(self, face: Face) -> int | None:
        if not len(self._store):
            return None
        scores, ids = self._store.search(face.embedding[None, :], 1)
        if scores[0, 0] < self.calibration.similarity_at(_NEAR_FMR):
            return None
        records = self._store.catalog.faces.records([int(ids[0, 0])])
        return next((record.face_id for record in records.values()), None)


def _meant(places: Sequence[Box], box: Box | None) -> int | None:
    """Return which of some faces is in a box; None without one. Raises `PhotoError` if none is."""
    if box is None:
        return None
    overlaps = [place.overlap(box) for place in places]
    best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
    if best is None or overlaps[best] < SAME_FACE:
        raise PhotoError("no face in this box")
    return best
