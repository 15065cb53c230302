"""Networks that compute with what approximate memory gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edensim.cli.options import ConfigOption, DeviceOption, JsonOption, Overrides
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, write_json


def evaluate(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="lenet, resnet20, mobilenetv2, ...; an unknown name lists all."
        ),
    ] = "lenet",
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
            metavar="MODULE.yaml", help="A fitted module, at the point that --set dram... asks for."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Or an error model: 0-3, uniform, bitline, wordline, data-dependent.",
        ),
    ] = None,
    ber: Annotated[
        float | None, typer.Option(metavar="BER", help="Bit error rate of --model.")
    ] = None,
    bounding: Annotated[
        str, typer.Option(metavar="zero|saturate|off", help="What becomes of implausible values.")
    ] = "zero",
    comparison: Annotated[
        str, typer.Option(metavar="value|exponent", help="What is compared with the bounds.")
    ] = "value",
    repeats: Annotated[
        int, typer.Option(metavar="N", help="Memories (seeds) that it is repeated with.")
    ] = 5,
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
    items: Annotated[
        bool, typer.Option("--items", help="Also a line per weight tensor and ifm.")
    ] = False,
    save_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep weights that were trained here.")
    ] = None,
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Accuracy of a network whose weights and feature maps are read from approximate DRAM."""
    from edensim.accuracy.evaluation import evaluate as evaluated
    from edensim.cli.progress import Progress

    check_outputs(save_weights, json_path, inputs=() if weights is None else (weights,))
    options: dict[str, Any] = {
        "data": data,
        "weights": weights,
        "precision": precision,
        "module": module,
        "model": model,
        "ber": ber,
    }
    options |= {
        "bounding": bounding,
        "comparison": comparison,
        "repeats": repeats,
        "seed": seed,
        "images": images,
        "batch": batch,
        "size": size,
    }
    options |= {
        "threads": threads,
        "device": device,
        "config": config,
        "overrides": overrides or [],
        "save_weights": save_weights,
    }
    with Progress(quiet, "repeats") as progress, interruptible(progress):
        result = evaluated(network, **options, progress=progress)
    if json_path is not None:
        write_json(json_path, result.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(result.summary() + (f"\n\n{result.items_table()}" if items else ""))


def train(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="As for evaluate.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Weights to write.")
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help="digits, fashion-mnist, a folder or archive of images: its training split.",
        ),
    ] = "digits",
    epochs: Annotated[int, typer.Option(metavar="N", min=1)] = 8,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images of one step.")] = 64,
    rate: Annotated[float, typer.Option(metavar="X", help="Peak of the learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(metavar="N", min=0)] = 1,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="Of the training split (default: all).")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Train a network without errors: where to begin when there are no trained weights."""
    from edensim.accuracy.evaluation import train_file
    from edensim.cli.progress import Progress

    check_outputs(output)
    with Progress(quiet, "steps") as progress, interruptible(progress):
        said = train_file(
            network,
            output,
            data=data,
            epochs=epochs,
            batch=batch,
            rate=rate,
            seed=seed,
            images=images,
            progress=progress,
        )
    if not quiet:
        typer.echo(f"{output}: {said}")
