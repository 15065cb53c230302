"""Do the commands of EDEN's steps work as they are typed?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Edensim

pytest.importorskip("torch")


def test_boost_then_tolerance(edensim: Edensim, tmp_path: Path) -> None:
    weights, boosted, found = (
        tmp_path / "boosted.pt",
        tmp_path / "boosted.json",
        tmp_path / "tolerance.json",
    )
    done = edensim(
        "boost",
        "lenet",
        "--ber",
        "0.02",
        "--epochs",
        "3",
        "--train-images",
        "256",
        "--images",
        "96",
        "-o",
        weights,
        "--json",
        boosted,
    )
    assert done.returncode == 0, done.stderr
    assert [epoch["ber"] for epoch in json.loads(boosted.read_text())["epochs"]] == [0, 0, 0.02]
    done = edensim(
        "tolerance",
        "lenet",
        "--weights",
        weights,
        "--images",
        "96",
        "--repeats",
        "2",
        "--resolution",
        "0.5",
        "--json",
        found,
    )
    assert done.returncode == 0, done.stderr
    assert "tolerable BER" in done.stdout


def test_a_checkpoint_of_another_run_is_refused(edensim: Edensim, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_text("nothing")
    options = (
        "--checkpoint",
        tmp_path / "checkpoint.pt",
        "--resume",
        "--train-images",
        "128",
        "--images",
        "64",
    )
    done = edensim("boost", "lenet", "--ber", "0.02", "-o", tmp_path / "weights.pt", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read as a checkpoint" in done.stderr
    assert not (tmp_path / "weights.pt").exists()


def test_map_and_simulate_what_it_wrote(edensim: Edensim, tmp_path: Path) -> None:
    run = ROOT / "configs" / "runs" / "cpu-yolo-tiny.yaml"
    settings = (
        "--set",
        "network=lenet",
        "--set",
        "eden.vdd_V=[1.1]",
        "--set",
        "eden.trcd_ns=[13.3]",
    )
    done = edensim(
        "map",
        run,
        *settings,
        "--ber",
        "0.01",
        "--module",
        "eden-table3",
        "-o",
        tmp_path / "mapped.yaml",
        "--json",
        tmp_path / "m.json",
    )
    assert done.returncode == 0, done.stderr
    assert "coarse mapping for least energy" in done.stdout
    mapped = json.loads((tmp_path / "m.json").read_text())
    done = edensim("simulate", tmp_path / "mapped.yaml", "--json", tmp_path / "again.json")
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((tmp_path / "again.json").read_text())["energy_pJ"] == mapped["run"]["energy_pJ"]
    )
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
    mapped = edensim(
        "simulate", tmp_path / "eden" / "mapped.yaml", "--json", tmp_path / "again.json"
    )
    assert mapped.returncode == 0, mapped.stderr
    assert (
        json.loads((tmp_path / "again.json").read_text())["cycles"]
        == result["mapping"]["run"]["cycles"]
    )


def test_items_raised_with_retraining_between(edensim: Edensim, tmp_path: Path) -> None:
    options = (
        "--images",
        "96",
        "--repeats",
        "2",
        "--resolution",
        "0.5",
        "--drop",
        "0.05",
        "--begin",
        "0.5",
        "--step",
        "0.5",
        "--cap",
        "2",
    )
    kept = tmp_path / "kept.pt"
    fine = (
        "--fine",
        "--fine-epochs",
        "1",
        "--train-images",
        "128",
        "--save-weights",
        kept,
        "--json",
        tmp_path / "fine.json",
    )
    done = edensim("tolerance", "lenet", *options, *fine)
    assert done.returncode == 0, done.stderr
    assert "retrained_after" in json.loads((tmp_path / "fine.json").read_text())["notes"]["fine"]
    done = edensim(
        "evaluate", "lenet", "--weights", kept, "--images", "96", "--repeats", "1", "--ber", "1e-4"
    )
    assert done.returncode == 0, done.stderr


def test_the_whole_loop_on_data_and_weights_of_ones_own(edensim: Edensim, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for split, count in (("train", 24), ("test", 12)):
        for number in range(count):
            folder = tmp_path / "pictures" / split / ("dark", "light")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            image.new("RGB", (32, 32), (40 + 150 * (number % 2) + number, 90, 120)).save(
                folder / f"{number}.png"
            )
    weights = tmp_path / "resnet20.pt"
    done = edensim(
        "train",
        "resnet20",
        "--data",
        tmp_path / "pictures",
        "--epochs",
        "4",
        "--batch",
        "8",
        "-o",
        weights,
    )
    assert done.returncode == 0, done.stderr
    quick = (
        "rounds=0",
        "train_images=24",
        "test_images=12",
        "repeats=2",
        "vdd_V=[1.05]",
        "trcd_ns=[9.0]",
        "drop=0.3",
    )
    options = [
        word
        for each in (*quick, f"data={tmp_path / 'pictures'}", f"weights={weights}")
        for word in ("--set", f"eden.{each}")
    ]
    done = edensim(
        "eden",
        ROOT / "configs" / "runs" / "eden-resnet20-cpu.yaml",
        *options,
        "-o",
        tmp_path / "eden",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "eden" / "eden.json").read_text())
    assert result["notes"]["weights"] == str(weights)
    assert len(result["mapping"]["items"]) == 40


def test_the_whole_loop_by_item(edensim: Edensim, tmp_path: Path) -> None:
    quick = (
        "rounds=0",
        "train_images=128",
        "test_images=96",
        "repeats=2",
        "vdd_V=[1.05]",
        "trcd_ns=[9.0]",
        "fine=true",
        "fine_epochs=1",
    )
    options = [word for each in quick for word in ("--set", f"eden.{each}")]
    done = edensim(
        "eden", ROOT / "configs" / "runs" / "eden-lenet-cpu.yaml", *options, "-o", tmp_path / "eden"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "eden" / "eden.json").read_text())
    assert result["notes"]["weights"] == str(tmp_path / "eden" / "fine.pt")
    assert len(result["tolerance"]["items"]) == 8
