"""Read DarkNet's .cfg networks.

Shapes and padding follow DarkNet's own rules (`parser.c`, `*_layer.c`). Of AlexeyAB's extensions,
those that inference needs are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from edensim.exceptions import NetworkError, nearest
from edensim.networks.builder import NetworkBuilder, text
from edensim.networks.network import Network
from edensim.networks.readers.cfg import Section, read_sections
from edensim.networks.readers.darknet_keys import (
    ACTIVATED,
    ACTIVATIONS,
    ANYWHERE,
    FUNCTIONS,
    KEYS,
    REFUSED,
    SYNONYMS,
    UNSUPPORTED,
)


def read_darknet(
    path: Path,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
) -> Network:
    """Read the network of a .cfg file, for the given batch and the file's own size unless given.

    Layers are named by DarkNet's numbers: `000_convolutional`.
    """
    first, *rest = (resolved(section) for section in read_sections(path))
    if first.name != "net":
        raise first.refused("stands first; expected [net]")
    check_sections(rest, path)
    first.check_keys(KEYS["net"])
    reader = DarknetReader(path, first, batch, height, width, channels)
    for section in rest:
        reader.append(section)
    return reader.builder.build()


def resolved(section: Section) -> Section:
    """Rename a section that goes by another name."""
    return replace(section, name=SYNONYMS.get(section.name, section.name))


def check_sections(sections: list[Section], path: Path) -> None:
    """Refuse unknown sections, and all layers at once that cannot be simulated."""
    if not sections:
        raise NetworkError(f"{path}: has no layers below [net]")
    known = [*KEYS, *SYNONYMS]
    for section in sections:
        if section.name == "net":
            raise section.refused("stands a second time; expected layers")
        if section.name not in KEYS and section.name.lower() not in UNSUPPORTED:
            raise section.refused(
                f"unknown section{nearest(section.name, known)} (known: {', '.join(sorted(KEYS))})"
            )
    unsupported = [
        f"[{section.name}] on line {section.line}"
        for section in sections
        if section.name not in KEYS
    ]
    if unsupported:
        raise NetworkError(
            f"{path}: has layers that edensim cannot simulate: {', '.join(unsupported)}"
        )


@dataclass
class DarknetReader:
    """Adds the layers of sections to a network."""

    path: Path
    net: Section
    batch: int
    height: int | None
    width: int | None
    channels: int | None

    def __post_init__(self) -> None:
        name = self.path.stem
        self.outputs: list[str] = []
        inputs = self.net.integer("inputs", 0, least=0)
        image = [
            self.net.integer(key, 0, least=1) if given is None else given
            for key, given in (
                ("channels", self.channels),
                ("height", self.height),
                ("width", self.width),
            )
        ]
        if not all(image) and not inputs:
            missing = [
                key
                for key, extent in zip(("channels", "height", "width"), image, strict=True)
                if not extent
            ]
            raise self.net.refused(
                f"needs {', '.join(f'`{key}=...`' for key in missing)} (or `inputs=...`)"
            )
        self.builder = NetworkBuilder(
            name, (self.batch, *image) if all(image) else (self.batch, inputs)
        )
        self.previous = self.builder.input

    def append(self, section: Section) -> None:
        """Add the layer of a section, its normalization and its activation."""
        section.check_keys((*KEYS[section.name], *ANYWHERE))
        for key in REFUSED.get(section.name, ()):
            if section.integer(key, 0):
                raise section.refused("cannot be simulated", key)
        name = f"{len(self.outputs):03d}_{section.name}"
        read: Callable[[Section, str], str] = getattr(self, f"_{section.name}")
        try:
            output = read(section, name)
            if section.name in ACTIVATED:
                output = self._activated(section, name, output)
        except NetworkError as exception:
            message = str(exception)
            raise (
                exception
                if message.startswith(f"{section.file}:")
                else section.refused(message.removeprefix(f"{self.builder.name}: "))
            ) from None
        self.outputs.append(output)
        self.previous = output

    def _convolutional(self, section: Section, name: str) -> str:
        size = section.integer("size", 1, least=1)
        stride = section.integer("stride", 1, least=1)
        padding = size // 2 if section.integer("pad", 0) else section.integer("padding", 0, least=0)
        dilation = section.integer("dilation", 1, least=1) if size > 1 else 1
        shared = section.integers("share_index")
        normalized = bool(section.integer("batch_normalize", 0) or section.integer("cbn", 0))
        output = self.builder.convolution(
            name,
            self._image(section, name),
            section.integer("filters", 1, least=1),
            size,
            stride=(
                section.integer("stride_y", stride, least=1),
                section.integer("stride_x", stride, least=1),
            ),
            padding=padding * dilation,
            dilation=dilation,
            groups=section.integer("groups", 1, least=1),
            bias=not normalized,
            weights=self._shared(section, shared[0], normalized) if shared else None,
        )
        return self.builder.normalization(f"{name}.normalization", output) if normalized else output

    def _shared(self, section: Section, index: int, normalized: bool) -> tuple[str, ...]:
        """Name the weights of another convolution."""
        owner = self._layer_at(section, "share_index", index).removesuffix(".normalization")
        return (f"{owner}.weight",) if normalized else (f"{owner}.weight", f"{owner}.bias")

    def _connected(self, section: Section, name: str) -> str:
        source = self.previous
        if len(self.builder.shape(source)) > 2:
            source = self.builder.flatten(f"{name}.flatten", source)
        normalized = bool(section.integer("batch_normalize", 0))
        output = self.builder.linear(
            name, source, section.integer("output", 1, least=1), bias=not normalized
        )
        return self.builder.normalization(f"{name}.normalization", output) if normalized else output

    def _maxpool(self, section: Section, name: str, function: str = "max") -> str:
        stride = section.integer("stride", 1, least=1)
        strides = (
            section.integer("stride_y", stride, least=1),
            section.integer("stride_x", stride, least=1),
        )
        size = section.integer("size", stride, least=1)
        padding = section.integer("padding", size - 1, least=0)
        source = self._image(section, name)
        # `padding` is the sum of both sides; windows may reach further than the smaller half.
        before, sides = padding // 2, []
        for axis, step in enumerate(strides):
            extent = self.builder.shape(source)[2 + axis]
            if extent + padding < size:
                raise section.refused(
                    f"layer {name!r}: a window of {size} does not fit into {extent} "
                    f"with {padding} of padding: the input is too small"
                )
            sides.append((extent + padding - size) // step * step + size - before - extent)
        return self.builder.pooling(
            name,
            source,
            function,
            size,
            stride=strides,
            padding=(before, before, max(sides[0], 0), max(sides[1], 0)),
        )

    def _local_avgpool(self, section: Section, name: str) -> str:
        return self._maxpool(section, name, "average")

    def _avgpool(self, section: Section, name: str) -> str:
        return self.builder.adaptive_pooling(name, self._image(section, name), 1)

    def _route(self, section: Section, name: str) -> str:
        indices = section.integers("layers")
        if not indices:
            raise section.refused("needs `layers=...`")
        sources = [self._layer_at(section, "layers", index) for index in indices]
        groups, group = (
            section.integer("groups", 1, least=1),
            section.integer("group_id", 0, least=0),
        )
        if group >= groups:
            raise section.refused(
                f"found {group}; expected less than groups = {groups}", "group_id"
            )
        if groups > 1:
            sources = [
                self._part(section, f"{name}.part{at}", source, groups)
                for at, source in enumerate(sources)
            ]
        if len(sources) == 1:
            return self.builder.view(name, sources[0], self.builder.shape(sources[0]), "route")
        return self.builder.concatenation(name, sources)

    def _part(self, section: Section, name: str, source: str, groups: int) -> str:
        batch, channels, *size = self.builder.shape(source)
        if channels % groups:
            raise section.refused(
                f"does not divide the {channels} channels of {source!r}", "groups"
            )
        return self.builder.rearrangement(name, source, (batch, channels // groups, *size), "slice")

    def _shortcut(self, section: Section, name: str) -> str:
        others = section.integers("from")
        if not others:
            raise section.refused("needs `from=...`")
        kinds = ("none", "per_feature", "per_layer", "per_channel")
        if section.word("weights_type", "none", kinds) != "none":
            raise section.refused("weighted shortcuts cannot be simulated", "weights_type")
        sources = [self.previous, *(self._layer_at(section, "from", index) for index in others)]
        shape = self.builder.shape(self.previous)
        for source in sources[1:]:  # channels may differ: those that both have are added
            other = self.builder.shape(source)
            pairs = zip(shape[2:], other[2:], strict=False)
            if len(shape) != len(other) or any(a % b and b % a for a, b in pairs):
                raise section.refused(
                    f"adds {text(other)} ({source}) to {text(shape)} ({self.previous}); "
                    "expected sizes that are multiples",
                    "from",
                )
        return self.builder.addition(name, sources, shape=shape)

    def _upsample(self, section: Section, name: str) -> str:
        stride = section.integer("stride", 2)
        if stride < 0:
            return self.builder.pooling(name, self._image(section, name), "sum", -stride)
        return self.builder.upsampling(name, self._image(section, name), stride)

    def _reorg(self, section: Section, name: str) -> str:
        stride = section.integer("stride", 1, least=1)
        batch, channels, height, width = self.builder.shape(self._image(section, name))
        if section.integer("reverse", 0):
            if channels % stride**2:
                raise section.refused(
                    f"found {stride}; expected one whose square divides the {channels} channels",
                    "stride",
                )
            shape = (batch, channels // stride**2, height * stride, width * stride)
        elif height % stride or width % stride:
            raise section.refused(
                f"found {stride}; expected one that divides the input's {height}x{width}", "stride"
            )
        else:
            shape = (batch, channels * stride**2, height // stride, width // stride)
        return self.builder.rearrangement(name, self.previous, shape, "reorganization")

    def _yolo(self, section: Section, name: str) -> str:
        return self._boxes(section, name, coordinates=4)

    def _gaussian_yolo(self, section: Section, name: str) -> str:
        return self._boxes(section, name, coordinates=8)  # place and size have a variance each

    def _region(self, section: Section, name: str) -> str:
        return self._boxes(section, name, section.integer("coords", 4, least=1))

    def _boxes(self, section: Section, name: str, coordinates: int) -> str:
        anchors = len(section.integers("mask")) or section.integer("num", 1, least=1)
        expected = anchors * (section.integer("classes", 20, least=1) + coordinates + 1)
        source = self._image(section, name)
        channels = self.builder.shape(source)[1]
        if channels != expected:
            raise section.refused(
                f"reads {channels} channels ({source}); expected {expected}, "
                "from its classes and boxes"
            )
        return self.builder.detection(name, [source], section.name, anchors=anchors)

    def _detection(self, section: Section, name: str) -> str:
        side, boxes = section.integer("side", 7, least=1), section.integer("num", 1, least=1)
        expected = side**2 * (
            boxes * (1 + section.integer("coords", 1, least=1))
            + section.integer("classes", 1, least=1)
        )
        inputs = prod(self.builder.shape(self.previous)[1:])
        if inputs != expected:
            raise section.refused(
                f"reads {inputs} values; expected {expected}, from its side, classes and boxes"
            )
        return self.builder.detection(name, [self.previous], "detection", anchors=boxes)

    def _crop(self, section: Section, name: str) -> str:
        batch, channels, height, width = self.builder.shape(self._image(section, name))
        size = (
            section.integer("crop_height", 1, least=1),
            section.integer("crop_width", 1, least=1),
        )
        if size[0] > height or size[1] > width:
            raise section.refused(f"crops {size[0]}x{size[1]} out of {height}x{width}")
        return self.builder.rearrangement(name, self.previous, (batch, channels, *size), "crop")

    def _dropout(self, section: Section, name: str) -> str:
        return self.previous  # inference passes through

    _cost = _empty = _dropout

    def _function(self, section: Section, name: str) -> str:
        function = FUNCTIONS[section.name]
        return self.builder.elementwise(name, self.previous, function)

    _softmax = _logistic = _l2norm = _normalization = _function

    def _batchnorm(self, section: Section, name: str) -> str:
        return self.builder.normalization(name, self.previous)

    def _activation(self, section: Section, name: str) -> str:
        return self.builder.elementwise(
            name, self.previous, section.word("activation", "linear", ACTIVATIONS)
        )

    def _product(self, section: Section, name: str) -> str:
        others = section.integers("from")
        if len(others) != 1:
            raise section.refused("needs `from=...` with one layer")
        return self.builder.addition(
            name, [self._layer_at(section, "from", others[0]), self.previous], function="product"
        )

    _scale_channels = _sam = _product

    def _activated(self, section: Section, name: str, output: str) -> str:
        function = section.word("activation", ACTIVATED[section.name], ACTIVATIONS)
        return (
            output
            if function == "linear"
            else self.builder.elementwise(f"{name}.{function}", output, function)
        )

    def _image(self, section: Section, name: str) -> str:
        """Name the output of the layer before as an image; a connected layer writes one of 1x1."""
        shape = self.builder.shape(self.previous)
        if len(shape) == 2:
            if self.previous == self.builder.input:
                raise section.refused("needs an image; give [net] height, width and channels")
            self.previous = self.builder.view(
                f"{name}.image", self.previous, (*shape, 1, 1), "image"
            )
        return self.previous

    def _layer_at(self, section: Section, key: str, index: int) -> str:
        """Name the output of a layer by its number; negative numbers count back from here."""
        here = len(self.outputs)
        at = here + index if index < 0 else index
        if not 0 <= at < here:
            raise section.refused(
                f"found {index}; expected a layer before this one "
                f"(this is layer {here}: -{here} to -1, or 0 to {here - 1})",
                key,
            )
        return self.outputs[at]
