"""Draw distributions over reads: how long after its ACT each was issued, and how long it took."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from edensim.dram.standard import load_standard
from edensim.exceptions import EdensimError, InputError
from edensim.plots.labels import DEVICE, caption, point_names, short_value
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
    new_axes,
    new_figure,
)

#: Bins that a run counts latencies in; the last one holds all longer latencies too.
LATENCY_BINS: Final = 8192
#: Most bins of equal width. More would be too fine, and several lines hide each other sooner; the
#: bins then widen with the interval.
MOST_EVEN_BINS: Final = 256
MOST_SHARED_BINS: Final = 80
WIDENING_BINS: Final = 60
LATENCY_KEYS: Final = (
    "read_latency_histogram.counts",
    "read_latency_histogram",
    "read_latency_cycles.histogram",
    "read_latency_cycles.counts",
)
#: Most panels of small multiples, and their columns.
MOST_PANELS: Final = 24
COLUMNS: Final = 4


@dataclass(frozen=True)
class Histogram:
    """Reads by cycles.

    Attributes
    ----------
    name : str
        The name of its line.
    counts : tuple of int
        ``counts[i]`` reads took ``i * bin_cycles`` up to ``(i + 1) * bin_cycles - 1`` cycles.
    bin_cycles : int
        The width of a bin.
    row : int
        Index of the point.
    open_ended : bool
        Whether the last bin also holds the reads that took longer.
    """

    name: str
    counts: tuple[int, ...]
    bin_cycles: int
    row: int
    open_ended: bool = True

    @property
    def reads(self) -> int:
        """Number of reads."""
        return sum(self.counts)

    def binned(self, edges: Sequence[int]) -> list[int]:
        """Return the reads between each two edges (cycles)."""
        cycles = np.arange(len(self.counts)) * self.bin_cycles
        inside = np.minimum(cycles, edges[-1])  # the last bin holds all longer ones
        reads, _ = np.histogram(inside, edges, weights=np.array(self.counts, np.int64))
        bins: list[int] = reads.tolist()
        return bins

    def shares(self, edges: Sequence[int]) -> list[float]:
        """Return the share of reads (%) between each two edges."""
        return [100 * count / self.reads for count in self.binned(edges)]


def draw_exposure(points: Points, value: str | None = None) -> SubFigure:
    """Draw the interval from ACT to RD of reads, and mark those below the specified interval.

    `value` is the key that names the lines.
    """
    if value is None and len(points) > LOOKS and not points.swept():  # parts of one run
        return _draw_multiples(points)
    histograms = _exposures(points, value)
    figure, axes = _draw(histograms, "Interval from ACT to RD (memory cycles)", points)
    specified = _specified_nRCD(points)
    low, high = axes.get_xlim()
    if specified is not None and specified < high:
        margin = max(0.0, specified - 0.06 * (high - low))
        low = min(low, specified * 0.85 if axes.get_xscale() == "log" else margin)
        axes.axvspan(low, specified, color=VERMILLION, alpha=0.12, lw=0)
        mark_at(axes, specified, f"specified nRCD {specified}", VERMILLION)
    axes.set_xlim(low, high)
    counts = [
        (histogram, points.rows[histogram.row].get("exposure.out_of_specification"))
        for histogram in histograms
    ]
    texts = [
        f"{histogram.name}: {count:,} of {histogram.reads:,}"
        for histogram, count in counts
        if isinstance(count, int)
    ]
    if texts:
        text = "\n".join(["reads outside specification", *texts])
        if len(texts) == 1:
            text = f"outside specification: {texts[0].partition(': ')[2]} reads"
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.text(
            0.985, 0.97, text, transform=axes.transAxes, ha="right", va="top", size=7, bbox=ground
        )
    axes.set_title("Exposure: how long after its activation each read came")
    return figure


def draw_latency(points: Points, value: str | None = None) -> SubFigure:
    """Draw the latency of reads from arrival to last data beat; `value` names the lines."""
    histograms = _histograms(
        points, value, "latency", LATENCY_KEYS, "read_latency_cycles.bin_cycles"
    )
    figure, axes = _draw(histograms, "Read latency (memory cycles)", points)
    if len(histograms) == 1:
        low, high = axes.get_xlim()
        for name, key in (("median", "p50"), ("99 %", "p99")):
            cycles = points.rows[histograms[0].row].get(f"read_latency_cycles.{key}")
            if isinstance(cycles, int | float) and low < cycles < high:
                mark_at(axes, cycles, f"{name}: {cycles:g}", VERMILLION)
    axes.set_title("Read latency, arrival to last data beat")
    return figure


def _exposures(points: Points, value: str | None) -> list[Histogram]:
    return _histograms(points, value, "exposure", ("exposure.counts",), "exposure.bin_cycles")


def _histograms(
    points: Points, value: str | None, kind: str, keys: Sequence[str], bin_key: str
) -> list[Histogram]:
    """Return the histogram of each point. Raises InputError if a point has none."""
    points.expect_at_most(LOOKS, "lines", kind)
    names = point_names(points)
    if value is not None:
        key = points.resolve(value, "--value")
        names = [short_value(key, v) for v in points.values(key)]
    histograms = []
    for row, (point, name) in enumerate(zip(points.rows, names, strict=True)):
        origin = f"{points.origin}: {points.names[row]}"
        counts = next((point[key] for key in keys if point.get(key) is not None), None)
        if counts is None:
            raise InputError(
                f"{origin} holds no {keys[0].partition('.')[0]!r} histogram; "
                "expected the JSON of a run that counted it"
            )
        width, counts = point.get(bin_key, 1), _dense(point, counts)
        whole = isinstance(counts, list) and all(isinstance(n, int) and n >= 0 for n in counts)
        if not whole or not isinstance(width, int) or width < 1:
            raise InputError(
                f"{origin}: {keys[0]}: expected a list of whole numbers, "
                "and bins of at least 1 cycle"
            )
        if not any(counts):
            raise InputError(f"{origin}: {keys[0]}: counted no read")
        longest = point.get("exposure.bins", len(counts)) if kind == "exposure" else LATENCY_BINS
        histograms.append(Histogram(name, tuple(counts), width, row, len(counts) >= longest))
    return histograms


def _dense(point: Point, counts: Any) -> Any:
    """Return the counts of all bins, from the counts of those that hold reads."""
    bins = point.get("read_latency_histogram.bins")
    if not (bins and isinstance(bins, list) and isinstance(counts, list)):
        return counts
    if len(bins) != len(counts):
        return counts
    by_bin = dict(zip(bins, counts, strict=True))
    return [by_bin.get(cycles, 0) for cycles in range(max(bins) + 1)]


def _draw_multiples(points: Points) -> SubFigure:
    """Draw a panel for each part of one run, those with most reads, on common axes."""
    order = sorted(range(len(points)), key=lambda i: -sum(points.rows[i]["exposure.counts"]))
    shown = points.at(sorted(order[:MOST_PANELS]))
    histograms = [_exposures(shown.at([index]), None)[0] for index in range(len(shown))]
    edges = bin_edges(histograms)
    rows = -(-len(shown) // COLUMNS)
    figure = new_figure(7.2, 0.7 + 1.15 * rows, caption(points))
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    first = panels[0, 0]
    specified = _specified_nRCD(points)
    heights = []
    for axes, histogram in zip(panels.flat, histograms, strict=False):
        shares = histogram.shares(edges)
        heights += [share for share in shares if share]
        axes.stairs(shares, edges, fill=True, facecolor=SKY, edgecolor="black", lw=0.5)
        if specified is not None and specified < edges[-1]:
            axes.axvline(specified, color=VERMILLION, lw=1.0, ls=(0, (4, 2)))
        name = histogram.name if len(histogram.name) <= 22 else f"…{histogram.name[-21:]}"
        axes.set_title(f"{name} ({histogram.reads:,})", size=6.5, weight="normal")
        axes.tick_params(labelsize=7)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    if _widen(edges):
        first.set_xscale("log")
        _set_plain_ticks(first)
    for column in range(COLUMNS):  # the lowest panel of each column names the cycles
        lowest = (len(shown) - 1 - column) // COLUMNS
        if 0 <= lowest < rows - 1:
            panels[lowest, column].tick_params(labelbottom=True)
    _set_share_scale(first, heights, 3, 1.1)
    label = "Interval from ACT to RD (memory cycles)"
    if any(histogram.open_ended for histogram in histograms):
        longest = max(len(histogram.counts) for histogram in histograms) - 1
        label += f"; the last bin holds {longest:,} or more"
    if specified is not None:
        label += f"; dashed: specified nRCD {specified}"
    some = (
        f"; the {len(shown)} with most reads of {len(points)}" if len(shown) < len(points) else ""
    )
    title = f"Exposure: how long after its activation each read came (reads{some})"
    figure.supxlabel(label, size=8)
    figure.supylabel("Share of reads per bin (%)", size=8)
    figure.suptitle(title, size=8.5, weight="bold")
    return figure


def bin_edges(histograms: Sequence[Histogram]) -> list[int]:
    """Return edges in cycles that suit all histograms.

    They are even if that is fine enough; otherwise each bin is about 10 % wider than the last.
    """
    width = max(histogram.bin_cycles for histogram in histograms)
    filled = [
        index * histogram.bin_cycles
        for histogram in histograms
        for index, count in enumerate(histogram.counts)
        if count
    ]
    low, high = (cycles // width * width for cycles in (min(filled), max(filled)))
    high += width
    if (high - low) // width <= (MOST_EVEN_BINS if len(histograms) == 1 else MOST_SHARED_BINS):
        return list(range(low, high + width, width))
    start = max(low, width)
    ratio = (high / start) ** (1 / WIDENING_BINS)
    edges = [low, start] if low < start else [start]
    while edges[-1] < high:
        edges.append(max(edges[-1] + width, math.ceil(edges[-1] * ratio / width) * width))
    return edges


def _widen(edges: Sequence[int]) -> bool:
    """Whether the bins between these edges widen."""
    return edges[-1] - edges[-2] > edges[1] - edges[0]


def _draw(histograms: Sequence[Histogram], label: str, points: Points) -> tuple[SubFigure, Axes]:
    edges = bin_edges(histograms)
    figure, axes = new_axes(6.8, 4.2, caption(points))
    heights: list[float] = []
    for look, histogram in enumerate(histograms):
        shares = histogram.shares(edges)
        heights += [share for share in shares if share]
        style: dict[str, Any] = {"color": COLOURS[look % 5], "ls": LINES[look], "lw": 1.6}
        if len(histograms) == 1:
            style = {"fill": True, "facecolor": SKY, "edgecolor": "black", "lw": 0.5}
        text = f"{histogram.name} ({histogram.reads:,} reads)"
        axes.stairs(shares, edges, label=text, **style)
    bin_text = f", bins of {edges[1] - edges[0]} cycle{'s' * (edges[1] - edges[0] > 1)}"
    low, high = float(max(0, edges[0] - 2)), edges[-1] + 1.0
    if _widen(edges):
        axes.set_xscale("log")
        _set_plain_ticks(axes)
        bin_text = ", bins widen"
        low, high = max(edges[0], 0.8), edges[-1] * 1.05
    _set_share_scale(axes, heights, 12, 1.2)
    axes.set_xlim(low, high)
    cut = [histogram for histogram in histograms if histogram.counts[-1] and histogram.open_ended]
    longest = max(((len(cut_off.counts) - 1) * cut_off.bin_cycles for cut_off in cut), default=0)
    axes.set(
        xlabel=f"{label}; the last bin holds {longest:,} or more" if cut else label,
        ylabel=f"Share of reads per bin (%){bin_text}",
    )
    _add_ns_axis(axes, points)
    if len(histograms) > 1:
        add_legend(figure)
    return figure, axes


def _set_share_scale(axes: Axes, heights: Sequence[float], log_room: float, room: float) -> None:
    """Scale the vertical axis, logarithmically if the heights differ much, with room above."""
    if max(heights) > 50 * min(heights):
        axes.set(yscale="log", ylim=(min(heights) / 2, max(heights) * log_room))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        axes.set_ylim(0, max(heights) * room)


def _set_plain_ticks(axes: Axes) -> None:
    """Write 1000 and not 10^3 along x, and name 20 and 50 too."""
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _add_ns_axis(axes: Axes, points: Points) -> None:
    """Add the same interval in ns along the top, if all points have one clock period."""
    periods = {
        round(row["time_ns"] / row["cycles"], 6)
        for row in points.rows
        if row.get("cycles") and row.get("time_ns")
    }
    if len(periods) != 1:
        return
    top = axes.secondary_xaxis("top", functions=clock_scale(periods.pop()))
    top.set_xlabel("ns", fontsize=8)
    top.tick_params(labelsize=7)
    if axes.get_xscale() == "log":
        _set_plain_ticks(top)  # type: ignore[arg-type]


def _specified_nRCD(points: Points) -> int | None:
    """Return nRCD (cycles) of the standard's own speed bin, whatever the runs set.

    Returns None if the points differ in it or the standard is not known.
    """
    devices: set[tuple[Any, ...]] = {
        tuple(row.get(f"{CONFIG}dram.{key}") for key in DEVICE) for row in points.rows
    }
    standard, organization, speed_bin = devices.pop()
    if devices or not standard:
        return None
    try:
        device = load_standard(standard, organization=organization, speed_bin=speed_bin)
    except EdensimError:
        return None
    return device.timings["nRCD"]
