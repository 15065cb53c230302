"""Does an idle rank power down when the rule says, cost what the state costs, and take as long as stated to come back?"""

from __future__ import annotations

import numpy as np

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST, Command
from tests.oracles.energies import memory_energy

STANDARD = load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R")
MEMORY = MemorySystem.nominal(STANDARD)


def two_reads(power_down: str, row_policy: str = "open") -> MemoryRun:
    """A read at clock 0 and one of the same row at clock 5000."""
    requests = np.zeros(2, REQUEST)
    requests["address"], requests["clock"] = (0, 64), (0, 5000)
    controller = ControllerConfig(
        refresh="none",
        power_down=power_down,
        row_policy=row_policy,
        power_down_idle_cycles=64,
        power_down_exit_ns=7.5,
    )
    return simulate_memory(
        MEMORY, controller, SourceConfig(kind="timed"), [requests], commands=True
    )


def test_active_power_down_between_two_reads() -> None:
    """ACT 1, RD 17, data until 37: asleep from 37 + 64 = 101 to the request's first clock, 5001; 7.5 ns are 10 clocks of 833 ps to wake."""
    run = two_reads("idle")
    assert run.commands is not None
    issued = [(int(c["clock"]), Command(int(c["command"])).name) for c in run.commands]
    assert issued == [(1, "ACT"), (17, "RD"), (5011, "RD")]
    counts = run.counts
    assert counts.rank_powerdown_active_cycles.tolist() == [[5001 - 101]]
    assert counts.rank_powerdown_precharged_cycles.tolist() == [[0]]
    assert counts.cycles == 5031
    assert counts.rank_active_cycles.tolist() == [[5031 - 1 - 4900]]


def test_precharged_power_down_after_auto_precharge() -> None:
    """Closed rows: RDA 17 with ACT 1 closes at max(17 + nRTP, 1 + nRAS) = 40; asleep from 40 + 64 = 104."""
    run = two_reads("idle", row_policy="closed")
    assert run.counts.rank_powerdown_precharged_cycles.tolist() == [[5001 - 104]]
    assert run.counts.rank_powerdown_active_cycles.tolist() == [[0]]


def test_sleep_costs_idd3p_instead_of_idd3n() -> None:
    """Per clock asleep with an open row a rank saves VDD * (IDD3N - IDD3P) * tCK * devices."""
    awake, asleep = two_reads("none"), two_reads("idle")
    currents = STANDARD.currents
    per_clock_pJ = (
        currents.vdd_V * (currents.idd3n_mA - currents.idd3p_mA) * STANDARD.tck_ps * 1e-3 * 8
    )
    longer_pJ = (
        currents.vdd_V
        * currents.idd3n_mA
        * STANDARD.tck_ps
        * 1e-3
        * 8
        * (asleep.cycles - awake.cycles)
    )
    difference = (
        memory_energy(awake.counts, STANDARD).total - memory_energy(asleep.counts, STANDARD).total
    )
    assert np.isclose(difference, per_clock_pJ * 4900 - longer_pJ, rtol=1e-12)


def test_no_sleep_before_the_data_is_back() -> None:
    """A run that ends with its only read has not slept."""
    requests = np.zeros(1, REQUEST)
    controller = ControllerConfig(refresh="none", power_down="idle", power_down_idle_cycles=1)
    run = simulate_memory(MEMORY, controller, SourceConfig(kind="timed"), [requests])
    assert run.cycles == 37
    assert run.counts.rank_powerdown_active_cycles.tolist() == [[0]]
