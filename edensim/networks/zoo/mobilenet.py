"""Describe MobileNetV2 (Sandler et al., CVPR 2018) as torchvision has it."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder

#: Expansion of channels inside a block, filters, blocks, stride of the first block (table 2).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(net: NetworkBuilder, classes: int, *, small: bool = False) -> None:
    """Add the layers; small images keep their size up to the third stage."""
    at = convolution(net, "features.0", net.input, 32, 3, stride=1 if small else 2)
    index = 1
    for stage, (expansion, filters, blocks, stride) in enumerate(STAGES):
        for block in range(blocks):
            strides = 1 if block or (small and stage == 1) else stride
            at = inverted_residual(net, f"features.{index}", at, filters, strides, expansion)
            index += 1
    at = convolution(net, f"features.{index}", at, 1280, 1)
    at = net.adaptive_pooling("avgpool", at)
    at = net.dropout("classifier.0", net.flatten("flatten", at), 0.2)
    net.linear("classifier.1", at, classes)


def inverted_residual(
    net: NetworkBuilder, name: str, source: str, filters: int, stride: int, expansion: int
) -> str:
    """Add a block: 1x1 to more channels, 3x3 for each of them, 1x1 to fewer.

    There is a shortcut if the shape stays.
    """
    channels = net.shape(source)[1]
    at, part = source, 0
    if expansion != 1:
        at = convolution(net, f"{name}.conv.{part}", at, expansion * channels, 1)
        part += 1
    at = convolution(
        net,
        f"{name}.conv.{part}",
        at,
        expansion * channels,
        3,
        stride=stride,
        groups=expansion * channels,
    )
    at = net.convolution(f"{name}.conv.{part + 1}", at, filters, 1, bias=False)
    at = net.normalization(f"{name}.conv.{part + 2}", at)
    return net.addition(f"{name}.add", (source, at)) if stride == 1 and channels == filters else at


def convolution(
    net: NetworkBuilder,
    name: str,
    source: str,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
) -> str:
    """Add a convolution without bias, its normalization, and ReLU6."""
    at = net.convolution(
        f"{name}.0",
        source,
        filters,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )
    at = net.normalization(f"{name}.1", at)
    return net.elementwise(f"{name}.2", at, "relu6")
