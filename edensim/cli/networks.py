"""`edensim networks`."""

from __future__ import annotations

from typing import Annotated

import typer


def networks(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...", help="Names, or files: .cfg, .onnx, .csv (default: every name)."
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also list the layers of each, in execution order.")
    ] = False,
    batch: Annotated[int, typer.Option(metavar="N", help="Inputs of one pass.")] = 1,
    height: Annotated[
        int | None,
        typer.Option(metavar="N", help="Height of the input (default: the network's own)."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(metavar="N", help="Width of the input (default: the network's own)."),
    ] = None,
) -> None:
    """List networks with their sizes.

    A line has the input, the layers, the parameters, the multiply-accumulates, and the megabytes of
    weights at each precision.
    """
    from edensim.networks.overview import layers_overview, networks_overview

    typer.echo(networks_overview(names or (), batch=batch, height=height, width=width))
    for name in (names or ()) if layers else ():
        typer.echo("\n" + layers_overview(name, batch=batch, height=height, width=width))
