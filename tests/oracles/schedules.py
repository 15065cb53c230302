"""Schedules that tests write down tile by tile."""

from __future__ import annotations

from dataclasses import dataclass, field

from edensim.engine.tiles import Schedule
from edensim.machines.schedule import Tile, Transfer, schedule_of


@dataclass
class TileBuilder:
    tile: Tile

    def read(
        self, tensor: int, address: int, run_bytes: int, *, ahead: bool = False, **runs: int
    ) -> TileBuilder:
        fetched = self.tile.ahead if ahead else self.tile.reads
        fetched.append(Transfer(tensor, address, run_bytes, **runs))
        return self

    def write(self, tensor: int, address: int, run_bytes: int, **runs: int) -> TileBuilder:
        self.tile.writes.append(Transfer(tensor, address, run_bytes, **runs))
        return self


@dataclass
class ScheduleBuilder:
    tiles: list[Tile] = field(default_factory=list)

    def tile(self, layer: int, compute_cycles: int, *, barrier: bool = False) -> TileBuilder:
        self.tiles.append(Tile(layer, compute_cycles, barrier))
        return TileBuilder(self.tiles[-1])

    def build(self) -> Schedule:
        return schedule_of(self.tiles)
