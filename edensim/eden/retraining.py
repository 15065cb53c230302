"""Retraining with bit errors, of boosting and between the rounds of a fine characterization."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from edensim.accuracy.approximate import ApproximateNetwork, Errors
from edensim.accuracy.criteria import criterion_of
from edensim.accuracy.dataset import Dataset, normalized
from edensim.accuracy.datasets import load_dataset
from edensim.accuracy.evaluation_target import CALIBRATION_IMAGES, EvaluationTarget
from edensim.accuracy.memory import ApproximateMemory
from edensim.accuracy.placement import place
from edensim.accuracy.scoring import one_thread_each
from edensim.bit_errors.injector import Injector
from edensim.eden.checkpoint import Checkpoint
from edensim.eden.schedule import Schedule
from edensim.exceptions import EdensimError, InputError
from edensim.vocabulary import ProgressCallback

#: Decay of weights, and the length that gradients are cut to: those of errors can be of any length.
WEIGHT_DECAY: Final = 1e-4
GRADIENT_NORM: Final = 1.0
#: Seed of the first training step's memory, relative to that of the tests. Each step is in a memory
#: of its own, with weak cells elsewhere, so that a network does not learn the places of one.
FIRST_MEMORY: Final = 1 << 20
#: Peak of the learning rate between rounds of raises: the network is trained already.
ROUND_RATE: Final = 5e-4

#: The BER of an epoch: one for all data, or one for each data item.
EpochBer = float | Mapping[str, float]


def training_split(target: EvaluationTarget, images: int | None) -> Dataset:
    """Load the images to train with; raises InputError if they are not like those of the test."""
    options = target.options
    if isinstance(options.data, Dataset):
        split = options.data.chosen(images)
    else:
        split = load_dataset(os.fspath(options.data), "train", images, size=options.size)
    tests = target.dataset
    if split.shape != tests.shape or split.classes != tests.classes:
        raise InputError(
            f"{split.name}: training images {split.shape} of {len(split.classes)} classes are not "
            f"like the test's, {tests.shape}; expected the same shape and classes"
        )
    return split


def retrain(
    target: EvaluationTarget,
    split: Dataset,
    memory: ApproximateMemory,
    bers: Sequence[EpochBer],
    *,
    schedule: Schedule,
    first: int = 0,
    checkpoint: Checkpoint | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[torch.nn.Module, list[tuple[float, float]]]:
    """Retrain a copy of a network with errors.

    Parameters
    ----------
    target : EvaluationTarget
        The network to begin with.
    split : Dataset
        The images to train with.
    memory : ApproximateMemory
        The memory that errors are drawn in.
    bers : sequence
        BER of each epoch, for all data or by data item.
    schedule : Schedule
        Batch size and learning rate.
    first : int
        Number of the first step, from which the memories follow that errors are drawn in.
    checkpoint : Checkpoint, optional
        File to go on from, and to write after each epoch.
    progress : callable, optional
        Is called with the number of steps done, and of all.

    Returns
    -------
    torch.nn.Module
        The retrained network, in evaluation mode.
    list of tuple
        BER and mean loss of each epoch; the BER is the mean of the data items' BERs.

    Raises
    ------
    EdensimError
        If training diverges.
    """
    training = _Training(target, split, memory, schedule, len(bers))
    state = checkpoint.load() if checkpoint is not None else None
    if state is not None:
        training.restore(state)
    training.module.eval()  # errors would move batch normalization's statistics and dropout's masks
    with one_thread_each(), training.network.attached():
        for epoch in range(len(training.records), len(bers)):
            training.run_epoch(bers[epoch], first, progress)
            if checkpoint is not None:
                checkpoint.save(training.state())
    return training.module.cpu(), training.records


class _Training:
    """A network while it is retrained."""

    def __init__(
        self,
        target: EvaluationTarget,
        split: Dataset,
        memory: ApproximateMemory,
        schedule: Schedule,
        epochs: int,
    ) -> None:
        given = target.network
        self.module = module = copy.deepcopy(given.module)
        self.memory, self.epochs, self.ranges = memory, epochs, given.ranges
        self.criterion = criterion_of(module)
        self.batch = min(schedule.batch, len(split))
        self.steps = len(split) // self.batch  # images that fill no batch come in other epochs
        device = next(module.parameters()).device
        self.images = torch.from_numpy(normalized(split.images, target.normalization)).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        placing = place(
            copy.deepcopy(module).cpu(), target.name, split.shape, self.batch, given.precision
        )
        self.network = ApproximateNetwork(
            module,
            placing,
            given.precision,
            correction=given.correction,
            comparison=given.comparison,
        )
        layers = dict(module.named_modules())
        self.weights = [(calls[0][0], layers[path].weight) for path, calls in placing.calls.items()]
        self.optimizer = torch.optim.AdamW(
            module.parameters(), lr=schedule.rate, weight_decay=WEIGHT_DECAY
        )
        self.rates = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=schedule.rate, total_steps=epochs * self.steps
        )
        self.generator = torch.Generator().manual_seed(memory.seed)
        self.records: list[tuple[float, float]] = []

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state_dict(),
            "generator": self.generator.get_state(),
            "records": self.records,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates.load_state_dict(state["rates"])
        self.generator.set_state(state["generator"])
        self.records = [(float(ber), float(loss)) for ber, loss in state["records"]]

    def run_epoch(self, bers: EpochBer, first: int, progress: ProgressCallback | None) -> None:
        """Train with each image once, and record the BER and the mean loss."""
        epoch = len(self.records)
        starts = range(0, min(CALIBRATION_IMAGES, len(self.images) - self.batch + 1), self.batch)
        self.network.calibrate([self.images[start : start + self.batch] for start in starts])
        ber = bers if isinstance(bers, float) else sum(bers.values()) / len(bers)
        order = torch.randperm(len(self.labels), generator=self.generator)
        total = 0.0
        for step in range(self.steps):
            drawn = order[step * self.batch : (step + 1) * self.batch]
            loss = self._step(drawn, bers, first + epoch * self.steps + step)
            if loss != loss or loss == float("inf"):
                raise EdensimError(
                    f"training diverged in epoch {epoch + 1} at BER {ber:g}: the loss is {loss}"
                )
            total += loss
            if progress is not None:
                progress(epoch * self.steps + step + 1, self.epochs * self.steps)
        self.records.append((ber, total / self.steps))

    def _step(self, drawn: torch.Tensor, bers: EpochBer, number: int) -> float:
        """Train with one batch, in a memory of its own, and return the loss."""
        outputs = self.network.run(
            self.images[drawn], errors=self._errors(bers, FIRST_MEMORY + number), number=number
        )
        loss = self.criterion.loss(outputs, self.labels[drawn])
        value = float(loss.detach())
        if value == value and value != float("inf"):
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), GRADIENT_NORM)
            self.optimizer.step()
            self.rates.step()
            self._clamp_weights()
        return value

    def _errors(self, bers: EpochBer, offset: int) -> Errors:
        """Return the errors of a memory whose seed is `offset` beyond that of the first."""

        def at(ber: float) -> Injector | None:
            memory = self.memory
            return replace(memory.injector(ber), seed=memory.seed + offset) if ber > 0 else None

        if isinstance(bers, float):
            return at(bers)
        return {name: at(ber) for name, ber in bers.items()}

    def _clamp_weights(self) -> None:
        """Keep weights within the ranges of the given network.

        Scales and bounds then do not grow, nor does what a flipped bit does.
        """
        with torch.no_grad():
            for name, values in self.weights:
                values.clamp_(self.ranges[name].low, self.ranges[name].high)


@dataclass(frozen=True)
class ItemRetraining:
    """Retraining between rounds of raises (Koppula et al., MICRO 2019, section 3.3).

    The paper retrains the whole network in each iteration over its data items. Here each round of
    raises is followed by `epochs` with errors in each item at the BER that it has by then.
    """

    split: Dataset
    memory: ApproximateMemory
    epochs: int

    def after(
        self, number: int, target: EvaluationTarget, bers: Mapping[str, float]
    ) -> EvaluationTarget:
        """Retrain a network at the items' BERs, after round `number` (from 0 on).

        Each round trains in memories of its own.
        """
        schedule = Schedule("constant", self.epochs, rate=ROUND_RATE)
        steps = self.epochs * max(1, len(self.split) // schedule.batch)
        module, _ = retrain(
            target,
            self.split,
            self.memory,
            [bers] * self.epochs,
            schedule=schedule,
            first=number * steps,
        )
        return target.with_module(module)
