"""Does a core in closed loop take exactly the cycles of Ramulator 2.1's, at three tRCDs and on one and two channels? (needs ../shared)

A lower tRCD must shorten the run as it does there: the six figures are equal, so every ratio between them is.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import edensim
from tests.locations import SHARED

RECORDED = SHARED / "golden" / "ramulator-2.1-core" / "darknet-yolov3-tiny-96.json"
TRACE = SHARED / "traces" / "darknet-yolov3-tiny-96.llc.trace.xz"

if not (RECORDED.exists() and TRACE.exists()):
    pytest.skip(
        "shared/golden and shared/traces are not beside this checkout", allow_module_level=True
    )

PEER: dict[str, Any] = json.loads(RECORDED.read_text())


@pytest.mark.parametrize(
    "run", PEER["runs"], ids=lambda run: f"{run['channels']}-channels-nRCD-{run['nRCD']}"
)
def test_every_figure_equals_the_peers(run: dict[str, int]) -> None:
    core = PEER["core"]
    assert core["core_cycles_per_memory_cycles"] == [15, 4]  # 4000 MHz beside 2133 MT/s
    result = edensim.simulate(
        TRACE,
        dram={
            "organization": "8Gb_x8",
            "speed_bin": "2133P",
            "channels": run["channels"],
            "timings": {"nRCD": run["nRCD"]},
        },
        source={
            "clock_MHz": 4000.0,
            "instructions": PEER["instructions"],
            "llc_latency_cycles": core["llc_latency_core_cycles"],
            **{key: core[key] for key in ("issue_width", "window", "mshr", "llc_kB", "llc_ways")},
        },
    )
    assert result.core is not None
    found = {
        "core_cycles": result.core["cycles"],
        "memory_cycles": result.cycles,
        "row_hits": result.row_hits,
        "row_misses": result.row_misses,
        "row_conflicts": result.row_conflicts,
        **{key: result.frontend[key] for key in ("dram_reads", "dram_writes")},
    }
    assert found == {key: run[key] for key in found}
