"""A TPU-like machine: a systolic array of any size and dataflow, three on-chip buffers, accumulators, and a unit for everything else.

Time (shared/reference/front-ends.md section 3, after Jouppi et al., ISCA 2017): a tile takes the longer of streaming its operands and of shifting
in what stays; weights come through a queue of tiles, fetched ahead, across layers too; a layer's last sums drain through the array before the
next layer starts. Pooling, addition and the like run at one element per column and cycle. Mode `scalesim` overlaps nothing within a tile, as the
peer does, and gives what the peer counts beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edensim.engine.tiles import Schedule, run_tiled
from edensim.machines.schedule import ScheduleBuilder
from edensim.machines.systolic.scalesim import Convolution, count_layer
from edensim.machines.tpu.planning import (
    Array,
    LayerShape,
    Plan,
    array_of,
    check_fits,
    layer_shape,
    plan_layer,
    tile_needs,
)
from edensim.machines.tpu.tiles import Features, LayerTiles, Runs, Tile
from edensim.networks.layout import Layout
from edensim.networks.network import Layer, Network, Operator

if TYPE_CHECKING:
    from edensim.config.models import TpuConfig
    from edensim.engine.engine import Engine
    from edensim.engine.machine import MachineRun

#: Bytes of a tile of pooling, addition and the like.
VECTOR_TILE_BYTES = 1 << 17


def tpu_machine(network: Network, layout: Layout, config: TpuConfig) -> TpuMachine:
    """The machine for a network as it is laid out, that is, fused. Raises ConfigError where a buffer is too small for a tile of some layer."""
    network = layout.network
    kept = kept_features(network, layout, config) if config.keep_features else frozenset()
    array = array_of(config, kept=config.keep_features)
    products = (Operator.CONVOLUTION, Operator.LINEAR)
    shapes = {
        index: layer_shape(network, layer, layout.bits)
        for index, layer in enumerate(network.layers)
        if layer.operator in products
    }
    resident = {index: network.layers[index].inputs[0] in kept for index in shapes}
    check_fits(
        (shape, need)
        for index, shape in shapes.items()
        for need in tile_needs(shape, array, resident=resident[index])
    )
    plans = {
        index: (shape, plan_layer(shape, array, resident=resident[index]))
        for index, shape in shapes.items()
    }
    tile_bytes = max(
        (
            shape.bytes(min(plan.block_filters * plan.fold_depth, shape.depth * shape.filters))
            for shape, plan in plans.values()
        ),
        default=1,
    )
    depth = 1 + max(1, min(config.weight_fifo, array.weight_bytes // tile_bytes))
    return TpuMachine(network, layout, config, array, plans, kept, depth)


def kept_features(network: Network, layout: Layout, config: TpuConfig) -> frozenset[str]:
    """Features that stay on the chip from their layer to their last reader: first come, first kept, in half of the feature buffers."""
    room = (config.ifmap_sram_kB + config.ofmap_sram_kB) * 1024 // 2
    used = [0] * len(network.layers)
    kept = set()
    for layer in network.layers:
        place = layout[layer.output]
        alive = slice(place.first_layer, place.last_layer + 1)
        if network.readers[layer.output] and place.size_bytes + max(used[alive]) <= room:
            kept.add(layer.output)
            used[alive] = [bytes_ + place.size_bytes for bytes_ in used[alive]]
    return frozenset(kept)


@dataclass(frozen=True)
class TpuMachine:
    """A network ready to run. depth: tiles fetched or computed at once; plans: of each layer that is a matrix product, by index."""

    network: Network
    layout: Layout
    config: TpuConfig
    array: Array
    plans: dict[int, tuple[LayerShape, Plan]]
    kept: frozenset[str]
    depth: int
    name: str = "tpu"
    outstanding: int = 0
    cycles: dict[int, int] = field(default_factory=dict)

    @property
    def clock_MHz(self) -> float:
        """Of the array."""
        return self.config.clock_MHz

    def run(self, engine: Engine) -> MachineRun:
        """Run the network in closed loop with a memory."""
        return run_tiled(engine, self)

    def schedules(self) -> Iterator[Schedule]:
        """One for the whole network: weights of a layer are fetched while the one before computes."""
        builder = ScheduleBuilder()
        for index, layer in enumerate(self.network.layers):
            tiles = (
                self.product_tiles(index, layer)
                if index in self.plans
                else self.vector_tiles(layer)
            )
            tiles[0].ahead[:0] = [
                run for name in self.further_weights(index, layer) for run in self.whole(name)
            ]
            self.cycles[index] = sum(tile.cycles for tile in tiles)
            for number, tile in enumerate(tiles):
                record = builder.tile(index, tile.cycles, barrier=number == 0)
                for ahead, runs in ((True, tile.ahead), (False, tile.reads)):
                    for run in runs:
                        record.read(
                            run.tensor,
                            run.address,
                            run.run_bytes,
                            stride_bytes=run.stride_bytes,
                            count=run.count,
                            ahead=ahead,
                        )
                for run in tile.writes:
                    record.write(
                        run.tensor,
                        run.address,
                        run.run_bytes,
                        stride_bytes=run.stride_bytes,
                        count=run.count,
                    )
        yield builder.build()

    def product_tiles(self, index: int, layer: Layer) -> list[Tile]:
        """Tiles of a convolution or linear layer. The first one fetches the next few tiles' weights, too: it waits for the ifm anyway."""
        shape, plan = self.plans[index]
        weights = self.layout[layer.weights[0]]
        ifm = self.features(layer.inputs[0], shape.images, shape.channels, shape.height)
        ofm = self.features(layer.output, shape.images, shape.filters, shape.out_height)
        tiles = list(
            LayerTiles(shape, plan, self.array, ifm, ofm, (weights.index, weights.address)).tiles()
        )
        for name in layer.inputs[1:]:
            tiles[0].reads += self.whole(name)
        for tile in tiles[1 : self.depth - 1]:
            tiles[0].ahead += tile.ahead
            tile.ahead = []
        if self.array.overlapped:
            tiles[-1].cycles += self.array.rows + self.array.columns - 2
        return tiles

    def vector_tiles(self, layer: Layer) -> list[Tile]:
        """Tiles of a layer that is no matrix product: equal parts of all that it reads and writes."""
        features = (*layer.inputs, layer.output)
        elements = max(
            self.network.tensors[layer.output].elements,
            sum(self.network.tensors[name].elements for name in layer.inputs),
        )
        moved = sum(self.layout[name].size_bytes for name in features)
        parts = max(1, -(-moved // VECTOR_TILE_BYTES))
        tiles = []
        for part in range(parts):
            here, there = elements * part // parts, elements * (part + 1) // parts
            tile = Tile(-(-(there - here) // self.array.columns))
            tile.reads += [run for name in layer.inputs for run in self.share(name, part, parts)]
            tile.writes += self.share(layer.output, part, parts)
            tiles.append(tile)
        return tiles

    def further_weights(self, index: int, layer: Layer) -> tuple[str, ...]:
        """Bias, scale and shift; all weights of a layer that is no matrix product."""
        return layer.weights[1:] if index in self.plans else layer.weights

    def features(self, name: str, images: int, channels: int, rows: int) -> Features | None:
        """Where features lie, as a layer sees them; None if they stay on the chip."""
        if name in self.kept:
            return None
        place = self.layout[name]
        row = self.network.tensors[name].elements // (images * channels * rows)
        return Features(place.index, place.address, images, channels, rows, row * self.layout.bits)

    def whole(self, name: str) -> list[Runs]:
        """All bytes of a tensor."""
        return self.share(name, 0, 1)

    def share(self, name: str, part: int, parts: int) -> list[Runs]:
        """One of so many parts of a tensor, as equal as whole lines allow."""
        if name in self.kept:
            return []
        place = self.layout[name]
        low, high = (
            place.size_bytes * at // parts // 64 * 64 if at < parts else place.size_bytes
            for at in (part, part + 1)
        )
        return [Runs(place.index, place.address + low, high - low)] if high > low else []

    def counters(self) -> dict[str, int | float]:
        """Totals of the array."""
        cycles, macs = sum(self.cycles.values()), self.network.macs
        return {
            "compute_cycles": cycles,
            "macs": macs,
            "utilization": macs / (cycles * self.array.rows * self.array.columns)
            if cycles
            else 0.0,
            "kept_features": len(self.kept),
        }

    def layer_counters(self) -> list[dict[str, int | float | str]]:
        """Per layer: how it was cut, how much of the array it used, what the buffers saw (elements)."""
        return [
            self.one_layer_counters(index, layer) for index, layer in enumerate(self.network.layers)
        ]

    def one_layer_counters(self, index: int, layer: Layer) -> dict[str, int | float | str]:
        """Of one layer."""
        if index not in self.plans:
            return {"plan": "vector", "utilization": 0.0}
        shape, plan = self.plans[index]
        cycles = self.cycles.get(index, 0)
        counted: dict[str, int | float | str] = {
            "plan": plan.name,
            "utilization": shape.macs / (cycles * self.array.rows * self.array.columns)
            if cycles
            else 0.0,
        }
        if self.config.mode == "scalesim":
            counted |= {
                f"scalesim_{key}": value for key, value in self.scalesim(shape, layer).items()
            }
        return counted

    def scalesim(self, shape: LayerShape, layer: Layer) -> dict[str, int]:
        """What SCALE-Sim counts for a layer: its ifm padded beforehand, its groups one after the other, for every image."""
        top, left, bottom, right = layer.padding
        kernel = layer.kernel if layer.operator is Operator.CONVOLUTION else (1, 1)
        size = (
            max(kernel[0], shape.height + top + bottom),
            max(kernel[1], shape.width + left + right),
        )
        convolution = Convolution(
            size, kernel, shape.channels // shape.groups, shape.group_filters, layer.stride
        )
        srams = (self.config.ifmap_sram_kB, self.config.filter_sram_kB, self.config.ofmap_sram_kB)
        counts = count_layer(
            convolution, (self.array.rows, self.array.columns), srams, self.config.dataflow
        )
        return {key: value * shape.groups * shape.images for key, value in counts.to_dict().items()}
