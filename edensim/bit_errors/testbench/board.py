"""Run test programs on a virtual module, as a board with refresh off would.

The DRAM engine issues the commands, one row after the other, and they say how many clocks after
its ACT each READ came. The tRCD of a program is the next whole clock, or a clock within 1 % of it:
5 ns are 6 clocks of 0.833 ns. Each READ of the same burst is another access, in which weak cells
draw their failures anew.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.cells import cell_tables, geometry_of, shape_of
from edensim.bit_errors.injector import Injector
from edensim.bit_errors.models import CellDistribution
from edensim.bit_errors.testbench.counters import Counters, Point
from edensim.bit_errors.testbench.program import Word
from edensim.bit_errors.testbench.virtual import VirtualModule
from edensim.config.models import ControllerConfig, DramConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard, load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.engine.monitor import Monitor
from edensim.exceptions import InputError, ProtocolError
from edensim.kernels.cells import read_errors
from edensim.vocabulary import REQUEST, Command, cycles_from_ns, ns_from_cycles

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

#: Number of rows flipped at once.
BLOCK: Final = 64
#: Address mapping in which the rows of a bank follow each other.
MAPPING: Final = "ChRaBaRoCo"
#: Longest interval in clocks that is distinguished, far beyond what any cell needs.
_LONGEST: Final = 255
#: Relative difference up to which a whole clock counts as a tRCD.
_SAME: Final = 0.01
#: Kind of each word; operations of one kind are executed together.
_KINDS: Final = np.array([0, 1, 2, 2, 2, 3])


class Reads(NamedTuple):
    """Reads as the engine issued them.

    They have a row number (over all banks), a burst in the row, and clocks after the row's ACT.
    """

    numbers: Ints
    columns: Ints
    intervals: Ints


class Board:
    """A board with a module on it: what is written in its rows, and its supply voltage."""

    def __init__(
        self, dram: DramConfig, module: VirtualModule, counters: Counters, name: str = "program"
    ) -> None:
        self.dram, self.module, self.counters, self.name = dram, module, counters, name
        self.standard = load_standard(
            dram.standard,
            organization=dram.organization,
            speed_bin=dram.speed_bin,
            ranks=dram.ranks,
            timings=dram.timings,
        )
        self.geometry = geometry_of(MemorySystem.nominal(self.standard, address_mapping=MAPPING))
        self.vdd_V: float | None = None
        self.board_ns = 0.0
        self._reads: dict[int, NDArray[np.uint32]] = {}
        self._contents: dict[int, NDArray[np.int16]] = {}
        self._standards: dict[int, Standard] = {}
        self._shape = shape_of(
            self.geometry, cell_tables(self.geometry, [[CellDistribution(0.0, 0.0, 0.0)]]), seed=0
        )

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of the module."""
        organization = self.standard.organization
        return organization.bursts_per_row * organization.access_bytes

    def execute(self, operations: NDArray[Any]) -> None:
        """Run operations in order.

        Raises InputError if a row is read that was not written, and ModuleError for an operating
        point that the module does not know.
        """
        words = operations["word"]
        kinds = _KINDS[words]
        group = np.cumsum(words == Word.ACT) - 1
        acts = np.flatnonzero(words == Word.ACT)
        reads = (
            np.bincount(group[words == Word.READ], minlength=len(acts))
            if len(acts)
            else np.zeros(0, np.int64)
        )
        # Operations of one kind run together; reads also need one tRCD and as many READs per ACT.
        alike = np.stack(
            [
                kinds,
                *(
                    np.where(kinds == 2, values, 0)
                    for values in _of_group(operations, acts, reads, group)
                ),
            ]
        )
        cuts = np.flatnonzero((alike[:, 1:] != alike[:, :-1]).any(axis=0)) + 1
        for piece in np.split(operations, cuts):
            word = Word(piece["word"][0])
            if word == Word.WRITE:
                self._write(piece)
            elif word == Word.WAIT:
                self.board_ns += float(piece["first"].sum())
            elif word == Word.VDD:
                self.vdd_V = float(piece["first"][-1])
            else:
                self._read(piece)

    def _write(self, piece: NDArray[Any]) -> None:
        banks, rows = piece["first"].astype(np.int64), piece["second"].astype(np.int64)
        for number, byte in zip(
            (self._numbers(banks, rows)).tolist(),
            piece["third"].astype(np.int64).tolist(),
            strict=True,
        ):
            block, row = divmod(number, BLOCK)
            if block not in self._contents:
                self._contents[block] = np.full(BLOCK, -1, np.int16)
            self._contents[block][row] = byte
        columns = np.arange(self.standard.organization.bursts_per_row)
        self._run(
            self.standard,
            banks,
            rows,
            np.broadcast_to(columns, (len(rows), len(columns))),
            is_write=True,
        )

    def _read(self, piece: NDArray[Any]) -> None:
        acts = piece[piece["word"] == Word.ACT]
        columns = piece["first"][piece["word"] == Word.READ].astype(np.int64).reshape(len(acts), -1)
        if columns.size == 0:  # rows are opened and closed again
            return
        requested_ns = float(acts["third"][0])
        cycles = self.cycles_of(requested_ns)
        clock_ns = ns_from_cycles(cycles, self.standard.tck_ps)
        trcd_ns = requested_ns if abs(clock_ns - requested_ns) <= _SAME * requested_ns else clock_ns
        banks, rows = acts["first"].astype(np.int64), acts["second"].astype(np.int64)
        reads = self._run(self._at(cycles), banks, rows, columns, is_write=False)
        self._compare(reads, trcd_ns, cycles)

    def cycles_of(self, trcd_ns: float) -> int:
        """Return the clocks between ACT and RD for a tRCD."""
        nearest = max(1, round(trcd_ns * 1000 / self.standard.tck_ps))
        if abs(ns_from_cycles(nearest, self.standard.tck_ps) - trcd_ns) <= _SAME * trcd_ns:
            return nearest
        return max(1, cycles_from_ns(trcd_ns, self.standard.tck_ps))

    def _at(self, cycles: int) -> Standard:
        """Return the standard with another nRCD."""
        if cycles not in self._standards:
            dram = self.dram
            timings = {**dram.timings, "nRCD": cycles}
            self._standards[cycles] = load_standard(
                dram.standard,
                organization=dram.organization,
                speed_bin=dram.speed_bin,
                ranks=dram.ranks,
                timings=timings,
            )
        return self._standards[cycles]

    def _run(
        self, standard: Standard, banks: Ints, rows: Ints, columns: Ints, *, is_write: bool
    ) -> Reads:
        """Run ACT, accesses and PRE through the engine, row after row.

        `columns` has the shape [rows, accesses of each].
        """
        count, accesses = columns.shape
        requests = np.zeros(columns.size, REQUEST)
        requests["address"] = self.addresses(
            np.repeat(banks, accesses), np.repeat(rows, accesses), columns.reshape(-1)
        )
        requests["clock"] = np.repeat(np.arange(count) * _turn_cycles(standard, accesses), accesses)
        requests["writeback"], requests["tensor"], requests["is_write"] = -1, -1, is_write
        chunks: list[Reads] = []
        # A row is closed after its last access, and long before the next one is requested.
        controller = ControllerConfig(
            row_policy="capped", row_cap=accesses, refresh="none", address_mapping=MAPPING
        )
        monitor = None if is_write else self._monitor(chunks)
        run = simulate_memory(
            MemorySystem.nominal(standard, address_mapping=MAPPING),
            controller,
            SourceConfig(kind="timed"),
            [requests],
            monitor=Monitor(commands=monitor),
        )
        opened = int(run.counts.commands[..., Command.ACT].sum())
        if opened != count:
            raise ProtocolError(
                f"{self.name}: {opened} rows were opened for {count} ACTs of the program; please "
                "report this run"
            )
        self.board_ns += ns_from_cycles(run.cycles, standard.tck_ps)
        nothing = Reads(*(np.zeros(0, np.int64),) * 3)
        return Reads(*map(np.concatenate, zip(nothing, *chunks, strict=True)))

    def _monitor(self, chunks: list[Reads]) -> Callable[[NDArray[Any]], None]:
        organization = self.standard.organization
        memory = np.array(
            [organization.ranks, organization.bankgroups, organization.banks, _LONGEST], np.int64
        )
        activated = np.zeros(self.geometry.banks, np.int64)

        def monitor(commands: NDArray[Any]) -> None:
            size = len(commands)
            numbers, columns = np.empty(size, np.uint64), np.empty(size, np.int32)
            intervals, clocks = np.empty(size, np.uint8), np.empty(size, np.int64)
            with np.errstate(over="ignore"):
                count = read_errors.reads_of(
                    np.ascontiguousarray(commands),
                    memory,
                    self._shape,
                    activated,
                    numbers,
                    columns,
                    intervals,
                    clocks,
                )
            chunks.append(
                Reads(
                    *(values[:count].astype(np.int64) for values in (numbers, columns, intervals))
                )
            )

        return monitor

    def addresses(self, banks: Ints, rows: Ints, columns: Ints) -> Ints:
        """Return the first bytes of bursts, with banks counted rank after rank."""
        organization = self.standard.organization
        groups, bank = np.divmod(banks, organization.banks)
        rank, group = np.divmod(groups, organization.bankgroups)
        return self.geometry.mapping.encode(0, rank, group, bank, rows, columns)

    def _numbers(self, banks: Ints, rows: Ints) -> Ints:
        return (banks << self.geometry.bank_shift) | rows

    def _compare(self, reads: Reads, trcd_ns: float, cycles: int) -> None:
        """Flip what fails, pass by pass; in a pass each burst is read once."""
        keys = reads.numbers * self.standard.organization.bursts_per_row + reads.columns
        order = np.argsort(keys, kind="stable")
        firsts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        turn = np.arange(len(keys)) - np.repeat(firsts, np.diff(firsts, append=len(keys)))
        tck_ps = self.standard.tck_ps
        clocks = np.unique(reads.intervals)
        placed, classes = self.module.placed(
            self.geometry,
            [trcd_ns + ns_from_cycles(int(clock) - cycles, tck_ps) for clock in clocks.tolist()],
            self.vdd_V,
        )
        class_of = np.zeros(_LONGEST + 1, np.uint8)
        class_of[clocks] = classes
        for number in range(int(turn.max(initial=-1)) + 1):
            chosen = order[turn == number]  # in ascending order of row and burst
            blocks = reads.numbers[chosen] // BLOCK
            for part in np.split(chosen, np.flatnonzero(np.diff(blocks)) + 1):
                at = reads.numbers[part] % BLOCK, reads.columns[part]
                self._compare_block(
                    int(reads.numbers[part[0]]) // BLOCK,
                    at,
                    class_of[reads.intervals[part]],
                    placed,
                    Point(trcd_ns, self.vdd_V),
                )

    def _compare_block(
        self,
        block: int,
        at: tuple[Ints, Ints],
        classes: Bytes,
        placed: Injector | None,
        point: Point,
    ) -> None:
        """Read each of some bursts of a block once.

        `at` has their rows in the block and their columns. The k-th read of a burst is access k.
        """
        shape = BLOCK, self.standard.organization.bursts_per_row
        before = self._reads.setdefault(block, np.zeros(shape, np.uint32))
        first, last = int(at[0].min()), int(at[0].max()) + 1
        accesses = before[at]
        for access in np.unique(accesses).tolist():
            chosen = accesses == access
            here = at[0][chosen], at[1][chosen]
            lines, read = np.zeros(shape, np.uint8), np.zeros(shape, np.bool_)
            lines[here], read[here] = classes[chosen], True
            stored = self._stored(block, read)[first:last]
            data = np.repeat(np.maximum(stored, 0).astype(np.uint8), self.row_bytes)
            written = data.copy()
            if placed is not None:
                placed.flip(
                    data,
                    (block * BLOCK + first) * self.row_bytes,
                    access=access,
                    line_classes=lines[first:last].reshape(-1),
                )
            data ^= written
            number, wrong = block * BLOCK + first, data.reshape(last - first, -1)
            self.counters.add(point, number, stored, read[first:last], wrong)
        before[at] += 1

    def _stored(self, block: int, read: NDArray[np.bool_]) -> NDArray[np.int16]:
        """Return the bytes written in rows of a block; raise InputError if one is missing."""
        stored = self._contents.get(block, np.full(BLOCK, -1, np.int16))
        missing = np.flatnonzero(read.any(axis=1) & (stored < 0))
        if len(missing):
            bank, row = divmod(block * BLOCK + int(missing[0]), 1 << self.geometry.bank_shift)
            raise InputError(
                f"{self.name}: row {row} of bank {bank} is read, but nothing was written there; "
                f"expected WRITE {bank} {row} BYTE before"
            )
        return stored


def _of_group(
    operations: NDArray[Any], acts: Ints, reads: Ints, group: Ints
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return tRCD and number of READs of the last ACT, for each operation."""
    if len(acts) == 0:
        return np.zeros(len(operations)), np.zeros(len(operations))
    index = np.maximum(group, 0)
    return operations["third"][acts][index], reads[index]


def _turn_cycles(standard: Standard, accesses: int) -> int:
    """Return the clocks from one row's ACT to the next, enough for all between them.

    The program of a board waits as well.
    """
    timings = standard.timings
    gap = max(
        [timings["nBL"], *(cycles for name, cycles in timings.items() if name.startswith("nCCD"))]
    )
    closing = sum(
        cycles
        for name, cycles in timings.items()
        if name.startswith(("nRP", "nRTP", "nWR", "nCWL", "nBL", "nRAS"))
    )
    return timings["nRCD"] + accesses * gap + closing + 8
