"""Does a change of the refresh interval in mid-run take effect as stated: a shorter one at once, a longer one after the refresh that is due?"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edensim.config.models import ControllerConfig, DramConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST, Command

pytestmark = pytest.mark.nojit


def refreshes(at_cycle: int, trefi_ns: float, end: int = 50_000) -> list[int]:
    """Clocks of REFab in a run whose only request comes at its end; DDR4-2400R, nREFI 9364."""
    dram = msgspec.convert(
        {"speed_bin": "2400R", "changes": [{"at_cycle": at_cycle, "trefi_ns": trefi_ns}]},
        DramConfig,
    )
    requests = np.zeros(1, REQUEST)
    requests["clock"] = end
    run = simulate_memory(
        MemorySystem.resolve(dram),
        ControllerConfig(),
        SourceConfig(kind="timed"),
        [requests],
        commands=True,
    )
    assert run.commands is not None
    assert run.epochs[1].halted_at == at_cycle + 1
    clocks = run.commands["clock"][run.commands["command"] == Command.REFab]
    return clocks[clocks < end].tolist()


def test_a_shorter_interval_begins_at_the_change() -> None:
    """5000 ns are 6002 clocks: 9364, 18728, then from the change at 20001 on every 6002."""
    assert refreshes(20_000, 5000.0) == [9364, 18_728, 26_003, 32_005, 38_007, 44_009]


def test_a_longer_interval_follows_the_refresh_that_is_due() -> None:
    """15600 ns are 18727 clocks: the refresh of 28092 is done, the next comes 18727 later."""
    assert refreshes(20_000, 15_600.0) == [9364, 18_728, 28_092, 46_819]


@pytest.mark.parametrize("trefi_ns", [3900.0, 15_600.0])
def test_no_row_waits_longer_than_asked(trefi_ns: float) -> None:
    clocks = refreshes(20_000, trefi_ns)
    after = [clock for clock in clocks if clock > 20_000]
    assert max(np.diff(after)) <= trefi_ns / 0.833
