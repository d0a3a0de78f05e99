"""People who have to be in a hit's photo as well, each with a face of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facesearch.galleries.protocol import Gallery
from facesearch.search.probes import Probe
from facesearch.types import FaceRecord

__all__ = ["Companions"]

_FIRST_PORTION = 64
_LARGER_PORTION = 4


class Companions:
    """For each of several probes the faces of the gallery that are as similar as `threshold` asks."""

    def __init__(self, gallery: Gallery, probes: Sequence[Probe], threshold: float) -> None:
        self._faces: list[dict[int, set[int]]] = []
        for probe in probes:
            faces: dict[int, set[int]] = {}
            for face in _faces_like(gallery, probe, threshold):
                faces.setdefault(face.photo_id, set()).add(face.face_id)
            self._faces.append(faces)

    @property
    def photos(self) -> frozenset[int]:
        """The ids of photos in which all of them are."""
        return frozenset(set.intersection(*(set(faces) for faces in self._faces)) if self._faces else ())

    def fit_beside(self, face: FaceRecord) -> bool:
        """Whether the photo of a face has other faces for all of them."""
        return _each_its_own([faces.get(face.photo_id, set()) - {face.face_id} for faces in self._faces])


def _faces_like(gallery: Gallery, probe: Probe, threshold: float) -> Iterable[FaceRecord]:
    """All faces from a similarity on."""
    portion = _FIRST_PORTION
    while True:
        (nearest,) = gallery.search(probe.face.embedding[None], portion)
        if len(nearest) < portion or nearest[-1].similarity < threshold:
            return [scored.face for scored in nearest if scored.similarity >= threshold]
        portion *= _LARGER_PORTION


def _each_its_own(choices: Sequence[set[int]]) -> bool:
    """Whether one can be taken from each set, none twice."""
    if not choices:
        return True
    first, *rest = sorted(choices, key=len)
    return any(_each_its_own([other - {taken} for other in rest]) for taken in first)
