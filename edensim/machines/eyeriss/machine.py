"""An Eyeriss-like machine: a row-stationary array behind a global buffer (Chen et al., JSSC 2017), as tiles for the engine.

Convolution and linear layers run as processing passes (`eyeriss_mapping`, `eyeriss_array`). The other layers run through the same networks:

    pooling                   inputs come over the ifm network, PEs take one element a cycle, results leave over the psum network
    addition, elementwise,    operands come and results leave over the psum network
    detection
    concatenation,            no array: through the buffer, as many words a cycle as the psum network
    upsampling, rearrangement

Every layer's features go through DRAM. Elements take one word of the chip, or as many bits as they have where that is more (FP32 on 16-bit words
halves the buffer); spads and networks count in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from edensim.engine.tiles import Schedule, run_tiled
from edensim.exceptions import ConfigError, NetworkError
from edensim.machines.eyeriss.array import ConvolutionShape, RowStationaryArray, ceil_div
from edensim.machines.eyeriss.compression import feature_ratios
from edensim.machines.eyeriss.mapping import TrafficBits, find_mapping, least_words
from edensim.machines.eyeriss.schedule import ConvolutionTiles, Tally, Tensors
from edensim.machines.eyeriss.tiles import AHEAD, READ, WRITE, Region, Runs, ScheduleColumns, runs
from edensim.networks.network import Layer, Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.config.models import EyerissConfig
    from edensim.engine.engine import Engine
    from edensim.engine.machine import MachineRun
    from edensim.networks.layout import Layout
    from edensim.networks.network import Network

    Ints = NDArray[np.int64]

#: Layers that PEs take part in.
COMPUTED = (Operator.POOLING, Operator.ADDITION, Operator.ELEMENTWISE, Operator.DETECTION)


@dataclass
class EyerissMachine:
    """A network on a row-stationary array. Counters are there once `schedules` has been run through."""

    network: Network
    layout: Layout
    config: EyerissConfig
    array: RowStationaryArray
    ratios: dict[str, float]
    name: str = "eyeriss"
    _layers: dict[int, dict[str, int | float | str]] = field(default_factory=dict)

    @property
    def clock_MHz(self) -> float:
        """Clock of the array."""
        return self.config.clock_MHz

    @property
    def depth(self) -> int:
        """Passes fetched or computed at once: the next one's data come while the array works."""
        return 2

    @property
    def outstanding(self) -> int:
        """Reads on their way at once; 0: as many as the controllers' queues hold."""
        return self.config.outstanding

    def run(self, engine: Engine) -> MachineRun:
        """Run the network in closed loop with a memory."""
        return run_tiled(engine, self)

    def schedules(self) -> Iterator[Schedule]:
        """One schedule for the whole network. Raises NetworkError for a layer that does not fit the machine."""
        schedule = ScheduleColumns()
        for index, layer in enumerate(self.network.layers):
            if layer.operator in (Operator.CONVOLUTION, Operator.LINEAR):
                self._layers[index] = self.convolution(schedule, index, layer)
            elif layer.operator is not Operator.VIEW:
                self._layers[index] = self.moving(schedule, index, layer)
        yield schedule.build()

    def counters(self) -> dict[str, int | float]:
        """Of the whole network: cycles of computing and of multiplying, processing passes, words through the buffer, filter words loaded."""
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

    def layer_counters(self) -> list[dict[str, int | float | str]]:
        """One per layer: cycles, utilization, active PEs (mean while multiplying), words through the buffer, the mapping."""
        return [self._layers.get(index, {}) for index in range(len(self.network.layers))]

    def region(self, tensor: str) -> Region:
        """Where a tensor is in DRAM."""
        return Region(self.layout[tensor], self.layout.bits, self.ratios.get(tensor, 1.0))

    def traffic_bits(self, layer: Layer) -> TrafficBits:
        """Bits in DRAM of an element of each of a layer's tensors."""
        bits = self.layout.bits
        return TrafficBits(
            bits,
            bits * self.ratios.get(layer.inputs[0], 1.0),
            bits * self.ratios.get(layer.output, 1.0),
            bits,
        )

    def convolution(
        self, schedule: ScheduleColumns, index: int, layer: Layer
    ) -> dict[str, int | float | str]:
        """Add a convolution or linear layer; returns its counters."""
        shape = shape_of(self.network, layer)
        tensors = Tensors(
            ifm=self.region(layer.inputs[0]),
            filters=self.region(layer.weights[0]),
            ofm=self.region(layer.output),
            psums=Region(self.layout[layer.output], self.layout.bits),
            others=tuple(
                (self.region(name), self.network.tensors[name].elements)
                for name in layer.weights[1:]
            ),
            packed=self.config.weight_order == "passes",
        )
        try:
            mapping = find_mapping(
                self.array, shape, self.traffic_bits(layer), self.config.objective
            )
        except NetworkError as exception:
            needed = -(
                -(least_words(shape) + self.array.filter_buffer_words)
                * max(self.config.word_bits, self.layout.bits)
                // 8192
            )
            raise NetworkError(
                f"{self.network.name}: layer {layer.name!r}: {exception}; expected {needed} kB or more"
            ) from None
        tally = ConvolutionTiles(self.array, shape, mapping, tensors).add_to(schedule, index)
        return {
            **counted(tally),
            "macs": shape.macs,
            "mac_cycles": tally.mac_cycles,
            "active_pes": shape.macs / tally.mac_cycles,
            "utilization": shape.macs / (tally.cycles * self.array.pes),
            "mapping": str(mapping),
        }

    def moving(
        self, schedule: ScheduleColumns, index: int, layer: Layer
    ) -> dict[str, int | float | str]:
        """Add a layer without filters, in slices that fit half the buffer; returns its counters."""
        reads, writes = (
            self.concatenated(layer) if self.is_concatenation(layer) else self.sliced(layer)
        )
        count = int(max(own.tile.max() for own in (*(own for _, own in reads), writes))) + 1
        entered = np.sum(
            [
                np.bincount(own.tile, own.elements * own.number, count).astype(np.int64)
                for _, own in reads
            ],
            axis=0,
        )
        left = np.bincount(writes.tile, writes.elements * writes.number, count).astype(np.int64)
        cycles = self.moving_cycles(layer, entered, left)
        first = np.zeros(1, np.int64)
        transfers = [
            self.region(name).transfers(runs(first, 0, self.network.tensors[name].elements), AHEAD)
            for name in layer.weights
        ]
        transfers += [self.region(name).transfers(own, READ) for name, own in reads]
        transfers.append(self.region(layer.output).transfers(writes, WRITE))
        schedule.add(index, cycles, np.arange(count) == 0, transfers)
        words = int(entered.sum() + left.sum())
        return {**counted(Tally(int(cycles.sum()), 0, 2 * words, 0, count)), "utilization": 0.0}

    def sliced(self, layer: Layer) -> tuple[list[tuple[str, Runs]], Runs]:
        """Reads (tensor, runs) and writes of a layer whose tensors are gone through from end to end together."""
        elements = [self.network.tensors[name].elements for name in (*layer.inputs, layer.output)]
        count = min(-(-2 * sum(elements) // self.array.buffer_words), max(elements))
        tile = np.arange(count)
        parts = [
            runs(tile, whole * tile // count, whole * (tile + 1) // count - whole * tile // count)
            for whole in elements
        ]
        parts = [own.where(own.elements > 0) for own in parts]
        return list(zip(layer.inputs, parts, strict=False)), parts[-1]

    def is_concatenation(self, layer: Layer) -> bool:
        """Whether a layer puts its inputs behind each other, image by image."""
        tensors = self.network.tensors
        output = tensors[layer.output]
        whole = sum(tensors[name].elements for name in layer.inputs) == output.elements
        return (
            layer.operator is Operator.CONCATENATION
            and whole
            and all(tensors[name].shape[0] == output.shape[0] for name in layer.inputs)
        )

    def concatenated(self, layer: Layer) -> tuple[list[tuple[str, Runs]], Runs]:
        """Reads and writes of a concatenation: input after input, each to its place in every image of the output."""
        output = self.network.tensors[layer.output]
        images, per_image = output.shape[0], output.elements // output.shape[0]
        reads, writes = [], []
        tiles = before = 0
        for name in layer.inputs:
            own = self.network.tensors[name].elements // images
            count = min(-(-4 * own * images // self.array.buffer_words), own)
            part = np.arange(count)
            first, size = own * part // count, own * (part + 1) // count - own * part // count
            reads.append((name, runs(tiles + part, first, size, own, images)))
            writes.append(runs(tiles + part, before + first, size, per_image, images))
            tiles += count
            before += own
        return reads, Runs(*(np.concatenate(columns) for columns in zip(*writes, strict=True)))

    def moving_cycles(self, layer: Layer, words_in: Ints, words_out: Ints) -> Ints:
        """Cycles of slices of a layer without filters (see above)."""
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


def counted(tally: Tally) -> dict[str, int | float | str]:
    """What every layer counts."""
    return {
        "compute_cycles": tally.cycles,
        "passes": tally.passes,
        "buffer_words": tally.buffer_words,
        "filter_words": tally.filter_words,
    }


def shape_of(network: Network, layer: Layer) -> ConvolutionShape:
    """A convolution or linear layer as the array sees it. Raises NetworkError for features that are not (batch, channels, height, width)."""
    ifm, weights, ofm = (
        network.tensors[name] for name in (layer.inputs[0], layer.weights[0], layer.output)
    )
    if layer.operator is Operator.LINEAR:
        outputs, inputs = weights.shape[0], weights.elements // weights.shape[0]
        return ConvolutionShape(ofm.elements // outputs, 1, inputs, outputs, 1, 1, 1, 1)
    if len(ifm.shape) != 4 or len(ofm.shape) != 4:
        raise NetworkError(
            f"{network.name}: layer {layer.name!r} convolves features of {len(ifm.shape)} dimensions; eyeriss takes 4 (NCHW)"
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
    """The machine for a network as it is laid out, that is, fused. Raises ConfigError where the configuration leaves no room for ifm and psums."""
    network, own = layout.network, config
    word_bits = max(own.word_bits, layout.bits)
    words = own.buffer_kB * 8192 // word_bits
    filter_words = own.filter_buffer_kB * 8192 // word_bits
    if filter_words >= words:
        raise ConfigError(
            f"eyeriss.filter_buffer_kB: {own.filter_buffer_kB} kB of a buffer of {own.buffer_kB} kB leave nothing for ifm and psums; "
            f"expected less than eyeriss.buffer_kB"
        )
    array = RowStationaryArray(
        height=own.array_height,
        width=own.array_width,
        filter_spad_words=own.filter_spad_words,
        ifmap_spad_words=own.ifmap_spad_words,
        psum_spad_words=own.psum_spad_words,
        buffer_words=words - filter_words,
        filter_buffer_words=filter_words,
        filter_words_per_cycle=own.filter_words_per_cycle,
        ifmap_words_per_cycle=own.ifmap_words_per_cycle,
        psum_words_per_cycle=own.psum_words_per_cycle,
    )
    return EyerissMachine(network, layout, own, array, feature_ratios(network, own, layout.bits))
