"""A view moves nothing: a machine runs what reads it as if the tensor had the view's shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edensim.machines.eyeriss.machine import shape_of as eyeriss_shape
from edensim.machines.tpu.planning import layer_shape as tpu_shape
from edensim.networks.builder import NetworkBuilder
from edensim.networks.loading import load_network
from edensim.networks.network import Layer, Network, Operator
from edensim.networks.readers.description import save_network
from edensim.networks.zoo.registry import zoo_network
from edensim.simulation import simulate

MACHINES = ("tpu", "eyeriss", "gpu", "cpu", "cpu darknet", "cpu blocked")


def run(network: Network, machine: str, path: Path) -> tuple[int, dict, list]:
    save_network(network, path)
    frontend, _, library = machine.partition(" ")
    result = simulate(
        overrides=[f"frontend={frontend}", f"network={path}", "precision=int8"]
        + ([f"cpu.library={library}"] if library else []),
        dram={"standard": "DDR4"},
    ).to_dict()
    layers = [(layer["name"], layer.get("macs"), layer["cycles"]) for layer in result["layers"]]
    return result["cycles"], result["requests"], layers


KINDS: dict[str, Callable[[NetworkBuilder, str], str]] = {
    "convolution": lambda b, x: b.convolution("layer", x, 12, (3, 5), stride=(2, 1), padding=1),
    "depthwise": lambda b, x: b.convolution("layer", x, 8, 3, groups=8),
    "grouped": lambda b, x: b.convolution("layer", x, 8, 3, groups=2),
    "max": lambda b, x: b.pooling("layer", x, "max", 3, stride=2),
    "average": lambda b, x: b.adaptive_pooling("layer", x, 1),
    "upsampling": lambda b, x: b.upsampling("layer", x, 2),
    "concatenation": lambda b, x: b.concatenation("layer", [x, "input"]),
    "addition": lambda b, x: b.addition("layer", [x, x]),
    "linear": lambda b, x: b.linear("layer", x, 20),
}


def with_views(network: Network) -> Network:
    """See the first input of every layer that is no view as flat, then as it was."""
    layers: list[Layer] = []
    tensors = dict(network.tensors)
    for layer in network.layers:
        source = layer.inputs[0]
        if layer.operator in (Operator.VIEW, Operator.ELEMENTWISE):
            layers.append(layer)
            continue
        shape, total = tensors[source].shape, tensors[source].elements
        flat, image = f"{layer.name} flat", f"{layer.name} image"
        tensors[flat] = replace(tensors[source], name=flat, shape=(1, total))
        tensors[image] = replace(tensors[source], name=image, shape=shape)
        layers += [
            Layer(flat, Operator.VIEW, (source,), flat),
            Layer(image, Operator.VIEW, (flat,), image),
            replace(layer, inputs=(image, *layer.inputs[1:])),
        ]
    return Network(network.name, tuple(layers), tensors, network.input, network.further_inputs)


@pytest.mark.parametrize("machine", MACHINES)
def test_there_and_back_changes_nothing(tmp_path: Path, machine: str) -> None:
    network = zoo_network("lenet")
    expected = run(network, machine, tmp_path / "plain.json")
    assert run(with_views(network), machine, tmp_path / "views.json") == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("machine", MACHINES)
def test_what_reads_a_view_of_the_input(tmp_path: Path, machine: str, kind: str) -> None:
    plain = NetworkBuilder("own", (1, 8, 18, 20))
    KINDS[kind](plain, plain.input)
    flat = NetworkBuilder("own", (1, 8 * 18 * 20))
    image = flat.view("image", flat.input, (1, 8, 18, 20))
    if kind == "concatenation":
        flat.concatenation("layer", [image, image])
        plain = NetworkBuilder("own", (1, 8, 18, 20))
        plain.concatenation("layer", ["input", "input"])
    else:
        KINDS[kind](flat, image)
    expected = run(plain.build(), machine, tmp_path / "plain.json")
    assert run(flat.build(), machine, tmp_path / "flat.json") == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_multiply_accumulates_of_a_channel_shuffle(tmp_path: Path, machine: str) -> None:
    builder = NetworkBuilder("shuffle", (1, 8, 28, 28))
    wide = builder.convolution("pointwise", builder.input, 16, 1, bias=False)
    split = builder.view("split", wide, (1, 4, 4, 28, 28))
    shuffled = builder.rearrangement("shuffle", split, (1, 4, 4, 28, 28), "transpose")
    joined = builder.view("join", shuffled, (1, 16, 28, 28))
    builder.convolution("depthwise", joined, 16, 3, padding=1, groups=16, bias=False)
    _, _, layers = run(builder.build(), machine, tmp_path / "own.json")
    macs = {name: macs for name, macs, _ in layers}
    assert macs["pointwise"] == 28 * 28 * 8 * 16
    assert macs["depthwise"] == 28 * 28 * 9 * 16


def test_normalization_folds_only_into_filters_that_are_its_channels() -> None:
    builder = NetworkBuilder("own", (1, 3, 32, 32))
    before = builder.convolution("before", builder.input, 8, 1, bias=False)
    image = builder.view("image", before, (1, 32, 16, 16))
    builder.normalization("norm", image)
    (layer,) = builder.build().fused().layers
    assert layer.weights == ("before.weight", "norm.weight", "norm.bias")


def test_shapes_of_products_give_the_multiply_accumulates_of_a_model() -> None:
    onnx = pytest.importorskip("onnx")
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    network = load_network(folder / "light_shufflenet.onnx").fused()
    products = [layer for layer in network.layers if layer.is_product]
    assert sum(tpu_shape(network, layer, 8).macs for layer in products) == 124_664_528
    assert sum(eyeriss_shape(network, layer).macs for layer in products) == 124_664_528
