"""`edensim sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import Overrides, Quiet
from edensim.cli.outputs import interruptible


def sweep(
    target: Annotated[
        Path, typer.Argument(metavar="RUN.yaml|TRACE", help="A run file, or a memory trace.")
    ],
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            metavar="KEY=V1,V2,...",
            help="Values of a key, or KEY=START:STOP:STEP. Several: every combination.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of the results; the same command continues an interrupted sweep.",
        ),
    ],
    overrides: Overrides = None,
    paired: Annotated[
        bool,
        typer.Option("--paired", help="Pair the values of several --over, of equal length."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes (default: one per processor).")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Dask cluster (tcp://host:8786) instead."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Simulate many points: every combination of the values given.

    Points that share their commands share one simulation.
    """
    from edensim.cli.progress import Progress
    from edensim.sweep.grid import parse_over
    from edensim.sweep.sweep import sweep as run

    outcome = f"finished points are kept in {out}, the same command goes on from there"
    with Progress(quiet, "points") as progress, interruptible(progress, outcome):
        result = run(
            target,
            parse_over(over),
            out=out,
            overrides=overrides or [],
            paired=paired,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
        )
    if not quiet:
        work = f"{result.simulated:,} run now, in {result.simulations:,} simulations"
        work = work if result.simulated else "all finished before"
        typer.echo(f"{out}: {len(result):,} points, {work}; results.csv, results.parquet")
