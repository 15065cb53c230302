"""The processing passes of a layer, in order: what each works on, what has to come from DRAM for it and what goes there. All as arrays [passes]."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from edensim.machines.eyeriss.array import ConvolutionShape
from edensim.machines.eyeriss.mapping import Mapping, Order
from edensim.machines.eyeriss.tiles import repeated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Spans:
    """Indices first, first + 1, ..., first + size - 1, of each of several things."""

    first: Ints
    size: Ints

    def __getitem__(self, chosen: Ints | Flags) -> Spans:
        return Spans(self.first[chosen], self.size[chosen])


@dataclass(frozen=True)
class Passes:
    """Processing passes: images, ofm rows, the ifm rows for them, groups, filters and channels (of each group) they work on, and what moves.

    filter_offset: elements of the filter tensor before their own, where filters lie in the order of passes. fresh_filters: the pass before had
    others.
    spills: psums go to DRAM unfinished; waits: the first to read psums that earlier passes spilled.
    """

    images: Spans
    rows: Spans
    ifm_rows: Spans
    groups: Spans
    filters: Spans
    channels: Spans
    filter_offset: Ints
    reads_ifm: Flags
    reads_filters: Flags
    fresh_filters: Flags
    reads_psums: Flags
    writes: Flags
    spills: Flags
    waits: Flags

    def __len__(self) -> int:
        return len(self.reads_ifm)

    def __getitem__(self, chosen: Ints | Flags) -> Passes:
        return Passes(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})


def spans(whole: int, size: int, first: int = 0) -> Spans:
    """`whole` indices from `first` on, in spans of `size`; the last may be smaller."""
    begin = np.arange(0, whole, size, dtype=np.int64)
    return Spans(first + begin, np.minimum(size, whole - begin))


def every(*counts: int) -> list[Ints]:
    """Indices of nested loops, outermost first: one array each, innermost running fastest."""
    return [
        index.ravel()
        for index in np.meshgrid(*(np.arange(count) for count in counts), indexing="ij")
    ]


def blocks_of(
    shape: ConvolutionShape, mapping: Mapping
) -> tuple[Spans, Spans, Spans, Spans, Flags, Flags]:
    """Blocks of passes that share psums in the buffer, in order: images, ofm rows, filters, channels (all but where psums are spilled);
    whether no other filters come before with these images, rows and channels; whether no other strip comes before with these filters."""
    images, rows, filters = (
        spans(shape.images, mapping.n),
        spans(shape.rows, mapping.e),
        spans(shape.filters, mapping.m),
    )
    channels = spans(
        shape.channels, mapping.resident if mapping.order is Order.SPILL else shape.channels
    )
    sizes = [len(each.first) for each in (images, rows, channels, filters)]
    if mapping.order is Order.FILTERS:
        own, image, row, part = every(sizes[3], sizes[0], sizes[1], sizes[2])
    else:
        image, row, part, own = every(*sizes)
    return (
        images[image],
        rows[row],
        filters[own],
        channels[part],
        own == 0,
        (image == 0) & (row == 0),
    )


def passes_of(shape: ConvolutionShape, mapping: Mapping, *, whole_filters: bool) -> Passes:
    """All passes of a layer. whole_filters: a PE set holds filters whole, so that they can stay in the spads from one pass to the next."""
    images, rows, filters, channels, first_of_strip, first_of_filters = blocks_of(shape, mapping)
    strips = spans(shape.rows, mapping.e)
    read = [
        shape.ifm_rows(int(first), int(size))
        for first, size in zip(strips.first, strips.size, strict=True)
    ]
    begin, end = np.array(read, np.int64).T
    strip = rows.first // mapping.e
    # Inside a block: channels, then filters.
    filter_steps, channel_steps = (
        -(-each.size // size)
        for each, size in ((filters, mapping.filters), (channels, mapping.channels))
    )
    steps = filter_steps * channel_steps
    block, within = repeated(steps)
    channel_step, filter_step = np.divmod(within, filter_steps[block])
    per_group = len(block)
    groups = spans(shape.groups, mapping.g)
    at = np.tile(np.arange(per_group), len(groups.first))
    group = np.repeat(np.arange(len(groups.first)), per_group)
    block, channel_step, filter_step = block[at], channel_step[at], filter_step[at]
    own_filters = part_of(filters[block], filter_step, mapping.filters)
    own_channels = part_of(channels[block], channel_step, mapping.channels)
    groups = groups[group]
    fresh = np.ones(len(block), bool)
    if whole_filters:
        fresh[1:] = np.any(
            [np.diff(each.first) != 0 for each in (groups, own_filters, own_channels)], axis=0
        )
    before = filters.first[block] * shape.channels + filters.size[block] * own_channels.first
    before += (own_filters.first - filters.first[block]) * own_channels.size
    window = shape.kernel_rows * shape.kernel_columns
    completes = channel_step == channel_steps[block] - 1
    resumes = (channels.first[block] > 0) & (channel_step == 0)
    keeps_ifm = mapping.order in (Order.IFM, Order.SPILL)
    return Passes(
        images=images[block],
        rows=rows[block],
        ifm_rows=Spans(begin[strip], (end - begin)[strip])[block],
        groups=groups,
        filters=own_filters,
        channels=own_channels,
        filter_offset=(groups.first * shape.filters * shape.channels + groups.size * before)
        * window,
        reads_ifm=(filter_step == 0) & (first_of_strip[block] | (not keeps_ifm)),
        reads_filters=fresh & (first_of_filters[block] | (mapping.order is not Order.FILTERS)),
        fresh_filters=fresh,
        reads_psums=resumes,
        writes=completes,
        spills=completes & (own_channels.first + own_channels.size < shape.channels),
        waits=resumes & (filter_step == 0) & first_of_strip[block],
    )


def part_of(whole: Spans, step: Ints, size: int) -> Spans:
    """The step-th part of `size` of each span; the last may be smaller."""
    return Spans(whole.first + step * size, np.minimum(size, whole.size - step * size))
