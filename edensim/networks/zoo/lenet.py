"""Describe LeNet as Caffe has it: 20 and 50 filters, 500 hidden units.

EDEN runs LeNet on CIFAR-10 and gives its size as 1.65 MB at FP32 (Koppula et al., MICRO 2019,
table 1). That is this network with three input channels of 28x28: 432,080 parameters, 1.648 MiB.
"""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def lenet(net: NetworkBuilder, classes: int, *, small: bool = False) -> None:
    """Add the layers.

    5x5 kernels would leave nothing of narrow inputs (scikit-learn's digits are 8x8). In their form
    kernels are 3x3, and there is no pooling before the second convolution.
    """
    kernel = 3 if small else 5
    at = net.convolution("conv1", net.input, 20, kernel)
    if not small:
        at = net.pooling("pool1", at, "max", 2)
    at = net.convolution("conv2", at, 50, kernel)
    at = net.pooling("pool2", at, "max", 2)
    at = net.flatten("flatten", at)
    at = net.linear("fc1", at, 500)
    at = net.elementwise("relu1", at, "relu")
    net.linear("fc2", at, classes)
