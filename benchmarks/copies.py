"""Measure the cost per copy of one photo, with COPIES (20,000) copies and with a tenth of that.

    python benchmarks/copies.py [COPIES]

The copies are hard links to a photo with six faces. One run indexes them, a second one finds one more, a third finds
all of them renamed; another run gets each copy in a separate folder. The cost per copy must not grow with the number of
copies. A run over all of them measures the longest time between two commits, and the time from SIGTERM to the end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from importlib.resources import files
from pathlib import Path


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of an indexing run."""
    return [sys.executable, "-m", "facesearch", "index", *map(str, arguments), "-q", "-f", "json"]


def timed(*arguments: str | Path) -> tuple[float, dict[str, float]]:
    """Run `facesearch index`; return the seconds of the whole process and its report."""
    started = time.perf_counter()
    done = subprocess.run(command(*arguments), check=True, capture_output=True, text=True)
    return time.perf_counter() - started, json.loads(done.stdout)


def linked(photo: Path, folder: Path, count: int) -> Path:
    """Make a folder with `count` hard links to one photo."""
    folder.mkdir()
    for number in range(count):
        os.link(photo, folder / f"{number:06}.jpg")
    return folder


def in_one_folder(photo: Path, folder: Path, count: int) -> dict[str, float]:
    """Return the seconds of each run over one folder of copies."""
    photos, index = linked(photo, folder / "photos", count), folder / "index"
    seconds = {"new": timed(photos, "--index", index)[0]}
    os.link(photo, photos / "one more.jpg")
    seconds["one more"], report = timed("--index", index)
    assert report["new"] == 1
    photos.rename(folder / "elsewhere")
    photos.mkdir()
    for number, path in enumerate(sorted((folder / "elsewhere").iterdir())):
        path.rename(photos / f"renamed {number:06}.jpg")
    seconds["all renamed"], report = timed("--index", index)
    assert (report["moved"], report["faces"]) == (count + 1, 6 * (count + 1))
    return seconds


def as_roots(photo: Path, folder: Path, count: int) -> float:
    """Return the seconds of a run over `count` folders with one copy each."""
    folders = []
    for number in range(count):
        folders.append(folder / f"root {number}")
        folders[-1].mkdir()
        os.link(photo, folders[-1] / "one.jpg")
    return timed(*folders, "--index", folder / "index")[0]


def watched(photo: Path, folder: Path, count: int) -> tuple[float, float]:
    """Return the longest time between two commits, and the time from SIGTERM to the end of a run; in seconds."""
    photos = linked(photo, folder / "photos", count)
    longest = 0.0
    for stop in (False, True):
        index = folder / f"index {stop}"
        with subprocess.Popen(command(photos, "--index", index), stdout=subprocess.DEVNULL) as run:
            known, since, asked = 0, time.perf_counter(), 0.0
            while run.poll() is None:
                time.sleep(0.05)
                now = _photos(index)
                if now is None:
                    since = time.perf_counter()  # the run has not begun yet
                    continue
                if now != known and not stop:
                    longest = max(longest, time.perf_counter() - since)
                if now != known:
                    known, since = now, time.perf_counter()
                if stop and not asked and now:
                    run.send_signal(signal.SIGTERM)
                    asked = time.perf_counter()
            if stop:
                return longest, time.perf_counter() - asked if asked else 0.0
    raise AssertionError


def _photos(index: Path) -> int | None:
    """Return the number of committed photos; None if there is no index yet."""
    if not (index / "catalog.sqlite").exists():
        return None
    with closing(sqlite3.connect(f"file:{index / 'catalog.sqlite'}?mode=ro", uri=True)) as catalog:
        return int(catalog.execute("SELECT count(*) FROM photos").fetchone()[0])


def main(count: int) -> None:
    """Print one row per kind of run."""
    photo = Path(str(files("insightface") / "data/images/t1.jpg"))
    print(f"{'run':<28}{'copies':>8}{'seconds':>9}{'ms per copy':>13}")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as temporary:
        folder = Path(temporary)
        source = folder / "one.jpg"
        shutil.copy(photo, source)
        per_copy: dict[str, list[float]] = {}
        for number in (max(1, count // 10), count):
            place = folder / str(number) if number == count else folder / f"fewer {number}"
            place.mkdir()
            base = timed(linked(source, place / "single", 1), "--index", place / "single index")[0]
            (place / "roots").mkdir()
            runs = in_one_folder(source, place, number)
            for kind, seconds in {**runs, "one folder per copy": as_roots(source, place / "roots", number)}.items():
                each = max(seconds - base, 0.0) / number * 1000
                per_copy.setdefault(kind, []).append(each)
                print(f"{kind:<28}{number:>8,}{seconds:>9.2f}{each:>13.2f}")
        (folder / "watched").mkdir()
        longest, stopped = watched(source, folder / "watched", count)
        print(f"longest time between commits {longest:.1f} s; from SIGTERM to the end {stopped:.1f} s")
        for kind in ("new", "all renamed", "one folder per copy"):
            few, many = per_copy[kind]
            print(f"{kind}: a copy costs {many / few if few else 0:.2f} times as much among {count:,}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
