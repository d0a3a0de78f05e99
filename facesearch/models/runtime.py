"""What runs the models: which library, on which device, with how many threads; and what there is on this machine."""

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
"""`auto`, what ONNX Runtime may have been built for, and OpenVINO, which is a library of its own."""

_OTHER_WHEEL = "pip uninstall onnxruntime, then pip install {} (both together hide each other)"
_INSTALL = {
    "cpu": "pip install --force-reinstall onnxruntime",
    "cuda": _OTHER_WHEEL.format("'onnxruntime-gpu[cuda,cudnn]'"),
    "tensorrt": _OTHER_WHEEL.format("'onnxruntime-gpu[cuda,cudnn]' and tensorrt"),
    "migraphx": _OTHER_WHEEL.format("onnxruntime-migraphx"),
    "directml": _OTHER_WHEEL.format("onnxruntime-directml"),
    "coreml": "it comes with the onnxruntime wheel for macOS",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs the models: so many questions (`streams`) at once, each on so many `threads`.

    `precision` is the arithmetic inside: f32, or bf16 where the processor has instructions for it.
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
        """What detectors run on: where landmarks lie must not depend on the processor.

        With the detector in bf16 a picture's similarity to itself in f32 was 0.998, with the recogniser alone 0.9998.
        OpenVINO ran YuNet no faster than ONNX Runtime (5.0 and 5.4 ms on a processor with AMX, 7.3 ms in f32).
        """
        return self if self.name != "OpenVINO" else replace(self, name="ONNX Runtime", precision="f32")

    @property
    def gathers(self) -> bool:
        """Whether photos worked on at once are best put together into batches: not on a processor."""
        return self.device != "cpu" and self.streams > 1

    def shared_by(self, workers: int) -> Runtime:
        """The same, for `workers` threads that each ask one question at a time: a core for each, none waits."""
        return replace(self, threads=max(1, self.threads // workers), streams=workers)


def choose_runtime(
    device: str = "auto",
    threads: int = 0,
    *,
    few: bool = False,
    notify: Callable[[str], None] = lambda _line: None,
) -> Runtime:
    """Decide what runs the models; `threads` 0 means one for each available core.

    `auto` takes a graphics processor where ONNX Runtime was built for CUDA and CUDA starts; else OpenVINO where it is
    installed and the processor has bf16 (two to eight times as fast with AMX, once and a half with AVX-512 alone);
    else ONNX Runtime on the processor, also where there are only a `few` photos, because it starts in a
    third of the time. `notify` is told where a graphics processor was to be expected and is not used.

    Raises `UsageError` for an unknown device, and `DeviceError` for one that is missing: it is never
    replaced by another in silence.
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
        notify(f"using the processor: ONNX Runtime was built for CUDA, which does not start here ({trouble})")
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
    """What models can run on here, by the library's name and version. Raises `DeviceError` when there is nothing."""
    found = {}
    try:
        library = onnxruntime_library()
        providers = [name.removesuffix("ExecutionProvider") for name in library.get_available_providers()]
        found[f"ONNX Runtime {library.__version__}"] = providers
    except (ImportError, AttributeError, OSError) as error:  # gone, half removed by a rival's removal, or not loadable
        reason = " ".join(str(error).split())
        raise DeviceError(f"onnxruntime cannot be loaded ({reason}); install it again") from error
    if find_spec("openvino") is not None:
        try:
            openvino = openvino_library()
            found[f"OpenVINO {openvino.__version__}"] = list(openvino.Core().available_devices)
        except Exception as error:  # a broken extra is to be told, whatever it raises
            found["OpenVINO"] = [f"cannot be loaded: {' '.join(str(error).split())}"]
    return found


def troubled_devices() -> dict[str, str]:
    """What ONNX Runtime was built for and does not start here, each with the reason."""
    offered = onnxruntime_library().get_available_providers()
    devices = [device for device, provider in PROVIDERS.items() if device != "cpu" and provider in offered]
    troubles = {device: _trouble_starting(device) for device in devices}
    return {device: trouble for device, trouble in troubles.items() if trouble is not None}


def how_to_get(device: str) -> str:
    """What to install for a device."""
    return _INSTALL[device]


@cache
def has_bf16() -> bool:
    """Whether the processor multiplies in bf16 (Intel's AMX, or AVX-512 of either maker)."""
    try:
        flags = Path("/proc/cpuinfo").read_bytes()
    except OSError:
        return False
    return b" amx_bf16" in flags or b" avx512_bf16" in flags


@cache
def _trouble_starting(device: str) -> str | None:
    """Why ONNX Runtime does not run a graph of one step on a device that it was built for; None: it does.

    A provider whose libraries or driver are missing is left out by ONNX Runtime when a session is made, with no more
    than a line in its log.
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
    except Exception as error:  # its exceptions share no base class but this one
        return _missing_library(device) or " ".join(str(error).split())[:200]
    if provider in session.get_providers():
        return None
    return _missing_library(device) or "its libraries or driver cannot be loaded"


def _missing_library(device: str) -> str | None:
    """What the system's loader says where a library that a provider needs is not there."""
    folder = Path(onnxruntime_library().__file__).parent / "capi"
    for provider in folder.glob(f"*onnxruntime_providers_{device}.*"):
        try:
            ctypes.CDLL(str(provider))
        except OSError as error:
            if "No such file" in str(error):
                return str(error)
    return None
