"""A trained network, the data it is tested on, and its accuracy under any bit errors: what evaluation, boosting and characterization share."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from edensim.accuracy.approximate import ApproximateNetwork, Errors, Tally
from edensim.accuracy.criteria import Classification, criterion_of
from edensim.accuracy.datasets import COMPOSED, Dataset, load_dataset, normalization_of, normalized
from edensim.accuracy.devices import device_of
from edensim.accuracy.networks.registry import ENTRIES, build, known_name
from edensim.accuracy.placement import place
from edensim.accuracy.quantization import check_precision
from edensim.accuracy.weights import Normalization, check_finite, load_weights
from edensim.exceptions import InputError

#: Images of the training split that scales and bounds are taken from.
CALIBRATION_IMAGES: Final = 512


@dataclass(frozen=True)
class Outcome:
    """accuracy: share of the `images` that are classified right (of a detection set: mean average precision); items: what came of each data
    item's loads."""

    accuracy: float
    images: int
    items: dict[str, Tally]


@dataclass(frozen=True)
class Subject:
    """A calibrated network and its test. normalization: of its images; batches: (normalized images, labels); notes: what results say of it."""

    name: str
    network: ApproximateNetwork
    dataset: Dataset
    normalization: Normalization
    batches: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    notes: dict[str, Any]

    def outcomes(
        self, errors: Sequence[Errors], *, threads: int = 1, first: int = 0
    ) -> list[Outcome]:
        """The test once under each of some errors. first: number of each one's first pass.

        Each batch is computed by one thread, so that sums are in the same order with any number of them.
        """
        criterion = criterion_of(self.network.module)
        jobs = [
            (each, number) for each in range(len(errors)) for number in range(len(self.batches))
        ]

        def run(job: tuple[int, int]) -> tuple[Any, dict[str, Tally]]:
            torch.set_num_threads(1)
            images, labels = self.batches[job[1]]
            tallies: dict[str, Tally] = {}
            with torch.inference_mode():
                outputs = self.network.run(
                    images, errors=errors[job[0]], number=first + job[1], tallies=tallies
                )
                return criterion.judged(outputs, labels), tallies

        with one_thread_each(), self.network.attached():
            if threads == 1:
                results = [run(job) for job in jobs]
            else:
                with ThreadPoolExecutor(threads) as pool:
                    results = list(pool.map(run, jobs))
        found = []
        for each in range(len(errors)):
            items: dict[str, Tally] = {}
            own = results[each * len(self.batches) : (each + 1) * len(self.batches)]
            for _, tallies in own:
                for name, tally in tallies.items():
                    items.setdefault(name, Tally()).add(tally)
            found.append(
                Outcome(
                    criterion.score([judged for judged, _ in own], len(self.dataset)),
                    len(self.dataset),
                    items,
                )
            )
        return found

    def unquantized_accuracy(self) -> float:
        """The module's own, without any memory."""
        with one_thread_each():
            return score_of(self.network.module, self.batches, len(self.dataset))


def score_of(
    module: torch.nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], images: int
) -> float:
    """Accuracy of a module on (normalized images, labels), as its criterion has it."""
    criterion = criterion_of(module)
    with torch.inference_mode():
        return criterion.score(
            [criterion.judged(module(inputs), labels) for inputs, labels in batches], images
        )


@contextmanager
def one_thread_each() -> Iterator[None]:
    """One thread a batch: with several, sums of floats depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def subject(
    network: str | torch.nn.Module,
    data: str | os.PathLike[str] | Dataset = "digits",
    *,
    weights: str | os.PathLike[str] | None = None,
    precision: str = "int8",
    correction: str | None = "zero",
    comparison: str = "value",
    images: int | None = None,
    batch: int = 32,
    size: int | None = None,
    normalization: Normalization | None = None,
    capacity_bytes: int | None = None,
    seed: int = 1,
    device: str = "cpu",
) -> Subject:
    """A network by name (with weights from a file; without any it is trained, which is quick on small data only) or a trained module.

    data: a name, a path (both: its test split) or a Dataset. normalization: None: what the weights' file says, else what published weights were
    trained with, else the data's own. device: cpu, cuda or auto, that it computes on.

    Raises InputError (NetworkError) for what cannot be used together.
    """
    check_precision(precision)
    computes_on = device_of(device)
    if batch < 1:
        raise InputError(f"batch: expected 1 or more, found {batch}")
    if isinstance(data, Dataset):
        tests, calibration, note = (
            data.chosen(images),
            data.chosen(CALIBRATION_IMAGES),
            "the test's own images",
        )
    else:
        tests = load_dataset(os.fspath(data), "test", images, size=size)
        calibration, note = _calibration(os.fspath(data), tests, size)
    notes: dict[str, Any] = {}
    if isinstance(network, str):
        name = known_name(network)
        module, known = _named(name, weights, data, tests, seed, notes)
    else:
        name, module, known = type(network).__name__, network, None
    check_kind(name, module, tests)
    normalization = normalization or known or normalization_of(calibration.images)
    if len(normalization[0]) != tests.shape[0]:
        raise InputError(
            f"{name}: its images have {len(normalization[0])} channels, those of {tests.name} have {tests.shape[0]}"
        )
    module.eval()
    check_finite(module, name)
    placed = place(module, name, tests.shape, batch, precision, capacity_bytes)
    if computes_on.type != "cpu":
        module = copy.deepcopy(module).to(computes_on)
    approximate = ApproximateNetwork(
        module, placed, precision, correction=correction, comparison=comparison
    )
    with one_thread_each(), approximate.attached():
        approximate.calibrate(
            [images.to(computes_on) for images, _ in batched(calibration, normalization, batch)]
        )
    batches = tuple(
        (images.to(computes_on), labels.to(computes_on))
        for images, labels in batched(tests, normalization, batch)
    )
    with torch.inference_mode():
        criterion_of(module).check(name, module(batches[0][0][:1]), len(tests.classes))
    notes = {
        **notes,
        "measure": criterion_of(module).measure,
        "device": computes_on.type,
        "normalization": normalization,
        "calibration": f"{len(calibration)} images of {note}",
    }
    return Subject(name, approximate, tests, normalization, batches, notes)


def batched(
    dataset: Dataset, normalization: Normalization, batch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(normalized images, labels) in order."""
    for at in range(0, len(dataset), batch):
        chosen = slice(at, at + batch)
        yield (
            torch.from_numpy(normalized(dataset.images[chosen], normalization)),
            torch.from_numpy(dataset.labels[chosen]),
        )


def _calibration(data: str, tests: Dataset, size: int | None) -> tuple[Dataset, str]:
    try:
        found = load_dataset(data, "train", CALIBRATION_IMAGES, size=size)
    except InputError:
        return tests.chosen(
            CALIBRATION_IMAGES
        ), "the test's own images (there is no training split)"
    same = found.images is not tests.images and not (
        len(found) == len(tests) and (found.images == tests.images).all()
    )
    return (
        found,
        "the training split" if same else "the test's own images (there is no training split)",
    )


def _named(
    name: str,
    weights: str | os.PathLike[str] | None,
    data: str | os.PathLike[str] | Dataset,
    tests: Dataset,
    seed: int,
    notes: dict[str, Any],
) -> tuple[torch.nn.Module, Normalization | None]:
    """The module of a name, trained, and what its images are normalized by, where that is known."""
    if weights is not None:
        module = build(name, tests.shape, len(tests.classes), seed=seed)
        said = load_weights(module, Path(weights), name)
        notes["weights"] = os.fspath(weights)
        return module, said or (ENTRIES[name].normalization if tests.shape[0] == 3 else None)
    if data != "digits":
        raise InputError(
            f"{name}: no weights are given; `edensim train {name} --data ... -o FILE` makes them (only digits are trained on the fly)"
        )
    from edensim.accuracy.training import train

    notes["weights"] = f"trained on digits at seed {seed}"
    dataset = load_dataset("digits", "train")
    normalization = normalization_of(dataset.images)
    return train(name, dataset, normalization=normalization, seed=seed), normalization


def check_kind(name: str, module: torch.nn.Module, dataset: Dataset) -> None:
    """Raises InputError where one detects objects and the other has none, or the other way round."""
    detects, boxed = not isinstance(criterion_of(module), Classification), dataset.labels.ndim == 3
    if detects and not boxed:
        raise InputError(
            f"{name} detects objects: {dataset.name} has one class an image; expected a detection set, such as {COMPOSED}{dataset.name}"
        )
    if boxed and not detects:
        raise InputError(
            f"{name} gives one class an image; expected another data set than {dataset.name}, whose images have several objects"
        )
