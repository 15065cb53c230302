"""Which points does a sweep have, and does every point share a simulation exactly where it may?"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edensim
from edensim.config.loading import load_config
from edensim.exceptions import ConfigError
from edensim.simulation import prepare, simulate_prepared
from edensim.sweep import grid
from edensim.sweep.grid import OPERATING_POINT, Point, parse_over, plan, points_of, split_list


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "small.trace"
    path.write_text(
        "".join(f"{'ST' if i % 5 == 4 else 'LD'} {(i * 7919 % 4096) * 64:#x}\n" for i in range(600))
    )
    return path


def planned(trace: Path, over: Any, **sections: Any) -> list[Point]:
    base = load_config(None, [f"trace={trace}"], sections)
    return plan(base, points_of(over), lambda path: Path(path).read_text())


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("dram.vdd_V=1.2,1.1", [1.2, 1.1]),
        ("dram.vdd_V=1.05:1.35:0.05", [1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35]),
        ("dram.vdd_V=1.2,1:1.1:0.05", [1.2, 1.0, 1.05, 1.1]),
        ("dram.vdd_V=1:1.09:0.05", [1.0, 1.05]),
        ("dram.vdd_V=null,1.1", [None, 1.1]),
        ("dram.timings.nRCD=10:16:3", [10, 13, 16]),
        ("controller.scheduler=fcfs,frfcfs", ["fcfs", "frfcfs"]),
        ("trace=a:1:2.trace", ["a:1:2.trace"]),
    ],
)
def test_lists_and_ranges(text: str, values: list[Any]) -> None:
    key = text.partition("=")[0]
    assert parse_over([text]) == {key: values}
    assert [type(value) for value in parse_over([text])[key]] == [type(value) for value in values]


def test_commas_in_brackets_and_quotes_part_nothing() -> None:
    assert split_list("[1, 2],{a: [3, 4]},'x,y',5") == ["[1, 2]", "{a: [3, 4]}", "'x,y'", "5"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["dram.vdd=1,2"], "--over dram.vdd: unknown key; did you mean 'dram.vdd_V'?"),
        (["dram.vdd=1:2:1"], "--over dram.vdd: unknown key; did you mean 'dram.vdd_V'?"),
        (["channels=1,2"], "did you mean 'dram.channels'?"),
        (["dram=1"], "holds several keys"),
        (["dram.vdd_V="], "the list of values is empty"),
        (["dram.vdd_V=1.1,,1.2"], "a value is missing"),
        (["dram.vdd_V"], "expected KEY=V1,V2"),
        (["dram.vdd_V=1:2"], "expected a number or START:STOP:STEP"),
        (["dram.vdd_V=1.2:1.1:0.05"], "STOP not below START"),
        (["dram.vdd_V=1.1:1.2:0"], "STEP above 0"),
        (["dram.vdd_V=0:1:1e-9"], "expected at most 1,000,000 points"),
        (["dram.vdd_V=1.1", "dram.vdd_V=1.2"], "swept twice"),
    ],
)
def test_bad_over(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_over(texts)


def test_a_grid_is_every_combination_and_pairs_are_not() -> None:
    over = {"a": [1, 2], "b": [3, 4]}
    assert points_of(over) == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]
    assert points_of(over, paired=True) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert points_of([{"a": 1}, {"b": 2}, {"a": 1}]) == [{"a": 1}, {"b": 2}]
    assert points_of({"a": np.array([1.5, 2.5])}) == [{"a": 1.5}, {"a": 2.5}]


@pytest.mark.parametrize(
    ("over", "paired", "message"),
    [
        ({}, False, "at least one key"),
        ([], False, "at least one key"),
        ([{}], False, "at least one key"),
        ({"a": []}, False, "--over a: the list of values is empty"),
        ({"a": 1}, False, "--over a: expected a list of values, found 1"),
        ({"a": "12"}, False, "expected a list of values"),
        ({"a": [1, 2], "b": [3]}, True, "of one length; found 2 of a, 1 of b"),
        ({key: range(1000) for key in "abc"}, False, "1,000,000,000 points; expected at most"),
    ],
)
def test_bad_points(over: Any, paired: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        points_of(over, paired)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"dram.vdd_V": [1.2, 9.0]}, "--over dram.vdd_V=9.0: expected "),
        ({"dram.vdd_V": [1.2, "low"]}, "--over dram.vdd_V=low: expected a number above 0"),
        ({"controller.address_mapping": ["RoBaRaCoCh", "R16B2"]}, "bit string"),
        ({"dram.channels": [1, 1.5]}, "--over dram.channels=1.5: expected a whole number"),
        ({"dram.trcd_ns": [10, 500]}, "--over dram.trcd_ns=500: "),
        ({"dram.vdd_V": [1.2], "dram.trcd_ns": [500]}, "(at dram.vdd_V=1.2)"),
        ({"energy.voltage_law": ["linear", "cubic"]}, "--over energy.voltage_law=cubic: "),
        ({"dram.volts": [1]}, "--over dram.volts=1: unknown key"),
        ({"dram.timings.nRCD": [9, 12]}, "dram.trcd_ns: "),  # with trcd_ns set below
    ],
)
def test_one_bad_point_refuses_the_sweep(trace: Path, over: dict[str, Any], message: str) -> None:
    sections = {"dram": {"trcd_ns": 12.0}} if "dram.timings.nRCD" in over else {}
    with pytest.raises(ConfigError, match=re.escape(message)):
        planned(trace, over, **sections)


def test_twenty_voltages_by_ten_latencies_are_ten_simulations(trace: Path) -> None:
    vdd, trcd = np.linspace(1.14, 1.235, 20), [5 + i for i in range(10)]
    points = planned(trace, {"dram.vdd_V": vdd, "dram.trcd_ns": trcd})
    assert len({point.key for point in points}) == 200
    assert len({point.simulation for point in points}) == 10


def test_latencies_that_are_the_same_in_cycles_share(trace: Path) -> None:
    points = planned(
        trace, {"dram.trcd_ns": [9.0, 9.1, 9.9, 12.0]}
    )  # 11, 11, 12 and 15 cycles of 0.833 ns
    first, second, third, fourth = (point.simulation for point in points)
    assert first == second
    assert len({first, third, fourth}) == 3


@pytest.mark.parametrize(
    "key",
    [
        "controller.scheduler",
        "controller.read_queue",
        "dram.channels",
        "dram.ranks",
        "dram.timings.nCL",
        "seed",
    ],
)
def test_what_moves_commands_is_not_shared(trace: Path, key: str) -> None:
    values = {"controller.scheduler": ["fcfs", "frfcfs"], "dram.timings.nCL": [14, 20]}.get(
        key, [1, 2]
    )
    assert len({point.simulation for point in planned(trace, {key: values})}) == 2


def test_safe_mode_lengthens_timings_and_shares_less(trace: Path) -> None:
    voltages = {"dram.vdd_V": [1.2, 1.18, 1.05]}
    assert len({point.simulation for point in planned(trace, voltages)}) == 1
    assert len({point.simulation for point in planned(trace, voltages, dram={"mode": "safe"})}) > 1


def test_shared_or_not_a_point_is_what_simulate_gives(trace: Path) -> None:
    """Energy-only keys move no command: each point of a shared simulation equals a run of its own."""
    over = {
        "dram.vdd_V": [1.2, 1.15],
        "dram.trcd_ns": [7.0, 13.0],
        "energy.voltage_law": ["linear", "quadratic"],
    }
    swept = edensim.sweep(trace, over, workers=2)
    assert (len(swept), swept.simulated, swept.simulations) == (8, 8, 2)
    for values, result in zip(swept.values, swept.results, strict=True):
        alone = edensim.simulate(
            trace, overrides=[f"{key}={value}" for key, value in values.items()]
        )
        assert result.to_dict() == json.loads(json.dumps(alone.to_dict()))


@pytest.mark.parametrize(
    "sections",
    [{}, {"dram": {"partitions": [{"banks": "0-3", "vdd_V": 1.1, "trcd_ns": 7.0}], "channels": 2}}],
)
def test_a_simulation_does_not_look_at_what_the_simulation_key_leaves_out(
    trace: Path, sections: dict[str, Any]
) -> None:
    """With energies, currents and voltages taken away, the commands are the same: what `simulation_key` ignores cannot matter."""
    run = prepare(load_config(None, [f"trace={trace}"], sections).config)
    dram = msgspec.structs.replace(run.config.dram, **dict.fromkeys(OPERATING_POINT))
    blind = dataclasses.replace(
        run,
        config=msgspec.structs.replace(run.config, energy=None, dram=dram),
        memory=dataclasses.replace(
            run.memory,
            standard=dataclasses.replace(run.memory.standard, currents=None, name="", source=""),
            plan=dataclasses.replace(
                run.memory.plan,
                mode=None,
                specified=None,
                points=tuple(
                    dataclasses.replace(point, vdd_V=None, needed=None, durations_ns=None)
                    for point in run.memory.plan.points
                ),
            ),
        ),
    )
    commands: list[list[Any]] = [[], []]
    seen, unseen = (
        simulate_prepared(each, on_commands=kept.append)
        for each, kept in zip((run, blind), commands, strict=True)
    )
    assert len(commands[0][0]) > 600
    assert np.array_equal(np.concatenate(commands[0]), np.concatenate(commands[1]))
    assert seen.counts == unseen.counts


def test_partitions_of_other_voltages_share(trace: Path) -> None:
    def partition(vdd_V: float, trcd_ns: float) -> list[dict[str, Any]]:
        return [{"banks": "0-3", "vdd_V": vdd_V, "trcd_ns": trcd_ns}]

    over = {"dram.partitions": [partition(1.1, 7.0), partition(1.15, 7.0), partition(1.1, 10.0)]}
    first, second, third = (point.simulation for point in planned(trace, over))
    assert first == second != third


def test_rows_of_a_partition_move_commands(trace: Path) -> None:
    partitions = [
        [{"banks": "0-3", "rows": rows, "trcd_ns": 9.0}] for rows in ("0-99", "0-100", "0-50,51-99")
    ]
    points = planned(trace, {"dram.partitions": partitions})
    assert points[0].simulation == points[2].simulation != points[1].simulation


def test_an_edit_of_the_code_makes_other_points(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results of a version that is being worked on are not taken for those of the next edit."""
    [before] = planned(trace, {"dram.vdd_V": [1.1]})
    monkeypatch.setattr(grid, "code_digest", lambda: "edited")
    [after] = planned(trace, {"dram.vdd_V": [1.1]})
    assert before.key != after.key
    assert before.simulation == after.simulation


def test_the_trace_counts_by_content_not_by_name(trace: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.trace", tmp_path / "other.trace"
    copy.write_text(trace.read_text())
    other.write_text(trace.read_text() + "LD 0x40\n")
    first, second, third = (
        planned(path, {"dram.channels": [1]})[0].key for path in (trace, copy, other)
    )
    assert first == second != third
