"""`edensim.boost`: retraining with the bit errors of approximate memory.

Boosting is described in section 3.2 of Koppula et al., MICRO 2019. Weights and ifms have errors as
they are loaded, in the forward pass only; gradients go straight through. The BER rises from 0 to
the target in equal steps, one every two epochs (variant `curricular`). The variant `constant` has
the target from the first epoch on, which the paper calls non-curricular; `none` has no errors and
is a control of the same length.

Values beyond the bounds are corrected, as in inference. Bounds and scales are taken anew before
each epoch, from clean runs of the network. Statistics of batch normalization stay as they are,
because errors would move them. The error model that is trained with may be another one than the
memory's (a poor fit). Each step is in a memory of its own (another seed), because the places of
weak cells in the memory to come are not known. The same seed gives the same weights, to the last
bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edensim._version import __version__
from edensim.accuracy.evaluation import interval_of, require_torch
from edensim.accuracy.memory import ApproximateMemory, approximate_memory
from edensim.accuracy.options import MemoryOptions
from edensim.eden.options import BoostOptions
from edensim.eden.schedule import Schedule
from edensim.exceptions import EdensimError
from edensim.results.data_frame import data_frame
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from edensim.accuracy.evaluation_target import EvaluationTarget
    from edensim.eden.checkpoint import Checkpoint


@dataclass(frozen=True)
class Epoch:
    """BER that an epoch was trained with, and the mean loss of its batches.

    The loss of a classifier is the cross entropy, in nats.
    """

    ber: float
    loss: float


@dataclass(frozen=True)
class Boosted:
    """A retrained network, and its accuracies.

    Attributes
    ----------
    network, dataset : str
        What was retrained, and what it was tested on.
    images : int
        Number of images of the test.
    precision : str
        How data were stored.
    variant : str
        How the BER rose.
    ber : float
        The target BER.
    epochs : tuple of Epoch
        BER and loss of each epoch.
    clean_before, clean_after : float
        Accuracy without errors, before and after retraining.
    before, after : tuple of float
        Accuracy with errors at the target BER, in each of the memories.
    seed : int
        Seed of the first memory.
    config, notes : Mapping
        What the result depends on, and what is to be known about it.
    module : torch.nn.Module
        The retrained network.
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
        """Return plain values, as --json writes them."""
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
        """Return a table with a row per epoch: epoch, ber and loss."""
        return data_frame(
            [
                {"epoch": number + 1, "ber": epoch.ber, "loss": epoch.loss}
                for number, epoch in enumerate(self.epochs)
            ]
        )

    def summary(self) -> str:
        """Return a few lines of text."""
        before, after = (sum(values) / len(values) for values in (self.before, self.after))
        measure = self.notes.get("measure", "accuracy")
        return (
            f"{self.network} on {self.images:,} images of {self.dataset}, {self.precision}, "
            f"{len(self.epochs)} epochs ({self.variant})\n"
            f"{measure} without errors     {self.clean_before:.2%} before, "
            f"{self.clean_after:.2%} after\n"
            f"{measure} at BER {self.ber:<9.3g}   {before:.2%} before, {after:.2%} after, "
            f"over {len(self.after)} memories"
        )


def boost(
    network: str | torch.nn.Module,
    *,
    options: BoostOptions | None = None,
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> Boosted:
    """Retrain a network with bit errors, and test it before and after.

    The tests are in memories that the network was not trained in.

    Parameters
    ----------
    network : str or torch.nn.Module
        A name, or a trained module, which is not changed: the result has a copy.
    options : BoostOptions, optional
        Target BER, data, errors, schedule and so on. With a checkpoint, a run that was interrupted
        can be resumed, and ends with the same bits.
    progress : callable, optional
        Is called with the number of training steps done, and of all.
    **arguments
        Fields of `BoostOptions` by name, which take precedence over `options`, and sections of the
        configuration (``dram={"channels": 2}``). As `data` a `Dataset` is accepted, too.

    Returns
    -------
    Boosted
        The retrained network, and its accuracies.

    Raises
    ------
    InputError
        If an option cannot be accepted, or a checkpoint is of another run.
    EdensimError
        If training diverges.

    References
    ----------
    S. Koppula et al., "EDEN: Enabling Energy-Efficient, High-Performance Deep Neural Network
    Inference Using Approximate DRAM", MICRO 2019, section 3.2.
    """
    options, sections = BoostOptions.gather(options, arguments)
    require_torch()
    return _boosted(network, options, sections, progress)


def _boosted(
    network: str | torch.nn.Module,
    options: BoostOptions,
    sections: Mapping[str, Any],
    progress: ProgressCallback | None,
) -> Boosted:
    """Test, retrain and test again."""
    from edensim.accuracy.evaluation_target import evaluation_target
    from edensim.accuracy.weights import save_weights
    from edensim.eden.retraining import retrain, training_split

    ber = options.ber
    memory = approximate_memory(options, sections)
    memory.injector(ber)  # a BER that the model cannot have is refused before the training
    trained_memory = memory
    if options.train_model is not None:
        poor_fit = MemoryOptions(model=options.train_model, seed=memory.seed)
        trained_memory = approximate_memory(poor_fit)
    target = evaluation_target(network, options, capacity_bytes=memory.capacity_bytes)
    split = training_split(target, options.train_images)
    schedule = Schedule(options.variant, options.epochs, options.batch, options.rate)
    settings = {
        **vars(schedule),
        "ber": ber,
        "bounding": options.bounding,
        "comparison": options.comparison,
        "train_images": len(split),
        "size": options.size,
        "train_errors": trained_memory.free_model,
    }
    clean_before, before = _accuracies(target, memory, options)
    module, records = retrain(
        target,
        split,
        trained_memory,
        [float(value) for value in schedule.bers(ber)],
        schedule=schedule,
        checkpoint=_checkpoint(options, target.name, split.name, memory.seed, settings),
        progress=progress,
    )
    clean_after, after = _accuracies(target.with_module(module), memory, options)
    if options.output is not None:
        save_weights(module, options.output, target.normalization)
    return Boosted(
        network=target.name,
        dataset=target.dataset.name,
        images=len(target.dataset),
        precision=options.precision,
        variant=options.variant,
        ber=ber,
        epochs=tuple(Epoch(*record) for record in records),
        clean_before=clean_before,
        clean_after=clean_after,
        before=before,
        after=after,
        seed=memory.seed,
        config={"boosting": settings, "errors": memory.free_model, "run": memory.config},
        notes={"errors": memory.notes, **target.notes},
        module=module,
    )


def _checkpoint(
    options: BoostOptions, network: str, dataset: str, seed: int, settings: Mapping[str, Any]
) -> Checkpoint | None:
    """Return the file that the retraining can be resumed from, if one is asked for."""
    from edensim.eden.checkpoint import Checkpoint

    if options.checkpoint is None:
        return None
    identity = {
        "network": network,
        "dataset": dataset,
        "precision": options.precision,
        "seed": seed,
        **settings,
    }
    return Checkpoint(options.checkpoint, identity, options.resume)


def _accuracies(
    target: EvaluationTarget, memory: ApproximateMemory, options: BoostOptions
) -> tuple[float, tuple[float, ...]]:
    """Measure the accuracy without errors, and in each memory that `tolerance` tests in, too."""
    errors = [memory.injector(options.ber, repeat) for repeat in range(options.repeats)]
    clean, *others = target.outcomes([None, *errors], threads=options.threads)
    if math.isnan(clean.accuracy):
        raise EdensimError(f"{target.name}: its accuracy is not a number")
    return clean.accuracy, tuple(outcome.accuracy for outcome in others)
