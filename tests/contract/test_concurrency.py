"""Concurrent writers and readers, in separate processes: none fails, none sees a partial commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import toy_model_info

from facesearch.index.store import Store

# Each photo has three faces with the same vector, added in one commit: a reader that finds one must find all three.
WRITER = """
import sys, time, numpy as np
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from conftest import toy_face
from facesearch.index import vector_file as vector_file_module
from facesearch.index.store import Store
from facesearch.types import PhotoFile
vector_file_module._TAIL_IN_A_RUN = 20
me, end = int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
number = done = 0
while time.monotonic() < end:
    with Store.open(Path(sys.argv[1]), write=True, wait=60) as store:
        for _ in range(5):
            number += 1
            with store.transaction():
                roots = store.catalog.roots.all()
                root = roots[0] if roots else store.catalog.roots.add(b"/photos")
                vector = np.random.default_rng(me * 100_000 + number % 40).normal(size=8)
                file = PhotoFile(b"%d-%d.jpg" % (me, number % 40), 1, 1)
                photo = store.catalog.photos.put(root.id, file, None, "faces")
                faces = [toy_face(vector, (100.0 * n, 0, 50, 60)) for n in range(3)]
                store.catalog.faces.replace(photo, faces if number % 7 else [])
            done += 1
        store.finish()
print(done)
"""
READER = """
import sys, time, numpy as np
from collections import Counter
from pathlib import Path
from facesearch.index.store import Store
end, done, rng = time.monotonic() + float(sys.argv[3]), 0, np.random.default_rng(int(sys.argv[2]))
while time.monotonic() < end:
    said = []
    with Store.open(Path(sys.argv[1]), notify=said.append) as store:
        query = rng.normal(size=(1, 8)).astype(np.float32)
        query /= np.linalg.norm(query)
        scores, ids = store.search(query, len(store))
        rows = store.catalog.faces.records(ids[0].tolist())
        assert len(rows) == len(ids[0]) == len(set(ids[0].tolist())), (len(rows), len(ids[0]))
        assert set(Counter(row.photo_id for row in rows.values()).values()) <= {3}
        for place in range(0, len(ids[0]), 3):
            assert np.ptp(scores[0][place : place + 3]) < 1e-6
    assert not said, said
    done += 1
print(done)
"""


def together(tmp_path: Path, seconds: float) -> list[int]:
    index = tmp_path / "index"
    Store.create(index, toy_model_info()).close()
    tests = [str(Path(__file__).parents[1])]
    commands = [[WRITER, str(index), str(number), str(seconds), *tests] for number in (1, 2)]
    commands += [[READER, str(index), str(number), str(seconds)] for number in (3, 4, 5)]
    runs = [
        subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    outputs = [run.communicate(timeout=seconds + 120) for run in runs]
    for run, (_, messages) in zip(runs, outputs, strict=True):
        assert run.returncode == 0, messages
    return [int(output) for output, _ in outputs]


def test_two_writers_and_three_readers(tmp_path: Path) -> None:
    assert min(together(tmp_path, 6)) > 0


@pytest.mark.slow
def test_two_writers_and_three_readers_for_a_minute(tmp_path: Path) -> None:
    print("commits and queries:", together(tmp_path, 60))  # noqa: T201
