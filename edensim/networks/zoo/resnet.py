"""ResNets as torchvision defines them (v1.5: the 3x3 convolution of a bottleneck has its stride)."""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def resnet_basic(net: NetworkBuilder, classes: int, depths: tuple[int, ...]) -> None:
    """Add the layers of a ResNet of basic blocks (two 3x3 convolutions). depths: blocks of each stage."""
    at = stem(net)
    for stage, depth in enumerate(depths):
        filters = 64 << stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            name = f"layer{stage + 1}.{block}"
            branch = convolution(net, f"{name}.conv1", at, filters, 3, stride)
            branch = net.elementwise(f"{name}.relu1", branch, "relu")
            branch = convolution(net, f"{name}.conv2", branch, filters, 3)
            at = residual(net, name, at, branch, filters, stride)
    classifier(net, at, classes)


def resnet_bottleneck(net: NetworkBuilder, classes: int, depths: tuple[int, ...]) -> None:
    """Add the layers of a ResNet of bottleneck blocks (1x1, 3x3, 1x1 with four times the filters). depths: blocks of each stage."""
    at = stem(net)
    for stage, depth in enumerate(depths):
        filters = 64 << stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            name = f"layer{stage + 1}.{block}"
            branch = convolution(net, f"{name}.conv1", at, filters, 1)
            branch = net.elementwise(f"{name}.relu1", branch, "relu")
            branch = convolution(net, f"{name}.conv2", branch, filters, 3, stride)
            branch = net.elementwise(f"{name}.relu2", branch, "relu")
            branch = convolution(net, f"{name}.conv3", branch, 4 * filters, 1)
            at = residual(net, name, at, branch, 4 * filters, stride)
    classifier(net, at, classes)


def stem(net: NetworkBuilder) -> str:
    """The layers before the first stage."""
    at = convolution(net, "conv1", net.input, 64, 7, 2)
    at = net.elementwise("relu", at, "relu")
    return net.pooling("maxpool", at, "max", 3, stride=2, padding=1)


def convolution(
    net: NetworkBuilder, name: str, source: str, filters: int, kernel: int, stride: int = 1
) -> str:
    """A convolution without bias and its normalization: conv2 has bn2."""
    at = net.convolution(
        name, source, filters, kernel, stride=stride, padding=kernel // 2, bias=False
    )
    return net.normalization(name.replace("conv", "bn"), at)


def residual(
    net: NetworkBuilder, name: str, source: str, branch: str, filters: int, stride: int
) -> str:
    """The sum of a block's input, through a 1x1 convolution where the shape changes, and its branch."""
    if stride != 1 or net.shape(source)[1] != filters:
        source = net.convolution(
            f"{name}.downsample.0", source, filters, 1, stride=stride, bias=False
        )
        source = net.normalization(f"{name}.downsample.1", source)
    return net.elementwise(f"{name}.relu", net.addition(f"{name}.add", (branch, source)), "relu")


def classifier(net: NetworkBuilder, at: str, classes: int) -> None:
    """The layers behind the last stage."""
    at = net.adaptive_pooling("avgpool", at)
    net.linear("fc", net.flatten("flatten", at), classes)
