"""Draw the initial weights of networks, where they differ from those that torch draws."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from edensim.accuracy.detection import BOX
from edensim.networks.zoo.yolo import ANCHORS

#: Log odds that an untrained box holds something: few do.
EMPTY = -4.0

#: How the weights of convolutions are drawn (He et al., ICCV 2015), by the name of a scheme.
CONVOLUTIONS = {
    "fan in": nn.init.kaiming_normal_,
    "fan out": partial(nn.init.kaiming_normal_, mode="fan_out"),
    "fan in, linear too": nn.init.kaiming_normal_,
    "squeezenet": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
}


def initialize(module: nn.Module, scheme: str) -> None:
    """Draw the weights of all layers in their order by a scheme; `default` leaves torch's."""
    draw = CONVOLUTIONS.get(scheme)
    for layer in module.modules():
        if draw and isinstance(layer, nn.Conv2d):
            draw(layer.weight)
        if scheme == "fan in, linear too" and isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
        if scheme == "squeezenet" and isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
        if scheme == "yolo" and isinstance(layer, nn.Conv2d) and layer.bias is not None:
            with torch.no_grad():
                layer.bias.view(ANCHORS, -1)[:, BOX - 1] = EMPTY
    if scheme == "squeezenet":
        nn.init.normal_(module.get_submodule("classifier.1").weight, std=0.01)
