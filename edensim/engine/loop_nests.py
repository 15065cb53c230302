"""Cores with caches as the source: nests of loops in, figures of each layer out, the memory in closed loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edensim.engine.loop_nest_counters import COUNTERS, Tally
from edensim.engine.loop_nest_sampling import plan_of, run_sampled
from edensim.engine.records import Records
from edensim.exceptions import ConfigError
from edensim.kernels.sources.loop_nests import state as cpu_state
from edensim.kernels.sources.loop_nests.cache import ABSENT_TAG
from edensim.kernels.sources.loop_nests.cpu import run_cpu
from edensim.vocabulary import REQUEST, nominal_clock_MHz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edensim.config.models import CpuConfig
    from edensim.dram.counts import Counts
    from edensim.dram.standard import Standard
    from edensim.engine.engine import Engine
    from edensim.engine.loop_nest_layer import LoopNestLayer

__all__ = ["CpuLayerRun", "CpuRun", "LoopNestMachine", "run_loop_nests"]

LINE_BYTES = 1 << cpu_state.LINE_BITS
#: Lines that may wait on their way to memory before cores do: a write buffer.
TRANSFER_LIMIT = 64
#: Memory clocks that the cores may run ahead of each other, and one core of the memory.
QUANTUM, QUANTUM_ALONE = 250, 4096


class LoopNestMachine(Protocol):
    """Cores with caches, and the loops that they run.

    `end` is the first byte address behind all that the loops touch; `tensors` is the number of
    tensors that traffic is counted for.
    """

    @property
    def name(self) -> str: ...

    @property
    def config(self) -> CpuConfig: ...

    @property
    def precision(self) -> str: ...

    @property
    def end(self) -> int: ...

    @property
    def tensors(self) -> int: ...

    def layers(self) -> Iterator[LoopNestLayer]:
        """Yield what each layer runs, in order."""
        ...


@dataclass(frozen=True)
class CpuLayerRun:
    """Figures of a layer: core clock cycles, instructions, traffic, and memory's counts (which end where the layer does)."""

    name: str
    cycles: int
    instructions: int
    macs: int
    counters: dict[str, int]
    moved: NDArray[np.int64]
    counts: Counts
    sampled: float  # part of the layer's time that was extrapolated

    @property
    def ipc(self) -> float:
        """Instructions per core clock cycle."""
        return self.instructions / self.cycles if self.cycles else 0.0

    def to_dict(self) -> dict[str, int | float | str]:
        """As results keep it; MPKI and activations are per thousand instructions."""
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
    """A network's pass: its layers, and all of them together. memory_cycles: memory clocks, those extrapolated included."""

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


class CpuEngine:
    """Cores and their caches in the middle of a run, beside the memory's engine."""

    def __init__(self, engine: Engine, config: CpuConfig, tensors: int) -> None:
        self.engine, self.config = engine, config
        self.machine, self.cores, self.tags = cpu_records(config, engine.standard, engine)
        self.regions = np.zeros(0, np.int64)
        self.moved = np.zeros(
            2 * (tensors + 1), np.int64
        )  # lines read and written of each tensor, and of none

    def run(
        self,
        nests: Records,
        refs: Records,
        records: Records | None = None,
        *,
        functional: bool = False,
    ) -> None:
        """Run nests one after the other. functional: caches only, no time passes and nothing is asked of memory."""
        if len(nests) == 0:
            return
        self.machine["functional"] = functional
        for name in ("nest", "state", "row", "record"):
            self.cores[name] = 0
        self.cores["line"], self.cores["last_line"] = 0, -1
        if functional:
            held = self.cores[["now", "instructions", "gap", "fraction", "stalled"]].copy()
            self.cores["stalled"] = 0
        memory, source = self.engine, np.zeros(0, REQUEST) if records is None else records
        walked = (
            self.machine,
            self.cores,
            nests,
            len(nests),
            refs,
            source,
            self.tags,
            self.regions,
            self.moved,
            memory.mapping,
        )
        memory.drive(
            partial(
                run_cpu,
                memory.channels,
                memory.timing,
                memory.loop,
                *walked,
                memory.commands,
                memory.exposures,
            )
        )
        if functional:
            for name in ("now", "instructions", "gap", "fraction", "stalled"):
                self.cores[name] = held[name]
            self.machine["functional"] = 0

    def hold(self) -> tuple[dict[str, int], NDArray[np.int64]]:
        """Counters as they are, to be restored."""
        return {name: int(self.machine[0][name]) for name in COUNTERS}, self.moved.copy()

    def restore(
        self, held: tuple[dict[str, int], NDArray[np.int64]]
    ) -> tuple[dict[str, int], NDArray[np.int64]]:
        """Set counters back; returns by how much they had grown."""
        grown = (
            {name: int(self.machine[0][name]) - value for name, value in held[0].items()},
            (self.moved - held[1]).reshape(-1, 2),
        )
        for name, value in held[0].items():
            self.machine[name] = value
        self.moved[:] = held[1]
        return grown

    def tally(self) -> Tally:
        """What happened so far."""
        machine = self.machine[0]
        slots = int(self.cores["now"].max())
        clock = max(
            int(self.engine.loop[0]["tick"]),
            -(-slots * int(machine["ticks"]) // int(machine["slots"])),
        )
        counts = self.engine.snapshot(clock)
        counters = {name: int(machine[name]) for name in COUNTERS}
        return Tally(
            slots,
            int(self.cores["instructions"].sum()),
            counters,
            self.moved.reshape(-1, 2).copy(),
            counts,
        )


def cpu_records(
    config: CpuConfig, standard: Standard, engine: Engine
) -> tuple[Records, Records, NDArray[np.int64]]:
    """Records of the machine and its cores, and the caches' tags, all empty. Raises ConfigError for a cache that holds no set."""
    machine, cores = np.zeros(1, cpu_state.CPUS), np.zeros(config.cores, cpu_state.CPU)
    h = machine[0]
    width = config.issue_width
    h["cores"], h["width"], h["window"], h["misses_allowed"] = (
        config.cores,
        width,
        config.window,
        config.mshr,
    )
    latencies = (
        np.cumsum([config.l1_latency_cycles, config.l2_latency_cycles, config.l3_latency_cycles])
        * width
    )
    h["l2_latency"], h["l3_latency"], h["miss_latency"], h["hidden"] = (
        latencies[1],
        latencies[2],
        latencies[2],
        config.window,
    )
    ratio = (
        Fraction(str(config.clock_MHz))
        * width
        / nominal_clock_MHz(standard.tck_ps, standard.rate_MTps)
    )
    h["slots"], h["ticks"] = ratio.numerator, ratio.denominator
    h["quantum"] = QUANTUM if config.cores > 1 else QUANTUM_ALONE
    access = standard.organization.access_bytes
    h["parts"], h["part_bits"] = (
        max(1, LINE_BYTES // access),
        min(access, LINE_BYTES).bit_length() - 1,
    )
    h["trcd"] = int(standard.timings["nRCD"] * ratio)
    h["transfer_limit"] = TRANSFER_LIMIT
    if config.prefetch == "stream":
        h["streams"], h["depth"] = config.prefetch_streams, config.prefetch_depth
    sets = []
    for level, kilobytes, ways, copies in (
        (1, config.l1_kB, config.l1_ways, config.cores),
        (2, config.l2_kB, config.l2_ways, config.cores),
        (3, config.l3_kB * config.cores, config.l3_ways, 1),
    ):
        count = kilobytes * 1024 // (LINE_BYTES * ways)
        if count < 1:
            raise ConfigError(
                f"cpu.l{level}_kB: {kilobytes} kB hold no set of {ways} ways of {LINE_BYTES} bytes; expected {-(-ways * LINE_BYTES // 1024)}"
            )
        h[f"sets{level}"], h[f"ways{level}"], h[f"mask{level}"] = (
            count,
            ways,
            count - 1 if count & (count - 1) == 0 else 0,
        )
        sets.append(count * ways * copies)
    h["start2"], h["start3"] = sets[0], sets[0] + sets[1]
    cores["index"] = np.arange(config.cores)
    cores["out_line"], cores["stream_page"] = -1, -1
    return machine, cores, np.full(sum(sets), ABSENT_TAG, np.int64)


def run_loop_nests(engine: Engine, machine: LoopNestMachine) -> CpuRun:
    """Run a network's layers on cores in front of a memory; the memory is not drained.

    Progress is reported as the number of layers that are done. Raises ConfigError if the memory is
    too small (saying how much is needed), or if a cache holds no set.
    """
    capacity = int(engine.mapping[0]["capacity"])
    if machine.end > capacity:
        raise ConfigError(
            f"dram.organization: {machine.end:,} bytes are needed ({machine.name}, {machine.precision}); there are {capacity:,}"
        )
    cpu = CpuEngine(engine, machine.config, machine.tensors)
    runs: list[CpuLayerRun] = []
    before = start = cpu.tally()
    skipped: Tally | None = None
    width = machine.config.issue_width
    for layer in machine.layers():
        extra = run_layer(cpu, layer)
        after = cpu.tally()
        walked = after.minus(before)
        own = walked if extra is None else walked.plus(extra)
        share = 0.0 if extra is None or own.slots == 0 else extra.slots / own.slots
        runs.append(layer_run(layer.name, own, layer.macs, share, width))
        if extra is not None:
            skipped = extra if skipped is None else skipped.plus(extra)
        before = after
        if engine.listeners.progress is not None:
            engine.listeners.progress(len(runs))
    whole = before.minus(start) if skipped is None else before.minus(start).plus(skipped)
    share = 0.0 if skipped is None or whole.slots == 0 else skipped.slots / whole.slots
    total = replace(
        layer_run("total", whole, sum(run.macs for run in runs), share, width),
        cycles=sum(run.cycles for run in runs),
    )
    return CpuRun(tuple(runs), total, total.counts.cycles, machine.config.cores)


def layer_run(name: str, own: Tally, macs: int, share: float, width: int) -> CpuLayerRun:
    counters = {**own.counters, "memory_stall_cycles": own.counters["memory_stall_slots"] // width}
    return CpuLayerRun(
        name,
        -(-round(own.slots) // width),
        own.instructions,
        macs,
        counters,
        own.moved,
        own.counts,
        share,
    )


def run_layer(cpu: CpuEngine, layer: LoopNestLayer) -> Tally | None:
    """Run a layer's nests; returns what was extrapolated, None if nothing was."""
    cpu.regions = np.ascontiguousarray(layer.regions, np.int64).reshape(-1)
    extra: Tally | None = None
    done = 0
    samples = layer.samples if cpu.config.sampling == "periodic" and not cpu.engine.changes else ()
    for sample in samples:
        plan = plan_of(sample, layer, cpu)
        if plan is None:
            continue
        cpu.run(layer.nests[done : sample.nest], layer.refs)
        part = run_sampled(cpu, layer, sample, plan)
        extra = part if extra is None else extra.plus(part)
        done = sample.nest + 1
    cpu.run(layer.nests[done : layer.count], layer.refs)
    return extra
