"""How a matrix product is cut into thread blocks on a GPU, and how many of them run at once.

Of the tile sizes in SIZES and the numbers of thread blocks that share the depth of an output in
SPLITS, the combination with the fewest estimated cycles is taken; among equals the one with the
fewest splits, then the largest tile. The estimate is the model's own: waves times steps times the
greatest of arithmetic, L2 delivery and L2 latency, plus the sum of partial results, which must fit
into half of the L2 cache. Large products get tiles of 128 x 128, and small ones get smaller tiles
that give every multiprocessor work.
"""

from dataclasses import dataclass

from edensim.config.models import GpuConfig
from edensim.exceptions import ConfigError
from edensim.networks.network import Gemm

#: Possible sides of the tile of a thread block.
SIZES = (128, 64, 32)
#: Possible numbers of thread blocks that share the depth of an output.
SPLITS = (1, 2, 4, 8, 16)

#: Operations per cycle by the bits of an element, relative to FP32: int16 runs by dp2a, int8 by
#: dp4a, and int4 is unpacked to int8.
SPEED = {32: 1, 16: 2, 8: 4, 4: 4}

WORD_BITS = 32
WORD_BYTES = 4
#: Bytes that the load and store units of a multiprocessor (SM) move per cycle: 32 lanes of 4 bytes.
SM_BYTES_PER_CYCLE = 128
WARP_THREADS = 32
#: Most outputs of a thread, and the registers of each output: the sum, and its share of operands,
#: addresses and the stage on its way.
THREAD_OUTPUTS = 64
OUTPUT_REGISTERS = 2
#: Least number of threads of a thread block.
BLOCK_THREADS = 64


@dataclass(frozen=True)
class Tiling:
    """A way to cut a matrix product into thread blocks.

    Attributes
    ----------
    tile_m, tile_n : int
        Filters and output positions of a thread block.
    tile_k : int
        Depth in products of one step.
    blocks_m, blocks_n : int
        Tiles along the filters and along the output positions.
    splits : int
        Thread blocks that share an output.
    blocks : int
        Thread blocks in all.
    steps : int
        Steps of a thread block.
    resident : int
        Thread blocks that an SM holds at the same time.
    step_cycles : int
        Cycles of arithmetic of one step of one thread block.
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
        """Estimate the cycles of a whole product."""
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
    """Choose the tiling of a product. Raises ConfigError for tiles that an SM cannot hold."""
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
        key=lambda way: (way.cycles(gemm, config), way.splits, -way.tile_m * way.tile_n),
    )


def tiling(
    gemm: Gemm, bits: int, config: GpuConfig, tile_m: int, tile_n: int, splits: int
) -> Tiling:
    """Cut a product in a given way. Each split gets at least one step."""
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
    """Return how many thread blocks an SM holds at the same time.

    Shared memory, registers, warps and the limit on thread blocks all bound the number.
    """
    return min(
        config.shared_kB * 1024 // shared_bytes(tile_m, tile_n, config),
        config.registers_kB * 1024 // register_bytes(tile_m, tile_n),
        config.warps * WARP_THREADS // threads(tile_m, tile_n),
        config.blocks,
    )


def shared_bytes(tile_m: int, tile_n: int, config: GpuConfig) -> int:
    """Return the shared memory of a thread block.

    Every stage holds `tile_k` words of each of its filters and output positions.
    """
    return config.stages * (tile_m + tile_n) * config.tile_k * WORD_BYTES


def register_bytes(tile_m: int, tile_n: int) -> int:
    """Return the bytes of registers of a thread block."""
    return tile_m * tile_n * OUTPUT_REGISTERS * WORD_BYTES


def threads(tile_m: int, tile_n: int) -> int:
    """Return the number of threads of a thread block."""
    return max(-(-tile_m * tile_n // THREAD_OUTPUTS), BLOCK_THREADS)


def refuse(tile_m: int, tile_n: int, config: GpuConfig) -> None:
    """Raise ConfigError: say what a tile needs of an SM that does not hold it."""
    needs = (
        ("shared_kB", shared_bytes(tile_m, tile_n, config), config.shared_kB * 1024),
        ("registers_kB", register_bytes(tile_m, tile_n), config.registers_kB * 1024),
        ("warps", -(-threads(tile_m, tile_n) // WARP_THREADS), config.warps),
    )
    for key, needed, there in needs:
        if needed > there:
            scale = 1 if key == "warps" else 1024
            raise ConfigError(
                f"gpu.{key}: tiles of {tile_m} x {tile_n} x {config.tile_k} (gpu.tile_m, tile_n, "
                f"tile_k; {config.stages} stages) need {-(-needed // scale)}, "
                f"an SM has {there // scale}"
            )
    raise ConfigError(f"gpu.blocks: an SM holds no thread block of {tile_m} x {tile_n}")
