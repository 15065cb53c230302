"""Systolic arrays in closed form: how a layer folds onto one, and what SCALE-Sim 3.0 counts for it (`scalesim_counts`).

The peer's rules, in words (shared/reference/front-ends.md section 1; read in its source, checked on random layers). Words are bytes, there is no
padding, ofm sizes are rounded up, and words of a window that hang over the ifm are counted at the SRAM but not at the DRAM.
- A fold maps min(rows, array) x min(columns, array) of the layer's matrices onto the array; folds follow each other, rows first, and are not
  overlapped: weights (or inputs) shift in, operands stream in skewed, the last result drains out.
- Read buffers (CALC mode): half of the SRAM, rounded down to 50 hundredths, fills with the words asked for and is emptied once full.
- The write buffer: lines as wide as the array; once more than half is taken, half is sent at a line a cycle; the line being filled is then padded
  and sent too. If more lines wait than are sent, that padding is counted as words.
"""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from edensim.exceptions import ConfigError, NetworkError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Which operand stays in the array: weights, outputs, inputs.
DATAFLOWS = ("ws", "os", "is")
#: Flushes of a read buffer remembered per layer; a repetition beyond is walked, not skipped.
REMEMBERED = 1 << 14


@dataclass(frozen=True)
class Fold:
    """A matrix product (positions x depth) by (depth x filters) on an array: what lies along its rows, its columns and time."""

    rows: int
    columns: int
    time: int
    array_height: int
    array_width: int
    dataflow: str

    @property
    def row_folds(self) -> int:
        """Folds along the rows."""
        return -(-self.rows // self.array_height)

    @property
    def column_folds(self) -> int:
        """Folds along the columns."""
        return -(-self.columns // self.array_width)

    @property
    def folds(self) -> int:
        """Folds in all."""
        return self.row_folds * self.column_folds

    @property
    def cycles(self) -> int:
        """Cycles of one fold, nothing overlapped: operands that stay shift in (not os), time, skew over both edges."""
        edges = self.array_height + self.array_width - 2
        return self.time + edges + (0 if self.dataflow == "os" else self.array_height)

    @property
    def utilization(self) -> float:
        """Share of the array's elements that have an operand, over all folds."""
        return self.rows * self.columns / (self.folds * self.array_height * self.array_width)


def fold_product(
    positions: int, depth: int, filters: int, array_height: int, array_width: int, dataflow: str
) -> Fold:
    """How a matrix product lies on an array in a dataflow."""
    rows, columns, time = {
        "ws": (depth, filters, positions),
        "os": (positions, filters, depth),
        "is": (depth, positions, filters),
    }[dataflow]
    return Fold(rows, columns, time, array_height, array_width, dataflow)


@dataclass(frozen=True)
class ScalesimCounts:
    """What SCALE-Sim 3.0 reports for a layer: cycles (its "Total Cycles", the number of the last) and words, which are bytes."""

    compute_cycles: int
    ifmap_sram_reads: int
    filter_sram_reads: int
    ofmap_sram_writes: int
    ifmap_dram_reads: int
    filter_dram_reads: int
    ofmap_dram_writes: int

    def to_dict(self) -> dict[str, int]:
        """Fields by name."""
        return asdict(self)


@dataclass(frozen=True)
class Convolution:
    """A layer as SCALE-Sim describes it; sizes (vertical, horizontal). Position (i, j) of the ofm reads the ifm from (i, j) * stride on."""

    ifmap: tuple[int, int]
    kernel: tuple[int, int]
    channels: int
    filters: int
    stride: tuple[int, int]

    @property
    def ofmap(self) -> tuple[int, int]:
        """Size of the ofm; a window that hangs over the edge counts."""
        height, width = (
            -(-(size - kernel + stride) // stride)
            for size, kernel, stride in zip(self.ifmap, self.kernel, self.stride, strict=True)
        )
        return height, width

    @property
    def positions(self) -> int:
        """Elements of a channel of the ofm."""
        return self.ofmap[0] * self.ofmap[1]

    @property
    def depth(self) -> int:
        """Products summed for an element of the ofm."""
        return self.kernel[0] * self.kernel[1] * self.channels

    @property
    def ragged(self) -> bool:
        """Whether windows hang over the edge."""
        return any(
            (out - 1) * stride + kernel > size
            for out, stride, kernel, size in zip(
                self.ofmap, self.stride, self.kernel, self.ifmap, strict=True
            )
        )

    @property
    def touched_words(self) -> int:
        """Words of the ifm that are in any window."""
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
        """[positions] first word of each window (the ifm's channels are innermost), its row, its column."""
        i, j = np.divmod(np.arange(self.positions, dtype=np.int64), self.ofmap[1])
        row, column = i * self.stride[0], j * self.stride[1]
        return (row * self.ifmap[1] + column) * self.channels, row, column

    def depth_words(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """[depth] each word of a window as an offset from its first, its row, its column."""
        row, rest = np.divmod(np.arange(self.depth, dtype=np.int64), self.kernel[1] * self.channels)
        column, channel = np.divmod(rest, self.channels)
        return (row * self.ifmap[1] + column) * self.channels + channel, row, column


def scalesim_counts(
    *,
    ifmap_height: int,
    ifmap_width: int,
    filter_height: int,
    filter_width: int,
    channels: int,
    filters: int,
    stride_height: int,
    stride_width: int,
    array_height: int,
    array_width: int,
    ifmap_sram_kB: int,
    filter_sram_kB: int,
    ofmap_sram_kB: int,
    dataflow: str,
) -> ScalesimCounts:
    """Counts of SCALE-Sim 3.0 for a layer, its bandwidth computed (`CALC`), identical to the peer's.

    Raises ConfigError for an array or a buffer without room, or an unknown dataflow; NetworkError for a layer that is none.
    """
    array = {"array_height": array_height, "array_width": array_width}
    srams = {
        "ifmap_sram_kB": ifmap_sram_kB,
        "filter_sram_kB": filter_sram_kB,
        "ofmap_sram_kB": ofmap_sram_kB,
    }
    for key, value in array.items():
        whole(key, value, ConfigError, "an array needs at least one row and one column of elements")
    for key, value in srams.items():
        whole(
            key,
            value,
            ConfigError,
            "a buffer needs at least 1 kB: half of it is in use while the other half fills",
        )
    if dataflow not in DATAFLOWS:
        raise ConfigError(
            f"dataflow: found {dataflow!r}, expected one of {', '.join(DATAFLOWS)}{nearest(str(dataflow), DATAFLOWS)}"
        )
    sizes = {
        "ifmap_height": ifmap_height,
        "ifmap_width": ifmap_width,
        "filter_height": filter_height,
        "filter_width": filter_width,
        "channels": channels,
        "filters": filters,
        "stride_height": stride_height,
        "stride_width": stride_width,
    }
    for key, value in sizes.items():
        whole(key, value, NetworkError, "every size and stride of a layer is at least 1")
    for side in ("height", "width"):
        kernel, size = sizes[f"filter_{side}"], sizes[f"ifmap_{side}"]
        if kernel > size:
            raise NetworkError(
                f"filter_{side}: found {kernel}, expected at most ifmap_{side} = {size}; without padding the window must fit the ifm"
            )
    layer = Convolution(
        (ifmap_height, ifmap_width),
        (filter_height, filter_width),
        channels,
        filters,
        (stride_height, stride_width),
    )
    return count_layer(
        layer, (array_height, array_width), (ifmap_sram_kB, filter_sram_kB, ofmap_sram_kB), dataflow
    )


def whole(
    key: str, value: SupportsIndex, kind: type[ConfigError] | type[NetworkError], need: str
) -> None:
    """Refuse what is not a whole number from 1 on."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise kind(f"{key}: found {value!r}, expected a whole number of at least 1; {need}")


def count_layer(
    layer: Convolution, array: tuple[int, int], sram_kB: tuple[int, int, int], dataflow: str
) -> ScalesimCounts:
    """Counts of a layer that has been checked."""
    height, width = array
    fold = fold_product(layer.positions, layer.depth, layer.filters, height, width, dataflow)
    inputs, weights = layer.positions * layer.depth, layer.depth * layer.filters
    outputs = layer.positions * layer.filters
    input_repeats = 1 if dataflow == "is" else fold.column_folds
    weight_repeats = {"ws": 1, "os": fold.row_folds, "is": fold.column_folds}[dataflow]
    # The peer adds the array's height and width for each fold where it means to add nothing (systolic_compute_os, ofmap demands).
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
    """Words of a read buffer that are in use before it is emptied: 50 of its 100 parts, each rounded down."""
    return 50 * (sram_kB * 1024 // 100)


def filter_reads(layer: Convolution, fold: Fold, sram_kB: int) -> int:
    """Words of the filters read from DRAM."""
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
    """Words that enter a buffer, emptied once `half` are in, when blocks of distinct words are asked for so many times each, in the same order."""
    total, inside = 0, 0
    for words in blocks:
        if words >= half:  # a word is gone before it is asked for again
            total += words * times
            inside = (inside + words * times) % half
            continue
        lost = half - inside if inside + words >= half else 0
        total += words + (lost if times > 1 else 0)
        inside = words - (lost if times == 1 else 0) if lost else inside + words
    return total


def ifmap_reads(layer: Convolution, fold: Fold, sram_kB: int) -> int:
    """Words of the ifm read from DRAM; walked word by word where windows overlap and their words do not fit the buffer."""
    half = half_buffer_words(sram_kB)
    if layer.touched_words < half:
        return layer.touched_words
    passes = 1 if fold.dataflow == "is" else fold.column_folds
    if all(stride >= kernel for stride, kernel in zip(layer.stride, layer.kernel, strict=True)):
        return repeated_reads([layer.touched_words], passes, half)
    from edensim.kernels.systolic import scalesim as core

    position, depth = layer.position_words(), layer.depth_words()
    if fold.dataflow == "is":
        # Within a fold of rows the last comes first, because the first is shifted in last.
        starts = range(0, fold.rows, fold.array_height)
        order = np.concatenate(
            [np.arange(min(at + fold.array_height, fold.rows) - 1, at - 1, -1) for at in starts]
        )
        stream, lane = (depth[0][order], depth[1][order], depth[2][order]), position
        blocks = [
            (
                lanes,
                min(lanes + fold.array_width, fold.columns),
                at,
                min(at + fold.array_height, fold.rows),
            )
            for lanes in range(0, fold.columns, fold.array_width)
            for at in starts
        ]
    else:
        stream, lane = (position, depth) if fold.dataflow == "ws" else (depth, position)
        blocks = [
            (lanes, min(lanes + fold.array_height, fold.rows), 0, fold.time)
            for lanes in range(0, fold.rows, fold.array_height)
        ]
    parameters = np.zeros(core.READ_PARAMETERS, np.int64)
    parameters[core.HEIGHT], parameters[core.WIDTH] = layer.ifmap
    parameters[core.HALF], parameters[core.SKEW], parameters[core.RAGGED] = (
        half,
        fold.dataflow != "is",
        layer.ragged,
    )
    parameters[core.PASSES] = passes
    stamps = np.zeros(layer.ifmap[0] * layer.ifmap[1] * layer.channels, np.int32)
    seen = np.zeros(3 * REMEMBERED if passes > 1 else 3, np.int64)
    walked = (*as_walked(*stream), *as_walked(*lane), np.array(blocks, np.int64).reshape(-1))
    return int(core.reads(*walked, stamps, seen, parameters))


def as_walked(
    words: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Arrays as the core takes them."""
    return np.ascontiguousarray(words), rows.astype(np.int32), columns.astype(np.int32)


def ofmap_writes(fold: Fold, sram_kB: int) -> int:
    """Words of the ofm written to DRAM, padding included where the peer counts it."""
    from edensim.kernels.systolic import scalesim as core

    parameters = np.zeros(core.WRITE_PARAMETERS, np.int64)
    total = sram_kB * 1024
    parameters[core.LINE_WORDS], parameters[core.TOTAL], parameters[core.DRAIN] = (
        fold.array_width,
        total,
        total // 2,
    )
    parameters[core.FOLD_CYCLES] = fold.cycles
    widths = np.minimum(
        fold.array_width, fold.columns - np.arange(0, fold.columns, fold.array_width)
    )
    folds = np.zeros((fold.column_folds, fold.row_folds, 2), np.int64)
    folds[:, :, 0] = widths[:, None]
    if fold.dataflow == "os":
        # Rows leave at the lower edge, so that unused rows come first.
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
        if (
            core.writes(state, folds.reshape(-1), np.zeros(2 * room, np.int64), parameters)
            != core.FULL
        ):
            return int(state[0]["sent"])
        room *= 8
