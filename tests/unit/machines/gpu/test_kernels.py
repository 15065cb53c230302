"""Does each GPU kernel read and write exactly the sectors that its lanes touch, and does the L2 cache move what an LRU cache would?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edensim.config.models import GpuConfig
from edensim.machines.gpu.kernels import layer_kernels
from edensim.machines.gpu.machine import L2, gpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out
from edensim.networks.network import Network
from tests.oracles.gpu_lanes import Cache, Oracle

#: Few thread blocks at a time and a cache of 32 lines: many waves, many evictions.
SMALL: dict[str, Any] = {
    "sms": 2,
    "blocks": 2,
    "l2_kB": 4,
    "l2_ways": 4,
    "tile_m": 32,
    "tile_n": 32,
    "split_k": 1,
}


def built(shape: tuple[int, ...], build: Callable[[NetworkBuilder], str]) -> Network:
    """A network of one layer."""
    builder = NetworkBuilder("one", shape)
    build(builder)
    return builder.build()


CASES: dict[str, tuple[tuple[int, ...], Callable[[NetworkBuilder], str]]] = {
    "3x3": ((1, 5, 9, 11), lambda b: b.convolution("c", "input", 40, 3, padding=1)),
    "7x7 stride 2, batch": (
        (3, 3, 15, 13),
        lambda b: b.convolution("c", "input", 33, 7, stride=2, padding=3),
    ),
    "11x11 stride 9": (
        (2, 2, 31, 64),
        lambda b: b.convolution("c", "input", 7, 11, stride=9, padding=2),
    ),
    "1x1": ((2, 24, 5, 7), lambda b: b.convolution("c", "input", 64, 1)),
    "grouped, dilated": (
        (2, 8, 9, 9),
        lambda b: b.convolution(
            "c", "input", 68, (3, 2), padding=(1, 2, 3, 0), dilation=2, groups=2
        ),
    ),
    "depthwise": (
        (2, 6, 13, 13),
        lambda b: b.convolution("c", "input", 6, 3, padding=1, stride=2, groups=6),
    ),
    "depthwise, two filters each": (
        (2, 5, 7, 9),
        lambda b: b.convolution("c", "input", 10, 3, padding=1, groups=5),
    ),
    "pooling": ((2, 7, 14, 15), lambda b: b.pooling("c", "input", "max", 3, stride=2, padding=1)),
    "linear, one vector": ((1, 5000), lambda b: b.linear("c", "input", 37)),
    "linear, short rows": ((2, 300), lambda b: b.linear("c", "input", 50)),
    "linear, many vectors": ((50, 70), lambda b: b.linear("c", "input", 37)),
}


def expanded(schedule: Any) -> list[tuple[list[int], list[int]]]:
    """Sectors that each tile of a schedule reads and writes, in order."""
    tiles = []
    for tile in schedule.tiles:
        first, reads, writes = int(tile["first_transfer"]), int(tile["reads"]), int(tile["writes"])
        lists: tuple[list[int], list[int]] = ([], [])
        for number, transfer in enumerate(schedule.transfers[first : first + reads + writes]):
            for run in range(int(transfer["count"])):
                start = int(transfer["address"] + run * transfer["stride_bytes"])
                lists[number >= reads].extend(range(start, start + int(transfer["run_bytes"]), 32))
        tiles.append(lists)
    return tiles


@pytest.mark.nojit
@pytest.mark.boundscheck
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("precision", "weights", "blocks"),
    [("fp32", "packed", 2), ("int8", "rows", 2), ("int4", "packed", 1)],
)
def test_tiles_move_what_an_lru_cache_would(
    case: str, precision: str, weights: str, blocks: int
) -> None:
    network = built(*CASES[case])
    layout = lay_out(network, precision)
    config = GpuConfig(**SMALL | {"blocks": blocks}, weights=weights)
    kernel = layer_kernels(network, layout, 0, config)[0]
    oracle = Oracle(network, layout, network.layers[0], kernel, config)
    expected = [list(tile) for tile in oracle.tiles()]
    cache = L2(config)
    schedule = cache.walk(kernel)
    reference = Cache(int(cache.record[0]["sets"]), config.l2_ways)
    assert expanded(schedule) == [reference.tile(tile) for tile in expected]
    record = cache.record[0]
    assert record["read"] == sum(
        len(sectors) for tile in expected for is_write, _, sectors in tile if not is_write
    )
    assert record["written"] == sum(
        len(sectors) for tile in expected for is_write, _, sectors in tile if is_write
    )
    owed = sorted(
        sector for lines in reference.lines for _, dirty in lines.values() for sector in dirty
    )
    assert expanded(cache.flush(0)) == [([], owed)]


def test_transfers_belong_to_the_tensor_at_their_address() -> None:
    network = built(*CASES["3x3"])
    layout = lay_out(network, "fp32")
    machine = gpu_machine(network, layout, GpuConfig(**SMALL))
    for schedule in machine.schedules():
        for transfer in schedule.transfers:
            placement = layout.placements[int(transfer["tensor"])]
            last = (
                transfer["address"]
                + transfer["stride_bytes"] * (transfer["count"] - 1)
                + transfer["run_bytes"]
            )
            assert placement.address <= transfer["address"]
            assert last <= -(-placement.end // 32) * 32


def test_small_buffers_give_the_same_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    network = built(*CASES["grouped, dilated"])
    layout = lay_out(network, "fp32")
    config = GpuConfig(**SMALL)
    whole = list(gpu_machine(network, layout, config).schedules())
    monkeypatch.setattr("edensim.machines.gpu.machine.TILES", 3)
    monkeypatch.setattr("edensim.machines.gpu.machine.TRANSFERS", 1)
    parts = list(gpu_machine(network, layout, config).schedules())
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one.tiles, other.tiles)
        assert np.array_equal(one.transfers, other.transfers)
