"""Inference sessions: a graph loaded on a runtime. The only maker of sessions.

What is handed out is ONNX Runtime's own session, or an adapter around OpenVINO's. Which of the two, and on what device,
`facesearch.models.runtime` decides.
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
    """One input or output of a graph; a shape holds sizes, or names where a size is open."""

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


def open_session(model: Path, runtime: Runtime) -> Session:
    """Load a graph. Raises `ModelError` when the file is missing or no model, `DeviceError` when the device fails."""
    if not model.is_file():
        raise ModelError(f"{model}: no such model file; check the path or install the model again")
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
    # Rearranging weights ahead takes a sixth of the loading time, some 25 MB, and saves nothing that can be measured.
    options.add_session_config_entry("session.disable_prepacking", "1")
    # Threads that spin while they wait take the processor from whatever loads and decodes beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised; nothing is printed beside it
    provider = PROVIDERS[runtime.device]
    try:
        # Without enable_fallback=0 it prints to stdout what goes wrong, and takes the processor instead.
        session: Session = library.InferenceSession(str(model), options, providers=[provider], enable_fallback=0)
    except Exception as error:  # its exceptions share no base class but this one
        raise RuntimeError(str(error)) from error
    if provider not in session.get_providers():
        raise DeviceError(f"device {runtime.device} does not take {model.name}", Hint.CPU_OR_MODEL)
    return session
