"""A row-stationary array: what a layer is to it, how many words and cycles a processing pass takes (Chen et al., ISCA 2016 and JSSC 2017).

A processing element (PE) convolves one row of a filter with one row of the ifm; a PE set of (filter rows x ofm rows) makes a strip of the ofm, adding
psums from bottom to top. Each PE holds p filters of q channels at once. Sets are copied over the array for r channel parts (stacked, so that their
psums add up), t filter parts, s pieces of the strip and g groups.

Three networks connect the global buffer and the array (JSSC 2017): filters and psums four words a cycle, the ifm one word a cycle, each word
multicast to all PEs that need it. That, and that filter spads are loaded before a pass (they hold one pass), decides how long a pass takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: A whole number, or an array of them: the formulas below serve one pass and the search over many alike.
Number = Any


@dataclass(frozen=True)
class ConvolutionShape:
    """A convolution as the array sees it; channels and filters are those of one group. A linear layer has one-pixel features."""

    images: int
    groups: int
    channels: int
    filters: int
    height: int  # of the ifm
    width: int
    rows: int  # of the ofm
    columns: int
    kernel_rows: int = 1
    kernel_columns: int = 1
    row_stride: int = 1
    column_stride: int = 1
    row_dilation: int = 1
    column_dilation: int = 1
    top_padding: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.ofm_elements * self.channels * self.kernel_rows * self.kernel_columns

    @property
    def ofm_elements(self) -> int:
        """Elements of the ofm."""
        return self.images * self.groups * self.filters * self.rows * self.columns

    @property
    def filter_elements(self) -> int:
        """Elements of all filters."""
        return self.groups * self.filters * self.channels * self.kernel_rows * self.kernel_columns

    def ifm_rows(self, first: int, rows: int) -> tuple[int, int]:
        """Rows of the ifm (first, end), inside it, that so many rows of the ofm from `first` on are made of; one row at least."""
        begin = first * self.row_stride - self.top_padding
        end = begin + (rows - 1) * self.row_stride + (self.kernel_rows - 1) * self.row_dilation + 1
        begin = min(max(begin, 0), self.height - 1)
        return begin, min(max(end, begin + 1), self.height)


@dataclass(frozen=True)
class RowStationaryArray:
    """The machine: PEs, words of their spads, words of the buffer for ifm and psums and for filters to come, words a cycle of the three networks."""

    height: int
    width: int
    filter_spad_words: int
    ifmap_spad_words: int
    psum_spad_words: int
    buffer_words: int
    filter_buffer_words: int
    filter_words_per_cycle: int
    ifmap_words_per_cycle: int
    psum_words_per_cycle: int

    @property
    def pes(self) -> int:
        """Processing elements."""
        return self.height * self.width

    def taps(self, shape: ConvolutionShape) -> tuple[int, int, int]:
        """Filter rows and columns of a PE set, and how many such parts a filter is cut into: rows beyond the array, columns beyond the spads."""
        row_parts = -(-shape.kernel_rows // self.height)
        column_parts = -(
            -shape.kernel_columns // min(self.ifmap_spad_words, self.filter_spad_words)
        )
        return (
            -(-shape.kernel_rows // row_parts),
            -(-shape.kernel_columns // column_parts),
            row_parts * column_parts,
        )


@dataclass(frozen=True)
class PassCost:
    """What one processing pass takes (numbers or arrays). Cycles: `ramp` before the first product (`fresh_ramp` where filters are loaded first) and
    `steady`; `mac`: of them, those in which PEs multiply. Words through the buffer: ifmap, psums (in and out)."""

    ramp: Number
    fresh_ramp: Number
    steady: Number
    mac: Number
    ifmap_words: Number
    psum_words: Number
    filter_words: Number


def ceil_div(number: Number, divisor: Number) -> Number:
    """Quotient, rounded up; exact for whole floats too (which the search uses: numpy divides them four times as fast), up to 2^52."""
    if isinstance(number, np.ndarray) and number.dtype.kind == "f":
        return np.ceil(number / divisor)
    return -(-number // divisor)


def pass_cost(
    array: RowStationaryArray,
    shape: ConvolutionShape,
    *,
    images: Number,
    rows: Number,
    filters: Number,
    channels: Number,
    groups: Number,
    filter_parts: Number,
    channel_parts: Number,
    pieces: Number,
    piece_rows: Number,
) -> PassCost:
    """Words and cycles of a pass: so many images, rows of the ofm, filters and channels of so many groups.

    filter_parts t, channel_parts r, pieces s: copies of the PE set; piece_rows: ofm rows of a set. Pieces beyond s follow in time.

    - A PE makes p psums per ofm column: for each, q x (filter columns) products, and one addition of the psum that comes from the PE below or from
      the buffer, which takes its adder for a cycle.
    - Meanwhile the ifm (rows of all pieces at work, padding included) comes at its network's rate, psums go in and out at theirs: the slowest
      decides.
    - Before: the filters, and at the same time the first window of the ifm. After: the psums of the last column.
    """
    taps, window, parts = array.taps(shape)
    at_once = np.minimum(rows, pieces * piece_rows)
    folds = ceil_div(ceil_div(rows, piece_rows), pieces)
    lines = np.minimum(
        (at_once - 1) * shape.row_stride + (taps - 1) * shape.row_dilation + 1, at_once * taps
    )
    across = min(
        (shape.columns - 1) * shape.column_stride + (window - 1) * shape.column_dilation + 1,
        shape.columns * window,
    )
    channels_in = channels * groups
    filter_words = filters * channels_in * taps * window
    first_words = lines * window * channels_in
    ifmap_words = images * folds * lines * across * channels_in
    psum_words = images * rows * shape.columns * filters * groups
    mac = (
        images
        * folds
        * ceil_div(filters, filter_parts)
        * ceil_div(channels, channel_parts)
        * window
        * shape.columns
    )
    additions = images * folds * ceil_div(filters, filter_parts) * shape.columns
    drain = ceil_div(filters * groups * at_once, array.psum_words_per_cycle)
    first = ceil_div(first_words, array.ifmap_words_per_cycle)
    load = ceil_div(filter_words, array.filter_words_per_cycle)
    ifmap = ceil_div(ifmap_words - first_words, array.ifmap_words_per_cycle)
    steady = np.maximum(
        np.maximum(mac + additions + drain, ifmap), ceil_div(psum_words, array.psum_words_per_cycle)
    )
    return PassCost(
        ramp=first * parts,
        fresh_ramp=np.maximum(load, first) * parts,
        steady=steady * parts,
        mac=mac * parts,
        ifmap_words=ifmap_words * parts,
        psum_words=2 * psum_words * parts,
        filter_words=filter_words * parts,
    )
