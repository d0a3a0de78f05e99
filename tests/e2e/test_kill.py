"""An index run that is killed at any moment loses nothing that was committed, and the next run goes on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from old_catalog import as_of_schema
from own_pack import make_pack
from PIL import Image, ImageEnhance
from sample_library import FACES_IN_T1, shipped_photo

from facesearch.catalog.migrations import MIGRATIONS
from facesearch.index.store import Store

SEED = 20261122
PHOTOS = 30

# Commits every few photos, and dies at the n-th time something is called: in the middle of a commit or a snapshot.
VICTIM = """
import os, signal, sys
from facesearch import files
from facesearch.indexing import writer
from facesearch.catalog import catalog, database, faces, staging
from facesearch.index import vector_file
writer.COMMIT_SECONDS = 0.02
vector_file._TAIL_IN_A_RUN = 3
where, count = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]

def dying(function, before):
    def call(*arguments, **options):
        global count
        count -= 1
        if before and count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if not before and count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

def dying_with(command, before):
    run = database.Database.run
    die = dying(lambda: None, before)
    def call(self, sql, *values):
        if before and sql == command:
            die()
        run(self, sql, *values)
        if not before and sql == command:
            die()
    return call

if where == "before commit":
    database.Database.run = dying_with("COMMIT", True)
elif where == "after commit":
    database.Database.run = dying_with("COMMIT", False)
elif where == "in a snapshot":
    files.os.fsync = dying(os.fsync, True)
elif where == "after a snapshot":
    vector_file.write_snapshot = dying(vector_file.write_snapshot, False)
elif where == "in a transaction":
    faces.Faces.replace = dying(faces.Faces.replace, False)
elif where == "while looks are put":
    staging.Staging.put = dying(staging.Staging.put, False)
elif where == "while looks are dropped":
    staging.Staging.drop_some = dying(staging.Staging.drop_some, False)
elif where == "in a vacuum":
    catalog.Catalog.vacuum = dying(catalog.Catalog.vacuum, True)
from facesearch.cli import main
main()
"""
PLACES = ["before commit", "after commit", "in a snapshot", "after a snapshot", "in a transaction"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos of one face each, all different."""
    folder = tmp_path_factory.mktemp("killed") / "photos"
    folder.mkdir()
    boxes = list(FACES_IN_T1.values())
    group = shipped_photo("t1")
    for number in range(PHOTOS):
        left, top, width, height = boxes[number % len(boxes)]
        crop = group.crop((left - width // 2, max(0, top - height // 2), left + 3 * width // 2, top + 3 * height // 2))
        crop = ImageEnhance.Brightness(crop).enhance(0.6 + 0.02 * number)
        crop.resize((200, 200), Image.Resampling.BICUBIC).save(folder / f"{number:02}.png")
    return folder


def exported(run: Run, index: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in run("export", "--vectors", "--index", index).stdout.splitlines()]
    faces: dict[str, Any] = {}
    for line in lines:
        faces.setdefault(line["path"], []).append((line["box"], line["vector"]))
    return faces


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        len(one[path]) == len(other[path])
        and all(
            box == other_box and np.allclose(vector, other_vector, atol=1e-4)
            for (box, vector), (other_box, other_vector) in zip(one[path], other[path], strict=True)
        )
        for path in one
    )


def kill(environment: dict[str, str], rng: random.Random, places: list[str], *asked: str | Path) -> str:
    """Start a run and kill it, by the clock or at a chosen call; gives back where."""
    where = rng.choice(["by the clock", *places])
    command = [sys.executable, "-c", VICTIM, where, str(rng.randint(1, 12)), *map(str, asked)]
    options: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--threads", "2"], **options) as run:
        if where == "by the clock":
            time.sleep(rng.uniform(0.5, 2.0))
            run.send_signal(signal.SIGKILL)
        run.wait(timeout=60)
        return where if run.returncode == -signal.SIGKILL else "it was done"


def kills(count: int, seed: int, run: Run, environment: dict[str, str], photos: Path, tmp_path: Path) -> dict[str, int]:
    run("index", photos, "--index", tmp_path / "undisturbed", "-q")
    expected = exported(run, tmp_path / "undisturbed")
    assert len(expected) == PHOTOS
    rng, places = random.Random(seed), dict[str, int]()
    while sum(places.values()) < count:
        index = tmp_path / f"killed {rng.random()}"
        where = kill(environment, rng, PLACES, "index", photos, "--index", index)
        if where == "it was done":
            continue
        places[where] = places.get(where, 0) + 1
        if (index / "catalog.sqlite").exists():
            run("check", "--index", index)
            kept = exported(run, index)
            assert same(kept, {path: expected[path] for path in kept}), where
            others = {f"{number:02}" for number in range(len(FACES_IN_T1), PHOTOS, len(FACES_IN_T1))}
            found = any(Path(path).stem in others for path in kept)
            run("query", photos / "00.png", "--index", index, "-k", "3", "-q", exit_code=0 if found else 1)
        report = json.loads(run("index", photos, "--index", index, "-q", "-f", "json").stdout)
        assert report["photos"] == PHOTOS
        assert same(exported(run, index), expected), where
        run("check", "--index", index)
        assert sorted(path.name for path in index.iterdir() if path.suffix == ".tmp") == []
    return places


@pytest.mark.parametrize(("count", "seed"), [(2, SEED + 3), pytest.param(4, SEED, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on(
    count: int, seed: int, facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    kills(count, seed, facesearch, environment, photos, tmp_path)


SWITCHING = [*PLACES, "while looks are put", "while looks are dropped", "in a vacuum"]


def killed_switches(
    count: int, seed: int, run: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> dict[str, int]:
    """Kill switches to another model: the index has the one model or the other, whole, and ends up with the other."""
    pack = make_pack(tmp_path / "other")
    run("index", photos, "--index", tmp_path / "first", "-q", "--model", "embedded")
    run("index", photos, "--index", tmp_path / "second", "-q", "--model", pack)
    expected = {"embedded": exported(run, tmp_path / "first"), "other": exported(run, tmp_path / "second")}
    rng, places = random.Random(seed), dict[str, int]()
    while sum(places.values()) < count:
        index = tmp_path / f"killed {rng.random()}"
        shutil.copytree(tmp_path / "first", index)
        where = kill(environment, rng, SWITCHING, "reindex", "--model", pack, "--index", index)
        if where == "it was done":
            continue
        facts = json.loads(run("status", "--index", index, "-f", "json").stdout)
        places[f"{where}, {facts['model']}"] = places.get(f"{where}, {facts['model']}", 0) + 1
        run("check", "--index", index)
        assert same(exported(run, index), expected[facts["model"]]), where
        run("query", photos / "00.png", "--index", index, "-k", "3", "-q")
        if facts["model"] == "embedded":
            done = json.loads(run("reindex", "--model", pack, "--index", index, "-q", "-f", "json").stdout)
            assert done["switched"]
            assert done["known"] + done["looked_at"] == PHOTOS
        run("index", "--index", index, "-q")
        assert same(exported(run, index), expected["other"]), where
        with Store.open(index) as store:
            assert not store.catalog.staging.has_any()
        run("check", "--index", index)
    return places


@pytest.mark.thorough
def test_a_killed_switch_to_another_model_goes_on(
    facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    killed_switches(1, SEED, facesearch, environment, photos, tmp_path)


@pytest.mark.slow
def test_sixty_killed_switches_go_on(
    facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    places = killed_switches(60, SEED + 2, facesearch, environment, photos, tmp_path)
    print(f"seed {SEED + 2}: {places}")  # noqa: T201
    assert {place.rpartition(", ")[2] for place in places} == {"embedded", "other"}


@pytest.mark.slow
def test_a_hundred_killed_runs_go_on(
    facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    places = kills(100, SEED + 1, facesearch, environment, photos, tmp_path)
    inside = sum(places.get(place, 0) for place in PLACES)
    print(f"seed {SEED + 1}: {places}")  # noqa: T201
    assert inside >= 20


# Python imports this in every process with this environment: as a decoder's fault would, it kills them all.
CRASHES = """
import os, sys
from importlib import abc, machinery

class Crashing(abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "facesearch.photos.picture":
            return None
        sys.meta_path.remove(self)
        spec = machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def exec_module(module):
            execute(module)
            pixels = module.Photo.pixels
            def crashing(photo, side):
                photo._stream.seek(0)
                if b"this one crashes" in photo._stream.read():
                    os.abort()
                return pixels(photo, side)
            module.Photo.pixels = crashing
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Crashing())
"""


@pytest.mark.thorough
def test_a_photo_that_crashes_the_process_is_left_out(
    facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    library, index = tmp_path / "photos", tmp_path / "ix"
    shutil.copytree(photos, library)
    (library / "07.png").write_bytes((library / "07.png").read_bytes() + b"this one crashes")
    (tmp_path / "crashing").mkdir()
    (tmp_path / "crashing/sitecustomize.py").write_text(CRASHES)
    crashing = {**environment, "PYTHONPATH": str(tmp_path / "crashing")}
    command = [sys.executable, "-m", "facesearch", "index", str(library), "--index", str(index), "-q", "-f", "json"]
    died = subprocess.run(command, env=crashing, check=False, capture_output=True)
    assert died.returncode == -signal.SIGABRT
    found_out = subprocess.run(command, env=crashing, check=False, capture_output=True, text=True)
    assert found_out.returncode == 0, "looked at in a process of its own, which died twice"
    report = json.loads(found_out.stdout)
    assert report["given_up"] == [str(library / "07.png")]
    assert f"{library / '07.png'}: skipped" in found_out.stderr
    assert subprocess.run(command, env=crashing, check=False, capture_output=True).returncode == 0
    failed = facesearch("status", "--failed", "--index", index).stdout.splitlines()
    assert len(failed) == 1
    assert "07.png" in failed[0]
    assert "died 2 times while processing it alone (SIGABRT)" in failed[0]
    facts = json.loads(facesearch("status", "--index", index, "-f", "json").stdout)
    assert (facts["photos"], facts["faces"]) == (PHOTOS, PHOTOS - 1)
    assert not (index / "in-hand").exists()
    again = subprocess.run([*command, "--retry-failed"], env=crashing, check=False, capture_output=True, text=True)
    assert (again.returncode, json.loads(again.stdout)["given_up"]) == (0, report["given_up"]), "alone at once"
    mended = json.loads(facesearch("index", "--index", index, "--retry-failed", "-q", "-f", "json").stdout)
    assert (mended["changed"], mended["faces"]) == (1, PHOTOS)


def test_being_in_hand_at_a_death_is_no_proof(
    facesearch: Run, environment: dict[str, str], photos: Path, tmp_path: Path
) -> None:
    """However often runs are killed from outside, no photo is given up."""
    index = tmp_path / "ix"
    command = [sys.executable, "-m", "facesearch", "index", str(photos), "--index", str(index), "-q"]
    killed = 0
    for _ in range(20):
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and not (index / "in-hand").exists():
                time.sleep(0.002)
            run.send_signal(signal.SIGKILL)
            killed += run.wait() == -signal.SIGKILL
        if killed == 6:
            break
    assert killed == 6
    assert (index / "in-hand").read_bytes()
    report = json.loads(facesearch("index", photos, "--index", index, "-q", "-f", "json").stdout)
    assert (report["photos"], report["faces"], report["failed"], report["given_up"]) == (PHOTOS, PHOTOS, 0, [])
    assert facesearch("status", "--failed", "--index", index).stdout == ""


def test_photos_that_were_given_up_by_suspicion_get_another_try(facesearch: Run, photos: Path, tmp_path: Path) -> None:
    """A catalog of schema 3, with a photo that was in hand at two deaths."""
    index = tmp_path / "ix"
    facesearch("index", photos, "--index", index, "-q")
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as catalog:
        catalog.execute("PRAGMA foreign_keys = ON")
        photo = catalog.execute("SELECT min(id) FROM photos").fetchone()
        catalog.execute("DELETE FROM faces WHERE photo = ?", photo)
        catalog.execute(
            "UPDATE photos SET status = 'failed', error = 'facesearch died 2 times while looking at it' WHERE id = ?",
            photo,
        )
    as_of_schema(index / "catalog.sqlite", 3)
    report = json.loads(facesearch("index", "--index", index, "-q", "-f", "json").stdout)
    assert (report["changed"], report["faces"], report["failed"]) == (1, PHOTOS, 0)
    facesearch("check", "--index", index)


def test_a_catalog_of_the_schema_before_this_one_is_brought_up_to_date(
    facesearch: Run, photos: Path, tmp_path: Path
) -> None:
    index = tmp_path / "ix"
    facesearch("index", photos, "--index", index, "-q")
    before = exported(facesearch, index)
    as_of_schema(index / "catalog.sqlite", len(MIGRATIONS) - 1)
    report = json.loads(facesearch("index", "--index", index, "-q", "-f", "json").stdout)
    assert (report["unchanged"], report["headers"]) == (PHOTOS, 0)
    assert exported(facesearch, index) == before
    facesearch("check", "--index", index)
