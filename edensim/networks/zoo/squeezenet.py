"""Describe SqueezeNet 1.1 (Iandola et al., arXiv:1602.07360) as torchvision has it."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder

#: Fire modules by index in `features`: filters that squeeze, and filters of each that expands.
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


def squeezenet(net: NetworkBuilder, classes: int, *, small: bool = False) -> None:
    """Add the layers; the first convolution does not shrink small images."""
    at = net.convolution(
        "features.0", net.input, 64, 3, stride=1 if small else 2, padding=1 if small else 0
    )
    at = net.elementwise("features.1", at, "relu")
    for index in sorted((*FIRES, *POOLINGS)):
        name = f"features.{index}"
        if index in POOLINGS:
            at = net.pooling(name, at, "max", 3, stride=2, ceil=True)
        else:
            at = fire(net, name, at, *FIRES[index])
    at = net.dropout("classifier.0", at, 0.5)
    at = net.elementwise("classifier.2", net.convolution("classifier.1", at, classes, 1), "relu")
    net.flatten("flatten", net.adaptive_pooling("classifier.3", at))


def fire(net: NetworkBuilder, name: str, source: str, squeezed: int, expanded: int) -> str:
    """Add a 1x1 convolution to few channels, then 1x1 and 3x3 convolutions beside each other."""

    def activated(part: str, source: str, filters: int, kernel: int) -> str:
        at = net.convolution(f"{name}.{part}", source, filters, kernel, padding=kernel // 2)
        return net.elementwise(f"{name}.{part}_activation", at, "relu")

    at = activated("squeeze", source, squeezed, 1)
    sides = [activated("expand1x1", at, expanded, 1), activated("expand3x3", at, expanded, 3)]
    return net.concatenation(f"{name}.cat", sides)
