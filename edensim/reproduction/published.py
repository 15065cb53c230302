"""Read what the EDEN paper published: configs/published/eden-micro2019.yaml."""

from functools import cache
from typing import Any, Final

import yaml

from edensim.config.paths import configs_folder

FILE: Final = "eden-micro2019.yaml"


@cache
def published() -> dict[str, Any]:
    """Return the paper's tables and figures by name. The dictionary is shared: do not change it."""
    path = configs_folder() / "published" / FILE
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


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
