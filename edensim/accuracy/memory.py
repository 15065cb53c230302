"""Approximate memories that networks are tested in: configured ones, and those with a free BER."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edensim.accuracy.options import MemoryOptions
from edensim.bit_errors.cells import Geometry
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel, at_ber
from edensim.bit_errors.plan import ErrorPlan, plan_errors
from edensim.config.loading import LoadedConfig, load_config, resolved
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ConfigError

#: BER at which the structure of an error model is made; it is then scaled to others.
STRUCTURE_BER = 1e-3


@dataclass(frozen=True)
class ApproximateMemory:
    """A memory whose error model can have any BER, with other weak cells for each repeat.

    Attributes
    ----------
    structure : ErrorModel
        The error model, at some BER.
    geometry : Geometry
        The shape of the memory.
    seed : int
        Seed of the first memory; repeat *n* has the seed `seed` + *n*.
    config : Mapping
        The resolved configuration.
    notes : Mapping
        What results say about the errors.
    """

    structure: ErrorModel
    geometry: Geometry
    seed: int
    config: Mapping[str, Any]
    notes: Mapping[str, Any]
    _injectors: dict[tuple[float, int], Injector] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def capacity_bytes(self) -> int:
        """Number of bytes that the memory holds."""
        return self.geometry.mapping.capacity_bytes

    def injector(self, ber: float, repeat: int = 0) -> Injector:
        """Return the errors of a BER in one of the memories; raises ConfigError.

        Cells that fail at a BER also fail at every higher one.
        """
        key = ber, repeat
        if key not in self._injectors:
            self._injectors[key] = injector(
                self.geometry, self.structure.at_ber(ber), seed=self.seed + repeat
            )
        return self._injectors[key]

    def errors(self, bers: Mapping[str, float], repeat: int) -> dict[str, Injector]:
        """Return the errors of data items that have BERs of their own, by item."""
        return {name: self.injector(ber, repeat) for name, ber in bers.items()}

    @property
    def free_model(self) -> dict[str, Any]:
        """The error model as results keep it: without what its BER determines."""
        return {**self.structure.to_dict(), "weak_fraction": None}


def approximate_memory(
    options: MemoryOptions, sections: Mapping[str, Any] | None = None
) -> ApproximateMemory:
    """Make a memory with the structure of a named error model, or of a module's model.

    If neither is given, the configuration decides; if it names no model, the uniform model is
    used. Raises ConfigError.
    """
    loaded = _loaded(options, sections)
    errors = loaded.config.errors
    with loaded.locating():
        if errors.module is not None and options.model is not None:
            raise ConfigError(
                "model: given beside a module, which knows its own; expected one of the two"
            )
        given = None
        if errors.module is None:
            model = options.model if options.model is not None else errors.model or "uniform"
            given = at_ber(model, STRUCTURE_BER)
        plan = _planned(loaded, given)
    [structure, *_] = plan.injector.models[0]
    notes = plan.notes if given is None else {"model": structure.name}
    return ApproximateMemory(
        structure, plan.geometry, plan.injector.seed, resolved(loaded.config), notes
    )


def configured_errors(
    options: MemoryOptions, sections: Mapping[str, Any] | None = None, *, ber: float | None = None
) -> ErrorPlan:
    """Plan the errors of a memory at a BER, or else as the configuration says.

    Raises ConfigError.
    """
    loaded = _loaded(options, sections)
    if options.model is not None and ber is None:
        raise ConfigError("ber: missing; expected the bit error rate of the model")
    with loaded.locating():
        if ber is None:
            return _planned(loaded, None)
        if loaded.config.errors.module is not None:
            raise ConfigError(
                "ber: given beside a module, which knows its own; expected one of the two"
            )
        return _planned(loaded, at_ber("uniform" if options.model is None else options.model, ber))


def _loaded(options: MemoryOptions, sections: Mapping[str, Any] | None) -> LoadedConfig:
    """Load the configuration that the options stand for."""
    overrides = [*options.overrides]
    if options.module is not None:
        overrides.append(f"errors.module={os.fspath(options.module)}")
    if options.seed is not None:
        overrides.append(f"errors.seed={options.seed}")
    return load_config(options.config, overrides, sections)


def _planned(loaded: LoadedConfig, model: ErrorModel | None) -> ErrorPlan:
    """Plan the errors, and refuse those that only a simulation knows the clocks for."""
    if loaded.config.errors.exposure == "elapsed":
        raise ConfigError(
            "errors.exposure: 'elapsed' needs the clocks of each read, which only a simulation "
            "knows; expected every_access"
        )
    memory = MemorySystem.resolve(loaded.config.dram, loaded.config.controller)
    return plan_errors(memory, loaded.config.errors, model=model)
