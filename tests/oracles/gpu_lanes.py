"""A GPU's kernels lane by lane, in plain Python, from their description in words: what the compiled walk is compared with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod

from edensim.config.models import GpuConfig
from edensim.machines.gpu.kernels import Kernel
from edensim.networks.layout import Layout
from edensim.networks.network import Layer, Network, Operator

#: (is_write, tensor, byte addresses of sectors) of one warp instruction, addresses rising.
Access = tuple[bool, int, list[int]]


@dataclass
class Cache:
    """An LRU cache of lines of four sectors."""

    sets: int
    ways: int
    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines: list[OrderedDict[int, tuple[set[int], set[int]]]] = [
            OrderedDict() for _ in range(self.sets)
        ]

    def access(self, is_write: bool, sectors: list[int]) -> None:
        """One warp instruction."""
        for line in sorted({sector // 128 for sector in sectors}):
            own = [sector for sector in sectors if sector // 128 == line]
            lines = self.lines[(line + 37 * (line // self.sets)) % self.sets]
            if line not in lines:
                if len(lines) == self.ways:
                    _, (_, dirty) = lines.popitem(last=False)
                    self.writes += sorted(dirty)
                lines[line] = (set(), set())
            lines.move_to_end(line)
            valid, dirty = lines[line]
            if is_write:
                dirty |= set(own)
            else:
                self.reads += [sector for sector in own if sector not in valid]
            valid |= set(own)

    def tile(self, accesses: Iterable[Access]) -> tuple[list[int], list[int]]:
        """Sectors read from and written to memory, in order, by one tile."""
        self.reads, self.writes = [], []
        for is_write, _, sectors in accesses:
            self.access(is_write, sectors)
        return self.reads, self.writes


@dataclass(frozen=True)
class Oracle:
    """A layer of a network as its (first) kernel runs it."""

    network: Network
    layout: Layout
    layer: Layer
    kernel: Kernel
    config: GpuConfig

    def warps(
        self, tensor: str, elements: list[int], *, is_write: bool = False, lanes: int | None = None
    ) -> Iterator[Access]:
        """Elements of a tensor, -1 for lanes that read nothing, so many to a warp instruction."""
        bits, placement = self.layout.bits, self.layout[tensor]
        lanes = lanes or 1024 // bits
        for first in range(0, len(elements), lanes):
            own = sorted(
                {
                    (placement.address * 8 + e * bits) // 256 * 32
                    for e in elements[first : first + lanes]
                    if e >= 0
                }
            )
            if own:
                yield is_write, placement.index, own

    def tiles(self) -> Iterator[list[Access]]:
        """Accesses of each tile."""
        record = self.kernel.record[0]
        steps, shares = int(record["steps"]), int(record["store_steps"])
        before: list[int] = []
        for first in range(0, int(record["blocks"]), int(record["wave"])):
            blocks = range(first, min(first + int(record["wave"]), int(record["blocks"])))
            for step in range(steps):
                own = list(getattr(self, self.kernel.name)(blocks, step))
                if self.kernel.name == "gemm" and not record["store_lag"]:
                    own += self.stores(blocks, step - steps + 1, 1)
                yield own + list(self.stores(before, step, shares))
            before = list(blocks) if record["store_lag"] else []
        for share in range(shares if before else 0):
            yield list(self.stores(before, share, shares))

    def places(self, blocks: Iterable[int]) -> list[tuple[int, range, range]]:
        """Group, filters of the group and output positions of thread blocks of a product."""
        tiling, gemm = self.kernel.tiling, self.network.gemm(self.layer)
        assert tiling is not None
        assert tiling.splits == 1
        assert gemm is not None
        places = []
        for block in blocks:
            m, n, group = (
                block % tiling.blocks_m,
                block // tiling.blocks_m % tiling.blocks_n,
                block // (tiling.blocks_m * tiling.blocks_n),
            )
            filters = range(m * tiling.tile_m, min((m + 1) * tiling.tile_m, gemm.rows))
            places.append(
                (
                    group,
                    filters,
                    range(n * tiling.tile_n, min((n + 1) * tiling.tile_n, gemm.columns)),
                )
            )
        return places

    def stores(self, blocks: Iterable[int], share: int, shares: int) -> Iterator[Access]:
        """A share of the outputs of thread blocks of a product: filter by filter, of a linear layer position by position."""
        if not blocks or not 0 <= share < shares:
            return
        tiling, gemm = self.kernel.tiling, self.network.gemm(self.layer)
        assert tiling is not None
        assert gemm is not None
        linear = self.layer.operator is Operator.LINEAR
        rows = tiling.tile_n if linear else tiling.tile_m
        every, plane = gemm.rows * gemm.groups, gemm.columns // self.network.batch
        for row in range(rows * share // shares, rows * (share + 1) // shares):
            for group, filters, positions in self.places(blocks):
                if linear:
                    if row < len(positions):
                        yield from self.warps(
                            self.layer.output,
                            [positions[row] * every + f for f in filters],
                            is_write=True,
                        )
                elif row < len(filters):
                    f = group * gemm.rows + filters[row]
                    outputs = [(p // plane * every + f) * plane + p % plane for p in positions]
                    yield from self.warps(self.layer.output, outputs, is_write=True)

    def gemm(self, blocks: range, step: int) -> Iterator[Access]:
        """Thread blocks of a product abreast: weights, then columns product by product."""
        tiling, gemm = self.kernel.tiling, self.network.gemm(self.layer)
        assert tiling is not None
        assert gemm is not None
        weight, *extras = self.layer.weights
        places = self.places(blocks)
        deep = range(step * tiling.tile_k, min((step + 1) * tiling.tile_k, gemm.depth))
        for group, filters, _ in places:
            base = group * gemm.rows * gemm.depth
            if self.config.weights == "packed":
                start = base + deep.start * gemm.rows + filters.start * len(deep)
                yield from self.warps(weight, list(range(start, start + len(filters) * len(deep))))
            else:
                yield from self.warps(
                    weight,
                    [base + f * gemm.depth + k for f in filters for k in deep],
                    lanes=len(filters) * len(deep),
                )
        if self.layer.operator is Operator.LINEAR:
            for _, _, positions in places:
                for position in positions:
                    yield from self.warps(
                        self.layer.inputs[0], [position * gemm.depth + k for k in deep]
                    )
        else:
            for k in deep:
                for group, _, positions in places:
                    yield from self.warps(
                        self.layer.inputs[0],
                        [self.source(group, k, position) for position in positions],
                    )
        if step < int(self.kernel.record[0]["steps"]) - 1:
            return
        for group, filters, _ in places:
            for extra in extras:
                yield from self.warps(extra, [group * gemm.rows + f for f in filters])

    def source(self, group: int, product: int, position: int) -> int:
        """Element of the ifm that a product of an output position takes, -1 in the padding."""
        kh, kw = self.layer.kernel
        channel, tap = divmod(product, kh * kw)
        _, channels, height, width = self.network.tensors[self.layer.inputs[0]].shape
        _, _, out_height, out_width = self.network.tensors[self.layer.output].shape
        image, place = divmod(position, out_height * out_width)
        return self.tap(
            image * channels + group * (channels // self.layer.groups) + channel,
            place,
            tap,
            height,
            width,
            out_width,
        )

    def tap(self, plane: int, place: int, tap: int, height: int, width: int, out_width: int) -> int:
        """Element of an ifm plane under a tap of the window of an output place."""
        y = (
            place // out_width * self.layer.stride[0]
            + tap // self.layer.kernel[1] * self.layer.dilation[0]
            - self.layer.padding[0]
        )
        x = (
            place % out_width * self.layer.stride[1]
            + tap % self.layer.kernel[1] * self.layer.dilation[1]
            - self.layer.padding[1]
        )
        return (plane * height + y) * width + x if 0 <= y < height and 0 <= x < width else -1

    def window(self, blocks: range, step: int) -> Iterator[Access]:
        """A thread for each output: weights of its channels, taps, outputs."""
        per_block = int(self.kernel.record[0]["tile_n"])
        shape, source = (
            self.network.tensors[self.layer.output].shape,
            self.network.tensors[self.layer.inputs[0]].shape,
        )
        plane, taps = shape[2] * shape[3], prod(self.layer.kernel)
        for block in blocks:
            outputs = range(block * per_block, min((block + 1) * per_block, prod(shape)))
            low, high = outputs[0] // plane, outputs[-1] // plane
            channels = (
                range(low % shape[1], high % shape[1] + 1)
                if low // shape[1] == high // shape[1]
                else range(shape[1])
            )
            for number, weight in enumerate(self.layer.weights):
                each = taps if number == 0 else 1
                yield from self.warps(weight, [c * each + t for c in channels for t in range(each)])
            sharing = shape[1] // source[1]
            for tap in range(taps):
                for own in self.asked(outputs, plane if sharing > 1 else prod(shape)):
                    elements = [
                        self.tap(
                            o // plane // sharing, o % plane, tap, source[2], source[3], shape[3]
                        )
                        for o in own
                    ]
                    yield from self.warps(self.layer.inputs[0], elements)
            yield from self.warps(self.layer.output, list(outputs), is_write=True)

    def asked(self, outputs: range, plane: int) -> Iterator[range]:
        """Outputs of each warp instruction: 32 bits to a lane; planes that read the same plane of the ifm ask one by one."""
        lanes = 1024 // self.layout.bits
        for first in range(outputs.start, outputs.stop, lanes):
            at, end = first, min(first + lanes, outputs.stop)
            while at < end:
                stop = min((at // plane + 1) * plane, end)
                yield range(at, stop)
                at = stop

    def gemv(self, blocks: range, step: int) -> Iterator[Access]:
        """Rows of weights, 16 bytes to a lane, and the same part of each vector."""
        gemm = self.network.gemm(self.layer)
        assert gemm is not None
        rows, chunk = int(self.kernel.record[0]["rows"]), int(self.kernel.record[0]["tile_k"])
        lanes = 4096 // self.layout.bits
        deep = range(step * chunk, min((step + 1) * chunk, gemm.depth))
        weight, *extras = self.layer.weights
        for block in blocks:
            own = range(block * rows, min((block + 1) * rows, gemm.rows))
            if len(deep) == gemm.depth:
                yield from self.warps(
                    weight, [row * gemm.depth + k for row in own for k in deep], lanes=lanes
                )
            else:
                for row in own:
                    yield from self.warps(weight, [row * gemm.depth + k for k in deep], lanes=lanes)
            for vector in range(gemm.columns):
                yield from self.warps(
                    self.layer.inputs[0], [vector * gemm.depth + k for k in deep], lanes=lanes
                )
            if deep.stop == gemm.depth:
                for extra in extras:
                    yield from self.warps(extra, list(own))
                for vector in range(gemm.columns):
                    yield from self.warps(
                        self.layer.output, [vector * gemm.rows + row for row in own], is_write=True
                    )
