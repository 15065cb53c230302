"""Compute EDEN's twelve CPU energy bars (Koppula et al., MICRO 2019, figure 13).

Each bar is a network at a precision, whose error tolerance allowed VDD to be lowered by some steps
of 0.05 V (the paper's table 3). The paper's numbers give its arithmetic away: the step, which was
measured on a 1.35 V DDR3L part, is taken off DDR4's nominal 1.2 V, and energy is linear in VDD, so
that a saving is step / 1.2 V whatever the workload. The laws `quadratic` and `array` stand beside
it. Only `array` depends on the workload, by the share of energy that activations, precharges and
refreshes take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.laws import VOLTAGE_LAWS

#: Nominal VDD of DDR4.
NOMINAL_V: Final = 1.2

#: Network, VDD steps of 0.05 V taken off for FP32 and for int8 (table 3).
STEPS: Final[tuple[tuple[str, int, int], ...]] = (
    ("YOLO-Tiny", 6, 6),
    ("YOLO", 7, 6),
    ("ResNet101", 6, 6),
    ("VGG-16", 7, 7),
    ("SqueezeNet1.1", 2, 2),
    ("DenseNet201", 5, 5),
)


@dataclass(frozen=True, slots=True)
class EdenBar:
    """Hold one bar, with the energy saved in percent by voltage law."""

    network: str
    precision: str
    vdd_V: float
    savings: dict[str, float]


def eden_bars(nominal: EnergyBreakdown) -> list[EdenBar]:
    """Compute the twelve bars for a run that took the energy `nominal` at the nominal VDD."""
    if nominal.total <= 0:
        raise ValueError("the run took no energy, so that no share of it can be saved")
    bars = []
    for network, *steps in STEPS:
        for precision, count in zip(("FP32", "int8"), steps, strict=True):
            vdd_V = round(NOMINAL_V - 0.05 * count, 2)
            savings = {
                name: 100 * (1 - law(nominal, vdd_V / NOMINAL_V).total / nominal.total)
                for name, law in VOLTAGE_LAWS.items()
            }
            bars.append(EdenBar(network, precision, vdd_V, savings))
    return bars


def geometric_mean(percentages: Sequence[float]) -> float:
    """Compute the geometric mean, which the paper's last bar shows."""
    return math.exp(sum(map(math.log, percentages)) / len(percentages))
