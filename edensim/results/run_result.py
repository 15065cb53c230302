"""The result of one run, which can be saved, loaded and printed."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edensim.energy.breakdown import EnergyBreakdown
from edensim.exceptions import InputError
from edensim.files import flatten, read_json, save_text
from edensim.results.data_frame import data_frame
from edensim.results.summary import aligned, summary_rows

if TYPE_CHECKING:
    import pandas as pd

#: Version of the result JSON. It changes if a key changes its meaning or goes away, not if one is
#: added.
RESULT_FORMAT: Final = 1


class _LayerKeys(msgspec.Struct):
    """What summaries and pictures need of a layer."""

    name: str
    operator: str
    macs: int
    cycles: int
    time_ns: float
    stall_share: float
    bytes_by_kind: dict[str, int]
    row_hits: int
    row_misses: int
    row_conflicts: int
    energy_pJ: dict[str, float]


@dataclass(frozen=True)
class RunResult:
    """The result of one run. The names of its fields are the keys of the result JSON.

    Attributes
    ----------
    cycles, time_ns
        Length of the run in memory clock cycles and in nanoseconds.
    requests
        Requests by kind: `read`, `write`, and those `forwarded` and `coalesced` in the queues.
    row_hits, row_misses, row_conflicts
        Requests by what they found when their first command issued.
    commands
        DRAM commands by name.
    read_latency_cycles, read_latency_histogram
        From arrival to the last data: `mean`, percentiles and `max`; and the `bins` in cycles that
        hold reads, with their `counts`.
    bandwidth_GBps, peak_bandwidth_GBps
        Bandwidth on the data buses of all channels, as used and as possible.
    energy_pJ, energy_by_partition_pJ, energy_by_tensor_pJ
        Energy of the whole run; by partition, with the banks of none as `module`; and that of the
        commands that tensors caused.
    voltage_law
        How energy was scaled with the supply voltage (`edensim.energy.laws`).
    config, version, seed
        The configuration as nested plain values, the version of edensim, and the seed.
    frontend, core
        Counters of the machine; cycles, instructions and IPC of the cores, if there are any.
    operating_points
        VDD and timings of the module and its partitions, and the changes made.
    exposure
        How soon after the activation of their row reads came (`edensim.results.exposure`).
    commands_by_partition, commands_by_tensor
        Commands to single banks, if there are partitions and if requests name tensors.
    layers
        One entry for each layer of a network (`edensim.results.layers`).
    baselines
        The same network on the same machine at other operating points, by name.
    bit_errors
        Wrong bits of the run's reads, if the configuration has errors.
    memory
        The standard, organization, speed bin, channels, ranks and VDD, with defaults filled in.
    energy_by_law_pJ
        Energy of the whole run under each voltage law.
    notes
        What a reader must know to trust the energy, such as currents of another device.
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
    energy_by_partition_pJ: dict[str, dict[str, float | None]] = field(default_factory=dict)
    operating_points: dict[str, Any] = field(default_factory=dict)
    exposure: dict[str, Any] = field(default_factory=dict)
    commands_by_partition: dict[str, dict[str, int]] = field(default_factory=dict)
    commands_by_tensor: dict[str, dict[str, int]] = field(default_factory=dict)
    energy_by_tensor_pJ: dict[str, dict[str, Any]] = field(default_factory=dict)
    read_latency_histogram: dict[str, list[int]] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    bit_errors: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    energy_by_law_pJ: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def average_power_mW(self) -> float:
        """Energy of the devices over the time of the run (pJ/ns = mW)."""
        return self.energy_pJ.total / self.time_ns if self.time_ns else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values, as the result JSON has it.

        `core` is there only if there were cores; `energy_pJ` has its sums too.
        """
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values["energy_pJ"] = self.energy_pJ.to_dict()
        values["average_power_mW"] = self.average_power_mW
        if self.core is None:
            del values["core"]
        return {"format": RESULT_FORMAT, **values}

    def to_dataframe(self) -> pd.DataFrame:
        """Return a data frame of one row; nested keys are dotted columns (`energy_pJ.total`)."""
        return data_frame([dict(flatten(self.to_dict()))])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result JSON, whole or not at all.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        save_text(
            path, json.dumps(self.to_dict(), indent=1, allow_nan=False, default=_plain) + "\n"
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunResult:
        """Read a result JSON.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        RunResult

        Raises
        ------
        InputError
            If the file is missing, cut off, no result, or of another format version.
        """
        return cls.from_dict(read_json(path, "a complete result JSON"), str(path))

    @classmethod
    def from_dict(cls, values: Any, name: str = "result") -> RunResult:
        """Undo `to_dict`.

        Raises InputError, its message begun with `name`, for what is no result or of another format
        version.
        """
        if not isinstance(values, dict) or "format" not in values:
            raise InputError(f"{name}: not an edensim result: found no key 'format'")
        if values["format"] != RESULT_FORMAT:
            raise InputError(
                f"{name}: result format {values['format']!r} (written by edensim "
                f"{values.get('version', '?')}); expected {RESULT_FORMAT}"
            )
        try:
            known = {
                f.name: values[f.name]
                for f in fields(cls)
                if f.name in values or f.default is MISSING and f.default_factory is MISSING
            }
            known["energy_pJ"] = asdict(EnergyBreakdown.from_dict(values["energy_pJ"]))
            msgspec.convert(known.get("layers", []), list[_LayerKeys])
            return msgspec.convert(known, cls)
        except KeyError as problem:
            raise InputError(f"{name}: not a complete result: key {problem} is missing") from None
        except (TypeError, ValueError, OverflowError) as problem:
            raise InputError(f"{name}: not an edensim result: {problem}") from None

    def summary(self) -> str:
        """Return the result as a plain-text table with units, for a terminal."""
        return "\n".join(aligned(list(summary_rows(self.to_dict()))))


def _plain(value: object) -> Any:
    """Convert what a configuration may hold, numpy scalars and paths, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in a result JSON: {value!r}")
