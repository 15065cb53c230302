"""A core with a window and a last-level cache, fed by a core trace, as the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields

import numpy as np

from edensim.config.models import SourceConfig
from edensim.dram.clock_ratio import clock_ratio, last_clock_of
from edensim.dram.standard import Standard
from edensim.engine.engine import Engine
from edensim.engine.monitor import Monitor
from edensim.engine.open_loop import refuse, request_chunks, with_last
from edensim.engine.records import Records
from edensim.exceptions import ConfigError, TraceError
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.sources.trace_core import ABSENT_LINE, CORE, run_core
from edensim.kernels.status import Status
from edensim.vocabulary import REQUEST


@dataclass(frozen=True)
class CoreRun:
    """What a core did: cycles until the last instruction retired, and the traffic of its cache.

    `cycles` are of the core's clock, `memory_cycles` those of the memory's clock done by then.
    Misses are lines fetched; an access to a line that is already on its way is none.
    """

    cycles: int
    memory_cycles: int
    instructions: int
    llc_reads: int
    llc_writes: int
    llc_read_misses: int
    llc_write_misses: int
    llc_writebacks: int
    dram_reads: int
    dram_writes: int

    @property
    def ipc(self) -> float:
        """Instructions per core clock cycle."""
        return self.instructions / self.cycles if self.cycles else 0.0

    def counters(self) -> dict[str, int]:
        """Return what the cache saw, and what it requested from the memory."""
        return {
            key: value for key, value in asdict(self).items() if key.startswith(("llc_", "dram_"))
        }


def core_record(source: SourceConfig, standard: Standard) -> tuple[Records, Records]:
    """Return the CORE record and the lines of the cache, empty.

    Raises ConfigError for a cache that holds no set.
    """
    line_bytes = standard.organization.access_bytes
    sets = source.llc_kB * 1024 // (line_bytes * source.llc_ways)
    if sets < 1:
        raise ConfigError(
            f"source.llc_kB: {source.llc_kB} kB hold no set of {source.llc_ways} ways of "
            f"{line_bytes} bytes"
        )
    ratio = clock_ratio(standard, source.clock_MHz)
    record = np.zeros(1, CORE)
    core = record[0]
    core["width"], core["window"] = source.issue_width, source.window
    core["misses_allowed"] = source.mshr
    core["sets"], core["ways"], core["latency"] = sets, source.llc_ways, source.llc_latency_cycles
    core["target"] = source.instructions if source.instructions is not None else FOREVER
    core["memory_step"], core["core_step"] = ratio.numerator, ratio.denominator
    core["line_bits"] = line_bytes.bit_length() - 1
    core["load"] = core["writeback"] = -1
    core["miss_line"] = -1
    return record, np.full(sets * source.llc_ways, ABSENT_LINE, np.int64)


def core_chunks(
    requests: Iterable[Records], mapping: Records, endless: bool, monitor: Monitor
) -> Iterator[Records]:
    """Yield the checked chunks of a trace; over and over if `endless`."""
    capacity = int(mapping[0]["capacity"])
    while True:
        is_empty = True
        for first, chunk in request_chunks(requests):
            for field in ("address", "writeback"):  # -1 means that there is none
                bad = np.flatnonzero((chunk[field] >= capacity) | (chunk[field] < -1))
                if len(bad):
                    refuse(int(chunk[bad[0]][field]), first + int(bad[0]), capacity, monitor)
            if len(chunk):
                is_empty = False
                yield chunk
        if not endless:
            return
        if is_empty:
            raise TraceError("the trace holds no record to repeat")


def run_processor(engine: Engine, source: SourceConfig, requests: Iterable[Records]) -> CoreRun:
    """Run the core until its instructions have retired; the memory is not drained.

    The chunks of REQUEST records are iterated again if `source.instructions` asks for more than
    they hold.
    """
    core, cache = core_record(source, engine.standard)
    engine.loop["last_clock"] = last_clock_of(clock_ratio(engine.standard, source.clock_MHz))
    chunks = core_chunks(requests, engine.mapping, source.instructions is not None, engine.monitor)
    done = 0
    for chunk, final in with_last(chunks, REQUEST):
        engine.loop["position"], engine.loop["final"] = 0, final
        status = engine.drive(run_core, core, cache, chunk)
        done += len(chunk)
        engine.monitor.report_progress(done)
        if status == Status.DONE:
            break
    record = core[0]
    cycles, core_step = int(record["cycle"]), int(record["core_step"])
    counted = (f.name for f in fields(CoreRun) if f.name.startswith(("llc_", "dram_")))
    return CoreRun(
        cycles=cycles,
        memory_cycles=-(-core_step * (cycles - 1) // int(record["memory_step"])),
        instructions=int(record["retired"]),
        **{name: int(record[name]) for name in counted},
    )
