"""`edensim.tolerance`: how many bit errors a network tolerates (Koppula et al., MICRO 2019, section 3.3), coarse and fine.

Coarse: a binary search over a logarithmic grid of BERs for the highest one whose accuracy is within a drop of the accuracy without errors, at the
same precision. Each probe is repeated in several memories, which are the same for all probes: cells that fail at one BER fail at any higher one,
so that accuracies fall as the BER rises, as the search needs. A probe passes where the mean of its repeats (rule `mean`), or the lower end of their
95 % interval (rule `interval`), is within the drop. Fine: see fine.py; what it finds is tested on all images in all memories, and raised less
where that fails; where even a quarter of the raises fails, all items have the coarse BER.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edensim.accuracy.evaluation import BOUNDINGS, interval_of, require_torch
from edensim.eden.fine import ROUNDING, raise_items
from edensim.eden.memory import Memory, memory_of
from edensim.eden.tolerance import ItemTolerance, Probe, Tolerance
from edensim.exceptions import InputError, nearest
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    import torch

    from edensim.accuracy.datasets import Dataset
    from edensim.accuracy.evaluation_target import Subject
    from edensim.accuracy.placement import Item
    from edensim.accuracy.weights import Normalization
    from edensim.eden.item_retraining import ItemRetraining

RULES: Final = ("mean", "interval")
#: Shares of the raises found on the sample that are tried on all images, in this order.
SHARES: Final = (1.0, 0.75, 0.5, 0.25)

Retrain = Callable[[float], "torch.nn.Module"]


@dataclass(frozen=True)
class Search:
    """What is asked for; fields as the arguments of `tolerance`."""

    drop: float | None = None
    target: float | None = None
    lowest: float = 1e-7
    highest: float = 0.5
    resolution_decades: float = 0.1
    repeats: int = 5
    rule: str = "mean"
    fine: bool = False
    begin: float = 1.0
    step: float = 0.125
    cap: float = 20.0
    validation_share: float = 0.1
    fine_repeats: int = 1
    fine_epochs: int = 0

    def __post_init__(self) -> None:
        if self.drop is not None and self.target is not None:
            raise InputError(
                f"drop: given ({self.drop:g}) beside a target accuracy ({self.target:g}); expected one of the two"
            )
        _within("drop", 0.01 if self.drop is None else self.drop, 0, 1)
        _within("target", 0.5 if self.target is None else self.target, 0, 1)
        _within("lowest", self.lowest, 0, 1)
        _within("highest", self.highest, 0, 1)
        if self.lowest >= self.highest:
            raise InputError(
                f"lowest: expected a BER below the highest, {self.highest:g}, found {self.lowest:g}"
            )
        _within("resolution_decades", self.resolution_decades, 0, 10)
        _within("begin", self.begin, 0, 1)
        _within("step", self.step, 0, 100)
        _within("cap", self.cap, self.begin, 1e6)
        _within("validation_share", self.validation_share, 0, 1)
        for what in ("repeats", "fine_repeats"):
            if getattr(self, what) < 1:
                raise InputError(f"{what}: expected 1 or more, found {getattr(self, what)}")
        if self.fine_epochs < 0 or (self.fine_epochs and not self.fine):
            expected = "0 or more" if self.fine_epochs < 0 else "0 where no items are raised (fine)"
            raise InputError(f"fine_epochs: expected {expected}, found {self.fine_epochs}")
        if self.rule not in RULES:
            raise InputError(
                f"rule: expected one of {', '.join(RULES)}, found {self.rule!r}{nearest(self.rule, RULES)}"
            )
        if self.rule == "interval" and self.repeats < 2:
            raise InputError("repeats: 1; expected 2 or more for the rule 'interval'")

    @property
    def grid(self) -> list[float]:
        """BERs that may be probed, ascending: from the lowest in steps of the resolution, and the highest."""
        decades = math.log10(self.highest / self.lowest)
        count = math.ceil(decades / self.resolution_decades - 1e-9)
        return [self.lowest * 10 ** (self.resolution_decades * index) for index in range(count)] + [
            self.highest
        ]

    def accepted(self, clean: float, network: str) -> float:
        """Drop of the clean accuracy. Raises InputError for a target that the network does not reach without errors."""
        if self.target is None:
            return 0.01 if self.drop is None else self.drop
        if self.target > clean:
            raise InputError(
                f"target: {self.target:.2%} is above what {network} reaches without errors, {clean:.2%}; expected at most that"
            )
        return clean - self.target

    def passes(self, accuracies: Sequence[float], threshold: float) -> bool:
        """Whether repeats of a probe are within the drop."""
        interval = interval_of(accuracies)
        reached = (
            interval[0]
            if self.rule == "interval" and interval is not None
            else sum(accuracies) / len(accuracies)
        )
        return reached >= threshold - ROUNDING


def tolerance(
    network: str | torch.nn.Module,
    *,
    data: str | os.PathLike[str] | Dataset = "digits",
    weights: str | os.PathLike[str] | None = None,
    precision: str = "int8",
    model: str | int | None = None,
    module: str | os.PathLike[str] | None = None,
    drop: float | None = None,
    target: float | None = None,
    lowest: float = 1e-7,
    highest: float = 0.5,
    resolution_decades: float = 0.1,
    repeats: int = 5,
    rule: str = "mean",
    fine: bool = False,
    begin: float = 1.0,
    step: float = 0.125,
    cap: float = 20.0,
    validation_share: float = 0.1,
    fine_repeats: int = 1,
    fine_epochs: int = 0,
    train_images: int | None = None,
    save_weights: str | os.PathLike[str] | None = None,
    bounding: str = "zero",
    comparison: str = "value",
    seed: int | None = None,
    threads: int = 1,
    device: str = "auto",
    images: int | None = None,
    batch: int = 32,
    size: int | None = None,
    normalization: Normalization | None = None,
    retrain: Retrain | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | Tolerance | None = None,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    **sections: Mapping[str, Any],
) -> Tolerance:
    """The highest BER whose accuracy is within `drop` (a share of the images; default 0.01) of that without errors, or is at least `target`.

    network, data, weights, bounding, comparison, images, batch, size, normalization, device: as for `evaluate`.
    model: whose structure errors have; or module: the model
    that its data have at the operating point. lowest, highest: BERs to search between, resolution_decades apart.
    fine: also for each data item. begin: share of the coarse BER that items begin at (the paper: 1); step: by which an item's BER is raised, of
    the coarse one; cap: times the coarse one, beyond which none is raised; validation_share: of the images, that trials are run on, in fine_repeats
    memories. fine_epochs: of retraining after each round of raises, with each item's BER, on train_images of the training split (None: all), as the
    paper does; 0: none. save_weights: file for the network that the result is true of, which is another one where it was retrained.
    retrain: gives the module to test at a BER (boosting at each probe, as the paper does); None: always the same.
    output: file that has what was found so far, also where the search is interrupted; resume: such a file or result, to go on from.

    The result is the same with any number of threads. Raises InputError for what cannot be accepted, and for a target above the clean accuracy.
    """
    search = Search(
        drop,
        target,
        lowest,
        highest,
        resolution_decades,
        repeats,
        rule,
        fine,
        begin,
        step,
        cap,
        validation_share,
        fine_repeats,
        fine_epochs,
    )
    if threads < 1:
        raise InputError(f"threads: expected 1 or more, found {threads}")
    if bounding not in BOUNDINGS:
        raise InputError(
            f"bounding: expected one of {', '.join(BOUNDINGS)}, found {bounding!r}{nearest(bounding, BOUNDINGS)}"
        )
    require_torch()
    from edensim.accuracy.evaluation_target import subject

    before = resume if isinstance(resume, Tolerance) or resume is None else Tolerance.load(resume)
    memory = memory_of(
        module=module, model=model, seed=seed, config=config, overrides=overrides, sections=sections
    )
    memory.injector(highest)  # a BER that the model cannot have is found out now
    capacity = memory.geometry.mapping.capacity_bytes
    correction = None if bounding == "off" else bounding
    options: dict[str, Any] = {
        "precision": precision,
        "comparison": comparison,
        "images": images,
        "batch": batch,
        "size": size,
    }
    options |= {"capacity_bytes": capacity, "correction": correction, "device": device}
    tested = subject(network, data, weights=weights, normalization=normalization, **options)

    def at(ber: float) -> Subject:
        """The network to be tested at a BER."""
        if retrain is None:
            return tested
        return replace(
            subject(retrain(ber), data, normalization=tested.normalization, **options),
            name=tested.name,
        )

    [clean] = tested.outcomes([None], threads=threads)
    asked = {
        "comparison": comparison,
        "batch": batch,
        "size": size,
        "retrain": retrain is not None,
        **search.__dict__,
    }
    asked |= {"train_images": train_images} if fine_epochs else {}
    found = Tolerance(
        network=tested.name,
        dataset=tested.dataset.name,
        images=len(tested.dataset),
        precision=precision,
        bounding=bounding,
        clean_accuracy=clean.accuracy,
        drop=search.accepted(clean.accuracy, tested.name),
        ber=0.0,
        probes=(),
        seed=memory.seed,
        complete=False,
        config={
            "tolerance": asked,
            "errors": {**memory.structure.to_dict(), "weak_fraction": None},
            "run": memory.config,
        },
        notes={"errors": memory.notes, **tested.notes},
    )
    if before is not None:
        _check_same(before, found)
    between = None
    if fine_epochs:
        from edensim.eden.item_retraining import ItemRetraining
        from edensim.eden.retraining import training_split

        def rebuilt(module: torch.nn.Module) -> Subject:
            return replace(
                subject(module, data, normalization=tested.normalization, **options),
                name=tested.name,
            )

        between = ItemRetraining(
            training_split(data, tested, train_images, size), memory, fine_epochs, rebuilt
        )
    run = _Run(search, memory, at, threads, found, before, progress, output, between)
    try:
        run.coarse()
        if fine and run.found.ber > 0:
            run.fine()
    except KeyboardInterrupt:
        run.keep()
        raise
    run.found = replace(run.found, complete=True)
    run.keep()
    if save_weights is not None:
        from edensim.accuracy.weights import save_weights as save

        last = run.last or at(run.found.ber)
        save(last.network.module, Path(save_weights), last.normalization)
    return run.found


@dataclass
class _Run:
    """A search under way. found: so far; between: what retrains between rounds of raises; last: the network after these."""

    search: Search
    memory: Memory
    at: Callable[[float], Subject]
    threads: int
    found: Tolerance
    before: Tolerance | None
    progress: ProgressCallback | None
    output: str | os.PathLike[str] | None
    between: ItemRetraining | None = None
    last: Subject | None = None
    done: int = 0
    known: dict[float, Probe] = field(default_factory=dict)

    def keep(self) -> None:
        """Write what was found so far."""
        if self.output is not None:
            self.found.save(self.output)

    def coarse(self) -> None:
        """The binary search, probe by probe."""
        self.known = (
            {probe.ber: probe for probe in self.before.probes} if self.before is not None else {}
        )
        grid = self.search.grid
        low, high = -1, len(grid)  # the highest that passes lies from low to below high
        while high - low > 1:
            middle = (low + high) // 2
            probe = self.known.get(grid[middle]) or self._probe(
                grid[middle], self.search.repeats * math.ceil(math.log2(len(grid) + 1))
            )
            low, high = (middle, high) if probe.passed else (low, middle)
            probes = sorted((*self.found.probes, probe), key=lambda each: each.ber)
            self.found = replace(
                self.found, probes=tuple(probes), ber=grid[low] if low >= 0 else 0.0
            )
            self.keep()
        said = {"beyond": "not even the lowest BER is within the drop"} if low < 0 else {}
        said |= (
            {"beyond": "the highest BER is within the drop, too"} if low == len(grid) - 1 else {}
        )
        self.found = replace(self.found, notes={**self.found.notes, **said})

    def _probe(self, ber: float, total: int) -> Probe:
        tested = self.at(ber)
        accuracies = tuple(
            self._accuracies(
                tested, lambda repeat: self.memory.injector(ber, repeat), self.search.repeats, total
            )
        )
        mean = sum(accuracies) / len(accuracies)
        return Probe(
            ber,
            accuracies,
            mean,
            interval_of(accuracies),
            self.search.passes(accuracies, self.found.threshold),
        )

    def _accuracies(
        self, tested: Subject, errors: Callable[[int], Any], repeats: int, total: int | None = None
    ) -> Iterator[float]:
        """Of each memory."""
        for repeat in range(repeats):
            [outcome] = tested.outcomes([errors(repeat)], threads=self.threads)
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, total)
            yield outcome.accuracy

    def fine(self) -> None:
        """Item by item on the sample, then all together on all images."""
        from edensim.accuracy.evaluation_target import batched

        search, coarse = self.search, self.found.ber
        tested = self.at(coarse)
        sample = tested.dataset.chosen(max(1, round(search.validation_share * len(tested.dataset))))
        device = tested.batches[0][0].device
        drawn = batched(sample, tested.normalization, self.found.config["tolerance"]["batch"])
        batches = tuple((images.to(device), labels.to(device)) for images, labels in drawn)
        state = {"whole": tested, "sampled": replace(tested, dataset=sample, batches=batches)}
        [clean] = state["sampled"].outcomes([None], threads=self.threads)
        adopted = list[int]()

        def accuracy(bers: Mapping[str, float]) -> float:
            values = list(
                self._accuracies(
                    state["sampled"], lambda repeat: self._errors(bers, repeat), search.fine_repeats
                )
            )
            return sum(values) / len(values)

        def retrained(round_: int, bers: Mapping[str, float]) -> None:
            assert self.between is not None
            earlier, before = dict(state), accuracy(bers)
            whole = self.between.after(round_, state["whole"], bers)
            state.update(whole=whole, sampled=replace(whole, dataset=sample, batches=batches))
            if accuracy(bers) < before:
                state.update(earlier)
            else:
                adopted.append(round_)

        placed = tested.network.placing.items
        first = coarse * search.begin
        raised = dict.fromkeys(placed, first)
        begin = accuracy(raised)
        threshold = min(
            clean.accuracy - self.found.drop, begin
        )  # what the first BER loses on few images may be more than on all
        last = dict.fromkeys(placed, begin)
        options: dict[str, Any] = {
            "begin": search.begin,
            "step": search.step,
            "threshold": threshold,
        }
        options["highest"] = min(search.highest, search.cap * coarse)
        options["known"] = self.before.trials if self.before is not None else ()
        options["after_round"] = None if self.between is None else retrained
        said = {
            "sample": {
                "images": len(sample),
                "clean_accuracy": clean.accuracy,
                "first_accuracy": begin,
                "threshold": threshold,
            }
        }
        self._set(placed, said, raised, last)
        for trial, raised in raise_items(  # noqa: B007
            list(placed), coarse=coarse, accuracy=accuracy, seed=self.memory.seed, **options
        ):
            if trial.passed:
                last[trial.item] = trial.accuracy
            self.found = replace(self.found, trials=(*self.found.trials, trial))
            self.keep()
        share, tests = self._confirmed(state["whole"], first, raised)
        self.last = state["whole"] if share > 0 else tested
        confirmed = {
            name: first + share * (ber - first) if share > 0 else coarse
            for name, ber in raised.items()
        }  # coarse has passed, too
        self._set(
            placed,
            {
                **said,
                "bers_on_sample": raised,
                "share_of_raises": share,
                "tests": tests,
                "retrained_after": adopted,
            },
            confirmed,
            last,
        )

    def _set(
        self,
        placed: Mapping[str, Item],
        said: Mapping[str, Any],
        bers: Mapping[str, float],
        accuracies: Mapping[str, float],
    ) -> None:
        """What is known of the items."""
        items = {
            name: ItemTolerance(item.role, item.size_bytes, bers[name], accuracies[name])
            for name, item in placed.items()
        }
        self.found = replace(self.found, items=items, notes={**self.found.notes, "fine": said})

    def _errors(self, bers: Mapping[str, float], repeat: int) -> dict[str, Any]:
        return {name: self.memory.injector(ber, repeat) for name, ber in bers.items()}

    def _confirmed(
        self, tested: Subject, first: float, bers: Mapping[str, float]
    ) -> tuple[float, list[dict[str, Any]]]:
        """The largest share of all raises (0: none) that passes on all images in all memories, as a coarse probe does, and what each share gave."""
        tests: list[dict[str, Any]] = []
        for share in SHARES:
            shared = {name: first + share * (ber - first) for name, ber in bers.items()}
            accuracies = list(
                self._accuracies(
                    tested,
                    lambda repeat, shared=shared: self._errors(shared, repeat),  # type: ignore[misc]
                    self.search.repeats,
                )
            )
            passed = self.search.passes(accuracies, self.found.threshold)
            tests.append({"share": share, "accuracies": accuracies, "passed": passed})
            if passed:
                return share, tests
        return 0.0, tests


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low < value <= high:
        raise InputError(
            f"{what}: expected more than {low:g} and at most {high:g}, found {value!r}"
        )


#: Keys of the search that may differ where one goes on from another's probes.
_FREE: Final = frozenset(
    {"fine", "begin", "step", "cap", "validation_share", "fine_repeats", "fine_epochs"}
)


def _check_same(before: Tolerance, found: Tolerance) -> None:
    """Raise InputError where a search cannot go on from an earlier one's."""
    for what in (
        "network",
        "dataset",
        "images",
        "precision",
        "bounding",
        "clean_accuracy",
        "drop",
        "seed",
    ):
        old, new = getattr(before, what), getattr(found, what)
        if old != new:
            raise InputError(
                f"resume: {what} is {old!r} there and {new!r} here; expected an earlier part of the same search"
            )
    free = _FREE if not before.trials else frozenset({"fine"})
    for part in ("tolerance", "errors"):
        for key, new in found.config[part].items():
            old = before.config.get(part, {}).get(key)
            if old != new and key not in free:
                raise InputError(
                    f"resume: {key} is {old!r} there and {new!r} here; expected an earlier part of the same search"
                )
