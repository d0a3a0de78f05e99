"""The other people who must, or must not, be in a hit's photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facesearch.galleries.protocol import Gallery, ScoredFace
from facesearch.search.probes import Probe
from facesearch.types import FaceRecord

__all__ = ["Companions", "Excluded"]

_FIRST_PORTION = 64
_LARGER_PORTION = 4


class Companions:
    """The people who must be in a photo too: for each probe, the faces of the gallery at or above `threshold`."""

    def __init__(self, gallery: Gallery, probes: Sequence[Probe], threshold: float) -> None:
        self._faces: list[dict[int, set[int]]] = []
        for probe in probes:
            faces: dict[int, set[int]] = {}
            for scored in _faces_like(gallery, probe, threshold):
                faces.setdefault(scored.face.photo_id, set()).add(scored.face.face_id)
            self._faces.append(faces)

    @property
    def photos(self) -> frozenset[int]:
        """The ids of the photos that show all of them."""
        return frozenset(set.intersection(*(set(faces) for faces in self._faces)) if self._faces else ())

    def fit_beside(self, face: FaceRecord) -> bool:
        """Return True if the photo of `face` has a different other face for each of them."""
        return _each_its_own([faces.get(face.photo_id, set()) - {face.face_id} for faces in self._faces])


class Excluded:
    """The people who must not be in a photo: the faces of the gallery at or above `threshold` to any of the probes.

    A hit's own face counts as theirs if it is at least as similar to one of them as to the person asked for. Otherwise
    excluding a sister would exclude every photo in which the person asked for resembles her.
    """

    def __init__(self, gallery: Gallery, probes: Sequence[Probe], threshold: float) -> None:
        self._photos: dict[int, dict[int, float]] = {}
        for probe in probes:
            for similarity, face in _faces_like(gallery, probe, threshold):
                faces = self._photos.setdefault(face.photo_id, {})
                faces[face.face_id] = max(similarity, faces.get(face.face_id, -1.0))

    def are_beside(self, hit: ScoredFace) -> bool:
        """Return True if the photo of `hit` shows one of them."""
        return any(
            number != hit.face.face_id or similarity >= hit.similarity
            for number, similarity in self._photos.get(hit.face.photo_id, {}).items()
        )


def _faces_like(gallery: Gallery, probe: Probe, threshold: float) -> Iterator[ScoredFace]:
    """Yield all faces at or above a similarity."""
    portion = _FIRST_PORTION
    while True:
        (nearest,) = gallery.search(probe.face.embedding[None], portion)
        if len(nearest) < portion or nearest[-1].similarity < threshold:
            yield from (scored for scored in nearest if scored.similarity >= threshold)
            return
        portion *= _LARGER_PORTION


def _each_its_own(choices: Sequence[set[int]]) -> bool:
    """Return True if one element can be taken from each set and none twice."""
    if not choices:
        return True
    first, *rest = sorted(choices, key=len)
    return any(_each_its_own([other - {taken} for other in rest]) for taken in first)
