"""Define targets: the work that each needs, and the section that it becomes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edensim.accuracy.datasets import installed
from edensim.accuracy.evaluation import interval_of
from edensim.exceptions import InputError
from edensim.reproduction.section import Content, Section
from edensim.reproduction.task import Task

PRECISIONS: Final = ("int4", "int8", "int16", "fp32")
#: Accuracy that is given up for a tolerable BER or operating point.
DROP: Final = 0.01
OTHER_NETWORK: Final = "another network and another data set than the paper's"


@dataclass(frozen=True)
class Source:
    """A network with its data set.

    Attributes
    ----------
    network, data : str
        Names of the network and of the data set.
    title : str
        Both, for people.
    label : str
        Both, in the names of tasks.
    weights : str or None
        File of trained weights; None: the network is trained here, from each seed.
    images, train_images : int or None
        Number of test and training images; None: all.
    epochs : int
        Epochs of retraining.
    coarse_seeds : int
        Number of seeds of target 9. Other targets have the scope's.
    brief : bool
        Whether target 9 runs only int8 and FP32, without boosting.
    size : int or None
        Height and width that images are scaled to.
    """

    network: str
    data: str
    title: str
    label: str
    weights: str | None = None
    images: int | None = None
    train_images: int | None = None
    epochs: int = 10
    coarse_seeds: int = 1
    brief: bool = False
    size: int | None = None

    def workload(self, precision: str, seed: int, **more: Any) -> dict[str, Any]:
        """Return the arguments of `network_work.Workload`."""
        return {
            "network": self.network,
            "data": self.data,
            "weights": self.weights,
            "precision": precision,
            "seed": seed,
            "images": self.images,
            **more,
        }


@dataclass(frozen=True)
class Scope:
    """How much is run.

    Attributes
    ----------
    full : bool
        Whether the data sets that edensim does not bring are used.
    seeds : int
        Number of seeds of networks and of boosting.
    memories : int
        Number of memories that each network is tested in.
    sources : tuple of Source
        Networks of targets 6 to 10; the first is always there.
    coarse_only : tuple of Source
        Networks of target 9 alone.
    """

    full: bool
    seeds: int
    memories: int
    sources: tuple[Source, ...]
    coarse_only: tuple[Source, ...] = ()


#: Networks with published weights for ImageNet that come with Python packages.
IMAGENET: Final = {"squeezenet1.1": "SqueezeNet 1.1", "mobilenetv2": "MobileNetV2"}


def scope_of(full: bool, datasets: Path | None) -> Scope:
    """Return what can be run with the data that are present.

    LeNet is always tested on digits, and on Fashion-MNIST if that is installed. With `full`,
    ResNet-20 is tested on CIFAR-10, YOLO-Tiny on a detection set composed of Fashion-MNIST, and
    those of ImageNet's networks whose weights are in the folder.

    Parameters
    ----------
    full : bool
        Whether to use the data sets that edensim does not bring.
    datasets : Path or None
        A folder with CIFAR-10 and the weights of ResNet-20, which `full` needs. It may also hold
        images of ImageNet and weights by name, such as ``squeezenet1.1.pt``, as
        tools/imagenet_weights.py writes them.

    Raises
    ------
    InputError
        If the folder lacks what is needed, or is given without `full`.
    """
    if full != (datasets is not None):
        raise InputError(
            "--full: needs --datasets DIR, and that is for nothing else"
            if full
            else "--datasets: is for --full alone"
        )
    sources = [Source("lenet", "digits", "LeNet, digits", "lenet", epochs=40, coarse_seeds=5)]
    coarse_only: list[Source] = []
    if datasets is not None:
        sources.append(_resnet20(datasets))
    if installed("fashion-mnist") is not None:
        title = "LeNet, Fashion-MNIST"
        coarse_only.append(
            Source("lenet", "fashion-mnist", title, "lenet-fashion", None, 2000, 12000)
        )
        if datasets is not None:
            data, title = "composed:fashion-mnist", "YOLO-Tiny, composed Fashion-MNIST (mAP)"
            coarse_only.append(
                Source("yolov3-tiny", data, title, "yolo-tiny", None, 300, 3000, brief=True)
            )
    if datasets is not None:
        coarse_only += _imagenet(datasets)
    return Scope(full, 5, 3, tuple(sources), tuple(coarse_only))


def _resnet20(datasets: Path) -> Source:
    """Return ResNet-20 on CIFAR-10. Raises InputError if the folder lacks one of them."""
    images, weights = datasets / "cifar10-jpeg.tar.gz", datasets / "resnet20-12fca82f.th"
    for path in (images, weights):
        if not path.is_file():
            raise InputError(
                f"{path}: there is no such file; --full tests ResNet-20 on CIFAR-10 with it"
            )
    title = "ResNet-20, CIFAR-10"
    return Source("resnet20", str(images), title, "resnet20", str(weights), 500, 2000, epochs=8)


def _imagenet(datasets: Path) -> list[Source]:
    """Return the networks of ImageNet whose images and weights are in a folder."""
    images = datasets / "imagenet-1000.tar"
    return [
        Source(
            network, str(images), f"{title}, ImageNet", network, str(weights), 200,
            brief=True, size=224,
        )
        for network, title in IMAGENET.items()
        if images.is_file() and (weights := datasets / f"{network}.pt").is_file()
    ]  # fmt: skip


#: The outcomes of a target's tasks, by the names that the target gave them.
Outcomes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Target:
    """A result of the paper: its tasks by name, and what the report says of their outcomes."""

    number: int
    name: str
    title: str
    tasks: Callable[[Scope], dict[str, Task]]
    content: Callable[[Scope, Outcomes], Content]

    def section(self, scope: Scope, outcomes: Outcomes) -> Section:
        """Return the section of the report that the outcomes of the tasks become."""
        content = vars(self.content(scope, outcomes))
        return Section(number=self.number, name=self.name, title=self.title, **content)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values."""
    return math.exp(mean([math.log(value) for value in values]))


def crossing(bers: Sequence[float], accuracies: Sequence[float], threshold: float) -> float | None:
    """Return the BER at which accuracy first falls below a threshold.

    It is interpolated between points on a logarithmic scale. Returns None if accuracy is below
    the threshold at the first point, and the last BER, a lower bound, if it never falls below.
    """
    if accuracies[0] < threshold:
        return None
    for index in range(1, len(bers)):
        if accuracies[index] < threshold:
            before, after = accuracies[index - 1], accuracies[index]
            share = (before - threshold) / (before - after)
            low, high = math.log(bers[index - 1]), math.log(bers[index])
            return math.exp(low + share * (high - low))
    return bers[-1]


def means_of(points: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the mean accuracy at each point over memories."""
    return [mean(point["accuracies"]) for point in points]


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the mean accuracy at each point over seeds, and its 95 % interval."""
    columns = list(zip(*(means_of(run["points"]) for run in runs), strict=True))
    intervals = [interval_of(column) or (column[0], column[0]) for column in columns]
    return [mean(column) for column in columns], intervals


def description(source: Source, runs: Sequence[Mapping[str, Any]]) -> str:
    """Describe in a line what was tested."""
    seeds = f"{len(runs)} seeds" if len(runs) > 1 else "one seed"
    clean = 100 * mean([run["clean"] for run in runs])
    return (
        f"{source.title}: {runs[0]['images']:,} test images, "
        f"{clean:.2f} % right without errors, {seeds}"
    )


def percent_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of shares, in percent."""
    ends = interval_of(values)
    return None if ends is None else (100 * ends[0], 100 * ends[1])
