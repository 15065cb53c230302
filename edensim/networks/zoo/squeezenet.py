"""SqueezeNet 1.1 as torchvision defines it."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder

#: Fire modules by index in `features`: squeezing 1x1 filters, and those of each of the two expanding convolutions.
FIRES = {
    3: (16, 64),
    4: (16, 64),
    6: (32, 128),
    7: (32, 128),
    9: (48, 192),
    10: (48, 192),
    11: (64, 256),
    12: (64, 256),
}

#: Pooling by index in `features`.
POOLINGS = (2, 5, 8)


def squeezenet(net: NetworkBuilder, classes: int) -> None:
    """Add the layers."""
    at = convolution(net, "features.0", "features.1", net.input, 64, 3, stride=2)
    for index in sorted((*FIRES, *POOLINGS)):
        name = f"features.{index}"
        if index in POOLINGS:
            at = net.pooling(name, at, "max", 3, stride=2, ceil=True)
        else:
            at = fire(net, name, at, *FIRES[index])
    at = convolution(net, "classifier.1", "classifier.2", at, classes, 1)
    net.flatten("flatten", net.adaptive_pooling("classifier.3", at))


def fire(net: NetworkBuilder, name: str, source: str, squeezed: int, expanded: int) -> str:
    """A 1x1 convolution to few channels, then 1x1 and 3x3 beside each other."""
    at = convolution(net, f"{name}.squeeze", f"{name}.squeeze_activation", source, squeezed, 1)
    one = convolution(net, f"{name}.expand1x1", f"{name}.expand1x1_activation", at, expanded, 1)
    three = convolution(
        net, f"{name}.expand3x3", f"{name}.expand3x3_activation", at, expanded, 3, padding=1
    )
    return net.concatenation(f"{name}.cat", (one, three))


def convolution(
    net: NetworkBuilder,
    name: str,
    relu: str,
    source: str,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
) -> str:
    """A convolution and ReLU."""
    return net.elementwise(
        relu, net.convolution(name, source, filters, kernel, stride=stride, padding=padding), "relu"
    )
