"""What the paper published: configs/published/eden-micro2019.yaml."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import yaml

from edensim.config.paths import configs_folder

FILE: Final = "eden-micro2019.yaml"


@cache
def published() -> dict[str, Any]:
    """Tables and figures by name. Shared: not to be changed."""
    found: dict[str, Any] = yaml.safe_load(
        (configs_folder() / "published" / FILE).read_text(encoding="utf-8")
    )
    return found


#: How the paper names the networks.
TITLES: Final = {
    "alexnet": "AlexNet",
    "densenet201": "DenseNet201",
    "lenet": "LeNet",
    "mobilenetv2": "MobileNetV2",
    "resnet20": "ResNet-20",
    "resnet101": "ResNet101",
    "squeezenet1.1": "SqueezeNet1.1",
    "vgg16": "VGG-16",
    "yolov3": "YOLO",
    "yolov3-tiny": "YOLO-Tiny",
}
