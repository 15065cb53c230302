"""Does each tensor pay for the commands its requests caused, at the VDD of the rows they were for, and do tensors add up to the run?"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edensim.config.models import ControllerConfig, DramConfig, EnergyConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.events import event_energies
from edensim.energy.partitions import run_energies, sum_of
from edensim.energy.tensors import tensor_energies
from edensim.engine.memory_run import simulate_memory
from edensim.engine.monitor import Monitor
from edensim.results.exposure import tensor_commands, total_commands
from edensim.vocabulary import REQUEST, Command

pytestmark = [pytest.mark.nojit, pytest.mark.boundscheck]


def simulated(
    requests: np.ndarray, dram: dict[str, Any], tensors: int = 4, **controller: Any
) -> tuple[MemoryRun, MemorySystem]:
    memory = MemorySystem.resolve(msgspec.convert({"speed_bin": "2400R", **dram}, DramConfig))
    config = msgspec.convert({"refresh": "none", **controller}, ControllerConfig)
    run = simulate_memory(
        memory,
        config,
        SourceConfig(kind="timed"),
        [requests],
        monitor=Monitor(exposure_tensors=tensors),
    )
    return run, memory


def stream(*accesses: tuple[int, int, bool]) -> np.ndarray:
    """(row of bank 0, tensor, whether it writes), 300 clocks apart."""
    requests = np.zeros(len(accesses), REQUEST)
    requests["address"] = [row << 17 for row, _, _ in accesses]
    requests["tensor"] = [tensor for _, tensor, _ in accesses]
    requests["is_write"] = [writes for _, _, writes in accesses]
    requests["clock"] = 300 * np.arange(len(accesses))
    return requests


def test_rows_belong_to_the_tensor_that_opened_them() -> None:
    """Tensor 0 opens row 0, tensor 1 finds it open and writes there; tensor 1 then opens row 1, which stays open: one closing, tensor 0's."""
    run, *_ = simulated(stream((0, 0, False), (0, 1, True), (1, 1, False)), {})
    caused = {name: total_commands(by_point) for name, by_point in tensor_commands(run).items()}
    assert caused == {
        "0": {"activations": 1, "closings": 1, "reads": 1, "writes": 0},
        "1": {"activations": 1, "closings": 0, "reads": 1, "writes": 1},
    }


def test_a_tensor_pays_at_the_voltage_of_its_rows() -> None:
    """Rows 0 to 9 at 0.9 V of 1.2 V, linear law. Tensor 2 reads row 5 and row 20."""
    run, memory = simulated(
        stream((5, 2, False), (20, 2, False)),
        {"partitions": [{"banks": "0", "rows": "0-9", "vdd_V": 0.9}]},
    )
    commands = tensor_commands(run, ["a", "b", "weights"])
    assert sorted(commands["weights"]) == [0, 1]
    energy = tensor_energies(commands, memory, EnergyConfig(io_pJ_per_bit=2.0))["weights"]
    event = event_energies(memory.standard)
    assert energy.activate == pytest.approx(1.75 * event.activate)
    assert energy.precharge == pytest.approx(0.75 * event.precharge)
    assert energy.read == pytest.approx(1.75 * event.read)
    assert energy.io == pytest.approx(2 * 512 * 2.0)
    assert energy.total == pytest.approx(energy.activate + energy.precharge + energy.read)


@pytest.mark.parametrize("row_policy", ["open", "closed", "capped"])
def test_tensors_add_up_to_the_run(row_policy: str) -> None:
    """Through refreshes, partitions and a change; some requests name no tensor, or one beyond those counted."""
    random = np.random.default_rng(8)
    requests = np.zeros(900, REQUEST)
    requests["address"] = (
        random.integers(0, 4, 900) << 18
        | random.integers(0, 16, 900) << 13
        | random.integers(0, 8, 900) << 6
    )
    requests["tensor"] = random.integers(-1, 6, 900)
    requests["is_write"] = random.random(900) < 0.3
    requests["clock"] = np.cumsum(random.integers(0, 12, 900))
    dram = {
        "timings": {"nREFI": 1200},
        "partitions": [
            {"banks": "0-3", "rows": "0-1", "vdd_V": 0.9},
            {"banks": "8", "vdd_V": 1.0, "trcd_ns": 9.0},
        ],
        "changes": [{"at_cycle": 2000, "vdd_V": 1.1}],
    }
    run, memory = simulated(requests, dram, row_policy=row_policy, refresh="all-bank")
    commands = tensor_commands(run)
    assert list(commands) == ["0", "1", "2", "3", "none"]
    together = EnergyBreakdown()
    for energy in tensor_energies(commands, memory, EnergyConfig()).values():
        together = together + energy
    whole = sum_of(
        run_energies(
            [(epoch.counts, epoch.cell_point) for epoch in run.epochs],
            memory,
            EnergyConfig(),
        )
    )
    for part in ("activate", "precharge", "read", "write", "io"):
        assert getattr(together, part) == pytest.approx(getattr(whole, part), rel=1e-12)
    assert sum(
        total_commands(by_point)["activations"] for by_point in commands.values()
    ) == run.counts.total(Command.ACT)


def test_requests_that_name_no_tensor_are_no_breakdown() -> None:
    run, *_ = simulated(stream((0, -1, False)), {})
    assert tensor_commands(run) == {}
