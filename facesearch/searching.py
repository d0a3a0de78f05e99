"""Questions to their answers: the photos that show whoever a probe shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from facesearch.errors import NoFaceError, PhotoError
from facesearch.faces.model import FaceModel
from facesearch.finding import find_faces, unmarked
from facesearch.photos.decode import DEFAULT_MAX_PIXELS, Photo
from facesearch.photos.scan import is_offline
from facesearch.store.catalog import FaceRow
from facesearch.store.store import Store
from facesearch.types import Face

__all__ = ["Answer", "Hit", "Probe", "Want", "find", "find_all", "probe_faces", "template"]

_FIRST_PORTION = 64
_LARGER_PORTION = 4
_QUESTIONS_AT_ONCE = 256


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
    """A face to look for: the `number`th of its photo, from 1, the largest first.

    A template, made of several photos of one person, has the `others` that it was made of beside its first.
    """

    path: str
    number: int
    of: int
    face: Face
    others: tuple[Probe, ...] = ()

    @property
    def paths(self) -> list[str]:
        """All photos that it was made of."""
        return [self.path, *(other.path for other in self.others)]


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits for one probe, best first."""

    probe: Probe
    hits: list[Hit]


def probe_faces(
    model: FaceModel,
    path: str,
    *,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    mark: Callable[[str], None] = unmarked,
) -> list[Probe]:
    """The faces in a query photo, the largest first; `mark` is told what was done, step by step.

    Raises `PhotoError` when it cannot be read and `NoFaceError`, saying what was tried, when it shows none.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PhotoError("not a file; give a photo")
        with open(path, "rb") as stream:
            photo = Photo(stream.read(), max_pixels=max_pixels)
        faces = find_faces(model, photo, rotations=rotations, thorough=True, mark=mark)
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


def template(probes: Sequence[Probe]) -> Probe:
    """One probe for several photos of one person: the mean of their embeddings, at unit length."""
    import numpy as np

    first, *others = probes
    mean = np.mean([probe.face.embedding for probe in probes], axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return replace(first, face=replace(first.face, embedding=mean.astype(np.float32)), others=tuple(others))


def find(store: Store, probe: Probe, want: Want) -> Answer:
    """The photos most like the probe; see `find_all`."""
    (answer,) = find_all(store, [probe], want)
    return answer


def find_all(store: Store, probes: Sequence[Probe], want: Want) -> list[Answer]:
    """For each probe the photos most like it, best first: one hit a photo, its best face, unless all are wanted.

    All probes are asked in one pass over the vectors, and again for more where an answer is not complete yet. Photos
    that are out of sight are not found. Equal similarities come in the order of their faces' ids.
    """
    offline = {root.id for root in store.catalog.roots() if is_offline(root.path)}
    answers: list[Answer] = []
    for start in range(0, len(probes), _QUESTIONS_AT_ONCE):
        answers += _answered(store, probes[start : start + _QUESTIONS_AT_ONCE], want, offline)
    return answers


def _answered(store: Store, probes: Sequence[Probe], want: Want, offline: set[int]) -> list[Answer]:
    import numpy as np

    total = len(store)
    portion = min(total, max(_FIRST_PORTION, 2 * (want.top_k or 0)))
    hits: list[list[Hit]] = [[] for _ in probes]
    pending = list(range(len(probes)))
    while pending and portion:
        scores, ids = store.search(np.stack([probes[number].face.embedding for number in pending]), portion)
        rows = store.catalog.face_rows(sorted(set(ids[ids >= 0].tolist())))
        incomplete = []
        for number, row_scores, row_ids in zip(pending, scores.tolist(), ids.tolist(), strict=True):
            nearest = [(score, rows[key]) for score, key in zip(row_scores, row_ids, strict=True) if key in rows]
            hits[number], complete = _hits(nearest, want, offline, least=row_scores[-1])
            if not complete:
                incomplete.append(number)
        if portion == total:
            break
        pending, portion = incomplete, min(total, portion * _LARGER_PORTION)
    return [Answer(probe, found) for probe, found in zip(probes, hits, strict=True)]


def _hits(
    nearest: Sequence[tuple[float, FaceRow]], want: Want, offline: set[int], *, least: float
) -> tuple[list[Hit], bool]:
    """The wanted hits among the nearest faces, and whether those that are less near could add none.

    `least` is the similarity of the last face that was looked at, be it in sight or not.
    """
    hits: list[Hit] = []
    seen: set[int] = set()
    for similarity, face in nearest:
        if want.threshold is not None and similarity < want.threshold:
            return hits, True
        if face.detection.box.shorter < want.min_face or (not want.all_faces and face.photo_id in seen):
            continue
        seen.add(face.photo_id)
        hits.append(Hit(len(hits) + 1, min(1.0, similarity), face, face.root_id in offline))
        if len(hits) == want.top_k:
            return hits, True
    return hits, want.threshold is not None and least < want.threshold
