"""What networks are trained for and judged by: a loss to minimize, and a score from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch

from edensim.exceptions import NetworkError


class Criterion(Protocol):
    """The loss and the score of a network.

    A module that does not classify has one in its attribute `criterion`. The `outputs` are those of
    the network for a batch of images; the `targets` are the labels of the batch.
    """

    @property
    def measure(self) -> str:
        """Name of the score."""

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the number to minimize, with a gradient."""

    def judged(self, outputs: torch.Tensor, targets: torch.Tensor) -> Any:
        """Return what the score needs to know of a batch."""

    def score(self, judged: Sequence[Any], images: int) -> float:
        """Score all batches of a test with a number of images."""

    def check(self, name: str, outputs: torch.Tensor, classes: int) -> None:
        """Raise NetworkError for outputs that cannot be judged with a number of classes."""


@dataclass(frozen=True)
class Classification:
    """One class per image: cross entropy, and the share of images with the right greatest logit."""

    measure: str = "accuracy"

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy in nats."""
        return torch.nn.functional.cross_entropy(outputs, targets)

    def judged(self, outputs: torch.Tensor, targets: torch.Tensor) -> int:
        """Count right answers; outputs that have a NaN are none."""
        right = outputs.argmax(1) == targets
        return int((right & ~outputs.isnan().any(1)).sum())

    def score(self, judged: Sequence[int], images: int) -> float:
        """Return the share of images that are classified right."""
        return sum(judged) / images

    def check(self, name: str, outputs: torch.Tensor, classes: int) -> None:
        """Raise NetworkError for outputs that are not logits [n, classes or more]."""
        if outputs.ndim != 2 or outputs.shape[1] < classes:
            raise NetworkError(
                f"{name}: outputs of shape {tuple(outputs.shape)}; "
                f"expected logits of {classes} classes"
            )


def criterion_of(module: torch.nn.Module) -> Criterion:
    """Return the criterion of a module; classification if it has none."""
    return cast(Criterion, getattr(module, "criterion", Classification()))
