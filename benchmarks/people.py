"""Measure grouping by person and answers through people.

    python benchmarks/people.py groups FOLDER     groups of three kinds of library, and what other methods make of them
    python benchmarks/people.py answers FOLDER    one photo and three, direct and through people
    python benchmarks/people.py nights FOLDER     a library that grows, and what new photos change in known groups
    python benchmarks/people.py speed FOLDER      time and memory, from scratch and for a night's new faces

FOLDER has one subfolder of photos per person. The first kind of library is some of these people, with many photos each.
The others are made from them (see `libraries`): 1,000 people of whom most are seen once or twice, and 3,000 people with
five photos each. Thresholds were chosen on one half of the people; figures are reported for the other half, with a
calibration that was measured on the first. `--keep FILE.npz` stores the embeddings for the next call.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from libraries import Labels, Library, Scores, Vectors, few, five_each, load, many, of_size, scores, split
from numpy.typing import NDArray

from facesearch.calibration.table import Calibration, read_calibration
from facesearch.evaluation.fit import measured
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.models.align import TEMPLATE
from facesearch.people.grouping import FaceSet, group_faces
from facesearch.people.regroup import regroup
from facesearch.search.engine import Want, find_all
from facesearch.search.probes import Probe
from facesearch.types import Box, Detection, Face, ModelInfo, PhotoFacts, PhotoFile, Verdict
from facesearch.vectors.neighbours import nearest_pairs

QUESTIONS, FEW = 40, 20
ASKED_PEOPLE = 1000
SEEDS = (11, 21, 31)
SIMILARITIES = tuple(round(0.36 + 0.03 * step, 2) for step in range(8))
SMALLEST_GROUPS = (2.0, 4.0, 8.0, 16.0)


PEOPLE = [1000, 3000]


def _kinds(real: Library, seed: int) -> Iterator[tuple[str, Library]]:
    often, five = PEOPLE
    yield "few people, many photos", real
    yield f"{often:,} people, most seen once or twice", many(real, often, seed)
    yield f"{five:,} people, five photos each", five_each(real, five, seed)


def groups(real: Library, info: ModelInfo, *, others: bool = True) -> None:
    """Print what groups are worth, on the people tuned on and on the others, and what other methods reach."""
    tuned, reported = split(real)
    calibration = read_calibration(measured(tuned.vectors, np.unique(tuned.people, return_inverse=True)[1], info))
    for title, part in (("people tuned on", tuned), ("people reported on", reported)):
        print(f"\n{title}\n")
        print("| library | F of pairs | precision | recall | B-cubed F | precision | recall | groups "
              "| strangers absorbed | by several |")  # fmt: skip
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for kind in range(3):
            found = []
            for seed in SEEDS[: 1 if kind == 0 else None]:
                name, library = list(_kinds(part, seed))[kind]
                found.append(scores(library.people, _own(library, calibration)))
            _row(name, found)
    if others:
        print("\nother methods on the people reported on, each at its best setting for the library\n")
        print("| method | library | setting | F of pairs | B-cubed F | strangers absorbed |")
        print("| --- | --- | ---: | ---: | ---: | ---: |")
        for name, library in _kinds(reported, SEEDS[0]):
            for method, (function, settings) in METHODS.items():
                tried = [(setting, scores(library.people, function(library.vectors, setting))) for setting in settings]
                setting, best = max(tried, key=lambda one: one[1].pairs)
                absorbed = f"{best.absorbed:.1%}".replace("nan%", "")
                print(
                    f"| {method} | {name} | {setting:g} | {best.pairs:.3f} | {best.faces:.3f} | {absorbed} |",
                    flush=True,
                )


def _row(name: str, found: Sequence[Scores]) -> None:
    mean = Scores(*np.mean(np.array(found), axis=0))
    print(
        f"| {name} | {mean.pairs:.4f} | {mean.pair_precision:.4f} | {mean.pair_recall:.4f} | {mean.faces:.4f} "
        f"| {mean.face_precision:.4f} | {mean.face_recall:.4f} | {mean.groups:,.0f} | {mean.absorbed:.2%} "
        f"| {mean.absorbed_by_several:.2%} |".replace("nan%", "")
    )


def _own(library: Library, calibration: Calibration) -> Labels:
    count = len(library.vectors)
    no = np.zeros(count, dtype=np.bool_)
    faces = FaceSet(library.vectors, np.arange(count), np.zeros(count, dtype=np.int64), no, no, no, ~no)
    return _alone(group_faces(faces, calibration))


def _alone(groups: Labels) -> Labels:
    return np.where(groups < 0, len(groups) + np.arange(len(groups)), groups)


# Other methods, each with the similarity from which two faces are neighbours.


def _components(count: int, ones: Labels, others: Labels) -> Labels:
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    graph = coo_matrix((np.ones(len(ones)), (ones, others)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def connected(vectors: Vectors, least: float) -> Labels:
    """Connected components of neighbours."""
    near = nearest_pairs(vectors, vectors, 50, least, own=np.arange(len(vectors)))
    return _components(len(vectors), near.queries, near.rows)


def dbscan(vectors: Vectors, least: float) -> Labels:
    """DBSCAN with three neighbours, the way of two photo managers."""
    near = nearest_pairs(vectors, vectors, 50, least, own=np.arange(len(vectors)))
    core = np.bincount(near.queries, minlength=len(vectors)) >= 2  # the face itself is the third
    inner = core[near.queries] & core[near.rows]
    found = _components(len(vectors), near.queries[inner], near.rows[inner])
    border = core[near.rows] & ~core[near.queries]
    for one, other in zip(near.queries[border][::-1], near.rows[border][::-1], strict=True):
        found[one] = found[other]
    return found


def whispers(vectors: Vectors, least: float) -> Labels:
    """Chinese whispers (Biemann 2006), the way of dlib."""
    near = nearest_pairs(vectors, vectors, 50, least, own=np.arange(len(vectors)))
    beside: dict[int, dict[int, float]] = defaultdict(dict)
    for one, other, similarity in zip(near.queries.tolist(), near.rows.tolist(), near.similarity.tolist(), strict=True):
        beside[one][other] = beside[other][one] = similarity
    found = np.arange(len(vectors))
    rng = np.random.default_rng(0)
    for _ in range(20):
        for one in rng.permutation(len(vectors)).tolist():
            votes: dict[int, float] = defaultdict(float)
            for other, similarity in beside[one].items():
                votes[int(found[other])] += similarity
            if votes:
                found[one] = max(votes, key=lambda group: (votes[group], -group))
    return found


def hdbscan(vectors: Vectors, smallest: float) -> Labels:
    """HDBSCAN, which has no threshold; `smallest` is the size of the smallest group. Needs scikit-learn."""
    from sklearn.cluster import HDBSCAN

    found = HDBSCAN(min_cluster_size=int(smallest), min_samples=2, n_jobs=2, copy=True).fit_predict(vectors)
    return _alone(found.astype(np.int64))


METHODS: Mapping[str, tuple[Callable[[Vectors, float], Labels], tuple[float, ...]]] = {
    "DBSCAN, 3 neighbours": (dbscan, SIMILARITIES),
    "connected components": (connected, SIMILARITIES),
    "Chinese whispers": (whispers, SIMILARITIES[1::2]),
    "HDBSCAN": (hdbscan, SMALLEST_GROUPS),
}


# Answers.


def answers(real: Library, info: ModelInfo) -> None:
    """Print recall, false hits and the certainty of strong hits, direct and through people."""
    tuned, reported = split(real)
    table = read_calibration(measured(tuned.vectors, np.unique(tuned.people, return_inverse=True)[1], info))
    print("| library | photos | way | recall | worst person | false hits | strong right | worst person "
          "| person found | wrong person |")  # fmt: skip
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, library in _kinds(reported, SEEDS[0]):
        for size in (1, 3):
            asked = _questions(library, size)
            if not asked:
                continue
            _answered(name, library, asked, size, info, table)


def _questions(library: Library, size: int) -> list[NDArray[np.int64]]:
    """Return rows of photos to ask with: some questions per person, all of people who have other photos left."""
    rng = np.random.default_rng(5)
    people, counts = np.unique(library.people, return_counts=True)
    most = QUESTIONS if len(people) < FEW else 1
    asked = []
    for place in rng.permutation(np.flatnonzero(counts > size))[:ASKED_PEOPLE]:
        rows = rng.permutation(np.flatnonzero(library.people == people[place]))
        each = min(most, max(1, len(rows) // (2 * size)))  # half of the photos stay to be found
        asked += [rows[start * size : (start + 1) * size] for start in range(each)]
    return asked


def _answered(
    name: str,
    library: Library,
    asked: Sequence[NDArray[np.int64]],
    size: int,
    info: ModelInfo,
    table: Calibration,
) -> None:
    kept = np.ones(len(library.vectors), dtype=np.bool_)
    kept[np.concatenate(asked)] = False
    there = few(library, kept)
    with store_of(there.vectors, info) as store:
        regroup(store, calibration=table)
        gallery = LocalGallery(store)
        for way in ("direct", "through people"):
            want = Want(threshold=info.threshold, people=way != "direct", counted=info.threshold)
            found: dict[int, list[tuple[float, ...]]] = defaultdict(list)
            probes = [probe_of(library.vectors[rows]) for rows in asked]
            for rows, answer in zip(asked, find_all(gallery, probes, want, table), strict=True):
                person = int(library.people[rows[0]])
                hits = [
                    hit for hit in answer.hits if hit.counts(info.threshold) and hit.verdict is not Verdict.unlikely
                ]
                right = [there.people[int(hit.path[1:])] == person for hit in hits]
                strong = [one for one, hit in zip(right, hits, strict=True) if hit.verdict is Verdict.strong]
                members = there.people[[int(hit.path[1:]) for hit in hits if hit.via == "person"]]
                wrong = len(members) and np.bincount(members).argmax() != person
                found[person].append(
                    (
                        sum(right) / int((there.people == person).sum()), len(right) - sum(right), sum(strong),
                        len(strong), answer.person is not None, bool(wrong),
                    )
                )  # fmt: skip
            people = np.array([np.mean(told, axis=0) for told in found.values()])
            sure = people[:, 2].sum() / max(people[:, 3].sum(), 1e-9)
            worst = min((one[2] / one[3] for one in people if one[3] > 0), default=float("nan"))
            print(
                f"| {name} | {size} | {way} | {people[:, 0].mean():.1%} | {people[:, 0].min():.1%} "
                f"| {people[:, 1].mean():.3f} | {sure:.2%} | {worst:.1%} | {people[:, 4].mean():.1%} "
                f"| {people[:, 5].mean():.1%} |",
                flush=True,
            )


def probe_of(vectors: Vectors) -> Probe:
    mean = vectors.sum(axis=0)
    face = Face(Detection(Box(0, 0, 112, 112), TEMPLATE.astype(np.float32), 0.9), mean / np.linalg.norm(mean))
    first = Probe("", 1, 1, face)
    return Probe("", 1, 1, face, others=(first,) * (len(vectors) - 1))


def store_of(vectors: Vectors, info: ModelInfo) -> Store:
    """Make a store with one photo per face, named by its number."""
    store = Store.memory(info)
    add_faces(store, vectors, 0)
    return store


def add_faces(store: Store, vectors: Vectors, start: int) -> None:
    """Add one photo per face; the first is named by the number `start`."""
    detection = Detection(Box(0, 0, 112, 112), TEMPLATE.astype(np.float32), 0.9)
    with store.transaction():
        roots = store.catalog.roots.all()
        root = roots[0] if roots else store.catalog.roots.add(b"/")
        for number, vector in enumerate(vectors, start=start):
            file = PhotoFile(b"%d" % number, 1, 0)
            photo = store.catalog.photos.put(root.id, file, None, "faces", facts=PhotoFacts(112, 112))
            store.catalog.faces.replace(photo, [Face(detection, vector)])


# A library that grows.


def nights(real: Library, info: ModelInfo) -> None:
    """Print what groups are worth when faces come a few at a time, and what new ones change in known groups."""
    tuned, reported = split(real)
    table = read_calibration(measured(tuned.vectors, np.unique(tuned.people, return_inverse=True)[1], info))
    print("| library | nights | F of pairs | B-cubed F | strangers absorbed | 1 photo parts | joins "
          "| 1,000 photos part | join |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, in_order in _kinds(reported, SEEDS[0]):
        library = few(in_order, np.random.default_rng(7).permutation(len(in_order.vectors)))
        for steps in (1, 20):
            with Store.memory(info) as store:
                known = max(len(library.vectors) - 1001, len(library.vectors) // 2)
                parts = np.array_split(np.arange(known), steps)
                for part in parts:
                    add_faces(store, library.vectors[part], int(part[0]))
                    regroup(store, calibration=table)
                found = scores(library.people[:known], _groups_of(store, known))
                changed = []
                for more in (1, 1000):
                    before, start = _groups_of(store, known), store.catalog.vectors.count()
                    add_faces(store, library.vectors[start : start + more], start)
                    regroup(store, calibration=table)
                    changed.append(_mates_changed(before, _groups_of(store, known)))
            print(
                f"| {name} | {steps} | {found.pairs:.4f} | {found.faces:.4f} | {found.absorbed:.2%} "
                f"| {changed[0][0]:.3%} | {changed[0][1]:.3%} | {changed[1][0]:.3%} | {changed[1][1]:.3%} |".replace(
                    "nan%", ""
                ),
                flush=True,
            )


def _groups_of(store: Store, count: int) -> Labels:
    """Return the person of the first faces; one that is alone has a number of its own."""
    people = store.catalog.people.assigned()
    return np.array([people.get(face, -face) for face in range(1, count + 1)])


def _mates_changed(before: Labels, after: Labels) -> tuple[float, float]:
    """Return how many pairs of faces that were together are apart now, and how many new pairs are together.

    Both are shares of the pairs that were together.
    """
    _, before = np.unique(before, return_inverse=True)
    _, after = np.unique(after, return_inverse=True)
    _, both = np.unique(before * (after.max() + 1) + after, return_counts=True)
    kept, were, are = (float((n * (n - 1.0) / 2).sum()) for n in (both, np.bincount(before), np.bincount(after)))
    return (were - kept) / max(were, 1), (are - kept) / max(were, 1)


# Speed.


def speed(real: Library, info: ModelInfo, sizes: Sequence[int]) -> None:
    """Print the time and the memory of grouping."""
    _, reported = split(real)
    print("| faces | people | from scratch | 1,000 new | 10 new | nothing new | recall of neighbours | peak memory |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in sizes:
        library = of_size(reported, size + 1010, SEEDS[0])
        with store_of(library.vectors[:size], info) as store:
            times = [_timed(lambda: regroup(store))]
            for start, more in ((size, 1000), (size + 1000, 10)):
                add_faces(store, library.vectors[start : start + more], start)
                times.append(_timed(lambda: regroup(store)))
            times.append(_timed(lambda: regroup(store)))
        told = " | ".join(f"{seconds:.2f} s" for seconds in times)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        recall = _recall(few(library, np.arange(size)))
        print(f"| {size:,} | {len(np.unique(library.people)):,} | {told} | {recall:.1%} | {peak:.2f} GiB |", flush=True)


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _recall(library: Library) -> float:
    """Return the share of the true nearest neighbours of one person, of a sample of faces, that grouping finds."""
    vectors, people = library.vectors, library.people
    sample = np.random.default_rng(2).choice(len(vectors), min(len(vectors), 1000), replace=False)
    near = nearest_pairs(vectors, vectors, 50, 0.25, own=np.arange(len(vectors)))
    same = people[near.queries] == people[near.rows]
    found = np.bincount(near.queries[same], minlength=len(vectors))[sample].sum()
    true = 0
    for rows in np.array_split(sample, 20):
        similarity = vectors[rows] @ vectors.T
        similarity[np.arange(len(rows)), rows] = -1
        nearest = np.argpartition(-similarity, 49, axis=1)[:, :50]
        same = people[nearest] == people[rows][:, None]
        true += int((same & (np.take_along_axis(similarity, nearest, axis=1) >= 0.25)).sum())
    return float(found / max(true, 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["groups", "answers", "nights", "speed"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000], help="of `speed`")
    parser.add_argument("--no-others", action="store_true", help="omit other methods, of `groups`")
    parser.add_argument("--people", type=int, nargs=2, default=PEOPLE, help="of the second and the third library")
    arguments = parser.parse_args()
    PEOPLE[:] = arguments.people
    labelled, model = load(arguments.folder, arguments.keep)
    if arguments.what == "groups":
        groups(labelled, model, others=not arguments.no_others)
    elif arguments.what == "answers":
        answers(labelled, model)
    elif arguments.what == "nights":
        nights(labelled, model)
    else:
        speed(labelled, model, arguments.faces)
