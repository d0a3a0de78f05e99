"""What a calibration on the named people of an index changes: verdicts that are right and wrong, for other people.

    python benchmarks/own_calibration.py FOLDER

FOLDER has one subfolder of photos per person. In each round twelve people are named, after grouping; the model is
measured on them as `facesearch models calibrate --from-people` does. Then each of the others is asked for with single
photos, and the verdicts of the hits by face are counted: with the table of the package, and with that of the index.
The package's table may have been measured on some of these people: then it has an advantage.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from libraries import Library, load
from people import QUESTIONS, probe_of, store_of

from facesearch.api.measure import calibrate_from_people
from facesearch.calibration.storage import calibration_of
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.people.regroup import regroup
from facesearch.people.saying import say
from facesearch.people.statements import Kind
from facesearch.search.engine import Want, find_all
from facesearch.types import Verdict

NAMED, ROUNDS = 12, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    real, info = load(arguments.folder, arguments.keep)
    everybody = np.unique(real.people)
    told: dict[str, Counter[tuple[Verdict, bool]]] = {"package": Counter(), "index": Counter()}
    for number in range(arguments.rounds):
        named = np.random.default_rng(number).permutation(everybody)[: min(NAMED, len(everybody) - 1)]
        with store_of(real.vectors, info) as store:
            regroup(store)
            name(store, real, named)
            calibrate_from_people(store)
            asked = [person for person in everybody if person not in named]
            for kind, own in (("package", None), ("index", store.catalog.meta.calibration())):
                for person in asked:
                    told[kind] += verdicts(store, real, int(person), own)
    print("| table | " + " | ".join(f"{verdict}: hits, right" for verdict in Verdict) + " |")
    print("| --- |" + " ---: |" * len(Verdict))
    for kind, counts in told.items():
        cells = []
        for verdict in Verdict:
            right, wrong = counts[verdict, True], counts[verdict, False]
            cells.append(f"{right + wrong:,}, {right / max(1, right + wrong):.2%}")
        print(f"| {kind} | {' | '.join(cells)} |")


def name(store: Store, real: Library, people: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    """Name the largest group of each of these people, as a user would who looks at it."""
    faces = {row.face: row for part in store.catalog.people.face_rows() for row in part}
    groups: dict[int, Counter[int]] = {}
    for face, row in faces.items():
        if row.person:
            groups.setdefault(row.person, Counter())[int(real.people[face - 1])] += 1
    for person in people.tolist():
        number = max(groups, key=lambda group: groups[group][person])
        with store.catalog.transaction():
            mine = store.catalog.people.faces_of(number)
            say(store.catalog, Kind.name, person=number, value=f"person {person}", faces=mine)


def verdicts(store: Store, real: Library, person: int, own: str | None) -> Counter[tuple[Verdict, bool]]:
    """Ask for a person with single photos, each without itself; return how many hits of each verdict are right."""
    calibration = calibration_of(store.model, own)
    places = np.flatnonzero(real.people == person)
    chosen = np.random.default_rng(person).choice(places, min(QUESTIONS, len(places)), replace=False)
    want = Want(threshold=calibration.threshold - 0.1, all_faces=True)
    answers = find_all(LocalGallery(store), [probe_of(real.vectors[[place]]) for place in chosen], want, calibration)
    counts: Counter[tuple[Verdict, bool]] = Counter()
    for place, answer in zip(chosen.tolist(), answers, strict=True):
        for hit in answer.hits:
            if hit.face.face_id != place + 1 and hit.verdict is not None:
                counts[hit.verdict, bool(real.people[hit.face.face_id - 1] == person)] += 1
    return counts


if __name__ == "__main__":
    main()
