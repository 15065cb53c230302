"""Retraining between rounds of raises, with errors in each data item at the BER that it has by then (Koppula et al., MICRO 2019, section 3.3).

The paper retrains the whole network in each iteration over its items; here each round of raises is followed by `epochs`, and what they give is kept
only where it is no worse on the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edensim.eden.boosting import Schedule
from edensim.eden.memory import Memory

if TYPE_CHECKING:
    import torch

    from edensim.accuracy.datasets import Dataset
    from edensim.accuracy.evaluation_target import Subject

#: Peak of the learning rate: the network is trained already.
RATE: Final = 5e-4


@dataclass(frozen=True)
class ItemRetraining:
    """split: images to train with; epochs: after each round; rebuild: makes the subject of a test of a module."""

    split: Dataset
    memory: Memory
    epochs: int
    rebuild: Callable[[torch.nn.Module], Subject]

    def after(self, round_: int, tested: Subject, bers: Mapping[str, float]) -> Subject:
        """The network retrained at the items' BERs. round_: from 0 on; each trains in memories of its own."""
        from edensim.eden.retraining import retrain

        schedule = Schedule("constant", self.epochs, rate=RATE)
        steps = self.epochs * max(1, len(self.split) // schedule.batch)
        module, _ = retrain(
            tested,
            self.split,
            self.memory,
            [bers] * self.epochs,
            schedule=schedule,
            first=round_ * steps,
        )
        return self.rebuild(module)
