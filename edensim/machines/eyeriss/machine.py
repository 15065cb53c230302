"""An Eyeriss-like machine: a row-stationary array behind a global buffer (Chen et al., JSSC 2017).

Convolution and linear layers run as processing passes. The other layers run through the networks
between buffer and array:

- Pooling: inputs come over the ifm network, PEs take one element a cycle, and results leave over
  the psum network.
- Addition, elementwise layers and detection: operands come and results leave over the psum network.
- Concatenation, upsampling and rearrangement: data pass through the buffer, without the array, at
  as many words a cycle as the psum network carries.

The features of every layer go through DRAM. An element takes one word of the chip, or as many bits
as it has if those are more (FP32 on 16-bit words halves the buffer); spads and networks count in
words.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import EyerissConfig
from edensim.engine.tiles import Schedule
from edensim.exceptions import ConfigError, NetworkError
from edensim.machines.eyeriss.array import ConvolutionShape, RowStationaryArray, ceil_div
from edensim.machines.eyeriss.compression import feature_ratios
from edensim.machines.eyeriss.mapping import TrafficBits, find_mapping, least_words
from edensim.machines.eyeriss.schedule import ConvolutionTiles, LayerCounters, Tensors
from edensim.machines.eyeriss.tiles import AHEAD, READ, WRITE, Region, Runs, layer_schedule, runs
from edensim.machines.schedule import TiledRun, joined
from edensim.networks.layout import Layout
from edensim.networks.network import Layer, Network, Operator

Ints = NDArray[np.int64]
Counters = dict[str, int | float | str]

#: Operators other than products in which PEs take part.
COMPUTED = (Operator.POOLING, Operator.ADDITION, Operator.ELEMENTWISE, Operator.DETECTION)


@dataclass
class EyerissMachine(TiledRun):
    """A network on a row-stationary array.

    `ratios` are the compressed sizes of features over their plain sizes, by tensor. Counters are
    there once `schedules` has been run through.
    """

    network: Network
    layout: Layout
    config: EyerissConfig
    array: RowStationaryArray
    ratios: dict[str, float]
    name: str = "eyeriss"
    _layers: dict[int, Counters] = field(default_factory=dict)

    @property
    def clock_MHz(self) -> float:
        """Clock of the array."""
        return self.config.clock_MHz

    @property
    def depth(self) -> int:
        """Number of passes fetched or computed at once: data of the next one come meanwhile."""
        return 2

    @property
    def outstanding(self) -> int:
        """Number of reads on their way at once; 0 means as many as the controllers' queues hold."""
        return self.config.outstanding

    def schedules(self) -> Iterator[Schedule]:
        """Yield one schedule for the whole network.

        Raises NetworkError if a layer does not fit the machine.
        """
        schedules = []
        for index, layer in enumerate(self.network.layers):
            if layer.operator is not Operator.VIEW:
                run = self._convolution if layer.is_product else self._moving
                schedule, self._layers[index] = run(index, layer)
                schedules.append(schedule)
        yield joined(schedules)

    def counters(self) -> dict[str, int | float]:
        """Return the totals of the network: cycles, processing passes and words that moved."""
        names = ("compute_cycles", "mac_cycles", "passes", "buffer_words", "filter_words")
        totals: dict[str, int | float] = {
            name: sum(int(layer.get(name, 0)) for layer in self._layers.values()) for name in names
        }
        cycles = int(totals["compute_cycles"])
        return {
            "pes": self.array.pes,
            **totals,
            "utilization": self.network.macs / (cycles * self.array.pes) if cycles else 0.0,
        }

    def layer_counters(self) -> list[Counters]:
        """Return for each layer its cycles, words, utilization and, of a product, its mapping.

        `active_pes` is the mean number of PEs at work while the array multiplies.
        """
        return [self._layers.get(index, {}) for index in range(len(self.network.layers))]

    def _region(self, tensor: str) -> Region:
        """Say where a tensor is in DRAM."""
        return Region(self.layout[tensor], self.layout.bits, self.ratios.get(tensor, 1.0))

    def traffic_bits(self, layer: Layer) -> TrafficBits:
        """Return the bits that an element of each tensor of a layer takes in DRAM."""
        bits = self.layout.bits
        return TrafficBits(
            bits,
            bits * self.ratios.get(layer.inputs[0], 1.0),
            bits * self.ratios.get(layer.output, 1.0),
            bits,
        )

    def _convolution(self, index: int, layer: Layer) -> tuple[Schedule, Counters]:
        """Return the schedule and the counters of a convolution or linear layer."""
        shape = shape_of(self.network, layer)
        tensors = Tensors(
            ifm=self._region(layer.inputs[0]),
            filters=self._region(layer.weights[0]),
            ofm=self._region(layer.output),
            psums=Region(self.layout[layer.output], self.layout.bits),
            others=tuple(
                (self._region(name), self.network.tensors[name].elements)
                for name in layer.weights[1:]
            ),
            packed=self.config.weight_order == "passes",
        )
        try:
            mapping = find_mapping(
                self.array, shape, self.traffic_bits(layer), self.config.objective
            )
        except NetworkError as exception:
            needed_bits = (least_words(shape) + self.array.filter_buffer_words) * max(
                self.config.word_bits, self.layout.bits
            )
            raise NetworkError(
                f"{self.network.name}: layer {layer.name!r}: {exception}; "
                f"expected {-(-needed_bits // 8192)} kB or more"
            ) from None
        schedule, counters = ConvolutionTiles(self.array, shape, mapping, tensors).schedule(index)
        return schedule, {
            **common_counters(counters),
            "macs": shape.macs,
            "mac_cycles": counters.mac_cycles,
            "active_pes": shape.macs / counters.mac_cycles,
            "utilization": shape.macs / (counters.cycles * self.array.pes),
            "mapping": str(mapping),
        }

    def _moving(self, index: int, layer: Layer) -> tuple[Schedule, Counters]:
        """Return the schedule and the counters of a layer without filters.

        It runs in slices that fit half of the buffer.
        """
        cut = self._concatenated if self._is_concatenation(layer) else self._sliced
        reads, writes = cut(layer)
        count = int(max(moved.tile.max() for moved in (*(moved for _, moved in reads), writes))) + 1
        words_in = sum((words_of(moved, count) for _, moved in reads), np.zeros(count, np.int64))
        words_out = words_of(writes, count)
        cycles = self._moving_cycles(layer, words_in, words_out)
        first = np.zeros(1, np.int64)
        transfers = [
            self._region(name).transfers(runs(first, 0, self.network.tensors[name].elements), AHEAD)
            for name in layer.weights
        ]
        transfers += [self._region(name).transfers(moved, READ) for name, moved in reads]
        transfers.append(self._region(layer.output).transfers(writes, WRITE))
        words = 2 * int(words_in.sum() + words_out.sum())
        counters = LayerCounters(int(cycles.sum()), 0, words, 0, count)
        return (
            layer_schedule(index, cycles, np.arange(count) == 0, transfers),
            {**common_counters(counters), "utilization": 0.0},
        )

    def _sliced(self, layer: Layer) -> tuple[list[tuple[str, Runs]], Runs]:
        """Cut a layer whose tensors are passed through together, from end to end.

        Returns what it reads of each tensor, and what it writes.
        """
        elements = [self.network.tensors[name].elements for name in (*layer.inputs, layer.output)]
        count = min(-(-2 * sum(elements) // self.array.buffer_words), max(elements))
        tile = np.arange(count)
        parts = [
            runs(tile, whole * tile // count, whole * (tile + 1) // count - whole * tile // count)
            for whole in elements
        ]
        parts = [part.where(part.elements > 0) for part in parts]
        return list(zip(layer.inputs, parts, strict=False)), parts[-1]

    def _is_concatenation(self, layer: Layer) -> bool:
        """Say whether a layer puts its inputs behind each other, image by image."""
        output = self.network.tensors[layer.output]
        inputs = [self.network.ifm(layer, at) for at in range(len(layer.inputs))]
        whole = sum(tensor.elements for tensor in inputs) == output.elements
        return (
            layer.operator is Operator.CONCATENATION
            and whole
            and all(tensor.shape[0] == output.shape[0] for tensor in inputs)
        )

    def _concatenated(self, layer: Layer) -> tuple[list[tuple[str, Runs]], Runs]:
        """Cut a concatenation: each input goes to its place in every image of the output."""
        output = self.network.tensors[layer.output]
        images, per_image = output.shape[0], output.elements // output.shape[0]
        reads, writes = [], []
        tiles = before = 0
        for name in layer.inputs:
            elements = self.network.tensors[name].elements // images
            count = min(-(-4 * elements * images // self.array.buffer_words), elements)
            part = np.arange(count)
            first = elements * part // count
            size = elements * (part + 1) // count - first
            reads.append((name, runs(tiles + part, first, size, elements, images)))
            writes.append(runs(tiles + part, before + first, size, per_image, images))
            tiles += count
            before += elements
        return reads, Runs(*(np.concatenate(columns) for columns in zip(*writes, strict=True)))

    def _moving_cycles(self, layer: Layer, words_in: Ints, words_out: Ints) -> Ints:
        """Return the cycles of each slice of a layer without filters, as described above."""
        array = self.array
        enter = (
            array.ifmap_words_per_cycle
            if layer.operator is Operator.POOLING
            else array.psum_words_per_cycle
        )
        cycles: Ints = np.maximum(
            ceil_div(words_in, enter), ceil_div(words_out, array.psum_words_per_cycle)
        )
        if layer.operator in COMPUTED:
            cycles = np.maximum(cycles, ceil_div(words_out * prod(layer.kernel), array.pes))
        return cycles


def words_of(moved: Runs, tiles: int) -> Ints:
    """Return how many words each tile moves."""
    return np.bincount(moved.tile, moved.elements * moved.number, tiles).astype(np.int64)


def common_counters(counters: LayerCounters) -> Counters:
    """Return what every layer counts."""
    return {
        "compute_cycles": counters.cycles,
        "passes": counters.passes,
        "buffer_words": counters.buffer_words,
        "filter_words": counters.filter_words,
    }


def shape_of(network: Network, layer: Layer) -> ConvolutionShape:
    """Return a convolution or linear layer as the array sees it.

    Raises NetworkError for features that are not (batch, channels, height, width).
    """
    ifm = network.ifm(layer)
    weights, ofm = (network.tensors[name] for name in (layer.weights[0], layer.output))
    if layer.operator is Operator.LINEAR:
        outputs, inputs = weights.shape[0], weights.elements // weights.shape[0]
        return ConvolutionShape(ofm.elements // outputs, 1, inputs, outputs, 1, 1, 1, 1)
    if len(ifm.shape) != 4 or len(ofm.shape) != 4:
        raise NetworkError(
            f"{network.name}: layer {layer.name!r} convolves features of {len(ifm.shape)} "
            f"dimensions; eyeriss takes 4 (NCHW)"
        )
    return ConvolutionShape(
        images=ifm.shape[0],
        groups=layer.groups,
        channels=ifm.shape[1] // layer.groups,
        filters=ofm.shape[1] // layer.groups,
        height=ifm.shape[2],
        width=ifm.shape[3],
        rows=ofm.shape[2],
        columns=ofm.shape[3],
        kernel_rows=layer.kernel[0],
        kernel_columns=layer.kernel[1],
        row_stride=layer.stride[0],
        column_stride=layer.stride[1],
        row_dilation=layer.dilation[0],
        column_dilation=layer.dilation[1],
        top_padding=layer.padding[0],
    )


def eyeriss_machine(network: Network, layout: Layout, config: EyerissConfig) -> EyerissMachine:
    """Make the machine of a configuration, running a network as it is laid out (fused).

    Raises ConfigError if the configuration leaves no room for ifm and psums.
    """
    network = layout.network
    word_bits = max(config.word_bits, layout.bits)
    words = config.buffer_kB * 8192 // word_bits
    filter_words = config.filter_buffer_kB * 8192 // word_bits
    if filter_words >= words:
        raise ConfigError(
            f"eyeriss.filter_buffer_kB: {config.filter_buffer_kB} kB of a buffer of "
            f"{config.buffer_kB} kB leave nothing for ifm and psums; expected less than "
            f"eyeriss.buffer_kB"
        )
    array = RowStationaryArray(
        height=config.array_height,
        width=config.array_width,
        filter_spad_words=config.filter_spad_words,
        ifmap_spad_words=config.ifmap_spad_words,
        psum_spad_words=config.psum_spad_words,
        buffer_words=words - filter_words,
        filter_buffer_words=filter_words,
        filter_words_per_cycle=config.filter_words_per_cycle,
        ifmap_words_per_cycle=config.ifmap_words_per_cycle,
        psum_words_per_cycle=config.psum_words_per_cycle,
    )
    return EyerissMachine(
        network, layout, config, array, feature_ratios(network, config, layout.bits)
    )
