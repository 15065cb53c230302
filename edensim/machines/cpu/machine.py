"""A network on cores with caches: whose loops run, on which memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edensim.machines.cpu.blocked import BlockedLoops
from edensim.machines.cpu.darknet import DarknetLoops
from edensim.machines.cpu.direct import DirectLoops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edensim.config.models import CpuConfig, RunConfig
    from edensim.machines.cpu.loop_nests import CpuLayer
    from edensim.networks.layout import Layout
    from edensim.networks.network import Network


@dataclass(frozen=True)
class CpuMachine:
    """Cores and what they run.

    precision: of the elements in memory (DarkNet's are floats always). end: first byte address behind all that is touched.
    tensors: how many the layout has. layers: yields what each layer runs, in order; may be called again.
    """

    name: str
    config: CpuConfig
    precision: str
    end: int
    tensors: int
    layers: Callable[[], Iterator[CpuLayer]]


def cpu_machine(network: Network, layout: Layout, config: RunConfig) -> CpuMachine:
    """The CPU that `config.cpu` describes, running a network.

    network: as it was read, NOT fused: DarkNet runs normalization and activation as passes of their own. layout: of the network as executed (fused);
    its tensors are known by name. DarkNet's memory is laid out as the program's allocations would be, from the layout's base address on.
    """
    index = {placement.name: placement.index for placement in layout.placements}
    if config.cpu.library == "darknet":
        darknet = DarknetLoops(network, config.cpu.vector_bits, layout.base_address, index)
        return CpuMachine("cpu", config.cpu, "fp32", darknet.arena.end, len(index), darknet.layers)
    library = BlockedLoops if config.cpu.library == "blocked" else DirectLoops
    loops = library(layout.network, layout, config.cpu)
    return CpuMachine(
        "cpu",
        config.cpu,
        layout.precision,
        max(layout.end, loops.arena.end),
        len(index),
        loops.layers,
    )
