"""Do runs that pencil and paper can follow take the cycles that the standard's timings say?"""

from __future__ import annotations

import numpy as np
import pytest

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard, load_standard, standard_names
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST, Command

#: Cycles between a request's arrival and the first command it can have: it is offered in one cycle and looked at in the next.
QUEUE = 1


def reads(
    addresses: np.ndarray | list[int], clocks: np.ndarray | list[int] | int = 0
) -> np.ndarray:
    """REQUEST records of reads."""
    requests = np.zeros(len(addresses), REQUEST)
    requests["address"], requests["clock"] = addresses, clocks
    requests["writeback"] = requests["tensor"] = -1
    return requests


def run(
    standard: Standard,
    requests: np.ndarray,
    kind: str = "saturating",
    mapping: str = "RoBaRaCoCh",
    refresh: str = "none",
) -> MemoryRun:
    controller = ControllerConfig(refresh=refresh, address_mapping=mapping)
    return simulate_memory(
        MemorySystem.nominal(standard, address_mapping=mapping),
        controller,
        SourceConfig(kind=kind),
        [requests],
        commands=True,
    )


def clocks(run: MemoryRun, command: Command) -> np.ndarray:
    """When a command was issued."""
    assert run.commands is not None
    return run.commands["clock"][run.commands["command"] == command]


def ddr4(**timings: int) -> Standard:
    return load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", timings=timings)


@pytest.mark.parametrize("name", standard_names())
def test_unloaded_read_latency(name: str) -> None:
    """Alone in the memory, a read waits for its row, its data and their transfer: nRCD + nCL + nBL. The next one, in the open row, for nCL + nBL."""
    standard = load_standard(name)
    timings = standard.timings
    done = run(standard, reads([0, standard.organization.access_bytes], [0, 500]), kind="timed")
    activation = (
        timings["nRCDRD"] if "nRCDRD" in timings else timings["nRCD"] + (name == "HBM2")
    )  # whose ACT takes two cycles of the bus
    data = timings["nCL"] + timings.get("nDQSCK", 0) + timings["nBL"]
    assert done.counts.read_latency_max == QUEUE + activation + data
    assert done.counts.read_latency_sum == QUEUE + activation + data + QUEUE + data


@pytest.mark.parametrize("nRCD", [1, 9, 16, 20])
def test_a_read_waits_as_long_as_trcd_says(nRCD: int) -> None:
    assert run(ddr4(nRCD=nRCD), reads([0])).cycles == QUEUE + nRCD + 16 + 4


def test_a_conflict_costs_a_precharge_and_an_activation() -> None:
    """Another row of an idle bank: nRP + nRCD + nCL + nBL."""
    standard = ddr4()
    next_row = standard.organization.channel_bytes // standard.organization.rows
    done = run(standard, reads([0, next_row], [0, 500]), kind="timed")
    assert done.counts.row_conflicts == 1
    assert done.counts.read_latency_max == QUEUE + 16 + 16 + 16 + 4


@pytest.mark.parametrize("name", ["DDR4", "DDR5", "GDDR5", "HBM2"])
def test_a_stream_over_bank_groups_reaches_the_peak(name: str) -> None:
    """Bank groups in turn, rows open: the data bus never rests. A read every nBL cycles, which nCCDS allows."""
    standard = load_standard(name)
    organization = standard.organization
    bits = {
        key: getattr(organization, field).bit_length() - 1
        for key, field in (("R", "rows"), ("B", "banks"), ("G", "bankgroups"))
    }
    columns = organization.bursts_per_row
    mapping = f"R{bits['R']}B{bits['B']}C{columns.bit_length() - 1}G{bits['G']}"
    count = columns * organization.bankgroups
    done = run(standard, reads(organization.access_bytes * np.arange(count)), mapping=mapping)
    steady = np.diff(clocks(done, Command.RD))[
        count // 2 :
    ]  # by then all rows are open, and the queue is full
    assert set(steady) == {standard.timings["nBL"]}
    assert standard.timings["nCCDS"] <= standard.timings["nBL"]


@pytest.mark.parametrize("name", ["DDR3", "DDR4", "LPDDR3"])
def test_a_stream_in_one_bank_is_bound_by_its_column_commands(name: str) -> None:
    """One row after its activation: a read every nCCDL cycles (nCCD without bank groups)."""
    standard = load_standard(name)
    timings = standard.timings
    done = run(
        standard,
        reads(standard.organization.access_bytes * np.arange(standard.organization.bursts_per_row)),
    )
    assert set(np.diff(clocks(done, Command.RD))) == {timings.get("nCCDL", timings.get("nCCD"))}


def test_random_reads_are_bound_by_the_activation_window() -> None:
    """Nearly every request opens a row, and only four may in nFAW = 26 cycles: 6.5 cycles a request."""
    standard = ddr4()
    assert standard.timings["nFAW"] == 26
    random = np.random.default_rng(7)
    done = run(standard, reads(64 * random.integers(0, 1 << 24, 50_000)))
    activations = clocks(done, Command.ACT)
    assert (activations[4:] - activations[:-4]).min() == 26
    assert done.cycles / len(activations) == pytest.approx(6.5, rel=0.001)


@pytest.mark.parametrize("nFAW", [26, 40, 80])
def test_a_longer_window_slows_random_reads_in_proportion(nFAW: int) -> None:
    random = np.random.default_rng(7)
    done = run(ddr4(nFAW=nFAW), reads(64 * random.integers(0, 1 << 24, 10_000)))
    assert done.cycles / len(clocks(done, Command.ACT)) == pytest.approx(nFAW / 4, rel=0.005)


def test_refresh_takes_its_share() -> None:
    """At the peak, a stream misses its next reads, one in nCCDS, from the last read before a refresh to the first after it: every nREFI."""
    standard = ddr4()
    mapping = "R16B2C7G2"
    requests = reads(64 * np.arange(100_000))
    without, with_refresh = (
        run(standard, requests, mapping=mapping, refresh=refresh)
        for refresh in ("none", "all-bank")
    )
    timings = standard.timings
    refreshes = with_refresh.counts.total(Command.REFab)
    assert refreshes == with_refresh.cycles // timings["nREFI"]
    lost = (with_refresh.cycles - without.cycles) / refreshes
    between = timings["nRTP"] + timings["nRP"] + timings["nRFC"] + timings["nRCD"]
    assert lost == pytest.approx(between - timings["nCCDS"], rel=0.01)


def test_each_channel_brings_its_bandwidth() -> None:
    """Two channels take half the cycles, but for the one request a cycle that the source offers and the start."""
    standard = ddr4()
    requests = reads(64 * np.arange(20_000))
    cycles = [
        simulate_memory(
            MemorySystem.nominal(standard, channels),
            ControllerConfig(refresh="none"),
            SourceConfig(kind="saturating"),
            [requests],
        ).cycles
        for channels in (1, 2, 4)
    ]
    assert cycles[1] == pytest.approx(cycles[0] / 2, rel=0.02)
    assert cycles[2] == pytest.approx(cycles[0] / 4, rel=0.02)
