"""The SimPy twin: sources and channels as processes on one clock, every cycle of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.partitions import RowRange
from edensim.dram.standard import Standard
from edensim.exceptions import ProtocolError
from edensim.reference.channel import Channel
from edensim.reference.history import Target, flat_bank
from edensim.reference.open_loop import OpenLoopSource
from edensim.reference.records import Request, Speed
from edensim.reference.trace_core import Core, Transfer
from edensim.vocabulary import COMMAND, nominal_clock_MHz

if TYPE_CHECKING:
    import simpy


class AddressDecoder(Protocol):
    """What the twin needs of an address map."""

    @property
    def access_bytes(self) -> int:
        """Bytes per request."""

    def decode(self, addresses: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        """channel, rank, bankgroup, bank, row and column of byte addresses."""


@dataclass(frozen=True, slots=True)
class ReferenceRun:
    """What a run did. `reads` and `writes` count what was accepted, `forwarded` and `coalesced` included.

    cycles: clock of the last command or read departure, whichever is later; for a core source the memory cycles until the core finished.
    last_accepted_clock: when the last request of an open-loop source was accepted (-1: none, or a core source).
    slept, self_refreshed: by channel and rank, cycles in power-down and in self-refresh from which the rank has woken.
    """

    commands: NDArray[Any]
    cycles: int
    counts: dict[str, int]
    read_latencies: list[int]
    core_cycles: int = 0
    instructions: int = 0
    last_accepted_clock: int = -1
    slept: tuple[tuple[int, ...], ...] = ()
    self_refreshed: tuple[tuple[int, ...], ...] = ()


class Memory:
    """All channels, and the requests' way into them."""

    def __init__(
        self,
        standard: Standard,
        controller: ControllerConfig,
        address_map: AddressDecoder,
        channels: int,
        plan: OperatingPlan | None,
    ) -> None:
        self.standard = standard
        self.address_map = address_map
        self.channels = [Channel(standard, controller) for _ in range(channels)]
        self.ticks = 0
        self.plan = plan
        self.stage = 0
        if plan is not None:
            self._apply_stage(plan)
        self._places: dict[int, tuple[int, Target]] = {}

    def _apply_stage(self, plan: OperatingPlan) -> None:
        """Give every bank the timings of its operating point, and announce the next change."""
        speeds = [
            Speed(self.standard.gaps_with(point.timings), point.timings) for point in plan.points
        ]
        for number, (channel, points) in enumerate(
            zip(self.channels, plan.bank_point_at(self.stage).tolist(), strict=True)
        ):
            module = plan.module_point(self.stage)
            channel.history.module_gaps = speeds[module].gaps
            channel.speed_of = partial(_speed, plan, plan.ranges_of(number), points, speeds)
            for bank in range(len(points)):
                channel.take_speed(bank, None)
            if channel.config.refresh != "none":
                channel.refresh_interval = plan.points[module].timings[
                    "nREFI" if channel.config.refresh == "all-bank" else "nREFIpb"
                ]
            if self.stage < len(plan.changes):
                channel.halt_at = plan.changes[self.stage].at_cycle

    def change_if_halted(self, clock: int) -> None:
        """When every channel has stopped at `clock`, go on at the next operating point; commands wait until it has settled."""
        if self.plan is None or not all(channel.halted for channel in self.channels):
            return
        settled_at = clock + 1 + self.plan.changes[self.stage].settling_cycles
        self.stage += 1
        self._apply_stage(self.plan)
        for channel in self.channels:
            channel.halted = False
            channel.history.settled_at = settled_at
            if (
                channel.config.refresh != "none"
            ):  # a shorter refresh interval begins now, a longer one after the refresh that is due
                channel.next_refresh = min(
                    channel.next_refresh, clock + 1 + channel.refresh_interval
                )

    def learn(self, addresses: NDArray[np.int64]) -> None:
        """Decode addresses before the run."""
        lines = np.unique(addresses // self.address_map.access_bytes)
        fields = self.address_map.decode(lines * self.address_map.access_bytes)
        columns = [
            np.asarray(fields[name]).tolist()
            for name in ("channel", "rank", "bankgroup", "bank", "row", "column")
        ]
        for line, channel, *target in zip(lines.tolist(), *columns, strict=True):
            self._places[line] = (channel, Target(*target))

    def request(self, address: int, is_write: bool) -> Request:
        """A request to a learned address."""
        line = address // self.address_map.access_bytes
        target = self._places[line][1]
        return Request(
            address, line, is_write, target, flat_bank(self.standard.organization, target)
        )

    def offer(self, request: Request, clock: int) -> bool:
        """Offer a request to its channel."""
        return self.channels[self._places[request.line][0]].offer(request, clock)

    def channel_of(self, request: Request) -> int:
        """Number of a request's channel."""
        return self._places[request.line][0]

    @property
    def idle(self) -> bool:
        """Every channel is idle."""
        return all(channel.idle for channel in self.channels)


def _speed(
    plan: OperatingPlan,
    ranges: Sequence[RowRange],
    points: Sequence[int],
    speeds: Sequence[Speed],
    bank: int,
    row: int | None,
) -> Speed:
    """Of a bank's row: its partition's; of rows in none, and of the bank as a whole (no row): the bank's own."""
    for part in ranges:
        if row is not None and part.bank == bank and part.first <= row <= part.last:
            return speeds[plan.partitions[part.partition].point]
    return speeds[points[bank]]


class Simulation:
    """The processes. In each unit of time the source acts first and memory half a unit later, so one unit is two of SimPy's."""

    def __init__(self, memory: Memory, max_cycles: int | None) -> None:
        import simpy

        self.environment: simpy.Environment = simpy.Environment()
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
        """Counts memory ticks; started after the channels, so it sees each cycle finished."""
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

    def _start_memory(self, period: int) -> None:
        for channel in self.memory.channels:
            self.environment.process(self._channel_process(channel, period))
        self.environment.process(self._clock_process(period))

    def run_open_loop(self, source: OpenLoopSource) -> None:
        """Until every request is accepted and memory is idle."""
        self.environment.process(self._open_loop_process(source))
        self._start_memory(1)
        self.environment.run(until=self.stop)

    def run_core(self, core: Core, core_cycles_per_memory_cycle: Fraction) -> None:
        """Until the core has retired its instructions; memory is not drained."""
        self.environment.process(self._core_process(core, core_cycles_per_memory_cycle.denominator))
        self._start_memory(core_cycles_per_memory_cycle.numerator)
        self.environment.run(until=self.stop)


def core_clock_ratio(standard: Standard, clock_MHz: float) -> Fraction:
    """Core cycles per memory cycle."""
    return Fraction(str(clock_MHz)) / nominal_clock_MHz(standard.tck_ps, standard.rate_MTps)


def _command_array(channels: list[Channel]) -> NDArray[Any]:
    """Commands of all channels by clock; the bank group is -1 in standards that have none."""
    rows = []
    for number, channel in enumerate(channels):
        for clock, command, target in (
            (issued.clock, issued.command, issued.target) for issued in channel.issued
        ):
            bankgroup = target.bankgroup if channel.standard.organization.bankgroups > 1 else -1
            rows.append(
                (
                    clock,
                    target.row,
                    target.column,
                    number,
                    target.rank,
                    bankgroup,
                    target.bank,
                    int(command),
                )
            )
    rows.sort(key=lambda row: (row[0], row[3]))
    return np.array(rows, dtype=COMMAND)


def simulate_reference(
    standard: Standard,
    controller: ControllerConfig,
    source: SourceConfig,
    requests: NDArray[Any],
    address_map: AddressDecoder,
    *,
    channels: int = 1,
    plan: OperatingPlan | None = None,
    max_cycles: int | None = None,
) -> ReferenceRun:
    """Run a request stream (REQUEST records) through `channels` controllers.

    plan: operating points of module and partitions, and their changes; by default the standard's timings everywhere.
    max_cycles: ProtocolError when the run takes more memory cycles.
    """
    memory = Memory(standard, controller, address_map, channels, plan)
    memory.learn(requests["address"])
    simulation = Simulation(memory, max_cycles)
    if source.kind == "core":
        return _run_core(memory, simulation, source, requests)
    stream = [
        memory.request(int(record["address"]), bool(record["is_write"])) for record in requests
    ]
    clocks = requests["clock"].tolist() if source.kind == "timed" else [0] * len(stream)
    open_loop = OpenLoopSource(stream, clocks, memory.offer)
    simulation.run_open_loop(open_loop)
    last_command = max(
        (channel.issued[-1].clock for channel in memory.channels if channel.issued), default=0
    )
    last_departure = max((channel.last_departure for channel in memory.channels), default=0)
    return run_of(
        memory,
        cycles=max(last_command, last_departure),
        last_accepted_clock=open_loop.last_accepted_clock,
    )


def _run_core(
    memory: Memory, simulation: Simulation, source: SourceConfig, requests: NDArray[Any]
) -> ReferenceRun:
    memory.learn(requests["writeback"][requests["writeback"] >= 0])
    line_bytes = memory.address_map.access_bytes

    def to_memory(transfer: Transfer) -> bool:
        return memory.offer(
            memory.request(transfer.line * line_bytes, transfer.is_write), memory.ticks
        )

    core = Core(source, requests, line_bytes, to_memory)
    for channel in memory.channels:
        channel.on_return = lambda request: core.cache.receive(request.line)
    simulation.run_core(core, core_clock_ratio(memory.standard, source.clock_MHz))
    return run_of(memory, cycles=memory.ticks, core_cycles=core.cycles, instructions=core.retired)


def run_of(
    memory: Memory,
    cycles: int,
    core_cycles: int = 0,
    instructions: int = 0,
    last_accepted_clock: int = -1,
) -> ReferenceRun:
    """What the memory did, as a result."""
    tallies = [channel.tally for channel in memory.channels]
    names = ("reads", "writes", "forwarded", "coalesced", "row_hits", "row_misses", "row_conflicts")
    return ReferenceRun(
        commands=_command_array(memory.channels),
        cycles=cycles,
        counts={name: sum(getattr(tally, name) for tally in tallies) for name in names},
        read_latencies=[latency for tally in tallies for latency in tally.read_latencies],
        core_cycles=core_cycles,
        instructions=instructions,
        last_accepted_clock=last_accepted_clock,
        slept=tuple(tuple(channel.slept) for channel in memory.channels),
        self_refreshed=tuple(tuple(channel.self_refreshed) for channel in memory.channels),
    )
