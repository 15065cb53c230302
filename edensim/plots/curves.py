"""Draw points in a plane: energy against time with the Pareto front, latency over bandwidth."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim.exceptions import InputError
from edensim.plots.labels import (
    axis_label,
    caption,
    name_of,
    point_names,
    scale_of,
    short_value,
)
from edensim.plots.points import CONFIG, Points
from edensim.plots.style import (
    BLACK,
    COLOURS,
    GREY,
    LOOKS,
    MARKERS,
    add_legend,
    mark_at,
    new_axes,
    whole,
)
from edensim.sweep.result import pareto_front

#: Keys of which more is better; of all others, less is better.
MORE_IS_BETTER: Final = frozenset({"bandwidth_GBps", "core.ipc", "row_hits"})
#: Most points of the front that are all labelled.
MOST_LABELS: Final = 12


def front_of(
    x: Sequence[float], y: Sequence[float], *, more_x: bool = False, more_y: bool = False
) -> list[int]:
    """Return the indices of the points that no other point beats, in the order of x.

    Less is better, unless `more_x` or `more_y` says otherwise.
    """
    in_front = pareto_front([-v if more_y else v for v in y], [-v if more_x else v for v in x])
    return sorted((i for i in range(len(x)) if in_front[i]), key=lambda i: (x[i], y[i]))


def draw_pareto(points: Points, x: str | None, y: str | None, value: str | None) -> SubFigure:
    """Draw a marker per point, and the Pareto front as a line.

    `x` and `y` are run time and energy by default; `value` is the key that colours the points.
    """
    key_x = points.resolve(x or "time_ns", "--x")
    key_y = points.resolve(y or "energy_pJ.total", "--y")
    xs, unit_x = _scaled(points, key_x)
    ys, unit_y = _scaled(points, key_y)
    more_x, more_y = key_x in MORE_IS_BETTER, key_y in MORE_IS_BETTER
    front = front_of(xs, ys, more_x=more_x, more_y=more_y)
    figure, axes = new_axes(6.4, 4.2, caption(points))
    if value is None:
        beaten = [i for i in range(len(points)) if i not in set(front)]
        axes.plot(
            [xs[i] for i in beaten],
            [ys[i] for i in beaten],
            "o",
            ms=5,
            mfc="white",
            mec=GREY,
            label=f"other points ({len(beaten)})",
        )
    else:
        _coloured(axes, points, points.resolve(value, "--value"), xs, ys)
    axes.plot(
        [xs[i] for i in front],
        [ys[i] for i in front],
        "-D",
        color=BLACK if value else COLOURS[0],
        ms=9 if value else 6,
        mfc="none" if value else COLOURS[0],
        zorder=3,
        label=f"Pareto front ({len(front)} of {len(points)})",
    )
    axes.margins(0.1)
    axes.set(
        xlabel=_direction(axis_label(key_x, unit_x), more_x),
        ylabel=_direction(axis_label(key_y, unit_y), more_y),
        title=f"{name_of(key_y)} against {name_of(key_x)[:1].lower()}{name_of(key_x)[1:]}",
    )
    add_legend(figure, title=None if value is None else name_of(points.resolve(value, "--value")))
    names = point_names(points)
    label_points(
        figure,
        axes,
        [(xs[i], ys[i], names[i]) for i in spread(front, MOST_LABELS)],
        list(zip(xs, ys, strict=True)),
    )
    return figure


def draw_bandwidth_latency(points: Points, value: str | None = None) -> SubFigure:
    """Draw the mean and the 99th percentile of read latency (ns) against the reached bandwidth.

    Each value of the key `value` has its own two lines.
    """
    bandwidth = points.numbers(points.resolve("bandwidth_GBps", "--x"))
    clock_ns = [
        time / cycles
        for time, cycles in zip(points.numbers("time_ns"), points.numbers("cycles"), strict=True)
    ]
    latencies = {name: points.numbers(f"read_latency_cycles.{name}") for name in ("mean", "p99")}
    series: dict[Any, list[int]] = {}
    key = None if value is None else points.resolve(value, "--value")
    for index in range(len(points)):
        series.setdefault(None if key is None else points.rows[index].get(key), []).append(index)
    _limit_looks(len(series), value or "")
    figure, axes = new_axes(6.4, 4.2, caption(points))
    for look, (what, members) in enumerate(series.items()):
        members.sort(key=lambda i: bandwidth[i])
        prefix = "" if key is None else f"{short_value(key, what)}, "
        for name, line, fill in (("mean", "-", COLOURS[look]), ("p99", "--", "white")):
            ns = [latencies[name][i] * clock_ns[i] for i in members]
            text = prefix + {"mean": "mean", "p99": "99 % of reads within"}[name]
            axes.plot(
                [bandwidth[i] for i in members],
                ns,
                line,
                marker=MARKERS[look],
                color=COLOURS[look],
                mfc=fill,
                ms=5,
                label=text,
            )
    peaks = set(points.values("peak_bandwidth_GBps")) - {None}
    if len(peaks) == 1:
        peak = float(peaks.pop())
        mark_at(axes, peak, f"peak {peak:.4g} GB/s", GREY)
        axes.set_xlim(right=1.06 * peak)
    axes.set(
        xlim=(0, None),
        ylim=(0, None),
        xlabel="Bandwidth (GB/s)",
        ylabel="Read latency (ns)",
        title="Read latency against bandwidth",
    )
    add_legend(figure)
    return figure


def _scaled(points: Points, key: str) -> tuple[list[float], str]:
    values = points.numbers(key)
    factor, unit = scale_of(key, values)
    return [value / factor for value in values], unit


def _direction(label: str, more: bool) -> str:
    return f"{label}, {'more' if more else 'less'} is better"


def _coloured(axes: Axes, points: Points, key: str, xs: list[float], ys: list[float]) -> None:
    """Draw points coloured by a key: a look per value, or a colour scale for many numbers."""
    found = points.values(key)
    values = sorted(
        set(found), key=lambda v: (isinstance(v, str), v is None, v if v is not None else 0)
    )
    if len(values) > LOOKS and all(isinstance(v, int | float) for v in values):
        dots = axes.scatter(
            xs, ys, c=points.numbers(key), cmap="cividis", s=26, edgecolors=GREY, linewidths=0.4
        )
        axes.figure.colorbar(dots, ax=axes, label=axis_label(key))
        return
    _limit_looks(len(values), key.removeprefix(CONFIG))
    for look, value in enumerate(values):
        members = [i for i, other in enumerate(found) if other == value]
        axes.plot(
            [xs[i] for i in members],
            [ys[i] for i in members],
            MARKERS[look],
            color=COLOURS[look],
            mec="black",
            mew=0.4,
            ms=5,
            ls="none",
            label=short_value(key, value),
        )


def _limit_looks(found: int, key: str) -> None:
    if found > LOOKS:
        raise InputError(
            f"--value {key}: found {found} values; expected at most {LOOKS}, "
            "more lines cannot be told apart (--where KEY=VALUE picks some)"
        )


def spread(items: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of the items, evenly spread, with both ends."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def label_points(
    panel: SubFigure,
    axes: Axes,
    labels: Sequence[tuple[float, float, str]],
    dots: Sequence[tuple[float, float]],
) -> None:
    """Write names beside points, but not over other names, markers or the edge.

    A name without room is left out.
    """
    figure = whole(panel)
    figure.draw_without_rendering()  # the layout must be done before anything can be measured
    figure.set_layout_engine("none")
    frame = axes.get_window_extent()
    taken = [axes.transData.transform(dot) for dot in dots]
    boxes: list[Any] = []
    for x, y, name in labels:
        for dx, dy, across, up in (
            (6, 6, "left", "bottom"),
            (-6, -6, "right", "top"),
            (6, -6, "left", "top"),
            (-6, 6, "right", "bottom"),
            (9, 0, "left", "center"),
        ):
            text = axes.annotate(
                name, (x, y), (dx, dy), textcoords="offset points", ha=across, va=up, size=7
            )
            box = text.get_window_extent().padded(1)
            inside = (
                frame.x0 <= box.x0
                and box.x1 <= frame.x1
                and frame.y0 <= box.y0
                and box.y1 <= frame.y1
            )
            if (
                inside
                and not any(box.overlaps(other) for other in boxes)
                and not any(box.padded(2).contains(*dot) for dot in taken)
            ):
                boxes.append(box)
                break
            text.remove()
