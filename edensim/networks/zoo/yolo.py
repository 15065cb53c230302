"""Describe YOLO v3 and v3-tiny as DarkNet has them.

Layers are numbered and named as the reader of .cfg files does it.
"""

from __future__ import annotations

from edensim.networks.builder import NetworkBuilder

#: Boxes that each head predicts at each place.
ANCHORS = 3


class DarknetLayers:
    """Stacks layers as DarkNet does: each reads the one before it, others are named by number.

    All convolutions but those of the heads have `width_share` of their filters.
    """

    def __init__(self, net: NetworkBuilder, classes: int, width_share: float = 1.0) -> None:
        self.net = net
        self.width_share = width_share
        self.classes = classes
        self.outputs: list[str] = []

    @property
    def previous(self) -> str:
        """Name the output of the layer before."""
        return self.outputs[-1] if self.outputs else self.net.input

    def convolution(self, filters: int, kernel: int, stride: int = 1) -> None:
        """Add a convolution with normalization and leaky activation; its padding keeps the size."""
        filters = max(1, round(filters * self.width_share))
        name = self._name("convolutional")
        at = self.net.convolution(
            name, self.previous, filters, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        at = self.net.normalization(f"{name}.normalization", at)
        self.outputs.append(self.net.elementwise(f"{name}.leaky", at, "leaky"))

    def pooling(self, stride: int) -> None:
        """Add the maximum of 2x2.

        With a stride of 1 the size stays: windows reach over the lower and the right edge. With a
        stride of 2 they do so if the size is odd.
        """
        odd = [1 if stride == 1 else extent % 2 for extent in self.net.shape(self.previous)[2:]]
        self.outputs.append(
            self.net.pooling(
                self._name("maxpool"),
                self.previous,
                "max",
                2,
                stride=stride,
                padding=(0, 0, odd[0], odd[1]),
            )
        )

    def shortcut(self) -> None:
        """Add the sum with the ofm of two convolutions ago."""
        name = self._name("shortcut")
        self.outputs.append(self.net.addition(name, (self.outputs[-1], self.outputs[-3])))

    def route(self, *layers: int) -> None:
        """Add the outputs of other layers one behind the other; negative numbers count back."""
        name = self._name("route")
        sources = [self.outputs[layer] for layer in layers]
        if len(sources) == 1:
            self.outputs.append(
                self.net.view(name, sources[0], self.net.shape(sources[0]), "route")
            )
        else:
            self.outputs.append(self.net.concatenation(name, sources))

    def upsampling(self) -> None:
        """Add an enlargement to twice the size."""
        self.outputs.append(self.net.upsampling(self._name("upsample"), self.previous, 2))

    def detection(self) -> None:
        """Add a head: for each box its place, size, confidence and classes."""
        self.outputs.append(
            self.net.convolution(
                self._name("convolutional"), self.previous, ANCHORS * (self.classes + 5), 1
            )
        )
        self.outputs.append(
            self.net.detection(self._name("yolo"), [self.previous], "yolo", anchors=ANCHORS)
        )

    def _name(self, section: str) -> str:
        return f"{len(self.outputs):03d}_{section}"


def yolov3(net: NetworkBuilder, classes: int) -> None:
    """Add DarkNet-53 without its classifier, and three heads, each finer than the one before."""
    layers = DarknetLayers(net, classes)
    layers.convolution(32, 3)
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        layers.convolution(filters, 3, stride=2)
        for _ in range(blocks):
            layers.convolution(filters // 2, 1)
            layers.convolution(filters, 3)
            layers.shortcut()
    for filters, finer in ((512, 61), (256, 36), (128, None)):
        for _ in range(3):
            layers.convolution(filters, 1)
            layers.convolution(2 * filters, 3)
        layers.detection()
        if finer is not None:
            layers.route(-4)
            layers.convolution(filters // 2, 1)
            layers.upsampling()
            layers.route(-1, finer)


def yolov3_tiny(net: NetworkBuilder, classes: int, *, width_share: float = 1.0) -> None:
    """Add seven convolutions with pooling between them, and two heads."""
    layers = DarknetLayers(net, classes, width_share)
    for filters in (16, 32, 64, 128, 256, 512):
        layers.convolution(filters, 3)
        layers.pooling(1 if filters == 512 else 2)
    layers.convolution(1024, 3)
    layers.convolution(256, 1)
    layers.convolution(512, 3)
    layers.detection()
    layers.route(-4)
    layers.convolution(128, 1)
    layers.upsampling()
    layers.route(-1, 8)
    layers.convolution(256, 3)
    layers.detection()
