"""Simulate a memory that serves requests, or a machine that drives it.

Data classes come in, numpy records go to the compiled kernels, counts come out. Requests come in
chunks and are never held; commands go out in chunks. Nothing below knows names or units, nothing
above knows records.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.engine.engine import Engine
from edensim.engine.machine import Machine
from edensim.engine.monitor import Monitor
from edensim.engine.open_loop import run_stream
from edensim.engine.records import Records
from edensim.engine.trace_core import run_processor
from edensim.vocabulary import COMMAND

_SILENT = Monitor()


def simulate_memory(
    memory: MemorySystem,
    controller: ControllerConfig,
    source: SourceConfig,
    requests: Iterable[Records],
    *,
    monitor: Monitor = _SILENT,
    commands: bool = False,
) -> MemoryRun:
    """Run requests through a memory.

    Saturating and timed sources drain the memory. A core stops when its instructions have retired.

    Parameters
    ----------
    memory, controller, source
        The memory system, its controller, and how requests are offered.
    requests
        Chunks of REQUEST records, in order.
    monitor
        What is reported while the run lasts, and what is counted besides commands.
    commands
        Whether to keep the issued commands in the result, instead of handing them to the monitor.

    Raises
    ------
    TraceError
        If an address is beyond the capacity.
    ConfigError
        If the memory or the source cannot be simulated.
    ProtocolError
        If the memory reaches a state that must not be.
    """
    issued = [np.zeros(0, COMMAND)]
    if commands:
        monitor = replace(monitor, commands=issued.append)
    engine = Engine(memory, controller, monitor, keep_returns=source.kind == "core")
    core = None
    if source.kind == "core":
        core = run_processor(engine, source, requests)
    else:
        run_stream(engine, requests, source.kind == "timed")
    return MemoryRun(
        engine.counts(core.memory_cycles if core else None),
        np.concatenate(issued) if commands else None,
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
    monitor: Monitor = _SILENT,
) -> MemoryRun:
    """Run a machine in closed loop with a memory, until both are done.

    The arguments are those of `simulate_memory`. If the machine extrapolated a part of the run, the
    counts include that part; exposures and the commands of tensors are of the simulated part.

    Raises
    ------
    NetworkError
        If the network does not fit into the memory.
    ProtocolError
        If the memory reaches a state that must not be.
    """
    engine = Engine(memory, controller, monitor, keep_returns=True)
    run = machine.run(engine)
    counts = engine.counts(engine.clock)
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
