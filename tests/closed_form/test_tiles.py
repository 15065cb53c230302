"""Does a tiled machine take the time, and move the bytes, that its schedule says?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.memory_run import simulate_memory
from edensim.exceptions import NetworkError
from edensim.vocabulary import REQUEST, Command
from tests.oracles import tiles
from tests.oracles.schedules import ScheduleBuilder

RD, WR = int(Command.RD), int(Command.WR)


@pytest.mark.nojit
@pytest.mark.boundscheck
def test_reads_of_one_tile_are_a_saturating_stream():
    addresses = np.concatenate([np.arange(300) * 64, (1 << 22) + np.arange(50) * (8192 + 64)])
    builder = ScheduleBuilder()
    builder.tile(0, 0).read(0, 0, 300 * 64).read(1, 1 << 22, 64, stride_bytes=8192 + 64, count=50)
    memory, commands = tiles.run(builder.build(), depth=1)
    requests = np.zeros(len(addresses), REQUEST)
    requests["address"] = addresses
    stream = simulate_memory(
        MemorySystem.nominal(tiles.standard()),
        ControllerConfig(refresh="none"),
        SourceConfig(),
        [requests],
        commands=True,
    )
    assert stream.commands is not None
    assert np.array_equal(commands, stream.commands)


@pytest.mark.parametrize("compute_cycles", [100, 500, 5000])
def test_double_buffering_takes_the_longer_of_fetch_and_compute(compute_cycles: int):
    """64 lines take 4 to 6 cycles each (nCCDS to nCCDL): once it runs, a tile takes the longer of that and its compute cycles."""
    builder = ScheduleBuilder()
    count, lines = 200, 64
    for tile in range(count):
        builder.tile(tile // 100, compute_cycles).read(0, tile * lines * 64, lines * 64)
    memory, _ = tiles.run(builder.build(), depth=2)
    least, most = (count * max(compute_cycles, lines * per_line) for per_line in (4, 6))
    assert [run.layer for run in memory.layers] == [0, 1]
    assert sum(run.cycles for run in memory.layers) == memory.cycles
    assert least <= memory.cycles <= 1.03 * most
    assert [run.counters["compute_cycles"] for run in memory.layers] == [100 * compute_cycles] * 2
    assert sum(run.cycles * (1 - run.stall_share) for run in memory.layers) == pytest.approx(
        count * compute_cycles, rel=0.01
    )


def test_without_a_second_buffer_fetch_and_compute_add_up():
    builder = ScheduleBuilder()
    for tile in range(100):
        builder.tile(0, 500).read(0, tile * 4096, 4096)
    one, _ = tiles.run(builder.build(), depth=1)
    two, _ = tiles.run(builder.build(), depth=2)
    assert one.cycles == pytest.approx(
        100 * (500 + 384 + 16 + 20), rel=0.05
    )  # first the row, last the data's way
    assert two.cycles == pytest.approx(100 * 500, rel=0.05)


def test_a_barrier_holds_reads_back_until_all_before_is_written():
    builder = ScheduleBuilder()
    builder.tile(0, 1000).read(0, 0, 64).write(1, 1 << 20, 64 * 100)
    builder.tile(1, 10, barrier=True).read(2, 1 << 21, 64 * 10, ahead=True).read(
        1, 1 << 20, 64 * 100
    )
    memory, commands = tiles.run(builder.build(), depth=2)
    reads = commands[commands["command"] == RD]
    first_row, weights = reads[:1], reads[1:11]
    assert len(first_row) == 1
    assert (weights["clock"] < 1000).all()
    assert (reads[11:]["clock"] > 1000).all()
    # What is read back is written, or waits in the write queue and is forwarded.
    assert memory.counts.reads == 111
    assert memory.counts.writes == 100
    assert len(reads) + memory.counts.forwarded == 111


def test_reads_in_flight_never_exceed_what_is_allowed():
    builder = ScheduleBuilder()
    builder.tile(0, 1).read(0, 0, 64 * 50)
    alone, _ = tiles.run(builder.build(), outstanding=1)
    latency = 16 + 4  # nCL + nBL: an open row
    assert alone.cycles == pytest.approx(16 + 50 * (latency + 1), abs=5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1 << 20),
            st.integers(1, 700),
            st.integers(1, 900),
            st.integers(1, 9),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 4),
    st.sampled_from([1, 2, 4]),
)
def test_bytes_by_tensor_are_the_lines_touched(
    transfers: list[tuple[int, int, int, int, bool]], depth: int, channels: int
):
    """Whatever the schedule: what the engine counts is what its transfers touch, a line repeated within a transfer once."""
    builder = ScheduleBuilder()
    touched = {False: 0, True: 0}
    for number, (address, run_bytes, stride, count, is_write) in enumerate(transfers):
        tile = builder.tile(number // 5, 17)
        (tile.write if is_write else tile.read)(
            number, address, run_bytes, stride_bytes=stride, count=count
        )
        lines = [
            line
            for i in range(count)
            for line in range(
                (address + i * stride) // 64, (address + i * stride + run_bytes - 1) // 64 + 1
            )
        ]
        starts = {(address + i * stride) // 64 for i in range(1, count)}
        ends = [(address + i * stride + run_bytes - 1) // 64 for i in range(count)]
        repeats = sum(1 for i in range(1, count) if (address + i * stride) // 64 == ends[i - 1])
        assert len(starts) <= count
        touched[is_write] += len(lines) - repeats
    memory, _ = tiles.run(builder.build(), depth=depth, channels=channels)
    assert (
        memory.counts.reads
        == touched[False]
        == sum(sum(run.read_bytes.values()) for run in memory.layers) // 64
    )
    assert (
        memory.counts.writes
        == touched[True]
        == sum(sum(run.write_bytes.values()) for run in memory.layers) // 64
    )


def test_the_machine_clock_sets_the_pace():
    builder = ScheduleBuilder()
    for tile in range(10):
        builder.tile(0, 1000).read(0, tile * 64, 64)
    slow, _ = tiles.run(builder.build(), clock_MHz=300.0)
    fast, _ = tiles.run(builder.build(), clock_MHz=1200.0)
    assert slow.cycles == pytest.approx(40_000, rel=0.01)
    assert fast.cycles == pytest.approx(10_000, rel=0.01)


def test_a_transfer_beyond_the_memory_is_refused():
    builder = ScheduleBuilder()
    builder.tile(0, 1).read(0, (1 << 33) - 64, 128)
    with pytest.raises(NetworkError, match=r"beyond the capacity of 8,589,934,592 bytes"):
        tiles.run(builder.build())


def test_the_next_schedule_begins_while_memory_still_takes_writes():
    """10,000 lines to write take at least nCCDS cycles each; the second schedule needs two of those and is through long before."""
    lines = 10_000
    first, second = ScheduleBuilder(), ScheduleBuilder()
    first.tile(0, 10).read(0, 0, 64).write(1, 1 << 20, 64 * lines)
    second.tile(1, 10).read(2, 1 << 25, 64)
    second.tile(2, 10).read(2, 1 << 26, 64)
    memory, commands = tiles.run(first.build(), second.build(), depth=1)
    assert [run.layer for run in memory.layers] == [0, 1, 2]
    assert sum(run.cycles for run in memory.layers[:2]) < 1000
    assert memory.cycles >= 4 * lines
    assert [sum(run.write_bytes.values()) for run in memory.layers] == [64 * lines, 0, 0]
    assert memory.counts.writes == lines == (commands["command"] == WR).sum()


WRITES = st.lists(
    st.tuples(
        st.integers(0, 1 << 20), st.integers(1, 900), st.integers(1, 900), st.integers(1, 60)
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(WRITES, min_size=1, max_size=3), min_size=2, max_size=4),
    st.sampled_from([1, 2]),
)
def test_whatever_is_owed_is_written_once(
    work: list[list[list[tuple[int, int, int, int]]]], channels: int
):
    """Several schedules write the same lines as one that holds all their tiles; a line that repeats within a transfer is asked once."""
    builders, whole = [], ScheduleBuilder()
    for schedule in work:
        builders.append(ScheduleBuilder())
        for transfers in schedule:
            for tile in (builders[-1].tile(0, 3), whole.tile(0, 3)):
                for address, run_bytes, stride, count in transfers:
                    tile.write(7, address, run_bytes, stride_bytes=stride, count=count)
    parts, issued = tiles.run(*(builder.build() for builder in builders), channels=channels)
    one, expected = tiles.run(whole.build(), channels=channels)
    assert parts.counts.writes == one.counts.writes
    assert sum(run.write_bytes.get(7, 0) for run in parts.layers) == sum(
        run.write_bytes.get(7, 0) for run in one.layers
    )
    places = ["channel", "bankgroup", "bank", "row", "column"]
    written, wanted = (
        np.unique(found[found["command"] == WR][places]) if len(found) else found
        for found in (issued, expected)
    )
    assert np.array_equal(written, wanted)
