"""Labelled images in memory, and how networks see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import InputError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Boxes = NDArray[np.float32]

#: Seed of the draw that chooses some of the images. Results depend on it.
CHOICE_SEED: Final = 20191012
#: Images that the statistics of a data set are computed from, at least.
STATISTICS_IMAGES: Final = 2000


@dataclass(frozen=True)
class Dataset:
    """Labelled images of one split.

    Attributes
    ----------
    name, split : str
        What the data set is called, and ``train`` or ``test``.
    images : ndarray of uint8, shape (n, channels, height, width)
        The images.
    labels : ndarray, shape (n,) or (n, objects, 5)
        Indices into `classes`. A detection set has rows of index (-1: no object), centre x,
        centre y, width and height, which are shares of the image.
    classes : tuple of str
        Names of the classes.

    Raises
    ------
    InputError
        If the shapes do not belong together, there are no images, or a label has no class.
    """

    name: str
    split: str
    images: Images
    labels: Labels | Boxes
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        is_labelled = self.labels.shape[:1] == self.images.shape[:1]
        if self.images.ndim != 4 or not is_labelled or self.labels.ndim != 1 + 2 * self.has_boxes:
            raise InputError(
                f"{self.name}: expected images [n, channels, height, width], n labels, "
                f"found {self.images.shape}, {self.labels.shape}"
            )
        if not len(self.labels):
            raise InputError(f"{self.name}: has no images in the split {self.split!r}")
        indices = self.labels[..., 0] if self.has_boxes else self.labels
        low, high = int(indices.min()), int(indices.max())
        if low < (-1 if self.has_boxes else 0) or high >= len(self.classes):
            raise InputError(
                f"{self.name}: labels from {low} to {high}; expected 0 to {len(self.classes) - 1} "
                f"for {len(self.classes)} classes"
            )

    @property
    def has_boxes(self) -> bool:
        """Whether an image has objects with boxes, instead of one class."""
        return self.labels.ndim == 3 and self.labels.shape[2] == 5

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, images: int | None) -> Dataset:
        """Return some of the images (None: all), always the same ones for the same number."""
        if images is None or images >= len(self):
            return self
        index = chosen_index(len(self), images)
        return replace(self, images=self.images[index], labels=self.labels[index])


def chosen_index(total: int, images: int | None) -> NDArray[np.int64]:
    """Draw which of `total` images are chosen, without replacement and in ascending order."""
    if images is None or images >= total:
        return np.arange(total, dtype=np.int64)
    return np.sort(np.random.default_rng(CHOICE_SEED).permutation(total)[:images])


def normalization_of(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute means and deviations of the channels, scaled to 0 to 1, to three digits."""
    step = max(1, len(images) // STATISTICS_IMAGES)
    values = images[::step].astype(np.float64) / 255
    means, deviations = (
        np.round(figure, 3) for figure in (values.mean((0, 2, 3)), values.std((0, 2, 3)))
    )
    return tuple(means.tolist()), tuple(np.maximum(deviations, 1e-3).tolist())


def normalized(
    images: Images, normalization: tuple[Sequence[float], Sequence[float]]
) -> NDArray[np.float32]:
    """Scale images to 0 to 1, subtract the means of the channels, divide by the deviations."""
    means, deviations = (np.asarray(values, np.float32)[:, None, None] for values in normalization)
    return np.asarray((images.astype(np.float32) / np.float32(255) - means) / deviations)
