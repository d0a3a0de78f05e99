"""Calibrate and compare face models on labelled photos: one folder of photos per person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.errors import FacesearchError, InputError, ModelError
from facesearch.events import SILENT, Observer
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.evaluation.compare_models import Standing
    from facesearch.index.store import Store
    from facesearch.types import ModelInfo

__all__ = ["Calibrated", "calibrate", "calibrate_from_people", "compare_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The calibration of a model: `table` has it as plain values, `people` is the number of people measured.

    `measured_to` is the base-10 logarithm of the lowest false-match rate of single photos that was measured.
    `on_few_people` warns that other people may have very different rates. `kept` is the file of the calibration, None
    if it was not kept. `shipped_people` and `shipped_to` describe the calibration in the package, if that is better.
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
    """Measure how often strangers, and photos of one person, reach each similarity; verdicts are then based on it.

    `folder` holds one folder of photos per person. The result is kept, unless `keep` is false or the calibration in the
    package has more people or lower rates. Returns None if `observer` cancels the run.

    Raises `InputError` if there are too few people or photos, `ModelError`, `DeviceError`, `StorageError`.
    """
    from facesearch.calibration.storage import keep_calibration
    from facesearch.evaluation.fit import FEW_PEOPLE, labelled_faces, measured
    from facesearch.models.resolve import choose_model, open_model
    from facesearch.models.runtime import choose_runtime

    runtime = choose_runtime(device, threads, notify=observer.note)
    opened = open_model(choose_model(model).name, runtime.shared_by(runtime.threads))
    faces = labelled_faces(folder, opened, rotations=rotations, observer=observer)
    if observer.cancelled():
        return None
    for trouble in faces.left_out:
        observer.warn(f"{trouble}; skipped")
    if not faces.people:
        raise InputError(f"{folder}: no folders with photos of faces; make one folder per person")
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


def calibrate_from_people(store: Store, *, keep: bool = True) -> Calibrated:
    """Measure the model of an index on the people whom the user has named; verdicts in this index are based on it.

    Only faces count that the user has placed, or that belonged to a person when it was named. `keep` false measures
    without keeping the result. Raises `InputError` with fewer than twelve such people.
    """
    import json

    from facesearch.evaluation.fit import FEW_PEOPLE, LEAST_FACES, measured
    from facesearch.people.confirmed import confirmed_faces

    faces = confirmed_faces(store, LEAST_FACES)
    if len(faces.people) < FEW_PEOPLE:
        raise InputError(
            f"{counted(len(faces.people), 'named person', 'named people')} with {LEAST_FACES} or more faces; "
            f"name {FEW_PEOPLE} or more"
        )
    table = measured(faces.vectors, faces.labels, store.model)
    if keep:
        with store.catalog.transaction():
            store.catalog.meta.set_calibration(json.dumps(table))
    return Calibrated(
        model=store.model.name, table=table, people=table["people"], measured_to=table["curves"][0]["measured_to"],
        on_few_people=False, kept=store.path if keep else None,
    )  # fmt: skip


def _better_shipped(model: ModelInfo, people: int, measured_to: float) -> tuple[int, float] | None:
    """Return the people and the lowest rate of the calibration in the package, if a new one falls short of either."""
    from facesearch.calibration.storage import shipped_calibration

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
    """Measure the accuracy and speed of models on a folder with one folder of photos per person.

    By default all usable models are compared, and broken ones are skipped with a warning. If `observer` cancels the
    run, the models measured until then are returned.

    Raises `InputError` if there are too few people or photos, `ModelError` if a model in `names` is broken,
    `DeviceError`.
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
            if observer.cancelled():  # there is too little to compare because the run was cancelled
                break
            if names or not isinstance(error, ModelError):
                raise
            observer.warn(f"{error}; skipped")  # a broken pack is no reason not to compare the others
            continue
        if observer.cancelled():
            break
        standings.append(done)
    return standings
