"""Is a TPU-like machine what its configuration says, and does it say what is missing?"""

from __future__ import annotations

from typing import Any

import pytest

from edensim.config.models import TpuConfig
from edensim.exceptions import ConfigError
from edensim.machines.systolic.scalesim import scalesim_counts
from edensim.machines.tpu.machine import TpuMachine, tpu_machine
from edensim.machines.tpu.planning import Array, LayerShape, layer_shape
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out
from edensim.networks.loading import load_network
from edensim.networks.network import Network


def network(batch: int = 1) -> Network:
    """One convolution, 3 x 3 with stride 2 and padding, and one linear layer."""
    net = NetworkBuilder("small", (batch, 8, 15, 15))
    image = net.convolution("image", "input", 24, 3, stride=2, padding=1)
    net.linear("scores", net.flatten("flat", image), 10)
    return net.build().fused()


def machine(net: Network, precision: str = "int8", **tpu: Any) -> TpuMachine:
    """A network on a machine."""
    return tpu_machine(net, lay_out(net, precision), TpuConfig(**tpu))


def test_input_rows_of_output_rows() -> None:
    shape = layer_shape(network(2), network(2).layers[0], 8)
    assert (shape.out_rows, shape.channel_depth, shape.depth) == (16, 9, 72)
    assert shape.input_rows(0, 1) == (0, 2)
    assert shape.input_rows(1, 3) == (1, 6)
    assert shape.input_rows(7, 8) == (13, 15)
    assert shape.input_rows(7, 9) == (13, 17)  # into the next image
    assert shape.most_input_rows(1) == 3


@pytest.mark.parametrize(
    ("dataflow", "cycles"),
    [("ws", 5 * 2 * 200), ("os", 13 * 2 * 72), ("is", 5 * 13 * 24)],
)
def test_cycles_of_a_tile(dataflow: str, cycles: int) -> None:
    """200 positions, 24 filters, depth 72 on 16 x 16: folds times the stream, which is longer than the shift of 16."""
    array = Array(16, 16, dataflow, 1 << 20, 1 << 20, 1 << 20, 1 << 20, overlapped=True)
    assert array.cycles(200, 24, 72) == cycles


def test_a_short_stream_costs_the_shift() -> None:
    array = Array(256, 256, "ws", 1 << 20, 1 << 20, 1 << 20, 1 << 20, overlapped=True)
    assert array.cycles(1, 512, 256) == 2 * 256


def test_counters() -> None:
    tpu = machine(network(), array_height=16, array_width=16)
    list(tpu.schedules())
    image, scores = tpu.layer_counters()
    drain = 16 + 16 - 2
    assert tpu.cycles == {0: 5 * 2 * 64 + drain, 1: 96 * 16 + drain}
    assert image["utilization"] == pytest.approx(64 * 24 * 72 / (tpu.cycles[0] * 256))
    assert scores["plan"] == "ifm"
    assert tpu.counters()["macs"] == 64 * 24 * 72 + 64 * 24 * 10


def test_mode_scalesim() -> None:
    """Folds take the peer's cycles one after the other, and its counts stand beside."""
    tpu = machine(
        network(),
        mode="scalesim",
        array_height=16,
        array_width=16,
        ifmap_sram_kB=64,
        filter_sram_kB=64,
        ofmap_sram_kB=64,
    )
    list(tpu.schedules())
    counted = tpu.layer_counters()[0]
    peer = scalesim_counts(
        ifmap_height=17,
        ifmap_width=17,
        filter_height=3,
        filter_width=3,
        channels=8,
        filters=24,
        stride_height=2,
        stride_width=2,
        array_height=16,
        array_width=16,
        ifmap_sram_kB=64,
        filter_sram_kB=64,
        ofmap_sram_kB=64,
        dataflow="ws",
    )
    assert {key: counted[f"scalesim_{key}"] for key in peer.to_dict()} == peer.to_dict()
    assert tpu.cycles[0] == peer.compute_cycles + 1


@pytest.mark.parametrize(
    ("tpu", "words"),
    [
        (
            {"filter_sram_kB": 1},
            (
                "tpu.filter_sram_kB",
                "'wide'",
                "12 kB",
                "two tiles of weights (256 filters of depth 24)",
                "found 1 kB",
            ),
        ),
        (
            {"ifmap_sram_kB": 1, "filter_sram_kB": 64},
            ("tpu.ifmap_sram_kB", "'image'", "kB for the ifm of two output rows"),
        ),
        (
            {"ofmap_sram_kB": 1},
            ("tpu.ofmap_sram_kB", "'wide'", "30 kB", "two rows of 256 channels"),
        ),
        (
            {"accumulators_kB": 1, "array_width": 512},
            ("tpu.accumulators_kB", "'wide'", "94 kB", "the sums of one output row"),
        ),
    ],
)
def test_buffers_too_small_for_a_tile(tpu: dict[str, Any], words: tuple[str, ...]) -> None:
    net = NetworkBuilder("wide", (1, 8, 15, 60))
    image = net.convolution("image", "input", 24, 3, padding=1)
    net.convolution("wide", image, 400, 1)
    with pytest.raises(ConfigError) as refused:
        machine(net.build().fused(), **tpu)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("precision", "kB", "depth"),
    [("int8", 256, 5), ("int8", 8192, 5), ("int16", 256, 3), ("fp32", 512, 3)],
)
def test_tiles_ahead_are_those_that_fit(precision: str, kB: int, depth: int) -> None:
    """256 kB are four tiles of 256 x 256 at int8; one more is in the array."""
    net = NetworkBuilder("square", (1, 1024))
    net.linear("layer", "input", 1024)
    assert machine(net.build().fused(), precision, filter_sram_kB=kB).depth == depth


@pytest.mark.parametrize("precision", ["int4", "fp32"])
def test_the_zoo_has_compact_schedules(precision: str) -> None:
    for name in ("alexnet", "mobilenetv2", "densenet201", "yolo"):
        net = load_network(name).fused()
        (schedule,) = machine(net, precision).schedules()
        assert len(schedule.transfers) < 100_000
        assert set(schedule.tiles["layer"]) == set(range(len(net.layers)))


def test_shapes_of_linear_layers() -> None:
    shape = layer_shape(network(4), network(4).layers[1], 8)
    assert isinstance(shape, LayerShape)
    assert (
        shape.images,
        shape.channels,
        shape.height,
        shape.width,
        shape.out_rows,
        shape.out_width,
    ) == (4, 24 * 64, 1, 1, 4, 1)
