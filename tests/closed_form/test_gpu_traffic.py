"""Do L2 and DRAM traffic of the GPU equal what tile sizes, shapes and the size of the cache make exact?"""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from edensim.config.models import GpuConfig
from edensim.machines.gpu.machine import GpuMachine, gpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import Layout, lay_out
from edensim.networks.network import Network, Role
from edensim.vocabulary import TILE

BYTES = {"fp32": 4, "int16": 2, "int8": 1}


def ran(
    network: Network, precision: str = "fp32", **gpu: Any
) -> tuple[GpuMachine, dict[str, tuple[set[int], int, int]]]:
    """A machine that has run a network; by tensor the sectors read, how many sectors were read and how many written."""
    layout = lay_out(network, precision)
    machine = gpu_machine(network, layout, GpuConfig(**gpu))
    moved = {placement.name: (set[int](), 0, 0) for placement in layout.placements} | {
        "partial sums": (set(), 0, 0)
    }
    for schedule in machine.schedules():
        assert schedule.tiles.dtype == TILE
        for tile in schedule.tiles:
            first, reads = int(tile["first_transfer"]), int(tile["reads"])
            for number, transfer in enumerate(
                schedule.transfers[first : first + reads + int(tile["writes"])]
            ):
                name = (
                    layout.placements[int(transfer["tensor"])].name
                    if transfer["tensor"] >= 0
                    else "partial sums"
                )
                starts = [
                    int(transfer["address"] + run * transfer["stride_bytes"])
                    for run in range(int(transfer["count"]))
                ]
                sectors = [
                    sector
                    for start in starts
                    for sector in range(start, start + int(transfer["run_bytes"]), 32)
                ]
                seen, read, written = moved[name]
                if number < reads:
                    moved[name] = (seen | set(sectors), read + len(sectors), written)
                else:
                    moved[name] = (seen, read, written + len(sectors))
    return machine, moved


def sectors_of(layout: Layout, name: str) -> set[int]:
    """Sectors of a tensor."""
    return set(range(layout[name].address // 32 * 32, layout[name].end, 32))


def convolution(
    filters: int,
    channels: int,
    height: int,
    width: int,
    *,
    batch: int = 1,
    kernel: int = 1,
    groups: int = 1,
) -> Network:
    builder = NetworkBuilder("convolution", (batch, channels, height, width))
    builder.convolution(
        "c", "input", filters, kernel, padding=kernel // 2, groups=groups, bias=False
    )
    return builder.build()


@pytest.mark.parametrize("precision", ["fp32", "int16", "int8"])
@pytest.mark.parametrize(("tile_m", "tile_n"), [(128, 128), (64, 32)])
def test_l2_reads_of_a_product_whose_tiles_fit(precision: str, tile_m: int, tile_n: int) -> None:
    filters, channels, positions, batch = 256, 128, 1024, 2
    network = convolution(filters, channels, 32, 32, batch=batch)
    machine, moved = ran(network, precision, tile_m=tile_m, tile_n=tile_n, split_k=1)
    counters = machine.counters()
    columns = positions * batch
    assert counters["l2_read_bytes"] == BYTES[precision] * channels * filters * columns * (
        1 / tile_m + 1 / tile_n
    )
    assert counters["l2_write_bytes"] == BYTES[precision] * filters * columns
    # All of it fits into the cache: memory is asked for each byte once.
    size = BYTES[precision] * channels
    assert counters["l2_fill_bytes"] == size * (filters + columns)
    assert counters["l2_writeback_bytes"] == BYTES[precision] * filters * columns
    assert moved["input"][1] * 32 == size * columns
    assert moved["c.weight"][1] * 32 == size * filters


def test_compute_cycles_of_a_product_whose_tiles_fit() -> None:
    # 256 x 128 x (7 x 128): 2 x 7 thread blocks, all abreast on 14 of 28 SMs, 16 steps of 2 x 128 x 128 x 8 / 256 cycles.
    fast = {"tile_m": 128, "tile_n": 128, "split_k": 1, "l2_bytes_per_cycle": 10**6}
    machine, _ = ran(convolution(256, 128, 28, 32), **fast)
    stores = 16  # steps of at least a cycle: nothing follows that would hide them
    assert machine.counters()["compute_cycles"] == 16 * 1024 + stores
    assert machine.layer_counters()[0]["utilization"] == pytest.approx(0.5 * 1024 / 1025)
    # On 5 SMs with two thread blocks each: a wave of 10, one of 4.
    machine, _ = ran(convolution(256, 128, 28, 32), **fast, sms=5)
    assert machine.counters()["compute_cycles"] == 16 * (2 + 1) * 1024 + stores
    # One thread block on each SM: three waves, which store before the next begins.
    machine, _ = ran(convolution(256, 128, 28, 32), **fast, sms=5, blocks=1)
    assert machine.counters()["compute_cycles"] == 16 * 3 * 1024


def test_l2_delivers_at_its_rate() -> None:
    machine, _ = ran(
        convolution(256, 128, 28, 32), tile_m=128, tile_n=128, split_k=1, l2_bytes_per_cycle=64
    )
    assert machine.counters()["compute_cycles"] == pytest.approx(
        14 * 16 * 256 * 32 / 64 + 256 * 28 * 32 * 4 / 64
    )


def test_weights_of_a_matrix_too_large_for_the_cache_are_read_once_per_wave() -> None:
    # One filter tile, four waves of position tiles (one SM, two thread blocks): weights 4 x 64 kB through a cache of 16 kB.
    machine, moved = ran(
        convolution(64, 256, 16, 32), tile_m=64, tile_n=64, split_k=1, sms=1, blocks=2, l2_kB=16
    )
    assert moved["c.weight"][1] * 32 == 4 * 64 * 256 * 4
    assert moved["input"][1] * 32 == 256 * 512 * 4


def test_vector_products_read_weights_once() -> None:
    builder = NetworkBuilder("vector", (1, 6000))
    builder.linear("c", "input", 700)
    machine, moved = ran(builder.build(), "fp32")
    counters = machine.counters()
    assert moved["c.weight"][1] * 32 == 6000 * 700 * 4
    assert counters["l2_read_bytes"] == pytest.approx(
        2 * 6000 * 700 * 4, rel=0.01
    )  # a vector for each row; and the bias
    assert counters["l2_fill_bytes"] == 6000 * 700 * 4 + 6000 * 4 + 704 * 4


def test_streams_move_every_array_once() -> None:
    builder = NetworkBuilder("streams", (1, 64, 128, 128))
    first = builder.elementwise("a", "input", "relu")
    second = builder.elementwise("b", "input", "relu")
    builder.concatenation("c", [builder.addition("d", [first, second]), second])
    machine, _ = ran(builder.build())
    size = 64 * 128 * 128 * 4
    reads = [1, 1, 2, 2]
    writes = [1, 1, 1, 2]
    assert [each["l2_read_bytes"] for each in machine.layer_counters()] == [size * n for n in reads]
    assert [each["l2_write_bytes"] for each in machine.layer_counters()] == [
        size * n for n in writes
    ]
    assert machine.counters()["l2_writeback_bytes"] == size * sum(writes)


def test_features_that_stay_in_the_cache_are_not_read_from_memory() -> None:
    builder = NetworkBuilder("chain", (1, 32, 28, 28))
    source = "input"
    for name in ("a", "b", "c"):
        source = builder.convolution(name, source, 32, 3, padding=1)
    _, moved = ran(builder.build())
    assert moved["a"][1] == moved["b"][1] == 0
    assert moved["input"][1] * 32 == 32 * 28 * 28 * 4


NETWORKS = {
    "products": lambda b: b.convolution(
        "b", b.convolution("a", "input", 72, 3, stride=2, padding=1), 20, 5, padding=2, groups=4
    ),
    "windows": lambda b: b.pooling(
        "b", b.convolution("a", "input", 8, 3, padding=1, groups=8), "average", 2
    ),
    "matrices": lambda b: b.linear("c", b.linear("b", b.flatten("a", "input"), 300), 11),
    "split": lambda b: b.convolution("a", "input", 64, 7, padding=1),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    "options",
    [{}, {"weights": "rows"}, {"split_k": 3, "tile_m": 32, "tile_n": 32}, {"l2_kB": 16, "sms": 3}],
)
def test_every_byte_is_read_and_written(name: str, precision: str, options: dict[str, Any]) -> None:
    builder = NetworkBuilder(name, (3, 8, 21, 19))
    NETWORKS[name](builder)
    network = builder.build().fused()
    machine, moved = ran(network, precision, **options)
    for tensor in network.tensors.values():
        if tensor.role is Role.WEIGHTS or tensor.name == network.input:
            assert moved[tensor.name][0] == sectors_of(machine.layout, tensor.name), tensor.name
        else:
            assert moved[tensor.name][2] >= len(sectors_of(machine.layout, tensor.name)), (
                tensor.name
            )
    assert len(machine.layer_counters()) == len(network.layers)
    assert machine.counters()["macs"] == network.macs


def test_twice_the_batch_is_twice_the_work_but_weights_are_shared() -> None:
    results = []
    for batch in (2, 4):
        machine, moved = ran(
            convolution(128, 64, 32, 28, batch=batch, kernel=3),
            tile_m=128,
            tile_n=128,
            split_k=1,
            sms=7,
        )
        results.append((machine.counters(), moved))
    (one, moved_one), (two, moved_two) = results
    assert two["macs"] == 2 * one["macs"]
    # The stores of a wave are hidden by the wave that follows; behind the last they take 14 tiles' bytes at 768 a cycle, in 16 steps.
    stores = 16 * -(-14 * 128 * 128 * 4 // (16 * 768))
    assert two["compute_cycles"] - stores == 2 * (one["compute_cycles"] - stores)
    assert two["l2_read_bytes"] == 2 * one["l2_read_bytes"]
    assert moved_two["c.weight"][1] == moved_one["c.weight"][1] == prod((128, 64, 9)) * 4 // 32
    assert moved_two["input"][1] == 2 * moved_one["input"][1]
    assert moved_two["c"][2] == 2 * moved_one["c"][2]
