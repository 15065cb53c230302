"""Describe a GPU kernel, and read and write arrays as its warps do.

The lanes of a warp lie side by side, and their accesses are coalesced to sectors.
"""

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.kernels.sources.gpu.l2 import SECTOR_BYTES, begin_warp, load, store

GEMM, VECTOR, WINDOW, STREAM = range(4)
#: An array in memory: (byte address, bytes, tensor).
GPU_OPERAND = register(
    "GPU_OPERAND",
    np.dtype([("address", np.int64), ("bytes", np.int64), ("tensor", np.int64)], align=True),
)

GPU_KERNEL = register(
    "GPU_KERNEL",
    np.dtype(
        [
            ("kind", np.int64),
            ("layer", np.int64),
            ("bits", np.int64),  # bits of an element
            ("lanes", np.int64),  # elements that a warp moves at once
            # Thread blocks; how many run at the same time (a wave); the steps of each; the cycles
            # that one step of one block takes on its multiprocessor.
            ("blocks", np.int64),
            ("wave", np.int64),
            ("steps", np.int64),
            ("step_cycles", np.int64),
            ("sms", np.int64),
            ("latency", np.int64),
            ("l2_bytes_per_cycle", np.int64),
            # Products: the steps over which thread blocks store their sums, and how many blocks lie
            # between those that store and those that compute. The latter is 0 if an SM holds one
            # block, which stores before the next begins, so that nothing hides its begin or end.
            ("store_steps", np.int64),
            ("store_lag", np.int64),
            ("room", np.int64),  # most transfers that a tile may need
            # Products: filters of a group, output positions of the batch, and products that are
            # summed for each output.
            ("filters", np.int64),
            ("positions", np.int64),
            ("depth", np.int64),
            ("groups", np.int64),
            ("tile_m", np.int64),
            ("tile_n", np.int64),
            ("tile_k", np.int64),
            ("blocks_m", np.int64),
            ("blocks_n", np.int64),
            ("splits", np.int64),  # thread blocks that share the depth of an output
            # 1: weights lie step after step, with the filters of a group side by side; 0: filter
            # after filter.
            ("packed", np.int64),
            # 1: ifm and ofm are matrices with an output position in each row. VECTOR: the rows of a
            # thread block.
            ("rows", np.int64),
            # Windows, vertical and horizontal.
            ("height", np.int64),
            ("width", np.int64),
            ("out_height", np.int64),
            ("out_width", np.int64),
            ("kernel_height", np.int64),
            ("kernel_width", np.int64),
            ("stride_y", np.int64),
            ("stride_x", np.int64),
            ("dilation_y", np.int64),
            ("dilation_x", np.int64),
            ("pad_y", np.int64),
            ("pad_x", np.int64),
            (
                "sharing",
                np.int64,
            ),  # planes of the ofm that read the same plane (of GEMM: image) of the ifm
            ("plane_elements", np.int64),  # from one of those to the next
            ("out_channels", np.int64),
            # Arrays.
            ("ifm", np.int64),
            ("ifm_tensor", np.int64),
            ("weights", np.int64),
            ("weights_tensor", np.int64),
            ("ofm", np.int64),
            ("ofm_bytes", np.int64),
            ("ofm_tensor", np.int64),
            ("ofm_bits", np.int64),
            # Progress.
            ("next_wave", np.int64),
            ("next_step", np.int64),
            ("tiles", np.int64),
            ("transfers", np.int64),
            ("cycles", np.int64),
        ],
        align=True,
    ),
)


@jit
def load_row(l2, transfers, k, row, at, count):
    """Read every stride_x-th element from `at` on, in the row of the ifm that begins at `row`.

    What lies in the padding is not read.
    """
    stride = k["stride_x"]
    last = at + (count - 1) * stride
    if at < 0:
        at += -(at // stride) * stride
    if last >= k["width"]:
        last -= -(-(last - k["width"] + 1) // stride) * stride
    if at > last:
        return
    if stride * k["bits"] <= 8 * SECTOR_BYTES:
        load(l2, transfers, k["ifm"], row + at, last - at + 1, k["bits"], k["ifm_tensor"])
        return
    for element in range(at, last + 1, stride):
        load(l2, transfers, k["ifm"], row + element, 1, k["bits"], k["ifm_tensor"])


@jit
def load_tap(l2, transfers, k, first, end, y, dx, offset):
    """Read one tap of the windows of output positions [first, end).

    The tap is given in rows and columns from the begin of a window, less the padding.
    """
    width, height = k["out_width"], k["out_height"]
    plane = first // (height * width)
    at_y = (first - plane * height * width) // width
    at_x = first - (plane * height + at_y) * width
    base = offset + plane // k["sharing"] * k["plane_elements"]
    while first < end:
        begin_warp(l2)
        warp_end = min(first + k["lanes"], end)
        while first < warp_end:
            count = min(width - at_x, warp_end - first)
            row = at_y * k["stride_y"] + y
            if 0 <= row < k["height"]:
                load_row(
                    l2, transfers, k, base + row * k["width"], at_x * k["stride_x"] + dx, count
                )
            first += count
            at_x += count
            if at_x == width:
                at_x = 0
                at_y += 1
                if at_y == height:
                    at_y = 0
                    plane += 1
                    base = offset + plane // k["sharing"] * k["plane_elements"]
                    if k["sharing"] > 1:  # the plane before may be read again
                        begin_warp(l2)


@jit
def load_warps(l2, transfers, lanes, address, first, count, bits, tensor):
    """Read elements [first, first + count) of an array by warps, each its share."""
    while count > 0:
        begin_warp(l2)
        load(l2, transfers, address, first, min(count, lanes), bits, tensor)
        first += lanes
        count -= lanes


@jit
def store_warps(l2, transfers, lanes, address, first, count, bits, tensor):
    """Write elements [first, first + count) of an array by warps, each its share."""
    while count > 0:
        begin_warp(l2)
        store(l2, transfers, address, first, min(count, lanes), bits, tensor)
        first += lanes
        count -= lanes


@jit
def cut(size, part, parts):
    """Return where a share of an array of bytes begins: a multiple of a sector, or the end."""
    return size if part >= parts else size * part // parts // SECTOR_BYTES * SECTOR_BYTES


@jit
def load_extras(l2, transfers, extras, first, last, filters):
    """Read what belongs to filters [first, last] of each array with values per filter (bias)."""
    for i in range(extras.shape[0]):
        e = extras[i]
        begin = e["bytes"] * first // filters
        end = -(-e["bytes"] * (last + 1) // filters)
        load_warps(
            l2, transfers, 4 * SECTOR_BYTES, e["address"], begin, end - begin, 8, e["tensor"]
        )
