"""Describe VGG (Simonyan and Zisserman, ICLR 2015) as torchvision has it."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder
from edensim.networks.zoo.alexnet import hidden_layers


def vgg(net: NetworkBuilder, classes: int, depths: tuple[int, ...], *, small: bool = False) -> None:
    """Add the layers, with `depths` convolutions in each stage (2, 2, 3, 3, 3 is VGG-16).

    For small images there is batch normalization, and a single linear layer classifies.
    """
    at, index = net.input, 0
    for depth, filters in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            at = net.convolution(f"features.{index}", at, filters, 3, padding=1)
            if small:
                index += 1
                at = net.normalization(f"features.{index}", at)
            at = net.elementwise(f"features.{index + 1}", at, "relu")
            index += 2
        at = net.pooling(f"features.{index}", at, "max", 2)
        index += 1
    at = net.adaptive_pooling("avgpool", at, 1 if small else 7)
    at = net.flatten("flatten", at)
    if small:
        net.linear("classifier", at, classes)
    else:
        hidden_layers(net, at, classes, first=0, dropouts=(2, 5))
