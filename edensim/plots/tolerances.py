"""Draw what networks tolerate: accuracy against BER, and the BER of each tensor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim._version import __version__
from edensim.eden.tolerance import Tolerance
from edensim.exceptions import InputError
from edensim.plots.style import (
    BLUE,
    COLOURS,
    GREY,
    LINES,
    LOOKS,
    MARKERS,
    VERMILLION,
    add_legend,
    new_axes,
    new_figure,
)

#: Most items that are all named.
MOST_NAMES: Final = 60


def draw_accuracy(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """Draw the accuracy of each probe with its interval, a line per file of `edensim tolerance`.

    The coarse BER of each file is marked.
    """
    _refuse("accuracy", where)
    if len(paths) > LOOKS:
        raise InputError(
            f"accuracy: {len(paths)} files; expected at most {LOOKS}, "
            "more lines cannot be told apart"
        )
    tolerances = [Tolerance.load(path) for path in paths]
    for path, tolerance in zip(paths, tolerances, strict=True):
        if not tolerance.probes:
            raise InputError(f"{path}: holds no probe: the search was interrupted before the first")
    panel, axes = new_axes(6.4, 4.2, _caption(tolerances))
    for look, (tolerance, name) in enumerate(
        zip(tolerances, _names(paths, tolerances), strict=True)
    ):
        shift = 1.03 ** (look - (len(tolerances) - 1) / 2)  # intervals stand beside each other
        _draw_probes(axes, tolerance, f"{name}: {tolerance.ber:.2g}", look, shift)
    for threshold in sorted({tolerance.threshold for tolerance in tolerances}):
        axes.axhline(100 * threshold, color=GREY, lw=0.8, ls="--")
    bers = [probe.ber for tolerance in tolerances for probe in tolerance.probes]
    axes.set(
        xlim=(min(bers) / 1.5, max(bers) * 1.5),
        xscale="log",
        ylim=(0, 100),
        xlabel="Bit error rate",
    )
    measures = sorted({str(each.notes.get("measure", "accuracy")) for each in tolerances})
    what = " and ".join(measures).replace("accuracy", "Accuracy")
    axes.set(ylabel=f"{what} (%)", title=f"{what} against bit error rate")
    add_legend(
        panel,
        title="tolerable BER (dotted); dashed: accuracy that is accepted; "
        "lines through points: 95 % of the mean",
    )
    return panel


def _draw_probes(axes: Axes, tolerance: Tolerance, label: str, look: int, shift: float) -> None:
    colour = COLOURS[look]
    at = [probe.ber * shift for probe in tolerance.probes]
    means = [100 * probe.mean for probe in tolerance.probes]
    axes.plot(at, means, marker=MARKERS[look], ls=LINES[look], color=colour, ms=4, label=label)
    ends = [probe.interval or (probe.mean, probe.mean) for probe in tolerance.probes]
    low, high = [100 * max(end, 0) for end, _ in ends], [100 * min(end, 1) for _, end in ends]
    axes.vlines(at, low, high, color=colour, lw=0.9)
    if tolerance.ber > 0:
        axes.axvline(tolerance.ber * shift, color=colour, lw=0.8, ls=":")


def draw_tolerance(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """Draw the BER of each weight tensor and each ifm in the order of use, and the coarse BER.

    What the sample of the images alone allowed is drawn hollow.
    """
    _refuse("tolerance", where)
    if len(paths) != 1:
        raise InputError(
            f"tolerance: {len(paths)} files; expected one that `edensim tolerance --fine` wrote"
        )
    tolerance = Tolerance.load(paths[0])
    if not tolerance.items:
        raise InputError(
            f"{paths[0]}: holds no items; `edensim tolerance --fine` finds a BER for each"
        )
    names = list(tolerance.items)
    on_sample = tolerance.notes.get("fine", {}).get("bers_on_sample", {})
    panel = new_figure(max(6.4, min(12.0, 1.6 + 0.2 * len(names))), 4.4, _caption([tolerance]))
    axes = panel.add_subplot()
    for role, colour, marker in (("weights", BLUE, "o"), ("ifm", VERMILLION, "s")):
        at = [index for index, item in enumerate(tolerance.items.values()) if item.role == role]
        bers = [tolerance.items[names[index]].ber for index in at]
        axes.plot(at, bers, marker=marker, color=colour, ms=5, lw=1, label=role)
        sampled = [on_sample[names[index]] for index in at] if on_sample else bers
        if sampled != bers:
            label = f"{role}, on the sample alone"
            axes.plot(at, sampled, marker, color=colour, mfc="none", ms=5, label=label)
    axes.axhline(tolerance.ber, color=GREY, lw=1, ls="--", label="coarse")
    step = -(-len(names) // MOST_NAMES)
    axes.set_xticks(range(0, len(names), step), names[::step], rotation=90, size=6)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    axes.set(
        ylabel="Tolerable bit error rate",
        title="Tolerable bit error rate of each tensor, in the order of use",
    )
    add_legend(panel)
    return panel


def _refuse(kind: str, where: Sequence[str]) -> None:
    if where:
        raise InputError(f"--where {where[0]}: has no meaning for `--kind {kind}`")


def _names(paths: Sequence[Path], tolerances: Sequence[Tolerance]) -> list[str]:
    """Return what tells the files apart; their own names if nothing in them does."""
    precisions = [tolerance.precision for tolerance in tolerances]
    parts = [
        [tolerance.network for tolerance in tolerances],
        precisions,
        [f"bounding {tolerance.bounding}" for tolerance in tolerances],
        [tolerance.config.get("errors", {}).get("kind", "") for tolerance in tolerances],
    ]
    differing = [part for part in parts if len(set(part)) > 1] or [precisions]
    names = [", ".join(words) for words in zip(*differing, strict=True)]
    return names if len(set(names)) == len(names) else [path.stem for path in paths]


def _caption(tolerances: Sequence[Tolerance]) -> str:
    first = tolerances[0]
    runs = list(
        dict.fromkeys(
            f"{tolerance.network} on {tolerance.images:,} images of {tolerance.dataset}, "
            f"{tolerance.precision}, bounding {tolerance.bounding}"
            for tolerance in tolerances
        )
    )
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    unfinished = "" if all(tolerance.complete for tolerance in tolerances) else " · incomplete"
    repeats = len(first.probes[0].accuracies) if first.probes else 0
    return (
        f"{runs[0]}{more} · {repeats} memories from seed {first.seed}{unfinished} "
        f"· edensim {__version__}"
    )
