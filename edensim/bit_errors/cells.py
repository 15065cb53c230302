"""Where the weak cells of a module are: geometry, and error models as the tables that kernels/cells/weak_cells.py reads.

Bits of an access: byte b of an access (64 bytes on a 64-bit bus) is beat b // (channel_width / 8), and its bits are the wires
8 * (b % (channel_width / 8)) upwards; a wire belongs to chip wire // device_width. So bit i of a row, all chips together, is access i // access bits,
then as said; each (chip, access, beat, wire of the chip) is one bitline of a bank, the same for all rows. `place_of` says it in numbers.
"""

from __future__ import annotations

import decimal
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.models import CLASSES, CellLaw, line_factors
from edensim.dram.address import AddressMap
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Organization
from edensim.exceptions import ConfigError
from edensim.kernels.cells import weak_cells as core

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

#: Logarithms of the smallest and largest row that the hash's fields serve.
ROW_BITS: Final = (12, 17)
#: A rate beyond which every cell is weak.
ALL_WEAK: Final = 60.0


@dataclass(frozen=True)
class Geometry:
    """How addresses are rows and positions, as kernels/cells/weak_cells.py takes it. Made by `geometry_of`.

    columns [accesses of a row], origins and numbers [rows of a window], contributions [address bits]: see kernels/cells/bit_flips.py.
    bank_shift: row number >> bank_shift is the bank's, (channel, rank, bank group, bank) as bit fields.
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
        """Banks of all channels."""
        return self.channels * self.organization.banks_per_channel

    def row_numbers(
        self, bank: int, rows: Sequence[int] | NDArray[np.integer[Any]] | slice = slice(None)
    ) -> Words:
        """Numbers of rows of a flat bank (channel * banks per channel + bank in the channel)."""
        inside = np.arange(self.organization.rows, dtype=np.uint64)[rows]
        return np.asarray(inside | np.uint64(bank << self.bank_shift))


def geometry_of(memory: MemorySystem) -> Geometry:
    """Geometry of a memory. Raises ConfigError for a mapping that does not fit and for rows of sizes that weak cells are not placed in."""
    organization, address = memory.organization, memory.address_map
    row_bits = (organization.bursts_per_row * organization.access_bytes * 8).bit_length() - 1
    if not ROW_BITS[0] <= row_bits <= ROW_BITS[1]:
        raise ConfigError(
            f"{organization.name}: rows of {1 << row_bits} bits: weak cells are placed in rows of 2^{ROW_BITS[0]} to 2^{ROW_BITS[1]} bits"
        )
    size = address.capacity_bytes.bit_length() - 1
    contributions = _numbers(
        address, 1 << np.arange(address.offset_bits, size, dtype=np.int64), organization
    )
    contributions = np.concatenate([np.zeros(address.offset_bits, np.uint64), contributions])
    zeros = np.zeros(organization.bursts_per_row, dtype=np.int64)
    columns = address.encode(zeros, zeros, zeros, zeros, zeros, np.arange(len(zeros)))
    own = _column_bits(
        address
    )  # the bits that are the column and nothing else: what is left of an address without them is its row's origin
    window_bits = max(int(np.bitwise_or.reduce(columns)).bit_length(), address.offset_bits)
    free = [bit for bit in range(address.offset_bits, window_bits) if not own >> bit & 1]
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
    """Logarithm of the bytes of a row that are neighbours in the address space too."""
    run = 0
    while 1 << run < len(columns) and columns[1 << run] == 1 << (run + access_bits):
        run += 1
    return run + access_bits


def _column_bits(address: AddressMap) -> int:
    return sum(
        ((1 << part.width) - 1) << part.address_bit
        for part in address.slices
        if part.field == "column"
    )


def _numbers(
    address: AddressMap, addresses: NDArray[np.int64], organization: Organization
) -> Words:
    """Row numbers of addresses."""
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


def place_of(
    geometry: Geometry, positions: NDArray[np.integer[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Chip, access (column of bursts), beat and wire of the chip of bit positions in a row (module docstring)."""
    organization = geometry.organization
    positions = np.asarray(positions, dtype=np.int64)
    access, bit = np.divmod(positions, organization.access_bytes * 8)
    beat, wire = np.divmod(bit, organization.channel_width)
    return {
        "chip": wire // organization.device_width,
        "column": access,
        "beat": beat,
        "wire": wire % organization.device_width,
    }


@dataclass(frozen=True)
class CellTables:
    """Laws as kernels/cells/weak_cells.py reads them. partitions: which rows have which (`law_of`); line_classes: laws per partition.

    limits [laws, 256]: rate limit by wordline class. dense [laws, wordlines, bitlines]: chance beyond SPARSE_END; empty where no rate goes so far.
    failures [laws, FAILURE_SIZE]. guide [partitions, 8192] to classes of bitlines. poisson: by strip. bitlines, wordlines: 256 where any law's
    differ, else 1.
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
    laws: Sequence[Sequence[CellLaw]],
    rows: Mapping[int, Sequence[tuple[int, int]]] | None = None,
) -> CellTables:
    """Tables of laws[partition][class of lines].

    rows: by flat bank over all channels, (end row, partition) in ascending order, -1 for rows without errors; None: partition 0 everywhere.

    Raises ConfigError where the laws of one partition differ in the spread of their bitlines or wordlines: a line has one place.
    """
    classes = len(laws[0])
    for partition in laws:
        if (
            len({(law.bitline_spread, law.wordline_spread) for law in partition}) > 1
            or len(partition) != classes
        ):
            raise ConfigError(
                "error model: the models of a partition at several operating points must differ in P and F only"
            )
    flat = [law for partition in laws for law in partition]
    bitlines = CLASSES if any(law.bitline_spread for law in flat) else 1
    wordlines = CLASSES if any(law.wordline_spread for law in flat) else 1
    limits = np.array([_limits(law) for law in flat], dtype=np.uint64)
    far = bool((limits > 1 << core.SPARSE_END_BITS).any())
    dense = [_dense(law, wordlines, bitlines).ravel() for law in flat] if far else []
    return CellTables(
        partitions=_partition_list(geometry, rows),
        line_classes=classes,
        bitlines=bitlines,
        wordlines=wordlines,
        limits=limits.ravel(),
        dense=np.concatenate(dense) if far else np.zeros(0, np.uint64),
        failures=np.concatenate([_failures(law) for law in flat]),
        guide=np.concatenate([_guide(partition[0].bitline_spread) for partition in laws])
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
        given = [*(rows.get(bank, ()) if rows is not None else ((end, 0),)), (end, -1)]
        entries += [number for pair in given for number in pair]
    return np.array(heads + entries, dtype=np.int64)


def _limits(law: CellLaw) -> list[int]:
    rate = law.rate()
    factors = line_factors(law.wordline_spread) if law.wordline_spread else np.ones(CLASSES)
    largest = ALL_WEAK * 2.0**core.RATE_BITS
    return [
        round(min(rate * float(factor) * 2.0**core.RATE_BITS, largest))
        if rate < math.inf
        else round(largest)
        for factor in factors
    ]


def _dense(law: CellLaw, wordlines: int, bitlines: int) -> Words:
    """Chance of a cell of each class to be weak beyond SPARSE_END, as 32-bit fractions [wordlines, bitlines]."""
    beyond = np.array(_limits(law)[:wordlines], dtype=np.float64) / 2.0**core.RATE_BITS - 2.0 ** (
        core.SPARSE_END_BITS - core.RATE_BITS
    )
    exponent = np.outer(
        np.maximum(beyond, 0.0), line_factors(law.bitline_spread) if bitlines > 1 else np.ones(1)
    )
    if law.weak_fraction >= 1:
        exponent[:] = ALL_WEAK
    return np.asarray(np.rint(-np.expm1(-exponent) * 2.0**32).astype(np.uint64))


def _failures(law: CellLaw) -> Words:
    """Chances as 32-bit fractions: lowest of zeros and of ones, step from one to the next of 256 labels of lines."""
    step = round(2 * law.failure_spread * 2**32 / CLASSES)
    lowest = [
        round(failure * 2**32 - step * (CLASSES - 1) / 2)
        for failure in (law.failure_of_zeros, law.failure_of_ones)
    ]
    by_bitline = int(law.failure_spread > 0 and law.bitline_spread > 0 and law.wordline_spread == 0)
    return np.array([max(lowest[0], 0), max(lowest[1], 0), step, by_bitline], dtype=np.uint64)


def _guide(spread: float) -> Bytes:
    """Classes of bitlines, each as often as its share of the weak cells; all zeros where bitlines do not differ."""
    if not spread:
        return np.zeros(core.GUIDE, np.uint8)
    shares = np.rint(line_factors(spread) * (core.GUIDE // CLASSES)).astype(np.int64)
    return np.repeat(np.arange(CLASSES, dtype=np.uint8), shares)


@functools.lru_cache(maxsize=8)
def poisson_tables(row_bits: int) -> Words:
    """Tables of `points_in` for all widths of strips. Decimal arithmetic, so that every machine has the same."""
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
    """Cumulative Poisson probabilities as 64-bit fractions; the last, all ones, cannot be passed but by the one hash that equals it."""
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
    """Arrays that a call works in: found, excess, rates, mask."""
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
    """The `shape` argument of kernels/cells/weak_cells.py."""
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
    """Weak cells of rows (by number), in chunks: (index into `numbers` of each cell's row, its position in the row)."""
    shape = shape_of(geometry, tables, seed=seed)
    found, _, _, mask = scratch(geometry, by_line=False)
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
                found,
                rest[:0],
                mask,
                ends,
                positions,
            )
        counts = np.diff(ends[:rows], prepend=0)
        yield done + np.repeat(np.arange(rows), counts), positions[: int(counts.sum())].copy()
        done += rows
