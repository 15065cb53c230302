"""Is the network as executed the same computation? MACs and weights stay, what is read was written, and no layer is left that run times skip."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edensim
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out
from edensim.networks.network import Network, Operator, Role
from edensim.networks.zoo.registry import ENTRIES


def check(network: Network) -> Network:
    """The fused network, after every check that holds for any."""
    fused = network.fused()
    assert fused.macs == network.macs
    written = {fused.input, *fused.further_inputs}
    for layer in fused.layers:
        assert layer.operator is not Operator.VIEW
        assert written.issuperset(layer.inputs)
        assert layer.output not in written
        written.add(layer.output)
    features = {name for name, tensor in fused.tensors.items() if tensor.role is Role.FEATURES}
    assert features == written
    weights = {name for layer in fused.layers for name in layer.weights}
    assert weights | features == set(fused.tensors)
    for layer in network.layers:  # convolutions and linear layers keep their weights
        if layer.operator in (Operator.CONVOLUTION, Operator.LINEAR):
            assert set(layer.weights) <= weights
    unread = [layer.output for layer in network.layers if not network.readers[layer.output]]
    assert len([layer.output for layer in fused.layers if not fused.readers[layer.output]]) <= len(
        unread
    )
    return fused


@pytest.mark.parametrize("name", ENTRIES)
def test_zoo(name: str) -> None:
    fused = check(edensim.load_network(name, batch=2))
    assert fused.fused() == fused
    for layer in fused.layers:
        if layer.operator in (Operator.CONVOLUTION, Operator.LINEAR):
            assert len(layer.weights) == 2 or layer.name.endswith(
                (".conv2", "transition1.conv", "transition2.conv", "transition3.conv")
            )  # of densenet201
            for bias in layer.weights[1:]:  # what normalization became
                assert fused.tensors[bias].shape == fused.tensors[layer.weights[0]].shape[:1]


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("precision", ["int4", "fp32"])
def test_tensors_that_are_alive_together_do_not_overlap(name: str, precision: str) -> None:
    layout = lay_out(edensim.load_network(name).fused(), precision)
    for number, one in enumerate(layout.placements):
        for other in layout.placements[number + 1 :]:
            together = one.role is Role.WEIGHTS or (
                one.first_layer <= other.last_layer and other.first_layer <= one.last_layer
            )
            assert not together or one.end <= other.address or other.end <= one.address


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network of a few layers of all kinds, each of which reads any that fit."""
    net = NetworkBuilder("any", (draw(st.integers(1, 3)), draw(st.integers(1, 4)), 8, 8))
    images = [net.input]
    for number in range(draw(st.integers(1, 12))):
        name, source = f"layer{number}", draw(st.sampled_from(images))
        same = [image for image in images if net.shape(image) == net.shape(source)]
        match draw(
            st.sampled_from(
                [
                    "convolution",
                    "normalization",
                    "relu",
                    "softmax",
                    "addition",
                    "concatenation",
                    "view",
                    "pooling",
                ]
            )
        ):
            case "convolution":
                at = net.convolution(
                    name, source, draw(st.integers(1, 4)), 3, padding=1, bias=draw(st.booleans())
                )
            case "normalization":
                at = net.normalization(name, source)
            case "addition":
                at = net.addition(name, (source, draw(st.sampled_from(same))))
            case "concatenation":
                at = net.concatenation(
                    name, draw(st.lists(st.sampled_from(images), min_size=1, max_size=3))
                )
            case "view":
                at = net.view(name, source, net.shape(source))
            case "pooling":
                at = net.pooling(name, source, "max", 3, stride=1, padding=1)
            case function:
                at = net.elementwise(name, source, function)
        images.append(at)
    return net.build()


@given(networks())
@settings(max_examples=200, deadline=None)
def test_any_network(network: Network) -> None:
    check(network)


def test_normalization_behind_an_activation_keeps_its_weights() -> None:
    net = NetworkBuilder("late", (1, 3, 8, 8))
    at = net.elementwise("relu", net.convolution("conv", net.input, 4, 3, bias=False), "relu")
    net.normalization("norm", at)
    (layer,) = net.build().fused().layers
    assert layer.weights == ("conv.weight", "norm.weight", "norm.bias")


def test_softmax_is_a_pass_of_its_own() -> None:
    net = NetworkBuilder("last", (1, 8))
    net.elementwise("softmax", net.linear("fc", net.input, 4), "softmax")
    assert [layer.name for layer in net.build().fused().layers] == ["fc", "softmax"]


def test_an_output_that_is_a_view_is_not_overwritten() -> None:
    net = NetworkBuilder("heads", (1, 3, 8, 8))
    at = net.convolution("conv", net.input, 3, 3, padding=1)
    net.view("first", at, (1, 192))
    net.elementwise("second", at, "relu")
    assert [layer.name for layer in net.build().fused().layers] == ["conv", "second"]


def test_what_others_read_too_is_not_overwritten() -> None:
    net = NetworkBuilder("fork", (1, 3, 8, 8))
    at = net.convolution("conv", net.input, 3, 3, padding=1)
    net.addition("add", (net.elementwise("relu", at, "relu"), at))
    assert [layer.name for layer in net.build().fused().layers] == ["conv", "relu", "add"]
