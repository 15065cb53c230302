"""Count the wrong bits of the reads of a run, by tensor.

They depend on the weak cells under a tensor and on how soon its reads come after the ACT of their
row. Each RD of the run is an access of its own, numbered by its clock, and draws its own failures.
A run without data does not know what is stored, so a cell holds 1 with the chance that
`energy.ones_fraction` gives. Reads that the write queue answers never reach the cells, and are not
counted.
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
    """A monitor of a run's commands that counts wrong bits.

    Attributes
    ----------
    plan
        The error models of the memory.
    cuts
        Addresses at which a tensor may begin or end, in ascending order.
    ones_fraction
        Fraction of the stored bits that are 1.
    """

    plan: ErrorPlan
    cuts: Ints
    ones_fraction: float = 0.5
    _epoch: int = field(init=False, repr=False, default=0)
    _activated: Ints = field(init=False, repr=False)
    _pieces: list[tuple[int, Ints, Ints, Ints]] = field(
        init=False, repr=False, default_factory=list
    )
    _by_interval: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._activated = np.zeros(self.plan.geometry.banks, np.int64)
        self._by_interval = np.zeros((LONGEST_INTERVAL + 1, 2), np.int64)

    def watch(self, commands: Records) -> None:
        """Count the wrong bits of the reads among commands, which follow those of the last call."""
        if len(commands) == 0:
            return
        changes = self.plan.memory.plan.changes
        while self._epoch < len(changes) and commands["clock"][0] >= changes[self._epoch].at_cycle:
            # The engine passes on what it has before it changes the operating point.
            self._epoch += 1
        numbers, columns, intervals, clocks = self._reads(commands)
        wrong = self._wrong_bits(numbers, columns, intervals, clocks)
        np.add.at(
            self._by_interval,
            intervals,
            np.stack([np.ones(len(wrong), np.int64), wrong.astype(np.int64)], axis=1),
        )
        segment = np.searchsorted(self.cuts, self._addresses(numbers, columns), "right")
        segments, at = np.unique(segment, return_inverse=True)
        reads = np.bincount(at, minlength=len(segments)).astype(np.int64)
        flips = np.bincount(at, weights=wrong, minlength=len(segments)).astype(np.int64)
        self._pieces.append((int(commands["clock"][-1]), segments.astype(np.int64), reads, flips))

    def _reads(
        self, commands: Records
    ) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.uint8], Ints]:
        """Return row number, column, interval and clock of the reads, those of one row together."""
        organization, count = self.plan.geometry.organization, len(commands)
        memory = np.array(
            [organization.ranks, organization.bankgroups, organization.banks, LONGEST_INTERVAL],
            np.int64,
        )
        numbers, columns = np.empty(count, np.uint64), np.empty(count, np.int32)
        intervals, clocks = np.empty(count, np.uint8), np.empty(count, np.int64)
        shape = shape_of(self.plan.geometry, self.plan.injector.tables, seed=0)
        size = read_errors.reads_of(
            np.ascontiguousarray(commands),
            memory,
            shape,
            self._activated,
            numbers,
            columns,
            intervals,
            clocks,
        )
        order = np.argsort(numbers[:size], kind="stable")
        return numbers[order], columns[order], intervals[order], clocks[order]

    def _wrong_bits(
        self,
        numbers: NDArray[np.uint64],
        columns: NDArray[np.int32],
        intervals: NDArray[np.uint8],
        clocks: Ints,
    ) -> NDArray[np.int32]:
        """Return the number of wrong bits of each read."""
        placed = self.plan.epochs[self._epoch]
        geometry, tables = placed.geometry, placed.tables
        wrong = np.zeros(len(numbers), np.int32)
        if len(numbers) == 0:
            return wrong
        by_line = tables.line_classes > 1
        places, following, rates, mask = scratch(geometry, by_line)
        with np.errstate(over="ignore"):
            read_errors.flip_reads(
                numbers, columns, intervals if by_line else np.zeros_like(intervals), clocks,
                round(self.ones_fraction * 2**32), shape_of(geometry, tables, seed=placed.seed),
                tables.partitions, tables.limits, tables.dense, tables.guide, tables.failures,
                tables.poisson, places, rates, mask,
                np.empty(geometry.organization.bursts_per_row, np.int64), following,
                np.empty_like(following), wrong,
            )  # fmt: skip
        return wrong

    def _addresses(self, numbers: NDArray[np.uint64], columns: NDArray[np.int32]) -> Ints:
        """Return the byte addresses of reads."""
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
        """Return the `bit_errors` section of a result.

        It has reads, bits read, flips and BER of all reads, of each tensor that was read (if
        `tensors` says which addresses are whose), and under `elapsed` of each ACT-to-RD interval
        in cycles at which bits were wrong.
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
        section: dict[str, Any] = {
            **_rates(int(counts[:, 0].sum()), int(counts[:, 1].sum()), bits_per_read),
            **self.plan.notes,
        }
        if self.plan.exposure == "elapsed":
            section["by_interval_cycles"] = {
                str(cycles): _rates(int(counts[cycles, 0]), int(counts[cycles, 1]), bits_per_read)
                for cycles in np.flatnonzero(counts[:, 1]).tolist()
            }
        if tensors is not None:
            section["by_tensor"] = {
                name: _rates(reads, wrong, bits_per_read)
                for name, (reads, wrong) in by_tensor.items()
            }
        return section


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
    """The bytes of a tensor, and the layers in which they belong to it.

    They begin with the access that holds the first byte.
    """

    name: str
    address: int
    end: int
    first_layer: int = 0
    last_layer: int = 1 << 62


@dataclass(frozen=True)
class Tensors:
    """The tensors that the addresses between cuts belong to.

    Feature maps may share memory one after the other, so the layer of a read decides, which
    follows from its clock: `ends` has the clock at which each layer ended, with the layer.
    """

    cuts: Ints
    spans: tuple[Span, ...]
    ends: tuple[tuple[int, int], ...] = ()

    def name_at(self, segment: int, clock: int) -> str:
        """Return the tensor of the bytes before cut number `segment`.

        They were read in a chunk of commands that ended at `clock`.
        """
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
    """Make the spans of tensors that do not share memory, from name, first address and end."""
    return tuple(
        Span(name, first // access_bytes * access_bytes, end) for name, first, end in ranges
    )


def cuts_of(spans: Sequence[Span], access_bytes: int) -> Ints:
    """Return the addresses of accesses at which spans begin or end."""
    edges = {
        edge
        for span in spans
        for edge in (span.address, -(-span.end // access_bytes) * access_bytes)
    }
    return np.array(sorted(edges), np.int64)


def ranges_of_requests(chunks: Iterable[Records]) -> list[tuple[str, int, int]]:
    """Return name, lowest address and end of the tensors that requests name, by number."""
    ranges: dict[int, tuple[int, int]] = {}
    for chunk in chunks:
        for tensor in np.unique(chunk["tensor"]).tolist():
            if tensor >= 0:
                addresses = chunk["address"][chunk["tensor"] == tensor]
                low, high = ranges.get(tensor, (1 << 62, 0))
                ranges[tensor] = (
                    min(low, int(addresses.min())),
                    max(high, int(addresses.max()) + 1),
                )
    return [(str(tensor), *ranges[tensor]) for tensor in sorted(ranges)]
