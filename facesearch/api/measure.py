"""Face models, measured on photos of people whose names are known: what a similarity means, and which model is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.errors import FacesearchError, InputError, ModelError
from facesearch.events import SILENT, Observer

if TYPE_CHECKING:
    from facesearch.evaluation.compare_models import Standing
    from facesearch.types import ModelInfo

__all__ = ["Calibrated", "calibrate", "compare_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What was measured for a model: `table` holds it as plain values, `people` is how many people it rests on.

    `measured_to` is the base-10 logarithm of the least false-match rate of single photos that was measured.
    `on_few_people` warns that other people would give quite other rates. `kept` is the file it is in, None where it was
    not kept; `shipped_people` and `shipped_to` are those of the table in the package where that is the better one.
    """

    model: str
    table: dict[str, Any]
    people: int
    measured_to: float
    on_few_people: bool
    kept: Path | None
    shipped_people: int | None = None
    shipped_to: float | None = None


def calibrate(
    folder: Path,
    *,
    model: str | None = None,
    device: str = "auto",
    threads: int = 0,
    rotations: bool = True,
    keep: bool = True,
    observer: Observer = SILENT,
) -> Calibrated | None:
    """Measure how often strangers, and photos of one person, reach each similarity; verdicts then rest on it.

    `folder` holds one folder of photos per person. The result is kept, unless `keep` is false or the table that comes
    with the package is better: of more people, and measured to lower rates. None where `observer` has stopped it.
    Raises `InputError` where there are too few people or photos, `ModelError`, `DeviceError`, `StorageError`.
    """
    from facesearch.calibration.table import keep_calibration
    from facesearch.evaluation.fit import FEW_PEOPLE, labelled_faces, measured
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime

    runtime = choose_runtime(device, threads, notify=observer.note)
    opened = open_model(choose_model(model).name, runtime.shared_by(runtime.threads))
    faces = labelled_faces(folder, opened, rotations=rotations, observer=observer)
    if observer.cancelled():
        return None
    for trouble in faces.left_out:
        observer.warn(f"{trouble}; left out")
    if not faces.people:
        raise InputError(f"{folder}: no folders with photos of faces in it; make one folder a person")
    table = measured(faces.vectors, faces.labels, opened.info)
    people, measured_to = table["people"], table["curves"][0]["measured_to"]
    better = _better_shipped(opened.info, people, measured_to)
    return Calibrated(
        model=opened.info.name,
        table=table,
        people=people,
        measured_to=measured_to,
        on_few_people=people < FEW_PEOPLE,
        kept=keep_calibration(opened.info, table) if keep and better is None else None,
        shipped_people=None if better is None else better[0],
        shipped_to=None if better is None else better[1],
    )


def _better_shipped(model: ModelInfo, people: int, measured_to: float) -> tuple[int, float] | None:
    """How many people the package's own table rests on, and to which rate, where a new one falls short of either."""
    from facesearch.calibration.table import shipped_calibration

    known = shipped_calibration(model)
    if known is None or (people >= known.people and measured_to <= known.curve(1).measured_to):
        return None
    return known.people, known.curve(1).measured_to


def compare_models(
    folder: Path,
    names: Sequence[str] | None = None,
    *,
    device: str = "auto",
    threads: int = 0,
    observer: Observer = SILENT,
) -> list[Standing]:
    """How well, and how fast, models find and tell apart the people in a folder with one folder of photos per person.

    `names` None compares all that can be used, and leaves out those that turn out to be broken. Where `observer` stops
    it, the models that were done until then. Raises `InputError` where there are too few people or photos,
    `ModelError` for a broken model that was named, `DeviceError`.
    """
    from facesearch.evaluation.compare_models import standing
    from facesearch.models.resolve import listed_models, open_model
    from facesearch.models.runtime import choose_runtime

    runtime = choose_runtime(device, threads, notify=observer.note)
    chosen = list(dict.fromkeys(names or [model.name for model in listed_models() if model.usable]))
    standings: list[Standing] = []
    for name in chosen:
        try:
            model = open_model(name, runtime.shared_by(runtime.threads))
            done = standing(model.info.name, model, folder, observer=observer)
        except FacesearchError as error:
            if observer.cancelled():  # there is too little to compare because it was stopped
                break
            if names or not isinstance(error, ModelError):
                raise
            observer.warn(f"{error}; left out")  # a broken pack is no reason not to compare the others
            continue
        if observer.cancelled():
            break
        standings.append(done)
    return standings
