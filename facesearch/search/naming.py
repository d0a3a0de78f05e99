"""Whom the faces of a photo show: for each face the person of a gallery, if that is clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.galleries.protocol import Gallery
from facesearch.search.probes import Probe
from facesearch.search.through_people import NEAREST, Link, PeopleOf
from facesearch.types import FaceRecord, Somebody, Verdict, own_id

__all__ = ["NamedFace", "name_faces"]

_SURE = (Verdict.strong, Verdict.likely)


@dataclass(frozen=True, slots=True)
class NamedFace:
    """A face of a photo, and the person whom it shows: None if it is unknown, or if that is not sure.

    `similarity` is that to the mean of the person's other faces; it and `verdict` are None without a person, or if
    there is no other face. `face_id` is the id of the face, if the photo is in the gallery.
    """

    probe: Probe
    person: Somebody | None = None
    similarity: float | None = None
    verdict: Verdict | None = None
    face_id: int | None = None


def name_faces(gallery: Gallery, probes: Sequence[Probe]) -> list[NamedFace]:
    """Return the faces of a photo with the people whom they show.

    For a photo of the gallery that is what grouping and the user say. Otherwise, of two faces that resemble one person,
    only the more similar one is that person.
    """
    if not probes or not gallery.size().people:
        return [NamedFace(probe) for probe in probes]
    calibration, (part, *_) = calibration_of(gallery.model, gallery.own_calibration()), gallery.parts()
    people = PeopleOf(gallery, part, calibration, gallery.count())
    nearest = gallery.search(np.stack([probe.face.embedding for probe in probes]), NEAREST)
    links = [people.link(probe, near) for probe, near in zip(probes, nearest, strict=True)]
    known = [people.itself(probe, near) for probe, near in zip(probes, nearest, strict=True)]
    best: dict[int, float] = {}
    for link in links:
        if link is not None:
            best[link.person.number] = max(link.similarity, best.get(link.person.number, -1.0))
    found = []
    for probe, link, itself in zip(probes, links, known, strict=True):
        if itself is not None:
            found.append(_as_known(probe, itself, link))
        elif link is not None and link.verdict in _SURE and link.similarity == best[link.person.number]:
            found.append(NamedFace(probe, link.person.name, link.similarity, link.verdict))
        else:
            found.append(NamedFace(probe))
    return found


def _as_known(probe: Probe, itself: FaceRecord, link: Link | None) -> NamedFace:
    """Return a face of the gallery with the person that it belongs to there."""
    if itself.person is None:
        return NamedFace(probe, face_id=itself.face_id)
    person = Somebody(own_id(itself.person)[1], itself.index, itself.name)
    if link is None or link.person.number != itself.person:  # there is no other face of this person
        return NamedFace(probe, person, face_id=itself.face_id)
    return NamedFace(probe, person, link.similarity, link.verdict, itself.face_id)
