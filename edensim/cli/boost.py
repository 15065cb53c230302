"""`edensim boost`."""

from __future__ import annotations

from edensim.cli.options import JsonOption, NetworkArgument, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible, report
from edensim.eden.options import BoostOptions


@with_options(BoostOptions, required={"output"})
def boost(
    network: NetworkArgument,
    *,
    options: BoostOptions,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Retrain a network with bit errors that rise to a BER, so that it tolerates them."""
    from edensim.cli.progress import Progress
    from edensim.eden.boosting import boost as run

    check_outputs(options.output, json_path, options.checkpoint, inputs=[options.weights])
    with Progress(quiet, "steps") as progress, interruptible(progress):
        result = run(network, options=options, progress=progress)
    report(result, result.summary(), json_path, quiet)
