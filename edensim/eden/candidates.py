"""Operating points to choose among: the BER that a module has at each, and what the network's run costs there, as the engine reports it.

Points that differ in VDD only share a simulation: no command depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from edensim.bit_errors.module import Module
from edensim.bit_errors.plan import device_point
from edensim.bit_errors.prediction import predict
from edensim.config.models import ErrorsConfig, RunConfig
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ConfigError, EdensimError, ModuleError
from edensim.results.layers import baseline_point
from edensim.results.run_result import RunResult
from edensim.simulation import prepare, result_of, simulate_prepared

#: Steps below the nominal point that are tried where nothing else is asked for: those of the paper's table 3.
VDD_STEPS_V: Final = tuple(0.05 * step for step in range(1, 9))
TRCD_STEPS_NS: Final = tuple(0.5 * step for step in range(1, 17))
OBJECTIVES: Final = ("energy", "time", "energy-delay")
CONFIDENCES: Final = ("median", "upper")


@dataclass(frozen=True)
class Candidate:
    """An operating point. vdd_V, trcd_ns: None: nominal. ber: of the module there; run: the whole network's at this point."""

    vdd_V: float | None
    trcd_ns: float | None
    ber: float
    run: RunResult

    @property
    def nominal(self) -> bool:
        """Neither is lowered: the reliable memory."""
        return self.vdd_V is None and self.trcd_ns is None

    def cost(self, objective: str) -> float:
        """Of the whole network here: pJ, ns, or pJ ns."""
        energy_pJ, time_ns = self.run.energy_pJ.total, self.run.time_ns
        return {"energy": energy_pJ, "time": time_ns, "energy-delay": energy_pJ * time_ns}[
            objective
        ]

    def item_costs(self, sizes: Mapping[str, int], objective: str) -> dict[str, float]:
        """Each item's part of the cost. sizes: bytes of the items.

        Energy: of its own commands, and of the rest (background, refresh, tensors that are no items) by its share of the bytes; time: by its share
        of the bursts; energy-delay: its energy, in the time of this point.
        """
        total = sum(sizes.values())
        own = {name: self.run.energy_by_tensor_pJ.get(name, {}).get("total", 0.0) for name in sizes}
        rest_pJ = self.run.energy_pJ.total - sum(own.values())
        energies = {name: own[name] + rest_pJ * size / total for name, size in sizes.items()}
        if objective == "energy":
            return energies
        if objective == "energy-delay":
            return {name: energy * self.run.time_ns for name, energy in energies.items()}
        commands = self.run.commands_by_tensor
        bursts = {
            name: sum(commands.get(name, {}).get(each, 0) for each in ("RD", "RDA", "WR", "WRA"))
            for name in sizes
        }
        return {
            name: self.run.time_ns * count / max(1, sum(bursts.values()))
            for name, count in bursts.items()
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "vdd_V": self.vdd_V,
            "trcd_ns": self.trcd_ns,
            "ber": self.ber,
            "energy_pJ": self.run.energy_pJ.total,
            "time_ns": self.run.time_ns,
        }


def candidates(
    config: RunConfig,
    module: Module,
    *,
    vdd_V: Sequence[float] = (),
    trcd_ns: Sequence[float] = (),
    confidence: str = "median",
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[list[Candidate], list[str]]:
    """Nominal first, then all combinations of the VDDs and tRCDs (empty: steps of the paper's table 3, and nominal) that the module can answer for.

    confidence: the module's median BER, or the upper end of its 95 % interval. Also returns what was left out, and why.
    Raises ConfigError for a point that the memory cannot have and that was asked for.
    """
    base = msgspec.structs.replace(
        config, dram=baseline_point(config.dram, "nominal"), errors=ErrorsConfig(), baselines=()
    )
    point = MemorySystem.resolve(base.dram, base.controller).plan.points[0]
    nominal_V, nominal_ns = point.vdd_V, point.durations_ns["trcd_ns"]
    volts: list[float | None] = [
        *(vdd_V or (round(nominal_V - step, 6) for step in VDD_STEPS_V if step < nominal_V / 2))
    ]
    times: list[float | None] = [
        *(
            trcd_ns
            or (round(nominal_ns - step, 6) for step in TRCD_STEPS_NS if step < nominal_ns - 2)
        )
    ]
    if not vdd_V:
        volts.insert(0, None)
    if not trcd_ns:
        times.insert(0, None)
    found: list[Candidate] = []
    left_out: list[str] = []
    runs: dict[Any, Any] = {}
    for number, time in enumerate(dict.fromkeys([None, *times])):
        for vdd in dict.fromkeys([None, *volts]):
            nominal = vdd is None and time is None
            if not nominal and (vdd not in volts or time not in times):
                continue
            own = msgspec.structs.replace(
                base, dram=msgspec.structs.replace(base.dram, vdd_V=vdd, trcd_ns=time)
            )
            try:
                prepared = prepare(own)
                ber = 0.0 if nominal else _ber(prepared.memory, module, confidence)
            except (ModuleError, ConfigError) as problem:
                if (
                    isinstance(problem, ConfigError)
                    and not isinstance(problem, ModuleError)
                    and (vdd_V or trcd_ns)
                ):
                    raise
                left_out.append(
                    f"VDD {vdd if vdd is not None else nominal_V:g} V, tRCD {time if time is not None else nominal_ns:g} ns: {problem}"
                )
                continue
            key = tuple(sorted(prepared.memory.plan.points[0].timings.items()))
            if key not in runs:
                runs[key] = simulate_prepared(prepared)
            found.append(Candidate(vdd, time, ber, result_of(prepared, runs[key])))
        if progress is not None:
            progress(number + 1, len(dict.fromkeys([None, *times])))
    if not found:
        raise EdensimError("no operating point could be simulated")
    return found, left_out


def _ber(memory: MemorySystem, module: Module, confidence: str) -> float:
    """Return the module's BER at the memory's operating point."""
    device = device_point(module, memory.specified, memory.plan.points[0])
    if all(value is None for value in device.values()):
        return 0.0
    answer = predict(module, **device)
    return answer.ber_median if confidence == "median" else answer.ber_interval[1]
