"""List the modules, functions and methods of torch that can be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from edensim.networks.readers.torch_operators import (
    adaptive_pooling,
    concatenation,
    convolution,
    function,
    functional_convolution,
    functional_linear,
    functional_normalization,
    item,
    join,
    linear,
    mean,
    normalization,
    parts,
    pooling,
    rearrangement,
    resizing,
    transposition,
    unchanged,
    view,
)
from edensim.networks.readers.torch_traced import Traced

_ACTIVATIONS = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky",
    "PReLU": "prelu",
    "Hardtanh": "clip",
    "Hardswish": "hardswish",
    "Hardsigmoid": "hardsigmoid",
    "LogSoftmax": "log softmax",
    "LayerNorm": "layer normalization",
    "GroupNorm": "layer normalization",
    "InstanceNorm2d": "instance normalization",
    "LocalResponseNorm": "local response normalization",
    **{
        name: name.lower()
        for name in "Softmax Sigmoid Tanh SiLU GELU ELU SELU CELU Mish Softplus Softsign".split()
    },
}

#: The function for a class of modules, by its name.
MODULES: dict[str, Callable[[Traced, Any], str | None]] = {
    "Conv2d": convolution,
    "Linear": linear,
    "BatchNorm1d": normalization,
    "BatchNorm2d": normalization,
    "MaxPool2d": partial(pooling, "max"),
    "AvgPool2d": partial(pooling, "average"),
    "AdaptiveAvgPool2d": partial(adaptive_pooling, "average"),
    "AdaptiveMaxPool2d": partial(adaptive_pooling, "max"),
    "Flatten": view,
    "Unflatten": view,
    "Identity": unchanged,
    "Dropout": unchanged,
    "Dropout2d": unchanged,
    "AlphaDropout": unchanged,
    "Upsample": resizing,
    "UpsamplingNearest2d": resizing,
    "UpsamplingBilinear2d": resizing,
    "PixelShuffle": partial(rearrangement, "pixel shuffle"),
    "PixelUnshuffle": partial(rearrangement, "pixel shuffle"),
    "ChannelShuffle": partial(rearrangement, "channel shuffle"),
    "ZeroPad2d": partial(rearrangement, "pad"),
    "ReflectionPad2d": partial(rearrangement, "pad"),
    "ReplicationPad2d": partial(rearrangement, "pad"),
    **{name: partial(function, kind) for name, kind in _ACTIVATIONS.items()},
}

_ELEMENTWISE = {
    "relu": "relu",
    "relu_": "relu",
    "relu6": "relu6",
    "leaky_relu": "leaky",
    "leaky_relu_": "leaky",
    "hardtanh": "clip",
    "clamp": "clip",
    "clamp_": "clip",
    "log_softmax": "log softmax",
    "contiguous": "copy",
    **{
        name: name
        for name in (
            "sigmoid tanh silu gelu elu selu celu mish softplus softsign hardswish hardsigmoid "
            "softmax exp log sqrt abs neg"
        ).split()
    },
}

_JOINS = {
    "add": "",
    "add_": "",
    "iadd": "",
    "mul": "product",
    "mul_": "product",
    "imul": "product",
    "sub": "difference",
    "isub": "difference",
}
_JOINS |= {
    "truediv": "quotient",
    "div": "quotient",
    "maximum": "maximum",
    "minimum": "minimum",
    "pow": "power",
}

#: The function for a function of torch, torch.nn.functional or operator, by its name.
FUNCTIONS: dict[str, Callable[[Traced, Any], str | None]] = {
    **{name: partial(function, kind) for name, kind in _ELEMENTWISE.items()},
    **{name: partial(join, kind) for name, kind in _JOINS.items()},
    "conv2d": functional_convolution,
    "linear": functional_linear,
    "layer_norm": functional_normalization,
    "cat": concatenation,
    "concat": concatenation,
    "mean": mean,
    "max_pool2d": partial(pooling, "max"),
    "_max_pool2d": partial(pooling, "max"),
    "boolean_dispatch": partial(pooling, "max"),
    "avg_pool2d": partial(pooling, "average"),
    "adaptive_avg_pool2d": partial(adaptive_pooling, "average"),
    "adaptive_max_pool2d": partial(adaptive_pooling, "max"),
    "interpolate": resizing,
    "pad": partial(rearrangement, "pad"),
    "roll": partial(rearrangement, "roll"),
    "pixel_shuffle": partial(rearrangement, "pixel shuffle"),
    "chunk": parts,
    "split": parts,
    "getitem": item,
    "dropout": unchanged,
    "stochastic_depth": unchanged,
    **dict.fromkeys(("flatten", "reshape", "view", "squeeze", "unsqueeze"), view),
    **dict.fromkeys(("transpose", "permute", "t", "swapaxes"), transposition),
}

#: The function for a method of a tensor, by its name.
METHODS: dict[str, Callable[[Traced, Any], str | None]] = {
    **FUNCTIONS,
    "contiguous": unchanged,
    "clone": unchanged,
    "expand": partial(rearrangement, "expand"),
    "repeat": partial(rearrangement, "expand"),
}
