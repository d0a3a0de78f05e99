"""Measure a calibration on labelled photos: a model's false-match and true-match rates by similarity.

    python benchmarks/calibrate.py FOLDER [--revision N ...] [--output TABLE.json]

FOLDER has one folder per person. Its photos are treated as `facesearch index` treats them: faces are detected, aligned
and embedded. facesearch/evaluation/fit.py explains how labels are cleaned, rates measured and tails extrapolated. This
script made the tables of the package. With several revisions, each is measured on the same photos, one after the other;
the last one is written.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.evaluation.fit import labelled_faces, measured
from facesearch.models.framing import LATEST_REVISION
from facesearch.models.protocol import FaceModel
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime


def faces_in_photos(folder: Path, model: FaceModel) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Return the embeddings, the person's number for each, and the people's names; some photos may show no face."""
    found = labelled_faces(folder, model)
    print(f"{len(found.labels):,} faces found, {len(found.left_out):,} photos without one")
    return found.vectors, found.labels, found.people


def main(folder: Path, model_name: str, revisions: Sequence[int], output: Path | None) -> dict[str, Any]:
    """Measure the revisions; return the last table."""
    result: dict[str, Any] = {}
    runtime = choose_runtime("cpu")
    for revision in revisions:
        model = open_model(model_name, runtime.shared_by(runtime.threads), revision)
        vectors, labels, _people = faces_in_photos(folder, model)
        result = measured(vectors, labels, model.info)
        print(f"\nrevision {revision}: {result['faces']:,} faces of {result['people']} people, ", end="")
        print(f"{result['left_out']} omitted as wrongly labelled\n")
        _show(result)
    if output is not None:
        output.write_text(json.dumps(result) + "\n")
    return result


def _show(result: dict[str, Any]) -> None:
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
    print("\n| photos | people left out: threshold | found | worst person | FMR | worst person |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for told in result["people_left_out"]:
        print(
            f"| {told['photos']} | {' to '.join(map(str, told['similarity']))} | {told['tmr']:.1%} "
            f"| {told['tmr_worst_person']:.1%} | {told['fmr']:.0e} | {told['fmr_worst_person']:.0e} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--revision", type=int, nargs="+", default=[LATEST_REVISION])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.model, arguments.revision, arguments.output)
