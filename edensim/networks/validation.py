"""Check that the layers and tensors of a network fit each other, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import prod

from edensim.exceptions import NetworkError
from edensim.networks.builder import MOST_ELEMENTS, MOST_WINDOW, text
from edensim.networks.network import Layer, Network, Operator, Role

#: More dimensions than any framework has.
MOST_DIMENSIONS = 16


def check_network(network: Network) -> None:
    """Raise NetworkError, with the layer or tensor, unless everything fits.

    Shapes have a stated range, each layer writes the shape that its operator makes of its inputs,
    weights fit, and what does not apply to an operator has its default.
    """
    for tensor in network.tensors.values():
        check_shape(f"{network.name}: tensor {tensor.name!r}", tensor.shape)
    written = {network.input, *network.further_inputs}
    for name in written:
        if name not in network.tensors or network.tensors[name].role is not Role.FEATURES:
            raise NetworkError(f"{network.name}: its input {name!r} is no tensor of features")
    names: set[str] = set()
    for layer in network.layers:
        try:
            if layer.name in names:
                raise NetworkError("another layer has that name; expected one")
            if layer.output in written:
                raise NetworkError(f"writes {layer.output!r}, which is there already")
            check_layer(network, layer)
        except NetworkError as exception:
            raise NetworkError(f"{network.name}: layer {layer.name!r}: {exception}") from None
        names.add(layer.name)
        written.add(layer.output)


def check_shape(what: str, shape: Sequence[int]) -> None:
    """Raise NetworkError unless a shape is one that a tensor can have."""
    elements = 1
    for extent in shape[: MOST_DIMENSIONS + 1]:
        elements *= max(min(extent, MOST_ELEMENTS + 1), 0)
    if not 1 <= len(shape) <= MOST_DIMENSIONS or not 1 <= elements <= MOST_ELEMENTS:
        raise NetworkError(
            f"{what}: expected 1 to {MOST_DIMENSIONS} whole numbers from 1 on, with a product of "
            f"at most {MOST_ELEMENTS:,}; found {str(list(shape))[:80]}"
        )


def check_layer(network: Network, layer: Layer) -> None:
    """Check one layer of a network. Raises NetworkError."""
    tensors = network.tensors
    for name, role in (
        *((name, Role.FEATURES) for name in (*layer.inputs, layer.output)),
        *((name, Role.WEIGHTS) for name in layer.weights),
    ):
        if tensors[name].role is not role:
            raise NetworkError(f"has {name!r} among its {role.value}, which it is not")
    check_input_shapes(network, layer)
    check_windows(layer)
    shapes = [network.ifm(layer, at).shape for at in range(len(layer.inputs))]
    output = tensors[layer.output].shape
    several = layer.operator in (Operator.ADDITION, Operator.CONCATENATION, Operator.DETECTION)
    if not shapes or (len(shapes) > 1 and not several):
        raise NetworkError(f"has {len(shapes)} inputs; expected {'some' if several else 'one'}")
    if layer.is_product:
        if not layer.weights:
            raise NetworkError("has no weights; expected some")
        check_product(layer, shapes[0], output, tensors[layer.weights[0]].shape)
    elif not FITS[layer.operator](layer, shapes, output):
        raise NetworkError(
            f"makes {text(output)} of {', '.join(map(text, shapes))}, which a layer of "
            f"{layer.operator.value} with its extents cannot"
        )
    for name in layer.weights[layer.is_product :]:
        if tensors[name].elements > tensors[layer.output].elements:
            raise NetworkError(f"has more weights {name!r} than outputs")


def check_input_shapes(network: Network, layer: Layer) -> None:
    """Check the shapes in which a layer sees its inputs. Raises NetworkError."""
    if layer.input_shapes and len(layer.input_shapes) != len(layer.inputs):
        raise NetworkError(
            f"has {len(layer.input_shapes)} input_shapes for {len(layer.inputs)} inputs"
        )
    for name, shape in zip(layer.inputs, layer.input_shapes, strict=False):
        check_shape("input_shapes", shape)
        if network.ifm(layer, layer.inputs.index(name)).elements != network.tensors[name].elements:
            raise NetworkError(f"sees {name!r} as {text(shape)}, which has other elements")


def check_windows(layer: Layer) -> None:
    """Check the extents of a layer's windows and its groups. Raises NetworkError."""
    least = {"kernel": 1, "stride": 1, "dilation": 1, "padding": 0}
    default = Layer("", layer.operator, (), "")
    window = layer.operator in (Operator.CONVOLUTION, Operator.POOLING)
    for field, smallest in least.items():
        extents = getattr(layer, field)
        if min(extents) < smallest or max(extents) > MOST_WINDOW:
            raise NetworkError(
                f"{field}: expected whole numbers from {smallest} to {MOST_WINDOW:,}, "
                f"found {str(list(extents))[:80]}"
            )
        applies = window or (field == "stride" and layer.operator is Operator.UPSAMPLING)
        if not applies and extents != getattr(default, field):
            raise NetworkError(f"{field}: does not apply to a layer of {layer.operator.value}")
    grouped = layer.operator in (Operator.CONVOLUTION, Operator.DETECTION)
    if not 1 <= layer.groups <= MOST_WINDOW or (layer.groups > 1 and not grouped):
        raise NetworkError(
            f"groups: expected {f'1 to {MOST_WINDOW:,}' if grouped else 1}, "
            f"found {str(layer.groups)[:40]}"
        )


def check_product(
    layer: Layer, ifm: tuple[int, ...], ofm: tuple[int, ...], weight: tuple[int, ...]
) -> None:
    """Check the weights and the output of a convolution or linear layer. Raises NetworkError."""
    if layer.operator is Operator.LINEAR:
        expected = (*ifm[:-1], weight[0])
        fits = len(weight) == 2 and weight[1] == ifm[-1]
    else:
        if len(ifm) != 4 or len(weight) != 4:
            raise NetworkError(f"convolves {text(ifm)} by {text(weight)}; expected 4 dimensions")
        expected = (ifm[0], weight[0], *positions(layer, ifm, ceil=False))
        fits = (
            weight[1] * layer.groups == ifm[1]
            and weight[0] % layer.groups == 0
            and weight[2:] == layer.kernel
        )
    if not fits:
        raise NetworkError(f"has weights {text(weight)}, which do not fit its input {text(ifm)}")
    if ofm != expected:
        raise NetworkError(f"writes {text(expected)}, found {text(ofm)}")


def positions(layer: Layer, ifm: tuple[int, ...], *, ceil: bool) -> tuple[int, ...]:
    """Count the positions of a layer's window along both axes of an image."""
    counts = []
    for axis in (0, 1):
        reach = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        room = ifm[2 + axis] + layer.padding[axis] + layer.padding[axis + 2] - reach
        counts.append((-(-room // layer.stride[axis]) if ceil else room // layer.stride[axis]) + 1)
    return tuple(counts)


def fits_pooling(layer: Layer, shapes: list[tuple[int, ...]], output: tuple[int, ...]) -> bool:
    """Whether an output is a pooled input; the last window may count if it does not fit whole."""
    ifm = shapes[0]
    if len(ifm) != 4 or len(output) != 4 or output[:2] != ifm[:2]:
        return False
    limits = zip(positions(layer, ifm, ceil=False), positions(layer, ifm, ceil=True), strict=True)
    return all(
        least <= count <= most for (least, most), count in zip(limits, output[2:], strict=True)
    )


def fits_addition(_: Layer, shapes: list[tuple[int, ...]], output: tuple[int, ...]) -> bool:
    """Whether an output has the shape of an input, or that to which all of them repeat."""
    axes = zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return output in (*shapes, tuple(reversed([max(extents) for extents in axes])))


def fits_concatenation(_: Layer, shapes: list[tuple[int, ...]], output: tuple[int, ...]) -> bool:
    """Whether an output is its inputs one behind the other, along some axis."""
    return all(len(shape) == len(output) for shape in shapes) and any(
        sum(shape[axis] for shape in shapes) == output[axis]
        and all(
            shape[:axis] == output[:axis] and shape[axis + 1 :] == output[axis + 1 :]
            for shape in shapes
        )
        for axis in range(len(output))
    )


def fits_upsampling(layer: Layer, shapes: list[tuple[int, ...]], output: tuple[int, ...]) -> bool:
    """Whether an output is an image of another size, or as much larger as the stride says."""
    ifm = shapes[0]
    if len(ifm) != 4 or len(output) != 4 or output[:2] != ifm[:2]:
        return False
    enlarged = (ifm[2] * layer.stride[0], ifm[3] * layer.stride[1])
    return layer.stride == (1, 1) or output[2:] == enlarged


def fits_view(_: Layer, shapes: list[tuple[int, ...]], output: tuple[int, ...]) -> bool:
    """Whether an output has as many elements as its input."""
    return prod(shapes[0]) == prod(output)


#: Whether a layer of each operator can make an output of the shapes of its inputs.
FITS: dict[Operator, Callable[[Layer, list[tuple[int, ...]], tuple[int, ...]], bool]] = {
    Operator.POOLING: fits_pooling,
    Operator.ADDITION: fits_addition,
    Operator.CONCATENATION: fits_concatenation,
    Operator.UPSAMPLING: fits_upsampling,
    Operator.ELEMENTWISE: lambda _, shapes, output: output == shapes[0],
    Operator.REARRANGEMENT: lambda *_: True,
    Operator.VIEW: fits_view,
    Operator.DETECTION: lambda *_: True,
}
