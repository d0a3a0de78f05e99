"""The libraries that run networks, loaded when they are first used: the only importer of onnxruntime and openvino."""

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
"""ONNX Runtime's names for the devices that it may have been built for."""


@cache
def onnxruntime_library() -> Any:
    """ONNX Runtime, its telemetry off and its log silent. Raises `ImportError`, `AttributeError`, `OSError`."""
    # From 1.31 on, making a session writes a device id under the user's cache folder and queues an event to be sent.
    # It is read while the library loads; disable_telemetry_events() would come too late.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # what goes wrong is raised; nothing is printed beside it
    if hasattr(onnxruntime, "preload_dlls") and PROVIDERS["cuda"] in onnxruntime.get_available_providers():
        with redirect_stdout(StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()  # CUDA and cuDNN as pip installs them, where no loader looks
    return onnxruntime


@cache
def openvino_library() -> Any:
    """OpenVINO without its telemetry. Raises `ImportError`."""
    # Importing it loads its converter, which writes an id and counters under the user's home and reports its use to a
    # web service. Where that module cannot be imported it takes a stub instead.
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino
