"""Inference sessions: graphs loaded on a runtime. All sessions are created here.

A session is ONNX Runtime's own, or an adapter around OpenVINO's. `facesearch.models.runtime` chooses the library and
the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from facesearch.errors import DeviceError, Hint, ModelError
from facesearch.models.libraries import PROVIDERS, onnxruntime_library
from facesearch.models.openvino_session import OpenVinoSession

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facesearch.models.runtime import Runtime

__all__ = ["Session", "TensorInfo", "open_session"]


class TensorInfo(Protocol):
    """One input or output of a graph; a shape holds sizes, or names for dynamic sizes."""

    @property
    def name(self) -> str:
        """The name of the input or output."""
        ...

    @property
    def shape(self) -> list[int | str]:
        """Its size along each axis."""
        ...

    @property
    def type(self) -> str:
        """The type of its elements, as ONNX Runtime writes it: `tensor(float)`."""
        ...


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that facesearch and insightface's model classes use."""

    def get_inputs(self) -> Sequence[TensorInfo]:
        """Return the inputs of the graph."""
        ...

    def get_outputs(self) -> Sequence[TensorInfo]:
        """Return the outputs of the graph, in its own order."""
        ...

    def get_providers(self) -> Sequence[str]:
        """Return ONNX Runtime's names for the devices in use."""
        ...

    def set_providers(self, providers: Sequence[str]) -> None:
        """Switch to another device."""
        ...

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Return the named outputs (None: all of them) for the inputs, which are given by name."""
        ...


def open_session(model: Path, runtime: Runtime) -> Session:
    """Load a graph. Raises `ModelError` if the file is missing or invalid, `DeviceError` if the device fails."""
    if not model.is_file():
        raise ModelError(f"{model}: model file not found; check the path or install the model again")
    try:
        if runtime.name == "OpenVINO":
            return OpenVinoSession(model, runtime)
        return _onnxruntime_session(model, runtime)
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{model}: not a model that {runtime.name} can load ({reason})") from error


def _onnxruntime_session(model: Path, runtime: Runtime) -> Session:
    library = onnxruntime_library()
    options = library.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    # Prepacking weights takes a sixth of the loading time and about 25 MB, and saves nothing measurable.
    options.add_session_config_entry("session.disable_prepacking", "1")
    # Threads that spin while they wait take CPU time from threads that load and decode photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised and need not be printed too
    provider = PROVIDERS[runtime.device]
    try:
        # Without enable_fallback=0 it prints errors to stdout and falls back to the CPU.
        session: Session = library.InferenceSession(str(model), options, providers=[provider], enable_fallback=0)
    except Exception as error:  # its exceptions share no other base class
        raise RuntimeError(str(error)) from error
    if provider not in session.get_providers():
        raise DeviceError(f"device {runtime.device} cannot run {model.name}", Hint.CPU_OR_MODEL)
    return session
