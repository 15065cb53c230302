"""What a tiled machine asks of memory: tiles and their transfers, as records that the compiled engine reads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edensim.engine.tiles import Schedule
from edensim.vocabulary import TILE, TRANSFER


@dataclass
class ScheduleBuilder:
    """A schedule under construction, tile by tile. `first_layer`: index of the layer that its first tile belongs to."""

    _tiles: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    _transfers: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)

    def tile(self, layer: int, compute_cycles: int, *, barrier: bool = False) -> TileBuilder:
        """Begin a tile; its transfers follow, reads first."""
        self._tiles.append((len(self._transfers), compute_cycles, 0, 0, layer, int(barrier)))
        return TileBuilder(self)

    def build(self) -> Schedule:
        """The records."""
        return Schedule(np.array(self._tiles, TILE), np.array(self._transfers, TRANSFER))


@dataclass
class TileBuilder:
    """The last tile of a schedule under construction."""

    schedule: ScheduleBuilder

    def read(
        self,
        tensor: int,
        address: int,
        run_bytes: int,
        *,
        stride_bytes: int = 0,
        count: int = 1,
        ahead: bool = False,
    ) -> TileBuilder:
        """Fetch `count` runs of `run_bytes`, `stride_bytes` apart."""
        self._add(tensor, address, run_bytes, stride_bytes, count, ahead, is_write=False)
        return self

    def write(
        self, tensor: int, address: int, run_bytes: int, *, stride_bytes: int = 0, count: int = 1
    ) -> TileBuilder:
        """Write back once computed."""
        self._add(tensor, address, run_bytes, stride_bytes, count, ahead=False, is_write=True)
        return self

    def _add(
        self,
        tensor: int,
        address: int,
        run_bytes: int,
        stride_bytes: int,
        count: int,
        ahead: bool,
        is_write: bool,
    ) -> None:
        if run_bytes <= 0 or count <= 0:
            return
        first, compute, reads, writes, layer, barrier = self.schedule._tiles[-1]
        if not is_write and writes:
            raise ValueError("reads of a tile come before its writes")
        self.schedule._tiles[-1] = (
            first,
            compute,
            reads + (not is_write),
            writes + is_write,
            layer,
            barrier,
        )
        self.schedule._transfers.append(
            (address, run_bytes, stride_bytes, count, tensor, int(ahead))
        )
