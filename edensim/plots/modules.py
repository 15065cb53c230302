"""Draw DRAM modules: their BER, how well error models explain them, and their weak cells."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim._version import __version__
from edensim.bit_errors.cells import cell_tables, geometry_of, weak_cells
from edensim.bit_errors.characterization import Characterization, read_characterization
from edensim.bit_errors.curve import Curve, Table
from edensim.bit_errors.module import Module, load_module
from edensim.bit_errors.prediction import error_model
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.exceptions import InputError, nearest
from edensim.files import read_json
from edensim.plots.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    MARKERS,
    VERMILLION,
    add_legend,
    new_axes,
    new_figure,
)

_AXES: Final = {"trcd_ns": "tRCD (ns)", "vdd_V": "VDD (V)"}
_RATES: Final = {"ber": "bit error rate", "line_fault_fraction": "fraction of faulty 64-byte lines"}
#: The lowest decade that is drawn below the data.
_FLOOR: Final = 1e-12


def draw_ber(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """Draw the curves of one module, with the interval for a module that was never measured.

    Tables of rates (CSV) that are given beside the module are drawn as points.
    """
    modules = [path for path in paths if path.suffix.lower() in (".yaml", ".yml", "")]
    if len(modules) != 1:
        raise InputError(
            "ber: expected one module file (.yaml) and tables of rates (.csv) beside it, "
            f"found {len(modules)} modules"
        )
    if where:
        raise InputError(f"--where {where[0]}: has no meaning for `--kind ber`")
    module = load_module(modules[0])
    tables = [_table(path, module) for path in paths if path not in modules]
    cited = (
        "with points: " + ", ".join(table.path.name for table in tables)
        if tables
        else module.source
    )
    panel = new_figure(
        4.6 * len(module.curves) + 0.4,
        4.0,
        f"module {module.name} · {cited} · edensim {__version__}",
    )
    grid = panel.subplots(1, len(module.curves), squeeze=False)
    for axes, curve in zip(grid[0], module.curves.values(), strict=True):
        _draw_curve(axes, curve, [table for table in tables if table.axis == curve.axis])
    named: set[str] = set()
    for axes in panel.axes:
        for artist, name in zip(*axes.get_legend_handles_labels(), strict=True):
            if name in named:
                artist.set_label("_")  # named once for all panels
            named.add(name)
    add_legend(panel)
    return panel


def _table(path: Path, module: Module) -> Characterization:
    table = read_characterization(path)
    known = set(table.vendor.tolist())
    return (
        table.of_vendor(module.vendor) if module.vendor in known or len(known) > 1 else table
    ).over_banks()


def _draw_curve(axes: Axes, curve: Curve | Table, tables: Sequence[Characterization]) -> None:
    steps = 300
    grid = [curve.low + (curve.high - curve.low) * index / steps for index in range(steps + 1)]
    floor = max(_FLOOR, 10.0 ** math.floor(math.log10(max(curve.detection_limit, _FLOOR))) / 10)
    ends = [curve.interval_at(curve.patterns, x) for x in grid]
    rates = [curve.rate_at(curve.patterns, x) for x in grid]
    drawn = [index for index, rate in enumerate(rates) if rate >= floor]
    if isinstance(curve, Curve):
        low, high = ([max(end[side], floor) for end in ends] for side in (0, 1))
        axes.fill_between(
            grid, low, high, color="#cfe3f2", lw=0, label="95 %, a module never measured"
        )
    axes.plot(
        [grid[i] for i in drawn], [rates[i] for i in drawn], color=BLUE, lw=2, label="middle module"
    )
    for number, table in enumerate(tables):
        _draw_points(axes, table, curve, floor, number)
    if curve.detection_limit:
        axes.axhline(curve.detection_limit, color=GREY, lw=0.8, ls=":", label="detection limit")
    if curve.cutoff is not None:
        axes.axvline(curve.cutoff, color=VERMILLION, lw=1, ls="--", label="no errors from here on")
    axes.set(yscale="log", ylim=(floor, 2), xlabel=_AXES[curve.axis], ylabel=_RATES[curve.rate])


def _draw_points(
    axes: Axes, table: Characterization, curve: Curve | Table, floor: float, number: int
) -> None:
    """Draw means over patterns at the curve's temperature, per module; zeros at the floor."""
    table = table.choose(table.temp_C == curve.base_temp_C)
    found: dict[tuple[str, float], list[float]] = {}
    for module, pattern, x, rate in zip(
        table.module.tolist(),
        table.pattern.tolist(),
        table.x.tolist(),
        table.rate.tolist(),
        strict=True,
    ):
        if pattern in curve.patterns or len(curve.patterns) == 1:
            found.setdefault((module, x), []).append(rate)
    means = [(x, sum(rates) / len(rates)) for (_, x), rates in found.items()]
    seen = [(x, mean) for x, mean in means if mean > 0]
    none = sorted({x for x, mean in means if mean == 0})
    marker = MARKERS[number % len(MARKERS)]
    axes.plot(
        [x for x, _ in seen],
        [mean for _, mean in seen],
        marker,
        color=BLACK,
        ms=4,
        mfc="none",
        label="measured, by module",
    )
    axes.plot(
        none, [floor * 1.3] * len(none), "v", color=BLACK, ms=4, label="some module without errors"
    )


def draw_models(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """Draw how much worse each candidate of a fit is than the best.

    The files are what `edensim fit --json` wrote. Error models are compared by their BIC, curves by
    their AIC.
    """
    if len(paths) != 1 or where:
        raise InputError(
            "models: expected one JSON that `edensim fit --json` wrote"
            + (", and no --where" if where else "")
        )
    content = _fit_json(paths[0])
    parts: list[tuple[str, dict[str, float], str]] = []
    if "selection" in content:
        models = content["selection"]["models"]
        scores = {f"{model['kind']} {model['name']}": float(model["bic"]) for model in models}
        parts.append(("error models", scores, "BIC above the best"))
    for name, report in content.get("curves", {}).items():
        scores = {key: float(value) for key, value in report["aic"].items()}
        parts.append((f"curve of {name}", scores, "AIC above the best"))
    if not parts:
        raise InputError(
            f"{paths[0]}: holds no candidates; expected what `edensim fit --json` wrote"
        )
    bars = sum(len(values) for _, values, _ in parts)
    panel = new_figure(
        8.4,
        0.6 * len(parts) + 0.26 * bars + 0.4,
        f"module {content.get('module', '?')} · {paths[0].name} · edensim {__version__}",
    )
    grid = panel.subplots(
        len(parts),
        1,
        squeeze=False,
        gridspec_kw={"height_ratios": [len(values) + 1 for _, values, _ in parts]},
    )
    for axes, (title, values, label) in zip(grid[:, 0], parts, strict=True):
        _draw_scores(axes, title, values, label)
    return panel


def _draw_scores(axes: Axes, title: str, values: Mapping[str, float], label: str) -> None:
    best = min(values.values())
    ordered = sorted(values.items(), key=lambda item: item[1])
    for row, (_, value) in enumerate(ordered):
        axes.barh(
            row,
            value - best,
            0.7,
            color=COLOURS[0] if row else COLOURS[2],
            edgecolor="black",
            linewidth=0.5,
        )
        words = "best" if row == 0 else f"{value - best:,.1f}"
        axes.annotate(
            words, (value - best, row), (3, 0), textcoords="offset points", va="center", size=7
        )
    axes.set_yticks(range(len(ordered)), [name for name, _ in ordered], size=7)
    axes.invert_yaxis()
    if ordered[-1][1] - best > 100:
        axes.set_xscale("symlog", linthresh=10)
    axes.set(xlabel=label, title=title)


def _fit_json(path: Path) -> dict[str, Any]:
    content = read_json(path, "what `edensim fit --json` wrote")
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected what `edensim fit --json` wrote, found no keys")
    return content


def draw_weak_cells(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """Draw the weak cells in the rows of each bank at an operating point (`--where trcd_ns=5`).

    They lie where the module's seed places them in a DDR4 device.
    """
    if len(paths) != 1:
        raise InputError(f"weak-cells: expected one module file, found {len(paths)}")
    module, point = load_module(paths[0]), _point(where)
    model = error_model(
        module, trcd_ns=point.get("trcd_ns"), vdd_V=point.get("vdd_V"), temp_C=point.get("temp_C")
    )
    memory = MemorySystem.nominal(load_standard("DDR4"))
    organization, geometry = memory.organization, geometry_of(memory)
    tables = cell_tables(geometry, [[model.distribution]])
    rows = np.linspace(0, organization.rows - 1, 256).astype(np.int64)
    counts = np.zeros((len(rows), geometry.banks))
    for bank in range(geometry.banks):
        for index, _ in weak_cells(geometry, tables, module.seed, geometry.row_numbers(bank, rows)):
            counts[:, bank] += np.bincount(index, minlength=len(rows))
    shares = counts / (1 << geometry.row_bits)
    point_text = ", ".join(f"{key} {value:g}" for key, value in point.items()) or "nominal"
    small_print = (
        f"module {module.name} at {point_text}: model {model.kind} ({model.name}), "
        f"seed {module.seed} · every {organization.rows // 256}th row of a DDR4 "
        f"{organization.name} · edensim {__version__}"
    )
    panel, axes = new_axes(6.4, 4.4, small_print)
    axes.grid(visible=False)
    picture = axes.imshow(
        shares,
        aspect="auto",
        origin="lower",
        extent=(-0.5, geometry.banks - 0.5, 0, organization.rows),
        cmap="viridis",
        interpolation="nearest",
    )
    axes.set(xlabel="bank", ylabel="row")
    panel.colorbar(picture, ax=axes, label="share of weak cells in the row")
    return panel


def _point(where: Sequence[str]) -> dict[str, float]:
    point: dict[str, float] = {}
    known = ("trcd_ns", "vdd_V", "temp_C")
    for condition in where:
        key, _, text = condition.partition("=")
        if key.strip() not in known:
            raise InputError(
                f"--where {condition}: expected trcd_ns=NS, vdd_V=V or temp_C=C"
                f"{nearest(key.strip(), known)}"
            )
        try:
            point[key.strip()] = float(text)
        except ValueError:
            raise InputError(f"--where {condition}: expected a number, found {text!r}") from None
    return point
