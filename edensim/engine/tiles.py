"""Closed-loop source: a tiled machine, schedule after schedule, with what each layer took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edensim.dram.counts import Counts
from edensim.dram.memory_run import LayerRun
from edensim.engine.engine import Engine
from edensim.engine.machine import MachineRun
from edensim.engine.pending_writes import behind, writes_left
from edensim.engine.records import Records
from edensim.exceptions import NetworkError
from edensim.kernels.controller import state
from edensim.kernels.sources import tiles
from edensim.kernels.sources.tiles import run_tiles
from edensim.vocabulary import TRANSFER, nominal_clock_MHz

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Schedule:
    """Tiles in order ([tiles] TILE) and their transfers ([transfers] TRANSFER)."""

    tiles: Records
    transfers: Records


class TiledMachine(Protocol):
    """A machine that fetches, computes and writes back tile after tile.

    depth: tiles fetched or computed at once; outstanding: reads on their way at once, 0 for as many as the controllers' queues hold.
    """

    @property
    def clock_MHz(self) -> float: ...

    @property
    def depth(self) -> int: ...

    @property
    def outstanding(self) -> int: ...

    def schedules(self) -> Iterable[Schedule]:
        """What to run, one after the other: the next begins when all tiles are computed, while memory still takes what they have written."""
        ...

    def counters(self) -> dict[str, Any]:
        """What the machine counted in all its schedules."""
        ...

    def layer_counters(self) -> Sequence[dict[str, Any]]:
        """The same by layer of the network."""
        ...


def run_tiled(engine: Engine, machine: TiledMachine) -> MachineRun:
    """Run every schedule of a machine until the memory is drained, which counts to the last layer.

    Raises NetworkError for a transfer beyond the capacity of the memory, ProtocolError for states
    that must not be.
    """
    record = np.zeros(1, tiles.TILER)
    q = record[0]
    ratio = Fraction(str(machine.clock_MHz)) / nominal_clock_MHz(
        engine.standard.tck_ps, engine.standard.rate_MTps
    )
    q["memory_step"], q["machine_step"] = ratio.numerator, ratio.denominator
    if not 1 <= machine.depth <= tiles.MAX_DEPTH:
        raise NetworkError(f"{machine.depth} tiles at once; expected 1 to {tiles.MAX_DEPTH}")
    q["depth"], q["outstanding_allowed"], q["offers"] = (
        machine.depth,
        machine.outstanding,
        len(engine.channels),
    )
    q["ends_at"] = (int(engine.loop[0]["tick"]) - 1) * int(q["memory_step"])
    engine.loop["alone"] = len(engine.channels) == 1 and machine.outstanding == 0
    layers: list[LayerRun] = []
    snapshot = Snapshot(engine)
    owed = np.zeros(0, TRANSFER)
    schedules = (schedule for schedule in machine.schedules() if len(schedule.tiles))
    schedule = next(schedules, None)
    while schedule is not None:
        following = next(schedules, None)
        done, owed = run_schedule(
            engine, record, schedule, owed, snapshot, drains=following is None
        )
        layers += done
        schedule = following
    per_layer = dict(enumerate(machine.layer_counters()))
    return MachineRun(
        tuple(
            replace(run, counters={**run.counters, **per_layer.get(run.layer or 0, {})})
            for run in layers
        ),
        machine.counters(),
    )


class Snapshot:
    """What memory has done up to the last layer's end."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.counts: Counts | None = None
        self.clock = 0

    def next(self, clock: int) -> tuple[int, Counts]:
        """Cycles and counts since the last call."""
        counts = self.engine.snapshot(clock)
        own = counts if self.counts is None else counts.minus(self.counts)
        cycles = clock - self.clock
        self.counts, self.clock = counts, clock
        return cycles, own


def run_schedule(
    engine: Engine,
    record: Records,
    schedule: Schedule,
    owed: Records,
    snapshot: Snapshot,
    *,
    drains: bool,
) -> tuple[list[LayerRun], Records]:
    """Run one schedule, and the writes owed by the one before: one LayerRun per layer, in order, and the writes that it owes ([n] TRANSFER).

    drains: until memory is drained, which counts to the last layer.
    """
    offset_bits = int(engine.mapping[0]["offset_bits"])
    tiles_, transfers = behind(owed, schedule.tiles, schedule.transfers)
    lines = transferred_lines(tiles_, transfers, offset_bits, int(engine.mapping[0]["capacity"]))
    q = record[0]
    for name in ("computed", "busy", "tile", "transfer", "run", "first", "count"):
        q[name] = 0
    q["line"] = q["last_line"] = -1
    count = len(tiles_)
    done_at, stalls = np.zeros(count, np.int64), np.zeros(count, np.int64)
    arrays = (record, engine.mapping, tiles_, transfers, done_at, stalls)
    step = partial(
        run_tiles,
        engine.channels,
        engine.timing,
        engine.loop,
        *arrays,
        engine.commands,
        engine.exposures,
    )
    layers: list[LayerRun] = []
    first = count - len(schedule.tiles)  # the tile that writes what is owed belongs to no layer
    while True:
        status = engine.drive(step)
        if status == state.DONE:
            return layers, np.zeros(0, TRANSFER)
        last = int(q["computed"])
        if last == count and drains:
            status = engine.drive(step)  # the drain belongs to the last layer
            assert status == state.DONE
        clock = int(engine.loop[0]["tick"])
        cycles, counts = snapshot.next(clock)
        own = slice(first, last)
        layers.append(
            LayerRun(
                layer=int(tiles_[first]["layer"]),
                cycles=cycles,
                time_ns=cycles * engine.standard.tck_ps / 1000,
                stall_share=int(stalls[own].sum()) / cycles if cycles else 0.0,
                counts=counts,
                cell_point=engine.cell_point,
                read_bytes=lines.bytes_of(own, is_write=False),
                write_bytes=lines.bytes_of(own, is_write=True),
                counters={"compute_cycles": int(tiles_["compute_cycles"][own].sum())},
                end_clock=clock,
            )
        )
        if engine.listeners.progress is not None:
            engine.listeners.progress(int(q["reads"] + q["writes"]))
        if last == count:
            return layers, writes_left(record, tiles_, transfers, offset_bits)
        first = last


@dataclass(frozen=True)
class TransferredLines:
    """Accesses of every transfer of a schedule: tile and tensor it belongs to, whether it writes, how many accesses of how many bytes."""

    tile: NDArray[np.int64]
    tensor: NDArray[np.int64]
    is_write: NDArray[np.bool_]
    accesses: NDArray[np.int64]
    access_bytes: int

    def bytes_of(self, tiles: slice, *, is_write: bool) -> dict[int, int]:
        """Bytes by tensor, moved by a range of tiles."""
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
    tiles_: Records, transfers: Records, offset_bits: int, capacity_bytes: int
) -> TransferredLines:
    """Count the accesses of every transfer as the engine makes them. Raises NetworkError for one beyond the capacity."""
    first, stride = transfers["address"], transfers["stride_bytes"]
    last_run = first + stride * (transfers["count"].astype(np.int64) - 1)
    end = np.maximum(first, last_run) + transfers["run_bytes"]
    bad = np.flatnonzero((np.minimum(first, last_run) < 0) | (end > capacity_bytes))
    if len(bad):
        raise NetworkError(
            f"the network reaches up to byte address {int(end[bad[0]]):,}, beyond the capacity of {capacity_bytes:,} bytes; "
            "expected a larger organization, more ranks or channels, a lower precision or a smaller batch"
        )
    per_tile = (tiles_["reads"] + tiles_["writes"]).astype(np.int64)
    tile = np.repeat(np.arange(len(tiles_)), per_tile)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(per_tile) - per_tile, per_tile)
    order = tiles_["first_transfer"][tile] + within
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
        is_write=within >= tiles_["reads"][tile],
        accesses=accesses[order],
        access_bytes=1 << offset_bits,
    )
