"""Measure indexing runs in which little or nothing has changed; medians of five.

    python benchmarks/refresh.py [FILES [FACES]]

The first is over a folder of FILES (100,000) small JPEG files that are all known. The second adds ten new photos to an
index of FACES (1,000,000) faces. Their vectors are random: the benchmark measures reading and writing, not search.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from facesearch.index.store import Store
from facesearch.models.resolve import model_info
from facesearch.types import Box, Detection, Face, PhotoFile

RUNS = 5


def run(*arguments: str | Path) -> tuple[dict[str, float], float, int]:
    """Run `facesearch index`; return its report, the seconds of the run, and its peak memory in MiB."""
    code = (
        "import sys, time; start = time.perf_counter(); from facesearch.cli import _run; code = _run();"
        " seconds = time.perf_counter() - start; status = open('/proc/self/status').read();"
        " print(seconds, status.partition('VmHWM:')[2].split()[0], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "index", *map(str, arguments), "-q", "-f", "json"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = result.stderr.split()[-2:]
    return json.loads(result.stdout), float(seconds), int(memory) // 1024


def known_files(folder: Path, count: int) -> Path:
    """Write files in folders of a thousand, and an index that lists them all without having read them."""
    photos, index = folder / "photos", folder / "index"
    photos.mkdir()
    Image.new("RGB", (8, 8), (90, 120, 150)).save(folder / "one.jpg")
    data = (folder / "one.jpg").read_bytes()
    with Store.create(index, model_info("embedded")) as store:
        with store.transaction():
            root = store.catalog.roots.add(os.fsencode(photos))
            for number in range(count):
                path = photos / f"{number // 1000:03}" / f"{number % 1000:03}.jpg"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
                found = path.stat()
                file = PhotoFile(os.fsencode(path.relative_to(photos)), found.st_size, found.st_mtime_ns)
                store.catalog.photos.put(root.id, file, number.to_bytes(32, "big"), "no_face")
        store.finish()
    return index


def known_faces(folder: Path, count: int) -> Path:
    """Make an index with `count` faces, four per photo, in a folder that does not exist."""
    index, info, rng = folder / "index", model_info("embedded"), np.random.default_rng(0)
    landmarks = np.zeros((5, 2), dtype=np.float32)
    with Store.create(index, info) as store:
        with store.transaction():
            root = store.catalog.roots.add(b"/somewhere/else")
            for number in range(count // 4):
                vectors = rng.normal(size=(4, info.dim)).astype(np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                faces = [
                    Face(Detection(Box(n * 100, 0, 90, 90), landmarks, 0.9), vector) for n, vector in enumerate(vectors)
                ]
                photo = store.catalog.photos.put(root.id, PhotoFile(b"%d.jpg" % number, 1, 1), None, "faces")
                store.catalog.faces.replace(photo, faces)
        store.finish()
    return index


def main(files: int = 100_000, faces: int = 1_000_000) -> dict[str, float]:
    figures: dict[str, float] = {}
    folder = Path(tempfile.mkdtemp(prefix="refresh-"))
    try:
        index = known_files(folder, files)
        runs = [run("--index", index) for _ in range(RUNS)]
        assert all(report["unchanged"] == files for report, _, _ in runs)
        figures["nothing changed, seconds"] = statistics.median(seconds for _, seconds, _ in runs)
        figures["nothing changed, MiB"] = max(memory for _, _, memory in runs)
        print(f"{files:,} files, nothing changed: {figures['nothing changed, seconds']:.2f} s,"
              f" {figures['nothing changed, MiB']} MiB")  # fmt: skip
    finally:
        shutil.rmtree(folder)
    folder = Path(tempfile.mkdtemp(prefix="refresh-"))
    try:
        index = known_faces(folder, faces)
        written = (index / "faces.faiss").stat().st_mtime_ns
        times = []
        for number in range(RUNS):
            new = folder / f"new {number}"
            new.mkdir()
            for photo in range(10):
                noise = np.random.default_rng(number * 10 + photo).integers(0, 255, (60, 80, 3), dtype=np.uint8)
                Image.fromarray(noise).resize((1600, 1200)).save(new / f"{photo}.jpg")
            report, seconds, memory = run(new, "--index", index)
            assert report["new"] == 10
            times.append(seconds)
        assert (index / "faces.faiss").stat().st_mtime_ns == written, "the vector file was rewritten"
        figures["ten new photos, seconds"] = statistics.median(times)
        print(f"ten new photos in an index of {faces:,} faces: {statistics.median(times):.2f} s, {memory} MiB")
    finally:
        shutil.rmtree(folder)
    return figures


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
