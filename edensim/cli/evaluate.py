"""`edensim evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from edensim.accuracy.options import EvaluateOptions
from edensim.cli.options import JsonOption, NetworkArgument, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible, report


@with_options(EvaluateOptions)
def evaluate(
    network: NetworkArgument = "lenet",
    *,
    options: EvaluateOptions,
    items: Annotated[
        bool, typer.Option("--items", help="Also print a line per weight tensor and ifm.")
    ] = False,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Measure the accuracy of a network that reads its data from approximate DRAM.

    Its weights and feature maps are read with the bit errors of a DRAM module or an error model.
    """
    from edensim.accuracy.evaluation import evaluate as run
    from edensim.cli.progress import Progress

    check_outputs(options.save_weights, json_path, inputs=[options.weights])
    with Progress(quiet, "repeats") as progress, interruptible(progress):
        result = run(network, options=options, progress=progress)
    table = f"\n\n{result.items_table()}" if items else ""
    report(result, result.summary() + table, json_path, quiet)
