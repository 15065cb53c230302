"""Energy of counts at one supply voltage, or at a plan's points, with every cost given by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edensim.config.models import EnergyConfig
from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.standard import Standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.costs import Costs, costs_of
from edensim.energy.partitions import partition_energies, sum_of
from edensim.vocabulary import Command, energy_pJ


def costs(memory: MemorySystem, voltage_law: str = "linear", io_pJ_per_bit: float = 0.0) -> Costs:
    """What events cost; no energy on the data wires unless it is given."""
    config = EnergyConfig(voltage_law=voltage_law, io_pJ_per_bit=io_pJ_per_bit)  # type: ignore[arg-type]
    return costs_of(memory, config)


def memory_energy(
    counts: Counts,
    standard: Standard,
    *,
    vdd_V: float | None = None,
    plan: OperatingPlan | None = None,
    **options: Any,
) -> EnergyBreakdown:
    """Energy of all channels, ranks and partitions together."""
    if plan is None:
        plan = replace(
            OperatingPlan.nominal(standard, 1), partition_of=np.full(counts.closings.shape, -1)
        )
        if vdd_V is not None:
            plan = replace(plan, points=(replace(plan.points[0], vdd_V=vdd_V),))
    memory = MemorySystem(standard, plan)
    return sum_of(partition_energies(counts, memory, costs(memory, **options)))


def vpp_energy(counts: Counts, standard: Standard) -> EnergyBreakdown:
    """Activate and precharge energy from the VPP rail, in DRAMPower's form with IPP2N = IPP3N = 0."""
    currents = standard.currents
    cycle = standard.organization.devices_per_rank * energy_pJ(
        currents.ipp0_mA, currents.vpp_V, standard.tck_ps
    )
    return EnergyBreakdown(
        activate=int(counts.commands[..., Command.ACT].sum()) * standard.timings["nRAS"] * cycle,
        precharge=int(counts.closings.sum()) * standard.timings["nRP"] * cycle,
    )
