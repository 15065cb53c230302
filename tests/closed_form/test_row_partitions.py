"""Does a row have the timings, counts and energy of its own range, from its ACT to the next?"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edensim.config.models import ControllerConfig, DramConfig, EnergyConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.energy.partitions import run_energies, sum_of
from edensim.engine.memory_run import simulate_memory
from edensim.engine.monitor import Monitor
from edensim.results.exposure import exposure_summary, partition_commands
from edensim.vocabulary import REQUEST, Command
from tests.oracles.energies import memory_energy

pytestmark = pytest.mark.nojit

CONTROLLER = ControllerConfig(refresh="none")


def planned(*partitions: dict[str, object], **dram: object) -> MemorySystem:
    config = {"speed_bin": "2400R", "partitions": list(partitions), **dram}
    return MemorySystem.resolve(msgspec.convert(config, DramConfig), CONTROLLER)


def dependent_reads(
    memory: MemorySystem, rows: list[int], bank: int = 0, every: int = 500
) -> MemoryRun:
    """One read of each row in turn, far apart in time."""
    mapping = memory.address_map
    requests = np.zeros(len(rows), REQUEST)
    requests["address"] = [mapping.encode(0, 0, bank // 4, bank % 4, row, 0) for row in rows]
    requests["clock"] = every * np.arange(len(rows))
    requests["tensor"] = -1
    return simulate_memory(
        memory,
        CONTROLLER,
        SourceConfig(kind="timed"),
        [requests],
        commands=True,
        monitor=Monitor(exposure_tensors=0),
    )


def test_nrcd_and_nrp_are_those_of_the_row_opened_last() -> None:
    """Rows 0 to 9: nRCD 8 and nRP 7 (6.6 and 5.8 ns); the others 16 and 16. Opening a row after a fast one waits its short nRP, then its own nRCD."""
    memory = planned({"banks": "0", "rows": "0-9", "trcd_ns": 6.6, "trp_ns": 5.8})
    run = dependent_reads(memory, [5, 20, 9, 10])
    assert run.commands is not None
    issued = [(int(c["clock"]), Command(int(c["command"])).name) for c in run.commands]
    assert issued == [
        (1, "ACT"), (9, "RD"),
        (501, "PREpb"), (508, "ACT"), (524, "RD"),
        (1001, "PREpb"), (1017, "ACT"), (1025, "RD"),
        (1501, "PREpb"), (1508, "ACT"), (1524, "RD"),
    ]  # fmt: skip


def test_other_banks_keep_the_module_s_timings() -> None:
    memory = planned({"banks": "0", "rows": "0-9", "trcd_ns": 6.6})
    run = dependent_reads(memory, [5], bank=1)
    assert run.commands is not None
    assert run.commands["clock"].tolist() == [1, 17]


def test_counts_exposures_and_energy_are_kept_apart() -> None:
    """Bank 2: rows 0 to 9 at 0.9 V and nRCD 8. Two rows of the range and one outside, opened in turn; the last row stays open."""
    memory = planned({"name": "low", "banks": "2", "rows": "0-9", "vdd_V": 0.9, "trcd_ns": 6.6})
    run = dependent_reads(memory, [5, 20, 9, 9], bank=2)
    counts = run.counts
    assert counts.commands[0, 2, [Command.ACT, Command.RD, Command.PREpb]].tolist() == [3, 4, 2]
    assert counts.range_commands[0, 0, [Command.ACT, Command.RD, Command.PREpb]].tolist() == [
        2,
        3,
        1,
    ]
    assert counts.range_closings.tolist() == [[1]]
    by_partition = partition_commands(run, memory.plan, memory.organization.rows)
    assert {name: (part["ACT"], part["RD"]) for name, part in by_partition.items()} == {
        "module": (1, 1),
        "low": (2, 3),
    }
    parts = run_energies(
        [(counts, run.epochs[0].cell_point)], memory, EnergyConfig(io_pJ_per_bit=0.0)
    )
    nominal = memory_energy(counts, memory.standard)
    assert parts["low"].activate == pytest.approx(0.75 * nominal.activate * 2 / 3)
    assert parts["low"].read == pytest.approx(0.75 * nominal.read * 3 / 4)
    assert parts["module"].read == pytest.approx(nominal.read / 4)
    assert sum_of(parts).total < nominal.total
    summary = exposure_summary(run, memory.plan)
    assert (summary["reads"], summary["out_of_specification"]) == (4, 2)
    assert summary["by_partition"]["low"]["reads"] == 3
    assert summary["by_partition"]["low"]["counts"][8] == 2
    assert summary["by_partition"]["module"]["out_of_specification"] == 0
    assert sum(map(sum, summary["by_bank"][0])) == 4


def test_a_change_of_the_module_leaves_the_rows_of_a_partition() -> None:
    memory = planned(
        {"banks": "0", "rows": "0-9", "trcd_ns": 6.6}, changes=[{"at_cycle": 700, "trcd_ns": 10.0}]
    )
    run = dependent_reads(memory, [5, 20, 5, 20])
    assert run.commands is not None
    clocks = {
        name: run.commands["clock"][run.commands["command"] == code]
        for name, code in (("ACT", Command.ACT), ("RD", Command.RD))
    }
    assert (clocks["RD"] - clocks["ACT"]).tolist() == [8, 16, 8, 13]
    assert run.epochs[1].counts.range_commands[0, 0, Command.ACT] == 1
