"""Find a model's calibration: the user's own table, the package's, or a guess.

The table of the embedded model is part of the package; one that the user has measured takes precedence. A model without
a table is not measured: no rates are reported for it. Its verdicts rest on a guess, which assumes that similarities of
strangers are normally distributed around 0. If the model's maker has published a point (see
`facesearch.models.packs.registry`), the guess goes through it and may say *likely*. Otherwise it goes through an FMR of
1e-4 at the model's threshold, which has not been measured either, and says *possible* at most. The normal distribution
is what was measured for the embedded model: from 1e-2 to 1e-7 its points lie within 0.02 of a mean of 0.08 and
a deviation of 0.09; the mean is lower for longer embeddings.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from math import erfc, log10, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from facesearch.calibration.table import DEFAULT_FMR, NOT_MEASURED, Calibration, Curve, read_calibration
from facesearch.errors import Hint, StorageError
from facesearch.models.packs.known import published_point
from facesearch.settings import user_data, write_json
from facesearch.types import ModelInfo

__all__ = ["calibration_of", "keep_calibration", "own_calibration_path", "shipped_calibration"]

_SHIPPED = Path(__file__).parent / "tables"
_GUESSED_TMR = 0.5


def calibration_of(model: ModelInfo, of_index: str | None = None) -> Calibration:
    """Return the table `of_index`, or that which the user has measured for this model, or the package's, or a guess.

    `of_index` is a table as JSON that was measured on the people of an index; it is not used for another model. Its
    threshold is that of the model. The guess rests on the point that the model's maker has published, else on the
    model's threshold.
    """
    note = None
    if of_index is not None:
        try:
            table = json.loads(of_index)
            if _fits(table, model):
                known = calibration_of(model)
                origin = f"measured on {table['people']} people of this index"
                return replace(read_calibration(table), threshold=known.threshold, origin=origin, found=known.found)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            pass  # damaged; `check` leaves it, and measuring again replaces it
    own = own_calibration_path(model)
    if own is not None and os.path.isfile(own):
        try:
            table = json.loads(own.read_text())
            if _fits(table, model):
                return read_calibration(table)
            note = f"{own}: belongs to another model and is not used"
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            note = f"{own}: unreadable and not used; delete it, or {Hint.CALIBRATE}"
    shipped = shipped_calibration(model)
    return replace(_guessed(model) if shipped is None else shipped, note=note)


def shipped_calibration(model: ModelInfo) -> Calibration | None:
    """Return the table that the package ships for a model, if there is one."""
    path = _SHIPPED / f"{model.name}-{model.revision}.json"
    if model.source is not None or not os.path.isfile(path):
        return None
    table = json.loads(path.read_text())
    return replace(read_calibration(table), threshold=model.threshold) if _fits(table, model) else None


def keep_calibration(model: ModelInfo, table: Mapping[str, Any]) -> Path:
    """Store a table that was measured for this model in the user's data folder. Raises `StorageError`."""
    path = own_calibration_path(model)
    if path is None:
        raise StorageError("no home folder to store a calibration in; set XDG_DATA_HOME to a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, table)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
    return path


def own_calibration_path(model: ModelInfo) -> Path | None:
    """Return the path of the user's table for a model, whether or not it exists; None without a home folder.

    A model is recognised by its identity: a table stored under another name of the model is found as well.
    """
    folder = user_data()
    if folder is None:
        return None
    identity = hashlib.sha256(repr(model.identity).encode()).hexdigest()[:16]
    kept = folder / "calibrations"
    named = kept / f"{model.name}-{identity}.json"
    return named if os.path.isfile(named) else next(iter(sorted(kept.glob(f"*-{identity}.json"))), named)


def _fits(table: Mapping[str, Any], model: ModelInfo) -> bool:
    digests, dim, revision = model.identity
    return (tuple(table["digests"]), table["dim"], table["pipeline"]) == (digests, dim, revision)


def _guessed(model: ModelInfo) -> Calibration:
    point = published_point(model.digests.values())
    if point is None:
        return replace(_normal(model.threshold, DEFAULT_FMR, _GUESSED_TMR), threshold=model.threshold)
    guess = _normal(point.similarity, point.fmr, point.tmr)
    rate = f"1e{round(log10(point.fmr))}"
    origin = f"{NOT_MEASURED}; its maker has published one point, similarity {point.similarity} at FMR {rate}"
    return replace(guess, origin=origin, published=point)


def _normal(similarity: float, fmr: float, tmr: float) -> Calibration:
    """Assume similarities of strangers normally distributed around 0, with a share `fmr` reaching `similarity`."""
    deviation = similarity / NormalDist().inv_cdf(1 - fmr)
    grid = [number / 100 for number in range(101)]
    logs = [log10(erfc(value / deviation / sqrt(2)) / 2) for value in grid]
    curve = Curve(1, 0.0, logs, logs, logs, [1.0 if value < similarity else tmr for value in grid])
    guess = Calibration(grid, [curve], threshold=1.0)
    return replace(guess, threshold=round(guess.similarity_at(DEFAULT_FMR), 2))
