"""VGG-16 (Simonyan and Zisserman, ICLR 2015): for ImageNet as published; for small images with batch normalization and one layer to classify."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from edensim.accuracy.networks.sizes import is_small

#: Channels of the convolutions of each stage.
STAGES: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width)."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        inputs, small = shape[0], is_small("vgg16", shape, 32)
        layers: list[nn.Module] = []
        for stage in STAGES:
            for outputs in stage:
                layers += [
                    nn.Conv2d(inputs, outputs, 3, 1, 1),
                    *([nn.BatchNorm2d(outputs)] if small else []),
                    nn.ReLU(),
                ]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1 if small else 7)
        wide = (
            nn.Linear(512 * 49, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )
        self.classifier = nn.Linear(512, classes) if small else nn.Sequential(*wide)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))
