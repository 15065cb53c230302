"""Does every bank pay at its own VDD, whatever its neighbours run at, and do the parts add up to the whole?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.config.models import ChangeConfig, DramConfig, EnergyConfig, PartitionConfig
from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.data import data_factors
from edensim.energy.io import io_energy_pJ_per_bit
from edensim.energy.laws import VOLTAGE_LAWS
from edensim.energy.partitions import (
    energies_of_commands,
    partition_energies,
    run_energies,
    sum_of,
)
from edensim.exceptions import ConfigError
from edensim.vocabulary import COMMAND, COMMANDS, Command
from tests.oracles.energies import costs, memory_energy

COMPONENTS = EnergyBreakdown.__slots__


def planned(**dram: Any) -> MemorySystem:
    return MemorySystem.resolve(DramConfig(speed_bin="2400R", **dram))


def random_counts(seed: int, channels: int = 1, ranks: int = 1) -> Counts:
    """Anything that can be: whole-rank commands at the first bank of their rank, states that fill at most the run."""
    random = np.random.default_rng(seed)
    counts = Counts.empty(channels, ranks, 16 * ranks, cycles=100_000)
    counts.commands[...] = random.integers(0, 500, counts.commands.shape)
    counts.commands[:, :, Command.REFab] = 0
    counts.commands[:, ::16, Command.REFab] = random.integers(0, 12, (channels, ranks))
    counts.closings[...] = random.integers(0, 500, counts.closings.shape)
    for name in ("active", "refresh", "powerdown_active", "powerdown_precharged", "selfrefresh"):
        getattr(counts, f"rank_{name}_cycles")[...] = random.integers(0, 20_000, (channels, ranks))
    return counts


def values(energy: EnergyBreakdown) -> dict[str, float]:
    return {name: getattr(energy, name) for name in COMPONENTS}


# ----------------------------------------------------------------------------------------------------------------------------- breakdowns


@pytest.mark.parametrize("law", VOLTAGE_LAWS)
def test_one_point_for_all_is_the_plain_energy(law: str) -> None:
    memory = planned(vdd_V=1.05)
    counts = random_counts(1)
    assert memory_energy(
        counts, memory.standard, plan=memory.plan, voltage_law=law
    ) == memory_energy(counts, memory.standard, vdd_V=1.05, voltage_law=law)


@pytest.mark.parametrize("law", VOLTAGE_LAWS)
@given(seed=st.integers(0, 2**31), first=st.integers(0, 15), last=st.integers(0, 15))
@settings(max_examples=20, deadline=None)
def test_equal_partitions_change_nothing(law: str, seed: int, first: int, last: int) -> None:
    first, last = sorted((first, last))
    memory = planned(
        vdd_V=1.0, ranks=2, partitions=(PartitionConfig(name="some", banks=f"{first}-{last}"),)
    )
    counts = random_counts(seed, ranks=2)
    parts = partition_energies(counts, memory, costs(memory, law))
    assert list(parts) == (["module", "some"] if last - first < 15 else ["some"])
    assert values(sum_of(parts)) == pytest.approx(
        values(memory_energy(counts, memory.standard, vdd_V=1.0, voltage_law=law)), rel=1e-12
    )


def test_each_bank_pays_at_its_own_voltage() -> None:
    """Linear law; bank 0 at 0.6 V less. 10 activates there and 10 elsewhere; a refresh and the background are shared by sixteenths."""
    memory = planned(partitions=(PartitionConfig(name="low", banks="0", vdd_V=0.9),))
    counts = Counts.empty(1, 1, 16, cycles=1000)
    counts.commands[0, 0, Command.ACT] = counts.commands[0, 5, Command.ACT] = 10
    counts.commands[0, 0, Command.REFab] = 1
    counts.rank_active_cycles[0, 0] = 160
    parts = partition_energies(counts, memory, costs(memory))
    nominal = memory_energy(counts, memory.standard)
    assert parts["low"].activate == pytest.approx(0.75 * nominal.activate / 2)
    assert parts["module"].activate == pytest.approx(nominal.activate / 2)
    for name in ("refresh", "background_active", "background_precharged"):
        assert getattr(parts["low"], name) == pytest.approx(0.75 * getattr(nominal, name) / 16)
        assert getattr(parts["module"], name) == pytest.approx(getattr(nominal, name) * 15 / 16)


def test_a_refresh_is_shared_by_the_banks_of_its_rank_only() -> None:
    memory = planned(
        ranks=2, channels=2, partitions=(PartitionConfig(name="second", channels="1", ranks=(1,)),)
    )
    counts = Counts.empty(2, 2, 32, cycles=1000)
    counts.commands[1, 16, Command.REFab] = 3
    parts = partition_energies(counts, memory, costs(memory))
    assert parts["module"].refresh == 0
    assert parts["second"].refresh == memory_energy(counts, memory.standard).refresh > 0


def test_rows_pay_at_their_own_voltage() -> None:
    """A quarter of bank 3's rows at 0.9 V of 1.2 V, linear law: 6 of its 10 activates, and a quarter of the bank's sixteenth of the background."""
    memory = planned(
        partitions=(PartitionConfig(name="quarter", banks="3", rows="0-16383", vdd_V=0.9),)
    )
    assert memory.standard.organization.rows == 65536
    counts = Counts.empty(1, 1, 16, cycles=1000)
    counts.commands[0, 3, Command.ACT] = 10
    counts.commands[0, 3, Command.RD] = 30
    counts.closings[0, 3] = 10
    counts.commands[0, 0, Command.REFab] = 1
    ranged = np.zeros((1, 1, COMMANDS), np.int64)
    ranged[0, 0, Command.ACT], ranged[0, 0, Command.RD] = 6, 20
    counts = dataclasses.replace(counts, range_commands=ranged, range_closings=np.array([[6]]))
    parts, nominal = (
        partition_energies(counts, memory, costs(memory, io_pJ_per_bit=1.0)),
        memory_energy(counts, memory.standard, io_pJ_per_bit=1.0),
    )
    assert parts["quarter"].activate == pytest.approx(0.75 * 0.6 * nominal.activate)
    assert parts["quarter"].precharge == pytest.approx(0.75 * 0.6 * nominal.precharge)
    assert parts["quarter"].read == pytest.approx(0.75 * nominal.read * 2 / 3)
    assert parts["quarter"].io == pytest.approx(nominal.io * 2 / 3)
    for name in ("refresh", "background_precharged"):
        assert getattr(parts["quarter"], name) == pytest.approx(0.75 * getattr(nominal, name) / 64)
        assert getattr(parts["module"], name) == pytest.approx(getattr(nominal, name) * 63 / 64)
    assert parts["module"].activate == pytest.approx(0.4 * nominal.activate)


def test_stages_of_a_run_add_up_at_their_own_points() -> None:
    memory = planned(
        partitions=(PartitionConfig(name="kept", banks="0-7"),),
        changes=(ChangeConfig(at_cycle=500, vdd_V=0.9),),
    )
    before, after = random_counts(2), random_counts(3)
    stages = [(before, memory.plan.bank_point_at(0)), (after, memory.plan.bank_point_at(1))]
    energies = run_energies(stages, memory, EnergyConfig(io_pJ_per_bit=0.0))
    first, second = (
        partition_energies(counts, memory, costs(memory), points) for counts, points in stages
    )
    at_nominal = partition_energies(after, memory, costs(memory))
    assert energies["kept"].total == pytest.approx(first["kept"].total + at_nominal["kept"].total)
    assert energies["module"].total == pytest.approx(
        first["module"].total + 0.75 * at_nominal["module"].total
    )
    assert second["module"].total == pytest.approx(0.75 * at_nominal["module"].total)


def test_commands_of_a_tensor_cost_what_they_cost_in_a_run() -> None:
    """The hook for energy by tensor: tensors' commands add up to the run's."""
    standard = planned().standard
    counts = random_counts(4)
    whole = memory_energy(counts, standard, vdd_V=1.0, voltage_law="quadratic")
    half = counts.commands.sum(axis=(0, 1)) // 2
    parts = [half, counts.commands.sum(axis=(0, 1)) - half]
    closings = [100, int(counts.closings.sum()) - 100]
    energies = []
    for commands, precharges in zip(parts, closings, strict=True):
        part = Counts.empty(1, 1, 1)
        part.commands[0, 0, :] = commands
        part.closings[0, 0] = precharges
        energies.append(memory_energy(part, standard, vdd_V=1.0, voltage_law="quadratic"))
    for name in ("activate", "precharge", "read", "write", "refresh"):
        assert sum(getattr(energy, name) for energy in energies) == pytest.approx(
            getattr(whole, name)
        )
    assert all(energy.background == 0 for energy in energies)
    assert len(half) == COMMANDS


def test_counts_must_be_of_the_plan_s_shape() -> None:
    memory = planned()
    with pytest.raises(ValueError, match="expected the same"):
        partition_energies(random_counts(5, ranks=2), memory, costs(memory))


# ------------------------------------------------------------------------------------------------------------------------------- monotone


@pytest.mark.parametrize("law", VOLTAGE_LAWS)
@given(
    seed=st.integers(0, 2**31),
    volts=st.tuples(st.floats(0.8, 1.26), st.floats(0.8, 1.26)),
    mode=st.sampled_from(["approximate", "safe"]),
)
@settings(max_examples=30, deadline=None)
def test_a_lower_voltage_never_costs_more(
    law: str, seed: int, volts: tuple[float, float], mode: str
) -> None:
    """The same commands, of the module and of a partition; each component by itself."""
    counts = random_counts(seed)
    lower, higher = sorted(volts)
    for low, high in (
        ({"vdd_V": lower}, {"vdd_V": higher}),
        (
            {"partitions": (PartitionConfig(banks="3-9", vdd_V=lower),)},
            {"partitions": (PartitionConfig(banks="3-9", vdd_V=higher),)},
        ),
    ):
        memories = [planned(mode=mode, **dram) for dram in (low, high)]
        cheap, dear = (
            memory_energy(counts, memory.standard, plan=memory.plan, voltage_law=law)
            for memory in memories
        )
        for name in COMPONENTS:
            assert 0 <= getattr(cheap, name) <= getattr(dear, name) * (1 + 1e-12)
        assert cheap.total <= dear.total * (1 + 1e-12)


@given(seed=st.integers(0, 2**31), vdd_V=st.floats(0.72, 1.2))
@settings(max_examples=30, deadline=None)
def test_laws_are_ordered(seed: int, vdd_V: float) -> None:
    """Below the nominal VDD quadratic saves at least as much as linear and as array."""
    memory = planned()
    counts = random_counts(seed)
    linear, quadratic, array = (
        memory_energy(counts, memory.standard, vdd_V=vdd_V, voltage_law=law).total
        for law in ("linear", "quadratic", "array")
    )
    assert quadratic <= min(linear, array) * (1 + 1e-12)


# ------------------------------------------------------------------------------------------------------------------------------ data wires


@pytest.mark.parametrize(
    ("name", "speed_bin", "pJ"),
    [
        # 1.5^2 / 240 ohm * (1 + 60 / 94) * 0.625 ns
        ("DDR3", "1600K", 1.5**2 / 240 * (1 + 60 / 94) * 625),
        ("DDR3L", "1600K", 1.35**2 / 240 * (1 + 60 / 94) * 625),
        (
            "DDR4",
            "2400R",
            1.2**2 / 82 / 2 / 2400 * 1e6,
        ),  # half of the bits pull 1.2 V over 34 + 48 ohm
        ("LPDDR3", "1600", 5 * 1.2**2 / 4),  # a quarter of the bits charge 5 pF
        ("GDDR5", "6000", 1.5**2 / 100 / 2 / 6000 * 1e6),
    ],
)
def test_energy_of_a_bit_on_its_wire(name: str, speed_bin: str | None, pJ: float) -> None:
    assert io_energy_pJ_per_bit(load_standard(name, speed_bin=speed_bin)) == pytest.approx(pJ)


def test_ones_cost_nothing_on_a_wire_pulled_up() -> None:
    standard = load_standard("DDR4")
    assert io_energy_pJ_per_bit(standard, 1.0) == 0
    assert io_energy_pJ_per_bit(standard, 0.0) == pytest.approx(2 * io_energy_pJ_per_bit(standard))


def test_io_energy_that_is_not_known_is_not_zero() -> None:
    standard = load_standard("DDR5")
    assert io_energy_pJ_per_bit(standard) is None
    known, unknown = EnergyBreakdown(read=1.0, io=2.0), EnergyBreakdown(read=1.0, io=None)
    assert (known + unknown).io is None
    assert (known + unknown).total == 2.0
    assert unknown.to_dict()["total_with_io"] is None
    assert EnergyBreakdown.from_dict(unknown.to_dict()) == unknown


def test_io_counts_bursts_stays_out_of_the_total_and_keeps_its_supply() -> None:
    memory = planned(vdd_V=1.0)
    counts = Counts.empty(1, 1, 16, cycles=100)
    counts.commands[0, 2, [Command.RD, Command.WRA]] = 3, 4
    for law in VOLTAGE_LAWS:
        energy = memory_energy(
            counts, memory.standard, plan=memory.plan, voltage_law=law, io_pJ_per_bit=2.0
        )
        assert energy.io == 7 * 512 * 2.0
        assert (
            energy.total
            == memory_energy(counts, memory.standard, plan=memory.plan, voltage_law=law).total
        )
        assert energy.total_with_io == energy.total + energy.io
    default = sum_of(run_energies([(counts, memory.plan.bank_point_at())], memory, EnergyConfig()))
    assert default.io == pytest.approx(7 * 512 * io_energy_pJ_per_bit(memory.standard))


# --------------------------------------------------------------------------------------------------------------------------------- data


@pytest.mark.parametrize("vendor", "ABC")
def test_data_of_equal_odds_cost_what_the_currents_say(vendor: str) -> None:
    assert data_factors(EnergyConfig(data_model=f"vampire-{vendor}"), load_standard("DDR3L")) == (
        1.0,
        1.0,
    )  # type: ignore[arg-type]


def test_ones_make_reads_dearer_and_writes_cheaper() -> None:
    """Vendor A, all ones, none toggles: (246.44 + 64 * 6.558 - s) / (246.44 + 32 * (6.558 + 0.431) - s), s = 129.3598 / 2.5 / 1.35 = 38.33 mA."""
    reads, writes = data_factors(
        EnergyConfig(data_model="vampire-A", ones_fraction=1.0, toggle_fraction=0.0),
        load_standard("DDR3L"),
    )
    standby = 129.3598 / 2.5 / 1.35
    assert reads == pytest.approx((246.44 + 64 * 6.558 - standby) / (246.44 + 32 * 6.989 - standby))
    assert writes == pytest.approx(
        (728.75 - 64 * 5.056 - standby) / (728.75 + 32 * (0.712 - 5.056) - standby)
    )
    assert reads > 1 > writes


@pytest.mark.parametrize("vendor", "ABC")
@given(ones=st.floats(0, 1), toggles=st.floats(0, 1))
@settings(deadline=None)
def test_data_factors_are_positive(vendor: str, ones: float, toggles: float) -> None:
    config = EnergyConfig(
        data_model=f"vampire-{vendor}", ones_fraction=ones, toggle_fraction=toggles
    )  # type: ignore[arg-type]
    assert min(data_factors(config, load_standard("DDR3L"))) > 0


def test_data_factors_reach_reads_and_writes_only() -> None:
    memory = MemorySystem.resolve(DramConfig(standard="DDR3L"))
    counts = Counts.empty(1, 1, 8, cycles=1000)
    counts.commands[0, 1, [Command.ACT, Command.RD, Command.WR]] = 1, 5, 7
    config = EnergyConfig(data_model="vampire-B", ones_fraction=0.25, io_pJ_per_bit=0.0)
    reads, writes = data_factors(config, memory.standard)
    plain = memory_energy(counts, memory.standard, plan=memory.plan)
    energy = sum_of(run_energies([(counts, memory.plan.bank_point_at())], memory, config))
    assert values(energy) == pytest.approx(
        {**values(plain), "read": reads * plain.read, "write": writes * plain.write}
    )


def test_data_models_belong_to_the_standard_they_were_measured_on() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^energy.data_model: 'vampire-A' was measured on DDR3L; expected 'none' for DDR4$",
    ):
        data_factors(EnergyConfig(data_model="vampire-A"), load_standard("DDR4"))


# ------------------------------------------------------------------------------------------------------------------------ command lists


def commands_of(*rows: tuple[int, int, Command, int]) -> np.ndarray[Any, Any]:
    """COMMAND records from (clock, channel, command, bank in bank group 0)."""
    commands = np.zeros(len(rows), COMMAND)
    for record, row in zip(commands, rows, strict=True):
        record["clock"], record["channel"], record["command"], record["bank"] = row
    return commands


def test_a_command_list_is_split_by_partition_too() -> None:
    """A partition may name channels."""
    commands = commands_of((10, 0, Command.ACT, 0), (30, 0, Command.RD, 0), (40, 1, Command.ACT, 2))
    memory = planned(channels=2, partitions=(PartitionConfig(name="low", channels="1", vdd_V=0.9),))
    counts, energies = energies_of_commands(commands, memory, EnergyConfig(), end_clock=100)
    nominal = memory_energy(counts, memory.standard)
    assert counts.commands.shape[0] == 2
    assert energies["low"].activate == pytest.approx(0.75 * nominal.activate / 2)
    assert energies["module"].read == nominal.read
    assert energies["module"].io == pytest.approx(512 * io_energy_pJ_per_bit(memory.standard))


def test_a_command_list_that_never_closes_its_banks_changes_at_the_stated_clock() -> None:
    """A row open from clock 0 to 200: 100 clocks at 1.2 V and 100 at 0.9 V."""
    memory = planned(changes=(ChangeConfig(at_cycle=100, vdd_V=0.9),))
    commands = np.zeros(2, COMMAND)
    commands["clock"], commands["command"] = (0, 150), (Command.ACT, Command.RD)
    counts, energies = energies_of_commands(commands, memory, EnergyConfig(), end_clock=200)
    nominal = memory_energy(counts, load_standard("DDR4", speed_bin="2400R"))
    assert energies["module"].background_active == pytest.approx(
        nominal.background_active * 1.75 / 2
    )
    assert energies["module"].activate == pytest.approx(nominal.activate)
    assert energies["module"].read == pytest.approx(0.75 * nominal.read)
