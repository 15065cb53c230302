"""LeNet as Caffe defines it (20 and 50 filters, 500 hidden units), on 3x28x28.

EDEN runs LeNet on CIFAR-10 and gives its size as 1.65 MB at FP32 (Table 1): that is this one with three input channels
(432,080 parameters, 1.648 MiB).
"""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder


def lenet(net: NetworkBuilder, classes: int) -> None:
    """Add the layers."""
    at = net.convolution("conv1", net.input, 20, 5)
    at = net.pooling("pool1", at, "max", 2)
    at = net.convolution("conv2", at, 50, 5)
    at = net.pooling("pool2", at, "max", 2)
    at = net.flatten("flatten", at)
    at = net.linear("fc1", at, 500)
    at = net.elementwise("relu1", at, "relu")
    net.linear("fc2", at, classes)
