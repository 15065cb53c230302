"""Are torch modules read exactly, without their weights, and are the zoo's networks torchvision's?"""

from __future__ import annotations

from typing import Any

import pytest

from edensim.exceptions import NetworkError
from edensim.networks.loading import load_network
from edensim.networks.network import Network, Operator
from edensim.networks.readers.torch_module import read_module

torch = pytest.importorskip(
    "torch", reason="reading modules needs the package torch (extra [torch])"
)

from torch import nn  # noqa: E402

#: Name in the zoo -> in torchvision.
TORCHVISION = {
    "alexnet": "alexnet",
    "densenet201": "densenet201",
    "mobilenetv2": "mobilenet_v2",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "squeezenet1.1": "squeezenet1_1",
    "vgg16": "vgg16",
}


@pytest.fixture(scope="module")
def models() -> Any:
    """torchvision's models; its wheel wants a compiled extension that CPU builds of torch do not load, so its operators are declared first."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    try:
        return pytest.importorskip(
            "torchvision.models", reason="torchvision is the oracle"
        ), library
    except RuntimeError as exception:
        pytest.skip(f"torchvision does not load: {exception}")


def described(network: Network) -> list[tuple[object, ...]]:
    """All of a network's layers as executed but the names of features."""
    fused = network.fused()
    return [
        (
            layer.operator,
            layer.function,
            [fused.tensors[name].shape for name in layer.inputs],
            fused.tensors[layer.output].shape,
            [(name, fused.tensors[name].shape) for name in layer.weights],
            (layer.kernel, layer.stride, layer.padding, layer.dilation, layer.groups),
        )
        for layer in fused.layers
    ]


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_zoo_is_torchvision(models: Any, name: str) -> None:
    """Every layer, and every parameter's name and shape."""
    with torch.device("meta"):
        module = getattr(models[0], TORCHVISION[name])()
    own, read = load_network(name), load_network(module)
    assert described(own) == described(read)
    assert {each: tuple(parameter.shape) for each, parameter in module.named_parameters()} == {
        weight: own.tensors[weight].shape for layer in own.layers for weight in layer.weights
    }
    assert read.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert described(load_network(name, height=160, width=192, batch=2)) == described(
        load_network(module, height=160, width=192, batch=2)
    )


class Mixed(nn.Module):
    """What modules do beside calling other modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding="valid", bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.scale = nn.Parameter(torch.zeros(16, 8))
        self.factor = nn.Parameter(torch.zeros(8, 1, 1))
        self.act = nn.ReLU()

    def forward(self, x: Any) -> Any:
        x = self.act(self.norm(self.stem(x)))
        y = self.act(self.deep(x)) * 0.5 * self.factor
        first, second = torch.chunk(torch.cat([x, y], 1), 2, dim=1)
        x = nn.functional.max_pool2d(first + second, 2, ceil_mode=True)
        x = nn.functional.interpolate(x, scale_factor=2)
        x = x.mean([2, 3])
        return nn.functional.linear(x.view(x.size(0), -1), self.scale)


def test_functions_and_methods() -> None:
    network = load_network(Mixed(), height=32, width=32)
    kinds = [layer.operator for layer in network.fused().layers]
    assert kinds == [
        Operator.CONVOLUTION,
        Operator.CONVOLUTION,
        Operator.CONCATENATION,
        Operator.REARRANGEMENT,
        Operator.REARRANGEMENT,
        Operator.ADDITION,
        Operator.POOLING,
        Operator.UPSAMPLING,
        Operator.POOLING,
        Operator.LINEAR,
    ]
    assert network.tensors["stem"].shape == (1, 8, 15, 15)
    assert network.tensors["max_pool2d"].shape == (1, 8, 8, 8)
    assert network.layers[-1].weights == ("scale",)
    assert network.parameters == 8 * 27 + 16 + 8 * 9 + 8 + 128 + 8


def test_the_module_stays_as_it_is() -> None:
    module = Mixed()
    module.norm.eval()
    weight = module.stem.weight.detach().clone()
    load_network(module, height=32, width=32)
    assert module.training
    assert not module.norm.training
    assert torch.equal(module.stem.weight, weight)
    assert module.stem.weight.device.type == "cpu"


def test_modules_that_take_no_image() -> None:
    network = read_module(
        nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Dropout(), nn.Linear(100, 10)),
        batch=200,
        shape=(784,),
    )
    assert [layer.name for layer in network.layers] == ["0", "1", "3"]
    assert network.macs == 200 * (78_400 + 1_000)


def test_shared_weights_count_once() -> None:
    first = nn.Conv2d(3, 3, 3, padding=1)
    second = nn.Conv2d(3, 3, 3, padding=1)
    second.weight = first.weight
    network = load_network(nn.Sequential(first, second), height=8, width=8)
    assert network.layers[0].weights[0] == network.layers[1].weights[0]
    assert network.parameters == 81 + 3 + 3


class Attention(nn.Module):
    """Operations that cannot be simulated."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.inv(torch.matmul(x, x))


class Choosing(nn.Module):
    """A module whose operations depend on values."""

    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            Attention(),
            r"Attention: operations that cannot be simulated: function matmul \('matmul'\): is not known; function linalg_inv",
        ),
        (Choosing(), "Choosing: torch.fx cannot trace it"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 3, 3)), "module ConvTranspose2d"),
        (nn.Sequential(nn.Conv2d(5, 4, 3)), "Sequential: cannot run on an input of 1x3x224x224"),
        (nn.Sequential(), "has no layers"),
        (3.5, "found a float; expected a network's name"),
    ],
)
def test_what_cannot_be_read_is_named(
    module: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NetworkError, match=message):
        load_network(module)
    assert capsys.readouterr().err == ""


class Calling(nn.Module):
    """A module that calls a function with itself and its input."""

    def __init__(self, function: Any, **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


@pytest.mark.parametrize(
    ("function", "parts", "message"),
    [
        (
            lambda m, x: m.head(m.lstm(x[:, 0])[0][:, -1]),
            {"lstm": nn.LSTM(16, 8, batch_first=True), "head": nn.Linear(8, 4)},
            r"module LSTM \('lstm'\): is not known$",
        ),
        (lambda m, x: m.lstm(x[:, 0])[0], {"lstm": nn.GRU(16, 8)}, "module GRU"),
        (
            lambda m, x: m.mha(x[0], x[0], x[0], need_weights=False)[0],
            {"mha": nn.MultiheadAttention(16, 2)},
            "module MultiheadAttention",
        ),
        (lambda m, x: torch.clamp(x, min=m.a(x)), {"a": nn.Conv2d(3, 3, 1)}, "'?a would be lost"),
        (lambda m, x: nn.functional.max_pool2d(x, 2, return_indices=True)[0], {}, "function"),
        (lambda m, x: x.unbind(1)[0], {}, "method unbind"),
    ],
)
def test_nothing_is_dropped_without_a_word(function: Any, parts: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        load_network(Calling(function, **parts), height=16, width=16)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: torch.add(m.a(x), other=m.b(x)),
        lambda m, x: torch.add(input=m.a(x), other=m.b(x)),
        lambda m, x: m.a(x).add(other=m.b(x)),
        lambda m, x: torch.mul(input=m.a(x), other=2) + m.b(input=x),
    ],
)
def test_arguments_by_name_are_arguments(function: Any) -> None:
    parts = {"a": nn.Conv2d(3, 8, 1), "b": nn.Conv2d(3, 8, 1)}
    network = load_network(Calling(function, **parts), height=8, width=8)
    assert network.layers[-1].operator is Operator.ADDITION
    assert set(network.layers[-1].inputs) >= {"b"}
    assert network.parameters == 64


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3)).half(),
        nn.Sequential(nn.Conv2d(3, 4, 3)).to(torch.bfloat16),
        nn.Sequential(nn.Conv2d(3, 4, 3)).double(),
        nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(affine=False)),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
        nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))),
    ],
    ids=["half", "bfloat16", "double", "lazy", "weight_norm", "spectral_norm"],
)
def test_modules_of_any_type_or_with_computed_weights(module: Any) -> None:
    lazy = torch.nn.parameter.is_lazy(next(module.parameters()))
    network = load_network(module, height=16, width=16)
    assert (network.parameters, network.macs) == (4 * 27 + 4, 14 * 14 * 4 * 27)
    assert torch.nn.parameter.is_lazy(next(module.parameters())) == lazy


def test_parts_of_parts() -> None:
    def function(m: Any, x: Any) -> Any:
        first, second = m.a(x).chunk(4, 1)[:2]
        rest = torch.cat(m.a(x).split([3, 5], 1)[::-1], 1)
        return torch.cat([first, second, rest], axis=1)

    network = load_network(Calling(function, a=nn.Conv2d(3, 8, 1)), height=8, width=8)
    assert network.tensors[network.layers[-1].output].shape == (1, 12, 8, 8)
    whole = load_network(
        Calling(lambda m, x: torch.cat(m.a(x).split([3, 5], 1), 1), a=nn.Conv2d(3, 8, 1))
    )
    assert whole.tensors[whole.layers[-1].output].shape == (1, 8, 224, 224)
    assert [layer.operator for layer in whole.layers].count(Operator.REARRANGEMENT) == 2
