"""Building a network layer by layer: shapes follow from the layers, and what cannot be is refused where it stands.

Every layer's ofm is a tensor with the layer's name; its weights are `<layer>.weight`, `<layer>.bias`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from edensim.exceptions import NetworkError
from edensim.networks.network import Layer, Network, Operator, Role, Tensor

#: One number for both directions, or (vertical, horizontal).
Extent = int | tuple[int, int]

#: All four sides, (vertical, horizontal), or (top, left, bottom, right).
Padding = int | tuple[int, int] | tuple[int, int, int, int]

#: Elements of one tensor that can be addressed: more is a mistake in the network.
MOST_ELEMENTS = 1 << 48


class NetworkBuilder:
    """A network in the making. Methods append a layer and return the name of its ofm; all raise NetworkError for shapes that do not fit."""

    def __init__(self, name: str, input_shape: Sequence[int], *, input_name: str = "input") -> None:
        self.name = name
        self.input = input_name
        self._layers: list[Layer] = []
        self._further_inputs: list[str] = []
        self._tensors: dict[str, Tensor] = {}
        self._add_tensor(input_name, tuple(input_shape), Role.FEATURES, "the input")

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Shape of a tensor there is."""
        return self._tensors[tensor].shape

    def build(self) -> Network:
        """The network."""
        if not self._layers:
            raise NetworkError(f"{self.name}: has no layers")
        return Network(
            self.name,
            tuple(self._layers),
            dict(self._tensors),
            self.input,
            tuple(self._further_inputs),
        )

    def further_input(self, name: str, shape: Sequence[int]) -> str:
        """Features that are there before any layer, beside the input."""
        self._add_tensor(name, tuple(shape), Role.FEATURES, f"input {name!r}")
        self._further_inputs.append(name)
        return name

    def convolution(
        self,
        name: str,
        source: str,
        filters: int,
        kernel: Extent,
        *,
        stride: Extent = 1,
        padding: Padding = 0,
        dilation: Extent = 1,
        groups: int = 1,
        bias: bool = True,
        weights: tuple[str, ...] | None = None,
        function: str = "",
    ) -> str:
        """A convolution. weights: names of weight (and bias), else `<name>.weight` (and `<name>.bias`)."""
        batch, channels, *size = self._image(name, source)
        kernel, stride, dilation, sides = pair(kernel), pair(stride), pair(dilation), four(padding)
        self._positive(
            name,
            filters=filters,
            kernel=min(kernel),
            stride=min(stride),
            dilation=min(dilation),
            groups=groups,
        )
        if channels % groups or filters % groups:
            raise self._refused(
                name,
                f"groups = {groups} does not divide its {channels} input channels and {filters} filters",
            )
        output = [
            self._window(
                name,
                size[axis],
                kernel[axis],
                stride[axis],
                dilation[axis],
                sides[axis] + sides[axis + 2],
                sides[axis],
                ceil=False,
            )
            for axis in (0, 1)
        ]
        names = self._weights(
            name, (filters, channels // groups, *kernel), (filters,) if bias else None, weights
        )
        shape = (batch, filters, *output)
        layer = Layer(
            name,
            Operator.CONVOLUTION,
            (source,),
            name,
            names,
            kernel,
            stride,
            sides,
            dilation,
            groups,
            function,
        )
        return self._append(layer, shape)

    def linear(
        self,
        name: str,
        source: str,
        outputs: int,
        *,
        bias: bool = True,
        weights: tuple[str, ...] | None = None,
    ) -> str:
        """A fully connected layer over the last dimension."""
        *leading, inputs = self.shape(source)
        self._positive(name, outputs=outputs)
        names = self._weights(name, (outputs, inputs), (outputs,) if bias else None, weights)
        return self._append(
            Layer(name, Operator.LINEAR, (source,), name, names), (*leading, outputs)
        )

    def normalization(
        self, name: str, source: str, *, weights: tuple[str, ...] | None = None, affine: bool = True
    ) -> str:
        """Batch normalization as inference does it: a scale and a shift for each channel."""
        shape = self.shape(source)
        channels = (shape[1],) if len(shape) > 1 else (shape[0],)
        names = self._weights(name, channels, channels, weights) if affine else ()
        return self._append(
            Layer(name, Operator.ELEMENTWISE, (source,), name, names, function="normalization"),
            shape,
        )

    def elementwise(
        self, name: str, source: str, function: str, *, weights: tuple[str, ...] = ()
    ) -> str:
        """An activation or another function of each element (softmax and local response normalization, too: their ofm has their ifm's shape)."""
        return self._append(
            Layer(name, Operator.ELEMENTWISE, (source,), name, weights, function=function),
            self.shape(source),
        )

    def pooling(
        self,
        name: str,
        source: str,
        function: str,
        kernel: Extent,
        *,
        stride: Extent | None = None,
        padding: Padding = 0,
        dilation: Extent = 1,
        ceil: bool = False,
    ) -> str:
        """Pooling ("max", "average"). stride: the kernel's where None; ceil: a last window that does not fit whole counts, too."""
        batch, channels, *size = self._image(name, source)
        kernel, dilation, sides = pair(kernel), pair(dilation), four(padding)
        stride = kernel if stride is None else pair(stride)
        self._positive(name, kernel=min(kernel), stride=min(stride), dilation=min(dilation))
        output = [
            self._window(
                name,
                size[axis],
                kernel[axis],
                stride[axis],
                dilation[axis],
                sides[axis] + sides[axis + 2],
                sides[axis],
                ceil=ceil,
            )
            for axis in (0, 1)
        ]
        layer = Layer(
            name,
            Operator.POOLING,
            (source,),
            name,
            (),
            kernel,
            stride,
            sides,
            dilation,
            function=function,
        )
        return self._append(layer, (batch, channels, *output))

    def adaptive_pooling(
        self, name: str, source: str, output: Extent = 1, function: str = "average"
    ) -> str:
        """Pooling to an output size. Windows that differ in size (it does not divide the input's) are given as their largest, at the mean stride."""
        batch, channels, *size = self._image(name, source)
        height, width = pair(output)
        self._positive(name, output=min(height, width))
        shape = (batch, channels, height, width)
        if (height, width) == tuple(size):
            return self._append(
                Layer(name, Operator.VIEW, (source,), name, function=function), shape
            )
        if height > size[0] or width > size[1]:  # each element goes to several outputs
            return self._append(
                Layer(name, Operator.UPSAMPLING, (source,), name, function=function), shape
            )
        stride = (size[0] // height, size[1] // width)
        kernel = (size[0] - (height - 1) * stride[0], size[1] - (width - 1) * stride[1])
        return self._append(
            Layer(name, Operator.POOLING, (source,), name, (), kernel, stride, function=function),
            shape,
        )

    def addition(
        self,
        name: str,
        sources: Sequence[str],
        *,
        shape: Sequence[int] | None = None,
        function: str = "",
    ) -> str:
        """The sum of tensors (function: or product, ...) of one shape, or with dimensions of 1 that are repeated; else `shape` says the result's."""
        if shape is None:
            shape = self._broadcast(name, sources)
        return self._append(
            Layer(name, Operator.ADDITION, tuple(sources), name, function=function), tuple(shape)
        )

    def concatenation(self, name: str, sources: Sequence[str], axis: int = 1) -> str:
        """Tensors one behind the other; of one tensor, a view."""
        if len(sources) == 1:
            return self.view(name, sources[0], self.shape(sources[0]), "concatenation")
        shapes = [self.shape(source) for source in sources]
        first = shapes[0]
        axis = axis + len(first) if axis < 0 else axis
        if not 0 <= axis < len(first):
            raise self._refused(
                name, f"concatenates along dimension {axis}, but its inputs have {len(first)}"
            )
        for source, shape in zip(sources, shapes, strict=True):
            if len(shape) != len(first) or any(
                a != b for at, (a, b) in enumerate(zip(shape, first, strict=True)) if at != axis
            ):
                raise self._refused(
                    name,
                    f"concatenates {text(first)} ({sources[0]}) and {text(shape)} ({source}), which differ beside dimension {axis}",
                )
        total = sum(shape[axis] for shape in shapes)
        return self._append(
            Layer(name, Operator.CONCATENATION, tuple(sources), name),
            (*first[:axis], total, *first[axis + 1 :]),
        )

    def upsampling(self, name: str, source: str, factor: Extent, function: str = "nearest") -> str:
        """Enlarging an image by whole factors (given as `stride`)."""
        batch, channels, height, width = self._image(name, source)
        factor = pair(factor)
        self._positive(name, factor=min(factor))
        layer = Layer(name, Operator.UPSAMPLING, (source,), name, stride=factor, function=function)
        return self._append(layer, (batch, channels, height * factor[0], width * factor[1]))

    def resizing(
        self, name: str, source: str, size: tuple[int, int], function: str = "nearest"
    ) -> str:
        """Enlarging or shrinking an image to a size."""
        batch, channels, height, width = self._image(name, source)
        if size[0] % height == 0 and size[1] % width == 0:
            return self.upsampling(name, source, (size[0] // height, size[1] // width), function)
        return self._append(
            Layer(name, Operator.UPSAMPLING, (source,), name, function=function),
            (batch, channels, *size),
        )

    def view(self, name: str, source: str, shape: Sequence[int], function: str = "") -> str:
        """The same elements in the same order, seen as another shape."""
        if prod(shape) != prod(self.shape(source)):
            raise self._refused(
                name,
                f"sees {text(self.shape(source))} as {text(shape)}, which has another number of elements",
            )
        return self._append(
            Layer(name, Operator.VIEW, (source,), name, function=function), tuple(shape)
        )

    def flatten(self, name: str, source: str) -> str:
        """All dimensions but the batch as one."""
        batch, *rest = self.shape(source)
        return self.view(name, source, (batch, prod(rest)), "flatten")

    def rearrangement(self, name: str, source: str, shape: Sequence[int], function: str) -> str:
        """Elements (all, or a part) moved to other places: transpose, shuffle, slice, padding."""
        return self._append(
            Layer(name, Operator.REARRANGEMENT, (source,), name, function=function), tuple(shape)
        )

    def detection(
        self,
        name: str,
        sources: Sequence[str],
        function: str,
        *,
        shape: Sequence[int] | None = None,
        anchors: int = 1,
    ) -> str:
        """The decoding of boxes ("yolo", "region", ...). anchors: boxes of each place (given as `groups`)."""
        layer = Layer(
            name, Operator.DETECTION, tuple(sources), name, groups=anchors, function=function
        )
        return self._append(layer, tuple(shape) if shape is not None else self.shape(sources[0]))

    def parameter(self, name: str, shape: Sequence[int]) -> str:
        """A weight tensor of its own, for a layer that takes it by name; one that is there must have the same shape."""
        known = self._tensors.get(name)
        if known is None:
            self._add_tensor(name, tuple(shape), Role.WEIGHTS, "its weights")
        elif known.shape != tuple(shape) or known.role is not Role.WEIGHTS:
            raise NetworkError(
                f"{self.name}: weights {name!r} are {text(known.shape)} in one layer and {text(shape)} in another"
            )
        return name

    def _append(self, layer: Layer, shape: tuple[int, ...]) -> str:
        for source in layer.inputs:
            if source not in self._tensors:
                raise self._refused(
                    layer.name, f"reads {source!r}, which no layer before it writes"
                )
        self._add_tensor(layer.output, shape, Role.FEATURES, f"the output of layer {layer.name!r}")
        self._layers.append(layer)
        return layer.output

    def _add_tensor(self, name: str, shape: tuple[int, ...], role: Role, what: str) -> None:
        if name in self._tensors:
            raise NetworkError(f"{self.name}: two tensors have the name {name!r}")
        if not shape or any(extent < 1 for extent in shape):
            raise NetworkError(
                f"{self.name}: {what} has shape {text(shape)}; expected at least 1 everywhere"
            )
        if prod(shape) > MOST_ELEMENTS:
            raise NetworkError(
                f"{self.name}: {what} has shape {text(shape)}, {prod(shape):,} elements; expected at most {MOST_ELEMENTS:,}"
            )
        self._tensors[name] = Tensor(name, shape, role)

    def _weights(
        self,
        name: str,
        weight: tuple[int, ...],
        bias: tuple[int, ...] | None,
        names: tuple[str, ...] | None,
    ) -> tuple[str, ...]:
        shapes = (weight,) if bias is None else (weight, bias)
        names = (
            tuple(f"{name}.{part}" for part in ("weight", "bias")[: len(shapes)])
            if names is None
            else names
        )
        return tuple(self.parameter(each, shape) for each, shape in zip(names, shapes, strict=True))

    def _image(self, name: str, source: str) -> tuple[int, int, int, int]:
        shape = self.shape(source)
        if len(shape) != 4:
            raise self._refused(
                name,
                f"needs an image (batch, channels, height, width); its input {source!r} is {text(shape)}",
            )
        return shape[0], shape[1], shape[2], shape[3]

    def _window(
        self,
        name: str,
        size: int,
        kernel: int,
        stride: int,
        dilation: int,
        padding: int,
        before: int,
        *,
        ceil: bool,
    ) -> int:
        """Positions of a window along one axis."""
        if padding < 0:
            raise self._refused(name, f"has padding {padding}; expected 0 or more")
        room = size + padding - dilation * (kernel - 1) - 1
        if room < 0:
            reach = dilation * (kernel - 1) + 1
            raise self._refused(
                name,
                f"has a window of {reach}, which does not fit into its input of {size} with {padding} of padding: the input is too small",
            )
        output = room // stride + 1
        if (
            ceil and room % stride and output * stride < size + before
        ):  # the last window must start inside the input or the padding before it
            output += 1
        return output

    def _broadcast(self, name: str, sources: Sequence[str]) -> tuple[int, ...]:
        shapes = [self.shape(source) for source in sources]
        rank = max(len(shape) for shape in shapes)
        result = [1] * rank
        for source, shape in zip(sources, shapes, strict=True):
            for axis, extent in enumerate((1,) * (rank - len(shape)) + shape):
                if extent != 1 and result[axis] not in (1, extent):
                    raise self._refused(
                        name,
                        f"joins {text(shapes[0])} ({sources[0]}) and {text(shape)} ({source}), which do not match",
                    )
                result[axis] = max(result[axis], extent)
        return tuple(result)

    def _positive(self, name: str, **values: int) -> None:
        for what, value in values.items():
            if value < 1:
                raise self._refused(name, f"has {what} = {value}; expected 1 or more")

    def _refused(self, name: str, what: str) -> NetworkError:
        return NetworkError(f"{self.name}: layer {name!r} {what}")


def pair(extent: Extent) -> tuple[int, int]:
    """(vertical, horizontal)."""
    return (extent, extent) if isinstance(extent, int) else (extent[0], extent[1])


def four(padding: Padding) -> tuple[int, int, int, int]:
    """(top, left, bottom, right)."""
    if isinstance(padding, int):
        return (padding,) * 4
    if len(padding) == 2:
        return (padding[0], padding[1], padding[0], padding[1])
    return padding


def text(shape: Sequence[int]) -> str:
    """A shape as messages have it: 1x3x224x224."""
    return "x".join(map(str, shape))
