"""List the networks that can be trained and evaluated, and build their torch modules by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edensim.exceptions import NetworkError, nearest
from edensim.networks.zoo.registry import description, spelled

if TYPE_CHECKING:
    import torch


#: Below this height or width (pixels) networks for ImageNet take a form that shrinks images less.
SMALL = 64


@dataclass(frozen=True)
class Entry:
    """A network that can be trained.

    The function `builder` of the module `module` of the zoo describes its layers. Images have at
    least `least` pixels of height and width; below `small_below` they take the small form.
    `normalization` are the means and deviations of the channels that its published weights were
    trained with, if there are any.
    """

    title: str
    module: str
    builder: str
    arguments: tuple[Any, ...] = ()
    least: int = 16
    small_below: int = SMALL
    weights: str = "default"
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None


#: torchvision normalizes ImageNet's channels by these; the published CIFAR ResNets were, too.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _resnet_cifar(layers: int) -> Entry:
    title, arguments = f"ResNet-{layers} for CIFAR", ((layers - 2) // 6,)
    return Entry(title, "resnet", "resnet_cifar", arguments, 8, 0, "fan in, linear too", IMAGENET)


ENTRIES = {
    "lenet": Entry(
        "LeNet (Caffe's; narrow inputs get narrow kernels)", "lenet", "lenet", (), 6, 16
    ),
    **{f"resnet{layers}": _resnet_cifar(layers) for layers in (20, 32, 44, 56)},
    "resnet101": Entry(
        "ResNet-101",
        "resnet",
        "resnet_bottleneck",
        ((3, 4, 23, 3),),
        weights="fan out",
        normalization=IMAGENET,
    ),
    "vgg16": Entry(
        "VGG-16 (below 64x64 with batch normalization and one linear layer)",
        "vgg",
        "vgg",
        ((2, 2, 3, 3, 3),),
        least=32,
        weights="fan out",
        normalization=IMAGENET,
    ),
    "alexnet": Entry("AlexNet", "alexnet", "alexnet", normalization=IMAGENET),
    "squeezenet1.1": Entry(
        "SqueezeNet 1.1", "squeezenet", "squeezenet", weights="squeezenet", normalization=IMAGENET
    ),
    "mobilenetv2": Entry(
        "MobileNetV2", "mobilenet", "mobilenet_v2", weights="fan out", normalization=IMAGENET
    ),
    "densenet40": Entry(
        "DenseNet-BC of 40 layers for CIFAR, growth 12",
        "densenet",
        "densenet",
        (12, (6, 6, 6)),
        small_below=1 << 30,
        weights="fan in",
    ),
    "densenet201": Entry(
        "DenseNet-201",
        "densenet",
        "densenet",
        (32, (6, 12, 48, 32)),
        least=SMALL,
        weights="fan in",
        normalization=IMAGENET,
    ),
    "yolov3-tiny": Entry(
        "YOLO-Tiny (v3-tiny), which detects objects", "yolo", "yolov3_tiny", (), 1, 0, "yolo"
    ),
}


def known_name(name: str) -> str:
    """Spell a name as this list does.

    Raises
    ------
    NetworkError
        If the list has no such network.
    """
    known = spelled(name, ENTRIES)
    if known is None:
        hint = nearest(name, ENTRIES)
        if os.path.exists(name):
            hint = (
                "; to evaluate your own network, pass it to edensim.evaluate in Python as a "
                "torch.nn.Module"
            )
        raise NetworkError(
            f"unknown network {name!r}{hint} (can be evaluated: {', '.join(ENTRIES)})"
        )
    return known


def build(
    name: str, shape: Sequence[int], classes: int, *, seed: int = 1, **options: Any
) -> torch.nn.Module:
    """Build a network with initial weights.

    Parameters
    ----------
    name
        A name of the list, in any spelling.
    shape
        (channels, height, width) of an input.
    classes
        Number of classes.
    seed
        The initial weights are the same for the same seed.
    options
        What else the description of the network takes.

    Raises
    ------
    NetworkError
        If the name is not known, or the input is too small.
    """
    import torch

    from edensim.accuracy.networks.initial_weights import initialize
    from edensim.accuracy.networks.torch_builder import ModuleBuilder
    from edensim.accuracy.networks.yolo import yolo_criterion

    known = known_name(name)
    entry = ENTRIES[known]
    height, width = shape[1:]
    if min(height, width) < entry.least:
        raise NetworkError(
            f"{known}: an input of {height}x{width}; expected {entry.least}x{entry.least} or more"
        )
    if min(height, width) < entry.small_below:
        options["small"] = True
    criterion = yolo_criterion(known, shape, classes) if entry.module == "yolo" else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        builder = ModuleBuilder(known, shape)
        description(entry.module, entry.builder)(builder, classes, *entry.arguments, **options)
        module = builder.module
        initialize(module, entry.weights)
    if criterion is not None:
        module.criterion = criterion
    return module
