"""The SimPy engine: sources and channels are processes on one clock that ticks every cycle."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.config.plugins import SCHEDULERS
from edensim.dram.clock_ratio import clock_ratio
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ProtocolError, TraceError
from edensim.reference.channel import Channel
from edensim.reference.counting import ReferenceRun, run_of
from edensim.reference.memory import Memory
from edensim.reference.open_loop import OpenLoopSource
from edensim.reference.schedulers import Scheduler
from edensim.reference.trace_core import Core, Transfer
from edensim.vocabulary import REQUEST


class Simulation:
    """The processes of a run.

    In each unit of time the source acts first and the memory half a unit later, so that one unit is
    two of SimPy's.
    """

    def __init__(self, memory: Memory, max_cycles: int | None) -> None:
        self.environment = simpy.Environment()
        self.memory = memory
        self.max_cycles = max_cycles
        self.stop = self.environment.event()

    def _channel_process(
        self, channel: Channel, period: int
    ) -> Generator[simpy.Event, object, None]:
        yield self.environment.timeout(1)
        clock = 0
        while True:
            clock += 1
            channel.tick(clock)
            yield self.environment.timeout(2 * period)

    def _clock_process(self, period: int) -> Generator[simpy.Event, object, None]:
        """Count memory ticks; it is started after the channels, so it sees each cycle finished."""
        yield self.environment.timeout(1)
        while True:
            self.memory.ticks += 1
            self.memory.change_if_halted(self.memory.ticks)
            if self.max_cycles is not None and self.memory.ticks > self.max_cycles:
                raise ProtocolError(f"the run did not end within {self.max_cycles} memory cycles")
            yield self.environment.timeout(2 * period)

    def _open_loop_process(self, source: OpenLoopSource) -> Generator[simpy.Event, object, None]:
        while not (source.exhausted and self.memory.idle):
            source.tick(self.memory.ticks)
            yield self.environment.timeout(2)
        self.stop.succeed()

    def _core_process(self, core: Core, period: int) -> Generator[simpy.Event, object, None]:
        while not core.finished:
            core.tick()
            if not core.finished:
                yield self.environment.timeout(2 * period)
        self.stop.succeed()

    def run(self, source: Generator[simpy.Event, object, None], memory_period: int = 1) -> None:
        """Run until the process of the source ends the simulation."""
        self.environment.process(source)
        for channel in self.memory.channels:
            self.environment.process(self._channel_process(channel, memory_period))
        self.environment.process(self._clock_process(memory_period))
        self.environment.run(until=self.stop)

    def run_open_loop(self, source: OpenLoopSource) -> None:
        """Run until every request is accepted and the memory is idle."""
        self.run(self._open_loop_process(source))

    def run_core(self, core: Core, core_cycles_per_memory_cycle: Fraction) -> None:
        """Run until the core has retired its instructions; the memory is not drained."""
        ratio = core_cycles_per_memory_cycle
        self.run(self._core_process(core, ratio.denominator), ratio.numerator)


@dataclass(frozen=True)
class CoreRun:
    """What a core did: core clock cycles until its last instruction retired, and instructions."""

    cycles: int
    instructions: int

    @property
    def ipc(self) -> float:
        """Instructions per core clock cycle."""
        return self.instructions / self.cycles if self.cycles else 0.0


def simulate_reference(
    memory: MemorySystem,
    controller: ControllerConfig,
    source: SourceConfig,
    requests: Iterable[NDArray[Any]],
    *,
    scheduler: Scheduler | None = None,
    exposure_tensors: int | None = None,
    locate: Callable[[int], str] | None = None,
    max_cycles: int | None = None,
) -> ReferenceRun:
    """Run requests through a memory, cycle by cycle.

    The result is the same as that of `edensim.engine.memory_run.simulate_memory`.

    Parameters
    ----------
    memory : MemorySystem
        The memory.
    controller : ControllerConfig
        The controller of each channel.
    source : SourceConfig
        How requests reach the memory; its kind must be given.
    requests : iterable of ndarray of REQUEST
        The requests in chunks. All of them are kept in memory.
    scheduler : callable, optional
        The scheduler; by default, the one that `controller.scheduler` names.
    exposure_tensors : int, optional
        Number of tensors whose commands are counted. If it is given, the exposures of reads are
        counted too.
    locate : callable, optional
        Names the place of a request (from 0) in its file, for messages.
    max_cycles : int, optional
        The number of memory cycles in which the run must end.

    Raises
    ------
    TraceError
        If an address is beyond the capacity of the memory.
    ConfigError
        If something cannot be simulated.
    ProtocolError
        If the scheduler is faulty, or if the run does not end within `max_cycles`.
    """
    state = Memory(memory, controller, scheduler or scheduler_of(controller))
    records = np.concatenate([np.empty(0, REQUEST), *requests])
    _check_addresses(records, memory.capacity_bytes, source.kind == "core", locate)
    state.learn(records["address"][records["address"] >= 0])
    simulation = Simulation(state, max_cycles)
    if source.kind == "core":
        return _run_core(simulation, source, records, exposure_tensors)
    return _run_open_loop(simulation, records, source.kind == "timed", exposure_tensors)


def _run_open_loop(
    simulation: Simulation, records: NDArray[Any], is_timed: bool, tensors: int | None
) -> ReferenceRun:
    memory = simulation.memory
    stream = [
        memory.request(address, bool(is_write), tensor)
        for address, is_write, tensor in zip(
            *(records[name].tolist() for name in ("address", "is_write", "tensor")), strict=True
        )
    ]
    clocks = records["clock"].tolist() if is_timed else [0] * len(stream)
    open_loop = OpenLoopSource(stream, clocks, memory.offer)
    simulation.run_open_loop(open_loop)
    issued = [channel.issued[-1].clock for channel in memory.channels if channel.issued]
    end = max([*issued, *(channel.last_departure for channel in memory.channels)])
    run = run_of(memory, end, tensors)
    return replace(run, last_accepted_clock=open_loop.last_accepted_clock)


def scheduler_of(controller: ControllerConfig) -> Scheduler:
    """Load the scheduler that a configuration names."""
    return SCHEDULERS.load(controller.scheduler, key="controller.scheduler")


def _check_addresses(
    records: NDArray[Any], capacity: int, is_core: bool, locate: Callable[[int], str] | None
) -> None:
    # A record of a core may have no load, or no write-back: -1.
    for field, lowest in (("address", -int(is_core)), ("writeback", -1))[: 1 + is_core]:
        bad = np.flatnonzero((records[field] >= capacity) | (records[field] < lowest))
        if len(bad):
            index = int(bad[0])
            place = f"request {index}" if locate is None else locate(index)
            raise TraceError(
                f"{place}: address {int(records[index][field]):#x} is beyond the capacity of "
                f"{capacity:#x} bytes; expected an address below it, or trace_addresses: wrap, "
                "offset or pages, which fit the addresses of real programs into the memory"
            )


def _run_core(
    simulation: Simulation, source: SourceConfig, records: NDArray[Any], tensors: int | None
) -> ReferenceRun:
    memory = simulation.memory
    memory.learn(records["writeback"][records["writeback"] >= 0])
    if source.instructions is not None and not len(records):
        raise TraceError("the trace holds no record to repeat")
    line_bytes = memory.system.organization.access_bytes

    def to_memory(transfer: Transfer) -> bool:
        return memory.offer(
            memory.request(transfer.line * line_bytes, transfer.is_write), memory.ticks
        )

    core = Core(source, records, line_bytes, to_memory)
    for channel in memory.channels:
        channel.on_return = lambda request: core.cache.receive(request.line)
    simulation.run_core(core, clock_ratio(memory.standard, source.clock_MHz))
    return replace(
        run_of(memory, memory.ticks, tensors),
        core=CoreRun(core.cycles, core.retired),
        machine_counters=core.cache.counters,
    )
