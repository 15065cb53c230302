"""The result of EDEN's whole loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edensim._version import __version__
from edensim.accuracy.evaluation import interval_of, spread_of
from edensim.config.loading import resolved
from edensim.config.models import RunConfig
from edensim.eden.dram_mapping import DramMapping
from edensim.eden.tolerance import Tolerance


@dataclass(frozen=True)
class Round:
    """One round of boosting.

    Attributes
    ----------
    target_ber : float
        The BER that was trained up to.
    tolerable_ber : float
        What the network tolerates after it.
    clean_accuracy : float
        Accuracy without errors after it.
    kept : bool
        Whether the network tolerates more than before.
    """

    target_ber: float
    tolerable_ber: float
    clean_accuracy: float
    kept: bool


@dataclass(frozen=True)
class EdenRun:
    """A network that was boosted, characterized, mapped, and run.

    Attributes
    ----------
    network, dataset, precision : str
        What was run, what it was tested on, and how data were stored.
    clean_accuracy, target_accuracy : float
        Accuracy of the given network without errors, and the least accuracy that is accepted.
    unboosted_ber : float
        What the given network tolerates.
    rounds : tuple of Round
        The rounds of boosting.
    tolerance : Tolerance
        What the network tolerates at the end.
    mapping : DramMapping
        The operating points of its data, with the machine's run there.
    accuracies : tuple of float
        Accuracy at these points, in each of the memories.
    config : RunConfig
        The given configuration.
    notes : Mapping
        What is to be known about the result.
    """

    network: str
    dataset: str
    precision: str
    clean_accuracy: float
    target_accuracy: float
    unboosted_ber: float
    rounds: tuple[Round, ...]
    tolerance: Tolerance
    mapping: DramMapping
    accuracies: tuple[float, ...]
    config: RunConfig
    notes: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """Mean accuracy at the mapped points."""
        return sum(self.accuracies) / len(self.accuracies)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the result's file has them."""
        return {
            "network": self.network,
            "dataset": self.dataset,
            "precision": self.precision,
            "accuracy": {
                "clean": self.clean_accuracy,
                "target": self.target_accuracy,
                "mapped": {
                    "mean": self.accuracy,
                    "interval": interval_of(self.accuracies),
                    "repeats": list(self.accuracies),
                },
            },
            "tolerable_ber": {"unboosted": self.unboosted_ber, "boosted": self.tolerance.ber},
            "rounds": [asdict(round_) for round_ in self.rounds],
            "tolerance": self.tolerance.to_dict(),
            "mapping": self.mapping.to_dict(),
            "config": resolved(self.config),
            "version": __version__,
            "seed": self.config.seed,
            "notes": dict(self.notes),
        }

    def summary(self) -> str:
        """Return a few lines of text."""
        kept = sum(round_.kept for round_ in self.rounds)
        before, after = self.unboosted_ber, self.tolerance.ber
        gain = f", {after / before:.2f} times" if before > 0 else ""
        spread = spread_of(interval_of(self.accuracies))
        return (
            f"{self.network} on {self.dataset}, {self.precision}: accuracy "
            f"{self.clean_accuracy:.2%}, accepted from {self.target_accuracy:.2%}\n"
            f"tolerable BER  {before:.3g} as given, {after:.3g} boosted{gain}; "
            f"{kept} of {len(self.rounds)} rounds kept\n"
            f"at the points  {self.accuracy:.2%} over {len(self.accuracies)} memories{spread}\n"
            f"{self.mapping.summary()}"
        )
