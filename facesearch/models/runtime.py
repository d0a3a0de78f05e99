"""Inference sessions: the only importer of onnxruntime and openvino, the only maker of sessions.

What is handed out is ONNX Runtime's own session, or an adapter around OpenVINO with the part of its interface that
facesearch and insightface's classes use. Which of the two, and on what device, is decided in `choose_runtime`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from facesearch.errors import DeviceError, Hint, ModelError, UsageError
from facesearch.machine import available_cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DEVICES",
    "Runtime",
    "Session",
    "TensorInfo",
    "available_runtimes",
    "choose_runtime",
    "has_bf16",
    "how_to_get",
    "open_session",
    "troubled_devices",
]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
DEVICES = ("auto", *_PROVIDERS, "openvino")
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


class TensorInfo(Protocol):
    """One input or output of a graph; a shape holds numbers, or names where a size is open."""

    @property
    def name(self) -> str:
        """By which it is fed or asked for."""
        ...

    @property
    def shape(self) -> list[int | str]:
        """Its sizes, axis by axis."""
        ...

    @property
    def type(self) -> str:
        """Of its elements, as ONNX Runtime writes it: `tensor(float)`."""
        ...


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that facesearch and insightface's model classes use."""

    def get_inputs(self) -> Sequence[TensorInfo]:
        """What the graph takes."""
        ...

    def get_outputs(self) -> Sequence[TensorInfo]:
        """What the graph gives, in its own order."""
        ...

    def get_providers(self) -> Sequence[str]:
        """What it runs on, in ONNX Runtime's terms."""
        ...

    def set_providers(self, providers: Sequence[str]) -> None:
        """Run on another device."""
        ...

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        """The named outputs (all of them for None) for inputs by name."""
        ...


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
    else ONNX Runtime on the processor, also where there are only a `few` photos to look at, because it starts in a
    third of the time. `notify` is told where a graphics processor was to be expected and is not used.

    Raises `UsageError` for a device that nobody knows, and `DeviceError` for one that is not there: it is never
    replaced by another in silence.
    """
    threads = threads if threads > 0 else available_cores()
    if device not in DEVICES:
        raise UsageError(f"device {device}: choose one of {', '.join(DEVICES)}")
    if device == "openvino" and find_spec("openvino") is None:
        raise DeviceError("device openvino is not installed", Hint.CPU, remedy="pip install 'facesearch[openvino]'")
    if device == "auto" and not few and _PROVIDERS["cuda"] in _onnxruntime().get_available_providers():
        trouble = _trouble_starting("cuda")
        if trouble is None:
            return Runtime("ONNX Runtime", "cuda", threads)
        notify(f"using the processor: ONNX Runtime was built for CUDA, which does not start here ({trouble})")
    if device == "openvino" or (device == "auto" and not few and has_bf16() and find_spec("openvino") is not None):
        return Runtime("OpenVINO", "cpu", threads, "bf16" if has_bf16() else "f32")
    device = "cpu" if device == "auto" else device
    if _PROVIDERS[device] not in _onnxruntime().get_available_providers():
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
        library = _onnxruntime()
        providers = [name.removesuffix("ExecutionProvider") for name in library.get_available_providers()]
        found[f"ONNX Runtime {library.__version__}"] = providers
    except (ImportError, AttributeError, OSError) as error:  # gone, half removed by a rival's removal, or not loadable
        reason = " ".join(str(error).split())
        raise DeviceError(f"onnxruntime cannot be loaded ({reason}); install it again") from error
    if find_spec("openvino") is not None:
        try:
            openvino = _openvino()
            found[f"OpenVINO {openvino.__version__}"] = list(openvino.Core().available_devices)
        except Exception as error:  # a broken extra is to be told, whatever it raises
            found["OpenVINO"] = [f"cannot be loaded: {' '.join(str(error).split())}"]
    return found


def troubled_devices() -> dict[str, str]:
    """What ONNX Runtime was built for and does not start here, each with the reason."""
    offered = _onnxruntime().get_available_providers()
    devices = [device for device, provider in _PROVIDERS.items() if device != "cpu" and provider in offered]
    troubles = {device: _trouble_starting(device) for device in devices}
    return {device: trouble for device, trouble in troubles.items() if trouble is not None}


def how_to_get(device: str) -> str:
    """What to install for a device."""
    return _INSTALL[device]


def open_session(model: Path, runtime: Runtime) -> Session:
    """Load a graph. Raises `ModelError` when the file is missing or no model, `DeviceError` when the device fails."""
    if not model.is_file():
        raise ModelError(f"{model}: no such model file; check the path or install the model again")
    try:
        if runtime.name == "OpenVINO":
            return _OpenVinoSession(model, runtime)
        return _onnxruntime_session(model, runtime)
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{model}: not a model that {runtime.name} can load ({reason})") from error


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
    library, provider = _onnxruntime(), _PROVIDERS[device]
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
    folder = Path(_onnxruntime().__file__).parent / "capi"
    for provider in folder.glob(f"*onnxruntime_providers_{device}.*"):
        try:
            ctypes.CDLL(str(provider))
        except OSError as error:
            if "No such file" in str(error):
                return str(error)
    return None


@cache
def _onnxruntime() -> Any:
    # From 1.31 on, making a session writes a device id under the user's cache folder and queues an event to be sent.
    # It is read while the library loads; disable_telemetry_events() would come too late.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # what goes wrong is raised; nothing is printed beside it
    if hasattr(onnxruntime, "preload_dlls") and _PROVIDERS["cuda"] in onnxruntime.get_available_providers():
        with redirect_stdout(StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()  # CUDA and cuDNN as pip installs them, where no loader looks
    return onnxruntime


def _onnxruntime_session(model: Path, runtime: Runtime) -> Session:
    library = _onnxruntime()
    options = library.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    # Rearranging weights ahead takes a sixth of the loading time, some 25 MB, and saves nothing that can be measured.
    options.add_session_config_entry("session.disable_prepacking", "1")
    # Threads that spin while they wait take the processor from whatever loads and decodes beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised; nothing is printed beside it
    provider = _PROVIDERS[runtime.device]
    try:
        # Without enable_fallback=0 it prints to stdout what goes wrong, and takes the processor instead.
        session: Session = library.InferenceSession(str(model), options, providers=[provider], enable_fallback=0)
    except Exception as error:  # its exceptions share no base class but this one
        raise RuntimeError(str(error)) from error
    if provider not in session.get_providers():
        raise DeviceError(f"device {runtime.device} does not take {model.name}", Hint.CPU_OR_MODEL)
    return session


@cache
def _openvino() -> Any:
    # Importing it loads its converter, which writes an id and counters under the user's home and reports its use to a
    # web service. Where that module cannot be imported it takes a stub instead.
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


_ELEMENTS = {"f32": "float", "f16": "float16", "u8": "uint8", "i64": "int64", "i32": "int32"}


class _OpenVinoTensor(NamedTuple):
    name: str
    shape: list[int | str]
    type: str


class _OpenVinoSession:
    """OpenVINO behind ONNX Runtime's session interface; safe to use from several threads."""

    def __init__(self, model: Path, runtime: Runtime) -> None:
        openvino = _openvino()
        graph = openvino.Core().read_model(str(model))
        _join_prelu(graph)
        config = {
            "INFERENCE_NUM_THREADS": runtime.threads * runtime.streams,
            "NUM_STREAMS": runtime.streams,
            "INFERENCE_PRECISION_HINT": runtime.precision,
        }
        self._compiled = openvino.compile_model(graph, "CPU", config)
        self._inputs = [_openvino_tensor(port) for port in self._compiled.inputs]
        self._outputs = [_openvino_tensor(port) for port in self._compiled.outputs]
        # The order of outputs is not that of the graph, so every look-up goes by name.
        self._ports = {name: port for port in self._compiled.outputs for name in port.get_names()}
        self._requests = threading.local()

    def get_inputs(self) -> Sequence[TensorInfo]:
        return self._inputs

    def get_outputs(self) -> Sequence[TensorInfo]:
        return self._outputs

    def get_providers(self) -> Sequence[str]:
        return ["OpenVINOExecutionProvider"]

    def set_providers(self, providers: Sequence[str]) -> None:
        """Insightface asks for the processor when told to use no GPU; OpenVINO is there already."""

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        request = getattr(self._requests, "request", None)
        if request is None:
            request = self._requests.request = self._compiled.create_infer_request()
        results = request.infer(dict(input_feed))
        names = output_names or [output.name for output in self._outputs]
        return [results[self._ports[name]].copy() for name in names]


def _join_prelu(graph: Any) -> None:
    """Put PRelu back where a graph has x + (1-a)*Relu(-x) for it, which suits ONNX Runtime.

    OpenVINO has a fast PRelu: SFace took 8.4 ms a face with it split and 7.5 ms with it whole (f32, one thread).
    """
    from openvino import opset13

    for total in graph.get_ordered_ops():
        if total.get_type_name() != "Add":
            continue
        lift, source = (total.input_value(number) for number in range(2))
        rest = _factor_after(lift, "Relu")
        if rest is None:
            continue
        mirrored = lift.get_node().input_value(0).get_node().input_value(0)
        factor = _factor_after(mirrored)
        if factor is not None and (factor == -1).all() and mirrored.get_node().input_value(0) == source:
            slope = opset13.constant((1 - rest).reshape(-1).astype("float32"))
            total.output(0).replace(opset13.prelu(source, slope).output(0))


def _factor_after(value: Any, kind: str | None = None) -> Any:
    """The constant of a product with a constant, where its other factor comes from a `kind` of node; else None."""
    node = value.get_node()
    if node.get_type_name() != "Multiply":
        return None
    factor, other = node.input_value(1).get_node(), node.input_value(0).get_node()
    if factor.get_type_name() != "Constant" or (kind is not None and other.get_type_name() != kind):
        return None
    return factor.get_data()


def _openvino_tensor(port: Any) -> _OpenVinoTensor:
    shape: list[int | str] = [
        f"dim{axis}" if dim.is_dynamic else dim.get_length() for axis, dim in enumerate(port.get_partial_shape())
    ]
    element = port.get_element_type().get_type_name()
    return _OpenVinoTensor(port.get_any_name(), shape, f"tensor({_ELEMENTS.get(element, element)})")
