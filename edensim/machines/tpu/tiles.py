"""The tiles of a planned layer: which bytes each of them fetches and writes back.

Features are stored image by image and channel by channel. Weights are stored as the compiler of
such a machine packs them: tile after tile, in the order in which they are fetched. If the bytes of
two tiles follow each other in memory, the tiles meet at the border of a line (64 bytes): a line is
fetched by the first tile that needs it and written by the last tile that completes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edensim.machines.schedule import Tile, Transfer
from edensim.machines.tpu.planning import LINE_BYTES, Array, LayerShape, Plan

#: Bytes fetched of each image at least, so that small folds share no lines.
LEAST_BYTES = 1024

LINE_BITS = 8 * LINE_BYTES


@dataclass(frozen=True)
class Features:
    """A feature tensor in memory, as planes of (images, channels, rows).

    The parameter `align` of its methods says where the border between two tiles goes: 1 to the next
    line, -1 to the line before, 0 nowhere.
    """

    tensor: int
    address: int
    images: int
    channels: int
    rows: int
    row_bits: int

    @property
    def plane_bits(self) -> int:
        """Bits of one channel of an image."""
        return self.rows * self.row_bits

    def transfers(
        self, channels: tuple[int, int], rows: tuple[int, int], align: int
    ) -> Iterator[Transfer]:
        """Yield the bytes of some rows of some channels; rows are counted over all images."""
        at, end = rows
        while at < end:
            image, row = divmod(at, self.rows)
            if row == 0 and end - at >= self.rows:
                images = (end - at) // self.rows
                yield from self._whole_planes(image, images, channels, align)
                at += images * self.rows
            else:
                last = min(self.rows, row + end - at)
                yield from self._rows_of_image(image, channels, (row, last), align)
                at += last - row

    def _whole_planes(
        self, image: int, images: int, channels: tuple[int, int], align: int
    ) -> Iterator[Transfer]:
        """Yield all rows of some channels: one run for each image."""
        image_bits = self.channels * self.plane_bits
        if images > 1 and channels == (0, self.channels):
            yield from self._strided(image * image_bits, (image + images) * image_bits, 0, 1)
            return
        start, end = (image * image_bits + channel * self.plane_bits for channel in channels)
        if images == 1 or image_bits % LINE_BITS == 0:
            limit = (image + 1) * image_bits
            start = start if channels[0] == 0 else min(self._border(start, align), limit)
            end = end if channels[1] == self.channels else min(self._border(end, align), limit)
        yield from self._strided(start, end, image_bits, images)

    def _rows_of_image(
        self, image: int, channels: tuple[int, int], rows: tuple[int, int], align: int
    ) -> Iterator[Transfer]:
        """Yield some rows of some channels of an image: one run for each channel."""
        plane = (image * self.channels + channels[0]) * self.plane_bits
        low, high = (plane + row * self.row_bits for row in rows)
        if self.plane_bits % LINE_BITS == 0:
            low = low if rows[0] == 0 else self._border(low, align)
            high = high if rows[1] == self.rows else self._border(high, align)
        yield from self._strided(low, high, self.plane_bits, channels[1] - channels[0])

    def _border(self, bits: int, align: int) -> int:
        """Move a border between tiles to a border of a line."""
        if align == 0:
            return bits
        start = 8 * self.address
        return (
            (start + bits + (LINE_BITS - 1 if align > 0 else 0)) // LINE_BITS
        ) * LINE_BITS - start

    def _strided(self, start: int, end: int, stride: int, count: int) -> Iterator[Transfer]:
        """Yield runs between positions in bits.

        If the stride is no whole number of bytes, every other run has one that is.
        """
        if end <= start or count <= 0:
            return
        steps = 1 if stride % 8 == 0 or count == 1 else 2
        for first in range(steps):
            low, high = start + first * stride, end + first * stride
            yield Transfer(
                self.tensor,
                self.address + low // 8,
                -(-high // 8) - low // 8,
                stride * steps // 8,
                -(-(count - first) // steps),
            )


@dataclass(frozen=True)
class Block:
    """Filters that are computed together, either of whole groups or within one group.

    `filters` and `channels` (which the filters see) are ranges as (first, end).
    """

    filters: tuple[int, int]
    channels: tuple[int, int]
    groups: int


def blocks_of(shape: LayerShape, plan: Plan) -> list[Block]:
    """Return all blocks of filters in order."""
    per_group, channels = shape.group_filters, shape.channels // shape.groups
    together = max(1, plan.block_filters // per_group)
    if plan.block_filters >= per_group:
        groups = [
            (first, min(first + together, shape.groups))
            for first in range(0, shape.groups, together)
        ]
        return [
            Block((a * per_group, b * per_group), (a * channels, b * channels), b - a)
            for a, b in groups
        ]
    return [
        Block(
            (
                group * per_group + first,
                group * per_group + min(first + plan.block_filters, per_group),
            ),
            (group * channels, (group + 1) * channels),
            1,
        )
        for group in range(shape.groups)
        for first in range(0, per_group, plan.block_filters)
    ]


@dataclass(frozen=True)
class Step:
    """One tile of a plan.

    `depth` is a range within the group, `rows` one of output rows over all images. The flags say
    whether nothing of the ifm remains from the tiles before (`restarts`), whether weights are
    fetched, whether unfinished sums are fetched, and whether outputs are written.
    """

    block: Block
    depth: tuple[int, int]
    rows: tuple[int, int]
    restarts: bool
    fetches_weights: bool
    fetches_sums: bool
    writes: bool


def ranges(first: int, end: int, size: int) -> list[tuple[int, int]]:
    """Cut a range into ranges of a size, of which the last may be smaller."""
    return [(at, min(at + size, end)) for at in range(first, end, size)]


def steps_of(shape: LayerShape, plan: Plan) -> Iterator[Step]:
    """Run through the loops of a plan."""
    blocks = blocks_of(shape, plan)
    for part in ranges(0, shape.depth, plan.part_depth):
        depths = ranges(*part, plan.fold_depth)
        for together in range(0, len(blocks), plan.band_blocks):
            restarts = together > 0 and plan.name == "weights"
            for band in ranges(0, shape.out_rows, plan.band_rows):
                for block in blocks[together : together + plan.band_blocks]:
                    for rows in ranges(*band, plan.chunk_rows):
                        fetches_weights = (
                            rows[0] == 0
                            or (plan.weights_stay == "band" and rows[0] == band[0])
                            or plan.weights_stay == "tile"
                        )
                        for depth in depths:
                            yield Step(
                                block,
                                depth,
                                rows,
                                restarts,
                                fetches_weights,
                                fetches_sums=part[0] > 0 and depth is depths[0],
                                writes=depth is depths[-1],
                            )
                            restarts = False


@dataclass
class LayerTiles:
    """Makes the tiles of one layer.

    `ifm` and `ofm` say where the features lie, and are None if they stay on the chip; `weights` is
    the index and address of the weight tensor.
    """

    shape: LayerShape
    plan: Plan
    array: Array
    ifm: Features | None
    ofm: Features | None
    weights: tuple[int, int]

    def tiles(self, layer: int) -> Iterator[Tile]:
        """Yield the tiles in order; `layer` is the index of the layer."""
        fetched = np.zeros(self.shape.channels, np.int64)
        for step in steps_of(self.shape, self.plan):
            if step.restarts:
                fetched[:] = 0
            block = step.block
            positions = (step.rows[1] - step.rows[0]) * self.shape.out_width
            filters = (block.filters[1] - block.filters[0]) // block.groups
            cycles = self.array.cycles(positions, filters, step.depth[1] - step.depth[0])
            tile = Tile(layer, block.groups * cycles)
            if step.fetches_weights:
                tile.ahead += self._weight_transfers(step)
            if self.ifm is not None:
                tile.reads += self._ifm_transfers(self.ifm, step, fetched)
            if self.ofm is not None and step.fetches_sums:
                tile.reads += self.ofm.transfers(block.filters, step.rows, -1)
            if self.ofm is not None and step.writes:
                tile.writes += self.ofm.transfers(block.filters, step.rows, -1)
            yield tile

    def _weight_transfers(self, step: Step) -> Iterator[Transfer]:
        """Yield the weights of a tile, which are packed by parts of the depth, blocks and folds."""
        shape, (tensor, address) = self.shape, self.weights
        part = step.depth[0] // self.plan.part_depth * self.plan.part_depth
        part_depth = min(self.plan.part_depth, shape.depth - part)
        first, end = step.block.filters
        start = shape.filters * part + first * part_depth + (end - first) * (step.depth[0] - part)
        finish = start + (end - first) * (step.depth[1] - step.depth[0])
        total = address * 8 + shape.depth * shape.filters * shape.bits
        low, high = (
            min(-(-(address * 8 + at * shape.bits) // LINE_BITS) * LINE_BITS, total)
            if at
            else address * 8
            for at in (start, finish)
        )
        if high > low:
            yield Transfer(tensor, low // 8, -(-high // 8) - low // 8)

    def _ifm_transfers(
        self, ifm: Features, step: Step, fetched: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> Iterator[Transfer]:
        """Yield those rows of a tile's channels that are not on the chip yet.

        `fetched` ([channels]) counts the rows, over all images, that have been fetched so far.
        """
        shape, block = self.shape, step.block
        low, high = shape.input_rows(*step.rows)
        first, end = block.channels
        if block.groups == 1:
            end = first - (-step.depth[1] // shape.channel_depth)
            first += step.depth[0] // shape.channel_depth
        if not self.plan.keeps_ifm:
            yield from ifm.transfers((first, end), (low, high), 0)
            return
        # Channels that lack the same rows are fetched together. Rows that no window needs, because
        # the stride exceeds the kernel, come along.
        while len(missing := np.flatnonzero(fetched[first:end] < high)):
            first += int(missing[0])
            start = int(fetched[first])
            image_rows = -(-(high - start) // -(-(high - start) // ifm.rows))
            last = min(
                block.channels[1],
                max(end, first - (-8 * LEAST_BYTES // (image_rows * ifm.row_bits))),
            )
            others = np.flatnonzero(fetched[first:last] != fetched[first])
            last = first + int(others[0]) if len(others) else last
            fetched[first:last] = high
            yield from ifm.transfers((first, last), (start, high), 1)
            first = last
