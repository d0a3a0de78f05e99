"""Compare two photos: whether they show the same person, and with what confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.api.opening import Models, as_model
from facesearch.arguments import AnyPath, require_whole_number, text_of_path
from facesearch.errors import Hint, UsageError
from facesearch.events import SILENT, Observer
from facesearch.query_options import require_share, require_similarity
from facesearch.settings import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesearch.api.opening import Stores
    from facesearch.calibration.table import Calibration
    from facesearch.search.compare import Comparison
    from facesearch.search.probes import Probe
    from facesearch.search.questions import AnyPhoto

__all__ = ["ComparedPhotos", "compare", "compare_in_index"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPhotos:
    """All pairs of faces of two photos.

    `pairs` has one row per face of the first photo and one column per face of the second, the largest faces first.
    `best` is the most similar pair. Two faces count as the same person at a similarity of `threshold` or more.
    `measured` is false if the model was never calibrated; `surest` is then the best verdict possible. `note` explains
    why a calibration that the user made is not used.
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
        """Whether the most similar pair reaches the threshold."""
        return self.best.similarity >= self.threshold


def compare(
    one: AnyPath,
    other: AnyPath,
    *,
    model: AnyPath | None = None,
    threshold: float | None = None,
    fmr: float | None = None,
    device: str = "auto",
    threads: int = 0,
    rotations: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    observer: Observer = SILENT,
) -> ComparedPhotos:
    """Compare every face of one photo with every face of another.

    The threshold is the model's own, unless it is set as a cosine similarity (`threshold`) or by its false-match rate
    (`fmr`). `model`, `device`, `threads` and the other options are those of `detect`.

    Raises `PhotoError` if a photo cannot be read, `NoFaceError` if one shows no face, `UsageError` if both limits are
    given or if `fmr` is given for a model that was never calibrated, `ModelError`, `DeviceError`.
    """
    photos = [text_of_path("photo", photo) for photo in (one, other)]
    require_whole_number("max_pixels", max_pixels, 1)
    if threshold is not None:
        require_similarity(threshold)
    if fmr is not None:
        require_share(fmr)
        if threshold is not None:
            raise UsageError(f"threshold {threshold:g} and fmr {fmr:g} contradict each other", Hint.ONE_LIMIT)
    models = Models(device, threads, observer)
    from facesearch.calibration.storage import calibration_of
    from facesearch.models.resolve import choose_model
    from facesearch.search.probes import probe_faces
    from facesearch.search.query import require_measured
    from facesearch.search.questions import remark_on_calibration

    opened = models.open(choose_model(as_model(model)).name, few=True, at_once=False)
    calibration = calibration_of(opened.info)
    require_measured(fmr, calibration, opened.info.name)
    remark_on_calibration(calibration, opened.info.name, observer)
    ones, others = (
        probe_faces(opened, path, rotations=rotations, max_pixels=max_pixels, mark=observer.lap) for path in photos
    )
    if fmr is not None:
        threshold = calibration.similarity_at(fmr)
    return _compared(ones, others, calibration, opened.info.name, threshold)


def compare_in_index(
    stores: Stores, models: Models, one: AnyPhoto, other: AnyPhoto, observer: Observer
) -> ComparedPhotos:
    """Compare two photos by the model and the calibration of an index; see `Index.compare`."""
    from facesearch.api.asking import look_at
    from facesearch.calibration.storage import calibration_of

    seen = [
        look_at(stores, models, photo, observer, rotations=True, max_pixels=DEFAULT_MAX_PIXELS)
        for photo in (one, other)
    ]
    store = stores.reading()
    calibration = calibration_of(store.model, store.catalog.meta.calibration())
    return _compared(seen[0].faces, seen[1].faces, calibration, store.model.name, None)


def _compared(
    ones: Sequence[Probe], others: Sequence[Probe], calibration: Calibration, model: str, threshold: float | None
) -> ComparedPhotos:
    from facesearch.search.compare import compare, nearest

    pairs = compare(ones, others, calibration)
    return ComparedPhotos(
        model=model,
        pairs=pairs,
        best=nearest(pairs),
        threshold=calibration.threshold if threshold is None else threshold,
        measured=calibration.measured,
        surest=str(calibration.surest),
        note=calibration.note,
    )
