"""Do the loops of the CPU libraries touch what they must and nothing else, and do the caches count as plain LRU lists do?

A second, plain text walks the nests element by element and keeps each cache set as a list.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from edensim.config.loading import load_config
from edensim.config.models import ControllerConfig, CpuConfig, DramConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.cpu_engine import CpuEngine
from edensim.engine.engine import Engine
from edensim.engine.loop_nest_layer import LoopNestLayer
from edensim.engine.loop_nests import run_loop_nests
from edensim.engine.monitor import Monitor
from edensim.exceptions import ConfigError
from edensim.kernels.sources.loop_nests.state import STORE, UPDATE
from edensim.machines.cpu.machine import cpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out
from edensim.networks.network import Network, Role

LIBRARIES = ("darknet", "blocked", "direct")


def small(batch: int = 1) -> Network:
    """All kinds of layers, odd sizes, strides, groups and padding."""
    net = NetworkBuilder("small", (batch, 3, 15, 13))
    at = net.convolution("first", net.input, 24, 3, stride=2, padding=1, bias=False)
    at = first = net.elementwise("first.relu", net.normalization("first.norm", at), "relu")
    at = net.convolution("deep", at, 24, 3, padding=1, groups=24)
    at = net.convolution("grouped", at, 20, (1, 3), padding=(0, 1), groups=2)
    at = net.convolution("wide", at, 24, 1)
    at = net.addition("sum", [at, first])
    at = net.concatenation("both", [at, first])
    at = net.pooling("pool", at, "max", 3, stride=2, padding=1)
    at = net.upsampling("up", at, 2)
    at = net.adaptive_pooling("mean", at, 1)
    net.linear("last", net.flatten("flat", at), 19)
    return net.build()


def settings(*more: str):
    return load_config(
        None,
        [
            "frontend=cpu",
            "network=small",
            "precision=fp32",
            "cpu.cores=1",
            "cpu.prefetch=none",
            "cpu.sampling=exact",
            *more,
        ],
    ).config


def machine_of(network: Network, *more: str):
    config = settings(*more)
    return cpu_machine(network, lay_out(network.fused(), config.precision), config.cpu)


def engine_of(channels: int = 1) -> Engine:
    memory = MemorySystem.resolve(DramConfig(channels=channels))
    return Engine(memory, ControllerConfig(), Monitor(), keep_returns=True)


def accesses(layer: LoopNestLayer):
    """(first byte, bytes, kind) element by element, an array's elements of about a line before the next array's."""
    for byte, size, kind, _ in accesses_of_refs(layer):
        yield byte, size, kind


def touches(layer: LoopNestLayer):
    """(line, kind): a line once as long as its array stays in it."""
    turn: list[int] = []
    last: dict[int, int] = {}
    for byte, size, kind, (*at, index, rows) in accesses_of_refs(layer):
        if at != turn:
            turn, last = at, {}
        end = byte + size - 1 >> 6
        for line in range(byte >> 6, end + 1):
            if rows > 1 or line > last.get(index, -1):
                yield line, kind
        last[index] = max(last.get(index, -1), end)


def accesses_of_refs(layer: LoopNestLayer):
    """(first byte, bytes, kind, (turns of the loops, reference, its rows))."""
    for number, nest in enumerate(layer.nests[: layer.count]):
        refs = layer.refs[nest["first_ref"] : nest["first_ref"] + nest["refs"]]
        for at in product(*(range(extent) for extent in nest["loops"])):
            starts = [int(f["base"] + np.dot(at, f["stride"])) for f in refs]
            exists = [
                f["row_limit"] == 0 or 0 <= f["row"] + np.dot(at, f["row_stride"]) < f["row_limit"]
                for f in refs
            ]
            columns = [int(f["column"] + np.dot(at, f["column_stride"])) for f in refs]
            for first in range(0, int(nest["inner"]), int(nest["chunk"])):
                for index, (f, start, there, column) in enumerate(
                    zip(refs, starts, exists, columns, strict=True)
                ):
                    for element in range(
                        first, min(first + int(nest["chunk"]), int(nest["inner"]))
                    ):
                        inside = (
                            f["column_limit"] == 0
                            or 0 <= column + element * f["column_step"] < f["column_limit"]
                        )
                        if there and inside and (f["step"] > 0 or element == 0):
                            for row in range(f["rows"]):
                                where = (number, *at, index, int(f["rows"]))
                                yield (
                                    start + element * int(f["step"]) + row * int(f["pitch"]),
                                    int(f["size"]),
                                    int(f["kind"]),
                                    where,
                                )


@pytest.mark.parametrize(
    ("library", "precision"),
    [
        ("darknet", "fp32"),
        *(
            (library, precision)
            for library in ("blocked", "direct")
            for precision in ("fp32", "int8", "int4")
        ),
    ],
)
def test_every_weight_is_read_and_every_output_written_within_bounds(library, precision):
    network = small()
    config = settings(f"cpu.library={library}", f"precision={precision}")
    layout = lay_out(network.fused(), precision)
    machine = cpu_machine(network, layout, config.cpu)
    touched = np.zeros(machine.end + 64, np.uint8)
    written = np.zeros(machine.end + 64, np.uint8)
    regions: dict[int, tuple[int, int]] = {}
    for layer in machine.layers():
        regions |= {int(index): (int(first), int(last)) for first, last, index in layer.regions}
        for byte, size, kind in accesses(layer):
            assert 0 <= byte <= byte + size <= machine.end
            touched[byte : byte + size] = 1
            if kind in (STORE, UPDATE):
                written[byte : byte + size] = 1
    if library == "darknet":
        lines = np.add.reduceat(
            touched[: len(touched) // 64 * 64], np.arange(0, len(touched) // 64 * 64, 64)
        )
        for placement in layout.placements:
            if placement.role is Role.WEIGHTS:
                first, last = regions[placement.index]
                assert lines[first : last + 1].all(), placement.name
        return
    for placement in layout.placements:
        seen = touched[placement.address : placement.end]
        assert seen.mean() > 0.999 if placement.role is Role.WEIGHTS else seen.any(), placement.name
        if placement.role is Role.WEIGHTS:
            assert not written[placement.address : placement.end].any()


class Lists:
    """Three levels, each set a list of [line, dirty], the least recently used first."""

    def __init__(self, levels: list[tuple[int, int]]) -> None:
        self.levels = [(ways, [[] for _ in range(sets)]) for sets, ways in levels]
        self.misses = self.writebacks = 0

    def access(self, level: int, line: int, write: bool) -> None:
        if level == len(self.levels):
            self.writebacks += write
            return
        ways, sets = self.levels[level]
        entries = sets[line % len(sets)]
        found = next((entry for entry in entries if entry[0] == line), None)
        if found is not None:
            entries.remove(found)
            entries.append([line, found[1] or write])
            return
        entries.append([line, write])
        if level == len(self.levels) - 1 and not write:
            self.misses += 1
        if len(entries) > ways:
            victim, dirty = entries.pop(0)
            if dirty:
                self.access(level + 1, victim, True)
        if not (write and level > 0) and level < len(self.levels) - 1:
            self.access(level + 1, line, False)


@pytest.mark.parametrize("library", LIBRARIES)
def test_caches_count_as_lists_do(library):
    tiny = (
        f"cpu.library={library}",
        "cpu.l1_kB=1",
        "cpu.l1_ways=2",
        "cpu.l2_kB=3",
        "cpu.l2_ways=3",
        "cpu.l3_kB=12",
        "cpu.l3_ways=4",
    )
    machine = machine_of(small(), *tiny)
    run = run_loop_nests(engine_of(), machine)
    lists = Lists([(8, 2), (16, 3), (48, 4)])
    for layer, figures in zip(machine.layers(), run.layers, strict=True):
        before = lists.misses, lists.writebacks
        for line, kind in touches(layer):
            lists.access(0, line, kind in (STORE, UPDATE))
        own = figures.counters
        assert (own["llc_read_misses"], own["llc_writebacks"]) == (
            lists.misses - before[0],
            lists.writebacks - before[1],
        ), layer.name


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_the_memory_serves_is_what_the_caches_lack(library):
    run = run_loop_nests(
        engine_of(2), machine_of(small(), f"cpu.library={library}", "cpu.l3_kB=16")
    )
    total = run.total
    waiting = 64  # at the end some may be on their way
    assert 0 <= total.counters["llc_read_misses"] - total.counts.reads <= waiting
    assert 0 <= total.counters["llc_writebacks"] - total.counts.writes <= waiting
    assert total.cycles == sum(layer.cycles for layer in run.layers)
    assert total.instructions == sum(layer.instructions for layer in run.layers)
    assert total.macs == small().macs
    assert (
        int(total.moved.sum())
        <= total.counters["llc_read_misses"] + total.counters["llc_writebacks"]
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_second_image_costs_its_features_not_its_weights(library):
    one, two = (
        run_loop_nests(engine_of(), machine_of(small(batch), f"cpu.library={library}"))
        for batch in (1, 2)
    )
    assert two.total.macs == 2 * one.total.macs
    assert 1.5 < two.total.instructions / one.total.instructions < 2.1
    assert (
        one.total.counters["llc_read_misses"]
        < two.total.counters["llc_read_misses"]
        <= 2 * one.total.counters["llc_read_misses"]
    )


@pytest.mark.parametrize("library", ["blocked", "direct"])
def test_two_cores_do_the_same_work_in_less_time(library):
    one, two = (
        run_loop_nests(
            engine_of(2), machine_of(small(), f"cpu.library={library}", f"cpu.cores={cores}")
        )
        for cores in (1, 2)
    )
    assert two.total.instructions == pytest.approx(one.total.instructions, rel=0.001)
    assert two.total.counters["llc_read_misses"] == pytest.approx(
        one.total.counters["llc_read_misses"], rel=0.05
    )
    assert two.total.cycles < one.total.cycles


def test_a_run_can_be_repeated():
    first, second = (
        run_loop_nests(engine_of(2), machine_of(small(), "cpu.cores=2", "cpu.prefetch=stream"))
        for _ in range(2)
    )
    assert first.total.to_dict() == second.total.to_dict()
    assert first.memory_cycles == second.memory_cycles


def test_no_more_lines_are_on_their_way_than_may_be():
    small_caches = (
        "cpu.l1_kB=1",
        "cpu.l1_ways=2",
        "cpu.l2_kB=2",
        "cpu.l2_ways=2",
        "cpu.l3_kB=2",
        "cpu.l3_ways=2",
        "cpu.mshr=2",
    )
    machine = machine_of(
        small(2), "cpu.library=darknet", "cpu.cores=2", "cpu.prefetch=stream", *small_caches
    )
    cpu = CpuEngine(engine_of(), machine.config, machine.tensors)
    for layer in machine.layers():
        cpu.run(layer.nests[: layer.count], layer.refs)
        assert cpu.cores["ahead"].max() <= 2
        assert cpu.cores["busy"].max() <= 2
        assert (cpu.cores["out_line"][:, 4:] == -1).all()


def test_an_empty_run_does_nothing():
    cpu = CpuEngine(engine_of(), CpuConfig(), 0)
    layer = next(iter(machine_of(small()).layers()))
    cpu.run(layer.nests[:0], layer.refs)
    assert cpu.counters().slots == 0


def test_a_cache_without_a_set_is_refused():
    with pytest.raises(
        ConfigError, match=r"cpu\.l1_kB: 1 kB hold no set of 32 ways of 64 bytes; expected 2"
    ):
        run_loop_nests(engine_of(), machine_of(small(), "cpu.l1_kB=1", "cpu.l1_ways=32"))


def test_a_memory_that_is_too_small_is_refused():
    network = small()
    config = settings("layout.base_address=8589934000")
    machine = cpu_machine(
        network, lay_out(network.fused(), "fp32", base_address=8589934000), config.cpu
    )
    with pytest.raises(ConfigError, match="bytes are needed"):
        run_loop_nests(engine_of(), machine)
