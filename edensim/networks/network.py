"""What a network is, as far as memory is concerned: layers, the tensors between them, and nothing about values.

Shapes are of one inference pass: features (batch, channels, height, width) or (batch, features), weights (filters, channels per group, height, width)
or (outputs, inputs). A network is a list of layers in an order in which it can be run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from math import prod

from edensim.exceptions import NetworkError


class Operator(Enum):
    """What a layer does. ELEMENTWISE: one output per input element, in place (activation, normalization); VIEW: moves no data (flatten, reshape)."""

    CONVOLUTION = "convolution"
    LINEAR = "linear"
    POOLING = "pooling"
    ADDITION = "addition"
    CONCATENATION = "concatenation"
    UPSAMPLING = "upsampling"
    ELEMENTWISE = "elementwise"
    REARRANGEMENT = (
        "rearrangement"  # moves data without computing: transpose, channel shuffle, reorganization
    )
    VIEW = "view"
    DETECTION = "detection"


class Role(Enum):
    """Weights are read only; features are written by one layer (its ofm) and read by others (their ifm)."""

    WEIGHTS = "weights"
    FEATURES = "features"


#: Elementwise functions whose elements need others (of a row, of neighbouring channels): a pass of their own.
NOT_POINTWISE = frozenset(
    {
        "softmax",
        "log softmax",
        "local response normalization",
        "layer normalization",
        "instance normalization",
        "l2norm",
    }
)


@dataclass(frozen=True)
class Tensor:
    """One array in memory."""

    name: str
    shape: tuple[int, ...]
    role: Role

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Layer:
    """One step of a network. What does not apply to its operator keeps its default.

    inputs, output, weights: names of tensors; weights in order of use (weight, bias; scale and shift of a normalization).
    kernel, stride, dilation: (vertical, horizontal); padding: (top, left, bottom, right); function: "max", "average", "relu", "leaky", "mish", ...
    """

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    output: str
    weights: tuple[str, ...] = ()
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    function: str = ""

    @property
    def is_product(self) -> bool:
        """Whether the layer is a matrix product: a convolution or a linear layer."""
        return self.operator in (Operator.CONVOLUTION, Operator.LINEAR)


@dataclass(frozen=True)
class Gemm:
    """A convolution or linear layer as matrix products: `groups` times (rows x depth) by (depth x columns).

    rows: filters of a group; columns: output positions of the whole batch; depth: products summed for each output.
    """

    rows: int
    columns: int
    depth: int
    groups: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.rows * self.columns * self.depth * self.groups


@dataclass(frozen=True)
class Network:
    """Layers in running order and their tensors. Raises NetworkError for what cannot be run.

    input: features that are there before the first layer; further_inputs: others that no layer writes (of models with several inputs, and of lists of
    layers that do not say what reads what).
    """

    name: str
    layers: tuple[Layer, ...]
    tensors: dict[str, Tensor]
    input: str
    further_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = {self.input, *self.further_inputs}
        for layer in self.layers:
            for name in (*layer.inputs, *layer.weights, layer.output):
                if name not in self.tensors:
                    raise NetworkError(
                        f"{self.name}: layer {layer.name!r} names tensor {name!r}, which is not there"
                    )
            for name in layer.inputs:
                if name not in known:
                    raise NetworkError(
                        f"{self.name}: layer {layer.name!r} reads {name!r} before any layer has written it"
                    )
            known.add(layer.output)

    @property
    def batch(self) -> int:
        """Inputs of one pass."""
        return self.tensors[self.input].shape[0]

    @cached_property
    def parameters(self) -> int:
        """Trained values; a tensor that two layers share counts once."""
        used = {name for layer in self.layers for name in layer.weights}
        return sum(self.tensors[name].elements for name in used)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolution and linear layers, for the whole batch."""
        return sum(gemm.macs for layer in self.layers if (gemm := self.gemm(layer)))

    def gemm(self, layer: Layer) -> Gemm | None:
        """The layer's matrix product; None for layers that have none."""
        if layer.operator not in (Operator.CONVOLUTION, Operator.LINEAR):
            return None
        weight, output = self.tensors[layer.weights[0]], self.tensors[layer.output]
        filters = weight.shape[0]
        return Gemm(
            filters // layer.groups,
            output.elements // filters,
            weight.elements // filters,
            layer.groups,
        )

    @cached_property
    def readers(self) -> Counter[str]:
        """How many layers read each tensor."""
        return Counter(name for layer in self.layers for name in layer.inputs)

    def fused(self) -> Network:
        """The network as run times execute it: elementwise layers with one input take place in the layer before, views are gone.

        Normalization folds into the weights before it: a convolution or linear layer without bias gets one from it; behind an activation it
        keeps its own. Elementwise layers that cannot be fused (their input is read by others too, or is the network's; NOT_POINTWISE functions) stay.
        """
        layers: list[Layer] = []
        tensors = dict(self.tensors)
        alias: dict[str, str] = {}
        readers = Counter(self.readers)
        writer: dict[str, int] = {}
        activated: set[int] = set()
        for layer in self.layers:
            inputs = tuple(alias.get(name, name) for name in layer.inputs)
            source = inputs[0]
            if layer.operator is Operator.VIEW:
                alias[layer.output] = source
                readers[source] += (
                    max(readers[layer.output], 1) - 1
                )  # one that nobody reads is an output of the network
                continue
            at = writer.get(source)
            pointwise = (
                layer.operator is Operator.ELEMENTWISE and layer.function not in NOT_POINTWISE
            )
            if pointwise and len(inputs) == 1 and at is not None and readers[source] == 1:
                before = layers[at]
                if (
                    layer.function == "normalization"
                    and before.operator in (Operator.CONVOLUTION, Operator.LINEAR)
                    and at not in activated
                ):
                    if len(before.weights) == 1:
                        name = (
                            f"{before.name}.bias"
                            if f"{before.name}.bias" not in tensors
                            else f"{layer.name}.folded_bias"
                        )
                        bias = Tensor(name, (tensors[before.weights[0]].shape[0],), Role.WEIGHTS)
                        tensors[bias.name] = bias
                        before = replace(before, weights=(*before.weights, bias.name))
                else:
                    activated.add(at)
                    before = replace(before, weights=(*before.weights, *layer.weights))
                layers[at] = before
                alias[layer.output] = source
                readers[source] = readers[layer.output]
                continue
            writer[layer.output] = len(layers)
            layers.append(replace(layer, inputs=inputs))
        used = {self.input} | {
            name for layer in layers for name in (*layer.inputs, *layer.weights, layer.output)
        }
        further = tuple(name for name in self.further_inputs if name in used)
        return Network(
            self.name,
            tuple(layers),
            {name: tensor for name, tensor in tensors.items() if name in used},
            self.input,
            further,
        )
