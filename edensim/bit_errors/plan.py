"""From a configuration to error models: which rows fail how, at the operating points of module and partitions.

`every_access`: a partition has one model, that of its VDD and tRCD as asked. `elapsed`: a read is as safe as its own ACT-to-RD interval makes it: a
partition has a model for each interval, the module's at a tRCD of that length, and no errors from what the cells need at that VDD on. Cells that fail
at a longer interval are among those that fail at a shorter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edensim.bit_errors.cells import Geometry, geometry_of
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel, at_ber
from edensim.bit_errors.module import Module, load_module
from edensim.bit_errors.prediction import error_model, point_of, predict
from edensim.config.models import ErrorsConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.operating_point import OperatingPlan, OperatingPoint
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.vocabulary import ns_from_cycles

#: Intervals told apart under `elapsed`, in cycles; the last stands for all longer ones.
LONGEST_INTERVAL = 255


@dataclass(frozen=True)
class ErrorPlan:
    """Bit errors of a configured memory.

    stages: an injector for each stretch between changes of the operating point. Its class of lines is the ACT-to-RD interval in cycles (at most
    LONGEST_INTERVAL) under `elapsed`, none else. Partition 0 is the module, then the configuration's partitions. notes: what results say of it:
    points, assumptions, what lies beyond the data.
    """

    stages: tuple[Injector, ...]
    memory: MemorySystem
    exposure: str
    notes: dict[str, Any]

    @property
    def injector(self) -> Injector:
        """That of the start."""
        return self.stages[0]

    @property
    def geometry(self) -> Geometry:
        return self.injector.geometry


def plan_errors(
    memory: MemorySystem,
    errors: ErrorsConfig,
    *,
    module: Module | None = None,
    model: ErrorModel | None = None,
    intervals_ns: Sequence[float] | None = None,
) -> ErrorPlan:
    """The errors of a memory. module, model: instead of what `errors.module` and `errors.model` name.

    intervals_ns: ACT-to-RD intervals that the classes of lines stand for under `elapsed`, ascending (None: 0, 1, ... LONGEST_INTERVAL cycles).

    Raises ConfigError, ModuleError for a point that the module cannot answer for.
    """
    plan = memory.plan
    if module is None and model is None:
        module, model = _named(errors)
    geometry = geometry_of(memory)
    rows = rows_of(plan, memory.standard)
    if model is not None:
        if errors.exposure == "elapsed":
            raise ConfigError(
                "errors.exposure: 'elapsed' needs errors.module: an error model alone does not tell how long its cells need"
            )
        seed = errors.seed if errors.seed is not None else 1
        stages = [
            injector(geometry, [model] * (1 + len(plan.partitions)), seed=seed, rows=rows)
        ] * plan.epochs
        notes: dict[str, Any] = {"model": model.to_dict(), "expected_ber": model.expected_ber()}
    else:
        assert module is not None
        seed = errors.seed if errors.seed is not None else module.seed
        asker = _Asker(module, errors, memory.specified, intervals_ns)
        models = _module_models(asker, plan)
        stages = [injector(geometry, each, seed=seed, rows=rows) for each in models]
        notes = asker.notes()
    return ErrorPlan(
        tuple(stages),
        memory,
        errors.exposure,
        {**notes, "exposure": errors.exposure, "seed": seed},
    )


def _named(errors: ErrorsConfig) -> tuple[Module | None, ErrorModel | None]:
    """What the configuration names. Raises ConfigError where that is nothing or too much."""
    if errors.module is not None:
        for key in ("model", "ber"):
            if getattr(errors, key) is not None:
                raise ConfigError(
                    f"errors.{key}: given beside errors.module {errors.module!r}, which knows its own; expected one of the two"
                )
        return load_module(errors.module), None
    if errors.ber is None:
        raise ConfigError(
            "errors.ber: missing; expected errors.module, or errors.model with errors.ber"
        )
    return None, at_ber(errors.model or "uniform", errors.ber)


def rows_of(plan: OperatingPlan, standard: Standard) -> dict[int, list[tuple[int, int]]]:
    """By flat bank over all channels: (end row, partition) in ascending order; partition 0 is the module, then the plan's."""
    rows = standard.organization.rows
    channels, banks = plan.partition_of.shape
    spans: dict[int, list[tuple[int, int]]] = {}
    for channel in range(channels):
        for bank in range(banks):
            own = int(plan.partition_of[channel, bank]) + 1
            parts: list[tuple[int, int]] = []
            for part in sorted(
                each for each in plan.ranges if (each.channel, each.bank) == (channel, bank)
            ):
                if part.first > (parts[-1][0] if parts else 0):
                    parts.append((part.first, own))
                parts.append((part.last + 1, part.partition + 1))
            spans[channel * banks + bank] = [*parts, (rows, own)]
    return spans


def _module_models(asker: _Asker, plan: OperatingPlan) -> list[list[list[ErrorModel]]]:
    """Models by stage, partition and class of lines."""
    partitions = [
        asker.models(partition.name, plan.points[partition.point]) for partition in plan.partitions
    ]
    names = ["module", *(f"module after change {index}" for index in range(len(plan.changes)))]
    return [
        [asker.models(name, plan.points[plan.module_point(epoch)]), *partitions]
        for epoch, name in enumerate(names)
    ]


class _Asker:
    """Asks a module at operating points, and notes what it said."""

    def __init__(
        self,
        module: Module,
        errors: ErrorsConfig,
        standard: Standard,
        intervals_ns: Sequence[float] | None,
    ) -> None:
        self.module, self.errors, self.standard = module, errors, standard
        cycles = range(LONGEST_INTERVAL + 1)
        self.intervals_ns = (
            [ns_from_cycles(each, standard.tck_ps) for each in cycles]
            if intervals_ns is None
            else list(intervals_ns)
        )
        self.options: dict[str, Any] = {
            "temp_C": errors.temp_C,
            "beyond_data": errors.beyond_data,
        }
        self.points: dict[str, Any] = {}
        self.assumptions: dict[str, str] = {}
        self.beyond: list[str] = []

    def notes(self) -> dict[str, Any]:
        """For results."""
        beyond = list(dict.fromkeys(self.beyond))
        return {
            "module": self.module.name,
            "points": self.points,
            "assumptions": self.assumptions,
            "beyond_data": beyond,
        }

    def models(self, name: str, point: OperatingPoint) -> list[ErrorModel]:
        """Models of a partition by class of lines."""
        device = device_point(self.module, self.standard, point)
        answer = predict(self.module, **device, **self.options)
        own = error_model(self.module, **device, **self.options)
        if all(
            value is None for value in device.values()
        ):  # as specified: what nominal curves say there is their detection limit, no errors
            own = own.replaced(weak_fraction=0.0)
        self.points[name] = {
            **device,
            "ber_median": answer.ber_median if own.expected_ber() else 0.0,
            "model": own.to_dict(),
        }
        self.assumptions |= answer.assumptions
        self.beyond += answer.beyond_data
        return (
            [own]
            if self.errors.exposure == "every_access"
            else self._by_interval(own, point, device)
        )

    def _by_interval(
        self, own: ErrorModel, point: OperatingPoint, device: dict[str, Any]
    ) -> list[ErrorModel]:
        """Models for each ACT-to-RD interval, ascending; below the tRCD that is asked for, the point's own."""
        tck_ps = self.standard.tck_ps
        needed_ns = (
            ns_from_cycles(point.needed["nRCD"], tck_ps)
            if point.needed is not None
            else float("inf")
        )
        run_ns = point.durations_ns["trcd_ns"]
        safe = own.replaced(weak_fraction=0.0)
        models: list[ErrorModel] = []
        for interval_ns in self.intervals_ns:
            longer = (
                device["trcd_ns"] + interval_ns - run_ns if device["trcd_ns"] is not None else None
            )
            if longer is not None and longer >= self.module.nominal.trcd_ns:
                longer = None
            at = {**device, "trcd_ns": longer}
            if (
                interval_ns >= needed_ns
                or all(value is None for value in at.values())
                or (models and models[-1] == safe)
            ):
                models.append(safe)
            elif interval_ns <= run_ns or at == device:
                models.append(own)
            else:
                models.append(
                    _alike(
                        error_model(self.module, **at, **self.options),
                        models[-1] if models else own,
                    )
                )
        return models


def device_point(module: Module, standard: Standard, point: OperatingPoint) -> dict[str, Any]:
    """`prediction.point_of`, but at the tRCD asked for, not at the next whole number of cycles: what the module's data are said at.

    standard: with the timings that the device is specified for.
    """
    device: dict[str, Any] = dict(point_of(module, standard, point))
    if device["trcd_ns"] is not None:
        run_ns = ns_from_cycles(point.timings["nRCD"], standard.tck_ps)
        device["trcd_ns"] += point.durations_ns["trcd_ns"] - run_ns
    return device


def _alike(found: ErrorModel, shorter: ErrorModel) -> ErrorModel:
    """A model with the structure of the one at a shorter interval, and no more weak cells than it."""
    if found.kind != shorter.kind or (found.law.bitline_spread, found.law.wordline_spread) != (
        shorter.law.bitline_spread,
        shorter.law.wordline_spread,
    ):
        found = shorter.at_ber(min(found.expected_ber(), shorter.expected_ber()))
    if found.law.weak_fraction > shorter.law.weak_fraction:
        return found.replaced(weak_fraction=shorter.law.weak_fraction)
    return found
