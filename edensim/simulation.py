"""The main path: configuration → prepared run → memory run → result."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edensim.config.loading import load_config, resolved
from edensim.config.models import ErrorsConfig, RunConfig
from edensim.dram.memory_run import MemoryRun
from edensim.engine.memory_run import simulate_machine, simulate_memory
from edensim.engine.records import Records
from edensim.exceptions import InputError
from edensim.preparation import COMPILED_ENGINE, EngineChoice, PreparedRun, prepare
from edensim.results.assembly import assembled
from edensim.results.bit_errors import error_monitor
from edensim.results.layers import baseline_point, comparison
from edensim.results.run_result import RunResult
from edensim.tracefiles.commands import command_writer
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    from edensim.reference.schedulers import Scheduler

#: Largest number of tensors that a trace may name and that are counted one by one.
MAX_TENSORS = 1024


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
    monitor = error_monitor(
        prepared.memory, config.errors, config.energy, layout, trace if names_tensors else None
    )
    if monitor is not None:
        on_commands = monitor.watching(on_commands)
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
            exposure_tensors=tensors,
            on_commands=on_commands,
            on_progress=on_progress,
        )
    else:
        memory_run = simulate_memory(
            prepared.memory,
            config.controller,
            config.source,
            trace,
            exposure_tensors=tensors,
            on_commands=on_commands,
            on_progress=on_progress,
            locate=trace.position,
        )
    requests = memory_run.counts.reads + memory_run.counts.writes
    if trace is not None and requests == 0 and memory_run.core is None:
        raise InputError(f"{config.trace}: holds no request")
    return (
        memory_run
        if monitor is None
        else replace(memory_run, errors=monitor.summary(memory_run.layers))
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
