"""Does a row-stationary schedule move what a layer needs: every weight read, every input read, every result written, all inside their tensors?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edensim.config.models import EyerissConfig
from edensim.engine.tiles import Schedule
from edensim.exceptions import ConfigError, NetworkError
from edensim.machines.eyeriss.array import ceil_div
from edensim.machines.eyeriss.compression import run_length_ratio
from edensim.machines.eyeriss.machine import EyerissMachine, eyeriss_machine, shape_of
from edensim.machines.eyeriss.mapping import Order, find_mapping, strip_rows
from edensim.networks.layout import Layout, lay_out
from edensim.networks.loading import load_network
from edensim.networks.network import Layer, Network, Operator, Role, Tensor

#: Convolutions (batch, channels, size, filters, kernel, stride, padding, groups), precision, keys: what makes each different.
CASES: dict[str, tuple[tuple[int, ...], str, dict[str, Any]]] = {
    "plain": ((1, 16, 14, 32, 3, 1, 1, 1), "int8", {}),
    "odd sizes at 4 bits": ((2, 7, 9, 11, 3, 1, 1, 1), "int4", {}),
    "4 bits, filter after filter": ((1, 7, 9, 11, 3, 1, 1, 1), "int4", {"weight_order": "rows"}),
    "strided": ((2, 3, 35, 24, 7, 2, 3, 1), "fp32", {}),
    "strided beyond its kernel": ((1, 16, 14, 32, 1, 2, 0, 1), "int8", {}),
    "groups": ((3, 12, 13, 24, 5, 1, 2, 2), "int16", {}),
    "depthwise": ((2, 40, 14, 40, 3, 1, 1, 40), "int8", {}),
    "small buffer": ((2, 24, 14, 40, 3, 1, 1, 1), "fp32", {"buffer_kB": 3, "filter_buffer_kB": 1}),
    "small buffer, filter after filter": (
        (2, 24, 14, 40, 3, 1, 1, 1),
        "fp32",
        {"buffer_kB": 3, "filter_buffer_kB": 1, "weight_order": "rows"},
    ),
    "spilled psums": ((1, 3, 112, 8, 7, 1, 3, 1), "int8", {"buffer_kB": 3, "filter_buffer_kB": 1}),
    "array lower than a filter": (
        (1, 4, 16, 8, 5, 1, 2, 1),
        "int8",
        {"array_height": 2, "array_width": 3},
    ),
    "filter wider than the spads": (
        (1, 4, 20, 8, 7, 1, 3, 1),
        "int8",
        {"ifmap_spad_words": 4, "filter_spad_words": 9},
    ),
    "one PE, one word a cycle": (
        (1, 2, 6, 3, 3, 1, 1, 1),
        "int8",
        {"array_height": 1, "array_width": 1, "psum_words_per_cycle": 1},
    ),
}


def convolution(
    batch: int,
    channels: int,
    size: int,
    filters: int,
    kernel: int,
    stride: int,
    padding: int,
    groups: int,
) -> Network:
    """One convolution with a bias."""
    made = (size + 2 * padding - kernel) // stride + 1
    tensors = [
        Tensor("in", (batch, channels, size, size), Role.FEATURES),
        Tensor("w", (filters, channels // groups, kernel, kernel), Role.WEIGHTS),
        Tensor("b", (filters,), Role.WEIGHTS),
        Tensor("out", (batch, filters, made, made), Role.FEATURES),
    ]
    pads = (padding,) * 4
    layer = Layer(
        "conv",
        Operator.CONVOLUTION,
        ("in",),
        "out",
        ("w", "b"),
        (kernel, kernel),
        (stride, stride),
        pads,
        groups=groups,
    )
    return Network("one", (layer,), {tensor.name: tensor for tensor in tensors}, "in")


def planned(
    network: Network, precision: str, **keys: Any
) -> tuple[EyerissMachine, Schedule, Layout]:
    """Machine, schedule and layout of a network; features do not share memory."""
    layout = lay_out(network, precision, reuse=False)
    machine = eyeriss_machine(network, layout, EyerissConfig(**keys))
    (schedule,) = machine.schedules()
    return machine, schedule, layout


def kinds(schedule: Schedule) -> tuple[Any, Any]:
    """Of each transfer: its tile, and whether it writes."""
    per_tile = schedule.tiles["reads"] + schedule.tiles["writes"]
    tile = np.repeat(np.arange(len(per_tile)), per_tile)
    assert np.array_equal(schedule.tiles["first_transfer"], np.cumsum(per_tile) - per_tile)
    return tile, np.arange(len(tile)) - schedule.tiles["first_transfer"][tile] >= schedule.tiles[
        "reads"
    ][tile]


def touched(schedule: Schedule, layout: Layout, tensor: str, *, is_write: bool) -> Any:
    """How often each byte of a tensor is read or written; all runs must lie inside it."""
    place = layout[tensor]
    times = np.zeros(place.size_bytes, int)
    for transfer in schedule.transfers[
        (kinds(schedule)[1] == is_write) & (schedule.transfers["tensor"] == place.index)
    ]:
        for at in range(int(transfer["count"])):
            begin = int(transfer["address"]) + at * int(transfer["stride_bytes"]) - place.address
            assert 0 <= begin < begin + int(transfer["run_bytes"]) <= place.size_bytes
            times[begin : begin + int(transfer["run_bytes"])] += 1
    return times


def needed_rows(size: int, kernel: int, stride: int, padding: int) -> Iterator[int]:
    """Rows of the ifm that are in any window."""
    for row in range((size + 2 * padding - kernel) // stride + 1):
        yield from (
            at
            for at in range(row * stride - padding, row * stride - padding + kernel)
            if 0 <= at < size
        )


@pytest.mark.parametrize("name", CASES)
def test_everything_needed_moves_and_nothing_else(name: str) -> None:
    sizes, precision, keys = CASES[name]
    network = convolution(*sizes)
    machine, schedule, layout = planned(network, precision, **keys)
    assert np.all(touched(schedule, layout, "w", is_write=False) >= 1)
    assert np.all(touched(schedule, layout, "b", is_write=False) == 1)
    assert np.all(touched(schedule, layout, "out", is_write=True) >= 1)
    if name == "spilled psums":
        assert str(machine.layer_counters()[0]["mapping"]).startswith("spill")
    elif precision != "int4":  # where runs share bytes
        assert np.all(touched(schedule, layout, "out", is_write=True) == 1)
        assert not touched(schedule, layout, "out", is_write=False).any()
    assert not touched(schedule, layout, "in", is_write=True).any()
    batch, channels, size = sizes[:3]
    if precision != "int4":
        read = touched(schedule, layout, "in", is_write=False).reshape(batch, channels, size, -1)
        rows = sorted(set(needed_rows(size, *sizes[4:7])))
        assert np.all(read[:, :, rows] >= 1)


@pytest.mark.parametrize("name", CASES)
def test_bytes_and_macs_equal_closed_forms(name: str) -> None:
    """Traffic of the mapping in blocks and strips; multiplications are at least what the PEs can do in their cycles."""
    sizes, precision, keys = CASES[name]
    network = convolution(*sizes)
    machine, schedule, layout = planned(network, precision, **keys)
    shape = shape_of(network, network.layers[0])
    own = find_mapping(
        machine.array, shape, machine.traffic_bits(network.layers[0]), machine.config.objective
    )
    strips, blocks = (
        ceil_div(shape.images, own.n) * ceil_div(shape.rows, own.e),
        ceil_div(shape.filters, own.m),
    )
    spilled = ceil_div(shape.channels, own.resident) - 1 if own.order is Order.SPILL else 0
    stays = (
        own.filters >= own.m
        and own.channels >= shape.channels
        and blocks == 1
        and machine.array.taps(shape)[2] == 1
    )
    ifm = shape.images * shape.groups * shape.channels * shape.width * strip_rows(shape, own.e)
    expected = {
        "w": shape.filter_elements * (1 if stays or own.order is Order.FILTERS else strips),
        "in": ifm * (1 if own.order in (Order.IFM, Order.SPILL) else blocks),
        "out": shape.ofm_elements * (1 + 2 * spilled),
    }
    tensor = schedule.transfers["tensor"]
    moved = schedule.transfers["run_bytes"] * schedule.transfers["count"]
    for at, elements in expected.items():
        ours = int(moved[tensor == layout[at].index].sum())
        if precision == "int4":  # runs begin and end inside bytes
            assert elements // 2 <= ours <= elements // 2 + schedule.transfers["count"].sum()
        else:
            assert ours == elements * layout.bits // 8
    counters = machine.layer_counters()[0]
    assert counters["compute_cycles"] == schedule.tiles["compute_cycles"].sum()
    assert shape.macs <= counters["mac_cycles"] * machine.array.pes
    assert counters["mac_cycles"] < counters["compute_cycles"]


@pytest.mark.parametrize("order", ["passes", "rows"])
def test_a_batch_of_two_computes_twice_as_long_and_reads_no_more_weights_than_two_batches(
    order: str,
) -> None:
    once, twice = (convolution(batch, 32, 14, 64, 3, 1, 1, 1) for batch in (1, 2))
    (one, first, layout), (two, second, _) = (
        planned(once, "int16", weight_order=order),
        planned(twice, "int16", weight_order=order),
    )
    assert two.counters()["mac_cycles"] == 2 * one.counters()["mac_cycles"]
    assert (
        one.counters()["compute_cycles"]
        < two.counters()["compute_cycles"]
        <= 2 * one.counters()["compute_cycles"]
    )
    weights = [
        schedule.transfers[schedule.transfers["tensor"] == layout["w"].index]
        for schedule in (first, second)
    ]
    read = [int((own["run_bytes"] * own["count"]).sum()) for own in weights]
    assert layout["w"].size_bytes <= read[1] <= 2 * read[0]


@pytest.mark.parametrize(
    ("name", "precision"), [("lenet", "fp32"), ("squeezenet1.1", "int8"), ("mobilenetv2", "int8")]
)
def test_whole_networks_read_all_weights_and_write_all_features(name: str, precision: str) -> None:
    network = load_network(name).fused()
    machine, schedule, layout = planned(network, precision)
    for layer in network.layers:
        for tensor in layer.weights:
            assert np.all(touched(schedule, layout, tensor, is_write=False) >= 1), tensor
        assert np.all(touched(schedule, layout, layer.output, is_write=True) >= 1), layer.output
    tiles = schedule.tiles
    assert np.all(np.diff(tiles["layer"]) >= 0)
    starts = np.flatnonzero(np.diff(tiles["layer"], prepend=-1))
    assert len(starts) == len(network.layers)
    assert np.add.reduceat(tiles["barrier"], starts).min() >= 1
    assert [layer["compute_cycles"] for layer in machine.layer_counters()] == list(
        np.add.reduceat(tiles["compute_cycles"], starts)
    )
    weights = [layout[tensor].index for layer in network.layers for tensor in layer.weights]
    assert np.array_equal(
        schedule.transfers["ahead"] == 1, np.isin(schedule.transfers["tensor"], weights)
    )


def test_concatenation_puts_every_input_in_its_place() -> None:
    tensors = [
        Tensor("a", (2, 3, 4, 4), Role.FEATURES),
        Tensor("b", (2, 5, 4, 4), Role.FEATURES),
        Tensor("c", (2, 8, 4, 4), Role.FEATURES),
    ]
    layers = (
        Layer("pool", Operator.POOLING, ("a",), "b", kernel=(1, 1)),
        Layer("join", Operator.CONCATENATION, ("a", "b"), "c"),
    )
    _, schedule, layout = planned(
        Network("two", layers, {tensor.name: tensor for tensor in tensors}, "a"), "int8"
    )
    assert np.all(touched(schedule, layout, "c", is_write=True) == 1)
    tile, writes = kinds(schedule)
    own = schedule.transfers[writes & (schedule.tiles["layer"][tile] == 1)]
    assert [
        (
            int(w["address"]) - layout["c"].address,
            int(w["run_bytes"]),
            int(w["stride_bytes"]),
            int(w["count"]),
        )
        for w in own
    ] == [
        (0, 48, 128, 2),
        (48, 80, 128, 2),
    ]


def test_run_length_coding() -> None:
    """By hand, 16 bits: three pairs of 21 bits to 64; none zero: 4/3 of the size, so it stays plain; all zero: 32 elements to a pair."""
    assert run_length_ratio(0.0, 16) == 1.0
    assert run_length_ratio(1.0, 16) == pytest.approx(64 / 3 / 32 / 16)
    assert run_length_ratio(0.5, 16) == pytest.approx(64 / 3 / 2 / 16, rel=1e-6)
    values = np.random.default_rng(1).random(200_000) >= 0.8
    pairs = run = 0
    for value in values:
        if value or run == 31:
            pairs, run = pairs + 1, 0
        else:
            run += 1
    assert pairs * 64 / 3 / (len(values) * 16) == pytest.approx(run_length_ratio(0.8, 16), rel=0.01)


def test_compression_shortens_features_only() -> None:
    network = convolution(1, 16, 14, 32, 3, 1, 1, 1)
    _, plain, layout = planned(network, "int16")
    _, coded, _ = planned(network, "int16", compression="rlc", zero_fraction=0.7)
    for name, ratio in (
        ("in", run_length_ratio(0.7, 16)),
        ("out", run_length_ratio(0.7, 16)),
        ("w", 1.0),
    ):
        sizes = [
            int((own["run_bytes"] * own["count"]).sum())
            for s in (plain, coded)
            for own in [s.transfers[s.transfers["tensor"] == layout[name].index]]
        ]
        assert sizes[1] == pytest.approx(sizes[0] * ratio, rel=0.02)


def test_a_buffer_too_small_says_what_is_needed() -> None:
    network = convolution(1, 3, 224, 8, 3, 1, 1, 1)
    words = r"eyeriss.buffer_kB: leaves 256 words for ifm and psums; a pass needs 896 at least"
    with pytest.raises(
        NetworkError, match=rf"^one: layer 'conv': {words} .*; expected 5 kB or more$"
    ):
        planned(network, "fp32", buffer_kB=2, filter_buffer_kB=1)
    planned(network, "fp32", buffer_kB=5, filter_buffer_kB=1)
    with pytest.raises(NetworkError):
        planned(network, "fp32", buffer_kB=4, filter_buffer_kB=1)


def test_a_buffer_all_for_filters_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^eyeriss.filter_buffer_kB: 8 kB of a buffer of 8 kB"):
        planned(convolution(1, 3, 8, 8, 3, 1, 1, 1), "int8", buffer_kB=8)


def test_more_zero_fractions_than_layers_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^eyeriss.zero_fractions: 2 values; expected at most the 1 "
    ):
        planned(convolution(1, 3, 8, 8, 3, 1, 1, 1), "int8", zero_fractions=(0.5, 0.5))
