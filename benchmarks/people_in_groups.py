"""Count the people found in group photos, with a single portrait and with the mean of three.

    python benchmarks/people_in_groups.py FOLDER

FOLDER has `portraits/PERSON/*`, `groups/*` and `groups/who.json`, which lists the `people` in each group photo. A
portrait finds a person in a group photo if that photo is a hit. The hit is wrong if the person is not in the photo.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facesearch.galleries.local import LocalGallery
from facesearch.index.store import Store
from facesearch.indexing.refresh import refresh
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.search.engine import Want, find
from facesearch.search.probes import Probe, probe_faces
from facesearch.types import Face

THRESHOLDS = (0.47, 0.41)
TEMPLATE = 3


def main(folder: Path) -> dict[str, dict[str, list[int]]]:
    who = json.loads((folder / "groups/who.json").read_text())
    model = open_model("embedded", choose_runtime())
    portraits: dict[str, list[Probe]] = {}
    for path in sorted((folder / "portraits").glob("*/*")):
        portraits.setdefault(path.parent.name, []).append(probe_faces(model, str(path))[0])
    templates = {
        person: [_mean(part) for part in itertools.combinations(probes, TEMPLATE)]
        for person, probes in portraits.items()
    }
    table: dict[str, dict[str, list[int]]] = {}
    wrong = [0] * (2 * len(THRESHOLDS))
    with Store.memory(model.info) as store:
        refresh(store, model, [folder / "groups"])
        for person, alone in portraits.items():
            for column, (probes, threshold) in enumerate(itertools.product((alone, templates[person]), THRESHOLDS)):
                for probe in probes:
                    hits = find(LocalGallery(store), probe, Want(threshold=threshold)).hits
                    for photo in {os.path.basename(os.fsdecode(hit.face.path)) for hit in hits}:
                        if person in who[photo]["people"]:
                            row = table.setdefault(photo, {}).setdefault(person, [0] * len(wrong))
                            row[column] += 1
                        else:
                            wrong[column] += 1
    for photo, truth in who.items():
        for person in truth["people"]:
            table.setdefault(photo, {}).setdefault(person, [0] * len(wrong))
    _show(table, wrong, len(next(iter(portraits.values()))), len(next(iter(templates.values()))))
    return table


def _mean(probes: Sequence[Probe]) -> Probe:
    embedding = np.mean([probe.face.embedding for probe in probes], axis=0)
    face = Face(probes[0].face.detection, (embedding / np.linalg.norm(embedding)).astype(np.float32))
    return Probe(probes[0].path, 1, 1, face)


def _show(table: dict[str, dict[str, list[int]]], wrong: list[int], alone: int, templates: int) -> None:
    outof = [alone] * len(THRESHOLDS) + [templates] * len(THRESHOLDS)
    kinds = ("one portrait", f"template of {TEMPLATE}")
    heads = [f"{kind} at {threshold}" for kind in kinds for threshold in THRESHOLDS]
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
