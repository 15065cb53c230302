"""Is data put where it is safe, at the least cost, and does the run read it there?"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edensim
from edensim.config.loading import load_config
from edensim.eden.assignment import exact, greedy, safe_costs
from edensim.eden.metadata import metadata
from edensim.exceptions import InputError
from edensim.simulation import prepare
from tests.locations import ROOT

RUNS = ROOT / "configs" / "runs"
LENET = [
    "network=lenet",
    "errors.module=eden-table3",
    "eden.vdd_V=[1.1, 0.95, 0.85]",
    "eden.trcd_ns=[13.3]",
]


@given(st.integers(1, 5), st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_exact_mapping_is_the_best_of_all_and_the_greedy_one_never_beats_it(
    items: int, points: int, most: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    bers = [0.0, *random.random(points - 1)]
    tolerated = random.random(items) * random.integers(0, 2, items)
    costs = safe_costs(random.integers(1, 100, (items, points)).astype(float), bers, tolerated)
    least = min(
        costs[:, list(kept)].min(1).sum()
        for count in range(1, most + 1)
        for kept in itertools.combinations(range(points), min(count, points))
    )
    best, quick = exact(costs, most), greedy(costs, most)
    assert best.cost == pytest.approx(least)
    assert best.bound is not None
    assert best.bound <= least * (1 + 1e-5)
    assert quick.cost >= least - 1e-9
    for found in (best, quick):
        assert len(set(found.point_of)) <= most
        assert all(bers[point] <= ber for point, ber in zip(found.point_of, tolerated, strict=True))


def test_coarse_the_whole_module_is_at_the_cheapest_point_that_is_tolerated() -> None:
    found = edensim.map_to_dram(0.011, RUNS / "cpu-yolo-tiny.yaml", overrides=LENET)
    safe = [point for point in found.points if point["ber"] <= 0.011]
    assert found.run.energy_pJ.total == pytest.approx(min(point["energy_pJ"] for point in safe))
    assert found.comparison["energy_saved"] > 0.05
    assert (
        edensim.map_to_dram(0.05, RUNS / "cpu-yolo-tiny.yaml", overrides=LENET).run.energy_pJ.total
        < found.run.energy_pJ.total
    )


def test_what_no_point_is_safe_for_stays_at_the_nominal_one() -> None:
    found = edensim.map_to_dram(0.0, RUNS / "cpu-yolo-tiny.yaml", overrides=LENET)
    assert all(item["vdd_V"] is None and item["trcd_ns"] is None for item in found.items.values())
    assert found.comparison["energy_saved"] == pytest.approx(0)
    assert any("stays at the nominal point" in text for text in found.notes["said"])


@pytest.mark.parametrize(
    "machine", ["tpu", "cpu"]
)  # rows in order; rows whose lowest bits are XORed
def test_fine_each_tensor_is_read_at_its_partitions_point(machine: str, tmp_path: Path) -> None:
    run = RUNS / f"{machine}-yolo-tiny.yaml"
    names = list(edensim.map_to_dram(0.0, run, overrides=LENET).items)
    tolerated = {name: [0.0, 0.011, 0.06][index % 3] for index, name in enumerate(names)}
    found = edensim.map_to_dram(tolerated, run, overrides=LENET, partitions=3)
    assert len(found.partitions) == 3
    assert all(item["ber"] <= tolerated[name] for name, item in found.items.items())
    found.save_config(tmp_path / "mapped.yaml")
    again = edensim.simulate(config=tmp_path / "mapped.yaml")
    assert again.energy_pJ.total == pytest.approx(found.run.energy_pJ.total)
    prepared = prepare(load_config(tmp_path / "mapped.yaml").config)
    assert prepared.layout is not None
    rows, mapping = prepared.memory.organization.rows, prepared.memory.address_map
    for part in found.partitions:
        first, last = part["rows"]
        assert 0 <= first <= last < rows
        for name in part["items"]:
            placement = prepared.layout[name]
            lying = mapping.decode(
                np.append(np.arange(placement.address, placement.end, 64), placement.end - 1)
            )["row"]
            assert first <= lying.min()
            assert lying.max() <= last


@pytest.mark.parametrize(
    ("tolerated", "said"),
    [
        ({"conv9.weight": 0.1}, "no data item 'conv9.weight'"),
        (1.5, "expected a BER from 0 to 1"),
        ("nothing.json", "cannot be read"),
        ([1], "expected a BER, a tolerance"),
    ],
)
def test_what_cannot_be_accepted_is_said(tolerated: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        edensim.map_to_dram(tolerated, RUNS / "cpu-yolo-tiny.yaml", overrides=LENET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("layout.pinned=[conv9@64]", "has no tensor 'conv9'"),
        ("layout.pinned=[conv1.weight]", "expected TENSOR@ADDRESS"),
        ("layout.pinned=[conv2.weight@0]", "lies upon"),
        ("controller.address_mapping=ChRaBaRoCo", "rows are no ranges of addresses"),
    ],
)
def test_places_that_cannot_be_are_refused(override: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        edensim.map_to_dram(
            {"conv1.weight": 0.06}, RUNS / "tpu-yolo-tiny.yaml", overrides=[*LENET, override]
        ) if "pinned" not in override else (
            edensim.simulate(
                config=RUNS / "tpu-yolo-tiny.yaml", overrides=["network=lenet", override]
            )
        )


def test_tables_of_the_papers_example_take_what_it_says() -> None:
    """Section 5: voltages of 32 banks in 32 bytes; 2^10 partitions' tRCDs would be 512 bytes at 4 bits each."""
    tables = metadata(banks=32, partitions=1024, items=100, bits=8, tck_ps=833, bounding=True)
    assert (
        tables["vdd_table_bytes"],
        tables["trcd_table_bytes"],
        tables["bounds_table_bytes"],
    ) == (32, 512, 200)
    assert json.dumps(tables)
