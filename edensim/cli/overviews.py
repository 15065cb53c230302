"""What there is, what a configuration comes to, and traces in other formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from edensim.cli.options import Overrides
from edensim.cli.outputs import check_outputs, interruptible


def explain(
    run_file: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN.yaml]", help="A run file (default: the defaults)."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Show every resolved value and where it came from."""
    from edensim.cli.explaining import explanation
    from edensim.config.loading import load_config

    loaded = load_config(run_file, overrides or [])
    with loaded.locating():
        typer.echo(explanation(loaded))


def networks(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...", help="Names, or files: .cfg, .onnx, .csv (default: every name)."
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="The layers of each, as they are executed.")
    ] = False,
    batch: Annotated[int, typer.Option(metavar="N", help="Inputs of one pass.")] = 1,
    height: Annotated[
        int | None, typer.Option(metavar="N", help="Of the input (default: the network's own).")
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="N", help="Of the input (default: the network's own).")
    ] = None,
) -> None:
    """List networks: input, layers, parameters, multiply-accumulates, and megabytes of weights at each precision."""
    from edensim.networks.overview import layers_overview, networks_overview

    typer.echo(networks_overview(names or (), batch=batch, height=height, width=width))
    for name in (names or ()) if layers else ():
        typer.echo("\n" + layers_overview(name, batch=batch, height=height, width=width))


def standards() -> None:
    """List DRAM standards, their organizations and speed bins."""
    from edensim.cli.explaining import standards_overview

    typer.echo(standards_overview())


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    to: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Format of OUT (default: by its name).")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="Format of IN (default: by its content)."),
    ] = None,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Accept that OUT cannot hold everything that IN does.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Convert a memory trace. The configuration (--set) gives address vectors their addresses, and ticks their clocks."""
    check_outputs(target, inputs=(source,))
    from edensim.cli.progress import Progress
    from edensim.tracefiles.conversion import convert as convert_trace

    encode, tck_ps = encoding(overrides) if overrides else (None, None)
    with Progress() as progress, interruptible(progress):
        records = convert_trace(
            source,
            target,
            format=format_name,
            to=to,
            lossy=lossy,
            encode=encode,
            tck_ps=tck_ps,
            progress=lambda done: progress(done, None),
        )
    typer.echo(f"{target}: {records:,} records")


def encoding(overrides: list[str]) -> tuple[Callable[..., Any], int]:
    """How a configuration makes addresses of address vectors, and its clock period in ps."""
    from edensim.config.loading import load_config
    from edensim.dram.memory_system import MemorySystem

    loaded = load_config(None, overrides)
    with loaded.locating():
        memory = MemorySystem.resolve(loaded.config.dram, loaded.config.controller)
        return memory.address_map.encode, memory.standard.tck_ps
