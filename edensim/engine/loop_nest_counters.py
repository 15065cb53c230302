"""Figures of cores and memory at a moment, and between moments: taken apart, put together, extrapolated."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edensim.dram.counts import Counts
from edensim.vocabulary import Command

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Counters of the shared record that add up.
COUNTERS = (
    "l2_reads",
    "l3_reads",
    "llc_read_misses",
    "llc_writebacks",
    "prefetches",
    "late_prefetches",
    "used_prefetches",
    "exposed_activations",
    "exposed_slots",
    "read_activations",
    "memory_stall_slots",
)


@dataclass(frozen=True)
class Tally:
    """What happened up to a moment, or between two: slots of core time, instructions, counters by name, traffic by tensor, memory's counts."""

    slots: float
    instructions: int
    counters: dict[str, int]
    moved: NDArray[
        np.int64
    ]  # [tensors + 1, 2] lines read and written of each tensor; last, of none (a library's workspace)
    counts: Counts

    def minus(self, other: Tally) -> Tally:
        counters = {name: value - other.counters[name] for name, value in self.counters.items()}
        return Tally(
            self.slots - other.slots,
            self.instructions - other.instructions,
            counters,
            self.moved - other.moved,
            self.counts.minus(other.counts),
        )

    def plus(self, other: Tally) -> Tally:
        counters = {name: value + other.counters[name] for name, value in self.counters.items()}
        return Tally(
            self.slots + other.slots,
            self.instructions + other.instructions,
            counters,
            self.moved + other.moved,
            added(self.counts, other.counts),
        )

    def times(self, factor: float) -> Tally:
        counters = {name: round(value * factor) for name, value in self.counters.items()}
        return Tally(
            self.slots * factor,
            round(self.instructions * factor),
            counters,
            scaled_array(self.moved, factor),
            scaled(self.counts, factor),
        )


def added(a: Counts, b: Counts) -> Counts:
    """Two stretches as one."""
    values = {f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(a)}
    return replace(a, **{**values, "read_latency_max": max(a.read_latency_max, b.read_latency_max)})


def scaled(counts: Counts, factor: float) -> Counts:
    """A stretch that lasts longer by a factor, alike in all else."""
    values: dict[str, Any] = {}
    for f in fields(counts):
        value = getattr(counts, f.name)
        values[f.name] = (
            scaled_array(value, factor) if isinstance(value, np.ndarray) else round(value * factor)
        )
    return replace(counts, **{**values, "read_latency_max": counts.read_latency_max})


def scaled_array(values: NDArray[np.int64], factor: float) -> NDArray[np.int64]:
    scaled_values: NDArray[np.int64] = np.rint(values * factor).astype(np.int64)
    return scaled_values


def with_traffic(counts: Counts, reads: int, writes: int) -> Counts:
    """The same stretch with other numbers of reads and writes; activations and precharges go with their sum, refreshes and times stay."""
    commands = counts.commands.astype(np.float64)
    found = {
        True: commands[:, :, [Command.RD, Command.RDA]].sum(),
        False: commands[:, :, [Command.WR, Command.WRA]].sum(),
    }
    for kinds, wanted in (((Command.RD, Command.RDA), reads), ((Command.WR, Command.WRA), writes)):
        have = commands[:, :, list(kinds)].sum()
        if have:
            commands[:, :, list(kinds)] *= wanted / have
        else:
            commands[:, :, kinds[0]] += wanted / commands[:, :, 0].size
    before = found[True] + found[False]
    factor = (reads + writes) / before if before else 1.0
    for command in (Command.ACT, Command.PREpb):
        commands[:, :, command] *= factor
    return replace(
        counts,
        commands=np.rint(commands).astype(np.int64),
        closings=scaled_array(counts.closings, factor),
        range_commands=scaled_array(counts.range_commands, factor),
        range_closings=scaled_array(counts.range_closings, factor),
        reads=reads,
        writes=writes,
        row_states=scaled_array(counts.row_states, factor),
    )
