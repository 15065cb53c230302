"""Make the criterion of YOLO v3-tiny, of DarkNet's cfg/yolov3-tiny.cfg."""

from __future__ import annotations

from collections.abc import Sequence

from edensim.accuracy.detection import Detection, Head
from edensim.exceptions import NetworkError

#: Anchors of the coarse and of the fine head, as shares of the image (pixels of 416 in the .cfg).
ANCHORS = tuple(
    tuple((width / 416, height / 416) for width, height in head)
    for head in (((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58)))
)
#: Pixels of a cell of each head.
STRIDES = (32, 16)


def yolo_criterion(name: str, shape: Sequence[int], classes: int) -> Detection:
    """Make the criterion for images of a shape (channels, height, width).

    Raises
    ------
    NetworkError
        If height and width are no multiples of 32.
    """
    _, height, width = shape
    if height % STRIDES[0] or width % STRIDES[0]:
        raise NetworkError(
            f"{name}: an input of {height}x{width}; expected multiples of 32, "
            "as composed:digits has, for one"
        )
    heads = (
        Head(height // stride, width // stride, anchors)
        for stride, anchors in zip(STRIDES, ANCHORS, strict=True)
    )
    return Detection(tuple(heads), classes)
