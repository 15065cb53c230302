"""A trained network, the data that it is tested on, and its accuracy under any bit errors."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from edensim.accuracy.approximate import ApproximateNetwork, Errors, LoadCounters
from edensim.accuracy.criteria import criterion_of
from edensim.accuracy.dataset import Dataset, normalization_of
from edensim.accuracy.datasets import load_dataset
from edensim.accuracy.devices import device_of
from edensim.accuracy.networks.registry import ENTRIES, build, known_name
from edensim.accuracy.options import PASS_IMAGES, TargetOptions
from edensim.accuracy.placement import place
from edensim.accuracy.scoring import Batch, batched, check_kind, one_thread_each, score_of
from edensim.accuracy.training import train
from edensim.accuracy.weights import Normalization, check_finite, load_weights
from edensim.exceptions import InputError

#: Images of the training split that scales and bounds are taken from.
CALIBRATION_IMAGES: Final = 512
#: Seed of networks that are trained on the fly.
TRAINING_SEED: Final = 1


@dataclass(frozen=True)
class Outcome:
    """What a test gave.

    Attributes
    ----------
    accuracy : float
        Share of the images that are classified right; mean average precision of a detection set.
    images : int
        Number of images.
    items : dict
        Bits read, flips and corrections of each data item.
    """

    accuracy: float
    images: int
    items: dict[str, LoadCounters]


@dataclass(frozen=True)
class EvaluationTarget:
    """A calibrated network and its test.

    Attributes
    ----------
    name : str
        What the network is called.
    network : ApproximateNetwork
        The network, with scales and bounds.
    dataset, calibration : Dataset
        The test's images, and those that scales and bounds are taken from.
    normalization : tuple
        Means and deviations of the channels.
    batches : tuple
        The test's normalized images and labels, on the device that computes.
    options : TargetOptions
        The options that it was made with.
    notes : dict
        What results say about it.
    """

    name: str
    network: ApproximateNetwork
    dataset: Dataset
    calibration: Dataset
    normalization: Normalization
    batches: tuple[Batch, ...]
    options: TargetOptions
    notes: dict[str, Any]

    def outcomes(
        self, errors: Sequence[Errors], *, threads: int = 1, first: int = 0
    ) -> list[Outcome]:
        """Run the test once under each of some errors.

        `first` is the number of each test's first pass. A batch is computed by one thread, so that
        sums are made in the same order with any number of threads.
        """
        criterion = criterion_of(self.network.module)
        count = len(self.batches)

        def run(job: int) -> tuple[Any, dict[str, LoadCounters]]:
            torch.set_num_threads(1)
            images, labels = self.batches[job % count]
            counters: dict[str, LoadCounters] = {}
            with torch.inference_mode():
                outputs = self.network.run(
                    images,
                    errors=errors[job // count],
                    number=first + job % count,
                    counters=counters,
                )
                return criterion.judged(outputs, labels), counters

        jobs = range(len(errors) * count)
        with one_thread_each(), self.network.attached():
            if threads == 1:
                results = [run(job) for job in jobs]
            else:
                with ThreadPoolExecutor(threads) as pool:
                    results = list(pool.map(run, jobs))
        outcomes = []
        for at in range(0, len(results), count):
            items: dict[str, LoadCounters] = {}
            for _, counters in results[at : at + count]:
                for name, counter in counters.items():
                    items.setdefault(name, LoadCounters()).add(counter)
            judged = [judgement for judgement, _ in results[at : at + count]]
            score = criterion.score(judged, len(self.dataset))
            outcomes.append(Outcome(score, len(self.dataset), items))
        return outcomes

    def unquantized_accuracy(self) -> float:
        """Measure the accuracy of the module as it is, without any memory."""
        with one_thread_each():
            return score_of(self.network.module, self.batches, len(self.dataset))

    def with_module(self, module: torch.nn.Module) -> EvaluationTarget:
        """Return the same test of another module of this structure, calibrated anew."""
        batch = self.network.placing.layout.network.batch
        network = _calibrated(
            self.name, module, self.calibration, self.normalization, self.options, batch
        )
        return replace(self, network=network)

    def sampled(self, images: int) -> EvaluationTarget:
        """Return a test of the same network with only some of the images."""
        dataset = self.dataset.chosen(images)
        batch = self.network.placing.layout.network.batch
        device = self.batches[0][0].device
        return replace(
            self, dataset=dataset, batches=_on(device, dataset, self.normalization, batch)
        )


def evaluation_target(
    network: str | torch.nn.Module,
    options: TargetOptions,
    *,
    batch: int = PASS_IMAGES,
    capacity_bytes: int | None = None,
) -> EvaluationTarget:
    """Prepare the test of a network.

    Parameters
    ----------
    network : str or torch.nn.Module
        A name, or a trained module. A network by name that has no weights in `options` is trained,
        which is quick on small data only.
    options : TargetOptions
        The data set (its test split), the precision and so on. If no normalization
        is given, that of the weights file is used, or of the published weights, or of the data.
    batch : int
        Images of one pass.
    capacity_bytes : int, optional
        Size of the memory that the network must fit into.

    Returns
    -------
    EvaluationTarget
        The calibrated network and its test.

    Raises
    ------
    InputError
        If the network, its weights and the data do not belong together.
    """
    tests, calibration, source = _datasets(options)
    notes: dict[str, Any] = {}
    if isinstance(network, str):
        name = known_name(network)
        module, known = _named(name, options, tests, notes)
    else:
        name, module, known = type(network).__name__, network, None
    check_kind(name, module, tests)
    normalization = options.normalization or known or normalization_of(calibration.images)
    if len(normalization[0]) != tests.shape[0]:
        channels = f"{len(normalization[0])} channels, those of {tests.name} have {tests.shape[0]}"
        raise InputError(f"{name}: its images have {channels}")
    data = calibration, normalization
    approximate = _calibrated(name, module, *data, options, batch, capacity_bytes)
    module, device = approximate.module, device_of(options.device)
    batches = _on(device, tests, normalization, batch)
    criterion = criterion_of(module)
    with torch.inference_mode():
        criterion.check(name, module(batches[0][0][:1]), len(tests.classes))
    notes |= {
        "measure": criterion.measure,
        "device": device.type,
        "normalization": normalization,
        "calibration": f"{len(calibration)} images of {source}",
    }
    return EvaluationTarget(
        name, approximate, tests, calibration, normalization, batches, options, notes
    )


def _calibrated(
    name: str,
    module: torch.nn.Module,
    calibration: Dataset,
    normalization: Normalization,
    options: TargetOptions,
    batch: int,
    capacity_bytes: int | None = None,
) -> ApproximateNetwork:
    """Lay a module out in memory, and take its scales and bounds from clean runs."""
    device = device_of(options.device)
    module.eval()
    check_finite(module, name)
    placing = place(module, name, calibration.shape, batch, options.precision, capacity_bytes)
    if device.type != "cpu":
        module = copy.deepcopy(module).to(device)
    network = ApproximateNetwork(
        module,
        placing,
        options.precision,
        correction=options.correction,
        comparison=options.comparison,
    )
    with one_thread_each(), network.attached():
        network.calibrate(
            [images.to(device) for images, _ in batched(calibration, normalization, batch)]
        )
    return network


def _on(
    device: torch.device, dataset: Dataset, normalization: Normalization, batch: int
) -> tuple[Batch, ...]:
    """Return the batches of a data set on a device."""
    return tuple(
        (images.to(device), labels.to(device))
        for images, labels in batched(dataset, normalization, batch)
    )


def _datasets(options: TargetOptions) -> tuple[Dataset, Dataset, str]:
    """Return the images to test and to calibrate with, and where the latter come from."""
    own = "the test's own images"
    if isinstance(options.data, Dataset):
        dataset = options.data
        return dataset.chosen(options.images), dataset.chosen(CALIBRATION_IMAGES), own
    name = os.fspath(options.data)
    tests = load_dataset(name, "test", options.images, size=options.size)
    own = f"{own} (there is no training split)"
    try:
        training = load_dataset(name, "train", CALIBRATION_IMAGES, size=options.size)
    except InputError:
        return tests, tests.chosen(CALIBRATION_IMAGES), own
    is_same = len(training) == len(tests) and bool((training.images == tests.images).all())
    return tests, training, own if is_same else "the training split"


def _named(
    name: str, options: TargetOptions, tests: Dataset, notes: dict[str, Any]
) -> tuple[torch.nn.Module, Normalization | None]:
    """Return the trained module of a name, and the normalization of its images if it is known."""
    if options.weights is not None:
        module = build(name, tests.shape, len(tests.classes), seed=TRAINING_SEED)
        normalization = load_weights(module, options.weights, name)
        notes["weights"] = os.fspath(options.weights)
        published = ENTRIES[name].normalization if tests.shape[0] == 3 else None
        return module, normalization or published
    if options.data != "digits":
        raise InputError(
            f"{name}: no weights are given; `edensim train {name} --data ... -o FILE` makes them "
            "(only digits are trained on the fly)"
        )
    notes["weights"] = f"trained on digits at seed {TRAINING_SEED}"
    dataset = load_dataset("digits", "train")
    normalization = normalization_of(dataset.images)
    module = train(name, dataset, normalization=normalization, seed=TRAINING_SEED)
    return module, normalization
