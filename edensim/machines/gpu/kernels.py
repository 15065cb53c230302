"""Layers as GPU kernels: which kernel runs a layer, in how many thread blocks and steps.

- GEMM runs convolutions, and linear layers with more than VECTOR_COLUMNS vectors. Each group of a
  grouped convolution is a product of its own.
- VECTOR runs other linear layers, with a thread block for each row of weights.
- WINDOW runs depthwise convolutions and pooling, with a thread for each output.
- STREAM runs everything else (addition, concatenation, upsampling, shuffle, detection, pooling of
  whole planes). It passes through all arrays in proportion, from end to end, and so moves as many
  bytes as such a layer does.

Each tile of VECTOR, WINDOW and STREAM is half of what the multiprocessors hold, because two tiles
are under way at a time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import GpuConfig
from edensim.exceptions import ConfigError
from edensim.kernels.sources.gpu import kernel as gpu
from edensim.kernels.sources.gpu.l2 import LINE_BYTES, MAX_LINES, SECTOR_BITS
from edensim.machines.gpu.tiling import (
    SM_BYTES_PER_CYCLE,
    SPEED,
    WARP_THREADS,
    WORD_BITS,
    WORD_BYTES,
    Tiling,
    choose_tiling,
)
from edensim.networks.layout import Layout, Placement
from edensim.networks.network import Gemm, Layer, Network, Operator

#: Most vectors for which a linear layer reads its weights row by row instead of being tiled.
VECTOR_COLUMNS = 2
#: Number of threads of a thread block of VECTOR, WINDOW and STREAM.
THREADS = 256
#: Bytes that a thread of VECTOR and STREAM loads at once, and the number of such loads that one
#: thread of VECTOR has on their way.
THREAD_BYTES = 16
UNROLL = 4
#: Number of steps over which the thread blocks of a wave spread the storing of their sums, because
#: they do not run in lockstep.
STORE_STEPS = 16
#: Bytes of a partial sum.
SUM_BYTES = 4


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to be walked.

    `record` is [1] GPU_KERNEL, `operands` are [arrays] GPU_OPERAND; only a product has a tiling.
    """

    name: str
    record: NDArray[np.void]
    operands: NDArray[np.void]
    tiling: Tiling | None = None


def layer_kernels(network: Network, layout: Layout, index: int, config: GpuConfig) -> list[Kernel]:
    """Return the kernels that run a layer, one after the other.

    Raises ConfigError for tiles that a multiprocessor (SM) cannot hold.
    """
    layer = network.layers[index]
    gemm = network.gemm(layer)
    common = common_fields(layout, index, config)
    if gemm is None:
        if layer.operator is Operator.POOLING and prod(network.tensors[layer.output].shape[2:]) > 1:
            return [window_kernel(network, layout, layer, common, config)]
        names = dict.fromkeys((*layer.inputs, *layer.weights))
        arrays = [whole(layout[name]) for name in names]
        return [stream("stream", arrays, layout[layer.output], common, config)]
    if layer.operator is Operator.LINEAR and gemm.columns <= VECTOR_COLUMNS:
        return [vector_kernel(layout, layer, gemm, common, config)]
    if (
        layer.operator is Operator.CONVOLUTION
        and layer.groups > 1
        and network.tensors[layer.weights[0]].shape[1] == 1
    ):
        return [window_kernel(network, layout, layer, common, config)]
    return gemm_kernels(network, layout, layer, gemm, common, config)


def l2_sets(config: GpuConfig) -> int:
    """Return the number of sets of the L2 cache. Raises ConfigError if there is none."""
    set_bytes = config.l2_ways * LINE_BYTES
    if config.l2_kB * 1024 < set_bytes:
        raise ConfigError(
            f"gpu.l2_kB: {config.l2_kB} kB hold no set of {config.l2_ways} lines of {LINE_BYTES} "
            f"bytes (gpu.l2_ways); expected at least {-(-set_bytes // 1024)}"
        )
    if config.l2_kB * 1024 > MAX_LINES * LINE_BYTES:
        raise ConfigError(
            f"gpu.l2_kB: {config.l2_kB} is more than the {MAX_LINES * LINE_BYTES // 1024} kB that "
            f"are supported"
        )
    return config.l2_kB * 1024 // set_bytes


def common_fields(layout: Layout, index: int, config: GpuConfig) -> dict[str, int]:
    """Return the fields that all kernels of a layer have in common."""
    return {
        "layer": index,
        "bits": layout.bits,
        "ofm_bits": layout.bits,
        "lanes": WARP_THREADS * WORD_BITS // layout.bits,
        "sms": config.sms,
        "latency": config.l2_latency_cycles,
        "l2_bytes_per_cycle": config.l2_bytes_per_cycle,
        "steps": 1,
        "splits": 1,
        "sharing": 1,
        "weights_tensor": -1,
    }


def kernel_of(
    name: str,
    fields: Mapping[str, int],
    most: tuple[int, int],
    arrays: Iterable[tuple[int, int, int]],
    tiling: Tiling | None = None,
) -> Kernel:
    """Make a kernel.

    Parameters
    ----------
    name : str
        The name of the kernel in results.
    fields : mapping of str to int
        The fields of its record.
    most : (int, int)
        The most sectors that each thread block reads and writes in a tile. Every sector may drive
        out a line with two dirty runs.
    arrays : iterable of (int, int, int)
        Address, bytes and tensor index of each further operand.
    tiling : Tiling, optional
        The tiling of a product.
    """
    record = np.zeros(1, gpu.GPU_KERNEL)
    for field, value in fields.items():
        record[field] = value
    reads, writes = most
    record["room"] = fields["wave"] * (reads + 2 * (reads + writes))
    return Kernel(name, record, np.array(list(arrays), gpu.GPU_OPERAND), tiling)


def whole(placement: Placement) -> tuple[int, int, int]:
    """Return a tensor as an operand."""
    return placement.address, placement.size_bytes, placement.index


def tensor_fields(name: str, placement: Placement) -> dict[str, int]:
    """Return the fields for a tensor (ifm, weights or ofm) that a kernel reads or writes."""
    fields = {name: placement.address, f"{name}_tensor": placement.index}
    return fields | {"ofm_bytes": placement.size_bytes} if name == "ofm" else fields


def image(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return features with any number of dimensions as (batch, channels, height, width)."""
    batch, channels, *size = (*shape, 1) if len(shape) == 1 else shape
    return batch, channels, prod(size[:-1]), size[-1] if size else 1


def window_fields(network: Network, layer: Layer) -> dict[str, int]:
    """Return the fields by which output positions become positions of the ifm.

    If windows are single elements side by side, a plane is one row.
    """
    _, _, height, width = image(network.ifm(layer).shape)
    _, _, out_height, out_width = image(network.tensors[layer.output].shape)
    if layer.kernel == layer.stride == (1, 1) and not any(layer.padding):
        height, width, out_height, out_width = 1, height * width, 1, out_height * out_width
    return {
        "height": height,
        "width": width,
        "out_height": out_height,
        "out_width": out_width,
        "kernel_height": layer.kernel[0],
        "kernel_width": layer.kernel[1],
        "stride_y": layer.stride[0],
        "stride_x": layer.stride[1],
        "dilation_y": layer.dilation[0],
        "dilation_x": layer.dilation[1],
        "pad_y": layer.padding[0],
        "pad_x": layer.padding[1],
    }


def half_resident(config: GpuConfig) -> int:
    """Return how many thread blocks of THREADS threads an SM runs in one tile.

    They are half of those that it holds, because two tiles are under way at a time. Raises
    ConfigError if an SM holds none.
    """
    resident = min(config.warps * WARP_THREADS // THREADS, config.blocks)
    if resident < 1:
        raise ConfigError(
            f"gpu.warps: a thread block of {THREADS} threads needs {THREADS // WARP_THREADS}, "
            f"an SM has {config.warps}"
        )
    return max(resident // 2, 1)


def sectors(elements: int, bits: int, pieces: int) -> int:
    """Return the most sectors that elements in so many contiguous pieces lie in."""
    return min(elements * bits // SECTOR_BITS + 2 * pieces, elements * 2)


def gemm_kernels(
    network: Network,
    layout: Layout,
    layer: Layer,
    gemm: Gemm,
    common: dict[str, int],
    config: GpuConfig,
) -> list[Kernel]:
    """Run an implicit matrix product.

    If thread blocks share the depth, a kernel behind it adds their partial results up.
    """
    tiling = choose_tiling(gemm, layout.bits, config)
    bits = layout.bits
    ifm, weights, *extras = (layout[name] for name in (layer.inputs[0], *layer.weights))
    ofm = layout[layer.output]
    rows = layer.operator is Operator.LINEAR
    wave = tiling.resident * config.sms
    _, channels, height, width = image(network.ifm(layer).shape)
    fields = {
        **common,
        **tensor_fields("ifm", ifm),
        **tensor_fields("weights", weights),
        **tensor_fields("ofm", ofm),
        "kind": gpu.GEMM,
        "blocks": tiling.blocks,
        "wave": wave,
        "steps": tiling.steps,
        "step_cycles": tiling.step_cycles,
        "filters": gemm.rows,
        "positions": gemm.columns,
        "depth": gemm.depth,
        "groups": gemm.groups,
        "tile_m": tiling.tile_m,
        "tile_n": tiling.tile_n,
        "tile_k": tiling.tile_k,
        "blocks_m": tiling.blocks_m,
        "blocks_n": tiling.blocks_n,
        "splits": tiling.splits,
        "store_steps": min(tiling.steps, STORE_STEPS) if tiling.resident > 1 else 1,
        "store_lag": wave if tiling.resident > 1 else 0,
        "packed": int(config.weights == "packed"),
        "rows": int(rows),
        "plane_elements": channels * height * width,
    }
    if not rows:
        fields |= window_fields(network, layer)
    if tiling.splits > 1:
        fields |= {"ofm": workspace(layout), "ofm_tensor": -1, "ofm_bits": SUM_BYTES * 8}
    others = [whole(placement) for placement in extras]
    product = kernel_of("gemm", fields, gemm_sectors(fields, tiling, bits), others, tiling)
    if tiling.splits == 1:
        return [product]
    size = gemm.rows * gemm.groups * gemm.columns * SUM_BYTES
    partial = [(workspace(layout) + split * size, size, -1) for split in range(tiling.splits)]
    return [product, stream("sum", partial + others, ofm, common, config)]


def gemm_sectors(fields: Mapping[str, int], tiling: Tiling, bits: int) -> tuple[int, int]:
    """Return the most sectors that a thread block of a product reads and writes in a tile."""
    m, n, k = tiling.tile_m, tiling.tile_n, tiling.tile_k
    if fields["rows"]:
        columns = n * sectors(k, bits, 1)
        stores = n * sectors(m, bits, -(-m // fields["lanes"]))
    else:
        lines = n // fields["out_width"] + -(-n // fields["lanes"]) + 2
        columns = k * sectors(n, bits * fields["stride_x"], lines)
        plane = fields["out_height"] * fields["out_width"]
        stores = m * sectors(n, fields["ofm_bits"], n // plane + -(-n // WARP_THREADS) + 2)
    return m * sectors(k, bits, 1) + columns + m * 2, stores


def workspace(layout: Layout) -> int:
    """Return the address of partial sums, which lie behind all tensors."""
    return -(-layout.end // 128) * 128


def vector_kernel(
    layout: Layout, layer: Layer, gemm: Gemm, common: dict[str, int], config: GpuConfig
) -> Kernel:
    """Multiply a matrix by one vector or two, which is bound by memory.

    A thread block takes a row at a time, or as many short rows as it has threads for.
    """
    ifm, weights, *extras = (layout[name] for name in (layer.inputs[0], *layer.weights))
    chunk_bytes = THREADS * THREAD_BYTES * UNROLL
    chunk = chunk_bytes * 8 // layout.bits
    rows = max(chunk // gemm.depth, 1)
    warp = WARP_THREADS * THREAD_BYTES * 8 // layout.bits
    steps = -(-gemm.depth // chunk)
    chunk = min(-(-gemm.depth // (steps * warp)) * warp, chunk)  # long rows in equal steps
    blocks = -(-gemm.rows // rows)
    fields = {
        **common,
        **tensor_fields("ifm", ifm),
        **tensor_fields("weights", weights),
        **tensor_fields("ofm", layout[layer.output]),
        "kind": gpu.VECTOR,
        "blocks": blocks,
        "wave": min(max(half_resident(config) // UNROLL, 1) * config.sms, blocks),
        "steps": steps,
        "step_cycles": chunk_bytes * (1 + gemm.columns) // SM_BYTES_PER_CYCLE,
        "filters": gemm.rows,
        "positions": gemm.columns,
        "depth": gemm.depth,
        "tile_k": chunk,
        "rows": rows,
    }
    reads = (1 + gemm.columns) * (chunk_bytes * 8 // SECTOR_BITS + 4 * UNROLL) + (rows + 16) * len(
        extras
    )
    return kernel_of("gemv", fields, (reads, (rows + 2) * gemm.columns), map(whole, extras))


def window_kernel(
    network: Network, layout: Layout, layer: Layer, common: dict[str, int], config: GpuConfig
) -> Kernel:
    """Run pooling or a depthwise convolution: each thread takes 32 bits of output, tap by tap."""
    ifm, ofm = network.ifm(layer), network.tensors[layer.output]
    bits, taps = layout.bits, prod(layer.kernel)
    outputs = THREADS * WORD_BITS // bits
    blocks = -(-ofm.elements // outputs)
    weights = [layout[name] for name in layer.weights]
    _, channels, height, width = image(ifm.shape)
    out_channels = image(ofm.shape)[1]
    depthwise = layer.operator is Operator.CONVOLUTION
    arithmetic = -(-2 * outputs * taps // (config.flops_per_cycle * SPEED[bits]))
    fields = {
        **common,
        **tensor_fields("ifm", layout[layer.inputs[0]]),
        **(tensor_fields("weights", weights[0]) if depthwise else {}),
        **tensor_fields("ofm", layout[layer.output]),
        **window_fields(network, layer),
        "kind": gpu.WINDOW,
        "blocks": blocks,
        "wave": min(half_resident(config) * config.sms, blocks),
        "step_cycles": max(arithmetic, THREADS * WORD_BYTES * (taps + 1) // SM_BYTES_PER_CYCLE),
        "positions": ofm.elements,
        "tile_n": outputs,
        "sharing": out_channels // channels if depthwise else 1,
        "plane_elements": height * width,
        "out_channels": out_channels,
    }
    extras = weights[depthwise:]
    spanned = min(outputs // (fields["out_height"] * fields["out_width"]) + 2, out_channels)
    lines = outputs // fields["out_width"] + outputs // fields["lanes"] + 2
    values = sectors(spanned * taps, bits, spanned) + len(extras) * (spanned + 2)
    reads = min(taps * sectors(outputs, bits * layer.stride[1], lines), 2 * taps * outputs) + values
    stores = outputs * bits // SECTOR_BITS + outputs // fields["lanes"] + 2
    return kernel_of("window", fields, (reads, stores), map(whole, extras))


def stream(
    name: str,
    arrays: list[tuple[int, int, int]],
    ofm: Placement,
    common: dict[str, int],
    config: GpuConfig,
) -> Kernel:
    """Read arrays of (address, bytes, tensor) and write the ofm, in proportion."""
    block_bytes = THREADS * THREAD_BYTES
    sizes = [size for _, size, _ in arrays] + [ofm.size_bytes]
    blocks = max(-(-max(sizes) // block_bytes), 1)
    wave = min(half_resident(config) * config.sms, blocks)
    fields = {
        **common,
        **tensor_fields("ofm", ofm),
        "kind": gpu.STREAM,
        "blocks": blocks,
        "wave": wave,
        "step_cycles": -(-sum(sizes) // (blocks * SM_BYTES_PER_CYCLE)),
    }
    per_block = block_bytes * 8 // SECTOR_BITS + block_bytes // 128 + 4
    return kernel_of(name, fields, (per_block * len(arrays), per_block), arrays)
