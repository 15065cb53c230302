"""From which size of images on a network has its form for ImageNet; below it, strides and poolings at the input are left out (CIFAR's form)."""

from __future__ import annotations

from typing import Final

#: Height or width in pixels.
SMALL: Final = 64
