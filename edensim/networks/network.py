"""What a network is as far as memory is concerned: layers and the tensors between them, no values.

Shapes are those of one inference pass: features are (batch, channels, height, width) or
(batch, features), weights are (filters, channels per group, height, width) or (outputs, inputs). A
network is a list of layers in an order in which it can be run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from math import prod

from edensim.exceptions import NetworkError


class Operator(Enum):
    """What a layer does.

    ELEMENTWISE makes one output for each input element, in place (activation, normalization);
    REARRANGEMENT moves data without computing (transpose, channel shuffle, reorganization); VIEW
    moves no data (flatten, reshape).
    """

    CONVOLUTION = "convolution"
    LINEAR = "linear"
    POOLING = "pooling"
    ADDITION = "addition"
    CONCATENATION = "concatenation"
    UPSAMPLING = "upsampling"
    ELEMENTWISE = "elementwise"
    REARRANGEMENT = "rearrangement"
    VIEW = "view"
    DETECTION = "detection"


class Role(Enum):
    """What a tensor is.

    Weights are only read. Features are written by one layer (its ofm) and read by others (their
    ifm).
    """

    WEIGHTS = "weights"
    FEATURES = "features"


#: Elementwise functions whose outputs need several inputs (of a row, of neighbouring channels), and
#: which therefore are a pass of their own.
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

    Attributes
    ----------
    inputs, output, weights : tuple of str, str, tuple of str
        Names of tensors; weights in order of use (weight, bias; scale and shift of a
        normalization).
    kernel, stride, dilation : (int, int)
        Vertical and horizontal extents.
    padding : (int, int, int, int)
        Padding at the top, left, bottom and right.
    function : str
        The function of the operator: "max", "average", "relu", "leaky", "mish", ...
    input_shapes : tuple of tuple of int
        The shape in which the layer sees each input, if it sees one in another shape than the
        tensor is stored in (a fused view). Empty if it sees all of them as they are stored.
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
    input_shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def is_product(self) -> bool:
        """Whether the layer is a matrix product: a convolution or a linear layer."""
        return self.operator in (Operator.CONVOLUTION, Operator.LINEAR)


@dataclass(frozen=True)
class Gemm:
    """A convolution or linear layer as matrix products.

    They are `groups` times (rows x depth) by (depth x columns): rows are the filters of a group,
    columns the output positions of the whole batch, and the depth the products summed for each
    output.
    """

    rows: int
    columns: int
    depth: int
    groups: int

    @property
    def macs(self) -> int:
        """Number of multiply-accumulates."""
        return self.rows * self.columns * self.depth * self.groups


@dataclass(frozen=True)
class Network:
    """The layers of a network in an order in which they can run, and their tensors.

    Attributes
    ----------
    input : str
        The features that are there before the first layer.
    further_inputs : tuple of str
        Other features that no layer writes: of models with several inputs, and of lists of layers
        that do not say what reads what.

    Raises
    ------
    NetworkError
        If a layer names a tensor that is not there, or reads one before it is written.
    """

    name: str
    layers: tuple[Layer, ...]
    tensors: dict[str, Tensor]
    input: str
    further_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the layers can be run. Raises NetworkError."""
        known = {self.input, *self.further_inputs}
        for layer in self.layers:
            for name in (*layer.inputs, *layer.weights, layer.output):
                if name not in self.tensors:
                    raise NetworkError(
                        f"{self.name}: layer {layer.name!r} names tensor {name!r}, which is not "
                        f"there"
                    )
            for name in layer.inputs:
                if name not in known:
                    raise NetworkError(
                        f"{self.name}: layer {layer.name!r} reads {name!r} before any layer has "
                        f"written it"
                    )
            known.add(layer.output)

    @property
    def batch(self) -> int:
        """Number of inputs of one pass."""
        return self.tensors[self.input].shape[0]

    @cached_property
    def parameters(self) -> int:
        """Number of trained values; a tensor that two layers share counts once."""
        used = {name for layer in self.layers for name in layer.weights}
        return sum(self.tensors[name].elements for name in used)

    @property
    def macs(self) -> int:
        """Number of multiply-accumulates of all products, for the whole batch."""
        return sum(gemm.macs for layer in self.layers if (gemm := self.gemm(layer)))

    def gemm(self, layer: Layer) -> Gemm | None:
        """Return the matrix product of a layer; None if it has none."""
        if not layer.is_product:
            return None
        weight, output = self.tensors[layer.weights[0]], self.tensors[layer.output]
        filters = weight.shape[0]
        return Gemm(
            filters // layer.groups,
            output.elements // filters,
            weight.elements // filters,
            layer.groups,
        )

    def ifm(self, layer: Layer, at: int = 0) -> Tensor:
        """Return an input of a layer in the shape in which the layer sees it.

        A fused view gives a tensor another shape, so machines take shapes of inputs from here. The
        name is that of the tensor in memory.
        """
        stored = self.tensors[layer.inputs[at]]
        return replace(stored, shape=layer.input_shapes[at]) if layer.input_shapes else stored

    @cached_property
    def readers(self) -> Counter[str]:
        """Number of layers that read each tensor."""
        return Counter(name for layer in self.layers for name in layer.inputs)

    def fused(self) -> Network:
        """Return the network as run times execute it.

        Views are gone, and the layers that read them have `input_shapes`. Elementwise layers with
        one input take place in the layer before.
        A normalization folds into the weights before it: a convolution or linear layer without bias
        gets one from it; behind an activation it keeps weights of its own. Elementwise layers that
        cannot be fused stay: if others read their input, too, if that is the input of the network,
        or if their function is in `NOT_POINTWISE`.
        """
        fusion = _Fusion(dict(self.tensors), Counter(self.readers))
        for layer in self.layers:
            fusion.add(layer)
        used = {self.input} | {
            name
            for layer in fusion.layers
            for name in (*layer.inputs, *layer.weights, layer.output)
        }
        return Network(
            self.name,
            tuple(fusion.layers),
            {name: tensor for name, tensor in fusion.tensors.items() if name in used},
            self.input,
            tuple(name for name in self.further_inputs if name in used),
        )


@dataclass
class _Fusion:
    """The layers of a network being fused.

    `alias` names the tensor that stands for one that is gone, `writer` the index of the layer that
    writes a tensor, and `activated` the layers behind whose product another function follows.
    """

    tensors: dict[str, Tensor]
    readers: Counter[str]
    layers: list[Layer] = field(default_factory=list)
    alias: dict[str, str] = field(default_factory=dict)
    writer: dict[str, int] = field(default_factory=dict)
    activated: set[int] = field(default_factory=set)

    def add(self, layer: Layer) -> None:
        """Add the next layer, or fuse it into one before it."""
        inputs = tuple(self.alias.get(name, name) for name in layer.inputs)
        shapes = layer.input_shapes or tuple(self.tensors[name].shape for name in layer.inputs)
        source = inputs[0]
        at = self.writer.get(source)
        if layer.operator is Operator.VIEW:
            self.alias[layer.output] = source
            # A view that nobody reads is an output of the network.
            self.readers[source] += max(self.readers[layer.output], 1) - 1
        elif (
            layer.operator is Operator.ELEMENTWISE
            and layer.function not in NOT_POINTWISE
            and len(inputs) == 1
            and at is not None
            and self.readers[source] == 1
        ):
            self.layers[at] = self._fused(at, layer, shapes[0])
            self.alias[layer.output] = source
            self.readers[source] = self.readers[layer.output]
        else:
            self.writer[layer.output] = len(self.layers)
            stored = tuple(self.tensors[name].shape for name in inputs)
            seen = shapes if shapes != stored else ()
            self.layers.append(replace(layer, inputs=inputs, input_shapes=seen))

    def _fused(self, at: int, layer: Layer, shape: tuple[int, ...]) -> Layer:
        """Return the layer of an index with an elementwise layer behind it that sees a shape."""
        before = self.layers[at]
        # Elsewhere, the channels of the normalization need not be the filters.
        by_filter = before.operator is Operator.CONVOLUTION or (
            before.is_product and len(shape) < 3
        )
        foldable = (
            by_filter and at not in self.activated and shape == self.tensors[before.output].shape
        )
        if layer.function != "normalization" or not foldable:
            self.activated.add(at)
            return replace(before, weights=(*before.weights, *layer.weights))
        if len(before.weights) > 1:
            return before
        name = f"{before.name}.bias"
        if name in self.tensors:
            name = f"{layer.name}.folded_bias"
        filters = self.tensors[before.weights[0]].shape[0]
        self.tensors[name] = Tensor(name, (filters,), Role.WEIGHTS)
        return replace(before, weights=(*before.weights, name))
