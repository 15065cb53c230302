"""ResNets for 32x32 images (He et al., CVPR 2016, section 4.2): three stages of 16, 32 and 64 channels, shortcuts without weights.

Parameters are named as in the published weights of github.com/akamaster/pytorch_resnet_cifar10.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edensim.accuracy.networks.sizes import is_small


class Block(nn.Module):  # type: ignore[misc]
    """Two 3x3 convolutions and a shortcut: where the shape changes, every second pixel and zeros for the channels that are new."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.added = (outputs - inputs) // 2
        self.stride = stride

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the next block."""
        branch = torch.relu(self.bn1(self.conv1(features)))
        branch = self.bn2(self.conv2(branch))
        if self.stride != 1:
            features = functional.pad(
                features[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added)
            )
        return torch.relu(branch + features)


class ResNetCifar(nn.Module):  # type: ignore[misc]
    """blocks: of each of the three stages (3: ResNet-20)."""

    def __init__(self, shape: tuple[int, int, int], classes: int, blocks: int) -> None:
        super().__init__()
        is_small(f"resnet{6 * blocks + 2}", shape, 8)
        self.conv1 = nn.Conv2d(shape[0], 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, 1)
        self.layer2 = _stage(16, 32, blocks, 2)
        self.layer3 = _stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        features = torch.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        return self.linear(torch.flatten(functional.adaptive_avg_pool2d(features, 1), 1))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(blocks - 1))
    )
