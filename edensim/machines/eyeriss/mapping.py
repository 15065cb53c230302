"""How a layer is folded onto a row-stationary array, and the search for the best way.

The buffer holds the psums of a block (n images x e ofm rows x m filters of g groups) until they are
complete, beside the part of the ifm that a pass uses (c channels); the next part replaces it as it
is used up. Filters pass by. The orders of the loops over blocks differ in what they save:

- STREAM: strips, then blocks of filters. Each block reads its ifm; each strip reads all filters.
- FILTERS: blocks of filters, then strips. The filters of a block stay in the filter buffer and are
  read once.
- IFM: the ifm of a strip stays in the buffer for all blocks of filters, and is read once.
- SPILL: as IFM, for some of the channels at a time. Psums go to DRAM and come back for the next
  channels.

A PE set is as wide as the block has ofm rows. It is cut into even pieces only if the array is
narrower, as on the chip.

The objective `balanced` asks for the least product of DRAM bits and compute cycles; `traffic` asks
for the fewest DRAM bits and, among equals, the fewest cycles. Among equal mappings, the one with
less traffic is taken, then the first in order of enumeration. The search counts all passes as
full ones; the schedule counts edges as they are.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import NetworkError
from edensim.machines.eyeriss.array import (
    ConvolutionShape,
    PassWork,
    RowStationaryArray,
    ceil_div,
    pass_cost,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Number of blocks with the least traffic that are looked at in detail: of all, and of each height
#: of a strip.
CONSIDERED, CONSIDERED_EACH = 32, 6


class Order(IntEnum):
    """Order of the loops over blocks, as described above."""

    STREAM = 0
    FILTERS = 1
    IFM = 2
    SPILL = 3


@dataclass(frozen=True)
class Mapping:
    """The place of a layer in time and on the array. Letters are those of JSSC 2017 but s, g and w.

    Attributes
    ----------
    order : Order
        The order of the loops over blocks.
    m, n, e : int
        Filters, images and ofm rows of a block.
    p, q : int
        Filters and channels in a PE.
    r, t, s, g : int
        Copies of the PE set for other channels, filters, pieces of the strip and groups.
    w : int
        Rows of a piece of the strip.
    resident : int
        Channels whose ifm stays in the buffer: all for IFM, some for SPILL, else those of a pass.
    """

    order: Order
    m: int
    n: int
    e: int
    p: int
    q: int
    r: int
    t: int
    s: int
    w: int
    g: int
    resident: int

    @property
    def channels(self) -> int:
        """Number of channels of a pass."""
        return self.q * self.r

    @property
    def filters(self) -> int:
        """Number of filters of a pass, in each of its groups."""
        return self.p * self.t

    def __str__(self) -> str:
        letters = " ".join(f"{name}={getattr(self, name)}" for name in "mnepqrtswg")
        return f"{self.order.name.lower()} {letters}"


@dataclass(frozen=True)
class TrafficBits:
    """Bits that an element of each tensor takes in DRAM.

    Features may be compressed; spilled psums are not.
    """

    weights: float
    ifm: float
    ofm: float
    psums: float


def distinct_parts(whole: int) -> Ints:
    """Return the sizes of parts, ascending, when a whole is cut into 1, 2, 3, ... parts."""
    return np.unique(ceil_div(whole, np.arange(1, whole + 1)))


@lru_cache(maxsize=4096)
def find_mapping(
    array: RowStationaryArray, shape: ConvolutionShape, bits: TrafficBits, objective: str
) -> Mapping:
    """Find the best mapping of a layer by an objective, "balanced" or "traffic".

    Raises NetworkError if the buffer does not even hold the smallest block.
    """
    blocks = possible_blocks(array, shape, bits)
    if not len(blocks["e"]):
        raise NetworkError(
            f"eyeriss.buffer_kB: leaves {array.buffer_words:,} words for ifm and psums; "
            f"a pass needs {least_words(shape):,} at least "
            f"(one channel's ifm rows for one ofm row of {shape.columns:,} columns, and its psums)"
        )
    chosen = considered(blocks)
    return best_mapping(
        array, shape, bits, {name: values[chosen] for name, values in blocks.items()}, objective
    )


def least_words(shape: ConvolutionShape) -> int:
    """Return the words of the buffer that the smallest pass needs."""
    return shape.columns + shape.width * int(most_rows(shape, 1))


def most_rows(shape: ConvolutionShape, rows: Any) -> Any:
    """Return how many ifm rows are in the buffer for so many ofm rows, anywhere in the ifm."""
    needed = (rows - 1) * shape.row_stride + (shape.kernel_rows - 1) * shape.row_dilation + 1
    return np.minimum(needed, shape.height)


def strip_rows(shape: ConvolutionShape, rows: int) -> int:
    """Return how many ifm rows are read for all strips of so many ofm rows.

    Rows that two strips need are read twice.
    """
    strips = (
        shape.ifm_rows(first, min(rows, shape.rows - first)) for first in range(0, shape.rows, rows)
    )
    return sum(end - begin for begin, end in strips)


def possible_blocks(
    array: RowStationaryArray, shape: ConvolutionShape, bits: TrafficBits
) -> dict[str, Any]:
    """Return all blocks that fit the buffer, in every order, as arrays.

    They are e, n, m, order, room (channels of the ifm that fit beside) and traffic (bits).
    """
    sizes = distinct_parts(shape.rows)
    read_rows = np.array([strip_rows(shape, int(size)) for size in sizes])
    grid = np.meshgrid(
        np.arange(len(sizes)),
        distinct_parts(shape.images),
        distinct_parts(shape.filters),
        indexing="ij",
    )
    at, n, m = (values.ravel() for values in grid)
    e = sizes[at]
    room = (array.buffer_words - m * n * e * shape.columns) // (
        n * most_rows(shape, e) * shape.width
    )
    fits = room >= 1
    at, n, m, e, room = (values[fits] for values in (at, n, m, e, np.minimum(room, shape.channels)))
    ifm = shape.images * shape.groups * shape.channels * shape.width * read_rows[at] * bits.ifm
    ofm = np.full(len(e), shape.ofm_elements * bits.ofm)
    filters = shape.filter_elements * bits.weights
    strips, blocks = ceil_div(shape.images, n) * ceil_div(shape.rows, e), ceil_div(shape.filters, m)
    spilled = ceil_div(shape.channels, room) - 1
    filters_stay = (
        m * shape.channels * shape.kernel_rows * shape.kernel_columns <= array.filter_buffer_words
    )
    traffic = {
        Order.STREAM: ifm * blocks + filters * strips + ofm,
        Order.FILTERS: np.where(filters_stay, ifm * blocks + filters + ofm, np.inf),
        Order.IFM: np.where(spilled == 0, ifm + filters * strips + ofm, np.inf),
        Order.SPILL: np.where(
            spilled > 0,
            ifm + filters * strips + ofm + 2 * spilled * shape.ofm_elements * bits.psums,
            np.inf,
        ),
    }
    columns = {
        name: np.tile(values, len(traffic))
        for name, values in {"e": e, "n": n, "m": m, "room": room}.items()
    }
    columns["order"] = np.repeat(np.array(list(traffic)), len(e))
    columns["traffic"] = np.concatenate(list(traffic.values()))
    possible = np.isfinite(columns["traffic"])
    return {name: values[possible] for name, values in columns.items()}


def considered(blocks: dict[str, Any]) -> Ints:
    """Return the blocks to look at in detail: those with the least traffic, also of each height."""
    ranked = np.lexsort((blocks["order"], -blocks["m"], blocks["traffic"]))
    by_height = ranked[np.argsort(blocks["e"][ranked], kind="stable")]
    heights = blocks["e"][by_height]
    within = np.arange(len(heights)) - np.searchsorted(heights, heights)
    return np.unique(np.concatenate([ranked[:CONSIDERED], by_height[within < CONSIDERED_EACH]]))


@lru_cache(maxsize=256)
def array_options(
    array: RowStationaryArray, taps: int, window: int, channels: int, most_share: int
) -> dict[str, Any]:
    """Return the ways to copy PE sets as arrays r, q, stacks and share.

    A stack is sets above each other whose psums add up; `share` stacks have the same filters.
    """
    vertical = array.height // taps
    parts = {vertical // number for number in range(1, vertical + 1)}
    most_q = min(array.ifmap_spad_words // window, array.filter_spad_words // window, channels)
    shares = [
        share
        for share in (1, 2, 3, 4, 6, 8, 12, 16, 24, 48, array.pes)
        if share == 1 or share < 2 * most_share
    ]
    options = [
        (r, q, vertical // r, share)
        for r in sorted(parts)
        for q in range(1, most_q + 1)
        if (r - 1) * q < channels
        for share in shares
    ]
    columns = np.array(options, float).T
    return dict(zip(("r", "q", "stacks", "share"), columns, strict=True))


def on_array(
    array: RowStationaryArray, shape: ConvolutionShape, blocks: dict[str, Any]
) -> dict[str, Any]:
    """Combine every given block with every option of the array.

    Returns arrays of whole floats [blocks, options]: p, q, r, t, s, w, g, c (channels of a pass),
    and the passes over the filters of a block and over the channels.
    """
    e, n, m = (blocks[name] for name in ("e", "n", "m"))
    pieces = ceil_div(e, array.width)
    taps, window, _ = array.taps(shape)
    options = array_options(
        array, taps, window, shape.channels, max(int(pieces.max()), shape.groups)
    )
    r, q, stacks, share = (options[name][None, :] for name in ("r", "q", "stacks", "share"))
    w = ceil_div(e, pieces)
    sets = stacks * np.floor(array.width / w)
    t = np.clip(np.floor(sets / share), 1, m)
    s = np.minimum(pieces, np.floor(sets / t))
    most = np.minimum(array.psum_spad_words, np.floor(array.filter_spad_words / (q * window)))
    passes_m = ceil_div(m, t * most)
    p = ceil_div(m, t * passes_m)
    c = np.minimum(q * r, shape.channels)
    passes_c = ceil_div(shape.channels, c)
    whole = (passes_c == 1) & (m == shape.filters) & (passes_m == 1)
    held = m * n * e * shape.columns + c * n * most_rows(shape, e) * shape.width
    g = np.where(
        whole,
        np.clip(np.floor(np.minimum(sets / (t * s), array.buffer_words / held)), 1, shape.groups),
        1,
    )
    columns = {
        "p": p,
        "q": q,
        "r": r,
        "t": t,
        "s": s,
        "w": w,
        "g": g,
        "c": c,
        "passes_m": passes_m,
        "passes_c": passes_c,
    }
    return {name: np.broadcast_to(values, g.shape) for name, values in columns.items()}


def best_mapping(
    array: RowStationaryArray,
    shape: ConvolutionShape,
    bits: TrafficBits,
    blocks: dict[str, Any],
    objective: str,
) -> Mapping:
    """Find the best of the given blocks with every option of the array."""
    blocks = {name: values[:, None].astype(float) for name, values in blocks.items()}
    e, n, m, order = (blocks[name] for name in ("e", "n", "m", "order"))
    way = on_array(array, shape, blocks)
    work = PassWork(
        images=n,
        rows=e,
        filters=np.minimum(way["p"] * way["t"], m),
        channels=way["c"],
        groups=way["g"],
        filter_parts=way["t"],
        channel_parts=way["r"],
        pieces=way["s"],
        piece_rows=way["w"],
    )
    cost = pass_cost(array, shape, work)
    strips = ceil_div(shape.images, n) * ceil_div(shape.rows, e)
    blocks_m, blocks_g = ceil_div(shape.filters, m), ceil_div(shape.groups, way["g"])
    passes_here = way["passes_m"] * way["passes_c"]
    stays = (passes_here * array.taps(shape)[2] == 1) & ((order == Order.FILTERS) | (blocks_m == 1))
    passes = blocks_g * strips * blocks_m * passes_here
    loads = np.where(stays, blocks_g * blocks_m, passes)
    cycles = passes * (cost.steady + cost.ramp) + loads * (cost.fresh_ramp - cost.ramp)
    saved = np.where(
        stays & (order != Order.FILTERS), (strips - 1) * shape.filter_elements * bits.weights, 0.0
    )
    moved = np.where(way["c"] <= blocks["room"], blocks["traffic"] - saved, np.inf)
    first, second = {"balanced": (moved * cycles, moved), "traffic": (moved, cycles)}[objective]
    equal = np.flatnonzero((first == first.min()).ravel())
    row, column = divmod(int(equal[np.argmin(second.ravel()[equal])]), cycles.shape[1])
    chosen = {name: int(blocks[name][row, 0]) for name in ("m", "n", "e")} | {
        name: int(way[name][row, column]) for name in "pqrtswg"
    }
    best_order = Order(int(order[row, 0]))
    stays_in_buffer = best_order in (Order.IFM, Order.SPILL)
    resident = blocks["room"][row, 0] if stays_in_buffer else way["c"][row, column]
    return Mapping(best_order, resident=int(resident), **chosen)
