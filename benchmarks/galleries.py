"""How fast an index is pushed to a shared gallery, and how fast the gallery answers, beside the index itself.

    python benchmarks/galleries.py postgresql://USER@HOST/EMPTY_DATABASE CROPS --faces 200000

`CROPS` are labelled photos, as for `people.py`; the faces are made from them. The database must be empty.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from libraries import few, load, many, split
from numpy.typing import NDArray
from people import add_faces

from facesearch.filters import Filter
from facesearch.galleries.address import Address
from facesearch.galleries.known import make, open_gallery
from facesearch.galleries.local import LocalGallery
from facesearch.galleries.protocol import Gallery
from facesearch.galleries.push import push
from facesearch.index.store import Store

QUESTIONS = 21
K = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--faces", type=int, default=200_000)
    arguments = parser.parse_args()
    real, info = load(arguments.folder, arguments.keep)
    library = many(split(real)[1], max(100, arguments.faces // 7), 11, most=200)
    library = few(library, np.random.default_rng(3).permutation(len(library.vectors))[: arguments.faces])
    address = Address.of(arguments.address)
    make(address, info)
    with Store.memory(info) as store, closing(open_gallery(address)) as shared:
        add_faces(store, library.vectors, 0)
        with store.transaction():  # a hundredth of the photos was taken in another year
            store.catalog.database.run("UPDATE photos SET taken_at = '1971-07-01T12:00:00' WHERE id % 100 = 0")
            store.catalog.changes.connect("gallery", address.text, "machine")
        for what in ("push", "nothing to push"):
            (known,) = store.catalog.changes.galleries()
            start = time.perf_counter()
            faces = push(store, shared, known).faces
            seconds = time.perf_counter() - start
            print(f"{what}: {faces:,} faces in {seconds:.2f} s, {faces / seconds:,.0f} per second", flush=True)
        local = LocalGallery(store)
        probes = library.vectors[np.random.default_rng(4).choice(len(library.vectors), QUESTIONS)]
        print("| searched | passing | index, median | gallery, median | same faces |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name, where in (("all faces", Filter()), ("photos of one year", Filter(since="1971", until="1971"))):
            passing = shared.count(where)
            here, there = times(local, probes, where), times(shared, probes, where)
            same = np.mean([one == other for one, other in zip(here[1], there[1], strict=True)])
            print(
                f"| {name} | {passing:,} | {here[0] * 1e3:.1f} ms | {there[0] * 1e3:.1f} ms | {same:.0%} |", flush=True
            )


def times(gallery: Gallery, probes: NDArray[np.float32], where: Filter) -> tuple[float, list[list[bytes]]]:
    """Return the median time of a question, and the paths that each found."""
    gallery.search(probes[:1], K, where)
    taken, found = [], []
    for probe in probes:
        start = time.perf_counter()
        (hits,) = gallery.search(probe[None], K, where)
        taken.append(time.perf_counter() - start)
        found.append([hit.face.path for hit in hits])
    return statistics.median(taken), found


if __name__ == "__main__":
    main()
