"""Options of `edensim.boost`, `edensim.tolerance` and `edensim.map_to_dram`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from edensim.accuracy.options import (
    PASS_IMAGES,
    LearningRate,
    PassImages,
    TargetOptions,
    TrainImages,
)
from edensim.config.options import BitErrorRate, Count, Options
from edensim.exceptions import InputError

Share = Annotated[float, Meta(gt=0, le=1)]
OutputFile = ("--output", "-o")


class BoostOptions(TargetOptions, frozen=True, kw_only=True):
    """Options of `edensim.boost`."""

    ber: Annotated[
        BitErrorRate,
        Meta(
            description="Bit error rate that the last epochs are trained with.",
            extra={"metavar": "BER"},
        ),
    ]
    output: Annotated[
        Path | None, Meta(description="Weights file to write.", extra={"option": OutputFile})
    ] = None
    train_model: Annotated[
        str | int | None,
        Meta(
            description="Train with another error model than the one that is tested with (a poor "
            "fit).",
            extra={"metavar": "NAME"},
        ),
    ] = None
    variant: Annotated[
        Literal["curricular", "constant", "none"],
        Meta(
            description="How the BER rises: in steps, not at all, or no errors (a control of the "
            "same length)."
        ),
    ] = "curricular"
    epochs: Annotated[
        Count, Meta(description="Passes over the training images; the BER rises every second one.")
    ] = 10
    batch: Annotated[Count, Meta(description="Images of one training step.")] = 64
    rate: Annotated[LearningRate, Meta(description="Peak of the learning rate.")] = 2e-3
    train_images: TrainImages = None
    checkpoint: Annotated[
        Path | None,
        Meta(description="After each epoch, write here what a run needs to be continued."),
    ] = None
    resume: Annotated[bool, Meta(description="Continue from the checkpoint.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resume and self.checkpoint is None:
            raise InputError("resume: needs a checkpoint to go on from; expected one")


class ToleranceOptions(TargetOptions, frozen=True, kw_only=True):
    """Options of `edensim.tolerance`."""

    drop: Annotated[
        Share | None,
        Meta(description="Share of the accuracy without errors that may be lost (default: 0.01)."),
    ] = None
    target: Annotated[
        Share | None,
        Meta(
            description="Accept any accuracy from this one on instead.",
            extra={"metavar": "ACCURACY"},
        ),
    ] = None
    lowest: Annotated[
        BitErrorRate,
        Meta(description="Lowest bit error rate of the search.", extra={"metavar": "BER"}),
    ] = 1e-7
    highest: Annotated[
        BitErrorRate,
        Meta(description="Highest bit error rate of the search.", extra={"metavar": "BER"}),
    ] = 0.5
    resolution_decades: Annotated[
        Annotated[float, Meta(gt=0, le=10)],
        Meta(
            description="Distance between the bit error rates that are tried.",
            extra={"option": "--resolution", "metavar": "DECADES"},
        ),
    ] = 0.1
    rule: Annotated[
        Literal["mean", "interval"],
        Meta(
            description="What must be within the drop: the mean of the repeats, or the lower end "
            "of its 95 % interval."
        ),
    ] = "mean"
    fine: Annotated[
        bool, Meta(description="Also find a bit error rate for each weight tensor and ifm.")
    ] = False
    begin: Annotated[
        Share,
        Meta(description="Bit error rate that each data item begins at, as a share of the coarse."),
    ] = 1.0
    step: Annotated[
        Annotated[float, Meta(gt=0, le=100)],
        Meta(
            description="Amount by which an item's bit error rate is raised, as a share of the "
            "coarse."
        ),
    ] = 0.125
    cap: Annotated[
        Annotated[float, Meta(gt=0, le=1e6)],
        Meta(
            description="Bit error rate beyond which no item is raised, as a multiple of the "
            "coarse."
        ),
    ] = 20.0
    validation_share: Annotated[
        Share, Meta(description="Share of the images that a raise is tried on.")
    ] = 0.1
    fine_repeats: Annotated[Count, Meta(description="Memories that a raise is tried in.")] = 1
    fine_epochs: Annotated[
        Annotated[int, Meta(ge=0)],
        Meta(description="Epochs of retraining after each round of raises."),
    ] = 0
    train_images: TrainImages = None
    save_weights: Annotated[
        Path | None, Meta(description="Write the weights here that the result is true of.")
    ] = None
    batch: PassImages = PASS_IMAGES
    output: Annotated[
        Path | None,
        Meta(
            description="Tolerance file to write, anew after each probe.",
            extra={"option": OutputFile},
        ),
    ] = None
    resume: Annotated[
        Any,
        Meta(
            description="Continue from an earlier tolerance file.",
            extra={"metavar": "FILE"},
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drop is not None and self.target is not None:
            raise InputError(
                f"drop: given ({self.drop:g}) beside a target accuracy ({self.target:g}); "
                "expected one of the two"
            )
        if self.lowest >= self.highest:
            raise InputError(
                f"lowest: expected a BER below the highest, {self.highest:g}, found {self.lowest:g}"
            )
        if self.cap <= self.begin:
            raise InputError(f"cap: expected more than begin, {self.begin:g}, found {self.cap:g}")
        if self.fine_epochs and not self.fine:
            raise InputError(
                "fine_epochs: expected 0 where no items are raised (fine), "
                f"found {self.fine_epochs}"
            )
        if self.rule == "interval" and self.repeats < 2:
            raise InputError("repeats: 1; expected 2 or more for the rule 'interval'")


class MapOptions(Options, frozen=True, kw_only=True):
    """Options of `edensim.map_to_dram`; what is None or empty is as the section `eden` says."""

    module: Annotated[
        str | None,
        Meta(
            description="DRAM module whose bits fail (default: errors.module).",
            extra={"metavar": "MODULE.yaml"},
        ),
    ] = None
    partitions: Annotated[
        Count | None,
        Meta(description="Operating points of a fine mapping, at most (default: eden.partitions)."),
    ] = None
    objective: Annotated[
        Literal["energy", "time", "energy-delay"] | None,
        Meta(description="What is minimized (default: eden.objective)."),
    ] = None
    algorithm: Annotated[
        Literal["greedy", "exact"] | None,
        Meta(
            description="EDEN's greedy algorithm or the optimum (default: eden.algorithm); the "
            "costs of both are reported."
        ),
    ] = None
    confidence: Annotated[
        Literal["median", "upper"],
        Meta(
            description="Bit error rate of the module that counts: its median, or the upper end "
            "of the 95 % interval."
        ),
    ] = "median"
    vdd_V: Annotated[
        tuple[float, ...],
        Meta(description="Supply voltages to choose among.", extra={"option": None}),
    ] = ()
    trcd_ns: Annotated[
        tuple[float, ...], Meta(description="tRCDs to choose among.", extra={"option": None})
    ] = ()
