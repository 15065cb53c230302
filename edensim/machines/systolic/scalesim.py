"""Systolic arrays in closed form: how a layer folds onto one, and what SCALE-Sim 3.0 counts for it.

The rules are those of SCALE-Sim 3.0, read in its source and checked on random layers. Words are
bytes, there is no padding, and sizes of the ofm are rounded up. Words of a window that hang over
the ifm are counted at the SRAM but not at the DRAM.

- A fold maps min(rows, array) x min(columns, array) of the layer's matrices onto the array. Folds
  follow each other, rows first, and do not overlap: weights (or inputs) shift in, operands stream
  in skewed, and the last result drains out.
- A read buffer (in mode CALC) uses half of its SRAM, rounded down to 50 hundredths. It fills with
  the words that are requested and is emptied once it is full.
- The write buffer has lines as wide as the array. Once more than half of it is taken, half is sent
  at a line a cycle; the line that is being filled is then padded and sent, too. If more lines wait
  than are sent, that padding is counted as words.

References
----------
Samajdar et al., "SCALE-Sim: Systolic CNN Accelerator Simulator", arXiv:1811.02883.
"""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, SupportsIndex, TypedDict

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import ConfigError, NetworkError, nearest
from edensim.kernels.status import Status

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: The operand that stays in the array: weights, outputs or inputs.
DATAFLOWS = ("ws", "os", "is")
#: Flushes of a read buffer that are remembered for a layer. Repetitions beyond them are walked, not
#: skipped.
REMEMBERED = 1 << 14


@dataclass(frozen=True)
class Fold:
    """A matrix product (positions x depth) by (depth x filters) as it lies on an array.

    `rows`, `columns` and `time` are the extents of the product along the array and in time.
    """

    rows: int
    columns: int
    time: int
    array_height: int
    array_width: int
    dataflow: str

    @property
    def row_folds(self) -> int:
        """Number of folds along the rows."""
        return -(-self.rows // self.array_height)

    @property
    def column_folds(self) -> int:
        """Number of folds along the columns."""
        return -(-self.columns // self.array_width)

    @property
    def folds(self) -> int:
        """Number of folds in all."""
        return self.row_folds * self.column_folds

    @property
    def cycles(self) -> int:
        """Cycles of one fold if nothing overlaps.

        They are those of shifting in what stays (not in "os"), of streaming, and of the skew over
        both edges of the array.
        """
        edges = self.array_height + self.array_width - 2
        return self.time + edges + (0 if self.dataflow == "os" else self.array_height)


def fold_product(
    positions: int, depth: int, filters: int, array_height: int, array_width: int, dataflow: str
) -> Fold:
    """Fold a matrix product onto an array in a dataflow."""
    rows, columns, time = {
        "ws": (depth, filters, positions),
        "os": (positions, filters, depth),
        "is": (depth, positions, filters),
    }[dataflow]
    return Fold(rows, columns, time, array_height, array_width, dataflow)


@dataclass(frozen=True)
class ScalesimCounts:
    """What SCALE-Sim 3.0 reports for a layer.

    Attributes
    ----------
    compute_cycles : int
        Its "Total Cycles": the number of the last cycle, counted from 0.
    ifmap_sram_reads, filter_sram_reads, ofmap_sram_writes : int
        Words between the array and the SRAM buffers; a word is a byte.
    ifmap_dram_reads, filter_dram_reads, ofmap_dram_writes : int
        Words between the buffers and DRAM.
    """

    compute_cycles: int
    ifmap_sram_reads: int
    filter_sram_reads: int
    ofmap_sram_writes: int
    ifmap_dram_reads: int
    filter_dram_reads: int
    ofmap_dram_writes: int

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


@dataclass(frozen=True)
class Convolution:
    """A layer as SCALE-Sim describes it; sizes are (vertical, horizontal).

    Position (i, j) of the ofm reads the ifm from (i, j) * stride on.
    """

    ifmap: tuple[int, int]
    kernel: tuple[int, int]
    channels: int
    filters: int
    stride: tuple[int, int]

    @property
    def ofmap(self) -> tuple[int, int]:
        """Size of the ofm, counting windows that hang over the edge."""
        height, width = (
            -(-(size - kernel + stride) // stride)
            for size, kernel, stride in zip(self.ifmap, self.kernel, self.stride, strict=True)
        )
        return height, width

    @property
    def positions(self) -> int:
        """Number of elements of a channel of the ofm."""
        return self.ofmap[0] * self.ofmap[1]

    @property
    def depth(self) -> int:
        """Number of products summed for an element of the ofm."""
        return self.kernel[0] * self.kernel[1] * self.channels

    @property
    def ragged(self) -> bool:
        """Whether some windows hang over the edge."""
        return any(
            (out - 1) * stride + kernel > size
            for out, stride, kernel, size in zip(
                self.ofmap, self.stride, self.kernel, self.ifmap, strict=True
            )
        )

    @property
    def touched_words(self) -> int:
        """Number of words of the ifm that are in any window."""
        height, width = (
            min(size, (out - 1) * stride + kernel)
            if stride <= kernel
            else sum(max(0, min(kernel, size - i * stride)) for i in range(out))
            for size, out, stride, kernel in zip(
                self.ifmap, self.ofmap, self.stride, self.kernel, strict=True
            )
        )
        return height * width * self.channels

    def position_words(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the first word, the row and the column of each window ([positions]).

        The channels of the ifm are innermost.
        """
        i, j = np.divmod(np.arange(self.positions, dtype=np.int64), self.ofmap[1])
        row, column = i * self.stride[0], j * self.stride[1]
        return (row * self.ifmap[1] + column) * self.channels, row, column

    def depth_words(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the offset from the first word, the row and the column of each word ([depth])."""
        row, rest = np.divmod(np.arange(self.depth, dtype=np.int64), self.kernel[1] * self.channels)
        column, channel = np.divmod(rest, self.channels)
        return (row * self.ifmap[1] + column) * self.channels + channel, row, column


class ScalesimArguments(TypedDict):
    """The keyword arguments of `scalesim_counts`, one for each field of SCALE-Sim's own files."""

    ifmap_height: int
    ifmap_width: int
    filter_height: int
    filter_width: int
    channels: int
    filters: int
    stride_height: int
    stride_width: int
    array_height: int
    array_width: int
    ifmap_sram_kB: int
    filter_sram_kB: int
    ofmap_sram_kB: int
    dataflow: str


def scalesim_counts(**arguments: Unpack[ScalesimArguments]) -> ScalesimCounts:
    """Count the cycles and the memory traffic of a layer as SCALE-Sim 3.0 does, word for word.

    The counts are those of its mode with computed bandwidth (`InterfaceBandwidth: CALC`).

    Parameters
    ----------
    ifmap_height, ifmap_width : int
        Size of the input features, with their padding, in elements.
    filter_height, filter_width : int
        Size of a filter in elements.
    channels, filters : int
        Number of input channels and of filters (output channels).
    stride_height, stride_width : int
        Vertical and horizontal stride of the window in elements.
    array_height, array_width : int
        Rows and columns of processing elements.
    ifmap_sram_kB, filter_sram_kB, ofmap_sram_kB : int
        Size of the buffers for input features, filters and output features in KiB.
    dataflow : {"ws", "os", "is"}
        The operand that stays in the array: weights, outputs or inputs.

    Returns
    -------
    ScalesimCounts
        Cycles, and words (bytes) at the SRAM buffers and at the DRAM.

    Raises
    ------
    ConfigError, NetworkError
        If the machine has no room or an unknown dataflow, or if the sizes make no layer.

    References
    ----------
    Samajdar et al., "SCALE-Sim: Systolic CNN Accelerator Simulator", arXiv:1811.02883.
    """
    names = set(ScalesimArguments.__annotations__)
    if wrong := names ^ set(arguments):
        raise TypeError(f"scalesim_counts: missing or unknown: {', '.join(sorted(wrong))}")
    ifmap = arguments["ifmap_height"], arguments["ifmap_width"]
    kernel = arguments["filter_height"], arguments["filter_width"]
    stride = arguments["stride_height"], arguments["stride_width"]
    layer = Convolution(ifmap, kernel, arguments["channels"], arguments["filters"], stride)
    array = arguments["array_height"], arguments["array_width"]
    sram_kB = arguments["ifmap_sram_kB"], arguments["filter_sram_kB"], arguments["ofmap_sram_kB"]
    dataflow = arguments["dataflow"]
    check_arguments(layer, array, sram_kB, dataflow)
    return count_layer(layer, array, sram_kB, dataflow)


def check_arguments(
    layer: Convolution, array: tuple[int, int], sram_kB: tuple[int, int, int], dataflow: str
) -> None:
    """Check the arguments of `scalesim_counts`, by their names there, and raise what it raises."""
    need = "an array needs at least one row and one column of elements"
    check_whole(("array_height", "array_width"), array, ConfigError, need)
    need = "a buffer needs at least 1 kB: half of it is in use while the other half fills"
    buffers = ("ifmap_sram_kB", "filter_sram_kB", "ofmap_sram_kB")
    check_whole(buffers, sram_kB, ConfigError, need)
    if dataflow not in DATAFLOWS:
        raise ConfigError(
            f"dataflow: found {dataflow!r}, expected one of {', '.join(DATAFLOWS)}"
            f"{nearest(str(dataflow), DATAFLOWS)}"
        )
    need = "every size and stride of a layer is at least 1"
    for names, sizes in (
        (("ifmap_height", "ifmap_width"), layer.ifmap),
        (("filter_height", "filter_width"), layer.kernel),
        (("channels", "filters"), (layer.channels, layer.filters)),
        (("stride_height", "stride_width"), layer.stride),
    ):
        check_whole(names, sizes, NetworkError, need)
    for side, kernel, size in zip(("height", "width"), layer.kernel, layer.ifmap, strict=True):
        if kernel > size:
            raise NetworkError(
                f"filter_{side}: found {kernel}, expected at most ifmap_{side} = {size}; "
                f"without padding the window must fit the ifm"
            )


def check_whole(
    names: tuple[str, ...],
    values: tuple[SupportsIndex, ...],
    kind: type[ConfigError | NetworkError],
    need: str,
) -> None:
    """Raise an error if a value is no whole number from 1 on."""
    for key, value in zip(names, values, strict=True):
        try:
            number = operator.index(value)
        except TypeError:
            number = 0
        if number < 1 or isinstance(value, bool):
            raise kind(f"{key}: found {value!r}, expected a whole number of at least 1; {need}")


def count_layer(
    layer: Convolution, array: tuple[int, int], sram_kB: tuple[int, int, int], dataflow: str
) -> ScalesimCounts:
    """Count a layer whose sizes have been checked."""
    height, width = array
    fold = fold_product(layer.positions, layer.depth, layer.filters, height, width, dataflow)
    inputs, weights = layer.positions * layer.depth, layer.depth * layer.filters
    outputs = layer.positions * layer.filters
    input_repeats = 1 if dataflow == "is" else fold.column_folds
    weight_repeats = {"ws": 1, "os": fold.row_folds, "is": fold.column_folds}[dataflow]
    # SCALE-Sim adds the height and width of the array for each fold where it means to add nothing
    # (the ofmap demands of its systolic_compute_os).
    output_writes = (
        outputs + fold.folds * (height + width) if dataflow == "os" else outputs * fold.row_folds
    )
    return ScalesimCounts(
        compute_cycles=fold.folds * fold.cycles - 1,
        ifmap_sram_reads=inputs * input_repeats,
        filter_sram_reads=weights * weight_repeats,
        ofmap_sram_writes=output_writes,
        ifmap_dram_reads=ifmap_reads(layer, fold, sram_kB[0]),
        filter_dram_reads=filter_reads(layer, fold, sram_kB[1]),
        ofmap_dram_writes=ofmap_writes(fold, sram_kB[2]),
    )


def half_buffer_words(sram_kB: int) -> int:
    """Return the words of a read buffer that are used before it is emptied.

    They are 50 of its 100 parts, and a part is rounded down.
    """
    return 50 * (sram_kB * 1024 // 100)


def filter_reads(layer: Convolution, fold: Fold, sram_kB: int) -> int:
    """Return how many words of the filters are read from DRAM."""
    if fold.dataflow == "os":
        blocks = [
            layer.depth * min(fold.array_width, fold.columns - at)
            for at in range(0, fold.columns, fold.array_width)
        ]
        return repeated_reads(blocks, fold.row_folds, half_buffer_words(sram_kB))
    return repeated_reads(
        [layer.depth * layer.filters],
        1 if fold.dataflow == "ws" else fold.column_folds,
        half_buffer_words(sram_kB),
    )


def repeated_reads(blocks: list[int], times: int, half: int) -> int:
    """Return how many words enter a buffer that is emptied once `half` are in.

    Blocks of distinct words are requested one after the other, each several times, always in the
    same order.
    """
    total, inside = 0, 0
    for words in blocks:
        if words >= half:  # a word is gone before it is requested again
            total += words * times
            inside = (inside + words * times) % half
            continue
        lost = half - inside if inside + words >= half else 0
        total += words + (lost if times > 1 else 0)
        inside = words - (lost if times == 1 else 0) if lost else inside + words
    return total


def ifmap_reads(layer: Convolution, fold: Fold, sram_kB: int) -> int:
    """Return how many words of the ifm are read from DRAM.

    If windows overlap and their words do not fit the buffer, this walks word by word.
    """
    half = half_buffer_words(sram_kB)
    if layer.touched_words < half:
        return layer.touched_words
    passes = 1 if fold.dataflow == "is" else fold.column_folds
    if all(stride >= kernel for stride, kernel in zip(layer.stride, layer.kernel, strict=True)):
        return repeated_reads([layer.touched_words], passes, half)
    from edensim.kernels.systolic import scalesim as core

    position, depth = layer.position_words(), layer.depth_words()
    lane_size, lanes_end = fold.array_height, fold.rows
    streams = [(0, fold.time)]
    stream, lane = (position, depth) if fold.dataflow == "ws" else (depth, position)
    if fold.dataflow == "is":
        # Within a fold of rows the last comes first, because the first is shifted in last.
        lane_size, lanes_end = fold.array_width, fold.columns
        streams = [
            (first, min(first + fold.array_height, fold.rows))
            for first in range(0, fold.rows, fold.array_height)
        ]
        order = np.concatenate([np.arange(end - 1, first - 1, -1) for first, end in streams])
        stream = (depth[0][order], depth[1][order], depth[2][order])
    blocks = [
        (first, min(first + lane_size, lanes_end), *streamed)
        for first in range(0, lanes_end, lane_size)
        for streamed in streams
    ]
    parameters = np.zeros(core.READ_PARAMETERS, np.int64)
    parameters[core.HEIGHT], parameters[core.WIDTH] = layer.ifmap
    parameters[core.HALF], parameters[core.PASSES] = half, passes
    parameters[core.SKEW], parameters[core.RAGGED] = fold.dataflow != "is", layer.ragged
    stamps = np.zeros(layer.ifmap[0] * layer.ifmap[1] * layer.channels, np.int32)
    seen = np.zeros(3 * REMEMBERED if passes > 1 else 3, np.int64)
    walked = (*as_walked(*stream), *as_walked(*lane), np.array(blocks, np.int64).reshape(-1))
    return int(core.reads(*walked, stamps, seen, parameters))


def as_walked(
    words: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Return arrays as the kernel takes them."""
    return np.ascontiguousarray(words), rows.astype(np.int32), columns.astype(np.int32)


def ofmap_writes(fold: Fold, sram_kB: int) -> int:
    """Return how many words of the ofm are written to DRAM, with the padding that is counted."""
    from edensim.kernels.systolic import scalesim as core

    parameters = np.zeros(core.WRITE_PARAMETERS, np.int64)
    total = sram_kB * 1024
    parameters[core.TOTAL], parameters[core.DRAIN] = total, total // 2
    parameters[core.LINE_WORDS], parameters[core.FOLD_CYCLES] = fold.array_width, fold.cycles
    widths = np.minimum(
        fold.array_width, fold.columns - np.arange(0, fold.columns, fold.array_width)
    )
    folds = np.zeros((fold.column_folds, fold.row_folds, 2), np.int64)
    folds[:, :, 0] = widths[:, None]
    if fold.dataflow == "os":
        # Rows leave at the lower edge of the array, so that unused rows come first.
        parameters[core.PREFIX], parameters[core.HIGH] = fold.time - 1, fold.array_height
        folds[:, :, 1] = fold.array_height - np.minimum(
            fold.array_height, fold.rows - np.arange(0, fold.rows, fold.array_height)
        )
    else:
        parameters[core.PREFIX], parameters[core.HIGH] = 2 * fold.array_height - 1, fold.time
    room = 1 << 10
    while True:
        state = np.zeros(1, core.WRITE_BUFFER)
        state["free"] = total
        gaps = np.zeros(2 * room, np.int64)
        if core.writes(state, folds.reshape(-1), gaps, parameters) != Status.OUTPUT_FULL:
            return int(state[0]["sent"])
        room *= 8
