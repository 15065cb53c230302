"""Operating points to choose among: the BER of a module at each, and what the network's run costs.

Points that differ in VDD only share a simulation, because no command depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from edensim.vocabulary import ProgressCallback

#: Steps below the nominal point that are tried by default: those of the paper's table 3.
VDD_STEPS_V: Final = tuple(0.05 * step for step in range(1, 9))
TRCD_STEPS_NS: Final = tuple(0.5 * step for step in range(1, 17))

#: VDD in V and tRCD in ns; None is nominal.
Point = tuple[float | None, float | None]


@dataclass(frozen=True)
class Candidate:
    """An operating point.

    Attributes
    ----------
    vdd_V, trcd_ns : float, optional
        The lowered quantities; None if they are nominal.
    ber : float
        Bit error rate of the module.
    run : RunResult
        The whole network's run at this point.
    """

    vdd_V: float | None
    trcd_ns: float | None
    ber: float
    run: RunResult

    @property
    def nominal(self) -> bool:
        """Whether neither quantity is lowered: the reliable memory."""
        return self.vdd_V is None and self.trcd_ns is None

    @property
    def at(self) -> dict[str, float | None]:
        """The operating point and its BER, as results have them."""
        return {"vdd_V": self.vdd_V, "trcd_ns": self.trcd_ns, "ber": self.ber}

    def cost(self, objective: str) -> float:
        """Return the cost of the whole network at this point, in pJ, ns or pJ ns."""
        energy_pJ, time_ns = self.run.energy_pJ.total, self.run.time_ns
        costs = {"energy": energy_pJ, "time": time_ns, "energy-delay": energy_pJ * time_ns}
        return costs[objective]

    def item_costs(self, sizes: Mapping[str, int], objective: str) -> dict[str, float]:
        """Divide the cost among data items, whose bytes are given.

        The energy of an item is that of its own commands, and a share of the rest (background,
        refresh, tensors that are no data items) by its bytes. Its time is a share by its bursts.
        Its energy-delay is its energy multiplied by the time of the whole network.
        """
        run, total = self.run, sum(sizes.values())
        own_pJ = {name: run.energy_by_tensor_pJ.get(name, {}).get("total", 0.0) for name in sizes}
        rest_pJ = run.energy_pJ.total - sum(own_pJ.values())
        energies = {name: own_pJ[name] + rest_pJ * size / total for name, size in sizes.items()}
        if objective == "energy":
            return energies
        if objective == "energy-delay":
            return {name: energy * run.time_ns for name, energy in energies.items()}
        bursts = {
            name: sum(
                run.commands_by_tensor.get(name, {}).get(command, 0)
                for command in ("RD", "RDA", "WR", "WRA")
            )
            for name in sizes
        }
        total = max(1, sum(bursts.values()))
        return {name: run.time_ns * count / total for name, count in bursts.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.at, "energy_pJ": self.run.energy_pJ.total, "time_ns": self.run.time_ns}


def candidates(
    config: RunConfig,
    module: Module,
    *,
    vdd_V: Sequence[float] = (),
    trcd_ns: Sequence[float] = (),
    confidence: str = "median",
    progress: ProgressCallback | None = None,
) -> tuple[list[Candidate], list[str]]:
    """Simulate a network at all combinations of VDDs and tRCDs that a module can answer for.

    Returns the points, the nominal one first, and descriptions of those that are left out. Without
    VDDs or tRCDs, the steps of the paper's table 3 are tried. `confidence` takes the median BER of
    the module, or the upper end of its 95 % interval. Raises ConfigError for a point that was
    asked for and that the memory cannot have.
    """
    base = msgspec.structs.replace(
        config, dram=baseline_point(config.dram, "nominal"), errors=ErrorsConfig(), baselines=()
    )
    nominal = MemorySystem.resolve(base.dram, base.controller).plan.points[0]
    nominal_V, nominal_ns = nominal.vdd_V, nominal.durations_ns["trcd_ns"]
    grid = list(_grid(vdd_V, trcd_ns, nominal_V, nominal_ns))
    found: list[Candidate] = []
    left_out: list[str] = []
    runs: dict[Any, Any] = {}
    for number, points in enumerate(grid):
        for vdd, trcd in points:
            dram = msgspec.structs.replace(base.dram, vdd_V=vdd, trcd_ns=trcd)
            lowered = msgspec.structs.replace(base, dram=dram)
            try:
                is_nominal = vdd is None and trcd is None
                prepared = prepare(lowered)
                ber = 0.0 if is_nominal else _ber(prepared.memory, module, confidence)
            except (ConfigError, ModuleError) as problem:
                if isinstance(problem, ConfigError) and (vdd_V or trcd_ns):
                    raise
                at = f"VDD {vdd or nominal_V:g} V, tRCD {trcd or nominal_ns:g} ns"
                left_out.append(f"{at}: {problem}")
                continue
            key = tuple(sorted(prepared.memory.plan.points[0].timings.items()))
            if key not in runs:
                runs[key] = simulate_prepared(prepared)
            found.append(Candidate(vdd, trcd, ber, result_of(prepared, runs[key])))
        if progress is not None:
            progress(number + 1, len(grid))
    if not found:
        raise EdensimError("no operating point could be simulated")
    return found, left_out


def _grid(
    vdd_V: Sequence[float], trcd_ns: Sequence[float], nominal_V: float, nominal_ns: float
) -> Iterator[list[Point]]:
    """Yield the points of each tRCD, those of the nominal one first."""
    vdds: list[float | None] = list(vdd_V)
    if not vdds:
        steps = (round(nominal_V - step, 6) for step in VDD_STEPS_V if step < nominal_V / 2)
        vdds = [None, *steps]
    trcds: list[float | None] = list(trcd_ns)
    if not trcds:
        steps = (round(nominal_ns - step, 6) for step in TRCD_STEPS_NS if step < nominal_ns - 2)
        trcds = [None, *steps]
    for trcd in dict.fromkeys([None, *trcds]):
        all_vdds = dict.fromkeys([None, *vdds])
        yield [
            (vdd, trcd)
            for vdd in all_vdds
            if (vdd is None and trcd is None) or (vdd in vdds and trcd in trcds)
        ]


def _ber(memory: MemorySystem, module: Module, confidence: str) -> float:
    """Return the bit error rate of a module at the operating point of a memory."""
    device = device_point(module, memory.specified, memory.plan.points[0])
    if all(value is None for value in device.values()):
        return 0.0
    answer = predict(module, **device)
    return answer.ber_median if confidence == "median" else answer.ber_interval[1]
