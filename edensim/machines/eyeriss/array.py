"""A row-stationary array: what a layer is to it, and what a processing pass takes.

A processing element (PE) convolves one row of a filter with one row of the ifm. A PE set of (filter
rows x ofm rows) makes a strip of the ofm; psums are added from bottom to top. Each PE holds p
filters of q channels at once. Sets are copied over the array for r channel parts (stacked, so that
their psums add up), t filter parts, s pieces of the strip and g groups.

Three networks connect the global buffer and the array: filters and psums come at four words a
cycle, the ifm at one word a cycle, and each word is multicast to all PEs that need it. This decides
how long a pass takes, together with the loading of the filter spads, which hold one pass.

References
----------
Chen et al., "Eyeriss: A Spatial Architecture for Energy-Efficient Dataflow for Convolutional Neural
Networks", ISCA 2016; Chen et al., "Eyeriss: An Energy-Efficient Reconfigurable Accelerator for Deep
Convolutional Neural Networks", JSSC 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

#: A whole number or an array of them: the formulas serve one pass as well as the search over many.
Number = Any


@dataclass(frozen=True)
class ConvolutionShape:
    """A convolution as the array sees it.

    Channels and filters are those of one group, height and width those of the ifm, rows and columns
    those of the ofm. The features of a linear layer have one pixel.
    """

    images: int
    groups: int
    channels: int
    filters: int
    height: int
    width: int
    rows: int
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
        """Number of multiply-accumulates."""
        return self.ofm_elements * self.channels * self.kernel_rows * self.kernel_columns

    @property
    def ofm_elements(self) -> int:
        """Number of elements of the ofm."""
        return self.images * self.groups * self.filters * self.rows * self.columns

    @property
    def filter_elements(self) -> int:
        """Number of elements of all filters."""
        return self.groups * self.filters * self.channels * self.kernel_rows * self.kernel_columns

    def ifm_rows(self, first: int, rows: int) -> tuple[int, int]:
        """Return the range of ifm rows that a number of ofm rows, from `first` on, are made of.

        The range lies inside the ifm and holds one row at least.
        """
        begin = first * self.row_stride - self.top_padding
        end = begin + (rows - 1) * self.row_stride + (self.kernel_rows - 1) * self.row_dilation + 1
        begin = min(max(begin, 0), self.height - 1)
        return begin, min(max(end, begin + 1), self.height)


@dataclass(frozen=True)
class RowStationaryArray:
    """The array, the spads of its PEs, the buffer and the networks.

    `buffer_words` is the part of the buffer for ifm and psums, `filter_buffer_words` that for
    filters which are about to be loaded.
    """

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
        """Number of processing elements."""
        return self.height * self.width

    def taps(self, shape: ConvolutionShape) -> tuple[int, int, int]:
        """Return the filter rows and columns of a PE set, and how many such parts a filter has.

        A filter is cut if it has more rows than the array or more columns than a spad has words.
        """
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
class PassWork:
    """What a processing pass works on (numbers or arrays).

    Attributes
    ----------
    images, rows, filters, channels, groups : Number
        Images, ofm rows, and the filters and channels of each of so many groups.
    filter_parts, channel_parts, pieces : Number
        Copies of the PE set (t, r and s). Pieces of the strip beyond s follow in time.
    piece_rows : Number
        Rows of the ofm that a PE set makes.
    """

    images: Number
    rows: Number
    filters: Number
    channels: Number
    groups: Number
    filter_parts: Number
    channel_parts: Number
    pieces: Number
    piece_rows: Number


@dataclass(frozen=True)
class PassCost:
    """What a processing pass takes (numbers or arrays).

    Attributes
    ----------
    ramp, fresh_ramp : Number
        Cycles before the first product, without and with loading filters.
    steady, mac : Number
        Cycles behind that, and those of them in which PEs multiply.
    ifmap_words, psum_words, filter_words : Number
        Words through the buffer (psums in and out), and words of filters that are loaded.
    """

    ramp: Number
    fresh_ramp: Number
    steady: Number
    mac: Number
    ifmap_words: Number
    psum_words: Number
    filter_words: Number


def ceil_div(number: Number, divisor: Number) -> Number:
    """Divide and round up.

    Whole floats are exact up to 2^52, too. The search uses them, because numpy divides them four
    times as fast.
    """
    if isinstance(number, np.ndarray) and number.dtype.kind == "f":
        return np.ceil(number / divisor)
    return -(-number // divisor)


def pass_cost(array: RowStationaryArray, shape: ConvolutionShape, work: PassWork) -> PassCost:
    """Return the words and cycles of a pass.

    - A PE makes p psums for each ofm column. Each takes q x (filter columns) products, and one
      addition of the psum that comes from the PE below or from the buffer, which takes the adder
      for a cycle.
    - Meanwhile the ifm (the rows of all pieces at work, padding included) comes at the rate of its
      network, and psums go in and out at theirs; the slowest decides.
    - Before that, the filters come, and at the same time the first window of the ifm. After it, the
      psums of the last column leave.
    """
    taps, window, parts = array.taps(shape)
    at_once = np.minimum(work.rows, work.pieces * work.piece_rows)
    folds = ceil_div(ceil_div(work.rows, work.piece_rows), work.pieces)
    lines = np.minimum(
        (at_once - 1) * shape.row_stride + (taps - 1) * shape.row_dilation + 1, at_once * taps
    )
    across = min(
        (shape.columns - 1) * shape.column_stride + (window - 1) * shape.column_dilation + 1,
        shape.columns * window,
    )
    channels_in = work.channels * work.groups
    filter_words = work.filters * channels_in * taps * window
    first_words = lines * window * channels_in
    ifmap_words = work.images * folds * lines * across * channels_in
    psum_words = work.images * work.rows * shape.columns * work.filters * work.groups
    mac = (
        work.images
        * folds
        * ceil_div(work.filters, work.filter_parts)
        * ceil_div(work.channels, work.channel_parts)
        * window
        * shape.columns
    )
    additions = work.images * folds * ceil_div(work.filters, work.filter_parts) * shape.columns
    drain = ceil_div(work.filters * work.groups * at_once, array.psum_words_per_cycle)
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
