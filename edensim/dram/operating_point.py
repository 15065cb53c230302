"""Operating points: supply voltage and timings below (or above) what the standard specifies, for the module, its partitions, and over time.

What the device is specified for is the standard with `dram.timings`. What it is run at are `dram.vdd_V` and the durations `dram.trcd_ns`,
`trp_ns`, `tras_ns`, `twr_ns` (rounded up to cycles) and `trefi_ns` (rounded down, so that no cell waits longer than asked). Timings that
follow others move along (`voltage.with_timings`): nRC with nRAS and nRP, nRCDWR with nRCD, nRPab with nRP, nREFIpb with nREFI.

`approximate`: timings are as asked, whatever VDD is. `safe`: they are what the cells need at that VDD, or longer where longer is asked;
asking for shorter ones is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config import ChangeConfig, DramConfig, PartitionConfig
from edensim.dram.standard import Organization, Standard, load_standard
from edensim.dram.voltage import lowest_supported_V, required_timings, with_timings
from edensim.exceptions import ConfigError
from edensim.units import cycles_from_ns, ns_from_cycles

#: Configuration keys of an operating point and the timing each sets.
DURATIONS: Mapping[str, str] = {"trcd_ns": "nRCD", "trp_ns": "nRP", "tras_ns": "nRAS", "twr_ns": "nWR"}


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
        longer_is_worse = ("nREFI", "nREFIpb")
        return tuple(
            sorted(name for name, need in self.needed.items() if (self.timings[name] > need if name in longer_is_worse else self.timings[name] < need))
        )

    @property
    def within_specification(self) -> bool:
        return not self.shortened


@dataclass(frozen=True, slots=True)
class Partition:
    """Banks with a point of their own. banks: flat banks in each of `channels`. point: index into the plan's points."""

    name: str
    channels: tuple[int, ...]
    banks: tuple[int, ...]
    point: int


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
    """

    mode: str
    specified: Mapping[str, int]
    points: tuple[OperatingPoint, ...]
    partitions: tuple[Partition, ...]
    changes: tuple[Change, ...]
    partition_of: NDArray[np.int16]

    @property
    def stages(self) -> int:
        """Stretches of the run between changes: one more than there are changes."""
        return len(self.changes) + 1

    def module_point(self, stage: int = 0) -> int:
        """Point of the module after `stage` changes."""
        return self.changes[stage - 1].point if stage else 0

    def bank_point(self, stage: int = 0) -> NDArray[np.int16]:
        """[channels, banks_per_channel] point of each bank after `stage` changes."""
        of_partition = np.array([*(partition.point for partition in self.partitions), self.module_point(stage)], np.int16)
        return of_partition[self.partition_of]  # -1 takes the last one, the module's

    @property
    def within_specification(self) -> bool:
        """No bank runs outside of what its cells need, at any time."""
        return all(self.points[index].within_specification for stage in range(self.stages) for index in np.unique(self.bank_point(stage)))

    def to_dict(self) -> dict[str, Any]:
        """What a result says about it."""
        return {
            "mode": self.mode,
            "within_specification": self.within_specification,
            "points": [
                {"vdd_V": point.vdd_V, **{name: point.timings[name] for name in (*DURATIONS.values(), "nREFI")}, "outside_specification": list(point.shortened)
                 if point.needed is not None else ["all"]}
                for point in self.points
            ],
            "partitions": {p.name: {"channels": list(p.channels), "banks": list(p.banks), "point": p.point} for p in self.partitions},
            "changes": [{"at_cycle": c.at_cycle, "settling_cycles": c.settling_cycles, "point": c.point} for c in self.changes],
        }


def resolve_standard(dram: DramConfig) -> Standard:
    """The standard of a configuration with the timings of its module's operating point. Raises ConfigError."""
    return resolve_operating_plan(dram)[0]


def resolve_operating_plan(dram: DramConfig) -> tuple[Standard, OperatingPlan]:
    """The standard at the module's operating point (point 0), and all operating points.

    Raises ConfigError, its message begun with the key, for what the standard does not have or the mode does not allow.
    """
    specified = load_standard(dram.standard, organization=dram.organization, speed_bin=dram.speed_bin, ranks=dram.ranks, timings=dram.timings)
    if dram.trefi_ns is not None:
        _refuse_twice(dram, "trefi_ns", "nREFI")
    resolver = _Resolver(dram, specified)
    resolver.point("dram", {"trefi_ns": dram.trefi_ns, **_asked(dram)})
    partition_of = np.full((dram.channels, specified.organization.banks_per_channel), -1, np.int16)
    partitions = tuple(
        _partition(index, config, specified.organization, resolver, partition_of) for index, config in enumerate(dram.partitions)
    )
    changes = _changes(dram.changes, resolver, specified.tck_ps)
    points = tuple(resolver.points)
    standard = specified
    if points[0].timings != specified.timings:
        standard = load_standard(
            dram.standard, organization=dram.organization, speed_bin=dram.speed_bin, ranks=dram.ranks, timings=dict(points[0].timings)
        )
    return standard, OperatingPlan(dram.mode, dict(specified.timings), points, partitions, changes, partition_of)


def _asked(config: DramConfig | PartitionConfig | ChangeConfig) -> dict[str, float | None]:
    return {key: getattr(config, key) for key in ("vdd_V", *DURATIONS)}


class _Resolver:
    """Turns what is asked into points; equal ones are one."""

    def __init__(self, dram: DramConfig, specified: Standard) -> None:
        self.dram = dram
        self.specified = specified
        self.points: list[OperatingPoint] = []
        self.module: dict[str, float | None] = {}

    def point(self, prefix: str, asked: Mapping[str, float | None], under: Mapping[str, float | None] | None = None) -> int:
        """Index of the point that `asked` (over what is asked `under` it: the module's keys) describes."""
        keys = {**(under or {}), **{key: value for key, value in asked.items() if value is not None}}
        if not self.points:
            self.module = keys
        point = self._resolved(prefix, asked, keys)
        if point not in self.points:
            self.points.append(point)
        return self.points.index(point)

    def _resolved(self, prefix: str, own: Mapping[str, float | None], keys: Mapping[str, float | None]) -> OperatingPoint:
        currents, tck_ps = self.specified.currents, self.specified.tck_ps
        vdd_V = keys.get("vdd_V") or currents.vdd_V
        if not currents.vdd_min_V <= vdd_V <= currents.vdd_max_V:
            raise ConfigError(
                f"{prefix}.vdd_V: expected {currents.vdd_min_V:g} to {currents.vdd_max_V:g} V for {self.specified.name}, found {vdd_V:g}"
            )
        safe, lowest_V = self.dram.mode == "safe", lowest_supported_V(self.specified)
        if safe and vdd_V < lowest_V:
            raise ConfigError(
                f"{prefix}.vdd_V: expected at least {lowest_V:g} V in safe mode, where the curve of what cells need ends for "
                f"{self.specified.name}, found {vdd_V:g}"
            )
        needed = required_timings(self.specified, vdd_V) if vdd_V >= lowest_V else None
        changed: dict[str, int] = {}
        for key, name in DURATIONS.items():
            duration_ns = keys.get(key)
            if duration_ns is not None:
                _refuse_twice(self.dram, key, name, prefix if own.get(key) is not None else "dram")
                changed[name] = cycles_from_ns(duration_ns, tck_ps)
        trefi_ns = keys.get("trefi_ns")
        if trefi_ns is not None:
            changed["nREFI"] = int(round(trefi_ns * 1e6) // (tck_ps * 1000))
            if changed["nREFI"] < 1:
                raise ConfigError(f"dram.trefi_ns: expected at least one clock period ({tck_ps / 1000:g} ns), found {trefi_ns:g}")
        if safe and needed is not None:
            self._check_safe(prefix, own, keys, changed, needed, vdd_V)
        timings = with_timings(needed if safe and needed is not None else self.specified.timings, changed)
        if "nRC" in self.dram.timings and not safe:
            timings["nRC"] = self.dram.timings["nRC"]
        self._check_order(prefix, own, timings)
        return OperatingPoint(vdd_V, timings, needed)

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
            longer_is_worse = name == "nREFI"
            if changed[name] > needed[name] if longer_is_worse else changed[name] < needed[name]:
                place = prefix if own.get(key) is not None else "dram"
                limit_ns = ns_from_cycles(needed[name], self.specified.tck_ps)
                raise ConfigError(
                    f"{place}.{key}: expected {'at most' if longer_is_worse else 'at least'} {limit_ns:g} ns, which is safe at {vdd_V:g} V, "
                    f"found {keys[key]:g}; dram.mode approximate takes timings as they are asked"
                )

    def _check_order(self, prefix: str, own: Mapping[str, float | None], timings: Mapping[str, int]) -> None:
        """Refuse a row that would have to close before it is open."""
        if timings["nRCD"] <= timings["nRAS"]:
            return
        rcd_ns, ras_ns = (ns_from_cycles(timings[name], self.specified.tck_ps) for name in ("nRCD", "nRAS"))
        if own.get("trcd_ns") is None and own.get("tras_ns") is not None:
            raise ConfigError(f"{prefix}.tras_ns: expected at least nRCD ({rcd_ns:g} ns), found {own['tras_ns']:g}")
        found = own.get("trcd_ns") or rcd_ns
        raise ConfigError(f"{prefix}.trcd_ns: expected at most nRAS ({ras_ns:g} ns), found {found:g}")


def _refuse_twice(dram: DramConfig, key: str, name: str, prefix: str = "dram") -> None:
    if name in dram.timings:
        raise ConfigError(
            f"{prefix}.{key}: {key} (a duration that banks are run at) and dram.timings.{name} {dram.timings[name]} are both set; expected one of the two"
        )
