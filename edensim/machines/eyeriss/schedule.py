"""A layer's processing passes as tiles: what each reads from DRAM, how long the array works on it, what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edensim.machines.eyeriss.array import ConvolutionShape, RowStationaryArray, ceil_div, pass_cost
from edensim.machines.eyeriss.passes import Passes, Spans, passes_of
from edensim.machines.eyeriss.tiles import (
    AHEAD,
    READ,
    WRITE,
    Region,
    Runs,
    ScheduleColumns,
    repeated,
    runs,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.machines.eyeriss.mapping import Mapping

    Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tensors:
    """Where a convolution's data are. packed: filters lie in the order of passes. others: bias and what else is read once, with its elements."""

    ifm: Region
    filters: Region
    ofm: Region
    psums: Region  # the ofm's place, for psums that are spilled
    others: tuple[tuple[Region, int], ...] = ()
    packed: bool = True


@dataclass(frozen=True)
class Tally:
    """What a layer's passes add up to: cycles, cycles in which PEs multiply, words through the buffer and of filters, passes."""

    cycles: int
    mac_cycles: int
    buffer_words: int
    filter_words: int
    passes: int


@dataclass(frozen=True)
class ConvolutionTiles:
    """A convolution's passes as tiles of a schedule."""

    array: RowStationaryArray
    shape: ConvolutionShape
    mapping: Mapping
    tensors: Tensors

    def add_to(self, schedule: ScheduleColumns, layer: int) -> Tally:
        """Add all tiles; the first waits for the layers before. Filters of the next pass are fetched while the array works.

        Filters that the buffer's part for them does not hold at once come in portions, each a tile that is over when it is in the spads.
        """
        array, shape, mapping = self.array, self.shape, self.mapping
        passes = passes_of(shape, mapping, whole_filters=array.taps(shape)[2] == 1)
        cost = pass_cost(
            array,
            shape,
            images=passes.images.size,
            rows=passes.rows.size,
            groups=passes.groups.size,
            filters=passes.filters.size,
            channels=passes.channels.size,
            filter_parts=mapping.t,
            channel_parts=mapping.r,
            pieces=mapping.s,
            piece_rows=mapping.w,
        )
        cycles = cost.steady + np.where(passes.fresh_filters, cost.fresh_ramp, cost.ramp)
        portions, loading = self.portions(passes)
        last = np.cumsum(portions) - 1  # the tile in which the array works
        compute = np.repeat(loading, portions)
        compute[last] = np.maximum(cycles - (portions - 1) * loading, 0)
        barrier = np.zeros(len(compute), bool)
        barrier[last] = passes.waits
        barrier[last[0]] = True
        transfers = [
            region.transfers(runs(last[:1], 0, elements), AHEAD)
            for region, elements in self.tensors.others
        ]
        transfers.append(self.tensors.filters.transfers(self.filter_runs(passes, portions), AHEAD))
        schedule.add(layer, compute, barrier, transfers + self.feature_transfers(passes, last))
        return Tally(
            cycles=int(cycles.sum()),
            mac_cycles=int(cost.mac.sum()),
            buffer_words=int((cost.ifmap_words + cost.psum_words).sum()),
            filter_words=int((cost.filter_words * passes.fresh_filters).sum()),
            passes=len(passes),
        )

    def filters_at_once(self, passes: Passes) -> Ints:
        """Filters of a portion, where they lie row after row."""
        window = self.shape.kernel_rows * self.shape.kernel_columns
        return np.maximum(self.array.filter_buffer_words // (passes.channels.size * window), 1)

    def portions(self, passes: Passes) -> tuple[Ints, Ints]:
        """In how many portions each pass's filters come, and the cycles in which one that is not the last goes into the spads."""
        window = self.shape.kernel_rows * self.shape.kernel_columns
        filters = passes.groups.size * passes.filters.size
        if self.tensors.packed:
            elements = np.full(len(passes), self.array.filter_buffer_words)
            count = ceil_div(filters * passes.channels.size * window, elements)
        else:
            elements = self.filters_at_once(passes) * passes.channels.size * window
            count = ceil_div(filters, self.filters_at_once(passes))
        return np.where(passes.reads_filters, count, 1), ceil_div(
            elements, self.array.filter_words_per_cycle
        )

    def filter_runs(self, passes: Passes, portions: Ints) -> Runs:
        """Filters in portions, by tile."""
        shape = self.shape
        window = shape.kernel_rows * shape.kernel_columns
        owner, portion = repeated(portions)
        own = passes[owner]
        filters, elements = own.groups.size * own.filters.size, own.channels.size * window
        if self.tensors.packed:
            limit = self.array.filter_buffer_words
            every = runs(
                np.arange(len(owner)),
                own.filter_offset + portion * limit,
                np.minimum(limit, filters * elements - portion * limit),
            )
        else:
            stride, at_once = shape.channels * window, self.filters_at_once(own)
            first = (
                own.groups.first * shape.filters + own.filters.first + portion * at_once
            ) * stride + own.channels.first * window
            every = runs(
                np.arange(len(owner)),
                first,
                elements,
                stride,
                np.minimum(at_once, filters - portion * at_once),
            )
        return every.where(own.reads_filters)

    def feature_transfers(self, passes: Passes, tile: Ints) -> list[NDArray[np.void]]:
        """What passes read of features and psums, and what they write. tile: number of each pass's tile."""
        shape, tensors = self.shape, self.tensors
        used = joined(passes.groups, passes.channels, shape.channels)
        made = joined(passes.groups, passes.filters, shape.filters)
        ifm = shape.groups * shape.channels, shape.height, shape.width
        ofm = shape.groups * shape.filters, shape.rows, shape.columns
        found = [
            tensors.ifm.transfers(
                plane_runs(ifm, tile, passes.images, used, passes.ifm_rows, passes.reads_ifm), READ
            )
        ]
        for region, kind, chosen in (
            (tensors.psums, READ, passes.reads_psums),
            (tensors.psums, WRITE, passes.writes & passes.spills),
            (tensors.ofm, WRITE, passes.writes & ~passes.spills),
        ):
            if chosen.any():
                found.append(
                    region.transfers(
                        plane_runs(ofm, tile, passes.images, made, passes.rows, chosen), kind
                    )
                )
        return found


def joined(groups: Spans, own: Spans, per_group: int) -> Spans:
    """Channels (or filters) of several groups, of which `own` are used in each: all of them where there is more than one group."""
    return Spans(groups.first * per_group + own.first, (groups.size - 1) * per_group + own.size)


def plane_runs(
    planes: tuple[int, int, int],
    tile: Ints,
    images: Spans,
    channels: Spans,
    rows: Spans,
    chosen: NDArray[np.bool_],
) -> Runs:
    """Rows of channels of images of a feature tensor (channels, height, width of an image), for the tiles chosen.

    Channels that are used whole lie behind each other: one run per image, else one per channel.
    """
    depth, height, width = planes
    tile, images, channels, rows = tile[chosen], images[chosen], channels[chosen], rows[chosen]
    plane = height * width
    whole = rows.size == height
    owner, image = repeated(np.where(whole, 1, images.size))
    image = images.first[owner] + image
    per_image = whole[owner]
    return runs(
        tile[owner],
        (image * depth + channels.first[owner]) * plane
        + np.where(per_image, 0, rows.first[owner] * width),
        np.where(per_image, channels.size[owner] * plane, rows.size[owner] * width),
        np.where(per_image, depth * plane, plane),
        np.where(per_image, images.size[owner], channels.size[owner]),
    )
