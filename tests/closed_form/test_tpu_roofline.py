"""Does a TPU v1 in closed loop with DDR3 run its published workloads as fast as memory and array allow?

Figures: Jouppi et al., ISCA 2017: 256 x 256 array at 700 MHz, 34 GB/s of DDR3-2133, four tiles of
weights ahead, features on the chip. MLP0, MLP1, LSTM0 as matrix products of the published numbers of weights and batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edensim.config.models import ControllerConfig, DramConfig, RunConfig, TpuConfig
from edensim.dram.memory_system import MemorySystem
from edensim.engine.memory_run import simulate_machine
from edensim.engine.monitor import Monitor
from edensim.machines.tpu.machine import tpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out
from edensim.networks.network import Network

TPU_V1 = RunConfig(
    dram=DramConfig(standard="DDR3", speed_bin="2133L", channels=2),
    controller=ControllerConfig(),
    tpu=TpuConfig(filter_sram_kB=256, ifmap_sram_kB=12288, ofmap_sram_kB=12288, keep_features=True),
)
GBPS, PEAK_TOPS = 34, 92


@dataclass(frozen=True)
class Run:
    """tops: of 8-bit operations, two per multiply-accumulate; active: share of cycles that multiply; stalled: share that waits for memory."""

    tops: float
    active: float
    stalled: float


def run(network: Network, config: RunConfig = TPU_V1) -> Run:
    """A network at int8, closed loop."""
    layout = lay_out(network.fused(), "int8")
    memory_system = MemorySystem.resolve(config.dram, config.controller)
    machine = tpu_machine(layout.network, layout, config.tpu)
    tensors = len(layout.placements)
    memory = simulate_machine(
        memory_system,
        config.controller,
        machine,
        monitor=Monitor(exposure_tensors=tensors),
    )
    cycles = sum(layer.cycles for layer in memory.layers)
    seconds = cycles * memory_system.standard.tck_ps / 1e12
    macs_per_cycle = network.macs / (seconds * config.tpu.clock_MHz * 1e6)
    stalled = sum(layer.stall_share * layer.cycles for layer in memory.layers) / cycles
    return Run(
        2 * network.macs / seconds / 1e12,
        macs_per_cycle / (config.tpu.array_height * config.tpu.array_width),
        stalled,
    )


def perceptron(width: int, layers: int, batch: int) -> Network:
    """Square layers."""
    net = NetworkBuilder(f"mlp{width}", (batch, width))
    at = "input"
    for index in range(layers):
        at = net.linear(f"layer{index}", at, width, bias=False)
    return net.build()


def recurrent(hidden: int, cells: int, batch: int) -> Network:
    """Cells with four gates each, from input and state."""
    net = NetworkBuilder(f"lstm{hidden}", (batch, 2 * hidden))
    at = "input"
    for index in range(cells):
        gates = net.linear(f"gates{index}", at, 4 * hidden, bias=False)
        at = net.rearrangement(f"cell{index}", gates, (batch, 2 * hidden), "slice")
    return net.build()


#: Weights (millions), batch = multiply-accumulates per byte of weights.
MEMORY_BOUND = {
    "MLP0": (perceptron(2000, 5, 200), 20.0, 200),
    "MLP1": (perceptron(1000, 5, 168), 5.0, 168),
    "LSTM0": (recurrent(1040, 6, 64), 52.0, 64),
}


@pytest.mark.parametrize("name", MEMORY_BOUND)
def test_weights_bound_the_speed(name: str) -> None:
    network, weights, intensity = MEMORY_BOUND[name]
    assert network.parameters / 1e6 == pytest.approx(weights, rel=0.01)
    measured = run(network)
    assert 0.85 <= measured.tops / (2 * intensity * GBPS / 1000) <= 1.0
    assert measured.stalled > 0.5


def test_the_array_bounds_the_speed() -> None:
    """CNN0-like: 8 million weights, batch 8, 2888 multiply-accumulates for each byte of weights."""
    net = NetworkBuilder("cnn0", (8, 256, 19, 19))
    at = "input"
    for index in range(14):
        at = net.convolution(f"layer{index}", at, 256, 3, padding=1, bias=False)
    network = net.build()
    assert network.macs == 2888 * network.parameters
    measured = run(network)
    assert measured.active >= 0.78
    assert measured.tops <= PEAK_TOPS
    assert measured.stalled < 0.1


def test_twice_the_memory_is_up_to_twice_as_fast() -> None:
    """Bound by weights, the time is the bytes' over the bandwidth."""
    network = MEMORY_BOUND["MLP1"][0]
    one = run(
        network,
        RunConfig(dram=DramConfig(standard="DDR3", speed_bin="2133L", channels=1), tpu=TPU_V1.tpu),
    )
    assert run(network).tops / one.tops == pytest.approx(2, rel=0.1)
