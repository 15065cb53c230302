"""Detection sets, composed of the images of a data set that has one object per image.

Several objects of any size lie on one canvas. Grey ones (digits, clothes: light on black) are cut
to what is light, and lie among dimmed fragments of others, which are not to be found (cluttered
MNIST: Mnih et al., NIPS 2014). Photographs lie on an enlarged quarter of another one, out of focus.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.accuracy.dataset import CHOICE_SEED, Dataset, Images, chosen_index
from edensim.exceptions import InputError

#: Default height and width of a canvas, and the least that are accepted.
CANVAS: Final = 96
SMALLEST_CANVAS: Final = 32
#: Images of a split, at most, and objects on a canvas, at most.
MOST_IMAGES: Final = {"train": 6000, "test": 1000}
OBJECTS: Final = 4
#: Longer side of an object, as a share of the canvas, and share of it that another may hide.
SIDES: Final = (0.2, 0.5)
HIDDEN: Final = 0.1
#: Number of places that are tried for an object.
PLACES_TRIED: Final = 20
#: Grey level from which on a pixel of a grey set counts as light.
LIGHT: Final = 32
#: Number of fragments, their side as a share of the canvas, and the light that is left of them.
FRAGMENTS: Final = 6
FRAGMENT: Final = 0.1
DIMMED: Final = 0.5

#: Top, left, height and width in pixels.
Rectangle = tuple[int, int, int, int]


def compose(source: Dataset, images: int | None = None, size: int | None = None) -> Dataset:
    """Compose images with 1 to 4 objects each, always the same ones.

    Labels [n, 4, 5] have class (-1: no object), centre x, centre y, width and height. Raises
    InputError if the canvas is too small.
    """
    canvas = size or CANVAS
    if canvas < SMALLEST_CANVAS:
        raise InputError(f"size: expected a canvas of {SMALLEST_CANVAS} or more, found {canvas}")
    total = min(len(source), MOST_IMAGES[source.split])
    made = [_composed(source, canvas, int(number)) for number in chosen_index(total, images)]
    pictures, labels = (np.stack(arrays) for arrays in zip(*made, strict=True))
    return Dataset(f"composed:{source.name}", source.split, pictures, labels, source.classes)


def _composed(source: Dataset, canvas: int, number: int) -> tuple[Images, NDArray[np.float32]]:
    """Compose one image, and return it with its labels."""
    random = np.random.default_rng([CHOICE_SEED, ("test", "train").index(source.split), number])
    grey = source.images.shape[1] == 1
    picture = _fragments(source, canvas, random) if grey else _out_of_focus(source, canvas, random)
    labels = np.full((OBJECTS, 5), -1, np.float32)
    labels[:, 1:] = 0
    taken: list[Rectangle] = []
    for _ in range(int(random.integers(1, OBJECTS + 1))):
        index = int(random.integers(len(source)))
        thing = _object(source.images[index], round(canvas * float(random.uniform(*SIDES))))
        rectangle = _free_place(thing.shape[1], thing.shape[2], canvas, taken, random)
        if rectangle is None:
            continue
        top, left, height, width = rectangle
        covered = picture[:, top : top + height, left : left + width]
        np.maximum(covered, thing, out=covered) if grey else np.copyto(covered, thing)
        labels[len(taken)] = (
            source.labels[index],
            (left + width / 2) / canvas,
            (top + height / 2) / canvas,
            width / canvas,
            height / canvas,
        )
        taken.append(rectangle)
    return picture, labels


def _free_place(
    height: int, width: int, canvas: int, taken: list[Rectangle], random: np.random.Generator
) -> Rectangle | None:
    """Draw a place where an object hides little of others, or None if there seems to be none."""
    for _ in range(PLACES_TRIED):
        top = int(random.integers(canvas - height + 1))
        left = int(random.integers(canvas - width + 1))
        place = (top, left, height, width)
        if all(
            _common(place, other) <= HIDDEN * min(height * width, other[2] * other[3])
            for other in taken
        ):
            return place
    return None


def _object(image: Images, side: int) -> Images:
    """Cut an object out, and scale its longer side to a number of pixels."""
    if image.shape[0] == 1 and (light := image[0] > LIGHT).any():
        rows, columns = np.flatnonzero(light.any(1)), np.flatnonzero(light.any(0))
        image = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = side / max(image.shape[1:])
    return _resized(
        image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[2] * scale))
    )


def _fragments(source: Dataset, canvas: int, random: np.random.Generator) -> Images:
    """Make a dark canvas with pieces of some images."""
    picture = np.zeros((1, canvas, canvas), np.uint8)
    side = min(round(canvas * FRAGMENT), *source.images.shape[2:])
    for _ in range(FRAGMENTS):
        piece = source.images[int(random.integers(len(source)))]
        top, left = (int(random.integers(extent - side + 1)) for extent in piece.shape[1:])
        row, column = random.integers(canvas - side + 1, size=2).tolist()
        covered = picture[:, row : row + side, column : column + side]
        dimmed = (piece[:, top : top + side, left : left + side] * DIMMED).astype(np.uint8)
        np.maximum(covered, dimmed, out=covered)
    return picture


def _out_of_focus(source: Dataset, canvas: int, random: np.random.Generator) -> Images:
    """Enlarge a quarter of an image to a canvas."""
    image = source.images[int(random.integers(len(source)))]
    height, width = (max(1, extent // 4) for extent in image.shape[1:])
    top, left = (
        int(random.integers(image.shape[1] - height + 1)),
        int(random.integers(image.shape[2] - width + 1)),
    )
    return _resized(image[:, top : top + height, left : left + width], canvas, canvas)


def _resized(image: Images, height: int, width: int) -> Images:
    """Scale an image."""
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


def _common(first: Rectangle, second: Rectangle) -> int:
    """Count the pixels that two rectangles have in common."""
    heights, widths = (
        min(first[axis] + first[axis + 2], second[axis] + second[axis + 2])
        - max(first[axis], second[axis])
        for axis in (0, 1)
    )
    return max(0, heights) * max(0, widths)
