"""Measure where the time of one `facesearch query` goes, in a new process over 10,000 faces; medians.

    python benchmarks/cold_query.py PHOTO [RUNS [FACES]] [--json OUT.json]

The steps are those that `--timing` reports; the whole process is timed from outside, from start to end. The faces have
random embeddings, because an exact search takes the same time with any.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from facesearch.index.store import Store
from facesearch.models.resolve import model_info
from facesearch.types import Box, Detection, Face, PhotoFile

WHOLE, HELP = "whole process", "facesearch --help"


def make_index(folder: Path, faces: int) -> None:
    """Make an index with `faces` faces, one per photo; the photos do not exist."""
    info = model_info("embedded")
    vectors = np.random.default_rng(0).normal(size=(faces, info.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    landmarks = np.zeros((5, 2), dtype=np.float32)
    with Store.create(folder, info) as store:
        with store.transaction():
            root = store.catalog.roots.add(b"/photos")
            for number, vector in enumerate(vectors):
                photo = store.catalog.photos.put(root.id, PhotoFile(b"%d.jpg" % number, 1, 1), None, "faces")
                store.catalog.faces.replace(photo, [Face(Detection(Box(0, 0, 90, 90), landmarks, 0.9), vector)])
        store.finish()


def main(photo: Path, runs: int = 9, faces: int = 10_000, output: Path | None = None) -> dict[str, float]:
    facesearch = [sys.executable, "-m", "facesearch"]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        make_index(index, faces)
        times: dict[str, list[float]] = {}
        for _run in range(runs + 1):
            started = time.perf_counter()
            query = subprocess.run(
                [*facesearch, "query", str(photo), "--index", str(index), "-k", "20", "--timing", "-q"],
                check=False,
                capture_output=True,
                text=True,
            )
            times.setdefault(WHOLE, []).append(time.perf_counter() - started)
            for milliseconds, step in re.findall(r"([\d.]+) ms  (.+)", query.stderr):
                times.setdefault(step, []).append(float(milliseconds) / 1000)
            started = time.perf_counter()
            subprocess.run([*facesearch, "--help"], check=True, capture_output=True)
            times.setdefault(HELP, []).append(time.perf_counter() - started)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first run warms the caches
    for name, seconds in medians.items():
        print(f"{name:<36} {seconds * 1000:7.0f} ms")
    if output is not None:
        output.write_text(json.dumps(medians, indent=2) + "\n")
    return medians


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("runs", type=int, nargs="?", default=9)
    parser.add_argument("faces", type=int, nargs="?", default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    main(arguments.photo, arguments.runs, arguments.faces, arguments.json)
