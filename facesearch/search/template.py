"""Combine several photos of one person into a template, and detect photos of somebody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from facesearch.models.geometry import unit_length
from facesearch.search.probes import Probe

__all__ = ["odd_ones", "pick_by_others", "template", "without_copies"]

_LEAST_WEIGHT = 0.1


def without_copies(photos: Sequence[Sequence[Probe]]) -> list[Sequence[Probe]]:
    """Drop photos with identical content, which add no information."""
    return list({faces[0].content or str(id(faces)): faces for faces in reversed(photos)}.values())[::-1]


def template(probes: Sequence[Probe]) -> Probe:
    """Combine probes of one person: the mean of their embeddings, weighted by quality, at unit length."""
    first, *others = probes
    mean = np.sum([_weight(probe) * probe.face.embedding for probe in probes], axis=0)
    return replace(first, face=replace(first.face, embedding=unit_length(mean)), others=tuple(others))


def pick_by_others(photos: Sequence[Sequence[Probe]]) -> list[Probe]:
    """Pick the person's face in each photo: the only face, or the one most similar to those of the other photos.

    If every photo shows several faces, the largest face of each stands for the person.
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
    """Return photos that show somebody else than most of the others, with their similarity to the mean of the others.

    `similar_from` returns the least similarity to a template of a number of photos at which a photo may show the same
    person. The least similar photo is removed first, then the rest is checked again. Of two photos none is removed,
    because which one is wrong is unknown.
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
    """Return the weight of a photo: a poor one weighs less, one of unknown quality counts fully."""
    quality = probe.face.quality
    return 1.0 if quality is None else max(_LEAST_WEIGHT, quality)
