"""The tiles of a planned layer: which bytes each fetches and writes back.

Features are stored image by image, channel by channel; weights as the compiler of such a machine packs them: tile after tile in the order in which
they are fetched. Where bytes follow each other in memory, tiles meet at line borders (64 bytes): a line is fetched by the first that needs it and
written by the last that completes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edensim.machines.tpu.planning import LINE_BYTES, Array, LayerShape, Plan

#: Bytes of each image fetched at least, so that small folds share no lines.
LEAST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Runs:
    """`count` runs of `run_bytes`, `stride_bytes` apart, from `address` on; of tensor `tensor`."""

    tensor: int
    address: int
    run_bytes: int
    stride_bytes: int = 0
    count: int = 1


@dataclass
class Tile:
    """What a tile fetches (ahead: whatever was computed before), computes, and writes back."""

    cycles: int
    ahead: list[Runs] = field(default_factory=list)
    reads: list[Runs] = field(default_factory=list)
    writes: list[Runs] = field(default_factory=list)


@dataclass(frozen=True)
class Features:
    """A tensor of (images, channels, rows) planes.

    `align`, below: where a border between tiles goes: 1 to the next line, -1 to the line before, 0 as it is.
    """

    tensor: int
    address: int
    images: int
    channels: int
    rows: int
    row_bits: int

    @property
    def plane_bits(self) -> int:
        """Bits of a channel of an image."""
        return self.rows * self.row_bits

    def parts(self, channels: tuple[int, int], rows: tuple[int, int], align: int) -> Iterator[Runs]:
        """Bytes of some channels' rows; rows are counted over all images, image by image."""
        at, end = rows
        while at < end:
            image, row = divmod(at, self.rows)
            if row == 0 and end - at >= self.rows:
                images = (end - at) // self.rows
                yield from self._whole(image, images, channels, align)
                at += images * self.rows
            else:
                last = min(self.rows, row + end - at)
                yield from self._rows(image, channels, row, last, align)
                at += last - row

    def _whole(
        self, image: int, images: int, channels: tuple[int, int], align: int
    ) -> Iterator[Runs]:
        """All rows of some channels of some images: one run per image."""
        image_bits = self.channels * self.plane_bits
        if images > 1 and channels == (0, self.channels):
            yield from self._strided(image * image_bits, (image + images) * image_bits, 0, 1)
            return
        start, end = (
            image * image_bits + channels[0] * self.plane_bits,
            image * image_bits + channels[1] * self.plane_bits,
        )
        if images == 1 or image_bits % (8 * LINE_BYTES) == 0:
            limit = (image + 1) * image_bits
            start = start if channels[0] == 0 else min(self._border(start, align), limit)
            end = end if channels[1] == self.channels else min(self._border(end, align), limit)
        yield from self._strided(start, end, image_bits, images)

    def _rows(
        self, image: int, channels: tuple[int, int], first: int, end: int, align: int
    ) -> Iterator[Runs]:
        """Some rows of some channels of an image: one run per channel."""
        plane = (image * self.channels + channels[0]) * self.plane_bits
        low, high = plane + first * self.row_bits, plane + end * self.row_bits
        if self.plane_bits % (8 * LINE_BYTES) == 0:
            low = low if first == 0 else self._border(low, align)
            high = high if end == self.rows else self._border(high, align)
        yield from self._strided(low, high, self.plane_bits, channels[1] - channels[0])

    def _border(self, bits: int, align: int) -> int:
        """A border between tiles, moved to a line's."""
        if align == 0:
            return bits
        line, start = 8 * LINE_BYTES, 8 * self.address
        return ((start + bits + (line - 1 if align > 0 else 0)) // line) * line - start

    def _strided(self, start: int, end: int, stride: int, count: int) -> Iterator[Runs]:
        """Runs by bit positions; where a stride is no whole number of bytes, every other run has one that is."""
        if end <= start or count <= 0:
            return
        steps = 1 if stride % 8 == 0 or count == 1 else 2
        for first in range(steps):
            low, high = start + first * stride, end + first * stride
            yield Runs(
                self.tensor,
                self.address + low // 8,
                -(-high // 8) - low // 8,
                stride * steps // 8,
                -(-(count - first) // steps),
            )


@dataclass(frozen=True)
class Block:
    """Filters computed together, in whole groups or within one: (first, end), channels seen (first, end), groups."""

    filters: tuple[int, int]
    channels: tuple[int, int]
    groups: int


def blocks_of(shape: LayerShape, plan: Plan) -> list[Block]:
    """All blocks of filters, in order."""
    per_group, channels = shape.group_filters, shape.channels // shape.groups
    if plan.block_filters >= per_group:
        together = max(1, plan.block_filters // per_group)
        groups = [
            (first, min(first + together, shape.groups))
            for first in range(0, shape.groups, together)
        ]
        return [
            Block((a * per_group, b * per_group), (a * channels, b * channels), b - a)
            for a, b in groups
        ]
    blocks = []
    for group in range(shape.groups):
        start, seen = group * per_group, (group * channels, (group + 1) * channels)
        for first in range(0, per_group, plan.block_filters):
            blocks.append(
                Block((start + first, start + min(first + plan.block_filters, per_group)), seen, 1)
            )
    return blocks


@dataclass(frozen=True)
class Step:
    """One tile of a plan: filters, depth (first, end) in their groups, output rows; whether weights are fetched, sums fetched, outputs written."""

    block: Block
    depth: tuple[int, int]
    rows: tuple[int, int]
    restart: bool
    weights: bool
    sums: bool
    writes: bool


def steps(shape: LayerShape, plan: Plan) -> Iterator[Step]:
    """The loops of a plan. restart: nothing of the ifm is kept from the tiles before."""
    blocks = blocks_of(shape, plan)
    for part in range(0, shape.depth, plan.part_depth):
        part_end = min(part + plan.part_depth, shape.depth)
        depths = [
            (first, min(first + plan.fold_depth, part_end))
            for first in range(part, part_end, plan.fold_depth)
        ]
        for together in range(0, len(blocks), plan.band_blocks):
            restart = together > 0 and plan.name == "weights"
            for band in range(0, shape.out_rows, plan.band_rows):
                band_end = min(band + plan.band_rows, shape.out_rows)
                for block in blocks[together : together + plan.band_blocks]:
                    for row in range(band, band_end, plan.chunk_rows):
                        first = (
                            row == 0
                            or (plan.weights_kept == "band" and row == band)
                            or plan.weights_kept == "tile"
                        )
                        for depth in depths:
                            rows = (row, min(row + plan.chunk_rows, band_end))
                            done = depth is depths[-1]
                            yield Step(
                                block,
                                depth,
                                rows,
                                restart,
                                first,
                                part > 0 and depth is depths[0],
                                done,
                            )
                            restart = False


@dataclass
class LayerTiles:
    """Makes the tiles of one layer. ifm, ofm: where they lie, None if they stay on the chip; weights: tensor and address."""

    shape: LayerShape
    plan: Plan
    array: Array
    ifm: Features | None
    ofm: Features | None
    weights: tuple[int, int]

    def tiles(self) -> Iterator[Tile]:
        """Tiles in order."""
        shape = self.shape
        fetched = np.zeros(shape.channels, np.int64)
        for step in steps(shape, self.plan):
            if step.restart:
                fetched[:] = 0
            positions = (step.rows[1] - step.rows[0]) * shape.out_width
            filters = (step.block.filters[1] - step.block.filters[0]) // step.block.groups
            tile = Tile(
                step.block.groups
                * self.array.cycles(positions, filters, step.depth[1] - step.depth[0])
            )
            if step.weights:
                tile.ahead += self.weight_runs(step)
            if self.ifm is not None:
                tile.reads += self.ifm_runs(step, fetched)
            if self.ofm is not None:
                if step.sums:
                    tile.reads += self.ofm.parts(step.block.filters, step.rows, -1)
                if step.writes:
                    tile.writes += self.ofm.parts(step.block.filters, step.rows, -1)
            yield tile

    def weight_runs(self, step: Step) -> Iterator[Runs]:
        """A tile's weights: packed by parts of the depth, then blocks, then folds."""
        shape, (tensor, address) = self.shape, self.weights
        part = step.depth[0] // self.plan.part_depth * self.plan.part_depth
        part_depth = min(self.plan.part_depth, shape.depth - part)
        first, end = step.block.filters
        start = shape.filters * part + first * part_depth + (end - first) * (step.depth[0] - part)
        finish = start + (end - first) * (step.depth[1] - step.depth[0])
        line, total = 8 * LINE_BYTES, address * 8 + shape.depth * shape.filters * shape.bits
        low, high = (
            min(-(-(address * 8 + at * shape.bits) // line) * line, total) if at else address * 8
            for at in (start, finish)
        )
        if high > low:
            yield Runs(tensor, low // 8, -(-high // 8) - low // 8)

    def ifm_runs(
        self, step: Step, fetched: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> Iterator[Runs]:
        """The rows of a tile's channels that are not there yet. fetched: [channels] rows (over all images) that are or were."""
        assert self.ifm is not None
        shape, block = self.shape, step.block
        low, high = shape.input_rows(*step.rows)
        if block.groups > 1:
            first, end = block.channels
        else:
            first = block.channels[0] + step.depth[0] // shape.channel_depth
            end = block.channels[0] - (-step.depth[1] // shape.channel_depth)
        if not self.plan.keeps_ifm:
            yield from self.ifm.parts((first, end), (low, high), 0)
            return
        while True:  # channels with the same rows, by turns; rows that no window needs (stride over kernel) come along
            missing = np.flatnonzero(fetched[first:end] < high)
            if len(missing) == 0:
                return
            first += int(missing[0])
            start = int(fetched[first])
            image_rows = -(-(high - start) // -(-(high - start) // self.ifm.rows))
            last = min(
                block.channels[1],
                max(end, first - (-8 * LEAST_BYTES // (image_rows * self.ifm.row_bits))),
            )
            others = np.flatnonzero(fetched[first:last] != fetched[first])
            last = first + int(others[0]) if len(others) else last
            fetched[first:last] = high
            yield from self.ifm.parts((first, last), (start, high), 1)
            first = last
