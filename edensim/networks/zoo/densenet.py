"""Describe DenseNets (Huang et al., CVPR 2017) as torchvision has them."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def densenet(
    net: NetworkBuilder,
    classes: int,
    growth: int,
    depths: tuple[int, ...],
    *,
    small: bool = False,
) -> None:
    """Add the layers; small images keep their size at the input.

    Each dense layer adds `growth` filters; `depths` are the dense layers of each block.
    """
    first = 2 * growth
    if small:
        at = net.convolution("features.conv0", net.input, first, 3, padding=1, bias=False)
    else:
        at = net.convolution("features.conv0", net.input, first, 7, stride=2, padding=3, bias=False)
        at = activated(net, "features.norm0", "features.relu0", at)
        at = net.pooling("features.pool0", at, "max", 3, stride=2, padding=1)
    for number, depth in enumerate(depths, 1):
        at = dense_block(net, f"features.denseblock{number}", at, growth, depth)
        if number < len(depths):
            name = f"features.transition{number}"
            at = activated(net, f"{name}.norm", f"{name}.relu", at)
            at = net.convolution(f"{name}.conv", at, net.shape(at)[1] // 2, 1, bias=False)
            at = net.pooling(f"{name}.pool", at, "average", 2)
    at = activated(net, f"features.norm{len(depths) + 1}", "relu", at)
    at = net.adaptive_pooling("avgpool", at)
    net.linear("classifier", net.flatten("flatten", at), classes)


def dense_block(net: NetworkBuilder, name: str, source: str, growth: int, depth: int) -> str:
    """Add a block, each of whose layers reads what all layers before it in the block have written.

    A dense layer is a 1x1 convolution to four times the growth, then a 3x3 one.
    """
    features = [source]
    for number in range(1, depth + 1):
        layer = f"{name}.denselayer{number}"
        at = net.concatenation(f"{layer}.cat", features) if len(features) > 1 else source
        at = activated(net, f"{layer}.norm1", f"{layer}.relu1", at)
        at = net.convolution(f"{layer}.conv1", at, 4 * growth, 1, bias=False)
        at = activated(net, f"{layer}.norm2", f"{layer}.relu2", at)
        features.append(net.convolution(f"{layer}.conv2", at, growth, 3, padding=1, bias=False))
    return net.concatenation(f"{name}.cat", features)


def activated(net: NetworkBuilder, normalization: str, relu: str, source: str) -> str:
    """Add a normalization and a ReLU."""
    return net.elementwise(relu, net.normalization(normalization, source), "relu")
