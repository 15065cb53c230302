"""Sizes of images: too small for a network, or so small that it takes its form for CIFAR instead of ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edensim.exceptions import NetworkError

#: Height or width (pixels) from which on networks have their form for ImageNet; below it, strides and poolings at the input are left out.
LARGE: Final = 64


def is_small(network: str, shape: Sequence[int], least: int) -> bool:
    """Whether images of a shape (channels, height, width) take the form for CIFAR. Raises NetworkError below `least` pixels of height or width."""
    _, height, width = shape
    if min(height, width) < least:
        raise NetworkError(
            f"{network}: an input of {height}x{width}; expected {least}x{least} or more"
        )
    return min(height, width) < LARGE
