"""Do pictures show what was saved: right points, right words, the same bytes twice, and a clear refusal of what cannot be drawn?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edensim
from edensim.config.loading import load_config
from edensim.dram.standard import load_standard
from edensim.exceptions import InputError
from edensim.plots.commands import OpenRow, clock_window, open_rows, parse_clocks
from edensim.plots.curves import front_of, spread
from edensim.plots.division import divide
from edensim.plots.grids import draw_heatmap
from edensim.plots.histograms import Histogram, bin_edges, draw_exposure, draw_latency
from edensim.plots.labels import axis_label, caption, point_names, scale_of, short_value
from edensim.plots.layers import draw_layers
from edensim.plots.plot import KINDS, MODULE_KINDS, PlotOptions, plot
from edensim.plots.points import Points, flat, load_points
from edensim.plots.style import COLOURS, whole
from edensim.simulation import run
from edensim.vocabulary import COMMAND, Command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep over VDD and tRCD as a folder of results, and the commands of one run."""
    folder = tmp_path_factory.mktemp("results")
    trace = folder / "small.trace"
    trace.write_text(
        "".join(
            f"{'ST' if i % 5 == 4 else 'LD'} {(i * 64 + (i // 7) * 8192 * 13) % (1 << 30):#x}\n"
            for i in range(700)
        )
    )
    for vdd_V in (1.1, 1.2):
        for trcd_ns in (8.0, 12.0, 14.0):
            result = edensim.simulate(
                trace, dram={"vdd_V": vdd_V, "trcd_ns": trcd_ns}, commands=folder / "commands.csv"
            )
            result.save(folder / f"{vdd_V}_{trcd_ns}.json")
    return folder


def with_exposure(folder: Path, target: Path, **section: Any) -> Path:
    values = json.loads((folder / "1.2_12.0.json").read_text())
    target.write_text(json.dumps({**values, "exposure": section}))
    return target


COUNTS = [0] * 9 + [5, 10, 20, 40, 30, 20, 10, 5, 2, 1] + [0] * 200


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *((kind, ".svg") for kind in KINDS if kind not in MODULE_KINDS),
        ("pareto", ".png"),
        ("exposure", ".png"),
        ("heatmap", ".pdf"),
    ],
)
def test_every_kind_is_drawn_twice_into_the_same_bytes(
    folder: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    target: Path = folder
    if kind == "commands":
        target = folder / "commands.csv"
    elif kind == "exposure":
        target = with_exposure(
            folder, tmp_path / "one.json", bin_cycles=1, counts=COUNTS, out_of_specification=116
        )
    elif kind == "layers":
        target = tmp_path / "one.json"
        run(load_config(None, ["frontend=tpu", "network=lenet", "baselines=[]"]).config).save(
            target
        )
    elif kind == "latency":
        values = json.loads((folder / "1.2_12.0.json").read_text())
        target = tmp_path / "one.json"
        target.write_text(
            json.dumps(
                {
                    **values,
                    "read_latency_histogram": {"bins": [20, 21, 60, 8191], "counts": [9, 5, 3, 1]},
                }
            )
        )
    pictures = []
    for name in ("a", "b"):
        plot([target], kind, tmp_path / f"{name}{suffix}")
        pictures.append((tmp_path / f"{name}{suffix}").read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])
    assert len(pictures[0]) > 4000
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == suffix) == [
        f"a{suffix}",
        f"b{suffix}",
    ]


def test_the_front_is_the_points_that_none_beats() -> None:
    x, y = [1.0, 2.0, 3.0, 2.0, 4.0], [9.0, 5.0, 4.0, 6.0, 4.0]
    assert front_of(x, y) == [0, 1, 2]
    assert front_of(x, y, more_x=True) == [4]
    assert front_of(x, y, more_x=True, more_y=True) == [0, 3, 4]
    assert spread(list(range(100)), 3) == [0, 50, 99]


def test_points_know_what_was_swept(folder: Path) -> None:
    points = load_points([folder])
    assert len(points) == 6
    assert points.swept() == ["config.dram.vdd_V", "config.dram.trcd_ns"]
    assert point_names(points)[0] == "1.1 V, tRCD 12 ns"
    assert len(points.where(["dram.vdd_V=1.2"])) == 3
    assert len(points.where(["dram.vdd_V=1.2", "dram.trcd_ns=8"])) == 1


def test_a_table_is_the_same_points(folder: Path, tmp_path: Path) -> None:
    points = load_points([folder])
    keys = ["config.dram.vdd_V", "config.dram.trcd_ns", "cycles", "time_ns", "energy_pJ.total"]
    lines = [",".join(key.removeprefix("config.") for key in keys)]
    lines += [",".join(str(row[key]) for key in keys) for row in points.rows]
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    table = load_points([tmp_path])
    assert table.swept() == points.swept()
    assert table.numbers("energy_pJ.total") == points.numbers("energy_pJ.total")


def test_a_sweeps_folder_is_its_points(folder: Path, tmp_path: Path) -> None:
    sweep = pytest.importorskip("edensim.sweep.sweep").sweep
    sweep(
        folder / "small.trace",
        {"dram.vdd_V": [1.1, 1.2], "dram.trcd_ns": [8.0, 12.0]},
        out=tmp_path / "sweep",
        workers=1,
    )
    points = load_points([tmp_path / "sweep"])
    assert points.swept() == ["config.dram.vdd_V", "config.dram.trcd_ns"]
    one = load_points([folder / "1.1_8.0.json"])
    assert points.where(["dram.vdd_V=1.1", "dram.trcd_ns=8"]).numbers(
        "energy_pJ.total"
    ) == one.numbers("energy_pJ.total")
    plot([tmp_path / "sweep"], "heatmap", tmp_path / "grid.svg")


def test_a_heat_map_has_a_cell_per_point(folder: Path) -> None:
    panel = draw_heatmap(load_points([folder]), "dram.trcd_ns", None, "cycles")
    axes = panel.axes[0]
    grid = np.asarray(axes.images[0].get_array())
    assert grid.shape == (2, 3)
    assert (grid[0] == grid[1]).all()  # VDD moves no command
    assert (np.diff(grid[0]) >= 0).all()
    assert axes.get_xlabel() == "Activation latency tRCD (ns)"
    assert axes.get_ylabel() == "Supply voltage VDD (V)"


def test_labels_carry_units_and_captions_the_configuration(folder: Path) -> None:
    assert axis_label("read_latency_cycles.mean") == "Mean read latency (cycles)"
    assert axis_label("config.dram.timings.nRCD") == "nRCD (cycles)"
    assert axis_label("energy_pJ.activate", "nJ") == "Activate energy (nJ)"
    assert axis_label("average_power_mW") == "Average DRAM power (mW)"
    assert scale_of("time_ns", [2.5e6]) == (1e6, "ms")
    assert short_value("config.dram.timings.nRCD", 9) == "nRCD 9"
    words = caption(load_points([folder]))
    for word in (
        "DDR4",
        "8Gb_x8",
        "2400R",
        "1 channel",
        "frfcfs",
        "saturating",
        "small.trace",
        edensim.__version__,
        "seed 0",
        "dram.vdd_V (2 values)",
    ):
        assert word in words


def test_the_caption_stands_in_the_picture(folder: Path, tmp_path: Path) -> None:
    panel = draw_heatmap(load_points([folder]), None, None, None)
    texts = [text.get_text() for subfigure in whole(panel).subfigs for text in subfigure.texts]
    assert "small.trace" in " ".join(texts).replace("\n", " ")


def test_colours_differ_in_grey() -> None:
    greys = sorted(
        sum(w * int(c[i : i + 2], 16) for w, i in ((0.299, 1), (0.587, 3), (0.114, 5)))
        for c in COLOURS[:3]
    )
    assert min(b - a for a, b in zip(greys, greys[1:], strict=False)) > 8


def test_exposure_bins_keep_every_read() -> None:
    narrow = Histogram("a", tuple(COUNTS), 1, 0)
    wide = Histogram("b", tuple([0] * 16 + [3] * 4000), 1, 1)
    for histograms in ([narrow], [wide], [narrow, wide], [Histogram("c", (0, 0, 4, 1), 8, 0)]):
        edges = bin_edges(histograms)
        assert edges == sorted(set(edges))
        assert len(edges) < 260
        for histogram in histograms:
            assert sum(histogram.binned(edges)) == histogram.reads


def test_latencies_are_drawn_from_the_bins_that_hold_reads(folder: Path, tmp_path: Path) -> None:
    values = json.loads((folder / "1.2_12.0.json").read_text())
    for bins, words in (([20, 60], ""), ([20, 8191], "the last bin holds 8,191 or more")):
        (tmp_path / "one.json").write_text(
            json.dumps({**values, "read_latency_histogram": {"bins": bins, "counts": [9, 5]}})
        )
        panel = draw_latency(load_points([tmp_path / "one.json"]))
        assert panel.axes[0].get_xlabel() == "; ".join(
            filter(None, ("Read latency (memory cycles)", words))
        )


def divided(folder: Path, target: Path, banks: int = 16) -> Points:
    """A run with exposures by bank, tensor and partition, and energy by tensor."""
    values = json.loads((folder / "1.2_12.0.json").read_text())
    tensors = {"conv1.weights": COUNTS, "3": COUNTS}
    partitions = {"low": {"counts": COUNTS, "reads": 143, "out_of_specification": 7}}
    by = {"by_bank": [[COUNTS] * banks], "by_tensor": tensors, "by_partition": partitions}
    values |= {
        "exposure": {
            "bin_cycles": 1,
            "bins": 256,
            "counts": COUNTS,
            "out_of_specification": 116,
            **by,
        }
    }
    energy = {"activate": 1e3, "precharge": 1e3, "read": 3e3, "write": 0.0, "io": 2e3, "total": 5e3}
    target.write_text(
        json.dumps({**values, "energy_by_tensor_pJ": {"conv1.weights": energy, "3": energy}})
    )
    return load_points([target])


def test_parts_of_a_run_are_named_and_kept_apart(folder: Path, tmp_path: Path) -> None:
    points = divided(folder, tmp_path / "one.json")
    assert divide(points, "exposure", "bank").names == tuple(f"bank {bank}" for bank in range(16))
    assert divide(points, "exposure", "tensor").names == ("conv1.weights", "tensor 3")
    partitions = divide(points, "exposure", "partition")
    assert (partitions.names, partitions.rows[0]["exposure.out_of_specification"]) == (("low",), 7)
    tensors = divide(points, "energy", "tensor")
    assert (tensors.names, tensors.rows[1]["energy_pJ.read"]) == (
        ("conv1.weights", "tensor 3"),
        3e3,
    )
    assert "energy_pJ.refresh" not in tensors.rows[0]
    with pytest.raises(InputError, match="holds no exposure.by_tensor"):
        divide(
            load_points(
                [with_exposure(folder, tmp_path / "two.json", bin_cycles=1, counts=COUNTS)]
            ),
            "exposure",
            "tensor",
        )


def test_tensors_that_take_little_energy_are_one(folder: Path, tmp_path: Path) -> None:
    path = with_exposure(folder, tmp_path / "one.json")
    tensors = {f"t{i}": {"read": float(i), "total": float(i)} for i in range(100)}
    path.write_text(json.dumps({**json.loads(path.read_text()), "energy_by_tensor_pJ": tensors}))
    parts = divide(load_points([path]), "energy", "tensor")
    assert parts.names == (*(f"t{i}" for i in range(61, 100)), "61 others")
    assert sum(row["energy_pJ.total"] for row in parts.rows) == sum(range(100))


@pytest.mark.parametrize("banks", [9, 40])
def test_many_parts_are_small_multiples(folder: Path, tmp_path: Path, banks: int) -> None:
    panel = draw_exposure(divide(divided(folder, tmp_path / "one.json", banks), "exposure", "bank"))
    shown = [axes for axes in panel.axes if axes.get_visible()]
    assert len(shown) == min(banks, 24)
    assert shown[0].get_title() == "bank 0 (143)"
    title = panel.get_suptitle()
    assert ("the 24 with most reads of 40" in title) == (banks == 40)


def test_exposure_shows_the_specified_interval(folder: Path, tmp_path: Path) -> None:
    path = with_exposure(
        folder, tmp_path / "one.json", bin_cycles=1, counts=COUNTS, out_of_specification=116
    )
    panel = draw_exposure(load_points([path]))
    words = " ".join(text.get_text() for text in panel.axes[0].texts)
    assert f"specified nRCD {load_standard('DDR4').timings['nRCD']}" in words
    assert "116 of 143" in words


def commands(*rows: tuple[int, Command, int, int]) -> np.ndarray[Any, Any]:
    """clock, command, bank, row."""
    records = np.zeros(len(rows), COMMAND)
    for record, (clock, command, bank, row) in zip(records, rows, strict=True):
        record["clock"], record["command"], record["bank"], record["row"] = (
            clock,
            command,
            bank,
            row,
        )
    return records


def test_rows_are_open_from_act_to_whatever_closes_them() -> None:
    trace = commands(
        (1, Command.ACT, 0, 7),
        (2, Command.ACT, 1, 8),
        (3, Command.ACT, 2, 9),
        (20, Command.RD, 0, 7),
        (30, Command.PREpb, 0, -1),
        (31, Command.RDA, 1, 8),
        (40, Command.PREab, -1, -1),
        (60, Command.ACT, 0, 5),
    )
    assert open_rows(trace, 70) == [
        OpenRow((0, 0, 0, 0), 7, 1, 30),
        OpenRow((0, 0, 0, 1), 8, 2, 31),
        OpenRow((0, 0, 0, 2), 9, 3, 40),
        OpenRow((0, 0, 0, 0), 5, 60, 70),
    ]
    assert clock_window(trace["clock"], None) == (1, 60)
    assert parse_clocks("5:9") == (5, 9)


@pytest.mark.parametrize("text", ["5", "9:5", "a:b", "-1:5", ":", "5:5"])
def test_a_clock_range_is_two_clocks(text: str) -> None:
    with pytest.raises(InputError, match="--clock"):
        parse_clocks(text)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("pareto", {"x": "dram.vdd"}, "did you mean 'dram.vdd_V'"),
        ("pareto", {"y": "total"}, "did you mean 'energy_pJ.total'"),
        ("pareto", {"x": "config.controller.scheduler"}, "expected a number"),
        ("heatmap", {"x": "dram.vdd_V", "y": "dram.vdd_V"}, "expected two keys"),
        ("heatmap", {"where": ["dram.vdd_V=1.1"]}, "expected two swept keys, found dram.trcd_ns"),
        ("heatmap", {"x": "dram.vdd_V", "y": "controller.scheduler"}, "--where dram.trcd_ns=VALUE"),
        ("heatmap", {"where": ["dram.vdd_V=1.15"]}, "found 1.1, 1.2"),
        ("heatmap", {"where": ["dram.vdd_V"]}, "KEY=VALUE"),
        ("energy", {"y": "cycles"}, "only --x"),
        ("rows", {"value": "cycles"}, "only --x"),
        ("exposure", {"y": "cycles"}, "only --value"),
        ("latency", {"x": "cycles"}, "only --value"),
        ("bandwidth-latency", {"x": "cycles"}, "fixed axes"),
        ("energy", {"clocks": (1, 2)}, "--clock"),
        ("commands", {}, "not a command trace"),
        ("commands", {"x": "cycles"}, "--x"),
        ("paretto", {}, "did you mean 'pareto'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    folder: Path, tmp_path: Path, kind: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as refused:
        plot([folder], kind, tmp_path / "figure.png", PlotOptions(**options))
    assert words in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"counts": "many"},
        {"counts": [1.5]},
        {"counts": [1, -1]},
        {"counts": []},
        {"counts": [0, 0]},
        {"counts": [1], "bin_cycles": 0},
    ],
)
def test_a_damaged_exposure_is_refused(
    folder: Path, tmp_path: Path, section: dict[str, Any]
) -> None:
    path = with_exposure(folder, tmp_path / "one.json", **section)
    with pytest.raises(InputError, match="exposure"):
        plot([path], "exposure", tmp_path / "figure.png")


def test_too_many_series_are_refused() -> None:
    rows = tuple(
        flat(
            {
                "cycles": 1,
                "time_ns": float(i),
                "energy_pJ": {"total": 1.0, "read": 1.0},
                "config": {"trace": f"t{i}"},
            }
        )
        for i in range(70)
    )
    points = Points(rows, tuple(f"p{i}" for i in range(70)), "many")
    from edensim.plots.bars import draw_energy
    from edensim.plots.curves import draw_pareto

    with pytest.raises(InputError, match="at most 60 bars"):
        draw_energy(points)
    with pytest.raises(InputError, match="at most 8"):
        draw_pareto(points, None, None, "trace")


def test_layers_of_a_network_are_drawn_and_a_trace_has_none(folder: Path, tmp_path: Path) -> None:
    network = run(load_config(None, ["frontend=tpu", "network=lenet", "baselines=[]"]).config)
    network.save(tmp_path / "network.json")
    plot([tmp_path / "network.json"], "layers", tmp_path / "layers.svg")
    assert len(network.layers) == 6
    drawn = draw_layers(load_points([tmp_path / "network.json"]))
    assert [label.get_text() for label in drawn.axes[-1].get_xticklabels()] == [
        layer["name"] for layer in network.layers
    ]
    with pytest.raises(InputError, match="holds no layers"):
        plot([folder / "1.1_8.0.json"], "layers", tmp_path / "none.svg")
