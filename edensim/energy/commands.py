"""Counts from a list of commands, any simulator's: which banks were open when."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edensim.dram.standard import Standard
from edensim.exceptions import InputError, TraceError
from edensim.results import Counts
from edensim.vocabulary import COMMAND, COMMANDS, RANK_COMMANDS, Command, Level

#: Commands that open or close banks; the others only need counting.
_STATE_COMMANDS: Final = (Command.ACT, Command.PREpb, Command.PREab, Command.RDA, Command.WRA, Command.REFab)


def counts_from_commands(commands: NDArray[np.void], standard: Standard, *, end_clock: int | None = None, channels: int | None = None) -> Counts:
    """Counts of any simulator's command list (COMMAND records), for its energy.

    end_clock: clock at which the run ends, hence how long background energy flows; None is the clock of the last command.
    channels: None is as many as the commands name. Commands may be in any order of channels; each is taken at its clock.
    The list is not checked against the standard's constraints (`edensim check` does that): opening an open bank or closing a closed one
    changes no state, and an all-bank refresh leaves all banks closed.

    Row hits and latencies are not known from commands and stay 0. Raises TraceError where a command addresses what the standard does not
    have, InputError where `end_clock` lies before the last command.
    """
    if commands.dtype != COMMAND:
        raise TypeError(f"commands have dtype {commands.dtype}, expected COMMAND")
    last_clock = int(commands["clock"].max(initial=0))
    end = last_clock if end_clock is None else end_clock
    if end < last_clock:
        raise InputError(f"end clock: found {end}, expected at least {last_clock}, the clock of the last command")
    channel_count = channels or int(commands["channel"].max(initial=0)) + 1
    flat_bank = _flat_banks(commands, standard, channel_count)

    banks = standard.organization.banks_per_channel
    counts = Counts.empty(channel_count, standard.organization.ranks, banks, end)
    cells = (commands["channel"].astype(np.int64) * banks + flat_bank) * COMMANDS + commands["command"]
    counts.commands[...] = np.bincount(cells, minlength=counts.commands.size).reshape(counts.commands.shape)
    for channel in range(channel_count):
        stateful = np.flatnonzero((commands["channel"] == channel) & np.isin(commands["command"], _STATE_COMMANDS))
        stateful = stateful[np.argsort(commands["clock"][stateful], kind="stable")]
        _count_states(counts, channel, commands[stateful], flat_bank[stateful], standard)
    reads = counts.total(Command.RD) + counts.total(Command.RDA)
    return replace(counts, reads=reads, writes=counts.bursts - reads)


def _flat_banks(commands: NDArray[np.void], standard: Standard, channels: int) -> NDArray[np.int64]:
    """Flat bank in its channel of each command, the rank's first bank for whole-rank commands. TraceError for what does not exist."""
    organization = standard.organization
    whole_rank = np.isin(commands["command"], sorted(RANK_COMMANDS))
    limits = {"command": COMMANDS, "channel": channels, "rank": organization.ranks, "bankgroup": organization.bankgroups, "bank": organization.banks}
    addressed = {}
    for name, limit in limits.items():
        values = np.where(whole_rank, 0, commands[name]) if name in ("bankgroup", "bank") else commands[name]
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if wrong.size:
            first = int(wrong[0])
            raise TraceError(
                f"command {first + 1} (clock {commands['clock'][first]}): {name}: found {values[first]}, expected 0 to {limit - 1} "
                f"({standard.name} {organization.name}, {channels} channel(s) of {organization.ranks} rank(s))"
            )
        addressed[name] = values.astype(np.int64)
    return (addressed["rank"] * organization.bankgroups + addressed["bankgroup"]) * organization.banks + addressed["bank"]


def auto_precharge_delays(standard: Standard) -> tuple[int, int, int]:
    """Cycles from ACT, RD and WR to the earliest precharge of the bank; an RDA or WRA precharges itself once they have passed."""
    delays = []
    for after in (Command.ACT, Command.RD, Command.WR):
        rules = [c for c in standard.constraints if c.level == Level.BANK and after in c.after and Command.PREpb in c.before]
        delays.append(max((rule.gap_cycles for rule in rules), default=0))
    return delays[0], delays[1], delays[2]


class _RankClock:
    """When one rank is active: some bank open, or an auto-precharge not begun yet. Ends in all-bank refresh."""

    __slots__ = ("active_cycles", "end", "open_banks", "refresh_cycles", "refresh_until", "since", "until")

    def __init__(self, end: int) -> None:
        self.end = end
        self.open_banks: set[int] = set()
        self.since = self.until = self.refresh_until = 0  # active within [since, until), longer while banks are open
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


def _count_states(counts: Counts, channel: int, commands: NDArray[np.void], flat_bank: NDArray[np.int64], standard: Standard) -> None:
    """Fill closings, active and refresh cycles of one channel from its state-changing commands in order of clock."""
    banks_per_rank = standard.organization.banks_per_rank
    act_delay, read_delay, write_delay = auto_precharge_delays(standard)
    refresh_cycles = standard.timings.get("nRFC", 0)
    ranks = [_RankClock(counts.cycles) for _ in range(standard.organization.ranks)]
    opened_at = [0] * standard.organization.banks_per_channel
    closings = [0] * standard.organization.banks_per_channel
    for clock, command, bank in zip(commands["clock"].tolist(), commands["command"].tolist(), flat_bank.tolist(), strict=True):
        rank = ranks[bank // banks_per_rank]
        if command == Command.ACT:
            if bank not in rank.open_banks:
                opened_at[bank] = clock
                rank.open(bank, clock)
        elif command == Command.REFab:
            rank.refresh(clock, refresh_cycles)
        elif command == Command.PREab:
            for closed in tuple(rank.open_banks):
                closings[closed] += 1
                rank.close(closed, clock)
        elif bank in rank.open_banks:
            closings[bank] += 1
            if command != Command.PREpb:  # RDA and WRA close the bank for the next command now, inside the device later
                clock = max(opened_at[bank] + act_delay, clock + (read_delay if command == Command.RDA else write_delay))
            rank.close(bank, clock)
    counts.closings[channel] = closings
    for index, rank in enumerate(ranks):
        rank.finish()
        counts.rank_active_cycles[channel, index] = rank.active_cycles
        counts.rank_refresh_cycles[channel, index] = rank.refresh_cycles
