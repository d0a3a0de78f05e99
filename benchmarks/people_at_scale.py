"""Measure what people wait for in a large index: to list, find, name, merge, review and export its people.

    python benchmarks/people_at_scale.py CROPS --faces 100000 1000000

CROPS has one subfolder of photos per person. The faces are those of people who are made from them (see `libraries`),
one to four in a photo. Grouping is not run, which takes long: whoever was seen twice is a group, every 20th person two,
and one face in 200 belongs to nobody. 300 people have names. Each command is a new process, as a user starts it. Beside
its time the table has the time of all processors, which other work on the machine disturbs less, and its peak memory.
`--keep FILE.npz` stores the embeddings for the next call, and `--indexes FOLDER` the indexes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pty
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from libraries import Labels, Library, load, of_size

from facesearch.catalog.columns import FACE
from facesearch.catalog.encoding import encode_face, encode_vector
from facesearch.catalog.records import Grouped
from facesearch.index.store import Store
from facesearch.models.align import TEMPLATE
from facesearch.people.saying import Statement, say_all
from facesearch.people.statements import Kind
from facesearch.types import Box, Detection, Face, ModelInfo

NAMED, AT_ONCE, SEED = 300, 10, 11
MADE = 100_000
PROMPT = b"[y/n/s/u/q] "
COMMAND = [sys.executable, "-m", "facesearch"]


class Used(NamedTuple):
    """What a process took: seconds, seconds of processors, and GiB of memory at most; 0 if not measured."""

    seconds: float
    processors: float = 0.0
    memory: float = 0.0

    @classmethod
    def of(cls, seconds: float, used: resource.struct_rusage) -> Used:
        """Return what a process took that ended with these figures of the system."""
        return cls(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


def made(real: Library, faces: int) -> Library:
    """Return a library with this number of faces. A large one repeats a smaller one, turned as a whole each time."""
    whole = of_size(real, min(faces, MADE), SEED)
    mean, rng = whole.mean, np.random.default_rng(SEED)
    along = (whole.vectors @ mean)[:, None] * mean
    vectors, people = [whole.vectors], [whole.people]
    for copy in range(1, -(-faces // MADE)):
        basis = np.linalg.qr(np.concatenate([mean[:, None], rng.standard_normal((len(mean), len(mean) - 1))], axis=1))[
            0
        ]
        other = np.linalg.qr(rng.standard_normal((len(mean) - 1, len(mean) - 1)))[0]
        turn = basis[:, 1:] @ other @ basis[:, 1:].T
        vectors.append((along + (whole.vectors - along) @ turn).astype(np.float32))
        people.append(whole.people + copy * (whole.people.max() + 1))
    return Library(np.concatenate(vectors)[:faces], np.concatenate(people)[:faces], mean)


def make_index(folder: Path, library: Library, info: ModelInfo) -> None:
    """Make an index of a library, its people grouped and some of them named. The photos do not exist."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(library.vectors))
    ends = np.cumsum(rng.choice([1, 1, 1, 2, 2, 3, 4], len(order)))
    photo_of = np.searchsorted(ends, np.arange(len(order)), side="right") + 1
    with Store.create(folder, info) as store:
        catalog = store.catalog
        with store.transaction():
            root = catalog.roots.add(b"/photos").id
            catalog.database.many(
                "INSERT INTO photos (id, root, path, size, mtime_ns, hash, status, width, height, taken_at)"
                " VALUES (?, ?, ?, 1, 0, ?, 'faces', 4000, 3000, ?)",
                ((photo, root, _path(photo), _content(photo), _taken(photo)) for photo in range(1, photo_of[-1] + 1)),
            )
            detection = Detection(Box(10, 10, 90, 90), TEMPLATE.astype(np.float32), 0.9)
            face = encode_face(Face(detection, library.vectors[0], quality=0.8))
            catalog.database.many(
                f"INSERT INTO faces (id, photo, {', '.join(FACE)}) VALUES (?, ?{', ?' * len(FACE)})",
                ((number, photo, *face) for number, photo in enumerate(photo_of.tolist(), start=1)),
            )
            catalog.database.many(
                "INSERT INTO vectors (id, face, model, vector) VALUES (?1, ?1, 1, ?2)",
                ((number, encode_vector(library.vectors[row])) for number, row in enumerate(order, start=1)),
            )
            _group(store, library.people[order])
        with store.transaction():
            _name(store, rng)
            catalog.meta.set_grouped(Grouped(len(order), 0, catalog.people.count()))
        store.finish()


def _path(photo: int) -> bytes:
    return b"%d/%04d/%d.jpg" % (2005 + photo % 20, photo // 1000, photo)


def _content(photo: int) -> bytes:
    return hashlib.sha256(b"%d" % photo).digest()


def _taken(photo: int) -> str:
    return f"{2005 + photo % 20}-{photo % 12 + 1:02}-{photo % 28 + 1:02}T12:00:00"


def _group(store: Store, people: Labels) -> None:
    """Put faces, by their ids in the order of `people`, into groups that are as wrong as grouping may be."""
    rng = np.random.default_rng(SEED)
    numbers: dict[tuple[int, bool], int] = {}
    seen = np.bincount(people)
    assigned: list[tuple[int, int, None]] = []
    for face, who in enumerate(people.tolist(), start=1):
        if seen[who] < 2 or rng.random() < 0.005:
            continue
        group = who, who % 20 == 0 and face % 2 == 0
        if group not in numbers:
            numbers[group] = store.catalog.people.add()
        assigned.append((face, numbers[group], None))
    store.catalog.people.assign(assigned)


def _name(store: Store, rng: np.random.Generator) -> None:
    """Name the people with the most photos, and others."""
    catalog = store.catalog
    people = [number for number, *_ in catalog.people.summary()]
    half = min(NAMED, len(people)) // 2
    chosen = [*people[:half], *rng.choice(people[half:], min(half, len(people) // 4), replace=False).tolist()]
    statements = [
        Statement(Kind.name, catalog.people.faces_of(person), person, value=f"Person {place}")
        for place, person in enumerate(dict.fromkeys(chosen))
    ]
    for start in range(0, len(statements), AT_ONCE):
        say_all(catalog, statements[start : start + AT_ONCE])


def measure(index: Path, faces: int) -> None:
    """Print the time and the memory of each command."""
    exported = index.parent / f"{index.name}.jsonl"
    exported.unlink(missing_ok=True)
    for name, command in (
        ("`people list`", ["people", "list"]),
        ("`people list -f json`", ["people", "list", "-f", "json"]),
        ("`people show NAME`", ["people", "show", "person 7"]),
        ("`query NAME`", ["query", "person 9"]),
        ("`query NAME -k 20`", ["query", "person 9", "-k", "20"]),
        ("completion of a name", ["query", "person 1"]),
        ("`people name`", ["people", "name", "person 11", "Anna"]),
        ("`people merge`", ["people", "merge", "Anna", "person 13"]),
        ("`people undo`", ["people", "undo"]),
        ("`people seen`", ["people", "seen"]),
        ("`people seen`, nothing new", ["people", "seen"]),
        ("`people history`", ["people", "history"]),
        ("`people review -n 1 -f json`", ["people", "review", "-n", "1", "-f", "json"]),
        ("`people review --problems`", ["people", "review", "--problems"]),
        ("`people ignore --all-under 3`", ["people", "ignore", "--all-under", "3"]),
        ("`people name` after that", ["people", "name", "person 17", "Berta"]),
        ("`people export --json`", ["people", "export", "--json", str(exported)]),
        ("`status`", ["status"]),
    ):
        _row(faces, name, timed(index, command, completes="completion" in name))
    for name, used in review(index):
        _row(faces, name, used)


def _row(faces: int, name: str, used: Used) -> None:
    more = f"{used.processors:.2f} s | {used.memory:.2f} GiB" if used.memory else " | "
    print(f"| {faces:,} | {name} | {used.seconds:.2f} s | {more} |", flush=True)


def timed(index: Path, command: Sequence[str], *, completes: bool = False) -> Used:
    """Return what a command takes in a new process."""
    environment = {**os.environ, "FACESEARCH_INDEX": str(index)}
    if completes:
        environment |= {"_FACESEARCH_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
        environment["COMP_WORDS"] = f"facesearch {command[0]} {command[1].split()[0]}"
        command = []
    start = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout as stream:
        told = stream.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command}: exit code {process.returncode}\n{told.decode()[-500:]}")
    return Used.of(seconds, used)


def review(index: Path) -> Iterator[tuple[str, Used]]:
    """Yield how long a review in a terminal takes to its first question, and from an answer to the next question."""
    start = time.perf_counter()
    process, terminal = pty.fork()
    if not process:
        os.execvpe(COMMAND[0], [*COMMAND, "people", "review"], {**os.environ, "FACESEARCH_INDEX": str(index)})
    times = []
    for answer in (b"y", b"n", b"q"):
        shown = b""
        while PROMPT not in shown:
            shown += os.read(terminal, 4096)
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        os.write(terminal, answer)
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass  # the terminal was closed at the end
    finally:
        os.close(terminal)
    whole = os.wait4(process, 0)[2]
    yield "`people review`: the first question, and the whole process", Used.of(times[0], whole)
    for said, seconds in zip(("yes", "no"), times[1:], strict=True):
        yield f"`people review`: the next question after {said}", Used(seconds)


def main() -> None:
    """Make indexes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, nargs="+", default=[100_000])
    parser.add_argument("--keep", type=Path, help="a file that stores the embeddings")
    parser.add_argument("--indexes", type=Path, help="a folder that stores the indexes")
    arguments = parser.parse_args()
    print("| faces | command | time | of processors | peak memory |\n| ---: | --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as temporary:
        for faces in arguments.faces:
            index = (arguments.indexes or Path(temporary)) / f"{faces}"
            if not index.exists():
                real, info = load(arguments.folder, arguments.keep)
                make_index(index, made(real, faces), info)
            measure(index, faces)


if __name__ == "__main__":
    main()
