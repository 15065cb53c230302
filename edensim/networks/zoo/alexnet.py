"""Describe AlexNet as torchvision has it (Krizhevsky, arXiv:1404.5997, one column)."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def alexnet(net: NetworkBuilder, classes: int, *, small: bool = False) -> None:
    """Add the layers; for small images the first kernels are 3x3 and the strides are halved."""
    # Index in `features`, filters, kernel, stride, padding, index of the pooling behind it.
    convolutions = (
        (0, 64, *((3, 2, 1) if small else (11, 4, 2)), 2),
        (3, 192, *((3, 1, 1) if small else (5, 1, 2)), 5),
        (6, 384, 3, 1, 1, None),
        (8, 256, 3, 1, 1, None),
        (10, 256, 3, 1, 1, 12),
    )
    at = net.input
    for index, filters, kernel, stride, padding, pooling in convolutions:
        at = net.convolution(
            f"features.{index}", at, filters, kernel, stride=stride, padding=padding
        )
        at = net.elementwise(f"features.{index + 1}", at, "relu")
        if pooling is not None:
            at = net.pooling(f"features.{pooling}", at, "max", 2 if small else 3, stride=2)
    at = net.adaptive_pooling("avgpool", at, 2 if small else 6)
    hidden_layers(net, net.flatten("flatten", at), classes, first=1, dropouts=(0, 3))


def hidden_layers(
    net: NetworkBuilder, at: str, classes: int, *, first: int, dropouts: tuple[int, int]
) -> None:
    """Add two hidden layers of 4096 and the classifier, as AlexNet and VGG have them.

    `first` is the index of the first linear layer in `classifier`; `dropouts` are those of the
    dropouts, which torchvision has before AlexNet's linear layers and behind VGG's activations.
    """
    for index, dropout in zip((first, first + 3), dropouts, strict=True):
        if dropout < index:
            at = net.dropout(f"classifier.{dropout}", at, 0.5)
        at = net.linear(f"classifier.{index}", at, 4096)
        at = net.elementwise(f"classifier.{index + 1}", at, "relu")
        if dropout > index:
            at = net.dropout(f"classifier.{dropout}", at, 0.5)
    net.linear("classifier.6", at, classes)
