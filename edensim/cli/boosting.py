"""Retraining with the errors of approximate memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edensim.cli.options import ConfigOption, DeviceOption, JsonOption, Overrides
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, write_json


def boost(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="As for evaluate.")],
    ber: Annotated[
        float,
        typer.Option(metavar="BER", help="Bit error rate that the last epochs are trained with."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Weights to write.")
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help="digits, fashion-mnist, a folder or archive of images; composed:DATA.",
        ),
    ] = "digits",
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Trained weights to begin with (default: trained here, on digits only).",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="int4|int8|int16|fp32", help="How weights and feature maps are stored."
        ),
    ] = "int8",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Error model: 0-3, uniform, bitline, wordline, data-dependent."
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(metavar="MODULE.yaml", help="Or a fitted module, whose model it is."),
    ] = None,
    train_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Train with another model than that tested with (poor fit)."
        ),
    ] = None,
    variant: Annotated[
        str,
        typer.Option(
            metavar="curricular|constant|none", help="How the BER rises; none: without errors."
        ),
    ] = "curricular",
    epochs: Annotated[int, typer.Option(metavar="N", help="The BER rises every second one.")] = 10,
    batch: Annotated[int, typer.Option(metavar="N", help="Images of one step.")] = 64,
    rate: Annotated[float, typer.Option(metavar="X", help="Peak of the learning rate.")] = 2e-3,
    bounding: Annotated[
        str, typer.Option(metavar="zero|saturate|off", help="What becomes of implausible values.")
    ] = "zero",
    repeats: Annotated[
        int, typer.Option(metavar="N", help="Memories (seeds) to test in, before and after.")
    ] = 5,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of the order of images and of the memory trained in."),
    ] = None,
    train_images: Annotated[
        int | None, typer.Option(metavar="N", help="Of the training split (default: all).")
    ] = None,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="Of the test split (default: all).")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Height and width that image files are brought to."),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            metavar="N", help="Batches at once in tests; the result is the same with any."
        ),
    ] = 1,
    device: DeviceOption = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep what a run needs to go on, after each epoch."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Retrain a network with bit errors that rise to a BER, so that it tolerates them."""
    from edensim.cli.progress import Progress
    from edensim.eden.boosting import boost as boosted

    check_outputs(output, json_path, checkpoint, inputs=() if weights is None else (weights,))
    options: dict[str, Any] = {
        "data": data,
        "weights": weights,
        "precision": precision,
        "model": model,
        "module": module,
        "train_model": train_model,
    }
    options |= {
        "variant": variant,
        "epochs": epochs,
        "batch": batch,
        "rate": rate,
        "bounding": bounding,
        "repeats": repeats,
        "seed": seed,
    }
    options |= {
        "train_images": train_images,
        "images": images,
        "size": size,
        "threads": threads,
        "device": device,
        "output": output,
    }
    options |= {
        "checkpoint": checkpoint,
        "resume": resume,
        "config": config,
        "overrides": overrides or [],
    }
    with Progress(quiet, "steps") as progress, interruptible(progress):
        result = boosted(network, ber=ber, **options, progress=progress)
    if json_path is not None:
        write_json(json_path, result.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(result.summary())
