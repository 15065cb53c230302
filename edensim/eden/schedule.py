"""How the bit error rate of a retraining rises from epoch to epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: Epochs that each step of the BER lasts (Koppula et al., MICRO 2019, section 3.2).
EPOCHS_PER_STEP: Final = 2


@dataclass(frozen=True)
class Schedule:
    """How a network is retrained.

    Attributes
    ----------
    variant : str
        How the BER rises: ``curricular``, ``constant`` or ``none`` (no errors).
    epochs : int
        Passes over the training images.
    batch : int
        Images of one step.
    rate : float
        Peak of the learning rate, which goes through one cycle.
    """

    variant: str = "curricular"
    epochs: int = 10
    batch: int = 64
    rate: float = 2e-3

    def bers(self, target: float) -> list[float]:
        """Return the BER of each epoch; a curricular one begins at 0 and ends at the target."""
        if self.variant != "curricular":
            return [target if self.variant == "constant" else 0.0] * self.epochs
        steps = math.ceil(self.epochs / EPOCHS_PER_STEP)
        return [
            target * (epoch // EPOCHS_PER_STEP) / (steps - 1) if steps > 1 else target
            for epoch in range(self.epochs)
        ]
