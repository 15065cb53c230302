"""Options of `edensim.evaluate` and `edensim train`, and those that all tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from edensim.config.options import Count, Options, Seed

Precision = Literal["int4", "int8", "int16", "fp32"]
Channels = tuple[float, ...]
LearningRate = Annotated[float, Meta(gt=0, le=1)]

#: Images that lie in memory together in a test, unless an option says otherwise.
PASS_IMAGES = 32

TrainImages = Annotated[
    Count | None, Meta(description="Images to use of the training split (default: all of them).")
]
PassImages = Annotated[
    Count, Meta(description="Images of one pass, which lie in the memory together.")
]


class MemoryOptions(Options, frozen=True, kw_only=True):
    """Which memory the data lie in, and how its bits fail."""

    module: Annotated[
        str | None,
        Meta(
            description="Take the errors of a fitted DRAM module, at the operating point that "
            "--set dram... gives.",
            extra={"metavar": "MODULE.yaml"},
        ),
    ] = None
    model: Annotated[
        str | int | None,
        Meta(
            description="Take the errors of an error model instead: 0-3, uniform, bitline, "
            "wordline or data-dependent.",
            extra={"metavar": "NAME"},
        ),
    ] = None
    seed: Annotated[
        Seed | None,
        Meta(description="Seed of the first memory (default: the seed of the DRAM module, or 1)."),
    ] = None
    config: Annotated[
        Path | None,
        Meta(description="Take the configuration from a run file.", extra={"metavar": "RUN.yaml"}),
    ] = None
    overrides: Annotated[
        tuple[str, ...],
        Meta(
            description="Set a configuration key (dram.channels=2). Repeatable.",
            extra={"option": "--set", "metavar": "KEY=VALUE"},
        ),
    ] = ()


class TargetOptions(MemoryOptions, frozen=True, kw_only=True):
    """Which network is tested, on what images, and how it computes."""

    data: Annotated[
        Any,
        Meta(
            description="Data set: digits, fashion-mnist, a folder or archive of images, or "
            "composed:DATA for objects to be detected.",
            extra={"metavar": "DATA"},
        ),
    ] = "digits"
    weights: Annotated[
        Path | None,
        Meta(description="Trained weights (default: trained here, which works for digits only)."),
    ] = None
    precision: Annotated[
        Precision, Meta(description="How weights and feature maps are stored in memory.")
    ] = "int8"
    bounding: Annotated[
        Literal["zero", "saturate", "off"],
        Meta(
            description="What becomes of implausible values, which are outside of the range seen "
            "without errors."
        ),
    ] = "zero"
    comparison: Annotated[
        Literal["value", "exponent"],
        Meta(description="What is compared with the bounds of plausible values."),
    ] = "value"
    repeats: Annotated[
        Count, Meta(description="Number of memories (seeds) that each test is repeated in.")
    ] = 5
    images: Annotated[
        Count | None, Meta(description="Images to use of the test split (default: all of them).")
    ] = None
    size: Annotated[
        Count | None, Meta(description="Height and width that image files are scaled to.")
    ] = None
    normalization: Annotated[
        tuple[Channels, Channels] | None,
        Meta(
            description="Means and deviations of the channels that a module of your own was "
            "trained with.",
            extra={"option": None},
        ),
    ] = None
    threads: Annotated[
        Count,
        Meta(description="Batches computed at once; the result does not depend on it."),
    ] = 1
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Meta(
            description="Where the network computes; auto is a GPU if torch finds one. Bits are "
            "flipped on the host, and are the same ones on any device."
        ),
    ] = "auto"

    @property
    def correction(self) -> str | None:
        """What replaces implausible values; None if they stay."""
        return None if self.bounding == "off" else self.bounding


class EvaluateOptions(TargetOptions, frozen=True, kw_only=True):
    """Options of `edensim.evaluate`."""

    ber: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Bit error rate of the error model.", extra={"metavar": "BER"}),
    ] = None
    batch: PassImages = PASS_IMAGES
    save_weights: Annotated[
        Path | None, Meta(description="Write the weights here if they were trained on the fly.")
    ] = None


class TrainOptions(Options, frozen=True, kw_only=True):
    """Options of `edensim train`."""

    output: Annotated[
        Path, Meta(description="Weights file to write.", extra={"option": ("--output", "-o")})
    ]
    data: Annotated[
        str,
        Meta(
            description="Data set: digits, fashion-mnist, a folder or archive of images; its "
            "training split is used."
        ),
    ] = "digits"
    epochs: Annotated[Count, Meta(description="Passes over the training images.")] = 8
    batch: Annotated[Count, Meta(description="Images of one training step.")] = 64
    rate: Annotated[LearningRate, Meta(description="Peak of the learning rate.")] = 2e-3
    seed: Annotated[
        Seed, Meta(description="Seed of the initial weights and of the order of images.")
    ] = 1
    images: TrainImages = None
