"""Measure the time and recall of queries in vector files of different sizes, exact and approximate.

    python benchmarks/search_scale.py CROPS [--faces 10000 100000 1000000 4000000] [--types flat ivf] [--json OUT.json]

CROPS has one folder per person, with aligned crops of 112 x 112 pixels or any photos of the person. Their embeddings
are spread to the requested size: each copy of the whole set is rotated by another small random rotation, which makes it
a set of other people. Random vectors would show nothing, because they have no people in them. The script prints the
similarities of genuine and impostor pairs, to show how close the spread set is to the real one.

Each file is written and searched in separate processes, so that their memory can be measured. Recall at 10 is that of
queries with crops that are not in the file. Times are medians; the file is in the page cache.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.faces.extract import extract_faces
from facesearch.machine import available_cores
from facesearch.models.resolve import open_model
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo
from facesearch.vectors.kinds import KINDS
from facesearch.vectors.snapshot import Stamp, read_snapshot, write_snapshot

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

UUID = bytes(16)
STRENGTH = 1.0
PERCENTILES = (1, 25, 50, 75, 99, 99.9)
BLOCK = 65536


def embedded_crops(folder: Path) -> tuple[Vectors, Labels]:
    """Return real embeddings and the person's number for each."""
    model = open_model("embedded", choose_runtime("cpu"))
    rows: list[Any] = []
    labels: list[int] = []
    for label, person in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(person.iterdir()):
            photo = Photo(path.read_bytes())
            if photo.size == (112, 112):
                with Image.open(path) as image:
                    found = model.embed(np.asarray(image.convert("RGB"))[None])
            else:
                faces = extract_faces(model, photo)
                best = max(faces, key=lambda face: face.detection.box.area, default=None)
                found = np.empty((0, model.info.dim), np.float32) if best is None else best.embedding[None]
            rows.append(found)
            labels += [label] * len(found)
    return np.concatenate(rows), np.array(labels, dtype=np.int64)


def rotations(dim: int, seed: int = 0) -> Iterator[Vectors]:
    """Yield small random rotations: the identity plus a little noise, made orthogonal."""
    rng = np.random.default_rng(seed)
    while True:
        rotation, triangle = np.linalg.qr(np.eye(dim) + STRENGTH * rng.normal(size=(dim, dim)) / np.sqrt(dim))
        yield (rotation * np.sign(np.diag(triangle))).astype(np.float32)


def spread(vectors: Vectors, labels: Labels, total: int, path: Path) -> tuple[Vectors, Labels]:
    """Write `total` vectors to a file at `path`; return them, mapped, and the person's number for each."""
    spread_out = np.lib.format.open_memmap(path, "w+", np.float32, (total, vectors.shape[1]))
    people = np.empty(total, dtype=np.int64)
    for copy, rotation in enumerate(rotations(vectors.shape[1])):
        start = copy * len(vectors)
        if start >= total:
            break
        end = min(total, start + len(vectors))
        spread_out[start:end] = (vectors @ rotation)[: end - start]
        people[start:end] = labels[: end - start] + copy * (labels.max() + 1)
    spread_out.flush()
    return spread_out, people


def similarities(vectors: Vectors, labels: Labels) -> dict[str, list[float]]:
    """Return percentiles of the similarities of genuine and impostor pairs drawn at random."""
    rng = np.random.default_rng(1)
    one, two = rng.integers(0, len(vectors), (2, 300_000))
    scores = (vectors[one] * vectors[two]).sum(axis=1)
    impostor = scores[labels[one] != labels[two]]
    genuine = []
    for label in rng.choice(np.unique(labels), 200):
        members = np.flatnonzero(labels == label)
        one, two = rng.choice(members, (2, 100))
        genuine.append((vectors[one] * vectors[two]).sum(axis=1)[one != two])
    return {
        "genuine": np.percentile(np.concatenate(genuine), PERCENTILES).round(3).tolist(),
        "impostor": np.percentile(impostor, PERCENTILES).round(3).tolist(),
    }


def made(source: Path, file: Path, kind: str) -> dict[str, Any]:
    """Write a vector file of a kind; return seconds and memory. `own_recall` is the recall that the file states."""
    vectors = np.load(source, mmap_mode="r")
    ids = np.arange(1, len(vectors) + 1, dtype=np.int64)

    def blocks() -> Iterator[tuple[Labels, Vectors]]:
        for start in range(0, len(vectors), BLOCK):
            yield ids[start : start + BLOCK], np.ascontiguousarray(vectors[start : start + BLOCK])

    started = time.perf_counter()
    recall = write_snapshot(file, vectors.shape[1], Stamp(UUID, 1, len(vectors)), KINDS[kind], blocks)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "own_recall": recall, "bytes": file.stat().st_size, "made_mib": _peak()}


def asked(file: Path, queries: Vectors) -> dict[str, Any]:
    """Search a file; return times in milliseconds, memory in MiB, and the ids found, ten per query."""
    dim = queries.shape[1]
    started = time.perf_counter()
    snapshot = read_snapshot(file, dim, UUID)
    opened = time.perf_counter() - started
    assert snapshot is not None
    index = snapshot.vectors
    index.search(queries[:1], 20)
    one = [_seconds(partial(index.search, queries[row : row + 1], 20)) for row in range(21)]
    many = [_seconds(lambda: index.search(queries[:64], 20)) for _ in range(5)]
    return {
        "open_ms": opened * 1000,
        "one_ms": statistics.median(one) * 1000,
        "many_ms": statistics.median(many) * 1000,
        "probes": index.probes,
        "asked_mib": _peak(),
        "ids": index.search(queries, 10)[1],
    }


def bare(source: Path, queries: Vectors) -> dict[str, float]:
    """Measure the bare hardware: reading all vectors, one product with them, 64 products."""
    vectors = np.array(np.load(source, mmap_mode="r"))
    parts = np.array_split(vectors, available_cores() * 4)
    with ThreadPoolExecutor(available_cores()) as pool:
        read = min(_seconds(lambda: list(pool.map(np.max, parts))) for _ in range(5))
    one = min(_seconds(lambda: vectors @ queries[0]) for _ in range(5))
    blocks = np.array_split(vectors, max(1, len(vectors) // 8192))
    out = np.empty((len(queries[:64]), len(blocks[0])), dtype=np.float32)
    many = min(
        _seconds(lambda: [np.matmul(queries[:64], block.T, out=out[:, : len(block)]) for block in blocks])
        for _ in range(3)
    )
    return {"read_gb_s": vectors.nbytes / read / 1e9, "product_ms": one * 1000, "products_ms": many * 1000}


def tenth_best(source: Path, queries: Vectors) -> Vectors:
    """Return the similarity of the tenth nearest vector to each query, by plain products."""
    vectors = np.load(source, mmap_mode="r")
    best = np.full((len(queries), 10), -np.inf, dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        scores = np.concatenate([best, queries @ vectors[start : start + BLOCK].T], axis=1)
        best = -np.partition(-scores, 9, axis=1)[:, :10]
    tenth: Vectors = best.min(axis=1)
    return tenth


def recall_at_ten(source: Path, queries: Vectors, found: Labels, tenth: Vectors) -> float:
    """Return the share of the vectors found that are as near as the ten nearest; ties count as found."""
    vectors = np.load(source, mmap_mode="r")
    scores = np.einsum("qd,qkd->qk", queries, vectors[found - 1])
    return float((scores >= tenth[:, None] - 1e-5).mean())


def in_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run `work` in a new process and return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main(
    crops: Path, sizes: Sequence[int], kinds: Sequence[str], kept_out_size: int, output: Path | None
) -> dict[str, Any]:
    vectors, labels = embedded_crops(crops)
    chosen = np.random.default_rng(2).permutation(len(vectors))
    kept_out, used = chosen[:kept_out_size], chosen[kept_out_size:]
    # Queries are for people of the first copies, each rotated like its copy.
    turns = [turn for turn, _ in zip(rotations(vectors.shape[1]), range(8), strict=False)]
    report: dict[str, Any] = {"real": similarities(vectors, labels), "sizes": []}
    print(f"real: {len(vectors):,} faces of {labels.max() + 1} people; percentiles {PERCENTILES}")
    _show_pairs(report["real"])
    print(
        "| faces | type | write, s | file, MB | open, ms | one query, ms | 64 queries, ms | recall at 10 "
        "| memory, MiB |\n"
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        source, file = Path(folder) / "vectors.npy", Path(folder) / "faces.faiss"
        for size in sizes:
            spread_out, people = spread(vectors[used], labels[used], size, source)
            turned = max(1, min(len(turns), size // len(used)))
            queries = np.stack([vectors[row] @ turns[number % turned] for number, row in enumerate(kept_out)])
            entry: dict[str, Any] = {"faces": size, "pairs": similarities(spread_out, people), "types": {}}
            entry["bare"] = in_a_process(bare, source, queries)
            tenth = tenth_best(source, queries)
            for kind in kinds:
                result = in_a_process(made, source, file, kind) | in_a_process(asked, file, queries)
                result["recall"] = recall_at_ten(source, queries, result.pop("ids"), tenth)
                entry["types"][kind] = result
                print(
                    f"| {size:,} | {kind} | {result['seconds']:.1f} | {result['bytes'] / 1e6:,.0f} "
                    f"| {result['open_ms']:.0f} | {result['one_ms']:.2f} | {result['many_ms']:.1f} "
                    f"| {result['recall']:.4f} | {result['asked_mib']:,.0f} |",
                    flush=True,
                )
            report["sizes"].append(entry)
    print("\nspread sets and the bare hardware:")
    for entry in report["sizes"]:
        raw = entry["bare"]
        print(
            f"{entry['faces']:,} faces: memory is read at {raw['read_gb_s']:.1f} GB/s; one matrix product takes "
            f"{raw['product_ms']:.1f} ms, 64 products take {raw['products_ms']:.1f} ms"
        )
        _show_pairs(entry["pairs"])
    if output is not None:
        output.write_text(json.dumps(report, indent=2) + "\n")
    return report


def _show_pairs(pairs: dict[str, list[float]]) -> None:
    for name, values in pairs.items():
        print(f"  {name:<9}" + "  ".join(f"{value:6.3f}" for value in values))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak() -> float:
    """Return the peak memory in MiB of this process alone; `getrusage` starts with that of the parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 4_000_000])
    parser.add_argument("--types", nargs="+", default=["flat", "ivf"], choices=["flat", "ivf"])
    parser.add_argument("--kept-out", type=int, default=200, help="crops to query with, which are not in the files")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    main(arguments.crops, arguments.faces, arguments.types, arguments.kept_out, arguments.json)
