"""Do supply voltage and tRCD of a configuration become what the standard allows, and nothing else?"""

from __future__ import annotations

import pytest

from edensim.config import DramConfig
from edensim.dram.operating_point import resolve_standard
from edensim.exceptions import ConfigError


def test_without_an_operating_point_it_is_the_standard() -> None:
    assert resolve_standard(DramConfig()).timings["nRCD"] == 16


@pytest.mark.parametrize(("trcd_ns", "cycles"), [(13.328, 16), (13.0, 16), (12.495, 15), (6.6, 8), (0.1, 1), (15.0, 19)])
def test_trcd_becomes_whole_cycles_rounded_up(trcd_ns: float, cycles: int) -> None:
    nominal, changed = resolve_standard(DramConfig()), resolve_standard(DramConfig(trcd_ns=trcd_ns))
    assert changed.timings == {**nominal.timings, "nRCD": cycles}
    assert {c.gap_cycles for c in changed.constraints if c.gap == "nRCD"} == {cycles}


def test_vdd_within_the_range_changes_no_timing() -> None:
    assert resolve_standard(DramConfig(vdd_V=1.05)) == resolve_standard(DramConfig())


@pytest.mark.parametrize(
    ("dram", "message"),
    [
        (DramConfig(vdd_V=0.5), r"^dram.vdd_V: expected 0.72 to 1.26 V for DDR4, found 0.5$"),
        (DramConfig(vdd_V=1.3), r"^dram.vdd_V: "),
        (DramConfig(trcd_ns=13.0, timings={"nRCD": 9}), r"^dram.trcd_ns: 13 and dram.timings.nRCD 9 are both set"),
        (DramConfig(trcd_ns=1e6), r"^dram.trcd_ns: expected at most nRAS"),
        (DramConfig(speed_bin="2401R"), r"^dram.speed_bin: "),
    ],
)
def test_what_cannot_be_is_refused_by_key(dram: DramConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_standard(dram)
