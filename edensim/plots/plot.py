"""The kinds of pictures, and how one is made: read what was saved, draw, add the caption, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edensim.exceptions import InputError, nearest
from edensim.plots import bars, curves, grids, histograms, layers, modules, tolerances
from edensim.plots.division import divide
from edensim.plots.points import Points, load_points
from edensim.plots.style import check_suffix, save, styled

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from edensim.dram.standard import Standard

Draw = Callable[[Points, str | None, str | None, str | None], "SubFigure"]

#: Kinds that draw results. `commands` draws a command trace.
RESULT_KINDS: Final[Mapping[str, Draw]] = {
    "pareto": curves.draw_pareto,
    "heatmap": grids.draw_heatmap,
    "energy": bars.draw_energy,
    "bandwidth-latency": curves.draw_bandwidth_latency,
    "rows": bars.draw_rows,
    "exposure": histograms.draw_exposure,
    "latency": histograms.draw_latency,
    "layers": layers.draw_layers,
}
#: Kinds that draw modules and fits: MODULE.yaml with tables of rates beside it, the JSON of `edensim fit`, MODULE.yaml at an operating point;
#: and files of `edensim tolerance`.
MODULE_KINDS: Final[Mapping[str, Callable[[Sequence[Path], Sequence[str]], SubFigure]]] = {
    "ber": modules.draw_ber,
    "models": modules.draw_models,
    "weak-cells": modules.draw_weak_cells,
    "accuracy": tolerances.draw_accuracy,
    "tolerance": tolerances.draw_tolerance,
}
COMMANDS: Final = "commands"
KINDS: Final = (*RESULT_KINDS, *MODULE_KINDS, COMMANDS)


def plot(
    targets: Sequence[Path | str],
    kind: str,
    figure_path: Path | str,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str | None = None,
    where: Sequence[str] = (),
    clocks: tuple[int, int] | None = None,
    standard: Standard | None = None,
    by: str | None = None,
) -> None:
    """Draw saved results, or a command trace, into a PNG, SVG or PDF.

    targets: folders of a sweep or of result JSONs, result JSONs, tables; for `commands` one command CSV; for `ber` a module file and tables of
    measured rates, for `models` the JSON of a fit, for `weak-cells` a module file (`where`: the operating point, trcd_ns=5), for `accuracy` and
    `tolerance` files of `edensim tolerance`.
    x, y, value: keys of the result, `config.` may be left out. where: `KEY=VALUE`, only the points that have it.
    by: the parts of one run side by side instead: energy by `tensor` or `partition`, exposure by `bank`, `tensor` or `partition`.
    clocks, standard: for `commands`: the clocks to draw (first, last), and the standard for the time axis in ns.

    Raises InputError for what cannot be drawn, read or written.
    """
    paths, figure_path = [Path(target) for target in targets], Path(figure_path)
    check_kind(kind)
    check_suffix(figure_path)
    if not paths:
        raise InputError(f"{kind}: nothing to draw; expected a folder, a result or a command trace")
    with styled():
        if kind == COMMANDS:
            for option, given in (
                ("--x", x),
                ("--y", y),
                ("--value", value),
                ("--where", where),
                ("--by", by),
            ):
                if given:
                    raise InputError(
                        f"{option}: has no meaning for `--kind commands`, which draws a command trace"
                    )
            figure = _commands(paths, clocks, standard)
        elif kind in MODULE_KINDS:
            for option, used in (
                ("--x", x),
                ("--y", y),
                ("--value", value),
                ("--clock", clocks),
                ("--by", by),
            ):
                if used:
                    raise InputError(
                        f"{option}: has no meaning for `--kind {kind}`, which draws a module, a fit or a tolerance"
                    )
            figure = MODULE_KINDS[kind](paths, where)
        else:
            if clocks is not None:
                raise InputError(f"--clock: only for `--kind commands`, not for {kind!r}")
            points = load_points(paths).where(where)
            if by is not None:
                points = divide(points, kind, by)
            figure = RESULT_KINDS[kind](points, x, y, value)
        save(figure, figure_path)


def check_kind(kind: str) -> None:
    """Raise InputError, with the nearest, for a kind that does not exist."""
    if kind not in KINDS:
        raise InputError(
            f"--kind {kind}: unknown kind{nearest(kind, KINDS)}; known: {', '.join(KINDS)}"
        )


def _commands(
    paths: Sequence[Path], clocks: tuple[int, int] | None, standard: Standard | None
) -> SubFigure:
    from edensim._version import __version__
    from edensim.plots.commands import draw_commands
    from edensim.tracefiles.commands import read_commands_csv

    if len(paths) != 1:
        raise InputError(f"commands: {len(paths)} files; expected one command CSV")
    path = paths[0]
    if path.is_dir() or path.suffix.lower() == ".json":
        raise InputError(
            f"{path}: not a command trace; `--kind commands` draws what `edensim simulate --commands OUT.csv` wrote"
        )
    records = read_commands_csv(path)
    if len(records) == 0:
        raise InputError(f"{path}: holds no command")
    device = (
        f"{standard.name} {standard.organization.name} {standard.speed_bin}, tCK {standard.tck_ps} ps · "
        if standard
        else ""
    )
    small_print = (
        f"{device}commands of {path.name} ({len(records):,} in all) · edensim {__version__}"
    )
    try:
        return draw_commands(records, clocks, standard, small_print)
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None
