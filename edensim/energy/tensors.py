"""Energy by tensor: that of the commands its requests caused, each at the VDD of its rows.

A row is opened for the tensor whose request needed it, and closing it is paid by the same tensor,
whichever command closes it. Refresh and background belong to no tensor: they go on without traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

from edensim.config.models import EnergyConfig
from edensim.dram.memory_system import MemorySystem
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.costs import costs_of

#: Parts of a breakdown that commands have.
COMMAND_PARTS = ("activate", "precharge", "read", "write", "io")

#: Commands of one tensor by operating point:
#: {point: {"reads": n, "writes": n, "activations": n, "closings": n}}.
CommandsByPoint = Mapping[int, Mapping[str, int]]


def tensor_energies(
    tensors: Mapping[str, CommandsByPoint], memory: MemorySystem, config: EnergyConfig
) -> dict[str, EnergyBreakdown]:
    """Return the energy of each tensor's commands.

    Together with the commands of no tensor they make up the run's activate, precharge, read, write
    and I/O energy.
    """
    costs = costs_of(memory, config)
    event = costs.events
    energies = {}
    for name, by_point in tensors.items():
        energy = EnergyBreakdown()
        for point, number in by_point.items():
            nominal = EnergyBreakdown(
                activate=number["activations"] * event.activate,
                precharge=number["closings"] * event.precharge,
                read=number["reads"] * event.read * costs.read_factor,
                write=number["writes"] * event.write * costs.write_factor,
                io=costs.io_pJ(number["reads"] + number["writes"]),
            )
            ratio = memory.plan.points[point].vdd_V / costs.nominal_V
            energy = energy + costs.law(nominal, ratio)  # I/O keeps its own supply
        energies[name] = energy
    return energies
