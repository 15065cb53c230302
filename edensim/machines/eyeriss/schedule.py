"""The processing passes of a convolution as tiles of a schedule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.engine.tiles import Schedule
from edensim.machines.eyeriss.array import (
    ConvolutionShape,
    PassWork,
    RowStationaryArray,
    ceil_div,
    pass_cost,
)
from edensim.machines.eyeriss.mapping import Mapping
from edensim.machines.eyeriss.passes import Passes, Spans, passes_of
from edensim.machines.eyeriss.tiles import (
    AHEAD,
    READ,
    WRITE,
    Region,
    Runs,
    layer_schedule,
    repeated,
    runs,
)

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tensors:
    """Where the data of a convolution lie.

    Attributes
    ----------
    ifm, filters, ofm : Region
        The tensors.
    psums : Region
        The place of the ofm, for psums that are spilled.
    others : tuple of (Region, int)
        The bias and whatever else is read once, with its number of elements.
    packed : bool
        Whether filters lie in the order of the passes.
    """

    ifm: Region
    filters: Region
    ofm: Region
    psums: Region
    others: tuple[tuple[Region, int], ...] = ()
    packed: bool = True


@dataclass(frozen=True)
class LayerCounters:
    """What the passes of a layer add up to.

    `mac_cycles` are the cycles in which PEs multiply; words are counted through the buffer and as
    filters that are loaded.
    """

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

    def schedule(self, layer: int) -> tuple[Schedule, LayerCounters]:
        """Return the schedule of the layer of some index, and its counters.

        The first tile waits for the layers before. The filters of the next pass are fetched while
        the array works. Filters that the filter buffer does not hold at once come in portions, of
        which each is a tile that ends when it is in the spads.
        """
        array, shape, mapping = self.array, self.shape, self.mapping
        passes = passes_of(shape, mapping, whole_filters=array.taps(shape)[2] == 1)
        work = PassWork(
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
        cost = pass_cost(array, shape, work)
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
        transfers += self.feature_transfers(passes, last)
        return layer_schedule(layer, compute, barrier, transfers), LayerCounters(
            cycles=int(cycles.sum()),
            mac_cycles=int(cost.mac.sum()),
            buffer_words=int((cost.ifmap_words + cost.psum_words).sum()),
            filter_words=int((cost.filter_words * passes.fresh_filters).sum()),
            passes=len(passes),
        )

    def filters_at_once(self, passes: Passes) -> Ints:
        """Return the filters of a portion, if filters lie one after the other."""
        window = self.shape.kernel_rows * self.shape.kernel_columns
        return np.maximum(self.array.filter_buffer_words // (passes.channels.size * window), 1)

    def portions(self, passes: Passes) -> tuple[Ints, Ints]:
        """Return in how many portions the filters of each pass come.

        The second array holds the cycles in which a portion, unless it is the last, is loaded into
        the spads.
        """
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
        """Return the filters that are fetched in portions, by tile."""
        shape = self.shape
        window = shape.kernel_rows * shape.kernel_columns
        owner, portion = repeated(portions)
        passes = passes[owner]
        filters = passes.groups.size * passes.filters.size
        elements = passes.channels.size * window
        if self.tensors.packed:
            limit = self.array.filter_buffer_words
            fetched = runs(
                np.arange(len(owner)),
                passes.filter_offset + portion * limit,
                np.minimum(limit, filters * elements - portion * limit),
            )
        else:
            stride, at_once = shape.channels * window, self.filters_at_once(passes)
            first = (
                passes.groups.first * shape.filters + passes.filters.first + portion * at_once
            ) * stride + passes.channels.first * window
            fetched = runs(
                np.arange(len(owner)),
                first,
                elements,
                stride,
                np.minimum(at_once, filters - portion * at_once),
            )
        return fetched.where(passes.reads_filters)

    def feature_transfers(self, passes: Passes, tile: Ints) -> list[NDArray[np.void]]:
        """Return what the passes read of features and psums, and what they write.

        `tile` holds the number of the tile of each pass.
        """
        shape, tensors = self.shape, self.tensors
        used = joined(passes.groups, passes.channels, shape.channels)
        made = joined(passes.groups, passes.filters, shape.filters)
        ifm = shape.groups * shape.channels, shape.height, shape.width
        ofm = shape.groups * shape.filters, shape.rows, shape.columns
        transfers = [
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
                transfers.append(
                    region.transfers(
                        plane_runs(ofm, tile, passes.images, made, passes.rows, chosen), kind
                    )
                )
        return transfers


def joined(groups: Spans, used: Spans, per_group: int) -> Spans:
    """Return the channels (or filters) of several groups, of which some are used in each.

    All of them are used if there is more than one group.
    """
    return Spans(groups.first * per_group + used.first, (groups.size - 1) * per_group + used.size)


def plane_runs(
    planes: tuple[int, int, int],
    tile: Ints,
    images: Spans,
    channels: Spans,
    rows: Spans,
    chosen: NDArray[np.bool_],
) -> Runs:
    """Return the runs of some rows of some channels of a feature tensor, for the chosen tiles.

    `planes` are the channels, height and width of an image. Channels that are used whole lie behind
    each other and make one run for each image; otherwise there is one run for each channel.
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
