"""A convolution without a matrix: channels in blocks, and a vector of filters in registers.

This is how the direct kernels of oneDNN work. Features lie in blocks of channels (so many channels
side by side at each position; as many in a block as divide the channels), weights by blocks of
filters and of channels. Cores share the blocks of filters. For each of them and each output row,
for each block of channels and each row of the window, the input row and the weights of the window's
row are read and the output row is accumulated.
"""

from edensim.kernels.sources.loop_nests.state import LOAD, UPDATE
from edensim.machines.cpu.loop_nests import LayerBuilder, Ref
from edensim.machines.cpu.streams import COMBINE, ROW, StreamLoops
from edensim.networks.network import Layer

#: Most channels and filters of a block.
BLOCK = 16
#: Instructions for each multiply-accumulate instruction: itself, loads and the loop.
OVERHEAD = 1.25


def block_of(channels: int) -> int:
    """Return the largest number of channels up to BLOCK that divides them."""
    return max(size for size in range(1, BLOCK + 1) if channels % size == 0)


class DirectLoops(StreamLoops):
    """Convolutions in place of the matrix."""

    def convolution(self, builder: LayerBuilder, layer: Layer) -> None:
        """Add the groups of all images, one after the other."""
        depth = self.ifm_image(layer)[1] // layer.groups
        if depth == 1 and layer.groups > 1:
            depthwise(self, builder, layer)
            return
        rows = self.ofm_image(layer)[1] // layer.groups
        for addresses in self.parts(layer):
            self._group(builder, layer, addresses, depth, rows)

    def _group(
        self,
        builder: LayerBuilder,
        layer: Layer,
        addresses: tuple[int, int, int],
        channels: int,
        filters: int,
    ) -> None:
        _, _, height, width = self.ifm_image(layer)
        _, _, out_h, out_w = self.ofm_image(layer)
        source, weights, target = addresses
        (kernel_h, kernel_w), (stride_h, stride_w) = layer.kernel, layer.stride
        few, some = block_of(channels), block_of(filters)
        pixel, result = self.bytes_of(few), self.bytes_of(some)
        taps = self.bytes_of(kernel_w * few * some)
        inner = kernel_h * taps
        loops = (filters // some, out_h, channels // few, kernel_h)
        read = Ref(
            source - layer.padding[0] * width * pixel,
            (
                0,
                stride_h * width * pixel,
                height * width * pixel,
                layer.dilation[0] * width * pixel,
            ),
            stride_w * pixel,
            pixel,
            LOAD,
            row=(-layer.padding[0], (0, stride_h, 0, layer.dilation[0]), height),
            column=(0, (), stride_w, width),
        )
        tap = Ref(weights, (channels // few * inner, 0, inner, taps), 0, taps)
        write = Ref(target, (out_h * out_w * result, out_w * result), result, result, UPDATE)
        cost = kernel_w * few * max(1.0, some / self.lanes) * self.multiplies * OVERHEAD
        builder.add(
            loops, out_w, [tap, read, write], row_cost=ROW, element_cost=cost, parallel=True
        )


def depthwise(loops: StreamLoops, builder: LayerBuilder, layer: Layer) -> None:
    """Add a convolution in which each channel is its own group.

    Each output row is made from the rows of its window; cores share the channels.
    """
    batch, channels, height, width = loops.ifm_image(layer)
    _, filters, out_h, _ = loops.ofm_image(layer)
    per_channel = filters // channels
    row = loops.bytes_of(width)
    taps = layer.kernel[0] * layer.kernel[1]
    read = Ref(
        loops.address(layer.inputs[0]) - layer.padding[0] * row,
        (
            loops.bytes_of(height * width),
            0,
            layer.stride[0] * row,
            layer.dilation[0] * row,
        ),
        1,
        1,
        row=(-layer.padding[0], (0, 0, layer.stride[0], layer.dilation[0]), height),
    )
    filter_taps = loops.bytes_of(taps)
    tap = Ref(
        loops.address(layer.weights[0]),
        (per_channel * filter_taps if batch == 1 else 0, filter_taps),
        0,
        filter_taps,
    )
    cost = (
        layer.kernel[1]
        * loops.multiplies
        / layer.stride[1]
        * COMBINE
        / 2
        / (loops.config.vector_bits / 8)
    )
    builder.add(
        (batch * channels, per_channel, out_h, layer.kernel[0]),
        row,
        [tap, read],
        row_cost=ROW,
        element_cost=cost,
        parallel=True,
    )
    loops.read(builder, layer.weights[0])
    output = [(loops.address(layer.output), UPDATE)]
    loops.stream(builder, output, loops.size(layer.output), COMBINE)
