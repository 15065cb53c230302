"""Cores with caches as the source: they run nests of loops in closed loop with the memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edensim.engine.cpu_engine import CpuEngine
from edensim.engine.loop_nest_counters import CpuCounters, total
from edensim.engine.loop_nest_sampling import plan_of, run_sampled
from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edensim.config.models import CpuConfig
    from edensim.dram.counts import Counts
    from edensim.engine.engine import Engine
    from edensim.engine.loop_nest_layer import LoopNestLayer

__all__ = ["CpuLayerRun", "CpuRun", "LoopNestMachine", "run_loop_nests"]


class LoopNestMachine(Protocol):
    """Cores with caches, and the loops that they run."""

    @property
    def name(self) -> str:
        """Name of the network, for messages."""
        ...

    @property
    def config(self) -> CpuConfig:
        """The cores and their caches."""
        ...

    @property
    def precision(self) -> str:
        """Precision of the elements in memory, for messages."""
        ...

    @property
    def end(self) -> int:
        """First byte address behind all that the loops touch."""
        ...

    @property
    def tensors(self) -> int:
        """Number of tensors that traffic is counted for."""
        ...

    def layers(self) -> Iterator[LoopNestLayer]:
        """Yield what each layer runs, in order."""
        ...


@dataclass(frozen=True)
class CpuLayerRun:
    """What a layer took: core clock cycles, instructions, traffic, and the memory's counts.

    `sampled` is the part of the layer's time that was extrapolated, `cell_point` the operating
    points of the memory's cells at the end of the layer.
    """

    name: str
    cycles: int
    instructions: int
    macs: int
    counters: dict[str, int]
    moved: NDArray[np.int64]
    counts: Counts
    sampled: float
    cell_point: NDArray[np.int64]

    @property
    def ipc(self) -> float:
        """Instructions per core clock cycle."""
        return self.instructions / self.cycles if self.cycles else 0.0

    def to_dict(self) -> dict[str, int | float | str]:
        """Return the layer as results keep it; MPKI is misses per thousand instructions."""
        thousand = max(self.instructions, 1) / 1000
        return {
            "name": self.name,
            "cycles": self.cycles,
            "instructions": self.instructions,
            "ipc": self.ipc,
            "macs": self.macs,
            "mpki": self.counters["llc_read_misses"] / thousand,
            "exposed_activations_per_kilo_instruction": self.counters["exposed_activations"]
            / thousand,
            **{name: value for name, value in self.counters.items() if not name.endswith("_slots")},
            "dram_reads": self.counts.reads,
            "dram_writes": self.counts.writes,
            "sampled_share": self.sampled,
        }


@dataclass(frozen=True)
class CpuRun:
    """The layers of a network, and all of them together.

    `memory_cycles` are memory clocks, including those that were extrapolated.
    """

    layers: tuple[CpuLayerRun, ...]
    total: CpuLayerRun
    memory_cycles: int
    cores: int

    def counters(self) -> dict[str, int | float]:
        """Return the counters of the whole machine, as results keep them."""
        figures = {
            key: value for key, value in self.total.to_dict().items() if not isinstance(value, str)
        }
        return {**figures, "cores": self.cores}


def run_loop_nests(engine: Engine, machine: LoopNestMachine) -> CpuRun:
    """Run a network's layers on cores in front of a memory; the memory is not drained.

    Progress is reported as the number of layers that are done. Raises ConfigError if the memory is
    too small (saying how much is needed), or if a cache holds no set.
    """
    capacity = int(engine.mapping[0]["capacity"])
    if machine.end > capacity:
        raise ConfigError(
            f"dram.organization: {machine.end:,} bytes are needed ({machine.name}, "
            f"{machine.precision}); there are {capacity:,}"
        )
    cpu = CpuEngine(engine, machine.config, machine.tensors)
    runs: list[CpuLayerRun] = []
    extrapolated: list[CpuCounters] = []
    before = start = cpu.counters()
    width = machine.config.issue_width
    for layer in machine.layers():
        extra = run_layer(cpu, layer)
        after = cpu.counters()
        run = layer_run(layer.name, layer.macs, after.minus(before), extra, width)
        runs.append(replace(run, cell_point=engine.cell_point))
        extrapolated += [] if extra is None else [extra]
        before = after
        engine.monitor.report_progress(len(runs))
    macs = sum(run.macs for run in runs)
    whole = layer_run("total", macs, before.minus(start), total(extrapolated), width)
    whole = replace(whole, cycles=sum(run.cycles for run in runs), cell_point=engine.cell_point)
    return CpuRun(tuple(runs), whole, whole.counts.cycles, machine.config.cores)


def layer_run(
    name: str, macs: int, walked: CpuCounters, extra: CpuCounters | None, width: int
) -> CpuLayerRun:
    """Return what a layer took, from what was walked of it and what was extrapolated."""
    whole = walked if extra is None else walked.plus(extra)
    stall_cycles = whole.counters["memory_stall_slots"] // width
    return CpuLayerRun(
        name,
        cycles=-(-round(whole.slots) // width),
        instructions=whole.instructions,
        macs=macs,
        counters={**whole.counters, "memory_stall_cycles": stall_cycles},
        moved=whole.moved,
        counts=whole.counts,
        sampled=0.0 if extra is None or whole.slots == 0 else extra.slots / whole.slots,
        cell_point=np.zeros((0, 0), np.int64),
    )


def run_layer(cpu: CpuEngine, layer: LoopNestLayer) -> CpuCounters | None:
    """Run a layer's nests; return what was extrapolated, None if nothing was."""
    cpu.regions = np.ascontiguousarray(layer.regions, np.int64).reshape(-1)
    extrapolated: list[CpuCounters] = []
    done = 0
    samples = layer.samples if cpu.config.sampling == "periodic" and not cpu.engine.changes else ()
    for sample in samples:
        plan = plan_of(sample, layer, cpu)
        if plan is None:
            continue
        cpu.run(layer.nests[done : sample.nest], layer.refs)
        extrapolated.append(run_sampled(cpu, layer, sample, plan))
        done = sample.nest + 1
    cpu.run(layer.nests[done : layer.count], layer.refs)
    return total(extrapolated)
