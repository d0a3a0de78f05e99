"""Recognise people who were forgotten and asked never to be indexed again, while a run stores faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from facesearch.calibration.storage import calibration_of

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.index.store import Store
    from facesearch.types import Face

__all__ = ["LEFT_OUT_FMR", "leaves_out", "strict_similarity"]

LEFT_OUT_FMR = 1e-6
"""The false-match rate of a similarity to a template from which a new face is left out; see `benchmarks/forgetting.py`.

A face that is left out by mistake is one that nobody misses: nothing shows that it was there. So it is strict.
"""

_LARGEST = 10


def strict_similarity(calibration: Calibration, faces: int, fmr: float = LEFT_OUT_FMR) -> float:
    """Return the similarity to the mean of a number of faces from which a face is left out."""
    return calibration.similarity_at(fmr, min(max(faces, 1), _LARGEST))


def leaves_out(store: Store, now: int, calibration: Calibration | None = None) -> Callable[[Face], bool]:
    """Return what tells whether a face is of somebody who is left out."""
    kept = store.catalog.kept_out.vectors(store.model.dim, now)
    if not kept:
        return lambda _face: False
    known = calibration or calibration_of(store.model)
    vectors = np.stack([vector for vector, _ in kept])
    least = np.array([strict_similarity(known, faces) for _, faces in kept], dtype=np.float32)
    return lambda face: bool((vectors @ face.embedding >= least).any())
