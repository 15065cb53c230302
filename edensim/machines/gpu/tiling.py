"""How a matrix product is cut into thread blocks on a GPU, and how many of those run at the same time.

Rule: of the tile sizes in SIZES and the numbers of thread blocks that share an output's depth in SPLITS, that with the least estimated cycles (the
model's own: waves x steps x the greatest of arithmetic, L2 delivery and L2 latency, and the sum of partial results, which must fit into half of the
L2 cache); then the fewest splits, then the largest tile. Large products get 128 x 128, small ones smaller tiles that give every multiprocessor work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from edensim.config.models import GpuConfig
    from edensim.networks.network import Gemm

#: Sides of a thread block's tile.
SIZES = (128, 64, 32)
SPLITS = (1, 2, 4, 8, 16)

#: Operations per cycle at a precision, relative to FP32: int16 by dp2a, int8 by dp4a, int4 unpacked to int8.
SPEED = {32: 1, 16: 2, 8: 4, 4: 4}

WORD_BITS = 32
WORD_BYTES = 4
#: Bytes that the load and store units of a multiprocessor move per cycle: 32 lanes of 4 bytes.
SM_BYTES_PER_CYCLE = 128
WARP_THREADS = 32
#: Outputs of a thread, at most, and registers for each: the sum, and its share of operands, addresses and the stage on its way.
THREAD_OUTPUTS = 64
OUTPUT_REGISTERS = 2
#: Fewest threads of a thread block.
BLOCK_THREADS = 64


@dataclass(frozen=True)
class Tiling:
    """tile_m x tile_n outputs for each thread block, tile_k products deep at each of `steps` steps; `splits` thread blocks share an output.

    resident: thread blocks that an SM holds; step_cycles: of one step of one thread block.
    """

    tile_m: int
    tile_n: int
    tile_k: int
    blocks_m: int
    blocks_n: int
    splits: int
    blocks: int
    steps: int
    resident: int
    step_cycles: int

    def cycles(self, gemm: Gemm, config: GpuConfig) -> int:
        """Estimate for a whole product."""
        wave = self.resident * config.sms
        full, rest = divmod(self.blocks, wave)
        cycles = full * self._step(wave, config) + (self._step(rest, config) if rest else 0)
        cycles *= self.steps
        if self.splits > 1:
            outputs = gemm.rows * gemm.columns * gemm.groups
            cycles += (
                2 * self.splits * outputs * WORD_BYTES // config.l2_bytes_per_cycle
                + 2 * config.l2_latency_cycles
            )
        return cycles

    def _step(self, blocks: int, config: GpuConfig) -> int:
        arithmetic = -(-blocks // config.sms) * self.step_cycles
        delivery = (
            blocks
            * (self.tile_m + self.tile_n)
            * config.tile_k
            * WORD_BYTES
            // config.l2_bytes_per_cycle
        )
        return max(arithmetic, delivery, config.l2_latency_cycles)


def choose_tiling(gemm: Gemm, bits: int, config: GpuConfig) -> Tiling:
    """The tiling of a product. Raises ConfigError for tiles that an SM cannot hold."""
    sizes_m = SIZES if config.tile_m is None else (config.tile_m,)
    sizes_n = SIZES if config.tile_n is None else (config.tile_n,)
    splits: tuple[int, ...] = (config.split_k or 1,)
    if config.split_k is None:
        most = config.l2_kB * 1024 // 2 // (gemm.rows * gemm.columns * gemm.groups * WORD_BYTES)
        splits = tuple(split for split in SPLITS if split <= max(most, 1))
    candidates = [
        tiling(gemm, bits, config, m, n, split)
        for m in sizes_m
        for n in sizes_n
        if resident_blocks(m, n, config)
        for split in splits
    ]
    if not candidates:
        refuse(min(sizes_m), min(sizes_n), config)
    return min(
        candidates,
        key=lambda each: (each.cycles(gemm, config), each.splits, -each.tile_m * each.tile_n),
    )


def tiling(
    gemm: Gemm, bits: int, config: GpuConfig, tile_m: int, tile_n: int, splits: int
) -> Tiling:
    """A product cut in a given way. Each split gets at least one step."""
    tile_k = config.tile_k * WORD_BITS // bits
    blocks_m, blocks_n = -(-gemm.rows // tile_m), -(-gemm.columns // tile_n)
    steps = -(-gemm.depth // tile_k)
    share = -(-steps // splits)
    splits = -(-steps // share)
    cycles = -(-2 * tile_m * tile_n * tile_k // (config.flops_per_cycle * SPEED[bits]))
    resident = resident_blocks(tile_m, tile_n, config)
    return Tiling(
        tile_m,
        tile_n,
        tile_k,
        blocks_m,
        blocks_n,
        splits,
        blocks_m * blocks_n * gemm.groups * splits,
        share,
        resident,
        cycles,
    )


def resident_blocks(tile_m: int, tile_n: int, config: GpuConfig) -> int:
    """Thread blocks that an SM holds at the same time: the least that shared memory, registers, warps and its own limit allow."""
    return min(
        config.shared_kB * 1024 // shared_bytes(tile_m, tile_n, config),
        config.registers_kB * 1024 // register_bytes(tile_m, tile_n),
        config.warps * WARP_THREADS // threads(tile_m, tile_n),
        config.blocks,
    )


def shared_bytes(tile_m: int, tile_n: int, config: GpuConfig) -> int:
    """Shared memory of a thread block: every stage holds tile_k words of each of its filters and output positions."""
    return config.stages * (tile_m + tile_n) * config.tile_k * WORD_BYTES


def register_bytes(tile_m: int, tile_n: int) -> int:
    """Registers of a thread block."""
    return tile_m * tile_n * OUTPUT_REGISTERS * WORD_BYTES


def threads(tile_m: int, tile_n: int) -> int:
    """Threads of a thread block."""
    return max(-(-tile_m * tile_n // THREAD_OUTPUTS), BLOCK_THREADS)


def refuse(tile_m: int, tile_n: int, config: GpuConfig) -> None:
    """Say what a tile needs of an SM that does not hold it."""
    needs = (
        ("shared_kB", shared_bytes(tile_m, tile_n, config), config.shared_kB * 1024),
        ("registers_kB", register_bytes(tile_m, tile_n), config.registers_kB * 1024),
        ("warps", -(-threads(tile_m, tile_n) // WARP_THREADS), config.warps),
    )
    for key, needed, there in needs:
        if needed > there:
            scale = 1 if key == "warps" else 1024
            raise ConfigError(
                f"gpu.{key}: tiles of {tile_m} x {tile_n} x {config.tile_k} (gpu.tile_m, tile_n, tile_k; {config.stages} stages) need "
                f"{-(-needed // scale)}, an SM has {there // scale}"
            )
    raise ConfigError(f"gpu.blocks: an SM holds no thread block of {tile_m} x {tile_n}")
