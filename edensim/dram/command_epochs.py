"""A command list through changes of operating point: at which clock each takes effect, and the counts between two of them."""

from __future__ import annotations

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
    commands: NDArray[np.void], memory: MemorySystem, *, end_clock: int | None = None
) -> tuple[Counts, list[tuple[Counts, NDArray[np.int16]]]]:
    """Return the counts of a command list, and those of each epoch with the points of its cells.

    Raises what `counts_from_commands` raises.
    """
    standard, plan, channels = memory.standard, memory.plan, memory.channels
    last_clock = int(commands["clock"].max(initial=0)) if end_clock is None else end_clock
    begins = [clock for clock in stage_clocks(commands, standard, plan) if clock <= last_clock]
    counted: list[Counts] = []
    for stage, begin in enumerate(begins):
        before = commands[commands["clock"] < begin]
        counted.append(
            counts_from_commands(
                before,
                standard,
                end_clock=begin,
                channels=channels,
                plan=plan,
                begins=begins[:stage],
            )
        )
    counted.append(
        counts_from_commands(
            commands, standard, end_clock=end_clock, channels=channels, plan=plan, begins=begins
        )
    )
    own = [later.minus(earlier) for earlier, later in zip(counted, counted[1:], strict=False)]
    return counted[-1], [
        (counts, plan.cell_point_at(stage)) for stage, counts in enumerate([counted[0], *own])
    ]


def stage_clocks(commands: NDArray[np.void], standard: Standard, plan: OperatingPlan) -> list[int]:
    """The clock at which each change of a plan takes effect in a command list.

    As in edensim's own runs: when, from its `at_cycle` on, every bank has been closed and could be opened again. Where that does not happen
    before the next change or the end (a simulator that knows no changes), at `at_cycle` itself.
    """
    clocks: list[int] = []
    if not plan.changes:
        return clocks
    ordered = commands[np.argsort(commands["clock"], kind="stable")]
    cells = cells_of_commands(ordered, standard, plan).tolist()
    columns = [ordered[name].tolist() for name in ("clock", "command", "channel", "rank")]
    records = list(zip(*columns, cells, strict=True))
    for stage, change in enumerate(plan.changes):
        limit = plan.changes[stage + 1].at_cycle if stage + 1 < len(plan.changes) else None
        found = _closed_from(records, change.at_cycle, _Recovery(standard, plan, stage))
        clocks.append(
            change.at_cycle if found is None or (limit is not None and found > limit) else found
        )
    return clocks


class _Recovery:
    """How long after a command its bank could be opened again, in one stage of a plan."""

    def __init__(self, standard: Standard, plan: OperatingPlan, stage: int) -> None:
        gaps = [standard.gaps_with(point.timings) for point in plan.points]
        self.delays = [auto_precharge_delays(standard, own) for own in gaps]
        self.precharge = [gap_between(standard, own, Command.PREpb, Command.ACT) for own in gaps]
        self.point_of: list[list[int]] = plan.cell_point_at(stage).tolist()
        self.module = plan.module_point(stage)
        self.precharge_all = gap_between(standard, gaps[self.module], Command.PREab, Command.ACT)
        self.refresh = gap_between(standard, gaps[self.module], Command.REFab, Command.ACT)
        self.ranks = standard.organization.ranks

    def after(self, clock: int, command: int, channel: int, cell: int, opened_at: int) -> int:
        """Clock from which a bank that this command closes, or that it refreshes with its rank, could be opened."""
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
    """First clock after `at_cycle` at which all banks are closed and have recovered; None if there is none."""
    opened: dict[tuple[int, int, int], int] = {}  # (channel, rank, cell) of the row, and when
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
