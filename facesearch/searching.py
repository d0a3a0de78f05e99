"""A question to its answer: the photos that show whoever the probe shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.errors import NoFaceError, PhotoError
from facesearch.faces.model import FaceModel
from facesearch.finding import find_faces
from facesearch.photos.decode import DEFAULT_MAX_PIXELS, Photo
from facesearch.photos.scan import is_offline
from facesearch.store.catalog import FaceRow
from facesearch.store.store import Store
from facesearch.types import Face

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["Answer", "Hit", "Probe", "Want", "find", "probe_faces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Which hits are wanted.

    `top_k` alone gives that many, however unlike; `threshold` alone all from there on; both the best of those;
    neither cannot be told from all, so a caller passes the model's own threshold. `min_face` is in pixels.
    """

    top_k: int | None = None
    threshold: float | None = None
    min_face: float = 0.0
    all_faces: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A face that looks like the probe: `similarity` is the cosine, in [-1, 1]; `rank` counts from 1.

    `offline` tells that the photo's root is not there at the moment.
    """

    rank: int
    similarity: float
    face: FaceRow
    offline: bool

    @property
    def distance(self) -> float:
        """1 - similarity: 0 for the same picture of the same face."""
        return 1.0 - self.similarity


@dataclass(frozen=True, slots=True)
class Probe:
    """A face to look for: the `number`th of its photo, from 1, the largest first."""

    path: str
    number: int
    of: int
    face: Face


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits for one probe, best first."""

    probe: Probe
    hits: list[Hit]


def probe_faces(
    model: FaceModel, path: str, *, rotations: bool = True, max_pixels: int = DEFAULT_MAX_PIXELS
) -> list[Probe]:
    """The faces in a query photo, the largest first.

    Raises `PhotoError` when it cannot be read and `NoFaceError`, saying what was tried, when it shows none.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PhotoError("not a file; give a photo")
        with open(path, "rb") as stream:
            photo = Photo(stream.read(), max_pixels=max_pixels)
        faces = find_faces(model, photo, rotations=rotations, thorough=True)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except PhotoError as error:
        raise PhotoError(f"{path}: {error}") from error
    if not faces:
        turned = ", turned by 90, 180 and 270 degrees," if rotations else ""
        width, height = photo.size
        raise NoFaceError(
            f"{path}: no face found ({width} x {height} pixels; looked upright{turned} and with a border); "
            "try a photo with a larger or clearer face"
        )
    faces.sort(key=lambda face: -face.detection.box.area)
    return [Probe(path, number, len(faces), face) for number, face in enumerate(faces, start=1)]


def find(store: Store, probe: Probe, want: Want) -> Answer:
    """The photos most like the probe, best first: one hit a photo, its best face, unless all faces are wanted.

    Photos that are out of sight are not found. Equal similarities come in the order of their faces' ids.
    """
    offline = {root.id for root in store.catalog.roots() if is_offline(root.path)}
    hits: list[Hit] = []
    seen: set[int] = set()
    for similarity, face in _nearest(store, probe.face.embedding, want.top_k):
        if want.threshold is not None and similarity < want.threshold:
            break
        if face.detection.box.shorter < want.min_face:
            continue
        if not want.all_faces and face.photo_id in seen:
            continue
        seen.add(face.photo_id)
        hits.append(Hit(len(hits) + 1, min(1.0, similarity), face, face.root_id in offline))
        if len(hits) == want.top_k:
            break
    return Answer(probe, hits)


def _nearest(store: Store, embedding: FloatArray, expected: int | None) -> Iterator[tuple[float, FaceRow]]:
    """Every face that can be found, nearest first; asked for in portions that grow while more are taken."""
    total = len(store)
    portion = min(total, max(64, 2 * (expected or 0)))
    taken = 0
    while taken < total:
        scores, ids = store.search(embedding[None, :], portion)
        fresh = ids[0][taken:].tolist()
        rows = store.catalog.face_rows(fresh)
        for vector_id, score in zip(fresh, scores[0][taken:].tolist(), strict=True):
            if vector_id in rows:
                yield score, rows[vector_id]
        taken, portion = portion, min(total, portion * 4)
