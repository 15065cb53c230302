"""The fine search: raises tried on a sample of the images, and confirmed on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from edensim.accuracy.memory import ApproximateMemory
from edensim.eden.fine import RaiseRules, raise_items
from edensim.eden.tolerance import ItemTolerance, Tolerance, Trial

if TYPE_CHECKING:
    from edensim.accuracy.evaluation_target import EvaluationTarget
    from edensim.eden.options import ToleranceOptions
    from edensim.eden.retraining import ItemRetraining

#: Shares of the raises found on the sample that are tried on all images, in this order.
SHARES: Final = (1.0, 0.75, 0.5, 0.25)

Bers = Mapping[str, float]


@dataclass
class FineSearch:
    """A fine search under way.

    Attributes
    ----------
    options : ToleranceOptions
        The search's options.
    memory : ApproximateMemory
        Where the data lie.
    target : EvaluationTarget
        The network, which retraining between rounds replaces, and its whole test.
    measure : callable
        Measures the accuracies of a target under some errors.
    passes : callable
        Tells whether the accuracies of all images are within the drop.
    retraining : ItemRetraining, optional
        What retrains the network between rounds.
    found : Tolerance
        What is known so far.
    """

    options: ToleranceOptions
    memory: ApproximateMemory
    target: EvaluationTarget
    measure: Callable[[EvaluationTarget, Iterable[Any]], list[float]]
    passes: Callable[[list[float]], bool]
    retraining: ItemRetraining | None
    found: Tolerance
    adopted_rounds: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        dataset = self.target.dataset
        self.sample = self.target.sampled(
            max(1, round(self.options.validation_share * len(dataset)))
        )

    def run(self, known: tuple[Trial, ...], keep: Callable[[Tolerance], None]) -> Tolerance:
        """Raise items one by one on the sample, then test all raises together on all images.

        `keep` is called with what is known after each trial; `known` trials are not done again.
        """
        options, coarse, given = self.options, self.found.ber, self.target
        [clean] = self.sample.outcomes([None], threads=options.threads)
        names = list(given.network.placing.items)
        first = coarse * options.begin
        bers: Bers = dict.fromkeys(names, first)
        begin = self._sample_accuracy(bers)
        # On few images, the first BER may already cost more than it does on all.
        threshold = min(clean.accuracy - self.found.drop, begin)
        rules = RaiseRules(
            coarse,
            options.begin,
            options.step,
            min(options.highest, options.cap * coarse),
            threshold,
            self.memory.seed,
        )
        accuracies = dict.fromkeys(names, begin)
        notes: dict[str, Any] = {
            "sample": {
                "images": len(self.sample.dataset),
                "clean_accuracy": clean.accuracy,
                "first_accuracy": begin,
                "threshold": threshold,
            }
        }
        self._set(bers, accuracies, notes)
        keep(self.found)
        after_round = None if self.retraining is None else self._retrain
        for trial, bers in raise_items(  # noqa: B007 (the last BERs are needed below)
            names, rules, accuracy=self._sample_accuracy, known=known, after_round=after_round
        ):
            if trial.passed:
                accuracies[trial.item] = trial.accuracy
            self.found = replace(self.found, trials=(*self.found.trials, trial))
            keep(self.found)
        share, tests = self._confirmed(first, bers)
        if share == 0:
            self.target = given
        notes = {
            **notes,
            "bers_on_sample": bers,
            "share_of_raises": share,
            "tests": tests,
            "retrained_after": self.adopted_rounds,
        }
        # The coarse BER has passed on all images, too.
        confirmed = _shared(bers, first, share) if share > 0 else dict.fromkeys(names, coarse)
        self._set(confirmed, accuracies, notes)
        return self.found

    def _sample_accuracy(self, bers: Bers) -> float:
        """Measure the mean accuracy of the sample at the items' BERs."""
        errors = (self.memory.errors(bers, at) for at in range(self.options.fine_repeats))
        accuracies = self.measure(self.sample, errors)
        return sum(accuracies) / len(accuracies)

    def _retrain(self, number: int, bers: Bers) -> None:
        """Retrain the network after a round, and keep the result if the sample is no worse."""
        assert self.retraining is not None
        target, sample, before = self.target, self.sample, self._sample_accuracy(bers)
        self.target = self.retraining.after(number, target, bers)
        self.sample = replace(sample, network=self.target.network)
        if self._sample_accuracy(bers) < before:
            self.target, self.sample = target, sample
        else:
            self.adopted_rounds.append(number)

    def _confirmed(self, first: float, bers: Bers) -> tuple[float, list[dict[str, Any]]]:
        """Find the largest share of all raises that passes on all images in all memories.

        Returns the share (0: none), and what each share gave.
        """
        tests: list[dict[str, Any]] = []
        for share in SHARES:
            shared = _shared(bers, first, share)
            errors = (self.memory.errors(shared, at) for at in range(self.options.repeats))
            accuracies = self.measure(self.target, errors)
            passed = self.passes(accuracies)
            tests.append({"share": share, "accuracies": accuracies, "passed": passed})
            if passed:
                return share, tests
        return 0.0, tests

    def _set(self, bers: Bers, accuracies: Bers, notes: Mapping[str, Any]) -> None:
        """Record what is known of the items."""
        items = {
            name: ItemTolerance(item.role, item.size_bytes, bers[name], accuracies[name])
            for name, item in self.target.network.placing.items.items()
        }
        self.found = replace(self.found, items=items, notes={**self.found.notes, "fine": notes})


def _shared(bers: Bers, first: float, share: float) -> dict[str, float]:
    """Return BERs with only a share of their raises above the first one."""
    return {name: first + share * (ber - first) for name, ber in bers.items()}
