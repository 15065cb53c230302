"""`edensim plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import Meta

from edensim.cli.inputs import stated_standard
from edensim.cli.options import ConfigOption, Overrides, with_options
from edensim.cli.outputs import check_outputs
from edensim.config.options import Options
from edensim.exceptions import InputError

#: Kinds of pictures, here so that --help need not load what draws them.
PLOT_KINDS: Final = (
    "pareto, heatmap, energy, bandwidth-latency, rows, exposure, latency, layers, ber, models, "
    "weak-cells, accuracy, tolerance, commands"
)


class PictureOptions(Options, frozen=True, kw_only=True):
    """What a picture shows, and how."""

    x: Annotated[
        str | None,
        Meta(
            description="Key along x (pareto, heatmap), or key that orders the bars (energy, "
            "rows).",
            extra={"metavar": "KEY"},
        ),
    ] = None
    y: Annotated[
        str | None, Meta(description="Key along y (pareto, heatmap).", extra={"metavar": "KEY"})
    ] = None
    value: Annotated[
        str | None,
        Meta(
            description="Key that is the colour (heatmap), or that distinguishes lines and "
            "markers.",
            extra={"metavar": "KEY"},
        ),
    ] = None
    where: Annotated[
        tuple[str, ...],
        Meta(
            description="Draw only the points that have this value. Repeatable.",
            extra={"metavar": "KEY=VALUE"},
        ),
    ] = ()
    by: Annotated[
        str | None,
        Meta(
            description="Divide one run into parts: energy by tensor or partition; exposure also "
            "by bank.",
            extra={"metavar": "PART"},
        ),
    ] = None
    clock: Annotated[
        str | None,
        Meta(description="For `commands`: the clocks to draw.", extra={"metavar": "FIRST:LAST"}),
    ] = None


@with_options(PictureOptions)
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
    *,
    options: PictureOptions,
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Draw saved results, or a window of a command trace.

    For `commands`, --set dram... adds a time axis in ns.
    """
    from edensim.plots.commands import parse_clocks
    from edensim.plots.plot import PlotOptions, check_kind
    from edensim.plots.plot import plot as draw

    check_kind(kind)
    if kind != "commands" and (overrides or config):
        raise InputError(
            f"{'--set' if overrides else '--config'}: only for `--kind commands`; "
            "results know their configuration"
        )
    check_outputs(figure, inputs=targets)
    clocks = parse_clocks(options.clock) if options.clock else None
    standard = stated_standard(config, overrides) if overrides or config else None
    shown = (options.x, options.y, options.value, options.where, options.by)
    draw(targets, kind, figure, PlotOptions(*shown, clocks, standard))
    typer.echo(f"{figure}: {kind}")
