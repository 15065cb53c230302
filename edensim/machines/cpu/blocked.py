"""A convolution as a blocked matrix product (as in Goto, BLIS and oneDNN).

Packed panels stay in the caches that they are meant for. Filters are the rows, output positions
the columns, and the depth runs over channels and window. For each block of columns and depth, the
windows are packed straight from the ifm (im2col is implicit; no such matrix is in memory) into
kc x nc elements that stay in the last level of cache. mc x kc weights, which lie packed in memory
since the network was loaded, stay in the second level. A micro-kernel of MR rows and a line of
columns holds its outputs in registers over kc steps. Cores share the columns. Outputs are read and
written once for each block of depth.
"""

from edensim.kernels.sources.loop_nests.state import LOAD, STORE, UPDATE
from edensim.machines.cpu.direct import depthwise
from edensim.machines.cpu.loop_nests import LINE_BYTES, LayerBuilder, Ref
from edensim.machines.cpu.streams import ROW, StreamLoops
from edensim.networks.network import Layer

#: Rows of the micro-kernel, and about how many steps of depth a block has.
MR, KC = 6, 256
#: Number of steps of depth that are loaded together.
UNROLLED = 4
#: Instructions that pack a vector, and that start and end a micro-kernel.
PACK, TILE = 3.0, 40.0


class BlockedLoops(StreamLoops):
    """Convolutions by blocks."""

    def __post_init__(self) -> None:
        """Size the blocks by the caches, and take memory for a panel."""
        super().__post_init__()
        self.nr = LINE_BYTES // self.element
        kilobyte = 1024 // self.element
        self.mc = max(MR, self.config.l2_kB * kilobyte // 2 // KC // MR * MR)
        self.nc = max(self.nr, self.config.l3_kB * kilobyte // 2 // KC // self.nr * self.nr)
        most = max(
            (window_of(layer) for layer in self.network.layers if layer.kernel != (1, 1)),
            default=KC,
        )
        widest = max(self.ofm_image(layer)[3] for layer in self.network.layers) + self.nr
        self.panel = self.arena.take("", max(KC, most) * (self.nc + widest) * self.element)

    def convolution(self, builder: LayerBuilder, layer: Layer) -> None:
        """Add the groups of all images, each a product, one after the other."""
        depth = self.ifm_image(layer)[1] // layer.groups
        if depth == 1 and layer.groups > 1:
            depthwise(self, builder, layer)
            return
        rows = self.ofm_image(layer)[1] // layer.groups
        for addresses in self.parts(layer):
            self._product(builder, layer, addresses, rows, depth)

    def _product(
        self,
        builder: LayerBuilder,
        layer: Layer,
        addresses: tuple[int, int, int],
        rows: int,
        channels: int,
    ) -> None:
        """Add the product of one group: for each block of columns and depth, pack and multiply."""
        source, weights, target = addresses
        _, _, out_h, out_w = self.ofm_image(layer)
        window = window_of(layer)
        block_channels = max(1, KC // window)
        block_lines = max(1, self.nc // out_w)
        blocks = max(1, round(rows / self.mc))
        block_rows = -(-rows // (blocks * MR)) * MR
        for top in range(0, out_h, block_lines):
            lines = min(block_lines, out_h - top)
            for channel in range(0, channels, block_channels):
                depth = min(block_channels, channels - channel)
                self._pack(builder, layer, source, (channel, depth), (top, lines))
                for row in range(0, rows, block_rows):
                    tall = min(block_rows, rows - row)
                    # Packed weights: block after block of depth, in each the panels of the rows.
                    block = weights + self.bytes_of(channel * window * rows + row * depth * window)
                    corner = target + self.bytes_of(row * out_h * out_w + top * out_w)
                    shape = tall, lines * out_w, depth * window
                    self._multiply(builder, block, corner, shape, out_h * out_w)

    def _pack(
        self,
        builder: LayerBuilder,
        layer: Layer,
        source: int,
        block: tuple[int, int],
        rows: tuple[int, int],
    ) -> None:
        """Copy windows into the packed panel, row of depth by row of depth.

        `block` is the first channel of the block and their number, `rows` the first output row and
        their number.
        """
        (channel, channels), (top, lines) = block, rows
        _, _, height, width = self.ifm_image(layer)
        _, _, _, out_w = self.ofm_image(layer)
        kernel_h, kernel_w = layer.kernel
        (down, right), (stride_h, stride_w) = layer.dilation, layer.stride
        loops = (channels, kernel_h, kernel_w, lines)
        row = out_w * self.element
        panel = (kernel_h * kernel_w * lines * row, kernel_w * lines * row, lines * row, row)
        write = Ref(self.panel, panel, self.element, self.element, STORE)
        cost = PACK / self.lanes
        if self.bits < 8:  # two to a byte: the rows of the ifm as they are, then the panel
            plane = self.bytes_of(height * width)
            read = Ref(source + self.bytes_of(channel * height * width), (plane,), 1, 1)
            builder.add((channels,), plane, [read], row_cost=ROW, element_cost=cost)
            builder.add(loops, out_w, [write], row_cost=ROW, element_cost=cost)
            return
        first = top * stride_h - layer.padding[0]
        strides = (height * width, down * width, right, stride_h * width)
        read = Ref(
            source + ((channel * height + first) * width - layer.padding[1]) * self.element,
            tuple(stride * self.element for stride in strides),
            stride_w * self.element,
            self.element,
            row=(first, (0, down, 0, stride_h), height),
            column=(-layer.padding[1], (0, 0, right, 0), stride_w, width),
        )
        builder.add(
            loops,
            out_w,
            [read, write],
            row_cost=ROW,
            element_cost=cost if stride_w == 1 else PACK,
            parallel=True,
        )

    def _multiply(
        self,
        builder: LayerBuilder,
        weights: int,
        target: int,
        shape: tuple[int, int, int],
        pitch: int,
    ) -> None:
        """Add the micro-kernels of a block: panels of columns, and tiles of rows in each.

        `shape` is the rows, columns and depth of the block, `pitch` the elements from one row of
        the output to the next.
        """
        rows, columns, depth = shape
        whole_columns, whole_rows = columns // self.nr, rows // MR
        for first_row, tiles, tall in (
            (0, whole_rows, MR),
            (whole_rows * MR, 1, rows % MR),
        ):
            for first_column, panels, wide in (
                (0, whole_columns, self.nr),
                (whole_columns * self.nr, 1, columns % self.nr),
            ):
                if tiles and panels and tall and wide:
                    addresses = (
                        weights + self.bytes_of(first_row * depth),
                        self.panel + first_column * depth * self.element,
                        target + self.bytes_of(first_row * pitch + first_column),
                    )
                    self._tiles(builder, addresses, (panels, tiles), (tall, wide, depth), pitch)

    def _tiles(
        self,
        builder: LayerBuilder,
        addresses: tuple[int, int, int],
        counts: tuple[int, int],
        shape: tuple[int, int, int],
        pitch: int,
    ) -> None:
        """Add micro-kernels of one shape, so many tiles in each of so many panels."""
        weights, panel, target = addresses
        (panels, tiles), (tall, wide, depth) = counts, shape
        a_tile, b_panel = self.bytes_of(tall * depth), wide * depth * self.element
        c_tile = Ref(
            target,
            (self.bytes_of(wide), self.bytes_of(tall * pitch)),
            0,
            self.bytes_of(wide),
            UPDATE,
            tall,
            self.bytes_of(pitch),
        )
        vectors = -(-wide // self.lanes)
        cost = vectors + tall + tall * vectors * self.multiplies
        if self.bits >= 8:
            steps, a_step, b_step = depth, tall * self.element, wide * self.element
        else:
            steps, a_step, b_step, cost = -(-depth // 2), tall, 2 * wide * self.element, 2 * cost
        a = Ref(weights, (0, a_tile), a_step, a_step, LOAD)
        b = Ref(panel, (b_panel, 0), b_step, b_step, LOAD)
        nest = builder.add(
            (panels, tiles),
            steps,
            [c_tile, a, b],
            row_cost=TILE,
            element_cost=cost,
            parallel=True,
            together=UNROLLED,
        )
        each = [
            ((panels,), steps, Ref(panel, (b_panel,), b_step, b_step)),
            ((panels, tiles), 1, c_tile),
        ]
        builder.sampled(nest, each, [((tiles,), steps, Ref(weights, (a_tile,), a_step, a_step))])


def window_of(layer: Layer) -> int:
    """Return the number of elements of a window."""
    return layer.kernel[0] * layer.kernel[1]
