"""Count what happened from the command list of any simulator: which banks were open when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edensim.dram.counts import Counts
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.partitions import RowRange
from edensim.dram.standard import Standard
from edensim.exceptions import InputError, TraceError
from edensim.vocabulary import COMMAND, COMMANDS, RANK_COMMANDS, Command, Level

#: Commands that open or close banks; the others only need counting.
_STATE_COMMANDS: Final = (
    Command.ACT,
    Command.PREpb,
    Command.PREab,
    Command.RDA,
    Command.WRA,
    Command.REFab,
)


#: Cycles from ACT, RD and WR of some rows to the earliest precharge of their bank.
Delays = tuple[int, int, int]


@dataclass(frozen=True)
class Timings:
    """Auto-precharge delays of each cell (banks, then ranges of rows) in each epoch.

    `delays` is indexed by epoch, channel and cell; `begins` has the clocks at which the epochs but
    the first begin.
    """

    delays: Sequence[Sequence[Sequence[Delays]]]
    begins: Sequence[int] = ()

    def of(self, clock: int, channel: int, cell: int) -> Delays:
        """Find the delays of a cell at a clock."""
        return self.delays[bisect_right(self.begins, clock)][channel][cell]


def timings_of(
    standard: Standard, channels: int, plan: OperatingPlan | None = None, begins: Sequence[int] = ()
) -> Timings:
    """Find the delays under a plan whose epochs but the first begin at the clocks `begins`.

    Without a plan, all banks have the timings of the standard.
    """
    if plan is None:
        return Timings(
            [
                [[auto_precharge_delays(standard)] * standard.organization.banks_per_channel]
                * channels
            ]
        )
    of_point = [
        auto_precharge_delays(standard, standard.gaps_with(point.timings)) for point in plan.points
    ]
    cell_points = [plan.cell_point_at(epoch).tolist() for epoch in range(len(begins) + 1)]
    return Timings(
        [
            [[of_point[point] for point in of_cells] for of_cells in of_channels]
            for of_channels in cell_points
        ],
        begins,
    )


def counts_from_commands(
    commands: NDArray[np.void],
    standard: Standard,
    *,
    end_clock: int | None = None,
    channels: int | None = None,
    plan: OperatingPlan | None = None,
    begins: Sequence[int] = (),
) -> Counts:
    """Count a command list of any simulator, for its energy.

    The list is not checked against the constraints of the standard (`edensim check` does that).
    Opening an open bank or closing a closed one changes no state, and an all-bank refresh leaves
    all banks closed. Row hits and latencies are not known from commands; they stay 0.

    Parameters
    ----------
    commands : ndarray of COMMAND, [commands]
        The commands, with those of different channels in any order.
    standard : Standard
        The standard of the memory.
    end_clock : int, optional
        The clock at which the run ends; by default, that of the last command.
    channels : int, optional
        The number of channels; by default, as many as the commands name.
    plan : OperatingPlan, optional
        The operating points, for delays of auto-precharges, and the rows that are partitions.
    begins : sequence of int
        The clocks at which the epochs of the plan but the first begin.

    Raises
    ------
    TraceError
        If a command addresses what the standard does not have.
    InputError
        If `end_clock` lies before the last command.
    """
    end = _end_of(commands, end_clock)
    channel_count = channels or int(commands["channel"].max(initial=0)) + 1
    flat_bank = _flat_banks(commands, standard, channel_count)

    banks = standard.organization.banks_per_channel
    counts = Counts.empty(channel_count, standard.organization.ranks, banks, end)
    counts.commands[...] = _histogram(commands, flat_bank, channel_count, banks)
    ranges = [() if plan is None else plan.ranges_of(channel) for channel in range(channel_count)]
    most = max(map(len, ranges))
    cells = _cells(commands, flat_bank, ranges, banks)
    if most:
        in_range = cells >= banks
        of_ranges = _histogram(commands[in_range], cells[in_range] - banks, channel_count, most)
        no_closings = np.zeros((channel_count, most), np.int64)
        counts = replace(counts, range_commands=of_ranges, range_closings=no_closings)
    timings = timings_of(standard, channel_count, plan, begins)
    for channel in range(channel_count):
        ordered = _state_commands(commands, channel)
        _count_states(
            counts, channel, commands[ordered], cells[ordered], ranges[channel], standard, timings
        )
    reads = counts.total(Command.RD) + counts.total(Command.RDA)
    return replace(counts, reads=reads, writes=counts.bursts - reads)


def _end_of(commands: NDArray[np.void], end_clock: int | None) -> int:
    """Return the clock at which a command list ends. Raises InputError if it goes on beyond."""
    if commands.dtype != COMMAND:
        raise TypeError(f"commands have dtype {commands.dtype}, expected COMMAND")
    last_clock = int(commands["clock"].max(initial=0))
    if end_clock is not None and end_clock < last_clock:
        raise InputError(
            f"end clock: found {end_clock}, expected at least {last_clock}, the clock of the last "
            "command"
        )
    return last_clock if end_clock is None else end_clock


def _state_commands(commands: NDArray[np.void], channel: int) -> NDArray[np.int64]:
    """Find the commands of a channel that open or close banks, in order of clock."""
    of_channel = commands["channel"] == channel
    changing = np.flatnonzero(of_channel & np.isin(commands["command"], _STATE_COMMANDS))
    return changing[np.argsort(commands["clock"][changing], kind="stable")]


def cells_of_commands(
    commands: NDArray[np.void], standard: Standard, plan: OperatingPlan
) -> NDArray[np.int64]:
    """Find the cell of each command in its channel.

    A command to a whole rank has the first bank of the rank. Raises TraceError if a command
    addresses what does not exist.
    """
    channels = len(plan.partition_of)
    ranges = [plan.ranges_of(channel) for channel in range(channels)]
    return _cells(
        commands,
        _flat_banks(commands, standard, channels),
        ranges,
        standard.organization.banks_per_channel,
    )


def _histogram(
    commands: NDArray[np.void], cells: NDArray[np.int64], channels: int, width: int
) -> NDArray[np.int64]:
    """Count each command to each cell, [channels, width, COMMANDS]."""
    index = (commands["channel"].astype(np.int64) * width + cells) * COMMANDS + commands["command"]
    return np.bincount(index, minlength=channels * width * COMMANDS).reshape(
        channels, width, COMMANDS
    )


def _cells(
    commands: NDArray[np.void],
    flat_bank: NDArray[np.int64],
    ranges: Sequence[Sequence[RowRange]],
    banks: int,
) -> NDArray[np.int64]:
    """Find the cell of each command.

    It is its bank or, in a bank that is divided, the range of the row that was opened last (see
    `edensim.dram.partitions`).
    """
    cells = flat_bank.copy()
    of_one_bank = ~np.isin(commands["command"], sorted(RANK_COMMANDS))
    for channel, divided in enumerate(ranges):
        for bank in sorted({rows.bank for rows in divided}):
            own = np.flatnonzero(
                (commands["channel"] == channel) & (flat_bank == bank) & of_one_bank
            )
            own = own[np.argsort(commands["clock"][own], kind="stable")]
            opened = np.full(len(own), bank)
            for index, rows in enumerate(divided):
                if rows.bank == bank:
                    opened[
                        (commands["row"][own] >= rows.first) & (commands["row"][own] <= rows.last)
                    ] = banks + index
            opened[commands["command"][own] == Command.REFpb] = bank
            decides = np.isin(commands["command"][own], (Command.ACT, Command.REFpb))
            latest = np.maximum.accumulate(np.where(decides, np.arange(len(own)), -1))
            cells[own] = np.where(latest >= 0, opened[latest], bank)
    return cells


def _flat_banks(commands: NDArray[np.void], standard: Standard, channels: int) -> NDArray[np.int64]:
    """Find the index of the bank of each command in its channel.

    A command to a whole rank has the first bank of the rank. Raises TraceError if a command
    addresses what does not exist.
    """
    organization = standard.organization
    whole_rank = np.isin(commands["command"], sorted(RANK_COMMANDS))
    limits = {
        "command": COMMANDS,
        "channel": channels,
        "rank": organization.ranks,
        "bankgroup": organization.bankgroups,
        "bank": organization.banks,
    }
    addressed = {}
    for name, limit in limits.items():
        values = (
            np.where(whole_rank, 0, commands[name])
            if name in ("bankgroup", "bank")
            else commands[name]
        )
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if wrong.size:
            first = int(wrong[0])
            raise TraceError(
                f"command {first + 1} (clock {commands['clock'][first]}): {name}: found "
                f"{values[first]}, expected 0 to {limit - 1} ({standard.name} "
                f"{organization.name}, {channels} channel(s) of {organization.ranks} rank(s))"
            )
        addressed[name] = values.astype(np.int64)
    return (
        addressed["rank"] * organization.bankgroups + addressed["bankgroup"]
    ) * organization.banks + addressed["bank"]


def auto_precharge_delays(standard: Standard, gaps: Sequence[int] | None = None) -> Delays:
    """Find the cycles from ACT, RD and WR to the earliest precharge of the bank.

    A bank precharges itself after RDA or WRA once these have passed. `gaps` has the gap of each
    constraint at an operating point (`Standard.gaps_with`); by default, they are the standard's.
    """
    gaps = [constraint.gap_cycles for constraint in standard.constraints] if gaps is None else gaps
    act, read, write = (
        gap_between(standard, gaps, after, Command.PREpb)
        for after in (Command.ACT, Command.RD, Command.WR)
    )
    return act, read, write


def gap_between(standard: Standard, gaps: Sequence[int], after: Command, before: Command) -> int:
    """Find the cycles that the rules want between two commands to one bank; 0 without a rule.

    They are the rules of the bank and, for commands to a whole rank, those of levels above it.
    """
    levels = (Level.RANK, Level.BANKGROUP, Level.BANK) if after in RANK_COMMANDS else (Level.BANK,)
    held = (
        gap
        for c, gap in zip(standard.constraints, gaps, strict=True)
        if c.level in levels and after in c.after and before in c.before
    )
    return max(held, default=0)


class _RankClock:
    """When one rank is active: a bank is open, or an auto-precharge has not begun yet.

    An all-bank refresh ends the activity.
    """

    __slots__ = (
        "active_cycles",
        "end",
        "open_banks",
        "refresh_cycles",
        "refresh_until",
        "since",
        "until",
    )

    def __init__(self, end: int) -> None:
        self.end = end
        self.open_banks: set[int] = set()
        # The rank is active within [since, until), and longer while banks are open.
        self.since = self.until = self.refresh_until = 0
        self.active_cycles = self.refresh_cycles = 0

    def open(self, bank: int, clock: int) -> None:
        if not self.open_banks and clock >= self.until:
            self._book(self.until)
            self.since = max(clock, self.refresh_until)
        self.open_banks.add(bank)

    def close(self, bank: int, clock: int) -> None:
        self.open_banks.discard(bank)
        self.until = max(self.until, clock)

    def refresh(self, clock: int, duration: int) -> None:
        self._book(clock if self.open_banks else min(self.until, clock))
        self.open_banks.clear()
        begin = max(clock, self.refresh_until)
        self.refresh_until = max(begin, clock + duration)
        self.refresh_cycles += max(0, min(self.refresh_until, self.end) - begin)

    def finish(self) -> None:
        self._book(self.end if self.open_banks else self.until)

    def _book(self, until: int) -> None:
        """Add the active time up to `until` (at most the end of the run) and start over."""
        self.active_cycles += max(0, min(until, self.end) - self.since)
        self.since = self.until = until


def _count_states(
    counts: Counts,
    channel: int,
    commands: NDArray[np.void],
    cells: NDArray[np.int64],
    ranges: Sequence[RowRange],
    standard: Standard,
    timings: Timings,
) -> None:
    """Count the closed rows, and the active and refresh cycles of the ranks, of one channel.

    `commands` has its commands that open or close banks, in order of clock.
    """
    banks_per_rank, banks = (
        standard.organization.banks_per_rank,
        standard.organization.banks_per_channel,
    )
    bank_of = [*range(banks), *(rows.bank for rows in ranges)]
    in_force = list(range(banks))  # cell of the row that is open
    refresh_cycles = standard.timings.get("nRFC", 0)
    ranks = [_RankClock(counts.cycles) for _ in range(standard.organization.ranks)]
    opened_at = [0] * standard.organization.banks_per_channel
    closings = [0] * len(bank_of)
    for clock, command, cell in zip(
        commands["clock"].tolist(), commands["command"].tolist(), cells.tolist(), strict=True
    ):
        bank = bank_of[cell]
        rank = ranks[bank // banks_per_rank]
        if command == Command.ACT:
            if bank not in rank.open_banks:
                opened_at[bank] = clock
                in_force[bank] = cell
                rank.open(bank, clock)
        elif command == Command.REFab:
            rank.refresh(clock, refresh_cycles)
        elif command == Command.PREab:
            for closed in tuple(rank.open_banks):
                closings[in_force[closed]] += 1
                rank.close(closed, clock)
        elif bank in rank.open_banks:
            closings[cell] += 1
            if command != Command.PREpb:
                # RDA and WRA close the bank for the next command now, and in the device later.
                act_delay, read_delay, write_delay = timings.of(clock, channel, cell)
                clock = max(
                    opened_at[bank] + act_delay,
                    clock + (read_delay if command == Command.RDA else write_delay),
                )
            rank.close(bank, clock)
    counts.closings[channel] = closings[:banks]
    if ranges:
        counts.range_closings[channel, : len(ranges)] = closings[banks:]
        np.add.at(counts.closings[channel], bank_of[banks:], closings[banks:])
    for index, rank in enumerate(ranks):
        rank.finish()
        counts.rank_active_cycles[channel, index] = rank.active_cycles
        counts.rank_refresh_cycles[channel, index] = rank.refresh_cycles
