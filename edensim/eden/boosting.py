"""`edensim.boost`: retraining with the bit errors of approximate memory (Koppula et al., MICRO 2019, section 3.2).

Errors come into weights and ifms as they are loaded, in the forward pass only; gradients go straight through. The BER rises from 0 to the target in
equal steps, one every two epochs (variant `curricular`); `constant` has the target from the first epoch on (the paper's non-curricular retraining),
`none` has no errors (a control of the same length). Values beyond the bounds are corrected, as in inference; bounds and scales are taken
anew before each epoch, from the network's clean runs. Statistics of batch normalization stay as they were trained: errors would move them.
The model to train with may be another than the memory's (a poor fit). Each step is in a memory of its own
(another seed), as the places of weak cells in the memory to come are not known. The same seed gives the same weights, to the last bit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edensim._version import __version__
from edensim.accuracy.evaluation import BOUNDINGS, interval_of, require_torch
from edensim.eden.memory import Memory, memory_of
from edensim.exceptions import EdensimError, InputError, nearest
from edensim.results.data_frame import data_frame
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from edensim.accuracy.datasets import Dataset
    from edensim.accuracy.evaluation_target import Subject
    from edensim.accuracy.weights import Normalization

VARIANTS: Final = ("curricular", "constant", "none")
#: Epochs that each step of the BER lasts (section 3.2 of the paper).
EPOCHS_A_STEP: Final = 2


@dataclass(frozen=True)
class Epoch:
    """ber: errors were trained with; loss: mean over the epoch's batches (of a classifier: cross entropy, nats)."""

    ber: float
    loss: float


@dataclass(frozen=True)
class Boosted:
    """A retrained network. before, after: accuracies (shares of the test's images) with errors at the target BER, one a memory; clean ones without.

    module: the network itself. intervals: 95 % of means over the memories.
    """

    network: str
    dataset: str
    images: int
    precision: str
    variant: str
    ber: float
    epochs: tuple[Epoch, ...]
    clean_before: float
    clean_after: float
    before: tuple[float, ...]
    after: tuple[float, ...]
    seed: int
    config: Mapping[str, Any]
    notes: Mapping[str, Any]
    module: torch.nn.Module = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as --json writes them."""
        return {
            "network": self.network,
            "dataset": self.dataset,
            "images": self.images,
            "precision": self.precision,
            "variant": self.variant,
            "ber": self.ber,
            "epochs": [{"ber": epoch.ber, "loss": epoch.loss} for epoch in self.epochs],
            "accuracy": {
                "clean": {"before": self.clean_before, "after": self.clean_after},
                "with_errors": {
                    when: {
                        "mean": sum(values) / len(values),
                        "interval": interval_of(values),
                        "repeats": list(values),
                    }
                    for when, values in (("before", self.before), ("after", self.after))
                },
            },
            "config": self.config,
            "version": __version__,
            "seed": self.seed,
            **self.notes,
        }

    def to_dataframe(self) -> pd.DataFrame:
        """A row an epoch."""
        return data_frame(
            [
                {"epoch": number + 1, "ber": epoch.ber, "loss": epoch.loss}
                for number, epoch in enumerate(self.epochs)
            ]
        )

    def summary(self) -> str:
        """A few lines."""
        means = [sum(values) / len(values) for values in (self.before, self.after)]
        what = self.notes.get("measure", "accuracy")
        return (
            f"{self.network} on {self.images:,} images of {self.dataset}, {self.precision}, {len(self.epochs)} epochs ({self.variant})\n"
            f"{what} without errors     {self.clean_before:.2%} before, {self.clean_after:.2%} after\n"
            f"{what} at BER {self.ber:<9.3g}   {means[0]:.2%} before, {means[1]:.2%} after, over {len(self.after)} memories"
        )


@dataclass(frozen=True)
class Schedule:
    """How a network is retrained. rate: peak of the learning rate (one cycle); batch: images of a step."""

    variant: str = "curricular"
    epochs: int = 10
    batch: int = 64
    rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise InputError(
                f"variant: expected one of {', '.join(VARIANTS)}, found {self.variant!r}{nearest(self.variant, VARIANTS)}"
            )
        for what in ("epochs", "batch"):
            if getattr(self, what) < 1:
                raise InputError(f"{what}: expected 1 or more, found {getattr(self, what)}")
        if not 0 < self.rate <= 1:
            raise InputError(f"rate: expected more than 0 and at most 1, found {self.rate!r}")

    def bers(self, target: float) -> list[float]:
        """Of each epoch. Curricular: 0 first, the target last."""
        if self.variant != "curricular":
            return [target if self.variant == "constant" else 0.0] * self.epochs
        steps = math.ceil(self.epochs / EPOCHS_A_STEP)
        return [
            target * (epoch // EPOCHS_A_STEP) / (steps - 1) if steps > 1 else target
            for epoch in range(self.epochs)
        ]


def boost(
    network: str | torch.nn.Module,
    *,
    ber: float,
    data: str | os.PathLike[str] | Dataset = "digits",
    weights: str | os.PathLike[str] | None = None,
    precision: str = "int8",
    model: str | int | None = None,
    module: str | os.PathLike[str] | None = None,
    train_model: str | int | None = None,
    variant: str = "curricular",
    epochs: int = 10,
    batch: int = 64,
    rate: float = 2e-3,
    bounding: str = "zero",
    comparison: str = "value",
    repeats: int = 5,
    seed: int | None = None,
    train_images: int | None = None,
    images: int | None = None,
    size: int | None = None,
    normalization: Normalization | None = None,
    threads: int = 1,
    device: str = "auto",
    output: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    **sections: Mapping[str, Any],
) -> Boosted:
    """Retrain a network with errors up to `ber`, and test it before and after in `repeats` memories that it was not trained in.

    network, data, weights, bounding, comparison, size, normalization, threads, device: as for `evaluate`; a module of one's own is not
    changed, the result has a copy.
    model or module: whose structure the memory's errors have; train_model: another one to train with (poor fit). variant, epochs, batch, rate: see
    `Schedule`. train_images, images: of the training and test splits (None: all). output: file of the weights. checkpoint: file
    that keeps what a run needs to go on, written after each epoch; with `resume`, a run goes on from it and ends with the same bits.

    Raises InputError for what cannot be accepted (also a checkpoint of another run), EdensimError where training diverges.
    """
    schedule = Schedule(variant, epochs, batch, rate)
    if not 0 < ber <= 1:
        raise InputError(f"ber: expected more than 0 and at most 1, found {ber!r}")
    if repeats < 1:
        raise InputError(f"repeats: expected 1 or more, found {repeats}")
    if bounding not in BOUNDINGS:
        raise InputError(
            f"bounding: expected one of {', '.join(BOUNDINGS)}, found {bounding!r}{nearest(bounding, BOUNDINGS)}"
        )
    if resume and checkpoint is None:
        raise InputError("resume: needs a checkpoint to go on from")
    require_torch()
    from edensim.accuracy.evaluation_target import subject
    from edensim.eden.retraining import Checkpoint, retrain, training_split

    memory = memory_of(
        module=module, model=model, seed=seed, config=config, overrides=overrides, sections=sections
    )
    memory.injector(ber)  # a BER that the model cannot have is found out now
    trained_with = (
        memory
        if train_model is None
        else memory_of(
            module=None, model=train_model, seed=memory.seed, config=None, overrides=(), sections={}
        )
    )
    options: dict[str, Any] = {
        "precision": precision,
        "comparison": comparison,
        "images": images,
        "size": size,
    }
    options |= {
        "device": device,
        "capacity_bytes": memory.geometry.mapping.capacity_bytes,
        "correction": None if bounding == "off" else bounding,
    }
    tested = subject(network, data, weights=weights, normalization=normalization, **options)
    split = training_split(data, tested, train_images, size)
    asked = {
        **schedule.__dict__,
        "ber": ber,
        "bounding": bounding,
        "comparison": comparison,
        "train_images": len(split),
        "size": size,
    }
    asked |= {"train_errors": {**trained_with.structure.to_dict(), "weak_fraction": None}}
    kept = (
        Checkpoint(
            Path(checkpoint),
            {
                "network": tested.name,
                "dataset": split.name,
                "precision": precision,
                "seed": memory.seed,
                **asked,
            },
        )
        if (checkpoint is not None)
        else None
    )
    clean_before, before = _accuracies(tested, memory, ber, repeats, threads)
    retrained, records = retrain(
        tested,
        split,
        trained_with,
        [float(each) for each in schedule.bers(ber)],
        schedule=schedule,
        checkpoint=kept,
        resume=resume,
        progress=progress,
    )
    after_subject = replace(
        subject(retrained, data, normalization=tested.normalization, **options), name=tested.name
    )
    clean_after, after = _accuracies(after_subject, memory, ber, repeats, threads)
    if output is not None:
        from edensim.accuracy.weights import save_weights

        save_weights(retrained, Path(output), tested.normalization)
    return Boosted(
        network=tested.name,
        dataset=tested.dataset.name,
        images=len(tested.dataset),
        precision=precision,
        variant=variant,
        ber=ber,
        epochs=tuple(Epoch(*record) for record in records),
        clean_before=clean_before,
        clean_after=clean_after,
        before=before,
        after=after,
        seed=memory.seed,
        config={
            "boosting": asked,
            "errors": {**memory.structure.to_dict(), "weak_fraction": None},
            "run": memory.config,
        },
        notes={"errors": memory.notes, **tested.notes},
        module=retrained,
    )


def _accuracies(
    tested: Subject, memory: Memory, ber: float, repeats: int, threads: int
) -> tuple[float, tuple[float, ...]]:
    """Without errors, and in each memory: those that `tolerance` tests in, none that was trained in."""
    outcomes = tested.outcomes(
        [None, *(memory.injector(ber, repeat) for repeat in range(repeats))], threads=threads
    )
    if math.isnan(outcomes[0].accuracy):
        raise EdensimError(f"{tested.name}: its accuracy is not a number")
    return outcomes[0].accuracy, tuple(outcome.accuracy for outcome in outcomes[1:])
