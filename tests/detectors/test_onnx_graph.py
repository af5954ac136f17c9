"""A graph for ONNX Runtime computes the same, and none of its gates leaves the blocked layout."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `detect`")
ort = pytest.importorskip("onnxruntime", reason="needs the extra `detect`")

from onnx import TensorProto, helper  # noqa: E402

from testbed.detectors.onnx_graph import keep_blocks  # noqa: E402


def gated(*, mean_axes=(2, 3), swapped=False):
    """Squeeze-excitation of (1, 8, 6, 5) with one convolution, then a product of equal shapes."""
    weight = np.random.default_rng(0).normal(size=(8, 8, 1, 1)).astype(np.float32)
    product = ["gate", "x"] if swapped else ["x", "gate"]
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
        helper.make_node("Conv", ["mean", "weight"], ["squeezed"]),
        helper.make_node("Sigmoid", ["squeezed"], ["gate"]),
        helper.make_node("Mul", product, ["y"]),
        helper.make_node("Mul", ["y", "x"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes, "gated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 6, 5])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 8, 6, 5])],
        [helper.make_tensor("axes", TensorProto.INT64, [len(mean_axes)], mean_axes),
         helper.make_tensor("weight", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(1, 8, 6, 5)).astype(np.float32)
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("options", [{}, {"swapped": True}, {"mean_axes": (-1, -2)}])
def test_a_gate_is_spread_and_its_mean_is_a_pooling(options):
    model = gated(**options)
    expected = run(model)
    rewritten = keep_blocks(model)
    onnx.checker.check_model(rewritten)

    assert Counter(node.op_type for node in rewritten.graph.node) == {
        "GlobalAveragePool": 1, "Conv": 1, "Sigmoid": 1, "Resize": 1, "Mul": 2,
    }  # fmt: skip
    assert "axes" not in {one.name for one in rewritten.graph.initializer}
    np.testing.assert_allclose(run(rewritten), expected, rtol=1e-6)


def test_what_is_no_global_mean_stays():
    model = gated(mean_axes=(3,))
    expected = run(model)
    rewritten = keep_blocks(model)

    kinds = [node.op_type for node in rewritten.graph.node]
    assert "ReduceMean" in kinds
    assert "Resize" not in kinds
    assert np.array_equal(run(rewritten), expected)
