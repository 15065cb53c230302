"""How many bit errors a network tolerates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edensim.cli.options import ConfigOption, DeviceOption, JsonOption, Overrides
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, write_json


def tolerance(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="As for evaluate.")] = "lenet",
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
            metavar="FILE", help="Trained weights (default: trained here, on digits only)."
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="int4|int8|int16|fp32", help="How weights and feature maps are stored."
        ),
    ] = "int8",
    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE.yaml",
            help="Errors as a fitted module's, at the point of --set dram... .",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Or as an error model's (default: uniform).")
    ] = None,
    drop: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Of the accuracy without errors, that is accepted (default: 0.01)."
        ),
    ] = None,
    target: Annotated[
        float | None, typer.Option(metavar="ACCURACY", help="Or the least accuracy that is.")
    ] = None,
    lowest: Annotated[float, typer.Option(metavar="BER", help="Where the search begins.")] = 1e-7,
    highest: Annotated[float, typer.Option(metavar="BER", help="Where it ends.")] = 0.5,
    resolution: Annotated[
        float, typer.Option(metavar="DECADES", help="Between BERs that are told apart.")
    ] = 0.1,
    repeats: Annotated[
        int, typer.Option(metavar="N", help="Memories (seeds) that each probe is repeated with.")
    ] = 5,
    rule: Annotated[
        str,
        typer.Option(
            metavar="mean|interval",
            help="What must be within the drop: the mean, or its lower end at 95 %.",
        ),
    ] = "mean",
    fine: Annotated[
        bool, typer.Option("--fine", help="Also a BER for each weight tensor and ifm.")
    ] = False,
    begin: Annotated[
        float, typer.Option(metavar="X", help="Share of the coarse BER that items begin at.")
    ] = 1.0,
    step: Annotated[
        float,
        typer.Option(metavar="X", help="By which an item's BER is raised, of the coarse one."),
    ] = 0.125,
    cap: Annotated[
        float,
        typer.Option(metavar="X", help="Times the coarse BER, beyond which no item's is raised."),
    ] = 20.0,
    validation_share: Annotated[
        float, typer.Option(metavar="X", help="Of the images, that a raise is tried on.")
    ] = 0.1,
    fine_repeats: Annotated[
        int, typer.Option(metavar="N", help="Memories that a raise is tried in.")
    ] = 1,
    fine_epochs: Annotated[
        int, typer.Option(metavar="N", help="Of retraining after each round of raises.")
    ] = 0,
    train_images: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of the training split, for that (default: all)."),
    ] = None,
    save_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the network that the result is true of."),
    ] = None,
    bounding: Annotated[
        str, typer.Option(metavar="zero|saturate|off", help="What becomes of implausible values.")
    ] = "zero",
    comparison: Annotated[
        str, typer.Option(metavar="value|exponent", help="What is compared with the bounds.")
    ] = "value",
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of the first memory (default: the module's, else 1)."),
    ] = None,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="Of the test split (default: all).")
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Images of one pass.")] = 32,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Height and width that image files are brought to."),
    ] = None,
    threads: Annotated[
        int, typer.Option(metavar="N", help="Batches at once; the result is the same with any.")
    ] = 1,
    device: DeviceOption = "auto",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Tolerance file to write, after each probe."
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on from an earlier tolerance file.")
    ] = None,
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Find the highest bit error rate that a network tolerates, for all its data or for each of its tensors."""
    from edensim.cli.progress import Progress
    from edensim.eden.characterization import tolerance as characterized

    check_outputs(
        output, json_path, save_weights, inputs=[path for path in (weights,) if path is not None]
    )
    options: dict[str, Any] = {
        "data": data,
        "weights": weights,
        "precision": precision,
        "module": module,
        "model": model,
        "drop": drop,
    }
    options |= {
        "target": target,
        "lowest": lowest,
        "highest": highest,
        "resolution_decades": resolution,
        "repeats": repeats,
        "rule": rule,
    }
    options |= {
        "fine": fine,
        "begin": begin,
        "step": step,
        "cap": cap,
        "validation_share": validation_share,
        "fine_repeats": fine_repeats,
        "fine_epochs": fine_epochs,
        "train_images": train_images,
        "save_weights": save_weights,
        "bounding": bounding,
    }
    options |= {
        "comparison": comparison,
        "seed": seed,
        "images": images,
        "batch": batch,
        "size": size,
        "threads": threads,
        "device": device,
    }
    options |= {"output": output, "resume": resume, "config": config, "overrides": overrides or []}
    outcome = (
        "no output file was written"
        if output is None
        else f"{output} has what was found so far, and --resume {output} goes on"
    )
    with Progress(quiet, "tests") as progress, interruptible(progress, outcome):
        result = characterized(network, **options, progress=progress)
    if json_path is not None:
        write_json(json_path, result.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(result.summary())
