"""What a run leaves behind: counts, energy, and one result object that can be saved, loaded and read by people.

`Counts` is filled by an engine (or from a command list), `EnergyBreakdown` by `edensim.energy`, `RunResult` joins both with the
configuration. All three are plain values: nothing here computes a simulation.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import InputError
from edensim.vocabulary import COLUMN_COMMANDS, COMMANDS, Command, RowState

if TYPE_CHECKING:
    import pandas as pd

Int64Array = NDArray[np.int64]

#: Layout of the result JSON. It changes when a key changes its meaning or goes away, not when one is added.
RESULT_FORMAT: Final = 1


def _zeros(*shape: int) -> Int64Array:
    return np.zeros(shape, np.int64)


@dataclass(frozen=True, eq=False)
class Counts:
    """What happened in a run, as integers; energies and statistics are pure functions of it.

    commands: [channels, banks_per_channel, COMMANDS] commands issued; whole-rank commands (PREab, REFab) count at the rank's first bank.
    closings: [channels, banks_per_channel] times an open bank was closed, by whichever command (PREpb, PREab, RDA, WRA). A precharge that
        finds its bank closed does not count: it takes no charge off the bit lines.
    rank_active_cycles: [channels, ranks] cycles with at least one bank of the rank open, within [0, cycles]. A bank is open from its ACT
        to the precharge; an auto-precharge starts inside the device, at max(ACT + nRAS, RD + nRTP) for RDA and at
        max(ACT + nRAS, WR + nCWL + nBL + nWR) for WRA. Time in all-bank refresh is not included.
    rank_refresh_cycles: [channels, ranks] cycles in all-bank refresh (nRFC per REFab), within [0, cycles]: a refresh that the end of the
        run cuts counts up to there. Per-bank refresh is not included.
    rank_powerdown_active_cycles, rank_powerdown_precharged_cycles, rank_selfrefresh_cycles: [channels, ranks] cycles in power-down with a bank
        open, with all banks closed, and in self-refresh; none of them is included in the two above. 0 for a controller that has none.
    cycles: clock of the end of the run.
    reads, writes: requests accepted, those forwarded and coalesced included.
    forwarded, coalesced: reads answered from the write queue, writes merged into it.
    row_states: [2, 3] requests by [is_write, RowState].
    read_latency_sum, read_latency_max, read_latency_histogram: arrival to last data beat, in cycles; bin i counts reads that took i cycles,
        the last bin those that took at least that long.
    """

    commands: Int64Array
    closings: Int64Array
    rank_active_cycles: Int64Array
    rank_refresh_cycles: Int64Array
    cycles: int
    reads: int = 0
    writes: int = 0
    forwarded: int = 0
    coalesced: int = 0
    row_states: Int64Array = field(default_factory=lambda: _zeros(2, len(RowState)))
    read_latency_sum: int = 0
    read_latency_max: int = 0
    read_latency_histogram: Int64Array = field(default_factory=lambda: _zeros(1))
    rank_powerdown_active_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))  # no entry: 0 for all ranks
    rank_powerdown_precharged_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))
    rank_selfrefresh_cycles: Int64Array = field(default_factory=lambda: _zeros(0, 0))

    def __post_init__(self) -> None:
        for name in ("rank_powerdown_active_cycles", "rank_powerdown_precharged_cycles", "rank_selfrefresh_cycles"):
            if getattr(self, name).size == 0:
                object.__setattr__(self, name, np.zeros_like(self.rank_active_cycles))
            elif getattr(self, name).shape != self.rank_active_cycles.shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}: expected {self.rank_active_cycles.shape}")
        channels, banks = self.closings.shape
        if self.commands.shape != (channels, banks, COMMANDS):
            raise ValueError(f"commands has shape {self.commands.shape}, closings {self.closings.shape}: expected {(channels, banks, COMMANDS)}")
        if self.rank_active_cycles.shape != self.rank_refresh_cycles.shape or self.rank_active_cycles.shape[0] != channels:
            raise ValueError(
                f"rank_active_cycles has shape {self.rank_active_cycles.shape}, rank_refresh_cycles {self.rank_refresh_cycles.shape}: "
                f"expected both [{channels} channels, ranks]"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    @classmethod
    def empty(cls, channels: int, ranks: int, banks_per_channel: int, cycles: int = 0) -> Counts:
        """Counts of a run in which nothing happened for `cycles`."""
        return cls(
            commands=_zeros(channels, banks_per_channel, COMMANDS),
            closings=_zeros(channels, banks_per_channel),
            rank_active_cycles=_zeros(channels, ranks),
            rank_refresh_cycles=_zeros(channels, ranks),
            cycles=cycles,
        )

    def minus(self, earlier: Counts) -> Counts:
        """What happened since `earlier`, a snapshot of the same run. The longest read latency stays that of the whole run: it cannot be split."""
        values = {f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)}
        return Counts(**{**values, "read_latency_max": self.read_latency_max})

    def total(self, command: Command) -> int:
        """How often `command` was issued, over all channels and banks."""
        return int(self.commands[:, :, command].sum())

    def by_command(self) -> dict[str, int]:
        """How often each command was issued, by name; 0 for those that never were."""
        return {command.name: self.total(command) for command in Command}

    @property
    def bursts(self) -> int:
        """Column commands: transfers of one burst over the data bus."""
        return sum(self.total(command) for command in COLUMN_COMMANDS)

    @property
    def row_hits(self) -> int:
        return int(self.row_states[:, RowState.HIT].sum())

    @property
    def row_misses(self) -> int:
        return int(self.row_states[:, RowState.MISS].sum())

    @property
    def row_conflicts(self) -> int:
        return int(self.row_states[:, RowState.CONFLICT].sum())

    @property
    def read_latency_count(self) -> int:
        """Reads whose latency was measured."""
        return int(self.read_latency_histogram.sum())

    def read_latency_percentile(self, percent: float) -> int | None:
        """Smallest number of cycles within which at least `percent` % of the reads were done (nearest rank); None without reads.

        Exact below the histogram's last bin. In it only the largest latency is known, and that is what comes back.
        """
        count = self.read_latency_count
        if count == 0:
            return None
        rank = max(1, math.ceil(percent * count / 100))
        latency = int(np.searchsorted(np.cumsum(self.read_latency_histogram), rank))
        return self.read_latency_max if latency >= len(self.read_latency_histogram) - 1 else latency

    def read_latency_summary(self) -> dict[str, float | None]:
        """Mean, median, 99th percentile and maximum in cycles; None each without reads."""
        count = self.read_latency_count
        return {
            "mean": self.read_latency_sum / count if count else None,
            "p50": self.read_latency_percentile(50),
            "p99": self.read_latency_percentile(99),
            "max": self.read_latency_max if count else None,
        }


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """DRAM energy of a run by what it was spent on, in pJ.

    io is the energy of drivers and termination on the data wires, at both ends; it is not part of `total` (`total_with_io` has it).
    """

    activate: float = 0.0
    precharge: float = 0.0
    read: float = 0.0
    write: float = 0.0
    refresh: float = 0.0
    background_active: float = 0.0
    background_precharged: float = 0.0
    background_powerdown_active: float = 0.0
    background_powerdown_precharged: float = 0.0
    background_selfrefresh: float = 0.0
    io: float = 0.0

    @property
    def background(self) -> float:
        """Energy of being powered, whatever the commands do, in pJ."""
        standby = self.background_active + self.background_precharged
        return standby + self.background_powerdown_active + self.background_powerdown_precharged + self.background_selfrefresh

    @property
    def total(self) -> float:
        """Energy of the DRAM devices in pJ, without io."""
        return self.activate + self.precharge + self.read + self.write + self.refresh + self.background

    @property
    def total_with_io(self) -> float:
        """Energy of devices and data wires in pJ."""
        return self.total + self.io

    def __add__(self, other: EnergyBreakdown) -> EnergyBreakdown:
        return EnergyBreakdown(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_dict(self) -> dict[str, float]:
        """All components, `background`, `total` and `total_with_io`, in pJ."""
        values = {f.name: float(getattr(self, f.name)) for f in fields(self)}
        return {**values, "background": self.background, "total": self.total, "total_with_io": self.total_with_io}

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> EnergyBreakdown:
        """The inverse of `to_dict`; sums are computed again, not read. States that older results do not have are 0."""
        later = {"background_powerdown_active", "background_powerdown_precharged", "background_selfrefresh"}
        return cls(**{f.name: float(values[f.name]) for f in fields(cls) if f.name in values or f.name not in later})


@dataclass(frozen=True)
class RunResult:
    """One run: what was asked (config, seed), what happened, what it cost. Field names are the keys of the result JSON.

    frontend: counters of the machine in front of the memory. core: cycles, instructions and ipc of a core source, else None.
    voltage_law: how energy was scaled with the supply voltage (`edensim.energy`). energy_by_partition_pJ: the same by partition, `module` for
    banks of none. operating_points: VDD and timings of module and partitions, and the changes made. exposure: see `edensim.exposure`.
    """

    cycles: int
    time_ns: float
    requests: dict[str, int]
    row_hits: int
    row_misses: int
    row_conflicts: int
    commands: dict[str, int]
    read_latency_cycles: dict[str, float | None]
    bandwidth_GBps: float
    peak_bandwidth_GBps: float
    energy_pJ: EnergyBreakdown
    voltage_law: str
    config: dict[str, Any]
    version: str
    seed: int = 0
    frontend: dict[str, float] = field(default_factory=dict)
    core: dict[str, float] | None = None
    energy_by_partition_pJ: dict[str, dict[str, float]] = field(default_factory=dict)
    operating_points: dict[str, Any] = field(default_factory=dict)
    exposure: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_counts(
        cls,
        counts: Counts,
        energy: EnergyBreakdown,
        *,
        tck_ps: int,
        access_bytes: int,
        peak_bandwidth_GBps: float,
        voltage_law: str,
        config: dict[str, Any],
        version: str,
        seed: int = 0,
        frontend: dict[str, float] | None = None,
        core: dict[str, float] | None = None,
        energy_by_partition_pJ: Mapping[str, EnergyBreakdown] | None = None,
        operating_points: dict[str, Any] | None = None,
        exposure: dict[str, Any] | None = None,
    ) -> RunResult:
        """Derive every figure from `counts`; bandwidth counts bursts on the data bus, so forwarded and coalesced requests move nothing."""
        time_ns = counts.cycles * tck_ps / 1000
        return cls(
            cycles=counts.cycles,
            time_ns=time_ns,
            requests={"read": counts.reads, "write": counts.writes, "forwarded": counts.forwarded, "coalesced": counts.coalesced},
            row_hits=counts.row_hits,
            row_misses=counts.row_misses,
            row_conflicts=counts.row_conflicts,
            commands=counts.by_command(),
            read_latency_cycles=counts.read_latency_summary(),
            bandwidth_GBps=counts.bursts * access_bytes / time_ns if time_ns else 0.0,
            peak_bandwidth_GBps=peak_bandwidth_GBps,
            energy_pJ=energy,
            voltage_law=voltage_law,
            config=config,
            version=version,
            seed=seed,
            frontend=frontend or {},
            core=core,
            energy_by_partition_pJ={name: part.to_dict() for name, part in (energy_by_partition_pJ or {}).items()},
            operating_points=operating_points or {},
            exposure=exposure or {},
        )

    @property
    def average_power_mW(self) -> float:
        """Energy of the devices over the time of the run (pJ/ns = mW)."""
        return self.energy_pJ.total / self.time_ns if self.time_ns else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The result JSON: `core` only where the source was a core, `energy_pJ` with its sums."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values["energy_pJ"] = self.energy_pJ.to_dict()
        values["average_power_mW"] = self.average_power_mW
        if self.core is None:
            del values["core"]
        return {"format": RESULT_FORMAT, **values}

    def to_dataframe(self) -> pd.DataFrame:
        """One row; nested keys become dotted columns (`energy_pJ.total`)."""
        import pandas as pd

        return pd.DataFrame([dict(_flatten(self.to_dict()))])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result JSON; a reader never sees half a file. InputError where `path` cannot be written."""
        save_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False, default=_plain) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunResult:
        """Read a result JSON. InputError where it is missing, cut off, not a result, or of another format."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            raise InputError(f"{path}: cannot be read as a result: {_reason(problem)}") from None
        except json.JSONDecodeError as problem:
            raise InputError(f"{path}:{problem.lineno}: not a complete result JSON: {problem.msg}") from None
        return cls.from_dict(values, str(path))

    @classmethod
    def from_dict(cls, values: Any, name: str = "result") -> RunResult:
        """The inverse of `to_dict`. InputError, naming the source, for what is no result or of another format."""
        if not isinstance(values, dict) or "format" not in values:
            raise InputError(f"{name}: not an edensim result: found no key 'format'")
        if values["format"] != RESULT_FORMAT:
            raise InputError(
                f"{name}: result format {values['format']!r} (written by edensim {values.get('version', '?')}); expected {RESULT_FORMAT}"
            )
        try:
            known = {f.name: values[f.name] for f in fields(cls) if f.name != "core"}
            return cls(**{**known, "energy_pJ": EnergyBreakdown.from_dict(values["energy_pJ"]), "core": values.get("core")})
        except KeyError as problem:
            raise InputError(f"{name}: not a complete result: key {problem} is missing") from None
        except (TypeError, ValueError) as problem:
            raise InputError(f"{name}: not an edensim result: {problem}") from None

    def summary(self) -> str:
        """The result as a plain-text table with units, for a terminal."""
        return "\n".join(_aligned(list(_summary_rows(self))))


def _summary_rows(result: RunResult) -> Iterator[tuple[str, str, str]]:
    """Rows (name, value, remark) of the summary."""
    requests, latency, energy = result.requests, result.read_latency_cycles, result.energy_pJ
    yield "time", f"{result.time_ns / 1000:,.3f} us", f"{result.cycles:,} memory cycles"
    yield "requests", f"{requests['read'] + requests['write']:,}", f"{requests['read']:,} reads, {requests['write']:,} writes"
    if requests["forwarded"] or requests["coalesced"]:
        yield "", "", f"{requests['forwarded']:,} reads forwarded, {requests['coalesced']:,} writes coalesced"
    seen = result.row_hits + result.row_misses + result.row_conflicts
    if seen:  # a command trace does not tell
        yield "row hits", _share(result.row_hits, seen), f"{result.row_misses:,} misses, {result.row_conflicts:,} conflicts"
    if latency["mean"] is not None:
        percentiles = f"median {latency['p50']:,}, 99 % within {latency['p99']:,}, longest {latency['max']:,}"
        yield "read latency", f"{latency['mean']:,.1f} cycles", percentiles
    peak = f"{_share(result.bandwidth_GBps, result.peak_bandwidth_GBps)} of {result.peak_bandwidth_GBps:,.2f} GB/s"
    yield "bandwidth", f"{result.bandwidth_GBps:,.2f} GB/s", peak
    if result.core is not None:
        remark = f"{result.core['instructions']:,} instructions, {result.core['cycles']:,} core cycles"
        yield "core", f"{result.core['ipc']:.4f} IPC", remark
    yield "commands", f"{sum(result.commands.values()):,}", ", ".join(f"{name} {count:,}" for name, count in result.commands.items() if count)
    unit, pJ = ("nJ", 1e3) if energy.total < 1e6 else ("uJ", 1e6) if energy.total < 1e9 else ("mJ", 1e9)
    yield "energy", f"{energy.total / pJ:,.3f} {unit}", f"{result.average_power_mW:,.1f} mW on average, voltage law {result.voltage_law}"
    for name in ("activate", "precharge", "read", "write", "refresh", "background"):
        value = getattr(energy, name)
        if value:
            yield f"  {name}", f"{value / pJ:,.3f} {unit}", _share(value, energy.total)


def _aligned(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Lines of three columns: names and remarks start, values end in one column."""
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, value, remark in rows:
        yield f"{name:<{names}}  {value:>{values}}  {remark}".rstrip()


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:4.1f} %" if whole else "-"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(value: object) -> Any:
    """JSON form of what a config may hold: numpy scalars and paths."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in a result JSON: {value!r}")


def _reason(problem: Exception) -> str:
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)


def save_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, as `save_bytes` does."""
    save_bytes(path, text.encode())


def save_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all: to a temporary file beside it, then renamed over it.

    A link keeps pointing where it does, and what is no regular file (a pipe, /dev/stdout) is written to directly.
    InputError where `path` is a folder, its folder does not exist, or writing fails.
    """
    special = Path(path).exists() and not Path(path).is_file()
    target = Path(path) if special else Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write to")
    if not target.parent.is_dir():
        raise InputError(f"{path}: folder {str(Path(path).parent)!r} does not exist")
    if target.exists() and not os.access(target, os.W_OK):  # renaming over it would ignore the write protection
        raise InputError(f"{path}: cannot be written: file is write-protected")
    try:
        if special:
            target.write_bytes(content)
            return
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(content)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as problem:
        raise InputError(f"{path}: cannot be written: {_reason(problem)}") from None
