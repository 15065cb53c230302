"""AlexNet as torchvision defines it ("One weird trick", one column of 64-192-384-256-256 filters)."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder

#: Index in `features`, filters, kernel, stride, padding, index of the pooling behind it.
CONVOLUTIONS = (
    (0, 64, 11, 4, 2, 2),
    (3, 192, 5, 1, 2, 5),
    (6, 384, 3, 1, 1, None),
    (8, 256, 3, 1, 1, None),
    (10, 256, 3, 1, 1, 12),
)


def alexnet(net: NetworkBuilder, classes: int) -> None:
    """Add the layers."""
    at = net.input
    for index, filters, kernel, stride, padding, pooling in CONVOLUTIONS:
        at = net.convolution(
            f"features.{index}", at, filters, kernel, stride=stride, padding=padding
        )
        at = net.elementwise(f"features.{index + 1}", at, "relu")
        if pooling is not None:
            at = net.pooling(f"features.{pooling}", at, "max", 3, stride=2)
    at = net.adaptive_pooling("avgpool", at, 6)
    at = net.flatten("flatten", at)
    for index in (1, 4):
        at = net.linear(f"classifier.{index}", at, 4096)
        at = net.elementwise(f"classifier.{index + 1}", at, "relu")
    net.linear("classifier.6", at, classes)
