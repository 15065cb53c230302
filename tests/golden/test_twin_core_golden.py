"""Does the twin's core take as many cycles as Ramulator 2.1's, with hits, merges, evictions and write-backs in its cache?

Figures recorded from the peer (c5b1c3a) with its SimpleO3 front end, DDR4_8Gb_x8 2133P, 15 core to 4 memory cycles. The streams have no read that
is forwarded from a queued write: there the peer returns data in the order of their requests, late for the forwarded ones, and edensim does not.
"""

from __future__ import annotations

import lzma

import numpy as np
import pytest

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.protocol import check_commands
from edensim.dram.standard import load_standard
from edensim.reference.counting import ReferenceRun
from edensim.reference.simulation import simulate_reference
from edensim.vocabulary import REQUEST
from tests.locations import ROOT

TRACE = ROOT / "traces" / "darknet-yolov3-tiny-96.trace.xz"
STANDARD = load_standard("DDR4", organization="8Gb_x8", speed_bin="2133P")


def core_records(rows: list[tuple[int, int, int]]) -> np.ndarray:
    """REQUEST records of (bubbles, load, write-back or -1)."""
    records = np.zeros(len(rows), dtype=REQUEST)
    records["gap"], records["address"], records["writeback"] = zip(*rows, strict=True)
    return records


def made_up_rows(count: int, seed: int) -> list[tuple[int, int, int]]:
    """A few hot regions, some cold lines and many write-backs, from a linear congruential generator."""
    state = seed

    def draw(limit: int) -> int:
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (state >> 33) % limit

    hot = [draw(1 << 24) * 64 for _ in range(60)]
    rows = []
    for _ in range(count):
        gap = draw(8)
        address = hot[draw(60)] + 64 * draw(200) if draw(10) < 8 else draw(1 << 24) * 64
        writeback = hot[draw(60)] + 64 * draw(200) if draw(10) < 4 else -1
        rows.append((gap, address, writeback))
    return rows


def run_core(records: np.ndarray, channels: int, instructions: int, llc_kB: int) -> ReferenceRun:
    source = SourceConfig(kind="core", clock_MHz=4000.0, instructions=instructions, llc_kB=llc_kB)
    run = simulate_reference(
        MemorySystem.nominal(STANDARD, channels), ControllerConfig(), source, [records]
    )
    assert run.commands is not None
    assert run.core is not None
    assert check_commands(run.commands, STANDARD, channels=channels) is None
    return run


@pytest.mark.parametrize(
    ("channels", "core_cycles", "memory_cycles", "reads", "writes", "row_states"),
    [(1, 51332, 13689, 1823, 388, (257, 78, 1856)), (2, 35942, 9585, 1828, 390, (356, 115, 1720))],
)
def test_made_up_trace(
    channels: int,
    core_cycles: int,
    memory_cycles: int,
    reads: int,
    writes: int,
    row_states: tuple[int, int, int],
) -> None:
    run = run_core(core_records(made_up_rows(1500, 2)), channels, 6000, 32)
    assert (run.core.cycles, run.cycles) == (core_cycles, memory_cycles)
    counts = run.counts
    assert (counts.reads, counts.writes) == (reads, writes)
    assert (counts.row_hits, counts.row_misses, counts.row_conflicts) == row_states


@pytest.mark.parametrize(
    ("channels", "core_cycles", "memory_cycles"), [(1, 28538, 7610), (2, 19381, 5168)]
)
def test_start_of_darknet(channels: int, core_cycles: int, memory_cycles: int) -> None:
    with lzma.open(TRACE, "rt") as lines:
        rows = [
            [int(cell) for cell in line.split()]
            for line, _ in zip(lines, range(4000), strict=False)
        ]
    records = core_records([(row[0], row[1], row[2] if len(row) > 2 else -1) for row in rows])
    run = run_core(records, channels, 20_000, 2048)
    assert (run.core.cycles, run.cycles) == (core_cycles, memory_cycles)


def test_the_trace_once() -> None:
    """Without a number of instructions: every bubble and load of the trace once, to the last retirement."""
    rows = [(3, 0, -1), (0, 1 << 20, 0), (5, 64, -1)]
    run = simulate_reference(
        MemorySystem.nominal(STANDARD),
        ControllerConfig(),
        SourceConfig(kind="core"),
        [core_records(rows)],
    )
    assert run.core is not None
    assert run.core.instructions == 11
    assert run.counts.reads == 3
    assert run.counts.writes == 0
