"""Voltage laws: how energy at the nominal VDD becomes energy at another.

Each is a few lines; `linear` is what DRAMPower, DRAMsim3 and EDEN's CPU figure have, `quadratic` and `array` are what charge on capacitances costs.
All agree at the nominal VDD, and none gives a higher energy for a lower VDD. I/O keeps its own supply (VDDQ) under every law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

from edensim.energy.breakdown import EnergyBreakdown

#: Energy at the nominal VDD and the ratio VDD / nominal VDD, to energy at that VDD.
VoltageLaw = Callable[[EnergyBreakdown, float], EnergyBreakdown]

VOLTAGE_LAWS: Final[dict[str, VoltageLaw]] = {}


def voltage_law(law: VoltageLaw) -> VoltageLaw:
    """Register a law under its function's name."""
    VOLTAGE_LAWS[law.__name__] = law
    return law


def _scaled(energy: EnergyBreakdown, factor: float) -> EnergyBreakdown:
    """All but I/O times `factor`."""
    return replace(
        energy,
        **{f.name: factor * getattr(energy, f.name) for f in fields(energy) if f.name != "io"},
    )


@voltage_law
def linear(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """E ~ V. Currents stay as the data sheet gives them for the nominal VDD: DRAMPower's and DRAMsim3's rule when only VDD is changed."""
    return _scaled(energy, ratio)


@voltage_law
def quadratic(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """E ~ V^2. Assumes that every current shrinks with VDD, as charging a capacitance does (E = C V^2), leakage and peripherals included."""
    return _scaled(energy, ratio * ratio)


@voltage_law
def array(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """Only the array's rail is lowered: activate, precharge and refresh ~ V^2; column access, background and I/O keep their supply.

    The assumption is Voltron's (Chang et al., SIGMETRICS 2017): peripheral logic stays at the nominal voltage so that the bus keeps its rate,
    and what bit lines and cells take is charge on capacitances.
    """
    factor = ratio * ratio
    return replace(
        energy,
        activate=factor * energy.activate,
        precharge=factor * energy.precharge,
        refresh=factor * energy.refresh,
    )
