"""`edensim tolerance`."""

from __future__ import annotations

from edensim.cli.options import JsonOption, NetworkArgument, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible, report
from edensim.eden.options import ToleranceOptions


@with_options(ToleranceOptions)
def tolerance(
    network: NetworkArgument = "lenet",
    *,
    options: ToleranceOptions,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Find the highest bit error rate that a network tolerates.

    It is found for all of the network's data (coarse), or also for each of its tensors (fine).
    """
    from edensim.cli.progress import Progress
    from edensim.eden.characterization import tolerance as run

    output = options.output
    check_outputs(output, json_path, options.save_weights, inputs=[options.weights])
    outcome = (
        "no output file was written"
        if output is None
        else f"{output} has what was found so far, and --resume {output} goes on"
    )
    with Progress(quiet, "tests") as progress, interruptible(progress, outcome):
        result = run(network, options=options, progress=progress)
    report(result, result.summary(), json_path, quiet)
