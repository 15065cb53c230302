"""Are energies what the formulas say, worked out by hand for short command patterns?

The numbers are those of a rank of 8 DDR4-2400R 8Gb x8 devices: VDD 1.2 V, tCK 833 ps; nRAS 39, nRP 16, nBL 4, nRFC 433, nRTP 9, nCWL 12, nWR 18;
IDD0 48, IDD2N 34, IDD3N 43, IDD4R 135, IDD4W 123, IDD5 250 mA.
One mA in all 8 devices for one cycle costs 8 * 1.2 * 0.833 = 7.9968 pJ.
"""

from __future__ import annotations

import numpy as np
import pytest

from edensim.dram.command_counts import counts_from_commands
from edensim.dram.counts import Counts
from edensim.dram.standard import Standard, load_standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.vocabulary import COMMAND, Command
from tests.oracles.energies import memory_energy

MA_CYCLE = 7.9968  # pJ

Pattern = list[
    tuple[int, Command, int]
]  # clock, command, bank in bank group 0 (whatever for whole-rank commands)


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", ranks=1)


def counted(pattern: Pattern, standard: Standard, end_clock: int) -> Counts:
    commands = np.zeros(len(pattern), COMMAND)
    for record, (clock, command, bank) in zip(commands, pattern, strict=True):
        record["clock"], record["command"], record["bank"] = clock, command, bank
        if command in (Command.PREab, Command.REFab):
            record["bankgroup"] = record["bank"] = -1
    return counts_from_commands(commands, standard, end_clock=end_clock)


def spent(pattern: Pattern, standard: Standard, end_clock: int) -> EnergyBreakdown:
    return memory_energy(counted(pattern, standard, end_clock), standard)


def close_to(**components: float) -> object:
    """An EnergyBreakdown as a dict with these components and 0 for the others."""
    expected = dict.fromkeys(EnergyBreakdown.__slots__, 0.0) | components
    return pytest.approx(expected, rel=1e-12)


def components(energy: EnergyBreakdown) -> dict[str, float]:
    return {name: getattr(energy, name) for name in EnergyBreakdown.__slots__}


def test_an_idle_rank_costs_precharged_standby(standard):
    assert components(spent([], standard, 1000)) == close_to(
        background_precharged=1000 * 34 * MA_CYCLE
    )


def test_one_activate_read_precharge(standard):
    """ACT 10, RD 26, PRE 49, end 100: open for 39 cycles, precharged for 61.

    ACT (48 - 43) * 39 = 195, PRE (48 - 34) * 16 = 224, RD (135 - 43) * 4 = 368, standby 43 * 39 = 1677 and 34 * 61 = 2074 mA cycles.
    """
    energy = spent(
        [(10, Command.ACT, 0), (26, Command.RD, 0), (49, Command.PREpb, 0)], standard, 100
    )
    assert components(energy) == close_to(
        activate=195 * MA_CYCLE,
        precharge=224 * MA_CYCLE,
        read=368 * MA_CYCLE,
        background_active=1677 * MA_CYCLE,
        background_precharged=2074 * MA_CYCLE,
    )
    assert energy.total == pytest.approx(4538 * MA_CYCLE, rel=1e-12)


@pytest.mark.parametrize("cycles", [55, 56, 100, 1000])
def test_idd0_loop(standard, cycles):
    """One ACT and one PRE every tRC is how IDD0 is measured: the average current must come out as IDD0, longer intervals only add IDD2N."""
    energy = spent([(0, Command.ACT, 0), (39, Command.PREpb, 0)], standard, cycles)
    assert energy.total == pytest.approx((48 * 55 + 34 * (cycles - 55)) * MA_CYCLE, rel=1e-12)


def test_idd4_loop(standard):
    """Reads without a gap in an open bank draw IDD4R, writes IDD4W."""
    for command, current_mA in ((Command.RD, 135), (Command.WR, 123)):
        pattern: Pattern = [(0, Command.ACT, 0), *((4 * n, command, 0) for n in range(100))]
        energy = spent(pattern, standard, 400)
        assert energy.total - energy.activate == pytest.approx(
            current_mA * 400 * MA_CYCLE, rel=1e-12
        )


def test_idd5_loop(standard):
    """A rank that does nothing but refresh draws IDD5: standby during tRFC is the active one."""
    energy = spent([(433 * n, Command.REFab, 0) for n in range(10)], standard, 4330)
    assert components(energy) == close_to(
        refresh=(250 - 43) * 4330 * MA_CYCLE, background_active=43 * 4330 * MA_CYCLE
    )


def test_a_refresh_cut_by_the_end_costs_in_full_but_standby_ends(standard):
    energy = spent([(900, Command.REFab, 0)], standard, 1000)
    assert components(energy) == close_to(
        refresh=(250 - 43) * 433 * MA_CYCLE,
        background_active=43 * 100 * MA_CYCLE,
        background_precharged=34 * 900 * MA_CYCLE,
    )


def test_overlapping_banks_share_active_standby(standard):
    """Bank 0 is open in [0, 50), bank 1 in [20, 80): active for 80 cycles, not 110; two ACTs, two closings."""
    pattern: Pattern = [
        (0, Command.ACT, 0),
        (20, Command.ACT, 1),
        (50, Command.PREpb, 0),
        (80, Command.PREpb, 1),
    ]
    assert components(spent(pattern, standard, 100)) == close_to(
        activate=2 * 195 * MA_CYCLE,
        precharge=2 * 224 * MA_CYCLE,
        background_active=43 * 80 * MA_CYCLE,
        background_precharged=34 * 20 * MA_CYCLE,
    )


def test_precharge_all_costs_one_precharge_per_open_bank(standard):
    """Three banks open: PREab closes three. A second PREab, and a PREpb to a closed bank, close none."""
    acts: Pattern = [(6 * bank, Command.ACT, bank) for bank in range(3)]
    energy = spent(
        [*acts, (60, Command.PREab, 0), (80, Command.PREab, 0), (90, Command.PREpb, 1)],
        standard,
        100,
    )
    assert components(energy) == close_to(
        activate=3 * 195 * MA_CYCLE,
        precharge=3 * 224 * MA_CYCLE,
        background_active=43 * 60 * MA_CYCLE,
        background_precharged=34 * 40 * MA_CYCLE,
    )


@pytest.mark.parametrize(
    ("column_clock", "command", "closed_at"),
    [
        (16, Command.RDA, 39),  # ACT + nRAS = 39 is later than 16 + nRTP = 25
        (40, Command.RDA, 49),  # 40 + nRTP
        (16, Command.WRA, 50),  # 16 + nCWL 12 + nBL 4 + nWR 18 = 50 is later than 39
        (80, Command.WRA, 100),  # cut by the end of the run (114)
    ],
)
def test_auto_precharge_costs_a_precharge_and_keeps_the_bank_open_until_it_begins(
    standard, column_clock, command, closed_at
):
    energy = spent([(0, Command.ACT, 0), (column_clock, command, 0)], standard, 100)
    current_mA = 135 if command == Command.RDA else 123
    assert components(energy) == close_to(
        activate=195 * MA_CYCLE,
        precharge=224 * MA_CYCLE,
        **{"read" if command == Command.RDA else "write": (current_mA - 43) * 4 * MA_CYCLE},
        background_active=43 * closed_at * MA_CYCLE,
        background_precharged=34 * (100 - closed_at) * MA_CYCLE,
    )


def test_an_open_bank_at_the_end_is_active_until_then(standard):
    assert components(spent([(10, Command.ACT, 0)], standard, 100)) == close_to(
        activate=195 * MA_CYCLE,
        background_active=43 * 90 * MA_CYCLE,
        background_precharged=34 * 10 * MA_CYCLE,
    )


def test_idle_ranks_and_channels_cost_standby_too():
    """Two channels of two ranks, one of them open for 90 of 100 cycles: 310 rank cycles precharged."""
    standard = load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", ranks=2)
    commands = np.zeros(1, COMMAND)
    commands["clock"], commands["channel"], commands["rank"] = 10, 1, 1
    counts = counts_from_commands(commands, standard, end_clock=100)
    assert counts.rank_active_cycles.tolist() == [[0, 0], [0, 90]]
    assert components(memory_energy(counts, standard)) == close_to(
        activate=195 * MA_CYCLE,
        background_active=43 * 90 * MA_CYCLE,
        background_precharged=34 * 310 * MA_CYCLE,
    )
