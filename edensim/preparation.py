"""From a configuration to all that a run needs, found and checked before anything is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from edensim.config.models import ControllerConfig, RunConfig
from edensim.config.plugins import MACHINES, SCHEDULERS
from edensim.dram.memory_system import MemorySystem
from edensim.energy.costs import costs_of
from edensim.engine.machine import Machine
from edensim.exceptions import ConfigError, InputError, nearest
from edensim.machines.machine import machine_for
from edensim.networks.layout import Layout, lay_out, parse_pinned
from edensim.networks.loading import load_network
from edensim.networks.network import Network
from edensim.tracefiles.reader import Trace, open_trace
from edensim.vocabulary import SourceKind

if TYPE_CHECKING:
    from edensim.reference.schedulers import Scheduler


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


def prepare(config: RunConfig, engine: EngineChoice = COMPILED_ENGINE) -> PreparedRun:
    """Resolve the memory of a configuration, and find its trace, or its network and machine.

    Raises InputError for whatever cannot be found, read or run.
    """
    engine.check(config.controller)
    memory = MemorySystem.resolve(config.dram, config.controller)
    costs_of(memory, config.energy)  # refuses an energy model that does not fit the standard
    if config.frontend is None and config.network is None:
        trace = _open_trace(config, memory)
        return PreparedRun(_with_source_kind(config, trace), memory, trace, engine=engine)
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
    )


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
