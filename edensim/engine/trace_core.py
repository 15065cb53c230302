"""Closed-loop source: a core with a window and a last-level cache, fed by a core trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from edensim.config.models import SourceConfig
from edensim.dram.standard import Standard
from edensim.engine.engine import Engine, Listeners
from edensim.engine.open_loop import refuse
from edensim.engine.records import Records
from edensim.exceptions import ConfigError, TraceError
from edensim.kernels.controller import state
from edensim.kernels.sources import trace_core as processor
from edensim.kernels.sources.event_loop import run_core
from edensim.vocabulary import REQUEST, nominal_clock_MHz


@dataclass(frozen=True)
class CoreRun:
    """What a core did: core clock cycles until the last instruction retired, memory cycles done by then, traffic.

    Misses are lines fetched; an access to a line already on its way is none.
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
    """CORE record and cache, empty. Raises ConfigError for a cache that holds no set, or a window narrower than the issue width."""
    line_bytes = standard.organization.access_bytes
    sets = source.llc_kB * 1024 // (line_bytes * source.llc_ways)
    if sets < 1:
        raise ConfigError(
            f"source.llc_kB: {source.llc_kB} kB hold no set of {source.llc_ways} ways of {line_bytes} bytes"
        )
    ratio = Fraction(str(source.clock_MHz)) / nominal_clock_MHz(standard.tck_ps, standard.rate_MTps)
    record = np.zeros(1, processor.CORE)
    core = record[0]
    core["width"], core["window"], core["misses_allowed"] = (
        source.issue_width,
        source.window,
        source.mshr,
    )
    core["sets"], core["ways"], core["latency"] = sets, source.llc_ways, source.llc_latency_cycles
    core["target"] = source.instructions if source.instructions is not None else state.FOREVER
    core["memory_step"], core["core_step"] = ratio.numerator, ratio.denominator
    core["line_bits"] = line_bytes.bit_length() - 1
    core["load"] = core["writeback"] = -1
    core["miss_line"] = -1
    return record, np.full(sets * source.llc_ways, processor.ABSENT_LINE, np.int64)


def core_chunks(
    requests: Iterable[Records], mapping: Records, endless: bool, listeners: Listeners
) -> Iterator[Records]:
    """Checked chunks of the trace; over and over where `endless`."""
    capacity = mapping[0]["capacity"]
    while True:
        first = 0
        for chunk in requests:
            if chunk.dtype != REQUEST:
                raise TypeError(f"expected REQUEST records, found {chunk.dtype}")
            for field in ("address", "writeback"):  # -1: none
                bad = np.flatnonzero((chunk[field] >= capacity) | (chunk[field] < -1))
                if len(bad):
                    refuse(chunk, int(bad[0]), field, first, mapping, listeners)
            first += len(chunk)
            if len(chunk):
                yield chunk
        if not endless:
            return
        if first == 0:
            raise TraceError("the trace holds no record to repeat")


def run_processor(engine: Engine, source: SourceConfig, requests: Iterable[Records]) -> CoreRun:
    """Run the core until its instructions have retired; the memory is not drained.

    requests: chunks of REQUEST records; iterated again where `source.instructions` asks for more than they hold.
    """
    core, cache = core_record(source, engine.standard)
    loop = engine.loop
    chunks = core_chunks(
        requests, engine.mapping, source.instructions is not None, engine.listeners
    )
    status, done = state.NEED_INPUT, 0
    while status != state.DONE:
        chunk = next(chunks, None)
        loop["position"], loop["final"] = 0, chunk is None
        if chunk is None:
            chunk = np.empty(0, REQUEST)
        source_state = (core, cache, engine.mapping, chunk, len(chunk))
        status = engine.drive(
            partial(
                run_core,
                engine.channels,
                engine.timing,
                loop,
                *source_state,
                engine.commands,
                engine.exposures,
            )
        )
        done += len(chunk)
        if engine.listeners.progress is not None:
            engine.listeners.progress(done)
    end = core[0]
    return CoreRun(
        cycles=int(end["cycle"]),
        memory_cycles=-(
            -int(end["core_step"]) * (int(end["cycle"]) - 1) // int(end["memory_step"])
        ),
        instructions=int(end["retired"]),
        **{
            name: int(end[name])
            for name in (
                "llc_reads",
                "llc_writes",
                "llc_read_misses",
                "llc_write_misses",
                "llc_writebacks",
                "dram_reads",
                "dram_writes",
            )
        },
    )
