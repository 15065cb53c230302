"""Count what was wrong in the reads of a test, by point, pattern and bank, by row, and by cell."""

import math
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.injector import ONES_IN_BYTE
from edensim.exceptions import DataError

#: Most cells of a map of bit errors, which takes 128 MiB while it is counted.
MAX_CELLS: Final = 1 << 26
#: Most reads of a cell.
MAX_READS: Final = 65_535


class Point(NamedTuple):
    """Operating point of a read: tRCD in ns, VDD of the module in V (None: nominal)."""

    trcd_ns: float
    vdd_V: float | None

    @property
    def order(self) -> tuple[float, float]:
        """Key by which points are sorted, nominal VDD last."""
        return self.trcd_ns, math.inf if self.vdd_V is None else self.vdd_V


@dataclass
class _Row:
    """Passes over a row.

    The pass under way has `bursts`, a bit for each that was read, and `failed` if a bit was wrong.
    `reads` passes are done, of which `failing` had a wrong bit.
    """

    bursts: int = 0
    failed: bool = False
    reads: int = 0
    failing: int = 0

    def add(self, bursts: int, failed: bool) -> None:
        """Add bursts to the pass under way; a burst that is read again begins another pass."""
        if self.bursts & bursts:
            self.close()
        self.bursts |= bursts
        self.failed |= failed

    def close(self) -> None:
        """End the pass under way."""
        if self.bursts:
            self.reads += 1
            self.failing += self.failed
        self.bursts, self.failed = 0, False


@dataclass
class _Cells:
    """The cells of one row: byte written, reads of each burst, wrong reads of each bit."""

    stored: int
    reads: NDArray[np.int64]
    wrong: NDArray[np.uint16]


@dataclass
class Counters:
    """Counts of the reads of one module.

    Attributes
    ----------
    bank_shift
        A row's number >> this is its bank.
    access_bits
        Bits of a burst.
    by_cell
        Whether each cell is counted too.
    rates
        Wrong bits and bits read, by point, byte and bank.
    """

    bank_shift: int
    access_bits: int
    by_cell: bool = False
    rates: dict[tuple[Point, int, int], NDArray[np.int64]] = field(default_factory=dict)
    _rows: dict[Point, dict[int, _Row]] = field(default_factory=dict, repr=False)
    _cells: dict[int, _Cells] = field(default_factory=dict, repr=False)
    _cell_point: Point | None = None

    def add(
        self,
        point: Point,
        first: int,
        stored: NDArray[np.int16],
        read: NDArray[np.bool_],
        wrong: NDArray[np.uint8],
    ) -> None:
        """Count one pass over the rows from number `first` on.

        The arrays are the stored byte of each row, which bursts were read [rows, bursts], and
        the wrong bits [rows, bytes].
        """
        index = np.flatnonzero(read.any(axis=1))
        errors = ONES_IN_BYTE[wrong[index]].sum(axis=1)
        bits = read[index].sum(axis=1) * self.access_bits
        bank = first >> self.bank_shift
        for byte in np.unique(stored[index]).tolist():
            rows_of_byte = stored[index] == byte
            total = self.rates.setdefault((point, byte, bank), np.zeros(2, np.int64))
            total += (int(errors[rows_of_byte].sum()), int(bits[rows_of_byte].sum()))
        masks = np.packbits(read[index], axis=1)
        rows = self._rows.setdefault(point, {})
        for row, mask, count in zip(index.tolist(), masks, errors.tolist(), strict=True):
            rows.setdefault(first + row, _Row()).add(
                int.from_bytes(mask.tobytes(), "big"), count > 0
            )
        if self.by_cell:
            self._count_cells(point, first, stored, read, wrong, index)

    def _count_cells(
        self,
        point: Point,
        first: int,
        stored: NDArray[np.int16],
        read: NDArray[np.bool_],
        wrong: NDArray[np.uint8],
        index: NDArray[np.int64],
    ) -> None:
        if self._cell_point not in (None, point):
            raise DataError(
                "a map of bit errors holds one operating point; the program reads at "
                f"{_words(self._cell_point)} and at {_words(point)}"
            )
        self._cell_point = point
        for row in index.tolist():
            byte = int(stored[row])
            cells = self._cells.get(first + row)
            if cells is None:
                if (len(self._cells) + 1) * wrong.shape[1] * 8 > MAX_CELLS:
                    raise DataError(
                        f"a map of bit errors holds at most {MAX_CELLS // (8 * wrong.shape[1])} "
                        "rows "
                        "of this module; the program reads more"
                    )
                cells = self._cells[first + row] = _Cells(
                    byte, np.zeros(read.shape[1], np.int64), np.zeros(wrong.shape[1] * 8, np.uint16)
                )
            if cells.stored != byte:
                raise DataError(
                    "a map of bit errors holds one pattern for each row; row "
                    f"{(first + row) & ((1 << self.bank_shift) - 1)} is read with "
                    f"{cells.stored:#04x} and with {byte:#04x}"
                )
            cells.reads += read[row]
            if int(cells.reads.max()) > MAX_READS:
                raise DataError(
                    f"a map of bit errors holds at most {MAX_READS} reads of each cell; the "
                    "program "
                    "reads more"
                )
            if wrong[row].any():
                cells.wrong += np.unpackbits(wrong[row], bitorder="little")

    def row_shares(self) -> dict[Point, dict[int, dict[int, float]]]:
        """Return the share of the passes over a row with a wrong bit, by point, row and bank."""
        shares: dict[Point, dict[int, dict[int, float]]] = {}
        for point, rows in self._rows.items():
            by_row = shares.setdefault(point, {})
            for number in sorted(rows):
                row = rows[number]
                row.close()
                bank, inside = number >> self.bank_shift, number & ((1 << self.bank_shift) - 1)
                by_row.setdefault(inside, {})[bank] = row.failing / row.reads
        return shares

    def bit_map(self) -> dict[str, Any]:
        """Return arrays as `selection.read_map` takes them, with bank, rows and bursts.

        Raises DataError if the reads do not make a map.
        """
        numbers = sorted(self._cells)
        banks = {number >> self.bank_shift for number in numbers}
        if len(banks) != 1:
            raise DataError(
                "a map of bit errors holds rows of one bank; the program reads banks "
                f"{', '.join(map(str, sorted(banks)))}"
            )
        counts = np.stack([self._cells[number].reads for number in numbers])
        bursts = np.flatnonzero(counts.any(axis=0))
        reads = int(counts.max())
        if (counts[:, bursts] != reads).any():
            raise DataError(
                "a map of bit errors needs the same number of reads of each burst; the program "
                f"reads some {reads} times, some {int(counts[:, bursts].min())}"
            )
        wrong = np.stack(
            [
                self._cells[number].wrong.reshape(-1, self.access_bits)[bursts].reshape(-1)
                for number in numbers
            ]
        )
        bits = np.array(
            [[self._cells[number].stored >> bit & 1 for bit in range(8)] for number in numbers],
            np.uint8,
        )
        assert self._cell_point is not None
        content: dict[str, Any] = {
            "wrong": wrong,
            "reads": reads,
            "stored": np.tile(bits, (1, wrong.shape[1] // 8)),
            "trcd_ns": self._cell_point.trcd_ns,
            "bank": banks.pop(),
            "rows": np.array(numbers) & ((1 << self.bank_shift) - 1),
            "columns": bursts,
        }
        if self._cell_point.vdd_V is not None:
            content["vdd_V"] = self._cell_point.vdd_V
        return content


def _words(point: Point | None) -> str:
    assert point is not None
    return f"{point.trcd_ns:g} ns" + ("" if point.vdd_V is None else f" and {point.vdd_V:g} V")
