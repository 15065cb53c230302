"""The memory that a network is characterized on: an error model whose BER is free, in as many memories (seeds) as there are repeats."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edensim.bit_errors.cells import Geometry
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel, at_ber
from edensim.bit_errors.plan import plan_errors
from edensim.config.loading import load_config, resolved
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ConfigError


@dataclass(frozen=True)
class Memory:
    """structure: the error model, at any BER; seed: of the first memory; config: resolved; notes: of the module, where it is one's model."""

    structure: ErrorModel
    geometry: Geometry
    seed: int
    config: Mapping[str, Any]
    notes: Mapping[str, Any]
    _made: dict[tuple[float, int], Injector] = field(
        default_factory=dict, repr=False, compare=False
    )

    def injector(self, ber: float, repeat: int = 0) -> Injector:
        """The errors of a BER in one of the memories. Cells that fail at a BER also fail at every higher one. Raises ConfigError."""
        key = ber, repeat
        if key not in self._made:
            self._made[key] = injector(
                self.geometry, self.structure.at_ber(ber), seed=self.seed + repeat
            )
        return self._made[key]


def memory_of(
    *,
    module: str | os.PathLike[str] | None,
    model: str | int | None,
    seed: int | None,
    config: str | os.PathLike[str] | None,
    overrides: Sequence[str],
    sections: Mapping[str, Any],
) -> Memory:
    """Of a named error model (default: the configuration's, else uniform), or of the model that a module's data have at the operating point.

    Raises ConfigError.
    """
    named = [*overrides]
    if module is not None:
        named.append(f"errors.module={os.fspath(module)}")
    if seed is not None:
        named.append(f"errors.seed={seed}")
    loaded = load_config(Path(config) if config is not None else None, named, sections)
    errors = loaded.config.errors
    with loaded.locating():
        if errors.module is not None and model is not None:
            raise ConfigError(
                "model: given beside a module, which knows its own; expected one of the two"
            )
        if errors.exposure == "elapsed":
            raise ConfigError(
                "errors.exposure: 'elapsed' needs the clocks of each read, which only a simulation knows; expected every_access"
            )
        given = (
            at_ber(model if model is not None else errors.model or "uniform", 1e-3)
            if errors.module is None
            else None
        )
        plan = plan_errors(
            MemorySystem.resolve(loaded.config.dram, loaded.config.controller),
            errors,
            model=given,
        )
    [structure, *_] = plan.injector.models[0]
    notes = plan.notes if given is None else {"model": structure.name}
    return Memory(structure, plan.geometry, plan.injector.seed, resolved(loaded.config), notes)
