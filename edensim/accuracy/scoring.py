"""Batches of a test, and the score of a network on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from edensim.accuracy.criteria import Classification, criterion_of
from edensim.accuracy.dataset import Dataset, normalized
from edensim.accuracy.datasets import COMPOSED
from edensim.accuracy.weights import Normalization
from edensim.exceptions import InputError

#: Normalized images and their labels.
Batch = tuple[torch.Tensor, torch.Tensor]


def batched(dataset: Dataset, normalization: Normalization, batch: int) -> Iterator[Batch]:
    """Divide a data set into batches, in order."""
    for at in range(0, len(dataset), batch):
        part = slice(at, at + batch)
        yield (
            torch.from_numpy(normalized(dataset.images[part], normalization)),
            torch.from_numpy(dataset.labels[part]),
        )


def score_of(module: torch.nn.Module, batches: Iterable[Batch], images: int) -> float:
    """Measure the accuracy of a module on some images, as its criterion defines it."""
    criterion = criterion_of(module)
    with torch.inference_mode():
        return criterion.score(
            [criterion.judged(module(inputs), labels) for inputs, labels in batches], images
        )


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch compute a batch in one thread: sums of floats depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_kind(name: str, module: torch.nn.Module, dataset: Dataset) -> None:
    """Raise InputError if a network detects objects and the data set has none, or vice versa."""
    detects = not isinstance(criterion_of(module), Classification)
    if detects and not dataset.has_boxes:
        raise InputError(
            f"{name} detects objects: {dataset.name} has one class an image; expected a detection "
            f"set, such as {COMPOSED}{dataset.name}"
        )
    if dataset.has_boxes and not detects:
        raise InputError(
            f"{name} gives one class an image; expected another data set than {dataset.name}, "
            "whose images have several objects"
        )
