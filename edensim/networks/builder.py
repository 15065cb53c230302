"""Build a network layer by layer, and refuse layers whose shapes do not fit.

A layer's ofm is a tensor with the name of the layer; its weights are `<layer>.weight` and
`<layer>.bias`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypedDict

from edensim.exceptions import NetworkError
from edensim.networks.network import Layer, Network, Operator, Role, Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: One number for both directions, or (vertical, horizontal).
Extent = int | tuple[int, int]

#: All four sides, (vertical, horizontal), or (top, left, bottom, right).
Padding = int | tuple[int, int] | tuple[int, int, int, int]

#: A tensor with more elements cannot be addressed: the network must be mistaken.
MOST_ELEMENTS = 1 << 48


#: No kernel, stride, dilation or padding is larger: cycles and addresses stay within 64 bits.
MOST_WINDOW = 1 << 24


class WindowOptions(TypedDict, total=False):
    """How a window moves: with a stride and a dilation of 1 and no padding unless given."""

    stride: Extent
    padding: Padding
    dilation: Extent


@dataclass(frozen=True)
class Window:
    """The window of a convolution or a pooling: each extent is (vertical, horizontal)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]

    @classmethod
    def of(cls, kernel: Extent, options: WindowOptions) -> Window:
        """Make a window of extents in their short forms."""
        return cls(
            pair(kernel),
            pair(options.get("stride", 1)),
            pair(options.get("dilation", 1)),
            four(options.get("padding", 0)),
        )


class NetworkBuilder:
    """Builds a network.

    The methods that add a layer return the name of its ofm, and raise NetworkError if the shapes
    do not fit.

    Parameters
    ----------
    name
        Name of the network, which messages begin with.
    input_shape
        (batch, channels, height, width) or (batch, features).
    input_name
        Name of the tensor that the first layers read.
    """

    def __init__(self, name: str, input_shape: Sequence[int], *, input_name: str = "input") -> None:
        self.name = name
        self.input = input_name
        self._layers: list[Layer] = []
        self._further_inputs: list[str] = []
        self._tensors: dict[str, Tensor] = {}
        self._add_tensor(input_name, tuple(input_shape), Role.FEATURES, "the input")

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a tensor that has been added."""
        return self._tensors[tensor].shape

    def build(self) -> Network:
        """Return the network of all layers so far."""
        if not self._layers:
            raise NetworkError(f"{self.name}: has no layers")
        layers, further_inputs = tuple(self._layers), tuple(self._further_inputs)
        return Network(self.name, layers, dict(self._tensors), self.input, further_inputs)

    def further_input(self, name: str, shape: Sequence[int]) -> str:
        """Add features that are there before any layer, beside the input."""
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
        groups: int = 1,
        bias: bool = True,
        weights: tuple[str, ...] | None = None,
        **options: Unpack[WindowOptions],
    ) -> str:
        """Add a convolution, whose tensors of weights may have names of their own."""
        batch, channels, *size = self._image(name, source)
        window = Window.of(kernel, options)
        self._positive(
            name,
            filters=filters,
            kernel=min(window.kernel),
            stride=min(window.stride),
            dilation=min(window.dilation),
            groups=groups,
        )
        if channels % groups or filters % groups:
            raise self._refusal(
                name,
                f"groups = {groups} does not divide its {channels} input channels "
                f"and {filters} filters",
            )
        output = self._positions(name, size, window)
        names = self._weights(
            name,
            (filters, channels // groups, *window.kernel),
            (filters,) if bias else None,
            weights,
        )
        layer = Layer(
            name,
            Operator.CONVOLUTION,
            (source,),
            name,
            names,
            window.kernel,
            window.stride,
            window.padding,
            window.dilation,
            groups,
        )
        return self._append(layer, (batch, filters, *output))

    def linear(
        self,
        name: str,
        source: str,
        outputs: int,
        *,
        bias: bool = True,
        weights: tuple[str, ...] | None = None,
    ) -> str:
        """Add a fully connected layer over the last dimension."""
        *leading, inputs = self.shape(source)
        self._positive(name, outputs=outputs)
        names = self._weights(name, (outputs, inputs), (outputs,) if bias else None, weights)
        layer = Layer(name, Operator.LINEAR, (source,), name, names)
        return self._append(layer, (*leading, outputs))

    def normalization(
        self, name: str, source: str, *, weights: tuple[str, ...] | None = None, affine: bool = True
    ) -> str:
        """Add batch normalization as inference does it: a scale and a shift for each channel."""
        shape = self.shape(source)
        channels = (shape[1],) if len(shape) > 1 else (shape[0],)
        names = self._weights(name, channels, channels, weights) if affine else ()
        return self.elementwise(name, source, "normalization", weights=names)

    def elementwise(
        self, name: str, source: str, function: str, *, weights: tuple[str, ...] = ()
    ) -> str:
        """Add an activation, or another function whose ofm has the shape of its ifm (softmax)."""
        layer = Layer(name, Operator.ELEMENTWISE, (source,), name, weights, function=function)
        return self._append(layer, self.shape(source))

    def dropout(self, name: str, source: str, share: float) -> str:  # noqa: ARG002
        """Return the source: a network is for inference, where dropout does nothing."""
        return source

    def pooling(
        self,
        name: str,
        source: str,
        function: str,
        kernel: Extent,
        *,
        ceil: bool = False,
        **options: Unpack[WindowOptions],
    ) -> str:
        """Add pooling ("max", "average"), whose stride is its kernel unless given.

        If `ceil` is true, a last window that does not fit whole counts, too.
        """
        batch, channels, *size = self._image(name, source)
        window = Window.of(kernel, {"stride": kernel, **options})
        self._positive(
            name,
            kernel=min(window.kernel),
            stride=min(window.stride),
            dilation=min(window.dilation),
        )
        layer = Layer(
            name,
            Operator.POOLING,
            (source,),
            name,
            (),
            window.kernel,
            window.stride,
            window.padding,
            window.dilation,
            function=function,
        )
        output = self._positions(name, size, window, ceil=ceil)
        return self._append(layer, (batch, channels, *output))

    def adaptive_pooling(
        self, name: str, source: str, output: Extent = 1, function: str = "average"
    ) -> str:
        """Add pooling to an output size.

        If the size of the input is no multiple, windows differ in size: the layer then has the
        largest window, at the mean stride.
        """
        batch, channels, *size = self._image(name, source)
        height, width = pair(output)
        self._positive(name, output=min(height, width))
        operator, kernel, stride = Operator.POOLING, (1, 1), (1, 1)
        if (height, width) == tuple(size):
            operator = Operator.VIEW
        elif height > size[0] or width > size[1]:  # each element goes to several outputs
            operator = Operator.UPSAMPLING
        else:
            stride = (size[0] // height, size[1] // width)
            kernel = (size[0] - (height - 1) * stride[0], size[1] - (width - 1) * stride[1])
        layer = Layer(name, operator, (source,), name, (), kernel, stride, function=function)
        return self._append(layer, (batch, channels, height, width))

    def addition(
        self,
        name: str,
        sources: Sequence[str],
        *,
        shape: Sequence[int] | None = None,
        function: str = "",
    ) -> str:
        """Add the sum of tensors, or what `function` names instead (a product, ...).

        The tensors have one shape, or dimensions of 1 that are repeated; if they do not, `shape`
        gives the shape of the result.
        """
        if shape is None:
            shape = self._broadcast(name, sources)
        layer = Layer(name, Operator.ADDITION, tuple(sources), name, function=function)
        return self._append(layer, tuple(shape))

    def concatenation(self, name: str, sources: Sequence[str], axis: int = 1) -> str:
        """Add tensors one behind the other; a single one is only seen under another name."""
        if len(sources) == 1:
            return self.view(name, sources[0], self.shape(sources[0]), "concatenation")
        shapes = [self.shape(source) for source in sources]
        first = shapes[0]
        axis = axis + len(first) if axis < 0 else axis
        if not 0 <= axis < len(first):
            raise self._refusal(
                name, f"concatenates along dimension {axis}, but its inputs have {len(first)}"
            )
        for source, shape in zip(sources, shapes, strict=True):
            if len(shape) != len(first) or _without(shape, axis) != _without(first, axis):
                raise self._refusal(
                    name,
                    f"concatenates {text(first)} ({sources[0]}) and {text(shape)} ({source}), "
                    f"which differ beside dimension {axis}",
                )
        total = sum(shape[axis] for shape in shapes)
        layer = Layer(name, Operator.CONCATENATION, tuple(sources), name)
        return self._append(layer, (*first[:axis], total, *first[axis + 1 :]))

    def upsampling(self, name: str, source: str, factor: Extent, function: str = "nearest") -> str:
        """Enlarge an image by whole factors, which the layer has as its stride."""
        batch, channels, height, width = self._image(name, source)
        factor = pair(factor)
        self._positive(name, factor=min(factor))
        layer = Layer(name, Operator.UPSAMPLING, (source,), name, stride=factor, function=function)
        return self._append(layer, (batch, channels, height * factor[0], width * factor[1]))

    def resizing(
        self, name: str, source: str, size: tuple[int, int], function: str = "nearest"
    ) -> str:
        """Enlarge or shrink an image to a size."""
        batch, channels, height, width = self._image(name, source)
        if size[0] % height == 0 and size[1] % width == 0:
            return self.upsampling(name, source, (size[0] // height, size[1] // width), function)
        layer = Layer(name, Operator.UPSAMPLING, (source,), name, function=function)
        return self._append(layer, (batch, channels, *size))

    def view(self, name: str, source: str, shape: Sequence[int], function: str = "") -> str:
        """See the same elements, in the same order, as another shape."""
        if prod(shape) != prod(self.shape(source)):
            raise self._refusal(
                name,
                f"sees {text(self.shape(source))} as {text(shape)}, "
                "which has another number of elements",
            )
        layer = Layer(name, Operator.VIEW, (source,), name, function=function)
        return self._append(layer, tuple(shape))

    def flatten(self, name: str, source: str) -> str:
        """See all dimensions but the batch as one."""
        batch, *rest = self.shape(source)
        return self.view(name, source, (batch, prod(rest)), "flatten")

    def rearrangement(self, name: str, source: str, shape: Sequence[int], function: str) -> str:
        """Move elements, or some of them, to other places: transpose, shuffle, slice, padding."""
        layer = Layer(name, Operator.REARRANGEMENT, (source,), name, function=function)
        return self._append(layer, tuple(shape))

    def detection(
        self,
        name: str,
        sources: Sequence[str],
        function: str,
        *,
        shape: Sequence[int] | None = None,
        anchors: int = 1,
    ) -> str:
        """Decode boxes ("yolo", "region"); the layer has the boxes of each place as `groups`."""
        layer = Layer(
            name, Operator.DETECTION, tuple(sources), name, groups=anchors, function=function
        )
        return self._append(layer, tuple(shape) if shape is not None else self.shape(sources[0]))

    def parameter(self, name: str, shape: Sequence[int]) -> str:
        """Add a tensor of weights, unless it is there with the same shape."""
        known = self._tensors.get(name)
        if known is None:
            self._add_tensor(name, tuple(shape), Role.WEIGHTS, "its weights")
        elif known.shape != tuple(shape) or known.role is not Role.WEIGHTS:
            raise NetworkError(
                f"{self.name}: weights {name!r} are {text(known.shape)} in one layer "
                f"and {text(shape)} in another"
            )
        return name

    def _append(self, layer: Layer, shape: tuple[int, ...]) -> str:
        for source in layer.inputs:
            if source not in self._tensors:
                raise self._refusal(
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
                f"{self.name}: {what} has shape {text(shape)}, {prod(shape):,} elements; "
                f"expected at most {MOST_ELEMENTS:,}"
            )
        self._tensors[name] = Tensor(name, shape, role)

    def _weights(
        self,
        name: str,
        weight: tuple[int, ...],
        bias: tuple[int, ...] | None,
        names: tuple[str, ...] | None,
    ) -> tuple[str, ...]:
        """Add the tensors of a layer's weights, under their own names or the layer's."""
        shapes = (weight,) if bias is None else (weight, bias)
        if names is None:
            names = (f"{name}.weight", f"{name}.bias")[: len(shapes)]
        return tuple(self.parameter(*named) for named in zip(names, shapes, strict=True))

    def _image(self, name: str, source: str) -> tuple[int, int, int, int]:
        shape = self.shape(source)
        if len(shape) != 4:
            raise self._refusal(
                name,
                "needs an image (batch, channels, height, width); "
                f"its input {source!r} is {text(shape)}",
            )
        return shape[0], shape[1], shape[2], shape[3]

    def _positions(
        self, name: str, size: Sequence[int], window: Window, *, ceil: bool = False
    ) -> tuple[int, ...]:
        """Count the positions of a window along both axes of an image."""
        counts = []
        for axis, extent in enumerate(size):
            before, stride = window.padding[axis], window.stride[axis]
            padding = before + window.padding[axis + 2]
            if min(before, window.padding[axis + 2]) < 0:
                raise self._refusal(
                    name, f"has padding {text(window.padding)}; expected 0 or more everywhere"
                )
            largest = max(window.kernel[axis], stride, window.dilation[axis], padding)
            if largest > MOST_WINDOW:
                raise self._refusal(
                    name, f"has a window with {largest:,}; expected at most {MOST_WINDOW:,}"
                )
            reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1
            room = extent + padding - reach
            if room < 0:
                raise self._refusal(
                    name,
                    f"has a window of {reach}, which does not fit into its input of {extent} "
                    f"with {padding} of padding: the input is too small",
                )
            count = room // stride + 1
            # The last window must start inside the input or the padding before it.
            if ceil and room % stride and count * stride < extent + before:
                count += 1
            counts.append(count)
        return tuple(counts)

    def _broadcast(self, name: str, sources: Sequence[str]) -> tuple[int, ...]:
        shapes = [self.shape(source) for source in sources]
        rank = max(len(shape) for shape in shapes)
        result = [1] * rank
        for source, shape in zip(sources, shapes, strict=True):
            for axis, extent in enumerate((1,) * (rank - len(shape)) + shape):
                if extent != 1 and result[axis] not in (1, extent):
                    raise self._refusal(
                        name,
                        f"joins {text(shapes[0])} ({sources[0]}) and {text(shape)} ({source}), "
                        "which do not match",
                    )
                result[axis] = max(result[axis], extent)
        return tuple(result)

    def _positive(self, name: str, **values: int) -> None:
        for what, value in values.items():
            if value < 1:
                raise self._refusal(name, f"has {what} = {value}; expected 1 or more")

    def _refusal(self, name: str, problem: str) -> NetworkError:
        return NetworkError(f"{self.name}: layer {name!r} {problem}")


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def pair(extent: Extent) -> tuple[int, int]:
    """Return (vertical, horizontal)."""
    return (extent, extent) if isinstance(extent, int) else (extent[0], extent[1])


def four(padding: Padding) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right)."""
    if isinstance(padding, int):
        return (padding,) * 4
    if len(padding) == 2:
        return (padding[0], padding[1], padding[0], padding[1])
    return padding


def text(shape: Sequence[int]) -> str:
    """Write a shape as messages have it: 1x3x224x224."""
    return "x".join(map(str, shape))
