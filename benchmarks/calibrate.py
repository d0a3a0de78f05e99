"""Measure a calibration on labelled crops: a model's false-match and true-match rates by similarity.

    python benchmarks/calibrate.py CROPS [--output TABLE.json]

CROPS has one folder per person, with aligned crops of 112 x 112 pixels. facesearch/evaluation/fit.py explains how
labels are cleaned, rates measured and tails extrapolated. This script made the table that the package ships.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.evaluation.fit import labelled_faces, measured
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime


def faces_in_crops(folder: Path, model: FaceModel) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """As `embedded_crops`, but the crops are detected and aligned again, as photos; some have no face."""
    found = labelled_faces(folder, model)
    print(f"{len(found.labels):,} faces found, {len(found.left_out):,} crops without one")
    return found.vectors, found.labels, found.people


def embedded_crops(
    folder: Path, model: FaceModel, *, mirrored: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Return the embeddings, the person's number for each, and the people's names."""
    crops, labels = [], []
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    for label, person in enumerate(people):
        for path in sorted(person.iterdir()):
            with Image.open(path) as image:
                crops.append(np.asarray(image.convert("RGB")))
            labels.append(label)
    pictures = np.stack(crops)[:, :, ::-1] if mirrored else np.stack(crops)
    return (
        model.embed(np.ascontiguousarray(pictures)),
        np.array(labels, dtype=np.int64),
        [person.name for person in people],
    )


def main(folder: Path, model_name: str, output: Path | None) -> dict[str, Any]:
    model = open_model(model_name, choose_runtime("cpu"))
    vectors, labels, _people = embedded_crops(folder, model)
    result = measured(vectors, labels, model.info)
    print(f"{result['faces']:,} crops of {result['people']} people, {result['left_out']} omitted as wrongly labelled")
    print("| photos | FMR | similarity | 5 to 95 % of FMR | worst pair | TMR | worst person |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for curve in result["curves"]:
        logs = np.array(curve["log10_fmr"])
        for rate in (-2, -3, -4, -5, -6, -7):
            if logs[-1] > rate:
                continue
            at = int(np.flatnonzero(logs <= rate)[0])
            low, high, worst = (10 ** curve[f"log10_fmr_{kind}"][at] for kind in ("low", "high", "worst_pair"))
            extrapolated = " (extrapolated)" if rate < curve["measured_to"] else ""
            print(
                f"| {curve['photos']} | 1e{rate}{extrapolated} | {result['similarity'][at]:.2f} "
                f"| {low:.0e} to {high:.0e} | {worst:.0e} | {curve['tmr'][at]:.3f} "
                f"| {curve['tmr_worst_person'][at]:.3f} |"
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
