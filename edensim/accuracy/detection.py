"""Detection as YOLO v3 does it: boxes from outputs, the loss, and mean average precision.

The method is that of Redmon and Farhadi (2018). Boxes are (centre x, centre y, width, height) as
shares of the image. A target is (class, box), with class -1 if an image has fewer objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from edensim.exceptions import NetworkError

Floats = NDArray[np.float64]

#: Numbers of a box before its classes: place, size and confidence.
BOX: Final = 5
#: DarkNet's thresholds (examples/detector.c, cfg/yolov3-tiny.cfg): least confidence of a detection
#: in a test; overlap at which the lesser of two detections of a class is dropped; and overlap with
#: an object at which a box that is not assigned to it is not taught to be empty.
CONFIDENCE: Final = 0.005
OVERLAP: Final = 0.45
IGNORED: Final = 0.7
#: Overlap from which on a detection is right (PASCAL VOC; mAP@0.5), and number of detections that
#: an image may have (COCO).
RIGHT: Final = 0.5
MOST: Final = 100
#: Bound of a size's exponent, so that a flipped bit gives a large box, not an infinite one.
LARGEST: Final = 8.0


@dataclass(frozen=True)
class Head:
    """The predictions of one scale; anchors are (width, height) as shares of the image."""

    rows: int
    columns: int
    anchors: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Judged:
    """Class, confidence and rightness of detections; `truths` counts objects by class."""

    classes: NDArray[np.int64]
    confidences: Floats
    right: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True)
class Detection:
    """The criterion of a network that detects objects.

    Outputs are [n, anchors * (5 + classes), cells], with the cells of all heads one after the
    other, rows first.
    """

    heads: tuple[Head, ...]
    classes: int
    measure: str = "mAP@0.5"

    @property
    def cells(self) -> int:
        """Number of cells of all heads."""
        return sum(head.rows * head.columns for head in self.heads)

    def check(self, name: str, outputs: torch.Tensor, classes: int) -> None:
        """Raise NetworkError for outputs of another shape."""
        channels = len(self.heads[0].anchors) * (BOX + classes)
        if outputs.ndim != 3 or tuple(outputs.shape[1:]) != (channels, self.cells):
            raise NetworkError(
                f"{name}: outputs of shape {tuple(outputs.shape)}; expected {channels} channels of "
                f"{self.cells} cells"
            )

    # -- boxes

    def boxes(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return boxes, their confidences, and the probabilities of classes.

        The shapes are [n, anchors, cells, 4], [n, anchors, cells] and [n, anchors, cells, classes].
        """
        raw = self._split(outputs)
        columns, rows, widths, heights, anchors = self._grid(outputs)
        centres = (raw[..., :2].sigmoid() + torch.stack((columns, rows), -1)) / torch.stack(
            (widths, heights), -1
        )
        sizes = raw[..., 2:4].clamp(-LARGEST, LARGEST).exp() * anchors
        return torch.cat((centres, sizes), -1), raw[..., 4].sigmoid(), raw[..., BOX:].sigmoid()

    def _split(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs as [n, anchors, cells, 5 + classes]."""
        return outputs.unflatten(1, (len(self.heads[0].anchors), BOX + self.classes)).transpose(
            2, 3
        )

    def _grid(self, like: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return each cell's column and row, its head's columns and rows, and anchors.

        The anchors are [anchors, cells, 2].
        """
        parts = []
        for head in self.heads:
            at = torch.arange(head.rows * head.columns, device=like.device)
            sizes = (torch.full_like(at, head.columns), torch.full_like(at, head.rows))
            parts.append((at % head.columns, at // head.columns, *sizes))
        columns, rows, widths, heights = (
            torch.cat(values).to(like.dtype) for values in zip(*parts, strict=True)
        )
        anchors = [
            torch.tensor(head.anchors, device=like.device, dtype=like.dtype)[:, None].expand(
                -1, head.rows * head.columns, -1
            )
            for head in self.heads
        ]
        return columns, rows, widths, heights, torch.cat(anchors, 1)

    # -- training

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return YOLO v3's loss, as the mean over images.

        Each object is assigned to one box: that in the cell of its centre whose anchor is nearest
        to its own shape.
        """
        raw = self._split(outputs)
        image, cell, anchor, offsets, objects, shapes = self._assigned(targets)
        binary = torch.nn.functional.binary_cross_entropy_with_logits
        wanted = torch.zeros_like(raw[..., 4])
        wanted[image, anchor, cell] = 1
        with torch.no_grad():
            boxes, _, _ = self.boxes(outputs)
            present = targets[:, None, None, :, 0] >= 0
            overlap = (
                _overlaps(boxes[..., None, :], targets[:, None, None, :, 1:]) * present
            ).amax(-1)
            counted = ((overlap < IGNORED) | (wanted > 0)).to(raw.dtype)
        total = (binary(raw[..., 4], wanted, reduction="none") * counted).sum()
        own = raw[image, anchor, cell]
        weights = 2 - objects[:, 3:4] * objects[:, 4:5]  # small objects count for more
        total = total + (binary(own[:, :2], offsets, reduction="none") * weights).sum()
        total = (
            total + (0.5 * (own[:, 2:4] - (objects[:, 3:5] / shapes).log()) ** 2 * weights).sum()
        )
        kinds = torch.nn.functional.one_hot(objects[:, 0].long(), self.classes).to(raw.dtype)
        total = total + binary(own[:, BOX:], kinds, reduction="sum")
        return total / len(outputs)

    def _assigned(self, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return image, cell and anchor of each object, its centre in the cell, itself, and shape.

        The shape is that of its anchor.
        """
        image, which = torch.nonzero(targets[..., 0] >= 0, as_tuple=True)
        objects = targets[image, which]
        shapes = targets.new_tensor([anchor for head in self.heads for anchor in head.anchors])
        common = torch.minimum(objects[:, None, 3:5], shapes).prod(-1)
        nearest = (common / (objects[:, 3:5].prod(-1)[:, None] + shapes.prod(-1) - common)).argmax(
            1
        )
        head, anchor = nearest // len(self.heads[0].anchors), nearest % len(self.heads[0].anchors)
        sizes = targets.new_tensor([(scale.columns, scale.rows) for scale in self.heads])[head]
        ends = np.cumsum([scale.rows * scale.columns for scale in self.heads])
        first = torch.tensor([0, *ends[:-1].tolist()], device=targets.device)[head]
        places = objects[:, 1:3] * sizes
        corners = torch.minimum(places.floor(), sizes - 1)  # a centre on the edge
        cell = first + (corners[:, 1] * sizes[:, 0] + corners[:, 0]).long()
        return image, cell, anchor, places - corners, objects, shapes[nearest]

    # -- testing

    def judged(self, outputs: torch.Tensor, targets: torch.Tensor) -> Judged:
        """Judge the detections of a batch after non-maximum suppression.

        Outputs that are not finite detect nothing.
        """
        boxes, confidences, kinds = (
            values.detach().to("cpu", torch.float64).flatten(1, 2).numpy()
            for values in self.boxes(outputs)
        )
        wanted = targets.detach().to("cpu", torch.float64).numpy()
        images = zip(boxes, confidences[..., None] * kinds, wanted, strict=True)
        detections = zip(*(_detections(*image) for image in images), strict=True)
        classes, scores, right = (np.concatenate(values) for values in detections)
        present = wanted[..., 0][wanted[..., 0] >= 0].astype(np.int64)
        return Judged(classes, scores, right, np.bincount(present, minlength=self.classes))

    def score(self, judged: Sequence[Judged], images: int) -> float:
        """Return the mean average precision over the classes that the test has objects of."""
        classes, confidences, right = (
            np.concatenate([getattr(batch, name) for batch in judged])
            for name in ("classes", "confidences", "right")
        )
        truths = np.sum([batch.truths for batch in judged], 0)
        precisions = [
            average_precision(confidences[classes == kind], right[classes == kind], count)
            for kind, count in enumerate(truths.tolist())
            if count
        ]
        return float(np.mean(precisions)) if precisions else 0.0


def average_precision(confidences: Floats, right: NDArray[np.bool_], truths: int) -> float:
    """Return the area under the curve of precision over recall (PASCAL VOC from 2010 on).

    Each precision is the best at its recall or any greater one.
    """
    order = np.argsort(-confidences, kind="stable")
    hits = np.cumsum(right[order])
    precisions = np.maximum.accumulate((hits / np.arange(1, len(order) + 1))[::-1])[::-1]
    return float(precisions[right[order]].sum()) / truths


def _detections(
    boxes: Floats, scores: Floats, wanted: Floats
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """Return classes, confidences and rightness of an image's detections.

    The shapes are [m, 4] for boxes, [m, classes] for scores, and [objects, 5] for wanted.
    """
    sound = np.isfinite(boxes.sum(1))
    at, kinds = np.nonzero((scores > CONFIDENCE) & sound[:, None])  # a NaN is not greater
    best = np.argsort(-scores[at, kinds], kind="stable")[: 4 * MOST]
    at, kinds = at[best], kinds[best]
    chosen, confidences = boxes[at], scores[at, kinds]
    rivals = (_overlap_table(chosen, chosen) > OVERLAP) & (kinds[:, None] == kinds)
    alone = np.ones(len(at), np.bool_)
    for index in range(len(at)):
        if alone[index]:
            alone[index + 1 :] &= ~rivals[index, index + 1 :]
    best = np.flatnonzero(alone)[:MOST]
    chosen, kinds, confidences = chosen[best], kinds[best], confidences[best]
    objects = wanted[wanted[:, 0] >= 0]
    overlaps = _overlap_table(chosen, objects[:, 1:]) * (kinds[:, None] == objects[:, 0])
    right = np.zeros(len(best), bool)
    for index in range(len(best)):  # in order of confidence: each object is found once
        if overlaps.shape[1] and overlaps[index].max() >= RIGHT:
            right[index] = True
            overlaps[:, overlaps[index].argmax()] = 0
    return kinds.astype(np.int64), confidences, right


def _overlap_table(first: Floats, second: Floats) -> Floats:
    """Return the overlaps of all pairs of two lists of boxes."""
    return np.asarray(_overlaps(torch.from_numpy(first[:, None]), torch.from_numpy(second[None])))


def _overlaps(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union of boxes [..., 4]."""
    low = torch.maximum(first[..., :2] - first[..., 2:] / 2, second[..., :2] - second[..., 2:] / 2)
    high = torch.minimum(first[..., :2] + first[..., 2:] / 2, second[..., :2] + second[..., 2:] / 2)
    common = (high - low).clamp(min=0).prod(-1)
    return common / (first[..., 2:].prod(-1) + second[..., 2:].prod(-1) - common).clamp(min=1e-12)
