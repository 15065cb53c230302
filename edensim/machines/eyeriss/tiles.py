"""Parts of tensors, counted in elements, turned into transfers of bytes at any precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edensim.engine.tiles import Schedule
from edensim.networks.layout import Placement
from edensim.vocabulary import TILE, TRANSFER

Ints = NDArray[np.int64]

#: Kinds of transfers in the order in which a tile makes them. Reads come first, and those that do
#: not wait for earlier layers (`AHEAD`) come before those that do.
AHEAD, READ, WRITE = 0, 1, 2


class Runs(NamedTuple):
    """Runs of elements of a tensor, as columns.

    For each tile there are `number` runs of `elements` each, the first of them from `first` on;
    `stride` elements lie from one start to the next.
    """

    tile: Ints
    first: Ints
    elements: Ints
    stride: Ints
    number: Ints

    def where(self, chosen: NDArray[np.bool_]) -> Runs:
        """Return some of the runs."""
        return Runs(*(column[chosen] for column in self))


def runs(
    tile: Ints,
    first: Ints | int,
    elements: Ints | int,
    stride: Ints | int = 0,
    number: Ints | int = 1,
) -> Runs:
    """Make runs of columns and constants."""
    columns = np.broadcast_arrays(tile, first, elements, stride, number)
    return Runs(*(column.astype(np.int64) for column in columns))


def repeated(counts: Ints) -> tuple[Ints, Ints]:
    """Repeat each thing as often as its count says.

    Returns for every copy the index of the thing and the number of the copy.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


#: A transfer with the tile that it belongs to and its kind.
KEYED = np.dtype(
    [
        ("tile", np.int64),
        ("kind", np.int64),
        *((name, TRANSFER[name]) for name in TRANSFER.names or ()),
    ]
)


@dataclass(frozen=True)
class Region:
    """A tensor in DRAM whose elements have so many bits.

    `ratio` is its compressed size over its plain size. A compressed run begins where the plain run
    would begin.
    """

    placement: Placement
    bits: int
    ratio: float = 1.0

    def transfers(self, wanted: Runs, kind: int) -> NDArray[np.void]:
        """Return the KEYED records of runs, in their order.

        Runs that touch each other become one. Runs that do not all begin at the same bit of a byte
        become two transfers.
        """
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


def layer_schedule(
    layer: int, compute_cycles: Ints, barrier: NDArray[np.bool_], transfers: list[NDArray[np.void]]
) -> Schedule:
    """Make the schedule of a layer.

    Parameters
    ----------
    layer : int
        Index of the layer.
    compute_cycles, barrier : ndarray, [tiles]
        Cycles of each tile, and whether it waits for the tiles before it.
    transfers : list of KEYED records
        What the tiles move. Transfers of the same kind of a tile keep their order.
    """
    keyed = np.concatenate(transfers)
    keyed = keyed[np.lexsort((keyed["kind"], keyed["tile"]))]
    tiles = np.zeros(len(compute_cycles), TILE)
    for name, chosen in (("reads", keyed["kind"] != WRITE), ("writes", keyed["kind"] == WRITE)):
        tiles[name] = np.bincount(keyed["tile"][chosen], minlength=len(tiles))
    moved = tiles["reads"] + tiles["writes"]
    tiles["first_transfer"] = np.cumsum(moved) - moved
    tiles["compute_cycles"], tiles["layer"], tiles["barrier"] = compute_cycles, layer, barrier
    records = np.zeros(len(keyed), TRANSFER)
    for name in TRANSFER.names or ():
        records[name] = keyed[name]
    return Schedule(tiles, records)
