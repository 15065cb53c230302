"""A tiled machine of the twin: the rules of edensim/kernels/sources/tiles.py once more, clock after clock and request after request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.standard import Standard
from edensim.reference.records import Request
from edensim.reference.simulation import (
    AddressDecoder,
    Memory,
    ReferenceRun,
    Simulation,
    core_clock_ratio,
    run_of,
)


@dataclass(eq=False)
class Read:
    """A read of a tile. ahead: no barrier holds it back."""

    request: Request
    ahead: bool


@dataclass(eq=False)
class Tile:
    """What a tile fetches and writes back, and how long it computes, in clock cycles of the machine."""

    compute_cycles: int
    barrier: bool
    reads: list[Read] = field(default_factory=list)
    writes: list[Request] = field(default_factory=list)


def tiles_of(tiles: NDArray[Any], transfers: NDArray[Any], memory: Memory) -> list[Tile]:
    """TILE and TRANSFER records as objects, line by line."""
    found = []
    for record in tiles:
        tile = Tile(int(record["compute_cycles"]), bool(record["barrier"]))
        first, reads = int(record["first_transfer"]), int(record["reads"])
        for number, transfer in enumerate(transfers[first : first + reads + int(record["writes"])]):
            for address in lines_of(transfer, memory.address_map.access_bytes):
                request = memory.request(address, number >= reads)
                if number < reads:
                    tile.reads.append(Read(request, bool(transfer["ahead"])))
                else:
                    tile.writes.append(request)
        found.append(tile)
    return found


def lines_of(transfer: Any, access_bytes: int) -> list[int]:
    """Byte addresses of the accesses of a TRANSFER record; one that repeats the one before it is asked once."""
    found: list[int] = []
    for run in range(int(transfer["count"])):
        begin = int(transfer["address"]) + run * int(transfer["stride_bytes"])
        for line in range(
            begin // access_bytes, (begin + int(transfer["run_bytes"]) - 1) // access_bytes + 1
        ):
            if not found or found[-1] != line * access_bytes or line > begin // access_bytes:
                found.append(line * access_bytes)
    return found


class TiledSource:
    """The machine. Times are fractions of memory clocks. The tiles of a schedule are there once all of the schedule before are computed."""

    def __init__(
        self,
        schedules: Sequence[list[Tile]],
        memory: Memory,
        *,
        depth: int,
        outstanding: int,
        cycles_per_clock: Fraction,
    ) -> None:
        self.schedules = list(schedules)
        self.memory = memory
        self.depth = depth
        self.outstanding = outstanding
        self.cycles_per_clock = cycles_per_clock
        self.tiles: list[Tile] = []
        self.reads: list[tuple[int, Read]] = []
        self.next_read = 0
        self.waiting_writes: list[Request] = []
        self.held: set[int] = set()
        self.computed = 0
        self.busy = False
        self.ends_at = Fraction(0)
        self.done_at: list[int] = []

    @property
    def finished(self) -> bool:
        """All tiles are computed and their writes accepted."""
        return self.computed == len(self.tiles) and not self.waiting_writes and not self.schedules

    def tick(self, ticks: int) -> None:
        """Compute and offer, before memory tick `ticks` + 1."""
        self._compute(ticks + 1)
        accepted = 0
        while accepted < len(self.memory.channels) and self._offer_read(ticks):
            accepted += 1
        while accepted < len(self.memory.channels) and self._offer_write(ticks):
            accepted += 1

    def _begin(self) -> None:
        """The next schedule."""
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
                self.done_at.append(-(-self.ends_at.numerator // self.ends_at.denominator))
                self.waiting_writes += self.tiles[self.computed].writes
                self.computed += 1
            else:
                tile = self.tiles[self.computed]
                departures = [read.request.depart for read in tile.reads]
                if -1 in departures or (tile.barrier and self.waiting_writes):
                    return
                self.ends_at = (
                    max([self.ends_at, *map(Fraction, departures)])
                    + tile.compute_cycles / self.cycles_per_clock
                )
                self.busy = True

    def _offer_read(self, ticks: int) -> bool:
        if self.next_read == len(self.reads):
            return False
        number, read = self.reads[self.next_read]
        on_their_way = sum(
            1
            for _, other in self.reads[: self.next_read]
            if other.request.depart == -1 or other.request.depart > ticks
        )
        if number >= self.computed + self.depth or (
            self.outstanding and on_their_way >= self.outstanding
        ):
            return False
        if (
            self.tiles[number].barrier
            and not read.ahead
            and (self.computed < number or self.waiting_writes)
        ):
            return False
        taken = self.memory.offer(read.request, ticks)
        self.next_read += taken
        return taken

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
    """The processes with a tiled machine as the source."""

    def _tiled_process(self, source: TiledSource) -> Any:
        while not (source.finished and self.memory.idle):
            source.tick(self.memory.ticks)
            yield self.environment.timeout(2)
        self.stop.succeed()

    def run_tiles(self, source: TiledSource) -> None:
        """Until every tile is computed and memory is idle."""
        process: Any = self._tiled_process(source)
        self.environment.process(process)
        self._start_memory(1)
        self.environment.run(until=self.stop)


def simulate_reference_tiles(
    standard: Standard,
    controller: ControllerConfig,
    schedules: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    address_map: AddressDecoder,
    *,
    clock_MHz: float,
    depth: int,
    outstanding: int = 0,
    channels: int = 1,
    plan: OperatingPlan | None = None,
    max_cycles: int | None = None,
) -> tuple[ReferenceRun, list[int]]:
    """Run schedules (TILE and TRANSFER records) one after the other; also the memory clock at which each tile was computed."""
    memory = Memory(standard, controller, address_map, channels, plan)
    every = (transfer for _, transfers in schedules for transfer in transfers)
    memory.learn(
        np.array(
            [
                address
                for transfer in every
                for address in lines_of(transfer, address_map.access_bytes)
            ],
            np.int64,
        )
    )
    objects = [tiles_of(tiles, transfers, memory) for tiles, transfers in schedules]
    source = TiledSource(
        objects,
        memory,
        depth=depth,
        outstanding=outstanding,
        cycles_per_clock=core_clock_ratio(standard, clock_MHz),
    )
    TiledSimulation(memory, max_cycles).run_tiles(source)
    return run_of(memory, cycles=memory.ticks), source.done_at
