"""Do module files say what they mean, answer inside their data only, and keep EDEN's table 3?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edensim.bit_errors.module import load_module, module_text
from edensim.bit_errors.prediction import error_model, point_of, predict
from edensim.config.loading import load_config
from edensim.dram.operating_point import resolve_operating_plan
from edensim.dram.standard import load_standard
from edensim.exceptions import ModuleError

SHIPPED = ("vendor_a", "vendor_b", "vendor_c", "eden-table3")
#: Network tolerance, VDD and tRCD reductions (Koppula et al., MICRO 2019, table 3).
TABLE3 = (
    (0.005, 0.10, 1.0),
    (0.010, 0.25, 1.0),
    (0.015, 0.25, 2.0),
    (0.030, 0.30, 4.5),
    (0.035, 0.30, 5.0),
    (0.040, 0.30, 5.5),
    (0.050, 0.35, 6.0),
)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_module_is_written_and_read_back(name: str, tmp_path: Path) -> None:
    module = load_module(name)
    path = tmp_path / "copy.yaml"
    path.write_text(module_text(module))
    again = load_module(path)
    assert again == module
    assert module_text(again) == module_text(module)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_larger_reduction_never_fails_less(name: str) -> None:
    module = load_module(name)
    for key, step, argument in (("trcd", 0.25, "trcd_ns"), ("vdd", 0.0125, "vdd_V")):
        curve = module.curves[key]  # type: ignore[index]
        steps = np.arange(curve.low, curve.high + step, step)
        answers = [predict(module, **{argument: float(x)}) for x in steps]  # type: ignore[arg-type]
        medians = [each.ber_median for each in answers]
        assert medians == sorted(medians, reverse=True)
        for each in answers:
            low, high = each.ber_interval
            assert 0 <= low <= each.ber_median <= max(high, curve.detection_limit)
            assert high <= 1


@pytest.mark.parametrize("name", ["vendor_a", "vendor_b", "vendor_c"])
def test_nothing_fails_from_10_ns_upwards(name: str) -> None:
    module = load_module(name)
    assert predict(module, trcd_ns=10).ber_median < 1e-10
    assert predict(module, trcd_ns=13.75).ber_median == 0
    assert predict(module).ber_median < 1e-10


@pytest.mark.parametrize(("tolerated", "volts", "ns"), TABLE3)
def test_table_3_is_the_largest_step_that_a_network_tolerates(
    tolerated: float, volts: float, ns: float
) -> None:
    module = load_module("eden-table3")
    steps = [
        step
        for step in range(1, 13)
        if predict(module, trcd_ns=12.5 - 0.5 * step, beyond_data=True).ber_median
        <= tolerated * (1 + 1e-9)
    ]
    lowest = [
        step
        for step in range(1, 8)
        if predict(module, vdd_V=1.35 - 0.05 * step, beyond_data=True).ber_median
        <= tolerated * (1 + 1e-9)
    ]
    reach = [step for step in steps if 12.5 - 0.5 * step >= 6.5]
    assert max(reach) * 0.5 == pytest.approx(ns)
    assert max(lowest) * 0.05 == pytest.approx(volts)


@pytest.mark.parametrize(
    ("name", "point"),
    [("vendor_a", {"trcd_ns": 5.0}), ("vendor_b", {"trcd_ns": 2.5}), ("vendor_c", {"vdd_V": 1.2})],
)
def test_the_error_model_has_the_predicted_ber(name: str, point: dict[str, float]) -> None:
    module = load_module(name)
    model, answer = error_model(module, **point), predict(module, **point)  # type: ignore[arg-type]
    assert model.expected_ber(1.0) == pytest.approx(answer.ber_of_ones, rel=1e-6)
    assert model.expected_ber(0.0) == pytest.approx(answer.ber_of_zeros, rel=1e-6)


def test_patterns_and_their_other_spellings() -> None:
    module = load_module("vendor_c")
    zeros, ones = (predict(module, trcd_ns=5, pattern=word).ber_median for word in ("0x00", "0xFF"))
    assert zeros > 10 * ones
    assert predict(module, trcd_ns=5, pattern="0x0").ber_median == zeros
    mean = np.mean(
        [
            predict(module, trcd_ns=5, pattern=word).ber_median
            for word in ("0x00", "0xff", "0xaa", "0xcc")
        ]
    )
    assert predict(module, trcd_ns=5).ber_median == pytest.approx(float(mean))


def test_both_lowered_fail_more_than_either_and_say_what_they_assume() -> None:
    module = load_module("vendor_a")
    both = predict(module, trcd_ns=7.5, vdd_V=1.15)
    assert both.ber_median > max(
        predict(module, trcd_ns=7.5).ber_median, predict(module, vdd_V=1.15).ber_median
    )
    assert "both_lowered" in both.assumptions
    assert "both_lowered" not in predict(module, trcd_ns=7.5).assumptions


def test_outside_the_data_is_refused_or_flagged() -> None:
    module = load_module("vendor_a")
    with pytest.raises(ModuleError, match=r"outside its data: tRCD 2 ns \(data: 2.5 to 12.5 ns\)"):
        predict(module, trcd_ns=2)
    assert predict(module, trcd_ns=2, beyond_data=True).beyond_data == (
        "tRCD 2 ns (data: 2.5 to 12.5 ns)",
    )
    with pytest.raises(ModuleError, match="-5 C"):
        predict(module, trcd_ns=5, temp_C=-5)
    with pytest.raises(ModuleError, match="did you mean '0xcc'"):
        predict(module, trcd_ns=5, pattern="0xcd")


def test_a_simulated_point_is_translated_by_difference_or_as_it_is() -> None:
    for name, trcd_ns in (("vendor_a", 10 * 0.833), ("eden-table3", 12.5 - 6 * 0.833)):
        module = load_module(name)
        _, plan = resolve_operating_plan(
            load_config(overrides=["dram.vdd_V=1.1", "dram.trcd_ns=8.33"]).config.dram
        )
        found = point_of(module, load_standard("DDR4"), plan.points[0])
        assert found["vdd_V"] == pytest.approx(1.25)
        assert found["trcd_ns"] == pytest.approx(trcd_ns, abs=0.01)


def test_a_lower_vdd_alone_is_no_shorter_trcd_and_safe_timings_do_not_fail() -> None:
    for overrides, expected in (
        (["dram.vdd_V=1.0"], 1.15),
        (["dram.vdd_V=1.0", "dram.mode=safe"], None),
    ):
        _, plan = resolve_operating_plan(load_config(overrides=overrides).config.dram)
        assert point_of(load_module("vendor_a"), load_standard("DDR4"), plan.points[0]) == {
            "trcd_ns": None,
            "vdd_V": expected,
        }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("saturation: 0.5", "saturation: 1.5", r":\d+: curves.trcd.saturation: .*1.0"),
        ("cutoff: 10.0", "cut_off: 10.0", "unknown key; did you mean 'cutoff'"),
        ("form: probit", "form: probits", "curves.trcd.form"),
        ("format: edensim-module-1", "format: something", "expected 'edensim-module-1'"),
        ('"0xcc": [', '"0xcb": [', "unknown pattern"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = module_text(load_module("vendor_a"))
    assert old in text
    path = tmp_path / "broken.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ModuleError, match=message) as caught:
        load_module(path)
    assert str(caught.value).startswith(f"{path}:")


def test_an_unknown_name_has_a_nearest() -> None:
    with pytest.raises(ModuleError, match="did you mean 'vendor_a'"):
        load_module("vendor_aa")
