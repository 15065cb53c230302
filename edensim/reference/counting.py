"""What the memory did in a run, counted from the commands that it issued."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edensim.dram.command_epochs import counts_by_epoch
from edensim.dram.counts import Counts
from edensim.dram.memory_run import Epoch, Exposure, MemoryRun, TensorCounts
from edensim.reference.channel import Channel
from edensim.reference.memory import Memory
from edensim.reference.records import Counters
from edensim.vocabulary import COLUMN_COMMANDS, COMMAND, Command

#: Numbers of bins of the histograms; the last bin of each also counts longer intervals.
LATENCY_BINS: Final = 8192
EXPOSURE_BINS: Final = 256
READS: Final = (Command.RD, Command.RDA)


@dataclass(frozen=True)
class ReferenceRun(MemoryRun):
    """What a memory did in a run of the reference engine.

    Attributes
    ----------
    last_accepted_clock : int
        When the last request of an open-loop source was accepted; -1 for other sources.
    """

    last_accepted_clock: int = -1


def command_records(channels: Sequence[Channel]) -> NDArray[np.void]:
    """Make COMMAND records of the commands of all channels, in order of clock and channel.

    The bank group is -1 in standards without bank groups.
    """
    rows = [
        (
            issued.clock,
            issued.target.row,
            issued.target.column,
            number,
            issued.target.rank,
            issued.target.bankgroup if channel.standard.organization.bankgroups > 1 else -1,
            issued.target.bank,
            int(issued.command),
        )
        for number, channel in enumerate(channels)
        for issued in channel.issued
    ]
    rows.sort(key=lambda row: (row[0], row[3]))
    return np.array(rows, dtype=COMMAND)


def run_of(memory: Memory, cycles: int, tensors: int | None) -> ReferenceRun:
    """Count what a memory did by the end of a run.

    Parameters
    ----------
    memory : Memory
        The memory after the run.
    cycles : int
        Memory clock at the end of the run.
    tensors : int or None
        Number of tensors whose reads and commands are counted; None if exposures are not counted.
    """
    commands = command_records(memory.channels)
    begins = [halted_at for _, halted_at, _ in memory.changes]
    total, parts = _counts(memory, commands, cycles)
    states = np.array([*memory.rank_cycles_at, memory.rank_cycles(cycles)])
    total = _with_requests(_with_ranks(total, states[-1]), [c.counters for c in memory.channels])
    reads = None if tensors is None else _Reads(memory, begins, tensors)
    epochs = []
    for number, (counts, points) in enumerate(parts):
        of_epoch = states[number] - (states[number - 1] if number else 0)
        epochs.append(
            Epoch(
                *(memory.changes[number - 1] if number else (0, 0, 0)),
                points.astype(np.int64),
                total if len(parts) == 1 else _with_ranks(counts, of_epoch),
                None if reads is None else reads.by_epoch[number],
            )
        )
    return ReferenceRun(
        total,
        commands,
        epochs=tuple(epochs),
        exposure=None if reads is None else reads.exposure(),
        tensors=reads.tensor_counts() if reads is not None and tensors else None,
    )


def counts_until(
    memory: Memory,
    commands: NDArray[np.void] | None,
    clock: int,
    rank_cycles: NDArray[np.int64],
    counters: Sequence[Counters],
) -> Counts:
    """Count what a memory did before a clock, at which `rank_cycles` and `counters` were taken."""
    assert commands is not None
    total, _ = _counts(memory, commands[commands["clock"] < clock], clock)
    return _with_requests(_with_ranks(total, rank_cycles), counters)


def _counts(
    memory: Memory, commands: NDArray[np.void], clock: int
) -> tuple[Counts, list[tuple[Counts, NDArray[np.int16]]]]:
    addressed = commands.copy()
    addressed["bankgroup"] = np.maximum(commands["bankgroup"], 0)
    begins = [halted_at for _, halted_at, _ in memory.changes if halted_at <= clock]
    return counts_by_epoch(addressed, memory.system, end_clock=clock, begins=begins)


def _with_ranks(counts: Counts, cycles: NDArray[np.int64]) -> Counts:
    """Replace the cycles of ranks by [channels, ranks, 4] what the channels counted."""
    return replace(
        counts,
        rank_active_cycles=cycles[..., 0] - cycles[..., 1],
        rank_powerdown_active_cycles=cycles[..., 1],
        rank_powerdown_precharged_cycles=cycles[..., 2],
        rank_selfrefresh_cycles=cycles[..., 3],
    )


def _with_requests(counts: Counts, counters: Sequence[Counters]) -> Counts:
    """Add what is known of requests, which commands do not show."""
    latencies = np.array([cycles for each in counters for cycles in each.read_latencies], np.int64)
    return replace(
        counts,
        reads=sum(each.reads for each in counters),
        writes=sum(each.writes for each in counters),
        forwarded=sum(each.forwarded for each in counters),
        coalesced=sum(each.coalesced for each in counters),
        row_states=np.sum([each.row_states for each in counters], axis=0),
        read_latency_sum=int(latencies.sum()),
        read_latency_max=int(latencies.max(initial=0)),
        read_latency_histogram=np.bincount(
            np.minimum(latencies, LATENCY_BINS - 1), minlength=LATENCY_BINS
        ),
    )


class _Reads:
    """Exposures of reads, and commands by tensor, collected from the commands of each channel."""

    def __init__(self, memory: Memory, begins: Sequence[int], tensors: int) -> None:
        self.plan = memory.system.plan
        self.begins = begins
        self.points = [self.plan.cell_point_at(epoch) for epoch in range(len(begins) + 1)]
        shape = (len(begins) + 1, *self.points[0].shape, EXPOSURE_BINS)
        self.by_epoch = np.zeros(shape, np.int64)
        self.by_tensor = np.zeros((tensors, EXPOSURE_BINS), np.int64)
        self.by_bank = np.zeros(
            (len(memory.channels), len(memory.channels[0].banks), EXPOSURE_BINS), np.int64
        )
        self.numbers = {
            name: np.zeros((tensors + 1, len(self.plan.points)), np.int64)
            for name in ("reads", "writes", "activations", "closings")
        }
        for number, channel in enumerate(memory.channels):
            self._add_channel(number, channel)

    def _add_channel(self, number: int, channel: Channel) -> None:
        banks = {target[:3]: bank for bank, target in enumerate(channel.banks)}
        opened: dict[int, tuple[int, int, int]] = {}  # clock, cell and tensor of a bank's row
        ranges = self.plan.ranges_of(number)
        tensors = len(self.by_tensor)
        for issued in channel.issued:
            if issued.command != Command.ACT and issued.command not in COLUMN_COMMANDS:
                continue
            bank = banks[issued.target[:3]]
            tensor = issued.tensor if 0 <= issued.tensor < tensors else tensors
            if issued.command == Command.ACT:
                row = issued.target.row
                in_range = [
                    len(banks) + index
                    for index, rows in enumerate(ranges)
                    if rows.bank == bank and rows.first <= row <= rows.last
                ]
                opened[bank] = (issued.clock, (*in_range, bank)[0], tensor)
            opened_at, cell, _ = opened[bank]
            epoch = bisect_right(self.begins, issued.clock)
            point = self.points[epoch][number, cell]
            if issued.command == Command.ACT:
                self.numbers["activations"][tensor, point] += 1
            else:
                is_read = issued.command in READS
                self.numbers["reads" if is_read else "writes"][tensor, point] += 1
                if is_read:
                    cycles = min(issued.clock - opened_at, EXPOSURE_BINS - 1)
                    self.by_epoch[epoch, number, cell, cycles] += 1
                    self.by_bank[number, bank, cycles] += 1
                    if tensor < tensors:
                        self.by_tensor[tensor, cycles] += 1
        for bank, open_row in enumerate(channel.open_row):
            if open_row is not None:
                _, cell, tensor = opened[bank]
                self.numbers["closings"][tensor, self.points[-1][number, cell]] -= 1

    def exposure(self) -> Exposure:
        """Return the exposures of the whole run."""
        return Exposure(self.by_bank, self.by_tensor, self.by_epoch.sum(axis=0))

    def tensor_counts(self) -> TensorCounts:
        """Return the commands by tensor: every row is closed, except those still open."""
        closings = self.numbers["closings"] + self.numbers["activations"]
        return TensorCounts(**{**self.numbers, "closings": closings})
