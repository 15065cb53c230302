"""A resolved DRAM standard: organization, timings in cycles, constraints and currents.

Standards are data (`configs/dram/*.yaml`). `load_standard` reads one, picks an organization and a
speed bin, applies overrides and evaluates every expression, so that nothing after it looks up a
table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edensim.dram.expressions import parse_expression
from edensim.dram.standard_file import (
    CurrentsRow,
    Geometry,
    StandardFile,
    find_standard,
    read_standard_file,
)
from edensim.dram.standard_file import standard_names as _standard_names
from edensim.exceptions import ConfigError, nearest
from edensim.vocabulary import Command, Level, cycles_from_ns


@dataclass(frozen=True, slots=True)
class Organization:
    """Geometry of one channel.

    Attributes
    ----------
    device_width, channel_width
        Widths in bits.
    bankgroups, banks
        Bank groups per rank, 1 if the standard has none, and banks per bank group.
    columns
        Columns per row as the standard counts them, in units of the device width.
    prefetch
        Columns per burst.
    """

    name: str
    density_Mb: int
    device_width: int
    channel_width: int
    ranks: int
    bankgroups: int
    banks: int
    rows: int
    columns: int
    prefetch: int

    @property
    def devices_per_rank(self) -> int:
        """Devices in lock-step on the data bus."""
        return self.channel_width // self.device_width

    @property
    def access_bytes(self) -> int:
        """Bytes that one column command moves: 64 on a 64-bit bus with bursts of 8."""
        return self.channel_width * self.prefetch // 8

    @property
    def bursts_per_row(self) -> int:
        """Bursts that a row holds."""
        return self.columns // self.prefetch

    @property
    def banks_per_rank(self) -> int:
        """Banks of all bank groups of a rank."""
        return self.bankgroups * self.banks

    @property
    def banks_per_channel(self) -> int:
        """Banks of all ranks of a channel."""
        return self.ranks * self.bankgroups * self.banks

    @property
    def channel_bytes(self) -> int:
        """Capacity of one channel."""
        return self.banks_per_channel * self.rows * self.bursts_per_row * self.access_bytes


@dataclass(frozen=True, slots=True)
class Constraint:
    """A least distance from an `after` command to a `before` command on a node of `level`.

    Attributes
    ----------
    gap, gap_cycles
        The distance as an expression over timing names, such as `nCWL + nBL + nWTRS`, and its value
        with the resolved timings.
    window
        The distance counts from the window-th most recent `after` command (4 for tFAW).
    sibling
        The rule holds between different nodes of one parent, as for the turnaround from rank to
        rank, instead of on one node.
    """

    level: Level
    after: tuple[Command, ...]
    before: tuple[Command, ...]
    gap: str
    gap_cycles: int
    window: int = 1
    sibling: bool = False


@dataclass(frozen=True, slots=True)
class Currents:
    """Supply voltages and currents of one device, as the JEDEC IDD loops define them.

    Attributes
    ----------
    idd5_mA
        Current during tRFC (IDD5B, IDD5AB).
    vpp_V, ipp0_mA
        The VPP rail; 0 if the standard has none.
    idd5pb_mA
        Current during tRFCpb; 0 if the standard has no per-bank refresh.
    vdd_min_V, vdd_max_V
        Lowest and highest supply voltage that `dram.vdd_V` may ask for.
    """

    vdd_V: float
    idd0_mA: float
    idd2n_mA: float
    idd2p_mA: float
    idd3n_mA: float
    idd3p_mA: float
    idd4r_mA: float
    idd4w_mA: float
    idd5_mA: float
    idd6_mA: float
    vpp_V: float = 0.0
    ipp0_mA: float = 0.0
    idd5pb_mA: float = 0.0
    vdd_min_V: float = 0.0
    vdd_max_V: float = 0.0


@dataclass(frozen=True, slots=True)
class Interface:
    """One data wire between controller and device.

    Attributes
    ----------
    scheme
        `split` (two resistors to VDDQ and ground, together termination_ohm to VDDQ / 2), `pull-up`
        (termination_ohm to VDDQ) or `none` (a capacitive load).
    """

    scheme: str
    vddq_V: float
    driver_ohm: float = 0.0
    termination_ohm: float = 0.0
    load_pF: float = 0.0


@dataclass(frozen=True, slots=True)
class Standard:
    """One standard with organization, speed bin and overrides applied.

    Attributes
    ----------
    timings
        Cycles by name (nRCD, nCL, ...).
    read_latency, write_latency
        Cycles from RD or WR to the last data beat (nCL + nBL, nCWL + nBL).
    interface
        The data wires, None if they are not known.
    currents_caveat
        Why the currents are not this device's own; empty if they are.
    """

    name: str
    organization: Organization
    speed_bin: str
    rate_MTps: int
    tck_ps: int
    commands: tuple[Command, ...]
    timings: Mapping[str, int]
    constraints: tuple[Constraint, ...]
    read_latency: int
    write_latency: int
    currents: Currents
    source: str
    interface: Interface | None = None
    currents_caveat: str = ""

    @property
    def peak_bandwidth_GBps(self) -> float:
        """Peak bandwidth of one channel: an access every nBL cycles."""
        return self.organization.access_bytes * 1000 / (self.timings["nBL"] * self.tck_ps)

    def gaps_with(self, timings: Mapping[str, int]) -> tuple[int, ...]:
        """Return the gap of each constraint under other timings, such as an operating point's."""
        return tuple(
            parse_expression(constraint.gap).value(timings) for constraint in self.constraints
        )


def standard_names(*, folder: Path | None = None) -> tuple[str, ...]:
    """List the names that `load_standard` knows, in alphabetical order.

    They are edensim's, those of plug-ins, those in $EDENSIM_CONFIGS and those in `folder`.
    """
    return tuple(_standard_names(folder))


def load_standard(
    name: str,
    *,
    organization: str | None = None,
    speed_bin: str | None = None,
    ranks: int = 1,
    timings: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> Standard:
    """Load a standard, pick an organization and a speed bin, and apply overrides.

    Parameters
    ----------
    name
        Name of a standard that `standard_names` lists, or the path of a .yaml file.
    organization, speed_bin
        Names such as `8Gb_x8` or `DDR4_8Gb_x8`; None means the standard's default.
    ranks
        Number of ranks.
    timings
        Timings in cycles that replace the resolved ones. Others, such as nRC, do not follow.
    folder
        A further folder of standards, which is searched first.

    Raises
    ------
    ConfigError
        If a name is not known or the file breaks a rule.
    """
    file = read_standard_file(find_standard(name, folder), folder)
    content = file.content
    organization = _choose(
        "organization", organization or content.default_organization, file.organizations, file
    )
    speed_bin = _choose("speed_bin", speed_bin or content.default_speed_bin, file.speed_bins, file)
    if isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1:
        raise ConfigError(f"dram.ranks: expected a positive whole number, found {ranks!r}")
    geometry, speed = file.organizations[organization], file.speed_bins[speed_bin]
    resolved = _resolve_timings(file, organization, speed_bin, timings or {})
    currents, currents_source, caveat = _currents(file, geometry, speed["rate_MTps"])
    sizes = {**msgspec.structs.asdict(geometry), "ranks": ranks, "prefetch": content.prefetch}
    return Standard(
        name=content.name,
        organization=Organization(organization, **sizes),
        speed_bin=speed_bin,
        rate_MTps=speed["rate_MTps"],
        tck_ps=speed["tck_ps"],
        commands=file.commands,
        timings=resolved,
        constraints=_constraints(file, resolved),
        read_latency=file.read_latency.value(resolved),
        write_latency=file.write_latency.value(resolved),
        currents=currents,
        source=f"{content.source}; {currents_source}",
        interface=_interface(file),
        currents_caveat=caveat,
    )


def _interface(file: StandardFile) -> Interface | None:
    return None if file.interface is None else Interface(**msgspec.structs.asdict(file.interface))


def _constraints(file: StandardFile, timings: Mapping[str, int]) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(
            rule.level,
            rule.after,
            rule.before,
            rule.gap.text,
            rule.gap.value(timings),
            rule.window,
            rule.sibling,
        )
        for rule in file.rules
    )


def _choose(key: str, value: str, known: Iterable[str], file: StandardFile) -> str:
    """Return `8Gb_x8` for `8Gb_x8` or `DDR4_8Gb_x8`."""
    known = tuple(known)
    for prefix in ("", *(f"{name}_" for name in file.family)):
        if value.startswith(prefix) and value[len(prefix) :] in known:
            return value[len(prefix) :]
    default = getattr(file.content, f"default_{key}")
    hint = f"; did you mean {default!r}?" if default.startswith(value) else nearest(value, known)
    raise ConfigError(
        f"dram.{key}: {file.content.name} has no {value!r}{hint}; "
        f"expected one of {', '.join(known)} ({file.path})"
    )


def _resolve_timings(
    file: StandardFile, organization: str, speed_bin: str, overrides: Mapping[str, int]
) -> dict[str, int]:
    """Return all timings in cycles: of the speed bin, derived ones, and overrides."""
    names = file.timing_names
    for key, value in overrides.items():
        if key not in names:
            raise ConfigError(
                f"dram.timings.{key}: {file.content.name} has no timing {key!r}"
                f"{nearest(key, names)}; expected one of {', '.join(names)}"
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(
                f"dram.timings.{key}: expected a whole number of clock cycles, 0 or more, "
                f"found {value!r}"
            )
    geometry, speed = file.organizations[organization], file.speed_bins[speed_bin]
    resolved = {name: value for name, value in speed.items() if name in names}
    for name, rows in file.content.derived_timings.items():
        rate_MTps = speed["rate_MTps"]
        row = next((row for row in rows if row.applies(geometry, rate_MTps)), None)
        if row is not None:
            derived_cycles = cycles_from_ns(row.ns or 0.0, speed["tck_ps"])
            resolved[name] = derived_cycles if row.cycles is None else row.cycles
        elif name not in overrides:
            raise ConfigError(
                f"{file.path}: derived_timings.{name}: no row applies to {organization} at "
                f"{speed_bin}; set dram.timings.{name} (cycles)"
            )
    resolved |= overrides
    for name in ("nBL", "nRCD"):  # a burst, and opening a row, take time; other timings may be 0
        if resolved[name] < 1:
            place = f"dram.timings.{name}" if name in overrides else f"{file.path}: {name}"
            raise ConfigError(f"{place}: expected a whole number from 1, found {resolved[name]}")
    return resolved


def _currents(file: StandardFile, geometry: Geometry, rate_MTps: int) -> tuple[Currents, str, str]:
    """Return the currents of the nearest device that has some, their source, and their caveat.

    Width decides first, then density, each by ratio, and the larger of two equally near ones; then
    the lowest rate that is not below `rate_MTps`, or the highest.
    """
    sets = list(file.currents)
    for field in ("device_width", "density_Mb"):
        size = getattr(geometry, field)
        nearest_size = min(
            (getattr(row, field) for row in sets),
            key=lambda value: (max(value / size, size / value), -value),
        )
        sets = [row for row in sets if getattr(row, field) == nearest_size]
    fast_enough = [row for row in sets if row.rate_MTps >= rate_MTps]

    def rate(row: CurrentsRow) -> float:
        return row.rate_MTps

    chosen = min(fast_enough, key=rate) if fast_enough else max(sets, key=rate)
    values = msgspec.structs.asdict(chosen)
    device = tuple(values.pop(field) for field in ("density_Mb", "device_width", "rate_MTps"))
    borrowed = device != (geometry.density_Mb, geometry.device_width, rate_MTps)
    table, nominal_V = file.content.currents, file.content.supply.vdd_V
    other_V = table.measured_V not in (None, nominal_V)
    caveats = [
        text
        for text, is_so in (
            ("illustrative, of no real device", table.illustrative),
            (
                f"borrowed from {device[0] / 1024:g}Gb_x{device[1]:g} at {device[2]:g} MT/s",
                borrowed,
            ),
            (f"stated for {table.measured_V} V, used at {nominal_V:g} V", other_V),
        )
        if is_so
    ]
    source = (
        f"currents {'borrowed from' if borrowed else 'of'} {device[0] / 1024:g}Gb_x{device[1]:g} "
        f"at {device[2]:g} MT/s, {file.content.currents.source}"
    )
    return (
        Currents(**msgspec.structs.asdict(file.content.supply), **values),
        source,
        "; ".join(caveats),
    )
