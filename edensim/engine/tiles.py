"""A tiled machine as the source, schedule after schedule, with what each layer took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edensim.dram.clock_ratio import clock_ratio, last_clock_of
from edensim.dram.counts import Counts
from edensim.dram.memory_run import LayerRun
from edensim.engine.engine import Engine
from edensim.engine.machine import MachineRun
from edensim.engine.pending_writes import after_pending, pending_writes
from edensim.engine.records import Records
from edensim.exceptions import NetworkError
from edensim.kernels.sources.tiles import MAX_DEPTH, TILER, run_tiles
from edensim.kernels.status import Status
from edensim.vocabulary import TRANSFER

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Schedule:
    """Tiles in order ([tiles] TILE) and their transfers ([transfers] TRANSFER)."""

    tiles: Records
    transfers: Records


class TiledMachine(Protocol):
    """A machine that fetches, computes and writes back tile after tile."""

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
        """Most reads on their way at once; 0 for as many as the queues hold."""
        ...

    def schedules(self) -> Iterable[Schedule]:
        """Yield what to run, one schedule after the other.

        The next schedule begins when all tiles are computed, while the memory still takes what
        they have written.
        """
        ...

    def counters(self) -> dict[str, Any]:
        """Return what the machine counted in all its schedules."""
        ...

    def layer_counters(self) -> Sequence[dict[str, Any]]:
        """Return what the machine counted in each layer of the network."""
        ...


def run_tiled(engine: Engine, machine: TiledMachine) -> MachineRun:
    """Run every schedule of a machine until the memory is drained, which counts to the last layer.

    Raises NetworkError for a transfer beyond the capacity of the memory, ProtocolError for states
    that must not be.
    """
    run = _TiledRun(engine, tiler_record(engine, machine))
    engine.loop["alone"] = len(engine.channels) == 1 and machine.outstanding == 0
    schedules = (schedule for schedule in machine.schedules() if len(schedule.tiles))
    schedule = next(schedules, None)
    while schedule is not None:
        following = next(schedules, None)
        run.run_schedule(schedule, drains=following is None)
        schedule = following
    per_layer = dict(enumerate(machine.layer_counters()))
    return MachineRun(
        tuple(
            replace(layer, counters={**layer.counters, **per_layer.get(layer.layer or 0, {})})
            for layer in run.layers
        ),
        machine.counters(),
    )


def tiler_record(engine: Engine, machine: TiledMachine) -> Records:
    """Return the TILER record of a machine about to run, as an array of one."""
    if not 1 <= machine.depth <= MAX_DEPTH:
        raise NetworkError(f"{machine.depth} tiles at once; expected 1 to {MAX_DEPTH}")
    ratio = clock_ratio(engine.standard, machine.clock_MHz)
    engine.loop["last_clock"] = last_clock_of(ratio)
    record = np.zeros(1, TILER)
    tiler = record[0]
    tiler["memory_step"], tiler["machine_step"] = ratio.numerator, ratio.denominator
    tiler["depth"], tiler["outstanding_allowed"] = machine.depth, machine.outstanding
    tiler["offers"] = len(engine.channels)
    tiler["ends_at"] = (engine.clock - 1) * ratio.numerator
    return record


def refuse_long_tiles(tiles: Records, last_clock: int) -> None:
    """Raise NetworkError for a tile whose end could not be told in 64 bits."""
    longest = int(tiles["compute_cycles"].max(initial=0))
    if longest > last_clock:
        raise NetworkError(
            f"a tile computes for {longest:,} cycles; at this ratio of the machine's clock to the "
            f"memory clock, expected at most {last_clock:,}"
        )


class _TiledRun:
    """A tiled machine in the middle of a run, with its layers and pending writes so far."""

    def __init__(self, engine: Engine, record: Records) -> None:
        self.engine, self.record = engine, record
        self.layers: list[LayerRun] = []
        self.pending = np.zeros(0, TRANSFER)
        self._counts: Counts | None = None
        self._clock = 0

    def run_schedule(self, schedule: Schedule, *, drains: bool) -> None:
        """Run the pending writes and a schedule, until all its tiles are computed.

        If it drains, the run ends when the memory is drained, which counts to the last layer.
        """
        engine, tiler = self.engine, self.record[0]
        mapping = engine.mapping[0]
        tiles, transfers = after_pending(self.pending, schedule.tiles, schedule.transfers)
        offset_bits = int(mapping["offset_bits"])
        refuse_long_tiles(tiles, int(engine.loop[0]["last_clock"]))
        lines = transferred_lines(tiles, transfers, offset_bits, int(mapping["capacity"]))
        for name in ("computed", "busy", "tile", "transfer", "run", "first", "count"):
            tiler[name] = 0
        tiler["line"] = tiler["last_line"] = -1
        stalls = np.zeros(len(tiles), np.int64)
        source = (self.record, tiles, transfers, stalls)
        first = len(tiles) - len(schedule.tiles)  # pending writes belong to no layer
        while first < len(tiles):
            status = engine.drive(run_tiles, *source)
            last = int(tiler["computed"])
            if last == len(tiles) and drains:
                status = engine.drive(run_tiles, *source)
                assert status == Status.DONE
            self._end_layer(tiles[first:last], stalls[first:last], lines, slice(first, last))
            engine.monitor.report_progress(int(tiler["reads"] + tiler["writes"]))
            first = last
        self.pending = pending_writes(self.record, tiles, transfers, offset_bits)

    def _end_layer(
        self,
        tiles: Records,
        stalls: NDArray[np.int64],
        lines: TransferredLines,
        tile_range: slice,
    ) -> None:
        """Note what a layer took, whose last tile has just been computed."""
        clock = self.engine.clock
        counts, cycles = self.engine.counts_so_far(clock), clock - self._clock
        self.layers.append(
            LayerRun(
                layer=int(tiles[0]["layer"]),
                cycles=cycles,
                time_ns=cycles * self.engine.standard.tck_ps / 1000,
                stall_share=int(stalls.sum()) / cycles if cycles else 0.0,
                counts=counts if self._counts is None else counts.minus(self._counts),
                cell_point=self.engine.cell_point,
                read_bytes=lines.bytes_of(tile_range, is_write=False),
                write_bytes=lines.bytes_of(tile_range, is_write=True),
                counters={"compute_cycles": int(tiles["compute_cycles"].sum())},
                end_clock=clock,
            )
        )
        self._counts, self._clock = counts, clock


@dataclass(frozen=True)
class TransferredLines:
    """The transfers of a schedule, each with its tile, tensor, direction and accesses."""

    tile: NDArray[np.int64]
    tensor: NDArray[np.int64]
    is_write: NDArray[np.bool_]
    accesses: NDArray[np.int64]
    access_bytes: int

    def bytes_of(self, tiles: slice, *, is_write: bool) -> dict[int, int]:
        """Return the bytes that a range of tiles moves, by tensor."""
        begin, end = np.searchsorted(self.tile, [tiles.start, tiles.stop])
        chosen = self.is_write[begin:end] == is_write
        tensors = self.tensor[begin:end][chosen]
        moved: dict[int, int] = {}
        for tensor in np.unique(tensors):
            moved[int(tensor)] = (
                int(self.accesses[begin:end][chosen][tensors == tensor].sum()) * self.access_bytes
            )
        return moved


def transferred_lines(
    tiles: Records, transfers: Records, offset_bits: int, capacity_bytes: int
) -> TransferredLines:
    """Count the accesses of every transfer as the engine makes them.

    Raises NetworkError for a transfer beyond the capacity.
    """
    first, stride = transfers["address"], transfers["stride_bytes"]
    last_run = first + stride * (transfers["count"].astype(np.int64) - 1)
    end = np.maximum(first, last_run) + transfers["run_bytes"]
    bad = np.flatnonzero((np.minimum(first, last_run) < 0) | (end > capacity_bytes))
    if len(bad):
        raise NetworkError(
            f"the network reaches up to byte address {int(end[bad[0]]):,}, beyond the capacity of "
            f"{capacity_bytes:,} bytes; expected a larger organization, more ranks or channels, a "
            "lower precision or a smaller batch"
        )
    per_tile = (tiles["reads"] + tiles["writes"]).astype(np.int64)
    tile = np.repeat(np.arange(len(tiles)), per_tile)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(per_tile) - per_tile, per_tile)
    order = tiles["first_transfer"][tile] + within
    accesses = np.zeros(len(transfers), np.int64)
    counts = transfers["count"].astype(np.int64)
    for chunk in np.array_split(np.arange(len(transfers)), max(1, int(counts.sum()) // 4_000_000)):
        runs = counts[chunk]
        owner = np.repeat(chunk, runs)
        run = np.arange(len(owner)) - np.repeat(np.cumsum(runs) - runs, runs)
        start = first[owner] + run * stride[owner]
        head, tail = (
            start >> offset_bits,
            (start + transfers["run_bytes"][owner] - 1) >> offset_bits,
        )
        repeats = np.zeros(len(owner), np.int64)
        repeats[1:] = (head[1:] == tail[:-1]) & (owner[1:] == owner[:-1])
        accesses += np.bincount(owner, tail - head + 1 - repeats, len(transfers)).astype(np.int64)
    return TransferredLines(
        tile=tile,
        tensor=transfers["tensor"][order].astype(np.int64),
        is_write=within >= tiles["reads"][tile],
        accesses=accesses[order],
        access_bytes=1 << offset_bits,
    )
