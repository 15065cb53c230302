"""One run: what was asked, what happened, what it cost."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edensim.energy.breakdown import EnergyBreakdown
from edensim.exceptions import InputError
from edensim.files import flatten, reason, save_text
from edensim.results.data_frame import data_frame
from edensim.results.summary import aligned, summary_rows

if TYPE_CHECKING:
    import pandas as pd

#: Layout of the result JSON. It changes when a key changes its meaning or goes away, not when one is added.
RESULT_FORMAT: Final = 1


@dataclass(frozen=True)
class RunResult:
    """One run: what was asked (config, seed), what happened, what it cost. Field names are the keys of the result JSON.

    frontend: counters of the machine in front of the memory. core: cycles, instructions and ipc of a core source, else None.
    voltage_law: how energy was scaled with the supply voltage (`edensim.energy`). energy_by_partition_pJ: the same by partition, `module` for
    banks of none. operating_points: VDD and timings of module and partitions, and the changes made. exposure: see `edensim.results.exposure`.
    commands_by_partition: where there are partitions, commands to single banks. commands_by_tensor, energy_by_tensor_pJ: where requests name
    tensors, what those caused (`edensim.energy.tensors`).
    read_latency_histogram: `bins` in cycles that hold reads, and their `counts`.
    layers: of a network, one entry each (`edensim.results.layers`). baselines: the same at other operating points, {name: time, energy,
    speedup over it, energy saved against it}. bit_errors: of the run's reads (`edensim.bit_errors.reads`), where the configuration has errors.
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
    commands_by_partition: dict[str, dict[str, int]] = field(default_factory=dict)
    commands_by_tensor: dict[str, dict[str, int]] = field(default_factory=dict)
    energy_by_tensor_pJ: dict[str, dict[str, float]] = field(default_factory=dict)
    read_latency_histogram: dict[str, list[int]] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    bit_errors: dict[str, Any] = field(default_factory=dict)

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
        return data_frame([dict(flatten(self.to_dict()))])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result JSON; a reader never sees half a file. InputError where `path` cannot be written."""
        save_text(
            path, json.dumps(self.to_dict(), indent=1, allow_nan=False, default=_plain) + "\n"
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunResult:
        """Read a result JSON. InputError where it is missing, cut off, not a result, or of another format."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            raise InputError(f"{path}: cannot be read as a result: {reason(problem)}") from None
        except json.JSONDecodeError as problem:
            raise InputError(
                f"{path}:{problem.lineno}: not a complete result JSON: {problem.msg}"
            ) from None
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
            known = {
                f.name: values[f.name]
                for f in fields(cls)
                if f.name in values or f.default is MISSING and f.default_factory is MISSING
            }
            return cls(**{**known, "energy_pJ": EnergyBreakdown.from_dict(values["energy_pJ"])})
        except KeyError as problem:
            raise InputError(f"{name}: not a complete result: key {problem} is missing") from None
        except (TypeError, ValueError) as problem:
            raise InputError(f"{name}: not an edensim result: {problem}") from None

    def summary(self) -> str:
        """The result as a plain-text table with units, for a terminal."""
        return "\n".join(aligned(list(summary_rows(self))))


def _plain(value: object) -> Any:
    """JSON form of what a config may hold: numpy scalars and paths."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in a result JSON: {value!r}")
