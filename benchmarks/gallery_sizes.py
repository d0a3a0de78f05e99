"""What a face takes in a shared gallery: bytes in the database, on disk and in the server's memory.

    python benchmarks/gallery_sizes.py --faces 100000 --dims 128 512

The embeddings are random: that makes no difference to their size.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from galleries import Server, running, size_of
from people import add_faces

from facesearch.galleries.address import Address
from facesearch.galleries.known import make, open_gallery
from facesearch.galleries.push import push
from facesearch.galleries.shared import METHODS
from facesearch.index.store import Store
from facesearch.models.resolve import model_info


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--dims", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--engines", nargs="+", choices=["postgres", "milvus"], default=["postgres", "milvus"])
    arguments = parser.parse_args()
    for dim in arguments.dims:
        vectors = np.random.default_rng(1).normal(size=(arguments.faces, dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with Store.memory(replace(model_info("embedded"), dim=dim)) as store:
            add_faces(store, vectors, 0)
            for engine in arguments.engines:
                measure(engine, store, dim)


def measure(engine: str, store: Store, dim: int) -> None:
    """Print what an engine needs for each method; what it needs without any face is subtracted."""
    with running(engine) as server:
        address = Address.of(server.address)
        make(address, store.model)
        with store.transaction():
            store.catalog.changes.connect(engine, address.text, "machine")
        before = held(engine, server)
        with closing(open_gallery(address)) as shared:
            push(store, shared, next(one for one in store.catalog.changes.galleries() if one.name == engine))
            for method in METHODS:
                shared.use_method(method)
                if engine == "milvus":
                    time.sleep(20)  # until the server has put away what it no longer needs
                used = ((after - least) / len(store) for after, least in zip(held(engine, server), before, strict=True))
                database, memory = used
                print(
                    f"{dim} {engine} {method}: {database:,.0f} bytes a face stored, {memory:,.0f} in memory", flush=True
                )
        with store.transaction():
            store.catalog.changes.disconnect(engine)


def held(engine: str, server: Server) -> tuple[int, int]:
    """Return the bytes of a database, and those in the memory of its server; PostgreSQL's depends on its settings."""
    if engine == "postgres":
        import psycopg

        with psycopg.connect(server.address) as connection:
            (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchall()[0]
        return size, 0
    return size_of(server.folder), memory_of(server.folder)


def memory_of(folder: Path) -> int:
    """Return the resident bytes of the server that runs in a folder."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            command = (status.parent / "cmdline").read_bytes()
            if command.startswith(bytes(folder / "bin")):
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                total += int(lines["VmRSS"].split()[0]) * 1024
        except (OSError, KeyError):  # it has ended
            continue
    return total


if __name__ == "__main__":
    main()
