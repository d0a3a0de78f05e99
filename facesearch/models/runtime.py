"""Choose the library, the device and the number of threads that run the models; list what this machine offers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from facesearch.errors import DeviceError, Hint, UsageError
from facesearch.machine import available_cores
from facesearch.models.libraries import PROVIDERS, onnxruntime_library, openvino_library

__all__ = [
    "DEVICES",
    "Runtime",
    "available_runtimes",
    "choose_runtime",
    "has_bf16",
    "how_to_get",
    "troubled_devices",
]

DEVICES = ("auto", *PROVIDERS, "openvino")
"""`auto`, the devices that ONNX Runtime may support, and OpenVINO, which is a separate library."""

_OTHER_WHEEL = "pip uninstall onnxruntime, then pip install {} (installed together, they hide each other)"
_INSTALL = {
    "cpu": "pip install --force-reinstall onnxruntime",
    "cuda": _OTHER_WHEEL.format("'onnxruntime-gpu[cuda,cudnn]'"),
    "tensorrt": _OTHER_WHEEL.format("'onnxruntime-gpu[cuda,cudnn]' and tensorrt"),
    "migraphx": _OTHER_WHEEL.format("onnxruntime-migraphx"),
    "directml": _OTHER_WHEEL.format("onnxruntime-directml"),
    "coreml": "use the onnxruntime wheel for macOS, which includes it",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library on a device that runs `streams` requests in parallel, each on `threads` threads.

    `precision` is the arithmetic: f32, or bf16 if the CPU has instructions for it.
    """

    name: str
    device: str
    threads: int
    precision: str = "f32"
    streams: int = 1

    def __str__(self) -> str:
        streams = f"{self.streams} x " if self.streams != 1 else ""
        threads = f"{streams}{self.threads} thread{'s' if self.threads != 1 else ''}"
        places = "" if self.precise == self else f" (detection: {self.precise.name}, {self.precise.precision})"
        return f"{self.name} on {self.device}, {self.precision}{places}, {threads}"

    @property
    def precise(self) -> Runtime:
        """The runtime for detectors: the landmarks must not depend on the CPU.

        With the detector in bf16, the similarity of an image to itself in f32 was 0.998; with only the recogniser in
        bf16 it was 0.9998. OpenVINO ran YuNet no faster than ONNX Runtime (5.0 and 5.4 ms on a CPU with AMX, 7.3 ms in
        f32).
        """
        return self if self.name != "OpenVINO" else replace(self, name="ONNX Runtime", precision="f32")

    @property
    def gathers(self) -> bool:
        """Whether to merge photos that are processed in parallel into batches: not on a CPU."""
        return self.device != "cpu" and self.streams > 1

    def shared_by(self, workers: int) -> Runtime:
        """Return this runtime for `workers` threads that make one request each at a time: the cores are divided."""
        return replace(self, threads=max(1, self.threads // workers), streams=workers)


def choose_runtime(
    device: str = "auto",
    threads: int = 0,
    *,
    few: bool = False,
    notify: Callable[[str], None] = lambda _line: None,
) -> Runtime:
    """Choose the runtime; `threads` 0 means one thread per available core.

    `auto` chooses a GPU if ONNX Runtime supports CUDA and CUDA starts. Otherwise it chooses OpenVINO if that is
    installed and the CPU has bf16 (two to eight times as fast with AMX, 1.5 times with AVX-512 alone). Otherwise, and
    for only a `few` photos, it chooses ONNX Runtime on the CPU, which starts in a third of the time. `notify` gets a
    line if ONNX Runtime supports CUDA but the GPU is not used.

    Raises `UsageError` for an unknown device and `DeviceError` for one that is not available: it is never silently
    replaced by another.
    """
    threads = threads if threads > 0 else available_cores()
    if device not in DEVICES:
        raise UsageError(f"device {device}: choose one of {', '.join(DEVICES)}")
    if device == "openvino" and find_spec("openvino") is None:
        raise DeviceError("device openvino is not installed", Hint.CPU, remedy="pip install 'facesearch[openvino]'")
    if device == "auto" and not few and PROVIDERS["cuda"] in onnxruntime_library().get_available_providers():
        trouble = _trouble_starting("cuda")
        if trouble is None:
            return Runtime("ONNX Runtime", "cuda", threads)
        notify(f"using the CPU: ONNX Runtime supports CUDA, but CUDA does not start here ({trouble})")
    if device == "openvino" or (device == "auto" and not few and has_bf16() and find_spec("openvino") is not None):
        return Runtime("OpenVINO", "cpu", threads, "bf16" if has_bf16() else "f32")
    device = "cpu" if device == "auto" else device
    if PROVIDERS[device] not in onnxruntime_library().get_available_providers():
        raise DeviceError(f"device {device} is not available here", Hint.CPU, remedy=_INSTALL[device])
    trouble = None if device == "cpu" else _trouble_starting(device)
    if trouble is not None:
        raise DeviceError(
            f"device {device} does not start ({trouble})", Hint.CPU, remedy="check its driver and libraries"
        )
    return Runtime("ONNX Runtime", device, threads)


def available_runtimes() -> dict[str, list[str]]:
    """Return the available devices by library name and version. Raises `DeviceError` if ONNX Runtime does not load."""
    found = {}
    try:
        library = onnxruntime_library()
        providers = [name.removesuffix("ExecutionProvider") for name in library.get_available_providers()]
        found[f"ONNX Runtime {library.__version__}"] = providers
    except (ImportError, AttributeError, OSError) as error:  # missing, half removed with a rival wheel, or damaged
        reason = " ".join(str(error).split())
        raise DeviceError(f"onnxruntime cannot be loaded ({reason}); reinstall it") from error
    if find_spec("openvino") is not None:
        try:
            openvino = openvino_library()
            found[f"OpenVINO {openvino.__version__}"] = list(openvino.Core().available_devices)
        except Exception as error:  # report a broken extra, whatever it raises
            found["OpenVINO"] = [f"cannot be loaded: {' '.join(str(error).split())}"]
    return found


def troubled_devices() -> dict[str, str]:
    """Return the devices that ONNX Runtime supports but that do not start here, each with the reason."""
    offered = onnxruntime_library().get_available_providers()
    devices = [device for device, provider in PROVIDERS.items() if device != "cpu" and provider in offered]
    troubles = {device: _trouble_starting(device) for device in devices}
    return {device: trouble for device, trouble in troubles.items() if trouble is not None}


def how_to_get(device: str) -> str:
    """Return instructions for installing a device's libraries."""
    return _INSTALL[device]


@cache
def has_bf16() -> bool:
    """Return True if the CPU multiplies in bf16 (Intel's AMX, or AVX-512 of either maker)."""
    try:
        flags = Path("/proc/cpuinfo").read_bytes()
    except OSError:
        return False
    return b" amx_bf16" in flags or b" avx512_bf16" in flags


@cache
def _trouble_starting(device: str) -> str | None:
    """Return why ONNX Runtime cannot run a one-step graph on a device that it supports; None if it can.

    ONNX Runtime drops a provider whose libraries or driver are missing when it creates a session, with only a line in
    its log.
    """
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("taken", "given")]
    graph = helper.make_graph([helper.make_node("Identity", ["taken"], ["given"])], "probe", value[:1], value[1:])
    probe = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    library, provider = onnxruntime_library(), PROVIDERS[device]
    options = library.SessionOptions()
    options.log_severity_level = 4
    try:
        session = library.InferenceSession(probe.SerializeToString(), options, providers=[provider], enable_fallback=0)
    except Exception as error:  # its exceptions share no other base class
        return _missing_library(device) or " ".join(str(error).split())[:200]
    if provider in session.get_providers():
        return None
    return _missing_library(device) or "its libraries or driver cannot be loaded"


def _missing_library(device: str) -> str | None:
    """Return the system loader's message if a library that a provider needs is missing; else None."""
    folder = Path(onnxruntime_library().__file__).parent / "capi"
    for provider in folder.glob(f"*onnxruntime_providers_{device}.*"):
        try:
            ctypes.CDLL(str(provider))
        except OSError as error:
            if "No such file" in str(error):
                return str(error)
    return None
