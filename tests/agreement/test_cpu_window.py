"""Do the CPU front end's cores take as long as the trace-driven core on the same misses, where both models say the same?

Both: four instructions a cycle, a window of 128, 16 misses under way, in-order retirement. Apart from that the trace-driven core takes one record a
cycle at most, which the traces here never need. No prefetching, no write-backs (the trace-driven core fetches a line for each), no dependent loads.
"""

from __future__ import annotations

import numpy as np
import pytest

from edensim.config.models import ControllerConfig, CpuConfig, DramConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.cpu_engine import CpuEngine
from edensim.engine.engine import Engine
from edensim.engine.memory_run import simulate_memory
from edensim.engine.monitor import Monitor
from edensim.kernels.sources.loop_nests import state as cpu_state
from edensim.kernels.sources.loop_nests.state import DEPENDENT, LOAD
from edensim.vocabulary import REQUEST
from tests.locations import ROOT, SHARED

#: The whole recording where it is beside the checkout, else its beginning.
WHOLE = SHARED / "traces" / "darknet-yolov3-tiny-96.llc.trace.xz"
RECORDED = WHOLE if WHOLE.exists() else ROOT / "traces" / "darknet-yolov3-tiny-96.trace.xz"
LATENCY = 47


def trace_of(addresses: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    records = np.zeros(len(addresses), REQUEST)
    records["address"], records["gap"], records["writeback"], records["tensor"] = (
        addresses,
        gaps,
        -1,
        -1,
    )
    return records


def streams(rng: np.random.Generator) -> np.ndarray:
    """Three streams side by side, now and then a jump."""
    at = rng.integers(0, 1 << 20, 3) * 4096
    picks = rng.integers(0, 3, 20_000)
    lines = np.cumsum(np.eye(3, dtype=np.int64)[picks], axis=0)[np.arange(20_000), picks]
    jumps = np.where(rng.random(20_000) < 0.01, rng.integers(0, 1 << 24, 20_000) * 64, 0)
    return trace_of((at[picks] + lines * 64 + jumps) % (1 << 32), rng.integers(5, 60, 20_000))


def scattered(rng: np.random.Generator) -> np.ndarray:
    """Loads anywhere."""
    return trace_of(rng.integers(0, 1 << 26, 20_000) * 64, rng.integers(5, 200, 20_000))


def recorded(_: np.random.Generator) -> np.ndarray:
    """Loads of the real program."""
    import lzma

    with lzma.open(RECORDED, "rt") as file:
        rows = [line.split() for line, _ in zip(file, range(200_000), strict=False)]
    return trace_of(
        np.array([int(row[1]) for row in rows]), np.array([int(row[0]) for row in rows])
    )


def cycles_of_cores(records: np.ndarray) -> tuple[int, int, int]:
    """Core cycles, instructions and activations for reads."""
    memory = MemorySystem.resolve(DramConfig())
    engine = Engine(memory, ControllerConfig(), Monitor(), keep_returns=True)
    config = CpuConfig(
        cores=1,
        prefetch="none",
        l1_latency_cycles=0,
        l2_latency_cycles=0,
        l3_latency_cycles=LATENCY,
    )
    cpu = CpuEngine(engine, config, 0)
    nest = np.zeros(1, cpu_state.NEST)
    nest["records"] = len(records)
    cpu.run(nest, np.zeros(1, cpu_state.REF), records)
    counters = cpu.counters()
    return (
        int(counters.slots) // config.issue_width,
        counters.instructions,
        counters.counters["read_activations"],
    )


@pytest.mark.parametrize("kind", [streams, scattered, recorded])
def test_a_trace_of_misses_takes_as_long(kind):
    records = kind(np.random.default_rng(7))
    source = SourceConfig(kind="core", llc_kB=64, llc_latency_cycles=LATENCY)
    core = simulate_memory(
        MemorySystem.resolve(DramConfig()), ControllerConfig(), source, [records]
    ).core
    cycles, instructions, activations = cycles_of_cores(records)
    assert instructions == core.instructions == int(records["gap"].sum()) + len(records)
    assert core.llc_read_misses == pytest.approx(len(records), rel=0.02)
    assert cycles == pytest.approx(core.cycles, rel=0.02)
    assert 0 < activations <= len(records)


def cycles_of_loads(kind: int, lines: int = 2000, standard_name: str = "DDR4") -> int:
    """Core cycles of loads of lines far apart, eight instructions between."""
    from edensim.machines.cpu.loop_nests import LayerBuilder, Ref

    memory = MemorySystem.resolve(DramConfig(standard=standard_name))
    engine = Engine(memory, ControllerConfig(), Monitor(), keep_returns=True)
    cpu = CpuEngine(engine, CpuConfig(cores=1, prefetch="none"), 0)
    builder = LayerBuilder("loads", np.zeros((0, 3), np.int64))
    builder.add((lines,), 1, [Ref(0, (64 * 1031,), kind=kind)], element_cost=8)
    layer = builder.build()
    cpu.run(layer.nests, layer.refs)
    assert cpu.counters().counters["llc_read_misses"] == lines
    return int(cpu.counters().slots) // 4


def test_dependent_loads_wait_for_each_other():
    independent, dependent = cycles_of_loads(LOAD), cycles_of_loads(DEPENDENT)
    standard = MemorySystem.resolve(DramConfig()).standard
    timings = standard.timings
    alone = (
        timings["nRCD"] + timings["nCL"] + timings["nBL"]
    ) * standard.tck_ps * 4000 / 1e6 + 12  # an activation, a read, the caches on the way
    assert dependent >= 0.98 * 1999 * alone
    assert dependent > 3 * independent


def test_a_line_may_take_several_memory_accesses():
    standard = MemorySystem.resolve(DramConfig(standard="HBM2")).standard
    assert standard.organization.access_bytes <= 64
    assert cycles_of_loads(LOAD, standard_name="HBM2") > 0
