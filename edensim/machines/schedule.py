"""Tiles and their transfers, and the records of them that the engine reads."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edensim.engine.engine import Engine
from edensim.engine.machine import MachineRun
from edensim.engine.tiles import Schedule, TiledMachine, run_tiled
from edensim.vocabulary import TILE, TRANSFER


@dataclass(frozen=True, slots=True)
class Transfer:
    """`count` runs of `run_bytes` each of one tensor, `stride_bytes` from one start to the next."""

    tensor: int
    address: int
    run_bytes: int
    stride_bytes: int = 0
    count: int = 1


@dataclass
class Tile:
    """What a machine fetches, computes and writes back as one unit of work.

    Attributes
    ----------
    layer : int
        Index of the layer that the tile belongs to.
    compute_cycles : int
        Cycles of the machine's clock that it computes.
    barrier : bool
        Whether the tile waits until the tiles before it are computed and written back.
    ahead, reads, writes : list of Transfer
        What is fetched whether or not there is a barrier, what is fetched behind it, and what is
        written back once the tile is computed.
    """

    layer: int
    compute_cycles: int
    barrier: bool = False
    ahead: list[Transfer] = field(default_factory=list)
    reads: list[Transfer] = field(default_factory=list)
    writes: list[Transfer] = field(default_factory=list)


class TiledRun:
    """What the machines that run tile after tile have in common."""

    def run(self: TiledMachine, engine: Engine) -> MachineRun:
        """Run the network in closed loop with a memory."""
        return run_tiled(engine, self)


def schedule_of(tiles: Iterable[Tile]) -> Schedule:
    """Turn tiles into records."""
    records: list[tuple[int, ...]] = []
    transfers: list[tuple[int, ...]] = []
    for tile in tiles:
        reads, writes = len(tile.ahead) + len(tile.reads), len(tile.writes)
        records.append(
            (len(transfers), tile.compute_cycles, reads, writes, tile.layer, tile.barrier)
        )
        for is_ahead, moved in ((1, tile.ahead), (0, tile.reads), (0, tile.writes)):
            transfers += [
                (t.address, t.run_bytes, t.stride_bytes, t.count, t.tensor, is_ahead) for t in moved
            ]
    return Schedule(np.array(records, TILE), np.array(transfers, TRANSFER))


def joined(schedules: Iterable[Schedule]) -> Schedule:
    """Put schedules one behind the other."""
    tiles, transfers, before = [np.zeros(0, TILE)], [np.zeros(0, TRANSFER)], 0
    for schedule in schedules:
        tiles.append(schedule.tiles.copy())
        tiles[-1]["first_transfer"] += before
        transfers.append(schedule.transfers)
        before += len(schedule.transfers)
    return Schedule(np.concatenate(tiles), np.concatenate(transfers))
