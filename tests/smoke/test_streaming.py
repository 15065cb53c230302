"""Does the length of a stream change nothing but the time it takes, and its cutting into chunks nothing at all?"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edensim
from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.engine.monitor import Monitor
from edensim.vocabulary import COMMAND, REQUEST


def made_up(count: int, seed: int = 5) -> np.ndarray:
    """Reads and writes, half of them in order, with clocks and gaps for the sources that want them."""
    random = np.random.default_rng(seed)
    requests = np.zeros(count, REQUEST)
    requests["address"] = 64 * np.where(
        random.random(count) < 0.5, np.arange(count), random.integers(0, 1 << 24, count)
    )
    requests["is_write"] = random.random(count) < 0.3
    requests["clock"] = np.cumsum(random.integers(0, 12, count))
    requests["gap"] = random.integers(0, 20, count)
    requests["writeback"] = np.where(
        random.random(count) < 0.3, random.permutation(requests["address"]), -1
    )
    requests["tensor"] = -1
    return requests


@pytest.mark.parametrize("kind", ["saturating", "timed", "core"])
@pytest.mark.parametrize("row_policy", ["open", "capped"])
def test_one_chunk_or_seven_give_the_same_commands(kind: str, row_policy: str) -> None:
    requests = made_up(20_000)
    standard = load_standard("DDR4", ranks=2)
    cuts = np.sort(np.random.default_rng(3).integers(0, len(requests), 6))

    def run(chunks: list[np.ndarray]) -> MemoryRun:
        source = SourceConfig(kind=kind, llc_kB=64)  # type: ignore[arg-type]
        return simulate_memory(
            MemorySystem.nominal(standard, channels=2),
            ControllerConfig(row_policy=row_policy),
            source,
            chunks,
            commands=True,
        )  # type: ignore[arg-type]

    whole = run([requests])
    assert whole.commands is not None
    assert len(whole.commands) > 20_000
    for chunks in (
        np.split(requests, cuts),
        [requests[:1], requests[1:1], requests[1:]],
        np.array_split(requests, 1000),
    ):
        cut = run(chunks)
        assert cut.counts == whole.counts
        assert cut.core == whole.core
        assert cut.commands is not None
        assert np.array_equal(cut.commands, whole.commands)


def peak_bytes(requests: int) -> int:
    """Most memory that Python and numpy held during a run whose commands are taken away as they come."""
    chunk = made_up(20_000)

    def chunks() -> Iterator[np.ndarray]:
        for _ in range(requests // len(chunk)):
            yield chunk.copy()

    tracemalloc.start()
    try:
        run = simulate_memory(
            MemorySystem.nominal(load_standard("DDR4")),
            ControllerConfig(),
            SourceConfig(kind="saturating"),
            chunks(),
            monitor=Monitor(commands=lambda _: None),
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.counts.reads + run.counts.writes == requests
    return peak


def test_memory_use_does_not_grow_with_the_stream() -> None:
    peak_bytes(20_000)  # what is loaded once
    small, large = peak_bytes(200_000), peak_bytes(2_000_000)
    assert large < 1.05 * small
    assert large < 4 * 20_000 * (REQUEST.itemsize + COMMAND.itemsize) + 20e6


def test_memory_use_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(lines: int) -> int:
        trace = tmp_path / f"{lines}.trace"
        trace.write_bytes(
            b"".join(b"LD 0x%x\n" % (64 * (index * 7919 % (1 << 22))) for index in range(lines))
        )
        tracemalloc.start()
        try:
            result = edensim.simulate(trace, commands=tmp_path / "commands.csv")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert result.requests["read"] == lines
        return most

    peak(1_000)
    assert peak(400_000) < 1.2 * peak(100_000)
