"""The main path: one run from configuration to result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from edensim import __version__
from edensim.config import RunConfig, resolved
from edensim.dram.address import address_map
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.dram.standard import Standard
from edensim.energy import data_factors, run_energies, sum_of
from edensim.exceptions import ConfigError, InputError
from edensim.exposure import changes_made, exposure_summary
from edensim.memory import MemoryRun, simulate_memory
from edensim.memory.records import Records
from edensim.results import RunResult
from edensim.tracefiles import Trace, open_trace
from edensim.vocabulary import SourceKind

#: Called with requests done and, where known, requests in all.
Progress = Callable[[int, int | None], None]


def run(config: RunConfig, *, commands_path: Path | None = None, progress: Progress | None = None) -> RunResult:
    """Simulate what a configuration describes.

    commands_path: where every issued command goes, as CSV; the file appears when the run is complete, not before.

    Raises InputError for what cannot be accepted, another EdensimError for a run that failed.
    """
    prepared = prepare(config)
    with command_sink(commands_path) as sink:
        memory = simulate(prepared, on_commands=sink, progress=progress)
    return result(prepared, memory)


@dataclass(frozen=True)
class PreparedRun:
    """All that a run needs, found and checked; the configuration has its `source.kind` decided."""

    config: RunConfig
    standard: Standard
    plan: OperatingPlan
    trace: Trace


def prepare(config: RunConfig) -> PreparedRun:
    """Find and check what a configuration names. Raises InputError."""
    standard, plan = resolve_operating_plan(config.dram)  # configs/dram/*.yaml at its operating points
    data_factors(config.energy, standard)  # an energy model that does not fit is refused before the run
    trace = open_run_trace(config, standard)  # any format
    return PreparedRun(with_source_kind(config, trace), standard, plan, trace)  # saturating, timed or core


def simulate(run: PreparedRun, *, on_commands: Callable[[Records], None] | None = None, progress: Progress | None = None) -> MemoryRun:
    """Commands, cycle by cycle. Runs that differ only in what costs energy share what comes out (`edensim.sweep.grid.simulation_key`)."""
    config, standard, trace = run.config, run.standard, run.trace
    memory = simulate_memory(
        standard,
        config.controller,
        config.source,
        TraceChunks(trace),
        channels=config.dram.channels,
        plan=run.plan,
        exposure_tensors=MAX_TENSORS if trace.format == "edensim" else 0,
        on_commands=on_commands,
        on_progress=None if progress is None else lambda done: progress(done, None),
        locate=trace.position,
    )
    if memory.counts.reads + memory.counts.writes == 0 and memory.core is None:
        raise InputError(f"{config.trace}: holds no request")
    return memory


def result(run: PreparedRun, memory: MemoryRun) -> RunResult:
    """Counts to energy to one result object; pure."""
    config, standard = run.config, run.standard
    energies = run_energies([(epoch.counts, epoch.bank_point) for epoch in memory.epochs], standard, run.plan, config.energy)
    core = memory.core
    return RunResult.from_counts(
        memory.counts,
        sum_of(energies),
        tck_ps=standard.tck_ps,
        access_bytes=standard.organization.access_bytes,
        peak_bandwidth_GBps=standard.peak_bandwidth_GBps * config.dram.channels,
        voltage_law=config.energy.voltage_law,
        energy_by_partition_pJ=energies,
        operating_points={**run.plan.to_dict(), "changes_made": [asdict(change) for change in changes_made(memory)]},
        exposure=exposure_summary(memory, run.plan),
        config=resolved(config),
        version=__version__,
        seed=config.seed,
        frontend={} if core is None else {key: value for key, value in asdict(core).items() if key.startswith(("llc_", "dram_"))},
        core=None if core is None else {"cycles": core.cycles, "instructions": core.instructions, "ipc": core.ipc},
    )


#: Tensors that a native trace may name.
MAX_TENSORS = 1024


class TraceChunks:
    """A trace as an iterable of chunks that can be iterated again (a core trace that loops)."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __iter__(self) -> Iterator[Records]:
        return self.trace.chunks()


def open_run_trace(config: RunConfig, standard: Standard) -> Trace:
    """The trace of a run; address vectors get their addresses from its address map, ticks their clocks from its clock period."""
    if config.trace is None:
        raise ConfigError("trace: names no trace; expected a file")
    mapping = address_map(config.controller.address_mapping, standard.organization, config.dram.channels)
    timed = config.source.kind == "timed"
    return open_trace(config.trace, format=config.trace_format, encode=mapping.encode, tck_ps=standard.tck_ps if timed else None)


def with_source_kind(config: RunConfig, trace: Trace) -> RunConfig:
    """The configuration with `source.kind` decided: by the user, else by the trace's format."""
    kind = config.source.kind or trace.kind.name.lower()
    if (kind == "core") != (trace.kind == SourceKind.CORE):
        needs = "bubbles before each load" if kind == "core" else "plain requests"
        raise ConfigError(
            f"source.kind: {kind!r} needs a trace of {needs}; {config.trace} is a {trace.format} trace, which is {trace.kind.name.lower()!r}"
        )
    if kind == "timed" and trace.kind != SourceKind.TIMED:
        raise ConfigError(f"source.kind: 'timed' needs a trace with clocks; {config.trace} is a {trace.format} trace, which has none")
    return msgspec.structs.replace(config, source=msgspec.structs.replace(config.source, kind=kind))


@contextmanager
def command_sink(path: Path | None) -> Iterator[Callable[[Records], None] | None]:
    """Where commands go: into a temporary file beside `path`, renamed when all are written, removed when anything goes wrong."""
    if path is None:
        yield None
        return
    from edensim.tracefiles.commands import CommandWriter

    writer = CommandWriter(path)
    try:
        yield writer.write
    except BaseException:
        writer.discard()
        raise
    writer.close()
