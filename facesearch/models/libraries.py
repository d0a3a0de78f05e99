"""Load the libraries that run networks on first use. No other module imports onnxruntime or openvino."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Any

__all__ = ["PROVIDERS", "onnxruntime_library", "openvino_library"]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""ONNX Runtime's names for the devices that it may support."""


@cache
def onnxruntime_library() -> Any:
    """Return ONNX Runtime, with telemetry off and its log silent.

    Raises `ImportError`, `AttributeError` or `OSError` if it cannot be loaded.
    """
    # From 1.31 on, creating a session writes a device id under the user's cache folder and queues an event to send.
    # The variable is read while the library loads; disable_telemetry_events() would come too late.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # errors are raised and need not be printed too
    if hasattr(onnxruntime, "preload_dlls") and PROVIDERS["cuda"] in onnxruntime.get_available_providers():
        with redirect_stdout(StringIO()):  # it prints which libraries it does not find
            onnxruntime.preload_dlls()  # CUDA and cuDNN from pip, which the system's loader does not find
    return onnxruntime


@cache
def openvino_library() -> Any:
    """Return OpenVINO, without telemetry. Raises `ImportError` if it is not installed."""
    # Importing it loads its converter, which writes an id and counters under the user's home and reports its use to a
    # web service. If the telemetry module cannot be imported, it uses a stub instead.
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino
