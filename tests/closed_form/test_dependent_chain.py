"""Does a lower tRCD ever lengthen a chain of dependent loads, and by how much does it shorten one that only opens rows?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST

#: One load at a time: a window of one instruction, a cache too small to hit.
CHAIN = SourceConfig(
    kind="core", window=1, issue_width=1, llc_kB=1, llc_ways=1, llc_latency_cycles=1
)


def chain_cycles(addresses: np.ndarray, nRCD: int, refresh: str = "none") -> int:
    """Core cycles of loads that wait for each other."""
    requests = np.zeros(len(addresses), REQUEST)
    requests["address"], requests["writeback"] = addresses, -1
    standard = load_standard(
        "DDR4", organization="8Gb_x8", speed_bin="2400R", timings={"nRCD": nRCD}
    )
    run = simulate_memory(
        MemorySystem.nominal(standard), ControllerConfig(refresh=refresh), CHAIN, [requests]
    )
    assert run.core is not None
    return run.core.cycles


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, (1 << 27) - 1), min_size=1, max_size=25))
def test_lower_trcd_never_lengthens_a_chain(lines: list[int]) -> None:
    addresses = np.array(lines, np.int64) * 64
    cycles = [chain_cycles(addresses, nRCD) for nRCD in (16, 8, 1)]
    assert cycles == sorted(cycles, reverse=True)


@pytest.mark.parametrize("nRCD", [12, 8, 3])
def test_a_chain_of_row_misses_shortens_by_the_difference(nRCD: int) -> None:
    """Each load opens a row of another bank, far enough apart that only nRCD, nCL and nBL count: n loads save n * (16 - nRCD) memory cycles."""
    loads = 64
    addresses = np.arange(loads, dtype=np.int64) * 8192  # the next bank group, then the next bank
    core_per_memory = 4000 / 1200
    saved = (
        chain_cycles(addresses[:16], 16) - chain_cycles(addresses[:16], nRCD)
    ) / core_per_memory
    assert abs(saved - 16 * (16 - nRCD)) <= 16  # each load starts at a whole memory cycle
