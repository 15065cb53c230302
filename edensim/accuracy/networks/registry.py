"""Networks that can be trained and evaluated, by name. The torch modules are in the files beside this one, loaded on use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edensim.exceptions import NetworkError, nearest
from edensim.networks.zoo.registry import SYNONYMS, plain

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Entry:
    """A network: `builder` of `module` makes it for inputs of a shape and a number of classes. normalization: (means, deviations) of the channels
    that its published weights were trained with, if there are any."""

    title: str
    module: str
    builder: str
    arguments: dict[str, Any] = field(default_factory=dict)
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None


#: What torchvision normalizes ImageNet's channels by; the published CIFAR ResNets were trained with it too.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

ENTRIES = {
    "lenet": Entry("LeNet (Caffe's; narrow inputs get narrow kernels)", "lenet", "LeNet"),
    "resnet20": Entry(
        "ResNet-20 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 3}, IMAGENET
    ),
    "resnet32": Entry(
        "ResNet-32 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 5}, IMAGENET
    ),
    "resnet44": Entry(
        "ResNet-44 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 7}, IMAGENET
    ),
    "resnet56": Entry(
        "ResNet-56 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 9}, IMAGENET
    ),
    "resnet101": Entry("ResNet-101", "resnet", "ResNet", {"blocks": (3, 4, 23, 3)}, IMAGENET),
    "vgg16": Entry(
        "VGG-16 (below 64x64 with batch normalization and one linear layer)",
        "vgg",
        "VGG16",
        {},
        IMAGENET,
    ),
    "alexnet": Entry("AlexNet", "alexnet", "AlexNet", {}, IMAGENET),
    "squeezenet1.1": Entry("SqueezeNet 1.1", "squeezenet", "SqueezeNet", {}, IMAGENET),
    "mobilenetv2": Entry("MobileNetV2", "mobilenet", "MobileNetV2", {}, IMAGENET),
    "densenet40": Entry(
        "DenseNet-BC of 40 layers for CIFAR, growth 12",
        "densenet",
        "DenseNet",
        {"growth": 12, "blocks": (6, 6, 6), "large": False},
    ),
    "densenet201": Entry(
        "DenseNet-201",
        "densenet",
        "DenseNet",
        {"growth": 32, "blocks": (6, 12, 48, 32), "large": True},
        IMAGENET,
    ),
    "yolov3-tiny": Entry("YOLO-Tiny (v3-tiny), which detects objects", "yolo", "YoloTiny"),
}


def known_name(name: str) -> str:
    """The name in this list's own spelling. Raises NetworkError."""
    spelled = {plain(each): each for each in ENTRIES}
    spelled |= {other: each for other, each in SYNONYMS.items() if each in ENTRIES}
    if plain(name) not in spelled:
        hint = nearest(name, ENTRIES)
        if os.path.exists(name):
            hint = "; a network of one's own is given in Python, as a torch.nn.Module, to edensim.evaluate"
        raise NetworkError(
            f"unknown network {name!r}{hint} (can be evaluated: {', '.join(ENTRIES)})"
        )
    return spelled[plain(name)]


def build(name: str, shape: Sequence[int], classes: int, *, seed: int = 1) -> torch.nn.Module:
    """A network with weights as drawn at the seed. shape: (channels, height, width) of an input.

    Raises NetworkError for an unknown name and an input too small.
    """
    import torch

    entry = ENTRIES[known_name(name)]
    make = getattr(import_module(f"edensim.accuracy.networks.{entry.module}"), entry.builder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: torch.nn.Module = make(tuple(shape), classes, **entry.arguments)
    return module
