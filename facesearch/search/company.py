"""The other people who must, or must not, be in a hit's photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facesearch.filters import Filter
from facesearch.galleries.protocol import Gallery, ScoredFace
from facesearch.search.probes import Probe
from facesearch.search.through_people import NEAREST, PeopleOf
from facesearch.types import FaceRecord

__all__ = ["Companions", "Excluded"]

_FIRST_PORTION = 64
_LARGER_PORTION = 4
_ROUNDING = 1e-5
"""The difference between similarities of one face that were computed in two ways."""


class Companions:
    """The people who must be in a photo too: for each probe, the faces of the gallery at or above `threshold`.

    With `people`, also all faces of the probe's person, and none of somebody else.
    """

    def __init__(
        self, gallery: Gallery, probes: Sequence[Probe], threshold: float, people: Sequence[PeopleOf] = ()
    ) -> None:
        self._faces: list[dict[int, set[int]]] = []
        for probe in probes:
            faces: dict[int, set[int]] = {}
            for scored in _faces_of(gallery, probe, threshold, people):
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
    excluding a sister would exclude every photo in which the person asked for resembles her. With `people`, all faces
    of the probe's person are theirs, and none of somebody else.
    """

    def __init__(
        self, gallery: Gallery, probes: Sequence[Probe], threshold: float, people: Sequence[PeopleOf] = ()
    ) -> None:
        self._photos: dict[int, dict[int, float]] = {}
        for probe in probes:
            for similarity, face in _faces_of(gallery, probe, threshold, people):
                faces = self._photos.setdefault(face.photo_id, {})
                faces[face.face_id] = max(similarity, faces.get(face.face_id, -1.0))

    def are_beside(self, hit: ScoredFace) -> bool:
        """Return True if the photo of `hit` shows one of them."""
        return any(
            number != hit.face.face_id or similarity >= hit.similarity - _ROUNDING
            for number, similarity in self._photos.get(hit.face.photo_id, {}).items()
        )


def _faces_of(gallery: Gallery, probe: Probe, threshold: float, people: Sequence[PeopleOf]) -> list[ScoredFace]:
    """Return all faces at or above a similarity; with `people`, those of the probe's person instead of others.

    If the probe stands for a person, all faces of that person.
    """
    if probe.person is not None:
        return [ScoredFace(1.0, face) for face in gallery.records(Filter(person=probe.person))]
    near = list(_faces_like(gallery, probe, threshold))
    if not people:
        return near
    found = []
    for one in people:
        (nearest,) = gallery.search(probe.face.embedding[None], NEAREST, one.part.where)
        link = one.link(probe, nearest)
        inside = [scored for scored in near if one.part.has(scored.face)]
        others = one.are_somebody_else(probe, [scored.face for scored in inside], link)
        known = [scored for scored, other in zip(inside, others, strict=True) if not other]
        found += known
        if link is not None:
            ids = {scored.face.face_id for scored in known}
            more = [face for face in gallery.records(Filter(person=link.person.number)) if face.face_id not in ids]
            similarity = gallery.vectors(more) @ probe.face.embedding
            found += [ScoredFace(value, face) for value, face in zip(similarity.tolist(), more, strict=True)]
    return found


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
