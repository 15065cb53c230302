"""Run the work of networks: accuracy under bit errors, boosting, tolerances, mappings.

The functions take plain arguments, since each is a task. A network without a file of weights is
trained here, from its own seed.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import torch

from edensim.accuracy.datasets import load_dataset
from edensim.accuracy.evaluation_target import EvaluationTarget, evaluation_target
from edensim.accuracy.memory import configured_errors
from edensim.accuracy.networks.registry import build
from edensim.accuracy.options import MemoryOptions, TargetOptions
from edensim.accuracy.training import normalization_for, train
from edensim.accuracy.weights import Normalization, load_weights
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import at_ber
from edensim.eden.boosting import boost
from edensim.eden.characterization import tolerance
from edensim.eden.mapping import map_to_dram
from edensim.networks.readers.description import save_network
from edensim.networks.readers.torch_module import read_module
from edensim.reproduction.machine_work import machine_config

#: First seed of the memories that networks are tested in. The memories that they are boosted and
#: characterized in have others.
TEST_SEED: Final = 1000
#: Of model 3, which with equal probabilities would be model 0. Zeros fail more often, as EDEN saw
#: when tRCD is lowered.
DATA_DEPENDENT: Final = {"failure_of_ones": 0.1, "failure_of_zeros": 0.9}


@dataclass(frozen=True)
class Workload:
    """A network with its data and its precision.

    Attributes
    ----------
    network, data : str
        Names of the network and of the data set.
    weights : str or None
        File of trained weights; None: the network is trained from the seed.
    precision : str
        How weights and feature maps are stored.
    seed : int
        Seed of training, boosting and characterization.
    images, train_images : int or None
        Number of test and training images; None: all.
    size : int or None
        Height and width that images are scaled to.
    """

    network: str
    data: str
    weights: str | None
    precision: str
    seed: int
    images: int | None
    train_images: int | None = None
    size: int | None = None

    @property
    def rate(self) -> float:
        """The learning rate of boosting."""
        return 2e-3 if self.weights is None else 1e-3

    def model(self) -> tuple[torch.nn.Module, Normalization]:
        """Return the trained network, and what its images are normalized by."""
        dataset = load_dataset(self.data, "train", self.train_images, size=self.size)
        normalization = normalization_for(self.network, dataset)
        if self.weights is None:
            model = train(self.network, dataset, normalization=normalization, seed=self.seed)
            return model, normalization
        model = build(self.network, dataset.shape, len(dataset.classes), seed=self.seed)
        return model, load_weights(model, Path(self.weights), self.network) or normalization

    def evaluation_target(
        self, model: torch.nn.Module, normalization: Normalization, images: int | None = None
    ) -> EvaluationTarget:
        """Return a network of this workload at its precision, ready to be tested on images."""
        options = TargetOptions(
            data=self.data,
            precision=self.precision,  # type: ignore[arg-type]
            images=images or self.images,
            normalization=normalization,
            device="cpu",
        )
        return evaluation_target(model, options)


def shape_curve(
    workload: Mapping[str, Any], model: int, bers: list[float], memories: int
) -> dict[str, Any]:
    """Return the accuracy of an un-boosted network at each BER of one error model."""
    work = Workload(**workload)
    tested = work.evaluation_target(*work.model())
    failures = DATA_DEPENDENT if model == 3 else {}
    return _curve(tested, bers, memories, model, failures)


def retrained_curve(
    workload: Mapping[str, Any],
    variant: str,
    ber: float,
    epochs: int,
    bers: list[float],
    memories: int,
) -> dict[str, Any]:
    """Return the accuracy of a network after retraining up to a BER, at each BER of model 0.

    The variants are those of `boost`, and besides: baseline, which is not retrained; control,
    which is retrained without errors; poor-fit, which is curricular with the errors of model 1.
    """
    work = Workload(**workload)
    model, normalization = work.model()
    if variant != "baseline":
        options: dict[str, Any] = {"train_model": 1} if variant == "poor-fit" else {}
        model = boost(
            model,
            ber=ber,
            data=work.data,
            variant={"poor-fit": "curricular", "control": "none"}.get(variant, variant),
            device="cpu",
            repeats=1,
            images=64,
            train_images=work.train_images,
            epochs=epochs,
            rate=work.rate,
            seed=work.seed,
            precision=work.precision,
            normalization=normalization,
            **options,
        ).module
    return _curve(work.evaluation_target(model, normalization), bers, memories)


def device_curve(
    workload: Mapping[str, Any],
    device: str,
    axis: str,
    values: list[float],
    boost_ber: float,
    epochs: int,
    memories: int,
) -> dict[str, Any]:
    """Return the accuracy of a network at lowered VDDs or tRCDs of a DRAM module.

    The network is boosted up to `boost_ber`; with 0, it is not boosted.
    """
    work = Workload(**workload)
    model, normalization = work.model()
    if boost_ber:
        model = boost(
            model,
            ber=boost_ber,
            data=work.data,
            normalization=normalization,
            device="cpu",
            precision=work.precision,
            epochs=epochs,
            repeats=1,
            images=64,
            seed=work.seed,
        ).module
    tested = work.evaluation_target(model, normalization)
    curve = _curve(tested, [], memories)
    standard = "DDR3L" if axis == "vdd_V" else "DDR3"
    for value in values:
        overrides = (
            f"dram.standard={standard}",
            f"dram.{axis}={value}",
            "errors.beyond_data=true",
        )
        plan = configured_errors(MemoryOptions(module=device, seed=TEST_SEED, overrides=overrides))
        errors = [replace(plan.injector, seed=TEST_SEED + memory) for memory in range(memories)]
        curve["points"].append({"at": value, **_tested(tested, errors)})
    return curve


def coarse_tolerance(
    workload: Mapping[str, Any], bounding: str, boosted: bool, epochs: int
) -> dict[str, Any]:
    """Return the BER that a network tolerates at an accuracy drop of 1 %.

    If `boosted`, the network is also boosted up to three times that BER, and again, up to three
    times, as long as it tolerates more each time.
    """
    work = Workload(**workload)
    model, normalization = work.model()
    common: dict[str, Any] = {
        "data": work.data,
        "precision": work.precision,
        "bounding": bounding,
        "seed": work.seed,
        "images": work.images,
        "device": "cpu",
        "normalization": normalization,
        "size": work.size,
    }
    given = tolerance(model, **common)
    rounds: list[dict[str, float]] = []
    outcome: dict[str, Any] = {
        "clean": given.clean_accuracy,
        "unboosted": given.ber,
        "images": given.images,
        "rounds": rounds,
    }
    if not boosted:
        return outcome
    goal, best_ber = max(0.0, given.clean_accuracy - 0.01), given.ber
    for _ in range(3):
        target_ber = min(0.5, (best_ber or 1e-4) * 3)
        done = boost(
            model,
            ber=target_ber,
            epochs=epochs,
            rate=work.rate,
            train_images=work.train_images,
            repeats=1,
            **common,
        )
        ber = tolerance(done.module, target=goal, **common).ber if done.clean_after >= goal else 0.0
        rounds.append({"target": target_ber, "tolerable": ber, "clean": done.clean_after})
        if ber <= best_ber:
            break
        best_ber, model = ber, done.module
    return outcome | {"boosted": best_ber}


def fine_mapping(
    workload: Mapping[str, Any], device: str, machine: str, search: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what each tensor tolerates, and a mapping to four partitions of a DRAM module.

    `search` holds further options of `tolerance`. The mapping is found by both algorithms, and
    compared for one inference on a machine.
    """
    work = Workload(**workload)
    model, normalization = work.model()
    tolerances = tolerance(
        model,
        data=work.data,
        device="cpu",
        normalization=normalization,
        fine=True,
        begin=0.5,
        precision=work.precision,
        seed=work.seed,
        images=work.images,
        **search,
    )
    tested = work.evaluation_target(model, normalization, images=64)
    network = read_module(tested.network.module, batch=1, shape=tested.dataset.shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.json"
        save_network(replace(network, name=work.network), path)
        settings = [f"precision={work.precision}", f"errors.module={device}"]
        run = msgspec.structs.replace(machine_config(machine, settings), network=str(path))
        mapping = map_to_dram(tolerances, run, partitions=4)
    return {
        "clean": tolerances.clean_accuracy,
        "coarse": tolerances.ber,
        "images": tolerances.images,
        "items": {
            name: {"role": item.role, "bytes": item.bytes, "ber": item.ber}
            for name, item in tolerances.items.items()
        },
        "partitions": [
            {**part, "items": list(part["items"])} for part in mapping.to_dict()["partitions"]
        ],
        "costs": dict(mapping.costs),
        "comparison": dict(mapping.comparison),
    }


def _curve(
    tested: EvaluationTarget,
    bers: Sequence[float],
    memories: int,
    model: int = 0,
    failures: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the accuracy without errors, and in some memories at each BER of an error model."""
    plan = configured_errors(MemoryOptions(model=model, seed=TEST_SEED), ber=1e-3)
    [clean] = tested.outcomes([None])
    points = []
    for ber in bers:
        errors = [
            injector(plan.geometry, at_ber(model, ber, **(failures or {})), seed=TEST_SEED + memory)
            for memory in range(memories)
        ]
        points.append({"ber": ber, **_tested(tested, errors)})
    return {"clean": clean.accuracy, "images": clean.images, "points": points}


def _tested(tested: EvaluationTarget, errors: Sequence[Injector]) -> dict[str, Any]:
    """Return the accuracies with these errors, and the share of bits that really flipped."""
    outcomes = tested.outcomes(errors)
    counts = [count for outcome in outcomes for count in outcome.items.values()]
    bits = sum(count.bits for count in counts)
    return {
        "flipped": sum(count.flips for count in counts) / max(1, bits),
        "accuracies": [outcome.accuracy for outcome in outcomes],
    }
