"""Do `fit`, `ber` and the pictures of modules do what their help says, and refuse what they cannot?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def bit_map(tmp_path: Path) -> Path:
    """A map of a uniform model: P 0.03, F 0.5, 12 reads."""
    random = np.random.default_rng(5)
    weak = random.random((128, 128)) < 0.03
    path = tmp_path / "map.npz"
    np.savez(path, wrong=random.binomial(12, np.where(weak, 0.5, 0.0)), reads=12, trcd_ns=7.5)
    return path


def test_ber_answers_with_median_and_interval(edensim: Callable, tmp_path: Path) -> None:
    done = edensim("ber", "vendor_a", "--trcd-ns", 7.5, "--json", "out.json")
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "out.json").read_text())
    low, high = answer["ber_interval"]
    assert 0 <= low < answer["ber_median"] < high < 1
    assert "line_fault_fraction" not in answer
    assert "95 %, a module never measured" in done.stdout
    lines = json.loads(edensim("ber", "vendor_b", "--vdd-V", 1.05, "--json", "-").stdout)
    assert lines["line_fault_fraction"] > lines["ber_median"] > 0
    assert "pairing" in lines["assumptions"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vendor_d",), "no such module file"),
        (("vendor_a", "--trcd-ns", 1), "outside its data"),
        (("vendor_a", "--trcd-ns", -5), "expected ns above 0"),
        (("vendor_a", "--trcd-ns", 5, "--temp-C", 90), "90 C"),
        (("vendor_a", "--trcd-ns", 5, "--pattern", "0xf0"), "pattern: expected one of"),
    ],
)
def test_ber_refuses(
    refused: Callable[..., str], arguments: tuple[object, ...], message: str
) -> None:
    assert message in refused("ber", *arguments)


def test_a_map_becomes_a_module_and_a_picture(
    edensim: Callable, bit_map: Path, tmp_path: Path
) -> None:
    done = edensim("fit", bit_map, "-o", "module.yaml", "--json", "fit.json", "--quiet")
    assert done.returncode == 0, done.stderr
    answer = json.loads(edensim("ber", "module.yaml", "--trcd-ns", 7.5, "--json", "-").stdout)
    assert answer["ber_median"] == pytest.approx(0.015, rel=0.2)
    for kind, targets in (
        ("models", ["fit.json"]),
        ("ber", ["module.yaml"]),
        ("weak-cells", ["module.yaml", "--where", "trcd_ns=7.5"]),
    ):
        drawn = edensim("plot", *targets, "--kind", kind, "-o", f"{kind}.png")
        assert drawn.returncode == 0, drawn.stderr
        assert (tmp_path / f"{kind}.png").stat().st_size > 4000


def test_data_that_decide_nothing_write_no_module(edensim: Callable, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(
        "dimm,trcd_ns,ber\n"
        + "".join(f"m{n},{ns},{0.1 if ns == 5 else 0}\n" for n in range(5) for ns in (5, 10))
    )
    done = edensim("fit", "one.csv", "-o", "module.yaml")
    assert done.returncode == 1
    assert "slope is not identifiable" in done.stderr
    assert not (tmp_path / "module.yaml").exists()


def test_fit_refuses(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "percent.csv").write_text("dimm,trcd_ns,ber\nm0,5,12.5\n")
    assert "percent.csv:2: ber: expected a fraction" in refused(
        "fit", "percent.csv", "-o", "module.yaml"
    )
    assert "no such file" in refused("fit", "nothing.csv", "-o", "module.yaml")
    assert "axis: expected one of trcd_ns, vdd_V" in refused(
        "fit", "percent.csv", "-o", "module.yaml", "--axis", "vdd"
    )
