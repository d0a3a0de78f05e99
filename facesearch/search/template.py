"""Several photos of one person to one probe, and which of them show somebody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from facesearch.models.geometry import unit_length
from facesearch.search.probes import Probe

__all__ = ["odd_ones", "pick_by_others", "template", "without_copies"]

_LEAST_WEIGHT = 0.1


def without_copies(photos: Sequence[Sequence[Probe]]) -> list[Sequence[Probe]]:
    """The faces of each photo, of photos with the very same content once: twice the same says nothing new."""
    return list({faces[0].content or str(id(faces)): faces for faces in reversed(photos)}.values())[::-1]


def template(probes: Sequence[Probe]) -> Probe:
    """One probe for several photos of one person: the mean of their embeddings by quality, at unit length."""
    first, *others = probes
    mean = np.sum([_weight(probe) * probe.face.embedding for probe in probes], axis=0)
    return replace(first, face=replace(first.face, embedding=unit_length(mean)), others=tuple(others))


def pick_by_others(photos: Sequence[Sequence[Probe]]) -> list[Probe]:
    """Of each photo of one person the face that is theirs: its only one, or the one most like those of the others.

    Where every photo shows several faces, the largest of each say who is meant.
    """
    alone = [faces[0] for faces in photos if len(faces) == 1] or [faces[0] for faces in photos]
    picked = []
    for faces in photos:
        anchors = [probe for probe in alone if probe is not faces[0]]
        if len(faces) == 1 or not anchors:
            picked.append(faces[0])
            continue
        mean = unit_length(np.sum([_weight(probe) * probe.face.embedding for probe in anchors], axis=0))
        picked.append(max(faces, key=lambda probe: float(probe.face.embedding @ mean)))
    return picked


def odd_ones(probes: Sequence[Probe], *, similar_from: Callable[[int], float]) -> list[tuple[Probe, float]]:
    """Photos that show somebody else than most of the others, with their similarity to the mean of those.

    `similar_from` is the similarity from which a photo may show the person of a template of so many photos. The least
    similar goes first, and the others are looked at anew without it. Of two photos nobody can say which is wrong.
    """
    kept = list(probes)
    odd: list[tuple[Probe, float]] = []
    while len(kept) > 2:
        vectors = np.stack([_weight(probe) * probe.face.embedding for probe in kept])
        total = vectors.sum(axis=0)
        alike = [
            float(probe.face.embedding @ unit_length(total - row)) for probe, row in zip(kept, vectors, strict=True)
        ]
        least = int(np.argmin(alike))
        if alike[least] >= similar_from(len(kept) - 1):
            break
        odd.append((kept.pop(least), alike[least]))
    return odd


def _weight(probe: Probe) -> float:
    """A poor photo says less; one whose quality is not known counts fully."""
    quality = probe.face.quality
    return 1.0 if quality is None else max(_LEAST_WEIGHT, quality)
