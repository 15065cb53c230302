"""Does a layer on the GPU, with GDDR5 in closed loop, take as long as its arithmetic or its bytes, whichever is more?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edensim.config import ControllerConfig
from edensim.dnn.builder import NetworkBuilder
from edensim.dnn.layout import lay_out
from edensim.dram.standard import load_standard
from edensim.frontends.gpu import gpu_machine
from edensim.memory import simulate_machine
from edensim.sections import GpuConfig, RunConfig

CHANNELS = 12
#: Bank groups change with each access of a channel: GDDR5 moves 32 bytes every two clocks, but from one bank group only every three.
CONTROLLER = ControllerConfig(address_mapping="R14B2C7G2H2", read_queue=64, write_queue=64)

Build = Callable[[NetworkBuilder], str]

COMPUTE: dict[str, tuple[tuple[int, ...], Build]] = {
    "3x3, tiles that fit": ((1, 192, 56, 64), lambda b: b.convolution("c", "input", 256, 3, padding=1)),
    "3x3 of VGG16": ((1, 256, 56, 56), lambda b: b.convolution("c", "input", 256, 3, padding=1)),
}
MEMORY: dict[str, tuple[tuple[int, ...], Build]] = {
    "one vector": ((1, 4096), lambda b: b.linear("c", "input", 4096)),
    "rows of an odd length": ((1, 9216), lambda b: b.linear("c", "input", 1500)),
    "16 vectors": ((16, 4096), lambda b: b.linear("c", "input", 2048)),
    "addition": ((1, 64, 160, 160), lambda b: b.addition("c", ["input", b.further_input("other", (1, 64, 160, 160))])),
    "pooling": ((1, 64, 320, 320), lambda b: b.pooling("c", "input", "max", 2)),
    "pooling of planes": ((1, 64, 300, 300), lambda b: b.adaptive_pooling("c", "input")),
}


def times(shape: tuple[int, ...], build: Build) -> tuple[float, float, float]:
    """Nanoseconds that a layer took, that its arithmetic takes, that its bytes take at the peak bandwidth."""
    builder = NetworkBuilder("one", shape)
    build(builder)
    network = builder.build()
    standard = load_standard("GDDR5")
    config = GpuConfig()
    machine = gpu_machine(network, lay_out(network, "fp32"), RunConfig(gpu=config))
    run = simulate_machine(standard, CONTROLLER, machine, channels=CHANNELS)
    moved = sum(sum(layer.read_bytes.values()) + sum(layer.write_bytes.values()) for layer in run.layers)
    arithmetic = 2 * network.macs / (config.sms * config.flops_per_cycle) * 1e3 / config.clock_MHz
    return run.cycles * standard.tck_ps / 1e3, arithmetic, moved / (standard.peak_bandwidth_GBps * CHANNELS)


@pytest.mark.parametrize("layer", COMPUTE)
def test_compute_bound(layer: str) -> None:
    took, arithmetic, bandwidth = times(*COMPUTE[layer])
    assert arithmetic > 2 * bandwidth
    assert arithmetic < took < 1.1 * arithmetic


@pytest.mark.parametrize("layer", MEMORY)
def test_memory_bound(layer: str) -> None:
    took, arithmetic, bandwidth = times(*MEMORY[layer])
    assert bandwidth > arithmetic
    assert bandwidth < took < 1.1 * bandwidth
