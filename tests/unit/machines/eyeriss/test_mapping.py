"""Is the mapping found one that fits the machine, and as good as any?"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from edensim.exceptions import NetworkError
from edensim.machines.eyeriss.array import (
    ConvolutionShape,
    PassWork,
    RowStationaryArray,
    ceil_div,
    pass_cost,
)
from edensim.machines.eyeriss.mapping import (
    Mapping,
    Order,
    TrafficBits,
    find_mapping,
    most_rows,
    strip_rows,
)
from edensim.machines.eyeriss.passes import passes_of

CHIP = RowStationaryArray(12, 14, 224, 12, 24, 51_200, 4096, 4, 1, 4)
SMALL = RowStationaryArray(6, 5, 40, 8, 6, 600, 64, 4, 1, 4)
BITS = TrafficBits(16, 16, 16, 16)

SHAPES = {
    "first layer": ConvolutionShape(1, 1, 3, 64, 224, 224, 112, 112, 7, 7, 2, 2, top_padding=3),
    "3x3": ConvolutionShape(2, 1, 128, 128, 28, 28, 28, 28, 3, 3, top_padding=1),
    "1x1": ConvolutionShape(1, 1, 256, 64, 56, 56, 56, 56),
    "depthwise": ConvolutionShape(1, 96, 1, 1, 56, 56, 56, 56, 3, 3, top_padding=1),
    "linear": ConvolutionShape(4, 1, 9216, 4096, 1, 1, 1, 1),
    "tall filter": ConvolutionShape(1, 1, 4, 8, 40, 40, 26, 26, 15, 15),
    "dilated": ConvolutionShape(
        1, 1, 16, 16, 32, 32, 28, 28, 3, 3, row_dilation=2, column_dilation=2
    ),
}


@pytest.mark.parametrize("objective", ["balanced", "traffic"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_mapping_fits_the_machine(name: str, objective: str) -> None:
    shape = SHAPES[name]
    found = find_mapping(CHIP, shape, BITS, objective)
    taps, window, _ = CHIP.taps(shape)
    assert found.q * window <= CHIP.ifmap_spad_words
    assert found.p * found.q * window <= CHIP.filter_spad_words
    assert found.p <= CHIP.psum_spad_words
    assert found.w <= CHIP.width
    assert (
        found.r * ceil_div(found.t * found.s * found.g, CHIP.width // found.w) * taps <= CHIP.height
    )
    kept = found.resident if found.order in (Order.IFM, Order.SPILL) else found.channels
    kept = min(kept, shape.channels)
    psums = found.m * found.n * found.e * shape.columns
    assert (
        found.g * (psums + kept * found.n * int(most_rows(shape, found.e)) * shape.width)
        <= CHIP.buffer_words
    )
    assert find_mapping(CHIP, replace(shape), BITS, objective) == found


@pytest.mark.parametrize("name", SHAPES)
def test_passes_cover_every_product_once(name: str) -> None:
    shape = SHAPES[name]
    passes = passes_of(shape, find_mapping(CHIP, shape, BITS, "balanced"), whole_filters=True)
    sizes = (passes.images, passes.rows, passes.groups, passes.filters, passes.channels)
    covered = np.prod([own.size for own in sizes], axis=0).sum()
    assert covered * shape.columns * shape.kernel_rows * shape.kernel_columns == shape.macs
    corners = np.array([own.first for own in sizes])
    assert len(np.unique(corners, axis=1).T) == len(passes)


def exhaustive(array: RowStationaryArray, shape: ConvolutionShape) -> float:
    """The least product of traffic and cycles of any mapping without spilled psums, every size tried; filters are loaded for every pass."""
    _, window, _ = array.taps(shape)
    best = np.inf
    sizes = [np.arange(1, most + 1) for most in (shape.filters, 6, 8 // window, 2, 10)]
    m, p, q, r, t = (values.ravel() for values in np.meshgrid(*sizes, indexing="ij"))
    fits = (p * t <= m) & (p * q * window <= array.filter_spad_words) & (q * r <= shape.channels)
    m, p, q, r, t = (values[fits] for values in (m, p, q, r, t))
    for e, n in product(range(1, shape.rows + 1), range(1, shape.images + 1)):
        w = ceil_div(e, ceil_div(e, array.width))
        strips = ceil_div(shape.images, n) * ceil_div(shape.rows, e)
        blocks = ceil_div(shape.filters, m)
        ifm = shape.images * shape.channels * shape.width * strip_rows(shape, e)
        psums, line = m * n * e * shape.columns, n * int(most_rows(shape, e)) * shape.width
        stream = np.where(
            psums + q * r * line <= array.buffer_words,
            ifm * blocks + shape.filter_elements * strips,
            np.inf,
        )
        keep = np.where(
            psums + shape.channels * line <= array.buffer_words,
            ifm + shape.filter_elements * strips,
            np.inf,
        )
        held = (
            m * shape.channels * shape.kernel_rows * shape.kernel_columns
            <= array.filter_buffer_words
        )
        stay = np.where(held & np.isfinite(stream), ifm * blocks + shape.filter_elements, np.inf)
        traffic = np.minimum(np.minimum(stream, keep), stay) + shape.ofm_elements
        for s in range(1, ceil_div(e, array.width) + 1):
            cost = pass_cost(
                array, shape, PassWork(images=n, rows=e, filters=p * t, channels=q * r, groups=1,
                filter_parts=t, channel_parts=r, pieces=s, piece_rows=w),
            )  # fmt: skip
            passes = strips * blocks * ceil_div(m, p * t) * ceil_div(shape.channels, q * r)
            sets = array.height // shape.kernel_rows // r * (array.width // w)
            product_of_both = np.where(
                t * s <= sets, traffic * passes * (cost.fresh_ramp + cost.steady), np.inf
            )
            best = min(best, float(product_of_both.min()))
    return best


def value(array: RowStationaryArray, shape: ConvolutionShape, found: Mapping) -> float:
    """Product of traffic and cycles of a mapping, all passes full."""
    cost = pass_cost(
        array, shape, PassWork(images=found.n, rows=found.e, filters=found.filters, channels=min(found.channels, shape.channels), groups=1,
        filter_parts=found.t, channel_parts=found.r, pieces=found.s, piece_rows=found.w),
    )  # fmt: skip
    strips, blocks = (
        ceil_div(shape.images, found.n) * ceil_div(shape.rows, found.e),
        ceil_div(shape.filters, found.m),
    )
    ifm = (
        shape.images
        * shape.channels
        * shape.width
        * strip_rows(shape, found.e)
        * (1 if found.order is Order.IFM else blocks)
    )
    inner = ceil_div(found.m, found.filters) * ceil_div(shape.channels, found.channels)
    stays = inner == 1 and (blocks == 1 or found.order is Order.FILTERS)
    filters = shape.filter_elements * (1 if stays or found.order is Order.FILTERS else strips)
    loads = blocks if stays else strips * blocks * inner
    cycles = strips * blocks * inner * (cost.ramp + cost.steady) + loads * (
        cost.fresh_ramp - cost.ramp
    )
    return float((ifm + filters + shape.ofm_elements) * cycles)


@pytest.mark.parametrize(
    "shape",
    [
        ConvolutionShape(2, 1, 8, 12, 7, 7, 7, 7, 3, 3, top_padding=1),
        ConvolutionShape(1, 1, 6, 9, 12, 12, 12, 12, 3, 3, top_padding=1),
        ConvolutionShape(2, 1, 16, 10, 6, 6, 6, 6),
        ConvolutionShape(1, 1, 26, 8, 5, 5, 3, 3, 1, 1, 2, 2),
    ],
)
def test_the_search_is_within_a_tenth_of_trying_everything(shape: ConvolutionShape) -> None:
    found = find_mapping(SMALL, shape, BITS, "balanced")
    assert found.order is not Order.SPILL
    assert value(SMALL, shape, found) <= 1.1 * exhaustive(SMALL, shape)


def test_traffic_first_moves_least() -> None:
    for name in ("first layer", "3x3", "1x1"):
        moved = [
            traffic_of(SHAPES[name], find_mapping(CHIP, SHAPES[name], BITS, objective))
            for objective in ("traffic", "balanced")
        ]
        assert moved[0] <= moved[1]


def traffic_of(shape: ConvolutionShape, found: Mapping) -> int:
    """Elements read by a mapping's passes."""
    passes = passes_of(shape, found, whole_filters=True)
    ifm = (
        passes.reads_ifm
        * passes.images.size
        * passes.channels.size
        * passes.groups.size
        * passes.ifm_rows.size
        * shape.width
    )
    filters = (
        passes.reads_filters
        * passes.filters.size
        * passes.channels.size
        * passes.groups.size
        * shape.kernel_rows
        * shape.kernel_columns
    )
    return int(ifm.sum() + filters.sum())


def test_a_larger_buffer_never_moves_more() -> None:
    shape = SHAPES["3x3"]
    moved = [
        traffic_of(shape, find_mapping(replace(CHIP, buffer_words=words), shape, BITS, "traffic"))
        for words in (4096, 16_384, 51_200, 161_792)
    ]
    assert moved == sorted(moved, reverse=True)


def test_no_room_for_one_row_is_refused() -> None:
    with pytest.raises(
        NetworkError, match=r"leaves 1,679 words for ifm and psums; a pass needs 1,680 at least"
    ):
        find_mapping(replace(CHIP, buffer_words=1679), SHAPES["first layer"], BITS, "balanced")
    assert (
        find_mapping(replace(CHIP, buffer_words=1680), SHAPES["first layer"], BITS, "balanced").m
        == 1
    )
