"""Does the row-stationary machine do what the Eyeriss chip measured (JSSC 2017, tables V and VI)?

The chip: 12 x 14 PEs at 200 MHz, 108 KB buffer, 16-bit words. AlexNet is the original, grouped one (227 x 227), at a batch of 4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edensim.config.models import EyerissConfig
from edensim.engine.tiles import Schedule
from edensim.machines.eyeriss.array import ConvolutionShape, PassWork, ceil_div, pass_cost
from edensim.machines.eyeriss.machine import EyerissMachine, eyeriss_machine, shape_of
from edensim.networks.layout import lay_out
from edensim.networks.network import Layer, Network, Operator, Role, Tensor

#: Name: channels, size, filters, kernel, stride, padding, groups.
ALEXNET = {
    "C1": (3, 227, 96, 11, 4, 0, 1),
    "C2": (96, 27, 256, 5, 1, 2, 2),
    "C3": (256, 13, 384, 3, 1, 1, 1),
    "C4": (384, 13, 384, 3, 1, 1, 2),
    "C5": (384, 13, 256, 3, 1, 1, 2),
}
VGG = {
    "1-1": (3, 224, 64),
    "1-2": (64, 224, 64),
    "2-1": (64, 112, 128),
    "2-2": (128, 112, 128),
    "3-1": (128, 56, 256),
    "3-2": (256, 56, 256),
    "3-3": (256, 56, 256),
    "4-1": (256, 28, 512),
    "4-2": (512, 28, 512),
    "4-3": (512, 28, 512),
    "5-1": (512, 14, 512),
    "5-2": (512, 14, 512),
    "5-3": (512, 14, 512),
}
#: Processing ms, PEs, MB through the global buffer, DRAM MB (run-length coded), zeros in the ifm; G MACs.
CHIP = {
    "C1": (16.5, 154, 18.5, 5.0, 0.0001, 0.42),
    "C2": (39.2, 135, 77.6, 4.0, 0.387, 0.90),
    "C3": (21.8, 156, 50.2, 3.0, 0.725, 0.60),
    "C4": (16.0, 156, 37.4, 2.1, 0.793, 0.45),
    "C5": (10.0, 156, 24.9, 1.3, 0.776, 0.30),
}
#: nn_dataflow's optimal search, not compressed: DRAM MB.
NN_DATAFLOW = {"C1": 6.14, "C2": 5.67, "C3": 5.05, "C4": 3.92, "C5": 2.61}


def network(
    name: str,
    batch: int,
    channels: int,
    size: int,
    filters: int,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 1,
    groups: int = 1,
) -> Network:
    """One convolution."""
    made = (size + 2 * padding - kernel) // stride + 1
    tensors = [
        Tensor("in", (batch, channels, size, size), Role.FEATURES),
        Tensor("w", (filters, channels // groups, kernel, kernel), Role.WEIGHTS),
        Tensor("out", (batch, filters, made, made), Role.FEATURES),
    ]
    layer = Layer(
        name, Operator.CONVOLUTION, ("in",), "out", ("w",), (kernel, kernel), (stride, stride), (padding,) * 4, groups=groups
    )  # fmt: skip
    return Network(name, (layer,), {tensor.name: tensor for tensor in tensors}, "in")


def alexnet(batch: int) -> Network:
    """The five convolutions and the pooling between them."""
    tensors = {"x": Tensor("x", (batch, 3, 227, 227), Role.FEATURES)}
    layers: list[Layer] = []
    at = "x"
    for name, (channels, size, filters, *shape) in ALEXNET.items():
        if tensors[at].shape[2] != size:
            tensors[f"{name}p"] = Tensor(f"{name}p", (batch, channels, size, size), Role.FEATURES)
            layers.append(
                Layer(
                    f"before {name}",
                    Operator.POOLING,
                    (at,),
                    f"{name}p",
                    kernel=(3, 3),
                    stride=(2, 2),
                    function="max",
                )
            )
            at = f"{name}p"
        own = network(name, batch, channels, size, filters, *shape)
        tensors |= {
            f"{name}{kind}": replace(own.tensors[kind], name=f"{name}{kind}")
            for kind in ("w", "out")
        }
        layers.append(
            replace(own.layers[0], inputs=(at,), weights=(f"{name}w",), output=f"{name}out")
        )
        at = f"{name}out"
    return Network("AlexNet", tuple(layers), tensors, "x")


def run(name: str, batch: int = 4, **keys: Any) -> tuple[EyerissMachine, Schedule, dict[str, Any]]:
    """A layer of AlexNet on the chip: machine, schedule, counters."""
    own = network(name, batch, *ALEXNET[name])
    machine = eyeriss_machine(
        own,
        lay_out(own, "int16"),
        EyerissConfig(**keys),
    )
    (schedule,) = machine.schedules()
    return machine, schedule, machine.layer_counters()[0]


def moved_MB(schedule: Schedule) -> float:
    """Bytes that a schedule moves."""
    return float((schedule.transfers["run_bytes"] * schedule.transfers["count"]).sum()) / 1e6


@pytest.mark.parametrize("name", ALEXNET)
def test_latency_and_active_pes_are_the_chips(name: str) -> None:
    _, schedule, counters = run(name)
    chip_ms, chip_pes, *_, chip_gmacs = CHIP[name]
    assert counters["macs"] / 1e9 == pytest.approx(chip_gmacs, abs=0.005)
    assert schedule.tiles["compute_cycles"].sum() == counters["compute_cycles"]
    assert counters["compute_cycles"] / 200e3 == pytest.approx(
        chip_ms, rel=0.12
    )  # 20 % is asked for; C5 is the one beyond 4 %
    assert counters["active_pes"] == pytest.approx(chip_pes, abs=4)


def test_the_whole_network_takes_what_the_chip_takes() -> None:
    ours = sum(run(name)[2]["compute_cycles"] for name in ALEXNET) / 200e3
    assert ours == pytest.approx(sum(chip[0] for chip in CHIP.values()), rel=0.03)


@pytest.mark.parametrize("name", ALEXNET)
def test_dram_traffic_is_no_more_than_the_optimal_search_finds(name: str) -> None:
    assert 0.7 * NN_DATAFLOW[name] < moved_MB(run(name)[1]) < NN_DATAFLOW[name]


def test_compressed_dram_traffic_is_the_chips() -> None:
    """All five layers with the pooling between; the zeros of each ifm as the chip counted them, of the last ofm as its ifm's.

    What a layer writes is taken to have the zeros of what the next one reads; the chip wrote before pooling, which leaves fewer zeros.
    """
    network = alexnet(4)
    keys = EyerissConfig(
        compression="rlc",
        zero_fractions=tuple(chip[4] for chip in CHIP.values()),
        zero_fraction=CHIP["C5"][4],
    )
    machine = eyeriss_machine(network, lay_out(network, "int16"), keys)
    (schedule,) = machine.schedules()
    layer = np.repeat(schedule.tiles["layer"], schedule.tiles["reads"] + schedule.tiles["writes"])
    moved = np.bincount(layer, schedule.transfers["run_bytes"] * schedule.transfers["count"]) / 1e6
    ours = {own.name: moved[at] for at, own in enumerate(network.layers) if own.name in CHIP}
    for name, MB in ours.items():
        assert pytest.approx(CHIP[name][3], rel=0.15) == MB
    assert sum(ours.values()) == pytest.approx(sum(chip[3] for chip in CHIP.values()), rel=0.04)


#: The chip's own mapping (m, n, e, p, q, r, t): AlexNet's from JSSC 2017 as far as its buffer traffic bears it out.
CHIP_MAPPING = {
    "C1": (96, 1, 7, 16, 1, 1, 2),
    "C2": (64, 1, 27, 16, 2, 1, 1),
    "C3": (64, 4, 13, 16, 3, 2, 2),
    "C4": (64, 4, 13, 16, 3, 2, 2),
    "C5": (64, 4, 13, 16, 3, 2, 2),
}


def with_chip_mapping(shape: ConvolutionShape, letters: tuple[int, ...]) -> tuple[float, float]:
    """Milliseconds and MB through the buffer of a layer at a given mapping, all passes full."""
    m, n, e, p, q, r, t = letters
    own = network("C3", 4, *ALEXNET["C3"])
    machine = eyeriss_machine(own, lay_out(own, "int16"), EyerissConfig())
    pieces = ceil_div(e, 14)
    cost = pass_cost(
        machine.array,
        shape,
        PassWork(
            images=n,
            rows=e,
            filters=p * t,
            channels=q * r,
            groups=1,
            filter_parts=t,
            channel_parts=r,
            pieces=pieces,
            piece_rows=ceil_div(e, pieces),
        ),
    )
    strips = ceil_div(shape.images, n) * ceil_div(shape.rows, e)
    passes = (
        shape.groups
        * strips
        * ceil_div(shape.filters, m)
        * (m // (p * t))
        * shape.channels
        / (q * r)
    )
    return passes * float(cost.fresh_ramp + cost.steady) / 200e3, passes * float(
        cost.ifmap_words + cost.psum_words
    ) * 2 / 1e6


@pytest.mark.parametrize("name", ALEXNET)
def test_at_the_chips_mapping_buffer_traffic_and_latency_are_the_chips(name: str) -> None:
    own = network(name, 4, *ALEXNET[name])
    ms, buffer_MB = with_chip_mapping(shape_of(own, own.layers[0]), CHIP_MAPPING[name])
    assert buffer_MB == pytest.approx(CHIP[name][2], rel=0.02)
    assert ms == pytest.approx(CHIP[name][0], rel=0.15)


#: VGG-16 at a batch of 3, where one part of a mapping is known from the chip's active PEs and buffer traffic: mapping, processing ms.
VGG_CHIP = {
    "1-2": ((64, 1, 13, 16, 1, 1, 4), 810.6),
    "2-2": ((64, 1, 13, 16, 1, 1, 4), 810.8),
    "4-2": ((64, 1, 14, 16, 4, 1, 4), 210.0),
    "5-2": ((32, 3, 14, 16, 4, 2, 2), 48.5),
}


@pytest.mark.parametrize("name", VGG_CHIP)
def test_the_psum_network_explains_the_chips_vgg(name: str) -> None:
    """Layers of equal MACs take up to four times as long: psums of few channels at a time fill their network, which the model has as well."""
    own = network(name, 3, *VGG[name])
    letters, chip_ms = VGG_CHIP[name]
    assert with_chip_mapping(shape_of(own, own.layers[0]), letters)[0] == pytest.approx(
        chip_ms, rel=0.05
    )


@pytest.mark.parametrize("name", VGG)
def test_the_search_maps_vgg_better_than_the_chip_did(name: str) -> None:
    own = network(name, 3, *VGG[name])
    machine = eyeriss_machine(own, lay_out(own, "int16"), EyerissConfig())
    (schedule,) = machine.schedules()
    counters = machine.layer_counters()[0]
    assert 0.5 < counters["macs"] / (168 * counters["compute_cycles"]) < 1
    assert np.all(schedule.tiles["compute_cycles"] > 0)
