"""Measure how well face quality predicts the reliability of an embedding, and how often poor faces are confused.

    python benchmarks/quality.py CROPS [--crops 1600]

CROPS has one folder per person, with aligned crops of 112 x 112 pixels. Crops drawn at random are treated as photos, as
they are and blurred or shrunk in two of seven ways each: their faces are detected, aligned and embedded as usual. The
script prints the similarity to the person's mean by quality, its rank correlation, and how often faces of two people
reach a similarity, by the quality of the better face; because of these false matches, verdicts on poor faces are more
careful. Last, it prints what templates of three faces find among the untouched ones, as plain means and weighted by
quality.
"""

from __future__ import annotations

import argparse
import io
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facesearch.evaluation.fit import well_labelled
from facesearch.faces.extract import extract_faces
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo
from facesearch.settings import EMBEDDED_THRESHOLD
from facesearch.types import Face

WAYS = ("blur 1", "blur 2", "blur 3", "blur 4", "shrink 56", "shrink 40", "shrink 28")
STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.001)
LIMITS = (0.29, 0.35, EMBEDDED_THRESHOLD)
GOOD = 0.8
SEED = 5
DRAWN = 150
LEAST_WEIGHT = 0.1


def spoilt(image: Image.Image, way: str) -> Image.Image:
    """Return the picture blurred or shrunk; "as it is" leaves it unchanged."""
    name, _, amount = way.partition(" ")
    if name == "blur":
        return image.filter(ImageFilter.GaussianBlur(float(amount)))
    if name == "shrink":
        return image.resize((int(amount), int(amount)), Image.Resampling.BOX)
    return image


def largest_face(model: FaceModel, image: Image.Image) -> Face | None:
    """Return the largest face of a picture, extracted as from a query photo; None if it has no face."""
    data = io.BytesIO()
    image.save(data, "PNG")
    faces = extract_faces(model, Photo(data.getvalue()), thorough=True)
    return max(faces, key=lambda face: face.detection.box.area, default=None)


def main(folder: Path, count: int) -> dict[str, float]:
    runtime = choose_runtime("cpu")
    model = open_model("embedded", runtime.shared_by(runtime.threads))
    rng = np.random.default_rng(SEED)
    paths = [(person.name, path) for person in sorted(folder.iterdir()) for path in sorted(person.iterdir())]
    drawn = [paths[number] for number in rng.permutation(len(paths))[:count]]
    tasks = [(person, path, way) for person, path in drawn for way in ("as it is", *rng.choice(WAYS, 2, replace=False))]

    def look(task: tuple[str, Path, str]) -> Face | None:
        with Image.open(task[1]) as image:
            return largest_face(model, spoilt(image.convert("RGB"), task[2]))

    with ThreadPoolExecutor(runtime.threads) as pool:
        seen = list(pool.map(look, tasks))
    found = [(task, face) for task, face in zip(tasks, seen, strict=True) if face is not None]
    names = sorted({person for person, _ in drawn})
    labels = np.array([names.index(task[0]) for task, _ in found])
    vectors = np.stack([face.embedding for _, face in found])
    quality = np.array([face.quality or 0.0 for _, face in found])
    untouched = np.array([task[2] == "as it is" for task, _ in found])
    print(f"{len(found):,} faces in {len(tasks):,} pictures of {len(names)} people")
    crops = np.unique([str(task[1]) for task, _ in found], return_inverse=True)[1]
    return {
        **_reliance(vectors, labels, quality, untouched),
        **_look_alikes(vectors, labels, quality),
        **_templates(vectors, labels, quality, crops, untouched, rng),
    }


def _reliance(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], quality: NDArray[np.float64], untouched: NDArray[np.bool_]
) -> dict[str, float]:
    """Measure the similarity of faces to their person's mean, by quality."""
    good = untouched.copy()
    good[untouched] = well_labelled(vectors[untouched], labels[untouched])
    means = np.stack([vectors[good & (labels == label)].mean(axis=0) for label in range(labels.max() + 1)])
    genuine = (vectors * (means / np.linalg.norm(means, axis=1, keepdims=True))[labels]).sum(axis=1)
    print("\n| quality | faces | mean similarity to their person |\n| --- | ---: | ---: |")
    for low, high in pairwise(STEPS):
        inside = (quality >= low) & (quality < high)
        if inside.any():
            print(f"| {low:.1f} to {min(high, 1):.1f} | {inside.sum()} | {genuine[inside].mean():.2f} |")
    told = {
        "rank correlation": _rank_correlation(quality, genuine),
        "rank correlation, as they are": _rank_correlation(quality[untouched], genuine[untouched]),
    }
    print("\n" + "\n".join(f"{name}: {value:.2f}" for name, value in told.items()))
    return told


def _look_alikes(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], quality: NDArray[np.float64]
) -> dict[str, float]:
    """Measure how often faces of two people reach a similarity, by the quality of the better and of the worse face."""
    scores = vectors @ vectors.T
    strangers = labels[:, None] != labels
    better, worse = np.maximum.outer(quality, quality), np.minimum.outer(quality, quality)
    told = {}
    print("\n| quality | " + " | ".join(f"FMR at {limit}" for limit in LIMITS) + " |")
    print("| --- |" + " ---: |" * len(LIMITS))
    rows = [
        ("the better", better, strangers),
        (f"the worse, the other is over {GOOD}", worse, strangers & (better >= GOOD)),
    ]
    for name, number, among in rows:
        for low, high in pairwise(STEPS):
            chosen = scores[among & (number >= low) & (number < high)]
            if len(chosen):
                rates = [float((chosen >= limit).mean()) for limit in LIMITS]
                told[f"{name} {low}"] = rates[-1]
                print(f"| {name} {low:.1f} to {min(high, 1):.1f} | " + " | ".join(f"{r:.0e}" for r in rates) + " |")
    return told


def _templates(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    quality: NDArray[np.float64],
    crops: NDArray[np.int64],
    untouched: NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Measure the share of a person's untouched crops that templates of three faces find, at FMR 1e-4."""
    gallery, whose, source = vectors[untouched], labels[untouched], crops[untouched]
    weights = {"plain": np.ones(len(quality)), "weighted by quality": np.maximum(LEAST_WEIGHT, quality)}
    own: dict[str, list[NDArray[np.float32]]] = {name: [] for name in weights}
    others: dict[str, list[NDArray[np.float32]]] = {name: [] for name in weights}
    for label in range(int(labels.max()) + 1):
        faces = np.flatnonzero(labels == label)
        for _ in range(DRAWN if len(faces) >= 3 else 0):
            chosen = rng.choice(faces, 3, replace=False)
            fresh = ~np.isin(source, crops[chosen])
            for name, weight in weights.items():
                scores = gallery @ (vectors[chosen] * weight[chosen, None]).sum(axis=0)
                scores /= np.linalg.norm((vectors[chosen] * weight[chosen, None]).sum(axis=0))
                own[name].append(scores[fresh & (whose == label)])
                others[name].append(scores[whose != label])
    told = {}
    for name in weights:
        strangers = np.sort(np.concatenate(others[name]))
        limit = strangers[-max(1, round(len(strangers) * 1e-4))]
        told[f"template, {name}"] = float((np.concatenate(own[name]) >= limit).mean())
    print("\n" + "\n".join(f"{name}: {share:.1%} found at FMR 1e-4" for name, share in told.items()))
    return told


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation; ties are ranked by order."""
    return float(np.corrcoef(np.argsort(np.argsort(one)), np.argsort(np.argsort(other)))[0, 1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="CROPS")
    parser.add_argument("--crops", type=int, default=1600)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.crops)
