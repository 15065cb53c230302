"""Draw a bar per run: what its energy was spent on, and what its requests found their rows in."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim.exceptions import InputError
from edensim.plots.labels import axis_label, caption, point_names, scale_of, short_value
from edensim.plots.points import Points, value_order
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
    new_axes,
)

#: Parts of the energy in the order of the stack, each with a fill and a hatch. Neighbours differ in
#: lightness.
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
#: More bars are a smear; a heat map shows them better.
MOST_BARS: Final = 60


def draw_energy(points: Points, x: str | None = None) -> SubFigure:
    """Draw the energy of each run, stacked by what it was spent on; `x` is the key of the order."""
    points, names = ordered(points, x, "energy")
    energies_pJ = {
        part: [float(row.get(f"energy_pJ.{part}") or 0) for row in points.rows]
        for part, _, _ in PARTS
    }
    parts = [part for part in PARTS if any(energies_pJ[part[0]])]
    if not parts:
        raise InputError(
            f"{points.origin}: found no energy; expected energy_pJ.activate, energy_pJ.read, ..."
        )
    totals_pJ = [sum(energies_pJ[part][row] for part, _, _ in parts) for row in range(len(points))]
    factor, unit = scale_of("energy_pJ.total", totals_pJ)
    longest = max(totals_pJ) / factor
    figure, axes = _bar_axes(names, caption(points))
    left = [0.0] * len(points)
    for part, colour, hatch in parts:
        lengths = [energy_pJ / factor for energy_pJ in energies_pJ[part]]
        texts = [
            f"{100 * length * factor / total_pJ:.0f} %" if length >= 0.07 * longest > 0 else ""
            for length, total_pJ in zip(lengths, totals_pJ, strict=True)
        ]
        left = _add_to_stack(axes, left, lengths, (part_name(part), colour, hatch), texts)
    for row, total_pJ in enumerate(totals_pJ):
        wires_pJ = energies_pJ["io"][row]
        words = f"{(total_pJ - wires_pJ) / factor:.4g} {unit}"
        words += f" + {wires_pJ / factor:.4g} I/O" if wires_pJ else ""
        _write_at_end(axes, total_pJ / factor, row, words, 3)
    has_wires = any(energies_pJ["io"])
    axes.set(
        xlim=(0, longest * (1.32 if has_wires else 1.14) or 1),
        xlabel=f"DRAM and I/O energy ({unit})"
        if has_wires
        else axis_label("energy_pJ.total", unit),
        title="DRAM energy by use",
    )
    add_legend(figure)
    return figure


def part_name(part: str) -> str:
    """Return the name of a part of the energy, as a legend shows it."""
    names = {"io": "I/O (data wires)", "background_selfrefresh": "background, self-refresh"}
    words = part.replace("powerdown", "power-down").replace("_", " ")
    return names.get(part, words.replace("background ", "background, "))


def draw_rows(points: Points, x: str | None = None) -> SubFigure:
    """Draw the share of each run's requests that found their row open, their bank closed, or not.

    `x` is the key of the order.
    """
    points, names = ordered(points, x, "rows")
    counts = [points.numbers(points.resolve(key, "rows:")) for key, _, _, _ in STATES]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    if not any(totals):
        raise InputError(
            f"{points.origin}: holds no row states; a run counts them, "
            "a command trace does not tell"
        )
    figure, axes = _bar_axes(names, caption(points))
    left = [0.0] * len(points)
    for (_, name, colour, hatch), column in zip(STATES, counts, strict=True):
        shares, texts = [], []
        for count, total in zip(column, totals, strict=True):
            share = 100 * count / total if total else 0.0
            number = f"\n{count:,.0f}" if len(points) == 1 and share >= 16 else ""
            texts.append(f"{share:.1f} %{number}" if share >= 7 else "")
            shares.append(share)
        left = _add_to_stack(axes, left, shares, (name, colour, hatch), texts)
    for row, total in enumerate(totals):
        _write_at_end(axes, 100, row, f"{total:,.0f}", 4)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.set(
        xlabel="Share of requests (%), their number at the end of the bar",
        title="What requests found their rows in",
    )
    add_legend(figure)
    return figure


def ordered(points: Points, x: str | None, kind: str) -> tuple[Points, list[str]]:
    """Return points and the names of their bars, in the order of a key if one is given."""
    points.expect_at_most(MOST_BARS, "bars", kind)
    names = point_names(points)
    if x is None:
        return points, names
    key = points.resolve(x, "--x")
    values = points.values(key)
    order = sorted(range(len(points)), key=lambda i: value_order(values[i]))
    points = points.at(order)
    if len(set(map(repr, values))) == len(values):
        return points, [short_value(key, values[i]) for i in order]
    if key in points.swept():
        return points, point_names(points)
    return points, [f"{names[i]}, {short_value(key, values[i])}" for i in order]


def _bar_axes(names: Sequence[str], small_print: str) -> tuple[SubFigure, Axes]:
    figure, axes = new_axes(7.2, 1.4 + 0.3 * max(2, len(names)), small_print)
    axes.grid(visible=False, axis="y")
    short_names = [name if len(name) <= 44 else f"{name[:43]}…" for name in names]
    axes.set_yticks(range(len(names)), short_names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _add_to_stack(
    axes: Axes,
    left: Sequence[float],
    lengths: Sequence[float],
    look: tuple[str, str, str],
    texts: Sequence[str],
) -> list[float]:
    """Add a part (name, colour, hatch) to the bars with a text in each; return the new ends."""
    name, colour, hatch = look
    axes.barh(
        range(len(lengths)),
        lengths,
        0.75,
        left,
        color=colour,
        hatch=hatch,
        edgecolor="black",
        linewidth=0.5,
        label=name,
    )
    ground = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    for row, (start, length, text) in enumerate(zip(left, lengths, texts, strict=True)):
        if text:  # white on a dark fill, and on a white ground where hatches would cross it
            axes.text(
                start + length / 2,
                row,
                text,
                ha="center",
                va="center",
                size=7,
                color="white" if colour in (BLUE, GREY) and not hatch else "black",
                bbox=ground if hatch else None,
            )
    return [start + length for start, length in zip(left, lengths, strict=True)]


def _write_at_end(axes: Axes, x: float, row: int, text: str, gap: int) -> None:
    """Write a text at the end of a bar, `gap` points beyond it."""
    axes.annotate(text, (x, row), (gap, 0), textcoords="offset points", va="center", size=7)
