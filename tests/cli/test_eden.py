"""Do the commands of EDEN's steps work as they are typed?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Edensim

pytest.importorskip("torch")


def test_boost_then_tolerance(edensim: Edensim, tmp_path: Path) -> None:
    weights, boosted, found = tmp_path / "boosted.pt", tmp_path / "boosted.json", tmp_path / "tolerance.json"
    done = edensim("boost", "lenet", "--ber", "0.02", "--epochs", "3", "--train-images", "256", "--images", "96", "-o", weights, "--json", boosted)
    assert done.returncode == 0, done.stderr
    assert [epoch["ber"] for epoch in json.loads(boosted.read_text())["epochs"]] == [0, 0, 0.02]
    done = edensim("tolerance", "lenet", "--weights", weights, "--images", "96", "--repeats", "2", "--resolution", "0.5", "--json", found)
    assert done.returncode == 0, done.stderr
    assert "tolerable BER" in done.stdout


def test_a_checkpoint_of_another_run_is_refused(edensim: Edensim, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_text("nothing")
    options = ("--checkpoint", tmp_path / "checkpoint.pt", "--resume", "--train-images", "128", "--images", "64")
    done = edensim("boost", "lenet", "--ber", "0.02", "-o", tmp_path / "weights.pt", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read as a checkpoint" in done.stderr
    assert not (tmp_path / "weights.pt").exists()
