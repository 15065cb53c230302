"""Nests of loops as records, and the memory they work on: the loops of every library are these."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edensim.engine.loop_nest_layer import LoopNestLayer, Sample
from edensim.kernels.sources.loop_nests.state import (
    FRACTION_BITS,
    LINE_BITS,
    LOAD,
    LOOPS,
    MAX_REFS,
    NEST,
    REF,
)

LINE_BYTES = 1 << LINE_BITS
#: How a C library (glibc) aligns memory, and the size from which on a block gets pages of its own;
#: each block has a header in front.
HEAP_ALIGNMENT, MAPPED_FROM, HEADER_BYTES, PAGE_BYTES = 16, 128 * 1024, 16, 4096


@dataclass(frozen=True)
class Ref:
    """One array reference of a nest.

    Element e at loop indices i is `size` bytes at base + sum(i * stride) + e * step, `rows` times
    with a distance of `pitch`.

    Attributes
    ----------
    row : (int, tuple of int, int), optional
        Bounds by (offset, strides, limit), outside of which nothing is touched.
    column : (int, tuple of int, int, int), optional
        Bounds by (offset, strides, step, limit), likewise.
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

    def fill(self, record: np.void) -> None:
        """Write the reference into a REF record."""
        for name in ("base", "step", "size", "kind", "rows", "pitch"):
            record[name] = getattr(self, name)
        record["stride"] = padded(self.strides, 0)
        if self.row is not None:
            offset, strides, limit = self.row
            record["row"], record["row_stride"], record["row_limit"] = (
                offset,
                padded(strides, 0),
                limit,
            )
        if self.column is not None:
            offset, strides, step, limit = self.column
            record["column"], record["column_stride"] = offset, padded(strides, 0)
            record["column_step"], record["column_limit"] = step, limit


#: What one reference touches in loops: their extents, the elements of a row, and the reference.
Touched: TypeAlias = "tuple[Sequence[int], int, Ref]"


@dataclass(frozen=True)
class Nest:
    """Loops around a row of `inner` elements, and the instructions of each row and element.

    `first` and `count` are the references of the nest. If it is `parallel`, cores share the turns
    of the outermost loop. `together` chunks (of about a line) of one reference are touched before
    the next reference's.
    """

    loops: tuple[int, ...]
    inner: int
    first: int
    count: int
    row_cost: float = 0.0
    element_cost: float = 0.0
    parallel: bool = False
    together: int = 1


@dataclass
class LayerBuilder:
    """The nests of a layer under construction."""

    name: str
    regions: NDArray[np.int64]
    macs: int = 0
    _nests: list[Nest] = field(default_factory=list)
    _shadows: list[Nest] = field(default_factory=list)
    _refs: list[Ref] = field(default_factory=list)
    _samples: list[Sample] = field(default_factory=list)

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
        """Append a nest (with the fields of `Nest`) and return its index."""
        first = self._add_refs(loops, refs)
        self._nests.append(
            Nest(tuple(loops), inner, first, len(refs), row_cost, element_cost, parallel, together)
        )
        return len(self._nests) - 1

    def sampled(
        self, nest: int, each: Sequence[Touched], shared: Sequence[Touched], *, steps: int = 1
    ) -> None:
        """Declare that the turns of the outermost loop of a nest are alike.

        Parameters
        ----------
        nest : int
            Index of the nest.
        each, shared : sequence of (loops, inner, Ref)
            What each turn touches, and what all turns touch in common.
        steps : int
            Turns of the second loop, as in `Sample`.
        """
        outer = self._nests[nest]
        at = len(self._shadows)
        for number, (loops, inner, ref) in enumerate((*each, *shared)):
            first = self._add_refs(loops, (ref,))
            parallel = outer.parallel and number < len(each)
            self._shadows.append(Nest(tuple(loops), inner, first, 1, parallel=parallel))
        touches = prod(outer.loops[1:]) * sum(
            1 if ref.step == 0 else -(-outer.inner * ref.step // LINE_BYTES)
            for ref in self._refs[outer.first : outer.first + outer.count]
        )
        end_of_each = at + len(each)
        self._samples.append(
            Sample(
                nest,
                lines_of(shared) * LINE_BYTES,
                lines_of(each) * LINE_BYTES // max(1, outer.loops[0]),
                touches,
                steps,
                tuple(range(at, end_of_each)),
                tuple(range(end_of_each, end_of_each + len(shared))),
            )
        )

    def _add_refs(self, loops: Sequence[int], refs: Sequence[Ref]) -> int:
        """Append the references of a nest and return the index of the first."""
        if len(loops) > LOOPS or len(refs) > MAX_REFS:
            raise ValueError(
                f"{self.name}: {len(loops)} loops and {len(refs)} references; "
                f"a nest holds {LOOPS} and {MAX_REFS}"
            )
        self._refs += refs
        return len(self._refs) - len(refs)

    def build(self) -> LoopNestLayer:
        """Return the layer as records."""
        refs = np.zeros(len(self._refs), REF)
        for record, ref in zip(refs, self._refs, strict=True):
            ref.fill(record)
        every_nest = (*self._nests, *self._shadows)
        nests = np.zeros(len(every_nest), NEST)
        for record, nest in zip(nests, every_nest, strict=True):
            record["loops"], record["inner"] = padded(nest.loops, 1), nest.inner
            record["first_ref"], record["refs"] = nest.first, nest.count
            record["parallel"], record["stop"] = nest.parallel, 1 << 60
            steps = [abs(ref.step) for ref in self._refs[nest.first : nest.first + nest.count]]
            step = max(steps, default=0)
            record["chunk"] = (
                nest.inner if step == 0 else max(1, LINE_BYTES // step) * nest.together
            )
            for name in ("row_cost", "element_cost"):
                record[name] = round(getattr(nest, name) * (1 << FRACTION_BITS))
        count = len(self._nests)
        samples = tuple(
            replace(
                sample,
                each=tuple(index + count for index in sample.each),
                shared=tuple(index + count for index in sample.shared),
            )
            for sample in self._samples
        )
        return LoopNestLayer(self.name, nests, refs, count, samples, self.macs, self.regions)


def lines_of(touched: Iterable[Touched]) -> int:
    """Return how many cache lines references touch."""
    return sum(
        prod(loops) * ref.rows * -(-inner * max(ref.step, 1) // LINE_BYTES)
        for loops, inner, ref in touched
    )


def padded(values: tuple[int, ...], filler: int) -> tuple[int, ...]:
    """Fill values up to the number of loops that a record holds."""
    return (*values, *(filler,) * (LOOPS - len(values)))


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the shape of a tensor as (batch, channels, height, width)."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    return shape[0], prod(shape[1:]), 1, 1


def region_table(
    blocks: Iterable[tuple[str, int, int]], index: Mapping[str, int]
) -> NDArray[np.int64]:
    """Return the regions of a `LoopNestLayer`.

    Parameters
    ----------
    blocks : iterable of (str, int, int)
        Name, address and bytes of each block of memory.
    index : mapping of str to int
        Index of each tensor by its name; other blocks are left out.
    """
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
    """Memory as a C program gets it.

    Small blocks lie one behind the other on the heap, large ones in pages of their own. `blocks`
    lists name, address and bytes of each.
    """

    base: int = 0
    blocks: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        #: First byte address behind everything.
        self.end = self.base
        self._heap = self._heap_end = self.base

    def take(self, name: str, size: int) -> int:
        """Return the address of a new block for the tensor of a name, or "" for none."""
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
        address = self.end
        self.end += -(-size // PAGE_BYTES) * PAGE_BYTES
        return address
