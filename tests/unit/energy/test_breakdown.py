"""Do voltage laws scale as they say, and are command lists counted right, legal or not?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edensim.dram.command_counts import auto_precharge_delays, counts_from_commands
from edensim.dram.counts import Counts
from edensim.dram.standard import Standard, load_standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.events import event_energies
from edensim.energy.laws import VOLTAGE_LAWS
from edensim.exceptions import ConfigError, InputError, TraceError
from edensim.vocabulary import COMMAND, RANK_COMMANDS, Command
from tests.oracles.energies import memory_energy, vpp_energy

Commands = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", ranks=2)


@pytest.fixture
def counts(standard) -> Counts:
    """A bit of everything."""
    counts = Counts.empty(1, 2, standard.organization.banks_per_channel, cycles=10_000)
    counts.commands[0, 3] = np.arange(1, 10)
    counts.closings[0, 3] = 7
    counts.rank_active_cycles[0] = 3000, 0
    counts.rank_refresh_cycles[0] = 433, 433
    return counts


def make(*rows: tuple[int, Command, int, int], channel: int = 0) -> Commands:
    """COMMAND records from (clock, command, rank, bank), all in bank group 0."""
    commands = np.zeros(len(rows), COMMAND)
    for record, (clock, command, rank, bank) in zip(commands, rows, strict=True):
        group = -1 if command in RANK_COMMANDS else 0
        record["clock"], record["command"], record["channel"], record["rank"] = (
            clock,
            command,
            channel,
            rank,
        )
        record["bankgroup"], record["bank"] = group, bank if group == 0 else -1
    return commands


# ---------------------------------------------------------------------------------------------------------------------------- voltage laws


def test_the_documented_laws_exist():
    assert {"linear", "quadratic", "array"} <= set(VOLTAGE_LAWS)


@pytest.mark.parametrize("law", VOLTAGE_LAWS)
def test_all_laws_agree_at_the_nominal_voltage(counts, standard, law):
    nominal = memory_energy(counts, standard)
    for vdd_V in (None, standard.currents.vdd_V):
        assert memory_energy(counts, standard, vdd_V=vdd_V, voltage_law=law) == nominal


@pytest.mark.parametrize(("law", "power"), [("linear", 1), ("quadratic", 2)])
@pytest.mark.parametrize("vdd_V", [0.8, 1.05, 1.2, 1.3])
def test_linear_and_quadratic_scale_every_component(counts, standard, law, power, vdd_V):
    nominal = memory_energy(counts, standard).to_dict()
    energy = memory_energy(counts, standard, vdd_V=vdd_V, voltage_law=law).to_dict()
    assert energy == pytest.approx(
        {name: value * (vdd_V / 1.2) ** power for name, value in nominal.items()}, rel=1e-12
    )


def test_eden_cpu_figure(counts, standard):
    """EDEN's figure 13: 0.35 V below 1.2 V save 29.17 % of the DRAM energy, whatever the workload."""
    ratio = (
        memory_energy(counts, standard, vdd_V=0.85).total / memory_energy(counts, standard).total
    )
    assert 100 * (1 - ratio) == pytest.approx(29.17, abs=0.005)


def test_array_law_scales_what_the_array_does(counts, standard):
    nominal = memory_energy(counts, standard)
    energy = memory_energy(counts, standard, vdd_V=0.9, voltage_law="array")
    assert (energy.read, energy.write, energy.background) == (
        nominal.read,
        nominal.write,
        nominal.background,
    )
    for name in ("activate", "precharge", "refresh"):
        assert getattr(energy, name) == pytest.approx(getattr(nominal, name) * 0.75**2)


@pytest.mark.parametrize("law", VOLTAGE_LAWS)
def test_a_lower_voltage_never_costs_more(counts, standard, law):
    energies = [
        memory_energy(counts, standard, vdd_V=v, voltage_law=law) for v in np.linspace(0.7, 1.3, 25)
    ]
    for lower, higher in zip(energies, energies[1:], strict=False):
        for name in EnergyBreakdown.__slots__:
            assert 0 <= getattr(lower, name) <= getattr(higher, name)


# -------------------------------------------------------------------------------------------------------------------------- event energies


def test_act_and_pre_are_dramsim3s_pair(standard):
    """VDD (IDD0 tRC - IDD3N tRAS - IDD2N tRP) tCK for 8 devices = 3350.7 pJ, in DRAMsim3 and DRAMPower alike."""
    event = event_energies(standard)
    assert event.activate + event.precharge == pytest.approx(3350.7, abs=0.05)


def test_currents_below_standby_are_refused(standard):
    with pytest.raises(ConfigError, match="activate"):
        event_energies(replace(standard, currents=replace(standard.currents, idd0_mA=40.0)))


def test_the_word_line_rail_is_left_out_unless_asked_for(counts, standard):
    """IPP0 3 mA at 2.5 V: 8 * 3 * 2.5 * 0.833 = 49.98 pJ per cycle; counts have 1 ACT (39 cycles) and 7 closings (16 cycles)."""
    standard = replace(standard, currents=replace(standard.currents, vpp_V=2.5, ipp0_mA=3.0))
    without = memory_energy(counts, standard, vdd_V=0.9, voltage_law="quadratic")
    energy = without + vpp_energy(counts, standard)
    assert energy.activate - without.activate == pytest.approx(39 * 49.98)
    assert energy.precharge - without.precharge == pytest.approx(7 * 16 * 49.98)
    assert energy.total - without.total == pytest.approx((39 + 7 * 16) * 49.98)


def test_per_bank_refresh(standard):
    """With IDD5PB 60 mA in 200 cycles: (60 - 43) * 200 mA cycles of 7.9968 pJ; without it a sixteenth of REFab."""
    known = replace(
        standard,
        timings={**standard.timings, "nRFCpb": 200},
        currents=replace(standard.currents, idd5pb_mA=60.0),
    )
    assert event_energies(known).refresh_per_bank == pytest.approx(17 * 200 * 7.9968)
    averaged = replace(known, currents=replace(known.currents, idd5pb_mA=42.0))
    for unknown in (standard, averaged):
        event = event_energies(unknown)
        assert event.refresh_per_bank == pytest.approx(event.refresh_all_bank / 16)


def test_more_activity_than_time_is_an_engine_fault(counts, standard):
    with pytest.raises(ValueError, match="the run took 100 per rank"):
        memory_energy(replace(counts, cycles=100), standard)


# --------------------------------------------------------------------------------------------------------------- counts from command lists


def test_a_stretch_may_end_within_a_refresh(counts, standard):
    """Layers: a refresh is counted in whole where it is issued; what is over comes off the next stretch, so that both sum to the whole."""
    first, second = (
        Counts.empty(1, 2, standard.organization.banks_per_channel, cycles=each)
        for each in (100, 900)
    )
    first.rank_refresh_cycles[0] = 433, 433
    parts = memory_energy(first, standard) + memory_energy(second, standard)
    whole = Counts.empty(1, 2, standard.organization.banks_per_channel, cycles=1000)
    whole.rank_refresh_cycles[0] = 433, 433
    assert parts.total == pytest.approx(memory_energy(whole, standard).total, rel=1e-12)


def test_auto_precharge_delays_come_from_the_constraints(standard):
    t = standard.timings
    assert auto_precharge_delays(standard) == (
        t["nRAS"],
        t["nRTP"],
        t["nCWL"] + t["nBL"] + t["nWR"],
    )


def test_commands_are_counted_at_their_bank_and_rank_commands_at_the_first(standard):
    rows = [
        (1, Command.ACT, 1, 2),
        (20, Command.RD, 1, 2),
        (60, Command.PREab, 1, 0),
        (90, Command.REFab, 1, 0),
    ]
    counts = counts_from_commands(make(*rows), standard)
    assert counts.cycles == 90
    assert counts.commands[0, 16 + 2, Command.ACT] == counts.commands[0, 16 + 2, Command.RD] == 1
    assert counts.commands[0, 16, Command.PREab] == counts.commands[0, 16, Command.REFab] == 1
    assert counts.commands.sum() == 4
    assert counts.closings[0, 16 + 2] == counts.closings.sum() == 1
    assert (counts.reads, counts.writes) == (1, 0)


def test_the_order_of_channels_does_not_matter(standard):
    rows = [
        (1, Command.ACT, 0, 0),
        (20, Command.RDA, 0, 0),
        (200, Command.ACT, 0, 0),
        (260, Command.PREpb, 0, 0),
    ]
    both = np.concatenate([make(*rows, channel=1), make(*rows, channel=0)])
    by_clock = both[np.argsort(both["clock"], kind="stable")]
    assert counts_from_commands(both, standard, end_clock=300) == counts_from_commands(
        by_clock, standard, end_clock=300
    )
    one = counts_from_commands(make(*rows), standard, end_clock=300)
    two = counts_from_commands(both, standard, end_clock=300)
    assert two.rank_active_cycles.tolist() == [one.rank_active_cycles[0].tolist()] * 2


def test_channels_may_be_idle(standard):
    counts = counts_from_commands(make((1, Command.ACT, 0, 0)), standard, end_clock=10, channels=3)
    assert counts.rank_active_cycles.tolist() == [[9, 0], [0, 0], [0, 0]]


def test_no_commands_at_all(standard):
    counts = counts_from_commands(np.zeros(0, COMMAND), standard, end_clock=100)
    assert counts == Counts.empty(1, 2, standard.organization.banks_per_channel, 100)
    assert memory_energy(counts_from_commands(np.zeros(0, COMMAND), standard), standard).total == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rank", 2, "command 2 .clock 20.: rank: found 2, expected 0 to 1"),
        ("rank", -1, "rank: found -1"),
        ("bankgroup", 4, "bankgroup: found 4, expected 0 to 3"),
        ("bank", 5, "bank: found 5, expected 0 to 3"),
        ("bank", -1, "bank: found -1"),
        ("channel", -1, "channel: found -1"),
        ("command", 9, "command: found 9, expected 0 to 8"),
    ],
)
def test_addresses_that_do_not_exist_are_refused(standard, field, value, message):
    commands = make((1, Command.ACT, 0, 0), (20, Command.RD, 0, 0))
    commands[field][1] = value
    with pytest.raises(TraceError, match=message):
        counts_from_commands(commands, standard)


def test_an_end_before_the_last_command_is_refused(standard):
    with pytest.raises(InputError, match="found 19, expected at least 20"):
        counts_from_commands(make((20, Command.ACT, 0, 0)), standard, end_clock=19)


def random_commands(seed: int, standard: Standard, legal: bool) -> Commands:
    """A list in which banks are opened when closed and refreshed when closed and idle (legal), or anything at all."""
    rng = np.random.default_rng(seed)
    act_delay, read_delay, write_delay = auto_precharge_delays(standard)
    rows: list[tuple[int, Command, int, int]] = []
    opened: dict[tuple[int, int], int] = {}
    busy_until = dict.fromkeys([(rank, bank) for rank in range(2) for bank in range(4)], 0)
    clock = 0
    for _ in range(300):
        clock += int(rng.integers(1, 40))
        rank, bank, command = (
            int(rng.integers(2)),
            int(rng.integers(4)),
            Command(int(rng.integers(8))),
        )
        if legal:
            is_open = (rank, bank) in opened
            if command == Command.REFab and any(
                key[0] == rank and (key in opened or clock < until)
                for key, until in busy_until.items()
            ):
                command = Command.PREab
            if command == Command.ACT and is_open:
                command = Command.RD
            if command in (Command.RD, Command.WR, Command.RDA, Command.WRA) and not is_open:
                command = Command.ACT
            if command == Command.ACT:
                if clock < busy_until[rank, bank]:
                    continue
                opened[rank, bank] = clock
            elif command in (Command.PREpb, Command.RDA, Command.WRA) and is_open:
                start = opened.pop((rank, bank))
                if command != Command.PREpb:
                    busy_until[rank, bank] = max(
                        start + act_delay,
                        clock + (read_delay if command == Command.RDA else write_delay),
                    )
            elif command == Command.PREab:
                opened = {key: value for key, value in opened.items() if key[0] != rank}
            elif command == Command.REFab:
                busy_until.update(
                    {key: clock + standard.timings["nRFC"] for key in busy_until if key[0] == rank}
                )
        rows.append((clock, command, rank, bank))
    return make(*rows)


def counted_cycle_by_cycle(
    commands: Commands, standard: Standard, end: int
) -> tuple[list[int], list[int], int]:
    """Active and refresh cycles per rank and closings, from one flag per bank and cycle: slow and obvious."""
    act_delay, read_delay, write_delay = auto_precharge_delays(standard)
    is_open = np.zeros((2, 4, end + 1000), bool)
    refreshing = np.zeros((2, end + 1000), bool)
    state: dict[tuple[int, int], int] = {}
    closings = 0

    def close(rank: int, bank: int, clock: int) -> None:
        is_open[rank, bank, state.pop((rank, bank)) : clock] = True

    for record in commands:
        clock, command, rank, bank = (
            int(record[name]) for name in ("clock", "command", "rank", "bank")
        )
        if command == Command.ACT:
            state[rank, bank] = clock
        elif command == Command.REFab:
            refreshing[rank, clock : clock + standard.timings["nRFC"]] = True
        elif command == Command.PREab:
            for key in [key for key in state if key[0] == rank]:
                close(*key, clock)
                closings += 1
        elif (rank, bank) in state and command in (Command.PREpb, Command.RDA, Command.WRA):
            delay = {Command.RDA: read_delay, Command.WRA: write_delay}.get(Command(command))
            close(
                rank,
                bank,
                clock if delay is None else max(state[rank, bank] + act_delay, clock + delay),
            )
            closings += 1
    for key in list(state):
        close(*key, end)
    return (
        is_open.any(axis=1)[:, :end].sum(axis=1).tolist(),
        refreshing[:, :end].sum(axis=1).tolist(),
        closings,
    )


@pytest.mark.parametrize("seed", range(20))
def test_rank_states_equal_a_cycle_by_cycle_count(standard, seed):
    commands = random_commands(seed, standard, legal=True)
    end = int(commands["clock"][-1]) + seed
    counts = counts_from_commands(commands, standard, end_clock=end)
    active, refresh, closings = counted_cycle_by_cycle(commands, standard, end)
    assert counts.rank_active_cycles[0].tolist() == active
    assert counts.rank_refresh_cycles[0].tolist() == refresh
    assert counts.closings.sum() == closings


@pytest.mark.parametrize("seed", range(20))
def test_illegal_lists_never_give_more_activity_than_time(standard, seed):
    commands = random_commands(seed, standard, legal=False)
    counts = counts_from_commands(commands, standard)
    assert (counts.rank_active_cycles + counts.rank_refresh_cycles <= counts.cycles).all()
    assert (counts.closings <= counts.commands[:, :, Command.ACT]).all()
    assert memory_energy(counts, standard).total > 0


def test_an_all_bank_refresh_closes_what_is_open_without_a_precharge(standard):
    """DRAMPower's rule for a list that forgets to precharge."""
    counts = counts_from_commands(
        make((10, Command.ACT, 0, 0), (50, Command.REFab, 0, 0), (500, Command.PREpb, 0, 0)),
        standard,
        end_clock=1000,
    )
    assert (
        counts.rank_active_cycles[0, 0],
        counts.rank_refresh_cycles[0, 0],
        counts.closings.sum(),
    ) == (40, 433, 0)


def test_an_all_bank_refresh_cuts_an_auto_precharge_that_has_not_begun(standard):
    """Illegal too: WRA at 20 would keep the bank open until 20 + 12 + 4 + 18 = 54, the refresh begins at 30."""
    counts = counts_from_commands(
        make((0, Command.ACT, 0, 0), (20, Command.WRA, 0, 0), (30, Command.REFab, 0, 0)),
        standard,
        end_clock=463,
    )
    assert (counts.rank_active_cycles[0, 0], counts.rank_refresh_cycles[0, 0]) == (30, 433)


def test_opening_an_open_bank_changes_nothing(standard):
    """The bank counts as opened at 0, so RDA at 31 precharges at 31 + nRTP = 40 and not at 30 + nRAS = 69."""
    counts = counts_from_commands(
        make((0, Command.ACT, 0, 0), (30, Command.ACT, 0, 0), (31, Command.RDA, 0, 0)),
        standard,
        end_clock=100,
    )
    assert (counts.rank_active_cycles[0, 0], counts.closings.sum(), counts.total(Command.ACT)) == (
        40,
        1,
        2,
    )


def test_commands_of_one_clock_keep_their_order(standard):
    """Two commands at one clock (two ranks of a DDR bus never do, other simulators' traces may) are taken in the order of the list."""
    counts = counts_from_commands(
        make((10, Command.ACT, 0, 0), (10, Command.PREpb, 0, 0), (10, Command.ACT, 0, 1)),
        standard,
        end_clock=20,
    )
    assert counts.closings.sum() == 1
    assert counts.rank_active_cycles[0].tolist() == [10, 0]
