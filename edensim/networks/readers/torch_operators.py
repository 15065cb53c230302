"""Add modules, functions and methods of torch to a network.

Each kind has a function that adds the layer of an fx node and returns the name of its ofm.
"""

from __future__ import annotations

from math import prod
from typing import Any

from edensim.networks.builder import Padding, text
from edensim.networks.readers.torch_traced import Traced, Unsupported, argument, shape_of, two


def convolution(state: Traced, node: Any) -> str:
    """Add a Conv2d."""
    module = state.called(node)
    padding: Padding = (0, 0)
    if module.padding == "same":
        sums = [
            dilation * (kernel - 1)
            for dilation, kernel in zip(module.dilation, module.kernel_size, strict=True)
        ]
        padding = (sums[0] // 2, sums[1] // 2, sums[0] - sums[0] // 2, sums[1] - sums[1] // 2)
    elif module.padding != "valid":
        padding = two(module.padding)
    return state.builder.convolution(
        state.name(node),
        state.source(node),
        module.out_channels,
        two(module.kernel_size),
        stride=two(module.stride),
        padding=padding,
        dilation=two(module.dilation),
        groups=module.groups,
        bias=module.bias is not None,
        weights=state.weights(node),
    )


def linear(state: Traced, node: Any) -> str:
    """Add a Linear."""
    module = state.called(node)
    return state.builder.linear(
        state.name(node),
        state.source(node),
        module.out_features,
        bias=module.bias is not None,
        weights=state.weights(node),
    )


def functional_convolution(state: Traced, node: Any) -> str:
    """Add a conv2d with a parameter of the module."""
    names, shape = state.given(node)
    padding = argument(node, 4, "padding", 0)
    if isinstance(padding, str) or len(shape) != 4:
        raise Unsupported("pads by name, or has weights that are no images")
    stride, dilation = two(argument(node, 3, "stride", 1)), two(argument(node, 5, "dilation", 1))
    groups, kernel = argument(node, 6, "groups", 1), (shape[2], shape[3])
    return state.builder.convolution(
        state.name(node),
        state.source(node),
        shape[0],
        kernel,
        stride=stride,
        padding=two(padding),
        dilation=dilation,
        groups=groups,
        bias=len(names) > 1,
        weights=names,
    )


def functional_linear(state: Traced, node: Any) -> str:
    """Add a linear with a parameter of the module."""
    names, shape = state.given(node)
    return state.builder.linear(
        state.name(node), state.source(node), shape[0], bias=len(names) > 1, weights=names
    )


def normalization(state: Traced, node: Any) -> str:
    """Add a BatchNorm, whose running mean and variance fold into scale and shift."""
    module = state.called(node)
    return state.builder.normalization(
        state.name(node),
        state.source(node),
        weights=state.weights(node) or None,
        affine=module.affine,
    )


def function(name: str, state: Traced, node: Any) -> str:
    """Add a function of each element, with its module's parameters."""
    weights: tuple[str, ...] = ()
    if node.op == "call_module":
        module = state.called(node)
        weights = state.weights(node)
        for parameter, values in zip(
            weights,
            (
                value
                for value in (getattr(module, part, None) for part in ("weight", "bias"))
                if value is not None
            ),
            strict=True,
        ):
            state.builder.parameter(parameter, tuple(values.shape) or (1,))
    return state.builder.elementwise(state.name(node), state.source(node), name, weights=weights)


def functional_normalization(state: Traced, node: Any) -> str:
    """Add a layer_norm with parameters of the module."""
    given = [
        parameter
        for parameter in (argument(node, 2, "weight"), argument(node, 3, "bias"))
        if parameter is not None
    ]
    if any(parameter.op != "get_attr" for parameter in given):
        raise Unsupported("its weights are computed")
    weights = tuple(
        state.builder.parameter(state.parameter(parameter), shape_of(parameter))
        for parameter in given
    )
    return state.builder.elementwise(
        state.name(node), state.source(node), "layer normalization", weights=weights
    )


def pooling(kind: str, state: Traced, node: Any) -> str:
    """Add max or average pooling, as module or function."""
    positions = (
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        if kind == "max"
        else ("kernel_size", "stride", "padding", "ceil_mode")
    )
    if node.op == "call_module":
        module = state.called(node)
        given = {key: getattr(module, key) for key in positions}
    else:
        given = {key: argument(node, at, key) for at, key in enumerate(positions, 1)}
    kernel = two(given["kernel_size"])
    return state.builder.pooling(
        state.name(node),
        state.source(node),
        kind,
        kernel,
        stride=two(given["stride"]) if given["stride"] else kernel,
        padding=two(given["padding"] or 0),
        dilation=two(given.get("dilation") or 1),
        ceil=bool(given["ceil_mode"]),
    )


def adaptive_pooling(kind: str, state: Traced, node: Any) -> str:
    """Add pooling to an output size, as module or function."""
    shape = shape_of(node)
    if len(shape) != 4:
        raise Unsupported(f"writes {text(shape)}; expected an image")
    return state.builder.adaptive_pooling(
        state.name(node), state.source(node), (shape[2], shape[3]), kind
    )


def mean(state: Traced, node: Any) -> str:
    """Add a mean over the image, which is pooling."""
    source, name = state.source(node), state.name(node)
    axes = argument(node, 1, "dim", node.kwargs.get("axis"))
    axes = sorted(
        int(axis) % 4
        for axis in (
            axes if isinstance(axes, (tuple, list)) else [axes] if axes is not None else []
        )
    )
    if len(state.builder.shape(source)) != 4 or axes != [2, 3]:
        raise Unsupported(
            f"of {text(state.builder.shape(source))} over dimensions {axes or 'all'}; "
            "expected an image, over 2 and 3"
        )
    output = state.builder.adaptive_pooling(name, source, 1, "average")
    return (
        output
        if len(shape_of(node)) == 4
        else state.builder.view(f"{name}.squeeze", output, shape_of(node), "squeeze")
    )


def join(kind: str, state: Traced, node: Any) -> str:
    """Join features with features, or with a number."""
    given = (*node.args, *(node.kwargs[key] for key in ("input", "other") if key in node.kwargs))
    operands = [operand for operand in given if "shape" in getattr(operand, "meta", ())]
    sources = [state.features(operand) for operand in operands if operand in state.tensors]
    parameters = [operand for operand in operands if operand.op == "get_attr"]
    if len(sources) == 2:
        return state.builder.addition(
            state.name(node), sources, shape=shape_of(node), function=kind
        )
    if (
        len(sources) != 1
        or len(sources) + len(parameters) != len(operands)
        or state.builder.shape(sources[0]) != shape_of(node)
    ):
        raise Unsupported(
            "joins features with what is computed of parameters, or repeats its input"
        )
    weights = tuple(
        state.builder.parameter(state.parameter(operand), shape_of(operand) or (1,))
        for operand in parameters
    )
    single = {"": "shift", "product": "scale", "quotient": "scale", "difference": "shift"}.get(
        kind, kind
    )
    return state.builder.elementwise(state.name(node), sources[0], single, weights=weights)


def axis_of(node: Any, default: int) -> int:
    """Read the dimension along which a function works, which torch also calls its axis."""
    return int(argument(node, 1, "dim", node.kwargs.get("axis", default)))


def concatenation(state: Traced, node: Any) -> str:
    """Add a cat."""
    parts, name = argument(node, 0, "tensors"), state.name(node)
    if isinstance(parts, (tuple, list)) and all(part in state.tensors for part in parts):
        sources = [state.features(part) for part in parts]
    elif not isinstance(parts, (tuple, list)) and parts in state.several:
        sources = [
            state.builder.rearrangement(f"{name}.{at}", state.whole(parts), shape, "slice")
            for at, shape in enumerate(parts.meta["shape"])
        ]
    else:
        raise Unsupported("joins what is no list of features")
    return state.builder.concatenation(name, sources, axis_of(node, 0))


def view(state: Traced, node: Any) -> str:
    """See the same elements in another shape."""
    return state.builder.view(
        state.name(node),
        state.source(node),
        shape_of(node),
        str(getattr(node.target, "__name__", node.target)).rpartition(".")[2],
    )


def transposition(state: Traced, node: Any) -> str:
    """Reorder elements: a view for torch, but the next layer needs them moved."""
    source, shape = state.source(node), shape_of(node)
    if sum(extent > 1 for extent in shape) < 2:
        return state.builder.view(state.name(node), source, shape, "transpose")
    return state.builder.rearrangement(state.name(node), source, shape, "transpose")


def rearrangement(kind: str, state: Traced, node: Any) -> str:
    """Move or repeat elements, or leave some out."""
    return state.builder.rearrangement(state.name(node), state.source(node), shape_of(node), kind)


def resizing(state: Traced, node: Any) -> str:
    """Add an interpolate or an Upsample."""
    shape = shape_of(node)
    if len(shape) != 4:
        raise Unsupported(f"writes {text(shape)}; expected an image")
    mode = (
        state.called(node).mode
        if node.op == "call_module"
        else argument(node, 3, "mode", "nearest")
    )
    return state.builder.resizing(
        state.name(node), state.source(node), (shape[2], shape[3]), str(mode)
    )


def parts(state: Traced, node: Any) -> None:
    """Note a chunk or a split, of which `item` copies a part."""
    state.several[node] = state.source(node)


def item(state: Traced, node: Any) -> str | None:
    """Copy one of several outputs, or a slice; some of several outputs remain several."""
    origin = node.args[0]
    source = state.whole(origin) if origin in state.several else state.source(node)
    if isinstance(node.meta["shape"], list):
        state.several[node] = source
        return None
    kind = (
        state.builder.view
        if prod(state.builder.shape(source)) == prod(shape_of(node))
        else state.builder.rearrangement
    )
    return kind(state.name(node), source, shape_of(node), "slice")


def unchanged(state: Traced, node: Any) -> str:
    """Return the source of what does nothing at inference (dropout)."""
    return state.source(node)
