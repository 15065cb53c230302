"""MobileNetV2 (Sandler et al., CVPR 2018). Parameters are named as torchvision names them."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from edensim.accuracy.networks.sizes import is_small

#: Expansion, channels, blocks and first stride of each stage.
STAGES: Final = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):  # type: ignore[misc]
    """Expand, one filter a channel, project; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers = [_unit(inputs, hidden, 1)] if expansion != 1 else []
        layers.append(_unit(hidden, hidden, 3, stride, hidden))
        self.conv = nn.Sequential(
            *layers, nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the next block."""
        return features + self.conv(features) if self.shortcut else self.conv(features)


class MobileNetV2(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width). Small inputs (below 64) keep their size through the first convolution and the first stages."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, small = shape[0], is_small("mobilenetv2", shape, 16)
        layers: list[nn.Module] = [_unit(channels, 32, 3, 1 if small else 2)]
        inputs = 32
        for number, (expansion, outputs, blocks, stride) in enumerate(STAGES):
            for block in range(blocks):
                own = stride if block == 0 and not (small and number == 1) else 1
                layers.append(InvertedResidual(inputs, outputs, own, expansion))
                inputs = outputs
        layers.append(_unit(inputs, 1280, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        features = nn.functional.adaptive_avg_pool2d(self.features(images), 1)
        return self.classifier(torch.flatten(features, 1))


def _unit(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())
