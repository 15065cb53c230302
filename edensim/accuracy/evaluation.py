"""`edensim.evaluate`: accuracy of a network without and with the bit errors of approximate DRAM."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edensim.accuracy.memory import configured_errors
from edensim.accuracy.options import EvaluateOptions, TrainOptions
from edensim.exceptions import InputError
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    import torch

    from edensim.accuracy.evaluation_target import EvaluationTarget, Outcome
    from edensim.bit_errors.plan import ErrorPlan


@dataclass(frozen=True)
class Evaluation:
    """Accuracies of a network without and with bit errors.

    An accuracy is the share of images that are classified right, or the mean average precision if
    objects are detected.

    Attributes
    ----------
    network, dataset : str
        What was tested, and on what.
    images : int
        Number of images.
    precision, bounding : str
        How data were stored, and what became of implausible values.
    unquantized : float
        Accuracy of the module as it is.
    clean : float
        Accuracy at the precision, without errors.
    with_errors : tuple of float
        Accuracy with errors, in each of the memories.
    interval : tuple of float, optional
        95 % confidence interval of the mean of `with_errors`; None if there is one memory.
    items : Mapping
        Role, address, bytes, bits read, flips, BER and corrections of each data item.
    notes : Mapping
        Error model, calibration and other circumstances.
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
        """Mean accuracy with errors."""
        return sum(self.with_errors) / len(self.with_errors)

    @property
    def ber(self) -> float:
        """Share of flipped bits in all bits read."""
        bits = sum(item["bits"] for item in self.items.values())
        return sum(item["flips"] for item in self.items.values()) / bits if bits else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as --json writes them."""
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
        """Return a few lines of text."""
        repeats = f" over {len(self.with_errors)} repeats" if len(self.with_errors) > 1 else ""
        measure = self.notes.get("measure", "accuracy")
        bits = sum(item["bits"] for item in self.items.values())
        return (
            f"{self.network} on {self.images:,} images of {self.dataset}, {self.precision}, "
            f"bounding {self.bounding}\n"
            f"{measure} without errors  {self.clean:.2%} (unquantized {self.unquantized:.2%})\n"
            f"{measure} with errors     {self.mean:.2%}{repeats}{spread_of(self.interval)}\n"
            f"BER                      {self.ber:.3g} of {bits:,} bits read"
        )

    def items_table(self) -> str:
        """Return a table with a line per data item."""
        width = max(len(name) for name in self.items)
        lines = [f"{'item':<{width}}  role     {'bytes':>10}  {'BER':>9}  {'corrected':>10}"]
        lines += [
            f"{name:<{width}}  {item['role']:<7}  {item['bytes']:>10,}  {item['ber']:>9.3g}  "
            f"{item['corrected']:>10,}"
            for name, item in self.items.items()
        ]
        return "\n".join(lines)


def evaluate(
    network: str | torch.nn.Module,
    *,
    options: EvaluateOptions | None = None,
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> Evaluation:
    """Measure the accuracy of a network that reads its data from approximate DRAM.

    Weights and ifms are read from the memory. Each load sees new failures of the same weak cells.

    Parameters
    ----------
    network : str or torch.nn.Module
        A name, or a trained module that takes batches of images.
    options : EvaluateOptions, optional
        Data, weights, precision, errors and so on. Errors are those of a DRAM module at the
        operating point of the configuration (`module`), those of an error model (`model` and
        `ber`), or else those that the configuration states.
    progress : callable, optional
        Is called with the number of repeats done, and of all.
    **arguments
        Fields of `EvaluateOptions` by name, which take precedence over `options`, and sections of
        the configuration (``dram={"vdd_V": 1.1}``). As `data` a `Dataset` is accepted, too.

    Returns
    -------
    Evaluation
        Accuracies without and with errors, and what became of each data item.

    Raises
    ------
    InputError
        If an option cannot be accepted, or the parts do not belong together.
    """
    options, sections = EvaluateOptions.gather(options, arguments)
    require_torch()
    return _evaluated(
        network, options, configured_errors(options, sections, ber=options.ber), progress
    )


def _evaluated(
    network: str | torch.nn.Module,
    options: EvaluateOptions,
    plan: ErrorPlan,
    progress: ProgressCallback | None,
) -> Evaluation:
    """Test a network without errors, and in each memory."""
    from edensim.accuracy.evaluation_target import evaluation_target
    from edensim.accuracy.weights import save_weights

    target = evaluation_target(
        network,
        options,
        batch=options.batch,
        capacity_bytes=plan.geometry.mapping.capacity_bytes,
    )
    if options.save_weights is not None:
        save_weights(target.network.module, options.save_weights, target.normalization)
    repeats, threads = options.repeats, options.threads
    injectors = [
        replace(plan.injector, seed=plan.injector.seed + repeat) for repeat in range(repeats)
    ]
    unquantized = target.unquantized_accuracy()
    [clean] = target.outcomes([None], threads=threads)
    outcomes: list[Outcome] = []
    for at in range(0, repeats, threads):
        outcomes += target.outcomes(injectors[at : at + threads], threads=threads)
        if progress is not None:
            progress(len(outcomes), repeats)
    accuracies = tuple(outcome.accuracy for outcome in outcomes)
    return Evaluation(
        network=target.name,
        dataset=target.dataset.name,
        images=len(target.dataset),
        precision=options.precision,
        bounding=options.bounding,
        unquantized=unquantized,
        clean=clean.accuracy,
        with_errors=accuracies,
        interval=interval_of(accuracies),
        items=_item_figures(target, outcomes),
        notes={"errors": plan.notes, "batch": options.batch, **target.notes},
    )


def _item_figures(
    target: EvaluationTarget, outcomes: Sequence[Outcome]
) -> dict[str, dict[str, Any]]:
    """Return role, address and bytes of each data item, and what became of its loads."""
    items = {}
    for name, item in target.network.placing.items.items():
        counters = [outcome.items[name] for outcome in outcomes if name in outcome.items]
        bits, flips = (sum(getattr(each, key) for each in counters) for key in ("bits", "flips"))
        items[name] = {
            "role": item.role,
            "address": item.address,
            "bytes": item.size_bytes,
            "bits": bits,
            "flips": flips,
            "ber": flips / bits if bits else 0.0,
            "corrected": sum(counter.corrected for counter in counters),
        }
    return items


def train_file(
    network: str,
    *,
    options: TrainOptions | None = None,
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> str:
    """Train a network on the training split of a data set, and write its weights.

    The file also states what images are normalized by. Returns a line that says how accurate the
    network is. Raises InputError if an option cannot be accepted.
    """
    options, _ = TrainOptions.gather(options, arguments)
    require_torch()
    from edensim.accuracy.criteria import criterion_of
    from edensim.accuracy.datasets import load_dataset
    from edensim.accuracy.training import accuracy_of, normalization_for, train
    from edensim.accuracy.weights import save_weights

    dataset = load_dataset(options.data, "train", options.images)
    normalization = normalization_for(network, dataset)
    module = train(
        network,
        dataset,
        epochs=options.epochs,
        batch=options.batch,
        rate=options.rate,
        seed=options.seed,
        normalization=normalization,
        progress=progress,
    )
    save_weights(module, options.output, normalization)
    accuracy = accuracy_of(module, load_dataset(options.data, "test"), normalization)
    measure = criterion_of(module).measure
    outcome = (
        f"{accuracy:.2%} of its test"
        if measure == "accuracy"
        else f"{measure} of its test {accuracy:.2%}"
    )
    images = f"{len(dataset):,} images of {dataset.name}"
    return f"{network}, {options.epochs} epochs on {images}: {outcome}"


def interval_of(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of a mean (Student's t); None for fewer than 2 values."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = float(stdtrit(len(values) - 1, 0.975)) * deviation / math.sqrt(len(values))
    return mean - half, mean + half


def spread_of(interval: tuple[float, float] | None) -> str:
    """Describe the interval of an accuracy, in brackets; an empty text if there is none."""
    return "" if interval is None else f" ({interval[0]:.2%} to {interval[1]:.2%} at 95 %)"


def require_torch() -> None:
    """Raise InputError if torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise InputError(
            "networks are run by the package torch: pip install 'edensim[torch]'"
        ) from None
