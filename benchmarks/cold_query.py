"""Where the time of one `facesearch query` goes, as a fresh process over 10,000 faces; medians.

    python benchmarks/cold_query.py PHOTO [RUNS [FACES]]

The faces are random directions: for the time of an exact search it does not matter what they are.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from facesearch.faces.model import model_info
from facesearch.store.store import Store
from facesearch.types import Box, Detection, Face, PhotoFile

STAGES = """
import time; start = time.perf_counter(); marks = []
def mark(name):
    global start
    now = time.perf_counter(); marks.append((name, now - start)); start = now
import sys, json
from pathlib import Path
from facesearch.cli import app
from facesearch.store.store import Store
from facesearch.searching import Want, find, probe_faces
from facesearch.finding import find_faces
from facesearch.photos.decode import Photo
mark("imports")
store = Store.open(Path(sys.argv[2])); mark("open the catalog")
from facesearch.faces.model import open_model
from facesearch.faces.runtime import choose_runtime
model = open_model("embedded", choose_runtime()); mark("load the model")
photo = Photo(Path(sys.argv[1]).read_bytes()); photo.pixels(1280); mark("decode")
faces = find_faces(model, photo, thorough=True); mark("detect and embed")
len(store); mark("open the vectors")
from facesearch.searching import Probe
find(store, Probe("", 1, 1, faces[0]), Want(top_k=20)); mark("search")
print(json.dumps(marks))
"""


def make_index(folder: Path, faces: int) -> None:
    info = model_info("embedded")
    vectors = np.random.default_rng(0).normal(size=(faces, info.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    landmarks = np.zeros((5, 2), dtype=np.float32)
    with Store.create(folder, info) as store:
        store.catalog.begin()
        root = store.catalog.add_root(b"/photos")
        for number, vector in enumerate(vectors):
            photo = store.catalog.put_photo(root.id, PhotoFile(b"%d.jpg" % number, 1, 1), None, "faces")
            store.catalog.replace_faces(photo, [Face(Detection(Box(0, 0, 90, 90), landmarks, 0.9), vector)])
        store.commit(vectors_changed=True)
        store.finish()


def main(photo: Path, runs: int = 9, faces: int = 10_000) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        make_index(index, faces)
        times: dict[str, list[float]] = {}
        for _run in range(runs + 1):
            started = time.perf_counter()
            command = [sys.executable, "-m", "facesearch", "query", str(photo), "--index", str(index), "-k", "20", "-q"]
            subprocess.run(command, check=False, capture_output=True)
            times.setdefault("whole process", []).append(time.perf_counter() - started)
            started = time.perf_counter()
            staged = subprocess.run(
                [sys.executable, "-c", STAGES, str(photo), str(index)], check=True, capture_output=True
            )
            whole = time.perf_counter() - started
            marks = json.loads(staged.stdout)
            for name, seconds in marks:
                times.setdefault(name, []).append(seconds)
            times.setdefault("start and end of Python", []).append(whole - sum(seconds for _, seconds in marks))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first warms the caches
    for name, seconds in medians.items():
        print(f"{name:<24} {seconds * 1000:7.0f} ms")
    return medians


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
