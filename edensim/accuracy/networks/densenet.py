"""DenseNets (Huang et al., CVPR 2017): DenseNet-BC for small images, DenseNet-201 for ImageNet. Parameters are named as torchvision names them."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from edensim.accuracy.networks.sizes import LARGE, is_small

#: Channels of the 1x1 convolution, in growths.
BOTTLENECK = 4


class DenseLayer(nn.Module):  # type: ignore[misc]
    """What it makes is put beside what it was given."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, 1, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the next layer."""
        made = self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(features))))))
        return torch.cat([features, made], 1)


class DenseNet(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width). blocks: layers of each. large: begins with a 7x7 convolution and a pooling, as for ImageNet."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        growth: int,
        blocks: tuple[int, ...],
        large: bool,
    ) -> None:
        super().__init__()
        channels = shape[0]
        is_small("densenet", shape, LARGE if large else 16)
        width = 2 * growth
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if large:
            layers["conv0"] = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
            layers["norm0"], layers["relu0"], layers["pool0"] = (
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(3, 2, 1),
            )
        else:
            layers["conv0"] = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        for number, depth in enumerate(blocks, 1):
            own = OrderedDict(
                (f"denselayer{layer + 1}", DenseLayer(width + layer * growth, growth))
                for layer in range(depth)
            )
            layers[f"denseblock{number}"] = nn.Sequential(own)
            width += depth * growth
            if number < len(blocks):
                layers[f"transition{number}"] = _transition(width)
                width //= 2
        layers[f"norm{len(blocks) + 1}"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        features = nn.functional.adaptive_avg_pool2d(torch.relu(self.features(images)), 1)
        return self.classifier(torch.flatten(features, 1))


def _transition(width: int) -> nn.Sequential:
    norm, conv, pool = (
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width // 2, 1, bias=False),
        nn.AvgPool2d(2),
    )
    return nn.Sequential(
        OrderedDict((("norm", norm), ("relu", nn.ReLU()), ("conv", conv), ("pool", pool)))
    )
