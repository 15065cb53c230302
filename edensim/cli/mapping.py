"""Data to operating points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import JsonOption, Overrides
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, write_json


def map(  # noqa: A001 (the command's name)
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN.yaml",
            help="A machine and a network, such as configs/runs/tpu-yolo-tiny.yaml.",
        ),
    ],
    ber: Annotated[
        float | None, typer.Option(metavar="BER", help="That all the data tolerate (coarse).")
    ] = None,
    tolerance: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Or what `edensim tolerance --json` found, or a JSON of BERs by item.",
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(metavar="MODULE.yaml", help="Whose bits fail how (default: errors.module)."),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Operating points of a fine mapping, at most (default: eden.partitions).",
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(metavar="energy|time|energy-delay", help="What is to be least.")
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(metavar="greedy|exact", help="EDEN's, or the optimum; both costs are told."),
    ] = None,
    confidence: Annotated[
        str,
        typer.Option(
            metavar="median|upper", help="The module's BER, or the upper end of its interval."
        ),
    ] = "median",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="MAPPED.yaml", help="The mapped run, for `edensim simulate`."
        ),
    ] = None,
    overrides: Overrides = None,
    json_path: JsonOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Choose operating points for a network's data by what they tolerate, and run the network so."""
    from edensim.cli.progress import Progress
    from edensim.eden.mapping import map_to_dram
    from edensim.exceptions import InputError

    check_outputs(output, json_path, inputs=(run, *(() if tolerance is None else (tolerance,))))
    if (ber is None) == (tolerance is None):
        raise InputError("--ber, --tolerance: expected one of the two")
    given = ber if ber is not None else tolerance
    assert given is not None
    with Progress(quiet, "timings") as progress, interruptible(progress):
        found = map_to_dram(
            given,
            run,
            overrides=overrides or [],
            module=module,
            partitions=partitions,
            objective=objective,
            algorithm=algorithm,
            confidence=confidence,
            progress=progress,
        )
    if output is not None:
        found.save_config(output)
    if json_path is not None:
        write_json(json_path, found.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(found.summary())
