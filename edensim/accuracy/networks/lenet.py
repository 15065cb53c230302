"""LeNet as Caffe defines it (20 and 50 filters, 500 hidden units), which is EDEN's (432,080 parameters on 3x28x28)."""

from __future__ import annotations

import torch
from torch import nn

from edensim.exceptions import NetworkError

#: Below this height or width 5x5 kernels leave nothing: scikit-learn's digits are 8x8.
NARROW = 16


class LeNet(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width). Inputs narrower than 16 are not pooled before the second convolution, and its kernels are 3x3."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        narrow = min(height, width) < NARROW
        if min(height, width) < 6:
            raise NetworkError(f"lenet: an input of {height}x{width}; expected 6x6 or more")
        kernel = 3 if narrow else 5
        self.conv1 = nn.Conv2d(channels, 20, kernel)
        self.pool1 = nn.Identity() if narrow else nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(20, 50, kernel)
        self.pool2 = nn.MaxPool2d(2)
        rows, columns = (_left(extent, kernel, narrow) for extent in (height, width))
        self.fc1 = nn.Linear(50 * rows * columns, 500)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(500, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [n, channels, height, width]."""
        features = self.pool1(self.conv1(images))
        features = self.pool2(self.conv2(features))
        return self.fc2(self.relu1(self.fc1(torch.flatten(features, 1))))


def _left(extent: int, kernel: int, narrow: bool) -> int:
    """Of a height or width, behind both convolutions."""
    first = extent - kernel + 1
    return ((first if narrow else first // 2) - kernel + 1) // 2
