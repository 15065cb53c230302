"""Does a network run on the Eyeriss-like machine in closed loop with memory, and do its parts add up?"""

from __future__ import annotations

import pytest

from edensim.config.loading import load_config
from edensim.results.run_result import RunResult
from edensim.simulation import run


def lenet(*settings: str) -> RunResult:
    """LeNet at int8, nothing beside it."""
    return run(
        load_config(None, ["frontend=eyeriss", "network=lenet", "baselines=[]", *settings]).config
    )


def test_layers_add_up_and_computing_bounds_time() -> None:
    result = lenet()
    assert sum(layer["cycles"] for layer in result.layers) == result.cycles
    computing_ns = result.frontend["compute_cycles"] * 5
    assert computing_ns < result.time_ns < 1.1 * computing_ns
    weights = sum(layer["bytes_by_kind"]["weights"] for layer in result.layers)
    assert 432_080 <= weights < 1.2 * 432_080  # parameters, in whole accesses
    moved = sum(
        sum(layer["read_bytes"].values()) + sum(layer["write_bytes"].values())
        for layer in result.layers
    )
    assert moved == 64 * (result.requests["read"] + result.requests["write"])


def test_a_faster_array_waits_for_memory() -> None:
    slow, fast = (
        lenet(f"eyeriss.clock_MHz={clock}", "eyeriss.filter_words_per_cycle=64")
        for clock in (200, 20_000)
    )
    assert fast.time_ns < slow.time_ns
    waiting = [
        sum(layer["stall_share"] * layer["cycles"] for layer in result.layers) / result.cycles
        for result in (slow, fast)
    ]
    assert waiting[0] < 0.1 < 0.5 < waiting[1]


def test_compression_moves_less() -> None:
    plain, coded = lenet(), lenet("eyeriss.compression=rlc", "eyeriss.zero_fraction=0.9")
    assert coded.requests["write"] < 0.6 * plain.requests["write"]
    assert coded.time_ns == pytest.approx(plain.time_ns, rel=0.05)
