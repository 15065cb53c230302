"""Work of networks: accuracy under errors, boosting, tolerances, mappings. A network is trained where it has no weights, from its own seed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import torch

from edensim.accuracy.datasets import load_dataset
from edensim.accuracy.evaluation import planned
from edensim.accuracy.evaluation_target import Subject, subject
from edensim.accuracy.networks.registry import build
from edensim.accuracy.training import normalization_for, train
from edensim.accuracy.weights import Normalization, load_weights
from edensim.bit_errors.injector import injector
from edensim.bit_errors.models import at_ber
from edensim.eden.boosting import boost
from edensim.eden.characterization import tolerance
from edensim.eden.mapping import map_to_dram
from edensim.reproduction.machine_work import machine_config

#: Seeds of the memories that networks are tested in, away from those that they are boosted and characterized in.
TEST_SEED: Final = 1000
#: Of model 3: with equal probabilities it would be model 0. Zeros fail more often, as EDEN saw when tRCD is lowered.
DATA_DEPENDENT: Final = {"failure_of_ones": 0.1, "failure_of_zeros": 0.9}


def module_of(
    network: str,
    data: str,
    weights: str | None,
    seed: int,
    train_images: int | None = None,
    size: int | None = None,
) -> tuple[torch.nn.Module, Normalization]:
    """A network with its weights, or trained on the data from this seed; and what its images are normalized by."""
    dataset = load_dataset(data, "train", train_images, size=size)
    normalization = normalization_for(network, dataset)
    if weights is None:
        return train(network, dataset, normalization=normalization, seed=seed), normalization
    module = build(network, dataset.shape, len(dataset.classes), seed=seed)
    return module, load_weights(module, Path(weights), network) or normalization


def curve(
    tested: Subject,
    bers: Sequence[float],
    memories: int,
    model: int = 0,
    failures: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Accuracies in some memories at each BER, and the rate at which bits really flipped."""
    plan = planned(
        module=None, model=model, ber=1e-3, seed=TEST_SEED, config=None, overrides=(), sections={}
    )
    found = []
    for ber in bers:
        errors = [
            injector(plan.geometry, at_ber(model, ber, **(failures or {})), seed=TEST_SEED + memory)
            for memory in range(memories)
        ]
        outcomes = tested.outcomes(errors)
        tallies = [tally for outcome in outcomes for tally in outcome.items.values()]
        flipped = sum(tally.flips for tally in tallies) / max(
            1, sum(tally.bits for tally in tallies)
        )
        found.append(
            {
                "ber": ber,
                "flipped": flipped,
                "accuracies": [outcome.accuracy for outcome in outcomes],
            }
        )
    return found


def shape_curve(
    network: str,
    data: str,
    weights: str | None,
    precision: str,
    model: int,
    bers: list[float],
    memories: int,
    images: int | None,
    seed: int,
) -> dict[str, Any]:
    """Accuracy against BER of one error model at one precision, not boosted."""
    module, normalization = module_of(network, data, weights, seed)
    tested = subject(module, data, precision=precision, images=images, normalization=normalization)
    [clean] = tested.outcomes([None])
    return {
        "clean": clean.accuracy,
        "images": clean.images,
        "points": curve(tested, bers, memories, model, DATA_DEPENDENT if model == 3 else None),
    }


def retrained_curve(
    network: str,
    data: str,
    weights: str | None,
    precision: str,
    variant: str,
    ber: float,
    epochs: int,
    seed: int,
    bers: list[float],
    memories: int,
    images: int | None,
    train_images: int | None,
) -> dict[str, Any]:
    """Accuracy against BER of a network after one variant of retraining, under model 0. baseline: none; poor-fit: curricular,
    with model 1's errors."""
    module, normalization = module_of(network, data, weights, seed, train_images)
    if variant != "baseline":
        options: dict[str, Any] = {
            "variant": {"poor-fit": "curricular", "control": "none"}.get(variant, variant)
        }
        if variant == "poor-fit":
            options |= {"train_model": 1}
        rate = 2e-3 if weights is None else 1e-3
        options |= {"device": "cpu", "repeats": 1, "images": 64, "train_images": train_images}
        options |= {
            "epochs": epochs,
            "rate": rate,
            "seed": seed,
            "precision": precision,
            "normalization": normalization,
        }
        module = boost(module, ber=ber, data=data, **options).module
    tested = subject(module, data, precision=precision, images=images, normalization=normalization)
    [clean] = tested.outcomes([None])
    return {
        "clean": clean.accuracy,
        "images": clean.images,
        "points": curve(tested, bers, memories),
    }


def device_curve(
    network: str,
    data: str,
    weights: str | None,
    precision: str,
    device: str,
    axis: str,
    values: list[float],
    boost_ber: float,
    epochs: int,
    seed: int,
    memories: int,
    images: int | None,
) -> dict[str, Any]:
    """Accuracy at lowered VDDs or tRCDs of a fitted module, un-boosted (boost_ber 0) or boosted up to a BER."""
    module, normalization = module_of(network, data, weights, seed)
    if boost_ber:
        options: dict[str, Any] = {
            "device": "cpu",
            "precision": precision,
            "epochs": epochs,
            "repeats": 1,
            "images": 64,
            "seed": seed,
        }
        module = boost(
            module, ber=boost_ber, data=data, normalization=normalization, **options
        ).module
    tested = subject(module, data, precision=precision, images=images, normalization=normalization)
    [clean] = tested.outcomes([None])
    points = []
    for value in values:
        standard = "DDR3L" if axis == "vdd_V" else "DDR3"
        overrides = [f"dram.standard={standard}", f"dram.{axis}={value}", "errors.beyond_data=true"]
        plan = planned(
            module=device,
            model=None,
            ber=None,
            seed=TEST_SEED,
            config=None,
            overrides=overrides,
            sections={},
        )
        errors = [replace(plan.injector, seed=TEST_SEED + memory) for memory in range(memories)]
        outcomes = tested.outcomes(errors)
        tallies = [tally for outcome in outcomes for tally in outcome.items.values()]
        flipped = sum(tally.flips for tally in tallies) / max(
            1, sum(tally.bits for tally in tallies)
        )
        points.append(
            {
                "at": value,
                "flipped": flipped,
                "accuracies": [outcome.accuracy for outcome in outcomes],
            }
        )
    return {"clean": clean.accuracy, "images": clean.images, "points": points}


def coarse_tolerance(
    network: str,
    data: str,
    weights: str | None,
    precision: str,
    bounding: str,
    boosted: bool,
    epochs: int,
    seed: int,
    images: int | None,
    train_images: int | None,
    size: int | None = None,
) -> dict[str, Any]:
    """The BER that a network tolerates at a drop of 1 %, as given; and boosted: up to three times that BER, as long as it is more each time."""
    module, normalization = module_of(network, data, weights, seed, train_images, size)
    common: dict[str, Any] = {
        "data": data,
        "precision": precision,
        "bounding": bounding,
        "seed": seed,
        "images": images,
    }
    common |= {"device": "cpu", "normalization": normalization, "size": size}
    given = tolerance(module, **common)
    found: dict[str, Any] = {
        "clean": given.clean_accuracy,
        "unboosted": given.ber,
        "images": given.images,
        "rounds": [],
    }
    if not boosted:
        return found
    goal, best = max(0.0, given.clean_accuracy - 0.01), given.ber
    for _ in range(3):
        options: dict[str, Any] = {
            "epochs": epochs,
            "rate": 2e-3 if weights is None else 1e-3,
            "train_images": train_images,
            "repeats": 1,
        }
        target = min(0.5, (best or 1e-4) * 3)
        done = boost(module, ber=target, **common, **options)
        after = (
            tolerance(done.module, target=goal, **common).ber if done.clean_after >= goal else 0.0
        )
        found["rounds"].append({"target": target, "tolerable": after, "clean": done.clean_after})
        if after <= best:
            break
        best, module = after, done.module
    return found | {"boosted": best}


def fine_mapping(
    network: str,
    data: str,
    weights: str | None,
    precision: str,
    device: str,
    machine: str,
    seed: int,
    images: int | None,
    share: float = 0.5,
    repeats: int = 1,
    step: float = 0.125,
    cap: float = 20.0,
    fine_epochs: int = 0,
    train_images: int | None = None,
) -> dict[str, Any]:
    """What each weight tensor and ifm tolerates, and a mapping of them to four partitions of a module, by both algorithms.

    fine_epochs: of retraining after each round of raises.
    """
    from edensim.networks.readers.description import save_network
    from edensim.networks.readers.torch_module import read_module

    module, normalization = module_of(network, data, weights, seed)
    options: dict[str, Any] = {
        "device": "cpu",
        "normalization": normalization,
        "fine": True,
        "begin": 0.5,
        "validation_share": share,
        "fine_repeats": repeats,
    }
    options |= {"precision": precision, "seed": seed, "images": images, "step": step, "cap": cap}
    options |= {"fine_epochs": fine_epochs, "train_images": train_images}
    found = tolerance(module, data=data, **options)
    tested = subject(module, data, precision=precision, images=64, normalization=normalization)
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "network.json"
        save_network(
            replace(
                read_module(tested.network.module, batch=1, shape=tested.dataset.shape),
                name=network,
            ),
            description,
        )
        run = msgspec.structs.replace(
            machine_config(machine, [f"precision={precision}", f"errors.module={device}"]),
            network=str(description),
        )
        mapping = map_to_dram(found, run, partitions=4)
    items = {
        name: {"role": item.role, "bytes": item.bytes, "ber": item.ber}
        for name, item in found.items.items()
    }
    parts = [{**part, "items": list(part["items"])} for part in mapping.to_dict()["partitions"]]
    return {
        "clean": found.clean_accuracy,
        "coarse": found.ber,
        "images": found.images,
        "items": items,
        "partitions": parts,
        "costs": dict(mapping.costs),
        "comparison": dict(mapping.comparison),
    }
