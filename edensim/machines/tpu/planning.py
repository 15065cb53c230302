"""How a layer is cut into tiles for a systolic array with three on-chip buffers: which loop is outermost, what stays, what comes again.

A tile is a block of filters, a fold of the depth (products summed for an output), and output rows (of all images, one behind the other). Sums of a
tile stay in the accumulators until the depth is through. Of the plans that fit the buffers, the one that moves the fewest bytes is taken:
- `ifm`: the ifm fits. Filters outermost; ifm, weights and ofm move once (weights once per tile of rows if not even a block of filters fits).
- `bands`: rows outermost, ifm once; weights again for each band unless they all fit.
- `weights`: as many filters as fit outermost, weights once; ifm again for each of them.
- `channels`: as `ifm`, but no ifm is kept: it comes again for each block of filters.
- `sums`: parts of the depth outermost; ifm and weights once, but unfinished sums go to DRAM (where the ofm will be, at its precision) and come back.
Half of each buffer is worked on, the other half fills or drains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from edensim.config.models import TpuConfig
    from edensim.networks.network import Layer, Network

#: Tiles of a layer, about: where an array is small beside it, a tile takes several folds, one after the other.
MOST_TILES = 2048
#: Bytes at which tiles meet; a multiple of what any standard moves at once.
LINE_BYTES = 64
#: Bytes of a sum in the accumulators.
SUM_BYTES = 4


@dataclass(frozen=True)
class LayerShape:
    """A convolution, or a linear layer as one of 1 x 1 images. depth: products summed for an output; padding: rows above the ifm."""

    name: str
    images: int
    channels: int
    height: int
    width: int
    filters: int
    out_height: int
    out_width: int
    groups: int
    depth: int
    kernel_height: int
    stride: int
    dilation: int
    padding: int
    bits: int

    @property
    def out_rows(self) -> int:
        """Output rows of all images."""
        return self.images * self.out_height

    @property
    def group_filters(self) -> int:
        """Filters of a group."""
        return self.filters // self.groups

    @property
    def channel_depth(self) -> int:
        """Products that one channel contributes to an output."""
        return self.depth * self.groups // self.channels

    @property
    def weight_bytes(self) -> int:
        """All weights, without bias."""
        return self.bytes(self.depth * self.filters)

    @property
    def ifm_bytes(self) -> int:
        """The whole ifm."""
        return self.bytes(self.images * self.channels * self.height * self.width)

    @property
    def ofm_bytes(self) -> int:
        """The whole ofm."""
        return self.bytes(self.out_rows * self.filters * self.out_width)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.out_rows * self.out_width * self.filters * self.depth

    def bytes(self, elements: int) -> int:
        """Bytes of packed elements."""
        return -(-elements * self.bits // 8)

    def input_rows(self, first: int, end: int) -> tuple[int, int]:
        """Input rows, counted over all images, that output rows first to end need: first and end."""
        image, row = divmod(first, self.out_height)
        last_image, last_row = divmod(end - 1, self.out_height)
        low = max(0, min(self.height, row * self.stride - self.padding))
        high = last_row * self.stride - self.padding + (self.kernel_height - 1) * self.dilation + 1
        return image * self.height + low, last_image * self.height + max(0, min(self.height, high))

    def most_input_rows(self, rows: int) -> int:
        """Input rows that so many output rows need at most."""
        window = (self.kernel_height - 1) * self.dilation + 1
        return min(
            self.images * self.height,
            (rows - 1) * self.stride + window
            if rows <= self.out_height
            else rows * self.stride + window,
        )


def layer_shape(network: Network, layer: Layer, bits: int) -> LayerShape:
    """Shape of a layer that is a matrix product."""
    gemm = network.gemm(layer)
    assert gemm is not None
    ifm, ofm = network.tensors[layer.inputs[0]], network.tensors[layer.output]
    filters = gemm.rows * gemm.groups
    if len(ifm.shape) > 2 and len(ofm.shape) > 2 and layer.operator.value == "convolution":
        images, channels, height = ifm.shape[:3]
        out_height, kernel, stride, dilation, padding = (
            ofm.shape[2],
            layer.kernel[0],
            layer.stride[0],
            layer.dilation[0],
            layer.padding[0],
        )
    else:
        images, channels, height = ifm.elements // gemm.depth, gemm.depth, 1
        out_height, kernel, stride, dilation, padding = 1, 1, 1, 1, 0
    return LayerShape(
        name=layer.name,
        images=images,
        channels=channels,
        height=height,
        width=ifm.elements // (images * channels * height),
        filters=filters,
        out_height=out_height,
        out_width=ofm.elements // (images * filters * out_height),
        groups=gemm.groups,
        depth=gemm.depth,
        kernel_height=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        bits=bits,
    )


@dataclass(frozen=True)
class Plan:
    """A way to run a layer.

    block_filters, fold_depth: size of a tile's weights; chunk_rows: its output rows; band_rows: rows kept together; band_blocks: blocks of filters
    whose weights are kept together; part_depth: depth after which sums leave the chip.
    keeps_ifm: an input row is fetched once per pass; weights_kept: for the whole pass over rows ("pass"), for a band ("band"), or not ("tile").
    moved_bytes: bytes to and from DRAM, sums included.
    """

    name: str
    block_filters: int
    fold_depth: int
    chunk_rows: int
    band_rows: int
    band_blocks: int
    part_depth: int
    keeps_ifm: bool
    weights_kept: str
    moved_bytes: int


@dataclass(frozen=True)
class Array:
    """What planning needs to know of a machine. Sizes in bytes; an array of rows x columns elements."""

    rows: int
    columns: int
    dataflow: str
    ifm_bytes: int
    weight_bytes: int
    ofm_bytes: int
    accumulator_bytes: int
    overlapped: bool

    def cycles(self, positions: int, filters: int, depth: int) -> int:
        """Cycles of a tile: per fold the longer of streaming and of shifting in what stays; not overlapped: all of SCALE-Sim's (see systolic)."""
        by_rows, by_columns, stream = {
            "ws": (depth, filters, positions),
            "os": (positions, filters, depth),
            "is": (depth, positions, filters),
        }[self.dataflow]
        folds = -(-by_rows // self.rows) * -(-by_columns // self.columns)
        if not self.overlapped:
            return folds * (
                stream + self.rows + self.columns - 2 + (0 if self.dataflow == "os" else self.rows)
            )
        return folds * max(stream, self.rows)

    def tile_filters(self, shape: LayerShape) -> int:
        """Filters of a block: as wide as the array; where they stream, as many as the sums of one row and a quarter of the weights' room allow."""
        if self.dataflow != "is":
            return min(shape.group_filters, self.columns)
        sums = self.accumulator_bytes // (SUM_BYTES * max(self.columns, shape.out_width))
        weights = self.weight_bytes // 4 // shape.bytes(min(shape.depth, self.rows))
        outputs = self.ofm_bytes // 2 // shape.bytes(shape.out_width)
        return max(1, min(shape.group_filters, sums, weights, outputs))

    def tile_depth(self, shape: LayerShape) -> int:
        """Depth of a fold: as high as the array; where it streams, as much as an eighth of the weights' room allows."""
        if self.dataflow != "os":
            return min(shape.depth, self.rows)
        streamed = self.weight_bytes // 8 // shape.bytes(min(shape.group_filters, self.columns))
        return min(shape.depth, max(1, streamed // self.rows) * self.rows)


def array_of(config: TpuConfig, *, kept: bool) -> Array:
    """The array of a configuration; kept: half of the feature buffers is taken by features that stay."""
    share = 2 if kept else 1
    return Array(
        rows=config.array_height,
        columns=config.array_width,
        dataflow=config.dataflow,
        ifm_bytes=config.ifmap_sram_kB * 1024 // share,
        weight_bytes=config.filter_sram_kB * 1024,
        ofm_bytes=config.ofmap_sram_kB * 1024 // share,
        accumulator_bytes=config.accumulators_kB * 1024,
        overlapped=config.mode == "overlap",
    )


def plan_layer(shape: LayerShape, array: Array, *, resident: bool = False) -> Plan:
    """The plan that moves the fewest bytes, of a layer whose tiles fit. resident: the ifm is on the chip."""
    return min(plans(shape, array, resident), key=lambda plan: plan.moved_bytes)


@dataclass(frozen=True)
class Need:
    """What a layer needs of a buffer for one tile: the key that sizes it, bytes there are, bytes needed, for what."""

    key: str
    room: int
    bytes: int
    what: str


def tile_needs(shape: LayerShape, array: Array, *, resident: bool = False) -> list[Need]:
    """What one tile, and the next beside it, take of each buffer."""
    filters, depth = array.tile_filters(shape), array.tile_depth(shape)
    channels, width, bits = fold_channels(shape, depth), shape.out_width, shape.bits
    sums = 0 if array.dataflow == "os" and depth == shape.depth else SUM_BYTES * width * filters
    ifm = 0 if resident else 2 * ifm_tile_bytes(shape, 1, channels)
    weights = f"two tiles of weights ({filters} filters of depth {depth}) at {bits} bits"
    return [
        Need("filter_sram_kB", array.weight_bytes, 2 * shape.bytes(filters * depth), weights),
        Need("ifmap_sram_kB", array.ifm_bytes, ifm, f"the ifm of two output rows at {bits} bits"),
        Need(
            "ofmap_sram_kB",
            array.ofm_bytes,
            2 * shape.bytes(width * filters),
            f"two rows of {filters} channels of the ofm at {bits} bits",
        ),
        Need(
            "accumulators_kB",
            array.accumulator_bytes,
            sums,
            f"the sums of one output row of {filters} filters at 32 bits",
        ),
    ]


def check_fits(needs: Iterable[tuple[LayerShape, Need]]) -> None:
    """Refuse a buffer without room for one tile of some layer, in the words of the layer that needs the most."""
    missing = [(shape, need) for shape, need in needs if need.bytes > need.room]
    for key in dict.fromkeys(need.key for _, need in missing):
        shape, need = max(
            (entry for entry in missing if entry[1].key == key), key=lambda entry: entry[1].bytes
        )
        kB = -(-need.bytes // 1024)
        raise ConfigError(
            f"tpu.{key}: layer {shape.name!r} needs {kB:,} kB for {need.what}; found {need.room / 1024:,.10g} kB"
        )


def fold_channels(shape: LayerShape, depth: int) -> int:
    """Channels that a fold of the depth sees at most."""
    return min(shape.channels // shape.groups, -(-depth // shape.channel_depth) + 1)


def ifm_tile_bytes(shape: LayerShape, rows: int, channels: int) -> int:
    """Bytes of the ifm under so many output rows and channels."""
    return shape.bytes(shape.most_input_rows(rows) * channels * shape.width)


def most_rows(limit: int, shape: LayerShape, room: int, channels: int) -> int:
    """Output rows, up to a limit, whose ifm fits a room; 0 if not one."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if ifm_tile_bytes(shape, middle, channels) <= room else (low, middle - 1)
        )
    return low


def plans(shape: LayerShape, array: Array, resident: bool) -> Iterator[Plan]:
    """Every plan that fits, and the bytes it moves."""
    filters, depth = array.tile_filters(shape), array.tile_depth(shape)
    folds, group_blocks = -(-shape.depth // depth), -(-shape.group_filters // filters)
    blocks = group_blocks * shape.groups
    ofm_rows = array.ofm_bytes // 2 // shape.bytes(shape.out_width * filters)
    sum_rows = array.accumulator_bytes // (SUM_BYTES * shape.out_width * filters)
    chunk = min(
        shape.out_rows,
        ofm_rows,
        shape.out_rows if array.dataflow == "os" and folds == 1 else sum_rows,
    )
    weights, ifm, ofm = shape.weight_bytes, 0 if resident else shape.ifm_bytes, shape.ofm_bytes
    block_weights, half_weights = shape.bytes(filters * shape.depth), array.weight_bytes // 2

    def times(rows: int) -> int:
        return -(-shape.out_rows // rows)

    def size(rows: int, part: int) -> tuple[int, int]:
        most = max(1, array.weight_bytes // 4 // shape.bytes(filters * depth))
        return merged(
            shape, filters, depth, part, min(most, -(-blocks * folds * times(rows) // MOST_TILES))
        )

    def plan(
        name: str,
        moved: int,
        rows: int,
        kept: str,
        band: int = shape.out_rows,
        together: int = blocks,
        part: int = shape.depth,
    ) -> Plan:
        wide, deep = size(rows, part)
        kept_blocks = max(1, together * filters // wide)
        return Plan(
            name,
            wide,
            deep,
            rows,
            band,
            kept_blocks,
            part,
            keeps_ifm=name != "channels",
            weights_kept=kept,
            moved_bytes=moved,
        )

    def kept_pass(rows: int, room: int = block_weights) -> tuple[str, int]:
        """Whether weights are kept for the pass, and the times they are fetched."""
        return (
            ("pass", 1) if room <= half_weights or rows >= shape.out_rows else ("tile", times(rows))
        )

    if resident or shape.ifm_bytes <= array.ifm_bytes:
        kept, again = kept_pass(chunk)
        yield plan("ifm", ifm + weights * again + ofm, chunk, kept)
        return
    half_ifm = array.ifm_bytes // 2
    band = most_rows(shape.out_rows, shape, half_ifm, shape.channels)
    if band:
        rows = min(chunk, band)
        kept, again = (
            ("pass", 1)
            if weights <= half_weights
            else ("band", times(band))
            if block_weights <= half_weights
            else ("tile", times(rows))
        )
        yield plan("bands", ifm + weights * again + ofm, rows, kept, band)
        if block_weights <= half_weights:
            together = half_weights // block_weights
            yield plan(
                "weights",
                ifm * -(-group_blocks // together) + weights + ofm,
                rows,
                "pass",
                band,
                together,
            )
    rows = most_rows(chunk, shape, half_ifm, fold_channels(shape, depth))
    kept, again = kept_pass(rows)
    wide, deep = size(rows, shape.depth)
    seen = sum(
        -(-min(at + deep, shape.depth) // shape.channel_depth) - at // shape.channel_depth
        for at in range(0, shape.depth, deep)
    )
    run = ifm_tile_bytes(shape, rows, 1) + (
        LINE_BYTES if rows < shape.out_rows else 0
    )  # begins and ends within lines
    streamed = run * seen * -(-shape.group_filters // wide) * shape.groups * times(rows)
    yield plan("channels", streamed + weights * again + ofm, rows, kept)
    channels = half_ifm // shape.bytes(shape.images * shape.height * shape.width)
    part = (channels - 1) * shape.channel_depth // depth * depth
    if shape.groups == 1 and 0 < part < shape.depth:
        kept, again = kept_pass(chunk, shape.bytes(filters * part))
        yield plan(
            "sums",
            ifm + weights * again + ofm * (2 * -(-shape.depth // part) - 1),
            chunk,
            kept,
            part=part,
        )


def merged(
    shape: LayerShape, filters: int, depth: int, part: int, together: int
) -> tuple[int, int]:
    """(filters, depth) of a tile of so many folds: along the depth (or its part) first, then along the filters, or groups."""
    folds = -(-part // depth)
    if together < folds:
        return filters, min(part, depth * together)
    width = filters * max(1, together // folds)
    return (
        width // shape.group_filters * shape.group_filters if width > shape.group_filters else width
    ), part
