"""Pictures of what networks tolerate: accuracy against BER, and the BER of each tensor in the order of use. From files of `edensim tolerance`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

#: More items than that are not all named.
MOST_NAMES = 60


def draw_accuracy(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """Accuracy of each probe with its interval, a line per file; the coarse BER of each is marked."""
    _refuse("accuracy", where)
    if len(paths) > LOOKS:
        raise InputError(
            f"accuracy: {len(paths)} files; expected at most {LOOKS}, more lines cannot be told apart"
        )
    found = [Tolerance.load(path) for path in paths]
    for path, each in zip(paths, found, strict=True):
        if not each.probes:
            raise InputError(f"{path}: holds no probe: the search was interrupted before the first")
    panel = new_figure(6.4, 4.2, _caption(found))
    axes = panel.add_subplot()
    for look, (each, name) in enumerate(zip(found, _names(paths, found), strict=True)):
        colour, shift = (
            COLOURS[look],
            1.03 ** (look - (len(found) - 1) / 2),
        )  # so that intervals at one BER lie beside each other
        at = [probe.ber * shift for probe in each.probes]
        means = [100 * probe.mean for probe in each.probes]
        axes.plot(
            at,
            means,
            marker=MARKERS[look],
            ls=LINES[look],
            color=colour,
            ms=4,
            label=f"{name}: {each.ber:.2g}",
        )
        ends = [probe.interval or (probe.mean, probe.mean) for probe in each.probes]
        axes.vlines(
            at,
            [100 * max(low, 0) for low, _ in ends],
            [100 * min(high, 1) for _, high in ends],
            color=colour,
            lw=0.9,
        )
        if each.ber > 0:
            axes.axvline(each.ber * shift, color=colour, lw=0.8, ls=":")
    for threshold in sorted({each.threshold for each in found}):
        axes.axhline(100 * threshold, color=GREY, lw=0.8, ls="--")
    bers = [probe.ber for each in found for probe in each.probes]
    axes.set_xlim(min(bers) / 1.5, max(bers) * 1.5)  # also of one probe
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.set_xlabel("Bit error rate")
    measures = sorted({str(each.notes.get("measure", "accuracy")) for each in found})
    what = " and ".join(
        measure[0].upper() + measure[1:] if measure == "accuracy" else measure
        for measure in measures
    )
    axes.set_ylabel(f"{what} (%)")
    axes.set_title(f"{what} against bit error rate")
    add_legend(
        panel,
        title="tolerable BER (dotted); dashed: accuracy that is accepted; lines through points: 95 % of the mean",
    )
    return panel


def draw_tolerance(paths: Sequence[Path], where: Sequence[str]) -> SubFigure:
    """BER of each weight tensor and each ifm in the order of use, and the coarse one. What the sample alone allowed is drawn hollow."""
    _refuse("tolerance", where)
    if len(paths) != 1:
        raise InputError(
            f"tolerance: {len(paths)} files; expected one that `edensim tolerance --fine` wrote"
        )
    found = Tolerance.load(paths[0])
    if not found.items:
        raise InputError(
            f"{paths[0]}: holds no items; `edensim tolerance --fine` finds a BER for each"
        )
    names = list(found.items)
    sampled = found.notes.get("fine", {}).get("bers_on_sample", {})
    panel = new_figure(max(6.4, min(12.0, 1.6 + 0.2 * len(names))), 4.4, _caption([found]))
    axes = panel.add_subplot()
    for role, name, colour, marker in (
        ("weights", "weights", BLUE, "o"),
        ("ifm", "ifm", VERMILLION, "s"),
    ):
        own = [index for index, item in enumerate(names) if found.items[item].role == role]
        bers = [found.items[names[index]].ber for index in own]
        axes.plot(own, bers, marker=marker, color=colour, ms=5, lw=1, label=name)
        if sampled and [sampled[names[index]] for index in own] != bers:
            axes.plot(
                own,
                [sampled[names[index]] for index in own],
                marker,
                color=colour,
                mfc="none",
                ms=5,
                label=f"{name}, on the sample alone",
            )
    axes.axhline(found.ber, color=GREY, lw=1, ls="--", label="coarse")
    step = -(-len(names) // MOST_NAMES)
    axes.set_xticks(range(0, len(names), step), names[::step], rotation=90, size=6)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    axes.set_ylabel("Tolerable bit error rate")
    axes.set_title("Tolerable bit error rate of each tensor, in the order of use")
    add_legend(panel)
    return panel


def _refuse(kind: str, where: Sequence[str]) -> None:
    if where:
        raise InputError(f"--where {where[0]}: has no meaning for `--kind {kind}`")


def _names(paths: Sequence[Path], found: Sequence[Tolerance]) -> list[str]:
    """What tells the files apart; their own names where nothing in them does."""
    models = [each.config.get("errors", {}).get("kind", "") for each in found]
    parts = [
        [each.network for each in found],
        [each.precision for each in found],
        [f"bounding {each.bounding}" for each in found],
        models,
    ]
    differing = [part for part in parts if len(set(part)) > 1] or [parts[1]]
    names = [", ".join(words) for words in zip(*differing, strict=True)]
    return names if len(set(names)) == len(names) else [path.stem for path in paths]


def _caption(found: Sequence[Tolerance]) -> str:
    first = found[0]
    runs = list(
        dict.fromkeys(
            f"{each.network} on {each.images:,} images of {each.dataset}, {each.precision}, bounding {each.bounding}"
            for each in found
        )
    )
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    unfinished = " · incomplete" if not all(each.complete for each in found) else ""
    repeats = len(first.probes[0].accuracies) if first.probes else 0
    return f"{runs[0]}{more} · {repeats} memories from seed {first.seed}{unfinished} · edensim {__version__}"
