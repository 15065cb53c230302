"""Do twin and engine issue the same commands for the same tiled machine, and finish each tile at the same clock?"""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edensim.config.models import ControllerConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_machine
from edensim.engine.monitor import Monitor
from edensim.engine.tiles import Schedule
from edensim.reference.tiles import simulate_reference_machine
from tests.oracles import tiles
from tests.oracles.schedules import ScheduleBuilder

TRANSFERS = st.tuples(
    st.booleans(),  # a write
    st.integers(0, 1 << 18),
    st.integers(1, 900),
    st.integers(0, 20_000),
    st.integers(1, 4),
    st.booleans(),  # ahead
)
TILES = st.lists(
    st.tuples(st.integers(0, 300), st.booleans(), st.lists(TRANSFERS, max_size=3)),
    min_size=1,
    max_size=8,
)
CONTROLLERS = st.builds(
    ControllerConfig,
    refresh=st.sampled_from(["none", "all-bank"]),
    row_policy=st.sampled_from(["open", "closed", "capped"]),
    read_queue=st.sampled_from([2, 8, 32]),
    write_queue=st.sampled_from([2, 8, 32]),
)


def schedule_of(work: list) -> Schedule:
    builder = ScheduleBuilder()
    for compute_cycles, barrier, transfers in work:
        tile = builder.tile(0, compute_cycles, barrier=barrier)
        for is_write, address, run_bytes, stride, count, ahead in sorted(transfers):
            if is_write:
                tile.write(0, address, run_bytes, stride_bytes=stride, count=count)
            else:
                tile.read(0, address, run_bytes, stride_bytes=stride, count=count, ahead=ahead)
    return builder.build()


@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    st.lists(TILES, min_size=1, max_size=3),
    CONTROLLERS,
    st.sampled_from([1, 2, 3]),
    st.integers(1, 4),
    st.sampled_from([0, 1, 5]),
    st.sampled_from([700.0, 1200.0, 4000.0]),
    st.sampled_from(["DDR4", "DDR3"]),
)
def test_same_commands_and_same_tiles(
    work: list,
    controller: ControllerConfig,
    channels: int,
    depth: int,
    outstanding: int,
    clock: float,
    name: str,
):
    standard = load_standard(name)
    schedules = tuple(schedule_of(part) for part in work)
    kept: list[np.ndarray] = []
    machine = tiles.Machine(schedules, depth=depth, outstanding=outstanding, clock_MHz=clock)
    memory = MemorySystem.nominal(standard, channels, controller.address_mapping)
    engine = simulate_machine(
        memory, controller, machine, monitor=Monitor(commands=kept.append, exposure_tensors=2)
    )
    twin = simulate_reference_machine(
        memory, controller, machine, exposure_tensors=2, max_cycles=2_000_000
    )
    commands = np.concatenate(kept) if kept else np.zeros(0, twin.commands.dtype)
    commands = commands[np.lexsort((commands["channel"], commands["clock"]))]
    assert len(commands) == len(twin.commands)
    for field in commands.dtype.names or ():
        assert np.array_equal(commands[field], twin.commands[field]), field
    assert twin.counts == engine.counts
    assert len(twin.layers) == len(engine.layers)
    for ours, theirs in zip(twin.layers, engine.layers, strict=True):
        assert ours.counts.row_states.tolist() == theirs.counts.row_states.tolist()
        assert np.array_equal(ours.counts.commands, theirs.counts.commands)
        for name in ("layer", "cycles", "stall_share", "read_bytes", "write_bytes", "counters"):
            assert getattr(ours, name) == getattr(theirs, name), name
    assert_same_reads(twin, engine)


def assert_same_reads(twin: MemoryRun, engine: MemoryRun) -> None:
    """Exposures and commands by tensor are the same."""
    for part in ("exposure", "tensors"):
        for field in dataclasses.fields(getattr(engine, part)):
            ours, theirs = (getattr(getattr(run, part), field.name) for run in (twin, engine))
            assert np.array_equal(ours, theirs), field.name
