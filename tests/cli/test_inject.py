"""Does `edensim inject` flip, write and say what it was asked?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def array(tmp_path: Path) -> Path:
    path = tmp_path / "in.npy"
    np.save(path, np.linspace(-1, 1, 10_000, dtype=np.float32).reshape(100, 100))
    return path


def test_flips_are_written_and_told(
    edensim: Callable[..., subprocess.CompletedProcess[str]], array: Path, tmp_path: Path
) -> None:
    done = edensim(
        "inject",
        array,
        "-o",
        "out.npy",
        "--model",
        "0",
        "--ber",
        "1e-3",
        "--json",
        "out.json",
        "--address",
        "0x1000",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    before, after = np.load(array), np.load(tmp_path / "out.npy")
    assert after.shape == before.shape
    assert (
        told["flips"]
        == int(np.unpackbits((before.view(np.uint32) ^ after.view(np.uint32)).view(np.uint8)).sum())
        > 0
    )
    assert told["bits"] == 320_000
    assert told["address"] == 4096
    assert told["expected_ber"] == pytest.approx(1e-3)
    assert told["model"]["kind"] == "uniform"
    assert f"{told['flips']:,} of 320,000 bits flipped" in done.stdout


def test_implausible_values_are_corrected(
    edensim: Callable[..., subprocess.CompletedProcess[str]], array: Path, tmp_path: Path
) -> None:
    done = edensim(
        "inject", array, "-o", "out.npy", "--ber", "0.01", "--bounds=-1,1", "--json", "-"
    )
    told = json.loads(done.stdout)
    assert told["bounding"]["corrected"] > 0
    assert told["bounding"]["cycles_per_load"] == 1
    assert np.abs(np.load(tmp_path / "out.npy")).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ber", "2"], "BER: expected 0 to 1, found 2"),
        (["--model", "wordlin", "--ber", "0.1"], "did you mean 'wordline'"),
        ([], "errors.module"),
        (["--module", "vendr"], "no such module"),
        (["--ber", "0.1", "--address", "here"], "--address: expected a whole number"),
        (["--ber", "0.1", "--address", "0x1fffffff0"], "do not fit the memory"),
        (["--ber", "0.1", "--bounds", "5"], "--bounds: expected LOW,HIGH"),
        (["--ber", "0.1", "--set", "dram.vdd=1"], "dram.vdd"),
        (["--ber", "0.1", "-o", "in.npy"], "is also an input"),
    ],
)
def test_mistakes_are_one_line(
    refused: Callable[..., str], array: Path, arguments: list[str], message: str
) -> None:
    assert message in refused("inject", array, *arguments)


def test_a_file_of_something_else_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "in.npy").write_text("clock,command\n")
    assert "cannot be read as an array" in refused("inject", "in.npy", "--ber", "0.1")
