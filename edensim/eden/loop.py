"""EDEN's loop: boost, characterize and map until it stops improving, then run a machine.

The loop is described in section 3.1 of Koppula et al., MICRO 2019. Each round retrains at a BER
that is `eden.raise_by` times what the network tolerates. The new weights are kept if the network
then tolerates more at the same target accuracy, which is that of the given network less
`eden.drop`. Errors come from the fitted module's model instead of the device (the paper's
offloading, section 4). At the end, the accuracy is measured with each data item read at its own
point of the mapping.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from edensim.accuracy.evaluation import require_torch, train_file
from edensim.accuracy.memory import approximate_memory
from edensim.accuracy.options import MemoryOptions, TargetOptions, TrainOptions
from edensim.bit_errors.module import load_module
from edensim.bit_errors.prediction import error_model
from edensim.config.loading import load_config
from edensim.config.models import EdenConfig, RunConfig
from edensim.eden.boosting import boost
from edensim.eden.characterization import tolerance
from edensim.eden.dram_mapping import DramMapping
from edensim.eden.eden_run import EdenRun, Round
from edensim.eden.mapping import map_to_dram
from edensim.eden.tolerance import Tolerance
from edensim.exceptions import ConfigError
from edensim.files import save_text
from edensim.vocabulary import ProgressCallback

#: Is called with a line that says what is being done.
Announce = Callable[[str], None]
#: Makes what shows the progress of a step, which is counted in some unit.
ProgressOf = Callable[[str], AbstractContextManager[ProgressCallback | None]]

#: BER that the first round begins from if the network tolerates none, and the highest of a round.
FIRST_BER: Final = 1e-4
HIGHEST_BER: Final = 0.5
#: Lowest tRCD that the error model of a module is asked at; its structure is the same at any.
LOWEST_TRCD_NS: Final = 5.0
#: Images of the network's test that are needed only for its shape.
SHAPE_IMAGES: Final = 64


def eden(
    config: RunConfig | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    threads: int = 1,
    announce: Announce | None = None,
    progress_of: ProgressOf | None = None,
) -> EdenRun:
    """Run the whole loop of a configuration.

    Parameters
    ----------
    config : RunConfig or path
        A run with a machine, a network, `errors.module` and the section `eden`.
    folder : path
        Gets weights.pt (the network's last ones), network.json (for `edensim simulate`),
        tolerance.json, mapped.yaml and eden.json. It also keeps what a round needs to go on, so
        that an interrupted run goes on where it was.
    overrides : sequence of str
        Configuration keys to set, as ``eden.rounds=2``.
    threads : int
        Batches computed at once; the result does not depend on it.
    announce : callable, optional
        Is called with a line of text when a step begins.
    progress_of : callable, optional
        Is called with the unit that a step is counted in, and returns a context manager that gives
        a progress callback.

    Returns
    -------
    EdenRun
        Rounds, tolerance, mapping and accuracy.

    Raises
    ------
    InputError
        If something cannot be accepted.

    References
    ----------
    S. Koppula et al., "EDEN: Enabling Energy-Efficient, High-Performance Deep Neural Network
    Inference Using Approximate DRAM", MICRO 2019, section 3.1.
    """
    require_torch()
    base = config if isinstance(config, RunConfig) else None
    loaded = load_config(None if isinstance(config, RunConfig) else Path(config), overrides, base)
    with loaded.locating():
        run = loaded.config
        network = _checked_network(run)
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        return _Loop(
            run,
            network,
            target,
            threads,
            announce or (lambda text: None),
            progress_of or (lambda unit: nullcontext()),
        ).run()


def _checked_network(run: RunConfig) -> str:
    """Return the network of a configuration; raises ConfigError if something is missing."""
    if run.errors.module is None:
        raise ConfigError(
            "errors.module: names no module; expected one of configs/modules/ or a file"
        )
    if run.frontend is None:
        raise ConfigError(
            "frontend: names no machine; expected a run such as those in configs/runs/"
        )
    network = run.eden.network or run.network
    if network is None:
        raise ConfigError(
            "eden.network: names no network; expected one that `edensim evaluate` knows"
        )
    return network


@dataclass(frozen=True)
class _Loop:
    """The loop under way."""

    config: RunConfig
    network: str
    folder: Path
    threads: int
    announce: Announce
    progress_of: ProgressOf

    @property
    def eden(self) -> EdenConfig:
        """The section of the configuration."""
        return self.config.eden

    @cached_property
    def model(self) -> str:
        """Kind of the module's error model, at the lowest tRCD or VDD that its data have.

        The structure of the errors does not change with the operating point.
        """
        assert self.config.errors.module is not None
        module = load_module(self.config.errors.module)
        if "trcd" in module.curves:
            lowest_ns = max(LOWEST_TRCD_NS, _lowest(module.curves["trcd"]))
            return error_model(module, trcd_ns=lowest_ns).name
        return error_model(module, vdd_V=_lowest(module.curves["vdd"])).name

    def run(self) -> EdenRun:
        """Boost in rounds, map, and measure the accuracy."""
        weights = Path(self.eden.weights) if self.eden.weights is not None else self._trained()
        given = self._tolerance(weights, None, "as given")
        goal = max(0.0, given.clean_accuracy - self.eden.drop)
        best, weights, rounds = self._boosted(given, weights, goal)
        if self.eden.fine:
            refined = self.folder / "fine.pt"
            best = self._tolerance(
                weights,
                None if best is given else goal,
                "for each data item",
                fine=True,
                fine_epochs=self.eden.fine_epochs,
                train_images=self.eden.train_images,
                save_weights=refined,
            )
            weights = refined
        best.save(self.folder / "tolerance.json")
        mapping = self._mapping(best, weights)
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
            accuracies=self._accuracies(mapping, weights),
            config=self.config,
            notes={
                "weights": str(weights),
                "offloaded": "errors are those of the fitted module's model, not of a device",
            },
        )
        text = json.dumps(result.to_dict(), indent=1, allow_nan=False)
        save_text(self.folder / "eden.json", text + "\n")
        return result

    def _boosted(
        self, given: Tolerance, weights: Path, goal: float
    ) -> tuple[Tolerance, Path, list[Round]]:
        """Boost until the network does not tolerate more; return the last kept weights."""
        best, rounds = given, list[Round]()
        for number in range(1, self.eden.rounds + 1):
            aim = min(HIGHEST_BER, (best.ber or FIRST_BER) * self.eden.raise_by)
            output = self.folder / f"round-{number}.pt"
            self.announce(f"round {number}: boosting to BER {aim:.3g}")
            with self.progress_of("steps") as progress:
                boosted = boost(
                    self.network,
                    ber=aim,
                    weights=weights,
                    epochs=self.eden.epochs,
                    train_images=self.eden.train_images,
                    output=output,
                    checkpoint=self.folder / f"round-{number}.checkpoint",
                    resume=True,
                    progress=progress,
                    **self._common,
                )
            reached = None
            if boosted.clean_after >= goal:
                reached = self._tolerance(output, goal, f"after round {number}")
            ber = reached.ber if reached is not None else 0.0
            rounds.append(Round(aim, ber, boosted.clean_after, ber > best.ber))
            if reached is None or ber <= best.ber:
                break
            best, weights = reached, output
        return best, weights, rounds

    @cached_property
    def _common(self) -> dict[str, Any]:
        """Options that boosting, characterization and evaluation have in common."""
        return {
            "data": self.eden.data,
            "precision": self.config.precision,
            "model": self.model,
            "bounding": self.eden.bounding,
            "repeats": self.eden.repeats,
            "images": self.eden.test_images,
            "threads": self.threads,
            "seed": self.config.errors.seed,
        }

    def _trained(self) -> Path:
        """Train the network without errors, unless an earlier run has done so."""
        options = TrainOptions(
            output=self.folder / "weights.pt",
            data=self.eden.data,
            images=self.eden.train_images,
        )
        if not options.output.exists():
            self.announce(f"no weights are given: {self.network} is trained on {self.eden.data}")
            with self.progress_of("steps") as progress:
                train_file(self.network, options=options, progress=progress)
        return options.output

    def _tolerance(
        self, weights: Path, goal: float | None, stage: str, **options: Any
    ) -> Tolerance:
        """Characterize the network at the accepted drop, or else at a target accuracy."""
        self.announce(f"characterizing: {stage}")
        accepted: dict[str, Any] = {"drop": self.eden.drop} if goal is None else {"target": goal}
        with self.progress_of("tests") as progress:
            return tolerance(
                self.network,
                weights=weights,
                progress=progress,
                **accepted,
                **options,
                **self._common,
            )

    def _mapping(self, found: Tolerance, weights: Path) -> DramMapping:
        """Map the module that was characterized, described as a network that a machine runs."""
        from edensim.accuracy.evaluation_target import evaluation_target
        from edensim.networks.readers.description import save_network
        from edensim.networks.readers.torch_module import read_module

        self.announce("mapping")
        options = TargetOptions(
            data=self.eden.data,
            weights=weights,
            precision=self.config.precision,
            images=SHAPE_IMAGES,
            device="cpu",
        )
        target = evaluation_target(self.network, options)
        network = read_module(target.network.module, batch=1, shape=target.dataset.shape)
        description = self.folder / "network.json"
        save_network(replace(network, name=self.network), description)
        run = msgspec.structs.replace(
            self.config, network=str(description), input_height=None, input_width=None
        )
        with self.progress_of("timings") as progress:
            mapping = map_to_dram(found, run, progress=progress)
        config = msgspec.structs.replace(mapping.config, network=description.name)
        mapping = replace(mapping, config=config)
        mapping.save_config(self.folder / "mapped.yaml")
        return mapping

    def _accuracies(self, mapping: DramMapping, weights: Path) -> tuple[float, ...]:
        """Test at the mapped points, in memories that the network was not characterized in."""
        from edensim.accuracy.evaluation_target import evaluation_target

        self.announce("testing at the mapped points")
        options = TargetOptions(weights=weights, device="cpu", **self._common)
        target = evaluation_target(self.network, options)
        memory = approximate_memory(MemoryOptions(model=self.model, seed=self.config.errors.seed))
        bers = {name: float(mapping.items[name]["ber"]) for name in target.network.placing.items}
        repeats = self.eden.repeats
        errors = [memory.errors(bers, repeats + repeat) for repeat in range(repeats)]
        outcomes = target.outcomes(errors, threads=self.threads)
        return tuple(outcome.accuracy for outcome in outcomes)


def _lowest(curve: Any) -> float:
    """Return the lowest quantity that a curve has data at."""
    return float(curve.points[0][0]) if hasattr(curve, "points") else float(curve.low)
