"""Place the weak cells of a module, and make the tables that kernels/cells/weak_cells.py reads.

Byte b of an access (64 bytes on a 64-bit bus) is transferred in beat b // (channel_width / 8), on
the wires from 8 * (b % (channel_width / 8)) upwards. A wire belongs to chip wire // device_width.
Bit i of a row, all chips together, belongs to access i // bits per access. Each combination of
chip, access, beat and wire of the chip is one bitline of a bank, the same for all rows.
"""

import decimal
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.models import CLASSES, CellDistribution, line_factors
from edensim.dram.address import AddressMap
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Organization
from edensim.exceptions import ConfigError
from edensim.kernels.cells import weak_cells as core

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

#: Logarithms of the bits of the smallest and the largest row for which the hash has fields.
ROW_BITS: Final = (12, 17)
#: A rate beyond which every cell is weak.
ALL_WEAK: Final = 60.0


@dataclass(frozen=True)
class Geometry:
    """How addresses map to rows and positions in them; `geometry_of` makes it.

    A row's number >> `bank_shift` is the number of its bank, whose bit fields are channel, rank,
    bank group and bank. The arrays are those of kernels/cells/bit_flips.py: `columns` has a value
    per access of a row, `origins` and `numbers` one per row of a window, `contributions` one per
    address bit.
    """

    organization: Organization
    channels: int
    mapping: AddressMap
    row_bits: int
    access_bits: int
    window_bits: int
    bank_shift: int
    run_bits: int
    columns: Words
    origins: Words
    numbers: Words
    contributions: Words

    @property
    def banks(self) -> int:
        """Number of banks of all channels."""
        return self.channels * self.organization.banks_per_channel

    def row_numbers(
        self, bank: int, rows: Sequence[int] | NDArray[np.integer[Any]] | slice = slice(None)
    ) -> Words:
        """Return the numbers of rows of a bank, counted through all channels."""
        inside = np.arange(self.organization.rows, dtype=np.uint64)[rows]
        return np.asarray(inside | np.uint64(bank << self.bank_shift))


def geometry_of(memory: MemorySystem) -> Geometry:
    """Return the geometry of a memory.

    Raises
    ------
    ConfigError
        If the address mapping does not fit the organization, or rows are too small or too large.
    """
    organization, address = memory.organization, memory.address_map
    row_bits = (organization.bursts_per_row * organization.access_bytes * 8).bit_length() - 1
    if not ROW_BITS[0] <= row_bits <= ROW_BITS[1]:
        raise ConfigError(
            f"{organization.name}: rows have {1 << row_bits} bits; expected 2^{ROW_BITS[0]} to "
            f"2^{ROW_BITS[1]} bits, for which weak cells can be placed"
        )
    size = address.capacity_bytes.bit_length() - 1
    contributions = _numbers(
        address, 1 << np.arange(address.offset_bits, size, dtype=np.int64), organization
    )
    contributions = np.concatenate([np.zeros(address.offset_bits, np.uint64), contributions])
    zeros = np.zeros(organization.bursts_per_row, dtype=np.int64)
    columns = address.encode(zeros, zeros, zeros, zeros, zeros, np.arange(len(zeros)))
    # What is left of an address without the bits that are only the column is its row's origin.
    column_bits = sum(
        ((1 << part.width) - 1) << part.address_bit
        for part in address.slices
        if part.field == "column"
    )
    window_bits = max(int(np.bitwise_or.reduce(columns)).bit_length(), address.offset_bits)
    free = [bit for bit in range(address.offset_bits, window_bits) if not column_bits >> bit & 1]
    origins = np.zeros(1 << len(free), dtype=np.int64)
    for index, bit in enumerate(free):
        origins |= (np.arange(len(origins)) >> index & 1) << bit
    return Geometry(
        organization=organization,
        channels=memory.channels,
        mapping=address,
        row_bits=row_bits,
        access_bits=address.offset_bits,
        window_bits=window_bits,
        bank_shift=organization.rows.bit_length() - 1,
        run_bits=_run_bits(columns, address.offset_bits),
        columns=columns.astype(np.uint64),
        origins=origins.astype(np.uint64),
        numbers=_numbers(address, origins, organization),
        contributions=contributions,
    )


def _run_bits(columns: NDArray[np.int64], access_bits: int) -> int:
    """Return the logarithm of the bytes of a row that are also neighbours by address."""
    run = 0
    while 1 << run < len(columns) and columns[1 << run] == 1 << (run + access_bits):
        run += 1
    return run + access_bits


def _numbers(
    address: AddressMap, addresses: NDArray[np.int64], organization: Organization
) -> Words:
    """Return the numbers of the rows that hold addresses."""
    fields = address.decode(addresses)
    number = fields["channel"]
    for field, size in (
        ("rank", organization.ranks),
        ("bankgroup", organization.bankgroups),
        ("bank", organization.banks),
        ("row", organization.rows),
    ):
        number = number * size + fields[field]
    return number.astype(np.uint64)


@dataclass(frozen=True)
class CellTables:
    """Distributions of weak cells as the arrays of `kernels.cells.weak_cells.Tables`.

    Each partition has `line_classes` distributions, one after the other. `bitlines` and `wordlines`
    are 256 if they differ under any distribution, else 1. The shapes are: `limits` [distributions,
    256], `dense` [distributions, wordlines, bitlines] (empty if no rate goes so far), `failures`
    [distributions, FAILURE_SIZE] and `guide` [partitions, 8192], all flattened.
    """

    partitions: NDArray[np.int64]
    line_classes: int
    bitlines: int
    wordlines: int
    limits: Words
    dense: Words
    failures: Words
    guide: Bytes
    poisson: Words


def cell_tables(
    geometry: Geometry,
    distributions: Sequence[Sequence[CellDistribution]],
    rows: Mapping[int, Sequence[tuple[int, int]]] | None = None,
) -> CellTables:
    """Make the tables of distributions, which are spans by partition and class of lines.

    Parameters
    ----------
    geometry
        Geometry of the memory.
    distributions
        Distributions of each partition, one for each class of lines.
    rows
        By bank, counted through all channels: pairs of end row and partition in ascending order,
        with partition -1 for rows without errors. None means partition 0 everywhere.

    Raises
    ------
    ConfigError
        If the distributions of one partition have bitlines or wordlines of different spread: a
        line keeps its place whatever the operating point.
    """
    classes = len(distributions[0])
    for partition in distributions:
        if (
            len(
                {
                    (distribution.bitline_spread, distribution.wordline_spread)
                    for distribution in partition
                }
            )
            > 1
            or len(partition) != classes
        ):
            raise ConfigError(
                "error model: the models of a partition at several operating points differ in how "
                "lines differ; expected models that differ in P and F only"
            )
    flat = [distribution for partition in distributions for distribution in partition]
    bitlines = CLASSES if any(distribution.bitline_spread for distribution in flat) else 1
    wordlines = CLASSES if any(distribution.wordline_spread for distribution in flat) else 1
    limits = np.array([_limits(distribution) for distribution in flat], dtype=np.uint64)
    far = bool((limits > 1 << core.SPARSE_END_BITS).any())
    dense = (
        [_dense(distribution, wordlines, bitlines).ravel() for distribution in flat] if far else []
    )
    return CellTables(
        partitions=_partition_list(geometry, rows),
        line_classes=classes,
        bitlines=bitlines,
        wordlines=wordlines,
        limits=limits.ravel(),
        dense=np.concatenate(dense) if far else np.zeros(0, np.uint64),
        failures=np.concatenate([_failures(distribution) for distribution in flat]),
        guide=np.concatenate([_guide(partition[0].bitline_spread) for partition in distributions])
        if bitlines > 1
        else np.zeros(0, np.uint8),
        poisson=poisson_tables(geometry.row_bits),
    )


def _partition_list(
    geometry: Geometry, rows: Mapping[int, Sequence[tuple[int, int]]] | None
) -> NDArray[np.int64]:
    end = geometry.organization.rows
    heads: list[int] = []
    entries: list[int] = []
    for bank in range(geometry.banks):
        heads.append(geometry.banks + len(entries))
        spans = [*(rows.get(bank, ()) if rows is not None else ((end, 0),)), (end, -1)]
        entries += [number for pair in spans for number in pair]
    return np.array(heads + entries, dtype=np.int64)


def _limits(distribution: CellDistribution) -> list[int]:
    rate = distribution.rate()
    factors = (
        line_factors(distribution.wordline_spread)
        if distribution.wordline_spread
        else np.ones(CLASSES)
    )
    largest = ALL_WEAK * 2.0**core.RATE_BITS
    return [
        round(min(rate * float(factor) * 2.0**core.RATE_BITS, largest))
        if rate < math.inf
        else round(largest)
        for factor in factors
    ]


def _dense(distribution: CellDistribution, wordlines: int, bitlines: int) -> Words:
    """Return the chance that a cell is weak beyond SPARSE_END, as a 32-bit fraction.

    The shape is [wordlines, bitlines].
    """
    beyond = np.array(
        _limits(distribution)[:wordlines], dtype=np.float64
    ) / 2.0**core.RATE_BITS - 2.0 ** (core.SPARSE_END_BITS - core.RATE_BITS)
    exponent = np.outer(
        np.maximum(beyond, 0.0),
        line_factors(distribution.bitline_spread) if bitlines > 1 else np.ones(1),
    )
    if distribution.weak_fraction >= 1:
        exponent[:] = ALL_WEAK
    return np.asarray(np.rint(-np.expm1(-exponent) * 2.0**32).astype(np.uint64))


def _failures(distribution: CellDistribution) -> Words:
    """Return the chances F of the weakest line, for zeros and ones, and the step between lines.

    They are 32-bit fractions, and there are 256 labels of lines.
    """
    step = round(2 * distribution.failure_spread * 2**32 / CLASSES)
    lowest = [
        round(failure * 2**32 - step * (CLASSES - 1) / 2)
        for failure in (distribution.failure_of_zeros, distribution.failure_of_ones)
    ]
    by_bitline = int(
        distribution.failure_spread > 0
        and distribution.bitline_spread > 0
        and distribution.wordline_spread == 0
    )
    return np.array([max(lowest[0], 0), max(lowest[1], 0), step, by_bitline], dtype=np.uint64)


def _guide(spread: float) -> Bytes:
    """List the classes of bitlines, each as often as its share of the weak cells.

    All are 0 if bitlines do not differ.
    """
    if not spread:
        return np.zeros(core.GUIDE, np.uint8)
    shares = np.rint(line_factors(spread) * (core.GUIDE // CLASSES)).astype(np.int64)
    return np.repeat(np.arange(CLASSES, dtype=np.uint8), shares)


@functools.lru_cache(maxsize=8)
def poisson_tables(row_bits: int) -> Words:
    """Make the tables of `points_in` for all widths of strips.

    Decimal arithmetic gives the same numbers on every machine.
    """
    widths = [-16, *range(-16, -16 + core.DOUBLINGS), -10]
    words: list[int] = []
    starts: list[int] = []
    with decimal.localcontext() as context:
        context.prec = 60
        for width in widths:
            starts.append(len(widths) + len(words))
            cumulative = _cumulative(decimal.Decimal(2) ** (row_bits + width))
            guide = []
            index = 0
            for top in range(CLASSES):
                while top << 56 >= cumulative[index]:
                    index += 1
                guide.append(index)
            words += guide + cumulative
    return np.array(starts + words, dtype=np.uint64)


def _cumulative(mean: decimal.Decimal) -> list[int]:
    """Return cumulative Poisson probabilities as 64-bit fractions.

    The last has all bits set, so that only one hash reaches it.
    """
    term = (-mean).exp()
    total = term
    values: list[int] = []
    count = 0
    while (value := int(total * 2**64)) < 2**64 - 1:
        values.append(value)
        count += 1
        term = term * mean / count
        total += term
        if count > mean and term * 2**64 < 1:
            break
    return [*values, 2**64 - 1, 2**64 - 1]


def scratch(geometry: Geometry, by_line: bool) -> tuple[Words, NDArray[np.int64], Words, Bytes]:
    """Make the arrays that a kernel works in: places, excess, rates and mask."""
    room = 3 << geometry.row_bits
    return (
        np.empty(room, np.uint64),
        np.empty(room, np.int64),
        np.empty(room if by_line else 0, np.uint64),
        np.zeros(2 << (geometry.row_bits - 3), np.uint8),
    )


def shape_of(
    geometry: Geometry, tables: CellTables, *, seed: int, base: int = 0, access: int = 0
) -> NDArray[np.int64]:
    """Return the `shape` array of kernels/cells/weak_cells.py."""
    shape = np.zeros(core.SHAPE_SIZE, dtype=np.int64)
    shape[core.BASE], shape[core.ACCESS] = base, access
    shape[core.SEED] = np.uint64(seed & (2**64 - 1)).astype(np.int64)
    shape[core.ROW_BITS], shape[core.ACCESS_BITS], shape[core.WINDOW_BITS] = (
        geometry.row_bits,
        geometry.access_bits,
        geometry.window_bits,
    )
    shape[core.WORDLINES] = tables.wordlines
    shape[core.RUN_BITS] = geometry.run_bits
    shape[core.BANK_SHIFT], shape[core.BITLINES], shape[core.LINE_CLASSES] = (
        geometry.bank_shift,
        tables.bitlines,
        tables.line_classes,
    )
    return shape


def weak_cells(
    geometry: Geometry, tables: CellTables, seed: int, numbers: Words
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Yield weak cells of rows in chunks: index of the row in `numbers`, position in the row."""
    shape = shape_of(geometry, tables, seed=seed)
    places, _, _, mask = scratch(geometry, by_line=False)
    positions = np.empty(max(1 << 20, 3 << geometry.row_bits), dtype=np.int32)
    done = 0
    while done < len(numbers):
        rest = numbers[done : done + 65536]
        ends = np.zeros(len(rest), dtype=np.int64)
        with np.errstate(over="ignore"):
            rows = core.list_weak(
                rest,
                shape,
                tables.partitions,
                tables.limits,
                tables.dense,
                tables.guide,
                tables.poisson,
                places,
                rest[:0],
                mask,
                ends,
                positions,
            )
        counts = np.diff(ends[:rows], prepend=0)
        yield done + np.repeat(np.arange(rows), counts), positions[: int(counts.sum())].copy()
        done += rows
