"""Bars, one per run: what the energy was spent on, and what state requests found their rows in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from edensim.exceptions import InputError
from edensim.plots.labels import axis_label, caption, scale_of, short_value
from edensim.plots.points import Points
from edensim.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    add_legend,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

#: Parts of the energy in the order of the stack, with a fill and a hatch each. Neighbours differ in lightness.
PARTS: Final = (
    ("activate", BLUE, ""),
    ("precharge", SKY, "///"),
    ("read", GREEN, ""),
    ("write", YELLOW, "..."),
    ("refresh", VERMILLION, "xxx"),
    ("background_active", "#eeeeee", ""),
    ("background_precharged", GREY, ""),
    ("background_powerdown_active", "#eeeeee", "\\\\\\"),
    ("background_powerdown_precharged", GREY, "..."),
    ("background_selfrefresh", "#bbbbbb", "++"),
    ("io", PURPLE, "---"),
)
STATES: Final = (
    ("row_hits", "hit", SKY, ""),
    ("row_misses", "miss (bank closed)", ORANGE, "///"),
    ("row_conflicts", "conflict (other row open)", BLUE, "..."),
)
#: More bars than that are a smear; a heat map shows them better.
MOST_BARS: Final = 60


def draw_energy(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """Stacked energy of each run by what it was spent on. x: key that orders and names the bars."""
    _refuse(y, value)
    points, names = ordered(points, x, "energy")
    known = {part: [row.get(f"energy_pJ.{part}") for row in points.rows] for part, _, _ in PARTS}
    parts = [(part, colour, hatch) for part, colour, hatch in PARTS if any(known[part])]
    if not parts:
        raise InputError(
            f"{points.origin}: found no energy; expected energy_pJ.activate, energy_pJ.read, ..."
        )
    totals = [sum(float(known[part][i] or 0) for part, _, _ in parts) for i in range(len(points))]
    factor, unit = scale_of("energy_pJ.total", totals)
    figure, axes = _bar_axes(names, caption(points))
    left = [0.0] * len(points)
    for part, colour, hatch in parts:
        lengths = [float(v or 0) / factor for v in known[part]]
        axes.barh(
            range(len(points)),
            lengths,
            0.75,
            left,
            color=colour,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.5,
            label=part_name(part),
        )
        _write_shares(
            axes,
            left,
            lengths,
            max(totals) / factor,
            totals,
            factor,
            colour in (BLUE, GREY),
            hatched=bool(hatch),
        )
        left = [a + b for a, b in zip(left, lengths, strict=True)]
    for row, total in enumerate(totals):
        wires = float(known["io"][row] or 0)
        words = f"{(total - wires) / factor:.4g} {unit}" + (
            f" + {wires / factor:.4g} I/O" if wires else ""
        )
        axes.annotate(
            words, (total / factor, row), (3, 0), textcoords="offset points", va="center", size=7
        )
    axes.set_xlim(0, max(totals) / factor * (1.32 if any(known["io"]) else 1.14) or 1)
    axes.set_xlabel(
        f"DRAM and I/O energy ({unit})" if any(known["io"]) else axis_label("energy_pJ.total", unit)
    )
    axes.set_title("DRAM energy by use")
    add_legend(figure)
    return figure


def part_name(part: str) -> str:
    """`background_powerdown_active` as a legend says it."""
    names = {"io": "I/O (data wires)", "background_selfrefresh": "background, self-refresh"}
    words = part.replace("powerdown", "power-down").split("_")
    return names.get(part) or (
        f"background, {' '.join(words[1:])}" if words[0] == "background" else part
    )


def draw_rows(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """Share of requests that found their row open (hit), their bank closed (miss) or another row open (conflict). x: key that orders the bars."""
    _refuse(y, value)
    points, names = ordered(points, x, "rows")
    counts = [points.numbers(points.resolve(key, "rows:")) for key, _, _, _ in STATES]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    if not any(totals):
        raise InputError(
            f"{points.origin}: holds no row states; a run counts them, a command trace does not tell"
        )
    figure, axes = _bar_axes(names, caption(points))
    left = [0.0] * len(points)
    for (_, name, colour, hatch), column in zip(STATES, counts, strict=True):
        shares = [
            100 * count / total if total else 0.0
            for count, total in zip(column, totals, strict=True)
        ]
        axes.barh(
            range(len(points)),
            shares,
            0.75,
            left,
            color=colour,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.5,
            label=name,
        )
        for row, (start, share, count) in enumerate(zip(left, shares, column, strict=True)):
            text = (
                f"{share:.1f} %"
                if len(points) > 1 or share < 16
                else f"{share:.1f} %\n{count:,.0f}"
            )
            if share >= 7:
                _write(axes, start + share / 2, row, text, dark=colour == BLUE, boxed=bool(hatch))
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for row, total in enumerate(totals):
        axes.annotate(
            f"{total:,.0f}", (100, row), (4, 0), textcoords="offset points", va="center", size=7
        )
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("Share of requests (%), their number at the end of the bar")
    axes.set_title("What requests found their rows in")
    add_legend(figure)
    return figure


def ordered(points: Points, x: str | None, kind: str) -> tuple[Points, list[str]]:
    """Points and the names of their bars, in order of key `x` where one is asked for."""
    if len(points) > MOST_BARS:
        raise InputError(
            f"{points.origin}: {kind}: {len(points)} points; expected at most {MOST_BARS} bars (--where KEY=VALUE picks some)"
        )
    names = points.labels()
    if x is None:
        return points, names
    key = points.resolve(x, "--x")
    values = points.values(key)
    order = sorted(
        range(len(points)),
        key=lambda i: (
            values[i] is None,
            isinstance(values[i], str),
            values[i] if values[i] is not None else 0,
        ),
    )
    points = points.at(order)
    if len(set(map(repr, values))) == len(values):
        return points, [short_value(key, values[i]) for i in order]
    if key in points.swept():
        return points, points.labels()
    return points, [f"{names[i]}, {short_value(key, values[i])}" for i in order]


def _refuse(y: str | None, value: str | None) -> None:
    if y or value:
        raise InputError(
            f"{'--y' if y else '--value'}: bars take only --x, the key that orders them"
        )


def _bar_axes(names: Sequence[str], small_print: str) -> tuple[SubFigure, Axes]:
    figure = new_figure(7.2, 1.4 + 0.3 * max(2, len(names)), small_print)
    axes = figure.add_subplot()
    axes.grid(visible=False, axis="y")
    axes.set_yticks(
        range(len(names)), [name if len(name) <= 44 else f"{name[:43]}…" for name in names]
    )
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _write_shares(
    axes: Axes,
    left: Sequence[float],
    lengths: Sequence[float],
    longest: float,
    totals: Sequence[float],
    factor: float,
    dark: bool,
    *,
    hatched: bool,
) -> None:
    """The share of each part inside its bar, where there is room."""
    for row, (start, length) in enumerate(zip(left, lengths, strict=True)):
        if longest and length >= 0.07 * longest:
            _write(
                axes,
                start + length / 2,
                row,
                f"{100 * length * factor / totals[row]:.0f} %",
                dark=dark,
                boxed=hatched,
            )


def _write(axes: Axes, x: float, y: float, text: str, *, dark: bool, boxed: bool) -> None:
    """Text inside a bar: white on a dark fill, on a white ground where hatches would cross it."""
    ground = (
        {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
        if boxed
        else None
    )
    axes.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        size=7,
        color="white" if dark and not boxed else "black",
        bbox=ground,
    )
