"""List the networks that edensim knows by name: EDEN's nine benchmarks and two more ResNets.

Classifiers are torchvision's, with torchvision's names of parameters; YOLO is DarkNet's, with its
numbers of layers; LeNet is Caffe's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module

from edensim.exceptions import NetworkError, nearest
from edensim.networks.builder import NetworkBuilder
from edensim.networks.network import Network


@dataclass(frozen=True)
class Entry:
    """A network of the zoo, with the input and the classes that it was published for.

    The function `builder` of the module `module` describes its layers.
    """

    title: str
    module: str
    builder: str
    channels: int
    height: int
    width: int
    classes: int
    arguments: tuple[int | tuple[int, ...], ...] = ()


#: Networks by the name that configurations use.
ENTRIES = {
    "alexnet": Entry("AlexNet", "alexnet", "alexnet", 3, 224, 224, 1000),
    "densenet201": Entry(
        "DenseNet201", "densenet", "densenet", 3, 224, 224, 1000, (32, (6, 12, 48, 32))
    ),
    "lenet": Entry("LeNet", "lenet", "lenet", 3, 28, 28, 10),
    "mobilenetv2": Entry("MobileNetV2", "mobilenet", "mobilenet_v2", 3, 224, 224, 1000),
    "resnet18": Entry("ResNet18", "resnet", "resnet_basic", 3, 224, 224, 1000, ((2, 2, 2, 2),)),
    "resnet50": Entry(
        "ResNet50", "resnet", "resnet_bottleneck", 3, 224, 224, 1000, ((3, 4, 6, 3),)
    ),
    "resnet101": Entry(
        "ResNet101", "resnet", "resnet_bottleneck", 3, 224, 224, 1000, ((3, 4, 23, 3),)
    ),
    "squeezenet1.1": Entry("SqueezeNet1.1", "squeezenet", "squeezenet", 3, 224, 224, 1000),
    "vgg16": Entry("VGG16", "vgg", "vgg", 3, 224, 224, 1000, ((2, 2, 3, 3, 3),)),
    "yolov3": Entry("YOLO (v3)", "yolo", "yolov3", 3, 608, 608, 80),
    "yolov3-tiny": Entry("YOLO-Tiny (v3-tiny)", "yolo", "yolov3_tiny", 3, 416, 416, 80),
}

#: Other names. Case, blanks, dots, dashes and underscores do not count.
SYNONYMS = {
    "yolo": "yolov3",
    "yolotiny": "yolov3-tiny",
    "tinyyolo": "yolov3-tiny",
    "squeezenet": "squeezenet1.1",
    "lenet5": "lenet",
}


def zoo_name(name: str) -> str | None:
    """Spell a name as the zoo does; return None if the zoo has no such network."""
    return spelled(name, ENTRIES)


def zoo_network(
    name: str,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
    classes: int | None = None,
) -> Network:
    """Build a network of the zoo, for the input and the classes of its publication unless given.

    Raises
    ------
    NetworkError
        If the name is not known, or the input is too small for the layers.
    """
    known = zoo_name(name)
    if known is None:
        raise NetworkError(
            f"unknown network {name!r}{nearest(name, ENTRIES)} "
            f"(known: {', '.join(ENTRIES)}; or a file: .cfg, .onnx, .csv, .json)"
        )
    entry = ENTRIES[known]
    given = {
        "batch": batch,
        "channels": channels,
        "height": height,
        "width": width,
        "classes": classes,
    }
    for what, value in given.items():
        if value is not None and value < 1:
            raise NetworkError(f"{known}: {what} = {value}; expected 1 or more")
    shape = (batch, channels or entry.channels, height or entry.height, width or entry.width)
    builder = NetworkBuilder(known, shape)
    description(entry.module, entry.builder)(builder, classes or entry.classes, *entry.arguments)
    return builder.build()


def description(module: str, builder: str) -> Callable[..., None]:
    """Import the function that describes the layers of a network."""
    function: Callable[..., None] = getattr(
        import_module(f"edensim.networks.zoo.{module}"), builder
    )
    return function


def spelled(name: str, names: Iterable[str]) -> str | None:
    """Find the one of some names that a name is another spelling or a synonym of."""
    spellings = {plain(known): known for known in names}
    return spellings.get(plain(name)) or spellings.get(plain(SYNONYMS.get(plain(name), "")))


def plain(name: str) -> str:
    """Leave out of a name what spellings differ in."""
    return "".join(character for character in name.lower() if character.isalnum())
