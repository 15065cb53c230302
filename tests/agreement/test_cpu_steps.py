"""Does a product that streams its matrix take as long, and move as much, when its turns are walked in part as when all is walked?"""

from __future__ import annotations

import pytest

from edensim.config.loading import load_config
from edensim.dram.memory_system import MemorySystem
from edensim.engine import loop_nest_sampling as cpu_sampling
from edensim.engine.engine import Engine
from edensim.engine.loop_nests import CpuRun, run_loop_nests
from edensim.engine.monitor import Monitor
from edensim.machines.cpu.machine import cpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out

#: 1024 rows of 10.8 kB, streamed once for each filter through 256 kB; 350,000 lines touched in a turn.
CHANNELS, SIDE = 1024, 52


def run(filters: int, *settings: str) -> CpuRun:
    caches = (
        "cpu.l1_kB=16",
        "cpu.l2_kB=64",
        "cpu.l3_kB=256",
        "cpu.prefetch=none",
        "cpu.library=darknet",
    )
    config = load_config(None, ["frontend=cpu", "precision=fp32", *caches, *settings]).config
    builder = NetworkBuilder("streamed", (1, CHANNELS, SIDE, SIDE))
    builder.convolution("a", "input", filters, 1)
    builder.pooling("b", "a", "max", 2)
    network = builder.build()
    memory = MemorySystem.resolve(config.dram, config.controller)
    engine = Engine(memory, config.controller, Monitor(), keep_returns=True)
    return run_loop_nests(engine, cpu_machine(network, lay_out(network, "fp32"), config.cpu))


@pytest.mark.parametrize(("cores", "filters"), [(1, 16), (2, 16), (2, 17)])
def test_parts_of_turns_stand_for_all(
    cores: int, filters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, int]] = []
    wrapped = cpu_sampling.run_in_steps

    def watched(cpu, layer, sample, turns, begin, steady):
        steps.append((begin + steady, sample.steps))
        return wrapped(cpu, layer, sample, turns, begin, steady)

    monkeypatch.setattr(cpu_sampling, "run_in_steps", watched)
    exact, sampled = (
        run(filters, f"cpu.cores={cores}", "cpu.sampling=exact"),
        run(filters, f"cpu.cores={cores}"),
    )
    [(walked, there)] = steps
    assert walked < there / 2
    assert exact.total.sampled == 0
    assert sampled.total.sampled > 0.5
    assert sampled.total.instructions == pytest.approx(exact.total.instructions, rel=0.001)
    assert sampled.total.cycles == pytest.approx(exact.total.cycles, rel=0.01)
    assert sampled.memory_cycles == pytest.approx(exact.memory_cycles, rel=0.01)
    for name in ("llc_read_misses", "llc_writebacks", "memory_stall_cycles"):
        assert sampled.total.counters[name] == pytest.approx(
            exact.total.counters[name], rel=0.01
        ), name
    # About 150 in a turn, so that chance alone moves what a third of two turns shows by a tenth.
    assert sampled.total.counters["exposed_activations"] == pytest.approx(
        exact.total.counters["exposed_activations"], rel=0.15
    )
    assert sampled.total.moved.sum(0) == pytest.approx(exact.total.moved.sum(0), rel=0.01)
    # What follows finds the caches as it would.
    assert sampled.layers[1].counters["llc_read_misses"] == pytest.approx(
        exact.layers[1].counters["llc_read_misses"], abs=10
    )
