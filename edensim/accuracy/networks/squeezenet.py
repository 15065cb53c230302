"""SqueezeNet 1.1 (Iandola et al., 2016). Parameters are named as torchvision names them."""

from __future__ import annotations

import torch
from torch import nn

from edensim.accuracy.networks.sizes import is_small


class Fire(nn.Module):  # type: ignore[misc]
    """Few channels, then many: half from 1x1, half from 3x3 kernels."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the next module."""
        features = torch.relu(self.squeeze(features))
        return torch.cat(
            [torch.relu(self.expand1x1(features)), torch.relu(self.expand3x3(features))], 1
        )


class SqueezeNet(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width). Small inputs (below 64) are not made smaller by the first convolution."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, small = shape[0], is_small("squeezenet1.1", shape, 16)
        first = nn.Conv2d(channels, 64, 3, 1, 1) if small else nn.Conv2d(channels, 64, 3, 2)
        self.features = nn.Sequential(
            first,
            nn.ReLU(),
            _pool(),
            *(Fire(64, 16, 64), Fire(128, 16, 64)),
            _pool(),
            *(Fire(128, 32, 128), Fire(256, 32, 128)),
            _pool(),
            *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(512, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier[1].weight, std=0.01)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        return torch.flatten(self.classifier(self.features(images)), 1)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)
