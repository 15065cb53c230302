"""A GPU: streaming multiprocessors that run a network kernel by kernel, behind a sectored L2 cache.

Each layer is a schedule (kernels synchronize); the L2 cache keeps its content from layer to layer, and writes back what is dirty at the end. A tile
is one step of all thread blocks that run at the same time: its reads are the L2 misses of that step, its writes the dirty lines that these drive
out. `depth` tiles overlap: double buffering in a product, resident warps elsewhere. Facts: shared/reference/front-ends.md section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edensim.engine.tiles import Schedule, run_tiled
from edensim.kernels.sources.gpu import schedule as gpu
from edensim.kernels.sources.gpu.l2 import GPU_L2, LINE_BYTES, SECTOR_BYTES, VALID_BITS
from edensim.machines.gpu.kernels import Kernel, l2_sets, layer_kernels
from edensim.machines.gpu.tiling import SPEED
from edensim.vocabulary import TILE, TRANSFER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.config.models import GpuConfig
    from edensim.engine.engine import Engine
    from edensim.engine.machine import MachineRun
    from edensim.networks.layout import Layout
    from edensim.networks.network import Network

#: Tiles and transfers walked at once, at least.
TILES = 1 << 12
TRANSFERS = 1 << 16


@dataclass(frozen=True)
class LayerReport:
    """What a layer's kernels did. kernel, tile: of the first; compute_cycles: with all data at hand; sectors of 32 bytes."""

    name: str
    operator: str
    kernel: str
    tile: str
    splits: int
    blocks: int
    resident: int
    compute_cycles: int
    macs: int
    read_sectors: int
    missed_sectors: int
    written_sectors: int
    written_back_sectors: int


class L2:
    """The L2 cache, empty at first, and room for what a walk hands out."""

    def __init__(self, config: GpuConfig) -> None:
        """Raises ConfigError for a cache that cannot be."""
        self.record = np.zeros(1, GPU_L2)
        self.record["sets"], self.record["ways"] = l2_sets(config), config.l2_ways
        self.tiles = np.empty(TILES, TILE)
        self.transfers = np.empty(0, TRANSFER)

    def walk(self, kernel: Kernel) -> Schedule:
        """Run a kernel through the cache. kernel.record is changed: it holds how far the walk got."""
        record = kernel.record
        room = int(record[0]["room"])
        if len(self.transfers) < 2 * room:
            self.transfers = np.empty(max(2 * room, TRANSFERS), TRANSFER)
        tiles: list[NDArray[np.void]] = []
        transfers: list[NDArray[np.void]] = []
        done, status = 0, gpu.MORE
        while status == gpu.MORE:
            status = gpu.walk(record, kernel.operands, self.record, self.tiles, self.transfers)
            tiles.append(self.tiles[: int(record[0]["tiles"])].copy())
            transfers.append(self.transfers[: int(record[0]["transfers"])].copy())
            tiles[-1]["first_transfer"] += done
            done += len(transfers[-1])
        return Schedule(np.concatenate(tiles), np.concatenate(transfers))

    def sectors(self) -> list[int]:
        """Sectors read, missed, written and written back so far."""
        return [int(self.record[0][name]) for name in ("read", "missed", "written", "written_back")]

    def flush(self, layer: int) -> Schedule:
        """Write back all that is dirty, in order of address, as one tile that computes nothing."""
        record = self.record[0]
        dirty, owner = record["lines"]["dirty"], record["lines"]["owner"]
        slot, sector = np.nonzero(dirty[:, None] >> np.arange(4) & 1)
        address = ((record["tags"][slot] >> VALID_BITS) - 1) * LINE_BYTES + sector * SECTOR_BYTES
        order = np.argsort(address)
        address, tensor = address[order], owner[slot, sector][order]
        first = np.flatnonzero(
            (np.diff(address, prepend=-SECTOR_BYTES) != SECTOR_BYTES)
            | (np.diff(tensor, prepend=-2) != 0)
        )
        transfers = np.zeros(len(first), TRANSFER)
        transfers["address"], transfers["tensor"], transfers["count"] = (
            address[first],
            tensor[first],
            1,
        )
        transfers["run_bytes"] = np.diff(first, append=len(address)) * SECTOR_BYTES
        tiles = np.zeros(1, TILE)
        tiles["writes"], tiles["layer"] = len(transfers), layer
        record["written_back"] += len(address)
        record["lines"]["dirty"] = 0
        return Schedule(tiles, transfers)


@dataclass(frozen=True)
class GpuMachine:
    """A network on a GPU. reports: of the layers done so far."""

    network: Network
    layout: Layout
    config: GpuConfig
    reports: list[LayerReport] = field(default_factory=list)
    name: str = "gpu"
    outstanding: int = (
        0  # the controllers' queues hold fewer than the L2 cache's 256 misses of each slice
    )

    @property
    def clock_MHz(self) -> float:
        """Clock of multiprocessors and L2 cache."""
        return self.config.clock_MHz

    @property
    def depth(self) -> int:
        """Tiles under way: the stages of shared memory."""
        return self.config.stages

    def run(self, engine: Engine) -> MachineRun:
        """Run the network in closed loop with a memory."""
        return run_tiled(engine, self)

    def schedules(self) -> Iterator[Schedule]:
        """One for each layer. Raises ConfigError for what the machine cannot hold."""
        self.reports.clear()
        cache = L2(self.config)
        last = len(self.network.layers) - 1
        for index in range(last + 1):
            kernels = layer_kernels(self.network, self.layout, index, self.config)
            before = cache.sectors()
            schedules = [self._launch(index)] if self.config.launch_cycles else []
            for number, kernel in enumerate(kernels):
                schedule = cache.walk(kernel)
                if number:
                    schedule.tiles["barrier"][:1] = 1
                schedules.append(schedule)
            if index == last:
                schedules.append(cache.flush(index))
            self.reports.append(self._report(index, kernels, before, cache.sectors()))
            yield joined(schedules)

    def counters(self) -> dict[str, int | float]:
        """Totals of all layers."""
        cycles = sum(each.compute_cycles for each in self.reports)
        return {
            "compute_cycles": cycles,
            "macs": sum(each.macs for each in self.reports),
            "utilization": self._utilization(sum(each.macs for each in self.reports), cycles),
            **traffic(self.reports),
        }

    def layer_counters(self) -> list[dict[str, int | float | str]]:
        """One for each layer of the network."""
        return [
            {
                "layer": each.name,
                "operator": each.operator,
                "kernel": each.kernel,
                "tile": each.tile,
                "splits": each.splits,
                "blocks": each.blocks,
                "resident_blocks": each.resident,
                "compute_cycles": each.compute_cycles,
                "macs": each.macs,
                "utilization": self._utilization(each.macs, each.compute_cycles),
                **traffic([each]),
            }
            for each in self.reports
        ]

    def _utilization(self, macs: int, cycles: int) -> float:
        """Share of the multiply-accumulates that all multiprocessors could have done."""
        possible = cycles * self.config.sms * self.config.flops_per_cycle * SPEED[self.layout.bits]
        return 2 * macs / possible if possible else 0.0

    def _launch(self, index: int) -> Schedule:
        """Cycles before a kernel's first access."""
        tiles = np.zeros(1, TILE)
        tiles["compute_cycles"], tiles["layer"] = self.config.launch_cycles, index
        return Schedule(tiles, np.zeros(0, TRANSFER))

    def _report(
        self, index: int, kernels: list[Kernel], before: list[int], after: list[int]
    ) -> LayerReport:
        layer, first = self.network.layers[index], kernels[0]
        gemm, tiling = self.network.gemm(layer), first.tiling
        read, missed, written, written_back = (
            now - then for now, then in zip(after, before, strict=True)
        )
        return LayerReport(
            layer.name,
            layer.operator.value,
            first.name,
            f"{tiling.tile_m}x{tiling.tile_n}x{tiling.tile_k}" if tiling else "",
            tiling.splits if tiling else 1,
            int(first.record[0]["blocks"]),
            tiling.resident if tiling else int(first.record[0]["wave"]) // self.config.sms,
            sum(int(kernel.record[0]["cycles"]) for kernel in kernels) + self.config.launch_cycles,
            gemm.macs if gemm else 0,
            read,
            missed,
            written,
            written_back,
        )


def traffic(reports: list[LayerReport]) -> dict[str, int | float]:
    """Bytes between multiprocessors and L2 cache, and between that and memory, in whole sectors."""
    read, missed = (
        sum(each.read_sectors for each in reports),
        sum(each.missed_sectors for each in reports),
    )
    return {
        "l2_read_bytes": read * SECTOR_BYTES,
        "l2_write_bytes": sum(each.written_sectors for each in reports) * SECTOR_BYTES,
        "l2_read_hit_rate": 1 - missed / read if read else 0.0,
        "l2_fill_bytes": missed * SECTOR_BYTES,
        "l2_writeback_bytes": sum(each.written_back_sectors for each in reports) * SECTOR_BYTES,
    }


def joined(schedules: list[Schedule]) -> Schedule:
    """Schedules as one, in order."""
    done = 0
    tiles = []
    for each in schedules:
        tiles.append(each.tiles.copy())
        tiles[-1]["first_transfer"] += done
        done += len(each.transfers)
    return Schedule(np.concatenate(tiles), np.concatenate([each.transfers for each in schedules]))


def gpu_machine(network: Network, layout: Layout, config: GpuConfig) -> GpuMachine:
    """The GPU of a configuration, about to run a network as it is laid out in memory. Raises ConfigError for a machine that cannot be."""
    l2_sets(config)
    return GpuMachine(layout.network, layout, config)
