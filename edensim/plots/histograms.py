"""Distributions over reads: how long after its ACT each was issued (exposure), and how long each took (latency)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edensim.exceptions import EdensimError, InputError
from edensim.plots.labels import caption, short_value
from edensim.plots.points import CONFIG, Point, Points
from edensim.plots.style import (
    COLOURS,
    LINES,
    LOOKS,
    SKY,
    VERMILLION,
    add_legend,
    clock_scale,
    mark_at,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

#: Bins that a run counts latencies in; the last one is for all longer ones.
LATENCY_BINS: Final = 8192
#: Wider distributions get bins that widen with the interval; so do several lines sooner, which would hide each other.
MOST_EVEN_BINS: Final = 256
MOST_SHARED_BINS: Final = 80
WIDENING_BINS: Final = 60
LATENCY_KEYS: Final = (
    "read_latency_histogram.counts",
    "read_latency_histogram",
    "read_latency_cycles.histogram",
    "read_latency_cycles.counts",
)
#: Most panels of small multiples.
MOST_PANELS: Final = 24


@dataclass(frozen=True)
class Histogram:
    """Reads by cycles: `counts[i]` took i * bin_cycles up to (i + 1) * bin_cycles - 1; open_ended: the last bin holds those that took longer too."""

    name: str
    counts: tuple[int, ...]
    bin_cycles: int
    row: int  # which point
    open_ended: bool = True

    @property
    def reads(self) -> int:
        return sum(self.counts)

    def binned(self, edges: Sequence[int]) -> list[int]:
        """Reads between each two edges (cycles)."""
        bins = [0] * (len(edges) - 1)
        at = 0
        for index, count in enumerate(self.counts):
            cycles = index * self.bin_cycles
            while at < len(bins) - 1 and cycles >= edges[at + 1]:
                at += 1
            if cycles >= edges[0]:
                bins[at] += count
        return bins


def draw_exposure(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """ACT-to-RD interval of reads, with the interval that the standard specifies and the reads below it. value: key that names the lines."""
    _refuse(x, y)
    if value is None and len(points) > LOOKS and len(points.swept()) == 0:  # parts of one run
        return _draw_multiples(points)
    histograms = _histograms(points, value, "exposure", ("exposure.counts",), "exposure.bin_cycles")
    figure, axes = _draw(histograms, "Interval from ACT to RD (memory cycles)", points)
    specified = _specified_nRCD(points)
    low, high = axes.get_xlim()
    if specified is not None and specified < high:
        low = min(
            low,
            specified * 0.85
            if axes.get_xscale() == "log"
            else max(0.0, specified - 0.06 * (high - low)),
        )
        axes.axvspan(low, specified, color=VERMILLION, alpha=0.12, lw=0)
        mark_at(axes, specified, f"specified nRCD {specified}", VERMILLION)
    axes.set_xlim(low, high)
    outside = [points.rows[h.row].get("exposure.out_of_specification") for h in histograms]
    told = [
        f"{h.name}: {n:,} of {h.reads:,}"
        for h, n in zip(histograms, outside, strict=True)
        if isinstance(n, int)
    ]
    if told:
        one = f"outside specification: {told[0].partition(': ')[2]} reads"
        text = one if len(told) == 1 else "\n".join(["reads outside specification", *told])
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.text(
            0.985, 0.97, text, transform=axes.transAxes, ha="right", va="top", size=7, bbox=ground
        )
    axes.set_title("Exposure: how long after its activation each read came")
    return figure


def draw_latency(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """Read latency of reads, arrival to last data beat. value: key that names the lines."""
    _refuse(x, y)
    histograms = _histograms(
        points, value, "latency", LATENCY_KEYS, "read_latency_cycles.bin_cycles"
    )
    figure, axes = _draw(histograms, "Read latency (memory cycles)", points)
    if len(histograms) == 1:
        row = points.rows[histograms[0].row]
        for name, key in (("median", "p50"), ("99 %", "p99")):
            cycles = row.get(f"read_latency_cycles.{key}")
            if isinstance(cycles, int | float) and axes.get_xlim()[0] < cycles < axes.get_xlim()[1]:
                mark_at(axes, cycles, f"{name}: {cycles:g}", VERMILLION)
    axes.set_title("Read latency, arrival to last data beat")
    return figure


def _refuse(x: str | None, y: str | None) -> None:
    if x or y:
        raise InputError(
            f"{'--x' if x else '--y'}: a histogram takes only --value, the key that names its lines"
        )


def _histograms(
    points: Points, value: str | None, kind: str, keys: Sequence[str], bin_key: str
) -> list[Histogram]:
    """The histogram of each point. Raises InputError where a point has none, with what would give it one."""
    if len(points) > LOOKS:
        raise InputError(
            f"{points.origin}: {kind}: {len(points)} points; expected at most {LOOKS} lines (--where KEY=VALUE picks some)"
        )
    names = points.labels()
    if value is not None:
        key = points.resolve(value, "--value")
        names = [short_value(key, v) for v in points.values(key)]
    found = []
    for row, (point, name) in enumerate(zip(points.rows, names, strict=True)):
        counts = next((point[key] for key in keys if point.get(key) is not None), None)
        if counts is None:
            raise InputError(
                f"{points.origin}: {points.names[row]} holds no {keys[0].partition('.')[0]!r} histogram; expected the JSON of a run that counted it"
            )
        width = point.get(bin_key, 1)
        counts = _dense(point, counts)
        whole = isinstance(counts, list) and all(isinstance(n, int) and n >= 0 for n in counts)
        if not whole or not isinstance(width, int) or width < 1:
            raise InputError(
                f"{points.origin}: {points.names[row]}: {keys[0]}: expected a list of whole numbers, and bins of at least 1 cycle"
            )
        if not any(counts):
            raise InputError(f"{points.origin}: {points.names[row]}: {keys[0]}: counted no read")
        longest = point.get("exposure.bins", len(counts)) if kind == "exposure" else LATENCY_BINS
        found.append(Histogram(name, tuple(counts), width, row, len(counts) >= longest))
    return found


def _dense(point: Point, counts: Any) -> Any:
    """Counts of all bins from those of the ones that hold reads (`read_latency_histogram`)."""
    bins = point.get("read_latency_histogram.bins")
    if (
        not isinstance(bins, list)
        or not isinstance(counts, list)
        or len(bins) != len(counts)
        or not bins
    ):
        return counts
    dense = [0] * (max(bins) + 1)
    for cycles, count in zip(bins, counts, strict=True):
        dense[cycles] = count
    return dense


def _draw_multiples(points: Points) -> SubFigure:
    """A panel for each part of one run, those with most reads, on common axes."""
    from matplotlib.ticker import FuncFormatter

    most = sorted(range(len(points)), key=lambda i: -sum(points.rows[i]["exposure.counts"]))[
        :MOST_PANELS
    ]
    shown = points.at(sorted(most))
    histograms = [
        _histograms(shown.at([i]), None, "exposure", ("exposure.counts",), "exposure.bin_cycles")[0]
        for i in range(len(shown))
    ]
    edges = bin_edges(histograms)
    shares = [[100 * n / h.reads for n in h.binned(edges)] for h in histograms]
    columns = 4
    rows = -(-len(shown) // columns)
    figure = new_figure(7.2, 0.7 + 1.15 * rows, caption(points))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    specified = _specified_nRCD(points)
    for axes, histogram, part in zip(panels.flat, histograms, shares, strict=False):
        axes.stairs(part, edges, fill=True, facecolor=SKY, edgecolor="black", lw=0.5)
        if specified is not None and specified < edges[-1]:
            axes.axvline(specified, color=VERMILLION, lw=1.0, ls=(0, (4, 2)))
        name = histogram.name if len(histogram.name) <= 22 else f"…{histogram.name[-21:]}"
        axes.set_title(f"{name} ({histogram.reads:,})", size=6.5, weight="normal")
        axes.tick_params(labelsize=7)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    if edges[-1] - edges[-2] > edges[1] - edges[0]:
        panels[0, 0].set_xscale("log")
        _plain_ticks(panels[0, 0])
    for column in range(columns):  # the lowest panel of each column names the cycles
        lowest = (len(shown) - 1 - column) // columns
        if 0 <= lowest < rows - 1:
            panels[lowest, column].tick_params(labelbottom=True)
    heights = [share for part in shares for share in part if share]
    if max(heights) > 50 * min(heights):
        panels[0, 0].set_yscale("log")
        panels[0, 0].set_ylim(min(heights) / 2, max(heights) * 3)
        panels[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        panels[0, 0].set_ylim(0, max(heights) * 1.1)
    left_out = (
        f"; the {len(shown)} with most reads of {len(points)}" if len(shown) < len(points) else ""
    )
    cut = any(h.open_ended for h in histograms)
    longest = (
        f"; the last bin holds {max(len(h.counts) for h in histograms) - 1:,} or more"
        if cut
        else ""
    )
    dashed = "" if specified is None else f"; dashed: specified nRCD {specified}"
    figure.supxlabel(f"Interval from ACT to RD (memory cycles){longest}{dashed}", size=8)
    figure.supylabel("Share of reads per bin (%)", size=8)
    figure.suptitle(
        f"Exposure: how long after its activation each read came (reads{left_out})",
        size=8.5,
        weight="bold",
    )
    return figure


def bin_edges(histograms: Sequence[Histogram]) -> list[int]:
    """Edges in cycles, common to all: even ones where that is fine enough, else widening ones (each about 10 % above the last)."""
    width = max(h.bin_cycles for h in histograms)
    low = (
        min(next(i for i, n in enumerate(h.counts) if n) * h.bin_cycles for h in histograms)
        // width
        * width
    )
    high = (
        max(max(i for i, n in enumerate(h.counts) if n) * h.bin_cycles for h in histograms)
        // width
        * width
        + width
    )
    if (high - low) // width <= (MOST_EVEN_BINS if len(histograms) == 1 else MOST_SHARED_BINS):
        return list(range(low, high + width, width))
    start = max(low, width)
    ratio = (high / start) ** (1 / WIDENING_BINS)
    edges = [low] if low < start else []
    edges.append(start)
    while edges[-1] < high:
        edges.append(max(edges[-1] + width, math.ceil(edges[-1] * ratio / width) * width))
    return edges


def _draw(histograms: Sequence[Histogram], label: str, points: Points) -> tuple[SubFigure, Axes]:
    from matplotlib.ticker import FuncFormatter

    edges = bin_edges(histograms)
    figure = new_figure(6.8, 4.2, caption(points))
    axes = figure.add_subplot()
    heights: list[float] = []
    for look, histogram in enumerate(histograms):
        shares = [100 * n / histogram.reads for n in histogram.binned(edges)]
        heights += [share for share in shares if share]
        text = f"{histogram.name} ({histogram.reads:,} reads)"
        if len(histograms) == 1:
            axes.stairs(
                shares, edges, fill=True, facecolor=SKY, edgecolor="black", lw=0.5, label=text
            )
        else:
            axes.stairs(shares, edges, color=COLOURS[look % 5], ls=LINES[look], lw=1.6, label=text)
    uneven = edges[-1] - edges[-2] > edges[1] - edges[0]
    if uneven:
        axes.set_xscale("log")
        _plain_ticks(axes)
    if max(heights) > 50 * min(heights):
        axes.set_yscale("log")
        axes.set_ylim(min(heights) / 2, max(heights) * 12)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        axes.set_ylim(0, max(heights) * 1.2)
    axes.set_xlim(
        *(
            (max(edges[0], 0.8), edges[-1] * 1.05)
            if uneven
            else (max(0, edges[0] - 2), edges[-1] + 1)
        )
    )
    cut = [h for h in histograms if h.counts[-1] and h.open_ended]
    longest = max(((len(h.counts) - 1) * h.bin_cycles for h in cut), default=0)
    axes.set_xlabel(f"{label}; the last bin holds {longest:,} or more" if cut else label)
    axes.set_ylabel(
        "Share of reads per bin (%)"
        + (
            ", bins widen"
            if uneven
            else f", bins of {edges[1] - edges[0]} cycle{'s' * (edges[1] - edges[0] > 1)}"
        )
    )
    _add_ns_axis(axes, points)
    if len(histograms) > 1:
        add_legend(figure)
    return figure, axes


def _plain_ticks(axes: Axes) -> None:
    """1000 and not 10^3; 20 and 50 are named too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _add_ns_axis(axes: Axes, points: Points) -> None:
    """The same interval in ns along the top, where all points have one clock period."""
    periods = {
        round(row["time_ns"] / row["cycles"], 6)
        for row in points.rows
        if row.get("cycles") and row.get("time_ns")
    }
    if len(periods) != 1:
        return
    period = periods.pop()
    top = axes.secondary_xaxis("top", functions=clock_scale(period))
    top.set_xlabel("ns", fontsize=8)
    top.tick_params(labelsize=7)
    if axes.get_xscale() == "log":
        _plain_ticks(top)  # type: ignore[arg-type]


def _specified_nRCD(points: Points) -> int | None:
    """nRCD of the standard's own speed bin, in cycles, whatever the run set; None where points differ or the standard is not known."""
    from edensim.dram.standard import load_standard

    devices: set[tuple[Any, ...]] = {
        tuple(row.get(f"{CONFIG}dram.{key}") for key in ("standard", "organization", "speed_bin"))
        for row in points.rows
    }
    if len(devices) != 1:
        return None
    standard, organization, speed_bin = devices.pop()
    try:
        return (
            load_standard(standard, organization=organization, speed_bin=speed_bin).timings["nRCD"]
            if standard
            else None
        )
    except EdensimError:
        return None
