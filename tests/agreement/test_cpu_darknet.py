"""Does the DarkNet stream miss the caches as the real program did, and does sampling change it?

Recorded: one inference of YOLOv3-tiny at 96x96 by the real program with every access through a 32 KB / 512 KB / 8 MB cache model, empty at the start
(traces/README.md): 663,274 read misses of the last level and 92,382 write-backs, box decoding and suppression included (about 0.1 %).
"""

from __future__ import annotations

import pytest

from edensim.config.loading import load_config
from edensim.dram.memory_system import MemorySystem
from edensim.engine.engine import Engine
from edensim.engine.loop_nests import CpuRun, run_loop_nests
from edensim.engine.monitor import Monitor
from edensim.machines.cpu.machine import cpu_machine
from edensim.networks.layout import lay_out
from edensim.networks.loading import load_network

READ_MISSES, WRITEBACKS = 663_274, 92_382
RECORDED = (
    "frontend=cpu",
    "network=yolov3-tiny",
    "cpu.library=darknet",
    "cpu.cores=1",
    "cpu.l1_kB=32",
    "cpu.l2_kB=512",
    "cpu.l3_kB=8192",
)


def run(*more: str) -> CpuRun:
    config = load_config(None, [*RECORDED, *more]).config
    network = load_network("yolov3-tiny", height=96, width=96)
    memory = MemorySystem.resolve(config.dram, config.controller)
    engine = Engine(memory, config.controller, Monitor(), keep_returns=True)
    return run_loop_nests(
        engine, cpu_machine(network, lay_out(network.fused(), config.precision), config.cpu)
    )


@pytest.fixture(scope="module")
def exact() -> CpuRun:
    return run("cpu.prefetch=none", "cpu.sampling=exact")


@pytest.fixture(scope="module")
def sampled() -> CpuRun:
    return run("cpu.prefetch=none")


def test_misses_and_write_backs_are_the_real_programs(exact):
    assert exact.total.counters["llc_read_misses"] == pytest.approx(READ_MISSES, rel=0.01)
    assert exact.total.counters["llc_writebacks"] == pytest.approx(WRITEBACKS, rel=0.01)


@pytest.mark.parametrize("name", ["llc_read_misses", "llc_writebacks", "memory_stall_cycles"])
def test_sampling_changes_counters_by_less_than_a_percent(exact, sampled, name):
    assert sampled.total.sampled > 0.2
    assert sampled.total.counters[name] == pytest.approx(
        exact.total.counters[name], rel=0.015 if name == "memory_stall_cycles" else 0.01
    )


def test_sampling_changes_time_and_commands_by_less_than_a_percent(exact, sampled):
    assert sampled.total.cycles == pytest.approx(exact.total.cycles, rel=0.01)
    assert sampled.memory_cycles == pytest.approx(exact.memory_cycles, rel=0.01)
    assert sampled.total.instructions == pytest.approx(exact.total.instructions, rel=0.001)
    assert sampled.total.counts.bursts == pytest.approx(exact.total.counts.bursts, rel=0.01)


def test_each_layer_has_its_figures(sampled):
    assert len(sampled.layers) == 24
    assert sampled.total.macs == load_network("yolov3-tiny", height=96, width=96).macs
    for layer in sampled.layers:
        figures = layer.to_dict()
        assert figures["cycles"] > 0
        assert figures["dram_reads"] + 64 >= figures["llc_read_misses"]
        assert layer.counts.cycles > 0
        # Every line belongs to a tensor or to none (the workspace): nothing is left out.
        assert layer.moved.sum(0).tolist() == [
            layer.counters["llc_read_misses"],
            layer.counters["llc_writebacks"],
        ]
    assert sum(layer.cycles for layer in sampled.layers) == sampled.total.cycles
