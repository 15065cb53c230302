"""Operating points: supply voltage and timings below (or above) what the standard specifies, for the module, its partitions, and over time.

What the device is specified for is the standard with `dram.timings`. What it is run at are `dram.vdd_V` and the durations `dram.trcd_ns`,
`trp_ns`, `tras_ns`, `twr_ns` (rounded up to cycles) and `trefi_ns` (of the module; rounded down, so that no cell waits longer than asked).
Timings that follow others move along (`voltage.with_timings`): nRC with nRAS and nRP, nRCDWR with nRCD, nRPab with nRP, nREFIpb with nREFI.

`approximate`: timings are as asked, whatever VDD is. `safe`: they are what the cells need at that VDD, or longer where longer is asked;
asking for shorter ones is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ChangeConfig, DramConfig, PartitionConfig
from edensim.dram.partitions import Partition, RowRange, resolve_partition
from edensim.dram.standard import Standard, load_standard
from edensim.dram.voltage import lowest_supported_V, required_timings, with_timings
from edensim.exceptions import ConfigError
from edensim.vocabulary import cycles_from_ns, ns_from_cycles

#: Configuration keys of an operating point and the timing each sets.
DURATIONS: Mapping[str, str] = {
    "trcd_ns": "nRCD",
    "trp_ns": "nRP",
    "tras_ns": "nRAS",
    "twr_ns": "nWR",
}
#: No duration is longer: 100 ms, more than any refresh period.
LONGEST_NS = 1e8


def _falls_short(name: str, cycles: int, needed: int) -> bool:
    """A timing is shorter than needed; a refresh interval longer."""
    return cycles > needed if name.startswith("nREFI") else cycles < needed


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What some banks run at.

    timings: all timings in cycles, as run. needed: those that the cells need at this VDD; None below what the curve supports, where no
    timing is known to be enough, so that every access is outside specification.
    """

    vdd_V: float
    timings: Mapping[str, int]
    needed: Mapping[str, int] | None

    @property
    def shortened(self) -> tuple[str, ...]:
        """Names of timings that are shorter (nREFI: longer) than the cells need, in alphabetical order."""
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
        return not self.shortened

    def to_dict(self) -> dict[str, Any]:
        """What a result says about it: knobs in cycles, and which timings are too short."""
        outside = ["all"] if self.needed is None else list(self.shortened)
        return {
            "vdd_V": self.vdd_V,
            **{name: self.timings[name] for name in (*DURATIONS.values(), "nREFI")},
            "outside_specification": outside,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """From `at_cycle` on the module (not its partitions) runs at another point; no command is issued for `settling_cycles`."""

    at_cycle: int
    settling_cycles: int
    point: int


@dataclass(frozen=True, eq=False)
class OperatingPlan:
    """All operating points of a run and who runs at which, when.

    points: index 0 is the module at the start. specified: timings of the device at its nominal VDD (energies of events are those of its
    data sheet, whatever the timings are). partition_of: [channels, banks_per_channel] index into `partitions`, -1 for the module.
    ranges: rows of banks that are (parts of) partitions, in order; such a bank's other rows are the module's.

    A cell is what commands are counted for: a channel's banks, then its ranges of rows.
    """

    mode: str
    specified: Mapping[str, int]
    points: tuple[OperatingPoint, ...]
    partitions: tuple[Partition, ...]
    changes: tuple[Change, ...]
    partition_of: NDArray[np.int16]
    ranges: tuple[RowRange, ...] = ()

    @property
    def timing_classes(self) -> tuple[tuple[Mapping[str, int], ...], tuple[int, ...]]:
        """Distinct timings, point 0's first, and for each point which of them it has: points that differ in VDD alone share one."""
        classes: list[Mapping[str, int]] = []
        for point in self.points:
            if point.timings not in classes:
                classes.append(point.timings)
        return tuple(classes), tuple(classes.index(point.timings) for point in self.points)

    @property
    def stages(self) -> int:
        """Stretches of the run between changes: one more than there are changes."""
        return len(self.changes) + 1

    def module_point(self, stage: int = 0) -> int:
        """Point of the module after `stage` changes."""
        return self.changes[stage - 1].point if stage else 0

    @property
    def bank_point(self) -> NDArray[np.int16]:
        """[channels, banks_per_channel] point of each bank at the start."""
        return self.bank_point_at(0)

    def bank_point_at(self, stage: int) -> NDArray[np.int16]:
        """[channels, banks_per_channel] point of each bank after `stage` changes."""
        of_partition = np.array(
            [*(partition.point for partition in self.partitions), self.module_point(stage)],
            np.int16,
        )
        return of_partition[self.partition_of]  # -1 takes the last one, the module's

    def ranges_of(self, channel: int) -> tuple[RowRange, ...]:
        """The ranges of rows of one channel, those of a bank one after the other."""
        return tuple(rows for rows in self.ranges if rows.channel == channel)

    @property
    def cell_partition(self) -> NDArray[np.int16]:
        """[channels, cells] index into `partitions` of each bank, then of each range of rows; -1: the module, -2: the channel has fewer ranges."""
        return self._with_ranges(self.partition_of, [rows.partition for rows in self.ranges], -2)

    def cell_point_at(self, stage: int) -> NDArray[np.int16]:
        """[channels, cells] point of each bank, then of each range of rows (0 where a channel has fewer), after `stage` changes."""
        return self._with_ranges(
            self.bank_point_at(stage),
            [self.partitions[rows.partition].point for rows in self.ranges],
            0,
        )

    def _with_ranges(
        self, of_banks: NDArray[np.int16], of_ranges: Sequence[int], missing: int
    ) -> NDArray[np.int16]:
        if not self.ranges:
            return of_banks
        channels = len(of_banks)
        columns = [
            [
                value
                for rows, value in zip(self.ranges, of_ranges, strict=True)
                if rows.channel == channel
            ]
            for channel in range(channels)
        ]
        most = max(map(len, columns))
        padded = np.array(
            [[*column, *[missing] * (most - len(column))] for column in columns], np.int16
        )
        return np.concatenate([of_banks, padded], axis=1)

    @property
    def within_specification(self) -> bool:
        """No bank runs outside of what its cells need, at any time."""
        used = {
            index
            for stage in range(self.stages)
            for index in self.bank_point_at(stage).ravel().tolist()
        }
        used |= {self.partitions[rows.partition].point for rows in self.ranges}
        return all(self.points[index].within_specification for index in used)

    def to_dict(self) -> dict[str, Any]:
        """What a result says about it."""
        return {
            "mode": self.mode,
            "within_specification": self.within_specification,
            "points": [point.to_dict() for point in self.points],
            "partitions": {p.name: _partition_dict(p) for p in self.partitions},
            "changes": [
                {"at_cycle": c.at_cycle, "settling_cycles": c.settling_cycles, "point": c.point}
                for c in self.changes
            ],
        }


def _partition_dict(partition: Partition) -> dict[str, Any]:
    told: dict[str, Any] = {
        "channels": list(partition.channels),
        "banks": list(partition.banks),
        "point": partition.point,
    }
    return told | {"rows": [list(span) for span in partition.rows]} if partition.rows else told


def resolve_standard(dram: DramConfig) -> Standard:
    """The standard of a configuration with the timings of its module's operating point. Raises ConfigError."""
    return resolve_operating_plan(dram)[0]


def resolve_operating_plan(dram: DramConfig) -> tuple[Standard, OperatingPlan]:
    """The standard at the module's operating point (point 0), and all operating points.

    Raises ConfigError, its message begun with the key, for what the standard does not have or the mode does not allow.
    """
    specified = load_standard(
        dram.standard,
        organization=dram.organization,
        speed_bin=dram.speed_bin,
        ranks=dram.ranks,
        timings=dram.timings,
    )
    resolver = _Resolver(dram, specified)
    resolver.point("dram", {"trefi_ns": dram.trefi_ns, **_asked(dram)})
    partition_of = np.full((dram.channels, specified.organization.banks_per_channel), -1, np.int16)
    partitions: list[Partition] = []
    ranges: list[RowRange] = []
    for index, config in enumerate(dram.partitions):
        prefix = f"dram.partitions.{index}"
        point = resolver.point(prefix, _asked(config), resolver.module)
        partitions.append(
            resolve_partition(
                prefix, config, specified.organization, point, partition_of, partitions, ranges
            )
        )
    changes = _changes(dram.changes, resolver, specified.tck_ps)
    points = tuple(resolver.points)
    standard = specified
    if points[0].timings != specified.timings:
        standard = load_standard(
            dram.standard,
            organization=dram.organization,
            speed_bin=dram.speed_bin,
            ranks=dram.ranks,
            timings=dict(points[0].timings),
        )
    plan = OperatingPlan(
        dram.mode,
        dict(specified.timings),
        points,
        tuple(partitions),
        changes,
        partition_of,
        tuple(sorted(ranges)),
    )
    return standard, plan


def _asked(config: DramConfig | PartitionConfig | ChangeConfig) -> dict[str, float | None]:
    return {key: getattr(config, key) for key in ("vdd_V", *DURATIONS)}


class _Resolver:
    """Turns what is asked into points. Equal ones of the module are one, and equal ones of partitions; a partition's is never the module's, so
    that a change of the module's finds its banks by their point.
    """

    def __init__(self, dram: DramConfig, specified: Standard) -> None:
        self.dram = dram
        self.specified = specified
        self.points: list[OperatingPoint] = []
        self.module: dict[str, float | None] = {}
        self._indices: dict[bool, list[int]] = {False: [], True: []}

    def point(
        self,
        prefix: str,
        asked: Mapping[str, float | None],
        under: Mapping[str, float | None] | None = None,
    ) -> int:
        """Index of the point that `asked` (over what is asked `under` it: the module's keys) describes."""
        keys = {
            **(under or {}),
            **{key: value for key, value in asked.items() if value is not None},
        }
        if not self.points:
            self.module = keys
        point = self._resolved(prefix, asked, keys)
        own = self._indices[prefix.startswith("dram.partitions.")]
        for index in own:
            if self.points[index] == point:
                return index
        own.append(len(self.points))
        self.points.append(point)
        return own[-1]

    def _resolved(
        self, prefix: str, own: Mapping[str, float | None], keys: Mapping[str, float | None]
    ) -> OperatingPoint:
        currents = self.specified.currents
        vdd_V = keys.get("vdd_V") or currents.vdd_V
        if not currents.vdd_min_V <= vdd_V <= currents.vdd_max_V:
            raise ConfigError(
                f"{prefix}.vdd_V: expected {currents.vdd_min_V:g} to {currents.vdd_max_V:g} V for {self.specified.name}, found {vdd_V:g}"
            )
        supported = vdd_V >= currents.vdd_V or vdd_V >= lowest_supported_V(self.specified)
        needed = required_timings(self.specified, vdd_V) if supported else None
        changed = self._changed(prefix, own, keys)
        base: Mapping[str, int] = self.specified.timings
        if self.dram.mode == "safe":
            if needed is None:
                raise ConfigError(
                    f"{prefix}.vdd_V: expected at least {lowest_supported_V(self.specified):g} V in safe mode, where the curve of what cells need "
                    f"ends for {self.specified.name}, found {vdd_V:g}"
                )
            self._check_safe(prefix, own, keys, changed, needed, vdd_V)
            base = needed
        timings = with_timings(base, changed)
        self._check_order(prefix, own, timings)
        return OperatingPoint(vdd_V, timings, needed)

    def _changed(
        self, prefix: str, own: Mapping[str, float | None], keys: Mapping[str, float | None]
    ) -> dict[str, int]:
        """Timings in cycles that durations ask for."""
        tck_ps = self.specified.tck_ps
        changed = {}
        for key, name in (*DURATIONS.items(), ("trefi_ns", "nREFI")):
            duration_ns = keys.get(key)
            if duration_ns is None:
                continue
            place = prefix if own.get(key) is not None else "dram"
            if (
                name in self.dram.timings and prefix == "dram"
            ):  # what partitions and changes ask for stands beside what is specified
                raise ConfigError(
                    f"{place}.{key}: {duration_ns:g} and dram.timings.{name} {self.dram.timings[name]} are both set; expected one of the two"
                )
            if duration_ns > LONGEST_NS:
                raise ConfigError(
                    f"{place}.{key}: expected at most {LONGEST_NS:g} ns, found {duration_ns:g}"
                )
            changed[name] = (
                round(duration_ns * 1e6) // (tck_ps * 1000)
                if key == "trefi_ns"
                else cycles_from_ns(duration_ns, tck_ps)
            )
            if changed[name] < 1:
                raise ConfigError(
                    f"{place}.{key}: expected at least {'one clock period' if key == 'trefi_ns' else '1e-6'}, found {duration_ns:g}"
                )
        return changed

    def _check_safe(
        self,
        prefix: str,
        own: Mapping[str, float | None],
        keys: Mapping[str, float | None],
        changed: Mapping[str, int],
        needed: Mapping[str, int],
        vdd_V: float,
    ) -> None:
        """Refuse timings that are too short for the cells."""
        for key, name in (*DURATIONS.items(), ("trefi_ns", "nREFI")):
            if name not in changed:
                continue
            if _falls_short(name, changed[name], needed[name]):
                place = prefix if own.get(key) is not None else "dram"
                limit_ns = ns_from_cycles(needed[name], self.specified.tck_ps)
                raise ConfigError(
                    f"{place}.{key}: expected {'at most' if key == 'trefi_ns' else 'at least'} {limit_ns:g} ns, which is safe at {vdd_V:g} V, "
                    f"found {keys[key]:g}; dram.mode approximate takes timings as they are asked"
                )

    def _check_order(
        self, prefix: str, own: Mapping[str, float | None], timings: Mapping[str, int]
    ) -> None:
        """Refuse a row that would have to close before it is open."""
        if timings["nRCD"] <= timings["nRAS"]:
            return
        rcd_ns, ras_ns = (
            ns_from_cycles(timings[name], self.specified.tck_ps) for name in ("nRCD", "nRAS")
        )
        if own.get("trcd_ns") is None and own.get("tras_ns") is not None:
            raise ConfigError(
                f"{prefix}.tras_ns: expected at least nRCD ({rcd_ns:g} ns), found {own['tras_ns']:g}"
            )
        found = own.get("trcd_ns") or rcd_ns
        raise ConfigError(
            f"{prefix}.trcd_ns: expected at most nRAS ({ras_ns:g} ns), found {found:g}"
        )


def _changes(
    configs: Sequence[ChangeConfig], resolver: _Resolver, tck_ps: int
) -> tuple[Change, ...]:
    """Changes in their order; each stands on the one before."""
    changes: list[Change] = []
    state = resolver.module
    for index, config in enumerate(configs):
        prefix = f"dram.changes.{index}"
        asked = {**_asked(config), "trefi_ns": config.trefi_ns}
        if all(value is None for value in asked.values()):
            raise ConfigError(
                f"{prefix}: changes nothing; expected at least one of {', '.join(asked)}"
            )
        if changes:
            free_from = changes[-1].at_cycle + changes[-1].settling_cycles
            if config.at_cycle <= changes[-1].at_cycle:
                raise ConfigError(
                    f"{prefix}.at_cycle: expected more than {changes[-1].at_cycle}, the cycle of dram.changes.{index - 1}, found {config.at_cycle}"
                )
            if config.at_cycle < free_from:
                raise ConfigError(
                    f"{prefix}.at_cycle: expected at least {free_from}, when dram.changes.{index - 1} has settled, found {config.at_cycle}"
                )
        point = resolver.point(prefix, asked, state)
        state = {**state, **{key: value for key, value in asked.items() if value is not None}}
        changes.append(Change(config.at_cycle, cycles_from_ns(config.settling_ns, tck_ps), point))
    return tuple(changes)
