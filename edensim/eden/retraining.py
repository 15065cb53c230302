"""The training loop of boosting, and the file that lets it go on where it was interrupted."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from edensim.accuracy.approximate import ApproximateNetwork, Errors, Range
from edensim.accuracy.criteria import criterion_of
from edensim.accuracy.datasets import Dataset, load_dataset, normalized
from edensim.accuracy.evaluation_target import CALIBRATION_IMAGES, Subject, one_thread_each
from edensim.accuracy.placement import place
from edensim.bit_errors.injector import Injector
from edensim.eden.memory import Memory
from edensim.exceptions import EdensimError, InputError
from edensim.files import replacing

if TYPE_CHECKING:
    from edensim.eden.boosting import Schedule

#: Decay of weights and the longest gradient that is followed: an error's gradient can be of any length.
WEIGHT_DECAY: Final = 1e-4
GRADIENT_NORM: Final = 1.0
#: Each step of training is in a memory of its own, with weak cells elsewhere, so that a network does not learn the places of one: seeds from here on.
FIRST_MEMORY: Final = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """What a run keeps after each epoch. identity: what a run that goes on must have in common with the one that wrote it."""

    path: Path
    identity: dict[str, Any]

    def save(self, state: dict[str, Any]) -> None:
        """Whole or not at all."""
        with replacing(self.path) as temporary:
            torch.save({"identity": self.identity, **state}, temporary)

    def load(self) -> dict[str, Any] | None:
        """What was kept; None where there is no file yet. Raises InputError for a file of another run."""
        if not self.path.exists():
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found: Any = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as exception:  # whatever a broken file makes of an unpickler
            said = (str(exception).strip().splitlines() or [type(exception).__name__])[0]
            raise InputError(f"{self.path}: cannot be read as a checkpoint: {said[:200]}") from None
        if not isinstance(found, dict) or not isinstance(found.get("identity"), dict):
            raise InputError(f"{self.path}: is no checkpoint of a boosting")
        for key, new in self.identity.items():
            if (old := found["identity"].get(key)) != new:
                raise InputError(
                    f"{self.path}: {key} is {old!r} there and {new!r} here; expected a checkpoint of the same boosting"
                )
        return found


def training_split(data: Any, tested: Subject, images: int | None, size: int | None) -> Dataset:
    """The images to train with. Raises InputError where they are not like the test's, or the test's own."""
    if isinstance(data, Dataset):
        split = data.chosen(images)
    else:
        split = load_dataset(os.fspath(data), "train", images, size=size)
    if split.shape != tested.dataset.shape or split.classes != tested.dataset.classes:
        raise InputError(
            f"{split.name}: training images {split.shape} of {len(split.classes)} classes are not like the test's, {tested.dataset.shape}"
        )
    return split


def _hold(weights: Sequence[tuple[str, torch.Tensor]], ranges: Mapping[str, Range]) -> None:
    """Keep weights between the least and the greatest of the given network.

    So scales and bounds do not grow, and with them what a flipped bit does.
    """
    with torch.no_grad():
        for name, values in weights:
            values.clamp_(ranges[name].low, ranges[name].high)


def _errors(memory: Memory, bers: float | Mapping[str, float], offset: int) -> Errors:
    """In a memory of its own: `offset` beyond the first's seed."""

    def of(ber: float) -> Injector | None:
        return replace(memory.injector(ber), seed=memory.seed + offset) if ber > 0 else None

    return of(bers) if isinstance(bers, float) else {name: of(ber) for name, ber in bers.items()}


def retrain(
    tested: Subject,
    split: Dataset,
    memory: Memory,
    bers: Sequence[float | Mapping[str, float]],
    *,
    schedule: Schedule,
    first: int = 0,
    checkpoint: Checkpoint | None = None,
    resume: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[torch.nn.Module, list[tuple[float, float]]]:
    """A copy of the network, retrained, in evaluation mode; and (BER, mean loss) of each epoch.

    bers: of the epochs, each for all data or by item (then their mean is recorded). first: number of the first step, of which follows what memories
    errors are drawn in.

    Raises EdensimError where training diverges.
    """
    module = copy.deepcopy(tested.network.module)
    criterion = criterion_of(module)
    batch = min(schedule.batch, len(split))
    steps = len(split) // batch  # a last batch of fewer images is left to the next epoch's order
    device = next(module.parameters()).device
    images = torch.from_numpy(normalized(split.images, tested.normalization)).to(device)
    labels = torch.from_numpy(split.labels).to(device)
    given = tested.network
    placing = place(copy.deepcopy(module).cpu(), tested.name, split.shape, batch, given.precision)
    network = ApproximateNetwork(
        module, placing, given.precision, correction=given.correction, comparison=given.comparison
    )
    optimizer = torch.optim.AdamW(module.parameters(), lr=schedule.rate, weight_decay=WEIGHT_DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=schedule.rate, total_steps=len(bers) * steps
    )
    generator = torch.Generator().manual_seed(memory.seed)
    records: list[tuple[float, float]] = []
    kept = checkpoint.load() if checkpoint is not None and resume else None
    if kept is not None:
        module.load_state_dict(kept["module"])
        optimizer.load_state_dict(kept["optimizer"])
        rates.load_state_dict(kept["rates"])
        generator.set_state(kept["generator"])
        records = [(float(ber), float(loss)) for ber, loss in kept["records"]]
    named = dict(module.named_modules())
    weights = [(pairs[0][0], named[path].weight) for path, pairs in network.placing.calls.items()]
    module.eval()  # also while training: statistics of batch normalization and masks of dropout would see the errors
    with one_thread_each(), network.attached():
        for epoch in range(len(records), len(bers)):
            network.calibrate(
                [
                    images[at : at + batch]
                    for at in range(0, min(CALIBRATION_IMAGES, len(images) - batch + 1), batch)
                ]
            )
            asked = bers[epoch]
            ber = asked if isinstance(asked, float) else sum(asked.values()) / len(asked)
            order = torch.randperm(len(labels), generator=generator)
            total = 0.0
            for step in range(steps):
                chosen = order[step * batch : (step + 1) * batch]
                number = first + epoch * steps + step
                outputs = network.run(
                    images[chosen],
                    errors=_errors(memory, asked, FIRST_MEMORY + number),
                    number=number,
                )
                loss = criterion.loss(outputs, labels[chosen])
                value = float(loss.detach())
                if value != value or value == float("inf"):
                    raise EdensimError(
                        f"training diverged in epoch {epoch + 1} at BER {ber:g}: the loss is {value}"
                    )
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), GRADIENT_NORM)
                optimizer.step()
                rates.step()
                _hold(weights, given.ranges)
                total += value
                if progress is not None:
                    progress(epoch * steps + step + 1, len(bers) * steps)
            records.append((ber, total / steps))
            if checkpoint is not None:
                state = {
                    "module": module.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "rates": rates.state_dict(),
                }
                checkpoint.save({**state, "generator": generator.get_state(), "records": records})
    return module.cpu(), records
