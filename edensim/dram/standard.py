"""A DRAM standard, resolved: organization, timings in cycles, constraints, currents.

Standards are data (`configs/dram/*.yaml`). `load_standard` reads one, picks an organization and a speed bin, applies overrides and
evaluates every expression, so that nothing after it looks up a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edensim.dram.expressions import parse_expression
from edensim.dram.standard_file import Row, StandardFile, find_standard, read_standard_file
from edensim.dram.standard_file import standard_names as _standard_names
from edensim.exceptions import ConfigError, nearest
from edensim.vocabulary import Command, Level, cycles_from_ns


@dataclass(frozen=True, slots=True)
class Organization:
    """Geometry of one channel."""

    name: str
    density_Mb: int
    device_width: int
    channel_width: int
    ranks: int
    bankgroups: int  # per rank; 1 where the standard has none
    banks: int  # per bank group
    rows: int
    columns: int  # as the standard counts them, in units of the device width
    prefetch: int  # columns per burst

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
        """Column commands' worth of data in a row."""
        return self.columns // self.prefetch

    @property
    def banks_per_rank(self) -> int:
        return self.bankgroups * self.banks

    @property
    def banks_per_channel(self) -> int:
        return self.ranks * self.bankgroups * self.banks

    @property
    def channel_bytes(self) -> int:
        """Capacity of one channel."""
        return self.banks_per_channel * self.rows * self.bursts_per_row * self.access_bytes


@dataclass(frozen=True, slots=True)
class Constraint:
    """`after` then `before` on the same node of `level` at least `gap` cycles apart.

    window: the rule counts from the window-th most recent `after` command (4 for tFAW).
    sibling: the rule holds between different nodes under the same parent (rank-to-rank turnaround) instead of on one node.
    gap is an expression over timing names (`nCWL + nBL + nWTRS`), gap_cycles its value with the resolved timings.
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
    """Supply voltage and currents of one device in mA (JEDEC IDD loops), VPP rail where the standard has one."""

    vdd_V: float
    idd0_mA: float
    idd2n_mA: float
    idd2p_mA: float
    idd3n_mA: float
    idd3p_mA: float
    idd4r_mA: float
    idd4w_mA: float
    idd5_mA: float  # during tRFC (IDD5B, IDD5AB)
    idd6_mA: float
    vpp_V: float = 0.0
    ipp0_mA: float = 0.0
    idd5pb_mA: float = 0.0  # during tRFCpb, where the standard has per-bank refresh
    vdd_min_V: float = 0.0  # lowest and highest supply voltage that `dram.vdd_V` may ask for
    vdd_max_V: float = 0.0


@dataclass(frozen=True, slots=True)
class Interface:
    """One data wire between controller and device.

    scheme: `split` (two resistors to VDDQ and ground, together termination_ohm to VDDQ / 2), `pull-up` (termination_ohm to VDDQ) or `none`
    (a capacitive load).
    """

    scheme: str
    vddq_V: float
    driver_ohm: float = 0.0
    termination_ohm: float = 0.0
    load_pF: float = 0.0


@dataclass(frozen=True, slots=True)
class Standard:
    """One standard with organization, speed bin and overrides applied."""

    name: str
    organization: Organization
    speed_bin: str
    rate_MTps: int
    tck_ps: int
    commands: tuple[Command, ...]
    timings: Mapping[str, int]  # cycles by name (nRCD, nCL, ...)
    constraints: tuple[Constraint, ...]
    read_latency: int  # cycles from RD to the last data beat (nCL + nBL)
    write_latency: int  # cycles from WR to the last data beat (nCWL + nBL)
    currents: Currents
    source: str
    interface: Interface | None = None  # None: not known

    @property
    def peak_bandwidth_GBps(self) -> float:
        """Of one channel: an access every nBL cycles."""
        return self.organization.access_bytes * 1000 / (self.timings["nBL"] * self.tck_ps)

    def gaps_with(self, timings: Mapping[str, int]) -> tuple[int, ...]:
        """Gap of each constraint under other timings (an operating point's), same order as `constraints`."""
        return tuple(
            parse_expression(constraint.gap).value(timings) for constraint in self.constraints
        )


def standard_names(*, folder: Path | None = None) -> tuple[str, ...]:
    """Names that `load_standard` knows, in alphabetical order: edensim's, those in $EDENSIM_CONFIGS and those in `folder`."""
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
        Name of a standard of edensim, of $EDENSIM_CONFIGS or of `folder`, or the path of a .yaml
        file.
    organization, speed_bin
        Names as in the file, such as `8Gb_x8`, or with the standard's name, such as `DDR4_8Gb_x8`.
        None means the standard's default.
    ranks
        Number of ranks.
    timings
        Timings in cycles, by name, that replace the resolved ones. Others do not follow: replacing
        nRCD leaves nRC as it is.
    folder
        A further folder of standards, which is searched first.

    Returns
    -------
    Standard

    Raises
    ------
    ConfigError
        If a name is not known (the message has the nearest known one), or if the file breaks a rule
        (the message has its line).
    """
    file = read_standard_file(find_standard(name, folder), folder)
    own_name = file.texts["name"]
    organization = _choose(
        "organization", organization or file.texts["default_organization"], file.organizations, file
    )
    speed_bin = _choose(
        "speed_bin", speed_bin or file.texts["default_speed_bin"], file.speed_bins, file
    )
    if isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1:
        raise ConfigError(f"dram.ranks: expected a positive whole number, found {ranks!r}")
    geometry, speed = file.organizations[organization], file.speed_bins[speed_bin]
    resolved = _resolve_timings(file, organization, speed_bin, timings or {})
    currents, currents_source = _currents(file, geometry, speed)
    return Standard(
        name=own_name,
        organization=Organization(
            name=organization,
            density_Mb=int(geometry["density_Mb"]),
            device_width=int(geometry["device_width"]),
            channel_width=int(geometry["channel_width"]),
            ranks=ranks,
            bankgroups=int(geometry["bankgroups"]),
            banks=int(geometry["banks"]),
            rows=int(geometry["rows"]),
            columns=int(geometry["columns"]),
            prefetch=file.prefetch,
        ),
        speed_bin=speed_bin,
        rate_MTps=int(speed["rate_MTps"]),
        tck_ps=int(speed["tck_ps"]),
        commands=file.commands,
        timings=resolved,
        constraints=tuple(
            Constraint(
                rule.level,
                rule.after,
                rule.before,
                rule.gap.text,
                rule.gap.value(resolved),
                rule.window,
                rule.sibling,
            )
            for rule in file.rules
        ),
        read_latency=file.read_latency.value(resolved),
        write_latency=file.write_latency.value(resolved),
        currents=currents,
        source=f"{file.texts['source']}; {currents_source}",
        interface=None if file.interface is None else Interface(**file.interface),
    )


def _choose(key: str, value: str, known: Mapping[str, Row], file: StandardFile) -> str:
    """`8Gb_x8` from `8Gb_x8` or `DDR4_8Gb_x8`."""
    for name in ("", *(f"{name}_" for name in file.family)):
        if value.startswith(name) and value[len(name) :] in known:
            return value[len(name) :]
    raise ConfigError(
        f"dram.{key}: {file.texts['name']} has no {value!r}{nearest(value, known)}; known: {', '.join(known)} ({file.path})"
    )


def _resolve_timings(
    file: StandardFile, organization: str, speed_bin: str, overrides: Mapping[str, int]
) -> dict[str, int]:
    names = file.timing_names
    for key, value in overrides.items():
        if key not in names:
            raise ConfigError(
                f"dram.timings.{key}: {file.texts['name']} has no timing {key!r}{nearest(key, names)}; known: {', '.join(names)}"
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(
                f"dram.timings.{key}: expected a whole number of clock cycles, 0 or more, found {value!r}"
            )
    speed = file.speed_bins[speed_bin]
    resolved = {name: int(value) for name, value in speed.items() if name in names}
    device = {**file.organizations[organization], **speed}
    for name, rows in file.derived_timings.items():
        for row in rows:
            if all(
                device[limit.removesuffix("_upto")] <= value for limit, value in row.limits.items()
            ):
                duration_ns = row.duration_ns or 0.0
                resolved[name] = (
                    row.cycles
                    if row.cycles is not None
                    else cycles_from_ns(duration_ns, int(speed["tck_ps"]))
                )
                break
        else:
            if name not in overrides:
                raise ConfigError(
                    f"{file.path}: derived_timings.{name}: no row holds for {organization} at {speed_bin}; set dram.timings.{name} (cycles)"
                )
    return {**resolved, **overrides}


def _currents(file: StandardFile, geometry: Row, speed: Row) -> tuple[Currents, str]:
    """The set of the nearest device, and where it comes from.

    Width decides first, then density, each by ratio (the larger of two equally near); then the lowest rate that is not below the speed bin's,
    or the highest.
    """
    sets = list(file.currents)
    for field in ("device_width", "density_Mb"):
        nearest_value = min(
            (row[field] for row in sets),
            key=lambda value: (max(value / geometry[field], geometry[field] / value), -value),
        )
        sets = [row for row in sets if row[field] == nearest_value]
    fast_enough = [row for row in sets if row["rate_MTps"] >= speed["rate_MTps"]]
    chosen = (
        min(fast_enough, key=lambda row: row["rate_MTps"])
        if fast_enough
        else max(sets, key=lambda row: row["rate_MTps"])
    )
    device = {**geometry, **speed}
    borrowed = any(
        chosen[field] != device[field] for field in ("density_Mb", "device_width", "rate_MTps")
    )
    source = (
        f"currents {'borrowed from' if borrowed else 'of'} {chosen['density_Mb'] / 1024:g}Gb_x{chosen['device_width']:g} "
        f"at {chosen['rate_MTps']:g} MT/s, {file.currents_source}"
    )
    values = {
        key: float(value)
        for key, value in chosen.items()
        if key not in ("density_Mb", "device_width", "rate_MTps")
    }
    return Currents(**{**file.supply, **values}), source
