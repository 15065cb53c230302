"""Do products get the tiles that the rule says, and are machines that cannot be refused with what is needed?"""

from __future__ import annotations

from typing import Any

import pytest

from edensim.config.loading import load_config
from edensim.config.models import GpuConfig
from edensim.exceptions import ConfigError
from edensim.machines.gpu.machine import gpu_machine
from edensim.machines.gpu.tiling import choose_tiling, resident_blocks
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out
from edensim.networks.network import Gemm


@pytest.mark.parametrize(
    ("tile", "resident"),
    [
        ((128, 128), 2),  # 128 of 256 kB of registers each
        ((64, 64), 8),
        ((32, 32), 24),  # 4 of 96 kB of shared memory each
        ((256, 128), 1),
        ((256, 256), 0),
    ],
)
def test_resident_thread_blocks(tile: tuple[int, int], resident: int) -> None:
    assert resident_blocks(*tile, GpuConfig()) == resident


def test_large_products_get_large_tiles_and_no_splits() -> None:
    tiling = choose_tiling(Gemm(1024, 7168, 2048, 1), 32, GpuConfig())
    assert (tiling.tile_m, tiling.tile_n, tiling.tile_k, tiling.splits) == (128, 128, 8, 1)
    assert tiling.step_cycles == 1024


def test_small_products_are_spread_over_the_multiprocessors() -> None:
    tiling = choose_tiling(Gemm(512, 49, 4608, 1), 32, GpuConfig())
    assert tiling.blocks >= 28
    assert tiling.tile_m * tiling.tile_n < 128 * 128


def test_narrow_elements_deepen_the_tile_and_speed_it_up() -> None:
    gemm = Gemm(1024, 7168, 2048, 1)
    by_bits = {bits: choose_tiling(gemm, bits, GpuConfig()) for bits in (32, 16, 8, 4)}
    assert {bits: each.tile_k for bits, each in by_bits.items()} == {32: 8, 16: 16, 8: 32, 4: 64}
    assert {bits: each.step_cycles for bits, each in by_bits.items()} == {
        32: 1024,
        16: 1024,
        8: 1024,
        4: 2048,
    }


def test_splits_cover_the_depth_once() -> None:
    tiling = choose_tiling(Gemm(32, 32, 72, 1), 32, GpuConfig(split_k=4))
    assert tiling.splits == 3  # 9 steps: 3 each
    assert tiling.steps == 3


def machine(**gpu: Any) -> Any:
    builder = NetworkBuilder("one", (1, 8, 8, 8))
    builder.pooling("p", builder.convolution("c", "input", 8, 3), "max", 2)
    network = builder.build()
    return list(gpu_machine(network, lay_out(network, "fp32"), GpuConfig(**gpu)).schedules())


@pytest.mark.parametrize(
    ("gpu", "message"),
    [
        (
            {"l2_kB": 1},
            "gpu.l2_kB: 1 kB hold no set of 16 lines of 128 bytes (gpu.l2_ways); expected at least 2",
        ),
        ({"l2_kB": 10**6}, "gpu.l2_kB: 1000000 is more than the 32768 kB that are supported"),
        (
            {"tile_m": 1024, "tile_n": 1024},
            "gpu.shared_kB: tiles of 1024 x 1024 x 8 (gpu.tile_m, tile_n, tile_k; 2 stages) need 128, an SM has 96",
        ),
        (
            {"tile_m": 256, "tile_n": 256},
            "gpu.registers_kB: tiles of 256 x 256 x 8 (gpu.tile_m, tile_n, tile_k; 2 stages) need 512, an SM has 256",
        ),
        (
            {"warps": 1},
            "gpu.warps: tiles of 32 x 32 x 8 (gpu.tile_m, tile_n, tile_k; 2 stages) need 2, an SM has 1",
        ),
        ({"warps": 4}, "gpu.warps: a thread block of 256 threads needs 8, an SM has 4"),
    ],
)
def test_machines_that_cannot_be(gpu: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        machine(**gpu)
    assert str(caught.value) == message


def test_zero_multiprocessors() -> None:
    with pytest.raises(ConfigError, match=r"gpu\.sms: expected a whole number from 1 .* found 0"):
        load_config(overrides=["gpu.sms=0"])


def test_launches_cost_what_they_are_said_to() -> None:
    schedules = machine(launch_cycles=5000)
    assert [int(schedule.tiles[0]["compute_cycles"]) for schedule in schedules] == [5000, 5000]
