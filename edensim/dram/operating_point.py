"""Operating points: the supply voltage and timings that the module and its partitions run at.

The standard with `dram.timings` is what the device is specified for. `dram.vdd_V` and the durations
in nanoseconds (`edensim.config.knobs`) are what it is run at. Durations are rounded up to cycles;
the refresh interval, which only the module has, is rounded down, so that no cell waits longer than
requested. Timings that depend on others follow them (`edensim.dram.voltage.with_timings`).

In mode `approximate`, timings are as requested, whatever VDD is. In mode `safe`, they are what the
cells need at that VDD, or longer if a longer time is requested; a shorter time is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.knobs import DURATIONS, KNOBS, set_knobs
from edensim.config.models import ChangeConfig, DramConfig
from edensim.dram.partitions import Partition, PartitionTable, RowRange
from edensim.dram.standard import Standard, load_standard
from edensim.dram.voltage import lowest_supported_V, required_timings, with_timings
from edensim.exceptions import ConfigError
from edensim.vocabulary import cycles_from_ns, ns_from_cycles

#: Longest duration accepted: 100 ms, more than any refresh period.
LONGEST_NS = 1e8


def _falls_short(name: str, cycles: int, needed: int) -> bool:
    """Return whether a timing is too short for the cells; a refresh interval, too long."""
    return cycles > needed if name.startswith("nREFI") else cycles < needed


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A supply voltage and a set of timings that some banks run at.

    Attributes
    ----------
    vdd_V
        Supply voltage.
    timings
        All timings in cycles, by name, as run.
    needed
        The timings that the cells need at this voltage. None if the voltage is below what the
        curve of `edensim.dram.voltage` supports: no timing is then known to be long enough, and
        every access is outside specification.
    durations_ns
        The durations in nanoseconds, by knob, as requested; if none was requested, the duration of
        the cycles in `timings`. Error models use them, since cells do not feel the rounding.
    """

    vdd_V: float
    timings: Mapping[str, int]
    needed: Mapping[str, int] | None
    durations_ns: Mapping[str, float]

    @classmethod
    def of(
        cls,
        vdd_V: float,
        timings: Mapping[str, int],
        needed: Mapping[str, int] | None,
        tck_ps: int,
        requested: Mapping[str, float] | None = None,
    ) -> OperatingPoint:
        """Return a point, its durations those of `requested` and otherwise of the cycles."""
        durations_ns = {
            knob.name: ns_from_cycles(timings[knob.timing], tck_ps)
            for knob in DURATIONS
            if knob.timing in timings
        }
        asked = {name: value for name, value in (requested or {}).items() if name in durations_ns}
        return cls(vdd_V, timings, needed, durations_ns | asked)

    @property
    def shortened(self) -> tuple[str, ...]:
        """Names of the timings too short (nREFI: too long) for the cells, in alphabetical order."""
        if self.needed is None:
            return tuple(sorted(self.timings))
        return tuple(
            sorted(
                name
                for name, need in self.needed.items()
                if _falls_short(name, self.timings[name], need)
            )
        )

    @property
    def within_specification(self) -> bool:
        """Whether every timing is long enough for the cells."""
        return not self.shortened

    def to_dict(self) -> dict[str, Any]:
        """Return the voltage, the knobs in cycles, and which timings are outside specification."""
        return {
            "vdd_V": self.vdd_V,
            **{knob.timing: self.timings[knob.timing] for knob in DURATIONS},
            "outside_specification": ["all"] if self.needed is None else list(self.shortened),
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A new operating point of the module, but not of its partitions, from `at_cycle` on.

    No command is issued for `settling_cycles` after the change.
    """

    at_cycle: int
    settling_cycles: int
    point: int


@dataclass(frozen=True, eq=False)
class OperatingPlan:
    """All operating points of a run, which rows run at which, and when the module changes.

    An epoch is the time between two changes. Commands are counted by cell: a channel's banks come
    first, then its ranges of rows. A bank that has ranges keeps its other rows.

    Attributes
    ----------
    mode
        `approximate` or `safe`.
    specified
        Timings of the device at its nominal VDD. The energy of an event follows from them, as in
        the data sheet, whatever timings the memory is run at.
    points
        The operating points; the module starts at number 0.
    partitions, changes
        The partitions and the changes, in the order of the configuration.
    partition_of
        [channels, banks_per_channel] index into `partitions`; -1 means the module.
    ranges
        Ranges of rows that are partitions or parts of one, in order.
    """

    mode: str
    specified: Mapping[str, int]
    points: tuple[OperatingPoint, ...]
    partitions: tuple[Partition, ...]
    changes: tuple[Change, ...]
    partition_of: NDArray[np.int16]
    ranges: tuple[RowRange, ...] = ()

    @classmethod
    def nominal(cls, standard: Standard, channels: int) -> OperatingPlan:
        """Return the plan that runs every bank at the standard's own timings and voltage."""
        timings = standard.timings
        point = OperatingPoint.of(standard.currents.vdd_V, timings, timings, standard.tck_ps)
        banks = standard.organization.banks_per_channel
        return cls("approximate", timings, (point,), (), (), np.full((channels, banks), -1, "i2"))

    @property
    def timing_classes(self) -> tuple[tuple[Mapping[str, int], ...], tuple[int, ...]]:
        """The distinct timings, those of point 0 first, and which of them each point has.

        Points that differ in VDD alone share a class.
        """
        classes: list[Mapping[str, int]] = []
        for point in self.points:
            if point.timings not in classes:
                classes.append(point.timings)
        return tuple(classes), tuple(classes.index(point.timings) for point in self.points)

    @property
    def epochs(self) -> int:
        """Number of epochs: one more than there are changes."""
        return len(self.changes) + 1

    def module_point(self, epoch: int = 0) -> int:
        """Return the number of the module's point in an epoch."""
        return self.changes[epoch - 1].point if epoch else 0

    def bank_point_at(self, epoch: int = 0) -> NDArray[np.int16]:
        """Return the point of each bank in an epoch, [channels, banks_per_channel]."""
        points = [partition.point for partition in self.partitions]
        # Index -1, which means the module, takes the last entry.
        return np.array([*points, self.module_point(epoch)], np.int16)[self.partition_of]

    def ranges_of(self, channel: int) -> tuple[RowRange, ...]:
        """Return the ranges of rows of one channel, ordered by bank."""
        return tuple(rows for rows in self.ranges if rows.channel == channel)

    @property
    def cell_partition(self) -> NDArray[np.int16]:
        """[channels, cells] index into `partitions` of each bank, then of each range of rows.

        -1 means the module; -2 fills up a channel that has fewer ranges than another.
        """
        return self._with_ranges(self.partition_of, [rows.partition for rows in self.ranges], -2)

    def cell_point_at(self, epoch: int) -> NDArray[np.int16]:
        """Return the point of each bank, then of each range of rows, [channels, cells].

        A channel that has fewer ranges than another is filled up with 0.
        """
        points = [self.partitions[rows.partition].point for rows in self.ranges]
        return self._with_ranges(self.bank_point_at(epoch), points, 0)

    def _with_ranges(
        self, of_banks: NDArray[np.int16], of_ranges: Sequence[int], missing: int
    ) -> NDArray[np.int16]:
        """Append each channel's values of ranges to its values of banks."""
        if not self.ranges:
            return of_banks
        by_channel: list[list[int]] = [[] for _ in of_banks]
        for rows, value in zip(self.ranges, of_ranges, strict=True):
            by_channel[rows.channel].append(value)
        padded = np.full((len(of_banks), max(map(len, by_channel))), missing, np.int16)
        for row, values in zip(padded, by_channel, strict=True):
            row[: len(values)] = values
        return np.concatenate([of_banks, padded], axis=1)

    @property
    def within_specification(self) -> bool:
        """Whether no row ever runs outside of what its cells need."""
        epochs = range(self.epochs)
        used = {point for epoch in epochs for point in self.bank_point_at(epoch).ravel().tolist()}
        used |= {self.partitions[rows.partition].point for rows in self.ranges}
        return all(self.points[point].within_specification for point in used)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a result states it."""
        return {
            "mode": self.mode,
            "within_specification": self.within_specification,
            "points": [point.to_dict() for point in self.points],
            "partitions": {partition.name: partition.to_dict() for partition in self.partitions},
            "changes": [
                {"at_cycle": c.at_cycle, "settling_cycles": c.settling_cycles, "point": c.point}
                for c in self.changes
            ],
        }


def resolve_operating_plan(dram: DramConfig) -> tuple[Standard, OperatingPlan]:
    """Resolve a configuration's standard and operating points.

    Parameters
    ----------
    dram
        The configuration's `dram` section.

    Returns
    -------
    Standard
        The standard with the timings of the module's point at the start.
    OperatingPlan
        All operating points; point 0 is the module's at the start.

    Raises
    ------
    ConfigError
        If the standard does not have what the configuration asks for, or the mode forbids it. The
        message begins with the key.
    """

    def load(timings: Mapping[str, int]) -> Standard:
        return load_standard(
            dram.standard,
            organization=dram.organization,
            speed_bin=dram.speed_bin,
            ranks=dram.ranks,
            timings=timings,
        )

    specified = load(dram.timings)
    resolver = _Resolver(dram, specified)
    module = set_knobs(dram)
    resolver.point("dram", module, {})
    table = PartitionTable(dram.channels, specified.organization)
    for index, config in enumerate(dram.partitions):
        prefix = f"dram.partitions.{index}"
        table.add(prefix, config, resolver.point(prefix, set_knobs(config), module))
    changes = _changes(dram.changes, resolver, module)
    timings = resolver.points[0].timings
    plan = OperatingPlan(
        dram.mode,
        dict(specified.timings),
        tuple(resolver.points),
        tuple(table.partitions),
        changes,
        table.partition_of,
        tuple(sorted(table.ranges)),
    )
    return specified if timings == specified.timings else load(dict(timings)), plan


@dataclass(frozen=True)
class _Request:
    """The knobs requested for one point.

    Attributes
    ----------
    prefix
        Configuration key of the module, the partition or the change.
    own
        Knobs that it sets itself.
    knobs
        These and the ones that it inherits from the module.
    """

    prefix: str
    own: Mapping[str, float]
    knobs: Mapping[str, float]

    def key(self, name: str) -> str:
        """Return the configuration key that sets a knob."""
        return f"{self.prefix if name in self.own else 'dram'}.{name}"


class _Resolver:
    """Turns requested knobs into numbered points.

    Equal points of the module share a number, and so do equal points of partitions. A partition
    never shares one with the module: the banks that a change concerns are found by their point.
    """

    def __init__(self, dram: DramConfig, specified: Standard) -> None:
        self.dram = dram
        self.specified = specified
        self.points: list[OperatingPoint] = []
        self._numbers: dict[bool, list[int]] = {False: [], True: []}

    def point(self, prefix: str, own: Mapping[str, float], inherited: Mapping[str, float]) -> int:
        """Return the number of the point that `own` knobs over `inherited` ones describe."""
        point = self._resolved(_Request(prefix, own, {**inherited, **own}))
        numbers = self._numbers[prefix.startswith("dram.partitions.")]
        for number in numbers:
            if self.points[number] == point:
                return number
        numbers.append(len(self.points))
        self.points.append(point)
        return numbers[-1]

    def _resolved(self, request: _Request) -> OperatingPoint:
        standard = self.specified
        currents = standard.currents
        vdd_V = request.knobs.get("vdd_V", currents.vdd_V)
        if not currents.vdd_min_V <= vdd_V <= currents.vdd_max_V:
            raise ConfigError(
                f"{request.prefix}.vdd_V: expected {currents.vdd_min_V:g} to "
                f"{currents.vdd_max_V:g} V for {standard.name}, found {vdd_V:g}"
            )
        supported = vdd_V >= currents.vdd_V or vdd_V >= lowest_supported_V(standard)
        needed = required_timings(standard, vdd_V) if supported else None
        cycles = self._cycles(request)
        base: Mapping[str, int] = standard.timings
        if self.dram.mode == "safe":
            if needed is None:
                raise ConfigError(
                    f"{request.prefix}.vdd_V: expected at least {lowest_supported_V(standard):g} V "
                    f"in safe mode, because the curve of what the cells of {standard.name} need "
                    f"ends there; found {vdd_V:g}"
                )
            self._check_safe(request, cycles, needed, vdd_V)
            base = needed
        timings = with_timings(base, cycles)
        self._check_order(request, timings)
        return OperatingPoint.of(vdd_V, timings, needed, standard.tck_ps, request.knobs)

    def _cycles(self, request: _Request) -> dict[str, int]:
        """Return the requested durations in cycles, by timing."""
        tck_ps = self.specified.tck_ps
        cycles = {}
        for knob in DURATIONS:
            duration_ns = request.knobs.get(knob.name)
            if duration_ns is None:
                continue
            key, timing = request.key(knob.name), knob.timing
            # Partitions and changes may deviate from what `dram.timings` specifies.
            if timing in self.dram.timings and request.prefix == "dram":
                raise ConfigError(
                    f"{key}: {duration_ns:g} and dram.timings.{timing} "
                    f"{self.dram.timings[timing]} are both set; expected one of the two"
                )
            if duration_ns > LONGEST_NS:
                raise ConfigError(
                    f"{key}: expected at most {LONGEST_NS:g} ns, found {duration_ns:g}"
                )
            cycles[timing] = (
                round(duration_ns * 1e6) // (tck_ps * 1000)
                if knob.is_interval
                else cycles_from_ns(duration_ns, tck_ps)
            )
            if cycles[timing] < 1:
                least = "one clock period" if knob.is_interval else "1e-6"
                raise ConfigError(f"{key}: expected at least {least}, found {duration_ns:g}")
        return cycles

    def _check_safe(
        self,
        request: _Request,
        cycles: Mapping[str, int],
        needed: Mapping[str, int],
        vdd_V: float,
    ) -> None:
        """Refuse timings that are too short for the cells."""
        for knob in DURATIONS:
            name = knob.timing
            if name in cycles and _falls_short(name, cycles[name], needed[name]):
                bound = "at most" if knob.is_interval else "at least"
                limit_ns = ns_from_cycles(needed[name], self.specified.tck_ps)
                raise ConfigError(
                    f"{request.key(knob.name)}: expected {bound} {limit_ns:g} ns, which is safe at "
                    f"{vdd_V:g} V, found {request.knobs[knob.name]:g}; "
                    "dram.mode approximate takes timings as they are requested"
                )

    def _check_order(self, request: _Request, timings: Mapping[str, int]) -> None:
        """Refuse a row that would have to close before it is open."""
        if timings["nRCD"] <= timings["nRAS"]:
            return
        tck_ps = self.specified.tck_ps
        rcd_ns, ras_ns = (ns_from_cycles(timings[name], tck_ps) for name in ("nRCD", "nRAS"))
        reason = "a row stays open until it can be read"
        if "tras_ns" in request.own and "trcd_ns" not in request.own:
            raise ConfigError(
                f"{request.prefix}.tras_ns: expected at least nRCD ({rcd_ns:g} ns), "
                f"since {reason}, found {request.own['tras_ns']:g}"
            )
        if "trcd_ns" in request.knobs:
            key, found = request.key("trcd_ns"), f"{request.knobs['trcd_ns']:g} ns"
        else:
            name = "nRCD" if "nRCD" in self.dram.timings else "nRAS"
            key, found = f"dram.timings.{name}", f"nRCD {timings['nRCD']}, nRAS {timings['nRAS']}"
        raise ConfigError(
            f"{key}: expected nRCD to be at most nRAS ({ras_ns:g} ns), since {reason}, "
            f"found {found}; a longer tras_ns allows a longer trcd_ns"
        )


def _changes(
    configs: Sequence[ChangeConfig], resolver: _Resolver, module: Mapping[str, float]
) -> tuple[Change, ...]:
    """Resolve the changes in order; each starts from the knobs that the one before left."""
    changes: list[Change] = []
    knobs = dict(module)
    for index, config in enumerate(configs):
        prefix = f"dram.changes.{index}"
        own = set_knobs(config)
        if not own:
            raise ConfigError(
                f"{prefix}: changes nothing; expected at least one of {', '.join(KNOBS)}"
            )
        if changes:
            _check_after(f"{prefix}.at_cycle", config.at_cycle, changes)
        point = resolver.point(prefix, own, knobs)
        knobs |= own
        settling_cycles = cycles_from_ns(config.settling_ns, resolver.specified.tck_ps)
        changes.append(Change(config.at_cycle, settling_cycles, point))
    return tuple(changes)


def _check_after(key: str, at_cycle: int, changes: Sequence[Change]) -> None:
    """Refuse a change that comes before the last one, or before that has settled."""
    last, name = changes[-1], f"dram.changes.{len(changes) - 1}"
    settled_at = last.at_cycle + last.settling_cycles
    if at_cycle <= last.at_cycle:
        raise ConfigError(
            f"{key}: expected more than {last.at_cycle}, the cycle of {name}, found {at_cycle}"
        )
    if at_cycle < settled_at:
        raise ConfigError(
            f"{key}: expected at least {settled_at}, when {name} has settled, found {at_cycle}"
        )
