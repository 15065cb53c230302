"""VGG as torchvision defines it (configuration D is VGG16), without batch normalization."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def vgg(net: NetworkBuilder, classes: int, depths: tuple[int, ...]) -> None:
    """Add the layers. depths: convolutions of each stage."""
    at, index = net.input, 0
    for depth, filters in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            at = net.convolution(f"features.{index}", at, filters, 3, padding=1)
            at = net.elementwise(f"features.{index + 1}", at, "relu")
            index += 2
        at = net.pooling(f"features.{index}", at, "max", 2)
        index += 1
    at = net.adaptive_pooling("avgpool", at, 7)
    at = net.flatten("flatten", at)
    for index in (0, 3):
        at = net.linear(f"classifier.{index}", at, 4096)
        at = net.elementwise(f"classifier.{index + 1}", at, "relu")
    net.linear("classifier.6", at, classes)
