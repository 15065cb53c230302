"""The loops that DarkNet (pjreddie, C, float) runs for a network.

They are what the program does at inference, layer by layer, with its buffers. Before each layer the
buffer of the gradients is cleared. A convolution clears its output, copies windows into the
workspace (im2col; a 1x1 window is used in place), scales its output by one and multiplies (loops
over filters, depth and, innermost, positions). It copies its output if it normalizes, and passes
over it for each of normalization, scale, bias and activation. Only the loop of the product over
filters runs on several cores. Elements are 4-byte floats whatever the precision of the run.

This was compared with the program itself, whose every access went through the same caches (it was
compiled with calls before its loads and stores). Read misses of the last level and write-backs,
this model's to the program's, are:

================  ======================  ======================
network           read misses             write-backs
================  ======================  ======================
yolov3-tiny, 96   661,717 to 662,194      92,404 to 92,381
yolov3-tiny, 256  6,665,699 to 6,666,140  1,171,088 to 1,169,190
resnet18, 64      777,342 to 777,931      56,019 to 55,664
resnext50, 64     1,664,434 to 1,665,824  264,450 to 264,694
alexnet, 227      4,165,958 to 4,175,430  256,294 to 265,287
================  ======================  ======================

What is missing is the program's own bookkeeping.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod

from edensim.engine.loop_nest_layer import LoopNestLayer
from edensim.kernels.sources.loop_nests.state import STORE, UPDATE
from edensim.machines.cpu.darknet_steps import Step, steps_of
from edensim.machines.cpu.loop_nests import Arena, LayerBuilder, Ref, image_shape, region_table
from edensim.networks.network import Layer, Network, Operator

#: Bytes of an element.
FLOAT = 4
#: Elements of a slice of a long loop, and the number of elements from which on a loop is long.
SLICE, LONG = 1024, 1 << 18

#: Instructions of one vector (as many elements as a register holds) in loops that a compiler
#: vectorizes.
PRODUCT, FILL, COPY, UPDATE_ONE, NORMALIZE = 5.0, 2.0, 3.0, 4.0, 5.0
#: Instructions of one element in loops that it does not vectorize (because of calls, bounds or
#: switches), and of a turn of the loop around a row.
WINDOW, COMPARE, ACTIVATE, EXPONENTIAL, ROW = 12.0, 8.0, 8.0, 40.0, 4.0
#: Activation functions that compute an exponential.
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
    """Addresses of the blocks of a layer, and the number of elements of its output.

    `copy` is the output as normalization saves it, `places` the places of the maxima of a pool.
    """

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
    """The program with its memory laid out.

    `index` holds the index of each tensor whose traffic is counted by itself.
    """

    network: Network
    vector_bits: int
    base: int = 0
    index: Mapping[str, int] = field(default_factory=dict)
    arena: Arena = field(init=False)

    def __post_init__(self) -> None:
        """Take memory in the order in which the program does."""
        self.arena = Arena(self.base)
        self.lanes = self.vector_bits // (8 * FLOAT)
        self.steps = steps_of(self.network)
        self.address: dict[str, int] = {}
        self.buffers = [self._allocate(step) for step in self.steps]
        for name in (self.network.input, *self.network.further_inputs):
            self.address[name] = self.arena.take(name, self._bytes(name))
        self._alias()
        self.workspace = self.arena.take(
            "", max([self._workspace_bytes(step.layer) for step in self.steps], default=0) or FLOAT
        )

    def layers(self) -> Iterator[LoopNestLayer]:
        """Yield what each DarkNet layer runs, in order."""
        regions = region_table(self.arena.blocks, self.index)
        for step, buffers in zip(self.steps, self.buffers, strict=True):
            builder = LayerBuilder(step.layer.name, regions)
            self._fill(builder, buffers.delta, buffers.elements)
            self._forward(builder, step, buffers)
            yield builder.build()

    def _forward(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        operator, function = step.layer.operator, step.layer.function
        run = {
            Operator.CONVOLUTION: self._convolution,
            Operator.LINEAR: self._connected,
            Operator.POOLING: self._maxpool if function == "max" else self._average,
            Operator.ADDITION: self._shortcut,
            Operator.UPSAMPLING: self._upsample,
            Operator.DETECTION: self._detection,
            Operator.ELEMENTWISE: self._elementwise,
        }.get(operator, self._copies)  # routes, reorganizations and crops copy
        run(builder, step, buffers)

    # Memory.

    def _bytes(self, tensor: str) -> int:
        return self.network.tensors[tensor].elements * FLOAT

    def _shape(self, tensor: str) -> tuple[int, int, int, int]:
        return image_shape(self.network.tensors[tensor].shape)

    def _workspace_bytes(self, layer: Layer) -> int:
        if layer.operator is not Operator.CONVOLUTION or layer.kernel == (1, 1):
            return 0
        _, _, height, width = self._shape(layer.output)
        weight = self.network.tensors[layer.weights[0]]
        return height * width * weight.elements // weight.shape[0] * FLOAT

    def _allocate(self, step: Step) -> Buffers:
        """Take the blocks of a layer that inference touches, in the order of its constructor."""
        layer, take = step.layer, self.arena.take
        elements = self.network.tensors[layer.output].elements
        filters = self._shape(layer.output)[1]
        weights = biases = scales = means = variances = copy = places = 0
        if layer.is_product:
            name = layer.weights[0]
            if name not in self.address:
                self.address[name] = take(name, self._bytes(name))
            weights = self.address[name]
        if layer.is_product or step.normalization:
            biases = take(f"{layer.name}.bias", filters * FLOAT)
        if layer.operator is Operator.POOLING and layer.function == "max":
            places = take("", elements * FLOAT)
        output = take(layer.output, elements * FLOAT)
        delta = take("", elements * FLOAT)
        if step.normalization:
            scales = take(next(iter(step.normalization.weights), ""), filters * FLOAT)
            means, variances = take("", filters * FLOAT), take("", filters * FLOAT)
            copy = take("", elements * FLOAT)
        self.address[layer.output] = self.address[step.output] = output
        return Buffers(
            output, delta, elements, weights, biases, scales, means, variances, copy, places
        )

    def _alias(self) -> None:
        """Put views and absorbed layers where the data that they see lie."""
        for layer in self.network.layers:
            if layer.output not in self.address:
                self.address[layer.output] = self.address[layer.inputs[0]]

    # Passes.

    def _pass(self, builder: LayerBuilder, elements: int, refs: list[Ref], cost: float) -> None:
        """Add one loop over elements; a long one in slices, so that some can stand for all."""
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
        """Add rows that are alike."""
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
        shape: tuple[int, int, int],
        values: tuple[int, ...],
        cost: float,
    ) -> None:
        """Add a pass over features (batch, filters, size) that takes some values of each filter."""
        batch, filters, size = shape
        for image in range(batch):
            refs = [Ref(value, (FLOAT,)) for value in values]
            refs.append(
                Ref(address + image * filters * size * FLOAT, (size * FLOAT,), FLOAT, kind=UPDATE)
            )
            self._rows(builder, filters, size, refs, ROW, cost / self.lanes)

    def _finish(
        self, builder: LayerBuilder, step: Step, buffers: Buffers, shape: tuple[int, int, int]
    ) -> None:
        """Add what follows a product: normalization or bias, then the (maybe linear) activation."""
        if step.normalization:
            self._normalize(builder, buffers, shape)
        else:
            self._by_filter(builder, buffers.output, shape, (buffers.biases,), UPDATE_ONE)
        self._activate(builder, buffers.output, buffers.elements, step.activation)

    def _normalize(
        self, builder: LayerBuilder, buffers: Buffers, shape: tuple[int, int, int]
    ) -> None:
        self._copy(builder, buffers.output, buffers.copy, buffers.elements)
        for values, cost in (
            ((buffers.means, buffers.variances), NORMALIZE),
            ((buffers.scales,), UPDATE_ONE),
            ((buffers.biases,), UPDATE_ONE),
        ):
            self._by_filter(builder, buffers.output, shape, values, cost)

    # Layers.

    def _convolution(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        layer = step.layer
        gemm = self.network.gemm(layer)
        assert gemm is not None
        batch, channels, height, width = self._shape(layer.inputs[0])
        filters = self._shape(layer.output)[1]
        rows, depth, columns = gemm.rows, gemm.depth, gemm.columns // batch
        builder.macs = gemm.macs
        self._fill(builder, buffers.output, buffers.elements)
        for part in range(batch * layer.groups):
            offset = part * channels // layer.groups * height * width * FLOAT
            matrix = self.address[layer.inputs[0]] + offset
            if layer.kernel != (1, 1):
                self._windows(builder, layer, matrix)
                matrix = self.workspace
            weights = buffers.weights + part % layer.groups * rows * depth * FLOAT
            target = buffers.output + part * rows * columns * FLOAT
            self._product(builder, (weights, matrix, target), rows, columns, depth)
        self._finish(builder, step, buffers, (batch, filters, columns))

    def _windows(self, builder: LayerBuilder, layer: Layer, source: int) -> None:
        """Add im2col: one row of the workspace for each channel and place in the window."""
        _, channels, height, width = self._shape(layer.inputs[0])
        _, _, out_h, out_w = self._shape(layer.output)
        (kernel_h, kernel_w), (stride_h, stride_w) = layer.kernel, layer.stride
        loops = (channels // layer.groups, kernel_h, kernel_w, out_h)
        row = out_w * FLOAT
        target = (kernel_h * kernel_w * out_h * row, kernel_w * out_h * row, out_h * row, row)
        down, right = layer.dilation
        read = Ref(
            source + (-layer.padding[0] * width - layer.padding[1]) * FLOAT,
            (height * width * FLOAT, down * width * FLOAT, right * FLOAT, stride_h * width * FLOAT),
            stride_w * FLOAT,
            row=(-layer.padding[0], (0, down, 0, stride_h), height),
            column=(-layer.padding[1], (0, 0, right, 0), stride_w, width),
        )
        write = Ref(self.workspace, target, FLOAT, kind=STORE)
        nest = builder.add(loops, out_w, [read, write], row_cost=ROW, element_cost=WINDOW)
        image = Ref(source, (height * width * FLOAT,), FLOAT)
        each = [
            (loops[:1], height * width, image),
            (loops[:1], target[0] // FLOAT, replace(write, strides=target[:1])),
        ]
        builder.sampled(nest, each, [])

    def _product(
        self,
        builder: LayerBuilder,
        addresses: tuple[int, int, int],
        rows: int,
        columns: int,
        depth: int,
    ) -> None:
        """Add DarkNet's gemm: C *= 1, then C[i, j] += A[i, k] * B[k, j]."""
        a, b, c = addresses
        target = Ref(c, (columns * FLOAT,), FLOAT, kind=UPDATE)
        self._rows(builder, rows, columns, [target], ROW, UPDATE_ONE / self.lanes)
        refs = [
            Ref(a, (depth * FLOAT, FLOAT)),
            Ref(b, (0, columns * FLOAT), FLOAT),
            replace(target, strides=(columns * FLOAT, 0)),
        ]
        nest = builder.add(
            (rows, depth),
            columns,
            refs,
            row_cost=ROW,
            element_cost=PRODUCT / self.lanes,
            parallel=True,
        )
        each = [
            ((rows,), depth, Ref(a, (depth * FLOAT,), FLOAT)),
            ((rows,), columns, target),
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
        # A dot product for each output; the loop that cores would share is over the batch.
        for image in range(batch):
            refs = [
                Ref(source + image * inputs * FLOAT, (0,), FLOAT),
                Ref(buffers.weights, (inputs * FLOAT,), FLOAT),
                Ref(buffers.output + image * outputs * FLOAT, (FLOAT,), kind=UPDATE),
            ]
            builder.add((outputs,), inputs, refs, row_cost=ROW, element_cost=PRODUCT / self.lanes)
        self._finish(builder, step, buffers, (batch, outputs, 1))

    def _maxpool(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        layer = step.layer
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

    def _average(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        layer = step.layer
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
        """Add a copy of the first input, then the sum with the elements of the others.

        Of an input of another size, every so many elements are taken.
        """
        layer = step.layer
        first, *others = layer.inputs
        self._copy(
            builder,
            self.address[first],
            buffers.output,
            min(buffers.elements, self.network.tensors[first].elements),
        )
        batch, channels, height, width = self._shape(layer.output)
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

    def _upsample(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        layer = step.layer
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

    def _detection(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        """Add a copy, then the logistic function on all but the sizes of the boxes."""
        layer = step.layer
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
        if step.normalization:
            self._normalize(builder, buffers, (batch, channels, height * width))
        if step.layer.function != "normalization":
            self._activate(builder, buffers.output, buffers.elements, step.layer.function)
        elif step.activation != "linear":
            self._activate(builder, buffers.output, buffers.elements, step.activation)

    def _copies(self, builder: LayerBuilder, step: Step, buffers: Buffers) -> None:
        """Copy inputs one behind the other, image by image."""
        layer = step.layer
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
