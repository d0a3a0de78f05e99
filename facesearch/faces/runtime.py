"""Inference sessions: the only importer of onnxruntime and openvino, the only maker of sessions.

What is handed out is ONNX Runtime's own session, or an adapter around OpenVINO with the part of its interface that
facesearch and insightface's classes use. Which of the two, and on what device, is decided in `choose_runtime`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from facesearch.errors import DeviceError, ModelError, UsageError
from facesearch.machine import available_cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DEVICES", "Runtime", "Session", "TensorInfo", "available_runtimes", "choose_runtime", "open_session"]

DEVICES = ("auto", "cpu", "cuda", "coreml", "openvino")

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "coreml": "CoreMLExecutionProvider"}
_INSTALL = {
    "cuda": "pip uninstall onnxruntime, then pip install onnxruntime-gpu (both together hide each other)",
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

    `precision` is the arithmetic inside: f32, or bf16 where the processor has AMX.
    """

    name: str
    device: str
    threads: int
    precision: str = "f32"
    streams: int = 1

    def __str__(self) -> str:
        streams = f"{self.streams} x " if self.streams != 1 else ""
        threads = f"{streams}{self.threads} thread{'s' if self.threads != 1 else ''}"
        return f"{self.name} on {self.device}, {self.precision}, {threads}"

    @property
    def gathers(self) -> bool:
        """Whether photos worked on at once are best put together into batches: not on a processor."""
        return self.device != "cpu" and self.streams > 1

    def shared_by(self, workers: int) -> Runtime:
        """The same, for `workers` threads that each ask one question at a time: a core for each, none waits."""
        return replace(self, threads=max(1, self.threads // workers), streams=workers)


def choose_runtime(device: str = "auto", threads: int = 0, *, few: bool = False) -> Runtime:
    """Decide what runs the models; `threads` 0 means one for each available core.

    `auto` takes OpenVINO where it is installed and the processor has AMX, which makes it four times as fast as ONNX
    Runtime, and ONNX Runtime on the processor otherwise; also where there are only a `few` photos to look at, because
    it starts in a third of the time. Raises `DeviceError` for a device that is not there: it is
    never replaced by another in silence.
    """
    threads = threads if threads > 0 else available_cores()
    if device not in DEVICES:
        raise UsageError(f"--device {device}: choose one of {', '.join(DEVICES)}")
    if device == "openvino" and find_spec("openvino") is None:
        raise DeviceError("device openvino is not installed; pip install 'facesearch[openvino]', or use --device cpu")
    if device == "openvino" or (device == "auto" and not few and _has_amx() and find_spec("openvino") is not None):
        return Runtime("OpenVINO", "cpu", threads, "bf16" if _has_amx() else "f32")
    device = "cpu" if device == "auto" else device
    if _PROVIDERS[device] not in _onnxruntime().get_available_providers():
        raise DeviceError(f"device {device} is not available here; {_INSTALL[device]}, or use --device cpu")
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
def _has_amx() -> bool:
    """Whether the processor multiplies matrices in hardware (Intel's AMX with bf16)."""
    try:
        return b" amx_bf16" in Path("/proc/cpuinfo").read_bytes()
    except OSError:
        return False


@cache
def _onnxruntime() -> Any:
    # From 1.31 on, making a session writes a device id under the user's cache folder and queues an event to be sent.
    # It is read while the library loads; disable_telemetry_events() would come too late.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

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
        session: Session = library.InferenceSession(str(model), options, providers=[provider])
    except Exception as error:  # its exceptions share no base class but this one
        raise RuntimeError(str(error)) from error
    if provider not in session.get_providers():
        raise DeviceError(f"device {runtime.device} was not accepted by ONNX Runtime; {_INSTALL[runtime.device]}")
    return session


@cache
def _openvino() -> Any:
    # Importing it loads its converter, which writes an id and counters under the user's home and reports its use to a
    # web service. Where that module cannot be imported it takes a stub instead.
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


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
    return _OpenVinoTensor(port.get_any_name(), shape, "tensor(float)")
