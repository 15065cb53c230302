"""`edensim.eden`: boost, characterize, map, until it stops improving (Koppula et al., MICRO 2019, section 3.1), then a machine at the mapped points.

Each round retrains at a BER that is `eden.raise_by` times what the network tolerates, and keeps the new weights if the network then tolerates more
at the same target accuracy (that of the network as it was given, less `eden.drop`). Errors come from the fitted module's model instead of the
device (the paper's offloading, section 4). At the end the accuracy is measured with each data item read at its own point of the mapping.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from edensim._version import __version__
from edensim.accuracy.evaluation import interval_of, require_torch
from edensim.config.loading import load_config, resolved
from edensim.config.models import RunConfig
from edensim.eden.boosting import boost
from edensim.eden.characterization import tolerance
from edensim.eden.mapping import DramMapping, map_to_dram
from edensim.eden.memory import memory_of
from edensim.eden.tolerance import Tolerance
from edensim.exceptions import ConfigError
from edensim.files import save_text
from edensim.vocabulary import ProgressCallback

#: Says what is being done: a line for a log or a terminal.
Say = Callable[[str], None]
#: Makes what shows the progress of a step, counted in some unit.
Watch = Callable[[str], AbstractContextManager[ProgressCallback | None]]


@dataclass(frozen=True)
class Round:
    """One round: the BER that was trained up to, and what the network tolerates after it. kept: it tolerates more than before."""

    target_ber: float
    tolerable_ber: float
    clean_accuracy: float
    kept: bool


@dataclass(frozen=True)
class EdenRun:
    """accuracy: without errors as given, the target, and at the mapped points in each memory. mapping: with the machine's run at these points."""

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
        """At the mapped points, over the memories."""
        return sum(self.accuracies) / len(self.accuracies)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the result's file has them."""
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
            "rounds": [
                {
                    "target_ber": each.target_ber,
                    "tolerable_ber": each.tolerable_ber,
                    "clean_accuracy": each.clean_accuracy,
                    "kept": each.kept,
                }
                for each in self.rounds
            ],
            "tolerance": self.tolerance.to_dict(),
            "mapping": self.mapping.to_dict(),
            "config": resolved(self.config),
            "version": __version__,
            "seed": self.config.seed,
            "notes": dict(self.notes),
        }

    def summary(self) -> str:
        """A few lines."""
        kept = sum(each.kept for each in self.rounds)
        gain = (
            f", {self.tolerance.ber / self.unboosted_ber:.2f} times"
            if self.unboosted_ber > 0
            else ""
        )
        interval = interval_of(self.accuracies)
        spread = (
            f" ({interval[0]:.2%} to {interval[1]:.2%} at 95 %)" if interval is not None else ""
        )
        return (
            f"{self.network} on {self.dataset}, {self.precision}: accuracy {self.clean_accuracy:.2%}, accepted from {self.target_accuracy:.2%}\n"
            f"tolerable BER  {self.unboosted_ber:.3g} as given, {self.tolerance.ber:.3g} boosted{gain}; {kept} of {len(self.rounds)} rounds kept\n"
            f"at the points  {self.accuracy:.2%} over {len(self.accuracies)} memories{spread}\n{self.mapping.summary()}"
        )


def eden(
    config: RunConfig | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    threads: int = 1,
    say: Say | None = None,
    watch: Watch | None = None,
) -> EdenRun:
    """Run the whole loop of a configuration (its machine, network, `errors.module` and `eden.*`).

    folder: gets weights.pt (the network's last ones), network.json (for `edensim simulate`), tolerance.json, mapped.yaml and eden.json; what a
    round needs to go on is kept there, too, so that an interrupted run goes on where it was. watch: for each long step is asked for what shows its
    progress.

    Raises InputError for what cannot be accepted.
    """
    require_torch()
    loaded = load_config(
        None if isinstance(config, RunConfig) else Path(config),
        overrides,
        config if isinstance(config, RunConfig) else None,
    )
    with loaded.locating():
        run = loaded.config
        if run.errors.module is None:
            raise ConfigError(
                "errors.module: names no module; expected one of configs/modules/ or a file"
            )
        if run.frontend is None:
            raise ConfigError(
                "frontend: names no machine; expected a run such as those in configs/runs/"
            )
        if run.eden.network is None and run.network is None:
            raise ConfigError(
                "eden.network: names no network; expected one that `edensim evaluate` knows"
            )
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        return _Loop(
            run, target, threads, say or (lambda text: None), watch or (lambda unit: nullcontext())
        ).run()


@dataclass(frozen=True)
class _Loop:
    config: RunConfig
    folder: Path
    threads: int
    say: Say
    watch: Watch

    @property
    def network(self) -> str:
        return self.config.eden.network or self.config.network or ""

    def run(self) -> EdenRun:
        """Rounds, mapping, accuracy."""
        eden = self.config.eden
        weights = None if eden.weights is None else Path(eden.weights)
        if weights is None:
            weights = self._trained()
        given = self._tolerance(weights, None, "as given")
        goal = max(0.0, given.clean_accuracy - eden.drop)
        best, rounds = given, list[Round]()
        for number in range(eden.rounds):
            aim = min(0.5, (best.ber or 1e-4) * eden.raise_by)
            boosted = self.folder / f"round-{number + 1}.pt"
            self.say(f"round {number + 1}: boosting to BER {aim:.3g}")
            with self.watch("steps") as progress:
                done = boost(
                    self.network,
                    ber=aim,
                    weights=weights,
                    epochs=eden.epochs,
                    train_images=eden.train_images,
                    output=boosted,
                    checkpoint=self.folder / f"round-{number + 1}.checkpoint",
                    resume=True,
                    progress=progress,
                    **self._common(),
                )
            found = (
                self._tolerance(boosted, goal, f"after round {number + 1}")
                if done.clean_after >= goal
                else None
            )
            kept = found is not None and found.ber > best.ber
            rounds.append(
                Round(aim, found.ber if found is not None else 0.0, done.clean_after, kept)
            )
            if not kept or found is None:
                break  # it has stopped improving
            best, weights = found, boosted
        if eden.fine:
            refined = self.folder / "fine.pt"
            options = {
                "fine_epochs": eden.fine_epochs,
                "train_images": eden.train_images,
                "save_weights": refined,
            }
            best = self._tolerance(
                weights, None if best is given else goal, "for each data item", fine=True, **options
            )
            weights = refined
        best.save(self.folder / "tolerance.json")
        mapping = self._mapping(best, weights)
        accuracies = self._accuracies(mapping, weights)
        notes = {
            "weights": str(weights),
            "offloaded": "errors are those of the fitted module's model, not of a device",
        }
        result = EdenRun(
            network=self.network,
            dataset=given.dataset,
            precision=self.config.precision,
            clean_accuracy=given.clean_accuracy,
            target_accuracy=goal,
            unboosted_ber=given.ber,
            rounds=tuple(rounds),
            tolerance=best,
            mapping=mapping,
            accuracies=accuracies,
            config=self.config,
            notes=notes,
        )
        save_text(
            self.folder / "eden.json",
            json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n",
        )
        return result

    def _common(self) -> dict[str, Any]:
        """What boosting, characterization and evaluation have in common: the model that the module's data have at its structure."""
        eden = self.config.eden
        return {
            "data": eden.data,
            "precision": self.config.precision,
            "model": self._model(),
            "bounding": eden.bounding,
            "repeats": eden.repeats,
            "images": eden.test_images,
            "threads": self.threads,
            "device": "auto",
            "seed": self.config.errors.seed,
        }

    def _model(self) -> str:
        """The kind of the module's error model at the lowest tRCD that its data have: structures do not change with the point."""
        from edensim.bit_errors.module import load_module
        from edensim.bit_errors.prediction import error_model

        assert self.config.errors.module is not None
        module = load_module(self.config.errors.module)
        if "trcd" in module.curves:
            return error_model(module, trcd_ns=max(5.0, _low(module.curves["trcd"]))).name
        return error_model(module, vdd_V=_low(module.curves["vdd"])).name

    def _trained(self) -> Path:
        from edensim.accuracy.evaluation import train_file

        path = self.folder / "weights.pt"
        if not path.exists():
            self.say(f"no weights are given: {self.network} is trained on {self.config.eden.data}")
            options: dict[str, Any] = {
                "epochs": 8,
                "batch": 64,
                "rate": 2e-3,
                "seed": 1,
                "images": self.config.eden.train_images,
            }
            with self.watch("steps") as progress:
                train_file(
                    self.network, path, data=self.config.eden.data, progress=progress, **options
                )
        return path

    def _tolerance(self, weights: Path, goal: float | None, what: str, **options: Any) -> Tolerance:
        self.say(f"characterizing: {what}")
        asked: dict[str, Any] = (
            {"drop": self.config.eden.drop} if goal is None else {"target": goal}
        )
        with self.watch("tests") as progress:
            return tolerance(
                self.network,
                weights=weights,
                progress=progress,
                **asked,
                **options,
                **self._common(),
            )

    def _mapping(self, found: Tolerance, weights: Path) -> DramMapping:
        """Of the very module that was characterized, written as a network that a machine runs."""
        from edensim.accuracy.evaluation_target import subject
        from edensim.networks.readers.description import save_network
        from edensim.networks.readers.torch_module import read_module

        self.say("mapping")
        tested = subject(
            self.network,
            self.config.eden.data,
            weights=weights,
            precision=self.config.precision,
            images=64,
        )
        network = read_module(tested.network.module, batch=1, shape=tested.dataset.shape)
        save_network(replace(network, name=self.network), self.folder / "network.json")
        run = msgspec.structs.replace(
            self.config,
            network=str(self.folder / "network.json"),
            input_height=None,
            input_width=None,
        )
        with self.watch("timings") as progress:
            mapping = map_to_dram(found, run, progress=progress)
        mapping = replace(
            mapping, config=msgspec.structs.replace(mapping.config, network="network.json")
        )
        mapping.save_config(self.folder / "mapped.yaml")
        return mapping

    def _accuracies(self, mapping: DramMapping, weights: Path) -> tuple[float, ...]:
        """At the mapped points, in memories that none was characterized in."""
        from edensim.accuracy.evaluation_target import subject

        self.say("testing at the mapped points")
        eden = self.config.eden
        correction = None if eden.bounding == "off" else eden.bounding
        options: dict[str, Any] = {
            "precision": self.config.precision,
            "correction": correction,
            "images": eden.test_images,
        }
        tested = subject(self.network, eden.data, weights=weights, **options)
        memory = memory_of(
            module=None,
            model=self._model(),
            seed=self.config.errors.seed,
            config=None,
            overrides=(),
            sections={},
        )
        placed = tested.network.placing.items
        errors = [
            {
                name: memory.injector(float(mapping.items[name]["ber"]), eden.repeats + repeat)
                for name in placed
            }
            for repeat in range(eden.repeats)
        ]
        return tuple(outcome.accuracy for outcome in tested.outcomes(errors, threads=self.threads))


def _low(curve: Any) -> float:
    """Least quantity that a curve has data at."""
    return float(curve.points[0][0]) if hasattr(curve, "points") else float(curve.low)
