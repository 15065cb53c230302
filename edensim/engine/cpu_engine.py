"""Cores and their caches in the middle of a run, beside the memory's engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edensim.dram.clock_ratio import clock_ratio, last_clock_of
from edensim.engine.loop_nest_counters import COUNTERS, CpuCounters
from edensim.engine.records import Records
from edensim.exceptions import ConfigError
from edensim.kernels.sources.loop_nests import state as cpu_state
from edensim.kernels.sources.loop_nests.cache import ABSENT_TAG, L1, L2, L3
from edensim.kernels.sources.loop_nests.cpu import run_cpu
from edensim.vocabulary import REQUEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.config.models import CpuConfig
    from edensim.dram.standard import Standard
    from edensim.engine.engine import Engine

LINE_BYTES = 1 << cpu_state.LINE_BITS
#: Requests that may wait on their way to memory before cores have to wait: a write buffer.
PENDING_LIMIT = 64
#: Memory clocks that cores may run ahead of each other, and that a single core may run ahead.
QUANTUM, QUANTUM_ALONE = 250, 4096
#: Fields of a core that do not change while it only fills caches.
CORE_TIME = ("now", "instructions", "gap", "fraction", "stalled")


CounterSnapshot = tuple[dict[str, int], "NDArray[np.int64]"]


class CpuEngine:
    """Cores and their caches in the middle of a run, beside the memory's engine."""

    def __init__(self, engine: Engine, config: CpuConfig, tensors: int) -> None:
        self.engine, self.config = engine, config
        self.machine, self.cores, self.tags = cpu_records(config, engine.standard)
        slots_per_clock = clock_ratio(engine.standard, config.clock_MHz) * config.issue_width
        engine.loop["last_clock"] = last_clock_of(slots_per_clock)
        self.regions = np.zeros(0, np.int64)
        # Lines read and written of each tensor, and of what belongs to none.
        self.moved = np.zeros(2 * (tensors + 1), np.int64)

    def run(
        self,
        nests: Records,
        refs: Records,
        records: Records | None = None,
        *,
        functional: bool = False,
    ) -> None:
        """Run nests one after the other.

        If `functional`, only the caches change: no time passes and memory gets no requests.
        """
        if len(nests) == 0:
            return
        self.machine["functional"] = functional
        for name in ("nest", "state", "row", "record"):
            self.cores[name] = 0
        self.cores["line"], self.cores["last_line"] = 0, -1
        if functional:
            before = self.cores[list(CORE_TIME)].copy()
            self.cores["stalled"] = 0
        source = np.zeros(0, REQUEST) if records is None else records
        caches = (self.machine, self.cores, self.tags, self.regions, self.moved)
        self.engine.drive(run_cpu, *caches, nests, refs, source)
        if functional:
            for name in CORE_TIME:
                self.cores[name] = before[name]
            self.machine["functional"] = 0

    def snapshot(self) -> CounterSnapshot:
        """Return the counters as they are, so that they can be rolled back."""
        return {name: int(self.machine[0][name]) for name in COUNTERS}, self.moved.copy()

    def rollback(self, snapshot: CounterSnapshot) -> CounterSnapshot:
        """Set the counters back; return by how much they had grown."""
        counters, moved = snapshot
        grown = {name: int(self.machine[0][name]) - value for name, value in counters.items()}
        moved_since = (self.moved - moved).reshape(-1, 2)
        for name, value in counters.items():
            self.machine[name] = value
        self.moved[:] = moved
        return grown, moved_since

    def counters(self) -> CpuCounters:
        """Return what happened so far."""
        machine = self.machine[0]
        slots = int(self.cores["now"].max())
        clock = -(-slots * int(machine["clocks"]) // int(machine["slots"]))
        # The engine stands before the clock that it runs next, and no core is behind it.
        counts = self.engine.counts_so_far(max(self.engine.clock - 1, clock, 1))
        instructions = int(self.cores["instructions"].sum())
        counters, moved = self.snapshot()
        return CpuCounters(slots, instructions, counters, moved.reshape(-1, 2), counts)


def cpu_records(
    config: CpuConfig, standard: Standard
) -> tuple[Records, Records, NDArray[np.int64]]:
    """Return the records of the machine and of its cores, and the tags of the caches, all empty.

    Raises ConfigError for a cache that holds no set.
    """
    record, cores = np.zeros(1, cpu_state.CPUS), np.zeros(config.cores, cpu_state.CPU)
    machine = record[0]
    width = config.issue_width
    machine["cores"], machine["width"] = config.cores, width
    machine["window"] = machine["hidden"] = config.window
    machine["misses_allowed"] = config.mshr
    l2_cycles = config.l1_latency_cycles + config.l2_latency_cycles
    machine["l2_latency"] = l2_cycles * width
    machine["l3_latency"] = (l2_cycles + config.l3_latency_cycles) * width
    machine["miss_latency"] = machine["l3_latency"]
    ratio = clock_ratio(standard, config.clock_MHz) * width
    machine["slots"], machine["clocks"] = ratio.numerator, ratio.denominator
    machine["quantum"] = QUANTUM if config.cores > 1 else QUANTUM_ALONE
    access = standard.organization.access_bytes
    machine["parts"] = max(1, LINE_BYTES // access)
    machine["part_bits"] = min(access, LINE_BYTES).bit_length() - 1
    machine["trcd"] = int(standard.timings["nRCD"] * ratio)
    machine["pending_limit"] = PENDING_LIMIT
    if config.prefetch == "stream":
        machine["streams"], machine["depth"] = config.prefetch_streams, config.prefetch_depth
    tags = 0
    for level, kilobytes, ways, copies in (
        (L1, config.l1_kB, config.l1_ways, config.cores),
        (L2, config.l2_kB, config.l2_ways, config.cores),
        (L3, config.l3_kB * config.cores, config.l3_ways, 1),
    ):
        sets = kilobytes * 1024 // (LINE_BYTES * ways)
        if sets < 1:
            raise ConfigError(
                f"cpu.l{level + 1}_kB: {kilobytes} kB hold no set of {ways} ways of {LINE_BYTES} "
                f"bytes; expected {-(-ways * LINE_BYTES // 1024)}"
            )
        machine["sets"][level], machine["ways"][level], machine["start"][level] = sets, ways, tags
        machine["mask"][level] = sets - 1 if sets & (sets - 1) == 0 else 0
        tags += sets * ways * copies
    cores["index"] = np.arange(config.cores)
    cores["out_line"], cores["stream_page"] = -1, -1
    return record, cores, np.full(tags, ABSENT_TAG, np.int64)
