"""Energy by partition: a pure function of counts, currents and the supply voltage of each bank.

A rank's background and its all-bank refreshes belong to its banks in equal shares. A bank of a
partition pays its share at the partition's VDD, whatever the other banks of the rank run at. Rows
that are a partition pay their share of their bank's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import EnergyConfig
from edensim.dram.command_epochs import counts_by_epoch
from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.costs import Costs, costs_of
from edensim.energy.parts import Cells, Mask, cells_of
from edensim.vocabulary import COLUMN_COMMANDS, Command

#: Name, in breakdowns, of the banks that are in no partition.
MODULE = "module"

#: Counts of an epoch, and the point of each cell in it: [channels, cells], banks before ranges.
Epoch = tuple[Counts, NDArray[np.integer]]


def run_energies(
    epochs: Iterable[Epoch], memory: MemorySystem, config: EnergyConfig
) -> dict[str, EnergyBreakdown]:
    """Return the energy of a run by partition, its epochs added up.

    Raises ConfigError for an energy model that does not fit the standard.
    """
    costs = costs_of(memory, config)
    total: dict[str, EnergyBreakdown] = {}
    for counts, cell_point in epochs:
        for name, energy in partition_energies(counts, memory, costs, cell_point).items():
            total[name] = total[name] + energy if name in total else energy
    return total


def energies_of_commands(
    commands: NDArray[np.void],
    memory: MemorySystem,
    config: EnergyConfig,
    *,
    end_clock: int | None = None,
) -> tuple[Counts, dict[str, EnergyBreakdown]]:
    """Return the counts of a command list (COMMAND records) and its energy by partition.

    Changes of operating point take effect as `edensim.dram.command_epochs` says.
    Raises ConfigError, TraceError or InputError.
    """
    counts, epochs = counts_by_epoch(commands, memory, end_clock=end_clock)
    return counts, run_energies(epochs, memory, config)


def sum_of(energies: Mapping[str, EnergyBreakdown]) -> EnergyBreakdown:
    """Return the energy of all partitions together."""
    return sum(energies.values(), EnergyBreakdown())


def partition_energies(
    counts: Counts,
    memory: MemorySystem,
    costs: Costs,
    cell_point: NDArray[np.integer] | None = None,
) -> dict[str, EnergyBreakdown]:
    """Return the energy of `counts` by partition.

    `module` comes first; it is absent if partitions have every bank.

    Parameters
    ----------
    counts
        What happened.
    memory
        The memory that it happened in.
    costs
        What its events cost.
    cell_point
        [channels, cells] operating point of each bank, then of each range of rows. None means those
        at the start of the run.
    """
    plan = memory.plan
    cells = cells_of(counts, plan, memory.organization.rows)
    points = plan.cell_point_at(0) if cell_point is None else cell_point
    if points.shape != cells.closings.shape:
        raise ValueError(
            f"points of banks and ranges have shape {points.shape}, counts {cells.closings.shape}: "
            "expected the same"
        )
    cell_partition = plan.cell_partition
    energies = {}
    for number in range(-1, len(plan.partitions)):
        mask = cell_partition == number
        if not mask.any():
            continue
        energy = EnergyBreakdown()
        # np.unique would import numpy.ma, which takes 0.02 s of every run.
        for point in sorted(set(points[mask].tolist())):
            nominal = nominal_energy(counts, costs, cells, mask & (points == point))
            energy = energy + costs.law(nominal, plan.points[point].vdd_V / costs.nominal_V)
        bursts = int(cells.commands[mask].sum(axis=0)[sorted(COLUMN_COMMANDS)].sum())
        io = EnergyBreakdown(io=costs.io_pJ(bursts))
        energies[MODULE if number < 0 else plan.partitions[number].name] = energy + io
    return energies


def nominal_energy(counts: Counts, costs: Costs, cells: Cells, mask: Mask) -> EnergyBreakdown:
    """Return the energy at the nominal VDD of the cells that `mask`, [channels, cells], selects."""
    event = costs.events
    channels, ranks = counts.rank_active_cycles.shape
    shares = cells.rank_shares(mask, ranks)
    active = counts.rank_active_cycles + counts.rank_refresh_cycles
    powerdown_active = counts.rank_powerdown_active_cycles
    powerdown_precharged = counts.rank_powerdown_precharged_cycles
    selfrefresh = counts.rank_selfrefresh_cycles
    low_power = powerdown_active + powerdown_precharged + selfrefresh
    precharged = counts.cycles - active - low_power
    # A refresh is counted whole when it is issued, so an epoch or layer that ends within one is
    # shorter than its ranks were busy. The excess is subtracted from the next one's background.
    if (precharged + counts.rank_refresh_cycles).sum() < 0:
        raise ValueError(
            f"ranks were active, in refresh or in power-down for {int((active + low_power).sum())} "
            f"cycles, the run took {counts.cycles} per rank"
        )

    def in_state(cycles: NDArray[np.int64], cycle_pJ: float) -> float:
        return float((cycles * shares).sum()) * cycle_pJ

    number = cells.commands[mask].sum(axis=0)
    # A command to a whole rank is counted at the rank's first bank.
    of_ranks = counts.commands.reshape(channels, ranks, -1, counts.commands.shape[2]).sum(axis=2)
    refresh_pJ = in_state(of_ranks[:, :, Command.REFab], event.refresh_all_bank)
    return EnergyBreakdown(
        activate=int(number[Command.ACT]) * event.activate,
        precharge=int(cells.closings[mask].sum()) * event.precharge,
        read=int(number[Command.RD] + number[Command.RDA]) * event.read * costs.read_factor,
        write=int(number[Command.WR] + number[Command.WRA]) * event.write * costs.write_factor,
        refresh=refresh_pJ + int(number[Command.REFpb]) * event.refresh_per_bank,
        background_active=in_state(active, event.active_cycle),
        background_precharged=in_state(precharged, event.precharged_cycle),
        background_powerdown_active=in_state(powerdown_active, event.powerdown_active_cycle),
        background_powerdown_precharged=in_state(
            powerdown_precharged, event.powerdown_precharged_cycle
        ),
        background_selfrefresh=in_state(selfrefresh, event.selfrefresh_cycle),
    )
