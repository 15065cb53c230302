"""Are the energies of DDR3, DDR3L, DDR4, LPDDR3 and GDDR5 what a hand calculation gives, command by command and state by state?

Each row says: what one mA in all devices of a rank costs in a clock cycle (devices * VDD * tCK, in pJ), and for every event its current above
standby times its cycles, written out from the data sheet's currents (configs/dram) and the speed bin's timings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from edensim.config.models import DramConfig
from edensim.dram.counts import Counts
from edensim.dram.operating_point import resolve_operating_plan
from edensim.dram.standard import load_standard
from edensim.energy.events import event_energies
from edensim.vocabulary import Command
from tests.oracles.energies import memory_energy


@dataclass(frozen=True)
class Hand:
    """A device's events in mA cycles and its standby currents in mA."""

    organization: str
    speed_bin: str
    pJ_per_mA_cycle: float
    refresh_cycles: int
    activate: float
    precharge: float
    read: float
    write: float
    refresh: float
    refresh_per_bank: float
    idd3n: float
    idd2n: float
    idd3p: float
    idd2p: float
    idd6: float


HANDS = {
    # 8 devices * 1.5 V * 1.25 ns; nRAS 28, nRP 11, nBL 4, nRFC 260 ns = 208; no per-bank refresh: an eighth of REFab
    "DDR3": Hand(
        "4Gb_x8", "1600K", 15.0, 208,
        activate=(55 - 38) * 28, precharge=(55 - 32) * 11, read=(157 - 38) * 4, write=(125 - 38) * 4,
        refresh=(235 - 38) * 208, refresh_per_bank=(235 - 38) * 26, idd3n=38, idd2n=32, idd3p=38, idd2p=18, idd6=20,
    ),
    # the same at 1.35 V
    "DDR3L": Hand(
        "4Gb_x8", "1600K", 13.5, 208,
        activate=(55 - 38) * 28, precharge=(55 - 32) * 11, read=(157 - 38) * 4, write=(125 - 38) * 4,
        refresh=(235 - 38) * 208, refresh_per_bank=(235 - 38) * 26, idd3n=38, idd2n=32, idd3p=38, idd2p=18, idd6=20,
    ),
    # 8 devices * 1.2 V * 0.833 ns; nRAS 39, nRP 16, nBL 4, nRFC 360 ns = 433; no per-bank refresh: a sixteenth of REFab
    "DDR4": Hand(
        "8Gb_x8", "2400R", 7.9968, 433,
        activate=(48 - 43) * 39, precharge=(48 - 34) * 16, read=(135 - 43) * 4, write=(123 - 43) * 4,
        refresh=(250 - 43) * 433, refresh_per_bank=(250 - 43) * 433 / 16, idd3n=43, idd2n=34, idd3p=37, idd2p=25, idd6=30,
    ),
    # 2 devices * 1.2 V * 1.25 ns; nRAS 34, nRP 15, nBL 4, nRFC 210 ns = 168, nRFCpb 90 ns = 72 at IDD5PB
    "LPDDR3": Hand(
        "8Gb_x32", "1600", 3.0, 168,
        activate=(40 - 21) * 34, precharge=(40 - 20.5) * 15, read=(250 - 21) * 4, write=(245 - 21) * 4,
        refresh=(150 - 21) * 168, refresh_per_bank=(58.6 - 21) * 72, idd3n=21, idd2n=20.5, idd3p=7, idd2p=1.3, idd6=21,
    ),
    # 1 device * 1.5 V * 0.667 ns; nRAS 56, nRP 24, nBL 2, nRFC 74; IDD5PB is an average below IDD3N: a sixteenth of REFab
    "GDDR5": Hand(
        "8Gb_x32", "6000", 1.0005, 74,
        activate=(71 - 61) * 56, precharge=(71 - 60) * 24, read=(248 - 61) * 2, write=(231 - 61) * 2,
        refresh=(286 - 61) * 74, refresh_per_bank=(286 - 61) * 74 / 16, idd3n=61, idd2n=60, idd3p=50, idd2p=45, idd6=35,
    ),
}  # fmt: skip

CYCLES = 5000


def counts_of(standard: str, hand: Hand) -> Counts:
    """3 activates, 2 closings, 5 reads (one RDA), 4 writes (one WRA), one refresh of all banks and two of one; 5000 cycles in all states."""
    organization = load_standard(
        standard, organization=hand.organization, speed_bin=hand.speed_bin
    ).organization
    counts = Counts.empty(1, 1, organization.banks_per_channel, CYCLES)
    for command, number in {
        Command.ACT: 3, Command.PREpb: 1, Command.RD: 4, Command.RDA: 1, Command.WR: 3, Command.WRA: 1, Command.REFab: 1, Command.REFpb: 2,
    }.items():  # fmt: skip
        counts.commands[0, 0, command] = number
    counts.closings[0, 0] = 2
    counts.rank_active_cycles[0, 0], counts.rank_refresh_cycles[0, 0] = 500, hand.refresh_cycles
    (
        counts.rank_powerdown_active_cycles[0, 0],
        counts.rank_powerdown_precharged_cycles[0, 0],
        counts.rank_selfrefresh_cycles[0, 0],
    ) = 100, 200, 300
    return counts


@pytest.mark.parametrize("name", HANDS)
def test_every_component_is_the_hand_calculation(name: str) -> None:
    hand = HANDS[name]
    standard = load_standard(name, organization=hand.organization, speed_bin=hand.speed_bin)
    energy = memory_energy(counts_of(name, hand), standard).to_dict()
    expected_mA_cycles = {
        "activate": 3 * hand.activate,
        "precharge": 2 * hand.precharge,
        "read": 5 * hand.read,
        "write": 4 * hand.write,
        "refresh": hand.refresh + 2 * hand.refresh_per_bank,
        "background_active": hand.idd3n * (500 + hand.refresh_cycles),
        "background_precharged": hand.idd2n * (CYCLES - 500 - hand.refresh_cycles - 600),
        "background_powerdown_active": hand.idd3p * 100,
        "background_powerdown_precharged": hand.idd2p * 200,
        "background_selfrefresh": hand.idd6 * 300,
    }
    expected = {key: value * hand.pJ_per_mA_cycle for key, value in expected_mA_cycles.items()}
    total = sum(expected.values())
    background = sum(value for key, value in expected.items() if key.startswith("background"))
    assert energy == pytest.approx(
        {**expected, "io": 0, "background": background, "total": total, "total_with_io": total},
        rel=1e-12,
    )


def test_one_ddr3_activation_in_picojoules() -> None:
    """Once with nothing left to multiply: (55 - 38) mA * 28 * 1.25 ns * 1.5 V * 8 devices = 7140 pJ; LPDDR3 1938 pJ; GDDR5 560.28 pJ."""
    energies = {
        name: event_energies(
            load_standard(name, organization=hand.organization, speed_bin=hand.speed_bin)
        )
        for name, hand in HANDS.items()
    }
    assert energies["DDR3"].activate == pytest.approx(7140)
    assert energies["LPDDR3"].activate == pytest.approx(1938)
    assert energies["GDDR5"].activate == pytest.approx(560.28)


@pytest.mark.parametrize("name", HANDS)
def test_a_lower_vdd_by_hand(name: str) -> None:
    """At 0.8 of the nominal VDD: everything times 0.8 (linear), times 0.64 (quadratic), or only activate, precharge, refresh times 0.64."""
    hand = HANDS[name]
    standard = load_standard(name, organization=hand.organization, speed_bin=hand.speed_bin)
    counts = counts_of(name, hand)
    vdd_V = 0.8 * standard.currents.vdd_V
    array = 3 * hand.activate + 2 * hand.precharge + hand.refresh + 2 * hand.refresh_per_bank
    everything = memory_energy(counts, standard).total / hand.pJ_per_mA_cycle
    expected = {
        "linear": 0.8 * everything,
        "quadratic": 0.64 * everything,
        "array": everything - 0.36 * array,
    }
    for law, mA_cycles in expected.items():
        energy = memory_energy(counts, standard, vdd_V=vdd_V, voltage_law=law)
        assert energy.total == pytest.approx(mA_cycles * hand.pJ_per_mA_cycle, rel=1e-12)


@pytest.mark.parametrize("name", HANDS)
def test_events_cost_what_the_device_is_specified_for_whatever_it_is_run_at(name: str) -> None:
    """Safe timings at 0.8 of the nominal VDD make rows stay open longer, which is background; the charge of an activation is the same."""
    hand = HANDS[name]
    nominal_V = load_standard(name).currents.vdd_V
    dram = DramConfig(
        standard=name,
        organization=hand.organization,
        speed_bin=hand.speed_bin,
        mode="safe",
        vdd_V=0.8 * nominal_V,
    )
    standard, plan = resolve_operating_plan(dram)
    assert standard.timings["nRAS"] > plan.specified["nRAS"]
    energy = memory_energy(counts_of(name, hand), standard, plan=plan)
    assert energy.activate == pytest.approx(
        0.8 * 3 * hand.activate * hand.pJ_per_mA_cycle, rel=1e-12
    )
    assert energy.precharge == pytest.approx(
        0.8 * 2 * hand.precharge * hand.pJ_per_mA_cycle, rel=1e-12
    )


def test_states_fill_the_run_and_no_more() -> None:
    hand = HANDS["DDR4"]
    counts = counts_of("DDR4", hand)
    counts.rank_selfrefresh_cycles[0, 0] = CYCLES
    with pytest.raises(ValueError, match="in power-down for"):
        memory_energy(
            counts, load_standard("DDR4", organization=hand.organization, speed_bin=hand.speed_bin)
        )
    with pytest.raises(ValueError, match="rank_selfrefresh_cycles has shape"):
        replace(counts, rank_selfrefresh_cycles=counts.closings)
