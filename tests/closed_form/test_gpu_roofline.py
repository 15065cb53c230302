"""Does a layer on the GPU, with GDDR5 in closed loop, take as long as its arithmetic or its bytes, whichever is more?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edensim.config.loading import load_config
from edensim.config.paths import configs_folder
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_machine
from edensim.machines.gpu.machine import gpu_machine
from edensim.networks.builder import NetworkBuilder
from edensim.networks.layout import lay_out

#: EDEN's GPU as it is shipped.
CONFIG = load_config(configs_folder() / "hardware" / "eden-gpu.yaml").config

Build = Callable[[NetworkBuilder], str]

COMPUTE: dict[str, tuple[tuple[int, ...], Build]] = {
    "3x3, tiles that fit": (
        (1, 192, 56, 64),
        lambda b: b.convolution("c", "input", 256, 3, padding=1),
    ),
    "3x3 of VGG16": ((1, 256, 56, 56), lambda b: b.convolution("c", "input", 256, 3, padding=1)),
    "3x3 of VGG16, early": (
        (1, 64, 224, 224),
        lambda b: b.convolution("c", "input", 64, 3, padding=1),
    ),
    "3x3 of YOLO, early": (
        (1, 32, 304, 304),
        lambda b: b.convolution("c", "input", 64, 3, padding=1),
    ),
}
MEMORY: dict[str, tuple[tuple[int, ...], Build]] = {
    "one vector": ((1, 4096), lambda b: b.linear("c", "input", 4096)),
    "rows of an odd length": ((1, 9216), lambda b: b.linear("c", "input", 1500)),
    "16 vectors": ((16, 4096), lambda b: b.linear("c", "input", 2048)),
    "addition": (
        (1, 64, 160, 160),
        lambda b: b.addition("c", ["input", b.further_input("other", (1, 64, 160, 160))]),
    ),
    "pooling": ((1, 64, 320, 320), lambda b: b.pooling("c", "input", "max", 2)),
    "pooling of planes": ((1, 64, 300, 300), lambda b: b.adaptive_pooling("c", "input")),
    "1x1 of YOLO, early": ((1, 64, 304, 304), lambda b: b.convolution("c", "input", 32, 1)),
}
#: Short products whose outputs are many times the L2 cache, scattered over the planes of the ofm. Until it is full the cache writes nothing back, and
#: only behind the last thread block is the rest written. They miss the 10 % that the others keep: the figure is how far they are above, at most.
SCATTERED: dict[str, tuple[tuple[int, ...], Build, float]] = {
    "first of YOLO": (
        (1, 3, 608, 608),
        lambda b: b.convolution("c", "input", 32, 3, padding=1),
        0.17,
    ),
    "second of YOLO": (
        (1, 32, 608, 608),
        lambda b: b.convolution("c", "input", 64, 3, stride=2, padding=1),
        0.14,
    ),
    "1x1 of ResNet, widening": (
        (8, 64, 56, 56),
        lambda b: b.convolution("c", "input", 256, 1),
        0.38,
    ),
    "1x1 of ResNet, narrowing": (
        (8, 256, 56, 56),
        lambda b: b.convolution("c", "input", 64, 1),
        0.18,
    ),
}


def times(shape: tuple[int, ...], build: Build) -> tuple[float, float, float]:
    """Nanoseconds that a layer took, that its arithmetic takes, that its bytes take at the peak bandwidth."""
    builder = NetworkBuilder("one", shape)
    build(builder)
    network = builder.build()
    gpu, channels = CONFIG.gpu, CONFIG.dram.channels
    standard = load_standard(CONFIG.dram.standard, organization=CONFIG.dram.organization)
    machine = gpu_machine(network, lay_out(network, "fp32"), CONFIG.gpu)
    run = simulate_machine(
        MemorySystem.nominal(standard, channels, CONFIG.controller.address_mapping),
        CONFIG.controller,
        machine,
    )
    moved = sum(
        sum(layer.read_bytes.values()) + sum(layer.write_bytes.values()) for layer in run.layers
    )
    arithmetic = 2 * network.macs / (gpu.sms * gpu.flops_per_cycle) * 1e3 / gpu.clock_MHz
    return (
        run.cycles * standard.tck_ps / 1e3,
        arithmetic,
        moved / (standard.peak_bandwidth_GBps * channels),
    )


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


@pytest.mark.parametrize("layer", SCATTERED)
def test_scattered_outputs(layer: str) -> None:
    shape, build, above = SCATTERED[layer]
    took, arithmetic, bandwidth = times(shape, build)
    assert max(arithmetic, bandwidth) < took < (1 + above) * max(arithmetic, bandwidth)
