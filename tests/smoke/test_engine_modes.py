"""Does the engine run, and issue legal commands only, compiled, as plain Python, and with every array index checked?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.protocol import check_commands
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST

pytestmark = [pytest.mark.nojit, pytest.mark.boundscheck, pytest.mark.public_compiler]

CASES: list[dict[str, Any]] = [
    {},
    {"scheduler": "frfcfs-row-hit", "row_policy": "capped", "row_cap": 2},
    {"scheduler": "fcfs", "row_policy": "closed", "refresh": "none"},
    {"address_mapping": "MOP4CLXOR", "read_queue": 1, "write_queue": 512},
]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: "-".join(map(str, case.values())) or "defaults"
)
def test_small_run(case: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    requests = np.zeros(300, REQUEST)
    requests["address"] = 64 * np.where(
        random.random(300) < 0.5, np.arange(300), random.integers(0, 1 << 20, 300)
    )
    requests["is_write"] = random.random(300) < 0.3
    requests["writeback"] = requests["tensor"] = -1
    standard = load_standard("DDR4", ranks=2, timings={"nREFI": 1500})
    controller = ControllerConfig(**case)
    run = simulate_memory(
        MemorySystem.nominal(standard, 2, controller.address_mapping),
        controller,
        SourceConfig(kind="saturating"),
        [requests],
        commands=True,
    )
    assert (run.counts.reads, run.counts.writes) == (
        int((requests["is_write"] == 0).sum()),
        int(requests["is_write"].sum()),
    )
    assert run.commands is not None
    assert sum(run.counts.by_command().values()) == len(run.commands)
    assert check_commands(run.commands, standard, channels=2) is None
