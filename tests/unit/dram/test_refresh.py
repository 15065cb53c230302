"""Can every accepted refresh setting run, and does each refused one name its key?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edensim.dram.standard import load_standard, standard_names
from edensim.exceptions import ConfigError
from edensim.simulation import simulate
from edensim.vocabulary import Command


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "a.ls"
    path.write_text("LD 0\nST 64\nLD 4194304\nLD 8388608\nLD 128\n")
    return path


@pytest.mark.parametrize(
    "dram",
    [
        {"organization": "16Gb_x8", "ranks": 16},
        {"ranks": 8, "trefi_ns": 3900},
        {"tras_ns": 60_000},
        {"tras_ns": 20_000, "ranks": 2},
        {"timings": {"nRP": 0, "nRAS": 16}},
    ],
)
def test_ranks_refresh_side_by_side_and_refreshes_wait_for_open_rows(
    trace: Path, dram: dict[str, Any]
) -> None:
    result = simulate(trace, dram=dram)
    assert min(result.energy_pJ.to_dict().values()) >= 0


@pytest.mark.parametrize("name", standard_names())
def test_a_rank_in_refresh_begins_no_other_one(name: str) -> None:
    standard = load_standard(name)
    gaps = [
        rule.gap_cycles
        for rule in standard.constraints
        if Command.REFab in rule.after and Command.REFab in rule.before
    ]
    assert max(gaps, default=0) >= standard.timings["nRFC"]


@pytest.mark.parametrize(
    ("dram", "message"),
    [
        ({"trefi_ns": 100}, r"^dram.trefi_ns: expected more than 433 cycles, .* found 120"),
        ({"timings": {"nREFI": 100}}, r"^dram.timings.nREFI: expected more than 433 cycles"),
        (
            {"changes": [{"at_cycle": 100, "trefi_ns": 100}]},
            r"^dram.changes.0.trefi_ns: expected more than 433 cycles",
        ),
        ({"tras_ns": 100_000}, r"^dram.tras_ns: expected at most 84276 cycles.* found 120049"),
        (
            {"partitions": [{"banks": "0", "tras_ns": 100_000}]},
            r"^dram.partitions.0.tras_ns: expected at most 84276 cycles",
        ),
    ],
)
def test_refreshes_that_never_end_or_wait_too_long_are_refused(
    trace: Path, dram: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate(trace, dram=dram)


def test_a_change_beyond_the_end_of_the_run_is_reported(trace: Path) -> None:
    result = simulate(trace, dram={"changes": [{"at_cycle": 10**8, "vdd_V": 1.1}]})
    assert result.operating_points["changes_not_made"] == [0]
    assert "the run ended before dram.changes.0, at cycle 100,000,000" in result.summary()
    made = simulate(trace, dram={"changes": [{"at_cycle": 50, "vdd_V": 1.1}]})
    assert made.operating_points["changes_not_made"] == []
    assert "not made" not in made.summary()
