"""A tiled machine as the source, with the rules of `edensim.kernels.sources.tiles` once more."""

import copy
import math
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np
import simpy
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.clock_ratio import clock_ratio
from edensim.dram.counts import Counts
from edensim.dram.memory_run import LayerRun
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ConfigError, NetworkError
from edensim.reference.counting import ReferenceRun, counts_until, run_of
from edensim.reference.memory import Memory
from edensim.reference.records import Counters, Request
from edensim.reference.schedulers import Scheduler
from edensim.reference.simulation import Simulation, scheduler_of


class Schedule(Protocol):
    """Tiles in order ([tiles] TILE) and their transfers ([transfers] TRANSFER)."""

    @property
    def tiles(self) -> NDArray[np.void]:
        """The tiles."""
        ...

    @property
    def transfers(self) -> NDArray[np.void]:
        """The transfers."""
        ...


@runtime_checkable
class TiledMachine(Protocol):
    """What the reference engine needs to know of a machine, as `edensim.engine.tiles` does."""

    @property
    def clock_MHz(self) -> float:
        """Clock of the machine."""
        ...

    @property
    def depth(self) -> int:
        """Number of tiles that are fetched or computed at once."""
        ...

    @property
    def outstanding(self) -> int:
        """Reads that may be on their way at once; 0 means as many as the queues hold."""
        ...

    def schedules(self) -> Iterable[Schedule]:
        """Return what to run, one schedule after the other."""
        ...

    def counters(self) -> dict[str, Any]:
        """Return what the machine counted in the whole run."""
        ...

    def layer_counters(self) -> Sequence[dict[str, Any]]:
        """Return what the machine counted, by layer of the network."""
        ...


@dataclass(eq=False)
class Read:
    """A read of a tile; if it is `ahead`, no barrier holds it back."""

    request: Request
    ahead: bool


@dataclass(eq=False)
class Tile:
    """What a tile fetches and writes back, and how many clock cycles the machine computes.

    `missing` holds the reads whose data are not known to come yet, and `stall_cycles` counts the
    memory cycles that the machine waited for the data. `ends_layer` marks the last tile of a layer
    in its schedule.
    """

    layer: int
    compute_cycles: int
    barrier: bool
    ends_layer: bool
    reads: list[Read] = field(default_factory=list)
    writes: list[Request] = field(default_factory=list)
    missing: list[Read] = field(default_factory=list)
    stall_cycles: int = 0


def tiles_of(schedule: Schedule, memory: Memory) -> list[Tile]:
    """Make objects of the tiles and transfers of a schedule, access by access."""
    access_bytes = memory.system.organization.access_bytes
    layers = [*schedule.tiles["layer"].tolist(), None]
    tiles = []
    for index, record in enumerate(schedule.tiles):
        layer = layers[index]
        ends_layer = layer != layers[index + 1]
        tile = Tile(layer, int(record["compute_cycles"]), bool(record["barrier"]), ends_layer)
        first, reads = int(record["first_transfer"]), int(record["reads"])
        transfers = schedule.transfers[first : first + reads + int(record["writes"])]
        for number, transfer in enumerate(transfers):
            for address in addresses_of(transfer, access_bytes):
                request = memory.request(address, number >= reads, int(transfer["tensor"]))
                if number < reads:
                    tile.reads.append(Read(request, bool(transfer["ahead"])))
                else:
                    tile.writes.append(request)
        tile.missing = list(tile.reads)
        tiles.append(tile)
    return tiles


def addresses_of(transfer: Any, access_bytes: int) -> list[int]:
    """List the byte addresses of the accesses of a TRANSFER record.

    If a run begins in the access in which the run before it ends, that access is made once.
    """
    addresses: list[int] = []
    for run in range(int(transfer["count"])):
        begin = int(transfer["address"]) + run * int(transfer["stride_bytes"])
        first, last = (
            begin // access_bytes,
            (begin + int(transfer["run_bytes"]) - 1) // access_bytes,
        )
        repeated = bool(addresses) and addresses[-1] == first * access_bytes
        addresses += range(
            (first + repeated) * access_bytes, (last + 1) * access_bytes, access_bytes
        )
    return addresses


@dataclass(frozen=True)
class LayerEnd:
    """The state of machine and memory when the last tile of a layer was computed.

    `clock` is the memory cycle that comes next, and `tiles` the number of tiles computed.
    """

    clock: int
    tiles: int
    rank_cycles: NDArray[np.int64]
    counters: list[Counters]


class TiledSource:
    """A machine in the middle of a run. Its times are fractions of memory clocks.

    The tiles of a schedule are there once all tiles of the schedule before it are computed.
    """

    def __init__(self, machine: TiledMachine, schedules: list[list[Tile]], memory: Memory) -> None:
        self.schedules = schedules
        self.memory = memory
        self.depth = machine.depth
        self.outstanding = machine.outstanding
        self.cycles_per_clock = clock_ratio(memory.standard, machine.clock_MHz)
        self.tiles: list[Tile] = []
        self.reads: list[tuple[int, Read]] = []
        self.next_read = 0
        self.underway: list[Request] = []
        self.waiting_writes: list[Request] = []
        self.held: set[int] = set()
        self.computed = 0
        self.busy = False
        self.ends_at = Fraction(0)
        self.layer_ends: list[LayerEnd] = []

    @property
    def finished(self) -> bool:
        """Whether all tiles are computed and their writes accepted."""
        return self.computed == len(self.tiles) and not self.waiting_writes and not self.schedules

    def tick(self, ticks: int) -> None:
        """Compute and offer requests before memory tick `ticks` + 1."""
        self._compute(ticks + 1)
        accepted = 0
        while accepted < len(self.memory.channels) and self._offer_read(ticks):
            accepted += 1
        while accepted < len(self.memory.channels) and self._offer_write(ticks):
            accepted += 1

    def _begin(self) -> None:
        """Begin the next schedule."""
        tiles = self.schedules.pop(0)
        self.reads += [
            (len(self.tiles) + number, read)
            for number, tile in enumerate(tiles)
            for read in tile.reads
        ]
        self.tiles += tiles

    def _compute(self, clock: int) -> None:
        while self.computed < len(self.tiles) or self.schedules:
            if self.computed == len(self.tiles):
                self._begin()
            if self.busy:
                if self.ends_at > clock:
                    return
                self.busy = False
                tile = self.tiles[self.computed]
                self.waiting_writes += tile.writes
                self.computed += 1
                if tile.ends_layer:
                    self._note_layer_end(clock)
            else:
                tile = self.tiles[self.computed]
                tile.missing = [read for read in tile.missing if read.request.depart == -1]
                if tile.missing or (tile.barrier and self.waiting_writes):
                    return
                departures = [Fraction(read.request.depart) for read in tile.reads]
                starts_at = max([self.ends_at, *departures])
                tile.stall_cycles = math.floor(starts_at - self.ends_at)
                self.ends_at = starts_at + tile.compute_cycles / self.cycles_per_clock
                self.busy = True

    def _note_layer_end(self, clock: int) -> None:
        counters = [copy.deepcopy(channel.counters) for channel in self.memory.channels]
        rank_cycles = self.memory.rank_cycles(clock)
        self.layer_ends.append(LayerEnd(clock, self.computed, rank_cycles, counters))

    def _offer_read(self, ticks: int) -> bool:
        if self.next_read == len(self.reads):
            return False
        number, read = self.reads[self.next_read]
        self.underway = [
            request for request in self.underway if request.depart == -1 or request.depart > ticks
        ]
        if number >= self.computed + self.depth or (
            self.outstanding and len(self.underway) >= self.outstanding
        ):
            return False
        if (
            self.tiles[number].barrier
            and not read.ahead
            and (self.computed < number or self.waiting_writes)
        ):
            return False
        if not self.memory.offer(read.request, ticks):
            return False
        self.underway.append(read.request)
        self.next_read += 1
        return True

    def _offer_write(self, ticks: int) -> bool:
        if not self.waiting_writes:
            return False
        number = self.memory.channel_of(self.waiting_writes[0])
        channel = self.memory.channels[number]
        size = channel.config.write_queue
        if 2 * len(channel.write_queue) <= size:
            self.held.discard(number)
        if number in self.held and channel.read_queue:
            return False
        if not self.memory.offer(self.waiting_writes[0], ticks):
            return False
        if len(channel.write_queue) >= size:
            self.held.add(number)
        self.waiting_writes.pop(0)
        return True


class TiledSimulation(Simulation):
    """The processes of a run whose source is a tiled machine."""

    def _tiled_process(self, source: TiledSource) -> Generator[simpy.Event, object, None]:
        while not (source.finished and self.memory.idle):
            source.tick(self.memory.ticks)
            yield self.environment.timeout(2)
        self.stop.succeed()

    def run_tiles(self, source: TiledSource) -> None:
        """Run until every tile is computed and the memory is idle."""
        self.run(self._tiled_process(source))


def simulate_reference_machine(
    memory: MemorySystem,
    controller: ControllerConfig,
    machine: object,
    *,
    scheduler: Scheduler | None = None,
    exposure_tensors: int | None = None,
    max_cycles: int | None = None,
) -> ReferenceRun:
    """Run a tiled machine in closed loop with a memory, cycle by cycle, until both are done.

    The result is the same as that of `edensim.engine.memory_run.simulate_machine`. The arguments
    are those of `edensim.reference.simulation.simulate_reference`.

    Raises ConfigError if the machine is not a tiled one, NetworkError if the network does not fit
    into the memory, ProtocolError as `simulate_reference` does.
    """
    if not isinstance(machine, TiledMachine):
        raise ConfigError(
            "frontend: the reference engine runs tiled machines only (gpu, eyeriss, tpu), found "
            f"{getattr(machine, 'name', type(machine).__name__)!r}; expected one of those, or the "
            "compiled engine"
        )
    state = Memory(memory, controller, scheduler or scheduler_of(controller))
    schedules = [schedule for schedule in machine.schedules() if len(schedule.tiles)]
    access_bytes = memory.organization.access_bytes
    addresses = [
        address
        for schedule in schedules
        for transfer in schedule.transfers
        for address in addresses_of(transfer, access_bytes)
    ]
    if max(addresses, default=0) >= memory.capacity_bytes:
        raise NetworkError(
            f"the network reaches up to byte address {max(addresses):,}, beyond the capacity of "
            f"{memory.capacity_bytes:,} bytes; expected a larger organization, more ranks or "
            "channels, a lower precision or a smaller batch"
        )
    state.learn(np.array(addresses, np.int64))
    source = TiledSource(machine, [tiles_of(schedule, state) for schedule in schedules], state)
    TiledSimulation(state, max_cycles).run_tiles(source)
    run = run_of(state, state.ticks, exposure_tensors)
    return replace(
        run,
        layers=tuple(_layer_runs(source, run, machine.layer_counters())),
        machine_counters=machine.counters(),
    )


def _layer_runs(
    source: TiledSource, run: ReferenceRun, layer_counters: Sequence[dict[str, Any]]
) -> Iterator[LayerRun]:
    """Make the figures of each layer; the last one also has what drains the memory."""
    memory = source.memory
    last: tuple[int, int, Counts | None] = (0, 0, None)  # clock, tiles and counts by then
    for end in source.layer_ends:
        first_clock, first_tile, before = last
        clock, counts = end.clock, run.counts
        if end is source.layer_ends[-1]:
            clock = run.cycles
        else:
            counts = counts_until(memory, run.commands, end.clock, end.rank_cycles, end.counters)
        tiles = source.tiles[first_tile : end.tiles]
        layer, cycles = tiles[0].layer, clock - first_clock
        reads = [read.request for tile in tiles for read in tile.reads]
        epoch = sum(halted_at <= clock for _, halted_at, _ in memory.changes)
        own = dict(enumerate(layer_counters)).get(layer, {})
        yield LayerRun(
            layer=layer,
            cycles=cycles,
            time_ns=cycles * memory.standard.tck_ps / 1000,
            stall_share=sum(tile.stall_cycles for tile in tiles) / cycles if cycles else 0.0,
            counts=counts if before is None else counts.minus(before),
            cell_point=run.epochs[epoch].cell_point,
            read_bytes=_bytes_by_tensor(memory, reads),
            write_bytes=_bytes_by_tensor(memory, [w for tile in tiles for w in tile.writes]),
            counters={"compute_cycles": sum(tile.compute_cycles for tile in tiles), **own},
            end_clock=clock,
        )
        last = (clock, end.tiles, counts)


def _bytes_by_tensor(memory: Memory, requests: Sequence[Request]) -> dict[int, int]:
    numbers = Counter(request.tensor for request in requests)
    access_bytes = memory.system.organization.access_bytes
    return {tensor: numbers[tensor] * access_bytes for tensor in sorted(numbers)}
