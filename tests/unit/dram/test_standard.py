"""Does every standard's file resolve to the timings, rules and currents it should, and is every mistake in one refused with its line?"""

from __future__ import annotations

import pickle
import textwrap
from pathlib import Path

import pytest

from edensim.config.paths import configs_folder
from edensim.config.strict_yaml import parse_yaml
from edensim.dram.expressions import parse_expression
from edensim.dram.standard import Standard, load_standard, standard_names
from edensim.dram.standard_file import read_standard_file
from edensim.exceptions import ConfigError
from edensim.vocabulary import Command, Level
from tests.oracles.ramulator import CASES, peer_case

NAMES = standard_names()


def every_choice() -> list[tuple[str, str, str]]:
    files = [read_standard_file(configs_folder() / "dram" / f"{name}.yaml") for name in NAMES]
    return [
        (file.content.name, organization, bin_)
        for file in files
        for organization in file.organizations
        for bin_ in file.speed_bins
    ]


def gap(
    standard: Standard,
    level: Level,
    after: Command,
    before: Command,
    window: int = 1,
    sibling: bool = False,
) -> int:
    """Cycles of the strongest rule of that shape."""
    gaps = [
        rule.gap_cycles
        for rule in standard.constraints
        if rule.level is level
        and after in rule.after
        and before in rule.before
        and rule.window == window
        and rule.sibling == sibling
    ]
    return max(gaps)


@pytest.mark.parametrize("name", NAMES)
def test_file_and_name_agree(name: str) -> None:
    assert load_standard(name).name == name


def test_standards_of_the_paper_are_there() -> None:
    assert {"DDR3", "DDR3L", "DDR4", "LPDDR3", "GDDR5"} <= set(NAMES)


def test_every_organization_and_speed_bin_resolves() -> None:
    for name, organization, speed_bin in every_choice():
        standard = load_standard(name, organization=organization, speed_bin=speed_bin)
        timings = standard.timings
        assert timings["nRC"] >= timings["nRAS"] > timings["nRCD"] > 0, (
            name,
            organization,
            speed_bin,
        )
        assert timings["nREFI"] > timings["nRFC"] > timings["nRC"] or name == "GDDR5", (
            name,
            organization,
            speed_bin,
        )
        assert (
            ("nREFIpb" in timings) == ("nRFCpb" in timings) == (Command.REFpb in standard.commands)
        )
        assert standard.gaps_with(timings) == tuple(
            rule.gap_cycles for rule in standard.constraints
        )
        # four transfers per clock in GDDR5, two elsewhere; whole picoseconds round down
        transfers = 4 if name == "GDDR5" else 2
        assert standard.tck_ps == pytest.approx(transfers * 1e6 / standard.rate_MTps, rel=2e-3)


def test_every_set_of_currents_is_in_order() -> None:
    for name, organization, speed_bin in every_choice():
        currents = load_standard(name, organization=organization, speed_bin=speed_bin).currents
        assert (
            0
            < currents.idd2p_mA
            <= currents.idd2n_mA
            <= currents.idd3n_mA
            <= currents.idd0_mA
            < currents.idd4r_mA
        )
        assert currents.idd3n_mA < currents.idd4w_mA
        assert currents.idd3n_mA < currents.idd5_mA
        assert currents.vdd_min_V == pytest.approx(0.6 * currents.vdd_V)
        assert currents.vdd_V < currents.vdd_max_V <= 1.1 * currents.vdd_V


def test_timings_equal_the_golden_ones() -> None:
    for name in CASES:
        case = peer_case(name)
        speed_bin, *overrides = case["speed_preset"].split()
        timings = {
            key: int(value) for key, value in (override.split("=") for override in overrides)
        }
        standard = load_standard(
            case["standard"],
            organization=case["organization_preset"],
            speed_bin=speed_bin,
            ranks=case["organization"]["rank"],
            timings=timings,
        )
        expected = dict(case["timings"])
        assert (standard.rate_MTps, standard.tck_ps) == (
            expected.pop("rate"),
            expected.pop("tCK_ps"),
        ), name
        assert standard.timings == expected, name
        geometry, expected = standard.organization, case["organization"]
        assert (geometry.device_width, geometry.channel_width, geometry.ranks) == (
            expected["device_width"],
            expected["channel_width"],
            expected["rank"],
        )
        assert (geometry.bankgroups, geometry.banks) == (
            expected.get("bankgroup", 1),
            expected["bank"],
        )
        assert (geometry.rows, geometry.columns) == (expected["row"], expected["column"])


@pytest.mark.parametrize(
    ("organization", "speed_bin", "expected"),
    [
        ("8Gb_x8", "2400R", {"nRRDS": 4, "nRRDL": 6, "nFAW": 26, "nRFC": 433, "nREFI": 9364}),
        ("16Gb_x16", "3200AA", {"nRRDS": 9, "nRRDL": 11, "nFAW": 48, "nRFC": 880, "nREFI": 12480}),
        ("2Gb_x4", "1600J", {"nRRDS": 4, "nRRDL": 5, "nFAW": 16, "nRFC": 128, "nREFI": 6240}),
    ],
)
def test_ddr4_derived_timings(organization: str, speed_bin: str, expected: dict[str, int]) -> None:
    timings = load_standard("DDR4", organization=organization, speed_bin=speed_bin).timings
    assert {key: timings[key] for key in expected} == expected


def test_refresh_blocks_all_bank_precharge_in_ddr4_but_not_in_ddr3() -> None:
    for name, blocked in (
        ("DDR4", {Command.ACT, Command.PREab, Command.REFab}),
        ("DDR3", {Command.ACT, Command.REFab}),
    ):
        rules = [rule for rule in load_standard(name).constraints if Command.REFab in rule.after]
        assert {command for rule in rules for command in rule.before} == blocked


def test_ddr3l_is_ddr3_at_another_voltage() -> None:
    ddr3, ddr3l = (
        load_standard("DDR3"),
        load_standard("DDR3L", organization="DDR3_4Gb_x8", speed_bin="DDR3L_1600K"),
    )
    assert (ddr3l.timings, ddr3l.constraints, ddr3l.organization) == (
        ddr3.timings,
        ddr3.constraints,
        ddr3.organization,
    )
    assert (ddr3.currents.vdd_V, ddr3l.currents.vdd_V) == (1.5, 1.35)


def test_gddr5_has_a_window_of_32_activates_and_32_byte_accesses() -> None:
    standard = load_standard("GDDR5")
    assert gap(standard, Level.RANK, Command.ACT, Command.ACT, window=32) == 360
    assert gap(standard, Level.BANK, Command.ACT, Command.RD) == 24
    assert gap(standard, Level.BANK, Command.ACT, Command.WR) == 20
    assert standard.organization.access_bytes == 32


def test_lpddr3_numbers() -> None:
    standard = load_standard("LPDDR3")
    expected = {"nRFC": 168, "nRFCpb": 72, "nREFI": 3120, "nREFIpb": 390, "nCWL": 9, "nFAW": 40}
    assert {key: standard.timings[key] for key in expected} == expected
    assert (standard.organization.devices_per_rank, standard.organization.access_bytes) == (2, 64)
    assert standard.read_latency == 12 + 2 + 4


def test_organization_arithmetic() -> None:
    organization = load_standard("DDR4", ranks=2).organization
    assert (
        organization.devices_per_rank,
        organization.access_bytes,
        organization.bursts_per_row,
    ) == (8, 64, 128)
    assert (organization.banks_per_rank, organization.banks_per_channel) == (16, 32)
    assert organization.channel_bytes == 2 * 8 * 2**30


def test_ddr4_2400_currents_are_the_golden_ones() -> None:
    currents = load_standard("DDR4").currents
    assert (currents.vdd_V, currents.idd0_mA, currents.idd2n_mA, currents.idd3n_mA) == (
        1.2,
        48,
        34,
        43,
    )
    assert (currents.idd4r_mA, currents.idd4w_mA, currents.idd5_mA, currents.idd6_mA) == (
        135,
        123,
        250,
        30,
    )
    assert (currents.idd2p_mA, currents.idd3p_mA) == (25, 37)


def test_borrowed_currents_say_so() -> None:
    assert "currents of 8Gb_x8 at 2400 MT/s" in load_standard("DDR4").source
    slow = load_standard("DDR4", speed_bin="1600K")
    assert slow.currents.idd0_mA == 45
    assert "borrowed from 8Gb_x8 at 1866 MT/s" in slow.source
    assert (
        "borrowed from 8Gb_x16 at 3200 MT/s"
        in load_standard("DDR4", organization="16Gb_x16", speed_bin="3200AA").source
    )
    assert (
        "borrowed from 4Gb_x8 at 2666 MT/s"
        in load_standard("DDR4", organization="2Gb_x8", speed_bin="2933V").source
    )


def test_override_changes_that_timing_only() -> None:
    standard, faster = load_standard("DDR4"), load_standard("DDR4", timings={"nRCD": 9})
    assert {**standard.timings, "nRCD": 9} == faster.timings
    changed = [
        (old.gap, new.gap_cycles)
        for old, new in zip(standard.constraints, faster.constraints, strict=True)
        if old != new
    ]
    assert changed == [("nRCD", 9)]
    assert standard.gaps_with(faster.timings) == tuple(
        rule.gap_cycles for rule in faster.constraints
    )


def test_standard_survives_pickling() -> None:
    standard = load_standard("DDR4")
    assert pickle.loads(pickle.dumps(standard)) == standard


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": "DR4"}, "did you mean 'DDR4'"),
        ({"name": "ddr4"}, "did you mean 'DDR4'"),
        ({"name": "nowhere/none.yaml"}, "there is no file"),
        ({"name": "DDR4", "organization": "8Gb_x9"}, "did you mean '8Gb_x8'"),
        ({"name": "DDR4", "organization": "DDR3_8Gb_x8"}, "has no 'DDR3_8Gb_x8'"),
        ({"name": "DDR4", "speed_bin": "2400Q"}, "did you mean '2400"),
        ({"name": "DDR4", "timings": {"nRCDD": 9}}, "did you mean 'nRCD'"),
        ({"name": "DDR4", "timings": {"nRCD": -1}}, "0 or more"),
        ({"name": "DDR4", "timings": {"nRCD": 9.0}}, "whole number"),
        ({"name": "DDR4", "ranks": 0}, "positive whole number"),
    ],
)
def test_unknown_choices_are_refused(arguments: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_standard(**arguments)  # type: ignore[arg-type]


SMALL = """\
name: SMALL
extends: DDR3
source: a test
default_organization: 1Mb_x8
organizations:
  fields: [density_Mb, device_width, channel_width, banks, rows, columns]
  1Mb_x8: [1, 8, 8, 2, 64, 1024]
"""


def test_a_standard_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SMALL.yaml").write_text(SMALL)
    by_path = load_standard(str(tmp_path / "SMALL.yaml"))
    assert by_path.organization.channel_bytes == 2**17
    assert by_path.timings["nRCD"] == 11
    assert load_standard("SMALL", folder=tmp_path) == by_path
    monkeypatch.setenv("EDENSIM_CONFIGS", str(tmp_path))
    assert load_standard("SMALL", organization="SMALL_1Mb_x8") == by_path
    assert {"SMALL", "DDR4"} <= set(standard_names())


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("source: a test", "sauce: a test", 3, "sauce: unknown key; did you mean 'source'"),
        ("source: a test", "source: a test\nname: B", 4, "duplicate key 'name'; first on line 1"),
        (
            "source: a test",
            "prefetch: '8'",
            3,
            "expected a whole number from 1 to 1000000, found the text '8'",
        ),
        ("source: a test", "prefetch: 0x8", 3, "'0x8' looks like a number"),
        ("source: a test", "commands: [ACT, PRE]", 3, "unknown value 'PRE'"),
        (
            "source: a test",
            "read_latency: nCLL + nBL",
            3,
            "unknown timing 'nCLL'; did you mean 'nCL'",
        ),
        ("source: a test", "read_latency: nCL / 2", 3, "not accepted"),
        (
            "source: a test",
            "constraints:\n  - {level: bank, after: [ACT], before: [RD], gap: nRCDD}",
            4,
            "unknown timing 'nRCDD'",
        ),
        (
            "source: a test",
            "constraints:\n  - {level: bunk, after: [ACT], before: [RD], gap: nRCD}",
            4,
            "expected one of bank, bankgroup, channel, rank, found the text 'bunk'; did you mean 'bank'",
        ),
        (
            "source: a test",
            "constraints:\n  - {level: bank, after: [ACT], before: [RD], gab: nRCD}",
            4,
            "gab: unknown key; did you mean 'gap'",
        ),
        (
            "source: a test",
            "constraints:\n  - {level: bank, after: [ACT], before: [RD]}",
            4,
            "key 'gap' is missing",
        ),
        (
            "source: a test",
            "constraints:\n  - {level: bank, after: [ACT], before: [REFpb], gap: 1}",
            4,
            "unknown value 'REFpb'",
        ),
        (
            "source: a test",
            "supply: {vdd_V: 1.5, vdd_min_V: 1.6, vdd_max_V: 1.7}",
            3,
            "vdd_min_V <= vdd_V",
        ),
        ("source: a test", "interface: {scheme: loop}", 3, "unknown value 'loop'"),
        (
            "source: a test",
            "interface: {scheme: split, vddq_V: 1.5, driver_ohm: 34}",
            3,
            "key 'termination_ohm' is missing",
        ),
        (
            "source: a test",
            "interface: {scheme: none, vddq_V: 1.5, driver_ohm: 34, load_pF: 5.0}",
            3,
            "driver_ohm: unknown key",
        ),
        (
            "source: a test",
            "interface: {scheme: none, vddq_V: 1.5, load_pF: 0}",
            3,
            "expected a number above 0 and at most 1000000.0, found 0",
        ),
        ("source: a test", "derived_timings: {nFAW: [{cycles: 1}]}", 0, "timing 'nRFC' is missing"),
        (
            "source: a test",
            "derived_timings:\n  nFAW:\n    - {cycles: 1, ns: 2}",
            5,
            "either cycles or ns",
        ),
        ("[1, 8, 8, 2, 64, 1024]", "[1, 8, 8, 2, 64]", 7, "expected 6 values"),
        ("[1, 8, 8, 2, 64, 1024]", "[1, 8, 8, 2, 64, '1024']", 7, "found the text '1024'"),
        ("[1, 8, 8, 2, 64, 1024]", "[2, 8, 8, 2, 64, 1024]", 7, "make 1 Mb, but density_Mb is 2"),
        (
            "default_organization: 1Mb_x8",
            "default_organization: 2Mb_x8",
            4,
            "did you mean '1Mb_x8'",
        ),
        ("extends: DDR3", "extends: SMALL", 0, "in a circle"),
        ("[1, 8, 8, 2, 64, 1024]", "[1, 0, 8, 2, 64, 1024]", 7, "device_width: expected a whole"),
        ("[1, 8, 8, 2, 64, 1024]", "[1, 8, 8, 2, 64, 1e300]", 7, "1e300 is out of range"),
        ("source: a test", f"prefetch: {5000 * '8'}", 3, "is out of range"),
        (
            "source: a test",
            "supply: {vdd_V: 1.5, vdd_min_V: 1e999, vdd_max_V: 1.7}",
            3,
            "1e999 is out of range",
        ),
        ("source: a test", f"read_latency: {'-' * 5000}nCL", 3, "expected at most 300"),
        ("extends: DDR3", "extends: DDR33", 0, "did you mean 'DDR3'"),
    ],
)
def test_mistakes_in_a_file_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, expected: str
) -> None:
    path = tmp_path / "SMALL.yaml"
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_standard(str(path))
    message = str(caught.value)
    assert expected in message
    assert "SMALL" in message or "DDR3" in message
    if line:
        assert f"SMALL.yaml:{line}:" in message


@pytest.mark.parametrize("name", ["nBL", "nRCD"])
def test_a_burst_and_an_activation_take_time(name: str) -> None:
    with pytest.raises(ConfigError, match=f"dram.timings.{name}: expected a whole number from 1"):
        load_standard("DDR4", timings={name: 0})


def test_missing_derived_row_can_be_overridden(tmp_path: Path) -> None:
    rows = "derived_timings: {nRRD: [{rate_MTps_upto: 800, cycles: 4}], nFAW: [{cycles: 20}], nRFC: [{ns: 110}], nREFI: [{ns: 7800}]}"
    path = tmp_path / "SMALL.yaml"
    path.write_text(SMALL.replace("source: a test", f"source: a test\n{rows}"))
    with pytest.raises(
        ConfigError, match="derived_timings.nRRD: no row applies to 1Mb_x8 at 1600K"
    ):
        load_standard(str(path))
    assert load_standard(str(path), timings={"nRRD": 7}).timings["nRRD"] == 7


def test_expressions() -> None:
    timings = {"nCL": 11, "nBL": 4}
    assert parse_expression("max(nCL + nBL * 2, 3) - min(nBL, 7, nCL)").value(timings) == 15
    assert parse_expression("-nBL + 1").value(timings) == -3
    for text in (
        "__import__('os')",
        "nCL.real",
        "nCL if nBL else 1",
        "nCL / 2",
        "max(nCL)",
        "1.5",
        "True",
        "max(*nCL, 1)",
        "",
        "a b",
        "[nCL]",
    ):
        with pytest.raises(ConfigError, match="expression"):
            parse_expression(text)
    with pytest.raises(ConfigError, match="did you mean 'nCL'"):
        parse_expression("nCLL").value(timings)
    with pytest.raises(ConfigError, match="expected at most 1000000000000 cycles"):
        parse_expression("nCL * 9999999999999999999 * 9999999999999999999").value(timings)


def test_yaml_values_and_lines() -> None:
    text = textwrap.dedent(
        """\
        a: 1
        b: {c: -2.5, d: [x, 1.0e+5, null]}
        "7": "1600"
        e:
          - f: true
          - [1, 2]
        """
    )
    data, lines = parse_yaml(text, "file")
    assert data == {
        "a": 1,
        "b": {"c": -2.5, "d": ["x", 1e5, None]},
        "7": "1600",
        "e": [{"f": True}, [1, 2]],
    }
    assert (lines["a"], lines["b.c"], lines["7"], lines["e.0.f"], lines["e.1"]) == (1, 2, 3, 5, 6)
    assert parse_yaml("", "file") == ({}, {})


@pytest.mark.parametrize(
    "text",
    [
        "010",
        "0x1F",
        "0o17",
        "1_000",
        "12:30",
        "1e400",
        "-1e400",
        "9223372036854775808",
        "+.inf",
        ".nan",
        "yes",
        "Off",
        "True",
        "NULL",
        "&x 1",
        "!!int 1",
        "{a: 1, a: 2}",
        "*x",
    ],
)
def test_ambiguous_yaml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="file:2: "):
        parse_yaml(f"first: 1\nkey: {text}\n", "file")


@pytest.mark.parametrize(
    "text",
    [
        "- 1\n- 2\n",
        "a: [1, 2\n",
        "word\n",
        "a: 1\n---\nb: 2\n",
        "? [a]\n: 1\n",
        "a: 1\n b: 2\n",
        "a: \x01\n",
    ],
)
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="^file:"):
        parse_yaml(text, "file")


@pytest.mark.parametrize(
    "text", ["DDR4-2400", "3D", "1.2V", "v1.2.3", "2024-01-01", "8Gb_x8", "2400R"]
)
def test_words_stay_words(text: str) -> None:
    assert parse_yaml(f"key: {text}", "file")[0] == {"key": text}
