"""How a layer is cut into tiles for a systolic array with three on-chip buffers.

A tile is a block of filters, a fold of the depth (the products summed for an output) and some
output rows (of all images, one behind the other). The sums of a tile stay in the accumulators until
the depth is through. Of the plans that fit the buffers, the one that moves the fewest bytes is
taken. They differ in the outermost loop, and so in what stays on the chip and what comes again:

- `ifm`: the ifm fits. Filters are outermost; ifm, weights and ofm move once (the weights once for
  each tile of rows if not even a block of filters fits).
- `bands`: rows are outermost and the ifm moves once; the weights come again for each band, unless
  all of them fit.
- `weights`: as many filters as fit are outermost and the weights move once; the ifm comes again for
  each such part of the filters.
- `channels`: as `ifm`, but no ifm stays: it comes again for each block of filters.
- `sums`: parts of the depth are outermost; ifm and weights move once, but unfinished sums go to
  DRAM (where the ofm will be, at its precision) and come back.

Half of each buffer is worked on while the other half fills or drains.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from edensim.config.models import TpuConfig
from edensim.exceptions import ConfigError
from edensim.machines.systolic.scalesim import fold_product
from edensim.networks.network import Layer, Network, Operator

#: Tiles of a layer, about: on an array that is small beside it, a tile takes several folds.
MOST_TILES = 2048
#: Bytes of a line, at whose borders tiles meet; a multiple of what any standard moves at once.
LINE_BYTES = 64
#: Bytes of a sum in the accumulators.
SUM_BYTES = 4


@dataclass(frozen=True)
class LayerShape:
    """A convolution, or a linear layer as a convolution of images of one element.

    `depth` is the number of products summed for an output, `padding` the number of rows above the
    ifm.
    """

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
        """Number of output rows of all images."""
        return self.images * self.out_height

    @property
    def group_filters(self) -> int:
        """Number of filters of a group."""
        return self.filters // self.groups

    @property
    def channel_depth(self) -> int:
        """Number of products that one channel contributes to an output."""
        return self.depth * self.groups // self.channels

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights, without the bias."""
        return self.bytes(self.depth * self.filters)

    @property
    def ifm_bytes(self) -> int:
        """Bytes of the whole ifm."""
        return self.bytes(self.images * self.channels * self.height * self.width)

    @property
    def ofm_bytes(self) -> int:
        """Bytes of the whole ofm."""
        return self.bytes(self.out_rows * self.filters * self.out_width)

    @property
    def macs(self) -> int:
        """Number of multiply-accumulates."""
        return self.out_rows * self.out_width * self.filters * self.depth

    def bytes(self, elements: int) -> int:
        """Return the bytes of packed elements."""
        return -(-elements * self.bits // 8)

    def input_rows(self, first: int, end: int) -> tuple[int, int]:
        """Return the range of input rows that a range of output rows needs.

        Both are counted over all images.
        """
        image, row = divmod(first, self.out_height)
        last_image, last_row = divmod(end - 1, self.out_height)
        low = max(0, min(self.height, row * self.stride - self.padding))
        high = last_row * self.stride - self.padding + (self.kernel_height - 1) * self.dilation + 1
        return image * self.height + low, last_image * self.height + max(0, min(self.height, high))

    def most_input_rows(self, rows: int) -> int:
        """Return how many input rows so many output rows need at most."""
        window = (self.kernel_height - 1) * self.dilation + 1
        return min(
            self.images * self.height,
            (rows - 1) * self.stride + window
            if rows <= self.out_height
            else rows * self.stride + window,
        )


def layer_shape(network: Network, layer: Layer, bits: int) -> LayerShape:
    """Return the shape of a layer that is a matrix product."""
    gemm = network.gemm(layer)
    assert gemm is not None
    ifm, ofm = network.ifm(layer), network.tensors[layer.output]
    filters = gemm.rows * gemm.groups
    images, channels, height = ifm.elements // gemm.depth, gemm.depth, 1
    out_height, kernel, stride, dilation, padding = 1, 1, 1, 1, 0
    if layer.operator is Operator.CONVOLUTION and len(ifm.shape) > 2 and len(ofm.shape) > 2:
        images, channels, height = ifm.shape[:3]
        out_height, kernel, stride = ofm.shape[2], layer.kernel[0], layer.stride[0]
        dilation, padding = layer.dilation[0], layer.padding[0]
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

    Attributes
    ----------
    block_filters, fold_depth : int
        Size of the weights of a tile.
    chunk_rows, band_rows : int
        Output rows of a tile, and output rows that stay together.
    band_blocks : int
        Blocks of filters whose weights stay together.
    part_depth : int
        Depth after which sums leave the chip.
    keeps_ifm : bool
        Whether an input row is fetched once for each pass over the rows.
    weights_stay : str
        How long weights stay: for the whole "pass" over the rows, for a "band" or for a "tile".
    moved_bytes : int
        Bytes to and from DRAM, sums included.
    """

    name: str
    block_filters: int
    fold_depth: int
    chunk_rows: int
    band_rows: int
    band_blocks: int
    part_depth: int
    keeps_ifm: bool
    weights_stay: str
    moved_bytes: int


@dataclass(frozen=True)
class Array:
    """What planning needs to know of a machine: the array's size and dataflow, and its buffers.

    If the array is `overlapped`, a fold shifts in what stays while the fold before it computes;
    otherwise a fold takes all the cycles that SCALE-Sim counts.
    """

    rows: int
    columns: int
    dataflow: str
    ifm_bytes: int
    weight_bytes: int
    ofm_bytes: int
    accumulator_bytes: int
    overlapped: bool

    def cycles(self, positions: int, filters: int, depth: int) -> int:
        """Return the cycles of a tile: for each fold, the longer of streaming and shifting in."""
        fold = fold_product(positions, depth, filters, self.rows, self.columns, self.dataflow)
        per_fold = max(fold.time, self.rows) if self.overlapped else fold.cycles
        return fold.folds * per_fold

    def tile_filters(self, shape: LayerShape) -> int:
        """Return the filters of a block.

        A block is as wide as the array. If the filters stream, it is as wide as the sums of one row
        and a quarter of the weight buffer allow.
        """
        if self.dataflow != "is":
            return min(shape.group_filters, self.columns)
        sums = self.accumulator_bytes // (SUM_BYTES * max(self.columns, shape.out_width))
        weights = self.weight_bytes // 4 // shape.bytes(min(shape.depth, self.rows))
        outputs = self.ofm_bytes // 2 // shape.bytes(shape.out_width)
        return max(1, min(shape.group_filters, sums, weights, outputs))

    def tile_depth(self, shape: LayerShape) -> int:
        """Return the depth of a fold.

        A fold is as deep as the array is high. If the depth streams, it is as deep as an eighth of
        the weight buffer allows.
        """
        if self.dataflow != "os":
            return min(shape.depth, self.rows)
        streamed = self.weight_bytes // 8 // shape.bytes(min(shape.group_filters, self.columns))
        return min(shape.depth, max(1, streamed // self.rows) * self.rows)


def array_of(config: TpuConfig) -> Array:
    """Return the array of a configuration.

    Features that stay on the chip take half of the feature buffers.
    """
    share = 2 if config.keep_features else 1
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
    """Return the plan that moves the fewest bytes, for a layer whose tiles fit.

    If the ifm is `resident`, it is on the chip already.
    """
    return min(Planner(shape, array, resident).plans(), key=lambda plan: plan.moved_bytes)


@dataclass(frozen=True)
class Need:
    """What a layer needs of a buffer for one tile.

    `key` is the configuration key of the buffer's size, `room` its bytes; `what` takes the `bytes`.
    """

    key: str
    room: int
    bytes: int
    what: str


def tile_needs(shape: LayerShape, array: Array, *, resident: bool = False) -> list[Need]:
    """List what one tile, and the next tile beside it, take of each buffer."""
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
    """Raise ConfigError if a buffer has no room for one tile of some layer.

    The message names the layer that needs the most.
    """
    missing = [(shape, need) for shape, need in needs if need.bytes > need.room]
    if missing:
        key = missing[0][1].key
        shape, need = max(
            (entry for entry in missing if entry[1].key == key), key=lambda entry: entry[1].bytes
        )
        raise ConfigError(
            f"tpu.{key}: layer {shape.name!r} needs {-(-need.bytes // 1024):,} kB for {need.what}; "
            f"found {need.room / 1024:,.10g} kB"
        )


def fold_channels(shape: LayerShape, depth: int) -> int:
    """Return how many channels a fold of some depth sees at most."""
    return min(shape.channels // shape.groups, -(-depth // shape.channel_depth) + 1)


def ifm_tile_bytes(shape: LayerShape, rows: int, channels: int) -> int:
    """Return the bytes of the ifm under so many output rows and channels."""
    return shape.bytes(shape.most_input_rows(rows) * channels * shape.width)


def most_rows(limit: int, shape: LayerShape, room: int, channels: int) -> int:
    """Return how many output rows, up to a limit, have an ifm that fits a room; 0 if none has."""
    return bisect_right(
        range(1, limit + 1), room, key=lambda rows: ifm_tile_bytes(shape, rows, channels)
    )


@dataclass(frozen=True)
class Planner:
    """Finds the plans of a layer on an array; if the ifm is `resident`, it is on the chip."""

    shape: LayerShape
    array: Array
    resident: bool

    @cached_property
    def filters(self) -> int:
        """Filters of a block of one fold."""
        return self.array.tile_filters(self.shape)

    @cached_property
    def depth(self) -> int:
        """Depth of one fold."""
        return self.array.tile_depth(self.shape)

    @property
    def group_blocks(self) -> int:
        """Blocks of filters of a group."""
        return -(-self.shape.group_filters // self.filters)

    @property
    def half_weights(self) -> int:
        """Bytes of half of the weight buffer."""
        return self.array.weight_bytes // 2

    @property
    def block_weights(self) -> int:
        """Bytes of the weights of a block of filters."""
        return self.shape.bytes(self.filters * self.shape.depth)

    def plans(self) -> Iterator[Plan]:
        """Yield every plan that fits, with the bytes that it moves."""
        shape, array = self.shape, self.array
        ofm_rows = array.ofm_bytes // 2 // shape.bytes(shape.out_width * self.filters)
        chunk = min(shape.out_rows, ofm_rows)
        if array.dataflow != "os" or self.depth < shape.depth:
            row_bytes = SUM_BYTES * shape.out_width * self.filters
            chunk = min(chunk, array.accumulator_bytes // row_bytes)
        if self.resident or shape.ifm_bytes <= array.ifm_bytes:
            stay, times = self._stay_for_pass(chunk)
            ifm = 0 if self.resident else shape.ifm_bytes
            yield self._plan("ifm", ifm + shape.weight_bytes * times, chunk, stay)
            return
        yield from self._band_plans(chunk)
        yield self._channel_plan(chunk)
        half_ifm = array.ifm_bytes // 2
        channels = half_ifm // shape.bytes(shape.images * shape.height * shape.width)
        part = (channels - 1) * shape.channel_depth // self.depth * self.depth
        if shape.groups == 1 and 0 < part < shape.depth:
            stay, times = self._stay_for_pass(chunk, shape.bytes(self.filters * part))
            sums = 2 * (-(-shape.depth // part) - 1) * shape.ofm_bytes
            moved = shape.ifm_bytes + shape.weight_bytes * times + sums
            yield self._plan("sums", moved, chunk, stay, part=part)

    def _band_plans(self, chunk: int) -> Iterator[Plan]:
        """Yield the plans that keep the ifm of a band of rows, if half of the buffer holds one."""
        shape = self.shape
        band = most_rows(shape.out_rows, shape, self.array.ifm_bytes // 2, shape.channels)
        if not band:
            return
        rows = min(chunk, band)
        stay, times = "tile", self._times(rows)
        if shape.weight_bytes <= self.half_weights:
            stay, times = "pass", 1
        elif self.block_weights <= self.half_weights:
            stay, times = "band", self._times(band)
        yield self._plan(
            "bands", shape.ifm_bytes + shape.weight_bytes * times, rows, stay, band=band
        )
        if self.block_weights <= self.half_weights:
            together = self.half_weights // self.block_weights
            moved = shape.ifm_bytes * -(-self.group_blocks // together) + shape.weight_bytes
            yield self._plan("weights", moved, rows, "pass", band=band, together=together)

    def _channel_plan(self, chunk: int) -> Plan:
        """Return the plan that keeps no ifm."""
        shape = self.shape
        channels = fold_channels(shape, self.depth)
        rows = most_rows(chunk, shape, self.array.ifm_bytes // 2, channels)
        stay, times = self._stay_for_pass(rows)
        wide, deep = self._tile_size(rows, shape.depth)
        seen = sum(
            -(-min(at + deep, shape.depth) // shape.channel_depth) - at // shape.channel_depth
            for at in range(0, shape.depth, deep)
        )
        run = ifm_tile_bytes(shape, rows, 1)
        if rows < shape.out_rows:
            run += LINE_BYTES  # a run begins and ends within lines
        fetches = -(-shape.group_filters // wide) * shape.groups * self._times(rows)
        moved = run * seen * fetches + shape.weight_bytes * times
        return self._plan("channels", moved, rows, stay)

    def _plan(
        self,
        name: str,
        moved_bytes: int,
        rows: int,
        stay: str,
        *,
        band: int | None = None,
        together: int | None = None,
        part: int | None = None,
    ) -> Plan:
        """Make a plan; `moved_bytes` does not include writing the ofm once."""
        shape = self.shape
        part = part or shape.depth
        wide, deep = self._tile_size(rows, part)
        together = together or self.group_blocks * shape.groups
        return Plan(
            name,
            wide,
            deep,
            rows,
            band or shape.out_rows,
            max(1, together * self.filters // wide),
            part,
            keeps_ifm=name != "channels",
            weights_stay=stay,
            moved_bytes=moved_bytes + shape.ofm_bytes,
        )

    def _times(self, rows: int) -> int:
        """Return how many chunks of so many output rows there are."""
        return -(-self.shape.out_rows // rows)

    def _stay_for_pass(self, rows: int, needed_bytes: int | None = None) -> tuple[str, int]:
        """Say whether weights stay for a pass over the rows, and how often they are fetched."""
        fits = (needed_bytes or self.block_weights) <= self.half_weights
        return ("pass", 1) if fits or rows >= self.shape.out_rows else ("tile", self._times(rows))

    def _tile_size(self, rows: int, part: int) -> tuple[int, int]:
        """Return the filters and the depth of a tile of as many folds as keep tiles few.

        Folds are joined along the depth (or a part of it) first, then along filters and groups.
        """
        shape, filters, depth = self.shape, self.filters, self.depth
        folds = -(-shape.depth // depth) * self.group_blocks * shape.groups * self._times(rows)
        most = max(1, self.array.weight_bytes // 4 // shape.bytes(filters * depth))
        together = min(most, -(-folds // MOST_TILES))
        part_folds = -(-part // depth)
        if together < part_folds:
            return filters, min(part, depth * together)
        width = filters * max(1, together // part_folds)
        if width > shape.group_filters:
            width = width // shape.group_filters * shape.group_filters
        return width, part
