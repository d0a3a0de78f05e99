"""Make packs in InsightFace's format: a real one from the shipped networks, and some that do not recognise faces.

The real one is YuNet with SCRFD's outputs, and SFace.

For three strides and two faces per cell, SCRFD outputs a score, the distances of a box's sides from the cell, and the
offsets of five landmarks, all in strides. YuNet's outputs have the same information. So a few nodes after its graph
make a working detector, for pictures of any size, that insightface treats as SCRFD.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from facesearch.models import bundled

BUILT = Path(bundled.__file__).parent / "weights"
STRIDES = (8, 16, 32)


def make_pack(folder: Path) -> Path:
    """Write the pack to a new folder; the recogniser is SFace from the build."""
    folder.mkdir(parents=True)
    onnx.save(scrfd_of_yunet(), folder / "det_yunet.onnx")
    shutil.copy(BUILT / "sface_2021dec.onnx", folder / "w_sface.onnx")
    return folder


def make_pack_with_manifest(folder: Path) -> Path:
    """Write the pack in the form of the raccoon packs: a manifest names the heads, and pixels are not scaled.

    Chosen by shape, other graphs would be used: one of a body detector, and one of dense landmarks.
    """
    (folder / "graphs").mkdir(parents=True)
    onnx.save(scrfd_of_yunet(scaled=False), folder / "graphs/faces.onnx")
    shutil.copy(BUILT / "sface_2021dec.onnx", folder / "recognition.onnx")
    onnx.save(scrfd_of_yunet(), folder / "a_body.onnx")
    digest = hashlib.sha256((folder / "graphs/faces.onnx").read_bytes()).hexdigest()
    tasks = {
        "detection": {"file": "graphs/faces.onnx", "sha256": digest, "preprocessing": "embedded"},
        "recognition": {"file": "recognition.onnx", "preprocessing": {"mean": 0, "std": 1}},
        "body_detection": {"file": "a_body.onnx"},
    }
    manifest = {"manifest_version": 2, "model_id": "own", "license": "MODEL.LICENSE", "tasks": tasks}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def make_pack_with(folder: Path, recogniser: onnx.ModelProto) -> Path:
    """Write a pack with the same detector and another recogniser."""
    folder.mkdir(parents=True)
    onnx.save(scrfd_of_yunet(), folder / "det_yunet.onnx")
    onnx.save(recogniser, folder / "w_other.onnx")
    return folder


def random_recogniser(seed: int, layers: int = 4, *, pooled: bool = False) -> onnx.ModelProto:
    """Return a convolutional network with random weights; 128 dimensions."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], []
    value, channels, side = "data", 3, 112
    for layer in range(layers):
        wider = 16 * 2 ** min(layer, 3)
        kernel = rng.normal(0, np.sqrt(2 / (9 * channels)), (wider, channels, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"kernel{layer}"))
        nodes += [
            helper.make_node("Conv", [value, f"kernel{layer}"], [f"sum{layer}"], strides=[2, 2], pads=[1] * 4),
            helper.make_node("Relu", [f"sum{layer}"], [f"layer{layer}"]),
        ]
        value, channels, side = f"layer{layer}", wider, (side + 1) // 2
    if pooled:
        nodes.append(helper.make_node("GlobalAveragePool", [value], ["pooled"]))
        value, side = "pooled", 1
    size = channels * side**2
    weights.append(numpy_helper.from_array(rng.normal(size=(size, 128)).astype(np.float32), "last"))
    nodes += [helper.make_node("Flatten", [value], ["flat"]), helper.make_node("MatMul", ["flat", "last"], ["out"])]
    return _recogniser(nodes, weights)


def constant_recogniser(number: float) -> onnx.ModelProto:
    """Return a network that outputs the same number in 128 dimensions for any input."""
    weights = [
        numpy_helper.from_array(np.zeros((3 * 112 * 112, 128), dtype=np.float32), "nothing"),
        numpy_helper.from_array(np.full(128, number, dtype=np.float32), "always"),
    ]
    nodes = [
        helper.make_node("Flatten", ["data"], ["flat"]),
        helper.make_node("MatMul", ["flat", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "always"], ["out"]),
    ]
    return _recogniser(nodes, weights)


def unknown_recogniser() -> onnx.ModelProto:
    """Return a graph with the shape of a recogniser that no runtime can load."""
    return _recogniser([helper.make_node("NoSuchOperation", ["data"], ["out"])], [])


def _recogniser(nodes: list[NodeProto], weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    taken = helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, [1, 3, 112, 112])
    given = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, 128])
    graph = helper.make_graph(nodes, "recogniser", [taken], [given], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def scrfd_of_yunet(*, scaled: bool = True) -> onnx.ModelProto:
    """Return the detector graph; its input is (RGB - 127.5) / 128, as for SCRFD, or 0 to 255 if not `scaled`."""
    model = onnx.load(next(BUILT.glob("yunet*.onnx")))
    graph = model.graph
    (taken,) = graph.input
    constants = {
        "pack_scale": np.float32(128), "pack_mean": np.float32(127.5), "pack_channels": np.array([2, 1, 0]),
        "pack_two": np.float32(2), "pack_axis": np.array([2]), "pack_twice": np.array([1, 1, 2, 1]),
        **{f"pack_to_{width}": np.array([1, -1, width]) for width in (1, 4, 10)},
    }  # fmt: skip
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    inside = f"{taken.name}_as_yunet_wants_it"
    for node in graph.node:
        node.input[:] = [inside if name == taken.name else name for name in node.input]
    before = [
        helper.make_node("Mul", [taken.name, "pack_scale"], ["pack_scaled"]),
        helper.make_node("Add", ["pack_scaled", "pack_mean"], ["pack_rgb"]),
        helper.make_node("Gather", ["pack_rgb" if scaled else taken.name, "pack_channels"], [inside], axis=1),
    ]
    before = before if scaled else before[-1:]
    after: list[NodeProto] = []
    for stride in STRIDES:
        after += _score(stride) + _box(stride) + _twice(f"kps_{stride}", f"points_{stride}", 10)
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    for kind, width in (("score", 1), ("sides", 4), ("points", 10)):
        graph.output.extend(
            helper.make_tensor_value_info(f"{kind}_{stride}", onnx.TensorProto.FLOAT, [1, f"{kind}{stride}", width])
            for stride in STRIDES
        )
    onnx.checker.check_model(model)
    return model


def _score(stride: int) -> list[NodeProto]:
    return [
        helper.make_node("Mul", [f"cls_{stride}", f"obj_{stride}"], [f"pack_square_{stride}"]),
        helper.make_node("Sqrt", [f"pack_square_{stride}"], [f"pack_root_{stride}"]),
        *_twice(f"pack_root_{stride}", f"score_{stride}", 1),
    ]


def _box(stride: int) -> list[NodeProto]:
    """Return nodes that convert centre and log sizes to the distances of the four sides."""
    at = [f"pack_{name}_{stride}" for name in ("x", "y", "width", "height")]
    nodes = [helper.make_node("Split", [f"bbox_{stride}"], at, axis=2, num_outputs=4)]
    ends = []
    for place, side in ((at[0], at[2]), (at[1], at[3])):
        nodes += [
            helper.make_node("Exp", [side], [f"{side}_pixels"]),
            helper.make_node("Div", [f"{side}_pixels", "pack_two"], [f"{side}_half"]),
            helper.make_node("Sub", [f"{side}_half", place], [f"{place}_before"]),
            helper.make_node("Add", [f"{side}_half", place], [f"{place}_after"]),
        ]
    ends = [f"{at[0]}_before", f"{at[1]}_before", f"{at[0]}_after", f"{at[1]}_after"]
    return [
        *nodes,
        helper.make_node("Concat", ends, [f"pack_sides_{stride}"], axis=2),
        *_twice(f"pack_sides_{stride}", f"sides_{stride}", 4),
    ]


def _twice(name: str, result: str, width: int) -> list[NodeProto]:
    """Return nodes that repeat an output for both faces of each cell."""
    return [
        helper.make_node("Unsqueeze", [name, "pack_axis"], [f"{result}_single"]),
        helper.make_node("Tile", [f"{result}_single", "pack_twice"], [f"{result}_double"]),
        helper.make_node("Reshape", [f"{result}_double", f"pack_to_{width}"], [result]),
    ]
