"""`edensim.tolerance`: how many bit errors a network tolerates, coarse and fine.

It is described in section 3.3 of Koppula et al., MICRO 2019. The coarse search is a binary search
over a logarithmic grid of BERs for the highest one whose accuracy is within a drop of the accuracy
without errors, at the same precision. Each probe is repeated in several memories, which are the
same for all probes: cells that fail at one BER fail at any higher one, so that accuracies fall as
the BER rises, as the search needs. A probe passes if the mean of its repeats (rule `mean`), or the
lower end of their 95 % interval (rule `interval`), is within the drop.

The fine search is described in fine.py. What it finds is tested on all images in all memories, and
raised less if that fails. If even a quarter of the raises fails, all items have the coarse BER.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edensim.accuracy.evaluation import interval_of, require_torch
from edensim.accuracy.memory import ApproximateMemory, approximate_memory
from edensim.eden.fine import ROUNDING
from edensim.eden.fine_search import FineSearch
from edensim.eden.options import ToleranceOptions
from edensim.eden.tolerance import Probe, Tolerance
from edensim.exceptions import InputError
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    import torch

    from edensim.accuracy.evaluation_target import EvaluationTarget
    from edensim.eden.retraining import ItemRetraining

#: Share of the accuracy without errors that may be lost if no other is asked for.
DEFAULT_DROP: Final = 0.01
#: Options that the result keeps, in this order.
_RECORDED: Final = (
    "drop target lowest highest resolution_decades repeats rule fine begin step cap "
    "validation_share fine_repeats fine_epochs"
).split()
#: Options that may differ from those of the coarse search that one goes on from.
_FINE_OPTIONS: Final = frozenset(_RECORDED[_RECORDED.index("fine") :])

Retrain = Callable[[float], "torch.nn.Module"]


def tolerance(
    network: str | torch.nn.Module,
    *,
    options: ToleranceOptions | None = None,
    retrain: Retrain | None = None,
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> Tolerance:
    """Find the highest BER at which a network's accuracy is within a drop.

    Parameters
    ----------
    network : str or torch.nn.Module
        A name, or a trained module.
    options : ToleranceOptions, optional
        Data, errors, the accepted drop, the BERs to search, and whether to search a BER for each
        data item, too. With `output`, a file has what is known so far, also if the search is
        interrupted, and `resume` goes on from such a file or result.
    retrain : callable, optional
        Returns the module to test at a BER: the paper boosts at each probe. Without it, the network
        is always the same.
    progress : callable, optional
        Is called with the number of tests done, and of all if it is known.
    **arguments
        Fields of `ToleranceOptions` by name, which take precedence over `options`, and sections of
        the configuration (``dram={"channels": 2}``). As `data` a `Dataset` is accepted, too.

    Returns
    -------
    Tolerance
        The same with any number of threads.

    Raises
    ------
    InputError
        If an option cannot be accepted, or the network does not reach the target without errors.

    References
    ----------
    S. Koppula et al., "EDEN: Enabling Energy-Efficient, High-Performance Deep Neural Network
    Inference Using Approximate DRAM", MICRO 2019, section 3.3.
    """
    options, sections = ToleranceOptions.gather(options, arguments)
    require_torch()
    from edensim.accuracy.evaluation_target import evaluation_target

    before = options.resume
    if before is not None and not isinstance(before, Tolerance):
        before = Tolerance.load(before)
    memory = approximate_memory(options, sections)
    memory.injector(options.highest)  # a BER that the model cannot have is refused at once
    target = evaluation_target(
        network, options, batch=options.batch, capacity_bytes=memory.capacity_bytes
    )
    return _Search(options, memory, target, retrain, before, progress).run()


class _Search:
    """A search under way; `found` is what is known so far."""

    def __init__(
        self,
        options: ToleranceOptions,
        memory: ApproximateMemory,
        target: EvaluationTarget,
        retrain: Retrain | None,
        before: Tolerance | None,
        progress: ProgressCallback | None,
    ) -> None:
        self.options, self.memory, self.target = options, memory, target
        self.retrain, self.before, self.progress = retrain, before, progress
        self.tests_done = 0
        self.tests: int | None = None
        self.found = self._begun()
        if before is not None:
            _check_same(before, self.found)
        self.retraining: ItemRetraining | None = None
        if options.fine_epochs:
            from edensim.eden import retraining

            split = retraining.training_split(target, options.train_images)
            self.retraining = retraining.ItemRetraining(split, memory, options.fine_epochs)

    def _begun(self) -> Tolerance:
        """Test the network without errors, and return a tolerance that has no BER yet."""
        options, memory, target = self.options, self.memory, self.target
        [clean] = target.outcomes([None], threads=options.threads)
        settings = {
            "comparison": options.comparison,
            "batch": options.batch,
            "size": options.size,
            "retrain": self.retrain is not None,
            **{name: getattr(options, name) for name in _RECORDED},
        }
        if options.fine_epochs:
            settings["train_images"] = options.train_images
        return Tolerance(
            network=target.name,
            dataset=target.dataset.name,
            images=len(target.dataset),
            precision=options.precision,
            bounding=options.bounding,
            clean_accuracy=clean.accuracy,
            drop=_accepted_drop(options, clean.accuracy, target.name),
            ber=0.0,
            probes=(),
            seed=memory.seed,
            complete=False,
            config={"tolerance": settings, "errors": memory.free_model, "run": memory.config},
            notes={"errors": memory.notes, **target.notes},
        )

    def run(self) -> Tolerance:
        """Search, and keep what is known if the user interrupts."""
        tested: EvaluationTarget | None = None
        try:
            self._coarse()
            if self.options.fine and self.found.ber > 0:
                tested = self._fine()
        except KeyboardInterrupt:
            self._keep(self.found)
            raise
        self._keep(replace(self.found, complete=True))
        if self.options.save_weights is not None:
            from edensim.accuracy.weights import save_weights

            tested = tested or self._target_at(self.found.ber)
            save_weights(tested.network.module, self.options.save_weights, tested.normalization)
        return self.found

    def _keep(self, found: Tolerance) -> None:
        """Set what is known, and write it to the file."""
        self.found = found
        if self.options.output is not None:
            found.save(self.options.output)

    def _target_at(self, ber: float) -> EvaluationTarget:
        """Return the network to be tested at a BER."""
        return self.target if self.retrain is None else self.target.with_module(self.retrain(ber))

    def _coarse(self) -> None:
        """Search the grid of BERs, probe by probe."""
        known = {probe.ber: probe for probe in self.before.probes} if self.before else {}
        grid = ber_grid(self.options)
        self.tests = self.options.repeats * math.ceil(math.log2(len(grid) + 1))
        low, high = -1, len(grid)  # the highest that passes is at `low` or between the two
        while high - low > 1:
            middle = (low + high) // 2
            probe = known.get(grid[middle]) or self._probe(grid[middle])
            low, high = (middle, high) if probe.passed else (low, middle)
            probes = tuple(sorted((*self.found.probes, probe), key=lambda probe: probe.ber))
            ber = grid[low] if low >= 0 else 0.0
            self._keep(replace(self.found, probes=probes, ber=ber))
        self.tests = None
        beyond = None
        if low < 0:
            beyond = "not even the lowest BER is within the drop"
        elif low == len(grid) - 1:
            beyond = "the highest BER is within the drop, too"
        if beyond is not None:
            self.found = replace(self.found, notes={**self.found.notes, "beyond": beyond})

    def _probe(self, ber: float) -> Probe:
        """Test the network at a BER in each of the memories."""
        target = self._target_at(ber)
        errors = (self.memory.injector(ber, repeat) for repeat in range(self.options.repeats))
        accuracies = tuple(self._measure(target, errors))
        mean = sum(accuracies) / len(accuracies)
        return Probe(ber, accuracies, mean, interval_of(accuracies), self._passes(accuracies))

    def _passes(self, accuracies: Sequence[float]) -> bool:
        """Return whether the repeats of a test are within the drop."""
        reached = sum(accuracies) / len(accuracies)
        interval = interval_of(accuracies)
        if self.options.rule == "interval" and interval is not None:
            reached = interval[0]
        return reached >= self.found.threshold - ROUNDING

    def _measure(self, target: EvaluationTarget, errors: Iterable[Any]) -> list[float]:
        """Measure the accuracy under each of some errors."""
        accuracies = []
        for injector in errors:
            [outcome] = target.outcomes([injector], threads=self.options.threads)
            accuracies.append(outcome.accuracy)
            self.tests_done += 1
            if self.progress is not None:
                self.progress(self.tests_done, self.tests)
        return accuracies

    def _fine(self) -> EvaluationTarget:
        """Search a BER for each data item; return the network that they are true of."""
        search = FineSearch(
            self.options,
            self.memory,
            self._target_at(self.found.ber),
            self._measure,
            self._passes,
            self.retraining,
            self.found,
        )
        self.found = search.run(self.before.trials if self.before else (), self._keep)
        return search.target


def ber_grid(options: ToleranceOptions) -> list[float]:
    """Return the BERs that may be probed: from the lowest in steps, and the highest."""
    lowest, step = options.lowest, options.resolution_decades
    count = math.ceil(math.log10(options.highest / lowest) / step - 1e-9)
    return [lowest * 10 ** (step * index) for index in range(count)] + [options.highest]


def _accepted_drop(options: ToleranceOptions, clean: float, network: str) -> float:
    """Return the accepted drop; raises InputError for a target that is above the accuracy."""
    if options.target is None:
        return DEFAULT_DROP if options.drop is None else options.drop
    if options.target > clean:
        raise InputError(
            f"target: {options.target:.2%} is above what {network} reaches without errors, "
            f"{clean:.2%}; expected at most that"
        )
    return clean - options.target


def _check_same(before: Tolerance, begun: Tolerance) -> None:
    """Raise InputError if a search cannot go on from an earlier one's."""
    free = frozenset({"fine"}) if before.trials else _FINE_OPTIONS
    names = "network dataset images precision bounding clean_accuracy drop seed".split()
    pairs = [(name, getattr(before, name), getattr(begun, name)) for name in names]
    for part in ("tolerance", "errors"):
        earlier = before.config.get(part, {})
        pairs += [
            (name, earlier.get(name), new)
            for name, new in begun.config[part].items()
            if name not in free
        ]
    for name, old, new in pairs:
        if old != new:
            raise InputError(
                f"resume: {name} is {old!r} there and {new!r} here; expected an earlier part of "
                "the same search"
            )
