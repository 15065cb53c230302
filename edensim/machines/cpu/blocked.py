"""A convolution as a blocked matrix product (Goto, BLIS, oneDNN): packed panels that stay in the caches they are meant for.

Filters are the rows, output positions the columns, and the depth runs over channels and window. Per block of columns and depth the windows are
packed straight from the ifm (im2col is implicit: no matrix in memory) into kc x nc elements that stay in the last level; mc x kc weights, which
lie packed in memory since the network was loaded, stay in the second level; a micro-kernel of MR rows and a line of columns holds its outputs in
registers over kc steps. Cores share the columns. Outputs are read and written once per block of depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edensim.kernels.sources.loop_nests.state import LOAD, STORE, UPDATE
from edensim.machines.cpu.direct import depthwise
from edensim.machines.cpu.loop_nests import LINE_BYTES, LayerBuilder, Ref
from edensim.machines.cpu.streams import ROW, StreamLoops

if TYPE_CHECKING:
    from edensim.networks.network import Layer

#: Rows of the micro-kernel; steps of depth in a block, about.
MR, KC = 6, 256
#: Steps of depth that are loaded together.
UNROLLED = 4
#: Instructions of a step of packing a vector, of a micro-kernel's start and end.
PACK, TILE = 3.0, 40.0


class BlockedLoops(StreamLoops):
    """Convolutions by blocks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.nr = LINE_BYTES // self.element
        kilobyte = 1024 // self.element
        self.mc = max(MR, self.config.l2_kB * kilobyte // 2 // KC // MR * MR)
        self.nc = max(self.nr, self.config.l3_kB * kilobyte // 2 // KC // self.nr * self.nr)
        most = max(
            (self._depth(layer) for layer in self.network.layers if layer.kernel != (1, 1)),
            default=KC,
        )
        self.panel = self.arena.take("", max(KC, most) * (self.nc + self._widest()) * self.element)

    def _depth(self, layer: Layer) -> int:
        return layer.kernel[0] * layer.kernel[1]

    def _widest(self) -> int:
        return max(self.image(layer.output)[3] for layer in self.network.layers) + self.nr

    def convolution(self, builder: LayerBuilder, layer: Layer) -> None:
        """Groups and images one after the other, each a product."""
        batch, channels, height, width = self.image(layer.inputs[0])
        _, filters, out_h, out_w = self.image(layer.output)
        depth = channels // layer.groups
        if depth == 1 and layer.groups > 1:
            depthwise(self, builder, layer)
            return
        rows = filters // layer.groups
        for image in range(batch):
            for group in range(layer.groups):
                part = image * layer.groups + group
                source = self.address(layer.inputs[0]) + self.bytes_of(
                    part * depth * height * width
                )
                target = self.address(layer.output) + self.bytes_of(part * rows * out_h * out_w)
                weights = self.address(layer.weights[0]) + self.bytes_of(
                    group * rows * depth * self._depth(layer)
                )
                self._product(builder, layer, source, weights, target, rows, depth)

    def _product(
        self,
        builder: LayerBuilder,
        layer: Layer,
        source: int,
        weights: int,
        target: int,
        rows: int,
        channels: int,
    ) -> None:
        _, _, out_h, out_w = self.image(layer.output)
        window = self._depth(layer)
        some = max(1, KC // window)  # channels of a block
        lines = max(1, self.nc // out_w)  # output rows of a block
        for top in range(0, out_h, lines):
            here = min(lines, out_h - top)
            for channel in range(0, channels, some):
                deep = min(some, channels - channel)
                self._pack(builder, layer, source, channel, deep, top, here)
                blocks = max(1, round(rows / self.mc))
                for row in range(0, rows, -(-rows // (blocks * MR)) * MR):
                    tall = min(-(-rows // (blocks * MR)) * MR, rows - row)
                    # Packed weights: block after block of depth, in each the rows' panels.
                    block = weights + self.bytes_of(channel * window * rows + row * deep * window)
                    corner = target + self.bytes_of(row * out_h * out_w + top * out_w)
                    self._multiply(
                        builder, block, corner, tall, here * out_w, deep * window, out_h * out_w
                    )

    def _pack(
        self,
        builder: LayerBuilder,
        layer: Layer,
        source: int,
        channel: int,
        channels: int,
        top: int,
        lines: int,
    ) -> None:
        """Windows into the packed panel, row of depth by row of depth."""
        _, _, height, width = self.image(layer.inputs[0])
        _, _, _, out_w = self.image(layer.output)
        kernel_h, kernel_w = layer.kernel
        (down, right), (stride_h, stride_w) = layer.dilation, layer.stride
        first = top * stride_h - layer.padding[0]
        panel = tuple(
            extent * self.element
            for extent in (
                kernel_h * kernel_w * lines * out_w,
                kernel_w * lines * out_w,
                lines * out_w,
                out_w,
            )
        )
        write = Ref(self.panel, panel, self.element, self.element, STORE)
        if self.bits < 8:  # two to a byte: the rows of the ifm as they are, then the panel
            read = Ref(
                source + self.bytes_of(channel * height * width),
                (self.bytes_of(height * width),),
                1,
                1,
            )
            builder.add(
                (channels,),
                self.bytes_of(height * width),
                [read],
                row_cost=ROW,
                element_cost=PACK / self.lanes,
            )
            builder.add(
                (channels, kernel_h, kernel_w, lines),
                out_w,
                [write],
                row_cost=ROW,
                element_cost=PACK / self.lanes,
            )
            return
        read = Ref(
            source + ((channel * height + first) * width - layer.padding[1]) * self.element,
            tuple(
                extent * self.element
                for extent in (height * width, down * width, right, stride_h * width)
            ),
            stride_w * self.element,
            self.element,
            row=(first, (0, down, 0, stride_h), height),
            column=(-layer.padding[1], (0, 0, right, 0), stride_w, width),
        )
        cost = PACK / self.lanes if stride_w == 1 else PACK
        builder.add(
            (channels, kernel_h, kernel_w, lines),
            out_w,
            [read, write],
            row_cost=ROW,
            element_cost=cost,
            parallel=True,
        )

    def _multiply(
        self,
        builder: LayerBuilder,
        weights: int,
        target: int,
        rows: int,
        columns: int,
        depth: int,
        pitch: int,
    ) -> None:
        """Micro-kernels over a block: panels of columns, tiles of rows in each."""
        whole_columns, rest_columns = divmod(columns, self.nr)
        whole_rows, rest_rows = divmod(rows, MR)
        for first_row, tiles, tall in ((0, whole_rows, MR), (whole_rows * MR, 1, rest_rows)):
            for first_column, panels, wide in (
                (0, whole_columns, self.nr),
                (whole_columns * self.nr, 1, rest_columns),
            ):
                if tiles and panels and tall and wide:
                    corner = target + self.bytes_of(first_row * pitch + first_column)
                    at = (
                        weights + self.bytes_of(first_row * depth),
                        self.panel + first_column * depth * self.element,
                        corner,
                    )
                    self._tiles(builder, at, (panels, tiles), (tall, wide, depth), pitch)

    def _tiles(
        self,
        builder: LayerBuilder,
        at: tuple[int, int, int],
        count: tuple[int, int],
        shape: tuple[int, int, int],
        pitch: int,
    ) -> None:
        (weights, panel, target), (panels, tiles), (tall, wide, depth) = at, count, shape
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
