"""Does a fit find what made the data, refuse what they cannot decide, and name what is wrong with a table?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from edensim.bit_errors.characterization import read_characterization
from edensim.bit_errors.fit import FitOptions, fit
from edensim.bit_errors.module import load_module
from edensim.exceptions import DataError, FitError, InputError
from tests.locations import SHARED

DATA = SHARED / "data" / "dram"
BITS = 2.0**33


def table(
    path: Path,
    *,
    modules: int = 12,
    slope: float = -2.4,
    sd: float = 0.3,
    seed: int = 3,
    x: tuple[float, ...] = (2.5, 5, 7.5, 10, 12.5),
) -> Path:
    """BERs of a made-up vendor: Phi in tRCD, modules that differ by an offset, zeros below what BITS show and from 10 ns on."""
    random = np.random.default_rng(seed)
    lines = ["dimm,pattern,temp_c,trcd_ns,ber,n_bits"]
    for number in range(modules):
        offset = random.normal(0, sd)
        for pattern, middle in (("0x00", -1.0), ("0xff", -1.6)):
            for ns in x:
                rate = (
                    0.5
                    * norm.cdf(middle + slope * (ns - 5) / 2.5 + offset)
                    * 10 ** random.normal(0, 0.03)
                )
                lines.append(
                    f"m{number},{pattern},20,{ns},{rate if rate > 1 / BITS and ns < 10 else 0:.6e},{BITS:.0f}"
                )
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_parameters_come_back(tmp_path: Path) -> None:
    fitted = fit(table(tmp_path / "data.csv"), bootstrap=40)
    curve = fitted.module.curves["trcd"]
    report = fitted.reports["trcd"]
    assert curve.form == "probit"  # type: ignore[union-attr]
    assert curve.variable == "linear"  # type: ignore[union-attr]
    for pattern, offset in (("0x00", -1.0), ("0xff", -1.6)):
        low, high = report.intervals[f"{pattern}.offset"]
        assert low - 0.1 < offset < high + 0.1
        low, high = report.intervals[f"{pattern}.slope"]
        assert low - 0.05 < -2.4 < high + 0.05
    assert 0.15 < curve.spread.offset_sd < 0.5  # type: ignore[union-attr]
    assert curve.structure.kind == "data-dependent"
    path = tmp_path / "module.yaml"
    fitted.save(path)
    assert load_module(path).curves["trcd"].rate_at(("0x00",), 7.5) == pytest.approx(
        0.5 * norm.cdf(-3.4), rel=1.0
    )


def test_one_quantity_or_two_modules_are_not_enough(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="slope is not identifiable"):
        fit(table(tmp_path / "one.csv", x=(5, 10)), bootstrap=10)
    with pytest.raises(FitError, match="fewer than three"):
        fit(table(tmp_path / "two.csv", modules=2), bootstrap=10)


GOOD = "dimm,trcd_ns,ber\nm0,5,0.1\nm0,7.5,0.01\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dimm,trcd_ns\nm0,5\n", r":1: no column of rates; expected one of ber_mean, ber"),
        ("dimm,ber\nm0,0.1\n", ":1: no column of what was lowered"),
        ("trcd_ns,ber\n5,0.1\n", ":1: column 'dimm' is missing"),
        (
            GOOD.replace("0.01", "1.5"),
            r":3: ber: expected a fraction from 0 to 1 \(not a percentage\), found '1.5'",
        ),
        (GOOD.replace("m0,5,", "m0,5e-9,"), ":2: trcd_ns: expected nanoseconds"),
        (GOOD.replace("0.01", "-0.01"), ":3: ber"),
        (GOOD.replace("0.01", "high"), ":3: ber: .*found 'high'"),
        (GOOD.replace("7.5,0.01", "7.5"), ":3: expected 3 values"),
        ("dimm,vdd,ber\nm0,1150,0.1\n", ":2: vdd: expected volts"),
        (
            "dimm,trcd_ns,temp_k,ber\nm0,5,-4,0.1\n",
            ":2: temp_k: expected kelvin, not below 0, found '-4'",
        ),
        ("dimm,trcd_ns,temp_c,ber\nm0,5,-300,0.1\n", ":2: temp_c: expected degrees Celsius"),
        ("dimm,trcd_ns,ber\n", "holds no rows"),
        (
            "dimm,vdd,n_lines,n_faulty_lines\nm0,1.1,10,11\nm0,1.2,10,1\n",
            ":2: n_faulty_lines: more than n_lines",
        ),
        ("dimm,trcd_ns,vdd,ber\nm0,5,1.1,0.1\nm0,7.5,1.2,0.1\n", "both vary"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_characterization(path)


def test_kelvin_is_celsius(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("dimm,trcd_ns,temp_k,ber\nm0,5,293.15,0.1\nm0,7.5,293.15,0.1\n")
    assert read_characterization(path).temp_C.tolist() == [20.0, 20.0]


def test_rows_that_other_effects_made_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(
        "dimm,pattern,trcd_ns,trp_ns,suspect_first_read,split,ber\n"
        "a,0x0,5,12.5,0,train,0.1\na,0x0,7.5,12.5,1,train,0.1\na,0x0,12.5,7.5,0,train,0.1\nb,0x0,5,12.5,0,holdout,0.1\n"
        "c,0xff,2.5,12.5,0,train,0.9\nc,0x0,2.5,12.5,0,train,0.1\nc,0xaa,2.5,12.5,0,train,0.5\n"
    )
    data = read_characterization(path)
    assert data.dropped == {
        "suspect first read": 1,
        "tRP lowered": 1,
        "held back": 1,
        "stuck banks": 2,
    }
    assert data.pattern.tolist() == ["0x00", "0xaa"]


@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the characterization data have no licence to be copied: they must lie beside this checkout",
)
def test_the_shipped_vendor_b_is_what_its_voltage_data_say() -> None:
    fitted = fit(DATA / "voltron_faulty_lines.csv", vendor="B", bootstrap=10)
    found, shipped = fitted.module.curves["vdd"], load_module("vendor_b").curves["vdd"]
    for volts in (1.05, 1.075, 1.1):
        assert np.log10(found.rate_at(("any",), volts)) == pytest.approx(
            np.log10(shipped.rate_at(("any",), volts)), abs=0.1
        )
    with pytest.raises(DataError, match="holds vendors A, B, C"):
        fit(DATA / "voltron_faulty_lines.csv")


def test_options_are_checked_when_they_are_made() -> None:
    with pytest.raises(InputError, match="bootstrap: expected a whole number"):
        FitOptions(bootstrap=-1)
    with pytest.raises(InputError, match="axis: expected one of trcd_ns, vdd_V"):
        FitOptions(axis="trcd")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="vendr: unknown option; did you mean 'vendor'"):
        fit("data.csv", vendr="A")
