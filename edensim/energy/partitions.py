"""From counts to energy: pure functions of what was counted, the standard's currents and each bank's supply voltage.

A rank's background belongs to its banks in equal shares, and so does an all-bank refresh: a bank of a partition pays its share at the
partition's VDD, whatever the other banks of the rank run at. Rows that are a partition pay their share of their bank's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import EnergyConfig
from edensim.dram.command_epochs import staged_counts
from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.data import data_factors
from edensim.energy.events import EventEnergies, event_energies
from edensim.energy.io import io_energy_pJ_per_bit
from edensim.energy.laws import find_law
from edensim.energy.parts import Cells, Mask, cells_of
from edensim.exceptions import ConfigError
from edensim.vocabulary import Command, energy_pJ

#: The banks that are in no partition, in breakdowns.
MODULE = "module"

#: Counts of one stretch of a run, and the point of each cell in it, [channels, cells]: of each bank, then of each range of rows.
Stage = tuple[Counts, NDArray[np.integer]]


def run_energies(
    stages: Sequence[Stage], memory: MemorySystem, config: EnergyConfig
) -> dict[str, EnergyBreakdown]:
    """Energy of a run by partition (`module`: banks of none), its stages added up. `sum_of` makes it one breakdown.

    Raises ConfigError for settings that do not fit the standard.
    """
    read_factor, write_factor = data_factors(config, memory.standard)
    io_pJ_per_bit = io_energy_of(config, memory.standard)
    total: dict[str, EnergyBreakdown] = {}
    for counts, cell_point in stages:
        for name, energy in partition_energies(
            counts,
            memory,
            cell_point=cell_point,
            voltage_law=config.voltage_law,
            io_pJ_per_bit=io_pJ_per_bit,
            read_factor=read_factor,
            write_factor=write_factor,
        ).items():
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
    counts, stages = staged_counts(
        commands,
        memory.standard,
        memory.plan,
        end_clock=end_clock,
        channels=memory.channels,
    )
    return counts, run_energies(stages, memory, config)


def sum_of(energies: Mapping[str, EnergyBreakdown]) -> EnergyBreakdown:
    """All partitions together."""
    total = EnergyBreakdown()
    for energy in energies.values():
        total = total + energy
    return total


def partition_energies(
    counts: Counts,
    memory: MemorySystem,
    *,
    cell_point: NDArray[np.integer] | None = None,
    voltage_law: str = "linear",
    vpp_rail: bool = False,
    io_pJ_per_bit: float = 0.0,
    read_factor: float = 1.0,
    write_factor: float = 1.0,
) -> dict[str, EnergyBreakdown]:
    """Energy of `counts` by partition, `module` first (absent where partitions have every bank). Arguments as memory_energy has them."""
    standard, plan = memory.standard, memory.plan
    cells = cells_of(counts, plan, standard.organization.rows)
    points = plan.cell_point_at(0) if cell_point is None else cell_point
    if points.shape != cells.closings.shape:
        raise ValueError(
            f"points of banks and ranges have shape {points.shape}, counts {cells.closings.shape}: expected the same"
        )
    event = event_energies(standard, plan.specified)
    law = find_law(voltage_law)
    cell_partition = plan.cell_partition
    energies = {}
    for number in range(-1, len(plan.partitions)):
        mask = cell_partition == number
        if not mask.any():
            continue
        energy = EnergyBreakdown()
        for point in sorted(
            set(points[mask].tolist())
        ):  # np.unique would load numpy.ma: 0.02 s of each run
            part = mask & (points == point)
            nominal = nominal_energy(
                counts, event, part, cells, read_factor=read_factor, write_factor=write_factor
            )
            energy = energy + law(nominal, plan.points[int(point)].vdd_V / standard.currents.vdd_V)
        energy = energy + _io_energy(cells, standard, mask, io_pJ_per_bit)
        energies[MODULE if number < 0 else plan.partitions[number].name] = (
            energy + _vpp_energy(cells, standard, mask) if vpp_rail else energy
        )
    return energies


def memory_energy(
    counts: Counts,
    standard: Standard,
    *,
    vdd_V: float | None = None,
    voltage_law: str = "linear",
    vpp_rail: bool = False,
    io_pJ_per_bit: float = 0.0,
    read_factor: float = 1.0,
    write_factor: float = 1.0,
) -> EnergyBreakdown:
    """Energy of the DRAM devices for `counts`, all channels, ranks and partitions together.

    vdd_V: supply voltage of all banks; None is the nominal one, where all laws agree.
    voltage_law: a key of VOLTAGE_LAWS. io_pJ_per_bit: energy on the data wires; reported as `io`, the same under every law.
    read_factor, write_factor: how much more a column command costs than the currents say (edensim.energy.data).
    vpp_rail: add what activations draw from the word-line rail (IPP0 over tRAS + tRP). It is left out by default: its standby
    currents are not known, IPP0 contains them, and DRAMPower's and DRAMsim3's published numbers go without it. It does not scale with VDD.

    Raises ConfigError for an unknown law, a voltage that is not positive, or currents that make no sense.
    """
    law = find_law(voltage_law)
    nominal_V = standard.currents.vdd_V
    supply_V = nominal_V if vdd_V is None else vdd_V
    if not (0 < supply_V < float("inf")):
        raise ConfigError(
            f"dram.vdd_V: found {supply_V}, expected a positive voltage (nominal: {nominal_V} V)"
        )
    everything = np.ones(counts.closings.shape, np.bool_)
    nominal = nominal_energy(
        counts,
        event_energies(standard),
        everything,
        read_factor=read_factor,
        write_factor=write_factor,
    )
    cells = cells_of(counts)
    energy = law(nominal, supply_V / nominal_V) + _io_energy(
        cells, standard, everything, io_pJ_per_bit
    )
    return energy + _vpp_energy(cells, standard, everything) if vpp_rail else energy


def nominal_energy(
    counts: Counts,
    event: EventEnergies,
    part: Mask | None = None,
    cells: Cells | None = None,
    *,
    read_factor: float = 1.0,
    write_factor: float = 1.0,
) -> EnergyBreakdown:
    """Counts times energies per event, of the cells that `part` ([channels, cells]) selects, None: of all; cells: by default banks, whole."""
    cells = cells or cells_of(counts)
    mask = np.ones(cells.closings.shape, np.bool_) if part is None else part
    channels, ranks = counts.rank_active_cycles.shape
    shares = cells.rank_shares(mask, ranks)
    active = counts.rank_active_cycles + counts.rank_refresh_cycles
    low_power = (
        counts.rank_powerdown_active_cycles
        + counts.rank_powerdown_precharged_cycles
        + counts.rank_selfrefresh_cycles
    )
    precharged = counts.cycles - active - low_power
    # A refresh is counted in whole when it is issued: a stretch that ends within one (a layer) lasted less long than its ranks were busy, and what
    # its background is over comes off that of the next.
    if (precharged + counts.rank_refresh_cycles).sum() < 0:
        busy = int((active + low_power).sum())
        raise ValueError(
            f"ranks were active, in refresh or in power-down for {busy} cycles, the run took {counts.cycles} per rank"
        )
    number = cells.commands[mask].sum(axis=0)
    whole_rank = counts.commands.reshape(channels, ranks, -1, counts.commands.shape[2]).sum(
        axis=2
    )  # counted at one bank of the rank
    refresh = float((whole_rank[:, :, Command.REFab] * shares).sum()) * event.refresh_all_bank
    return EnergyBreakdown(
        activate=int(number[Command.ACT]) * event.activate,
        precharge=int(cells.closings[mask].sum()) * event.precharge,
        read=int(number[Command.RD] + number[Command.RDA]) * event.read * read_factor,
        write=int(number[Command.WR] + number[Command.WRA]) * event.write * write_factor,
        refresh=refresh + int(number[Command.REFpb]) * event.refresh_per_bank,
        background_active=float((active * shares).sum()) * event.active_cycle,
        background_precharged=float((precharged * shares).sum()) * event.precharged_cycle,
        background_powerdown_active=float((counts.rank_powerdown_active_cycles * shares).sum())
        * event.powerdown_active_cycle,
        background_powerdown_precharged=float(
            (counts.rank_powerdown_precharged_cycles * shares).sum()
        )
        * event.powerdown_precharged_cycle,
        background_selfrefresh=float((counts.rank_selfrefresh_cycles * shares).sum())
        * event.selfrefresh_cycle,
    )


def io_energy_of(config: EnergyConfig, standard: Standard) -> float:
    """Energy in pJ of a bit on its wire, as configured or as the standard's interface takes it."""
    return (
        io_energy_pJ_per_bit(standard, config.ones_fraction)
        if config.io_pJ_per_bit is None
        else config.io_pJ_per_bit
    )


def _io_energy(
    counts: Cells, standard: Standard, mask: Mask, io_pJ_per_bit: float
) -> EnergyBreakdown:
    """What drivers and termination take for the bursts of these cells."""
    number = counts.commands[mask].sum(axis=0)
    bursts = int(
        sum(number[command] for command in (Command.RD, Command.RDA, Command.WR, Command.WRA))
    )
    return EnergyBreakdown(io=bursts * standard.organization.access_bytes * 8 * io_pJ_per_bit)


def _vpp_energy(counts: Cells, standard: Standard, mask: Mask) -> EnergyBreakdown:
    """Activate and precharge energy from the VPP rail, in DRAMPower's form with IPP2N = IPP3N = 0."""
    currents = standard.currents
    cycle = standard.organization.devices_per_rank * energy_pJ(
        currents.ipp0_mA, currents.vpp_V, standard.tck_ps
    )
    return EnergyBreakdown(
        activate=int(counts.commands[mask][:, Command.ACT].sum())
        * standard.timings["nRAS"]
        * cycle,
        precharge=int(counts.closings[mask].sum()) * standard.timings["nRP"] * cycle,
    )
