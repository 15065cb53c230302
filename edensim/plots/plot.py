"""Draw a picture of one of the known kinds: read what was saved, draw it, write the file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import SubFigure

from edensim._version import __version__
from edensim.dram.standard import Standard
from edensim.exceptions import InputError, nearest
from edensim.files import reading
from edensim.plots import bars, curves, grids, histograms, layers, modules, tolerances
from edensim.plots.commands import draw_commands
from edensim.plots.division import divide
from edensim.plots.points import load_points
from edensim.plots.style import check_suffix, save, styled
from edensim.tracefiles.commands import read_commands_csv


@dataclass(frozen=True)
class PlotOptions:
    """What a picture shows; each kind takes some of the options.

    Attributes
    ----------
    x, y, value : str, optional
        Keys of the result; `config.` may be left out.
    where : sequence of str
        Conditions `KEY=VALUE` that the points must meet. For `weak-cells`, the operating point.
    by : str, optional
        Draw the parts of one run side by side: energy by "tensor" or "partition", exposure by
        "bank", "tensor" or "partition".
    clocks : tuple of int, optional
        First and last memory clock of the commands to draw.
    standard : Standard, optional
        The standard that gives commands a time axis in ns.
    """

    x: str | None = None
    y: str | None = None
    value: str | None = None
    where: Sequence[str] = ()
    by: str | None = None
    clocks: tuple[int, int] | None = None
    standard: Standard | None = None


@dataclass(frozen=True)
class ResultKind:
    """A kind that draws results: its function, the keys that it takes, and what else is told."""

    draw: Callable[..., SubFigure]
    keys: tuple[str, ...] = ("x", "y", "value")
    hint: str = ""


_BARS: Final = "bars take only --x, the key that orders them"
_HISTOGRAM: Final = "a histogram takes only --value, the key that names its lines"
RESULT_KINDS: Final[Mapping[str, ResultKind]] = {
    "pareto": ResultKind(curves.draw_pareto),
    "heatmap": ResultKind(grids.draw_heatmap),
    "energy": ResultKind(bars.draw_energy, ("x",), _BARS),
    "bandwidth-latency": ResultKind(
        curves.draw_bandwidth_latency,
        ("value",),
        "bandwidth-latency has fixed axes; `--kind pareto` draws any two keys",
    ),
    "rows": ResultKind(bars.draw_rows, ("x",), _BARS),
    "exposure": ResultKind(histograms.draw_exposure, ("value",), _HISTOGRAM),
    "latency": ResultKind(histograms.draw_latency, ("value",), _HISTOGRAM),
    "layers": ResultKind(
        layers.draw_layers,
        (),
        "has no meaning for `--kind layers`, which draws the layers of one run",
    ),
}
#: Kinds that draw module files with tables of rates, files of `edensim fit`, and files of
#: `edensim tolerance`.
MODULE_KINDS: Final[Mapping[str, Callable[[Sequence[Path], Sequence[str]], SubFigure]]] = {
    "ber": modules.draw_ber,
    "models": modules.draw_models,
    "weak-cells": modules.draw_weak_cells,
    "accuracy": tolerances.draw_accuracy,
    "tolerance": tolerances.draw_tolerance,
}
#: The kind that draws a command trace.
COMMANDS: Final = "commands"
KINDS: Final = (*RESULT_KINDS, *MODULE_KINDS, COMMANDS)


def plot(
    targets: Sequence[Path | str],
    kind: str,
    figure_path: Path | str,
    options: PlotOptions = PlotOptions(),  # noqa: B008 (frozen)
) -> None:
    """Draw saved results, or a command trace, into a picture.

    Parameters
    ----------
    targets : sequence of path
        What is drawn. For most kinds: folders of a sweep or of result JSONs, result JSONs, tables.
        For `commands`: one command CSV. For `ber`: a module file, and tables of measured rates.
        For `models`: the JSON of a fit. For `weak-cells`: a module file. For `accuracy` and
        `tolerance`: files of ``edensim tolerance``.
    kind : str
        One of `KINDS`.
    figure_path : path
        The file to write, whose suffix is .png, .svg or .pdf.
    options : PlotOptions
        What the picture shows.

    Raises
    ------
    InputError
        For what cannot be drawn, read or written.
    """
    paths, figure_path = [Path(target) for target in targets], Path(figure_path)
    check_kind(kind)
    check_suffix(figure_path)
    if not paths:
        raise InputError(f"{kind}: nothing to draw; expected a folder, a result or a command trace")
    origin = ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
    with styled(), reading(origin, f"what `--kind {kind}` draws"):
        if kind == COMMANDS:
            hint = f"has no meaning for `--kind {kind}`, which draws a command trace"
            _refuse(options, ("x", "y", "value", "where", "by"), hint)
            figure = _draw_commands(paths, options)
        elif kind in MODULE_KINDS:
            hint = f"has no meaning for `--kind {kind}`, which draws a module, a fit or a tolerance"
            _refuse(options, ("x", "y", "value", "clocks", "by"), hint)
            figure = MODULE_KINDS[kind](paths, options.where)
        else:
            figure = _draw_results(paths, kind, options)
        save(figure, figure_path)


def check_kind(kind: str) -> None:
    """Raise InputError, with the nearest, for a kind that does not exist."""
    if kind not in KINDS:
        raise InputError(
            f"--kind {kind}: unknown kind{nearest(kind, KINDS)}; known: {', '.join(KINDS)}"
        )


def _refuse(options: PlotOptions, names: Sequence[str], hint: str) -> None:
    """Raise InputError for the first of the options that is given."""
    for name in names:
        if getattr(options, name):
            raise InputError(f"--{name.removesuffix('s')}: {hint}")


def _draw_results(paths: Sequence[Path], kind: str, options: PlotOptions) -> SubFigure:
    result_kind = RESULT_KINDS[kind]
    _refuse(options, ["clocks"], f"only for `--kind commands`, not for {kind!r}")
    points = load_points(paths).where(options.where)
    if options.by is not None:
        points = divide(points, kind, options.by)
    unused = [key for key in ("x", "y", "value") if key not in result_kind.keys]
    _refuse(options, unused, result_kind.hint)
    keys: dict[str, Any] = {key: getattr(options, key) for key in result_kind.keys}
    return result_kind.draw(points, **keys)


def _draw_commands(paths: Sequence[Path], options: PlotOptions) -> SubFigure:
    if len(paths) != 1:
        raise InputError(f"commands: {len(paths)} files; expected one command CSV")
    path, standard = paths[0], options.standard
    if path.is_dir() or path.suffix.lower() == ".json":
        raise InputError(
            f"{path}: not a command trace; `--kind commands` draws what "
            "`edensim simulate --commands OUT.csv` wrote"
        )
    records = read_commands_csv(path)
    small_print = f"commands of {path.name} ({len(records):,} in all) · edensim {__version__}"
    if standard is not None:
        device = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
        small_print = f"{device}, tCK {standard.tck_ps} ps · {small_print}"
    try:
        return draw_commands(records, options.clocks, standard, small_print)
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None
