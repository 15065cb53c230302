"""Does the curve of what cells need at a lower VDD say what its file claims, and never that less voltage needs less time?"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.dram.standard import load_standard
from edensim.dram.voltage import lowest_supported_V, required_timings, voltage_curve, with_timings
from edensim.exceptions import ConfigError

STANDARDS = ("DDR3", "DDR3L", "DDR4", "LPDDR3", "GDDR5", "DDR5", "LPDDR4", "HBM2")

#: This project's circuit simulation of a stored 1: VDD in V, then nRCD, nRP and nRAS in ns.
SIMULATED = (
    (1.35, 10.11, 6.306, 24.65),
    (1.3, 10.14, 6.367, 25.01),
    (1.25, 10.31, 6.415, 25.67),
    (1.2, 10.61, 6.559, 26.58),
    (1.15, 11.05, 6.718, 27.77),
    (1.1, 11.66, 6.99, 29.29),
    (1.05, 12.51, 7.454, 31.26),
    (1, 13.67, 8.308, 33.84),
    (0.95, 15.29, 9.655, 37.29),
    (0.9, 17.57, 11.9, 42.05),
)

#: Latencies published for DDR3L in ns (nRCD, nRP, nRAS): Chang et al. (Voltron), SIGMETRICS 2017.
PUBLISHED = {
    1.35: (13.75, 13.75, 36.25), 1.30: (13.75, 13.75, 36.25), 1.25: (13.75, 15.00, 36.25), 1.20: (13.75, 15.00, 37.50), 1.15: (15.00, 15.00, 37.50),
    1.10: (15.00, 16.25, 40.00), 1.05: (16.25, 17.50, 41.25), 1.00: (17.50, 18.75, 45.00), 0.95: (18.75, 21.25, 48.75), 0.90: (21.25, 26.25, 52.50),
}  # fmt: skip


def needed_steps(vdd_V: float) -> list[float]:
    """What the curve makes of the published nominal latencies, rounded up to steps of 1.25 ns."""
    laws = voltage_curve().laws
    nominal = dict(zip(("nRCD", "nRP", "nRAS"), PUBLISHED[1.35], strict=True))
    return [
        1.25 * math.ceil(round(nominal[name] * getattr(laws, name).stretch(vdd_V / 1.35) / 1.25, 6))
        for name in nominal
    ]


@pytest.mark.parametrize("vdd_V", [v for v in PUBLISHED if v >= 1.0])
def test_within_one_step_of_the_published_latencies_down_to_1_V(vdd_V: float) -> None:
    for needed, published in zip(needed_steps(vdd_V), PUBLISHED[vdd_V], strict=True):
        assert 0 <= needed - published <= 1.25


def test_below_1_V_the_curve_is_longer_than_the_published_latencies() -> None:
    assert [n - p for n, p in zip(needed_steps(0.95), PUBLISHED[0.95], strict=True)] == [
        2.5,
        0,
        2.5,
    ]
    assert [n - p for n, p in zip(needed_steps(0.90), PUBLISHED[0.90], strict=True)] == [3.75, 0, 5]


def test_the_curve_is_the_fit_of_the_circuit_simulation() -> None:
    """Every point of the simulation within 0.31 ns, R2 as the file says; scaled to the published nominal latencies."""
    scales = {
        "nRCD": (1, 13.75 / 1.36, 0.9973),
        "nRP": (2, 6.306, 0.9964),
        "nRAS": (3, 36.25 / 1.36, 0.9992),
    }
    for name, (column, unit_ns, least_r2) in scales.items():
        law = getattr(voltage_curve().laws, name)
        measured = [row[column] for row in SIMULATED]
        shares = [row[0] / 1.35 for row in SIMULATED]
        fitted = [unit_ns * law.scale * x / (x - law.threshold) ** law.exponent for x in shares]
        mean = sum(measured) / len(measured)
        misfit = sum((f - m) ** 2 for f, m in zip(fitted, measured, strict=True))
        assert 1 - misfit / sum((m - mean) ** 2 for m in measured) >= least_r2
        assert max(abs(f - m) for f, m in zip(fitted, measured, strict=True)) < 0.31


@pytest.mark.parametrize("name", STANDARDS)
def test_nothing_changes_at_and_above_the_nominal_voltage(name: str) -> None:
    standard = load_standard(name)
    for vdd_V in (standard.currents.vdd_V, standard.currents.vdd_max_V):
        assert required_timings(standard, vdd_V) == standard.timings


def test_ddr3l_1600_at_1_1_V() -> None:
    """13.75 ns * 1.163 = 15.99 ns = 13 cycles; 13.75 * 1.130 = 15.54 = 13; 35 ns * 1.102 = 38.56 = 31. nRC keeps its distance: 39 + 2 + 3."""
    standard = load_standard("DDR3L", speed_bin="1600K")
    needed = required_timings(standard, 1.1)
    assert needed == {**standard.timings, "nRCD": 13, "nRP": 13, "nRAS": 31, "nRC": 44}


@given(name=st.sampled_from(STANDARDS), lower=st.floats(0.667, 1.0), higher=st.floats(0.667, 1.0))
@settings(deadline=None)
def test_a_lower_voltage_never_needs_less_time(name: str, lower: float, higher: float) -> None:
    standard = load_standard(name)
    lower, higher = sorted((lower, higher))
    slow, fast = (
        required_timings(standard, share * standard.currents.vdd_V) for share in (lower, higher)
    )
    assert all(slow[key] >= fast[key] >= standard.timings[key] for key in standard.timings)


def test_below_its_range_the_curve_says_nothing() -> None:
    standard = load_standard("DDR4")
    assert lowest_supported_V(standard) == 0.8
    required_timings(standard, 0.8)
    with pytest.raises(
        ConfigError,
        match=r"^dram.vdd_V: expected at least 0.8 V, where the curve of what cells need ends for DDR4, found 0.79",
    ):
        required_timings(standard, 0.79)


def test_what_is_bound_to_a_timing_moves_along() -> None:
    gddr5 = load_standard("GDDR5").timings
    assert with_timings(gddr5, {"nRCD": 12}) == {**gddr5, "nRCD": 12, "nRCDWR": 10}
    assert with_timings(gddr5, {"nRAS": 60, "nRP": 30}) == {
        **gddr5,
        "nRAS": 60,
        "nRP": 30,
        "nRC": 90,
    }
    lpddr3 = load_standard("LPDDR3").timings
    assert with_timings(lpddr3, {"nRP": 30})["nRPab"] == 34
    assert with_timings(lpddr3, {"nREFI": lpddr3["nREFI"] * 2})["nREFIpb"] == 780
    assert with_timings(lpddr3, {"nRC": 7, "nRAS": 30})["nRC"] == 7


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nRP: {", "nRX: {", "laws.nRX: unknown key"),
        ("  nRP: {", "  # nRP: {", "laws: key 'nRP' is missing"),
        ("exponent: 0.689849", "exponent: 90.0", "stays below 100 there"),
        ("lowest: 0.6666", "lowest: 1e999", "1e999 is out of range"),
        ("scale: 0.552923", "scale: " + 5000 * "9", "is out of range"),
        ("scale: 0.552923", "slope: 0.552923", "laws.nRCD.slope: unknown key"),
        (
            "scale: 0.552923",
            "scale: -1.0",
            "laws.nRCD.scale: expected a number above 0 below 100, found -1.0",
        ),
        ("lowest: 0.6666", "lowest: 0.5", "threshold: expected less than lowest"),
    ],
)
def test_a_broken_curve_is_refused_with_its_place(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edensim.config.paths import config_folders

    text = (config_folders("modules")[-1] / "array_voltage.yaml").read_text()
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "array_voltage.yaml").write_text(text.replace(old, new))
    monkeypatch.setenv("EDENSIM_CONFIGS", str(tmp_path))
    with pytest.raises(ConfigError, match=rf"array_voltage.yaml:[0-9]+: .*{message}"):
        voltage_curve()
