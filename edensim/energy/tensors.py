"""Energy by tensor: of the commands that a tensor's requests caused, each at the VDD of the rows it was for.

A row is opened for the tensor of the request that needed it, and its closing is that tensor's too, whichever command closes it. Refresh and
background belong to no tensor: they go on without traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

from edensim.config.models import EnergyConfig
from edensim.dram.memory_system import MemorySystem
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.data import data_factors
from edensim.energy.events import event_energies
from edensim.energy.laws import find_law
from edensim.energy.partitions import io_energy_of

#: Parts of a breakdown that commands have.
COMMAND_PARTS = ("activate", "precharge", "read", "write", "io")

#: Commands of one tensor at one operating point, by index: {point: {"reads": n, "writes": n, "activations": n, "closings": n}}.
CommandsByPoint = Mapping[int, Mapping[str, int]]


def tensor_energies(
    tensors: Mapping[str, CommandsByPoint],
    memory: MemorySystem,
    config: EnergyConfig,
) -> dict[str, EnergyBreakdown]:
    """Energy of each tensor's commands. With those of no tensor they add up to the run's activate, precharge, read, write and I/O energy."""
    standard, plan = memory.standard, memory.plan
    read_factor, write_factor = data_factors(config, standard)
    event, law = event_energies(standard, plan.specified), find_law(config.voltage_law)
    burst_pJ = standard.organization.access_bytes * 8 * io_energy_of(config, standard)
    energies = {}
    for name, by_point in tensors.items():
        energy = EnergyBreakdown()
        for point, number in by_point.items():
            nominal = EnergyBreakdown(
                activate=number["activations"] * event.activate,
                precharge=number["closings"] * event.precharge,
                read=number["reads"] * event.read * read_factor,
                write=number["writes"] * event.write * write_factor,
                io=(number["reads"] + number["writes"]) * burst_pJ,
            )
            energy = energy + law(
                nominal, plan.points[point].vdd_V / standard.currents.vdd_V
            )  # which leaves I/O alone
        energies[name] = energy
    return energies
