"""Labelled images in files.

These are idx files (MNIST, Fashion-MNIST), CIFAR-10 binaries, and folders and archives of images.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.accuracy.dataset import Dataset, chosen_index
from edensim.exceptions import InputError
from edensim.files import read_text, reading, reason

_IDX: Final = {"train": "train", "test": "t10k"}
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
#: Names of the folders of each split.
_FOLDERS: Final = {"train": ("train",), "test": ("test", "val")}
#: Most bytes of the values of an idx file, of the images of a data set, and of an image file.
MOST_BYTES: Final = 1 << 32
MOST_IMAGE_BYTES: Final = 1 << 26
#: Most pixels of an image, and most members of an archive.
MOST_PIXELS: Final = 1 << 26
MOST_MEMBERS: Final = 10_000_000
MOST_ARCHIVE_BYTES: Final = 1 << 38
_CIFAR_BYTES: Final = 1 + 3 * 32 * 32


def idx_files(folder: Path, split: str) -> tuple[Path, Path] | None:
    """Find the idx files of a split, images and labels; None if there are no such files."""
    stems = [f"{_IDX[split]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    images, labels = (
        next((path for suffix in ("", ".gz") if (path := folder / (stem + suffix)).is_file()), None)
        for stem in stems
    )
    return (images, labels) if images is not None and labels is not None else None


def read_idx(name: str, split: str, images: Path, labels: Path) -> Dataset:
    """Read the images and labels of two idx files of bytes."""
    pixels, numbers = _idx(images, 3), _idx(labels, 1)
    if len(pixels) != len(numbers):
        raise InputError(
            f"{labels}: {len(numbers)} labels; expected one for each of the {len(pixels)} images "
            f"of {images.name}"
        )
    return Dataset(
        name, split, pixels[:, None], numbers.astype(np.int64), tuple(map(str, range(10)))
    )


def _idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes, plain or compressed."""
    with reading(path, "an idx file"), path.open("rb") as raw:
        head = 4 + 4 * dimensions
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        data = file.read(head)
        extents = np.frombuffer(data, ">u4", offset=4) if len(data) == head else ()
        size = min(math.prod(map(int, extents)), MOST_BYTES)
        data += _read_all(file, size + 1)  # one more shows that there are too many
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < 4 + 4 * dimensions:
        raise InputError(
            f"{path}: expected an idx file of bytes with {dimensions} dimensions, "
            f"found {data[:4].hex() or 'nothing'}"
        )
    shape = tuple(int(extent) for extent in np.frombuffer(data, ">u4", dimensions, 4))
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if math.prod(shape) > MOST_BYTES:
        raise InputError(
            f"{path}: {'x'.join(map(str, shape))} bytes of values; expected at most {MOST_BYTES:,}"
        )
    if values.size != math.prod(shape):
        raise InputError(
            f"{path}: {values.size} bytes of values; expected {'x'.join(map(str, shape))}"
        )
    return values.reshape(shape).copy()


def _read_all(file: Any, most: int) -> bytes:
    """Read at most so many bytes, in pieces: a file may be shorter than its header says."""
    pieces = []
    while most > 0 and (piece := file.read(min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def cifar_files(folder: Path, split: str) -> list[Path]:
    """List the official CIFAR-10 binaries of a folder, or of its cifar-10-batches-bin."""
    pattern = "data_batch_*.bin" if split == "train" else "test_batch.bin"
    return sorted(folder.glob(pattern)) or sorted((folder / "cifar-10-batches-bin").glob(pattern))


def read_cifar(name: str, split: str, files: list[Path], folder: Path) -> Dataset:
    """Read CIFAR-10 binaries: records of a label and 3x32x32 bytes."""
    parts = []
    for path in files:
        data = np.fromfile(path, np.uint8)
        if data.size == 0 or data.size % _CIFAR_BYTES:
            raise InputError(
                f"{path}: {data.size} bytes; expected records of {_CIFAR_BYTES} "
                "(a label and 3x32x32)"
            )
        parts.append(data.reshape(-1, _CIFAR_BYTES))
    records = np.concatenate(parts)
    names = files[0].parent / "batches.meta.txt"
    classes = (
        tuple(read_text(names, "names of classes").split())
        if names.is_file()
        else tuple(map(str, range(10)))
    )
    return Dataset(
        name,
        split,
        records[:, 1:].reshape(-1, 3, 32, 32).copy(),
        records[:, 0].astype(np.int64),
        classes,
    )


def read_images(path: Path, split: str, images: int | None, size: int | None) -> Dataset:
    """Read image files of a folder or archive, which have to be of one size."""
    with _source(path) as (names, read):
        labelled, classes = _labelled(path, names, split)
        chosen = [labelled[index] for index in chosen_index(len(labelled), images)]
        pixels = read({name for name, _ in chosen})
        arrays = [_pixels(path, name, pixels[name], size) for name, _ in chosen]
    _, first_height, first_width = arrays[0].shape
    for (name, _), array in zip(chosen, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise InputError(
                f"{path}: {name}: {array.shape[1]}x{array.shape[2]}; expected "
                f"{first_height}x{first_width} as the first has; say a size"
            )
    return Dataset(
        path.name.partition(".")[0],
        split,
        np.stack(arrays),
        np.array([label for _, label in chosen], np.int64),
        classes,
    )


@contextmanager
def _source(path: Path) -> Iterator[tuple[list[str], Any]]:
    """Return the relative names of image files, and a function that reads a set of them."""
    if path.is_dir():
        names = [
            str(file.relative_to(path))
            for file in path.rglob("*")
            if file.suffix.lower() in _SUFFIXES
        ]
        yield names, lambda wanted: {name: (path / name).read_bytes() for name in wanted}
        return
    with (
        reading(path, "a folder of images, or a tar archive of them"),
        tarfile.open(path) as archive,
    ):
        members = {}
        for count, member in enumerate(archive):
            if count >= MOST_MEMBERS or member.offset > MOST_ARCHIVE_BYTES:
                raise InputError(
                    f"{path}: expected an archive of at most {MOST_MEMBERS:,} members and "
                    f"{MOST_ARCHIVE_BYTES:,} bytes unpacked, found more"
                )
            if member.isfile() and member.name.lower().endswith(_SUFFIXES):
                members[member.name.removeprefix("./")] = member

        def read(wanted: set[str]) -> dict[str, bytes]:
            """Read in the order of the file: to go back in a compressed one is slow."""
            contents = {}
            for name in sorted(wanted, key=lambda name: members[name].offset):
                if members[name].size > MOST_IMAGE_BYTES:
                    raise InputError(
                        f"{path}: {name}: {members[name].size:,} bytes; expected an image of at "
                        f"most {MOST_IMAGE_BYTES:,}"
                    )
                data = archive.extractfile(members[name])
                assert data is not None
                contents[name] = data.read()
            return contents

        yield list(members), read


def _labelled(
    path: Path, names: list[str], split: str
) -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """Return name and label of the images of a split in a fixed order, and the classes."""
    if not names:
        raise InputError(
            f"{path}: has no images ({', '.join(_SUFFIXES)}), idx files or CIFAR-10 binaries of "
            f"the split {split!r}"
        )
    split_names = {folder for folders in _FOLDERS.values() for folder in folders}
    parts = {name: name.split("/") for name in names}
    if any(split_names.intersection(folders) for *folders, _ in parts.values()):
        wanted = set(_FOLDERS[split])
        parts = {name: part for name, part in parts.items() if wanted.intersection(part[:-1])}
        if not parts:
            raise InputError(f"{path}: has no images in a folder {' or '.join(_FOLDERS[split])}")
    ordered = sorted(parts)
    if all(re.match(r"\d{4}_", parts[name][-1]) for name in ordered):
        labels = [int(parts[name][-1][:4]) for name in ordered]
        return list(zip(ordered, labels, strict=True)), tuple(
            map(str, range(max(1000, max(labels) + 1)))
        )
    lone = next((name for name in ordered if len(parts[name]) < 2), None)
    if lone is not None:
        raise InputError(
            f"{path}: {lone}: in no folder of a class, and its name does not begin with the number "
            "of one (NNNN_)"
        )
    classes = tuple(sorted({parts[name][-2] for name in ordered}))
    return [(name, classes.index(parts[name][-2])) for name in ordered], classes


def _pixels(path: Path, name: str, data: bytes, size: int | None) -> NDArray[np.uint8]:
    """Decode an image to channels, height and width.

    If a size is given, the shorter side is scaled to 256/224 of it and the centre is cut out, as
    ImageNet's networks are tested.
    """
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "reading image files needs the package pillow: pip install 'edensim[torch]'"
        ) from None
    try:
        opened = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        if opened.width * opened.height > MOST_PIXELS:
            raise InputError(
                f"{path}: {name}: {opened.width}x{opened.height} pixels; expected at most "
                f"{MOST_PIXELS:,}"
            )
        image: Any = opened.convert("RGB")
    except InputError:
        raise
    except Exception as exception:  # damaged images make decoders raise all kinds
        raise InputError(
            f"{path}: {name}: not an image that can be read: {reason(exception)}"
        ) from None
    if size is not None and image.size != (size, size):
        short = round(size * 256 / 224)
        scale = short / min(image.size)
        image = image.resize(
            (max(short, round(image.width * scale)), max(short, round(image.height * scale))),
            Image.Resampling.BILINEAR,
        )
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.ascontiguousarray(np.asarray(image, np.uint8).transpose(2, 0, 1))
