"""Add ONNX operators to a network.

Each kind of node has a function that adds its layer and returns the name of the layer's ofm. It
raises Unsupported if the node cannot be a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from edensim.networks.builder import NetworkBuilder, four, text

#: The function of each element that an operator computes.
FUNCTIONS = {
    "Relu": "relu",
    "LeakyRelu": "leaky",
    "Clip": "clip",
    "PRelu": "prelu",
    "ThresholdedRelu": "thresholded relu",
    "LRN": "local response normalization",
    "LpNormalization": "l2norm",
    "LayerNormalization": "layer normalization",
    "InstanceNormalization": "instance normalization",
    "GroupNormalization": "layer normalization",
    "LogSoftmax": "log softmax",
    **{
        name: name.lower()
        for name in (
            "Abs Cast Ceil Celu Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish Log Mish Neg "
            "Reciprocal Round Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Swish Tanh"
        ).split()
    },
}

#: The function by which an operator joins two tensors of features element by element.
JOINS = {
    "Add": "",
    "Sum": "",
    "Mul": "product",
    "Sub": "difference",
    "Div": "quotient",
    "Max": "maximum",
    "Min": "minimum",
    "Mean": "mean",
    "Pow": "power",
}

#: Operators whose output has the elements of their input in the same order.
VIEWS = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout")

#: Operators that move elements.
MOVES = tuple("Slice Pad DepthToSpace SpaceToDepth Expand Tile Gather ReverseSequence".split())

#: Reductions over the image, which are pooling.
REDUCTIONS = {"ReduceMean": "average", "ReduceMax": "max", "ReduceSum": "sum"}


class Unsupported(Exception):
    """The reason why a node cannot be a layer."""


@dataclass
class Model:
    """A model while it is read.

    `values` are those of small constants; `tensors` maps features of the model to the network's,
    of which `read` holds the names of those that some layer reads.
    """

    path: str
    builder: NetworkBuilder
    shapes: dict[str, tuple[int, ...]]
    constants: set[str]
    values: dict[str, list[int] | list[float]]
    tensors: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)

    def layer_name(self, node: Any) -> str:
        """Name the layer of a node like the node, or like its output if that name is taken."""
        name = str(node.name or node.output[0])
        if name in self.names or name in self.shapes:
            name = str(node.output[0])
        self.names.add(name)
        return name

    def source(self, name: str) -> str:
        """Name the network's tensor for a tensor of the model."""
        if name not in self.tensors:
            raise Unsupported(
                "reads a constant where features are expected"
                if name in self.constants
                else f"reads {name!r}, which nothing writes"
            )
        self.read.add(name)
        return self.tensors[name]


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Read the value of an attribute."""
    from onnx import helper

    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def convolution(model: Model, node: Any) -> str:
    """Add Conv with constant weights."""
    source, weight = model.source(node.input[0]), node.input[1]
    if weight not in model.constants:
        raise Unsupported("weights are computed")
    shape = model.shapes[weight]
    if len(shape) != 4:
        raise Unsupported(f"weights are {text(shape)}; expected images (four dimensions)")
    biased = len(node.input) > 2 and bool(node.input[2])
    stride = two(attribute(node, "strides", (1, 1)))
    dilation = two(attribute(node, "dilations", (1, 1)))
    kernel = (shape[2], shape[3])
    name = model.layer_name(node)
    groups = attribute(node, "group", 1)
    if model.builder.shape(source)[1] != shape[1] * groups:
        raise Unsupported(
            f"weights {text(shape)} with {groups} groups do not fit "
            f"its input's {model.builder.shape(source)[1]} channels"
        )
    return model.builder.convolution(
        name,
        source,
        shape[0],
        kernel,
        stride=stride,
        padding=padding(node, model.builder.shape(source)[2:], kernel, stride, dilation),
        dilation=dilation,
        groups=groups,
        bias=biased,
        weights=(weight, node.input[2]) if biased else (weight,),
    )


def pooling(model: Model, node: Any) -> str:
    """Add MaxPool, AveragePool or LpPool."""
    source = model.source(node.input[0])
    kernel = attribute(node, "kernel_shape")
    if len(kernel) != 2:
        raise Unsupported(f"pools over {len(kernel)} dimensions; expected 2")
    if len(node.output) > 1 and node.output[1]:
        raise Unsupported("indices of maxima are used")
    kernel, stride, dilation = (
        two(kernel),
        two(attribute(node, "strides", (1, 1))),
        two(attribute(node, "dilations", (1, 1))),
    )
    sides = padding(node, model.builder.shape(source)[2:], kernel, stride, dilation)
    function = {"MaxPool": "max", "AveragePool": "average", "LpPool": "norm"}[node.op_type]
    ceil = bool(attribute(node, "ceil_mode", 0))
    return model.builder.pooling(
        model.layer_name(node),
        source,
        function,
        kernel,
        stride=stride,
        padding=sides,
        dilation=dilation,
        ceil=ceil,
    )


def global_pooling(model: Model, node: Any) -> str:
    """Add GlobalAveragePool or GlobalMaxPool."""
    source = model.source(node.input[0])
    if len(model.builder.shape(source)) != 4:
        raise Unsupported(f"its input is {text(model.builder.shape(source))}; expected an image")
    function = "average" if node.op_type == "GlobalAveragePool" else "max"
    return model.builder.adaptive_pooling(model.layer_name(node), source, 1, function)


def reduction(model: Model, node: Any) -> str:
    """Add a mean, a maximum or a sum over the image, which is pooling."""
    source = model.source(node.input[0])
    shape = model.builder.shape(source)
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1:
        axes = model.values.get(node.input[1])
    if len(shape) != 4 or axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
        raise Unsupported(
            f"reduces {text(shape)} over dimensions {'all' if axes is None else list(axes)}; "
            "expected an image, over 2 and 3"
        )
    name = model.layer_name(node)
    output = model.builder.adaptive_pooling(name, source, 1, REDUCTIONS[node.op_type])
    if not attribute(node, "keepdims", 1):
        output = model.builder.view(
            f"{name}.squeeze", output, model.shapes[node.output[0]], "squeeze"
        )
    return output


def product(model: Model, node: Any) -> str:
    """Add Gemm, or MatMul with a constant."""
    source, weight = model.source(node.input[0]), node.input[1]
    if weight not in model.constants:
        raise Unsupported("multiplies features with features")
    shape = model.shapes[weight]
    if len(shape) != 2 or attribute(node, "transA", 0):
        raise Unsupported(
            f"weights are {text(shape)}; expected two dimensions, and its input not transposed"
        )
    inputs, outputs = (shape[1], shape[0]) if attribute(node, "transB", 0) else (shape[0], shape[1])
    if model.builder.shape(source)[-1] != inputs:
        raise Unsupported(
            f"multiplies {text(model.builder.shape(source))} and {text(shape)}, which do not match"
        )
    biased = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])
    name = model.layer_name(node)
    if biased and prod(model.shapes[node.input[2]]) != outputs:
        raise Unsupported(
            f"its third input is {text(model.shapes[node.input[2]])}; expected {outputs} values"
        )
    return model.builder.linear(
        name, source, outputs, bias=biased, weights=(weight, node.input[2]) if biased else (weight,)
    )


def normalization(model: Model, node: Any) -> str:
    """Add BatchNormalization, whose mean and variance fold into scale and shift."""
    return model.builder.normalization(
        model.layer_name(node), model.source(node.input[0]), weights=(node.input[1], node.input[2])
    )


def function(model: Model, node: Any) -> str:
    """Add a function of each element, with whatever weights it has."""
    source = model.source(node.input[0])
    weights = [name for name in node.input[1:] if name and prod(model.shapes[name]) > 1]
    if any(name not in model.constants for name in node.input[1:] if name):
        raise Unsupported("its arguments are computed")
    for name in weights:
        model.builder.parameter(name, model.shapes[name])
    return model.builder.elementwise(
        model.layer_name(node), source, FUNCTIONS[node.op_type], weights=tuple(weights)
    )


def join(model: Model, node: Any) -> str:
    """Join features with features, or with a constant by a function of each element."""
    features = [name for name in node.input if name not in model.constants]
    constants = [name for name in node.input if name in model.constants]
    name, shape = model.layer_name(node), model.shapes[node.output[0]]
    if len(features) > 1 and not constants:
        return model.builder.addition(
            name,
            [model.source(feature) for feature in features],
            shape=shape,
            function=JOINS[node.op_type],
        )
    if len(features) > 1 or model.builder.shape(model.source(features[0])) != shape:
        raise Unsupported("joins constants with several features, or with smaller ones")
    weights = [constant for constant in constants if prod(model.shapes[constant]) > 1]
    for constant in weights:
        model.builder.parameter(constant, model.shapes[constant])
    kind = {"Add": "shift", "Sub": "shift", "Mul": "scale", "Div": "scale"}.get(
        node.op_type, JOINS[node.op_type]
    )
    return model.builder.elementwise(name, model.source(features[0]), kind, weights=tuple(weights))


def concatenation(model: Model, node: Any) -> str:
    """Add Concat of features."""
    if any(name in model.constants for name in node.input):
        raise Unsupported("joins constants and features")
    return model.builder.concatenation(
        model.layer_name(node),
        [model.source(name) for name in node.input],
        attribute(node, "axis", 1),
    )


def view(model: Model, node: Any) -> str:
    """See the same elements in another shape."""
    return model.builder.view(
        model.layer_name(node),
        model.source(node.input[0]),
        model.shapes[node.output[0]],
        node.op_type.lower(),
    )


def transpose(model: Model, node: Any) -> str:
    """Reorder elements; if only dimensions of 1 change places, that is no more than a view."""
    source = model.source(node.input[0])
    shape = model.builder.shape(source)
    order = attribute(node, "perm", tuple(reversed(range(len(shape)))))
    moved = [axis for axis in order if shape[axis] > 1]
    name, output = model.layer_name(node), model.shapes[node.output[0]]
    if moved == sorted(moved):
        return model.builder.view(name, source, output, "transpose")
    return model.builder.rearrangement(name, source, output, "transpose")


def move(model: Model, node: Any) -> str:
    """Move or repeat elements, leave some out, or add others around them."""
    if any(name not in model.constants for name in node.input[1:] if name):
        raise Unsupported("what it moves depends on values")
    source, shape = model.source(node.input[0]), model.shapes[node.output[0]]
    if shape == model.builder.shape(source) and node.op_type in ("Slice", "Pad", "Expand", "Tile"):
        return model.builder.view(model.layer_name(node), source, shape, node.op_type.lower())
    return model.builder.rearrangement(model.layer_name(node), source, shape, node.op_type.lower())


def split(model: Model, node: Any) -> str:
    """Add a slice for each output."""
    source, name = model.source(node.input[0]), model.layer_name(node)
    for number, output in enumerate(node.output):
        model.tensors[output] = model.builder.rearrangement(
            f"{name}.{number}", source, model.shapes[output], "slice"
        )
    return model.tensors[node.output[0]]


def resizing(model: Model, node: Any) -> str:
    """Add Resize or Upsample."""
    shape = model.shapes[node.output[0]]
    source = model.source(node.input[0])
    before = model.builder.shape(source)
    if len(shape) != 4 or shape[:2] != before[:2]:
        raise Unsupported(
            f"makes {text(shape)} of {text(before)}; expected an image with as many channels"
        )
    return model.builder.resizing(
        model.layer_name(node), source, (shape[2], shape[3]), attribute(node, "mode", "nearest")
    )


def two(values: Any) -> tuple[int, int]:
    """Read an attribute as (vertical, horizontal)."""
    if len(values) != 2:
        raise Unsupported(f"has {len(values)} dimensions; expected 2")
    return (int(values[0]), int(values[1]))


def padding(
    node: Any,
    size: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Return the padding (top, left, bottom, right) of a node, stated or automatic."""
    automatic = attribute(node, "auto_pad", "NOTSET")
    if automatic == "NOTSET":
        pads = attribute(node, "pads", (0, 0, 0, 0))
        return (pads[0], pads[1], pads[2], pads[3])
    if automatic == "VALID":
        return four(0)
    sums = [
        max(
            (-(-size[axis] // stride[axis]) - 1) * stride[axis]
            + dilation[axis] * (kernel[axis] - 1)
            + 1
            - size[axis],
            0,
        )
        for axis in (0, 1)
    ]
    less, more = [total // 2 for total in sums], [total - total // 2 for total in sums]
    return (*less, *more) if automatic == "SAME_UPPER" else (*more, *less)  # type: ignore[return-value]


#: The function for each operator.
OPERATORS: dict[str, Callable[[Model, Any], str]] = {
    "Conv": convolution,
    "MaxPool": pooling,
    "AveragePool": pooling,
    "LpPool": pooling,
    "GlobalAveragePool": global_pooling,
    "GlobalMaxPool": global_pooling,
    "Gemm": product,
    "MatMul": product,
    "BatchNormalization": normalization,
    "Concat": concatenation,
    "Transpose": transpose,
    "Split": split,
    "Resize": resizing,
    "Upsample": resizing,
    **dict.fromkeys(FUNCTIONS, function),
    **dict.fromkeys(JOINS, join),
    **dict.fromkeys(VIEWS, view),
    **dict.fromkeys(MOVES, move),
    **dict.fromkeys(REDUCTIONS, reduction),
}
