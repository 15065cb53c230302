"""Counters of cores and memory: their differences, their sums, and what they extrapolate to."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edensim.dram.counts import Counts
from edensim.vocabulary import Command

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Counters that all cores share, by their names in the CPUS record.
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
class CpuCounters:
    """What cores and memory did up to a moment, or between two moments.

    Attributes
    ----------
    slots : float
        Core time.
    instructions : int
        Instructions of all cores.
    counters : dict of str to int
        The counters named in COUNTERS.
    moved : ndarray of int64, [tensors + 1, 2]
        Lines read and written of each tensor, and last of what belongs to no tensor, such as the
        workspace of a library.
    counts : Counts
        What the memory did.
    """

    slots: float
    instructions: int
    counters: dict[str, int]
    moved: NDArray[np.int64]
    counts: Counts

    def minus(self, other: CpuCounters) -> CpuCounters:
        """Return what happened since an earlier moment."""
        return CpuCounters(
            self.slots - other.slots,
            self.instructions - other.instructions,
            {name: value - other.counters[name] for name, value in self.counters.items()},
            self.moved - other.moved,
            self.counts.minus(other.counts),
        )

    def plus(self, other: CpuCounters) -> CpuCounters:
        """Return what happened here and there together."""
        return CpuCounters(
            self.slots + other.slots,
            self.instructions + other.instructions,
            {name: value + other.counters[name] for name, value in self.counters.items()},
            self.moved + other.moved,
            added(self.counts, other.counts),
        )

    def times(self, factor: float) -> CpuCounters:
        """Return what would happen in a time that is longer by a factor."""
        return CpuCounters(
            self.slots * factor,
            round(self.instructions * factor),
            {name: round(value * factor) for name, value in self.counters.items()},
            scaled_array(self.moved, factor),
            scaled(self.counts, factor),
        )


def total(parts: Iterable[CpuCounters]) -> CpuCounters | None:
    """Return the sum of some counters, None if there are none."""
    terms = list(parts)
    return functools.reduce(CpuCounters.plus, terms) if terms else None


def added(a: Counts, b: Counts) -> Counts:
    """Return the counts of two parts of a run together."""
    values = {f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(a)}
    return replace(a, **{**values, "read_latency_max": max(a.read_latency_max, b.read_latency_max)})


def scaled(counts: Counts, factor: float) -> Counts:
    """Return the counts of a part of a run that lasts longer by a factor, alike in all else."""
    values: dict[str, Any] = {}
    for f in fields(counts):
        value = getattr(counts, f.name)
        values[f.name] = (
            scaled_array(value, factor) if isinstance(value, np.ndarray) else round(value * factor)
        )
    return replace(counts, **{**values, "read_latency_max": counts.read_latency_max})


def scaled_array(values: NDArray[np.int64], factor: float) -> NDArray[np.int64]:
    """Return counts times a factor, rounded."""
    scaled_values: NDArray[np.int64] = np.rint(values * factor).astype(np.int64)
    return scaled_values


def with_traffic(counts: Counts, reads: int, writes: int) -> Counts:
    """Return the counts of a part of a run, with other numbers of reads and writes.

    Activations and precharges change with the sum of reads and writes; refreshes and times stay.
    """
    commands = counts.commands.astype(np.float64)
    before = 0.0
    for kinds, wanted in (([Command.RD, Command.RDA], reads), ([Command.WR, Command.WRA], writes)):
        number = commands[:, :, kinds].sum()
        if number:
            commands[:, :, kinds] *= wanted / number
        else:
            commands[:, :, kinds[0]] += wanted / commands[:, :, 0].size
        before += number
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
