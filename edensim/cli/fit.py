"""`edensim fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import JsonOption, Quiet
from edensim.cli.outputs import check_outputs, interruptible, report


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
    vendor: Annotated[
        str | None,
        typer.Option(metavar="V", help="Vendor to use, if tables hold several."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the module (default: vendor_V, or that of the first file).",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Citation of the data (default: files and their digests)."
        ),
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(
            metavar="trcd_ns|vdd_V", help="What was lowered, if both columns of a table vary."
        ),
    ] = None,
    bits: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Bits tested per row and run, of tables that do not say: the detection limit.",
        ),
    ] = 2.0**30,
    bootstrap: Annotated[
        int,
        typer.Option(metavar="N", help="Draws of modules for the intervals.", min=10, max=10_000),
    ] = 100,
    cross_validation: Annotated[
        bool,
        typer.Option("--cross-validation", help="Also predict each module from a fit without it."),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the bootstrap.", min=0)] = 1,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Fit a DRAM module to measured error rates or bit errors.

    The module has the best form by AIC or BIC, intervals, and measures of how good the fit is.
    """
    from edensim.bit_errors.fit import fit as fit_module
    from edensim.bit_errors.fit import parse_axis
    from edensim.cli.progress import Progress

    check_outputs(output, json_path, inputs=data)
    options = {
        "vendor": vendor,
        "name": name,
        "source": source,
        "bits": bits,
        "bootstrap": bootstrap,
        "seed": seed,
    }
    with Progress(quiet, "fits") as progress, interruptible(progress):
        fitted = fit_module(
            *data,
            **options,  # type: ignore[arg-type]
            axis=parse_axis(axis),
            cross_validation=cross_validation,
            progress=progress,
        )
    fitted.save(output)
    report(fitted, f"{output}: {fitted.summary()}", json_path, quiet)
