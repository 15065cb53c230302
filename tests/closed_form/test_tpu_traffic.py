"""Does a TPU-like machine move the bytes it must: every weight, each tensor within its bounds, once where all fits, as planned where not?"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from edensim.config.models import RunConfig, TpuConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.memory_run import simulate_machine
from edensim.engine.monitor import Monitor
from edensim.machines.tpu.machine import TpuMachine, tpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import Layout, lay_out
from edensim.networks.network import Network, Role

SMALL = {"array_height": 16, "array_width": 16}


def convolutions(batch: int = 1, *, size: int = 40, groups: int = 1) -> Network:
    """Three convolutions, one of them strided, pooling, an addition, two linear layers."""
    net = NetworkBuilder("convolutions", (batch, 3, size, size))
    first = net.convolution("first", "input", 32, 3, padding=1)
    second = net.convolution("second", first, 48, 3, stride=2, padding=1, groups=groups)
    third = net.convolution("third", second, 48, 3, padding=1, bias=False, groups=groups)
    total = net.addition("total", [second, third])
    pooled = net.pooling("pooled", total, "max", 2)
    flat = net.flatten("flat", pooled)
    net.linear("scores", net.linear("hidden", flat, 50), 10)
    return net.build().fused()


def machine(network: Network, precision: str = "int8", **tpu: Any) -> TpuMachine:
    """A network on a machine."""
    layout = lay_out(network, precision)
    return tpu_machine(network, layout, TpuConfig(**tpu))


def moved(machine: TpuMachine) -> tuple[dict[str, int], dict[str, int], dict[str, np.ndarray]]:
    """Bytes in whole lines, read and written, by tensor; and how often each byte of a tensor is read. Every byte must lie in its tensor."""
    layout: Layout = machine.layout
    read: dict[str, int] = defaultdict(int)
    written: dict[str, int] = defaultdict(int)
    seen = {place.name: np.zeros(place.size_bytes, np.int32) for place in layout.placements}
    (schedule,) = machine.schedules()
    for tile in schedule.tiles:
        first, reads = int(tile["first_transfer"]), int(tile["reads"])
        for number, transfer in enumerate(
            schedule.transfers[first : first + reads + int(tile["writes"])]
        ):
            place = layout.placements[transfer["tensor"]]
            last_line = -1
            for run in range(int(transfer["count"])):
                start = int(transfer["address"] + run * transfer["stride_bytes"])
                end = start + int(transfer["run_bytes"])
                assert place.address <= start < end <= place.end, place.name
                lines = (end - 1) // 64 - start // 64 + 1 - (start // 64 == last_line)
                last_line = (end - 1) // 64
                (read if number < reads else written)[place.name] += 64 * lines
                if number < reads:
                    seen[place.name][start - place.address : end - place.address] += 1
    return read, written, seen


def lines(size_bytes: int) -> int:
    """Bytes of whole lines."""
    return -(-size_bytes // 64) * 64


@pytest.mark.parametrize("precision", ["int4", "int8", "int16", "fp32"])
@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
def test_everything_once_where_it_fits(precision: str, dataflow: str) -> None:
    network = convolutions()
    tpu = machine(network, precision, dataflow=dataflow)
    read, written, _ = moved(tpu)
    readers = network.readers
    for place in tpu.layout.placements:
        uses = 1 if place.role is Role.WEIGHTS else readers[place.name]
        assert read[place.name] == uses * lines(place.size_bytes), place.name
        assert written[place.name] == (
            lines(place.size_bytes) if place.name != "input" and place.role is Role.FEATURES else 0
        ), place.name


#: Buffers so small that a plan, and how long it keeps weights, is the best for some layer: {(plan, kept): kB of ifm, weights, ofm}.
TIGHT = {
    ("bands", "pass"): (24, 128, 8),
    ("bands", "band"): (24, 16, 8),
    ("bands", "tile"): (16, 4, 32),
    ("weights", "pass"): (16, 16, 8),
    ("channels", "pass"): (4, 16, 32),
    ("channels", "tile"): (4, 4, 32),
    ("sums", "pass"): (4, 8, 8),
    ("ifm", "tile"): (48, 2, 8),
}


def tight(plan: tuple[str, str]) -> dict[str, Any]:
    """A small array with such buffers."""
    return SMALL | dict(
        zip(("ifmap_sram_kB", "filter_sram_kB", "ofmap_sram_kB"), TIGHT[plan], strict=True)
    )


@pytest.mark.parametrize("plan", TIGHT)
def test_small_buffers(plan: tuple[str, str]) -> None:
    """Every weight byte is read, every ofm byte is written, by whatever plan."""
    tpu = machine(convolutions(), **tight(plan))
    assert plan in {(planned[1].name, planned[1].weights_stay) for planned in tpu.plans.values()}
    _, written, seen = moved(tpu)
    for place in tpu.layout.placements:
        assert seen[place.name].min() >= (place.name != "scores"), place.name
        if place.role is Role.FEATURES and place.name != "input":
            assert written[place.name] >= lines(place.size_bytes)


@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
@pytest.mark.parametrize("plan", TIGHT)
def test_plans_keep_their_word(plan: tuple[str, str], dataflow: str) -> None:
    """A layer alone moves what its plan says, but for lines that two tiles share."""
    net = NetworkBuilder("one", (1, 48, 40, 40))
    net.convolution("only", "input", 96, 3, padding=1, bias=False)
    tpu = machine(net.build().fused(), dataflow=dataflow, **tight(plan))
    _, planned = tpu.plans[0]
    read, written, _ = moved(tpu)
    assert sum(read.values()) + sum(written.values()) == pytest.approx(
        planned.moved_bytes, rel=0.17
    )


def test_twice_the_batch() -> None:
    """Features double, weights do not."""
    one, two = machine(convolutions(1)), machine(convolutions(2))
    (read, written, _), (read_two, written_two, _) = moved(one), moved(two)
    for place in one.layout.placements:
        factor = 1 if place.role is Role.WEIGHTS else 2
        assert read_two[place.name] == pytest.approx(factor * read[place.name], abs=64)
        assert written_two[place.name] == pytest.approx(factor * written[place.name], abs=64)
    cycles = [sum(machine.cycles.values()) for machine in (one, two)]
    assert cycles[0] < cycles[1] <= 2 * cycles[0]


@pytest.mark.parametrize("groups", [2, 16])
def test_groups(groups: int) -> None:
    tpu = machine(convolutions(groups=groups), **SMALL)
    read, written, _ = moved(tpu)
    for place in tpu.layout.placements:
        uses = 1 if place.role is Role.WEIGHTS else tpu.network.readers[place.name]
        assert read[place.name] == uses * lines(place.size_bytes), place.name
    assert (
        sum(tpu.network.gemm(layer).macs for layer in tpu.network.layers if tpu.network.gemm(layer))
        == tpu.network.macs
    )  # type: ignore[union-attr]


def test_features_that_stay() -> None:
    """Only the input and the result go through DRAM, and weights."""
    tpu = machine(convolutions(), keep_features=True)
    read, written, _ = moved(tpu)
    for place in tpu.layout.placements:
        assert read[place.name] == (
            lines(place.size_bytes) if place.role is Role.WEIGHTS or place.name == "input" else 0
        )
        assert written[place.name] == (lines(place.size_bytes) if place.name == "scores" else 0)


def test_weights_come_ahead_of_the_layer_before() -> None:
    """The first tile of a layer waits for its ifm, its weights do not."""
    (schedule,) = machine(convolutions()).schedules()
    firsts = schedule.tiles[schedule.tiles["barrier"] == 1]
    assert list(firsts["layer"]) == sorted(set(schedule.tiles["layer"]))
    roles = [place.role for place in lay_out(convolutions(), "int8").placements]
    for transfer in schedule.transfers:
        assert (roles[transfer["tensor"]] is Role.WEIGHTS) == bool(transfer["ahead"])


@pytest.mark.parametrize("plan", [("bands", "tile"), ("sums", "pass")])
def test_the_engine_moves_the_same(plan: tuple[str, str]) -> None:
    """Closed loop to the end, more than the buffers hold: bytes by tensor as the schedule says."""
    config = RunConfig(tpu=TpuConfig(**tight(plan)))
    tpu = machine(convolutions(), **tight(plan))
    memory = simulate_machine(
        MemorySystem.resolve(config.dram, config.controller),
        config.controller,
        tpu,
        monitor=Monitor(exposure_tensors=len(tpu.layout.placements)),
    )
    read, written, _ = moved(tpu)
    names = [place.name for place in tpu.layout.placements]
    for expected, sides in ((read, "read_bytes"), (written, "write_bytes")):
        total: dict[str, int] = defaultdict(int)
        for layer in memory.layers:
            for tensor, count in getattr(layer, sides).items():
                total[names[tensor]] += count
        assert total == expected
    assert [layer.layer for layer in memory.layers] == list(range(len(tpu.network.layers)))
    assert (
        memory.counts.reads + memory.counts.writes
        == (sum(read.values()) + sum(written.values())) // 64
    )
