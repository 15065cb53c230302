"""Describe ResNets (He et al., CVPR 2016).

Those for ImageNet are torchvision's (v1.5: the 3x3 convolution of a bottleneck has the stride).
Those for CIFAR (section 4.2) have the names of the weights that
github.com/akamaster/pytorch_resnet_cifar10 publishes.
"""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def resnet_basic(net: NetworkBuilder, classes: int, depths: tuple[int, ...]) -> None:
    """Add the layers of a ResNet with `depths` basic blocks in each stage."""
    at = stem(net)
    for stage, depth in enumerate(depths):
        filters = 64 << stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            name = f"layer{stage + 1}.{block}"
            branch = basic_branch(net, name, at, filters, stride)
            at = residual(net, name, projection(net, name, at, filters, stride), branch)
    classifier(net, at, classes, "fc")


def resnet_bottleneck(
    net: NetworkBuilder, classes: int, depths: tuple[int, ...], *, small: bool = False
) -> None:
    """Add the layers of a ResNet with `depths` bottlenecks (1x1, 3x3, 1x1) in each stage."""
    at = stem(net, small=small)
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
            at = residual(net, name, projection(net, name, at, 4 * filters, stride), branch)
    classifier(net, at, classes, "fc")


def resnet_cifar(net: NetworkBuilder, classes: int, depth: int) -> None:
    """Add the layers of a ResNet with `depth` basic blocks in each of three stages.

    Shortcuts have no weights: if the shape changes, they take every second pixel and add channels
    of zeros.
    """
    at = net.elementwise("relu", convolution(net, "conv1", net.input, 16, 3), "relu")
    for stage in range(3):
        filters = 16 << stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            name = f"layer{stage + 1}.{block}"
            branch = basic_branch(net, name, at, filters, stride)
            if stride != 1:
                shape = net.shape(branch)
                at = net.rearrangement(f"{name}.shortcut", at, shape, "zero-padded subsampling")
            at = residual(net, name, at, branch)
    classifier(net, at, classes, "linear")


def stem(net: NetworkBuilder, *, small: bool = False) -> str:
    """Add the layers before the first stage; small images keep their size."""
    at = convolution(net, "conv1", net.input, 64, *((3, 1) if small else (7, 2)))
    at = net.elementwise("relu", at, "relu")
    return at if small else net.pooling("maxpool", at, "max", 3, stride=2, padding=1)


def convolution(
    net: NetworkBuilder, name: str, source: str, filters: int, kernel: int, stride: int = 1
) -> str:
    """Add a convolution without bias and its normalization, bn2 to conv2."""
    at = net.convolution(
        name, source, filters, kernel, stride=stride, padding=kernel // 2, bias=False
    )
    return net.normalization(name.replace("conv", "bn"), at)


def basic_branch(net: NetworkBuilder, name: str, source: str, filters: int, stride: int) -> str:
    """Add the two 3x3 convolutions of a basic block."""
    at = convolution(net, f"{name}.conv1", source, filters, 3, stride)
    at = net.elementwise(f"{name}.relu1", at, "relu")
    return convolution(net, f"{name}.conv2", at, filters, 3)


def projection(net: NetworkBuilder, name: str, source: str, filters: int, stride: int) -> str:
    """Add the 1x1 convolution of a shortcut if the shape changes; else return the source."""
    if stride == 1 and net.shape(source)[1] == filters:
        return source
    at = net.convolution(f"{name}.downsample.0", source, filters, 1, stride=stride, bias=False)
    return net.normalization(f"{name}.downsample.1", at)


def residual(net: NetworkBuilder, name: str, shortcut: str, branch: str) -> str:
    """Add the sum of a block's branch and shortcut."""
    at = net.addition(f"{name}.add", (branch, shortcut))
    return net.elementwise(f"{name}.relu", at, "relu")


def classifier(net: NetworkBuilder, at: str, classes: int, name: str) -> None:
    """Add the layers behind the last stage."""
    at = net.adaptive_pooling("avgpool", at)
    net.linear(name, net.flatten("flatten", at), classes)
