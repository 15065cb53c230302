"""Draw a heat map: the value of one key over two swept keys."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import SubFigure

from edensim.exceptions import InputError
from edensim.plots.labels import axis_label, caption, name_of, scale_of
from edensim.plots.points import CONFIG, Points, format_value, value_order
from edensim.plots.style import new_axes

#: Most columns with a number in each cell.
MOST_NUMBERS = 14


def draw_heatmap(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """Draw `value` as the colour of each cell of the grid of `x` and `y`.

    By default, these are the total energy and the two keys that were swept.
    """
    key_x, key_y = _axes_keys(points, x, y)
    key = points.resolve(value or "energy_pJ.total", "--value")
    columns, rows = _ticks(points, key_x), _ticks(points, key_y)
    numbers = points.numbers(key)
    factor, unit = scale_of(key, numbers)
    grid = np.full((len(rows), len(columns)), np.nan)
    for name, at_x, at_y, number in zip(
        points.names, points.values(key_x), points.values(key_y), numbers, strict=True
    ):
        cell = rows.index(at_y), columns.index(at_x)
        if not np.isnan(grid[cell]):
            raise InputError(_crowded(points, key_x, key_y, name))
        grid[cell] = number / factor
    numbered = len(columns) <= MOST_NUMBERS and len(rows) <= 2 * MOST_NUMBERS
    width, height = (
        (max(5.2, 2.4 + 0.52 * len(columns)), max(3.0, 1.4 + 0.34 * len(rows)))
        if numbered
        else (6.8, 5.0)
    )
    figure, axes = new_axes(width, height, caption(points))
    axes.grid(visible=False)
    axes.set_facecolor("white")
    axes.patch.set(hatch="xx", edgecolor="#bbbbbb")  # a cell without a point stays hatched
    image = axes.imshow(
        grid, cmap="cividis", aspect="auto", origin="lower", interpolation="nearest"
    )
    figure.colorbar(image, ax=axes, label=axis_label(key, unit))
    _name_ticks(axes.set_xticks, columns, 16)
    _name_ticks(axes.set_yticks, rows, 24)
    if max(len(format_value(v)) for v in columns) * len(columns) > 60:
        axes.tick_params(axis="x", labelrotation=45)
    if numbered:
        _write_numbers(axes, grid)
    axes.set(xlabel=axis_label(key_x), ylabel=axis_label(key_y), title=name_of(key))
    return figure


def _axes_keys(points: Points, x: str | None, y: str | None) -> tuple[str, str]:
    """Return the keys of the two axes; those that are not given are the swept ones."""
    known = [
        points.resolve(key, option) for key, option in ((x, "--x"), (y, "--y")) if key is not None
    ]
    swept = [key for key in points.swept() if key not in known]
    if len(known) + len(swept) < 2 or (len(known) < 2 and len(known) + len(swept) > 2):
        found = ", ".join(key.removeprefix(CONFIG) for key in points.swept()) or "none"
        raise InputError(
            f"{points.origin}: heatmap: expected two swept keys, found {found}; "
            "--x and --y name the two to draw"
        )
    keys = known if len(known) == 2 else [*known, *swept] if y is None else [*swept, *known]
    if keys[0] == keys[1]:
        raise InputError(f"--x and --y: both are {keys[0].removeprefix(CONFIG)}; expected two keys")
    return keys[0], keys[1]


def _ticks(points: Points, key: str) -> list[Any]:
    """Return the different values of a key in order."""
    values: list[Any] = []
    for value in points.values(key):
        if isinstance(value, list | dict):
            raise InputError(
                f"{key.removeprefix(CONFIG)}: is a list; "
                "expected a key with one number or word per point"
            )
        if value not in values:
            values.append(value)
    return sorted(values, key=value_order)


def _crowded(points: Points, key_x: str, key_y: str, name: str) -> str:
    others = [key.removeprefix(CONFIG) for key in points.swept() if key not in (key_x, key_y)]
    pick = f"{name} repeats another point"
    if others:
        example = f"pick one value with --where {others[0]}=VALUE"
        pick = f"it was also swept over {', '.join(others)}: {example}"
    return f"{points.origin}: heatmap: several points fall on one cell; {pick}"


def _name_ticks(set_ticks: Any, values: list[Any], most: int) -> None:
    step = -(-len(values) // most)
    set_ticks(range(0, len(values), step), [format_value(value) for value in values[::step]])


def _write_numbers(axes: Any, grid: Any) -> None:
    """Write the value of each cell into it, dark on light and light on dark."""
    low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
    spread = high - low or abs(high) or 1.0
    # Two digits of the differences are shown.
    decimals = min(6, max(0, 1 - math.floor(math.log10(spread / 10))))
    for (row, column), number in np.ndenumerate(grid):
        if not np.isnan(number):
            light = high > low and (number - low) / (high - low) > 0.55
            axes.text(
                column,
                row,
                f"{number:,.{decimals}f}",
                ha="center",
                va="center",
                size=6.5,
                color="black" if light else "white",
            )
