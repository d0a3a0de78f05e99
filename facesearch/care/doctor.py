"""Diagnose what facesearch depends on (packages, processors, models, disks, the index), and advise on problems.

Only what is needed is loaded, and nothing is written. A failure becomes a finding and does not end the diagnosis.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from facesearch.errors import FacesearchError, Hint, ModelMismatchError
from facesearch.machine import available_cores, available_memory
from facesearch.models.framing import LATEST_REVISION
from facesearch.models.resolve import choose_model, model_info
from facesearch.models.runtime import available_runtimes, choose_runtime, has_bf16, how_to_get, troubled_devices
from facesearch.wording import counted

__all__ = ["Finding", "diagnose"]

_PACKAGES = ("numpy", "pillow", "pi-heif", "faiss-cpu", "onnxruntime", "insightface", "onnx", "openvino", "typer")
_ONE_OF = {
    "onnxruntime": (
        ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-training"),
        "they write the same folder and hide each other: pip uninstall all of them, then install the one you want",
    ),
    "cv2": (
        ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
        (
            "they write the same folder, and removing one breaks the other: pip uninstall all of them, then pip "
            "install opencv-python-headless"
        ),
    ),
}
_LITTLE_ROOM = 2 * 2**30
_LITTLE_MEMORY = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one component. `advice` is what to do if there is a problem.

    A `broken` component keeps facesearch from working; other advice is about what could be better.
    """

    about: str
    found: str
    advice: str | None = None
    broken: bool = False


def diagnose(index: Path) -> list[Finding]:
    """Examine every component; `index` is the index's folder, which need not exist."""
    components: Sequence[Callable[[], Iterator[Finding]]] = (
        _program, _packages, _runtimes, _machine, _models, lambda: _disk(index), lambda: _index(index),
    )  # fmt: skip
    findings: list[Finding] = []
    for component in components:
        try:
            findings.extend(component())
        except FacesearchError as error:
            findings.append(Finding("settings", str(error), "fix this first", broken=True))
    return findings


def _program() -> Iterator[Finding]:
    from facesearch import __version__

    yield Finding("facesearch", __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("environment", sys.prefix)


def _packages() -> Iterator[Finding]:
    for name in _PACKAGES:
        version = _version(name)
        if version is not None:
            yield Finding(name, version)
        elif name not in ("openvino", "onnxruntime"):
            yield Finding(name, "not installed", f"pip install {name}", broken=True)
    for module, (rivals, advice) in _ONE_OF.items():
        there = [f"{name} {version}" for name in rivals if (version := _version(name))]
        if len(there) > 1:
            yield Finding(module, " and ".join(there), advice)
    if any(_version(name) for name in _ONE_OF["cv2"][0]):
        trouble = _trouble_importing("cv2")
        if trouble:
            graphics = any(library in trouble for library in ("libGL", "libgthread", "libglib"))
            libraries = (
                "apt install libgl1 libglib2.0-0, or pip install opencv-python-headless in place of opencv-python"
            )
            yield Finding(
                "cv2", trouble, libraries if graphics else "pip install --force-reinstall opencv-python-headless"
            )


def _runtimes() -> Iterator[Finding]:
    try:
        for name, devices in available_runtimes().items():
            yield Finding(name, ", ".join(devices))
    except FacesearchError as error:
        yield Finding("ONNX Runtime", str(error), "pip install --force-reinstall onnxruntime", broken=True)
        return
    for device, trouble in troubled_devices().items():
        yield Finding(f"device {device}", f"does not start: {trouble}", f"if you want to use it: {how_to_get(device)}")
    runtime = choose_runtime()
    faster = has_bf16() and runtime.device == "cpu" and runtime.name != "OpenVINO"
    advice = "this processor has bf16, with which OpenVINO is faster: pip install 'facesearch[openvino]'"
    yield Finding("device auto", str(runtime), advice if faster else None)


def _machine() -> Iterator[Finding]:
    cores, all_cores = available_cores(), os.cpu_count() or 1
    limited = f" of {all_cores}: a container or taskset allows no more" if cores < all_cores else ""
    yield Finding("processors", f"{cores}{limited}")
    memory = available_memory()
    if memory is not None:
        little = str(Hint.LESS_MEMORY) if memory < _LITTLE_MEMORY else None
        yield Finding("memory", f"{memory / 2**30:.1f} GiB", little)


def _models() -> Iterator[Finding]:
    from facesearch.calibration.storage import calibration_of
    from facesearch.faces.trial import examined
    from facesearch.models.bundled import built_faults

    faults = built_faults()
    again = "install facesearch again: pip install --force-reinstall ."
    yield Finding(
        "model embedded", "; ".join(faults) or "weights as built", again if faults else None, broken=bool(faults)
    )
    for pack in examined():
        advice = Hint.REINSTALL_MODEL.format(name=pack.name) if pack.faults else None
        yield Finding(f"model {pack.name}", "; ".join(pack.faults) or pack.note or "OK", advice)

    chosen = choose_model(None)
    try:
        note = calibration_of(model_info(chosen.name)).note
        yield Finding("default model", chosen.name)
    except FacesearchError as error:
        yield Finding("default model", str(error), f"{Hint.DEFAULT_MODEL}; or unset $FACESEARCH_MODEL", broken=True)
        return
    if note is not None:
        yield Finding("calibration", note, f"delete it, or {Hint.CALIBRATE}")


def _disk(index: Path) -> Iterator[Finding]:
    folder = index
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("disk", f"{folder}: {error.strerror}", "check that the disk is mounted", broken=True)
        return
    advice = "free some space: an index takes about 1 GB per million faces" if free < _LITTLE_ROOM else None
    yield Finding("free disk", f"{free / 2**30:,.1f} GiB on the disk of the index", advice)
    if not os.access(folder, os.W_OK):
        yield Finding("disk", f"{folder} is not writable", f"queries work, indexing does not: {Hint.ANOTHER_INDEX}")


def _index(index: Path) -> Iterator[Finding]:
    from facesearch.faces.trial import tried
    from facesearch.index.store import Store

    if os.path.exists(index) and not os.path.isdir(index):
        yield Finding("index", f"{index} is a file", str(Hint.PLACE_FOR_INDEX), broken=True)
        return
    try:
        if not Store.exists(index):
            yield Finding("index", f"none at {index}", str(Hint.INDEX_A_FOLDER))
            return
        with Store.open(index, prepare=False) as store:
            counts = store.catalog.photos.counts()
            held = f"{counted(counts.photos, 'photo')}, {counted(counts.faces, 'face')}"
            yield Finding("index", f"{held}, model {store.model.name}, in {index}")
            shards = store.catalog.roots.shards()
            for root in store.catalog.roots.all():
                if root.id in shards:
                    yield Finding("shard", f"{shards[root.id]} of {os.fsdecode(root.path)}")
            model = model_info(store.model.source or store.model.name, store.model.revision)
            store.require_model(model)
            if store.model.revision < LATEST_REVISION:
                told = f"of revision {store.model.revision}; revision {LATEST_REVISION} finds more photos"
                yield Finding("embeddings", told, str(Hint.NEW_EMBEDDINGS))
            if model.source is not None and not model.named:  # packs with a name have already been tested
                trial = tried(model.source)
                advice = str(Hint.SWITCH_MODEL) if trial.fault else None
                yield Finding(f"model {model.call}", trial.fault or trial.note or "OK", advice)
    except ModelMismatchError as error:
        advice = str(error.hint).format_map(error.values) if error.hint else None
        yield Finding("index", error.told(None), advice, broken=True)
    except FacesearchError as error:
        yield Finding("index", str(error), str(Hint.CHECK), broken=True)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _trouble_importing(module: str) -> str | None:
    """Return why a module cannot be imported, tested in a separate process, which a broken library may end."""
    command = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be imported ({type(error).__name__})"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return f"cannot be imported ({lines[-1] if lines else f'exit code {done.returncode}'})"
