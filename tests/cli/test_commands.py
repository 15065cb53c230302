"""Does each command do what its help says, as a user types it?"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edensim as package
from tests.cli.conftest import ROOT, Edensim, environment

HEADER = "clock,command,channel,rank,bankgroup,bank,row,column\n"


@pytest.fixture
def commands(edensim: Edensim, trace: Path, tmp_path: Path) -> Path:
    """A command trace that edensim wrote."""
    done = edensim("simulate", trace.name, "--commands", "commands.csv", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return tmp_path / "commands.csv"


def test_version_and_help(edensim: Edensim) -> None:
    assert edensim("--version").stdout == f"edensim {package.__version__}\n"
    helped = edensim("--help")
    assert helped.returncode == 0
    for command in ("simulate", "energy", "check", "convert", "explain", "standards"):
        assert command in helped.stdout
        assert edensim(command, "--help").returncode == 0


def test_simulate_prints_a_summary_and_writes_the_same_figures(
    edensim: Edensim, trace: Path, tmp_path: Path
) -> None:
    done = edensim("simulate", trace.name, "--json", "out.json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "out.json").read_text())
    assert f"{result['cycles']:,} memory cycles" in done.stdout
    assert result["requests"]["read"] + result["requests"]["write"] == 2000
    assert result["config"]["dram"]["standard"] == "DDR4"
    assert result["version"] == package.__version__
    assert result["energy_pJ"]["total"] > 0


def test_quiet_prints_nothing(edensim: Edensim, trace: Path) -> None:
    done = edensim("simulate", trace.name, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_json_to_standard_output(edensim: Edensim, trace: Path) -> None:
    done = edensim("simulate", trace.name, "--json", "-")
    assert json.loads(done.stdout)["cycles"] > 0


def test_a_run_file_is_the_same_run(edensim: Edensim, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        f"trace: {trace.name}\ndram:\n  channels: 2\ncontroller:\n  scheduler: fcfs\n"
    )
    from_file = json.loads(edensim("simulate", "run.yaml", "--json", "-").stdout)
    overrides = ("--set", "dram.channels=2", "--set", "controller.scheduler=fcfs")
    from_overrides = json.loads(edensim("simulate", trace.name, *overrides, "--json", "-").stdout)
    assert from_file["cycles"] == from_overrides["cycles"]
    assert from_file["config"]["dram"] == from_overrides["config"]["dram"]


def test_python_function_is_the_same_run(edensim: Edensim, trace: Path) -> None:
    result = package.simulate(trace, dram={"channels": 2})
    assert (
        result.cycles
        == json.loads(
            edensim("simulate", trace.name, "--set", "dram.channels=2", "--json", "-").stdout
        )["cycles"]
    )


def test_lower_trcd_and_vdd_change_time_and_energy(trace: Path) -> None:
    nominal = package.simulate(trace)
    faster = package.simulate(trace, dram={"trcd_ns": 7.0})
    lower = package.simulate(trace, dram={"vdd_V": 1.05})
    assert faster.cycles < nominal.cycles
    assert lower.cycles == nominal.cycles
    assert lower.energy_pJ.total == pytest.approx(nominal.energy_pJ.total * 1.05 / 1.2)


def test_commands_are_written_in_order_and_check_accepts_them(
    edensim: Edensim, commands: Path
) -> None:
    with commands.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == HEADER.strip().split(",")
    clocks = [int(row["clock"]) for row in rows]
    assert clocks == sorted(clocks)
    done = edensim("check", commands.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "legal" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_check_names_the_first_violation(edensim: Edensim, tmp_path: Path) -> None:
    (tmp_path / "early.csv").write_text(
        HEADER + "1,ACT,0,0,0,0,5,-1\n10,RD,0,0,0,0,5,0\n11,RD,0,0,0,0,5,0\n"
    )
    done = edensim("check", "early.csv")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "command 2" in done.stderr
    assert "nRCD" in done.stderr
    assert (
        edensim(
            "check", "early.csv", "--set", "dram.timings.nRCD=9", "--set", "dram.standard=DDR4"
        ).returncode
        == 1
    )  # the third is too early


def test_check_follows_the_configuration(edensim: Edensim, tmp_path: Path) -> None:
    (tmp_path / "fast.csv").write_text(HEADER + "1,ACT,0,0,0,0,5,-1\n10,RD,0,0,0,0,5,0\n")
    assert edensim("check", "fast.csv").returncode == 1
    assert edensim("check", "fast.csv", "--set", "dram.timings.nRCD=9").returncode == 0
    (tmp_path / "run.yaml").write_text("dram:\n  timings:\n    nRCD: 9\n")
    assert edensim("check", "fast.csv", "--config", "run.yaml").returncode == 0


def test_energy_of_the_commands_is_that_of_the_run(
    edensim: Edensim, commands: Path, trace: Path, tmp_path: Path
) -> None:
    run = json.loads(edensim("simulate", trace.name, "--json", "-").stdout)
    done = edensim("energy", commands.name, "--end-clock", run["cycles"], "--json", "energy.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "energy" in done.stdout
    energy = json.loads((tmp_path / "energy.json").read_text())
    assert energy["cycles"] == run["cycles"]
    assert energy["energy_pJ"] == pytest.approx(run["energy_pJ"])
    assert "row_hits" not in energy


def test_energy_and_check_follow_partitions_and_changes(
    edensim: Edensim, trace: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text(
        f"trace: {trace.name}\ndram:\n  trcd_ns: 10\n  partitions:\n    - {{name: fast, banks: 0-7, rows: 0-99, vdd_V: 1.0, trcd_ns: 7}}\n"
        "  changes:\n    - {at_cycle: 300, vdd_V: 1.1, trefi_ns: 3900}\ncontroller:\n  row_policy: closed\n"
    )
    run = json.loads(edensim("simulate", "run.yaml", "--commands", "own.csv", "--json", "-").stdout)
    assert run["commands_by_partition"]["fast"]["ACT"] > 0
    assert len(run["operating_points"]["changes_made"]) == 1
    done = edensim(
        "energy", "own.csv", "--config", "run.yaml", "--end-clock", run["cycles"], "--json", "-"
    )
    assert (done.returncode, done.stderr) == (0, "")
    energy = json.loads(done.stdout)["energy_by_partition_pJ"]
    assert {name: part["total"] for name, part in energy.items()} == pytest.approx(
        {name: part["total"] for name, part in run["energy_by_partition_pJ"].items()}
    )
    assert edensim("check", "own.csv", "--config", "run.yaml").returncode == 0
    assert (
        edensim("check", "own.csv", "--set", "dram.trcd_ns=10").returncode == 1
    )  # 7 ns are too soon without the partition
    assert "rows 0-99 of" in edensim("explain", "run.yaml").stdout


def test_convert_keeps_the_run(edensim: Edensim, trace: Path) -> None:
    done = edensim("convert", trace.name, "out.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2,000" in done.stdout
    cycles = [
        json.loads(edensim("simulate", name, "--json", "-").stdout)["cycles"]
        for name in (trace.name, "out.parquet")
    ]
    assert cycles[0] == cycles[1]


def test_explain_says_where_each_value_came_from(
    edensim: Edensim, trace: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\ndram:\n  channels: 2\n")
    done = edensim(
        "explain",
        "run.yaml",
        "--set",
        "dram.timings.nRCD=9",
        "--set",
        "controller.address_mapping=MOP4CLXOR",
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        line.split("  ")[1]: " ".join(line.split())
        for line in done.stdout.splitlines()
        if line.startswith("  ")
    }
    assert rows["dram.channels"] == "dram.channels 2 run.yaml:3"
    assert rows["dram.ranks"] == "dram.ranks 1 default"
    assert rows["controller.address_mapping"].endswith("MOP4CLXOR --set")
    assert rows["dram.speed_bin"].endswith("DDR4.yaml")
    assert rows["nRCD"].startswith("nRCD 9")
    assert rows["nRCD"].endswith("--set")
    assert rows["nRP"].endswith("DDR4.yaml")
    assert rows["access size"].startswith("access size 64 bytes")
    assert "row " in rows["address bits"]
    assert rows["address bits"].endswith("byte 5-0")


def test_explain_shows_every_key(edensim: Edensim) -> None:
    from edensim.config.loading import known_keys

    shown = edensim("explain").stdout
    assert [key for key in known_keys() if f"  {key} " not in shown and key != "dram.timings"] == []


def test_standards_lists_what_can_be_chosen(edensim: Edensim) -> None:
    done = edensim("standards")
    assert done.returncode == 0
    for word in ("DDR3", "DDR4", "8Gb_x8", "2400R"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain",),
        ("standards",),
        ("--help",),
        ("simulate", "small.trace"),
        ("simulate", "small.trace", "--json", "-"),
        ("convert", "small.trace", "out.parquet"),
    ],
)
def test_a_closed_pipe_is_quiet(arguments: tuple[str, ...], trace: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edensim", *arguments]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def test_commands_and_results_go_through_a_pipe(edensim: Edensim, trace: Path) -> None:
    assert edensim(
        "simulate", trace.name, "--quiet", "--commands", "/dev/stdout"
    ).stdout.startswith(HEADER)
    assert (
        json.loads(edensim("simulate", trace.name, "--quiet", "--json", "/dev/stdout").stdout)[
            "cycles"
        ]
        > 0
    )


def test_a_link_keeps_pointing_where_it_does(edensim: Edensim, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for name in ("out.json", "out.csv", "out.parquet"):
        (tmp_path / name).symlink_to(tmp_path / "kept" / name)
    assert (
        edensim("simulate", trace.name, "--json", "out.json", "--commands", "out.csv").returncode
        == 0
    )
    assert edensim("convert", trace.name, "out.parquet").returncode == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "out.csv",
        "out.json",
        "out.parquet",
    ]
    assert all((tmp_path / name).is_symlink() for name in ("out.json", "out.csv", "out.parquet"))


def test_a_full_disk_is_told_without_a_traceback(trace: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edensim", "standards"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("edensim: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_package_is_cheap_to_import() -> None:
    code = "import sys, edensim; print([m for m in ('numpy', 'pandas', 'pyarrow', 'rich', 'numba', 'yaml') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_a_run_loads_nothing_it_does_not_need(trace: Path, tmp_path: Path) -> None:
    heavy = ("pandas", "pyarrow", "rich", "numba", "matplotlib", "scipy", "simpy", "pydantic")
    code = (
        "import sys; from edensim.__main__ import main; "
        f"code = main(['simulate', {str(trace)!r}, '--quiet']); print(code, [m for m in {heavy!r} if m in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    subprocess.run(
        run, cwd=tmp_path, env=environment(), capture_output=True, check=True
    )  # the first run may compile
    done = subprocess.run(
        run, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 []\n"
