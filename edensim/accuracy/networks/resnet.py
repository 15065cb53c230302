"""ResNet-101 (He et al., CVPR 2016). Parameters are named as torchvision names them; small images keep their size at the input."""

from __future__ import annotations

import torch
from torch import nn

from edensim.accuracy.networks.sizes import is_small


class Bottleneck(nn.Module):  # type: ignore[misc]
    """1x1, 3x3, 1x1, and a shortcut; with weights where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = (
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        changed = stride != 1 or inputs != outputs
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if changed
            else None
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the next block."""
        branch = torch.relu(self.bn1(self.conv1(features)))
        branch = torch.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return torch.relu(
            branch + (features if self.downsample is None else self.downsample(features))
        )


class ResNet(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width). blocks: of each of the four stages."""

    def __init__(self, shape: tuple[int, int, int], classes: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
        channels, small = shape[0], is_small("resnet101", shape, 16)
        self.conv1 = (
            nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
            if small
            else nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(64, 64, blocks[0], 1)
        self.layer2 = _stage(256, 128, blocks[1], 2)
        self.layer3 = _stage(512, 256, blocks[2], 2)
        self.layer4 = _stage(1024, 512, blocks[3], 2)
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        features = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(features, 1), 1))


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Bottleneck(inputs, width, stride),
        *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)),
    )
