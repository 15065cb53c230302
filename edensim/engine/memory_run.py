"""The wall: dataclasses in, numpy records to the compiled core, counts out.

Requests come in chunks and are never held; commands go out in chunks. Nothing below knows names or units, nothing above knows records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.engine.engine import Engine, Listeners
from edensim.engine.machine import Machine
from edensim.engine.open_loop import run_stream
from edensim.engine.records import Records
from edensim.engine.trace_core import run_processor
from edensim.vocabulary import COMMAND


def simulate_memory(
    memory: MemorySystem,
    controller: ControllerConfig,
    source: SourceConfig,
    requests: Iterable[Records],
    *,
    exposure_tensors: int | None = None,
    commands: bool = False,
    on_commands: Callable[[Records], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    locate: Callable[[int], str] | None = None,
) -> MemoryRun:
    """Run requests through the memory. Saturating and timed sources drain it; a core stops when its instructions have retired.

    requests: chunks of REQUEST records, in order.
    exposure_tensors: count how long after its ACT each read came, by bank and for that many tensors, and the commands of those; None: do not.
    commands: keep the issued commands in the result; on_commands: receive them in chunks instead.
    on_progress: called with the number of requests consumed after each chunk.
    locate: names the place of a request in its file, for messages.

    Raises TraceError for an address beyond the capacity, ConfigError for what cannot be simulated, ProtocolError for a state that must not be.
    """
    kept: list[Records] = []
    listeners = Listeners(on_commands or (kept.append if commands else None), on_progress, locate)
    is_core = source.kind == "core"
    engine = Engine(
        memory,
        controller,
        listeners,
        keep_returns=is_core,
        exposure_tensors=exposure_tensors,
    )
    core = None
    if is_core:
        core = run_processor(engine, source, requests)
    else:
        run_stream(engine, requests, source.kind == "timed")
    counts = engine.counts(core.memory_cycles if core else None)
    issued = None
    if commands:
        issued = np.concatenate(kept) if kept else np.zeros(0, COMMAND)
    return MemoryRun(
        counts,
        issued,
        core,
        tuple(engine.epochs),
        engine.exposure(),
        engine.tensors(),
        machine_counters={} if core is None else core.counters(),
    )


def simulate_machine(
    memory: MemorySystem,
    controller: ControllerConfig,
    machine: Machine,
    *,
    exposure_tensors: int | None = None,
    on_commands: Callable[[Records], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> MemoryRun:
    """Run a machine in closed loop with the memory, until both are done.

    The arguments are those of `simulate_memory`. If the machine extrapolated a part of the run, the
    counts include that part; exposures and the commands of tensors are of the simulated part.

    Raises NetworkError for a network that does not fit into the memory, ProtocolError for a state
    that must not be.
    """
    engine = Engine(
        memory,
        controller,
        Listeners(on_commands, on_progress),
        keep_returns=True,
        exposure_tensors=exposure_tensors,
    )
    run = machine.run(engine)
    counts = engine.counts(int(engine.loop[0]["tick"]))
    epochs = tuple(engine.epochs)
    if run.counts is not None:
        counts = run.counts
        if len(epochs) == 1:
            epochs = (replace(epochs[0], counts=counts),)
    return MemoryRun(
        counts,
        core=run.core,
        epochs=epochs,
        exposure=engine.exposure(),
        tensors=engine.tensors(),
        layers=run.layers,
        machine_counters=run.counters,
    )
