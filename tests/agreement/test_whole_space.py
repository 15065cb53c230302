"""Engine and reference agree over the whole space of configurations.

Every standard, ranks, channels, refresh schemes, power states, partitions, changes in mid-run, and
cores with windows from 1, caches from one set and a single miss register. The number of examples is
taken from EDENSIM_AGREEMENT_EXAMPLES.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edensim.config.models import ControllerConfig, DramConfig, SourceConfig
from edensim.dram.legality import plan_gaps
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.dram.protocol import check_commands
from edensim.engine.memory_run import simulate_memory
from edensim.reference.simulation import simulate_reference
from tests.agreement.test_agreement import (
    Memory,
    Shape,
    first_difference,
    memories,
    plans,
    shapes,
    stream,
)

EXAMPLES = int(os.environ.get("EDENSIM_AGREEMENT_EXAMPLES", "200"))


def draw_source(draw: st.DrawFn) -> SourceConfig:
    """Draw a source of any kind; cores are drawn from their smallest size on."""
    kind = draw(st.sampled_from(["saturating", "timed", "core", "core"]))
    if kind != "core":
        return SourceConfig(kind=kind)
    return SourceConfig(
        kind="core",
        clock_MHz=draw(st.sampled_from([4000.0, 700.0, 66.66666666666667, 3333.3333333333])),
        issue_width=draw(st.sampled_from([1, 2, 4])),
        window=draw(st.sampled_from([1, 2, 4, 16, 128])),
        mshr=draw(st.sampled_from([1, 2, 16])),
        llc_kB=draw(st.sampled_from([1, 2, 64])),
        llc_ways=draw(st.sampled_from([1, 2, 4, 8])),
        llc_latency_cycles=draw(st.sampled_from([1, 5, 47])),
        instructions=draw(st.sampled_from([None, None, 1, 300])),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Memory, OperatingPlan | None, SourceConfig, Shape, int]:
    """Draw a memory, perhaps with partitions and changes, a source, a stream, and its chunks."""
    memory, plan = draw(plans()) if draw(st.booleans()) else (draw(memories()), None)
    return memory, plan, draw_source(draw), draw(shapes), draw(st.integers(1, 7))


def assert_agree(
    memory: Memory, plan: OperatingPlan | None, source: SourceConfig, shape: Shape, pieces: int
) -> None:
    """Run a stream with both engines; compare commands, cycles and counters, and check legality."""
    system, requests = memory.system(plan), stream(shape, memory)
    try:
        twin = simulate_reference(
            system, memory.controller, source, [requests], max_cycles=2_000_000
        )
    except Exception as error:
        with pytest.raises(type(error)):
            simulate_memory(system, memory.controller, source, [requests])
        return
    chunks = np.array_split(requests, pieces)
    engine = simulate_memory(system, memory.controller, source, chunks, commands=True)
    assert engine.commands is not None
    commands = engine.commands[np.lexsort((engine.commands["channel"], engine.commands["clock"]))]
    assert first_difference(twin.commands, commands) == ""
    assert engine.cycles == twin.cycles
    if twin.core is not None:
        assert engine.core is not None
        assert (engine.core.cycles, engine.core.instructions) == (
            twin.core.cycles,
            twin.core.instructions,
        )
    begins = [epoch.halted_at for epoch in engine.epochs[1:]]
    violation = check_commands(
        commands,
        system.standard,
        channels=memory.channels,
        gaps_of=plan_gaps(system.standard, system.plan, begins),
        change_clocks=begins,
    )
    assert violation is None, str(violation)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="EDENSIM_AGREEMENT_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(cases())
def test_any_configuration(
    case: tuple[Memory, OperatingPlan | None, SourceConfig, Shape, int],
) -> None:
    assert_agree(*case)


def case_of(fields: dict[str, Any]) -> tuple[Memory, OperatingPlan, SourceConfig, Shape, int]:
    """Return the case that a JSON document describes."""
    dram = msgspec.convert(fields["dram"], DramConfig)
    memory = Memory(
        dram.standard,
        dram.ranks,
        dram.channels,
        tuple(dram.timings.items()),
        msgspec.convert(fields["controller"], ControllerConfig),
    )
    shape = Shape(**{key: value for key, value in fields["shape"].items() if key != "burst"})
    source = msgspec.convert(fields["source"], SourceConfig)
    return memory, resolve_operating_plan(dram)[1], source, shape, fields["pieces"]


ONE_CORE = {
    "issue_width": 4,
    "window": 1,
    "mshr": 1,
    "llc_kB": 1,
    "llc_ways": 1,
    "llc_latency_cycles": 1,
}


@pytest.mark.parametrize("writeback", [-1, 0, 1 << 18])
@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("latency", [1, 47])
def test_a_core_ends_when_its_last_load_retires(writeback: int, gap: int, latency: int) -> None:
    """A write-back that the cache still refuses does not delay the end, nor start a read."""
    memory = Memory("DDR4", 1, 1, (), ControllerConfig())
    source = SourceConfig(kind="core", **{**ONE_CORE, "llc_latency_cycles": latency})  # type: ignore[arg-type]
    shape = Shape(1, 1, 1, 1, 0.0, 0.0, 0, 0)
    requests = stream(shape, memory)
    requests["gap"], requests["address"], requests["writeback"] = gap, 131072, writeback
    twin = simulate_reference(memory.system(), memory.controller, source, [requests])
    engine = simulate_memory(memory.system(), memory.controller, source, [requests], commands=True)
    assert twin.core is not None
    assert engine.core is not None
    assert engine.core.cycles == twin.core.cycles
    assert engine.commands is not None
    assert first_difference(twin.commands, engine.commands) == ""
