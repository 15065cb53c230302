"""Find out how the rows of a configured memory fail, at the operating points of its partitions.

Under the exposure rule `every_access`, a partition has one error model, that of its VDD and of the
tRCD that was asked for. Under `elapsed`, a read is as safe as its own ACT-to-RD interval makes it:
a partition has a model for each interval, which is the module's at a tRCD of that length, and none
from the time on that the cells need at that VDD. Cells that fail at a longer interval are among
those that fail at a shorter one.
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

#: Longest interval in cycles that `elapsed` distinguishes; it stands for all longer ones too.
LONGEST_INTERVAL = 255


@dataclass(frozen=True)
class ErrorPlan:
    """The bit errors of a configured memory.

    Attributes
    ----------
    epochs
        An injector for each epoch, which ends when the operating point changes. Under `elapsed`,
        its class of lines is the ACT-to-RD interval in cycles, at most LONGEST_INTERVAL. Partition
        0 is the module; the partitions of the configuration follow.
    memory
        The memory.
    exposure
        The exposure rule, `every_access` or `elapsed`.
    notes
        What results say about it: points, assumptions, and what lies beyond the data.
    """

    epochs: tuple[Injector, ...]
    memory: MemorySystem
    exposure: str
    notes: dict[str, Any]

    @property
    def injector(self) -> Injector:
        """The injector of the first epoch."""
        return self.epochs[0]

    @property
    def geometry(self) -> Geometry:
        """Geometry of the memory."""
        return self.injector.geometry


def plan_errors(
    memory: MemorySystem,
    errors: ErrorsConfig,
    *,
    module: Module | None = None,
    model: ErrorModel | None = None,
    intervals_ns: Sequence[float] | None = None,
) -> ErrorPlan:
    """Plan the bit errors of a memory.

    Parameters
    ----------
    memory
        The memory.
    errors
        The configuration's `errors` section.
    module, model
        Used instead of what `errors.module` and `errors.model` name.
    intervals_ns
        ACT-to-RD intervals that the classes of lines stand for under `elapsed`, ascending; None
        stands for 0 to LONGEST_INTERVAL cycles.

    Raises
    ------
    ConfigError
        If the section names nothing, or too much.
    ModuleError
        If an operating point lies outside the module's data.
    """
    plan = memory.plan
    if module is None and model is None:
        module, model = _named(errors)
    geometry = geometry_of(memory)
    rows = rows_of(plan, memory.standard)
    if model is not None:
        if errors.exposure == "elapsed":
            raise ConfigError(
                "errors.exposure: 'elapsed' needs errors.module; an error model alone does not say "
                "how long its cells need"
            )
        seed = errors.seed if errors.seed is not None else 1
        epochs = [
            injector(geometry, [model] * (1 + len(plan.partitions)), seed=seed, rows=rows)
        ] * plan.epochs
        notes: dict[str, Any] = {"model": model.to_dict(), "expected_ber": model.expected_ber()}
    else:
        assert module is not None
        seed = errors.seed if errors.seed is not None else module.seed
        points_of_module = _ModulePoints(module, errors, memory.specified, intervals_ns)
        models = _module_models(points_of_module, plan)
        epochs = [injector(geometry, each, seed=seed, rows=rows) for each in models]
        notes = points_of_module.notes()
    return ErrorPlan(
        tuple(epochs),
        memory,
        errors.exposure,
        {**notes, "exposure": errors.exposure, "seed": seed},
    )


def _named(errors: ErrorsConfig) -> tuple[Module | None, ErrorModel | None]:
    """Return what the configuration names; raise ConfigError if that is nothing or too much."""
    if errors.module is not None:
        for key in ("model", "ber"):
            if getattr(errors, key) is not None:
                raise ConfigError(
                    f"errors.{key}: given beside errors.module {errors.module!r}, which has its "
                    "own; "
                    "expected one of the two"
                )
        return load_module(errors.module), None
    if errors.ber is None:
        raise ConfigError(
            "errors.ber: missing; expected errors.module, or errors.model with errors.ber"
        )
    return None, at_ber(errors.model or "uniform", errors.ber)


def rows_of(plan: OperatingPlan, standard: Standard) -> dict[int, list[tuple[int, int]]]:
    """Return the partitions of the rows of each bank, counted through all channels.

    They are pairs of end row and partition in ascending order. Partition 0 is the module; the
    plan's partitions follow.
    """
    rows = standard.organization.rows
    channels, banks = plan.partition_of.shape
    spans: dict[int, list[tuple[int, int]]] = {}
    for channel in range(channels):
        for bank in range(banks):
            default = int(plan.partition_of[channel, bank]) + 1
            parts: list[tuple[int, int]] = []
            for part in sorted(
                each for each in plan.ranges if (each.channel, each.bank) == (channel, bank)
            ):
                if part.first > (parts[-1][0] if parts else 0):
                    parts.append((part.first, default))
                parts.append((part.last + 1, part.partition + 1))
            spans[channel * banks + bank] = [*parts, (rows, default)]
    return spans


def _module_models(
    points_of_module: _ModulePoints, plan: OperatingPlan
) -> list[list[list[ErrorModel]]]:
    """Return error models by epoch, partition and class of lines."""
    partitions = [
        points_of_module.models(partition.name, plan.points[partition.point])
        for partition in plan.partitions
    ]
    names = ["module", *(f"module after change {index}" for index in range(len(plan.changes)))]
    return [
        [points_of_module.models(name, plan.points[plan.module_point(epoch)]), *partitions]
        for epoch, name in enumerate(names)
    ]


class _ModulePoints:
    """The error models of a module at operating points, with notes on what they rest on."""

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
        """Return what results say about the models."""
        return {
            "module": self.module.name,
            "points": self.points,
            "assumptions": self.assumptions,
            "beyond_data": list(dict.fromkeys(self.beyond)),
        }

    def models(self, name: str, point: OperatingPoint) -> list[ErrorModel]:
        """Return the models of a partition by class of lines."""
        device = device_point(self.module, self.standard, point)
        answer = predict(self.module, **device, **self.options)
        model = error_model(self.module, **device, **self.options)
        if all(value is None for value in device.values()):
            # At the specification, what a curve gives is its detection limit, not errors.
            model = model.replaced(weak_fraction=0.0)
        self.points[name] = {
            **device,
            "ber_median": answer.ber_median if model.expected_ber() else 0.0,
            "model": model.to_dict(),
        }
        self.assumptions |= answer.assumptions
        self.beyond += answer.beyond_data
        if self.errors.exposure == "every_access":
            return [model]
        return self._by_interval(model, point, device)

    def _by_interval(
        self, model: ErrorModel, point: OperatingPoint, device: dict[str, Any]
    ) -> list[ErrorModel]:
        """Return a model for each ACT-to-RD interval, ascending.

        Below the tRCD that is asked for, it is the model of the point.
        """
        tck_ps = self.standard.tck_ps
        needed_ns = (
            ns_from_cycles(point.needed["nRCD"], tck_ps)
            if point.needed is not None
            else float("inf")
        )
        run_ns = point.durations_ns["trcd_ns"]
        safe = model.replaced(weak_fraction=0.0)
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
                models.append(model)
            else:
                longer_model = error_model(self.module, **at, **self.options)
                models.append(longer_model.nested_in(models[-1] if models else model))
        return models


def device_point(module: Module, standard: Standard, point: OperatingPoint) -> dict[str, Any]:
    """Return `prediction.point_of` at the tRCD that was asked for.

    The next whole number of cycles would be longer, and the module's data hold at the exact tRCD.
    The standard has the timings that the device is specified for.
    """
    device: dict[str, Any] = dict(point_of(module, standard, point))
    if device["trcd_ns"] is not None:
        run_ns = ns_from_cycles(point.timings["nRCD"], standard.tck_ps)
        device["trcd_ns"] += point.durations_ns["trcd_ns"] - run_ns
    return device
