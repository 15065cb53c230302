"""Nests of loops as records, and the memory they work on: what the loops of every library are written in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edensim.engine.loop_nest_layer import LoopNestLayer, Sample
from edensim.kernels.sources.loop_nests.state import (
    DEPENDENT,
    FRACTION_BITS,
    LOAD,
    LOOPS,
    MAX_REFS,
    NEST,
    REF,
    STORE,
    UPDATE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "DEPENDENT",
    "LINE_BYTES",
    "LOAD",
    "STORE",
    "UPDATE",
    "Arena",
    "LayerBuilder",
    "Ref",
    "region_table",
]

LINE_BYTES = 64
#: How a C library aligns memory, and from which size on it maps pages of their own (glibc); each block has a header in front.
HEAP_ALIGNMENT, MAPPED_FROM, HEADER_BYTES, PAGE_BYTES = 16, 128 * 1024, 16, 4096


@dataclass(frozen=True)
class Ref:
    """One array reference: element e at loop indices i is `size` bytes at base + sum(i * stride) + e * step, `rows` times `pitch` apart.

    row, column: (offset, strides, limit) and (offset, strides, step, limit) of bounds outside of which nothing is touched; None: no bounds.
    """

    base: int
    strides: tuple[int, ...] = ()
    step: int = 0
    size: int = 4
    kind: int = LOAD
    rows: int = 1
    pitch: int = 0
    row: tuple[int, tuple[int, ...], int] | None = None
    column: tuple[int, tuple[int, ...], int, int] | None = None


@dataclass
class LayerBuilder:
    """A layer's nests under construction."""

    name: str
    regions: NDArray[np.int64]
    macs: int = 0
    _nests: list[tuple[tuple[int, ...], int, int, int, float, float, bool]] = field(
        default_factory=list
    )
    _shadows: list[tuple[tuple[int, ...], int, int, int, float, float, bool]] = field(
        default_factory=list
    )
    _refs: list[Ref] = field(default_factory=list)
    _samples: list[Sample] = field(default_factory=list)
    _together: dict[int, int] = field(default_factory=dict)

    def add(
        self,
        loops: Sequence[int],
        inner: int,
        refs: Sequence[Ref],
        *,
        row_cost: float = 0.0,
        element_cost: float = 0.0,
        parallel: bool = False,
        together: int = 1,
    ) -> int:
        """Append a nest: loops around a row of `inner` elements; instructions of each row and element. Returns its index.

        together: chunks (of about a line) of one reference that are touched before the next reference's.
        """
        self._nests.append(self._nest(loops, inner, refs, row_cost, element_cost, parallel))
        self._together[len(self._nests) - 1] = together
        return len(self._nests) - 1

    def sampled(
        self,
        nest: int,
        each: Sequence[tuple[Sequence[int], int, Ref]],
        shared: Sequence[tuple[Sequence[int], int, Ref]],
        *,
        steps: int = 1,
    ) -> None:
        """Turns of this nest's outermost loop are alike. each, shared: (loops, inner, reference) that touch what a turn and what all turns touch.

        steps: as a `Sample` has them.
        """
        loops, inner, first, count, *_ = self._nests[nest]
        turns = max(1, loops[0])

        def lines(parts: Sequence[tuple[Sequence[int], int, Ref]]) -> int:
            total = 0
            for around, row, ref in parts:
                rows = 1
                for extent in around:
                    rows *= extent
                total += rows * ref.rows * (-(-row * max(ref.step, 1) // LINE_BYTES))
            return total

        parallel = self._nests[nest][6]
        at = len(self._shadows)
        for around, row, ref in (*each, *shared):
            self._shadows.append(
                self._nest(
                    around, row, (ref,), 0, 0, parallel and len(self._shadows) < at + len(each)
                )
            )
        rows = 1
        for extent in loops[1:]:
            rows *= extent
        touches = rows * sum(
            1 if ref.step == 0 else -(-inner * ref.step // LINE_BYTES)
            for ref in self._refs[first : first + count]
        )
        self._samples.append(
            Sample(
                nest,
                lines(shared) * LINE_BYTES,
                lines(each) * LINE_BYTES // turns,
                touches,
                steps,
                tuple(range(at, at + len(each))),
                tuple(range(at + len(each), at + len(each) + len(shared))),
            )
        )

    def _nest(
        self,
        loops: Sequence[int],
        inner: int,
        refs: Sequence[Ref],
        row_cost: float,
        element_cost: float,
        parallel: bool,
    ) -> tuple[tuple[int, ...], int, int, int, float, float, bool]:
        if len(loops) > LOOPS or len(refs) > MAX_REFS:
            raise ValueError(
                f"{self.name}: {len(loops)} loops and {len(refs)} references; a nest holds {LOOPS} and {MAX_REFS}"
            )
        first = len(self._refs)
        self._refs += refs
        return tuple(loops), inner, first, len(refs), row_cost, element_cost, parallel

    def build(self) -> LoopNestLayer:
        """The records."""
        refs = np.zeros(len(self._refs), REF)
        for record, ref in zip(refs, self._refs, strict=True):
            _fill_ref(record, ref)
        nests = np.zeros(len(self._nests) + len(self._shadows), NEST)
        for at, (loops, inner, first, count, row_cost, element_cost, parallel) in enumerate(
            (*self._nests, *self._shadows)
        ):
            record = nests[at]
            record["loops"] = (*loops, *(1,) * (LOOPS - len(loops)))
            record["inner"], record["first_ref"], record["refs"], record["parallel"] = (
                inner,
                first,
                count,
                parallel,
            )
            step = max([abs(ref.step) for ref in self._refs[first : first + count]], default=0)
            record["chunk"] = (
                inner if step == 0 else max(1, LINE_BYTES // step) * self._together.get(at, 1)
            )
            record["row_cost"], record["element_cost"] = (
                round(row_cost * (1 << FRACTION_BITS)),
                round(element_cost * (1 << FRACTION_BITS)),
            )
            record["stop"] = 1 << 60
        offset = len(self._nests)
        samples = tuple(
            replace(
                sample,
                each=tuple(i + offset for i in sample.each),
                shared=tuple(i + offset for i in sample.shared),
            )
            for sample in self._samples
        )
        return LoopNestLayer(
            self.name, nests, refs, len(self._nests), samples, self.macs, self.regions
        )


def _fill_ref(record: np.void, ref: Ref) -> None:
    def padded(strides: tuple[int, ...]) -> tuple[int, ...]:
        return (*strides, *(0,) * (LOOPS - len(strides)))

    record["base"], record["stride"], record["step"], record["size"] = (
        ref.base,
        padded(ref.strides),
        ref.step,
        ref.size,
    )
    record["kind"], record["rows"], record["pitch"] = ref.kind, ref.rows, ref.pitch
    if ref.row is not None:
        record["row"], record["row_stride"], record["row_limit"] = (
            ref.row[0],
            padded(ref.row[1]),
            ref.row[2],
        )
    if ref.column is not None:
        record["column"], record["column_stride"] = ref.column[0], padded(ref.column[1])
        record["column_step"], record["column_limit"] = ref.column[2], ref.column[3]


def region_table(
    blocks: Iterable[tuple[str, int, int]], index: Mapping[str, int]
) -> NDArray[np.int64]:
    """`LoopNestLayer.regions` of blocks (name, address, bytes); index: of each tensor by name."""
    rows = sorted(
        (address, address + size - 1, index[name])
        for name, address, size in blocks
        if size and name in index
    )
    table = np.array(rows, np.int64).reshape(-1, 3)
    table[:, :2] //= LINE_BYTES
    return table


@dataclass
class Arena:
    """Memory as a C program gets it: small blocks one behind the other on the heap, large ones in pages of their own."""

    base: int = 0
    blocks: list[tuple[str, int, int]] = field(default_factory=list)  # name, address, bytes

    def __post_init__(self) -> None:
        self._heap = self._heap_end = self.base
        self._next = self.base

    @property
    def end(self) -> int:
        """First byte address behind everything."""
        return self._next

    def take(self, name: str, size: int) -> int:
        """Address of a new block. name: of the tensor it holds, "" for none."""
        if size + HEADER_BYTES >= MAPPED_FROM:
            address = self._pages(size + HEADER_BYTES) + HEADER_BYTES
        else:
            taken = -(-(size + HEADER_BYTES // 2) // HEAP_ALIGNMENT) * HEAP_ALIGNMENT
            if self._heap + taken + HEADER_BYTES > self._heap_end:
                self._heap = self._pages(MAPPED_FROM)
                self._heap_end = self._heap + MAPPED_FROM
            address = self._heap + HEADER_BYTES
            self._heap += taken
        self.blocks.append((name, address, size))
        return address

    def _pages(self, size: int) -> int:
        address = self._next
        self._next += -(-size // PAGE_BYTES) * PAGE_BYTES
        return address
