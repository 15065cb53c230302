"""Draw the layers of a network: the time each took, the bytes it moved, the energy it cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim.exceptions import InputError
from edensim.plots.bars import PARTS, part_name
from edensim.plots.labels import caption, scale_of
from edensim.plots.points import Points
from edensim.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, YELLOW, new_figure

KINDS: Final = (
    ("weights", "weights", BLUE, ""),
    ("ifm", "ifm", SKY, "///"),
    ("ofm_read", "ofm read back", YELLOW, "..."),
    ("ofm_write", "ofm written", ORANGE, ""),
    ("scratch", "scratch", GREY, "xxx"),
)
#: Most layers that are all named.
MOST_NAMES: Final = 40

#: The name, the values, the colour and the hatch of each part of the bars.
Stack = Sequence[tuple[str, Sequence[float], str, str]]


def draw_layers(points: Points) -> SubFigure:
    """Draw three stacks for each layer of one run.

    They show time in work and in waiting, bytes by their role in the layer, and energy by use.
    """
    layers: list[Mapping[str, Any]] = points.only_run("layers").get("layers") or []
    if not layers:
        raise InputError(
            f"{points.origin}: holds no layers; a network on a machine has them "
            "(`frontend` and `network`), a trace has none"
        )
    figure = new_figure(max(6.4, min(12.0, 1.6 + 0.16 * len(layers))), 6.6, caption(points))
    time, traffic, energy = figure.subplots(3, 1, sharex=True)
    times_ns = [layer["time_ns"] for layer in layers]
    waiting_ns = [layer["time_ns"] * layer["stall_share"] for layer in layers]
    working_ns = [total - waited for total, waited in zip(times_ns, waiting_ns, strict=True)]
    factor, unit = scale_of("time_ns", times_ns)
    _stack(
        time,
        [("computing", working_ns, GREEN, ""), ("waiting for memory", waiting_ns, PURPLE, "///")],
        factor,
        f"Time ({unit})",
    )
    time.set_title("Layers: time, DRAM traffic and energy")
    moved = [
        (name, [layer["bytes_by_kind"][kind] for layer in layers], colour, hatch)
        for kind, name, colour, hatch in KINDS
    ]
    _stack(traffic, moved, 1e6, "DRAM traffic (MB)")
    energies_pJ = [
        (part_name(part), [layer["energy_pJ"].get(part, 0.0) for layer in layers], colour, hatch)
        for part, colour, hatch in PARTS
        if part != "io"
    ]
    factor, unit = scale_of("energy_pJ.total", [layer["energy_pJ"]["total"] for layer in layers])
    _stack(energy, energies_pJ, factor, f"DRAM energy ({unit})")
    step = -(-len(layers) // MOST_NAMES)
    names = [layer["name"] for layer in layers][::step]
    energy.set_xticks(range(0, len(layers), step), names, rotation=90, size=6)
    energy.set_xlim(-0.7, len(layers) - 0.3)
    return figure


def _stack(axes: Axes, stack: Stack, factor: float, label: str) -> None:
    """Draw bars on bars; a part that no layer has is left out."""
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
        below = [start + height for start, height in zip(below, heights, strict=True)]
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=7)
    axes.set_ylabel(label)
