"""Data sets by name or path.

They are scikit-learn's digits, folders and archives of idx files (MNIST, Fashion-MNIST), CIFAR-10
binaries, image files, and detection sets that are composed of any of these.
"""

from __future__ import annotations

import gzip
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from edensim.accuracy import dataset_files as files
from edensim.accuracy.composed import compose
from edensim.accuracy.dataset import Dataset
from edensim.exceptions import InputError, nearest

#: Names that need no files.
EMBEDDED: Final = ("digits",)
SPLITS: Final = ("test", "train")
#: Data sets that others install, with the folder and the name of Debian's package. The folder
#: $EDENSIM_DATA/NAME comes first.
INSTALLED: Final = {
    "fashion-mnist": (Path("/usr/share/datasets/fashion-mnist"), "dataset-fashion-mnist")
}
DATA_VARIABLE: Final = "EDENSIM_DATA"
#: Prefix of a detection set's name; the rest names the data set that it is composed of.
COMPOSED: Final = "composed:"


def load_dataset(
    name: str | Path, split: str = "test", images: int | None = None, *, size: int | None = None
) -> Dataset:
    """Load one split of a data set.

    Parameters
    ----------
    name : str or Path
        ``digits``, ``fashion-mnist``, or a path: a folder of idx files, of CIFAR-10 binaries, or of
        image files (SPLIT/CLASS/*.jpg, CLASS/*.jpg, or NNNN_name.jpg with NNNN the class), or a
        .tar(.gz) of image files. A prefix ``composed:`` makes a detection set of its images.
    split : str
        ``train`` or ``test``.
    images : int, optional
        Number of images, drawn the same every time (None: all).
    size : int, optional
        Height and width that image files are scaled to, or those of a composed image.

    Returns
    -------
    Dataset
        The images and their labels.

    Raises
    ------
    InputError
        If there is no such data set, or its labels or sizes do not belong together.
    """
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    if images is not None and images < 1:
        raise InputError(f"images: expected 1 or more, found {images}")
    if str(name).startswith(COMPOSED):
        source = str(name).removeprefix(COMPOSED)
        if not source or source.startswith(COMPOSED):
            raise InputError(
                f"{name}: expected a data set with one object an image behind {COMPOSED}, "
                f"such as {COMPOSED}digits"
            )
        return compose(load_dataset(source, split), images, size)
    if str(name) == "digits":
        return _digits(split).chosen(images)
    path = installed(str(name)) if str(name) in INSTALLED else Path(name)
    if path is None:
        raise InputError(
            f"{name}: is not here; `apt-get install {INSTALLED[str(name)][1]}` brings it, "
            f"or put it in ${DATA_VARIABLE}/{name}"
        )
    if not path.exists():
        known = [*EMBEDDED, *INSTALLED]
        hint = nearest(str(name), known)
        raise InputError(
            f"{name}: there is no such data set{hint}; expected {', '.join(known)}, "
            "or a folder or archive of images, or composed: before one"
        )
    if path.is_dir() and (found := files.idx_files(path, split)):
        return files.read_idx(path.name, split, *found).chosen(images)
    if path.is_dir() and (binaries := files.cifar_files(path, split)):
        return files.read_cifar(path.name, split, binaries, path).chosen(images)
    return files.read_images(path, split, images, size)


def installed(name: str) -> Path | None:
    """Return the folder of a data set that others install; None if it is not here."""
    own = os.environ.get(DATA_VARIABLE)
    folders = ([Path(own) / name] if own else []) + [INSTALLED[name][0]]
    return next((folder for folder in folders if folder.is_dir()), None)


def _digits(split: str) -> Dataset:
    """Load the handwritten digits of scikit-learn, 8x8 pixels; every fifth is for tests."""
    package = find_spec("sklearn")  # to import it would take longer than to run a LeNet
    path = (
        Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if package is not None and package.origin is not None
        else None
    )
    if path is None or not path.is_file():
        raise InputError(
            "the data set digits is scikit-learn's: pip install 'edensim[torch]', "
            "or give another with --data"
        )
    with gzip.open(path, "rt") as file:
        rows = [line.split(",") for line in file]  # 64 pixels from 0 to 16, and the digit
    table = np.array(rows, np.float64).astype(np.int64)
    index = np.arange(len(table))
    chosen = (index % 5 == 0) if split == "test" else (index % 5 != 0)
    images = np.minimum(table[:, :64] * 16, 255).astype(np.uint8).reshape(-1, 1, 8, 8)
    return Dataset("digits", split, images[chosen], table[chosen, 64], tuple("0123456789"))
