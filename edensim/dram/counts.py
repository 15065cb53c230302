"""What happened in a run, as integers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from edensim.vocabulary import COLUMN_COMMANDS, COMMANDS, Command, RowState

Int64Array = NDArray[np.int64]


def _zeros(*shape: int) -> Int64Array:
    return np.zeros(shape, np.int64)


@dataclass(frozen=True, eq=False)
class Counts:
    """What happened in a run, as integers; energies and statistics are pure functions of it.

    Attributes
    ----------
    commands : [channels, banks_per_channel, COMMANDS]
        Commands issued. Commands to a whole rank (PREab, REFab) count at the rank's first bank.
    closings : [channels, banks_per_channel]
        Times that an open bank was closed, by whichever command (PREpb, PREab, RDA, WRA). A
        precharge that finds its bank closed does not count: it takes no charge off the bit lines.
    range_commands, range_closings : [channels, ranges, COMMANDS] and [channels, ranges]
        The same for the ranges of rows that are partitions (`OperatingPlan.ranges_of`), as parts of
        their banks' counts. A command to a bank counts for the row that was opened last.
    rank_active_cycles : [channels, ranks]
        Cycles with at least one bank of the rank open, within [0, cycles], without all-bank
        refresh. A bank is open from its ACT to the precharge. An auto-precharge starts inside the
        device, at max(ACT + nRAS, RD + nRTP) for RDA and at max(ACT + nRAS, WR + nCWL + nBL + nWR)
        for WRA.
    rank_refresh_cycles : [channels, ranks]
        Cycles in all-bank refresh (nRFC per REFab), within [0, cycles]: a refresh that the end of
        the run cuts counts up to there. Per-bank refresh is not included.
    rank_powerdown_active_cycles, rank_powerdown_precharged_cycles : [channels, ranks]
        Cycles in power-down with a bank open, and with all banks closed. The cycles above do not
        include them.
    rank_selfrefresh_cycles : [channels, ranks]
        Cycles in self-refresh, which the cycles above do not include.
    cycles
        Clock at the end of the run.
    reads, writes
        Requests accepted, those forwarded and coalesced included.
    forwarded, coalesced
        Reads answered from the write queue, and writes merged into it.
    row_states : [2, 3]
        Requests by [is_write, RowState].
    read_latency_sum, read_latency_max, read_latency_histogram
        Cycles from arrival to the last data beat. Bin i counts the reads that took i cycles, the
        last bin those that took at least that long.
    """

    commands: Int64Array
    closings: Int64Array
    rank_active_cycles: Int64Array
    rank_refresh_cycles: Int64Array
    cycles: int
    reads: int = 0
    writes: int = 0
    forwarded: int = 0
    coalesced: int = 0
    row_states: Int64Array = field(default_factory=lambda: _zeros(2, len(RowState)))
    read_latency_sum: int = 0
    read_latency_max: int = 0
    read_latency_histogram: Int64Array = field(default_factory=lambda: _zeros(1))
    # Arrays without an entry stand for zeros of the right shape.
    rank_powerdown_active_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))
    rank_powerdown_precharged_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))
    rank_selfrefresh_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))
    range_commands: Int64Array = field(default_factory=lambda: _zeros(0, 0, COMMANDS))
    range_closings: Int64Array = field(default_factory=lambda: _zeros(0, 0))

    def __post_init__(self) -> None:
        channels, banks = self.closings.shape
        ranks = self.rank_active_cycles.shape
        for name in (
            "rank_powerdown_active_cycles",
            "rank_powerdown_precharged_cycles",
            "rank_selfrefresh_cycles",
        ):
            if getattr(self, name).size == 0:
                object.__setattr__(self, name, np.zeros_like(self.rank_active_cycles))
        if self.range_closings.size == 0:
            object.__setattr__(self, "range_commands", _zeros(channels, 0, COMMANDS))
            object.__setattr__(self, "range_closings", _zeros(channels, 0))
        for name, shape in (
            ("commands", (channels, banks, COMMANDS)),
            ("rank_active_cycles", (channels, *ranks[1:])),
            ("rank_refresh_cycles", ranks),
            ("rank_powerdown_active_cycles", ranks),
            ("rank_powerdown_precharged_cycles", ranks),
            ("rank_selfrefresh_cycles", ranks),
        ):
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} has shape {found}: expected {shape}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    @classmethod
    def empty(cls, channels: int, ranks: int, banks_per_channel: int, cycles: int = 0) -> Counts:
        """Return the counts of a run in which nothing happened for `cycles`."""
        return cls(
            commands=_zeros(channels, banks_per_channel, COMMANDS),
            closings=_zeros(channels, banks_per_channel),
            rank_active_cycles=_zeros(channels, ranks),
            rank_refresh_cycles=_zeros(channels, ranks),
            cycles=cycles,
        )

    def minus(self, earlier: Counts) -> Counts:
        """Return what happened since `earlier`, a snapshot of the same run.

        The longest read latency stays that of the whole run, because it cannot be split.
        """
        values = {f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)}
        return Counts(**{**values, "read_latency_max": self.read_latency_max})

    def total(self, command: Command) -> int:
        """Return how often a command was issued, over all channels and banks."""
        return int(self.commands[:, :, command].sum())

    def by_command(self) -> dict[str, int]:
        """Return how often each command was issued, by name; 0 for those that never were."""
        return {command.name: self.total(command) for command in Command}

    @property
    def bursts(self) -> int:
        """Number of column commands, each of which moves one burst over the data bus."""
        return sum(self.total(command) for command in COLUMN_COMMANDS)

    @property
    def row_hits(self) -> int:
        """Requests that found their row open."""
        return int(self.row_states[:, RowState.HIT].sum())

    @property
    def row_misses(self) -> int:
        """Requests that found their bank closed."""
        return int(self.row_states[:, RowState.MISS].sum())

    @property
    def row_conflicts(self) -> int:
        """Requests that found another row of their bank open."""
        return int(self.row_states[:, RowState.CONFLICT].sum())

    @property
    def read_latency_count(self) -> int:
        """Reads whose latency was measured."""
        return int(self.read_latency_histogram.sum())

    def read_latency_percentile(self, percent: float) -> int | None:
        """Return the cycles within which at least `percent` % of the reads were done.

        It is the nearest rank, exact below the histogram's last bin. In that bin only the largest
        latency is known, which is returned. None if there were no reads.
        """
        count = self.read_latency_count
        if count == 0:
            return None
        rank = max(1, math.ceil(percent * count / 100))
        latency = int(np.searchsorted(np.cumsum(self.read_latency_histogram), rank))
        return self.read_latency_max if latency >= len(self.read_latency_histogram) - 1 else latency

    def read_latency_bins(self) -> dict[str, list[int]]:
        """Return the latencies in cycles that reads had, and how many reads had each.

        The histogram's last bin stands for longer latencies too.
        """
        used = np.flatnonzero(self.read_latency_histogram)
        return {"bins": used.tolist(), "counts": self.read_latency_histogram[used].tolist()}

    def read_latency_summary(self) -> dict[str, float | None]:
        """Return mean, median, 99th percentile and maximum in cycles; None without reads."""
        count = self.read_latency_count
        return {
            "mean": self.read_latency_sum / count if count else None,
            "p50": self.read_latency_percentile(50),
            "p99": self.read_latency_percentile(99),
            "max": self.read_latency_max if count else None,
        }
