"""Measure what is left of a person who was forgotten, what is taken from others, and who is left out afterwards.

    python benchmarks/forgetting.py FOLDER     all tables

FOLDER has one subfolder of photos per person. As in `people.py`, figures are for people that neither the thresholds nor
the calibration know, and for libraries made from them. In libraries with siblings every person has one: a share of the
mean of each is added to every face of the other. `--keep FILE.npz` stores the embeddings for the next call.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from libraries import Library, five_each, load, many, split
from people import store_of

from facesearch.calibration.table import Calibration, read_calibration
from facesearch.evaluation.fit import measured
from facesearch.indexing.leaving_out import LEFT_OUT_FMR, strict_similarity
from facesearch.models.geometry import unit_length
from facesearch.people.regroup import regroup
from facesearch.people.sweeping import Reach, sweep
from facesearch.types import ModelInfo

PEOPLE = [1000]
ASKED, SEED = 100, 11
SHARES = (0.0, 0.10, 0.15)
REACHES: tuple[tuple[Reach, str], ...] = (
    ("group", "only the group"),
    ("similar", "with the sweep"),
    ("everything", "everything similar"),
)
RATES = (1e-4, 1e-5, LEFT_OUT_FMR, 1e-7)


def with_siblings(library: Library, share: float) -> Library:
    """Return the library with every person made similar to another one."""
    if not share:
        return library
    people = np.unique(library.people)
    np.random.default_rng(1).shuffle(people)
    vectors = library.vectors.copy()
    means = {one: unit_length(library.vectors[library.people == one].mean(axis=0)) for one in people.tolist()}
    for one, other in zip(people[::2].tolist(), people[1::2].tolist(), strict=False):
        vectors[library.people == one] += np.float32(share) * means[other]
        vectors[library.people == other] += np.float32(share) * means[one]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Library(vectors.astype(np.float32), library.people, library.mean)


def siblings_similarity(library: Library, plain: Library) -> float:
    """Return the mean similarity of faces of two siblings."""
    people = np.unique(plain.people)
    np.random.default_rng(1).shuffle(people)
    people = people[: min(60, len(people) // 2 * 2)]
    pairs = zip(people[::2].tolist(), people[1::2].tolist(), strict=True)
    of = {one: library.vectors[library.people == one].mean(axis=0) for one in people.tolist()}
    return float(np.mean([of[one] @ of[other] for one, other in pairs]))


def _libraries(real: Library) -> Iterator[tuple[str, Library]]:
    for name, plain in (
        ("few people, many photos", real),
        (f"{PEOPLE[0]:,} people, most seen once or twice", many(real, PEOPLE[0], SEED)),
        (f"{PEOPLE[0]:,} people, five photos each", five_each(real, PEOPLE[0], SEED)),
    ):
        for share in SHARES:
            library = with_siblings(plain, share)
            told = f", siblings at {siblings_similarity(library, plain):.2f}" if share else ""
            yield f"{name}{told}", library


def _asked(library: Library, least: int) -> list[int]:
    people, counts = np.unique(library.people, return_counts=True)
    chosen = people[counts >= least]
    rng = np.random.default_rng(5)
    return sorted(rng.permutation(chosen)[:ASKED].tolist())


def forgotten(real: Library, info: ModelInfo, table: Calibration) -> None:
    """Print what is left of people who were forgotten, and what was taken from others."""
    print("| library | what is deleted | faces left | people with none left | taken from others | median | most |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, library in _libraries(real):
        with store_of(library.vectors, info) as store:
            regroup(store, calibration=table)
            assigned = store.catalog.people.assigned()
            groups = np.array([assigned.get(face, 0) for face in range(1, len(library.vectors) + 1)])
            told: dict[str, list[tuple[int, int, int]]] = {title: [] for _, title in REACHES}
            for person in _asked(library, 2):
                own = library.people == person
                known, counts = np.unique(groups[own & (groups > 0)], return_counts=True)
                if not len(known):
                    continue
                number = int(known[counts.argmax()])
                for reach, title in REACHES:
                    found = sweep(store, number, reach=reach, calibration=table)
                    rows = np.array([one.face.face_id - 1 for one in found.faces])
                    right = int(own[rows].sum())
                    told[title].append((int(own.sum()) - right, int(own.sum()), len(rows) - right))
        for title, rows_told in told.items():
            left, all_own, taken = np.array(rows_told).T
            print(
                f"| {name} | {title} | {left.sum() / all_own.sum():.2%} | {(left == 0).mean():.0%} "
                f"| {taken.mean():.1f} | {np.median(taken):.0f} | {taken.max()} |",
                flush=True,
            )


def left_out(real: Library, table: Calibration) -> None:
    """Print how many new faces of a person are left out, and how many of others, by the rate that is allowed."""
    print("\n| library | rate | new faces left out | worst person | of others, per template | most |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, library in _libraries(real):
        rng = np.random.default_rng(2)
        told: dict[float, list[tuple[float, int]]] = {rate: [] for rate in RATES}
        for person in _asked(library, 4):
            rows = rng.permutation(np.flatnonzero(library.people == person))
            known, new = rows[: len(rows) // 2], rows[len(rows) // 2 :]
            similar = library.vectors @ unit_length(library.vectors[known].sum(axis=0))
            for rate in RATES:
                least = strict_similarity(table, len(known), rate)
                others = int((similar[library.people != person] >= least).sum())
                told[rate].append((float((similar[new] >= least).mean()), others))
        for rate, rows_told in told.items():
            share, others_told = np.array(rows_told).T
            print(
                f"| {name} | {rate:.0e} | {share.mean():.1%} | {share.min():.0%} | {others_told.mean():.2f} "
                f"| {others_told.max():.0f} |",
                flush=True,
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--people", type=int, default=PEOPLE[0], help="of the made libraries")
    given = parser.parse_args(arguments)
    PEOPLE[:] = [given.people]
    labelled, info = load(given.folder, given.keep)
    tuned, reported = split(labelled)
    table = read_calibration(measured(tuned.vectors, np.unique(tuned.people, return_inverse=True)[1], info))
    forgotten(reported, info, table)
    left_out(reported, table)


if __name__ == "__main__":
    main()
