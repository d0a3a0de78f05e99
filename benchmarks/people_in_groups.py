"""Count the people found in group photos, with a single portrait and with the mean of three.

    python benchmarks/people_in_groups.py FOLDER [--revision N ...]

FOLDER has `portraits/PERSON/*`, `groups/*` and `groups/who.json`, which lists the `people` in each group photo. A
portrait finds a person in a group photo if that photo is a hit. The hit is wrong if the person is not in the photo.
The thresholds are those of the model's calibration at false-match rates of 1e-4 (the default) and 1e-3. The last line
counts the photos of a person that are more similar than every photo without the person is to anybody.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facesearch.calibration.storage import calibration_of
from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.indexing.refresh import refresh
from facesearch.models.framing import LATEST_REVISION
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.search.engine import Want, find
from facesearch.search.probes import Probe, probe_faces
from facesearch.types import Face

TEMPLATE = 3


def main(folder: Path, revision: int = LATEST_REVISION) -> dict[str, dict[str, list[int]]]:
    who = json.loads((folder / "groups/who.json").read_text())
    model = open_model("embedded", choose_runtime(), revision)
    thresholds = (model.info.threshold, round(calibration_of(model.info).similarity_at(1e-3), 2))
    print(f"\nrevision {revision}\n")
    portraits: dict[str, list[Probe]] = {}
    for path in sorted((folder / "portraits").glob("*/*")):
        portraits.setdefault(path.parent.name, []).append(probe_faces(model, str(path))[0])
    templates = {
        person: [_mean(part) for part in itertools.combinations(probes, TEMPLATE)]
        for person, probes in portraits.items()
    }
    table: dict[str, dict[str, list[int]]] = {}
    wrong = [0] * (2 * len(thresholds))
    similarities: dict[bool, list[list[float]]] = {right: [[] for _ in wrong] for right in (True, False)}
    with Store.memory(model.info) as store:
        refresh(store, model, [folder / "groups"])
        for person, alone in portraits.items():
            for column, (probes, threshold) in enumerate(itertools.product((alone, templates[person]), thresholds)):
                for probe in probes:
                    best: dict[str, float] = {}
                    for hit in find(LocalGallery(store), probe, Want(threshold=-1.0)).hits:
                        best.setdefault(os.path.basename(os.fsdecode(hit.face.path)), hit.similarity)
                    for photo, similarity in best.items():
                        right = person in who[photo]["people"]
                        similarities[right][column].append(similarity)
                        if similarity < threshold:
                            continue
                        if right:
                            row = table.setdefault(photo, {}).setdefault(person, [0] * len(wrong))
                            row[column] += 1
                        else:
                            wrong[column] += 1
    for photo, truth in who.items():
        for person in truth["people"]:
            table.setdefault(photo, {}).setdefault(person, [0] * len(wrong))
    above = [
        sum(similarity > max(strange, default=-1.0) for similarity in right)
        for right, strange in zip(similarities[True], similarities[False], strict=True)
    ]
    _show(table, wrong, above, thresholds, (len(next(iter(portraits.values()))), len(next(iter(templates.values())))))
    return table


def _mean(probes: Sequence[Probe]) -> Probe:
    embedding = np.mean([probe.face.embedding for probe in probes], axis=0)
    face = Face(probes[0].face.detection, (embedding / np.linalg.norm(embedding)).astype(np.float32))
    return Probe(probes[0].path, 1, 1, face)


def _show(
    table: dict[str, dict[str, list[int]]],
    wrong: Sequence[int],
    above: Sequence[int],
    thresholds: Sequence[float],
    counts: tuple[int, int],
) -> None:
    """Print the table; `counts` are the numbers of single portraits and of templates per person."""
    outof = [count for count in counts for _ in thresholds]
    kinds = ("one portrait", f"template of {TEMPLATE}")
    heads = [f"{kind} at {threshold}" for kind in kinds for threshold in thresholds]
    print("| photo | person |", " | ".join(heads), "|")
    print("| --- | --- |", " | ".join(["---:"] * len(heads)), "|")
    sums = [0] * len(heads)
    rows = 0
    for photo in sorted(table):
        for person, found in sorted(table[photo].items()):
            rows += 1
            sums = [total + count for total, count in zip(sums, found, strict=True)]
            cells = " | ".join(f"{count} of {most}" for count, most in zip(found, outof, strict=True))
            print(f"| {photo} | {person} | {cells} |")
    cells = " | ".join(f"{total} of {rows * most}" for total, most in zip(sums, outof, strict=True))
    print(f"| all | | {cells} |")
    print("| wrong hits | |", " | ".join(map(str, wrong)), "|")
    print("| above every wrong photo | |", " | ".join(map(str, above)), "|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--revision", type=int, nargs="+", default=[LATEST_REVISION])
    arguments = parser.parse_args()
    for number in arguments.revision:
        main(arguments.folder, number)
