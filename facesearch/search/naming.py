"""Whom the faces of a photo show: for each face the person of a gallery, if that is clear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.galleries.protocol import Gallery
from facesearch.search.probes import Probe
from facesearch.search.through_people import NEAREST, PeopleOf
from facesearch.types import SAME_FACE, FaceRecord, Somebody, Verdict, own_id

__all__ = ["NamedFace", "name_faces"]

_SURE = (Verdict.strong, Verdict.likely)


@dataclass(frozen=True, slots=True)
class NamedFace:
    """A face of a photo, and the person whom it shows: None if it is unknown, or if that is not sure.

    `similarity` is that to the mean of the person's other faces; it and `verdict` are None without a person, or if
    there is no other face. `face_id` is the id of the face, if the photo is in the gallery: then `verdict` is at least
    *likely*, as for every photo of a person.
    """

    probe: Probe
    person: Somebody | None = None
    similarity: float | None = None
    verdict: Verdict | None = None
    face_id: int | None = None


def name_faces(gallery: Gallery, probes: Sequence[Probe], known: Sequence[FaceRecord] = ()) -> list[NamedFace]:
    """Return the faces of a photo with the people whom they show.

    `known` are the faces of this very photo in the gallery, which decide whom the face in their place shows: that is
    what grouping and the user say. Otherwise, of two faces that resemble one person, only the more similar one is that
    person, and neither is if another face of the photo is known to be.
    """
    if not probes:
        return []
    calibration, (part, *_) = calibration_of(gallery.model, gallery.own_calibration()), gallery.parts()
    people = PeopleOf(gallery, part, calibration, gallery.count())
    own = [_in_place(probe, known) for probe in probes]
    nearest = gallery.search(np.stack([probe.face.embedding for probe in probes]), NEAREST)
    links = [
        people.link(probe, near) if face is None and gallery.size().people else None
        for probe, face, near in zip(probes, own, nearest, strict=True)
    ]
    best = {face.person: math.inf for face in own if face is not None and face.person is not None}
    for link in links:
        if link is not None:
            best[link.person.number] = max(link.similarity, best.get(link.person.number, -1.0))
    found = []
    for probe, face, link in zip(probes, own, links, strict=True):
        if face is not None:
            found.append(_as_known(people, probe, face))
        elif link is not None and link.verdict in _SURE and link.similarity == best[link.person.number]:
            found.append(NamedFace(probe, link.person.name, link.similarity, link.verdict))
        else:
            found.append(NamedFace(probe))
    return found


def _in_place(probe: Probe, known: Sequence[FaceRecord]) -> FaceRecord | None:
    """Return the known face in the place of a probe; None if there is none."""
    box = probe.face.detection.box
    same = max(known, key=lambda face: box.overlap(face.detection.box), default=None)
    return same if same is not None and box.overlap(same.detection.box) >= SAME_FACE else None


def _as_known(people: PeopleOf, probe: Probe, face: FaceRecord) -> NamedFace:
    """Return a face of the gallery with the person that it belongs to there."""
    if face.person is None:
        return NamedFace(probe, face_id=face.face_id)
    somebody = Somebody(own_id(face.person)[1], face.index, face.name)
    link = people.membership(probe, face.person)
    if link is None:  # there is no other face of this person
        return NamedFace(probe, somebody, face_id=face.face_id)
    return NamedFace(probe, somebody, link.similarity, link.verdict, face.face_id)
