"""`edensim map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import JsonOption, Overrides, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible, report
from edensim.eden.options import MapOptions
from edensim.exceptions import InputError


@with_options(MapOptions)
def map(  # noqa: A001 (the command's name)
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN.yaml",
            help="Run file with a machine and a network, such as configs/runs/tpu-yolo-tiny.yaml.",
        ),
    ],
    ber: Annotated[
        float | None,
        typer.Option(
            metavar="BER", help="Bit error rate that all of the data tolerate (coarse mapping)."
        ),
    ] = None,
    tolerance: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Or what `edensim tolerance --json` wrote, or a JSON file of BERs by data item.",
        ),
    ] = None,
    *,
    options: MapOptions,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="MAPPED.yaml",
            help="Write the mapped run, for `edensim simulate`.",
        ),
    ] = None,
    overrides: Overrides = None,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Choose operating points for a network's data by what they tolerate, and run it there."""
    from edensim.cli.progress import Progress
    from edensim.eden.mapping import map_to_dram

    check_outputs(output, json_path, inputs=[run, tolerance])
    given = ber if ber is not None else tolerance
    if given is None or (ber is not None and tolerance is not None):
        raise InputError("--ber, --tolerance: expected one of the two")
    with Progress(quiet, "timings") as progress, interruptible(progress):
        result = map_to_dram(
            given, run, options=options, overrides=overrides or (), progress=progress
        )
    if output is not None:
        result.save_config(output)
    report(result, result.summary(), json_path, quiet)
