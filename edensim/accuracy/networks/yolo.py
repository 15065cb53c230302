"""YOLO v3-tiny as DarkNet's cfg/yolov3-tiny.cfg has it (8,852,366 parameters at 80 classes)."""

from __future__ import annotations

import torch
from torch import nn

from edensim.accuracy.detection import BOX, Detection, Head
from edensim.exceptions import NetworkError

#: Of the coarse and the fine head, as shares of the image (pixels of 416 in the .cfg).
ANCHORS = tuple(
    tuple((width / 416, height / 416) for width, height in head)
    for head in (((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58)))
)
#: Pixels of a cell of each head.
STRIDES = (32, 16)
#: Log odds that an untrained box holds something: few do.
EMPTY = -4.0


class YoloTiny(nn.Module):  # type: ignore[misc]
    """shape: (channels, height, width), of multiples of 32. width_share: of all filters, for tests."""

    def __init__(self, shape: tuple[int, int, int], classes: int, width_share: float = 1.0) -> None:
        super().__init__()
        channels, height, width = shape
        if height % STRIDES[0] or width % STRIDES[0] or min(height, width) < STRIDES[0]:
            raise NetworkError(
                f"yolov3-tiny: an input of {height}x{width}; expected multiples of 32, as composed:digits has, for one"
            )
        filters = [max(1, round(each * width_share)) for each in (16, 32, 64, 128, 256, 512, 1024)]
        trunk: list[nn.Module] = []
        for before, after in zip([channels, *filters[:4]], filters[:5], strict=True):
            trunk += [_convolution(before, after, 3), nn.MaxPool2d(2)]
        self.trunk = nn.Sequential(*trunk[:-1])
        narrow = filters[4]
        self.deep = nn.Sequential(
            nn.MaxPool2d(2),
            _convolution(filters[4], filters[5], 3),
            nn.ReplicationPad2d(
                (0, 1, 0, 1)
            ),  # DarkNet's maximum of 2x2 at stride 1 keeps the size; what is repeated changes no maximum
            nn.MaxPool2d(2, 1),
            _convolution(filters[5], filters[6], 3),
            _convolution(filters[6], narrow, 1),
        )
        outputs = len(ANCHORS[0]) * (BOX + classes)
        self.coarse = nn.Sequential(
            _convolution(narrow, filters[5], 3), nn.Conv2d(filters[5], outputs, 1)
        )
        self.rising = nn.Sequential(
            _convolution(narrow, filters[3], 1), nn.Upsample(scale_factor=2.0)
        )
        self.fine = nn.Sequential(
            _convolution(filters[3] + filters[4], filters[4], 3), nn.Conv2d(filters[4], outputs, 1)
        )
        for head in (self.coarse, self.fine):
            with torch.no_grad():
                head[-1].bias.view(len(ANCHORS[0]), -1)[:, BOX - 1] = EMPTY
        heads = (
            Head(height // stride, width // stride, anchors)
            for stride, anchors in zip(STRIDES, ANCHORS, strict=True)
        )
        self.criterion = Detection(tuple(heads), classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What `Detection` takes, of images [n, channels, height, width]."""
        early = self.trunk(images)
        deep = self.deep(early)
        fine = self.fine(torch.cat((self.rising(deep), early), 1))
        return torch.cat((torch.flatten(self.coarse(deep), 2), torch.flatten(fine, 2)), 2)


def _convolution(before: int, after: int, kernel: int) -> nn.Sequential:
    """With normalization and leaky activation, as DarkNet's."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(0.1),
    )
