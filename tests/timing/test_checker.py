"""Does the checker find the first violation of a command list, whatever rule it breaks, and agree with the twin about every clock?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edensim.config.models import ControllerConfig, DramConfig, SourceConfig
from edensim.dram.legality import check_configured
from edensim.dram.memory_system import MemorySystem
from edensim.dram.protocol import CommandChecker, check_commands, require_legal
from edensim.dram.standard import Standard, load_standard
from edensim.exceptions import ProtocolError, TraceError
from edensim.reference.history import IssueHistory, Target
from edensim.reference.simulation import simulate_reference
from edensim.tracefiles.commands import read_commands_csv, with_bank_groups, write_commands_csv
from edensim.vocabulary import COMMAND, REQUEST, Command

Line = tuple[
    int, str, int, int, int, int, int
]  # clock, command, rank, bank group, bank, row, column


def command_list(*lines: Line, channel: int = 0) -> np.ndarray:
    commands = np.zeros(len(lines), dtype=COMMAND)
    for record, (clock, name, rank, bankgroup, bank, row, column) in zip(
        commands, lines, strict=True
    ):
        record["clock"], record["command"], record["channel"] = clock, Command[name], channel
        record["rank"], record["bankgroup"], record["bank"], record["row"], record["column"] = (
            rank,
            bankgroup,
            bank,
            row,
            column,
        )
    return commands


@pytest.fixture(scope="module")
def ddr4() -> Standard:
    return load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", ranks=2)


OPENED: tuple[Line, ...] = ((1, "ACT", 0, 0, 0, 7, -1), (17, "RD", 0, 0, 0, 7, 3))


def test_a_legal_list_passes(ddr4: Standard) -> None:
    commands = command_list(
        *OPENED,
        (40, "PREpb", 0, 0, 0, -1, -1),
        (56, "REFab", 0, -1, -1, -1, -1),
        (489, "ACT", 0, 0, 0, 8, -1),
    )
    assert check_commands(commands, ddr4) is None
    require_legal([commands[:2], commands[2:]], ddr4)


@pytest.mark.parametrize(
    ("lines", "rule", "earlier", "earliest"),
    [
        (((1, "ACT", 0, 0, 0, 7, -1), (16, "RD", 0, 0, 0, 7, 3)), "bank: ACT -> RD >= nRCD (16)", 1, 17),
        ((*(((1 + 4 * n), "ACT", 0, n, 0, 7, -1) for n in range(4)), (26, "ACT", 0, 0, 1, 7, -1)),
         "rank: ACT -> ACT >= nFAW (26) window 4", 1, 27),
        ((*OPENED, (18, "ACT", 1, 0, 0, 7, -1), (18, "RD", 0, 0, 0, 7, 4)), "two commands in one clock on this channel", -1, -1),
        (((1, "ACT", 0, 0, 0, 7, -1), (2, "ACT", 1, 0, 0, 7, -1), (17, "RD", 0, 0, 0, 7, 3), (22, "RD", 1, 0, 0, 7, 3)),
         "other rank: RD -> RD >= nBL + nCS (6)", 17, 23),
        ((*OPENED, (60, "ACT", 0, 0, 0, 9, -1)), "ACT to a bank with row 7 open", -1, -1),
        ((*OPENED, (30, "RD", 0, 0, 0, 8, 3)), "RD to row 8 while row 7 is open", -1, -1),
        (((30, "WR", 0, 0, 0, 8, 3),), "WR to a closed bank", -1, -1),
        (((1, "ACT", 0, 0, 0, 7, -1), (17, "RDA", 0, 0, 0, 7, 3), (60, "RD", 0, 0, 0, 7, 3)), "RD to a closed bank", -1, -1),
        ((*OPENED, (90, "REFab", 0, -1, -1, -1, -1)), "REFab while bank 0 of the channel has row 7 open", -1, -1),
        ((*OPENED, (90, "REFpb", 0, 0, 0, -1, -1)), "DDR4 has no such command", -1, -1),
        ((*OPENED, (9, "PREpb", 0, 0, 1, -1, -1)), "clock goes back from 17", -1, -1),
        (((1, "ACT", 2, 0, 0, 7, -1),), "rank 2 is outside 0..1", -1, -1),
        (((1, "ACT", 0, 4, 0, 7, -1),), "bank group 4 is outside 0..3", -1, -1),
        (((1, "ACT", 0, 0, -1, 7, -1),), "bank -1 is outside 0..3", -1, -1),
        (((1, "ACT", 0, 0, 0, 65536, -1),), "row 65536 is outside 0..65535", -1, -1),
        (((1, "ACT", 0, 0, 0, 7, -1), (17, "RD", 0, 0, 0, 7, 128)), "column 128 is outside 0..127", -1, -1),
    ],
)  # fmt: skip
def test_the_first_violation_is_named(
    ddr4: Standard, lines: tuple[Line, ...], rule: str, earlier: int, earliest: int
) -> None:
    violation = check_commands(command_list(*lines), ddr4)
    assert violation is not None
    assert (violation.rule, violation.earlier_clock, violation.earliest_legal_clock) == (
        rule,
        earlier,
        earliest,
    )
    assert (violation.index, violation.clock, violation.command) == (
        len(lines) - 1,
        lines[-1][0],
        lines[-1][1],
    )


def test_channels_do_not_meet(ddr4: Standard) -> None:
    """Commands in one clock on two channels are legal, and each channel has its own rows."""
    commands = np.concatenate([command_list(*OPENED), command_list(*OPENED, channel=1)])
    assert check_commands(commands, ddr4, channels=2) is None
    violation = check_commands(commands, ddr4, channels=1)
    assert violation is not None
    assert violation.rule == "channel 1 is outside 0..0"


def test_require_legal_raises(ddr4: Standard) -> None:
    with pytest.raises(
        ProtocolError,
        match=r"command 2: clock 16: RD to channel 0 rank 0 bank group 0 bank 0: .*earliest legal clock 17",
    ):
        require_legal(command_list((1, "ACT", 0, 0, 0, 7, -1), (16, "RD", 0, 0, 0, 7, 3)), ddr4)


def test_bank_with_its_own_timings(ddr4: Standard) -> None:
    gaps = ddr4.gaps_with({**ddr4.timings, "nRCD": 9})
    commands = command_list((1, "ACT", 0, 0, 0, 7, -1), (10, "RD", 0, 0, 0, 7, 3))
    assert check_commands(commands, ddr4, bank_gaps={0: gaps}) is None
    assert check_commands(commands, ddr4, bank_gaps={1: gaps}) is not None


def random_requests(count: int, seed: int, standard: Standard) -> np.ndarray:
    generator = np.random.default_rng(seed)
    organization = standard.organization
    requests = np.zeros(count, dtype=REQUEST)
    total = organization.channel_bytes // organization.access_bytes
    requests["address"] = (
        generator.choice(generator.integers(0, total, 12), count) + generator.integers(0, 3, count)
    ) % total
    requests["address"] *= organization.access_bytes
    requests["is_write"] = generator.random(count) < 0.4
    return requests


@pytest.mark.parametrize("row_policy", ["open", "closed", "capped"])
def test_checker_and_twin_agree_on_every_clock(row_policy: Any) -> None:
    """Each command of a twin's run, moved to any clock after its predecessor, is early for the checker exactly where it is for the history."""
    standard = load_standard("DDR4", ranks=2, timings={"nREFI": 900})
    controller = ControllerConfig(row_policy=row_policy, row_cap=2)
    commands = simulate_reference(
        MemorySystem.nominal(standard),
        controller,
        SourceConfig(kind="saturating"),
        [random_requests(120, 7, standard)],
    ).commands
    assert commands is not None
    assert check_commands(commands, standard) is None
    history = IssueHistory(standard)
    checker = CommandChecker(standard)
    previous = 0
    tight = 0
    for record in commands:
        command, target = (
            Command(int(record["command"])),
            Target(*(int(record[name]) for name in ("rank", "bankgroup", "bank", "row", "column"))),
        )
        clock = int(record["clock"])
        state = checker._states.get(0)
        for early in range(max(previous + 1, clock - 40), clock):
            flat = -1 if target.bank < 0 else (target.rank * 4 + target.bankgroup) * 4 + target.bank
            late = (
                None if state is None else checker._timing(state, early, command, target.rank, flat)
            )
            assert (late is None) == history.legal(command, target, early)
            tight += late is not None and late[2] == clock
        history.issue(command, target, clock)
        assert checker.feed(np.array([record], dtype=COMMAND)) is None
        previous = clock
    assert tight > 100


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.xz", ".csv.zst"])
def test_csv_round_trip(tmp_path: Path, suffix: str) -> None:
    commands = command_list(
        *OPENED, (40, "PREab", 0, -1, -1, -1, -1), (80, "REFab", 0, -1, -1, -1, -1), channel=1
    )
    write_commands_csv(tmp_path / f"x{suffix}", commands)
    assert (read_commands_csv(tmp_path / f"x{suffix}") == commands).all()


def test_csv_text(tmp_path: Path) -> None:
    write_commands_csv(tmp_path / "x.csv", command_list(*OPENED))
    assert (
        (tmp_path / "x.csv").read_text()
        == "clock,command,channel,rank,bankgroup,bank,row,column\n1,ACT,0,0,0,0,7,-1\n17,RD,0,0,0,0,7,3\n"
    )


def test_csv_of_other_tools(tmp_path: Path) -> None:
    """No channel column, lower-case names, JEDEC's short names."""
    lines = (
        "clock,command,rank,bankgroup,bank,row,column",
        "1,act,0,0,0,7,-1",
        "40,PRE,0,0,0,-1,-1",
        "41,prea,0,-1,-1,-1,-1",
        "80,REF,0,-1,-1,-1,-1",
    )
    (tmp_path / "x.csv").write_text("\n".join(lines))
    commands = read_commands_csv(tmp_path / "x.csv")
    assert [Command(code).name for code in commands["command"]] == [
        "ACT",
        "PREpb",
        "PREab",
        "REFab",
    ]
    assert not commands["channel"].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1: expected the header"),
        ("clock,comand,rank,bankgroup,bank,row,column\n", "1: .*did you mean 'command'"),
        ("clock,command,rank,bank,row\n", "1: column 'column' is missing"),
        ("clock,command,rank,bank,row,column,column\n", "1: column 'column' appears twice"),
        (
            "clock,command,rank,bank,row,column\n1,ACT,0,0,7,-1\n2,ATC,0,0,7,-1\n",
            "3: unknown command 'ATC'; did you mean 'ACT'",
        ),
        ("clock,command,rank,bank,row,column\n1,ACT,0,0,7\n", "2: expected 6 fields"),
        (
            "clock,command,rank,bank,row,column\n1,ACT,0,0,seven,-1\n",
            "2: row: expected a whole number, found 'seven'",
        ),
        (
            "clock,command,rank,bank,row,column\n1,ACT,0,99999,7,-1\n",
            "2: bank: expected -1..32767, found 99999",
        ),
        (
            "clock,command,rank,bank,row,column\n-4,ACT,0,0,7,-1\n",
            "2: clock: expected 0..9223372036854775807, found -4",
        ),
    ],
)
def test_bad_csv_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(TraceError, match=rf"bad\.csv:{message}"):
        read_commands_csv(tmp_path / "bad.csv")


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="none.csv: no such file"):
        read_commands_csv(tmp_path / "none.csv")
    for suffix in (".gz", ".xz", ".zst"):
        write_commands_csv(tmp_path / f"cut.csv{suffix}", command_list(*OPENED))
        (tmp_path / f"cut.csv{suffix}").write_bytes(
            (tmp_path / f"cut.csv{suffix}").read_bytes()[:-12]
        )
        with pytest.raises(TraceError, match="cut off: .* end early"):
            read_commands_csv(tmp_path / f"cut.csv{suffix}")


def test_command_traces_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,ACT,0,0,0,0,7,-1\n17,RD,0,0,0,0,7,3\n")
    assert (read_commands_csv(path) == command_list(*OPENED)).all()
    path.write_text("1,ACT,0,0\n")
    with pytest.raises(TraceError, match=r"x\.csv:1: found no header, and 4 columns"):
        read_commands_csv(path)


def test_drampower_command_traces(tmp_path: Path) -> None:
    """Their banks count through all bank groups, and whole ranks have bank 0."""
    path = tmp_path / "x.csv"
    path.write_text("0,ACT,13\n20,RDA,13\n100,PREA,0\n130,REF,0\n")
    commands = with_bank_groups(read_commands_csv(path), 4, 4)
    assert commands["bankgroup"].tolist() == [3, 3, -1, -1]
    assert commands["bank"].tolist() == [1, 1, -1, -1]
    assert commands["row"].tolist() == [0, -1, -1, -1]
    standard, violation = check_configured(commands, DramConfig())
    assert violation is None
    path.write_text("0,ACT,0\n5,PDN_F_ACT,0\n")
    with pytest.raises(TraceError, match="x.csv:2: unknown command 'PDN_F_ACT'"):
        read_commands_csv(path)


def test_compression_is_told_by_the_bytes(tmp_path: Path) -> None:
    write_commands_csv(tmp_path / "x.csv.xz", command_list(*OPENED))
    (tmp_path / "x.csv.xz").rename(tmp_path / "x.csv")
    assert len(read_commands_csv(tmp_path / "x.csv")) == 2


def test_rows_have_their_own_timings() -> None:
    """Rows 0 to 9 of bank 0 may be read nRCD 8 after their ACT, others 16; a clock less is named. After a change the module's rows have 13."""
    partitions = [{"banks": "0", "rows": "0-9", "trcd_ns": 6.6}]
    changes = [{"at_cycle": 500, "trcd_ns": 10.0}]
    dram = msgspec.convert({"partitions": partitions, "changes": changes}, DramConfig)
    for row, clock, nRCD in ((5, 100, 8), (20, 100, 16), (20, 600, 13), (5, 600, 8)):
        for gap, legal in ((nRCD, True), (nRCD - 1, False)):
            commands = np.zeros(2, COMMAND)
            commands["clock"], commands["command"], commands["row"] = (
                (clock, clock + gap),
                (Command.ACT, Command.RD),
                row,
            )
            _, violation = check_configured(commands, dram)
            assert (violation is None) == legal, (row, clock, gap)
