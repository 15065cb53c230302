"""`edensim train`."""

from __future__ import annotations

import typer

from edensim.accuracy.options import TrainOptions
from edensim.cli.options import NetworkArgument, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible


@with_options(TrainOptions)
def train(network: NetworkArgument, *, options: TrainOptions, quiet: Quiet = False) -> None:
    """Train a network without errors, to begin with if there are no trained weights."""
    from edensim.accuracy.evaluation import train_file
    from edensim.cli.progress import Progress

    check_outputs(options.output)
    with Progress(quiet, "steps") as progress, interruptible(progress):
        outcome = train_file(network, options=options, progress=progress)
    if not quiet:
        typer.echo(f"{options.output}: {outcome}")
