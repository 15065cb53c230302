"""Do the commands of EDEN's steps work as they are typed?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Edensim

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


def test_map_and_simulate_what_it_wrote(edensim: Edensim, tmp_path: Path) -> None:
    run = ROOT / "configs" / "runs" / "cpu-yolo-tiny.yaml"
    settings = ("--set", "network=lenet", "--set", "eden.vdd_V=[1.1]", "--set", "eden.trcd_ns=[13.3]")
    done = edensim("map", run, *settings, "--ber", "0.01", "--module", "eden-table3", "-o", tmp_path / "mapped.yaml", "--json", tmp_path / "m.json")
    assert done.returncode == 0, done.stderr
    assert "coarse mapping for least energy" in done.stdout
    mapped = json.loads((tmp_path / "m.json").read_text())
    done = edensim("simulate", tmp_path / "mapped.yaml", "--json", tmp_path / "again.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "again.json").read_text())["energy_pJ"] == mapped["run"]["energy_pJ"]
    assert edensim("map", run, *settings).returncode == 2


def test_the_whole_loop_goes_on_where_it_was(edensim: Edensim, tmp_path: Path) -> None:
    quick = (
        "eden.rounds=1",
        "eden.epochs=2",
        "eden.train_images=256",
        "eden.test_images=96",
        "eden.repeats=2",
        "eden.vdd_V=[1.05]",
        "eden.trcd_ns=[9.0]",
    )
    options = [word for each in quick for word in ("--set", each)]
    run = ROOT / "configs" / "runs" / "eden-lenet-cpu.yaml"
    first = edensim("eden", run, "-o", tmp_path / "eden", *options, "--set", "eden.drop=0.05")
    assert first.returncode == 0, first.stderr
    result = json.loads((tmp_path / "eden" / "eden.json").read_text())
    assert result["accuracy"]["mapped"]["mean"] > 0.5
    assert result["mapping"]["run"]["cycles"] > 0
    again = edensim("eden", run, "-o", tmp_path / "eden", *options, "--set", "eden.drop=0.05")
    assert again.stdout == first.stdout
    mapped = edensim("simulate", tmp_path / "eden" / "mapped.yaml", "--json", tmp_path / "again.json")
    assert mapped.returncode == 0, mapped.stderr
    assert json.loads((tmp_path / "again.json").read_text())["cycles"] == result["mapping"]["run"]["cycles"]
