"""A GPU: streaming multiprocessors that run a network kernel by kernel, behind a sectored L2 cache.

Each layer is a schedule, since kernels synchronize. The L2 cache keeps its content from layer to
layer, and writes back what is dirty at the end. A tile is one step of all thread blocks that run at
the same time: its reads are the L2 misses of that step, its writes the dirty lines that these drive
out. `depth` tiles overlap: double buffering in a product, resident warps elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import GpuConfig
from edensim.engine.tiles import Schedule
from edensim.kernels.sources.gpu import schedule as gpu
from edensim.kernels.sources.gpu.l2 import GPU_L2, LINE_BYTES, SECTOR_BYTES, VALID_BITS
from edensim.kernels.status import Status
from edensim.machines.gpu.kernels import Kernel, l2_sets, layer_kernels
from edensim.machines.gpu.tiling import SPEED
from edensim.machines.schedule import TiledRun, joined
from edensim.networks.layout import Layout
from edensim.networks.network import Network
from edensim.vocabulary import TILE, TRANSFER

#: Least number of tiles and of transfers that are walked at once.
TILES = 1 << 12
TRANSFERS = 1 << 16
#: Traffic that the counters of a layer add up to.
TRAFFIC = ("l2_read_bytes", "l2_write_bytes", "l2_fill_bytes", "l2_writeback_bytes")


class L2:
    """The L2 cache, which is empty at first, and room for the records that a walk makes."""

    def __init__(self, config: GpuConfig) -> None:
        """Make an empty cache. Raises ConfigError for a cache that holds no set."""
        self.record = np.zeros(1, GPU_L2)
        self.record["sets"], self.record["ways"] = l2_sets(config), config.l2_ways
        self.tiles = np.empty(TILES, TILE)
        self.transfers = np.empty(0, TRANSFER)

    def walk(self, kernel: Kernel) -> Schedule:
        """Run a kernel through the cache.

        This changes the record of the kernel, which holds how far the walk got.
        """
        record = kernel.record
        room = int(record[0]["room"])
        if len(self.transfers) < 2 * room:
            self.transfers = np.empty(max(2 * room, TRANSFERS), TRANSFER)
        tiles: list[NDArray[np.void]] = []
        transfers: list[NDArray[np.void]] = []
        done, status = 0, int(Status.OUTPUT_FULL)
        while status == Status.OUTPUT_FULL:
            status = gpu.walk(record, kernel.operands, self.record, self.tiles, self.transfers)
            tiles.append(self.tiles[: int(record[0]["tiles"])].copy())
            transfers.append(self.transfers[: int(record[0]["transfers"])].copy())
            tiles[-1]["first_transfer"] += done
            done += len(transfers[-1])
        return Schedule(np.concatenate(tiles), np.concatenate(transfers))

    def traffic(self) -> NDArray[np.int64]:
        """Return the bytes of TRAFFIC so far, which go in whole sectors."""
        names = ("read", "written", "missed", "written_back")
        return np.array([self.record[0][name] for name in names], np.int64) * SECTOR_BYTES

    def flush(self, layer: int) -> Schedule:
        """Write back all dirty sectors in order of address, as one tile that computes nothing."""
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
        transfers["address"], transfers["tensor"] = address[first], tensor[first]
        transfers["count"] = 1
        transfers["run_bytes"] = np.diff(first, append=len(address)) * SECTOR_BYTES
        tiles = np.zeros(1, TILE)
        tiles["writes"], tiles["layer"] = len(transfers), layer
        record["written_back"] += len(address)
        record["lines"]["dirty"] = 0
        return Schedule(tiles, transfers)


@dataclass(frozen=True)
class GpuMachine(TiledRun):
    """A network on a GPU.

    `reports` holds the counters of the layers that have been run so far. The number of outstanding
    reads is not limited beyond the controllers' queues (0), since these hold fewer than the L2
    cache's 256 misses of each slice.
    """

    network: Network
    layout: Layout
    config: GpuConfig
    reports: list[dict[str, Any]] = field(default_factory=list)
    name: str = "gpu"
    outstanding: int = 0

    @property
    def clock_MHz(self) -> float:
        """Clock of the multiprocessors and the L2 cache."""
        return self.config.clock_MHz

    @property
    def depth(self) -> int:
        """Number of tiles under way: the stages of shared memory."""
        return self.config.stages

    def schedules(self) -> Iterator[Schedule]:
        """Yield one schedule for each layer.

        Raises ConfigError for tiles that the machine cannot hold.
        """
        self.reports.clear()
        cache = L2(self.config)
        last = len(self.network.layers) - 1
        for index in range(last + 1):
            kernels = layer_kernels(self.network, self.layout, index, self.config)
            before = cache.traffic()
            schedules = [self._launch(index)] if self.config.launch_cycles else []
            for number, kernel in enumerate(kernels):
                schedule = cache.walk(kernel)
                if number:
                    schedule.tiles["barrier"][:1] = 1
                schedules.append(schedule)
            if index == last:
                schedules.append(cache.flush(index))
            self.reports.append(self._report(index, kernels, cache.traffic() - before))
            yield joined(schedules)

    def counters(self) -> dict[str, Any]:
        """Return the totals of all layers."""
        totals = {
            name: sum(report[name] for report in self.reports)
            for name in ("compute_cycles", "macs", *TRAFFIC)
        }
        return self._with_ratios(totals)

    def layer_counters(self) -> list[dict[str, Any]]:
        """Return the counters of each layer of the network."""
        return self.reports

    def _with_ratios(self, counters: dict[str, Any]) -> dict[str, Any]:
        """Add the share of possible multiply-accumulates that were made, and the hit rate."""
        per_cycle = self.config.sms * self.config.flops_per_cycle * SPEED[self.layout.bits]
        possible = counters["compute_cycles"] * per_cycle
        read = counters["l2_read_bytes"]
        return {
            **counters,
            "utilization": 2 * counters["macs"] / possible if possible else 0.0,
            "l2_read_hit_rate": 1 - counters["l2_fill_bytes"] / read if read else 0.0,
        }

    def _launch(self, index: int) -> Schedule:
        """Spend the cycles before the first access of a kernel."""
        tiles = np.zeros(1, TILE)
        tiles["compute_cycles"], tiles["layer"] = self.config.launch_cycles, index
        return Schedule(tiles, np.zeros(0, TRANSFER))

    def _report(
        self, index: int, kernels: list[Kernel], traffic: NDArray[np.int64]
    ) -> dict[str, Any]:
        """Report what the kernels of a layer did; kernel, tile and blocks are those of the first.

        The compute cycles are those with all data at hand.
        """
        layer, first = self.network.layers[index], kernels[0]
        gemm, tiling, record = self.network.gemm(layer), first.tiling, first.record[0]
        cycles = sum(int(kernel.record[0]["cycles"]) for kernel in kernels)
        report = {
            "layer": layer.name,
            "operator": layer.operator.value,
            "kernel": first.name,
            "tile": f"{tiling.tile_m}x{tiling.tile_n}x{tiling.tile_k}" if tiling else "",
            "splits": tiling.splits if tiling else 1,
            "blocks": int(record["blocks"]),
            "resident_blocks": (
                tiling.resident if tiling else int(record["wave"]) // self.config.sms
            ),
            "compute_cycles": cycles + self.config.launch_cycles,
            "macs": gemm.macs if gemm else 0,
        }
        return self._with_ratios(report | dict(zip(TRAFFIC, traffic.tolist(), strict=True)))


def gpu_machine(network: Network, layout: Layout, config: GpuConfig) -> GpuMachine:
    """Make the GPU of a configuration, running a network as it is laid out (fused).

    Raises ConfigError for an L2 cache that cannot be.
    """
    l2_sets(config)
    return GpuMachine(layout.network, layout, config)
