"""Infer the shapes of an ONNX model, and fold what it computes from shapes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from edensim.exceptions import NetworkError

#: Operators whose output follows from shapes alone.
SHAPE_OPERATORS = ("Shape", "Size")

#: A constant with more elements is no shape, so that shape inference need not see its values.
MOST_SHAPE_VALUES = 1024

#: Operators whose output can be much larger than their inputs.
GROWING = tuple("ConstantOfShape Expand Tile Range EyeLike OneHot Pad Resize Upsample".split())


def inferred_shapes(path: Path, model: Any) -> dict[str, tuple[int, ...]]:
    """Find the shape of every tensor; what the graph computes from shapes becomes constants."""
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")  # stated for the model's own input size
    for tensor in model.graph.initializer:
        strip(tensor)
    shapes = known_shapes(path, model)
    while missing := without_shape(model.graph, shapes):
        if not fold_shapes(model, shapes):
            nodes = ", ".join(
                f"{str(node.name or name)!r} ({node.op_type})" for name, node in missing.items()
            )
            raise NetworkError(
                f"{path}: shapes are dynamic: not known for what these nodes write: {nodes}"
            )
        shapes = known_shapes(path, model)
    return shapes


def known_shapes(path: Path, model: Any) -> dict[str, tuple[int, ...]]:
    """Collect the shapes that onnx infers."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError, TypeError) as exception:
        raise NetworkError(
            f"{path}: shapes do not fit: {' '.join(str(exception).split())[:300]}"
        ) from None
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(
            dimension.HasField("dim_value") for dimension in dimensions
        ):
            shapes.setdefault(value.name, tuple(dimension.dim_value for dimension in dimensions))
    return shapes


def without_shape(graph: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Collect the tensors whose shape is not known, with the nodes that write them."""
    used = {name for node in graph.node for name in node.input if name}
    return {
        name: node
        for node in graph.node
        for name in node.output
        if name and name not in shapes and (name in used or name == node.output[0])
    }


def fold_shapes(model: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Replace nodes that compute from shapes by what they compute, and return how many."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer if is_small(tensor)}
    values |= stated_constants(graph)
    remaining, folded = [], 0
    for node in graph.node:
        known = {name: numpy_helper.to_array(values[name]) for name in node.input if name in values}
        of_shape = node.op_type in SHAPE_OPERATORS and node.input[0] in shapes
        if node.op_type == "Constant" or not (
            of_shape
            or (known and len(known) == len([name for name in node.input if name]))
            and not may_be_large(node, known.values())
        ):
            remaining.append(node)
            continue
        if of_shape:
            known = {node.input[0]: placeholder(shapes[node.input[0]])}
        single = helper.make_graph(
            [node],
            "one",
            [helper.make_empty_tensor_value_info(name) for name in known],
            [helper.make_empty_tensor_value_info(node.output[0])],
        )
        try:
            (result,) = ReferenceEvaluator(
                helper.make_model(single, opset_imports=model.opset_import)
            ).run(None, known)
            values[node.output[0]] = numpy_helper.from_array(result, node.output[0])
        except Exception:
            # The evaluator refuses in many ways. The caller names shapes that stay unknown.
            remaining.append(node)
            continue
        graph.initializer.append(values[node.output[0]])
        folded += 1
    del graph.node[:]
    graph.node.extend(remaining)
    return folded


def may_be_large(node: Any, arguments: Iterable[Any]) -> bool:
    """Tell whether a node might make more of its arguments than the values of a shape."""
    if node.op_type not in GROWING:
        return False
    values = [abs(value) for argument in arguments for value in argument.reshape(-1).tolist()]
    return (
        not all(isinstance(value, int) for value in values)
        or prod(max(value, 1) for value in values) > MOST_SHAPE_VALUES
    )


def placeholder(shape: tuple[int, ...]) -> Any:
    """Make an array of a shape that takes no memory."""
    import numpy as np

    return np.broadcast_to(np.float32(0), shape)


def is_small(tensor: Any) -> bool:
    """Tell whether a constant may be a shape, and has its values in the model."""
    return (
        len(tensor.dims) <= 1 and sum(tensor.dims) <= MOST_SHAPE_VALUES and not tensor.external_data
    )


def strip(tensor: Any) -> None:
    """Drop the values of a large constant, and keep its shape and kind."""
    if prod(tensor.dims) > MOST_SHAPE_VALUES:
        for field in (
            "raw_data",
            "float_data",
            "int32_data",
            "int64_data",
            "double_data",
            "uint64_data",
            "string_data",
        ):
            tensor.ClearField(field)


def small_constants(graph: Any) -> dict[str, list[int] | list[float]]:
    """Collect the values of constants that may be arguments of operators: sizes, axes, scales."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer} | stated_constants(graph)
    return {
        name: numpy_helper.to_array(tensor).reshape(-1).tolist()
        for name, tensor in tensors.items()
        if is_small(tensor)
    }


def stated_constants(graph: Any) -> dict[str, Any]:
    """Collect the tensors of nodes that are constants."""
    return {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
