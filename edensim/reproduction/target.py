"""What a target is: the work that it needs, and the section that comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edensim.accuracy.datasets import installed
from edensim.exceptions import InputError
from edensim.reproduction.section import Section
from edensim.reproduction.task import Task


@dataclass(frozen=True)
class Source:
    """A network that can be tested. weights: a file (None: trained here, from each seed). images: of the test (None: all).

    label: in names of tasks; coarse_seeds: of target 9, where others have the scope's. brief: in target 9 only int8 and FP32, un-boosted, once.
    size: height and width that its images are brought to.
    """

    network: str
    data: str
    title: str
    weights: str | None = None
    images: int | None = None
    train_images: int | None = None
    epochs: int = 40
    label: str = ""
    coarse_seeds: int = 5
    brief: bool = False
    size: int | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """As the work of networks takes them."""
        return {"network": self.network, "data": self.data, "weights": self.weights}


@dataclass(frozen=True)
class Scope:
    """How much is run. seeds: of networks and of boosting; memories: that each is tested in; sources: networks with data, the first always there;
    coarse_only: of target 9 alone."""

    full: bool
    seeds: int
    memories: int
    sources: tuple[Source, ...]
    coarse_only: tuple[Source, ...] = ()


#: Networks with published weights for ImageNet that come with packages.
IMAGENET: Final = {"squeezenet1.1": "SqueezeNet 1.1", "mobilenetv2": "MobileNetV2"}


def scope(full: bool, datasets: Path | None) -> Scope:
    """What can be run with what is at hand: LeNet on digits always, on Fashion-MNIST where that is installed; with `full`, ResNet-20 on CIFAR-10,
    YOLO-Tiny on a detection set composed of Fashion-MNIST, and ImageNet's networks where their weights are.

    datasets: a folder that holds CIFAR-10 and ResNet-20's weights, which `full` needs, and may hold ImageNet's images and weights by name
    (`squeezenet1.1.pt`, as tools/imagenet_weights.py writes it). Raises InputError where it holds not what is needed, or for nothing.
    """
    if full != (datasets is not None):
        raise InputError(
            "--full: needs --datasets DIR, and that is for nothing else"
            if full
            else "--datasets: is for --full alone"
        )
    sources = [Source("lenet", "digits", "LeNet, digits", label="lenet")]
    if datasets is not None:
        images, weights = datasets / "cifar10-jpeg.tar.gz", datasets / "resnet20-12fca82f.th"
        for path in (images, weights):
            if not path.is_file():
                raise InputError(
                    f"{path}: there is no such file; --full tests ResNet-20 on CIFAR-10 with it"
                )
        sources.append(
            Source(
                "resnet20",
                str(images),
                "ResNet-20, CIFAR-10",
                str(weights),
                500,
                2000,
                8,
                "resnet20",
                1,
            )
        )
    only = list[Source]()
    if installed("fashion-mnist") is not None:
        only.append(
            Source(
                "lenet",
                "fashion-mnist",
                "LeNet, Fashion-MNIST",
                None,
                2000,
                12000,
                10,
                "lenet-fashion",
                1,
            )
        )
        if datasets is not None:
            data, title = "composed:fashion-mnist", "YOLO-Tiny, composed Fashion-MNIST (mAP)"
            only.append(
                Source("yolov3-tiny", data, title, None, 300, 3000, 10, "yolo-tiny", 1, brief=True)
            )
    if datasets is not None:
        images = datasets / "imagenet-1000.tar"
        for name, title in IMAGENET.items():
            weights = datasets / f"{name}.pt"
            if images.is_file() and weights.is_file():
                only.append(
                    Source(
                        name,
                        str(images),
                        f"{title}, ImageNet",
                        str(weights),
                        200,
                        None,
                        10,
                        name,
                        1,
                        brief=True,
                        size=224,
                    )
                )
    return Scope(full, 5, 3, tuple(sources), tuple(only))


#: Outcomes of a target's tasks, by the target's own names for them.
Found = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Target:
    """tasks: by the target's own names; section: of what they found."""

    number: int
    name: str
    title: str
    tasks: Callable[[Scope], dict[str, Task]]
    section: Callable[[Scope, Found], Section]


def mean(values: Sequence[float]) -> float:
    """Arithmetic."""
    return sum(values) / len(values)


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive values."""
    return math.exp(mean([math.log(value) for value in values]))


def crossing(bers: Sequence[float], accuracies: Sequence[float], threshold: float) -> float | None:
    """BER at which accuracy first falls below a threshold, between points on a logarithmic scale; None: it is below at the first.

    Accuracies that never fall: the last BER, which then is a lower bound.
    """
    if accuracies[0] < threshold:
        return None
    for at in range(1, len(bers)):
        if accuracies[at] < threshold:
            share = (accuracies[at - 1] - threshold) / (accuracies[at - 1] - accuracies[at])
            return math.exp(
                math.log(bers[at - 1]) + share * (math.log(bers[at]) - math.log(bers[at - 1]))
            )
    return bers[-1]
