"""The processing passes of a layer in order, as arrays [passes].

They say what each pass works on, what has to come from DRAM for it, and what goes there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edensim.machines.eyeriss.array import ConvolutionShape
from edensim.machines.eyeriss.mapping import Mapping, Order
from edensim.machines.eyeriss.tiles import repeated

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Spans:
    """Ranges of indices, as arrays: `size` indices from `first` on."""

    first: Ints
    size: Ints

    def __getitem__(self, chosen: Ints | Flags) -> Spans:
        return Spans(self.first[chosen], self.size[chosen])


@dataclass(frozen=True)
class Passes:
    """Processing passes.

    Attributes
    ----------
    images, rows, ifm_rows, groups, filters, channels : Spans
        What each pass works on: images, ofm rows and the ifm rows for them, groups, and the filters
        and channels of each group.
    filter_offset : ndarray of int64
        Elements of the filter tensor before those of the pass, if filters lie in the order of
        passes.
    fresh_filters : ndarray of bool
        Whether the pass before had other filters.
    reads_ifm, reads_filters, reads_psums, writes : ndarray of bool
        What moves between DRAM and the buffer.
    spills : ndarray of bool
        Whether psums go to DRAM unfinished.
    waits : ndarray of bool
        Whether the pass is the first to read psums that earlier passes spilled.
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
        return Passes(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def spans(whole: int, size: int, first: int = 0) -> Spans:
    """Cut `whole` indices, from `first` on, into spans of a size; the last may be smaller."""
    begin = np.arange(0, whole, size, dtype=np.int64)
    return Spans(first + begin, np.minimum(size, whole - begin))


def loop_indices(*counts: int) -> list[Ints]:
    """Return the indices of nested loops, the outermost first, as one array for each loop."""
    return [
        index.ravel()
        for index in np.meshgrid(*(np.arange(count) for count in counts), indexing="ij")
    ]


def blocks_of(
    shape: ConvolutionShape, mapping: Mapping
) -> tuple[Spans, Spans, Spans, Spans, Flags, Flags]:
    """Return the blocks of passes that share psums in the buffer, in order.

    They are the images, ofm rows, filters and channels (all of them unless psums are spilled);
    whether no other filters come before with these images, rows and channels; and whether no other
    strip comes before with these filters.
    """
    images, rows, filters = (
        spans(shape.images, mapping.n),
        spans(shape.rows, mapping.e),
        spans(shape.filters, mapping.m),
    )
    channels = spans(
        shape.channels, mapping.resident if mapping.order is Order.SPILL else shape.channels
    )
    counts = [len(parts.first) for parts in (images, rows, channels, filters)]
    if mapping.order is Order.FILTERS:
        block, image, row, part = loop_indices(counts[3], *counts[:3])
    else:
        image, row, part, block = loop_indices(*counts)
    return (
        images[image],
        rows[row],
        filters[block],
        channels[part],
        block == 0,
        (image == 0) & (row == 0),
    )


def passes_of(shape: ConvolutionShape, mapping: Mapping, *, whole_filters: bool) -> Passes:
    """Return all passes of a layer.

    If a PE set holds whole filters, they can stay in the spads from one pass to the next.
    """
    images, rows, filters, channels, first_of_strip, first_of_filters = blocks_of(shape, mapping)
    strips = spans(shape.rows, mapping.e)
    read = [
        shape.ifm_rows(int(first), int(size))
        for first, size in zip(strips.first, strips.size, strict=True)
    ]
    begin, end = np.array(read, np.int64).T
    strip = rows.first // mapping.e
    # Inside a block, the loop over channels is the outer one, and that over filters the inner one.
    filter_steps, channel_steps = (
        -(-blocks.size // size)
        for blocks, size in ((filters, mapping.filters), (channels, mapping.channels))
    )
    steps = filter_steps * channel_steps
    block, within = repeated(steps)
    channel_step, filter_step = np.divmod(within, filter_steps[block])
    per_group = len(block)
    groups = spans(shape.groups, mapping.g)
    at = np.tile(np.arange(per_group), len(groups.first))
    group = np.repeat(np.arange(len(groups.first)), per_group)
    block, channel_step, filter_step = block[at], channel_step[at], filter_step[at]
    pass_filters = part_of(filters[block], filter_step, mapping.filters)
    pass_channels = part_of(channels[block], channel_step, mapping.channels)
    groups = groups[group]
    fresh = np.ones(len(block), bool)
    if whole_filters:
        fresh[1:] = np.any(
            [np.diff(parts.first) != 0 for parts in (groups, pass_filters, pass_channels)], axis=0
        )
    before = filters.first[block] * shape.channels + filters.size[block] * pass_channels.first
    before += (pass_filters.first - filters.first[block]) * pass_channels.size
    window = shape.kernel_rows * shape.kernel_columns
    completes = channel_step == channel_steps[block] - 1
    resumes = (channels.first[block] > 0) & (channel_step == 0)
    keeps_ifm = mapping.order in (Order.IFM, Order.SPILL)
    return Passes(
        images=images[block],
        rows=rows[block],
        ifm_rows=Spans(begin[strip], (end - begin)[strip])[block],
        groups=groups,
        filters=pass_filters,
        channels=pass_channels,
        filter_offset=(groups.first * shape.filters * shape.channels + groups.size * before)
        * window,
        reads_ifm=(filter_step == 0) & (first_of_strip[block] | (not keeps_ifm)),
        reads_filters=fresh & (first_of_filters[block] | (mapping.order is not Order.FILTERS)),
        fresh_filters=fresh,
        reads_psums=resumes,
        writes=completes,
        spills=completes & (pass_channels.first + pass_channels.size < shape.channels),
        waits=resumes & (filter_step == 0) & first_of_strip[block],
    )


def part_of(whole: Spans, step: Ints, size: int) -> Spans:
    """Return the part of some number and size of each span; the last part may be smaller."""
    return Spans(whole.first + step * size, np.minimum(size, whole.size - step * size))
