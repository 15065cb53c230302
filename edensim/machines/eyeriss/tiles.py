"""Tiles and transfers as columns: parts of tensors, in elements, to bytes in DRAM at any precision, compressed or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edensim.engine.tiles import Schedule
from edensim.vocabulary import TILE, TRANSFER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.networks.layout import Placement

    Ints = NDArray[np.int64]

#: In which order a tile's transfers go: reads first, what does not wait for earlier layers before what does.
AHEAD, READ, WRITE = 0, 1, 2


class Runs(NamedTuple):
    """Runs of elements of a tensor: `number` of `elements` each, `stride` apart, from `first` on; each for a tile."""

    tile: Ints
    first: Ints
    elements: Ints
    stride: Ints
    number: Ints

    def where(self, chosen: NDArray[np.bool_]) -> Runs:
        """Some of them."""
        return Runs(*(column[chosen] for column in self))


def runs(
    tile: Ints,
    first: Ints | int,
    elements: Ints | int,
    stride: Ints | int = 0,
    number: Ints | int = 1,
) -> Runs:
    """Runs from columns and constants."""
    return Runs(
        *(
            column.astype(np.int64)
            for column in np.broadcast_arrays(tile, first, elements, stride, number)
        )
    )


def repeated(counts: Ints) -> tuple[Ints, Ints]:
    """So many copies of each thing, one behind the other: which thing, and which of its copies."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


@dataclass(frozen=True)
class Region:
    """A tensor in DRAM as elements of so many bits; `ratio`: compressed over plain size (a compressed run begins where the plain one would)."""

    placement: Placement
    bits: int
    ratio: float = 1.0

    def transfers(self, wanted: Runs, kind: int) -> NDArray[np.void]:
        """TRANSFER records, in the order of the runs (those whose runs begin in two phases of a byte become two); runs that touch become one."""
        touching = wanted.stride == wanted.elements
        elements = np.where(touching, wanted.elements * wanted.number, wanted.elements)
        count = np.where(touching, 1, wanted.number)
        phases = np.where((count > 1) & (wanted.stride * self.bits % 8 != 0), 2, 1)
        owner, phase = repeated(phases)
        first = (wanted.first[owner] + phase * wanted.stride[owner]) * self.bits
        begin, end = first // 8, -(-(first + elements[owner] * self.bits) // 8)
        records = np.zeros(len(owner), KEYED)
        records["tile"] = wanted.tile[owner]
        records["kind"] = kind
        records["address"] = self.placement.address + begin
        records["run_bytes"] = np.ceil((end - begin) * self.ratio)
        records["stride_bytes"] = wanted.stride[owner] * phases[owner] * self.bits // 8
        records["count"] = (count[owner] + phases[owner] - 1 - phase) // phases[owner]
        records["tensor"] = self.placement.index
        records["ahead"] = kind == AHEAD
        return records


#: A transfer with the tile it belongs to and what it is.
KEYED = np.dtype(
    [
        ("tile", np.int64),
        ("kind", np.int64),
        *((name, TRANSFER[name]) for name in TRANSFER.names or ()),
    ]
)


@dataclass
class ScheduleColumns:
    """A schedule under construction, layer by layer."""

    _tiles: list[NDArray[np.void]] = field(default_factory=list)
    _transfers: list[NDArray[np.void]] = field(default_factory=list)
    _count: int = 0

    def add(
        self,
        layer: int,
        compute_cycles: Ints,
        barrier: NDArray[np.bool_],
        transfers: list[NDArray[np.void]],
    ) -> None:
        """Add a layer's tiles; transfers name theirs by its number in the layer. Those of a tile keep the order in which they are given."""
        keyed = np.concatenate(transfers)
        keyed = keyed[np.lexsort((keyed["kind"], keyed["tile"]))]
        tiles = np.zeros(len(compute_cycles), TILE)
        per_tile = [
            np.bincount(keyed["tile"][chosen], minlength=len(tiles))
            for chosen in (keyed["kind"] != WRITE, keyed["kind"] == WRITE)
        ]
        tiles["reads"], tiles["writes"] = per_tile
        tiles["first_transfer"] = (
            self._count + np.cumsum(per_tile[0] + per_tile[1]) - per_tile[0] - per_tile[1]
        )
        tiles["compute_cycles"], tiles["layer"], tiles["barrier"] = compute_cycles, layer, barrier
        records = np.zeros(len(keyed), TRANSFER)
        for name in TRANSFER.names or ():
            records[name] = keyed[name]
        self._tiles.append(tiles)
        self._transfers.append(records)
        self._count += len(records)

    def build(self) -> Schedule:
        """The records."""
        empty = np.zeros(0, TILE), np.zeros(0, TRANSFER)
        return Schedule(
            np.concatenate([empty[0], *self._tiles]), np.concatenate([empty[1], *self._transfers])
        )
