"""Labelled images: scikit-learn's digits, folders and archives of idx files (MNIST, Fashion-MNIST), CIFAR-10 binaries, and image files; and
detection sets that are composed of any of these."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import InputError, nearest

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Boxes = NDArray[np.float32]

#: Names that need no files.
EMBEDDED: Final = ("digits",)
SPLITS: Final = ("test", "train")
#: Names of files that others install: where Debian's package puts them, and which it is. $EDENSIM_DATA/NAME comes first.
INSTALLED: Final = {
    "fashion-mnist": (Path("/usr/share/datasets/fashion-mnist"), "dataset-fashion-mnist")
}
DATA_VARIABLE: Final = "EDENSIM_DATA"
#: What a detection set's name begins with; the rest names the set whose images it is composed of.
COMPOSED: Final = "composed:"


@dataclass(frozen=True)
class Dataset:
    """images: uint8 [n, channels, height, width]; labels: [n], indices into classes, or of a detection set [n, objects, 5]: index (-1: no object),
    centre x, centre y, width and height as shares of the image."""

    name: str
    split: str
    images: Images
    labels: Labels | Boxes
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        boxed = self.labels.ndim == 3 and self.labels.shape[2] == 5
        if (
            self.images.ndim != 4
            or self.labels.shape[:1] != self.images.shape[:1]
            or not (boxed or self.labels.ndim == 1)
        ):
            raise InputError(
                f"{self.name}: expected images [n, channels, height, width], n labels, found {self.images.shape}, {self.labels.shape}"
            )
        if not len(self.labels):
            raise InputError(f"{self.name}: has no images in the split {self.split!r}")
        indices = self.labels[..., 0] if boxed else self.labels
        low, high = int(indices.min()), int(indices.max())
        if low < (-1 if boxed else 0) or high >= len(self.classes):
            raise InputError(
                f"{self.name}: labels from {low} to {high}; expected 0 to {len(self.classes) - 1} for {len(self.classes)} classes"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: channels, height, width."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, images: int | None) -> Dataset:
        """So many of the images (all: None), always the same ones: drawn without replacement."""
        if images is None or images >= len(self):
            return self
        index = chosen_index(len(self), images)
        return replace(self, images=self.images[index], labels=self.labels[index])


def chosen_index(total: int, images: int | None) -> NDArray[np.int64]:
    """Which of `total` are chosen, ascending."""
    if images is None or images >= total:
        return np.arange(total, dtype=np.int64)
    return np.sort(np.random.default_rng(20191012).permutation(total)[:images])


def load_dataset(
    name: str | Path, split: str = "test", images: int | None = None, *, size: int | None = None
) -> Dataset:
    """A data set by name (digits, fashion-mnist) or path; `composed:` before it makes a detection set of its images (see composed.py).

    images: how many of the split, drawn the same every time. size: height and width to bring files to, or of a composed image.

    A path is a folder of idx files, of CIFAR-10 binaries, or of image files (SPLIT/CLASS/*.jpg, CLASS/*.jpg, or NNNN_name.jpg with NNNN the class),
    or a .tar(.gz) of the last.

    Raises InputError for what is none of these, and for labels and sizes that do not fit.
    """
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    if images is not None and images < 1:
        raise InputError(f"images: expected 1 or more, found {images}")
    if str(name).startswith(COMPOSED):
        from edensim.accuracy.composed import compose

        source = str(name).removeprefix(COMPOSED)
        if not source or source.startswith(COMPOSED):
            raise InputError(
                f"{name}: expected a data set with one object an image behind {COMPOSED}, such as {COMPOSED}digits"
            )
        return compose(load_dataset(source, split), images, size)
    if str(name) == "digits":
        return _digits(split).chosen(images)
    path = installed(str(name)) if str(name) in INSTALLED else Path(name)
    if path is None:
        raise InputError(
            f"{name}: is not here; `apt-get install {INSTALLED[str(name)][1]}` brings it, or put it in ${DATA_VARIABLE}/{name}"
        )
    if not path.exists():
        known = [*EMBEDDED, *INSTALLED]
        hint = nearest(str(name), known)
        raise InputError(
            f"{name}: there is no such data set{hint}; expected {', '.join(known)}, or a folder or archive of images, or composed: before one"
        )
    from edensim.accuracy import dataset_files as files

    if path.is_dir() and (found := files.idx_files(path, split)):
        return files.read_idx(path.name, split, *found).chosen(images)
    if path.is_dir() and (binaries := files.cifar_files(path, split)):
        return files.read_cifar(path.name, split, binaries, path).chosen(images)
    return files.read_images(path, split, images, size)


def installed(name: str) -> Path | None:
    """Folder of a data set of INSTALLED, where it is here."""
    own = os.environ.get(DATA_VARIABLE)
    places = ([Path(own) / name] if own else []) + [INSTALLED[name][0]]
    return next((place for place in places if place.is_dir()), None)


def _digits(split: str) -> Dataset:
    """scikit-learn's handwritten digits, 8x8: every fifth for tests."""
    package = find_spec(
        "sklearn"
    )  # its file only: importing it takes longer than a LeNet takes to run
    path = (
        Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if package is not None and package.origin is not None
        else None
    )
    if path is None or not path.is_file():
        raise InputError(
            "the data set digits is scikit-learn's: pip install 'edensim[torch]', or give another with --data"
        )
    with gzip.open(path, "rt") as file:
        table = np.array([line.split(",") for line in file], np.float64).astype(
            np.int64
        )  # 64 pixels from 0 to 16, and the digit
    index = np.arange(len(table))
    chosen = (index % 5 == 0) if split == "test" else (index % 5 != 0)
    images = np.minimum(table[:, :64] * 16, 255).astype(np.uint8).reshape(-1, 1, 8, 8)
    return Dataset("digits", split, images[chosen], table[chosen, 64], tuple("0123456789"))


def normalization_of(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and standard deviations of the channels, of values from 0 to 1, to three digits."""
    values = images[:: max(1, len(images) // 2000)].astype(np.float64) / 255
    return tuple(np.round(values.mean((0, 2, 3)), 3).tolist()), tuple(
        np.maximum(np.round(values.std((0, 2, 3)), 3), 1e-3).tolist()
    )


def normalized(
    images: Images, normalization: tuple[Sequence[float], Sequence[float]]
) -> NDArray[np.float32]:
    """Values from 0 to 1, minus the channel's mean, over its deviation: float32."""
    means, deviations = (np.asarray(values, np.float32)[:, None, None] for values in normalization)
    return np.asarray((images.astype(np.float32) / np.float32(255) - means) / deviations)
