"""The main path: one run from configuration to result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from edensim._version import __version__
from edensim.config.loading import load_config, resolved
from edensim.config.models import ErrorsConfig, RunConfig
from edensim.config.plugins import MACHINES
from edensim.dram.memory_system import MemorySystem
from edensim.energy.data import data_factors
from edensim.energy.partitions import run_energies, sum_of
from edensim.energy.tensors import COMMAND_PARTS, tensor_energies
from edensim.engine.machine import Machine
from edensim.engine.memory_run import MemoryRun, simulate_machine, simulate_memory
from edensim.engine.records import Records
from edensim.exceptions import ConfigError, InputError
from edensim.machines.machine import machine_for
from edensim.networks.layout import Layout, lay_out, parse_pinned
from edensim.networks.loading import load_network
from edensim.networks.network import Network
from edensim.results.bit_errors import error_watch
from edensim.results.exposure import (
    changes_made,
    exposure_summary,
    partition_commands,
    tensor_commands,
    total_commands,
)
from edensim.results.layers import baseline_point, comparison, layer_results
from edensim.results.run_result import RunResult
from edensim.tracefiles.reader import Trace, open_trace
from edensim.vocabulary import SourceKind

#: Called with requests done and, where known, requests in all.
Progress = Callable[[int, int | None], None]


def simulate(
    trace: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    commands: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **sections: Mapping[str, Any],
) -> RunResult:
    """Simulate a memory trace, as `edensim simulate` does.

    config: a run YAML. sections: configuration as keyword arguments (`dram={"channels": 2}`), overrides: as `--set` takes them
    (`"dram.channels=2"`). Later wins, in the order sections, config, trace, overrides. commands: where to write every command issued (CSV).
    progress: called with requests done and, where known, requests in all.

    Raises InputError (what was asked cannot be accepted) or another EdensimError.
    """
    named = [] if trace is None else [f"trace={os.fspath(trace)}"]
    loaded = load_config(
        Path(config) if config is not None else None, [*named, *overrides], sections
    )
    with loaded.locating():
        return run(
            loaded.config,
            commands_path=Path(commands) if commands is not None else None,
            progress=progress,
        )


def run(
    config: RunConfig, *, commands_path: Path | None = None, progress: Progress | None = None
) -> RunResult:
    """Simulate what a configuration describes.

    commands_path: where every issued command goes, as CSV; the file appears when the run is complete, not before.

    Raises InputError for what cannot be accepted, another EdensimError for a run that failed.
    """
    prepared = prepare(config)
    with command_sink(commands_path) as sink:
        memory = simulate_prepared(prepared, on_commands=sink, progress=progress)
    main = result(prepared, memory)
    return main if prepared.machine is None else beside_baselines(prepared, main, progress)


@dataclass(frozen=True)
class PreparedRun:
    """All that a run needs, found and checked; the configuration has its `source.kind` decided.

    Either a trace, or a machine with a network's layout.
    """

    config: RunConfig
    memory: MemorySystem
    trace: Trace | None = None
    machine: Machine | None = None
    layout: Layout | None = None


def prepare(config: RunConfig) -> PreparedRun:
    """Find and check what a configuration names. Raises InputError."""
    memory = MemorySystem.resolve(config.dram, config.controller)
    data_factors(
        config.energy, memory.standard
    )  # an energy model that does not fit is refused before the run
    if config.frontend is not None or config.network is not None:
        network, layout = run_network(config, memory)
        return PreparedRun(
            config, memory, machine=run_machine(config, network, layout), layout=layout
        )
    trace = open_run_trace(config, memory)  # any format
    return PreparedRun(with_source_kind(config, trace), memory, trace)  # saturating, timed or core


def simulate_prepared(
    run: PreparedRun,
    *,
    on_commands: Callable[[Records], None] | None = None,
    progress: Progress | None = None,
) -> MemoryRun:
    """Commands, cycle by cycle. Runs that differ only in what costs energy share what comes out (`edensim.sweep.grid.simulation_key`)."""
    config, trace = run.config, run.trace
    on_progress = None if progress is None else lambda done: progress(done, None)
    names_tensors = trace is not None and trace.format == "edensim"
    watch = error_watch(
        run.memory,
        config.errors,
        config.energy,
        run.layout,
        TraceChunks(trace) if trace is not None and names_tensors else None,
    )
    if watch is not None:
        on_commands = watch.listener(on_commands)
    if run.layout is not None and run.machine is not None:
        memory = simulate_machine(
            run.memory,
            config.controller,
            run.machine,
            exposure_tensors=min(len(run.layout.placements), MAX_TENSORS),
            on_commands=on_commands,
            on_progress=on_progress,
        )
        return memory if watch is None else replace(memory, errors=watch.summary(memory))
    assert trace is not None
    memory = simulate_memory(
        run.memory,
        config.controller,
        config.source,
        TraceChunks(trace),
        exposure_tensors=MAX_TENSORS if names_tensors else 0,
        on_commands=on_commands,
        on_progress=on_progress,
        locate=trace.position,
    )
    if memory.counts.reads + memory.counts.writes == 0 and memory.core is None:
        raise InputError(f"{config.trace}: holds no request")
    return memory if watch is None else replace(memory, errors=watch.summary(memory))


def result(run: PreparedRun, memory: MemoryRun) -> RunResult:
    """Counts to energy to one result object; pure."""
    config, standard, plan = run.config, run.memory.standard, run.memory.plan
    energies = run_energies(
        [(epoch.counts, epoch.cell_point) for epoch in memory.epochs], run.memory, config.energy
    )
    names = [] if run.layout is None else [placement.name for placement in run.layout.placements]
    tensors = tensor_commands(memory, names)
    return RunResult.from_counts(
        memory.counts,
        sum_of(energies),
        tck_ps=standard.tck_ps,
        access_bytes=standard.organization.access_bytes,
        peak_bandwidth_GBps=run.memory.peak_bandwidth_GBps,
        voltage_law=config.energy.voltage_law,
        energy_by_partition_pJ=energies,
        operating_points={
            **plan.to_dict(),
            "changes_made": [asdict(change) for change in changes_made(memory)],
        },
        exposure=exposure_summary(memory, plan, names),
        commands_by_partition=partition_commands(memory, plan, standard.organization.rows),
        commands_by_tensor={name: total_commands(by_point) for name, by_point in tensors.items()},
        energy_by_tensor_pJ={
            name: {part: getattr(energy, part) for part in (*COMMAND_PARTS, "total")}
            for name, energy in tensor_energies(tensors, run.memory, config.energy).items()
        },
        config=resolved(config),
        version=__version__,
        seed=config.seed,
        frontend=memory.machine_counters,
        core=core_figures(memory),
        layers=[]
        if run.layout is None
        else layer_results(memory, run.layout, run.memory, config.energy),
        bit_errors=memory.errors,
    )


def core_figures(memory: MemoryRun) -> dict[str, float] | None:
    """Cycles, instructions and their ratio where a core, or a machine of cores, was the source."""
    core = memory.core
    return (
        None
        if core is None
        else {"cycles": core.cycles, "instructions": core.instructions, "ipc": core.ipc}
    )


def beside_baselines(run: PreparedRun, main: RunResult, progress: Progress | None) -> RunResult:
    """The result with what the same network takes on the same machine at other operating points."""
    baselines: dict[str, dict[str, float]] = {}
    for name in run.config.baselines:
        dram = baseline_point(run.config.dram, name)
        other = main
        if dram != run.config.dram:
            prepared = prepare(
                msgspec.structs.replace(run.config, dram=dram, errors=ErrorsConfig())
            )
            other = result(prepared, simulate_prepared(prepared, progress=progress))
        baselines[name] = comparison(main, other)
    return replace(main, baselines=baselines)


def run_network(config: RunConfig, memory: MemorySystem) -> tuple[Network, Layout]:
    """The network of a run as it was read, and as it is executed (fused), laid out in the memory. Raises ConfigError or NetworkError."""
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


def run_machine(config: RunConfig, network: Network, layout: Layout) -> Machine:
    """Make the machine of a run. Raises ConfigError or NetworkError."""
    if config.frontend is None:
        raise ConfigError("frontend: names no machine; expected one of cpu, gpu, eyeriss, tpu")
    is_builtin = config.frontend in MACHINES.builtin
    section = getattr(config, config.frontend) if is_builtin else config.machine
    return machine_for(config.frontend, network, layout, section)


def run_layout(config: RunConfig, memory: MemorySystem) -> Layout:
    """The network of a run as it is executed, laid out in the memory."""
    return run_network(config, memory)[1]


#: Tensors that a native trace may name.
MAX_TENSORS = 1024


class TraceChunks:
    """A trace as an iterable of chunks that can be iterated again (a core trace that loops)."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __iter__(self) -> Iterator[Records]:
        return self.trace.chunks()


def open_run_trace(config: RunConfig, memory: MemorySystem) -> Trace:
    """The trace of a run; address vectors get their addresses from its address map, ticks their clocks from its clock period."""
    if config.trace is None:
        raise ConfigError("trace: names no trace; expected a file")
    timed = config.source.kind == "timed"
    return open_trace(
        config.trace,
        format=config.trace_format,
        encode=memory.address_map.encode,
        tck_ps=memory.standard.tck_ps if timed else None,
    )


def with_source_kind(config: RunConfig, trace: Trace) -> RunConfig:
    """The configuration with `source.kind` decided: by the user, else by the trace's format."""
    kind = config.source.kind or trace.kind.name.lower()
    if (kind == "core") != (trace.kind == SourceKind.CORE):
        needs = "bubbles before each load" if kind == "core" else "plain requests"
        raise ConfigError(
            f"source.kind: {kind!r} needs a trace of {needs}; {config.trace} is a {trace.format} trace, which is {trace.kind.name.lower()!r}"
        )
    if kind == "timed" and trace.kind != SourceKind.TIMED:
        raise ConfigError(
            f"source.kind: 'timed' needs a trace with clocks; {config.trace} is a {trace.format} trace, which has none"
        )
    return msgspec.structs.replace(config, source=msgspec.structs.replace(config.source, kind=kind))


@contextmanager
def command_sink(path: Path | None) -> Iterator[Callable[[Records], None] | None]:
    """Where commands go: into a temporary file beside `path`, renamed when all are written, removed when anything goes wrong."""
    if path is None:
        yield None
        return
    from edensim.tracefiles.commands import command_writer

    with command_writer(path) as write:
        yield write
