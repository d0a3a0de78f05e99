"""Measure a calibration on labelled faces: how often strangers, and photos of one person, reach each similarity.

Labels are cleaned first: a face counts as wrongly labelled and is omitted if its similarity to the mean of the others
in its own folder is under 0.3, or lower than to another folder's mean.

Templates of one, two, three, five and ten photos of a person, drawn at random, are compared with every single face:
with those of other people for the false-match rate, with those of the same person (except those in the template) for
the true-match rate. Every pair of people has the same weight, however many faces they have. Below the lowest rate that
30 pairs of faces still support, the curve is extrapolated along the straight line that its last decade follows in the
logarithm, and the table says from where. The intervals, 5 to 95 %, come from resampling the people with replacement,
400 times: a dozen people are few, whatever the number of their faces.

What users are told about new people comes from people left out: for each person, the threshold is set on all others,
and the rates of this person at that threshold are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from facesearch.calibration.table import DEFAULT_FMR
from facesearch.errors import FacesearchError, InputError
from facesearch.events import SILENT, Observer
from facesearch.models.protocol import FaceModel
from facesearch.photos.scan import photos_in
from facesearch.search.probes import Probe, probe_faces
from facesearch.search.template import pick_by_others
from facesearch.types import ModelInfo
from facesearch.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.types import FloatArray, IdArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = [
    "FEW_PEOPLE",
    "LEAST_FACES",
    "LEAST_PEOPLE",
    "PHOTOS",
    "LabelledFaces",
    "labelled_faces",
    "measured",
    "well_labelled",
]

LEAST_PEOPLE = 3
FEW_PEOPLE = 12
"""With fewer people, the rates depend strongly on who they are."""

LEAST_FACES = 4
"""The faces needed per person; fewer say nothing about photos of the same person."""

PHOTOS = (1, 2, 3, 5, 10)
"""The template sizes for which curves are measured."""

_GRID = np.round(np.arange(0.0, 1.0001, 0.01), 2)
_TEMPLATES = 400
_DRAWS = 400
_SUPPORTED = 30
_LEAST_OWN = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """One face per photo: vectors, float32[n, dim] of unit length, and labels, int64[n], indices into `people`.

    `left_out` says which photos were skipped, and why.
    """

    vectors: FloatArray
    labels: IdArray
    people: list[str]
    left_out: list[str]


def labelled_faces(
    folder: Path,
    model: FaceModel,
    *,
    rotations: bool = True,
    observer: Observer = SILENT,
) -> LabelledFaces:
    """Return the faces in a folder with one folder per person.

    If a photo has several faces, the one most similar to the person's others is used. Progress reports photos done and
    in total, faces, and skipped photos. If `observer` cancels, the result so far is returned. Raises `InputError` if
    there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with a folder of photos per person")
    people = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    photos = {person: photos_in(person) for person in people}
    total, done = sum(map(len, photos.values())), 0
    vectors: list[FloatArray] = []
    labels: list[int] = []
    names: list[str] = []
    left_out: list[str] = []
    with ThreadPoolExecutor(model.runtime.streams) as pool:
        for person in people:
            if observer.cancelled():
                break
            seen: list[Sequence[Probe]] = []
            for found in _ahead(pool, model, photos[person], rotations=rotations):
                if observer.cancelled():
                    break
                done += 1
                if isinstance(found, FacesearchError):
                    left_out.append(str(found))
                else:
                    seen.append(found)
                observer.progress(done, total, len(vectors) + len(seen), len(left_out))
            if seen:
                vectors += [probe.face.embedding for probe in pick_by_others(seen)]
                labels += [len(names)] * len(seen)
                names.append(person.name)
    stacked = np.stack(vectors) if vectors else np.empty((0, model.info.dim), dtype=np.float32)
    return LabelledFaces(stacked, np.array(labels, dtype=np.int64), names, left_out)


def _ahead(
    pool: ThreadPoolExecutor, model: FaceModel, photos: Sequence[Path], *, rotations: bool
) -> Iterator[list[Probe] | FacesearchError]:
    """Yield the faces of each photo, or why there are none; a few photos are processed ahead."""

    def detected(path: Path) -> list[Probe] | FacesearchError:
        try:
            return probe_faces(model, str(path), rotations=rotations)
        except FacesearchError as error:
            return error

    paths = iter(photos)
    while portion := list(islice(paths, 16)):
        yield from pool.map(detected, portion)


def measured(vectors: FloatArray, labels: IdArray, model: ModelInfo, photos: Sequence[int] = PHOTOS) -> dict[str, Any]:
    """Return a calibration as plain values, to be stored as JSON and read by `facesearch.calibration.table`.

    `vectors` are float32[n, dim] of unit length, `labels` int64[n] number their people from 0 without gaps. Raises
    `InputError` if there are fewer than `LEAST_PEOPLE` people with `LEAST_FACES` well-labelled faces each.
    """
    good = well_labelled(vectors, labels)
    kept = [
        label for label in range(int(labels.max(initial=-1)) + 1) if (good & (labels == label)).sum() >= LEAST_FACES
    ]
    if len(kept) < LEAST_PEOPLE:
        raise InputError(
            f"{counted(len(kept), 'person', 'people')} with {LEAST_FACES} or more well-labelled faces each; a "
            f"calibration needs {LEAST_PEOPLE}, better 12 or more"
        )
    used = good & np.isin(labels, kept)
    vectors, labels = vectors[used], np.searchsorted(kept, labels[used])
    fewest = int(np.bincount(labels).min())
    rates = {size: _rates(vectors, labels, size) for size in photos if size < fewest}
    return {
        "model": model.name,
        "digests": sorted(model.digests.values()),
        "dim": model.dim,
        "pipeline": model.revision,
        "people": len(kept),
        "faces": len(labels),
        "left_out": int((~used).sum()),
        "similarity": _GRID.tolist(),
        "curves": [_curve(size, told) for size, told in rates.items()],
        "people_left_out": _left_out(rates),
    }


def well_labelled(vectors: FloatArray, labels: IdArray) -> Mask:
    """Return a mask of the faces that are nearer to their own folder than to any other, and near enough."""
    if not len(labels):
        return np.ones(0, dtype=np.bool_)
    sums = np.stack([vectors[labels == label].sum(axis=0) for label in range(labels.max() + 1)])
    others = sums[labels] - vectors
    own = (vectors * others).sum(axis=1) / np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    elsewhere = vectors @ (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).T
    elsewhere[np.arange(len(labels)), labels] = -1
    good: Mask = (own >= _LEAST_OWN) & (own >= elsewhere.max(axis=1))
    return good


class _Rates(NamedTuple):
    """Rates for one template size: false matches [person, other, grid], NaN for oneself; true matches [person, grid].

    `compared` is the number of comparisons of each person with each other one, int64[person, other].
    """

    false: Floats
    true: Floats
    compared: IdArray

    def false_among(self, people: IdArray) -> tuple[Floats, float]:
        """Return the mean rate of false matches among some people, and the lowest rate that enough pairs support."""
        among = np.ix_(people, people)
        return np.nanmean(self.false[among], axis=(0, 1)), _SUPPORTED / int(self.compared[among].sum())


def _curve(photos: int, rates: _Rates) -> dict[str, Any]:
    """Return the rates for templates of `photos` photos, with intervals, as plain lists over the grid."""
    rng = np.random.default_rng(photos)
    false_rates, true_rates, _compared = rates
    mean_rates, least = rates.false_among(np.arange(len(true_rates)))
    mean = _continued(mean_rates, least)
    people = len(true_rates)
    drawn: list[Floats] = []
    while len(drawn) < _DRAWS:
        chosen = rng.choice(people, people)
        if len(set(chosen.tolist())) < 2:
            continue  # one person alone has no impostors
        drawn.append(_continued(np.nanmean(false_rates[np.ix_(chosen, chosen)], axis=(0, 1)), least))
    low, high = np.percentile(np.stack(drawn), (5, 95), axis=0)
    return {
        "photos": photos,
        "measured_to": round(float(np.log10(least)), 2),
        "log10_fmr": _rounded(mean, 3),
        "log10_fmr_low": _rounded(low, 3),
        "log10_fmr_high": _rounded(high, 3),
        "log10_fmr_worst_pair": _rounded(_continued(np.nanmax(false_rates, axis=(0, 1)), least), 3),
        "tmr": _rounded(true_rates.mean(axis=0), 4),
        "tmr_worst_person": _rounded(true_rates.min(axis=0), 4),
    }


def _left_out(rates: Mapping[int, _Rates]) -> list[dict[str, Any]]:
    """Return the rates of each person at the threshold that all others set, averaged and for the worst person.

    The threshold is where the others' curve for one photo reaches an FMR of `DEFAULT_FMR`.
    """
    alone = rates[min(rates)]
    people = np.arange(len(alone.true))
    places = []
    for person in people:
        curve = _continued(*alone.false_among(people[people != person]))
        places.append(int(np.flatnonzero((curve <= np.log10(DEFAULT_FMR)) | (_GRID == 1))[0]))
    told = []
    for photos, (false, true, _compared) in rates.items():
        found, mistaken = true[people, places], np.nanmean(false, axis=1)[people, places]
        told.append(
            {
                "photos": photos,
                "similarity": _rounded(_GRID[[min(places), max(places)]], 2),
                "tmr": round(float(found.mean()), 4),
                "tmr_worst_person": round(float(found.min()), 4),
                "fmr": float(f"{mistaken.mean():.2g}"),
                "fmr_worst_person": float(f"{mistaken.max():.2g}"),
            }
        )
    return told


def _rates(vectors: FloatArray, labels: IdArray, photos: int) -> _Rates:
    """Return the rates for templates of `photos` photos."""
    rng = np.random.default_rng(photos)
    people = int(labels.max()) + 1
    false_rates, true_rates = np.full((people, people, len(_GRID)), np.nan), np.zeros((people, len(_GRID)))
    compared = np.zeros((people, people), dtype=np.int64)
    for person in range(people):
        own = np.flatnonzero(labels == person)
        if photos == 1:
            chosen = own[:, None]
        else:
            chosen = np.stack([rng.choice(own, photos, replace=False) for _ in range(_TEMPLATES)])
        templates = vectors[chosen].mean(axis=1)
        templates /= np.linalg.norm(templates, axis=1, keepdims=True)
        scores = templates @ vectors.T
        inside = np.zeros(scores.shape, dtype=np.bool_)
        np.put_along_axis(inside, chosen, True, axis=1)
        true_rates[person] = _share_from(scores[:, own][~inside[:, own]])
        for other in range(people):
            if other != person:
                impostors = scores[:, labels == other].ravel()
                false_rates[person, other] = _share_from(impostors)
                compared[person, other] = len(impostors)
    return _Rates(false_rates, true_rates, compared)


def _share_from(scores: FloatArray) -> Floats:
    """Return the share of scores at or above each similarity of the grid."""
    ordered = np.sort(scores)
    share: Floats = 1 - np.searchsorted(ordered, _GRID - 1e-9) / len(ordered)
    return share


def _continued(curve: Floats, least: float) -> Floats:
    """Return the curve in log10, extrapolated below the rate `least` along the line of its last decade.

    If so few strangers come near that even the first rate is below `least`, it is set to `least`.
    """
    if curve[0] < least:
        curve = np.concatenate([[least], curve[1:]])
    logs = np.log10(np.maximum(curve, 1e-300))
    last = int(np.flatnonzero(curve >= least)[-1])
    decade = np.flatnonzero((logs <= logs[last] + 1) & (np.arange(len(logs)) <= last))
    if len(decade) < 3:
        decade = np.arange(max(0, last - 2), last + 1)
    slope = min(np.polyfit(_GRID[decade], logs[decade], 1)[0], -1.0) if len(decade) > 1 else -1.0
    extended = logs.copy()
    extended[last + 1 :] = logs[last] + slope * (_GRID[last + 1 :] - _GRID[last])
    return extended


def _rounded(values: Floats, digits: int) -> Sequence[float]:
    rounded: list[float] = values.round(digits).tolist()
    return rounded
