"""Does an idle rank enter self-refresh when the rule says, need no refreshes there, take tXS to come back, and cost IDD6 meanwhile?"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.engine.timing_record import timing_record
from edensim.exceptions import ConfigError
from edensim.vocabulary import REQUEST, Command
from tests.oracles.energies import memory_energy

pytestmark = pytest.mark.nojit

STANDARD = load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R")
MEMORY = MemorySystem.nominal(STANDARD)
#: nRFC and 10 ns, which are 433 and 13 clocks of 833 ps.
EXIT = 433 + 13


def two_reads(second: int = 50_000, **controller: object) -> MemoryRun:
    """A read at clock 0 and one of another row at clock `second`, rows closed after each."""
    requests = np.zeros(2, REQUEST)
    requests["address"], requests["clock"] = (0, 1 << 24), (0, second)
    config = msgspec.convert(
        {"row_policy": "closed", "self_refresh_idle_cycles": 1000, **controller}, ControllerConfig
    )
    return simulate_memory(MEMORY, config, SourceConfig(kind="timed"), [requests], commands=True)


def issued(run: MemoryRun) -> list[tuple[int, str]]:
    assert run.commands is not None
    return [(int(c["clock"]), Command(int(c["command"])).name) for c in run.commands]


def test_no_refresh_while_the_rank_refreshes_itself() -> None:
    """ACT 1, RDA 17, closed at 40: in self-refresh from 1040 to the second request's first clock, 50001; five refreshes (nREFI 9364) fall away."""
    assert STANDARD.timings["nRFC"] == 433
    run = two_reads()
    assert issued(run) == [
        (1, "ACT"),
        (17, "RDA"),
        (50_001 + EXIT, "ACT"),
        (50_001 + EXIT + 16, "RDA"),
    ]
    assert run.counts.rank_selfrefresh_cycles.tolist() == [[50_001 - 1040]]
    assert run.counts.total(Command.REFab) == 0
    assert two_reads(self_refresh_idle_cycles=None).counts.total(Command.REFab) == 5


def test_the_schedule_of_refreshes_goes_on_after_it() -> None:
    """Awake at clock 46819 (request at 46818), refresh due at 5 * 9364 = 46820: it is done before the request is served."""
    run = two_reads(46_818, row_policy="open", refresh="all-bank")
    names = [name for _, name in issued(run)]
    assert names.count("REFab") == 1 + 1  # the first closes the open row; then the rank sleeps
    assert issued(run)[-3][1] == "REFab"


def test_an_open_row_keeps_the_rank_out_of_it() -> None:
    run = two_reads(9000, row_policy="open")
    assert run.counts.rank_selfrefresh_cycles.tolist() == [[0]]


def test_power_down_comes_first_where_both_are_asked_for() -> None:
    """Closed at 40: power-down from 104, self-refresh from 1040 to 50001."""
    run = two_reads(power_down="idle", power_down_idle_cycles=64)
    assert run.counts.rank_powerdown_precharged_cycles.tolist() == [[1040 - 104]]
    assert run.counts.rank_selfrefresh_cycles.tolist() == [[50_001 - 1040]]


def test_it_costs_idd6() -> None:
    """VDD * IDD6 * tCK * devices per clock in self-refresh, IDD2N in the clocks before and after it, no refresh."""
    run = two_reads()
    energy, currents = memory_energy(run.counts, STANDARD), STANDARD.currents
    per_mA_pJ = currents.vdd_V * STANDARD.tck_ps * 1e-3 * 8
    asleep = 50_001 - 1040
    active = (
        39 + (16 + 20)
    )  # ACT to the precharge of the first row; ACT, RDA, last data of the second: the end of the run
    assert energy.background_selfrefresh == pytest.approx(asleep * currents.idd6_mA * per_mA_pJ)
    assert energy.background_active == pytest.approx(active * currents.idd3n_mA * per_mA_pJ)
    assert energy.background_precharged == pytest.approx(
        (run.cycles - asleep - active) * currents.idd2n_mA * per_mA_pJ
    )
    assert energy.refresh == 0


def test_a_run_that_ends_asleep_counts_it() -> None:
    """Two ranks, the second never used: it refreshes itself from clock 101 on, to the end; the first has no time to."""
    requests = np.zeros(1, REQUEST)
    requests["clock"] = 300
    controller = ControllerConfig(row_policy="closed", refresh="none", self_refresh_idle_cycles=100)
    run = simulate_memory(
        MemorySystem.nominal(load_standard("DDR4", speed_bin="2400R", ranks=2)),
        controller,
        SourceConfig(kind="timed"),
        [requests],
    )
    assert run.cycles == 301 + EXIT + 16 + 20
    assert run.counts.rank_selfrefresh_cycles.tolist() == [[301 - 100, run.cycles - 100]]


def test_an_idle_time_that_no_rank_reaches_is_refused() -> None:
    controller = ControllerConfig(self_refresh_idle_cycles=9364)
    with pytest.raises(
        ConfigError,
        match=r"^controller.self_refresh_idle_cycles: expected less than 9364, .* found 9364",
    ):
        timing_record(STANDARD, controller)
    timing_record(STANDARD, msgspec.structs.replace(controller, refresh="none"))
