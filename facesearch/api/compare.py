"""Two photos compared, without an index: do they show the same person, and how sure is that."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.errors import Hint, UsageError
from facesearch.events import SILENT, Observer
from facesearch.photos.decode import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from facesearch.calibration.table import Calibration
    from facesearch.search.compare import Comparison

__all__ = ["ComparedPhotos", "compare", "require_measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPhotos:
    """All pairs of faces of two photos: a row for each face of the first, the largest first; `best` is the nearest.

    From the similarity `threshold` on two faces count as the same person's. `note` says where verdicts do not rest on
    the table that one would expect; `measured` is false where they rest on none, and `surest` is the surest verdict
    that can be given.
    """

    model: str
    pairs: list[list[Comparison]]
    best: Comparison
    threshold: float
    measured: bool
    surest: str
    note: str | None

    @property
    def same(self) -> bool:
        """Whether the nearest pair reaches the threshold."""
        return self.best.similarity >= self.threshold


def compare(
    one: str | os.PathLike[str],
    other: str | os.PathLike[str],
    *,
    model: str | None = None,
    threshold: float | None = None,
    fmr: float | None = None,
    device: str = "auto",
    threads: int = 0,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    observer: Observer = SILENT,
) -> ComparedPhotos:
    """Compare every face of one photo with every face of another.

    The threshold is the model's own, unless a cosine similarity or the false-match rate that it is to have is given.
    Raises `PhotoError`, `NoFaceError` where a photo shows none, `UsageError` where both limits are given, or a rate
    of a model for which none were measured, `ModelError`, `DeviceError`.
    """
    if threshold is not None and fmr is not None:
        raise UsageError(f"threshold {threshold:g} and fmr {fmr:g} contradict each other", Hint.ONE_LIMIT)
    if fmr is not None and not 0 < fmr < 1:
        raise UsageError(f"fmr {fmr:g}: a share of strangers lies between 0 and 1, as 1e-5")
    from facesearch.calibration.table import calibration_of
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime
    from facesearch.search.compare import compare as compared
    from facesearch.search.compare import nearest
    from facesearch.search.probes import probe_faces

    opened = open_model(choose_model(model).name, choose_runtime(device, threads, few=True, notify=observer.note))
    calibration = calibration_of(opened.info)
    require_measured(fmr, calibration, opened.info.name)
    ones, others = (
        probe_faces(opened, os.fspath(path), rotations=rotations, max_pixels=max_pixels, mark=observer.lap)
        for path in (one, other)
    )
    pairs = compared(ones, others, calibration)
    if fmr is not None:
        threshold = calibration.similarity_at(fmr)
    return ComparedPhotos(
        model=opened.info.name,
        pairs=pairs,
        best=nearest(pairs),
        threshold=calibration.threshold if threshold is None else threshold,
        measured=calibration.measured,
        surest=str(calibration.surest),
        note=calibration.note,
    )


def require_measured(fmr: float | None, calibration: Calibration, model: str) -> None:
    """Raises `UsageError` where a rate is asked of a model for which nobody has measured any."""
    if fmr is not None and not calibration.measured:
        raise UsageError(f"false-match rates were never measured for {model}", Hint.MEASURE_OR_THRESHOLD, fmr=fmr)
