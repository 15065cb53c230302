"""`edensim eden`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import Overrides, Quiet
from edensim.exceptions import InputError


def eden(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN.yaml",
            help="Run file with a machine, `errors.module` and `eden.*`, such as "
            "configs/runs/eden-lenet-cpu.yaml.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the weights, the tolerance, the mapped run and the result "
            "(eden.json).",
        ),
    ],
    threads: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Batches computed at once; the result does not depend on it.",
        ),
    ] = 1,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Boost a network, find what it tolerates, map it to DRAM, and run it there.

    The result has its accuracy, energy and speedup. The same command continues an interrupted run.
    """
    from edensim.cli.progress import Progress
    from edensim.eden.loop import eden as run_loop

    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: expected a folder, found a file")

    def announce(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    result = run_loop(
        run,
        output,
        overrides=overrides or [],
        threads=threads,
        announce=announce,
        progress_of=lambda unit: Progress(quiet, unit),
    )
    if not quiet:
        typer.echo(result.summary())
