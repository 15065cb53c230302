"""Does `profile` write what `fit` reads, and refuse what it cannot do?"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
FOR row IN 0-63
  WRITE 2 row 0x00
END
REPEAT 8
  FOR column IN 0-7
    FOR row IN 0-63
      ACT 2 row 5
      READ column
      PRE
    END
  END
END
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "test.txt"
    path.write_text(PROGRAM)
    return path


def test_a_map_of_a_virtual_module_is_fitted(
    edensim: Callable, program: Path, tmp_path: Path
) -> None:
    done = edensim(
        "profile", "vendor_a", "--program", program, "-o", "map.npz", "--json", "profile.json"
    )
    assert done.returncode == 0, done.stderr
    assert "5.000 ns  0x00  BER 0.0" in done.stdout
    (row,) = json.loads((tmp_path / "profile.json").read_text())["rates"]
    assert (row["bank"], row["n_bits"]) == (2, 8 * 64 * 8 * 512)
    fitted = edensim("fit", "map.npz", "-o", "module.yaml", "--quiet")
    assert fitted.returncode == 0, fitted.stderr
    asked = ("--trcd-ns", 5, "--pattern", "0x00", "--json", "-")
    truth, found = (
        json.loads(edensim("ber", module, *asked).stdout)["ber_median"]
        for module in ("vendor_a", "module.yaml")
    )
    assert found == pytest.approx(row["ber_mean"], rel=0.01)
    assert found == pytest.approx(truth, rel=0.05)


def test_rates_and_rows_of_several_modules(
    edensim: Callable, program: Path, tmp_path: Path
) -> None:
    done = edensim(
        "profile",
        "vendor_a",
        "--program",
        program,
        "-o",
        "rates.csv",
        "--rows",
        "rows.csv",
        "--modules",
        2,
        "--set",
        "errors.seed=9",
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "rates.csv").read_text().splitlines()))
    assert [row["dimm"] for row in rows] == ["vendor_a-1", "vendor_a-2"]
    assert rows[0]["ber_mean"] != rows[1]["ber_mean"]
    assert (
        (tmp_path / "rows.csv").read_text().startswith("dimm,trcd_ns,row,bank2\nvendor_a-1,5.0,0,")
    )


def test_the_standard_test_is_shown_and_runs_when_named(edensim: Callable, tmp_path: Path) -> None:
    shown = edensim("profile", "--show")
    assert shown.returncode == 0, shown.stderr
    assert "ACT bank row trcd" in shown.stdout
    (tmp_path / "shown.txt").write_text(
        shown.stdout.replace("FOR column IN 0-127", "FOR column IN 0-1").replace(
            "REPEAT 4", "REPEAT 1"
        )
    )
    done = edensim("profile", "vendor_b", "--program", "shown.txt", "-o", "rates.csv", "--quiet")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "rates.csv").read_text().splitlines()) == 1 + 4 * 4 * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vendor_a",), "expected MODULE.yaml and -o"),
        (("vendor_a", "-o", "data.txt"), "expected a name that ends in .csv"),
        (("vendor_d", "-o", "data.csv"), "vendor_d: no such module file"),
        (("vendor_a", "-o", "data.csv", "--program", "none.txt"), "none.txt: cannot be read"),
        (
            ("vendor_a", "-o", "data.csv", "--set", "dram.vdd_V=1.1"),
            "the operating point of a test belongs in its program",
        ),
        (("vendor_a", "-o", "data.csv", "--set", "dram.channels=2"), "a board tests one channel"),
        (
            ("vendor_a", "-o", "data.csv", "--set", "dram.standard=HBM2"),
            "standard test:15: column 32: expected a whole number from 0 to 31",
        ),
        (("vendor_a", "-o", "data.npz", "--modules", 2), "a map of bit errors is of one module"),
    ],
)
def test_profile_refuses(
    refused: Callable[..., str], arguments: tuple[object, ...], message: str
) -> None:
    assert message in refused("profile", *arguments)
