"""Networks that can be trained and evaluated, by name. The torch modules are in the files beside this one, loaded on use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edensim.dnn.zoo import plain
from edensim.exceptions import NetworkError, nearest

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
    "resnet20": Entry("ResNet-20 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 3}, IMAGENET),
    "resnet32": Entry("ResNet-32 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 5}, IMAGENET),
    "resnet44": Entry("ResNet-44 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 7}, IMAGENET),
    "resnet56": Entry("ResNet-56 for CIFAR", "resnet_cifar", "ResNetCifar", {"blocks": 9}, IMAGENET),
}


def known_name(name: str) -> str:
    """The name in this list's own spelling. Raises NetworkError."""
    spelled = {plain(each): each for each in ENTRIES}
    if plain(name) not in spelled:
        hint = nearest(name, ENTRIES)
        if os.path.exists(name):
            hint = "; a network of one's own is given in Python, as a torch.nn.Module, to edensim.evaluate"
        raise NetworkError(f"unknown network {name!r}{hint} (can be evaluated: {', '.join(ENTRIES)})")
    return spelled[plain(name)]


def build(name: str, shape: Sequence[int], classes: int, *, seed: int = 1) -> torch.nn.Module:
    """A network with weights as drawn at the seed. shape: (channels, height, width) of an input.

    Raises NetworkError for an unknown name and an input too small.
    """
    import torch

    entry = ENTRIES[known_name(name)]
    make = getattr(import_module(f"edensim.inference.networks.{entry.module}"), entry.builder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: torch.nn.Module = make(tuple(shape), classes, **entry.arguments)
    return module
