"""The main path: configuration → prepared run → memory run → result."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edensim.config.loading import load_config, resolved
from edensim.config.models import ControllerConfig, ErrorsConfig, RunConfig
from edensim.config.plugins import MACHINES, SCHEDULERS
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.refresh import check_refresh
from edensim.energy.costs import costs_of
from edensim.engine.machine import Machine
from edensim.engine.memory_run import simulate_machine, simulate_memory
from edensim.engine.monitor import Monitor
from edensim.engine.records import Records
from edensim.exceptions import ConfigError, InputError, nearest
from edensim.machines.machine import machine_for
from edensim.networks.layout import Layout, lay_out, parse_pinned
from edensim.networks.loading import load_network
from edensim.networks.network import Network
from edensim.results.assembly import assembled
from edensim.results.bit_errors import error_monitor
from edensim.results.layers import baseline_point, comparison
from edensim.results.run_result import RunResult
from edensim.tracefiles.adaptation import Adaptation
from edensim.tracefiles.commands import command_writer
from edensim.tracefiles.reader import Trace, open_trace
from edensim.vocabulary import ProgressCallback, SourceKind

if TYPE_CHECKING:
    from edensim.reference.schedulers import Scheduler

#: Largest number of tensors that a trace may name and that are counted one by one.
MAX_TENSORS: Final = 1024

#: The engines. Both give the same results; the reference engine is slow and simple.
ENGINES: Final = ("compiled", "reference")


@dataclass(frozen=True)
class EngineChoice:
    """Which engine simulates a run.

    Parameters
    ----------
    name
        One of `ENGINES`.
    scheduler
        A scheduler (`edensim.reference.schedulers`) for the reference engine, to be used instead of
        the one that `controller.scheduler` names.
    """

    name: str = "compiled"
    scheduler: Scheduler | None = None

    def check(self, controller: ControllerConfig) -> None:
        """Raise InputError for an engine that does not exist, or cannot run a scheduler."""
        if self.name not in ENGINES:
            raise InputError(
                f"engine: expected {' or '.join(ENGINES)}, found {self.name!r}"
                f"{nearest(self.name, ENGINES)}"
            )
        if self.name == "reference":
            return
        if self.scheduler is not None:
            raise InputError(
                "scheduler: the compiled engine runs no Python function; expected "
                "engine='reference' beside it"
            )
        if controller.scheduler not in SCHEDULERS.builtin:
            raise ConfigError(
                f"controller.scheduler: the compiled engine has no {controller.scheduler!r}; "
                f"expected one of {', '.join(SCHEDULERS.builtin)}, or the reference engine "
                "(--engine reference)"
            )


COMPILED_ENGINE: Final = EngineChoice()


@dataclass(frozen=True)
class PreparedRun:
    """All that a run needs: its memory, and either a trace or a machine with a network's layout.

    The configuration has its `source.kind` decided.
    """

    config: RunConfig
    memory: MemorySystem
    trace: Trace | None = None
    machine: Machine | None = None
    layout: Layout | None = None
    engine: EngineChoice = COMPILED_ENGINE


def simulate(
    trace: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    commands: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
    engine: str = "compiled",
    scheduler: Scheduler | None = None,
    **sections: Mapping[str, Any],
) -> RunResult:
    """Simulate a memory trace, or a network on a machine, as `edensim simulate` does.

    Parameters
    ----------
    trace
        A request trace in any known format.
    config
        A run file (YAML).
    overrides
        Keys as `--set` takes them, such as `"dram.channels=2"`.
    commands
        A CSV file to write every issued DRAM command to. It appears when the run is complete.
    progress
        Called with the number of requests done and the number of all, None if that is unknown.
        The reference engine does not call it.
    engine
        `compiled`, or `reference` for the engine in Python, which is slow and gives the same
        results. It runs traces and tiled machines (gpu, eyeriss and tpu).
    scheduler
        A function that chooses the next request instead of `controller.scheduler`; only for the
        reference engine. `edensim.reference.schedulers` describes it.
    **sections
        Sections of the configuration, such as `dram={"channels": 2}`. If a key is set more than
        once, the last of sections, `config`, `trace` and `overrides` decides.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        If the input or the configuration cannot be accepted.
    EdensimError
        If the run fails.
    """
    named = [] if trace is None else [f"trace={os.fspath(trace)}"]
    loaded = load_config(None if config is None else Path(config), [*named, *overrides], sections)
    with loaded.locating():
        choice = EngineChoice(engine, scheduler)
        return run(loaded.config, commands=commands, progress=progress, engine=choice)


def run(
    config: RunConfig,
    *,
    commands: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
    engine: EngineChoice = COMPILED_ENGINE,
) -> RunResult:
    """Simulate what a configuration describes, and its baselines; arguments as for `simulate`."""
    prepared = prepare(config, engine)
    with nullcontext() if commands is None else command_writer(os.fspath(commands)) as write:
        main = run_prepared(prepared, on_commands=write, progress=progress)
    return main if prepared.machine is None else _with_baselines(prepared, main, progress)


def prepare(config: RunConfig, engine: EngineChoice = COMPILED_ENGINE) -> PreparedRun:
    """Resolve the memory of a configuration, and find its trace, or its network and machine.

    Raises InputError for whatever cannot be found, read or run.
    """
    engine.check(config.controller)
    memory = MemorySystem.resolve(config.dram, config.controller)
    check_refresh(config.dram, memory, config.controller.refresh)
    costs_of(memory, config.energy)  # refuses an energy model that does not fit the standard
    if config.frontend is None and config.network is None:
        trace = _open_trace(config, memory)
        config = _with_source_kind(config, trace)
        return PreparedRun(config, memory, _adapted(config, memory, trace), engine=engine)
    network, layout = _lay_out(config, memory)
    if config.frontend is None:
        raise ConfigError("frontend: names no machine; expected one of cpu, gpu, eyeriss, tpu")
    is_builtin = config.frontend in MACHINES.builtin
    section = getattr(config, config.frontend) if is_builtin else config.machine
    machine = machine_for(config.frontend, network, layout, section)
    return PreparedRun(config, memory, machine=machine, layout=layout, engine=engine)


def layout_of(config: RunConfig, memory: MemorySystem) -> Layout:
    """Lay out the network of a run in its memory, as it is executed (fused).

    Raises ConfigError or NetworkError.
    """
    return _lay_out(config, memory)[1]


def _lay_out(config: RunConfig, memory: MemorySystem) -> tuple[Network, Layout]:
    """Return the network as it was read, and the layout of the network as it is executed."""
    if config.trace is not None:
        raise ConfigError(
            f"trace: {config.trace!r} given beside a network; expected one of the two"
        )
    if config.network is None:
        raise ConfigError(
            "network: names no network; expected a name (`edensim networks` lists them) or a file"
        )
    network = load_network(
        config.network, batch=config.batch, height=config.input_height, width=config.input_width
    )
    layout = lay_out(
        network.fused(),
        config.precision,
        alignment_bytes=config.layout.alignment_bytes,
        base_address=config.layout.base_address,
        reuse=config.layout.reuse,
        pinned=parse_pinned(config.layout.pinned),
        capacity_bytes=memory.capacity_bytes,
    )
    return network, layout


def _open_trace(config: RunConfig, memory: MemorySystem) -> Trace:
    """Open the trace of a run.

    The memory turns the trace's address vectors into addresses, and its ticks into clocks.
    """
    if config.trace is None:
        raise ConfigError("trace: names no trace; expected a file")
    return open_trace(
        config.trace,
        format=config.trace_format,
        encode=memory.address_map.encode,
        tck_ps=memory.standard.tck_ps if config.source.kind == "timed" else None,
        as_core=config.source.kind == "core",
    )


def _adapted(config: RunConfig, memory: MemorySystem, trace: Trace) -> Trace:
    """Return the trace with its requests adapted to the source and the memory of a run."""
    assert config.source.kind is not None
    adaptation = Adaptation(
        SourceKind[config.source.kind.upper()],
        memory.capacity_bytes,
        config.trace_addresses,
        config.trace_page_KiB * 1024,
        config.seed,
    )
    return replace(trace, adaptation=adaptation)


def _with_source_kind(config: RunConfig, trace: Trace) -> RunConfig:
    """Decide `source.kind`: the user's choice, else what the trace's format describes."""
    found = trace.kind.name.lower()
    kind = config.source.kind or found
    if (kind == "core") != (trace.kind == SourceKind.CORE):
        needs = "bubbles before each load" if kind == "core" else "plain requests"
        raise ConfigError(
            f"source.kind: {kind!r} needs a trace of {needs}; {config.trace} is a {trace.format} "
            f"trace, which is {found!r}"
        )
    if kind == "timed" and trace.kind != SourceKind.TIMED:
        raise ConfigError(
            f"source.kind: 'timed' needs a trace with clocks; {config.trace} is a {trace.format} "
            "trace, which has none"
        )
    return msgspec.structs.replace(config, source=msgspec.structs.replace(config.source, kind=kind))


def run_prepared(
    prepared: PreparedRun,
    *,
    on_commands: Callable[[Records], None] | None = None,
    progress: ProgressCallback | None = None,
) -> RunResult:
    """Simulate a prepared run and return its result."""
    memory_run = simulate_prepared(prepared, on_commands=on_commands, progress=progress)
    return result_of(prepared, memory_run)


def simulate_prepared(
    prepared: PreparedRun,
    *,
    on_commands: Callable[[Records], None] | None = None,
    progress: ProgressCallback | None = None,
) -> MemoryRun:
    """Simulate the memory of a prepared run, command by command.

    Runs that differ only in what costs energy can share the outcome (`edensim.sweep.grid` knows
    which): `result_of` makes a result of it for each of them.
    """
    config, trace, layout = prepared.config, prepared.trace, prepared.layout
    names_tensors = trace is not None and trace.format == "edensim"
    errors = error_monitor(
        prepared.memory, config.errors, config.energy, layout, trace if names_tensors else None
    )
    if errors is not None:
        on_commands = errors.watching(on_commands)
    on_progress = None if progress is None else lambda done: progress(done, None)
    tensors = MAX_TENSORS if names_tensors else 0
    if layout is not None:
        tensors = min(len(layout.placements), MAX_TENSORS)
    if prepared.engine.name == "reference":
        memory_run = _simulate_by_reference(prepared, tensors, on_commands)
    elif trace is None:
        assert prepared.machine is not None
        memory_run = simulate_machine(
            prepared.memory,
            config.controller,
            prepared.machine,
            monitor=Monitor(on_commands, on_progress, None, tensors),
        )
    else:
        memory_run = simulate_memory(
            prepared.memory,
            config.controller,
            config.source,
            trace,
            monitor=Monitor(on_commands, on_progress, trace.position, tensors),
        )
    requests = memory_run.counts.reads + memory_run.counts.writes
    if trace is not None and requests == 0 and memory_run.core is None:
        raise InputError(f"{config.trace}: holds no request")
    return (
        memory_run
        if errors is None
        else replace(memory_run, errors=errors.summary(memory_run.layers))
    )


def _simulate_by_reference(
    prepared: PreparedRun, tensors: int, on_commands: Callable[[Records], None] | None
) -> MemoryRun:
    """Simulate with the reference engine, which is imported only if it is used."""
    from edensim.reference.simulation import simulate_reference
    from edensim.reference.tiles import simulate_reference_machine

    controller, scheduler = prepared.config.controller, prepared.engine.scheduler
    memory_run: MemoryRun
    if prepared.trace is None:
        memory_run = simulate_reference_machine(
            prepared.memory,
            controller,
            prepared.machine,
            scheduler=scheduler,
            exposure_tensors=tensors,
        )
    else:
        memory_run = simulate_reference(
            prepared.memory,
            controller,
            prepared.config.source,
            prepared.trace,
            scheduler=scheduler,
            exposure_tensors=tensors,
            locate=prepared.trace.position,
        )
    if on_commands is not None and memory_run.commands is not None:
        # A monitor of bit errors tells layers apart by the chunks in which commands come.
        ends = [layer.end_clock or 0 for layer in memory_run.layers]
        for chunk in np.split(
            memory_run.commands, np.searchsorted(memory_run.commands["clock"], ends)
        ):
            on_commands(chunk)
    return memory_run


def result_of(prepared: PreparedRun, memory_run: MemoryRun) -> RunResult:
    """Turn counts into energies and one result object; a pure function."""
    config = prepared.config
    return assembled(memory_run, prepared.memory, config.energy, resolved(config), prepared.layout)


def _with_baselines(
    prepared: PreparedRun, main: RunResult, progress: ProgressCallback | None
) -> RunResult:
    """Add what the same network takes on the same machine at other operating points."""
    config = prepared.config
    baselines: dict[str, dict[str, float]] = {}
    for name in config.baselines:
        dram = baseline_point(config.dram, name)
        other = main
        if dram != config.dram:
            baseline = msgspec.structs.replace(config, dram=dram, errors=ErrorsConfig())
            other = run_prepared(prepare(baseline, prepared.engine), progress=progress)
        baselines[name] = comparison(main, other)
    return replace(main, baselines=baselines)
