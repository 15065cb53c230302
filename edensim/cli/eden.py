"""EDEN's whole loop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import Overrides


def eden(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN.yaml",
            help="A machine, `errors.module` and `eden.*`, such as configs/runs/eden-lenet-cpu.yaml.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for weights, tolerance, mapped run and result (eden.json).",
        ),
    ],
    threads: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Batches at once; the result is the same with any."),
    ] = 1,
    overrides: Overrides = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False,
) -> None:
    """Boost a network, find what it tolerates, map it to DRAM, and run it there: accuracy, energy and speedup. Goes on where it was interrupted."""
    from edensim.cli.progress import Progress
    from edensim.eden.loop import eden as looped
    from edensim.exceptions import InputError

    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: expected a folder, found a file")

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    result = looped(
        run,
        output,
        overrides=overrides or [],
        threads=threads,
        say=say,
        watch=lambda unit: Progress(quiet, unit),
    )
    if not quiet:
        typer.echo(result.summary())
