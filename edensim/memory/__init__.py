"""The wall: dataclasses in, numpy records to the compiled core, counts out.

Requests come in chunks and are never held; commands go out in chunks. Nothing below knows names or units, nothing above knows records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from edensim.config import ControllerConfig, SourceConfig
from edensim.dram.address import address_map
from edensim.dram.standard import Standard
from edensim.dram.timing import timing_record
from edensim.memory.processor import CoreRun, run_processor
from edensim.memory.records import Records, channel_records, collect_counts, mapping_record
from edensim.memory.stream import Listeners, run_stream
from edensim.results import Counts
from edensim.vocabulary import COMMAND

__all__ = ["CoreRun", "MemoryRun", "simulate_memory"]


@dataclass(frozen=True)
class MemoryRun:
    """Counts of a run; its commands where they were asked for; the core's figures where a core was the source."""

    counts: Counts
    commands: Records | None = None
    core: CoreRun | None = None

    @property
    def cycles(self) -> int:
        """Memory clock at the end of the run."""
        return self.counts.cycles


def simulate_memory(
    standard: Standard,
    controller: ControllerConfig,
    source: SourceConfig,
    requests: Iterable[Records],
    *,
    channels: int = 1,
    commands: bool = False,
    on_commands: Callable[[Records], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    locate: Callable[[int], str] | None = None,
) -> MemoryRun:
    """Run requests through the memory. Saturating and timed sources drain it; a core stops when its instructions have retired.

    requests: chunks of REQUEST records, in order.
    commands: keep the issued commands in the result; on_commands: receive them in chunks instead.
    on_progress: called with the number of requests consumed after each chunk.
    locate: names the place of a request in its file, for messages.

    Raises TraceError for an address beyond the capacity, ConfigError for what cannot be simulated, ProtocolError for a state that must not be.
    """
    mapping = mapping_record(address_map(controller.address_mapping, standard.organization, channels), standard)
    timing = timing_record(standard, controller)
    records = channel_records(channels, standard, timing, keep_returns=source.kind == "core")
    kept: list[Records] = []
    listeners = Listeners(on_commands or (kept.append if commands else None), on_progress, locate)
    core = None
    if source.kind == "core":
        core = run_processor(records, timing, mapping, standard, source, requests, listeners)
    else:
        run_stream(records, timing, mapping, requests, source.kind == "timed", listeners)
    counts = collect_counts(records, standard, controller, core.memory_cycles if core else None)
    issued = np.concatenate(kept) if kept else np.zeros(0, COMMAND)
    return MemoryRun(counts, issued if commands else None, core)
