"""Are cycles, SRAM accesses and DRAM accesses those of SCALE-Sim 3.0, word for word?

tests/data/README.md says where the peer's figures come from.
"""

from __future__ import annotations

import csv
from typing import Any

import pytest

from edensim.machines.systolic.scalesim import scalesim_counts
from tests.locations import DATA

GOLDEN = DATA / "scale-sim-3.0"
#: Array and buffers of the configurations in layers.csv.
MACHINES = {"tpu": (256, 256, 6144, 6144, 2048), "eye": (12, 14, 36, 36, 36)}
MACHINE_KEYS = ("array_height", "array_width", "ifmap_sram_kB", "filter_sram_kB", "ofmap_sram_kB")
LAYER_KEYS = {
    "ifmap_height": "ifh",
    "ifmap_width": "ifw",
    "filter_height": "fh",
    "filter_width": "fw",
    "channels": "c",
    "filters": "m",
    "stride_height": "sh",
    "stride_width": "sw",
}
COUNTS = {
    "compute_cycles": "total_cycles",
    "ifmap_sram_reads": "if_sram_reads",
    "filter_sram_reads": "fl_sram_reads",
    "ofmap_sram_writes": "of_sram_writes",
    "ifmap_dram_reads": "if_dram_reads",
    "filter_dram_reads": "fl_dram_reads",
    "ofmap_dram_writes": "of_dram_writes",
}
ROWS = list(csv.DictReader((GOLDEN / "layers.csv").read_text().splitlines()))


def arguments(row: dict[str, str]) -> dict[str, Any]:
    """What the peer was told."""
    machine, dataflow, _ = row["config"].split("_")
    sizes = {key: int(row[column]) for key, column in LAYER_KEYS.items()}
    return sizes | dict(zip(MACHINE_KEYS, MACHINES[machine], strict=True)) | {"dataflow": dataflow}


@pytest.mark.parametrize(
    "config", sorted({row["config"] for row in ROWS if row["config"].endswith("_calc")})
)
def test_every_layer(config: str) -> None:
    for row in ROWS:
        if row["config"] == config:
            assert scalesim_counts(**arguments(row)).to_dict() == {
                key: int(row[column]) for key, column in COUNTS.items()
            }, row["layer"]


def test_sram_accesses_do_not_depend_on_the_bandwidth() -> None:
    rows = [row for row in ROWS if row["config"].endswith("_user")]
    for row in rows:
        counts = scalesim_counts(**arguments(row)).to_dict()
        for key in ("ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes"):
            assert counts[key] == int(row[COUNTS[key]])
        assert counts["compute_cycles"] == int(row["total_cycles"]) - int(row["stall_cycles"])
    assert rows


def test_random_layers() -> None:
    rows = list(csv.DictReader((GOLDEN / "random_layers.csv").read_text().splitlines()))
    for row in rows:
        given = {
            key: value if key == "dataflow" else int(value)
            for key, value in row.items()
            if key not in COUNTS
        }
        assert scalesim_counts(**given).to_dict() == {key: int(row[key]) for key in COUNTS}, given
    assert len(rows) > 150


#: Sums over the layers of a topology on a 256 x 256 array, ws (SCALE-Sim 3.0): cycles, words read and written.
TOTALS = {
    "alexnet": (73747, 393568, 3745824, 3437631),
    "resnet18": (223181, 1919744, 11678912, 6976080),
}


@pytest.mark.parametrize("topology", TOTALS)
def test_whole_networks(topology: str) -> None:
    totals = [0, 0, 0, 0]
    for row in csv.reader((GOLDEN / f"{topology}.csv").read_text().splitlines()):
        if row[0] == "Layer name":
            continue
        sizes = [int(value) for value in row[1:8]]
        given = dict(zip(LAYER_KEYS, [*sizes, sizes[-1]], strict=True)) | dict(
            zip(MACHINE_KEYS, MACHINES["tpu"], strict=True)
        )
        counts = scalesim_counts(**given, dataflow="ws")  # type: ignore[arg-type]
        parts = (
            counts.compute_cycles,
            counts.ifmap_dram_reads,
            counts.filter_dram_reads,
            counts.ofmap_dram_writes,
        )
        totals = [total + part for total, part in zip(totals, parts, strict=True)]
    assert tuple(totals) == TOTALS[topology]
