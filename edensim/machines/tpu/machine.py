"""A TPU-like machine: a systolic array of any size and dataflow behind three on-chip buffers.

A tile takes the longer of streaming its operands and of shifting in what stays in the array.
Weights come through a queue of tiles that are fetched ahead, also across layers. The last sums of a
layer drain through the array before the next layer starts (Jouppi et al., ISCA 2017). Pooling,
addition and the like run at one element per column and cycle. The mode `scalesim` overlaps nothing
within a tile, as SCALE-Sim does, and reports SCALE-Sim's counts beside its own figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edensim.config.models import TpuConfig
from edensim.engine.tiles import Schedule
from edensim.machines.schedule import Tile, TiledRun, Transfer, schedule_of
from edensim.machines.systolic.scalesim import Convolution, count_layer
from edensim.machines.tpu.planning import (
    LINE_BYTES,
    Array,
    LayerShape,
    Plan,
    array_of,
    check_fits,
    layer_shape,
    plan_layer,
    tile_needs,
)
from edensim.machines.tpu.tiles import Features, LayerTiles
from edensim.networks.layout import Layout
from edensim.networks.network import Layer, Network, Operator

#: Bytes of a tile of pooling, addition and the like.
VECTOR_TILE_BYTES = 1 << 17


def tpu_machine(network: Network, layout: Layout, config: TpuConfig) -> TpuMachine:
    """Make the machine of a configuration, running a network as it is laid out (fused).

    Raises ConfigError if a buffer is too small for one tile of some layer.
    """
    network = layout.network
    on_chip = features_on_chip(network, layout, config) if config.keep_features else frozenset()
    array = array_of(config)
    shapes = {
        index: layer_shape(network, layer, layout.bits)
        for index, layer in enumerate(network.layers)
        if layer.is_product
    }
    resident = {index: network.layers[index].inputs[0] in on_chip for index in shapes}
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
    return TpuMachine(network, layout, config, array, plans, on_chip, depth)


def features_on_chip(network: Network, layout: Layout, config: TpuConfig) -> frozenset[str]:
    """Choose the features that stay on the chip from their layer to their last reader.

    Half of the feature buffers is given to features in the order of the layers, as long as it has
    room.
    """
    room = (config.ifmap_sram_kB + config.ofmap_sram_kB) * 1024 // 2
    used = [0] * len(network.layers)
    on_chip = set()
    for layer in network.layers:
        placement = layout[layer.output]
        alive = slice(placement.first_layer, placement.last_layer + 1)
        if network.readers[layer.output] and placement.size_bytes + max(used[alive]) <= room:
            on_chip.add(layer.output)
            used[alive] = [size + placement.size_bytes for size in used[alive]]
    return frozenset(on_chip)


@dataclass(frozen=True)
class TpuMachine(TiledRun):
    """A network ready to run on a systolic array.

    Attributes
    ----------
    plans : dict of int to (LayerShape, Plan)
        Shape and plan of each layer that is a matrix product, by its index.
    on_chip : frozenset of str
        Names of the features that do not go through DRAM.
    depth : int
        Number of tiles that are fetched or computed at once.
    cycles : dict of int to int
        Compute cycles of each layer by its index, once `schedules` has been run through.
    """

    network: Network
    layout: Layout
    config: TpuConfig
    array: Array
    plans: dict[int, tuple[LayerShape, Plan]]
    on_chip: frozenset[str]
    depth: int
    name: str = "tpu"
    outstanding: int = 0
    cycles: dict[int, int] = field(default_factory=dict)

    @property
    def clock_MHz(self) -> float:
        """Clock of the array."""
        return self.config.clock_MHz

    def schedules(self) -> Iterator[Schedule]:
        """Yield one schedule for the whole network.

        The weights of a layer are fetched while the layer before it computes.
        """
        yield schedule_of(self._tiles())

    def _tiles(self) -> Iterator[Tile]:
        for index, layer in enumerate(self.network.layers):
            is_product = index in self.plans
            tiles = (self._product_tiles if is_product else self._vector_tiles)(index, layer)
            tiles[0].ahead[:0] = self._whole(layer.weights[1:] if is_product else layer.weights)
            tiles[0].barrier = True
            self.cycles[index] = sum(tile.compute_cycles for tile in tiles)
            yield from tiles

    def _product_tiles(self, index: int, layer: Layer) -> list[Tile]:
        """Make the tiles of a convolution or linear layer.

        The first one fetches the weights of the next few tiles, too, since it waits for the ifm
        anyway.
        """
        shape, plan = self.plans[index]
        weights = self.layout[layer.weights[0]]
        ifm = self._features(layer.inputs[0], shape.images, shape.channels, shape.height)
        ofm = self._features(layer.output, shape.images, shape.filters, shape.out_height)
        parts = LayerTiles(shape, plan, self.array, ifm, ofm, (weights.index, weights.address))
        tiles = list(parts.tiles(index))
        tiles[0].reads += self._whole(layer.inputs[1:])
        for tile in tiles[1 : self.depth - 1]:
            tiles[0].ahead += tile.ahead
            tile.ahead = []
        if self.array.overlapped:
            tiles[-1].compute_cycles += self.array.rows + self.array.columns - 2
        return tiles

    def _vector_tiles(self, index: int, layer: Layer) -> list[Tile]:
        """Cut a layer that is no matrix product into equal parts of all that it moves."""
        features = (*layer.inputs, layer.output)
        elements = max(
            self.network.tensors[layer.output].elements,
            sum(self.network.tensors[name].elements for name in layer.inputs),
        )
        moved = sum(self.layout[name].size_bytes for name in features)
        parts = max(1, -(-moved // VECTOR_TILE_BYTES))
        tiles = []
        for part in range(parts):
            first, end = elements * part // parts, elements * (part + 1) // parts
            tile = Tile(index, -(-(end - first) // self.array.columns))
            for name in layer.inputs:
                tile.reads += self._part(name, part, parts)
            tile.writes += self._part(layer.output, part, parts)
            tiles.append(tile)
        return tiles

    def _features(self, name: str, images: int, channels: int, rows: int) -> Features | None:
        """Say where features lie, as a layer sees them; None if they stay on the chip."""
        if name in self.on_chip:
            return None
        placement = self.layout[name]
        row_bits = self.network.tensors[name].elements // (images * channels * rows)
        row_bits *= self.layout.bits
        return Features(placement.index, placement.address, images, channels, rows, row_bits)

    def _whole(self, names: Iterable[str]) -> list[Transfer]:
        """Transfer all bytes of some tensors."""
        return [transfer for name in names for transfer in self._part(name, 0, 1)]

    def _part(self, name: str, part: int, parts: int) -> list[Transfer]:
        """Transfer one of so many parts of a tensor, as equal as whole lines allow."""
        if name in self.on_chip:
            return []
        placement = self.layout[name]
        low, high = (
            placement.size_bytes * at // parts // LINE_BYTES * LINE_BYTES
            if at < parts
            else placement.size_bytes
            for at in (part, part + 1)
        )
        if high <= low:
            return []
        return [Transfer(placement.index, placement.address + low, high - low)]

    def _utilization(self, macs: int, cycles: int) -> float:
        """Return the share of the array's multiply-accumulates that are made in some cycles."""
        return macs / (cycles * self.array.rows * self.array.columns) if cycles else 0.0

    def counters(self) -> dict[str, int | float]:
        """Return the totals of the array."""
        cycles, macs = sum(self.cycles.values()), self.network.macs
        return {
            "compute_cycles": cycles,
            "macs": macs,
            "utilization": self._utilization(macs, cycles),
            "kept_features": len(self.on_chip),
        }

    def layer_counters(self) -> list[dict[str, int | float | str]]:
        """Return for each layer how it was cut and how much of the array it used."""
        return [self._counters_of(index, layer) for index, layer in enumerate(self.network.layers)]

    def _counters_of(self, index: int, layer: Layer) -> dict[str, int | float | str]:
        if index not in self.plans:
            return {"plan": "vector", "utilization": 0.0}
        shape, plan = self.plans[index]
        counters: dict[str, int | float | str] = {
            "plan": plan.name,
            "utilization": self._utilization(shape.macs, self.cycles.get(index, 0)),
        }
        if self.config.mode == "scalesim":
            counts = self._scalesim(shape, layer)
            counters |= {f"scalesim_{key}": value for key, value in counts.items()}
        return counters

    def _scalesim(self, shape: LayerShape, layer: Layer) -> dict[str, int]:
        """Count a layer as SCALE-Sim does.

        Its ifm is padded beforehand, and its groups follow one another for every image.
        """
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
