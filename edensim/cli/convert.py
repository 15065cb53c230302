"""`edensim convert`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from edensim.cli.options import Overrides
from edensim.cli.outputs import check_outputs, interruptible


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Memory trace to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Memory trace to write.")],
    to: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Format of OUT (default: by its name).")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="Format of IN (default: by its content)."),
    ] = None,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Accept that OUT cannot hold all that is in IN.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Convert a memory trace to another format.

    The configuration (--set) gives address vectors their addresses, and ticks their clocks.
    """
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
    """Return how a configuration encodes address vectors, and its clock period in ps."""
    from edensim.config.loading import load_config
    from edensim.dram.memory_system import MemorySystem

    loaded = load_config(None, overrides)
    with loaded.locating():
        memory = MemorySystem.resolve(loaded.config.dram, loaded.config.controller)
        return memory.address_map.encode, memory.standard.tck_ps
