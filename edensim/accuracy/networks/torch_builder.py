"""Build the torch module of a network from the description that gives its shapes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edensim.exceptions import NetworkError
from edensim.networks.builder import Extent, NetworkBuilder
from edensim.networks.network import Layer, Operator

ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "leaky": lambda: nn.LeakyReLU(0.1)}


class Sum(nn.Module):  # type: ignore[misc]
    """Adds its two inputs."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return first + second


class Concatenation(nn.Module):  # type: ignore[misc]
    """Joins the channels of its inputs."""

    def forward(self, *features: torch.Tensor) -> torch.Tensor:
        """Return the joined tensor."""
        return torch.cat(features, 1)


class Subsampling(nn.Module):  # type: ignore[misc]
    """Takes every second pixel, and adds `channels` of zeros on either side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return a quarter of the pixels, with more channels."""
        return nn.functional.pad(features[:, :, ::2, ::2], self.padding)


class DescribedNetwork(nn.Module):  # type: ignore[misc]
    """Runs the layers of a description one after the other."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.steps: list[tuple[str, tuple[str, ...]]] = []
        #: The outputs of a network that detects objects; one that classifies has none.
        self.heads: list[str] = []

    def append(self, name: str, layer: nn.Module, sources: tuple[str, ...]) -> None:
        """Append a layer that reads the outputs of the sources."""
        self.place(name, layer)
        self.steps.append((name, sources))

    def place(self, name: str, layer: nn.Module) -> None:
        """Make a layer, or another one in its place, the submodule of a dotted name."""
        path, _, last = name.rpartition(".")
        parent: nn.Module = self
        for part in path.split(".") if path else ():
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent._modules[part]
        parent.add_module(last, layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute logits, or the raw boxes of all heads, of images [n, channels, height, width]."""
        last_use = {source: name for name, sources in self.steps for source in sources}
        features = {self.source: images}
        for name, sources in self.steps:
            features[name] = self.get_submodule(name)(*(features[source] for source in sources))
            for source in {*sources} - {*self.heads}:
                if last_use[source] == name:
                    del features[source]
        if not self.heads:
            return features[self.steps[-1][0]]
        return torch.cat([torch.flatten(features[head], 2) for head in self.heads], 2)


class ModuleBuilder(NetworkBuilder):
    """Builds a torch module while the shapes of its layers are found.

    Layers are made in the order of the description, so that their initial weights, which torch
    draws when it makes a layer, are the same for the same seed.
    """

    def __init__(self, name: str, shape: Sequence[int]) -> None:
        super().__init__(name, (1, *shape))
        self.module = DescribedNetwork(self.input)

    def dropout(self, name: str, source: str, share: float) -> str:
        """Add a dropout, which has an effect in training only."""
        self.module.append(name, nn.Dropout(share), (source,))
        self._tensors[name] = self._tensors[source]
        return name

    def adaptive_pooling(
        self, name: str, source: str, output: Extent = 1, function: str = "average"
    ) -> str:
        """Add average pooling to an output size."""
        super().adaptive_pooling(name, source, output, function)
        self.module.place(name, nn.AdaptiveAvgPool2d(output))
        return name

    def _append(self, layer: Layer, shape: tuple[int, ...]) -> str:
        super()._append(layer, shape)
        self.module.append(layer.name, self._torch_layer(layer, shape), layer.inputs)
        if layer.operator is Operator.DETECTION:
            self.module.heads.append(layer.name)
        return layer.output

    def _torch_layer(self, layer: Layer, shape: tuple[int, ...]) -> nn.Module:
        channels = self.shape(layer.inputs[0])[1]
        match layer.operator:
            case Operator.CONVOLUTION:
                return nn.Conv2d(
                    channels,
                    shape[1],
                    layer.kernel,
                    layer.stride,
                    layer.padding[:2],
                    layer.dilation,
                    layer.groups,
                    bias=len(layer.weights) == 2,
                )
            case Operator.LINEAR:
                return nn.Linear(channels, shape[1], bias=len(layer.weights) == 2)
            case Operator.ELEMENTWISE:
                if layer.function == "normalization":
                    return nn.BatchNorm2d(channels)
                return ACTIVATIONS[layer.function]()
            case Operator.POOLING:
                return self._torch_pooling(layer, shape)
            case Operator.ADDITION:
                return Sum()
            case Operator.CONCATENATION:
                return Concatenation()
            case Operator.UPSAMPLING:
                return nn.Upsample(scale_factor=float(layer.stride[0]))
            case Operator.REARRANGEMENT if layer.function == "zero-padded subsampling":
                return Subsampling((shape[1] - channels) // 2)
            case Operator.VIEW if layer.function == "flatten":
                return nn.Flatten()
            case Operator.VIEW | Operator.DETECTION:
                return nn.Identity()
        raise NetworkError(
            f"{layer.name}: found {layer.operator.value} {layer.function}, which no torch module "
            "of edensim computes; expected an operator of the built-in networks"
        )

    def _torch_pooling(self, layer: Layer, shape: tuple[int, ...]) -> nn.Module:
        if layer.function == "average":
            return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding[:2])
        top, left, bottom, right = layer.padding
        if (top, left) != (bottom, right):
            # What is repeated beyond an edge changes no maximum.
            padding = nn.ReplicationPad2d((left, right, top, bottom))
            return nn.Sequential(padding, nn.MaxPool2d(layer.kernel, layer.stride))
        size = self.shape(layer.inputs[0])[2]
        partial = shape[2] > (size + 2 * top - layer.kernel[0]) // layer.stride[0] + 1
        return nn.MaxPool2d(layer.kernel, layer.stride, (top, left), ceil_mode=partial)
