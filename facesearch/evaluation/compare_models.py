"""Compare models on labelled photos: how well and how fast each finds people and tells them apart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesearch.errors import InputError
from facesearch.evaluation.fit import labelled_faces, well_labelled
from facesearch.events import SILENT, Observer
from facesearch.models.protocol import FaceModel
from facesearch.wording import counted

__all__ = ["RATES", "Standing", "standing"]

RATES = (1e-2, 1e-3, 1e-4)
"""False-match rates at which models are compared."""

_SUPPORTED = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """The results of one model on labelled photos.

    `found` of `photos` show a face; `left_out` of those seem to be labelled wrongly. `rank1` is the share of faces
    whose nearest other face is of the same person. `tmr` is the true-match rate at each false-match rate in `RATES`,
    None if there are too few pairs of strangers. `seconds` is the time per photo when nothing else is running.
    """

    model: str
    licence: str
    photos: int
    found: int
    left_out: int
    rank1: float
    tmr: tuple[float | None, ...]
    seconds: float


def standing(
    name: str,
    model: FaceModel,
    folder: Path,
    *,
    observer: Observer = SILENT,
) -> Standing:
    """Find, embed and compare all faces in a folder with one folder per person.

    Every person has the same weight, whatever the number of photos. Raises `InputError` if there are fewer than two
    people with two photos each.
    """
    started = time.perf_counter()
    faces = labelled_faces(folder, model, observer=observer)
    seconds = time.perf_counter() - started
    photos = len(faces.labels) + len(faces.left_out)
    good = well_labelled(faces.vectors, faces.labels)
    vectors, labels = faces.vectors[good], faces.labels[good]
    several = [label for label in np.unique(labels).tolist() if (labels == label).sum() > 1]
    if len(several) < 2:
        raise InputError(
            f"{folder}: {counted(len(several), 'person', 'people')} with two or more photos in which {name} finds a "
            "face; a comparison needs at least two people, better twelve"
        )
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2.0)
    same = labels[:, None] == labels
    hit = same[np.arange(len(labels)), similarities.argmax(axis=1)]
    strangers = np.sort(similarities[np.triu(~same, 1)])
    genuine = [similarities[np.ix_(labels == label, labels == label)] for label in several]
    return Standing(
        model=name,
        licence=model.info.licence,
        photos=photos,
        found=len(faces.labels),
        left_out=int((~good).sum()),
        rank1=float(np.mean([hit[labels == label].mean() for label in several])),
        tmr=tuple(_true_matches(genuine, strangers, rate) for rate in RATES),
        seconds=seconds / max(photos, 1),
    )


def _true_matches(genuine: list[np.ndarray], strangers: np.ndarray, rate: float) -> float | None:
    allowed = int(len(strangers) * rate)
    if allowed < _SUPPORTED:
        return None
    threshold = strangers[-allowed - 1]
    return float(np.mean([(pairs[pairs > -2] > threshold).mean() for pairs in genuine]))
