"""Changes of operating point in a command list: when they happen, and what happens between."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest

import numpy as np
from numpy.typing import NDArray

from edensim.dram.command_counts import (
    auto_precharge_delays,
    cells_of_commands,
    counts_from_commands,
    gap_between,
)
from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.standard import Standard
from edensim.vocabulary import Command


def counts_by_epoch(
    commands: NDArray[np.void],
    memory: MemorySystem,
    *,
    end_clock: int | None = None,
    begins: Sequence[int] | None = None,
) -> tuple[Counts, list[tuple[Counts, NDArray[np.int16]]]]:
    """Count a command list, as a whole and by epoch.

    Parameters
    ----------
    commands : ndarray of COMMAND, [commands]
        The commands.
    memory : MemorySystem
        The memory that they were issued to.
    end_clock : int, optional
        Clock at which the run ends; by default, that of the last command.
    begins : sequence of int, optional
        The clocks at which the epochs but the first begin; by default, they are found from the
        commands (`epoch_clocks`).

    Returns
    -------
    tuple of Counts and list
        The counts of all commands; and for each epoch its counts, with the numbers of the operating
        points of its cells ([channels, cells]).

    Raises
    ------
    TraceError, InputError
        As `counts_from_commands` does.
    """
    standard, plan = memory.standard, memory.plan
    last_clock = int(commands["clock"].max(initial=0)) if end_clock is None else end_clock
    if begins is None:
        begins = epoch_clocks(commands, standard, plan)
    begins = [clock for clock in begins if clock <= last_clock]
    counted: list[Counts] = []
    for epoch, clock in enumerate([*begins, end_clock]):
        counted.append(
            counts_from_commands(
                commands if epoch == len(begins) else commands[commands["clock"] < clock],
                standard,
                end_clock=clock,
                channels=memory.channels,
                plan=plan,
                begins=begins[:epoch],
            )
        )
    parts = [counted[0], *(later.minus(earlier) for earlier, later in pairwise(counted))]
    return counted[-1], [(counts, plan.cell_point_at(epoch)) for epoch, counts in enumerate(parts)]


def epoch_clocks(commands: NDArray[np.void], standard: Standard, plan: OperatingPlan) -> list[int]:
    """Find the clock at which each change of a plan takes effect in a command list.

    As in edensim's own runs, that is when every bank has been closed, from `at_cycle` on, and could
    be opened again. If this does not happen before the next change or the end, because a simulator
    knows no changes, it is `at_cycle` itself.
    """
    clocks: list[int] = []
    if not plan.changes:
        return clocks
    ordered = commands[np.argsort(commands["clock"], kind="stable")]
    cells = cells_of_commands(ordered, standard, plan).tolist()
    columns = [ordered[name].tolist() for name in ("clock", "command", "channel", "rank")]
    records = list(zip(*columns, cells, strict=True))
    limits = [change.at_cycle for change in plan.changes[1:]]
    for epoch, (change, limit) in enumerate(zip_longest(plan.changes, limits)):
        closed_at = _closed_from(records, change.at_cycle, _Recovery(standard, plan, epoch))
        if closed_at is None or (limit is not None and closed_at > limit):
            closed_at = change.at_cycle
        clocks.append(closed_at)
    return clocks


class _Recovery:
    """How long after a command its bank could be opened again, in one epoch of a plan."""

    def __init__(self, standard: Standard, plan: OperatingPlan, epoch: int) -> None:
        gaps = [standard.gaps_with(point.timings) for point in plan.points]
        self.delays = [auto_precharge_delays(standard, of_point) for of_point in gaps]
        self.precharge = [
            gap_between(standard, of_point, Command.PREpb, Command.ACT) for of_point in gaps
        ]
        self.point_of: list[list[int]] = plan.cell_point_at(epoch).tolist()
        module_gaps = gaps[plan.module_point(epoch)]
        self.precharge_all = gap_between(standard, module_gaps, Command.PREab, Command.ACT)
        self.refresh = gap_between(standard, module_gaps, Command.REFab, Command.ACT)
        self.ranks = standard.organization.ranks

    def after(self, clock: int, command: int, channel: int, cell: int, opened_at: int) -> int:
        """Find when a bank could be opened again that this command closes or refreshes."""
        if command == Command.PREab:
            return clock + self.precharge_all
        if command == Command.REFab:
            return clock + self.refresh
        point = self.point_of[channel][cell]
        if command != Command.PREpb:
            act, read, write = self.delays[point]
            clock = max(opened_at + act, clock + (read if command == Command.RDA else write))
        return clock + self.precharge[point]


def _closed_from(
    records: list[tuple[int, int, int, int, int]], at_cycle: int, recovery: _Recovery
) -> int | None:
    """Find the first clock after `at_cycle` at which all banks are closed and have recovered.

    Returns None if there is none.
    """
    opened: dict[tuple[int, int, int], int] = {}  # when the row of a channel, rank and cell opened
    quiet_at = 0
    for clock, command, channel, rank, cell in records:
        if not opened and clock > max(at_cycle, quiet_at):
            break
        place = (channel, rank, cell)
        if command == Command.ACT:
            opened[place] = clock
        elif command in (Command.PREpb, Command.RDA, Command.WRA):
            quiet_at = max(
                quiet_at, recovery.after(clock, command, channel, cell, opened.pop(place, 0))
            )
        elif command in (Command.PREab, Command.REFab):
            opened = {
                other: since for other, since in opened.items() if other[:2] != (channel, rank)
            }
            quiet_at = max(quiet_at, recovery.after(clock, command, channel, cell, 0))
    return None if opened else max(at_cycle + recovery.ranks - 1, quiet_at) + 1
