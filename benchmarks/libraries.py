"""Libraries of many people, made from the faces of a few, and what a grouping of them is worth.

A real person's embeddings are split into their part along the mean of all faces and the rest. A new person gets the
rests of a real one, turned by one random rotation: new people are then as similar to one another as strangers are (with
17 real people a mean of 0.08 and a deviation of 0.09), and their photos vary as those of the real person do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from calibrate import faces_in_photos
from numpy.typing import NDArray

from facesearch.evaluation.fit import well_labelled
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.types import ModelInfo

__all__ = ["Library", "Scores", "few", "five_each", "load", "many", "of_size", "scores", "split"]

TUNED_ON = (0, 3, 4, 6, 8, 9, 12, 14, 16)
"""The places of the people, in the order of their names, on which grouping was tuned; it is reported on the others."""

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


class Library(NamedTuple):
    """Faces, float32[n, dim], and the person of each, int64[n]; and the mean of all known faces, float32[dim]."""

    vectors: Vectors
    people: Labels
    mean: Vectors


class Scores(NamedTuple):
    """What a grouping is worth: over pairs of faces, and over faces (B-cubed). `absorbed` is explained in `scores`."""

    pairs: float
    pair_precision: float
    pair_recall: float
    faces: float
    face_precision: float
    face_recall: float
    groups: int
    absorbed: float
    absorbed_by_several: float


def load(folder: Path, kept: Path | None = None) -> tuple[Library, ModelInfo]:
    """Return the faces of labelled photos, without wrongly labelled ones; `kept` is a file that stores them."""
    runtime = choose_runtime("cpu")
    model = open_model("embedded", runtime.shared_by(runtime.threads))
    if kept is not None and kept.exists():
        stored = np.load(kept)
        return _library(stored["vectors"], stored["people"]), model.info
    vectors, labels, _ = faces_in_photos(folder, model)
    good = well_labelled(vectors, labels)
    library = _library(vectors[good], labels[good])
    if kept is not None:
        np.savez(kept, vectors=library.vectors, people=library.people)
    return library, model.info


def _library(vectors: Vectors, people: Labels) -> Library:
    mean = vectors.mean(axis=0)
    return Library(vectors, people, mean / np.linalg.norm(mean))


def split(library: Library) -> tuple[Library, Library]:
    """Return the people that grouping was tuned on, and the others; of very few people, all of them twice."""
    if len(np.unique(library.people)) < len(TUNED_ON):
        return library, library
    tuned = np.isin(library.people, TUNED_ON)
    return few(library, tuned), few(library, ~tuned)


def few(library: Library, chosen: NDArray[np.bool_] | Labels) -> Library:
    """Return some faces of a library: those marked, or those with the given numbers."""
    return Library(library.vectors[chosen], library.people[chosen], library.mean)


def many(library: Library, people: int, seed: int, most: int = 400) -> Library:
    """Return a library of many people: most are seen once or twice, some very often (Pareto)."""
    sizes = np.minimum(np.ceil(np.random.default_rng(seed).pareto(0.8, people)), most).astype(int)
    return _made(library, sizes.tolist(), seed)


def five_each(library: Library, people: int, seed: int) -> Library:
    """Return a library of many people with five photos each."""
    return _made(library, [5] * people, seed)


def of_size(library: Library, faces: int, seed: int, most: int = 200) -> Library:
    """Return a library with this number of faces, of many people, in random order."""
    made = many(library, max(100, faces // 9), seed, most)
    made = few(made, np.random.default_rng(3).permutation(len(made.vectors))[:faces])
    while len(made.vectors) < faces:
        extra = many(library, max(100, faces // 20), len(made.vectors), most)
        made = Library(
            np.concatenate([made.vectors, extra.vectors])[:faces],
            np.concatenate([made.people, extra.people + made.people.max() + 1])[:faces],
            made.mean,
        )
    return made


def _made(library: Library, sizes: Sequence[int], seed: int) -> Library:
    rng = np.random.default_rng([seed, 1])
    real = [library.vectors[library.people == person] for person in np.unique(library.people)]
    mean, dim = library.mean, len(library.mean)
    basis = np.linalg.qr(np.concatenate([mean[:, None], rng.standard_normal((dim, dim - 1))], axis=1))[0][:, 1:]
    made, people = [], []
    for number, size in enumerate(sizes):
        faces = real[rng.integers(len(real))]
        faces = faces[rng.permutation(len(faces))[:size]]
        turned, triangle = np.linalg.qr(rng.standard_normal((dim - 1, dim - 1)))
        rest = faces @ basis @ (turned * np.sign(np.diag(triangle)))
        made.append((faces @ mean)[:, None] * mean + rest @ basis.T)
        people += [number] * len(faces)
    vectors = np.concatenate(made)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Library(vectors.astype(np.float32), np.array(people, dtype=np.int64), mean)


def scores(people: Labels, groups: Labels) -> Scores:
    """Score groups against people; a face in a group of its own has a number of its own.

    `absorbed` is the share of people seen once who are in a group with anybody else, `absorbed_by_several` the share in
    a group of two or more others.
    """
    _, people = np.unique(people, return_inverse=True)
    _, groups = np.unique(groups, return_inverse=True)
    cells, together = np.unique(people * (groups.max() + 1) + groups, return_counts=True)
    of_people, of_groups = np.bincount(people), np.bincount(groups)
    person, group = cells // (groups.max() + 1), cells % (groups.max() + 1)
    pairs = _pairs(together)
    precision, recall = pairs / max(_pairs(of_groups), 1), pairs / max(_pairs(of_people), 1)
    face_precision = float((together**2 / of_groups[group]).sum() / len(people))
    face_recall = float((together**2 / of_people[person]).sum() / len(people))
    beside = of_groups[groups[of_people[people] == 1]] - 1
    return Scores(
        _f(precision, recall), precision, recall, _f(face_precision, face_recall), face_precision, face_recall,
        len(of_groups), _share(beside >= 1), _share(beside > 1),
    )  # fmt: skip


def _pairs(counts: Labels) -> float:
    return float((counts * (counts - 1.0) / 2).sum())


def _f(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _share(marks: NDArray[np.bool_]) -> float:
    return float(marks.mean()) if len(marks) else float("nan")
