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

    commands: [channels, banks_per_channel, COMMANDS] commands issued; whole-rank commands (PREab, REFab) count at the rank's first bank.
    closings: [channels, banks_per_channel] times an open bank was closed, by whichever command (PREpb, PREab, RDA, WRA). A precharge that
        finds its bank closed does not count: it takes no charge off the bit lines.
    range_commands, range_closings: [channels, ranges, COMMANDS] and [channels, ranges] the same of those ranges of rows that are partitions
        (`OperatingPlan.ranges_of`); they are part of their banks' counts. A bank's commands count for the row opened last.
    rank_active_cycles: [channels, ranks] cycles with at least one bank of the rank open, within [0, cycles]. A bank is open from its ACT
        to the precharge; an auto-precharge starts inside the device, at max(ACT + nRAS, RD + nRTP) for RDA and at
        max(ACT + nRAS, WR + nCWL + nBL + nWR) for WRA. Time in all-bank refresh is not included.
    rank_refresh_cycles: [channels, ranks] cycles in all-bank refresh (nRFC per REFab), within [0, cycles]: a refresh that the end of the
        run cuts counts up to there. Per-bank refresh is not included.
    rank_powerdown_active_cycles, rank_powerdown_precharged_cycles, rank_selfrefresh_cycles: [channels, ranks] cycles in power-down with a bank
        open, with all banks closed, and in self-refresh; none of them is included in the two above. 0 for a controller that has none.
    cycles: clock of the end of the run.
    reads, writes: requests accepted, those forwarded and coalesced included.
    forwarded, coalesced: reads answered from the write queue, writes merged into it.
    row_states: [2, 3] requests by [is_write, RowState].
    read_latency_sum, read_latency_max, read_latency_histogram: arrival to last data beat, in cycles; bin i counts reads that took i cycles,
        the last bin those that took at least that long.
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
    rank_powerdown_active_cycles: Int64Array = field(
        default_factory=lambda: _zeros(0, 0)
    )  # no entry: 0 for all ranks
    rank_powerdown_precharged_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))
    rank_selfrefresh_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))
    range_commands: Int64Array = field(
        default_factory=lambda: _zeros(0, 0, COMMANDS)
    )  # no entry: no ranges
    range_closings: Int64Array = field(default_factory=lambda: _zeros(0, 0))

    def __post_init__(self) -> None:
        for name in (
            "rank_powerdown_active_cycles",
            "rank_powerdown_precharged_cycles",
            "rank_selfrefresh_cycles",
        ):
            if getattr(self, name).size == 0:
                object.__setattr__(self, name, np.zeros_like(self.rank_active_cycles))
            elif getattr(self, name).shape != self.rank_active_cycles.shape:
                raise ValueError(
                    f"{name} has shape {getattr(self, name).shape}: expected {self.rank_active_cycles.shape}"
                )
        channels, banks = self.closings.shape
        if self.range_closings.size == 0:
            object.__setattr__(self, "range_commands", _zeros(channels, 0, COMMANDS))
            object.__setattr__(self, "range_closings", _zeros(channels, 0))
        if self.commands.shape != (channels, banks, COMMANDS):
            raise ValueError(
                f"commands has shape {self.commands.shape}, closings {self.closings.shape}: expected {(channels, banks, COMMANDS)}"
            )
        if (
            self.rank_active_cycles.shape != self.rank_refresh_cycles.shape
            or self.rank_active_cycles.shape[0] != channels
        ):
            raise ValueError(
                f"rank_active_cycles has shape {self.rank_active_cycles.shape}, rank_refresh_cycles {self.rank_refresh_cycles.shape}: "
                f"expected both [{channels} channels, ranks]"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    @classmethod
    def empty(cls, channels: int, ranks: int, banks_per_channel: int, cycles: int = 0) -> Counts:
        """Counts of a run in which nothing happened for `cycles`."""
        return cls(
            commands=_zeros(channels, banks_per_channel, COMMANDS),
            closings=_zeros(channels, banks_per_channel),
            rank_active_cycles=_zeros(channels, ranks),
            rank_refresh_cycles=_zeros(channels, ranks),
            cycles=cycles,
        )

    def minus(self, earlier: Counts) -> Counts:
        """What happened since `earlier`, a snapshot of the same run. The longest read latency stays that of the whole run: it cannot be split."""
        values = {f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)}
        return Counts(**{**values, "read_latency_max": self.read_latency_max})

    def total(self, command: Command) -> int:
        """How often `command` was issued, over all channels and banks."""
        return int(self.commands[:, :, command].sum())

    def by_command(self) -> dict[str, int]:
        """How often each command was issued, by name; 0 for those that never were."""
        return {command.name: self.total(command) for command in Command}

    @property
    def bursts(self) -> int:
        """Column commands: transfers of one burst over the data bus."""
        return sum(self.total(command) for command in COLUMN_COMMANDS)

    @property
    def row_hits(self) -> int:
        return int(self.row_states[:, RowState.HIT].sum())

    @property
    def row_misses(self) -> int:
        return int(self.row_states[:, RowState.MISS].sum())

    @property
    def row_conflicts(self) -> int:
        return int(self.row_states[:, RowState.CONFLICT].sum())

    @property
    def read_latency_count(self) -> int:
        """Reads whose latency was measured."""
        return int(self.read_latency_histogram.sum())

    def read_latency_percentile(self, percent: float) -> int | None:
        """Smallest number of cycles within which at least `percent` % of the reads were done (nearest rank); None without reads.

        Exact below the histogram's last bin. In it only the largest latency is known, and that is what comes back.
        """
        count = self.read_latency_count
        if count == 0:
            return None
        rank = max(1, math.ceil(percent * count / 100))
        latency = int(np.searchsorted(np.cumsum(self.read_latency_histogram), rank))
        return self.read_latency_max if latency >= len(self.read_latency_histogram) - 1 else latency

    def read_latency_bins(self) -> dict[str, list[int]]:
        """Latencies in cycles that reads had, and how many had them; the histogram's last bin stands for the longer ones too."""
        used = np.flatnonzero(self.read_latency_histogram)
        return {"bins": used.tolist(), "counts": self.read_latency_histogram[used].tolist()}

    def read_latency_summary(self) -> dict[str, float | None]:
        """Mean, median, 99th percentile and maximum in cycles; None each without reads."""
        count = self.read_latency_count
        return {
            "mean": self.read_latency_sum / count if count else None,
            "p50": self.read_latency_percentile(50),
            "p99": self.read_latency_percentile(99),
            "max": self.read_latency_max if count else None,
        }
