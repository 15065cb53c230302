"""AlexNet as torchvision has it (Krizhevsky, 2014); small images get 3x3 kernels and half the stride, as is usual on CIFAR."""

from __future__ import annotations

import torch
from torch import nn

from edensim.accuracy.networks.sizes import is_small


class AlexNet(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width)."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, small = shape[0], is_small("alexnet", shape, 16)
        first = nn.Conv2d(channels, 64, 3, 2, 1) if small else nn.Conv2d(channels, 64, 11, 4, 2)
        second = nn.Conv2d(64, 192, 3, 1, 1) if small else nn.Conv2d(64, 192, 5, 1, 2)
        window = (2, 2) if small else (3, 2)
        self.features = nn.Sequential(
            *(first, nn.ReLU(), nn.MaxPool2d(*window)),
            *(second, nn.ReLU(), nn.MaxPool2d(*window)),
            *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(*window)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(2 if small else 6)
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * (4 if small else 36), 4096), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
            nn.Linear(4096, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))
