"""Measure milliseconds per face of recognisers on one thread, by runtime, precision and batch size; medians.

    python benchmarks/recognisers.py [ROUNDS] [--layers 3 4 14 3] [--json OUT.json]

The recognisers are the embedded SFace and a network of the size of those in InsightFace's large packs: ResNet-50 as
ArcFace uses it (four stages of 3, 4, 14 and 3 blocks, 112 x 112 pixels in, 512 numbers out; Deng et al. 2019). Its
weights are random, because the time does not depend on them. Settings take turns in every round, so that a slow moment
of the machine affects all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from facesearch.models import bundled
from facesearch.models.runtime import Runtime, has_bf16
from facesearch.models.sessions import Session, open_session

BATCHES = (1, 4, 16)
SFACE = Path(bundled.__file__).parent / "weights" / "sface_2021dec.onnx"


class ResNet:
    """A graph with random weights, built layer by layer."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._rng = np.random.default_rng(0)

    def build(self, layers: Sequence[int]) -> onnx.ModelProto:
        """Build the network; `layers` has the number of blocks of each of the four stages."""
        value, width = self._prelu(self._conv("input", 3, 64, 3, 1), 64), 64
        for channels, blocks in zip((64, 128, 256, 512), layers, strict=True):
            for block in range(blocks):
                value = self._block(value, width, channels, 2 if block == 0 else 1)
                width = channels
        flat = self._add("Flatten", [value])
        numbers = [self._weight((512, 512 * 49)), self._weight((512,))]
        self._nodes.append(helper.make_node("Gemm", [flat, *numbers], ["embedding"], transB=1))
        graph = helper.make_graph(
            self._nodes,
            "resnet",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 112, 112])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 512])],
            self._weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _block(self, value: str, width: int, channels: int, stride: int) -> str:
        inside = self._conv(self._norm(value, width), width, channels, 3, 1)
        inside = self._conv(self._prelu(inside, channels), channels, channels, 3, stride)
        same = width == channels and stride == 1
        return self._add("Add", [inside, value if same else self._conv(value, width, channels, 1, stride)])

    def _conv(self, value: str, width: int, channels: int, side: int, stride: int) -> str:
        inputs = [value, self._weight((channels, width, side, side)), self._weight((channels,))]
        return self._add("Conv", inputs, kernel_shape=[side] * 2, strides=[stride] * 2, pads=[side // 2] * 4)

    def _prelu(self, value: str, channels: int) -> str:
        return self._add("PRelu", [value, self._weight((channels, 1, 1))])

    def _norm(self, value: str, channels: int) -> str:
        scale, shift, mean, variance = (np.full(channels, number, np.float32) for number in (0.5, 0, 0, 1))
        return self._add("BatchNormalization", [value, *map(self._constant, (scale, shift, mean, variance))])

    def _weight(self, shape: tuple[int, ...]) -> str:
        spread = float(np.prod(shape[1:] or (1,))) ** -0.5
        return self._constant((self._rng.normal(size=shape) * spread).astype(np.float32))

    def _constant(self, values: np.ndarray) -> str:
        name = f"weight {len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _add(self, kind: str, inputs: list[str], **settings: object) -> str:
        name = f"value {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **settings))
        return name


def runtimes() -> list[Runtime]:
    """Return the runtimes available on this machine."""
    found = [Runtime("ONNX Runtime", "cpu", 1)]
    if find_spec("openvino") is not None:
        found += [Runtime("OpenVINO", "cpu", 1, precision) for precision in ("f32", "bf16")[: 1 + has_bf16()]]
    return found


def milliseconds(session: Session, faces: int) -> float:
    """Return the milliseconds per face for one batch."""
    (taken,) = session.get_inputs()
    pixels = np.random.default_rng(1).uniform(0, 255, (faces, 3, 112, 112)).astype(np.float32)
    started = time.perf_counter()
    session.run(None, {taken.name: pixels})
    return (time.perf_counter() - started) * 1000 / faces


def measure(rounds: int, layers: Sequence[int]) -> list[dict[str, Any]]:
    """Return one row per network, runtime and batch size."""
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "resnet.onnx"
        onnx.save(ResNet().build(layers), large)
        sessions = {
            (name, runtime): open_session(path, runtime)
            for name, path in (("SFace", SFACE), (f"ResNet {'-'.join(map(str, layers))}", large))
            for runtime in runtimes()
        }
        times: dict[tuple[str, Runtime, int], list[float]] = {}
        for turn in range(rounds + 1):
            for (name, runtime), session in sessions.items():
                for batch in BATCHES:
                    took = milliseconds(session, batch)
                    if turn:  # the first round warms up
                        times.setdefault((name, runtime, batch), []).append(took)
    return [
        {
            "network": name, "runtime": runtime.name, "precision": runtime.precision, "batch": batch,
            "ms_a_face": round(statistics.median(took), 2),
        }
        for (name, runtime, batch), took in times.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int, nargs="?", default=11)
    parser.add_argument("--layers", type=int, nargs=4, default=(3, 4, 14, 3))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.rounds, options.layers)
    for row in rows:
        line = "{network:<16} {runtime:<12} {precision:<4}  batch {batch:>2}  {ms_a_face:8.2f} ms per face"
        print(line.format(**row))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
