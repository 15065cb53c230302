"""Are ONNX models read exactly, and is everything that cannot be simulated named?"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edensim.exceptions import NetworkError
from edensim.networks.loading import load_network
from edensim.networks.network import Operator, Role
from edensim.networks.validation import check_network

onnx = pytest.importorskip("onnx", reason="reading ONNX needs the package onnx (extra [onnx])")

from onnx import TensorProto, helper  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

#: Parameters, multiply-accumulates, convolutions, linear layers. AlexNet is Caffe's (groups of 2, 60,965,224 parameters); ResNet50, SqueezeNet 1.1
#: and VGG19 have as many as torchvision's; DenseNet121 is Caffe's, which has scales and shifts beside its normalizations.
MODELS = {
    "bvlc_alexnet": (60_965_224, 654_560_384, 5, 3),
    "densenet121": (8_062_504, 2_834_161_664, 121, 0),
    "inception_v1": (6_998_552, 1_431_556_352, 57, 1),
    "inception_v2": (11_214_888, 2_018_851_840, 69, 1),
    "resnet50": (25_557_032, 4_089_184_256, 53, 1),
    "shufflenet": (1_393_320, 124_664_528, 49, 1),
    "squeezenet": (1_235_496, 349_151_936, 26, 0),
    "vgg19": (143_667_240, 19_632_062_464, 16, 3),
    "zfnet512": (87_250_536, 1_481_727_008, 5, 3),
}


def test_every_light_model_is_checked_here() -> None:
    assert {path.stem.removeprefix("light_") for path in LIGHT.glob("light_*.onnx")} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_light_models(name: str) -> None:
    network = load_network(LIGHT / f"light_{name}.onnx")
    kinds = Counter(layer.operator for layer in network.layers)
    assert (
        network.parameters,
        network.macs,
        kinds[Operator.CONVOLUTION],
        kinds[Operator.LINEAR],
    ) == MODELS[name]
    assert network.fused().macs == network.macs
    check_network(network)
    check_network(network.fused())
    assert len(network.tensors[network.layers[-1].output].shape) >= 2
    three = load_network(LIGHT / f"light_{name}.onnx", batch=3)
    assert (three.batch, three.macs, three.parameters) == (3, 3 * network.macs, network.parameters)


def test_the_same_network_as_the_zoo() -> None:
    read, own = (
        load_network(LIGHT / "light_squeezenet.onnx").fused(),
        load_network("squeezenet1.1").fused(),
    )
    for one, other in zip(
        [each for each in read.layers if each.weights],
        [each for each in own.layers if each.weights],
        strict=True,
    ):
        assert (one.kernel, one.stride, one.padding) == (other.kernel, other.stride, other.padding)
        assert [read.tensors[name].shape for name in one.weights] == [
            own.tensors[name].shape for name in other.weights
        ]
        assert read.tensors[one.output].shape == own.tensors[other.output].shape


def save(
    folder: Path,
    nodes: list[Any],
    *,
    shape: list[int | str] | None = None,
    weights: dict[str, tuple[int, ...]] | None = None,
    opset: int = 17,
) -> Path:
    """A model of a few nodes from `x` to `y`; weights are zeros."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape or [1, 3, 8, 8])
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, dims, bytes(4 * _size(dims)), raw=True)
        for name, dims in (weights or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    path = folder / "own.onnx"
    onnx.save(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
        ),
        path,
    )
    return path


def _size(dims: tuple[int, ...]) -> int:
    size = 1
    for extent in dims:
        size *= extent
    return size


@pytest.mark.parametrize(
    ("attributes", "expected", "padding"),
    [
        ({"pads": [1, 0, 2, 1]}, (1, 4, 9, 7), (1, 0, 2, 1)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (1, 4, 4, 4), (0, 0, 1, 1)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 4, 4, 4), (1, 1, 0, 0)),
        ({"auto_pad": "VALID"}, (1, 4, 6, 6), (0, 0, 0, 0)),
        ({"dilations": [2, 2]}, (1, 4, 4, 4), (0, 0, 0, 0)),
    ],
)
def test_padding(
    tmp_path: Path, attributes: dict[str, Any], expected: tuple[int, ...], padding: tuple[int, ...]
) -> None:
    network = load_network(
        save(
            tmp_path,
            [helper.make_node("Conv", ["x", "w"], ["y"], "conv", **attributes)],
            weights={"w": (4, 3, 3, 3)},
        )
    )
    assert network.tensors[network.layers[0].output].shape == expected
    assert network.layers[0].padding == padding


def test_an_open_batch_and_an_open_size(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv")]
    assert load_network(
        save(tmp_path, nodes, shape=["N", 3, 8, 8], weights={"w": (4, 3, 3, 3)}), batch=5
    ).tensors["x"].shape == (5, 3, 8, 8)
    path = save(tmp_path, nodes, shape=["N", 3, "H", "W"], weights={"w": (4, 3, 3, 3)})
    with pytest.raises(
        NetworkError, match="input 'x' has a dynamic shape, Nx3xHxW; give its height and width"
    ):
        load_network(path)
    assert load_network(path, height=16, width=12).tensors["x"].shape == (1, 3, 16, 12)


def test_split_slices_and_moves(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], "split", axis=2),
        helper.make_node("Concat", ["b", "a"], ["c"], "concat", axis=3),
        helper.make_node("Transpose", ["c"], ["y"], "transpose", perm=[0, 2, 3, 1]),
    ]
    network = load_network(save(tmp_path, nodes, opset=11))
    assert [network.tensors[layer.output].shape for layer in network.layers] == [
        (1, 3, 4, 8),
        (1, 3, 4, 8),
        (1, 3, 4, 16),
        (1, 4, 16, 3),
    ]


def test_shapes_computed_in_the_graph_are_no_layers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], "shape"),
        helper.make_node("Gather", ["s", "zero"], ["n"], "gather"),
        helper.make_node("Concat", ["n", "rest"], ["target"], "join", axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"], "reshape"),
    ]
    path = save(tmp_path, nodes)
    model = onnx.load(path)
    model.graph.initializer.extend(
        [
            helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
            helper.make_tensor("rest", TensorProto.INT64, [1], [-1]),
        ]
    )
    onnx.save(model, path)
    network = load_network(path)
    assert [(layer.operator, network.tensors[layer.output].shape) for layer in network.layers] == [
        (Operator.VIEW, (1, 192))
    ]


def test_every_operator_that_is_not_known_is_named_with_its_nodes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"], "first"),
        helper.make_node("Relu", ["x"], ["b"], "relu"),
        helper.make_node("Det", ["b"], ["c"], "second"),
        helper.make_node("Magic", ["b"], ["d"], "third", domain="own"),
        helper.make_node("Add", ["a", "c"], ["y"], "add"),
    ]
    with pytest.raises(NetworkError) as refused:
        load_network(save(tmp_path, nodes))
    assert "Det (nodes 'first', 'second'); own.Magic (node 'third')" in str(refused.value)


def test_what_a_known_operator_cannot_do_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["x", "t"], ["y"], "attend"),
    ]
    with pytest.raises(
        NetworkError, match=r"MatMul \(node 'attend'\): multiplies features with features"
    ):
        load_network(save(tmp_path, nodes))


def test_shapes_that_depend_on_values_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["i"], "find"),
        helper.make_node("Relu", ["x"], ["y"], "relu"),
    ]
    with pytest.raises(NetworkError, match="NonZero"):
        load_network(save(tmp_path, nodes))


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="own.onnx"):
        load_network(
            save(
                tmp_path,
                [helper.make_node("Conv", ["x", "w"], ["y"], "conv")],
                weights={"w": (4, 5, 3, 3)},
            )
        )


@pytest.mark.parametrize("cut", [0, 1, 100, 2000])
def test_truncated_files(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes((LIGHT / "light_squeezenet.onnx").read_bytes()[:cut])
    with pytest.raises(NetworkError, match="cut.onnx"):
        load_network(path)


@pytest.mark.parametrize("damage", ["type", "size", "negative"])
def test_damaged_constants(tmp_path: Path, damage: str) -> None:
    path = save(
        tmp_path,
        [helper.make_node("Reshape", ["x", "s"], ["y"], "view")],
        weights={"s": (4,)},
    )
    loaded = onnx.load(path)
    (shape,) = loaded.graph.initializer
    if damage == "type":
        shape.data_type = onnx.TensorProto.UNDEFINED
    else:
        shape.dims[0] = 6 if damage == "size" else -4
    onnx.save(loaded, path)
    with pytest.raises(NetworkError, match=re.escape(f"{path}: ")):
        load_network(path)


def test_text_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("Layer name, IFMAP Height\n" * 20)
    with pytest.raises(NetworkError, match="text.onnx"):
        load_network(path)


def test_weights_are_shared_by_name() -> None:
    network = load_network(LIGHT / "light_resnet50.onnx")
    assert all(
        network.tensors[name].role is Role.WEIGHTS
        for layer in network.layers
        for name in layer.weights
    )


def test_sizes_of_slices_computed_from_shapes(tmp_path: Path) -> None:
    """As torch exports `chunk`: half the channels, by way of Shape, Gather, Add, Div and Mul."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], "shape"),
        helper.make_node("Gather", ["shape", "one"], ["channels"], "gather"),
        helper.make_node("Add", ["channels", "one"], ["more"], "add"),
        helper.make_node("Div", ["more", "two"], ["half"], "div"),
        helper.make_node("Mul", ["half", "two"], ["end"], "mul"),
        helper.make_node("Slice", ["x", "half", "end", "one"], ["y"], "slice"),
    ]
    path = save(tmp_path, nodes, shape=["N", 6, 8, 8])
    model = onnx.load(path)
    model.graph.initializer.extend(
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("one", 1), ("two", 2))
    )
    onnx.save(model, path)
    network = load_network(path, batch=4)
    assert [(layer.operator, network.tensors[layer.output].shape) for layer in network.layers] == [
        (Operator.REARRANGEMENT, (4, 3, 8, 8))
    ]
