"""`edensim.evaluate`: accuracy of a network without and with the bit errors of approximate DRAM."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edensim.exceptions import ConfigError, InputError, nearest

if TYPE_CHECKING:
    import torch

    from edensim.accuracy.datasets import Dataset
    from edensim.accuracy.evaluation_target import Outcome, Subject
    from edensim.accuracy.weights import Normalization
    from edensim.bit_errors.plan import ErrorPlan

#: What becomes of implausible values.
BOUNDINGS = ("zero", "saturate", "off")


@dataclass(frozen=True)
class Evaluation:
    """Accuracies (shares of images; where objects are detected, mean average precisions). unquantized: of the module as it is; clean: at the
    precision, without errors; with_errors: one a repeat.

    interval: 95 % of the mean over repeats (None: one repeat). items: of each data item: role, address, bytes, bits read, flips, BER, corrections.
    """

    network: str
    dataset: str
    images: int
    precision: str
    bounding: str
    unquantized: float
    clean: float
    with_errors: tuple[float, ...]
    interval: tuple[float, float] | None
    items: Mapping[str, Mapping[str, Any]]
    notes: Mapping[str, Any]

    @property
    def mean(self) -> float:
        """Accuracy with errors, over the repeats."""
        return sum(self.with_errors) / len(self.with_errors)

    @property
    def ber(self) -> float:
        """Flipped bits of all bits read."""
        bits = sum(item["bits"] for item in self.items.values())
        return sum(item["flips"] for item in self.items.values()) / bits if bits else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as --json writes them."""
        return {
            "network": self.network,
            "dataset": self.dataset,
            "images": self.images,
            "precision": self.precision,
            "bounding": self.bounding,
            "accuracy": {
                "unquantized": self.unquantized,
                "clean": self.clean,
                "with_errors": {
                    "mean": self.mean,
                    "interval": self.interval,
                    "repeats": list(self.with_errors),
                },
            },
            "ber": self.ber,
            "items": {name: dict(item) for name, item in self.items.items()},
            **self.notes,
        }

    def summary(self) -> str:
        """A few lines."""
        spread = (
            f" ({self.interval[0]:.2%} to {self.interval[1]:.2%} at 95 %)"
            if self.interval is not None
            else ""
        )
        repeats = f" over {len(self.with_errors)} repeats" if len(self.with_errors) > 1 else ""
        what = self.notes.get("measure", "accuracy")
        return (
            f"{self.network} on {self.images:,} images of {self.dataset}, {self.precision}, bounding {self.bounding}\n"
            f"{what} without errors  {self.clean:.2%} (unquantized {self.unquantized:.2%})\n"
            f"{what} with errors     {self.mean:.2%}{repeats}{spread}\n"
            f"BER                      {self.ber:.3g} of {sum(item['bits'] for item in self.items.values()):,} bits read"
        )

    def items_table(self) -> str:
        """A line per data item."""
        width = max(len(name) for name in self.items)
        lines = [f"{'item':<{width}}  role     {'bytes':>10}  {'BER':>9}  {'corrected':>10}"]
        lines += [
            f"{name:<{width}}  {item['role']:<7}  {item['bytes']:>10,}  {item['ber']:>9.3g}  {item['corrected']:>10,}"
            for name, item in self.items.items()
        ]
        return "\n".join(lines)


def evaluate(
    network: str | torch.nn.Module,
    *,
    data: str | os.PathLike[str] | Dataset = "digits",
    weights: str | os.PathLike[str] | None = None,
    precision: str = "int8",
    module: str | os.PathLike[str] | None = None,
    model: str | int | None = None,
    ber: float | None = None,
    bounding: str = "zero",
    comparison: str = "value",
    repeats: int = 5,
    seed: int | None = None,
    images: int | None = None,
    batch: int = 32,
    size: int | None = None,
    normalization: Normalization | None = None,
    threads: int = 1,
    device: str = "auto",
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    save_weights: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **sections: Mapping[str, Any],
) -> Evaluation:
    """Accuracy of a network whose weights and ifms are read from approximate DRAM, each load with new failures of the same weak cells.

    network: a name, or a trained torch.nn.Module with one input of images. data: digits, a folder or archive of images, or a Dataset.
    module at the configuration's operating point, or model with ber, as for `edensim.inject`; neither: as the configuration says.
    bounding: what becomes of values that no clean run has: zero, saturate, off. repeats: memories (seeds) that it is repeated with.
    normalization: (means, deviations) of the channels that a module of one's own was trained with (None: those of the data).
    device: cpu, cuda, or auto (a GPU where torch finds one).
    batch: images of one pass: they lie in memory together. save_weights: where to keep weights that were trained here.

    Raises InputError for what cannot be accepted.
    """
    for what, value in (("repeats", repeats), ("threads", threads)):
        if value < 1:
            raise InputError(f"{what}: expected 1 or more, found {value}")
    if bounding not in BOUNDINGS:
        raise InputError(
            f"bounding: expected one of {', '.join(BOUNDINGS)}, found {bounding!r}{nearest(bounding, BOUNDINGS)}"
        )
    require_torch()
    from edensim.accuracy.evaluation_target import subject

    plan = planned(
        module=module,
        model=model,
        ber=ber,
        seed=seed,
        config=config,
        overrides=overrides,
        sections=sections,
    )
    capacity = plan.geometry.mapping.capacity_bytes
    correction = None if bounding == "off" else bounding
    options: dict[str, Any] = {
        "images": images,
        "batch": batch,
        "size": size,
        "capacity_bytes": capacity,
        "correction": correction,
    }
    options |= {"device": device, "normalization": normalization}
    tested = subject(
        network, data, weights=weights, precision=precision, comparison=comparison, **options
    )
    if save_weights is not None:
        from edensim.accuracy.weights import save_weights as save

        save(tested.network.module, Path(save_weights), tested.normalization)
    injectors = [
        replace(plan.injector, seed=plan.injector.seed + repeat) for repeat in range(repeats)
    ]
    unquantized = tested.unquantized_accuracy()
    [clean] = tested.outcomes([None], threads=threads)
    outcomes: list[Outcome] = []
    for at in range(0, repeats, threads):
        outcomes += tested.outcomes(injectors[at : at + threads], threads=threads)
        if progress is not None:
            progress(len(outcomes), repeats)
    items = figures_of(tested, outcomes)
    accuracies = tuple(outcome.accuracy for outcome in outcomes)
    notes = {"errors": plan.notes, "batch": batch, **tested.notes}
    dataset = tested.dataset
    return Evaluation(
        tested.name,
        dataset.name,
        len(dataset),
        precision,
        bounding,
        unquantized,
        clean.accuracy,
        accuracies,
        interval_of(accuracies),
        items,
        notes,
    )


def figures_of(tested: Subject, outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Of each data item, over all outcomes: role, address, bytes, and what came of its loads."""
    items = {}
    for name, item in tested.network.placing.items.items():
        tallies = [outcome.items[name] for outcome in outcomes if name in outcome.items]
        bits, flips, corrected = (
            sum(getattr(tally, what) for tally in tallies)
            for what in ("bits", "flips", "corrected")
        )
        figures = {
            "bits": bits,
            "flips": flips,
            "ber": flips / bits if bits else 0.0,
            "corrected": corrected,
        }
        items[name] = {
            "role": item.role,
            "address": item.address,
            "bytes": item.size_bytes,
            **figures,
        }
    return items


def train_file(
    network: str,
    target: Path,
    *,
    data: str = "digits",
    epochs: int = 8,
    batch: int = 64,
    rate: float = 2e-3,
    seed: int = 1,
    images: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> str:
    """Train a network on a data set's training split and write its weights; returns how accurate it is. `edensim train`.

    The file also says what images are normalized by.

    Raises InputError for what cannot be used together.
    """
    require_torch()
    from edensim.accuracy.criteria import criterion_of
    from edensim.accuracy.datasets import load_dataset
    from edensim.accuracy.training import accuracy_of, normalization_for, train
    from edensim.accuracy.weights import save_weights

    dataset = load_dataset(data, "train", images)
    normalization = normalization_for(network, dataset)
    options: dict[str, Any] = {
        "epochs": epochs,
        "batch": batch,
        "rate": rate,
        "seed": seed,
        "normalization": normalization,
    }
    module = train(network, dataset, **options, progress=progress)
    save_weights(module, target, normalization)
    tests = load_dataset(data, "test", None)
    found, measure = accuracy_of(module, tests, normalization), criterion_of(module).measure
    said = (
        f"{found:.2%} of its test"
        if measure == "accuracy"
        else f"{measure} of its test {found:.2%}"
    )
    return f"{network}, {epochs} epochs on {len(dataset):,} images of {dataset.name}: {said}"


def planned(
    *,
    module: str | os.PathLike[str] | None,
    model: str | int | None,
    ber: float | None,
    seed: int | None,
    config: str | os.PathLike[str] | None,
    overrides: Sequence[str],
    sections: Mapping[str, Any],
) -> ErrorPlan:
    """The memory's errors. Raises ConfigError."""
    from edensim.bit_errors.models import at_ber
    from edensim.bit_errors.plan import plan_errors
    from edensim.config.loading import load_config
    from edensim.dram.memory_system import MemorySystem

    named = [*overrides]
    if module is not None:
        named.append(f"errors.module={os.fspath(module)}")
    if seed is not None:
        named.append(f"errors.seed={seed}")
    loaded = load_config(Path(config) if config is not None else None, named, sections)
    if model is not None and ber is None:
        raise ConfigError("ber: missing; expected the bit error rate of the model")
    given = at_ber("uniform" if model is None else model, ber) if ber is not None else None
    with loaded.locating():
        if given is not None and loaded.config.errors.module is not None:
            raise ConfigError(
                "ber: given beside a module, which knows its own; expected one of the two"
            )
        plan = plan_errors(
            MemorySystem.resolve(loaded.config.dram, loaded.config.controller),
            loaded.config.errors,
            model=given,
        )
    if plan.exposure == "elapsed":
        raise ConfigError(
            "errors.exposure: 'elapsed' needs the clocks of each read, which only a simulation knows; expected every_access"
        )
    return plan


def interval_of(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % of the mean by Student's t; None of fewer than two values."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = float(stdtrit(len(values) - 1, 0.975)) * deviation / math.sqrt(len(values))
    return mean - half, mean + half


def require_torch() -> None:
    """Raises InputError where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise InputError(
            "networks are run by the package torch: pip install 'edensim[torch]'"
        ) from None
