"""Walk the kernels of a network on a GPU through the L2 cache, and make TILE records of it.

There are four kinds of kernels. GEMM is an implicit matrix product: each thread block has tile_m
filters x tile_n output positions, and goes tile_k deep at each step. VECTOR multiplies a matrix by
a vector: each thread block has some rows. WINDOW has a thread for each output, which reads its
window (pooling, depthwise convolution). STREAM reads and writes arrays from end to end, all in
proportion.

A tile is one step of all thread blocks that run at the same time. Its compute cycles are the
greatest of what its multiprocessors need, what the L2 cache needs to deliver its sectors, and the
latency of the L2 cache. Stores wait for nothing. If an SM holds several thread blocks, blocks of
GEMM that are done store their sums during the first steps of the blocks that follow. What the last
blocks store comes in tiles without reads.
"""

from edensim.kernels.compile import entry, jit, register
from edensim.kernels.sources.gpu.gemm import gemm_step, gemm_store
from edensim.kernels.sources.gpu.kernel import (
    GEMM,
    STREAM,
    VECTOR,
    cut,
    load_extras,
    load_tap,
    load_warps,
    store_warps,
)
from edensim.kernels.sources.gpu.l2 import READS, SECTOR_BYTES, WRITES, finish
from edensim.kernels.status import Status
from edensim.vocabulary import TILE

register("TILE", TILE)


@jit
def vector_step(l2, transfers, k, extras, block, step):
    """Walk a step of a VECTOR block: the next tile_k elements of its rows and of the vectors."""
    first = block * k["rows"]
    rows = min(k["rows"], k["filters"] - first)
    deep = step * k["tile_k"]
    depth = min(k["tile_k"], k["depth"] - deep)
    if depth == k["depth"]:
        load_warps(
            l2,
            transfers,
            4 * k["lanes"],
            k["weights"],
            first * depth,
            rows * depth,
            k["bits"],
            k["weights_tensor"],
        )
    else:
        for row in range(first, first + rows):
            load_warps(
                l2,
                transfers,
                4 * k["lanes"],
                k["weights"],
                row * k["depth"] + deep,
                depth,
                k["bits"],
                k["weights_tensor"],
            )
    for position in range(k["positions"]):
        load_warps(
            l2,
            transfers,
            4 * k["lanes"],
            k["ifm"],
            position * k["depth"] + deep,
            depth,
            k["bits"],
            k["ifm_tensor"],
        )
    if step == k["steps"] - 1:
        load_extras(l2, transfers, extras, first, first + rows - 1, k["filters"])
        for position in range(k["positions"]):
            store_warps(
                l2,
                transfers,
                k["lanes"],
                k["ofm"],
                position * k["filters"] + first,
                rows,
                k["bits"],
                k["ofm_tensor"],
            )


@jit
def window_step(l2, transfers, k, extras, block):
    """Walk a thread block of WINDOW.

    It has tile_n outputs side by side in the ofm, with all taps and the weights of their channels.
    """
    first = block * k["tile_n"]
    end = min(first + k["tile_n"], k["positions"])
    taps = k["kernel_height"] * k["kernel_width"]
    plane = k["out_height"] * k["out_width"]
    if k["weights_tensor"] >= 0 or extras.shape[0] > 0:
        low = first // plane
        high = (end - 1) // plane
        channels = k["out_channels"]
        whole = low // channels != high // channels
        low, high = (0, channels - 1) if whole else (low % channels, high % channels)
        if k["weights_tensor"] >= 0:
            load_warps(
                l2,
                transfers,
                k["lanes"],
                k["weights"],
                low * taps,
                (high - low + 1) * taps,
                k["bits"],
                k["weights_tensor"],
            )
        load_extras(l2, transfers, extras, low, high, channels)
    for tap in range(taps):
        tap_y = tap // k["kernel_width"]
        tap_x = tap - tap_y * k["kernel_width"]
        load_tap(
            l2,
            transfers,
            k,
            first,
            end,
            tap_y * k["dilation_y"] - k["pad_y"],
            tap_x * k["dilation_x"] - k["pad_x"],
            0,
        )
    store_warps(l2, transfers, k["lanes"], k["ofm"], first, end - first, k["bits"], k["ofm_tensor"])


@jit
def stream_step(l2, transfers, k, operands, first, end):
    """Walk the shares that thread blocks [first, end) of STREAM have of each array in turn."""
    for i in range(operands.shape[0]):
        e = operands[i]
        begin = cut(e["bytes"], first, k["blocks"])
        load_warps(
            l2,
            transfers,
            4 * SECTOR_BYTES,
            e["address"],
            begin,
            cut(e["bytes"], end, k["blocks"]) - begin,
            8,
            e["tensor"],
        )
    begin = cut(k["ofm_bytes"], first, k["blocks"])
    store_warps(
        l2,
        transfers,
        4 * SECTOR_BYTES,
        k["ofm"],
        begin,
        cut(k["ofm_bytes"], end, k["blocks"]) - begin,
        8,
        k["ofm_tensor"],
    )


@jit
def run_step(l2, transfers, k, operands, first, end, step):
    """Walk one step of thread blocks [first, end)."""
    if k["kind"] == STREAM:
        stream_step(l2, transfers, k, operands, first, end)
        return
    if k["kind"] == GEMM:
        gemm_step(l2, transfers, k, operands, first, end, step)
        return
    for block in range(first, end):
        if k["kind"] == VECTOR:
            vector_step(l2, transfers, k, operands, block, step)
        else:
            window_step(l2, transfers, k, operands, block)


@jit
def end_tile(l2, transfers, k, tiles, running, sectors):
    """Close the tile: its transfers, reads first, and its compute cycles."""
    finish(l2, transfers, READS)
    finish(l2, transfers, WRITES)
    at = l2["count"][READS]
    writes = l2["count"][WRITES]
    tile = tiles[k["tiles"]]
    tile["first_transfer"] = k["transfers"]
    tile["reads"] = at - k["transfers"]
    tile["writes"] = writes
    for i in range(writes):
        transfers[at + i] = transfers[transfers.shape[0] - 1 - i]
    l2["count"][READS] = at + writes
    l2["count"][WRITES] = 0
    cycles = -(-sectors * SECTOR_BYTES // k["l2_bytes_per_cycle"])
    if running > 0:
        cycles = max(cycles, -(-running // k["sms"]) * k["step_cycles"], k["latency"])
    tile["compute_cycles"] = cycles
    tile["layer"] = k["layer"]
    tile["barrier"] = 1 if k["kind"] == GEMM and k["store_lag"] == 0 and k["next_step"] == 0 else 0
    k["cycles"] += tile["compute_cycles"]
    k["transfers"] = at + writes
    k["tiles"] += 1


@jit
def store_step(l2, transfers, k):
    """Store what thread blocks of GEMM store at this step.

    They store the sums of the wave before, or, if nothing hides it, their own behind their last
    step.
    """
    share = k["next_step"] if k["store_lag"] > 0 else k["next_step"] - k["steps"] + k["store_steps"]
    first = k["next_wave"] - k["store_lag"]
    if first >= 0 and 0 <= share < k["store_steps"]:
        gemm_store(l2, transfers, k, first, min(first + k["wave"], k["blocks"]), share)


@entry("GPU_KERNEL[:]", "GPU_OPERAND[:]", "GPU_L2[:]", "TILE[:]", "TRANSFER[:]")
def walk(kernels, operands, l2s, tiles, transfers):
    """Walk the tiles of a kernel from where it stands.

    Return DONE at its end, or OUTPUT_FULL if the records of tiles or transfers are full.
    """
    k = kernels[0]
    l2 = l2s[0]
    k["tiles"] = 0
    k["transfers"] = 0
    l2["count"][READS] = 0
    while k["next_wave"] - k["store_lag"] < k["blocks"]:
        if k["tiles"] >= tiles.shape[0] or k["transfers"] + k["room"] > transfers.shape[0]:
            return Status.OUTPUT_FULL
        first = k["next_wave"]
        end = min(first + k["wave"], k["blocks"])
        before = l2["read"] + l2["written"]
        running = max(end - first, 0)
        if running > 0:
            run_step(l2, transfers, k, operands, first, end, k["next_step"])
        if k["kind"] == GEMM:
            store_step(l2, transfers, k)
        end_tile(l2, transfers, k, tiles, running, l2["read"] + l2["written"] - before)
        k["next_step"] += 1
        if k["next_step"] == (k["steps"] if running > 0 else k["store_steps"]):
            k["next_step"] = 0
            k["next_wave"] += k["wave"]
    return Status.DONE
