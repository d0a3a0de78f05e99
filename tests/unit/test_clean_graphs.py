"""The build step that converts quantised weights into plain graphs."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))
import clean_graphs


def quantised_network() -> onnx.ModelProto:
    """Return a convolution with block-wise quantised weights (DequantizeLinear, Reshape), then PRelu and Dropout."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-127, 127, (4, 3 * 9), dtype=np.int8)
    constants = {
        "w_quantized": weights,
        "w_scales": rng.uniform(0.01, 0.1, (4, 3)).astype(np.float32),
        "w_zero": rng.integers(-3, 3, (4, 3), dtype=np.int8),
        "w_shape": np.array([4, 3, 3, 3], dtype=np.int64),
        "slope": rng.uniform(-0.5, 0.5, (4, 1, 1)).astype(np.float32),
        "ratio": np.array(0.5, dtype=np.float32),
        "never_used": np.zeros(3, dtype=np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scales", "w_zero"], ["w_flat"], axis=1, block_size=9),
        helper.make_node("Reshape", ["w_flat", "w_shape"], ["w"]),
        helper.make_node("Conv", ["data", "w"], ["c"], name="conv"),
        helper.make_node("PRelu", ["c", "slope"], ["p"], name="relu"),
        helper.make_node("Dropout", ["p", "ratio"], ["fc1"], name="drop"),
    ]
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 8, 8])
    stray = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3])
    output = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 4, 6, 6])
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", [data, stray], [output], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_the_clean_graph_computes_the_same() -> None:
    original = quantised_network()
    image = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    runnable = quantised_network()
    del runnable.graph.input[1:]
    (expected,) = ReferenceEvaluator(runnable).run(None, {"data": image})

    cleaned = clean_graphs._folded(original)
    clean_graphs._drop_dropout(cleaned)
    clean_graphs._split_prelu(cleaned)
    cleaned.graph.output[0].name = cleaned.graph.node[-1].output[0]
    (found,) = ReferenceEvaluator(onnx.load_from_string(clean_graphs._finished(cleaned))).run(None, {"data": image})
    assert np.allclose(found, expected, atol=1e-5)
    assert [value.name for value in cleaned.graph.input] == ["data"]
    operators = {node.op_type for node in cleaned.graph.node}
    assert not operators & {"DequantizeLinear", "Reshape", "PRelu", "Dropout"}
    assert "never_used" not in {tensor.name for tensor in cleaned.graph.initializer}


def test_other_weights_fail_the_build_with_both_digests(tmp_path: Path) -> None:
    (tmp_path / clean_graphs.DETECTOR.source).write_bytes(b"other weights")
    with pytest.raises(clean_graphs.WrongDigestError) as caught:
        clean_graphs.read_verified(tmp_path, clean_graphs.DETECTOR)
    assert hashlib.sha256(b"other weights").hexdigest() in str(caught.value)
    assert clean_graphs.DETECTOR.sha256 in str(caught.value)


def test_the_built_files_and_their_licences_exist() -> None:
    from facesearch.models import bundled

    folder = Path(bundled.__file__).parent / "weights"
    assert {"YuNet-MIT.txt", "SFace-Apache-2.0.txt"} <= {path.name for path in folder.iterdir()}
    assert dict(bundled.model_info().digests) == {
        weights.source: weights.sha256 for weights in (clean_graphs.DETECTOR, clean_graphs.RECOGNISER)
    }
    recogniser = onnx.load(folder / clean_graphs.RECOGNISER.built)
    # insightface looks for these names among the first eight nodes to find out whether the graph normalises its input.
    names = [node.name for node in recogniser.graph.node[:8]]
    assert any(name.startswith("_minus") for name in names)
    assert any(name.startswith("_mul") for name in names)
