"""Measure how much of the exact results the approximate search of a shared gallery finds."""

from __future__ import annotations

import time

from facesearch.galleries.protocol import ALL
from facesearch.galleries.shared import Recall, SharedGallery

__all__ = ["measured_recall"]

_PROBES, _NEAREST = 50, 10
_TOLERANCE = 1e-5
"""Similarities this close are equal: which of two equal faces is found makes no difference."""


def measured_recall(gallery: SharedGallery) -> Recall | None:
    """Return the recall of the ten nearest faces of up to 50 faces, evenly drawn; None if the gallery has no faces."""
    faces = gallery.sample(ALL, _PROBES)
    if not faces:
        return None
    probes = gallery.vectors(faces)
    found = wanted = 0
    for near, exact in zip(gallery.search(probes, _NEAREST), gallery.search_exactly(probes, _NEAREST), strict=True):
        least = exact[-1].similarity - _TOLERANCE
        found += min(len(exact), sum(scored.similarity >= least for scored in near))
        wanted += len(exact)
    return Recall(found / wanted, gallery.count(), time.time())
