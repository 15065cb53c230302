"""Is every network of the zoo the published one? Numbers of parameters and multiply-accumulates are torchvision's and DarkNet's."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

import edensim
from edensim.exceptions import NetworkError
from edensim.networks.network import Network, Operator, Role
from edensim.networks.zoo.registry import ENTRIES, zoo_network

#: Parameters, multiply-accumulates at the network's own input, convolutions, linear layers, shape of the last ofm.
#: torchvision 0.28: sums over `named_parameters`, and its published GFLOPs (0.71, 4.29, 0.30, 1.81, 4.09, 7.80, 0.35, 15.47); DarkNet: what it prints
#: (65.86 BFLOP at 416x416 are 32.9 G multiply-accumulates, 5.56 at 416x416) and the size of its weight files without means and variances.
PUBLISHED = {
    "alexnet": (61_100_840, 714_188_480, 5, 3, (1, 1000)),
    "densenet201": (20_013_928, 4_291_365_888, 200, 1, (1, 1000)),
    "mobilenetv2": (3_504_872, 300_774_272, 52, 1, (1, 1000)),
    "resnet18": (11_689_512, 1_814_073_344, 20, 1, (1, 1000)),
    "resnet50": (25_557_032, 4_089_184_256, 53, 1, (1, 1000)),
    "resnet101": (44_549_160, 7_801_405_440, 104, 1, (1, 1000)),
    "squeezenet1.1": (1_235_496, 349_151_936, 26, 0, (1, 1000)),
    "vgg16": (138_357_544, 15_470_264_320, 13, 3, (1, 1000)),
    "yolov3": (61_949_149, 70_345_950_208, 75, 0, (1, 255, 76, 76)),
    "yolov3-tiny": (8_852_366, 2_782_480_896, 13, 0, (1, 255, 26, 26)),
    "lenet": (432_080, 2_869_000, 2, 2, (1, 10)),
}

#: EDEN's Table 1, FP32, in units of 2^20 bytes; its CIFAR-10 versions of ResNet101 and MobileNetV2 have other classifiers.
EDEN_SIZES = {
    "vgg16": 528.0,
    "densenet201": 76.0,
    "squeezenet1.1": 4.8,
    "alexnet": 233.0,
    "yolov3": 237.0,
    "yolov3-tiny": 33.8,
    "lenet": 1.65,
}


def operators(network: Network) -> Counter[Operator]:
    return Counter(layer.operator for layer in network.layers)


def test_every_network_is_checked_here() -> None:
    assert set(PUBLISHED) == set(ENTRIES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes(name: str) -> None:
    parameters, macs, convolutions, linear, shape = PUBLISHED[name]
    network = edensim.load_network(name)
    assert network.parameters == parameters
    assert network.macs == macs
    assert operators(network)[Operator.CONVOLUTION] == convolutions
    assert operators(network)[Operator.LINEAR] == linear
    assert network.tensors[network.layers[-1].output].shape == shape


@pytest.mark.parametrize("name", EDEN_SIZES)
def test_sizes_are_those_of_eden(name: str) -> None:
    assert edensim.load_network(name).parameters * 4 / 2**20 == pytest.approx(
        EDEN_SIZES[name], rel=0.02
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_batch_multiplies_features_and_work_but_no_weights(name: str) -> None:
    one, four = edensim.load_network(name), edensim.load_network(name, batch=4)
    assert (four.batch, four.macs, four.parameters) == (4, 4 * one.macs, one.parameters)
    for tensor in one.tensors.values():
        assert four.tensors[tensor.name].elements == tensor.elements * (
            4 if tensor.role is Role.FEATURES else 1
        )


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("yolov3-tiny", 96, 96), ("yolov3", 416, 608), ("resnet101", 32, 32), ("vgg16", 256, 288)],
)
def test_input_size_can_be_chosen(name: str, height: int, width: int) -> None:
    network = edensim.load_network(name, height=height, width=width)
    assert network.tensors[network.input].shape == (1, 3, height, width)
    assert network.parameters == PUBLISHED[name][0]


def test_yolov3_tiny_at_416_needs_the_work_that_darknet_prints() -> None:
    assert 2 * edensim.load_network("yolov3-tiny").macs / 1e9 == pytest.approx(5.565, abs=0.001)
    assert 2 * edensim.load_network("yolov3", height=416, width=416).macs / 1e9 == pytest.approx(
        65.86, abs=0.02
    )


def test_connections() -> None:
    """Residual, dense, side by side, and from far behind."""
    assert operators(edensim.load_network("resnet101"))[Operator.ADDITION] == 33
    assert operators(edensim.load_network("mobilenetv2"))[Operator.ADDITION] == 10
    assert operators(edensim.load_network("squeezenet1.1"))[Operator.CONCATENATION] == 8
    assert operators(edensim.load_network("yolov3"))[Operator.ADDITION] == 23
    dense = edensim.load_network("densenet201")
    last = dense.layers[[layer.name for layer in dense.layers].index("features.denseblock4.cat")]
    assert len(last.inputs) == 33  # the block's ifm and 32 dense layers
    tiny = {layer.name: layer for layer in edensim.load_network("yolov3-tiny").layers}
    assert tiny["020_route"].inputs == ("019_upsample", "008_convolutional.leaky")


def test_depthwise_convolutions_have_a_group_for_each_channel() -> None:
    network = edensim.load_network("mobilenetv2")
    depthwise = [layer for layer in network.layers if layer.groups > 1]
    assert len(depthwise) == 17
    for layer in depthwise:
        assert layer.groups == network.tensors[layer.inputs[0]].shape[1]
        assert network.tensors[layer.weights[0]].shape == (layer.groups, 1, 3, 3)


def test_squeezenet_pools_with_ceil() -> None:
    network = edensim.load_network("squeezenet1.1")
    assert [network.tensors[f"features.{index}"].shape[2] for index in (0, 2, 5, 8)] == [
        111,
        55,
        27,
        13,
    ]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("ResNet101", "resnet101"),
        ("ResNet-101", "resnet101"),
        ("SqueezeNet1.1", "squeezenet1.1"),
        ("squeezenet1_1", "squeezenet1.1"),
        ("MobileNet_V2", "mobilenetv2"),
        ("YOLO", "yolov3"),
        ("YOLO-Tiny", "yolov3-tiny"),
        ("LeNet", "lenet"),
        ("VGG-16", "vgg16"),
    ],
)
def test_spellings(spelling: str, name: str) -> None:
    assert edensim.load_network(spelling).name == name


def test_classes_and_channels() -> None:
    network = zoo_network("resnet18", channels=1, classes=10, height=28, width=28)
    assert network.tensors["conv1.weight"].shape == (64, 1, 7, 7)
    assert network.tensors["fc.weight"].shape == (10, 512)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet102", {}, "did you mean 'resnet101'"),
        ("yolo-tinny", {}, "did you mean 'yolov3-tiny'"),
        ("", {}, "known: alexnet"),
        ("no-such-file.cfg", {}, "there is no such file"),
        ("resnet18", {"batch": 0}, "batch = 0; expected a whole number from 1 on"),
        ("resnet18", {"height": 2.5}, "height = 2.5; expected a whole number"),
        ("alexnet", {"height": 8, "width": 8}, "the input is too small"),
        ("yolov3", {"height": 100, "width": 100}, "concatenates"),
        ("vgg16", {"height": 1 << 40, "width": 1 << 40}, "expected at most"),
        (7, {}, "found a int; expected a network's name"),
    ],
)
def test_what_cannot_be_is_refused(name: str, arguments: dict[str, int], message: str) -> None:
    if name == 7:
        pytest.importorskip(
            "torch", reason="without torch nothing but names and files can be told apart"
        )
    with pytest.raises(NetworkError) as refused:
        edensim.load_network(name, **arguments)
    assert message in str(refused.value)


def test_names_need_neither_arrays_nor_frameworks() -> None:
    """Start-up is part of every run."""
    code = "import sys, edensim; edensim.load_network('densenet201'); print(sorted({'numpy', 'numba', 'torch', 'onnx', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
