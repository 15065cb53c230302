"""What a network is trained for and judged by: a loss to minimize, and a score of all its answers, from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch

from edensim.exceptions import NetworkError


class Criterion(Protocol):
    """outputs: of the network for a batch of images; targets: the batch's labels, as the data set has them. A module of one's own that does not
    classify has one in its attribute `criterion`."""

    @property
    def measure(self) -> str:
        """What the score is called."""

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """To be minimized: one number, with a gradient."""

    def judged(self, outputs: torch.Tensor, targets: torch.Tensor) -> Any:
        """What the score needs to know of a batch."""

    def score(self, judged: Sequence[Any], images: int) -> float:
        """Of all batches of a test with so many images."""

    def check(self, name: str, outputs: torch.Tensor, classes: int) -> None:
        """Raises NetworkError for outputs that cannot be judged with so many classes."""


@dataclass(frozen=True)
class Classification:
    """One class an image. Cross entropy; the share of images whose greatest logit is the right one's."""

    measure: str = "accuracy"

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy, nats."""
        return torch.nn.functional.cross_entropy(outputs, targets)

    def judged(self, outputs: torch.Tensor, targets: torch.Tensor) -> int:
        """How many are classified right; an output with a NaN is no answer."""
        right = outputs.argmax(1) == targets
        return int((right & ~outputs.isnan().any(1)).sum())

    def score(self, judged: Sequence[int], images: int) -> float:
        """Share of the images."""
        return sum(judged) / images

    def check(self, name: str, outputs: torch.Tensor, classes: int) -> None:
        """Logits [n, classes or more]."""
        if outputs.ndim != 2 or outputs.shape[1] < classes:
            raise NetworkError(
                f"{name}: outputs of shape {tuple(outputs.shape)}; expected logits of {classes} classes"
            )


def criterion_of(module: torch.nn.Module) -> Criterion:
    """A module's own, else classification."""
    return cast(Criterion, getattr(module, "criterion", Classification()))
