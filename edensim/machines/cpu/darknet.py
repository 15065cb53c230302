"""The loops that DarkNet (pjreddie, C, float) runs for a network: im2col and a plain matrix product, then a pass for every step.

What the program does at inference, layer by layer, its buffers included: before each layer the gradients' buffer is cleared; a convolution clears
its output, copies windows into the workspace (a 1x1 window is used in place), scales its output by one, multiplies (filters, then depth, then
positions innermost), copies its output where it normalizes, and passes over it for each of normalization, scale, bias and activation. Only the
product's loop over filters runs on several cores. Elements are 4-byte floats whatever the run's precision.

Against the program itself (every access through the same caches; the program compiled with calls before its loads and stores): read misses of the
last level and write-backs, ours to its, are 661,717 to 662,194 and 92,404 to 92,381 (yolov3-tiny at 96x96), 6,665,699 to 6,666,140 and 1,171,088 to
1,169,190 (at 256x256), 777,342 to 777,931 and 56,019 to 55,664 (resnet18 at 64x64), 1,664,434 to 1,665,824 and 264,450 to 264,694 (resnext50 at
64x64), 4,165,958 to 4,175,430 and 256,294 to 265,287 (alexnet at 227x227). What lacks is the program's own bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from edensim.kernels.sources.loop_nests.state import STORE, UPDATE
from edensim.machines.cpu.darknet_steps import Step, steps_of
from edensim.machines.cpu.loop_nests import Arena, LayerBuilder, Ref, region_table
from edensim.networks.network import Layer, Network, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edensim.engine.loop_nest_layer import LoopNestLayer

FLOAT = 4
#: Elements of a slice of a long loop, and from how many on it is long.
SLICE, LONG = 1024, 1 << 18

#: Instructions of one vector step (so many elements as a register holds) of loops that a compiler vectorizes.
PRODUCT, FILL, COPY, UPDATE_ONE, NORMALIZE = 5.0, 2.0, 3.0, 4.0, 5.0
#: Instructions of one element of loops that it does not (calls, bounds, switches), and of the turn of a loop around a row.
WINDOW, COMPARE, ACTIVATE, EXPONENTIAL, ROW = 12.0, 8.0, 8.0, 40.0, 4.0
EXPONENTIALS = frozenset(
    {
        "logistic",
        "loggy",
        "elu",
        "selu",
        "tanh",
        "softmax",
        "sigmoid",
        "swish",
        "mish",
        "gelu",
        "silu",
    }
)


@dataclass
class Buffers:
    """Addresses of a layer's blocks. `copy`: what normalization keeps of the output; `places`: of a pool's maxima."""

    output: int
    delta: int
    elements: int
    weights: int = 0
    biases: int = 0
    scales: int = 0
    means: int = 0
    variances: int = 0
    copy: int = 0
    places: int = 0


@dataclass
class DarknetLoops:
    """The program with its memory laid out."""

    network: Network
    vector_bits: int
    base: int = 0
    index: Mapping[str, int] = field(
        default_factory=dict
    )  # of each tensor that is to be counted by itself
    arena: Arena = field(init=False)

    def __post_init__(self) -> None:
        self.arena = Arena(self.base)
        self.lanes = self.vector_bits // (8 * FLOAT)
        self.steps = steps_of(self.network)
        self.address: dict[str, int] = {}
        self.buffers = [self._allocate(step) for step in self.steps]
        self.address[self.network.input] = self.arena.take(
            self.network.input, self._bytes(self.network.input)
        )
        for name in self.network.further_inputs:
            self.address[name] = self.arena.take(name, self._bytes(name))
        self._alias()
        self.workspace = self.arena.take(
            "", max([self._workspace_bytes(step.layer) for step in self.steps], default=0) or FLOAT
        )

    def layers(self) -> Iterator[LoopNestLayer]:
        """Nests of each DarkNet layer."""
        regions = region_table(self.arena.blocks, self.index)
        for step, buffers in zip(self.steps, self.buffers, strict=True):
            builder = LayerBuilder(step.layer.name, regions)
            self._fill(builder, buffers.delta, buffers.elements)
            self._forward(builder, step, buffers)
            yield builder.build()

    def _forward(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        operator = step.layer.operator
        if operator is Operator.CONVOLUTION:
            self._convolution(builder, step, buffers)
        elif operator is Operator.LINEAR:
            self._connected(builder, step, buffers)
        elif operator is Operator.POOLING and step.layer.function == "max":
            self._maxpool(builder, step.layer, buffers)
        elif operator is Operator.POOLING:
            self._average(builder, step.layer, buffers)
        elif operator is Operator.ADDITION:
            self._shortcut(builder, step, buffers)
        elif operator is Operator.UPSAMPLING:
            self._upsample(builder, step.layer, buffers)
        elif operator is Operator.DETECTION:
            self._detection(builder, step.layer, buffers)
        elif operator is Operator.ELEMENTWISE:
            self._elementwise(builder, step, buffers)
        else:  # routes, reorganizations and crops copy
            self._copies(builder, step.layer, buffers)

    # Memory.

    def _bytes(self, tensor: str) -> int:
        return self.network.tensors[tensor].elements * FLOAT

    def _shape(self, tensor: str) -> tuple[int, ...]:
        shape = self.network.tensors[tensor].shape
        return shape if len(shape) == 4 else (shape[0], prod(shape[1:]), 1, 1)

    def _workspace_bytes(self, layer: Layer) -> int:
        if layer.operator is not Operator.CONVOLUTION or layer.kernel == (1, 1):
            return 0
        _, _, height, width = self._shape(layer.output)
        weight = self.network.tensors[layer.weights[0]]
        return height * width * weight.elements // weight.shape[0] * FLOAT

    def _allocate(self, step: Step) -> Buffers:
        """Blocks of a layer, those that inference touches, in the order of the program's constructors."""
        layer, take = step.layer, self.arena.take
        elements = self.network.tensors[layer.output].elements
        filters = self._shape(layer.output)[1]
        weights = biases = scales = means = variances = copy = places = 0
        has_weights = layer.operator in (Operator.CONVOLUTION, Operator.LINEAR)
        if has_weights and layer.weights[0] in self.address:
            weights = self.address[layer.weights[0]]
        elif has_weights:
            weights = self.address[layer.weights[0]] = take(
                layer.weights[0], self._bytes(layer.weights[0])
            )
        norm = step.normalization.weights if step.normalization is not None else ()
        if has_weights or step.normalized:
            biases = take(f"{layer.name}.bias", filters * FLOAT)
        if layer.operator is Operator.POOLING and layer.function == "max":
            places = take("", elements * FLOAT)
        output = take(layer.output, elements * FLOAT)
        delta = take("", elements * FLOAT)
        if step.normalized:
            scales = take(norm[0] if norm else "", filters * FLOAT)
            means, variances = take("", filters * FLOAT), take("", filters * FLOAT)
            copy = take("", elements * FLOAT)
        self.address[layer.output] = self.address[step.output] = output
        return Buffers(
            output, delta, elements, weights, biases, scales, means, variances, copy, places
        )

    def _alias(self) -> None:
        """Views and absorbed layers lie where what they see lies."""
        for layer in self.network.layers:
            if layer.output not in self.address:
                self.address[layer.output] = self.address[layer.inputs[0]]

    # Passes.

    def _pass(self, builder: LayerBuilder, elements: int, refs: list[Ref], cost: float) -> None:
        """One loop over elements; a long one in slices, so that some can stand for all."""
        slices = elements // SLICE if elements >= LONG else 0
        if slices:
            cut = [replace(ref, strides=(SLICE * FLOAT,)) for ref in refs]
            self._rows(builder, slices, SLICE, cut, ROW, cost)
        if elements > slices * SLICE:
            rest = [replace(ref, base=ref.base + slices * SLICE * FLOAT) for ref in refs]
            builder.add((), elements - slices * SLICE, rest, row_cost=ROW, element_cost=cost)

    def _rows(
        self,
        builder: LayerBuilder,
        count: int,
        size: int,
        refs: list[Ref],
        row_cost: float,
        element_cost: float,
    ) -> None:
        """Rows that are alike."""
        nest = builder.add((count,), size, refs, row_cost=row_cost, element_cost=element_cost)
        builder.sampled(nest, [((count,), size, ref) for ref in refs if ref.step], [])

    def _fill(self, builder: LayerBuilder, address: int, elements: int) -> None:
        self._pass(builder, elements, [Ref(address, step=FLOAT, kind=STORE)], FILL / self.lanes)

    def _copy(self, builder: LayerBuilder, source: int, target: int, elements: int) -> None:
        self._pass(
            builder,
            elements,
            [Ref(source, step=FLOAT), Ref(target, step=FLOAT, kind=STORE)],
            COPY / self.lanes,
        )

    def _activate(self, builder: LayerBuilder, address: int, elements: int, function: str) -> None:
        cost = EXPONENTIAL if function in EXPONENTIALS else ACTIVATE
        self._pass(builder, elements, [Ref(address, step=FLOAT, kind=UPDATE)], cost)

    def _by_filter(
        self,
        builder: LayerBuilder,
        address: int,
        batch: int,
        filters: int,
        size: int,
        values: tuple[int, ...],
        cost: float,
    ) -> None:
        """A pass that takes values of each filter."""
        for image in range(batch):
            refs = [Ref(value, (FLOAT,)) for value in values]
            refs.append(
                Ref(address + image * filters * size * FLOAT, (size * FLOAT,), FLOAT, kind=UPDATE)
            )
            self._rows(builder, filters, size, refs, ROW, cost / self.lanes)

    def _finish(
        self,
        builder: LayerBuilder,
        step: Step,
        buffers: Buffers,
        batch: int,
        filters: int,
        size: int,
    ) -> None:
        """What follows a product: normalization or bias, then the activation (linear is one, too)."""
        if step.normalized:
            self._normalize(builder, buffers, batch, filters, size)
        else:
            self._by_filter(
                builder, buffers.output, batch, filters, size, (buffers.biases,), UPDATE_ONE
            )
        self._activate(builder, buffers.output, buffers.elements, step.activation)

    def _normalize(
        self, builder: LayerBuilder, buffers: Buffers, batch: int, filters: int, size: int
    ) -> None:
        self._copy(builder, buffers.output, buffers.copy, buffers.elements)
        self._by_filter(
            builder,
            buffers.output,
            batch,
            filters,
            size,
            (buffers.means, buffers.variances),
            NORMALIZE,
        )
        self._by_filter(
            builder, buffers.output, batch, filters, size, (buffers.scales,), UPDATE_ONE
        )
        self._by_filter(
            builder, buffers.output, batch, filters, size, (buffers.biases,), UPDATE_ONE
        )

    # Layers.

    def _convolution(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        layer = step.layer
        batch, channels, height, width = self._shape(layer.inputs[0])
        _, filters, out_height, out_width = self._shape(layer.output)
        rows, columns = filters // layer.groups, out_height * out_width
        depth = channels // layer.groups * layer.kernel[0] * layer.kernel[1]
        builder.macs = batch * layer.groups * rows * columns * depth
        self._fill(builder, buffers.output, buffers.elements)
        for image in range(batch):
            for group in range(layer.groups):
                part = image * layer.groups + group
                source = (
                    self.address[layer.inputs[0]]
                    + part * channels // layer.groups * height * width * FLOAT
                )
                target = buffers.output + part * rows * columns * FLOAT
                matrix = source
                if layer.kernel != (1, 1):
                    matrix = self.workspace
                    self._windows(
                        builder,
                        layer,
                        source,
                        channels // layer.groups,
                        height,
                        width,
                        out_height,
                        out_width,
                    )
                self._product(
                    builder,
                    buffers.weights + group * rows * depth * FLOAT,
                    matrix,
                    target,
                    rows,
                    columns,
                    depth,
                )
        self._finish(builder, step, buffers, batch, filters, columns)

    def _windows(
        self,
        builder: LayerBuilder,
        layer: Layer,
        source: int,
        channels: int,
        height: int,
        width: int,
        out_h: int,
        out_w: int,
    ) -> None:
        """im2col: one row of the workspace for each channel and place in the window."""
        kernel_h, kernel_w = layer.kernel
        stride_h, stride_w = layer.stride
        target = (
            kernel_h * kernel_w * out_h * out_w,
            kernel_w * out_h * out_w,
            out_h * out_w,
            out_w,
        )
        down, right = layer.dilation
        read = Ref(
            source + (-layer.padding[0] * width - layer.padding[1]) * FLOAT,
            (height * width * FLOAT, down * width * FLOAT, right * FLOAT, stride_h * width * FLOAT),
            stride_w * FLOAT,
            row=(-layer.padding[0], (0, down, 0, stride_h), height),
            column=(-layer.padding[1], (0, 0, right, 0), stride_w, width),
        )
        write = Ref(self.workspace, tuple(FLOAT * extent for extent in target), FLOAT, kind=STORE)
        nest = builder.add(
            (channels, kernel_h, kernel_w, out_h),
            out_w,
            [read, write],
            row_cost=ROW,
            element_cost=WINDOW,
        )
        image = Ref(source, (height * width * FLOAT,), FLOAT)
        builder.sampled(
            nest,
            [
                ((channels,), height * width, image),
                ((channels,), target[0], replace(write, strides=(target[0] * FLOAT,))),
            ],
            [],
        )

    def _product(
        self, builder: LayerBuilder, a: int, b: int, c: int, rows: int, columns: int, depth: int
    ) -> None:
        """gemm: C *= 1, then C[i, j] += A[i, k] * B[k, j]."""
        self._rows(
            builder,
            rows,
            columns,
            [Ref(c, (columns * FLOAT,), FLOAT, kind=UPDATE)],
            ROW,
            UPDATE_ONE / self.lanes,
        )
        own = Ref(c, (columns * FLOAT, 0), FLOAT, kind=UPDATE)
        other = Ref(b, (0, columns * FLOAT), FLOAT)
        factor = Ref(a, (depth * FLOAT, FLOAT))
        nest = builder.add(
            (rows, depth),
            columns,
            [factor, other, own],
            row_cost=ROW,
            element_cost=PRODUCT / self.lanes,
            parallel=True,
        )
        each = [
            ((rows,), depth, Ref(a, (depth * FLOAT,), FLOAT)),
            ((rows,), columns, Ref(c, (columns * FLOAT,), FLOAT, kind=UPDATE)),
        ]
        builder.sampled(nest, each, [((1,), depth * columns, Ref(b, (0,), FLOAT))], steps=depth)

    def _connected(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        layer = step.layer
        outputs, inputs = self.network.tensors[layer.weights[0]].shape
        batch = buffers.elements // outputs
        builder.macs = batch * inputs * outputs
        self._fill(builder, buffers.output, buffers.elements)
        self._pass(
            builder,
            buffers.elements,
            [Ref(buffers.output, step=FLOAT, kind=UPDATE)],
            UPDATE_ONE / self.lanes,
        )
        source = self.address[layer.inputs[0]]
        for image in range(
            batch
        ):  # a dot product for each output; the loop that several cores would share is over the batch
            refs = [
                Ref(source + image * inputs * FLOAT, (0,), FLOAT),
                Ref(buffers.weights, (inputs * FLOAT,), FLOAT),
                Ref(buffers.output + image * outputs * FLOAT, (FLOAT,), kind=UPDATE),
            ]
            builder.add((outputs,), inputs, refs, row_cost=ROW, element_cost=PRODUCT / self.lanes)
        self._finish(builder, step, buffers, batch, outputs, 1)

    def _maxpool(self, builder: LayerBuilder, layer: Layer, buffers: Buffers) -> None:
        batch, channels, height, width = self._shape(layer.inputs[0])
        _, _, out_h, out_w = self._shape(layer.output)
        top, left = layer.padding[0], layer.padding[1]
        source = self.address[layer.inputs[0]]
        strides = (height * width * FLOAT, layer.stride[0] * width * FLOAT)
        refs = [
            Ref(
                source + ((at - top) * width - left) * FLOAT,
                strides,
                layer.stride[1] * FLOAT,
                size=layer.kernel[1] * FLOAT,
                row=(at - top, (0, layer.stride[0]), height),
                column=(-left, (0, 0), layer.stride[1], width),
            )
            for at in range(min(layer.kernel[0], 9))
        ]
        target = (out_h * out_w * FLOAT, out_w * FLOAT)
        refs += [
            Ref(address, target, FLOAT, kind=STORE) for address in (buffers.output, buffers.places)
        ]
        builder.add(
            (batch * channels, out_h),
            out_w,
            refs,
            row_cost=ROW,
            element_cost=COMPARE * prod(layer.kernel) + ROW,
        )

    def _average(self, builder: LayerBuilder, layer: Layer, buffers: Buffers) -> None:
        batch, channels, height, width = self._shape(layer.inputs[0])
        _, _, out_h, out_w = self._shape(layer.output)
        source = self.address[layer.inputs[0]]
        window = Ref(
            source - (layer.padding[0] * width + layer.padding[1]) * FLOAT,
            (height * width * FLOAT, layer.stride[0] * width * FLOAT, width * FLOAT),
            layer.stride[1] * FLOAT,
            size=layer.kernel[1] * FLOAT,
            row=(-layer.padding[0], (0, layer.stride[0], 1), height),
        )
        target = Ref(buffers.output, (out_h * out_w * FLOAT, out_w * FLOAT), FLOAT, kind=UPDATE)
        cost = UPDATE_ONE * layer.kernel[1]
        builder.add(
            (batch * channels, out_h, layer.kernel[0]),
            out_w,
            [window, target],
            row_cost=ROW,
            element_cost=cost,
        )

    def _shortcut(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        """A copy of the layer before, then the sum with the other's elements; of another size, every so many."""
        layer = step.layer
        first, *others = layer.inputs
        self._copy(
            builder,
            self.address[first],
            buffers.output,
            min(buffers.elements, self.network.tensors[first].elements),
        )
        _, channels, height, width = self._shape(layer.output)
        batch = self._shape(layer.output)[0]
        for other in others:
            _, other_c, other_h, other_w = self._shape(other)
            stride, sample = max(1, other_w // width), max(1, width // other_w)
            loops = (batch, min(channels, other_c), min(height, other_h))
            read = tuple(
                FLOAT * extent
                for extent in (other_c * other_h * other_w, other_h * other_w, stride * other_w)
            )
            write = tuple(
                FLOAT * extent
                for extent in (channels * height * width, height * width, sample * width)
            )
            refs = [
                Ref(self.address[other], read, stride * FLOAT),
                Ref(buffers.output, write, sample * FLOAT, kind=UPDATE),
            ]
            builder.add(
                loops, min(width, other_w), refs, row_cost=ROW, element_cost=PRODUCT / self.lanes
            )
        self._activate(builder, buffers.output, buffers.elements, step.activation)

    def _upsample(self, builder: LayerBuilder, layer: Layer, buffers: Buffers) -> None:
        batch, channels, height, width = self._shape(layer.inputs[0])
        _, _, out_h, out_w = self._shape(layer.output)
        factor_h, factor_w = max(1, out_h // height), max(1, out_w // width)
        self._fill(builder, buffers.output, buffers.elements)
        read = Ref(self.address[layer.inputs[0]], (height * width * FLOAT, width * FLOAT, 0), FLOAT)
        row = out_w * FLOAT
        write = Ref(
            buffers.output,
            (out_h * row, factor_h * row, row),
            factor_w * FLOAT,
            size=factor_w * FLOAT,
            kind=STORE,
        )
        builder.add(
            (batch * channels, height, factor_h),
            width,
            [read, write],
            row_cost=ROW,
            element_cost=WINDOW * factor_w,
        )

    def _detection(self, builder: LayerBuilder, layer: Layer, buffers: Buffers) -> None:
        """A copy, then the logistic function on all but the sizes of the boxes."""
        batch, channels, height, width = self._shape(layer.output)
        place = height * width * FLOAT
        per_box = channels // layer.groups
        self._copy(builder, self.address[layer.inputs[0]], buffers.output, buffers.elements)
        for image in range(batch):
            for box in range(layer.groups):
                start = buffers.output + (image * channels + box * per_box) * place
                self._activate(builder, start, 2 * height * width, "logistic")
                self._activate(
                    builder, start + 4 * place, (per_box - 4) * height * width, "logistic"
                )

    def _elementwise(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        batch, channels, height, width = self._shape(step.layer.output)
        self._copy(builder, self.address[step.layer.inputs[0]], buffers.output, buffers.elements)
        if step.normalized:
            self._normalize(builder, buffers, batch, channels, height * width)
        if step.layer.function != "normalization":
            self._activate(builder, buffers.output, buffers.elements, step.layer.function)
        elif step.activation != "linear":
            self._activate(builder, buffers.output, buffers.elements, step.activation)

    def _copies(self, builder: LayerBuilder, layer: Layer, buffers: Buffers) -> None:
        """Inputs one behind the other, image by image."""
        batch = self.network.tensors[layer.output].shape[0]
        whole = buffers.elements // batch
        offset = 0
        for name in layer.inputs:
            size = min(self.network.tensors[name].elements // batch, whole - offset)
            for image in range(batch):
                source = (
                    self.address[name]
                    + image * (self.network.tensors[name].elements // batch) * FLOAT
                )
                self._copy(builder, source, buffers.output + (image * whole + offset) * FLOAT, size)
            offset += size
