"""Do `edensim plot` and `edensim timeline` do what their help says, and refuse what they cannot, as a user types it?"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import edensim as package
from tests.cli.conftest import Edensim

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """result.json and commands.csv of one run."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "small.trace").write_text(
        "".join(f"{'ST' if i % 5 == 4 else 'LD'} {i * 64:#x}\n" for i in range(2000))
    )
    package.simulate(folder / "small.trace", commands=folder / "commands.csv").save(
        folder / "result.json"
    )
    return folder


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> None:
    """The same two files in the test's folder."""
    for name in ("result.json", "commands.csv"):
        shutil.copy(saved / name, tmp_path)


@pytest.mark.usefixtures("run")
def test_plot_draws_a_result_and_its_commands(edensim: Edensim, tmp_path: Path) -> None:
    for arguments, start in (
        (("result.json", "--kind", "energy", "-o", "energy.png"), b"\x89PNG"),
        (("result.json", "result.json", "--kind", "rows", "-o", "rows.pdf"), b"%PDF"),
        (("result.json", "--kind", "latency", "-o", "latency.png"), b"\x89PNG"),
        (("result.json", "--kind", "energy", "--by", "partition", "-o", "parts.png"), b"\x89PNG"),
        (
            (
                "commands.csv",
                "--kind",
                "commands",
                "--clock",
                "100:300",
                "--set",
                "dram.standard=DDR4",
                "-o",
                "commands.svg",
            ),
            b"<?xml",
        ),
    ):
        done = edensim("plot", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{arguments[-1]}: {arguments[arguments.index('--kind') + 1]}\n"
        assert (tmp_path / arguments[-1]).read_bytes().startswith(start)


@pytest.mark.usefixtures("run")
def test_energy_of_a_command_trace_is_drawn(edensim: Edensim, tmp_path: Path) -> None:
    assert edensim("energy", "commands.csv", "--json", "energy.json").returncode == 0
    done = edensim("plot", "energy.json", "--kind", "energy", "-o", "energy.png")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("run")
def test_timeline_is_written(edensim: Edensim, tmp_path: Path) -> None:
    done = edensim("timeline", "commands.csv", "-o", "out.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "DDR4 8Gb_x8 2400R" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["traceEvents"]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("result.json", "--kind", "paretto", "-o", "f.png"), "did you mean 'pareto'"),
        (("result.json", "--kind", "pareto", "-o", "f.jpg"), ".png, .svg, .pdf"),
        (("result.json", "--kind", "pareto", "-o", "f"), ".png, .svg, .pdf"),
        (
            ("result.json", "--kind", "pareto", "--x", "energy_pJ.totl", "-o", "f.png"),
            "did you mean 'energy_pJ.total'",
        ),
        (
            ("result.json", "--kind", "heatmap", "-o", "f.png"),
            "expected two swept keys, found none",
        ),
        (
            ("result.json", "--kind", "exposure", "--by", "banks", "-o", "f.png"),
            "did you mean 'bank'",
        ),
        (
            ("result.json", "--kind", "energy", "--by", "tensor", "-o", "f.png"),
            "requests name tensors",
        ),
        (
            ("result.json", "--kind", "rows", "--by", "tensor", "-o", "f.png"),
            "only for --kind energy and exposure",
        ),
        (
            ("result.json", "result.json", "--kind", "energy", "--by", "partition", "-o", "f.png"),
            "expected one run",
        ),
        (("result.json", "--kind", "commands", "-o", "f.png"), "not a command trace"),
        (("result.json", "--kind", "rows", "--set", "dram.channels=2", "-o", "f.png"), "--set"),
        (("commands.csv", "--kind", "rows", "-o", "f.png"), "--kind commands"),
        (
            ("commands.csv", "--kind", "commands", "--clock", "5000000:6000000", "-o", "f.png"),
            "no command there",
        ),
        (("commands.csv", "--kind", "commands", "--clock", "9", "-o", "f.png"), "FIRST:LAST"),
        (("missing.json", "--kind", "rows", "-o", "f.png"), "no such file"),
        (("result.json", "--kind", "rows", "-o", "nowhere/f.png"), "does not exist"),
        (("result.json", "--kind", "rows"), "--output"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    refused: Refused, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused("plot", *arguments)


def test_an_empty_folder_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    assert "holds no results" in refused("plot", "sweep", "--kind", "pareto", "-o", "f.png")
    (tmp_path / "sweep" / "results.csv").write_text("dram.vdd_V,cycles\n")
    assert "holds no result" in refused("plot", "sweep", "--kind", "pareto", "-o", "f.png")
    (tmp_path / "sweep" / "results.csv").write_text("dram.vdd_V,cycle\n1.2,4\n")
    assert "did you mean 'cycle'" in refused("plot", "sweep", "--kind", "pareto", "-o", "f.png")
    (tmp_path / "sweep" / "results.parquet").write_bytes(b"PAR1 cut short")
    assert "results.parquet: cannot be read" in refused(
        "plot", "sweep", "--kind", "pareto", "-o", "f.png"
    )


@pytest.mark.usefixtures("run")
def test_results_of_another_version_or_cut_short_are_refused(
    refused: Refused, tmp_path: Path
) -> None:
    text = (tmp_path / "result.json").read_text()
    (tmp_path / "other.json").write_text(
        json.dumps({**json.loads(text), "format": 99, "version": "9.9"})
    )
    assert "written by edensim 9.9" in refused(
        "plot", "other.json", "--kind", "rows", "-o", "f.png"
    )
    (tmp_path / "cut.json").write_text(text[: len(text) // 2])
    assert "not a complete result" in refused("plot", "cut.json", "--kind", "rows", "-o", "f.png")
    (tmp_path / "other.json").write_text("[1, 2]")
    assert "not an edensim result" in refused("plot", "other.json", "--kind", "rows", "-o", "f.png")
    (tmp_path / "other.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refused("plot", "other.json", "--kind", "rows", "-o", "f.png")
    values = json.loads(text)
    counted = ("exposure", "read_latency_histogram")
    (tmp_path / "other.json").write_text(
        json.dumps({key: value for key, value in values.items() if key not in counted})
    )
    for kind, name in (("exposure", "exposure"), ("latency", "read_latency_histogram")):
        assert f"holds no '{name}' histogram" in refused(
            "plot", "other.json", "--kind", kind, "-o", "f.png"
        )
    del values["energy_pJ"]["read"], values["row_hits"]
    (tmp_path / "other.json").write_text(json.dumps(values))
    assert "missing" in refused("plot", "other.json", "--kind", "rows", "-o", "f.png")


@pytest.mark.usefixtures("run")
def test_a_figure_never_replaces_its_input(refused: Refused, tmp_path: Path) -> None:
    os.link(tmp_path / "result.json", tmp_path / "link.png")
    (tmp_path / "same.png").symlink_to("result.json")
    assert "is also an input" in refused("plot", "result.json", "--kind", "rows", "-o", "same.png")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("commands.csv", "-o", "out.txt"), ".json or .json.gz"),
        (("commands.csv", "-o", "nowhere/out.json"), "does not exist"),
        (("missing.csv", "-o", "out.json"), "no such file"),
        (("result.json", "-o", "out.json"), "expected the header"),
        (("commands.csv", "-o", "out.json", "--set", "dram.standard=DDR44"), "did you mean 'DDR4'"),
    ],
)
def test_what_has_no_timeline_is_refused(
    refused: Refused, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused("timeline", *arguments)
