"""Do supply voltage and timings of a configuration become what the standard and the mode allow, for module, partitions and changes?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.config.loading import load_config
from edensim.config.models import ChangeConfig, DramConfig, PartitionConfig
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.dram.standard import Standard, load_standard
from edensim.dram.voltage import required_timings
from edensim.exceptions import ConfigError
from edensim.vocabulary import cycles_from_ns


def resolve_standard(dram: DramConfig) -> Standard:
    return resolve_operating_plan(dram)[0]


def plan_of(**dram: Any) -> OperatingPlan:
    return resolve_operating_plan(DramConfig(**dram))[1]


# ------------------------------------------------------------------------------------------------------------------------------ the module


def test_without_an_operating_point_it_is_the_standard() -> None:
    standard, plan = resolve_operating_plan(DramConfig())
    assert standard.timings["nRCD"] == 16
    assert (len(plan.points), plan.partitions, plan.changes, plan.epochs) == (1, (), (), 1)
    assert plan.points[0].timings == plan.points[0].needed == plan.specified == standard.timings
    assert plan.points[0].vdd_V == 1.2
    assert plan.within_specification


@pytest.mark.parametrize(
    ("trcd_ns", "cycles"), [(13.328, 16), (13.0, 16), (12.495, 15), (6.6, 8), (0.1, 1), (15.0, 19)]
)
def test_trcd_becomes_whole_cycles_rounded_up(trcd_ns: float, cycles: int) -> None:
    nominal, changed = resolve_standard(DramConfig()), resolve_standard(DramConfig(trcd_ns=trcd_ns))
    assert changed.timings == {**nominal.timings, "nRCD": cycles}
    assert {c.gap_cycles for c in changed.constraints if c.gap == "nRCD"} == {cycles}


def test_other_durations_too_and_what_follows_them() -> None:
    nominal = resolve_standard(DramConfig()).timings
    changed = resolve_standard(DramConfig(trp_ns=10.0, tras_ns=25.0, twr_ns=12.0)).timings
    assert changed == {**nominal, "nRP": 13, "nRAS": 31, "nWR": 15, "nRC": 55 - 3 - 8}


@pytest.mark.parametrize(("trefi_ns", "cycles"), [(15600.0, 18727), (7800.0, 9363), (0.833, 1)])
def test_the_refresh_interval_is_rounded_down(trefi_ns: float, cycles: int) -> None:
    assert resolve_standard(DramConfig(trefi_ns=trefi_ns)).timings["nREFI"] == cycles
    lpddr3 = resolve_standard(DramConfig(standard="LPDDR3", trefi_ns=7800.0)).timings
    assert (lpddr3["nREFI"], lpddr3["nREFIpb"]) == (6240, 780)


def test_vdd_within_the_range_changes_no_timing_when_approximate() -> None:
    assert resolve_standard(DramConfig(vdd_V=1.05)) == resolve_standard(DramConfig())


def test_gaps_of_a_point_are_those_of_its_standard() -> None:
    standard, plan = resolve_operating_plan(
        DramConfig(trcd_ns=9.0, partitions=(PartitionConfig(banks="0", trcd_ns=7.0, tras_ns=30.0),))
    )
    assert standard.gaps_with(plan.points[0].timings) == tuple(
        rule.gap_cycles for rule in standard.constraints
    )
    other = resolve_standard(DramConfig(trcd_ns=7.0, tras_ns=30.0))
    assert standard.gaps_with(plan.points[1].timings) == tuple(
        rule.gap_cycles for rule in other.constraints
    )


@pytest.mark.parametrize(
    ("dram", "message"),
    [
        (DramConfig(vdd_V=0.5), r"^dram.vdd_V: expected 0.72 to 1.26 V for DDR4, found 0.5$"),
        (DramConfig(vdd_V=1.3), r"^dram.vdd_V: expected 0.72 to 1.26 V"),
        (
            DramConfig(trcd_ns=13.0, timings={"nRCD": 9}),
            r"^dram.trcd_ns: 13 and dram.timings.nRCD 9 are both set",
        ),
        (
            DramConfig(trefi_ns=13.0, timings={"nREFI": 9}),
            r"^dram.trefi_ns: 13 and dram.timings.nREFI 9 are both set",
        ),
        (
            DramConfig(trcd_ns=1e6),
            r"^dram.trcd_ns: expected nRCD to be at most nRAS \(32.487 ns\), .* found 1e\+06 ns",
        ),
        (
            DramConfig(timings={"nRCD": 60}),
            r"^dram.timings.nRCD: expected nRCD to be at most nRAS .* found nRCD 60, nRAS 39",
        ),
        (
            DramConfig(timings={"nRAS": 10}),
            r"^dram.timings.nRAS: expected nRCD to be at most nRAS .* found nRCD 16, nRAS 10",
        ),
        (
            DramConfig(tras_ns=12.0),
            r"^dram.tras_ns: expected at least nRCD \(13.328 ns\), .* found 12$",
        ),
        (DramConfig(trp_ns=1e300), r"^dram.trp_ns: expected at most 1e\+08 ns"),
        (
            DramConfig(trefi_ns=0.5),
            r"^dram.trefi_ns: expected at least one clock period, found 0.5",
        ),
        (DramConfig(twr_ns=1e-9), r"^dram.twr_ns: expected at least 1e-6, found 1e-09"),
        (DramConfig(speed_bin="2401R"), r"^dram.speed_bin: "),
    ],
)
def test_what_cannot_be_is_refused_by_key(dram: DramConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_standard(dram)


# --------------------------------------------------------------------------------------------------------------------- safe and approximate


def test_safe_timings_are_what_the_cells_need() -> None:
    standard, plan = resolve_operating_plan(DramConfig(standard="DDR3L", mode="safe", vdd_V=1.1))
    needed = required_timings(load_standard("DDR3L"), 1.1)
    assert standard.timings == plan.points[0].timings == needed
    assert plan.within_specification
    assert plan.to_dict()["within_specification"] is True


@given(share=st.floats(0.667, 1.04), trcd_ns=st.none() | st.floats(1.0, 30.0))
@settings(max_examples=50, deadline=None)
def test_safe_is_never_outside_specification(share: float, trcd_ns: float | None) -> None:
    needed = required_timings(load_standard("DDR4"), 1.2 * share)
    asked = 0 if trcd_ns is None else cycles_from_ns(trcd_ns, 833)
    if trcd_ns is None or needed["nRCD"] <= asked <= needed["nRAS"]:
        assert plan_of(mode="safe", vdd_V=1.2 * share, trcd_ns=trcd_ns).within_specification
    else:
        with pytest.raises(ConfigError, match="which is safe at"):
            plan_of(mode="safe", vdd_V=1.2 * share, trcd_ns=trcd_ns)


def test_longer_timings_may_be_asked_for_in_safe_mode_shorter_ones_not() -> None:
    assert resolve_standard(DramConfig(mode="safe", vdd_V=1.1, trcd_ns=20.0)).timings["nRCD"] == 25
    for dram, message in (
        (
            DramConfig(mode="safe", trcd_ns=7.5),
            r"^dram.trcd_ns: expected at least 13.328 ns, which is safe at 1.2 V, found 7.5; dram.mode",
        ),
        (
            DramConfig(mode="safe", vdd_V=0.9, trcd_ns=13.5),
            r"^dram.trcd_ns: expected at least 17.493 ns, which is safe at 0.9 V, found 13.5",
        ),
        (DramConfig(mode="safe", trefi_ns=9000.0), r"^dram.trefi_ns: expected at most 7800.21 ns"),
        (
            DramConfig(mode="safe", vdd_V=0.75),
            r"^dram.vdd_V: expected at least 0.8 V in safe mode, because the curve .* DDR4 need ends there; found 0.75",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            resolve_standard(dram)


def test_approximate_says_what_is_outside_specification() -> None:
    point = plan_of(trcd_ns=7.5, trefi_ns=15600.0).points[0]
    assert (point.shortened, point.within_specification) == (("nRCD", "nREFI"), False)
    low = plan_of(vdd_V=0.9).points[0]
    assert low.shortened == ("nRAS", "nRC", "nRCD", "nRP")
    assert low.needed is not None
    assert low.needed["nRCD"] == 21  # 13.328 ns * 1.3124 = 17.491 ns


def test_below_the_curve_everything_is_outside_specification() -> None:
    plan = plan_of(vdd_V=0.75)
    assert plan.points[0].needed is None
    assert not plan.within_specification
    assert plan.to_dict()["points"][0]["outside_specification"] == ["all"]


# ------------------------------------------------------------------------------------------------------------------------------- partitions


def test_partitions_have_their_banks_and_inherit_from_the_module() -> None:
    plan = plan_of(
        channels=2,
        ranks=2,
        vdd_V=1.1,
        partitions=(
            PartitionConfig(name="weights", channels=(1,), banks="0-2,15", trcd_ns=8.0),
            PartitionConfig(ranks=(1,), channels="0", vdd_V=1.0),
        ),
    )
    weights, other = plan.partitions
    assert (weights.name, weights.channels, weights.banks) == (
        "weights",
        (1,),
        (0, 1, 2, 15, 16, 17, 18, 31),
    )
    assert (other.name, other.channels, other.banks) == ("partition 1", (0,), tuple(range(16, 32)))
    assert [plan.points[p.point].vdd_V for p in plan.partitions] == [1.1, 1.0]
    assert [plan.points[p.point].timings["nRCD"] for p in plan.partitions] == [10, 16]
    expected = np.zeros((2, 32), int)
    expected[1, [0, 1, 2, 15, 16, 17, 18, 31]] = weights.point
    expected[0, 16:] = other.point
    assert (plan.bank_point_at() == expected).all()


def test_rows_of_banks_are_partitions_and_the_rest_is_the_module_s() -> None:
    plan = plan_of(
        channels=2,
        partitions=(
            PartitionConfig(
                name="fast", channels="1", banks="0-1", rows="0-99,100-199,4096", trcd_ns=8.0
            ),
            PartitionConfig(name="bank", channels="0", banks="5", trcd_ns=9.0),
        ),
        changes=(ChangeConfig(at_cycle=5, vdd_V=1.0),),
    )
    assert plan.partitions[0].rows == ((0, 199), (4096, 4096))
    assert [(r.channel, r.bank, r.first, r.last) for r in plan.ranges] == [
        (1, 0, 0, 199),
        (1, 0, 4096, 4096),
        (1, 1, 0, 199),
        (1, 1, 4096, 4096),
    ]
    assert plan.bank_point_at()[1].tolist() == [0] * 16
    fast = plan.partitions[0].point
    assert plan.cell_point_at(1)[1].tolist() == [plan.module_point(1)] * 16 + [fast] * 4
    assert plan.cell_partition[:, 16:].tolist() == [[-2] * 4, [0] * 4]
    assert plan.to_dict()["partitions"]["fast"]["rows"] == [[0, 199], [4096, 4096]]


def test_a_change_of_the_refresh_interval() -> None:
    plan = plan_of(
        changes=(
            ChangeConfig(at_cycle=1000, trefi_ns=15600.0),
            ChangeConfig(at_cycle=2000, trefi_ns=3900.0),
        )
    )
    assert [plan.points[plan.module_point(stage)].timings["nREFI"] for stage in range(3)] == [
        9364,
        18727,
        4681,
    ]
    assert not plan.within_specification


def test_a_partition_without_knobs_is_the_module_s_point_under_another_number() -> None:
    """So that a change of the module's point can find the module's banks by their point; equal partitions share one."""
    plan = plan_of(
        partitions=(PartitionConfig(banks="0"), PartitionConfig(banks="1")),
        changes=(ChangeConfig(at_cycle=5, vdd_V=1.0),),
    )
    assert [p.point for p in plan.partitions] == [1, 1]
    assert plan.points[0] == plan.points[1]
    assert plan.bank_point_at(1)[0, :3].tolist() == [1, 1, 2]


def test_points_that_differ_in_voltage_alone_share_a_timing_class() -> None:
    """A VDD of its own for each of 16 banks is one class for the engine when timings are as asked, and more when they are safe."""
    banks = tuple(
        PartitionConfig(banks=(bank,), vdd_V=round(1.2 - 0.02 * bank, 2)) for bank in range(16)
    )
    plan = plan_of(partitions=(*banks[:15], PartitionConfig(banks=(15,), trcd_ns=9.0)))
    timings, class_of = plan.timing_classes
    assert len(plan.points) == 17
    assert class_of == (0,) * 16 + (1,)
    assert [timing["nRCD"] for timing in timings] == [16, 11]
    safe = plan_of(mode="safe", partitions=banks)
    timings, class_of = safe.timing_classes
    assert [timings[index] for index in class_of] == [point.timings for point in safe.points]
    assert 1 < len(timings) < 17


def test_safe_partitions_have_timings_of_their_own_voltage() -> None:
    plan = plan_of(mode="safe", partitions=(PartitionConfig(banks=(0,), vdd_V=0.9),))
    assert plan.points[1].timings == required_timings(load_standard("DDR4"), 0.9)
    assert plan.within_specification


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        (
            (PartitionConfig(name="a", banks="0-7"), PartitionConfig(name="b", banks=(9, 7))),
            r"^dram.partitions.1.banks: 'b' overlaps dram.partitions.0 \('a'\): both have channel 0 rank 0 bank 7$",
        ),
        (
            (PartitionConfig(), PartitionConfig(channels=(1,))),
            r"'partition 1' overlaps dram.partitions.0 .*: both have channel 1 rank 0 bank 0",
        ),
        (
            (PartitionConfig(banks="8-16"),),
            r"^dram.partitions.0.banks: there is no 16; expected 0 to 15 \(16 banks per rank\)$",
        ),
        (
            (PartitionConfig(ranks=(1,)),),
            r"^dram.partitions.0.ranks: there is no 1; expected 0 to 0 \(1 ranks\)",
        ),
        (
            (PartitionConfig(channels="2"),),
            r"^dram.partitions.0.channels: there is no 2; expected 0 to 1 \(2 channels\)",
        ),
        ((PartitionConfig(banks="0-999999999"),), r"there is no 999999999"),
        ((PartitionConfig(banks=()),), r"^dram.partitions.0.banks: names none"),
        ((PartitionConfig(banks=(3, 3)),), r"^dram.partitions.0.banks: names 3 twice"),
        (
            (PartitionConfig(banks="7-3"),),
            r"^dram.partitions.0.banks: expected a range from low to high, found '7-3'",
        ),
        (
            (PartitionConfig(banks="0-"),),
            r"^dram.partitions.0.banks: expected whole numbers and ranges such as '0-3,8', found '0-'",
        ),
        (
            (PartitionConfig(banks=""),),
            r"^dram.partitions.0.banks: expected whole numbers and ranges",
        ),
        (
            (
                PartitionConfig(name="a", banks="0-3", rows="0-511"),
                PartitionConfig(name="b", banks="2", rows="600,100-700"),
            ),
            r"^dram.partitions.1.rows: names 600 twice",
        ),
        (
            (
                PartitionConfig(name="a", banks="0-3", rows="0-511"),
                PartitionConfig(name="b", banks="2", rows="511-700"),
            ),
            r"^dram.partitions.1.rows: 'b' overlaps dram.partitions.0 \('a'\): both have channel 0 rank 0 bank 2 row 511$",
        ),
        (
            (
                PartitionConfig(name="a", banks="0-3", rows="7"),
                PartitionConfig(name="b", banks="3"),
            ),
            r"^dram.partitions.1.banks: 'b' overlaps dram.partitions.0 \('a'\): both have channel 0 rank 0 bank 3 row 7$",
        ),
        (
            (PartitionConfig(banks="3"), PartitionConfig(banks="3", rows="7")),
            r"^dram.partitions.1.banks: 'partition 1' overlaps dram.partitions.0",
        ),
        (
            (PartitionConfig(rows="65530-65536"),),
            r"^dram.partitions.0.rows: there is no 65536; expected 0 to 65535 \(65536 rows in a bank\)$",
        ),
        ((PartitionConfig(rows=()),), r"^dram.partitions.0.rows: names none"),
        (
            (PartitionConfig(rows="0,2,4,6,8,10,12,14,16"),),
            r"^dram.partitions.0.rows: expected at most 8 ranges of rows in a bank, found 9",
        ),
        (
            (PartitionConfig(name="a", banks="0"), PartitionConfig(name="a", banks="1")),
            r"^dram.partitions.1.name: .* which dram.partitions.0 has",
        ),
        ((PartitionConfig(name="module"),), r"^dram.partitions.0.name: 'module' stands for"),
        ((PartitionConfig(vdd_V=2.0),), r"^dram.partitions.0.vdd_V: expected 0.72 to 1.26 V"),
        (
            (PartitionConfig(trcd_ns=40.0),),
            r"^dram.partitions.0.trcd_ns: expected nRCD to be at most nRAS",
        ),
        ((PartitionConfig(tras_ns=10.0),), r"^dram.partitions.0.tras_ns: expected at least nRCD"),
    ],
)
def test_partitions_that_cannot_be_are_refused(
    partitions: tuple[PartitionConfig, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(channels=2, partitions=partitions)


def test_refusals_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("dram:\n  partitions:\n    - banks: 0-7\n    - vdd_V: 1.0\n      banks: [7]\n")
    loaded = load_config(path)
    with (
        pytest.raises(
            ConfigError, match=rf"^{path}:5: dram.partitions.1.banks: 'partition 1' overlaps"
        ),
        loaded.locating(),
    ):
        resolve_operating_plan(loaded.config.dram)


# ---------------------------------------------------------------------------------------------------------------------------------- changes


def test_changes_stand_on_one_another_and_partitions_keep_their_point() -> None:
    plan = plan_of(
        partitions=(PartitionConfig(banks="0-3", trcd_ns=9.0),),
        changes=(
            ChangeConfig(at_cycle=1000, settling_ns=100.0, vdd_V=1.0),
            ChangeConfig(at_cycle=2000, trcd_ns=8.0),
            ChangeConfig(at_cycle=3000, vdd_V=1.2, trcd_ns=13.328),
        ),
    )
    assert [(c.at_cycle, c.settling_cycles) for c in plan.changes] == [
        (1000, 121),
        (2000, 0),
        (3000, 0),
    ]
    module = [plan.points[plan.module_point(stage)] for stage in range(plan.epochs)]
    assert [(p.vdd_V, p.timings["nRCD"]) for p in module] == [
        (1.2, 16),
        (1.0, 16),
        (1.0, 10),
        (1.2, 16),
    ]
    assert plan.module_point(3) == plan.module_point(0) == 0
    for stage in range(plan.epochs):
        assert set(plan.bank_point_at(stage)[0, :4]) == {plan.partitions[0].point}
        assert set(plan.bank_point_at(stage)[0, 4:]) == {plan.module_point(stage)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            (ChangeConfig(at_cycle=500, vdd_V=1.0), ChangeConfig(at_cycle=400, vdd_V=1.1)),
            r"^dram.changes.1.at_cycle: expected more than 500, the cycle of dram.changes.0, found 400$",
        ),
        (
            (ChangeConfig(at_cycle=500, vdd_V=1.0), ChangeConfig(at_cycle=500, vdd_V=1.1)),
            r"^dram.changes.1.at_cycle: expected more than 500",
        ),
        (
            (
                ChangeConfig(at_cycle=500, settling_ns=100.0, vdd_V=1.0),
                ChangeConfig(at_cycle=600, vdd_V=1.1),
            ),
            r"^dram.changes.1.at_cycle: expected at least 621, when dram.changes.0 has settled, found 600$",
        ),
        (
            (ChangeConfig(at_cycle=5, settling_ns=3.0),),
            r"^dram.changes.0: changes nothing; expected at least one of vdd_V, trcd_ns",
        ),
        ((ChangeConfig(at_cycle=5, vdd_V=3.0),), r"^dram.changes.0.vdd_V: expected 0.72 to 1.26 V"),
        (
            (ChangeConfig(at_cycle=5, tras_ns=3.0),),
            r"^dram.changes.0.tras_ns: expected at least nRCD",
        ),
    ],
)
def test_changes_that_cannot_be_are_refused(
    changes: tuple[ChangeConfig, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(changes=changes)


def test_a_result_can_hold_the_plan() -> None:
    import json

    plan = plan_of(
        vdd_V=1.0,
        partitions=(PartitionConfig(name="safe", banks="0-1", vdd_V=1.2),),
        changes=(ChangeConfig(at_cycle=9, vdd_V=1.1),),
    )
    told = json.loads(json.dumps(plan.to_dict()))
    assert told["mode"] == "approximate"
    assert told["points"][0] == {
        "vdd_V": 1.0, "nRCD": 16, "nRP": 16, "nRAS": 39, "nWR": 18, "nREFI": 9364, "outside_specification": ["nRAS", "nRC", "nRCD", "nRP"],
    }  # fmt: skip
    assert told["partitions"] == {"safe": {"channels": [0], "banks": [0, 1], "point": 1}}
    assert told["changes"] == [{"at_cycle": 9, "settling_cycles": 0, "point": 2}]
