"""A network's layers along the axis: the time each took and what of it was waiting, the bytes it moved, the energy it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from edensim.exceptions import InputError
from edensim.plots.bars import PARTS, part_name
from edensim.plots.labels import caption, scale_of
from edensim.plots.points import Points
from edensim.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, YELLOW, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

KINDS: Final = (
    ("weights", "weights", BLUE, ""),
    ("ifm", "ifm", SKY, "///"),
    ("ofm_read", "ofm read back", YELLOW, "..."),
    ("ofm_write", "ofm written", ORANGE, ""),
    ("scratch", "scratch", GREY, "xxx"),
)
#: More layers than that are not all named.
MOST_NAMES: Final = 40

Stack = Sequence[tuple[str, Sequence[float], str, str]]


def draw_layers(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """Three stacks per layer of one run: time in work and in waiting, bytes by what they are to the layer, energy by use."""
    if x or y or value:
        raise InputError(
            f"{'--x' if x else '--y' if y else '--value'}: has no meaning for `--kind layers`, which draws the layers of one run"
        )
    if len(points) != 1:
        raise InputError(
            f"{points.origin}: layers: {len(points)} points; expected one run (--where KEY=VALUE picks it)"
        )
    layers: list[Mapping[str, Any]] = points.rows[0].get("layers") or []
    if not layers:
        raise InputError(
            f"{points.origin}: holds no layers; a network on a machine has them (`frontend` and `network`), a trace has none"
        )
    figure = new_figure(max(6.4, min(12.0, 1.6 + 0.16 * len(layers))), 6.6, caption(points))
    panels = figure.subplots(3, 1, sharex=True)
    _time(panels[0], layers)
    _traffic(panels[1], layers)
    _energy(panels[2], layers)
    step = -(-len(layers) // MOST_NAMES)
    panels[2].set_xticks(
        range(0, len(layers), step),
        [layer["name"] for layer in layers][::step],
        rotation=90,
        size=6,
    )
    panels[2].set_xlim(-0.7, len(layers) - 0.3)
    return figure


def _time(axes: Axes, layers: Sequence[Mapping[str, Any]]) -> None:
    waiting = [layer["time_ns"] * layer["stall_share"] for layer in layers]
    working = [layer["time_ns"] - waited for layer, waited in zip(layers, waiting, strict=True)]
    factor, unit = scale_of("time_ns", [layer["time_ns"] for layer in layers])
    _stack(
        axes,
        [("computing", working, GREEN, ""), ("waiting for memory", waiting, PURPLE, "///")],
        factor,
    )
    axes.set_ylabel(f"Time ({unit})")
    axes.set_title("Layers: time, DRAM traffic and energy")


def _traffic(axes: Axes, layers: Sequence[Mapping[str, Any]]) -> None:
    stack = [
        (name, [layer["bytes_by_kind"][kind] for layer in layers], colour, hatch)
        for kind, name, colour, hatch in KINDS
    ]
    _stack(axes, stack, 1e6)
    axes.set_ylabel("DRAM traffic (MB)")


def _energy(axes: Axes, layers: Sequence[Mapping[str, Any]]) -> None:
    stack = [
        (part_name(part), [layer["energy_pJ"].get(part, 0.0) for layer in layers], colour, hatch)
        for part, colour, hatch in PARTS
        if part != "io"
    ]
    factor, unit = scale_of("energy_pJ.total", [layer["energy_pJ"]["total"] for layer in layers])
    _stack(axes, stack, factor)
    axes.set_ylabel(f"DRAM energy ({unit})")


def _stack(axes: Axes, stack: Stack, factor: float) -> None:
    """Bars on bars; what no layer has is left out."""
    below: list[float] = []
    for name, values, colour, hatch in stack:
        if not any(values):
            continue
        heights = [value / factor for value in values]
        below = below or [0.0] * len(heights)
        axes.bar(
            range(len(heights)),
            heights,
            0.8,
            below,
            color=colour,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.3,
            label=name,
        )
        below = [a + b for a, b in zip(below, heights, strict=True)]
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=7)
