"""Voltage laws: how energy at the nominal VDD becomes energy at another VDD.

`linear` is the law of DRAMPower, of DRAMsim3 and of EDEN's CPU figure; `quadratic` and `array` are
what charging capacitances costs. All agree at the nominal VDD, and none gives a higher energy for a
lower VDD. I/O keeps its own supply (VDDQ) under every law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

from edensim.energy.breakdown import EnergyBreakdown

#: A function of the energy at the nominal VDD and of the ratio VDD / nominal VDD.
VoltageLaw = Callable[[EnergyBreakdown, float], EnergyBreakdown]

VOLTAGE_LAWS: Final[dict[str, VoltageLaw]] = {}


def voltage_law(law: VoltageLaw) -> VoltageLaw:
    """Register a law under its function's name."""
    VOLTAGE_LAWS[law.__name__] = law
    return law


def _scaled(energy: EnergyBreakdown, factor: float) -> EnergyBreakdown:
    """Multiply all components but I/O by `factor`."""
    return replace(
        energy,
        **{f.name: factor * getattr(energy, f.name) for f in fields(energy) if f.name != "io"},
    )


@voltage_law
def linear(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """Scale energy with V: the currents stay as the data sheet gives them for the nominal VDD.

    This is the rule of DRAMPower and DRAMsim3 if only VDD is changed.
    """
    return _scaled(energy, ratio)


@voltage_law
def quadratic(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """Scale energy with V^2: every current shrinks with VDD, leakage and peripherals included.

    Charging a capacitance does so (E = C V^2).
    """
    return _scaled(energy, ratio * ratio)


@voltage_law
def array(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """Scale activate, precharge and refresh with V^2: only the supply of the array is lowered.

    Column access, background and I/O keep their supply. The assumption is Voltron's (Chang et al.,
    SIGMETRICS 2017): peripheral logic stays at the nominal voltage so that the bus keeps its rate,
    and bit lines and cells take charge on capacitances.
    """
    factor = ratio * ratio
    return replace(
        energy,
        activate=factor * energy.activate,
        precharge=factor * energy.precharge,
        refresh=factor * energy.refresh,
    )
