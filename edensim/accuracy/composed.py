"""A detection set composed of the images of a set that has one object an image: several, of any size, on one canvas, and where each is.

Grey ones (digits, clothes: light on black) are cut to what is light, and lie among fragments of others, dimmed, that are nothing to be found
(cluttered MNIST: Mnih et al., NIPS 2014). Photographs lie on a quarter of another one, enlarged, out of focus.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.accuracy.datasets import Dataset, Images, chosen_index
from edensim.exceptions import InputError

#: Height and width of a canvas where none are asked for.
CANVAS: Final = 96
#: Images of a split, at most; objects on a canvas; their longer side as a share of the canvas; share of an object that another may hide.
MOST: Final = {"train": 6000, "test": 1000}
OBJECTS: Final = 4
SIDES: Final = (0.2, 0.5)
HIDDEN: Final = 0.1
#: Of grey sets: what counts as light, and fragments: how many, their side as a share of the canvas, how much light is left.
LIGHT: Final = 32
FRAGMENTS: Final = 6
FRAGMENT: Final = 0.1
DIMMED: Final = 0.5


def compose(source: Dataset, images: int | None = None, size: int | None = None) -> Dataset:
    """Images with 1 to 4 objects each, always the same ones; labels [n, 4, 5]: class, centre x, centre y, width, height (class -1: none).

    Raises InputError where the canvas is too small.
    """
    canvas = size or CANVAS
    if canvas < 32:
        raise InputError(f"size: expected a canvas of 32 or more, found {canvas}")
    total = min(len(source), MOST[source.split])
    made = [_composed(source, canvas, int(number)) for number in chosen_index(total, images)]
    pictures, labels = (np.stack(each) for each in zip(*made, strict=True))
    return Dataset(f"composed:{source.name}", source.split, pictures, labels, source.classes)


def _composed(source: Dataset, canvas: int, number: int) -> tuple[Images, NDArray[np.float32]]:
    random = np.random.default_rng([20191012, ("test", "train").index(source.split), number])
    grey = source.images.shape[1] == 1
    picture = _fragments(source, canvas, random) if grey else _out_of_focus(source, canvas, random)
    labels = np.full((OBJECTS, 5), -1, np.float32)
    labels[:, 1:] = 0
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(int(random.integers(1, OBJECTS + 1))):
        which = int(random.integers(len(source)))
        thing = _object(source.images[which], round(canvas * float(random.uniform(*SIDES))))
        height, width = thing.shape[1:]
        for _ in range(20):  # places tried
            top, left = (
                int(random.integers(canvas - height + 1)),
                int(random.integers(canvas - width + 1)),
            )
            if all(
                _common((top, left, height, width), other)
                <= HIDDEN * min(height * width, other[2] * other[3])
                for other in taken
            ):
                break
        else:
            continue
        place = picture[:, top : top + height, left : left + width]
        np.maximum(place, thing, out=place) if grey else np.copyto(place, thing)
        labels[len(taken)] = (
            source.labels[which],
            (left + width / 2) / canvas,
            (top + height / 2) / canvas,
            width / canvas,
            height / canvas,
        )
        taken.append((top, left, height, width))
    return picture, labels


def _object(image: Images, side: int) -> Images:
    """Cut out, its longer side as asked."""
    if image.shape[0] == 1 and (light := image[0] > LIGHT).any():
        rows, columns = np.flatnonzero(light.any(1)), np.flatnonzero(light.any(0))
        image = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = side / max(image.shape[1:])
    return _resized(
        image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[2] * scale))
    )


def _fragments(source: Dataset, canvas: int, random: np.random.Generator) -> Images:
    """A dark canvas with pieces of some images."""
    picture = np.zeros((1, canvas, canvas), np.uint8)
    side = min(round(canvas * FRAGMENT), *source.images.shape[2:])
    for _ in range(FRAGMENTS):
        piece = source.images[int(random.integers(len(source)))]
        top, left = (int(random.integers(extent - side + 1)) for extent in piece.shape[1:])
        row, column = (int(each) for each in random.integers(canvas - side + 1, size=2))
        place = picture[:, row : row + side, column : column + side]
        np.maximum(
            place,
            (piece[:, top : top + side, left : left + side] * DIMMED).astype(np.uint8),
            out=place,
        )
    return picture


def _out_of_focus(source: Dataset, canvas: int, random: np.random.Generator) -> Images:
    """A quarter of an image, enlarged."""
    image = source.images[int(random.integers(len(source)))]
    height, width = (max(1, extent // 4) for extent in image.shape[1:])
    top, left = (
        int(random.integers(image.shape[1] - height + 1)),
        int(random.integers(image.shape[2] - width + 1)),
    )
    return _resized(image[:, top : top + height, left : left + width], canvas, canvas)


def _resized(image: Images, height: int, width: int) -> Images:
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "composing images needs the package pillow: pip install 'edensim[torch]'"
        ) from None
    planes: list[Any] = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        for plane in np.ascontiguousarray(image)
    ]
    return np.stack([np.asarray(plane, np.uint8) for plane in planes])


def _common(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> int:
    """Pixels of two rectangles (top, left, height, width) that are the same."""
    heights, widths = (
        min(first[axis] + first[axis + 2], second[axis] + second[axis + 2])
        - max(first[axis], second[axis])
        for axis in (0, 1)
    )
    return max(0, heights) * max(0, widths)
