"""From similarities to how sure: a model's false-match and true-match rates, measured on labelled crops.

    python benchmarks/calibrate.py CROPS [--output TABLE.json]

CROPS has one folder a person, with aligned crops of 112 x 112 pixels. Labels are cleaned first: a crop is taken for
wrongly labelled and left out when its similarity to the mean of its own folder's others is under 0.3, or less than to
another folder's mean; the printed count says how many.

Templates of one, two, three and five photos of a person, drawn at random, are compared with every single crop: of other
people for the false-match rate, of the same person (those in the template left out) for the true-match rate. Every pair
of people counts alike, however many crops they have. Below the least rate that 30 pairs of crops still support, the
curve goes on along the straight line that its last decade follows in the logarithm: from there on it is extrapolated,
and the table says where. The intervals, 5 to 95 %, come from drawing the people anew with replacement, 400 times: a
dozen people are few, whatever the number of their crops.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.faces.model import open_model
from facesearch.faces.runtime import choose_runtime

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

GRID = np.round(np.arange(0.0, 1.0001, 0.01), 2)
PHOTOS = (1, 2, 3, 5)
TEMPLATES = 400
DRAWS = 400
SUPPORTED = 30
LEAST_OWN = 0.3


def embedded_crops(folder: Path, model_name: str) -> tuple[Vectors, Labels, list[str]]:
    """Embeddings, whose they are, and the people's names."""
    model = open_model(model_name, choose_runtime("cpu"))
    crops, labels = [], []
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    for label, person in enumerate(people):
        for path in sorted(person.iterdir()):
            with Image.open(path) as image:
                crops.append(np.asarray(image.convert("RGB")))
            labels.append(label)
    return model.embed(np.stack(crops)), np.array(labels, dtype=np.int64), [person.name for person in people]


def well_labelled(vectors: Vectors, labels: Labels) -> NDArray[np.bool_]:
    """Which crops are nearer to their own folder than to any other, and near enough."""
    sums = np.stack([vectors[labels == label].sum(axis=0) for label in range(labels.max() + 1)])
    others = sums[labels] - vectors
    own = (vectors * others).sum(axis=1) / np.linalg.norm(others, axis=1)
    elsewhere = vectors @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T
    elsewhere[np.arange(len(labels)), labels] = -1
    good: NDArray[np.bool_] = (own >= LEAST_OWN) & (own >= elsewhere.max(axis=1))
    return good


def rates(vectors: Vectors, labels: Labels, photos: int, rng: np.random.Generator) -> tuple[Floats, Floats, int]:
    """For templates of so many photos: false-match rates [person, other, grid], true-match rates [person, grid].

    And how many comparisons of different people they rest on.
    """
    people = int(labels.max()) + 1
    false_rates, true_rates = np.full((people, people, len(GRID)), np.nan), np.zeros((people, len(GRID)))
    compared = 0
    for person in range(people):
        own = np.flatnonzero(labels == person)
        if photos == 1:
            chosen = own[:, None]
        else:
            chosen = np.stack([rng.choice(own, photos, replace=False) for _ in range(TEMPLATES)])
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
                compared += len(impostors)
    return false_rates, true_rates, compared


def _share_from(scores: Vectors) -> Floats:
    """The share of scores at or above each similarity of the grid."""
    ordered = np.sort(scores)
    share: Floats = 1 - np.searchsorted(ordered, GRID - 1e-9) / len(ordered)
    return share


def continued(curve: Floats, least: float) -> Floats:
    """The curve in log10 down to the rate `least`, and from there along the line of its last decade."""
    logs = np.log10(np.maximum(curve, 1e-300))
    last = int(np.flatnonzero(curve >= least)[-1])
    decade = np.flatnonzero((logs <= logs[last] + 1) & (np.arange(len(logs)) <= last))
    if len(decade) < 3:
        decade = np.arange(max(0, last - 2), last + 1)
    slope = np.polyfit(GRID[decade], logs[decade], 1)[0]
    extended = logs.copy()
    extended[last + 1 :] = logs[last] + slope * (GRID[last + 1 :] - GRID[last])
    return extended


def table(vectors: Vectors, labels: Labels, photos: int) -> dict[str, Any]:
    """The curves for templates of so many photos, with intervals, as plain lists over the grid."""
    rng = np.random.default_rng(photos)
    false_rates, true_rates, compared = rates(vectors, labels, photos, rng)
    least = SUPPORTED / compared
    mean = continued(np.nanmean(false_rates, axis=(0, 1)), least)
    people = len(true_rates)
    drawn: list[Floats] = []
    while len(drawn) < DRAWS:
        chosen = rng.choice(people, people)
        if len(set(chosen.tolist())) < 2:
            continue  # one person alone is nobody's impostor
        drawn.append(continued(np.nanmean(false_rates[np.ix_(chosen, chosen)], axis=(0, 1)), least))
    low, high = np.percentile(np.stack(drawn), (5, 95), axis=0)
    worst = continued(np.nanmax(false_rates, axis=(0, 1)), least)
    return {
        "photos": photos,
        "measured_to": round(float(np.log10(least)), 2),
        "log10_fmr": mean.round(3).tolist(),
        "log10_fmr_low": low.round(3).tolist(),
        "log10_fmr_high": high.round(3).tolist(),
        "log10_fmr_worst_pair": worst.round(3).tolist(),
        "tmr": true_rates.mean(axis=0).round(4).tolist(),
        "tmr_worst_person": true_rates.min(axis=0).round(4).tolist(),
    }


def main(folder: Path, model_name: str, output: Path | None) -> dict[str, Any]:
    vectors, labels, people = embedded_crops(folder, model_name)
    good = well_labelled(vectors, labels)
    vectors, labels = vectors[good], labels[good]
    print(f"{len(good):,} crops of {len(people)} people, {int((~good).sum())} left out as wrongly labelled")
    result = {
        "model": model_name,
        "people": len(people),
        "crops": int(good.sum()),
        "left_out": int((~good).sum()),
        "similarity": GRID.tolist(),
        "templates": [table(vectors, labels, photos) for photos in PHOTOS],
    }
    print("| photos | FMR | similarity | 5 to 95 % of FMR | worst pair | TMR | worst person |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for entry in result["templates"]:
        logs = np.array(entry["log10_fmr"])
        for rate in (-2, -3, -4, -5, -6, -7):
            if logs[-1] > rate:
                continue
            at = int(np.flatnonzero(logs <= rate)[0])
            low, high, worst = (10 ** entry[f"log10_fmr_{kind}"][at] for kind in ("low", "high", "worst_pair"))
            extrapolated = " (extrapolated)" if rate < entry["measured_to"] else ""
            print(
                f"| {entry['photos']} | 1e{rate}{extrapolated} | {GRID[at]:.2f} | {low:.0e} to {high:.0e} "
                f"| {worst:.0e} | {entry['tmr'][at]:.3f} | {entry['tmr_worst_person'][at]:.3f} |"
            )
    if output is not None:
        output.write_text(json.dumps(result) + "\n")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    main(arguments.crops, arguments.model, arguments.output)
