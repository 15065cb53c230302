"""Pictures of what was saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edensim.cli.options import CommandsArgument, ConfigOption, Overrides
from edensim.cli.outputs import check_outputs
from edensim.exceptions import InputError

if TYPE_CHECKING:
    from edensim.dram.standard import Standard

#: Kinds that `plot` draws, here so that --help need not load them.
PLOT_KINDS: Final = "pareto, heatmap, energy, bandwidth-latency, rows, exposure, latency, layers, ber, models, weak-cells, accuracy, tolerance, commands"


def plot(
    targets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR|RESULT.json|COMMANDS.csv...",
            help="A sweep's folder, results, or for `commands` a command trace.",
        ),
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"One of {PLOT_KINDS}.")],
    figure: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FIG", help="Picture to write: .png, .svg or .pdf."),
    ],
    x: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Key along x (pareto, heatmap), or that orders the bars (energy, rows).",
        ),
    ] = None,
    y: Annotated[
        str | None, typer.Option(metavar="KEY", help="Key along y (pareto, heatmap).")
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Key that is the colour (heatmap), or that tells lines and markers apart.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only the points that have it. Repeatable."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="One run's parts: energy by tensor or partition; exposure also by bank.",
        ),
    ] = None,
    clocks: Annotated[
        str | None,
        typer.Option("--clock", metavar="FIRST:LAST", help="For `commands`: the clocks to draw."),
    ] = None,
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Draw saved results, or a window of a command trace. For `commands`, --set dram... adds a time axis in ns."""
    from edensim.plots.commands import parse_clocks
    from edensim.plots.plot import PlotOptions, check_kind
    from edensim.plots.plot import plot as draw

    check_kind(kind)
    if kind != "commands" and (overrides or config):
        raise InputError(
            f"{'--set' if overrides else '--config'}: only for `--kind commands`; results know their configuration"
        )
    check_outputs(figure, inputs=tuple(targets))
    standard = stated_standard(config, overrides) if overrides or config else None
    clock_range = parse_clocks(clocks) if clocks else None
    draw(
        targets,
        kind,
        figure,
        PlotOptions(x, y, value, tuple(where or ()), by, clock_range, standard),
    )
    typer.echo(f"{figure}: {kind}")


def timeline(
    commands: CommandsArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT.json", help="File to write: .json or .json.gz."
        ),
    ],
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Write a command trace as a timeline for Perfetto (ui.perfetto.dev) or chrome://tracing: a track per bank."""
    from edensim.tracefiles.timeline import write_timeline

    check_outputs(output, inputs=(commands,))
    standard = stated_standard(config, overrides)
    count = write_timeline(commands, output, standard)
    typer.echo(
        f"{output}: {count:,} commands, {standard.name} {standard.organization.name} {standard.speed_bin}"
    )


def stated_standard(config: Path | None, overrides: list[str] | None) -> Standard:
    """The standard of a configuration, at its operating point."""
    from edensim.config.loading import load_config
    from edensim.dram.memory_system import MemorySystem

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        return MemorySystem.resolve(loaded.config.dram).standard
