"""`edensim fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.bit_errors.fit import FitOptions
from edensim.cli.options import JsonOption, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible, report


@with_options(FitOptions)
def fit(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...", help="Tables of rates (.csv), or one map of bit errors (.npz)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODULE.yaml", help="Module file to write.")
    ],
    *,
    options: FitOptions,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Fit a DRAM module to measured error rates or bit errors.

    The module has the best form by AIC or BIC, intervals, and measures of how good the fit is.
    """
    from edensim.bit_errors.fit import fit as run
    from edensim.cli.progress import Progress

    check_outputs(output, json_path, inputs=data)
    with Progress(quiet, "fits") as progress, interruptible(progress):
        fitted = run(*data, options=options, progress=progress)
    fitted.save(output)
    report(fitted, f"{output}: {fitted.summary()}", json_path, quiet)
