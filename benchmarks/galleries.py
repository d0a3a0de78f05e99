"""How fast an index is pushed to shared galleries, how fast they answer, and what they find, beside the index itself.

    python benchmarks/galleries.py CROPS --faces 200000 --engines postgres milvus --methods exact hnsw ivf

`CROPS` are labelled photos, as for `people.py`; the faces are made from them. Each engine is a server of its own, as in
the tests, with room for its index in memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from libraries import load, many, split
from numpy.typing import NDArray
from people import add_faces

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from milvus_server import running_milvus
from postgres_server import running_server

from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.known import make, open_gallery
from facesearch.galleries.local import LocalGallery
from facesearch.galleries.protocol import Gallery
from facesearch.galleries.push import push
from facesearch.galleries.shared import METHODS, Method
from facesearch.index.store import Store
from facesearch.types import ModelInfo

QUESTIONS = 21
K = 64
ROOM = "-c shared_buffers=6GB -c maintenance_work_mem=5GB -c max_wal_size=16GB"
FILTERS = {
    "all": Filter(),
    "25 %": Filter(since="1973", until="1973"),
    "1 %": Filter(since="1971", until="1971"),
    "0.02 %": Filter(since="1972", until="1972"),
}


class Server(NamedTuple):
    """The address of an empty database, and the folder of the server's files."""

    address: str
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--faces", type=int, default=200_000)
    parser.add_argument("--engines", nargs="+", choices=["postgres", "milvus"], default=["postgres", "milvus"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    real, info = load(arguments.folder, arguments.keep)
    library = many(split(real)[1], max(100, arguments.faces // 7), 11, most=200)
    vectors = library.vectors[np.random.default_rng(3).permutation(len(library.vectors))[: arguments.faces]]
    probes = vectors[np.random.default_rng(4).choice(len(vectors), QUESTIONS)]
    with Store.memory(info) as store:
        fill(store, vectors)
        local = LocalGallery(store)
        exact = {name: asked(local, probes, where) for name, where in FILTERS.items()}
        print(f"index: {told(exact, exact)}", flush=True)
        for engine in arguments.engines:
            with running(engine) as server:
                measure(engine, server, store, info, arguments.methods, probes, exact)


def fill(store: Store, vectors: NDArray[np.float32]) -> None:
    """Add faces; a quarter, a hundredth and a five-thousandth of the photos were taken in years of their own."""
    add_faces(store, vectors, 0)
    with store.transaction():
        run = store.catalog.database.run
        run("UPDATE photos SET taken_at = '1973-07-01T12:00:00' WHERE id % 4 = 2")
        run("UPDATE photos SET taken_at = '1971-07-01T12:00:00' WHERE id % 100 = 0")
        run("UPDATE photos SET taken_at = '1972-07-01T12:00:00' WHERE id % 5000 = 1")


@contextmanager
def running(engine: str) -> Iterator[Server]:
    if engine == "postgres":
        with running_server(ROOM) as postgres:
            yield Server(postgres.database(), postgres.folder / "data")
    else:
        with running_milvus() as milvus:
            yield Server(milvus.database(), milvus.folder)


class Answers(NamedTuple):
    """The median time of a question in seconds, and the faces that each found, best first."""

    seconds: float
    found: list[list[bytes]]


def measure(
    engine: str,
    server: Server,
    store: Store,
    info: ModelInfo,
    methods: list[Method],
    probes: NDArray[np.float32],
    exact: dict[str, Answers],
) -> None:
    address = Address.of(server.address)
    make(address, info)
    with store.transaction():
        store.catalog.changes.connect(engine, address.text, "machine")
    before = size_of(server.folder)
    with closing(open_gallery(address)) as shared:
        for what in ("push", "nothing to push"):
            known = next(one for one in store.catalog.changes.galleries() if one.name == engine)
            start = time.perf_counter()
            faces = push(store, shared, known).faces
            seconds = time.perf_counter() - start
            print(f"{engine}, {what}: {faces:,} faces in {seconds:.2f} s, {faces / seconds:,.0f} a second", flush=True)
        for method in methods:
            start = time.perf_counter()
            shared.use_method(method)
            seconds = time.perf_counter() - start
            answers = {name: asked(shared, probes, where) for name, where in FILTERS.items()}
            used = (size_of(server.folder) - before) / len(store)
            print(
                f"{engine} {method}, built in {seconds:.0f} s, {used:,.0f} bytes a face on disk: {told(answers, exact)}"
            )
            sys.stdout.flush()
    with store.transaction():
        store.catalog.changes.disconnect(engine)


def asked(gallery: Gallery, probes: NDArray[np.float32], where: Filter) -> Answers:
    gallery.search(probes[:1], K, where)
    taken, found = [], []
    for probe in probes:
        start = time.perf_counter()
        (hits,) = gallery.search(probe[None], K, where)
        taken.append(time.perf_counter() - start)
        found.append([hit.face.path for hit in hits])
    return Answers(statistics.median(taken), found)


def told(answers: dict[str, Answers], exact: dict[str, Answers]) -> str:
    """Return the times, and the shares of the ten and of the 64 nearest faces that were found."""
    texts = []
    for name, (seconds, found) in answers.items():
        pairs = list(zip(found, exact[name].found, strict=True))
        shares = [np.mean([len({*one[:k]} & {*other[:k]}) / len(other[:k]) for one, other in pairs]) for k in (10, K)]
        texts.append(f"{name} {seconds * 1e3:.1f} ms, {shares[0]:.1%}, {shares[1]:.1%}")
    return "; ".join(texts)


def size_of(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
