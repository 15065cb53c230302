"""Do a run's own commands, read back as a list, give the counts and energies that the run gave: rows, partitions, changes, auto-precharge?"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edensim.config.models import (
    ControllerConfig,
    DramConfig,
    EnergyConfig,
    RunConfig,
    SourceConfig,
)
from edensim.dram.memory_system import MemorySystem
from edensim.energy.partitions import energies_of_commands, run_energies, sum_of
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST

PARTITIONS = [
    {
        "name": "fast rows",
        "banks": "0-5",
        "rows": "0-1",
        "vdd_V": 0.9,
        "trcd_ns": 7.0,
        "tras_ns": 20.0,
    },
    {
        "name": "slow rows",
        "banks": "0-2",
        "rows": "3",
        "vdd_V": 1.0,
        "tras_ns": 45.0,
        "twr_ns": 25.0,
    },
    {"name": "banks", "banks": "9-12", "vdd_V": 1.1, "tras_ns": 25.0},
]
CHANGES = [
    {"at_cycle": 900, "settling_ns": 60.0, "vdd_V": 1.05, "trp_ns": 9.0},
    {"at_cycle": 2500, "vdd_V": 0.95, "trefi_ns": 800.0},
]


def collisions(count: int, seed: int) -> np.ndarray:
    """Requests to five rows of any bank, some written."""
    random = np.random.default_rng(seed)
    requests = np.zeros(count, REQUEST)
    requests["address"] = (
        random.integers(0, 5, count) << 18 | random.integers(0, 16, count) << 13
    ) + 64 * random.integers(0, 8, count)
    requests["is_write"] = random.random(count) < 0.4
    requests["tensor"] = -1
    return requests


@pytest.mark.parametrize("row_policy", ["open", "closed", "capped"])
@pytest.mark.parametrize("changes", [[], CHANGES])
@pytest.mark.parametrize("refresh", ["all-bank", "none"])
def test_energy_of_a_run_s_own_commands(
    row_policy: str, changes: list[dict[str, Any]], refresh: str
) -> None:
    dram = {
        "speed_bin": "2400R",
        "timings": {"nREFI": 1500},
        "partitions": PARTITIONS,
        "changes": changes,
    }
    config = msgspec.convert(
        {"dram": dram, "controller": {"row_policy": row_policy, "refresh": refresh}}, RunConfig
    )
    memory = MemorySystem.resolve(config.dram, config.controller)
    run = simulate_memory(
        memory,
        config.controller,
        SourceConfig(kind="saturating"),
        [collisions(700, 3)],
        commands=True,
    )
    assert run.commands is not None
    assert len(run.epochs) == len(changes) + 1
    told = run_energies(
        [(epoch.counts, epoch.cell_point) for epoch in run.epochs], memory, config.energy
    )
    counts, energies = energies_of_commands(
        run.commands, memory, config.energy, end_clock=run.cycles
    )
    for name in (
        "commands",
        "closings",
        "range_commands",
        "range_closings",
        "rank_active_cycles",
        "rank_refresh_cycles",
    ):
        assert np.array_equal(getattr(counts, name), getattr(run.counts, name)), name
    assert counts.range_commands.sum() > 100
    for name, energy in told.items():
        assert energies[name].to_dict() == pytest.approx(energy.to_dict(), rel=1e-9), name


def test_energies_add_up_whatever_the_division() -> None:
    """Partitions at the module's own point change no energy, rows or banks."""
    plain, divided = (
        DramConfig(),
        msgspec.convert(
            {"partitions": [{"banks": "0-7", "rows": "0-2"}, {"rows": "3-40"}, {"rows": "90"}]},
            DramConfig,
        ),
    )
    totals = []
    for dram in (plain, divided):
        memory = MemorySystem.resolve(dram)
        run = simulate_memory(
            memory,
            ControllerConfig(),
            SourceConfig(kind="saturating"),
            [collisions(700, 4)],
        )
        totals.append(
            sum_of(run_energies([(run.counts, run.epochs[0].cell_point)], memory, EnergyConfig()))
        )
    assert totals[1].to_dict() == pytest.approx(totals[0].to_dict(), rel=1e-12)
