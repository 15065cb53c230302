"""What a run's reads really saw: wrong bits of each tensor, by the weak cells under it and by how soon after their row's ACT its reads came.

Each RD of the run is one access (numbered by its clock), so each draws its own failures. What is stored is not known to a run without data: a cell
holds 1 with the chance that `energy.ones_fraction` says. Reads answered from the write queue never reach the cells and count nowhere here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.cells import scratch, shape_of
from edensim.bit_errors.plan import LONGEST_INTERVAL, ErrorPlan
from edensim.kernels.cells import read_errors
from edensim.vocabulary import NO_TENSOR

Records = NDArray[Any]
Ints = NDArray[np.int64]


@dataclass
class ReadErrors:
    """Watches the commands of a run, chunk by chunk (`watch`), and says what came of them (`summary`).

    cuts: addresses at which what is read may change its tensor, ascending. ones_fraction: of the stored bits.
    """

    plan: ErrorPlan
    cuts: Ints
    ones_fraction: float = 0.5
    _stage: int = field(init=False, repr=False, default=0)
    _activated: Ints = field(init=False, repr=False)
    _pieces: list[tuple[int, Ints, Ints, Ints]] = field(
        init=False, repr=False, default_factory=list
    )
    _by_interval: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._activated = np.zeros(self.plan.geometry.banks, np.int64)
        self._by_interval = np.zeros((LONGEST_INTERVAL + 1, 2), np.int64)

    def watch(self, commands: Records) -> None:
        """Count the wrong bits of the reads among some commands, which follow those of the last call."""
        if len(commands) == 0:
            return
        changes = self.plan.memory.plan.changes
        while self._stage < len(changes) and commands["clock"][0] >= changes[self._stage].at_cycle:
            self._stage += 1  # the engine hands out what it has before it changes the point
        numbers, columns, intervals, clocks = self._reads(commands)
        wrong = self._wrong_bits(numbers, columns, intervals, clocks)
        np.add.at(
            self._by_interval,
            intervals,
            np.stack([np.ones(len(wrong), np.int64), wrong.astype(np.int64)], axis=1),
        )
        segment = np.searchsorted(self.cuts, self._addresses(numbers, columns), "right")
        own, at = np.unique(segment, return_inverse=True)
        reads = np.bincount(at, minlength=len(own)).astype(np.int64)
        flips = np.bincount(at, weights=wrong, minlength=len(own)).astype(np.int64)
        self._pieces.append((int(commands["clock"][-1]), own.astype(np.int64), reads, flips))

    def _reads(
        self, commands: Records
    ) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.uint8], Ints]:
        """Row number, column, interval and clock of the reads among commands; reads of one row together."""
        organization, count = self.plan.geometry.organization, len(commands)
        memory = np.array(
            [organization.ranks, organization.bankgroups, organization.banks, LONGEST_INTERVAL],
            np.int64,
        )
        numbers, columns = np.empty(count, np.uint64), np.empty(count, np.int32)
        intervals, clocks = np.empty(count, np.uint8), np.empty(count, np.int64)
        shape = shape_of(self.plan.geometry, self.plan.injector.tables, seed=0)
        found = read_errors.reads_of(
            np.ascontiguousarray(commands),
            memory,
            shape,
            self._activated,
            numbers,
            columns,
            intervals,
            clocks,
        )
        order = np.argsort(numbers[:found], kind="stable")
        return numbers[order], columns[order], intervals[order], clocks[order]

    def _wrong_bits(
        self,
        numbers: NDArray[np.uint64],
        columns: NDArray[np.int32],
        intervals: NDArray[np.uint8],
        clocks: Ints,
    ) -> NDArray[np.int32]:
        """Wrong bits of each read."""
        placed = self.plan.stages[self._stage]
        geometry, tables = placed.geometry, placed.tables
        wrong = np.zeros(len(numbers), np.int32)
        if len(numbers) == 0:
            return wrong
        by_line = tables.line_classes > 1
        found, following, rates, mask = scratch(geometry, by_line)
        with np.errstate(over="ignore"):
            read_errors.flip_reads(
                numbers, columns, intervals if by_line else np.zeros_like(intervals), clocks, round(self.ones_fraction * 2**32),
                shape_of(geometry, tables, seed=placed.seed), tables.partitions, tables.limits, tables.dense, tables.guide,
                tables.failures, tables.poisson, found, rates, mask,
                np.empty(geometry.organization.bursts_per_row, np.int64), following, np.empty_like(following), wrong,
            )  # fmt: skip
        return wrong

    def _addresses(self, numbers: NDArray[np.uint64], columns: NDArray[np.int32]) -> Ints:
        """Byte addresses of reads."""
        geometry = self.plan.geometry
        organization = geometry.organization
        rest = numbers.astype(np.int64)
        row = rest & (organization.rows - 1)
        rest >>= geometry.bank_shift
        rest, bank = np.divmod(rest, organization.banks)
        rest, group = np.divmod(rest, organization.bankgroups)
        channel, rank = np.divmod(rest, organization.ranks)
        return geometry.mapping.encode(channel, rank, group, bank, row, columns)

    def summary(self, tensors: Tensors | None = None) -> dict[str, Any]:
        """The `bit_errors` section of a result: reads, bits read, flips and BER, of all, by tensor (those that were read), and
        under `elapsed` by interval in cycles (those at which bits were wrong).

        tensors: whose the addresses are; None: nobody's.
        """
        bits_per_read = self.plan.geometry.organization.access_bytes * 8
        by_tensor: dict[str, list[int]] = {}
        for clock, segments, reads, flips in self._pieces:
            for segment, count, wrong in zip(
                segments.tolist(), reads.tolist(), flips.tolist(), strict=True
            ):
                name = NO_TENSOR if tensors is None else tensors.name_at(segment, clock)
                total = by_tensor.setdefault(name, [0, 0])
                total[0] += count
                total[1] += wrong
        counts = self._by_interval
        told: dict[str, Any] = {
            **_rates(int(counts[:, 0].sum()), int(counts[:, 1].sum()), bits_per_read),
            **self.plan.notes,
        }
        if self.plan.exposure == "elapsed":
            told["by_interval_cycles"] = {
                str(cycles): _rates(int(counts[cycles, 0]), int(counts[cycles, 1]), bits_per_read)
                for cycles in np.flatnonzero(counts[:, 1]).tolist()
            }
        if tensors is not None:
            told["by_tensor"] = {
                name: _rates(reads, wrong, bits_per_read)
                for name, (reads, wrong) in by_tensor.items()
            }
        return told


def _rates(reads: int, flips: int, bits_per_read: int) -> dict[str, Any]:
    bits_read = reads * bits_per_read
    return {
        "reads": reads,
        "bits_read": bits_read,
        "flips": flips,
        "ber": flips / bits_read if bits_read else 0.0,
    }


@dataclass(frozen=True)
class Span:
    """A tensor's bytes, from the start of the access that holds the first, and the layers in which they are its."""

    name: str
    address: int
    end: int
    first_layer: int = 0
    last_layer: int = 1 << 62


@dataclass(frozen=True)
class Tensors:
    """Whose the addresses between cuts are. Features may share memory one after the other: the layer of a read, told by its clock, decides.

    ends: (clock, layer) at which each layer ended, in order.
    """

    cuts: Ints
    spans: tuple[Span, ...]
    ends: tuple[tuple[int, int], ...] = ()

    def name_at(self, segment: int, clock: int) -> str:
        """Tensor of the bytes before cut number `segment` that were read in a chunk of commands that ended at `clock`."""
        if segment == 0:
            return NO_TENSOR
        address = int(self.cuts[segment - 1])
        owners = [span for span in self.spans if span.address <= address < span.end]
        if len(owners) > 1:
            layer = next(
                (layer for end, layer in self.ends if clock <= end),
                self.ends[-1][1] if self.ends else 0,
            )
            owners = [
                span for span in owners if span.first_layer <= layer <= span.last_layer
            ] or owners
        return "+".join(span.name for span in owners) or NO_TENSOR


def spans_of(ranges: Iterable[tuple[str, int, int]], access_bytes: int) -> tuple[Span, ...]:
    """Spans of (name, first address, end) of tensors that do not share memory."""
    return tuple(
        Span(name, first // access_bytes * access_bytes, end) for name, first, end in ranges
    )


def cuts_of(spans: Sequence[Span], access_bytes: int) -> Ints:
    """Addresses of accesses at which spans begin or end."""
    edges = {
        edge
        for span in spans
        for edge in (span.address, -(-span.end // access_bytes) * access_bytes)
    }
    return np.array(sorted(edges), np.int64)


def ranges_of_requests(chunks: Iterable[Records]) -> list[tuple[str, int, int]]:
    """(name, lowest address, end) of the tensors that requests name, by number."""
    ranges: dict[int, tuple[int, int]] = {}
    for chunk in chunks:
        for tensor in np.unique(chunk["tensor"]).tolist():
            if tensor >= 0:
                own = chunk["address"][chunk["tensor"] == tensor]
                low, high = ranges.get(tensor, (1 << 62, 0))
                ranges[tensor] = (min(low, int(own.min())), max(high, int(own.max()) + 1))
    return [(str(tensor), *ranges[tensor]) for tensor in sorted(ranges)]
