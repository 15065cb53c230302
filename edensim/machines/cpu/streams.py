"""What the loops of optimized libraries have in common.

These are the layers that only move features, and memory as the layout has it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from edensim.config.models import CpuConfig
from edensim.engine.loop_nest_layer import LoopNestLayer
from edensim.kernels.sources.loop_nests.state import LOAD, STORE
from edensim.machines.cpu.loop_nests import (
    LINE_BYTES,
    Arena,
    LayerBuilder,
    Ref,
    image_shape,
    region_table,
)
from edensim.networks.layout import Layout
from edensim.networks.network import Layer, Network, Operator, Role

#: Bytes of a turn of a loop over a whole tensor, which is cut so that cores can share it.
SLICE_BYTES = 4096
#: Instructions that move, combine (add or compare) or exponentiate a vector of elements, that go
#: around a row, and that add up the vector of a dot product.
MOVE, COMBINE, EXPONENTIAL, ROW, REDUCE = 3.0, 4.0, 30.0, 4.0, 20.0


@dataclass
class StreamLoops(ABC):
    """The layers of a network as executed (fused), each spread over all cores.

    Subclasses add the convolution. Elements narrower than a byte are widened when they are packed
    or computed with.
    """

    network: Network
    layout: Layout
    config: CpuConfig
    arena: Arena = field(init=False)

    def __post_init__(self) -> None:
        """Derive sizes, and set memory up behind the layout."""
        self.bits = self.layout.bits
        self.element = max(1, self.bits // 8)
        self.lanes = max(1, self.config.vector_bits // (8 * self.element))
        #: Instructions that multiply and accumulate a vector: one for floats; for integers a
        #: product, a sum of pairs and its accumulation.
        self.multiplies = 1.0 if self.bits == 32 else 3.0
        self.arena = Arena(-(-self.layout.end // LINE_BYTES) * LINE_BYTES)

    def layers(self) -> Iterator[LoopNestLayer]:
        """Yield what each layer runs, in order."""
        index = {placement.name: placement.index for placement in self.layout.placements}
        for number, layer in enumerate(self.network.layers):
            alive = (
                (placement.name, placement.address, placement.size_bytes)
                for placement in self.layout.placements
                if placement.role is Role.WEIGHTS
                or placement.first_layer <= number <= placement.last_layer
            )
            builder = LayerBuilder(layer.name, region_table(alive, index))
            gemm = self.network.gemm(layer)
            builder.macs = 0 if gemm is None else gemm.macs
            for name in layer.weights[1:]:
                self.read(builder, name)
            self.forward(builder, layer)
            yield builder.build()

    def forward(self, builder: LayerBuilder, layer: Layer) -> None:
        """Add what a layer runs."""
        if layer.operator is Operator.CONVOLUTION:
            self.convolution(builder, layer)
        elif layer.operator is Operator.LINEAR:
            self.linear(builder, layer)
        elif layer.operator is Operator.POOLING and len(self.network.ifm(layer).shape) == 4:
            self.pooling(builder, layer)
        elif layer.operator is Operator.UPSAMPLING:
            self.upsampling(builder, layer)
        elif layer.operator is Operator.ADDITION:
            self.addition(builder, layer)
        else:
            cost = EXPONENTIAL if layer.operator is Operator.DETECTION else MOVE
            self.copies(builder, layer, cost)

    @abstractmethod
    def convolution(self, builder: LayerBuilder, layer: Layer) -> None:
        """Add the loops of a convolution, in which libraries differ."""

    def address(self, tensor: str) -> int:
        """Return the address of a tensor."""
        return self.layout[tensor].address

    def size(self, tensor: str) -> int:
        """Return the bytes of a tensor."""
        return self.layout[tensor].size_bytes

    def bytes_of(self, elements: int) -> int:
        """Return the bytes of so many elements as they lie in memory."""
        return -(-elements * self.bits // 8)

    def ofm_image(self, layer: Layer) -> tuple[int, int, int, int]:
        """Return the batch, channels, height and width of a layer's output."""
        return image_shape(self.network.tensors[layer.output].shape)

    def ifm_image(self, layer: Layer) -> tuple[int, int, int, int]:
        """Return the batch, channels, height and width of a layer's first input."""
        return image_shape(self.network.ifm(layer).shape)

    def parts(self, layer: Layer) -> Iterator[tuple[int, int, int]]:
        """Yield the addresses of ifm, weights and ofm of each group of each image, in order."""
        batch, channels, height, width = self.ifm_image(layer)
        _, filters, out_h, out_w = self.ofm_image(layer)
        depth, rows = channels // layer.groups, filters // layer.groups
        group_weights = rows * depth * layer.kernel[0] * layer.kernel[1]
        for image in range(batch):
            for group in range(layer.groups):
                part = image * layer.groups + group
                yield (
                    self.address(layer.inputs[0]) + self.bytes_of(part * depth * height * width),
                    self.address(layer.weights[0]) + self.bytes_of(group * group_weights),
                    self.address(layer.output) + self.bytes_of(part * rows * out_h * out_w),
                )

    def stream(
        self, builder: LayerBuilder, parts: list[tuple[int, int]], size: int, cost: float
    ) -> None:
        """Pass through arrays of `size` bytes, given by (address, kind), side by side.

        `cost` is the number of instructions of a vector.
        """
        byte_cost = cost / (self.config.vector_bits / 8)
        whole, rest = divmod(size, SLICE_BYTES)
        if whole:
            refs = [Ref(address, (SLICE_BYTES,), 1, 1, kind) for address, kind in parts]
            builder.add(
                (whole,), SLICE_BYTES, refs, row_cost=ROW, element_cost=byte_cost, parallel=True
            )
        if rest:
            refs = [Ref(address + whole * SLICE_BYTES, (), 1, 1, kind) for address, kind in parts]
            builder.add((), rest, refs, row_cost=ROW, element_cost=byte_cost)

    def read(self, builder: LayerBuilder, tensor: str, cost: float = 0.0) -> None:
        """Read a tensor from end to end."""
        self.stream(builder, [(self.address(tensor), LOAD)], self.size(tensor), cost)

    def write(self, builder: LayerBuilder, layer: Layer, cost: float) -> None:
        """Write the output of a layer from end to end."""
        self.stream(builder, [(self.address(layer.output), STORE)], self.size(layer.output), cost)

    def linear(self, builder: LayerBuilder, layer: Layer) -> None:
        """Make a dot product for each output and input vector.

        A row of weights serves the whole batch while it is in the first level of cache.
        """
        outputs, inputs = self.network.tensors[layer.weights[0]].shape
        vectors = self.network.tensors[layer.output].elements // outputs
        row = self.bytes_of(inputs)
        refs = [
            Ref(self.address(layer.weights[0]), (row, 0), 1, 1),
            Ref(self.address(layer.inputs[0]), (0, row), 1, 1),
        ]
        cost = (1 + self.multiplies) / (self.config.vector_bits / 8)
        builder.add(
            (outputs, vectors), row, refs, row_cost=REDUCE, element_cost=cost, parallel=True
        )
        self.write(builder, layer, COMBINE)

    def pooling(self, builder: LayerBuilder, layer: Layer) -> None:
        """Make each output row from the rows of its windows."""
        batch, channels, height, width = self.ifm_image(layer)
        _, _, out_h, out_w = self.ofm_image(layer)
        if self.bits < 8:
            self.copies(builder, layer, COMBINE)
            return
        element = self.element
        read = Ref(
            self.address(layer.inputs[0]) - layer.padding[0] * width * element,
            (height * width * element, layer.stride[0] * width * element, width * element),
            1,
            1,
            row=(-layer.padding[0], (0, layer.stride[0], 1), height),
        )
        builder.add(
            (batch * channels, out_h, layer.kernel[0]),
            width * element,
            [read],
            row_cost=ROW,
            element_cost=COMBINE
            * layer.kernel[1]
            / layer.stride[1]
            / (self.config.vector_bits / 8),
            parallel=True,
        )
        self.write(builder, layer, MOVE)

    def upsampling(self, builder: LayerBuilder, layer: Layer) -> None:
        """Read input rows as often as they are repeated, and write the output."""
        factor = max(1, self.ofm_image(layer)[2] // self.ifm_image(layer)[2])
        for _ in range(factor):
            self.read(builder, layer.inputs[0], MOVE)
        self.write(builder, layer, MOVE)

    def addition(self, builder: LayerBuilder, layer: Layer) -> None:
        """Add element by element; tensors smaller than the output are read once."""
        size = self.size(layer.output)
        same = [name for name in layer.inputs if self.size(name) == size]
        for name in layer.inputs:
            if name not in same:
                self.read(builder, name)
        parts = [(self.address(name), LOAD) for name in same] + [
            (self.address(layer.output), STORE)
        ]
        self.stream(builder, parts, size, COMBINE)

    def copies(self, builder: LayerBuilder, layer: Layer, cost: float) -> None:
        """Read every input and write the output."""
        target, left = self.address(layer.output), self.size(layer.output)
        weights = [] if layer.operator is Operator.CONVOLUTION else layer.weights[:1]
        for name in (*layer.inputs, *weights):
            size = self.size(name)
            both = min(size, left) if name in layer.inputs else 0
            if both:
                self.stream(builder, [(self.address(name), LOAD), (target, STORE)], both, cost)
                target, left = target + both, left - both
            if size > both:
                self.stream(builder, [(self.address(name) + both, LOAD)], size - both, cost)
        if left:
            self.stream(builder, [(target, STORE)], left, cost)
